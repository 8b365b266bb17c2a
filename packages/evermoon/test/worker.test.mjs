// Engines in workers: the same calls as messages; functions and objects of ours stay here.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Worker } from 'node:worker_threads';
import {
  Evermoon, EvermoonError, EvermoonLoadError, LuaAbortError, LuaConversionError, LuaDisposedError, LuaError, LuaFuelError, LuaMemoryError, LuaSyntaxError,
  LuaTimeoutError,
} from '../dist/worker.js';
import { module, sleep } from './helpers.mjs';

/** An engine in a worker that is gone after the test. */
async function engine(t, options = {}) {
  const lines = [];
  const lua = await Evermoon.worker({ wasm: module, onPrint: (line) => lines.push(line), ...options });
  t.after(() => lua.dispose());
  return { lua, lines };
}

test('values, globals, data with cycles', async (t) => {
  const { lua } = await engine(t, { globals: { answer: 42, list: [1, [2]] }, modules: { m: 'return {v = 7}' } });
  assert.deepEqual(await lua.run('return nil, true, 1, 1.5, "é", 9007199254740993, ...', { args: [null, 'x', 5n] }), [undefined, true, 1, 1.5, 'é', 9007199254740993n, null, 'x', 5]);
  assert.deepEqual(await lua.run('return answer, list[2][1], require("m").v'), [42, 2, 7]);
  await lua.set('config', { deep: { n: 1 } });
  assert.equal(await lua.get('config.deep.n'), 1);
  const cycle = { name: 'c' };
  cycle.self = cycle;
  const [ok, back] = await lua.run('local c = ... return c.self == c, c', { args: [cycle] });
  assert.equal(ok, true);
  const copy = await back.toJS();
  assert.equal(copy.self, copy);
  assert.deepEqual((await lua.run('return "\\xff"', { strings: 'bytes' }))[0], new Uint8Array([255]));
  const mixed = { f: (x) => x + 1, map: new Map([['k', [1]]]), bytes: new Uint8Array([1, 2]) };
  assert.deepEqual(await lua.run('local m = ... return m.f(1), m.map.k[1], #m.bytes', { args: [mixed] }), [2, 1, 2]);
});

test('functions of ours are called here, awaited, and come back as themselves', async (t) => {
  const { lua, lines } = await engine(t);
  const seen = [];
  const f = (a, b) => (seen.push([a, b]), a + b);
  await lua.define('f', f);
  await lua.define('later', async (v) => (await sleep(1), v));
  await lua.define('two', () => lua.multi(1, 2));
  assert.deepEqual(await lua.run('print("before") local s = f(1, 2) print("after") return s, later("x"), two()'), [3, 'x', 1, 2]);
  assert.deepEqual(lines, ['before', 'after']);
  assert.deepEqual(seen, [[1, 2]]);
  assert.equal(await lua.get('f'), f);
  await lua.define('apply', async (g, v) => (await g.call(v))[0]);
  assert.deepEqual(await lua.run('return apply(function(v) return v * 2 end, 21)'), [42]);
  assert.deepEqual(await lua.run('local t = {3, 1, 2} table.sort(t, function(a, b) return later(a) < b end) return table.concat(t)'), ['123']);
});

