// Every row of the original's own test tables (its four Node suites and its backward-compatibility script), through `dist/lua.wasm`.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Host, module } from "./host.mjs";

describe("initialization", () => {
  test("the instance loads and exports init and compute", () => {
    const { exports } = new Host({ init: false });
    assert.equal(typeof exports.init, "function");
    assert.equal(typeof exports.compute, "function");
  });
  test("init returns 0, and again 0", () => {
    const { exports } = new Host({ init: false });
    assert.equal(exports.init(), 0);
    assert.equal(exports.init(), 0);
  });
  test("six exports are functions", () => {
    const { exports } = new Host();
    for (const name of ["init", "compute", "get_buffer_ptr", "get_buffer_size", "get_memory_table_id", "get_io_table_id"])
      assert.equal(typeof exports[name], "function", name);
  });
  test("the buffer has an address", () => {
    assert.ok(new Host().exports.get_buffer_ptr() > 0);
  });
});

describe("computation", () => {
  const lua = new Host();
  const rows = [
    ["return 2 + 2", 4],
    ["return 'Hello, ' .. 'World!'", "Hello, World!"],
    ["return nil", null],
    ["local t = {a = 1, b = 2, c = 3} return t.a + t.b + t.c", 6],
    ["return 10, 20, 30", 30],
    ["local sum = 0 for i = 1, 10 do sum = sum + i end return sum", 55],
    ["local x = 10 if x > 5 then return 'greater' else return 'less' end", "greater"],
    ["return true", true],
    ["return false", false],
    ["return 'The answer is ' .. 42", "The answer is 42"],
  ];
  for (const [code, expected] of rows) test(code, () => assert.equal(lua.value(code), expected));
  test("a number comes with a positive byte count", () => assert.ok(lua.raw("return 2 + 2") > 0));
  test("a global set in one call is read in the next", () => {
    assert.ok(lua.raw("kept = 100") >= 0);
    assert.equal(lua.value("return kept"), 100);
  });
  test("print's text is in the output", () => assert.ok(lua.run("print('hello from Lua')").output.includes("hello from Lua")));
  test("3.14", () => assert.ok(Math.abs(lua.value("return 3.14") - 3.14) < 0.01));
});

/** A host that numbers its own tables as the original's does: from 2 on, and above every number that it has met. */
function ioHost() {
  const lua = new Host();
  let next = lua.exports.get_memory_table_id() + 1;
  const nextId = () => {
    next = Math.max(next, ...[...lua.tables.keys()].map((id) => id + 1));
    return next++;
  };
  const io = lua.exports.get_io_table_id();
  return {
    lua,
    input: (value) => lua.put(io, "input", value, nextId),
    meta: (value) => lua.put(io, "meta", value, nextId),
    output: () => lua.stored(io, "output"),
    clear: () => lua.exports.clear_io_table(),
  };
}

describe("_io", () => {
  test("an object's fields, joined with an integer", () => {
    const { lua, input } = ioHost();
    input({ name: "Alice", age: 30 });
    assert.equal(lua.value("return _io.input.name .. ' is ' .. _io.input.age .. ' years old'"), "Alice is 30 years old");
  });
  test("an output number", () => {
    const { lua, output } = ioHost();
    lua.run("_io.output = 42");
    assert.equal(output(), 42);
  });
  test("metadata", () => {
    const { lua, meta } = ioHost();
    meta({ requestId: "req-1", userId: 7 });
    assert.equal(lua.value("return _io.meta.requestId .. '/' .. _io.meta.userId"), "req-1/7");
  });
  test("an array, summed by index", () => {
    const { lua, input } = ioHost();
    input([10, 20, 30, 40, 50]);
    assert.equal(lua.value("local sum = 0 for i = 1, 5 do sum = sum + _io.input[i] end return sum"), 150);
    assert.equal(lua.value("return #_io.input"), 5);
    assert.equal(lua.value("local n = 0 for i, v in ipairs(_io.input) do n = n + i * v end return n"), 550);
    assert.equal(lua.value("local n = 0 for k, v in pairs(_io.input) do n = n + k * v end return n"), 550);
    assert.equal(lua.value("return table.concat(_io.input, ',')"), "10,20,30,40,50");
    assert.equal(lua.value("return select('#', table.unpack(_io.input))"), 5);
  });
  test("nested fields", () => {
    const { lua, input } = ioHost();
    input({ user: { profile: { name: "Bob" } }, list: [1, 2, 3] });
    assert.equal(lua.value("return _io.input.user.profile.name"), "Bob");
  });
  test("cleared", () => {
    const { lua, input, meta, clear } = ioHost();
    input("x");
    meta("y");
    lua.calls.length = 0;
    clear();
    assert.deepEqual(lua.calls.map(([, , key, value]) => [key, value]), [["input", "00"], ["output", "00"], ["meta", "00"]]);
    assert.equal(lua.value("return _io.input == nil and _io.meta == nil"), true);
  });
  test("a product of two inputs", () => {
    const { lua, input, output } = ioHost();
    input({ a: 6, b: 7 });
    lua.run("_io.output = _io.input.a * _io.input.b");
    assert.equal(output(), 42);
  });
  test("an output string, and a boolean", () => {
    const { lua, output } = ioHost();
    lua.run("_io.output = 'processed'");
    assert.equal(output(), "processed");
    lua.run("_io.output = true");
    assert.equal(output(), true);
  });
  test("empty input", () => {
    const { lua, input } = ioHost();
    input({});
    assert.equal(lua.value("return type(_io.input)"), "table");
    input([]);
    assert.equal(lua.value("return _io.input[1] == nil"), true);
  });

  // The browser suite's rows.
  test("a flat table as output", () => {
    const { lua, output } = ioHost();
    lua.run("_io.output = {status = 'ok', value = 42}");
    assert.deepEqual(output(), { status: "ok", value: 42 });
  });
  test("three levels of tables", () => {
    const { lua, output } = ioHost();
    lua.run("_io.output = {a = {b = {c = 'deep'}}}");
    assert.deepEqual(output(), { a: { b: { c: "deep" } } });
  });
  test("an array comes back as an array", () => {
    const { lua, output } = ioHost();
    lua.run("_io.output = {10, 20, 30, 40, 50}");
    assert.deepEqual(output(), [10, 20, 30, 40, 50]);
    lua.run("local t = {} for i = 5, 1, -1 do t[i] = i end _io.output = t");
    assert.deepEqual(output(), [1, 2, 3, 4, 5]);
  });
  test("an empty table", () => {
    const { lua, output } = ioHost();
    lua.run("_io.output = {}");
    assert.ok(output() === null || Object.keys(output()).length === 0);
  });
  test("mixed types", () => {
    const { lua, output } = ioHost();
    lua.run("_io.output = {n = 1, f = 1.5, s = 'x', b = false, t = {1, 2}}");
    assert.deepEqual(output(), { n: 1, f: 1.5, s: "x", b: false, t: [1, 2] });
  });
});

