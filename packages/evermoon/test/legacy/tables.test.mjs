// External tables as Lua programs and hosts see them: proxies, numbers of tables, function values.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Host } from "./host.mjs";

const check = (lua, code) => assert.equal(lua.value(`${code} return true`), true);

describe("proxies", () => {
  test("are tables, with a number that reads without asking the host", () => {
    const lua = new Host();
    check(lua, "assert(type(_home) == 'table' and _home.__ext_table_id == 1 and math.type(_home.__ext_table_id) == 'integer')");
    check(lua, "assert(getmetatable(_home).__name == 'ext_table_mt' and getmetatable(_home) == getmetatable(_io))");
    assert.deepEqual(lua.calls, []);
  });
  test("read and write through at once", () => {
    const lua = new Host();
    lua.run("_home.x = 1");
    lua.put(1, "x", 2);
    check(lua, "assert(_home.x == 2)");
    check(lua, "rawset(_home, 'y', 5) assert(_home.y == 5 and rawget(_home, 'x') == nil)");
    assert.equal(lua.stored(1, "y"), null);
  });
  test("one object for one table", () => check(new Host(), "_home.t = {} assert(_home.t == _home.t)"));
  test("keys that write alike are one", () => check(new Host(), "_home[1] = 'a' assert(_home['1'] == 'a' and _home[1.0] == 'a')"));
  test("# is the host's count", () => {
    check(new Host(), "local t = ext.table() t[1] = 1 t[2] = 2 t.x = 3 assert(#t == 3) t.x = nil assert(#t == 3) assert(#ext.table() == 0)");
  });
  test("the table library works on arrays", () => {
    check(new Host(), "local t = ext.table() table.insert(t, 'a') table.insert(t, 'b') assert(#t == 2 and table.concat(t) == 'ab' and table.unpack(t) == 'a')");
  });
  test("pairs walks 1..#t and the keys that the instance knows", () => {
    const lua = new Host();
    check(lua, "_home.a = 1 _home.b = 2 _home[10] = 3 local t = {} for k, v in pairs(_home) do t[k] = v end assert(t.a == 1 and t.b == 2 and t[10] == 3)");
    check(lua, "_home.a = nil for k, v in pairs(_home) do assert(k ~= 'a') _home[k] = nil end for k in pairs(_home) do error(k) end");
    check(lua, "for k in pairs(ext.table()) do error() end assert(next(_home) == nil)");
    // What another instance wrote: its array part is found, its names only when they have been read.
    const other = new Host({ tables: lua.tables });
    lua.run("_home.list = {1, 2, 3, name = 'n'}");
    assert.equal(other.value("local n = 0 for k in pairs(_home.list) do n = n + 1 end return n"), 3);
    assert.equal(other.value("local _, n = _home.list.name, 0 for k in pairs(_home.list) do n = n + 1 end return n"), 4);
  });
  test("a plain table is copied", () => {
    const lua = new Host();
    check(lua, "local p = {1, {2}, x = {y = {z = 'deep'}}} _home.p = p p[1] = 100 assert(_home.p[1] == 1 and _home.p[2][1] == 2 and _home.p.x.y.z == 'deep')");
    check(lua, "local s = {} _home.two = {s, s} assert(_home.two[1] ~= _home.two[2])");
    check(lua, "_home.e = {} assert(type(_home.e) == 'table' and #_home.e == 0) _home.e.x = 1 assert(_home.e.x == 1)");
    check(lua, "local t = {} for i = 1, 20000 do t[i] = i end _home.big = t assert(#_home.big == 20000 and _home.big[20000] == 20000)");
    check(lua, "local t = 'leaf' for i = 1, 100 do t = {t} end _home.deep = t t = _home.deep for i = 1, 100 do t = t[1] end assert(t == 'leaf')");
  });
  test("cycles through external tables are fine", () => check(new Host(), "_home.me = _home assert(_home.me.me.me == _home)"));
  test("large values", () => {
    const lua = new Host();
    check(lua, "_home.s = string.rep('x', 1000000) assert(#_home.s == 1000000)");
    check(lua, "local k = string.rep('k', 16384) _home[k] = 1 assert(_home[k] == 1)");
  });
  test("a host that refuses is an error", () => {
    const lua = new Host({ imports: { js_ext_table_set: () => -1 } });
    assert.match(lua.error("_home.x = 1"), /cannot store 'x' in an external table: the host refused it/);
    assert.match(lua.error("_home.x = {1}"), /refused/);
  });
});