test('handles have the same methods', async (t) => {
  const { lua } = await engine(t);
  const [table, fn, co] = await lua.run('t = {10, 20, x = 1} return t, function(a, b) return a + b, a - b end, coroutine.create(function(a) coroutine.yield(a + 1) end)');
  assert.equal(await table.length(), 2);
  await table.set('y', { z: 1 });
  assert.equal((await lua.run('return t.y.z'))[0], 1);
  assert.equal(await table.get('x'), 1);
  assert.equal(await table.has('nope'), false);
  await table.delete('y');
  assert.deepEqual(await table.entries(), [[1, 10], [2, 20], ['x', 1]]);
  const keys = [];
  for await (const [key] of table) keys.push(key);
  assert.deepEqual(keys, [1, 2, 'x']);
  assert.match(await table.tostring(), /^table: 0x/);
  assert.equal(await table.equals(await lua.get('t')), true);
  await table.setMetatable(await lua.table({ __index: (_, k) => `${k}!` }));
  assert.equal(await table.get('q'), 'q!');
  assert.equal((await table.metatable()).type, 'table');
  assert.deepEqual(await fn.call(5, 3), [8, 2]);
  assert.deepEqual(await fn.callWith({ args: [1, 1] }), [2, 0]);
  assert.equal(await co.status(), 'suspended');
  assert.deepEqual(await co.resume(1), [2]);
  assert.deepEqual(await (await lua.load('return ...')).call(1, 2), [1, 2]);
  assert.equal(await (await lua.globals()).get('t').then((x) => x.equals(table)), true);
  table.dispose();
  await assert.rejects(table.get('x'), LuaDisposedError);
  const { lua: other } = await engine(t);
  await assert.rejects(other.set('f', fn), (e) => e.code === 'misuse' && /another engine/.test(e.message));
});

test('objects by reference stay here', async (t) => {
  const { lua } = await engine(t);
  class Point {
    constructor(x) { this.x = x; }
    plus(other) { return new Point(this.x + other.x); }
    toString() { return `<${this.x}>`; }
  }
  const p = new Point(1);
  const r = await lua.run('local p = ... p.x = p.x + 1 local q = p:plus(p) return p, q, tostring(q), #list, pairs', { args: [p], ...{} }).catch((e) => e);
  assert.ok(r instanceof LuaError, 'list is nil');
  await lua.set('list', lua.proxy([1, 2, 3]));
  const [same, q, text, n, sum] = await lua.run(
    'local p = ... local q = p:plus(p) local sum = 0 for i, v in pairs(list) do sum = sum + i * v end list[4] = 4 return p, q, tostring(q), #list, sum',
    { args: [p] },
  );
  assert.equal(same, p);
  assert.equal(q.x, 4);
  assert.equal(text, '<4>');
  assert.equal(n, 4);
  assert.equal(sum, 14);
});

test('errors are what they were', async (t) => {
  const { lua } = await engine(t);
  await assert.rejects(lua.run('local x\nerror("bad")', { name: 'game.lua' }), (e) => {
    assert.ok(e instanceof LuaError && e instanceof EvermoonError);
    assert.equal(e.name, 'LuaError');
    assert.deepEqual([e.code, e.message, e.value, e.line, e.chunk], ['runtime', 'game.lua:2: bad', 'game.lua:2: bad', 2, 'game.lua']);
    assert.match(e.traceback, /game.lua:2: in main chunk/);
    return true;
  });
  await assert.rejects(lua.run('x ='), (e) => e instanceof LuaSyntaxError && e.line === 1 && e.incomplete);
  await assert.rejects(lua.run('error({code = 5})'), (e) => e instanceof LuaError && e.value.type === 'table');
  const boom = new TypeError('boom');
  await lua.define('boom', () => { throw boom; });
  await assert.rejects(lua.run('boom()'), (e) => e === boom);
  assert.deepEqual(await lua.run('local ok, e = pcall(boom) return ok, e.message'), [false, 'boom']);
  await lua.define('text', () => { throw 'a string'; });
  await assert.rejects(lua.run('text()'), (e) => e instanceof LuaError && e.value === 'a string');
  await assert.rejects(lua.set('s', Symbol('x')), LuaConversionError);
  await assert.rejects(lua.set('s', { a: [Symbol('x')] }), (e) => e instanceof LuaConversionError && e.path === 'value[1].a[0]');
  await assert.rejects(lua.run('return ...', { args: [2n ** 70n] }), LuaConversionError);
  assert.deepEqual(await lua.run('return 1'), [1]);
});

