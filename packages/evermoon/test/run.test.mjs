// Runs: host functions, promises, errors, limits, output, several at once.
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  LuaAbortError, LuaDisposedError, LuaError, LuaFuelError, LuaMemoryError, LuaSyncError, LuaSyntaxError, LuaTimeoutError,
} from '../dist/index.js';
import { engine, sleep, wasmBytes } from './helpers.mjs';

test('async functions are awaited anywhere', async () => {
  const { lua } = await engine();
  lua.define('later', async (v) => (await sleep(1), v));
  const r = await lua.run(`
    local t = {3, 1, 2}
    table.sort(t, function(a, b) return later(a) < later(b) end)
    local m = setmetatable({}, {__index = function(_, k) return later(k .. '!') end, __add = function() return later(7) end,
      __lt = function() return later(true) end, __tostring = function() return later('T') end, __close = function() later(0) end})
    local co = coroutine.wrap(function() local v = later('co'); coroutine.yield(v); return later('end') end)
    local s = string.gsub('abc', '%w', function(c) return later(c:upper()) end)
    local c <close> = m
    local ok, e = pcall(function() error(later('err'), 0) end)
    return table.concat(t, ','), m.x, m + m, m < m, tostring(m), co(), co(), s, ok, e`);
  assert.deepEqual(r, ['1,2,3', 'x!', 7, true, 'T', 'co', 'end', 'ABC', false, 'err']);
});

test('several results, rejections and thrown exceptions', async () => {
  const { lua } = await engine();
  lua.define('two', () => lua.multi(1, 2));
  lua.define('none', () => undefined);
  lua.define('reject', async () => { throw new RangeError('rejected'); });
  const boom = new TypeError('boom');
  lua.define('boom', () => { throw boom; });
  lua.define('str', () => { throw 'a string'; });
  assert.deepEqual(await lua.run('return two(), select("#", none()), two()'), [1, 0, 1, 2]);
  await assert.rejects(lua.run('reject()'), RangeError);
  await assert.rejects(lua.run('local x = 1; boom()'), (e) => e === boom && /in main chunk/.test(e.luaTraceback));
  const [ok, e, text, message] = await lua.run('local ok, e = pcall(boom) return ok, e, tostring(e), e.message');
  assert.equal(ok, false);
  assert.equal(e, boom);
  assert.equal(text, 'TypeError: boom');
  assert.equal(message, 'boom');
  assert.throws(() => lua.runSync('boom()'), TypeError);
  await assert.rejects(lua.run('str()'), (e) => e instanceof LuaError && e.value === 'a string');
});

test('errors have message, value, traceback, place', async () => {
  const { lua } = await engine();
  await assert.rejects(lua.run('local function f()\n  error("bad")\nend\nf()', { name: 'game.lua' }), (e) => {
    assert.ok(e instanceof LuaError);
    assert.equal(e.code, 'runtime');
    assert.equal(e.message, 'game.lua:2: bad');
    assert.equal(e.value, 'game.lua:2: bad');
    assert.equal(e.chunk, 'game.lua');
    assert.equal(e.line, 2);
    assert.match(e.traceback, /^stack traceback:\n/);
    assert.match(e.traceback, /game.lua:4: in main chunk/);
    return true;
  });
  await assert.rejects(lua.run('error({code = 5})'), (e) => e.value.get('code') === 5 && /table value/.test(e.message));
  await assert.rejects(lua.run('error(setmetatable({}, {__tostring = function() return "shown" end}))'), /shown/);
  await assert.rejects(lua.run('error()'), /nil/);
  await assert.rejects(lua.run('x ='), (e) => e instanceof LuaSyntaxError && e.code === 'syntax' && e.line === 1 && e.incomplete);
  await assert.rejects(lua.run('\n\nx = = 2'), (e) => e instanceof LuaSyntaxError && e.line === 3 && !e.incomplete);
  await assert.rejects(lua.run(new Uint8Array([0x1b, 0x4c, 1, 2, 3])), LuaSyntaxError);
  assert.deepEqual(await lua.run('return 1'), [1]);
});

