// Values across: what goes in, what comes out, what cannot.
import assert from 'node:assert/strict';
import test from 'node:test';
import { LuaConversionError, LuaFunction, LuaTable, LuaThread } from '../dist/index.js';
import { engine, sleep } from './helpers.mjs';

test('all return values come back, by kind', async () => {
  const { lua } = await engine();
  const r = await lua.run('return nil, true, false, 1, -1, 2147483648, -2147483649, 1.5, 2^53, 9007199254740991, 9007199254740992, math.mininteger, "héllo", "", nil');
  assert.deepEqual(r, [
    undefined, true, false, 1, -1, 2147483648, -2147483649, 1.5, 9007199254740992, 9007199254740991, 9007199254740992n,
    -9223372036854775808n, 'héllo', '', undefined,
  ]);
  assert.deepEqual(await lua.run(''), []);
});

test('numbers keep Lua’s subtypes', async () => {
  const { lua } = await engine();
  const type = (v) => lua.runSync('return math.type((...)), tostring((...))', { args: [v] });
  assert.deepEqual(type(1), ['integer', '1']);
  assert.deepEqual(type(-1), ['integer', '-1']);
  assert.deepEqual(type(0), ['integer', '0']);
  assert.deepEqual(type(-0), ['float', '-0.0']);
  assert.deepEqual(type(1.5), ['float', '1.5']);
  assert.deepEqual(type(2 ** 31), ['integer', '2147483648']);
  assert.deepEqual(type(-(2 ** 31) - 1), ['integer', '-2147483649']);
  assert.deepEqual(type(2 ** 53 - 1), ['integer', '9007199254740991']);
  assert.deepEqual(type(-(2 ** 53 - 1)), ['integer', '-9007199254740991']);
  assert.deepEqual(type(2 ** 53), ['float', '9.007199254741e+15']);
  assert.deepEqual(type(NaN)[0], 'float');
  assert.deepEqual(type(Infinity), ['float', 'inf']);
  assert.deepEqual(type(123456789012345678n), ['integer', '123456789012345678']);
  assert.deepEqual(type(-1n), ['integer', '-1']);
  for (const n of [0, 1, -1, 255, -256, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 32, -(2 ** 32), 2 ** 40 + 7, -(2 ** 40) - 7, 0.1, 1e300, -1e-300]) {
    assert.deepEqual(lua.runSync('return ...', { args: [n] }), [n]);
  }
  assert.throws(() => lua.runSync('', { args: [2n ** 63n] }), LuaConversionError);
});

test('strings are UTF-8, bytes on request, of any length', async () => {
  const { lua } = await engine();
  const texts = ['', 'a', 'é', '日本語', '😀', 'a\0b', '\ufeffbom', 'x'.repeat(15) + 'é', 'y'.repeat(24), 'z'.repeat(25)];
  for (const n of [40, 41, 1000, 32768, 32769, 70000, 300000]) texts.push('q'.repeat(n), 'ü€😀'.repeat(n / 4));
  // Long ones whose length in UTF-8 is guessed from their beginning: right, much too low, a little too low, too high, and where the beginning ends in the middle of a pair.
  texts.push('Käse, 月 and moonlight; '.repeat(20000), 'a'.repeat(50000) + '月'.repeat(50000), 'aé'.repeat(16384) + 'é'.repeat(20000), '月'.repeat(40000) + 'a'.repeat(50000));
  texts.push('a'.repeat(100000) + 'é', '😀'.repeat(16383) + 'a😀'.repeat(9000));
  for (const s of texts) {
    assert.equal(lua.runSync('return ...', { args: [s] })[0], s);
    assert.equal(lua.runSync('return #...', { args: [s] })[0], Buffer.byteLength(s));
  }
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  assert.deepEqual(lua.runSync('return ...', { args: [bytes], strings: 'bytes' })[0], bytes);
  assert.equal(lua.runSync('return #...', { args: [bytes.buffer] })[0], 256);
  const big = new Uint8Array(200000).fill(200);
  assert.deepEqual(lua.runSync('return ...', { args: [big], strings: 'bytes' })[0], big);
  assert.equal(lua.runSync('return "\\xff"')[0], '\ufffd');
});

