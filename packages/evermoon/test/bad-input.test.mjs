// What goes wrong, row by row: a typed error that says what to do, and an engine that is still usable.
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  Evermoon, EvermoonError, EvermoonLoadError, LuaConversionError, LuaDisposedError, LuaError, LuaMemoryError, LuaSyncError, LuaSyntaxError, LuaTimeoutError,
} from '../dist/index.js';
import { engine, module, wasmBytes } from './helpers.mjs';

/** It failed as it should, and the engine goes on. */
async function failed(lua, work, check) {
  await assert.rejects(async () => work(), (error) => {
    assert.ok(error instanceof EvermoonError, String(error));
    check(error);
    return true;
  });
  assert.deepEqual(lua.runSync('return 1 + 1'), [2]);
}

test('garbage code', async () => {
  const { lua } = await engine();
  for (const code of ['x = = 1', '\0\x01\x02', '\x1bLua', '\u{1f600}', 'goto nowhere', '"unfinished', '('.repeat(1000), 'return '.repeat(300)]) {
    await failed(lua, () => lua.run(code), (e) => assert.ok(e instanceof LuaSyntaxError && e.code === 'syntax', code));
  }
  for (const bytes of [Uint8Array.of(0x1b, 0x4c, 0x75, 0x61, 0x54), Uint8Array.from({ length: 1000 }, (_, i) => (i * 7) & 255)]) {
    await failed(lua, () => lua.run(bytes), (e) => assert.ok(e instanceof LuaSyntaxError));
  }
  const [chunk] = lua.runSync('return string.dump(function() return 42 end)', { strings: 'bytes' });
  for (let i = 0; i < chunk.length; i++) {
    const broken = chunk.slice();
    broken[i] ^= 0x55;
    try {
      lua.runSync(broken, { fuel: 1e6 });
    } catch (e) {
      assert.ok(e instanceof EvermoonError && e.code !== 'bug', `byte ${i}: ${e}`);
    }
  }
  await failed(lua, () => lua.run(5), (e) => assert.equal(e.code, 'misuse'));
  await failed(lua, () => lua.run(undefined), (e) => assert.equal(e.code, 'misuse'));
});

test('a wrong length or address given to the module itself is refused', async () => {
  const { exports: x } = new WebAssembly.Instance(module);
  const e = x.em_engine_new(0);
  const MISUSE = 5;
  const NOT_INSIDE = 0xfffffff0;
  assert.equal(x.em_load(e, NOT_INSIDE, 100, 0, 0, 3), MISUSE);
  assert.equal(x.em_load(e, 16, 0xffffffff, 0, 0, 3), MISUSE);
  assert.equal(x.em_slots(e, 0xffffffff), 0);
  const slots = x.em_slots(e, 4) >>> 2;
  new Uint32Array(x.memory.buffer).set([NOT_INSIDE, 100, 5, 0], slots);
  assert.equal(x.em_raw_set(e, x.em_globals(e), 2), MISUSE);
  new Uint32Array(x.memory.buffer).set([1, 2, 77, 0], slots);
  assert.equal(x.em_raw_get(e, x.em_globals(e)), MISUSE);
  assert.equal(x.em_run(e, 12345, 1), MISUSE);
  assert.equal(x.em_answer(e, 1, 0, 1), MISUSE);
  assert.equal(x.em_run(999, 1, 1), MISUSE);
  assert.ok(x.em_stat(e, 0) > 0);
});

test('freed and foreign handles', async () => {
  const { lua } = await engine();
  const { lua: other } = await engine();
  const [table, fn] = lua.runSync('return {}, function() return 1 end');
  const foreign = (e) => assert.ok(e.code === 'misuse' && /belongs to another engine: pass a copy/.test(e.message), e.message);
  await failed(other, () => other.set('t', table), foreign);
  await failed(other, () => other.run('return ...', { args: [[{ deep: fn }]] }), foreign);
  table.dispose();
  fn.dispose();
  const freed = (e) => assert.ok(e instanceof LuaDisposedError && e.code === 'disposed');
  await failed(lua, () => table.get('x'), freed);
  await failed(lua, () => table.toJS(), freed);
  await failed(lua, () => [...table], freed);
  await failed(lua, () => fn.call(), freed);
  await failed(lua, () => fn.callSync(), freed);
  await failed(lua, () => fn.invoke(), freed);
  await failed(lua, () => lua.set('f', fn), freed);
  assert.equal(table.disposed, true);
  // To the module itself: a freed one is told from its successor.
  const { exports: x } = new WebAssembly.Instance(module);
  const e = x.em_engine_new(0);
  const first = x.em_table_new(e, 0, 0);
  assert.equal(x.em_handle_free(e, first), 1);
  assert.equal(x.em_handle_free(e, first), 0);
  const second = x.em_table_new(e, 0, 0);
  assert.notEqual(first, second);
  assert.equal(x.em_raw_len(e, first), -1);
  assert.equal(x.em_raw_len(e, second), 0);
  const other2 = x.em_engine_new(0);
  assert.equal(x.em_raw_len(other2, 0xabcdef), -1);
});

