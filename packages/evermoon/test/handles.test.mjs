// Live handles: tables, functions, threads.
import assert from 'node:assert/strict';
import test from 'node:test';
import { LuaDisposedError, LuaError } from '../dist/index.js';
import { engine, sleep } from './helpers.mjs';

test('get, set, globals and names with dots', async () => {
  const { lua } = await engine();
  lua.set('config', { size: 3 });
  lua.set('config.name', 'n');
  assert.equal(lua.get('config.size'), 3);
  assert.equal(lua.get('config.name'), 'n');
  assert.equal(lua.get('nothing'), undefined);
  assert.throws(() => lua.get('config.size.x'), /'config.size' is not a table/);
  assert.equal(lua.globals.get('config').get('size'), 3);
});

test('a table is live', async () => {
  const { lua } = await engine();
  const [t] = lua.runSync('t = {10, 20, x = 1} return t');
  assert.equal(t.length, 2);
  t.set(3, 30);
  t.set('y', { z: 1 });
  assert.equal(lua.runSync('return #t + t.y.z')[0], 4);
  assert.equal(t.has('x'), true);
  t.delete('x');
  assert.equal(t.has('x'), false);
  assert.deepEqual([...t.keys()], [1, 2, 3, 'y']);
  assert.deepEqual([...t].slice(0, 3), [[1, 10], [2, 20], [3, 30]]);
  assert.throws(() => t.set(undefined, 1), /index is nil/);
  assert.throws(() => t.set(NaN, 1), /index is NaN/);
  assert.match(String(t), /^table: 0x/);
});

test('iteration in batches, with keys that are not text, and changes meanwhile', async () => {
  const { lua } = await engine();
  const [t] = lua.runSync('local t = {} for i = 1, 200 do t["\\xff" .. i] = i end for i = 1, 100 do t[{}] = i end return t');
  let sum = 0;
  let n = 0;
  for (const [key, value] of t) {
    sum += value;
    n++;
    if (typeof key !== 'string') key.dispose();
  }
  assert.equal(n, 300);
  assert.equal(sum, 20100 + 5050);
});

test('metamethods have a say', async () => {
  const { lua } = await engine();
  const [t] = lua.runSync(`
    log = {}
    return setmetatable({own = 1}, {
      __index = function(_, k) return k .. '!' end,
      __newindex = function(_, k, v) log[k] = v end,
      __len = function() return 42 end,
      __tostring = function() return 'T' end,
      __call = function(_, a) return a end })`);
  assert.equal(t.get('own'), 1);
  assert.equal(t.get('other'), 'other!');
  t.set('k', 'v');
  assert.equal(lua.get('log.k'), 'v');
  assert.equal(t.length, 42);
  assert.equal(String(t), 'T');
  assert.ok(t.metatable);
  t.setMetatable(undefined);
  assert.equal(t.get('other'), undefined);
});

test('functions: call, callSync, invoke', async () => {
  const { lua } = await engine();
  const [f] = lua.runSync('return function(a, b) return a + b, a - b end');
  assert.deepEqual(await f.call(5, 3), [8, 2]);
  assert.deepEqual(f.callSync(5, 3), [8, 2]);
  assert.equal(f.invoke(5, 3), 8);
  assert.throws(() => f.invoke({}, 1), (e) => e instanceof LuaError && /attempt to perform arithmetic on a table value/.test(e.message));
  assert.equal(f.invoke(1.5, 1), 2.5);
});

test('equality is by object', async () => {
  const { lua } = await engine();
  const [a, b, c] = lua.runSync('local a = {} return a, a, {}');
  assert.ok(a.equals(b));
  assert.ok(!a.equals(c));
});

test('dispose, and use after it', async () => {
  const { lua } = await engine();
  const [t] = lua.runSync('return {}');
  const before = lua.stats().handles;
  t.dispose();
  t.dispose();
  assert.equal(lua.stats().handles, before - 1);
  assert.ok(t.disposed);
  assert.throws(() => t.get('x'), (e) => e instanceof LuaDisposedError && e.code === 'disposed');
  assert.throws(() => lua.set('x', t), LuaDisposedError);
  const [f] = lua.runSync('return print');
  lua.dispose();
  lua.dispose();
  assert.throws(() => f.callSync(), LuaDisposedError);
  await assert.rejects(f.call(), LuaDisposedError);
  assert.throws(() => lua.stats(), LuaDisposedError);
  await assert.rejects(lua.run(''), LuaDisposedError);
});

test('forgotten handles are freed by the collector', { skip: typeof globalThis.gc !== 'function' }, async () => {
  const { lua } = await engine();
  for (let i = 0; i < 1000; i++) lua.runSync('return {}');
  for (let i = 0; i < 20 && lua.stats().handles > 100; i++) {
    globalThis.gc();
    await sleep(5);
  }
  assert.ok(lua.stats().handles < 100, `${lua.stats().handles} handles`);
});

test('threads', async () => {
  const { lua } = await engine();
  const [co] = lua.runSync(`return coroutine.create(function(a)
    local b = coroutine.yield(a + 1)
    error('no ' .. b)
  end)`);
  assert.equal(co.status, 'suspended');
  assert.deepEqual(await co.resume(1), [2]);
  await assert.rejects(co.resume('x'), /no x/);
  assert.equal(co.status, 'dead');
});