test('10 MB strings pass', async () => {
  const { lua } = await engine();
  const s = 'x'.repeat(10 << 20);
  const [back, n] = lua.runSync('local s = ... return s, #s', { args: [s] });
  assert.equal(n, s.length);
  assert.ok(back === s);
});

test('many arguments and results', async () => {
  const { lua } = await engine();
  const args = Array.from({ length: 5000 }, (_, i) => i);
  assert.deepEqual(lua.runSync('return ...', { args }), args);
});

test('null has a sentinel', async () => {
  const { lua } = await engine({ globals: { null: null } });
  assert.deepEqual(lua.runSync('return null, null == ..., type(null), null and 1', { args: [null] }), [null, true, 'userdata', 1]);
});

test('arrays, objects, maps, sets and dates are copied', async () => {
  const { lua } = await engine();
  const value = { a: [1, 2, [3]], b: { c: 'x' }, d: null, e: undefined, f: new Date(5), g: 7n };
  const [r] = lua.runSync('local v = ... return v.a[3][1] .. v.b.c .. tostring(v.e) .. v.f .. v.g .. #v.a', { args: [value] });
  assert.equal(r, '3xnil573');
  const [t] = lua.runSync('return ...', { args: [value] });
  assert.deepEqual(t.toJS(), { a: [1, 2, [3]], b: { c: 'x' }, d: null, f: 5, g: 7 });
  const map = new Map([[1.5, 'f'], ['k', 1], [true, 2]]);
  const [m, v] = lua.runSync('local m = ... return m, m[1.5] .. m.k .. m[true]', { args: [map] });
  assert.deepEqual(m.toJS(), map);
  assert.equal(v, 'f12');
  assert.deepEqual(lua.runSync('local s = ... return s.a, s.b, s.c', { args: [new Set(['a', 'b'])] }), [true, true, undefined]);
  const sparse = [1, undefined, 3];
  assert.deepEqual(lua.runSync('local s = ... return s[1], s[2], s[3]', { args: [sparse] }), [1, undefined, 3]);
});

test('cycles and sharing keep their shape, both ways', async () => {
  const { lua } = await engine();
  const shared = { x: 1 };
  const a = { shared, again: shared };
  a.self = a;
  const [t, ok] = lua.runSync('local a = ... return a, a.self == a and a.shared == a.again', { args: [a] });
  assert.equal(ok, true);
  const back = t.toJS();
  assert.equal(back.self, back);
  assert.equal(back.shared, back.again);
});

test('deep and large structures', async () => {
  const { lua } = await engine();
  let deep = {};
  for (let i = 0; i < 100000; i++) deep = { deep };
  const t = lua.table(deep);
  let back = t.toJS();
  let n = 0;
  while (back.deep) (back = back.deep), n++;
  assert.equal(n, 100000);
  const list = Array.from({ length: 20000 }, (_, i) => ({ i, s: `item ${i}` }));
  assert.deepEqual(lua.table(list).toJS(), list);
  const object = Object.fromEntries(list.map(({ i }) => [`key${i}`, i]));
  assert.deepEqual(lua.table(object).toJS(), object);
});

test('what a table becomes', async () => {
  const { lua } = await engine();
  const js = (code, options) => lua.runSync(`return ${code}`)[0].toJS(options);
  assert.deepEqual(js('{}'), {});
  assert.deepEqual(js('{}', { empty: 'array' }), []);
  assert.deepEqual(js('{1, 2, 3}'), [1, 2, 3]);
  assert.deepEqual(js('{[3]=3, [2]=2, [1]=1}'), [1, 2, 3]);
  assert.deepEqual(js('{a=1}'), { a: 1 });
  assert.deepEqual(js('{1, a=1}'), new Map([[1, 1], ['a', 1]]));
  assert.deepEqual(js('{[0]=1}'), new Map([[0, 1]]));
  assert.deepEqual(Object.keys(js('{["__proto__"]=1}')), ['__proto__']);
  const shallow = js('{{1}}', { depth: 1 });
  assert.ok(shallow[0] instanceof LuaTable);
});