describe("no number can be forged", () => {
  const lua = new Host();
  lua.run("secret = ext.table() secret.word = 'hidden' id = secret.__ext_table_id");
  const rows = [
    "local t = setmetatable({__ext_table_id = id}, getmetatable(_home)) assert(t.word == nil) t.word = 'changed' assert(secret.word == 'hidden')",
    "rawset(_home, '__ext_table_id', id) assert(_home.word == nil) rawset(_home, '__ext_table_id', nil)",
    "assert(not pcall(function() _home.__ext_table_id = id end))",
    "_home.fake = {__ext_table_id = id} assert(_home.fake.word == nil)",
    "local mt = getmetatable(_home) assert(mt.__index({__ext_table_id = id}, 'word') == nil)",
    "for k, v in pairs(debug.getregistry()) do if type(v) == 'table' then for a, b in next, v do assert(b ~= id and not rawequal(a, secret)) end end end",
    "local f, t = pairs(secret) assert(f({__ext_table_id = id}) == nil)",
  ];
  for (const code of rows) test(code, () => check(lua, code));
});

describe("numbers of tables", () => {
  test("what Lua and the host make does not collide", () => {
    const lua = new Host();
    let next = 2;
    const nextId = () => next++;
    const io = lua.exports.get_io_table_id();
    lua.put(io, "input", { user: { name: "Bob" }, list: [1, 2, 3] }, nextId);
    lua.run("_io.output = {ok = true, inner = {z = 1}}");
    assert.deepEqual(lua.stored(io, "output"), { ok: true, inner: { z: 1 } });
    assert.deepEqual(lua.stored(io, "input"), { user: { name: "Bob" }, list: [1, 2, 3] });
    assert.equal(lua.value("return #_io.input.list"), 3);
  });
  test("nor in the next session, whose counter starts above _io", () => {
    const first = new Host();
    const io = first.exports.get_io_table_id();
    let next = io + 1;
    const nextId = () => next++;
    first.put(io, "input", { a: { b: 1 } }, nextId);
    first.run("_home.kept = {x = {y = 'z'}} _home.list = {} for i = 1, 200 do _home.list[i] = {i} end _home.empty = {}");
    const empty = first.value("return _home.empty.__ext_table_id");
    const second = new Host({ tables: first.tables, init: false });
    second.exports.init();
    second.exports.sync_external_table_counter(next);
    second.put(io, "input", { again: { c: 2 } }, nextId);
    second.run("_io.output = {ok = {1, 2}} _home.new = {n = {m = 1}}");
    assert.equal(second.value("return _home.kept.x.y .. _home.list[200][1] .. _home.new.n.m"), "z2001");
    assert.deepEqual(second.stored(io, "input"), { again: { c: 2 } });
    assert.deepEqual(second.stored(io, "output"), { ok: [1, 2] });
    assert.equal(second.value(`return #_home.empty`), 0);
    assert.notEqual(second.value("return ext.table().__ext_table_id"), empty);
  });
  test("a host whose every number is in use", () => {
    const lua = new Host({ imports: { js_ext_table_size: () => 5 } });
    assert.match(lua.error("return ext.table()"), /no number is left/);
    lua.exports.sync_external_table_counter(2 ** 30 + 5);
    assert.match(lua.error("_home.t = {}"), /no number is left/);
  });
  test("references of the host's own are followed", () => {
    const lua = new Host();
    lua.tables.set(77, new Map([["x", lua.encode("seen")]]));
    lua.tables.set(1, new Map([["t", Uint8Array.of(7, 77, 0, 0, 0)]]));
    check(lua, "assert(_home.t.x == 'seen' and _home.t.__ext_table_id == 77) _home.again = _home.t assert(_home.again == _home.t)");
  });
});