test('output comes line by line, in order, also the unfinished last line', async () => {
  const { lua, lines } = await engine();
  lua.define('mark', (s) => void lines.push(`js ${s}`));
  await lua.run('print("a", 1, nil) mark(1) print("b\\nc") mark(2) print("é")');
  assert.deepEqual(lines, ['a\t1\tnil', 'js 1', 'b', 'c', 'js 2', 'é']);
  const own = [];
  await lua.run('print("x")', { onPrint: (l) => own.push(l) });
  assert.deepEqual(own, ['x']);
  const bytes = [];
  await lua.run('print("\\xff")', { onOutput: (b) => bytes.push(...b) });
  assert.deepEqual(bytes, [0xff, 10]);
});

test('long output streams while the program runs', async () => {
  const { lua } = await engine();
  let lines = 0;
  const seen = [];
  await lua.run('for i = 1, 50000 do print("a line of output that is not so short", i) end', { onPrint: () => { lines++; if (lines % 10000 === 0) seen.push(lua.stats().runs); } });
  assert.equal(lines, 50000);
  assert.ok(seen.slice(0, -1).every((runs) => runs === 1), 'came before the end');
});

test('an endless loop leaves the event loop alive, and can be aborted', async () => {
  const { lua } = await engine();
  let beats = 0;
  const timer = setInterval(() => beats++, 10);
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error('enough')), 300);
  await assert.rejects(lua.run('while true do end', { signal: controller.signal }), (e) => {
    assert.ok(e instanceof LuaAbortError);
    assert.equal(e.code, 'abort');
    assert.equal(e.cause.message, 'enough');
    return true;
  });
  clearInterval(timer);
  assert.ok(beats >= 5, `${beats} beats`);
  await assert.rejects(lua.run('', { signal: AbortSignal.abort() }), LuaAbortError);
  assert.deepEqual(await lua.run('return 1'), [1]);
});

test('timeouts stop loops, waiting, pcall loops, sort, find and rep', async () => {
  const { lua } = await engine();
  lua.define('never', () => new Promise(() => {}));
  for (const code of [
    'while true do end',
    'never()',
    'while true do pcall(error) end',
    'while true do pcall(function() while true do end end) end',
    'local t = {} for i = 1, 200 do t[i] = i end while true do table.sort(t, function(a, b) return a > b end) end',
    'local s = string.rep("a", 100) while true do s:find(string.rep("a?", 25) .. string.rep("a", 25) .. "b") end',
    'local function f() return f() end f()',
    'coroutine.wrap(function() while true do end end)()',
  ]) {
    const start = performance.now();
    await assert.rejects(lua.run(code, { timeout: 50 }), (e) => e instanceof LuaTimeoutError && e.code === 'timeout', code);
    assert.ok(performance.now() - start < 2000, code);
  }
  assert.throws(() => lua.runSync('while true do end', { timeout: 50 }), LuaTimeoutError);
  assert.equal(lua.stats().runs, 0);
  assert.deepEqual(await lua.run('return 1'), [1]);
});

test('fuel is for each run, and pcall does not catch its end', async () => {
  const { lua } = await engine();
  await assert.rejects(lua.run('while true do pcall(function() while true do end end) end', { fuel: 100000 }), (e) => e instanceof LuaFuelError && e.code === 'fuel');
  assert.throws(() => lua.runSync('while true do end', { fuel: 1000 }), LuaFuelError);
  assert.deepEqual(await lua.run('for i = 1, 50 do end return 1', { fuel: 1000 }), [1]);
  assert.deepEqual(await lua.run('for i = 1, 100000 do end return 1'), [1]);
  const { lua: small } = await engine({ fuel: 1000 });
  assert.throws(() => small.runSync('while true do end'), LuaFuelError);
  await assert.rejects(small.run('while true do end'), LuaFuelError);
  const [f] = small.runSync('return function() while true do end end');
  assert.throws(() => f.invoke(), LuaFuelError);
  assert.deepEqual(small.runSync('return 1'), [1]);
});