test('symbols and other impossible things say where they are', async () => {
  const { lua } = await engine();
  assert.throws(() => lua.set('x', { a: [1, { b: Symbol('s') }] }), (e) => e instanceof LuaConversionError && e.code === 'conversion' && /\.a\[1\]\.b/.test(e.path));
  assert.throws(() => lua.set('x', Symbol('top')), LuaConversionError);
  assert.throws(() => lua.set('x', [2n ** 70n]), /does not fit/);
  assert.deepEqual(lua.runSync('return 1'), [1]);
});

test('functions come back as themselves', async () => {
  const { lua } = await engine();
  const f = () => 1;
  assert.equal(lua.runSync('return ...', { args: [f] })[0], f);
  assert.deepEqual(lua.runSync('local a, b = ... return a == b', { args: [f, f] }), [true]);
  const { lua: other } = await engine();
  const g = lua.runSync('return function() end')[0];
  assert.ok(g instanceof LuaFunction);
  assert.throws(() => other.set('g', g), /another engine/);
  assert.ok(lua.runSync('return coroutine.create(print)')[0] instanceof LuaThread);
});

test('class instances and proxies cross by reference', async () => {
  const { lua } = await engine();
  class Point {
    constructor(x, y) { this.x = x; this.y = y; }
    add(other) { return new Point(this.x + other.x, this.y + other.y); }
    toString() { return `(${this.x}, ${this.y})`; }
  }
  lua.define('point', (x, y) => new Point(x, y));
  const [p, text, same] = lua.runSync(`
    local p = point(1, 2):add(point(3, 4))
    p.x = p.x * 10
    return p, tostring(p), p == p, p:add(p).x`);
  assert.ok(p instanceof Point);
  assert.equal(p.x, 40);
  assert.equal(text, '(40, 6)');
  assert.equal(same, true);
  assert.equal(lua.runSync('return ...', { args: [p] })[0], p);

  const object = { list: [10, 20, 30], nested: { deep: 1 }, f(a) { return [this === object, a]; } };
  const r = lua.runSync(
    `local o = ...
     o.nested.deep = 5; o.list[4] = 40; o.new = 'n'
     local sum = 0
     for i, v in ipairs(o.list) do sum = sum + i * v end
     local keys = {}
     for k in pairs(o) do keys[#keys + 1] = k end
     return #o.list, sum, table.concat(keys, ' '), o:f('x')[1], o.missing, o.nested == o.nested`,
    { args: [lua.proxy(object)] },
  );
  assert.deepEqual(r, [4, 300, 'list nested f new', true, undefined, true]);
  assert.equal(object.nested.deep, 5);
  assert.deepEqual(object.list, [10, 20, 30, 40]);
  assert.equal(object.new, 'n');
});

test('a proxy is no way out of the sandbox', async () => {
  const { lua } = await engine();
  lua.set('o', lua.proxy({ a: [] }));
  lua.define('f', () => {});
  assert.deepEqual(lua.runSync('return o.constructor, o.__proto__, o.a.constructor').slice(0, 3), [undefined, undefined, undefined]);
  assert.throws(() => lua.runSync('return f.constructor'), /attempt to index a function value/);
  assert.throws(() => lua.runSync('o.__proto__ = {}'), /cannot be set/);
  assert.throws(() => lua.runSync('setmetatable(getmetatable(o), nil)'));
});

test('JavaScript objects that Lua forgets are let go', async () => {
  const { lua } = await engine();
  lua.runSync('collectgarbage()');
  const before = lua.stats().hostReferences;
  lua.define('make', () => new (class A {})());
  for (let i = 0; i < 100; i++) lua.runSync('make()');
  for (let i = 0; i < 50; i++) lua.set('f', () => i);
  lua.collect();
  lua.runSync('collectgarbage() collectgarbage()');
  lua.runSync('return 1');
  assert.ok(lua.stats().hostReferences <= before + 12, `${lua.stats().hostReferences} references`);
  assert.deepEqual(lua.runSync('return f()'), [49]);
});

test('a number that was released and used again at once stays alive', async () => {
  const { lua } = await engine();
  const f = () => 'alive';
  for (let i = 0; i < 30; i++) {
    lua.set('f', f);
    lua.set('f', undefined);
    lua.collect();
    assert.deepEqual(lua.runSync('local f = ... collectgarbage() return f()', { args: [f] }), ['alive']);
  }
  await sleep(0);
});