describe("_home", () => {
  test("a number and a string", () => {
    const lua = new Host();
    lua.run("_home.n = 42 _home.s = 'kept'");
    assert.deepEqual(lua.value("return _home.n .. _home.s"), "42kept");
  });
  test("a counter over calls", () => {
    const lua = new Host();
    for (let i = 0; i < 2; i++) lua.run("_home.counter = (_home.counter or 0) + 1");
    assert.equal(lua.value("return _home.counter"), 2);
  });
  test("a function, called in a later call", () => {
    const lua = new Host();
    lua.run("_home.f = function(x) return x * 2 end");
    assert.equal(lua.value("return _home.f(21)"), 42);
  });
  test("a function and a number outlive the instance", () => {
    const first = new Host();
    first.run("_home.f = function(a, b) return a * b end _home.n = 5");
    const second = new Host({ tables: first.tables });
    assert.equal(second.value("return _home.f(6, 7)"), 42);
    assert.equal(second.value("return _home.n"), 5);
  });
});

describe("backward compatibility", () => {
  test("_home and Memory", () => {
    const lua = new Host();
    assert.equal(lua.value("assert(_home ~= nil and Memory ~= nil) return true"), true);
    assert.equal(lua.value("return rawequal(_home, Memory)"), true);
    lua.run("Memory.x = 1 assert(_home.x == 1) _home.y = 2 assert(Memory.y == 2)");
    lua.run("_home.double = function(x) return x * 2 end assert(Memory.double(21) == 42)");
    lua.run("_home.counter = 0 _home.counter = Memory.counter + 1 Memory.counter = _home.counter + 1 assert(Memory.counter == 2)");
  });

  // The script's host: it keeps views of the values, not copies, cuts what does not fit but returns the full length, and has a clock of seconds.
  test("a host that keeps views", () => {
    const tables = new Map();
    let memory;
    const key = (at, len) => Buffer.from(memory.subarray(at, at + len)).toString();
    const imports = {
      js_time_now: () => (Date.now() / 1000) | 0,
      js_ext_table_set: (id, at, len, value, valueLen) => {
        if (!tables.has(id)) tables.set(id, new Map());
        tables.get(id).set(key(at, len), memory.subarray(value, value + valueLen));
        return 0;
      },
      js_ext_table_get: (id, at, len, value, max) => {
        const data = tables.get(id)?.get(key(at, len));
        if (!data) return -1;
        memory.set(data.subarray(0, max), value);
        return data.length;
      },
      js_ext_table_size: (id) => tables.get(id)?.size ?? 0,
    };
    const lua = new Host({ imports });
    memory = lua.memory;
    lua.run("assert(_home ~= nil and Memory ~= nil)");
    lua.run("assert(rawequal(_home, Memory))");
    lua.run("_home.test = 123 assert(Memory.test == 123)");
    lua.run("_home.double = function(x) return x * 2 end");
    lua.run("assert(Memory.double(21) == 42)");
    lua.run("_home.counter = 1 Memory.counter = _home.counter + 1 assert(_home.counter == 2)");
    assert.match(lua.error("assert(_home.counter == 3, 'not three')"), /not three/);
  });
});