test('output comes in order, to the run or the engine; warnings too', async (t) => {
  const warnings = [];
  const { lua, lines } = await engine(t, { onWarn: (m) => warnings.push(m), onStderr: (l) => warnings.push(`err ${l}`) });
  await lua.run('for i = 1, 1000 do print(i) end io.write("no end") warn("@on") warn("a", "b") io.stderr:write("x\\n")');
  assert.equal(lines.length, 1001);
  assert.deepEqual([lines[0], lines[999], lines[1000]], ['1', '1000', 'no end']);
  assert.deepEqual(warnings, ['ab', 'err x']);
  const own = [];
  await lua.run('print("own")', { onPrint: (l) => own.push(l) });
  assert.deepEqual(own, ['own']);
  await assert.rejects(lua.run('print(1) while true do end', { onPrint: () => { throw new Error('full'); } }), /full/);
  assert.deepEqual(await lua.run('return 1'), [1]);
});

test('abort, timeout, fuel and memory work while Lua computes', async (t) => {
  const { lua } = await engine(t);
  const controller = new AbortController();
  const run = lua.run('while true do pcall(function() while true do end end) end', { signal: controller.signal });
  await sleep(50);
  const start = performance.now();
  controller.abort('enough');
  await assert.rejects(run, (e) => e instanceof LuaAbortError && e.cause === 'enough');
  assert.ok(performance.now() - start < 100);
  assert.deepEqual(await lua.run('return 1'), [1]);
  while ((await lua.stats()).runs > 0) await sleep(1);
  await assert.rejects(lua.run('while true do end', { timeout: 50 }), LuaTimeoutError);
  await assert.rejects(lua.run('while true do end', { fuel: 1000 }), LuaFuelError);
  await lua.setMemoryMax(4 << 20);
  await assert.rejects(lua.run('return ("x"):rep(1 << 25)'), LuaMemoryError);
  await assert.rejects(lua.run('', { signal: AbortSignal.abort() }), LuaAbortError);
  await lua.define('never', () => new Promise(() => {}));
  await assert.rejects(lua.run('never()', { timeout: 30 }), LuaTimeoutError);
  // This side stays free while it computes there.
  let beats = 0;
  const timer = setInterval(() => beats++, 5);
  await assert.rejects(lua.run('while true do end', { timeout: 200 }), LuaTimeoutError);
  clearInterval(timer);
  assert.ok(beats > 5, `${beats} beats`);
});

test('dispose ends it at once', async () => {
  const lua = await Evermoon.worker({ wasm: module });
  const run = lua.run('while true do end');
  await sleep(20);
  lua.dispose();
  lua.dispose();
  await assert.rejects(run, LuaDisposedError);
  await assert.rejects(lua.run('return 1'), LuaDisposedError);
  assert.ok(lua.disposed);
});

test('what Lua forgets is forgotten here, and the other way', { skip: typeof globalThis.gc !== 'function' }, async (t) => {
  const { lua } = await engine(t);
  for (let i = 0; i < 300; i++) await lua.run('return {}');
  let handles = Infinity;
  for (let i = 0; i < 50 && handles > 50; i++) {
    globalThis.gc();
    await sleep(5);
    handles = (await lua.stats()).handles;
  }
  assert.ok(handles <= 50, `${handles} handles`);
});

test('a worker of one’s own, and one that does not start', async (t) => {
  const worker = new Worker(new URL('../dist/worker-script.js', import.meta.url));
  const { lua } = await engine(t, { worker });
  assert.deepEqual(await lua.run('return 1'), [1]);
  const { lua: second } = await engine(t, { worker: new URL('../dist/worker-script.js', import.meta.url) });
  assert.deepEqual(await second.run('return 2'), [2]);
  await assert.rejects(Evermoon.worker({ wasm: module, worker: new URL('./nowhere.js', import.meta.url) }), (e) => e instanceof EvermoonLoadError && /cannot be started/.test(e.message));
  await assert.rejects(Evermoon.worker({ wasm: new Uint8Array([1]) }), EvermoonLoadError);
});