test('values that cannot cross', async () => {
  const { lua } = await engine();
  const conversion = (path) => (e) => assert.ok(e instanceof LuaConversionError && e.code === 'conversion' && e.path.includes(path), `${e.message} ${e.path}`);
  await failed(lua, () => lua.set('x', Symbol('s')), conversion(''));
  await failed(lua, () => lua.set('x', { a: [0, { b: Symbol('s') }] }), conversion('.a[1].b'));
  await failed(lua, () => lua.set('x', 2n ** 63n), conversion(''));
  await failed(lua, () => lua.set('x', [-(2n ** 63n) - 1n]), conversion('[0]'));
  await failed(lua, () => lua.set('x', new Map([[NaN, 1]])), conversion(''));
  await failed(lua, () => lua.set('x', lua.multi(1, 2)), conversion('multi'));
  // Cycles can.
  const cycle = { list: [] };
  cycle.list.push(cycle);
  const [back] = lua.runSync('return ...', { args: [cycle] });
  const copy = back.toJS();
  assert.equal(copy.list[0], copy);
});

test('a reentrant run on a busy engine', async () => {
  const { lua } = await engine();
  lua.define('again', (n) => lua.runSync(`return n and ${n} > 0 and again(${n} - 1) or 'bottom'`.replace('n and ', ''))[0]);
  assert.deepEqual(lua.runSync('return again(20)'), ['bottom']);
  lua.define('asyncAgain', async (n) => (await lua.run('local n = ... return n > 0 and asyncAgain(n - 1) or "bottom"', { args: [n] }))[0]);
  assert.deepEqual(await lua.run('return asyncAgain(20)'), ['bottom']);
  // Without an end: JavaScript's own error, and the engine goes on.
  lua.define('forever', () => lua.runSync('return forever()'));
  assert.throws(() => lua.runSync('return forever()'), RangeError);
  assert.deepEqual(lua.runSync('return 1'), [1]);
  const { exports: x } = new WebAssembly.Instance(module);
  const e = x.em_engine_new(0);
  assert.equal(x.em_run(e, 0, 1), 5, 'no such task');
});

test("JavaScript's stack runs out within the module", async () => {
  const ops = {
    runSync: (lua) => lua.runSync('local t = {} for i = 1, 10 do t[i] = tostring(i) end return #t'),
    set: (lua) => lua.set('t', { list: [1, 2, 3] }),
    collect: (lua) => lua.collect(),
  };
  let died = 0;
  for (const [name, op] of Object.entries(ops)) {
    for (let pad = 0; pad < 4; pad++) {
      const { lua } = await engine({ isolate: true });
      // From the deepest call outwards, each with a little more room, until there was enough.
      let tries = 400;
      let came = false;
      const deeper = (depth) => {
        try {
          deeper(depth + 1);
        } catch (error) {
          assert.ok(error instanceof RangeError, String(error));
        }
        if (came || tries-- <= 0) return;
        try {
          op(lua);
          came = true;
        } catch (error) {
          assert.ok(error instanceof RangeError || error.code === 'bug', String(error));
        }
      };
      const padded = (n) => (n > 0 ? padded(n - 1) : deeper(0));
      padded(pad);
      // Whole, or given up with words: nothing in between.
      try {
        assert.deepEqual(lua.runSync('local n = 0 for i = 1, 500 do local t = {} for j = 1, 20 do t[j] = { tostring(j) } n = n + 1 end end return n'), [10000], name);
      } catch (error) {
        assert.equal(error.code, 'bug', String(error));
        assert.match(error.message, /the stack of JavaScript ran out|has stopped: create a new engine/);
        died++;
      }
      lua.dispose();
    }
  }
  assert.ok(died > 0, 'no try struck within the module: the test does not test');
  assert.deepEqual((await engine()).lua.runSync('return 1'), [1]);
});

test('a call that is refused within another leaves the other alone', async () => {
  let refused = 0;
  for (let memoryMax = 24 << 10; memoryMax < 256 << 10; memoryMax = Math.ceil(memoryMax * 1.05)) {
    const { lua } = await engine({ memoryMax });
    lua.define('deeper', () => lua.runSync('return deeper()'));
    await failed(lua, () => lua.run('return deeper()'), (error) => assert.ok(error instanceof LuaMemoryError, String(error)));
    refused++;
    lua.dispose();
  }
  assert.ok(refused > 30);
});

test('a host function that throws, rejects, never resolves, or gives a promise to a synchronous run', async () => {
  const { lua } = await engine();
  const boom = new TypeError('boom');
  lua.define('boom', () => { throw boom; });
  lua.define('reject', () => Promise.reject(boom));
  lua.define('never', () => new Promise(() => {}));
  lua.define('thenable', () => ({ then(_, reject) { reject('no error object'); } }));
  for (const name of ['boom', 'reject']) await assert.rejects(lua.run(`${name}()`), (e) => e === boom);
  assert.deepEqual(await lua.run('return (pcall(boom)), (pcall(reject))'), [false, false]);
  await failed(lua, () => lua.run('never()', { timeout: 20 }), (e) => assert.ok(e instanceof LuaTimeoutError));
  await failed(lua, () => lua.run('thenable()'), (e) => assert.ok(e instanceof LuaError && e.value === 'no error object'));
  await failed(lua, () => lua.runSync('never()'), (e) => assert.ok(e instanceof LuaSyncError && /use run\(\) or call\(\)/.test(e.message)));
  assert.equal(lua.stats().runs, 0);
});

