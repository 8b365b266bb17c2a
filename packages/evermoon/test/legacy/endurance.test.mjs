// What must hold over a long life and with a hostile host: no trap, no growth of the memory, no access out of bounds.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Host } from "./host.mjs";

test("100,000 trivial calls, 10,000 failing ones, a gigabyte in passing", () => {
  const lua = new Host();
  const view = lua.exports.memory.buffer;
  for (let i = 0; i < 100_000; i++) assert.equal(lua.raw("return 1"), 13);
  for (let i = 0; i < 10_000; i++) assert.ok(lua.raw(i % 2 ? "error('x')" : "local t = nil; t.x = 1") < 0);
  lua.run("for i = 1, 20000 do local s = string.rep('x', 50000) .. i end");
  lua.run("for i = 1, 2000000 do local t = {i, i, i, i, i, i, i, i, x = i} end");
  assert.equal(lua.value("return 'still ' .. 'here'"), "still here");
  assert.equal(lua.exports.memory.buffer, view, "the memory has not grown");
  assert.equal(lua.memory.length, lua.exports.memory.buffer.byteLength);
});

test("memory that runs out is an error, again and again", () => {
  const lua = new Host();
  const view = lua.exports.memory.buffer;
  const greedy = [
    "local t = {} while true do t[#t + 1] = {} end",
    "local t = {} while true do t[#t + 1] = string.rep('x', 1000 + #t) end",
    "local t = {} while true do t[#t + 1] = function() return t end end",
    "local t = {} while true do t[#t + 1] = coroutine.create(print) end",
    "local t = {} while true do t[#t + 1] = {#t, #t, a = 1, b = 2, c = 3} end",
    "local t = {} for i = 1, math.huge do t['k' .. i] = i end",
    "local s = 'ab' while true do s = s .. s end",
    "local function f(x) return (x:gsub('.', f)) end f('x')",
    "local t = setmetatable({}, {__index = function(t, k) return t[k] end}) return t.x",
    "local t = {} while true do t = setmetatable({}, {__index = t}) end",
    "local t = {} for i = 1, 60 do t[i] = string.rep(tostring(i), 400000) end return table.concat(t)",
    "local s = string.rep('x = {} ', 2000000) return load(s)",
    "return load(function() return 'x = 1 ' end)",
    "return string.rep('a', 16000000):gsub('a', 'bbbb')",
    "return string.format('%s%s%s', string.rep('a', 16000000), string.rep('a', 16000000), string.rep('a', 16000000))",
    "return table.concat({string.rep('a', 15000000), string.rep('b', 15000000)})",
    "return ('x'):rep(16000000):reverse():upper():byte(1, -1)",
    "local t = table.pack(string.byte(string.rep('x', 1000000), 1, 900000)) return #t",
    "local t = {} for i = 1, 1e7 do t[i] = i % 2 == 0 and {} or 'k' .. i if i % 3 == 0 then t[i - 1] = nil end end",
    "local t = {} for size = 1, 500, 16 do t = {} for i = 1, 20000 do t[i] = string.rep('x', size) .. i end end",
    "local t = {} for size = 1, 60 do t = {} for i = 1, 20000 do t[i] = {} for j = 1, size // 6 do t[i]['k' .. j] = j end end end",
    "return ext.table()[string.rep('x', 16000000)]",
  ];
  for (const code of greedy) {
    for (let i = 0; i < 3; i++) lua.raw(code);
    assert.equal(lua.value("collectgarbage() return 1 + 1"), 2, code);
    assert.equal(lua.exports.memory.buffer, view, `memory grew: ${code}`);
  }
});

test("a program whose objects change their sizes keeps running", () => {
  const lua = new Host();
  const view = lua.exports.memory.buffer;
  const program = "local t = {} for size = 1, 500, 8 do t = {} for i = 1, 20000 do t[i] = string.rep('x', size) .. i end end return 'done'";
  for (let i = 0; i < 3; i++) assert.equal(lua.value(program), "done");
  assert.equal(lua.exports.memory.buffer, view);
});

describe("a hostile host", () => {
  let seed = 42;
  const random = (below) => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) % below;
  const program = `
    local keys = {'a', 'b', 1, 2, 3.5, 'x', 'y'}
    for i = 1, 20 do
      local k = keys[i % #keys + 1]
      pcall(function() local v = _home[k] if type(v) == 'table' then v.z = 1 v = v.a for a, b in pairs(_home[k]) do end end if type(v) == 'function' then v(1) end end)
      pcall(function() _home[k] = {i, {i}, f = function() return i end} end)
      pcall(function() _io.output = _io.input local n = #_io for a in pairs(_io) do end end)
      pcall(function() local t = ext.table() t[1] = t t.x = t[1] and t[1].x end)
    end
    return 'survived'`;
  const attacks = {
    "random lengths and bytes": (lua) => ({
      js_ext_table_get: (id, key, keyLen, value, max) => {
        const len = random(4) === 0 ? random(0x80000000) | 0 : random(64);
        for (let i = 0; i < Math.min(len, 64); i++) lua.memory[value + i] = i === 0 ? random(9) : random(256);
        return random(8) === 0 ? -len : len;
      },
      js_ext_table_set: () => (random(3) === 0 ? -1 : random(100)),
      js_ext_table_size: () => (random(2) ? random(0x80000000) | 0 : -random(1000)),
    }),
    "the largest numbers": () => ({
      js_ext_table_get: () => 0x7fffffff,
      js_ext_table_set: () => 0x7fffffff,
      js_ext_table_size: () => 0x7fffffff,
    }),
    "the smallest numbers": () => ({
      js_ext_table_get: () => -0x80000000,
      js_ext_table_set: () => -0x80000000,
      js_ext_table_size: () => -0x80000000,
    }),
    "tables that vanish": (lua) => ({
      js_ext_table_set: (id, key, keyLen, value, len) => {
        if (random(2)) lua.tables.clear();
        return 0;
      },
    }),
    "every value is a function": (lua) => ({
      js_ext_table_get: (id, key, keyLen, value, max) => {
        lua.memory.set([5, 0xff, 0xff, 0x3f, 0, 0x1b], value);
        lua.memory.set(Buffer.from("\x1bEvermoon function 1\n"), value + 5);
        for (let i = 25; i < 100; i++) lua.memory[value + i] = random(256);
        return max;
      },
    }),
    "calls back": (lua) => ({
      js_ext_table_get: () => {
        const before = lua.text(lua.buffer, 8);
        assert.ok(lua.exports.compute(lua.buffer, 8) < 0);
        assert.equal(lua.exports.init(), 0);
        lua.exports.run_gc();
        lua.exports.attach_memory_table(99);
        lua.exports.clear_io_table();
        lua.exports.sync_external_table_counter(random(1000));
        lua.exports.get_memory_stats(lua.buffer);
        return before.length;
      },
    }),
  };
  for (const [name, attack] of Object.entries(attacks))
    test(name, () => {
      const lua = new Host();
      const imports = attack(lua);
      const victim = new Host({ imports });
      lua.memory = victim.memory;
      lua.exports = victim.exports;
      lua.tables = victim.tables;
      for (let i = 0; i < 20; i++) assert.equal(victim.value(program), "survived");
      assert.equal(victim.exports.get_memory_table_id(), 1);
    });
});