test('the memory cap ends in a Lua error, and the engine goes on', async () => {
  const { lua } = await engine({ memoryMax: 4 << 20 });
  await assert.rejects(lua.run('local t = {} while true do t[#t + 1] = ("x"):rep(10000) .. #t end'), (e) => e instanceof LuaMemoryError && e.code === 'memory');
  assert.deepEqual(await lua.run('return pcall(string.rep, "x", 100000000)'), [false, 'not enough memory']);
  assert.throws(() => lua.set('s', 'y'.repeat(8 << 20)), LuaMemoryError);
  assert.throws(() => lua.set('s', Array.from({ length: 1 << 20 }, (_, i) => i)), LuaMemoryError);
  lua.define('big', () => 'z'.repeat(8 << 20));
  assert.deepEqual(lua.runSync('return pcall(big)')[0], false);
  assert.deepEqual(await lua.run('return 1'), [1]);
  lua.setMemoryMax(Infinity);
  lua.set('s', 'y'.repeat(8 << 20));
  assert.deepEqual(await lua.run('return #s'), [8 << 20]);
});

test('deep recursion is a Lua error', async () => {
  const { lua } = await engine();
  await assert.rejects(lua.run('local function f() return 1 + f() end f()'), /stack overflow/);
  assert.deepEqual(lua.runSync('return select("#", pcall(string.rep))'), [2]);
  assert.deepEqual(await lua.run('return 1'), [1]);
});

test('runs wait side by side in one engine', async () => {
  const { lua } = await engine();
  const release = {};
  lua.define('gate', (name) => new Promise((resolve) => (release[name] = resolve)));
  const a = lua.run('return "a" .. gate("a")');
  const b = lua.run('return "b" .. gate("b")');
  await sleep(1);
  assert.equal(lua.stats().runs, 2);
  assert.deepEqual(lua.runSync('return 5'), [5]);
  release.b('!');
  assert.deepEqual(await b, ['b!']);
  release.a('?');
  assert.deepEqual(await a, ['a?']);
  assert.equal(lua.stats().runs, 0);
});

test('two long runs share the engine', async () => {
  const { lua } = await engine();
  const count = 'local n = 0 for i = 1, 3000000 do n = n + i % 7 end return n';
  const [x, y] = await Promise.all([lua.run(count), lua.run(count)]);
  assert.deepEqual(x, y);
});

test('host functions may run Lua, and errors pass through all levels', async () => {
  const { lua, lines } = await engine();
  lua.define('nested', (code) => lua.runSync(code)[0]);
  lua.define('nestedAsync', async (code) => (await lua.run(code))[0]);
  assert.deepEqual(lua.runSync('return nested("print(1) return nested(\'return 7\')")'), [7]);
  assert.deepEqual(await lua.run('return nestedAsync("return nestedAsync(\'return 8\')")'), [8]);
  assert.deepEqual(lines, ['1']);
  assert.throws(() => lua.runSync('nested("nested(\'error([[deep]])\')")'), /deep/);
  const own = [];
  lua.runSync('nested("print(2)")', { onPrint: (l) => own.push(l) });
  assert.deepEqual(own, ['2']);
  // Fuel of the outer run holds for the nested one.
  assert.throws(() => lua.runSync('nested("while true do end")', { fuel: 10000 }), LuaFuelError);
  lua.define('again', () => lua.runSync('again()'));
  assert.throws(() => lua.runSync('again()'), RangeError);
  assert.deepEqual(lua.runSync('return 1'), [1]);
});

test('a promise in a synchronous run is an error inside the program', async () => {
  const { lua } = await engine();
  lua.define('later', async () => 1);
  assert.throws(() => lua.runSync('later()'), (e) => e instanceof LuaSyncError && e.code === 'sync');
  assert.deepEqual(lua.runSync('return (pcall(later))'), [false]);
});