test('a page in place of the wasm, a cut or foreign module, another version', async () => {
  const fails = (wasm, message) => assert.rejects(Evermoon.create({ wasm }), (e) => e instanceof EvermoonLoadError && e.code === 'load' && message.test(e.message));
  await fails('data:text/html,<!doctype html>', /served a page in place of the wasm: data:text\/html,<!doctype html> begins with '<'\. Copy evermoon\.wasm .* or import 'evermoon\/inline'/);
  await fails(wasmBytes.subarray(0, 5000), /damaged or was cut short/);
  await fails(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0), /is not evermoon\.wasm/);
  // The version is what em_abi_version returns: a module that returns another one.
  const other = Uint8Array.of(
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7f, 3, 2, 1, 0, 5, 3, 1, 0, 1,
    7, 27, 2, 6, ...Buffer.from('memory'), 2, 0, 14, ...Buffer.from('em_abi_version'), 0, 0, 10, 7, 1, 5, 0, 0x41, 0xe3, 0, 0x0b,
  );
  await fails(other, /has ABI version 99, this package needs 1: use the evermoon\.wasm \(or evermoon-world\.wasm\) of the same release/);
  await fails(null, /a URL, bytes, a Response or a WebAssembly.Module/);
  await fails({}, /a URL, bytes, a Response or a WebAssembly.Module/);
});

test('a CSP without wasm-unsafe-eval', async (t) => {
  // What browsers throw; the real thing is in the consumers' test.
  t.mock.method(WebAssembly, 'compile', () => Promise.reject(new WebAssembly.CompileError("Refused to compile WebAssembly module because 'unsafe-eval' is not an allowed source")));
  await assert.rejects(Evermoon.create({ wasm: wasmBytes.slice() }), (e) => e instanceof EvermoonLoadError && /add 'wasm-unsafe-eval' to script-src/.test(e.message));
});

/** The module with a limit of its memory, so that growth is refused. */
function limited(pages) {
  const uleb = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...uleb(n >>> 7)]);
  const parts = [wasmBytes.subarray(0, 8)];
  for (let at = 8; at < wasmBytes.length; ) {
    const id = wasmBytes[at++];
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = wasmBytes[at++];
      size |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    let body = wasmBytes.subarray(at, at + size);
    at += size;
    if (id === 5) {
      assert.deepEqual([...body.subarray(0, 2)], [1, 0], 'one memory without a limit');
      body = Uint8Array.from([1, 1, ...body.subarray(2), ...uleb(pages)]);
    }
    parts.push(Uint8Array.from([id, ...uleb(body.length)]), body);
  }
  return new WebAssembly.Module(Buffer.concat(parts));
}

test('memory growth refused', async () => {
  const wasm = limited(256); // 16 MiB
  const { lua } = await engine({ wasm, isolate: true });
  const memory = (e) => assert.ok(e instanceof LuaMemoryError && e.code === 'memory', `${e.name}: ${e.message}`);
  for (let round = 0; round < 3; round++) {
    await failed(lua, () => lua.run('return #("x"):rep(100 << 20)'), memory);
    await failed(lua, () => lua.run('local t = {} while true do t[#t + 1] = ("x"):rep(100000) .. #t end'), memory);
    await failed(lua, () => lua.run('local t = {} while true do t = {t} end'), memory);
    await failed(lua, () => lua.run('local t = {} for i = 1, math.huge do t[i] = i end'), memory);
    await failed(lua, () => lua.run('local t = {} for i = 1, math.huge do t["k" .. i] = i end'), memory);
    await failed(lua, () => lua.runSync('local s = "x" while true do s = s .. s end'), memory);
    await failed(lua, () => lua.runSync('local t = {} while true do t[#t + 1] = function() return t end end'), memory);
    await failed(lua, () => lua.set('s', 'y'.repeat(32 << 20)), memory);
    await failed(lua, () => lua.set('s', new Uint8Array(32 << 20)), memory);
    await failed(lua, () => lua.run(`return "${'z'.repeat(32 << 20)}"`), memory);
    assert.deepEqual(lua.runSync('local ok, e = pcall(string.rep, "x", 100 << 20) return ok, e'), [false, 'not enough memory']);
  }
  assert.deepEqual(await lua.run('local t = {} for i = 1, 1000 do t[i] = {i} end return #t'), [1000]);
  // Engines in it come until there is no room, and go.
  const more = [];
  await assert.rejects(async () => { for (;;) more.push(await Evermoon.create({ wasm })); }, (e) => e instanceof EvermoonError && /not enough memory|memory/.test(e.message));
  for (const one of more) one.dispose();
  assert.deepEqual(await lua.run('return 1'), [1]);
});