describe("functions", () => {
  /** Stores under `_home.f` in one instance and runs in another. */
  const carry = (store, use) => {
    const first = new Host();
    first.run(store);
    return new Host({ tables: first.tables }).value(use);
  };
  const rows = [
    ["_home.f = function(x) return x * 2 end", "return _home.f(21)", 42],
    ["local n = 5 _home.f = function() n = n + 1 return n end", "local f = _home.f f() return f()", 7],
    ["local function fact(n) return n < 2 and 1 or n * fact(n - 1) end _home.f = fact", "return _home.f(10)", 3628800],
    ["local k = {a = {1, 2, 3}} _home.f = function() return #k.a end", "return _home.f()", 3],
    ["local t = {} t.t = t _home.f = function() return t.t.t == t end", "return _home.f()", true],
    ["local insert, s = table.insert, string _home.f = function() local t = {} insert(t, s.upper('x')) return t[1] end", "return _home.f()", "X"],
    ["_home.f = function() g = 7 return _G.g end", "return _home.f() + g", 14],
    ["_home.f = function() return string.rep('ab', 3) end", "return _home.f()", "ababab"],
    ["_home.f = coroutine.wrap", "return _home.f(function() return 'wrapped' end)()", "wrapped"],
    ["_home.f = math.floor", "return _home.f == math.floor", true],
    ["local C = {} C.__index = C function C:get() return self.v end _home.f = function(v) return setmetatable({v = v}, C):get() end", "return _home.f(9)", 9],
    ["local p = setmetatable({}, {__index = function(_, k) return k .. '!' end}) _home.f = function() return p.hey end", "return _home.f()", "hey!"],
    ["local h = _home h.v = 'here' _home.f = function() return h.v end", "return _home.f()", "here"],
    ["local n = 0 local function inc() n = n + 1 end local function get() return n end _home.f = function() inc() inc() return get() end", "return _home.f()", 2],
    ["local b = require('bigint').new(10) ^ 30 _home.f = function() return tostring(b) end", "return _home.f()", "1" + "0".repeat(30)],
    ["_home.f = {api = {double = function(x) return 2 * x end}}", "return _home.f.api.double(4)", 8],
    ["_home.f = load('local a = ... return a')", "return _home.f('main')", "main"],
    ["_home.f = function(...) local a, b = ... return select('#', ...) end", "return _home.f(nil, nil, nil)", 3],
  ];
  for (const [store, use, expected] of rows) test(store, () => assert.equal(carry(store, use), expected));
  test("errors keep their lines", () => {
    const first = new Host();
    first.run("\n\n_home.f = function()\n  error('here')\nend");
    assert.match(new Host({ tables: first.tables }).error("_home.f()"), /:4: here/);
  });
  test("what cannot go along", () => {
    const lua = new Host();
    assert.match(lua.error("local co = coroutine.create(print) _home.f = function() return co end"), /captures a coroutine/);
    assert.match(lua.error("local g = ('a'):gmatch('a') _home.f = function() return g end"), /captures a function of the engine's/);
    assert.match(lua.error("local s = string.rep('x', 5000000) _home.f = function() return s end"), /captures a string/);
    assert.equal(lua.tables.has(1), false);
  });
  test("the original's bytecode reads as nil, with one warning in the output", () => {
    const lua = new Host();
    const puc = Buffer.from("1b4c7561540019930d0a1a0a0404087856000000000000000000000000287740", "hex");
    const value = Buffer.alloc(5 + puc.length);
    value[0] = 5;
    value.writeUInt32LE(puc.length, 1);
    puc.copy(value, 5);
    lua.tables.set(1, new Map([["old", value]]));
    const { output, result } = lua.run("return type(_home.old) .. type(_home.old)");
    assert.equal(result, "nilnil");
    assert.match(output, /^warning: 'old' of _home is a function in another Lua's bytecode.*\n$/);
    assert.equal(lua.run("return _home.old").output, "");
  });
  test("damaged payloads read as nil or as something, and never trap", () => {
    const first = new Host();
    first.run("local t, n = {1, x = {2}}, 5 local function g() return n end _home.f = function(a) n = n + #t return g() + a end");
    const good = first.tables.get(1).get("f");
    assert.equal(first.value("return _home.f(1)"), 7);
    const lua = new Host({ tables: new Map([[1, new Map()]]) });
    const seed = { n: 12345 };
    const random = (below) => (seed.n = (Math.imul(seed.n, 1103515245) + 12345) >>> 0) % below;
    for (let i = 0; i < 4000; i++) {
      let bad = new Uint8Array(good);
      if (i % 3 === 0) {
        bad = bad.slice(0, 5 + random(bad.length - 5));
      } else {
        for (let j = 0; j <= random(3); j++) bad[5 + random(bad.length - 5)] = random(256);
      }
      new DataView(bad.buffer).setUint32(1, bad.length - 5, true);
      lua.tables.get(1).set("f", bad);
      lua.raw("local f = _home.f if type(f) == 'function' then pcall(f, 1) end");
    }
    assert.equal(lua.value("return 1 + 1"), 2);
  });
});