describe("bigint", () => {
  const lua = new Host();
  const big = (body) => lua.value(`local bigint = require('bigint') ${body}`);
  const rows = [
    ["return type(bigint)", "table"],
    ["for _, f in ipairs{'new', 'add', 'sub', 'mul', 'div', 'mod'} do assert(type(bigint[f]) == 'function') end return true", true],
    ["return tostring(bigint.new('123456789012345678901234567890'))", "123456789012345678901234567890"],
    ["return tostring(bigint.new(42))", "42"],
    ["return tostring(bigint.new(-999))", "-999"],
    ["return tostring(bigint.new('DEADBEEF', 16))", "3735928559"],
    ["return tostring(bigint.new(0))", "0"],
    ["return tostring(bigint.add(bigint.new('999999999999999999999'), bigint.new(1)))", "1000000000000000000000"],
    ["return tostring(bigint.sub(bigint.new('1000000000000000000000'), bigint.new(1)))", "999999999999999999999"],
    ["return tostring(bigint.mul(bigint.new('1000000000000'), bigint.new('1000000000000')))", "1000000000000000000000000"],
    ["return tostring(bigint.div(bigint.new('1000000000000000000'), bigint.new(3)))", "333333333333333333"],
    ["return tostring(bigint.mod(bigint.new('1000000000000000000'), bigint.new(3)))", "1"],
    ["return tostring(bigint.new('99999999999999999999') + bigint.new(1))", "100000000000000000000"],
    ["return tostring(bigint.new('100000000000000000000') - bigint.new(1))", "99999999999999999999"],
    ["return tostring(bigint.new('10000000000') * bigint.new('10000000000'))", "100000000000000000000"],
    ["return tostring(bigint.new(1000) / bigint.new(7))", "142"],
    ["return tostring(bigint.new('987654321098765432109876543210'))", "987654321098765432109876543210"],
    ["return bigint.new('12345678901234567890') == bigint.new('12345678901234567890')", true],
    ["return bigint.new(1) < bigint.new(2)", true],
    ["return bigint.new(2) <= bigint.new(2)", true],
    ["return bigint.new('99999999999999999999') > bigint.new(2)", true],
    ["return tostring(bigint.new('1000000000000000000') - bigint.new('250000000000000000'))", "750000000000000000"],
    ["return tostring(bigint.new('10000000000000000000') + bigint.new('20000000000000000000') - bigint.new('5000000000000000000'))", "25000000000000000000"],
    ["return tostring(bigint.new(100) - bigint.new(200))", "-100"],
    ["local z, n = bigint.new(0), bigint.new(42) return table.concat({tostring(n + z), tostring(n - z), tostring(n * z)}, ',')", "42,42,0"],
    ["return tostring(bigint.new('123456789012345678901234567890') / bigint.new(1))", "123456789012345678901234567890"],
    ["for i = 1, 100 do local a, b = bigint.new(i), bigint.new('99999999999999999999') local c, d = a + b, a * b end return tostring(bigint.new(5) + bigint.new(6))", "11"],
    ["return tostring((bigint.new(10) + bigint.new(20)) * bigint.new(30) - bigint.new(100))", "800"],
    // Beyond the original's tests: what its description says.
    ["return tostring(bigint.new(-7) / bigint.new(2)) .. tostring(bigint.new(-7) % bigint.new(2)) .. tostring(bigint.new(7) % bigint.new(-2))", "-3-11"],
    ["return tostring(bigint.new('1_000_000')) .. tostring(bigint.new('')) .. tostring(bigint.new(2.5))", "100000000"],
    ["return bigint.new(255):tostring(16) .. bigint.new(-255):tostring(2)", "ff-11111111"],
    ["local a, b = pcall(bigint.new, '+1') local c = pcall(bigint.new, ' 1') local d = pcall(bigint.new, '0x1') return a or c or d", false],
    ["return (pcall(function() return bigint.new(1) / bigint.new(0) end))", false],
    ["return tostring(-bigint.new(3)) .. tostring(bigint.new(-7) // 2) .. tostring(bigint.new(2) ^ 100)", "-3-41267650600228229401496703205376"],
    ["return tostring(1 + bigint.new('99999999999999999999') * 2)", "199999999999999999999"],
    ["return select(2, pcall(function() return bigint.new(2) ^ 10000000 end)):match('too large') ~= nil", true],
  ];
  for (const [body, expected] of rows) test(body, () => assert.equal(big(body), expected));
  test("a bigint as a result is a bare name", () => {
    assert.equal(lua.response("return require('bigint').new(1)").slice(8), Buffer.from("userdata").toString("hex"));
  });
  test("a bigint can be stored", () => {
    const first = new Host();
    first.run("_home.wei = require('bigint').new('-123456789012345678901234567890')");
    const second = new Host({ tables: first.tables });
    assert.equal(second.value("return tostring(_home.wei - 1)"), "-123456789012345678901234567891");
  });
});

test("the imports are among the original's", () => {
  const names = WebAssembly.Module.imports(module);
  assert.deepEqual(names, ["get", "set", "size"].map((n) => ({ module: "env", name: `js_ext_table_${n}`, kind: "function" })));
});