test('dispose rejects what is under way', async () => {
  const { lua } = await engine();
  lua.define('never', () => new Promise(() => {}));
  const waiting = lua.run('never()');
  const running = lua.run('while true do end');
  setTimeout(() => lua.dispose(), 20);
  await assert.rejects(waiting, LuaDisposedError);
  await assert.rejects(running, LuaDisposedError);
});

test('dispose inside a host function', async () => {
  const { lua } = await engine();
  lua.define('stop', () => lua.dispose());
  assert.throws(() => lua.runSync('stop()'), LuaDisposedError);
  const { lua: other } = await engine();
  other.define('stop', () => other.dispose());
  await assert.rejects(other.run('stop()'), LuaDisposedError);
});

test('what output callbacks throw ends the run', async () => {
  const { lua } = await engine();
  await assert.rejects(lua.run('print(1) while true do end', { onPrint: () => { throw new Error('full'); }, timeout: 2000 }), /full/);
  assert.deepEqual(await lua.run('return 1'), [1]);
});

test('a host function gets as many arguments as it was called with, and no this', async () => {
  const { lua } = await engine();
  lua.define('count', (...args) => args.length);
  lua.define('last', (...args) => args.at(-1));
  lua.define('mine', function () { return this === undefined; });
  const code = 'return count(), count(nil), count(1), count(1, nil), count(1, 2, 3), last("a"), last(1, "b"), last(1, 2, "c"), mine(), mine(1), mine(1, 2, 3)';
  const expected = [0, 1, 1, 2, 3, 'a', 'b', 'c', true, true, true];
  assert.deepEqual(await lua.run(code), expected);
  assert.deepEqual(lua.runSync(code), expected);
});

test('results of a host function that cannot cross are an error in the program', async () => {
  const { lua } = await engine();
  lua.define('sym', () => Symbol('s'));
  assert.deepEqual(lua.runSync('local ok, e = pcall(sym) return ok, e.name'), [false, 'LuaConversionError']);
});

test('require through a map, an object, a function and a promise', async () => {
  const { lua } = await engine({ modules: { 'a.b': 'return {v = ..., n = 1}', bad: 'x =' } });
  assert.deepEqual(lua.runSync('return require("a.b").v, require("a.b") == require("a.b")'), ['a.b', true]);
  assert.throws(() => lua.runSync('require("bad")'), /error loading module 'bad' from the host:\n\tbad:1:/);
  assert.throws(() => lua.runSync('require("nope")'), /module 'nope' not found:[^]*no module 'nope' from the host/);
  const { lua: second } = await engine({ modules: async (name) => (await sleep(1), name === 'x' ? 'return 1' : undefined) });
  assert.deepEqual(await second.run('return (require("x"))'), [1]);
  await assert.rejects(second.run('require("toString")'), /not found/);
  const { lua: third } = await engine({ modules: new Map([['m', new TextEncoder().encode('return 2')]]) });
  assert.deepEqual(third.runSync('return (require("m"))'), [2]);
});

test('engines in one instance are independent', async () => {
  const { lua: a } = await engine();
  const { lua: b } = await engine();
  a.set('x', 1);
  assert.equal(b.get('x'), undefined);
  a.dispose();
  assert.deepEqual(b.runSync('return 1'), [1]);
  assert.ok(a.disposed);
});

test('the same seed gives the same random numbers', async () => {
  const draw = async (seed) => (await engine({ seed })).lua.runSync('return math.random(1 << 30), math.random()');
  assert.deepEqual(await draw(42), await draw(42));
  assert.notDeepEqual(await draw(1), await draw(2));
  const { lua: a } = await engine();
  const { lua: b } = await engine();
  assert.notDeepEqual(a.runSync('return math.random(1 << 50)'), b.runSync('return math.random(1 << 50)'));
});

test('a thousand engines come and go', async () => {
  const own = new WebAssembly.Module(wasmBytes);
  const { lua } = await engine({ wasm: own });
  for (let i = 0; i < 1000; i++) {
    const { lua: one } = await engine({ wasm: own });
    assert.deepEqual(one.runSync('return 1'), [1]);
    one.dispose();
  }
  assert.ok(lua.stats().wasmBytes < 8 << 20);
});
