// What the bytes are: the module's shape, requests and responses, values, keys, errors (docs/legacy.md).
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Host, bytes, encodeString, hex, module, reference } from "./host.mjs";

/** The function types of a module's imports and exports, by name: "params -> results". */
function signatures(wasm) {
  let at = 8;
  const u32 = () => {
    let value = 0, shift = 0, byte;
    do {
      byte = wasm[at++];
      value |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte & 0x80);
    return value >>> 0;
  };
  const name = () => {
    const len = u32();
    return Buffer.from(wasm.subarray(at, (at += len))).toString();
  };
  const valueTypes = { 0x7f: "i32", 0x7e: "i64", 0x7d: "f32", 0x7c: "f64" };
  const list = () => Array.from({ length: u32() }, () => valueTypes[wasm[at++]]).join(",");
  const limits = () => ({ flags: wasm[at++], min: u32(), max: undefined });
  const types = [], functions = [], found = {};
  let memory;
  while (at < wasm.length) {
    const section = wasm[at++];
    const size = u32();
    const end = at + size;
    if (section === 1)
      for (let n = u32(); n > 0; n--) {
        at++;
        const params = list();
        types.push(`${params} -> ${list()}`);
      }
    else if (section === 2)
      for (let n = u32(); n > 0; n--) {
        const from = name();
        const what = name();
        assert.equal(wasm[at++], 0, "only functions are imported");
        functions.push(u32());
        found[`${from}.${what}`] = types[functions.at(-1)];
      }
    else if (section === 3) for (let n = u32(); n > 0; n--) functions.push(u32());
    else if (section === 5) {
      u32();
      memory = limits();
    } else if (section === 7)
      for (let n = u32(); n > 0; n--) {
        const what = name();
        const kind = wasm[at++];
        const index = u32();
        if (kind === 0) found[what] = types[functions[index]];
      }
    at = end;
  }
  return { found, memory };
}

test("imports and exports have the original's types", () => {
  const { found } = signatures(bytes);
  const expected = {
    "env.js_ext_table_get": "i32,i32,i32,i32,i32 -> i32",
    "env.js_ext_table_set": "i32,i32,i32,i32,i32 -> i32",
    "env.js_ext_table_size": "i32 -> i32",
    init: " -> i32",
    compute: "i32,i32 -> i32",
    get_buffer_ptr: " -> i32",
    get_buffer_size: " -> i32",
    get_memory_stats: "i32 -> ",
    run_gc: " -> ",
    attach_memory_table: "i32 -> ",
    get_memory_table_id: " -> i32",
    get_io_table_id: " -> i32",
    clear_io_table: " -> ",
    sync_external_table_counter: "i32 -> ",
    set_memory_alias_enabled: "i32 -> ",
  };
  assert.deepEqual(found, expected);
  assert.ok(WebAssembly.Module.exports(module).some((e) => e.name === "memory" && e.kind === "memory"));
});

describe("lifecycle", () => {
  test("before init", () => {
    const lua = new Host({ init: false });
    const { exports } = lua;
    assert.ok(lua.buffer > 0 && lua.buffer % 16 === 0);
    assert.equal(exports.get_buffer_size(), 65536);
    assert.deepEqual([exports.get_memory_table_id(), exports.get_io_table_id()], [0, 0]);
    exports.attach_memory_table(7);
    exports.clear_io_table();
    exports.run_gc();
    assert.equal(lua.raw("return 1"), -1);
    assert.equal(lua.text(lua.buffer, 25), "Lua state not initialized");
    assert.equal(lua.calls.length, 0);
    assert.equal(exports.init(), 0);
    assert.equal(exports.get_memory_table_id(), 1);
  });
  test("init asks the host nothing", () => assert.equal(new Host().calls.length, 0));
  test("a fresh home is 1, _io is far away", () => {
    const { exports } = new Host();
    assert.equal(exports.get_memory_table_id(), 1);
    assert.equal(exports.get_io_table_id(), 2 ** 30);
  });
  test("a counter before init numbers the home", () => {
    const { exports } = new Host({ init: false });
    exports.sync_external_table_counter(9);
    exports.init();
    assert.equal(exports.get_memory_table_id(), 9);
  });
  test("attaching another home", () => {
    const lua = new Host();
    lua.run("old = _home _home.x = 1");
    lua.exports.attach_memory_table(40);
    assert.equal(lua.exports.get_memory_table_id(), 40);
    assert.equal(lua.value("return _home.x == nil and old.x == 1 and rawequal(_home, Memory) and old.__ext_table_id == 1"), true);
    lua.exports.set_memory_alias_enabled(0);
    lua.exports.attach_memory_table(41);
    assert.equal(lua.value("return Memory.__ext_table_id .. '/' .. _home.__ext_table_id"), "40/41");
    lua.exports.attach_memory_table(0);
    lua.exports.attach_memory_table(-5);
    assert.equal(lua.exports.get_memory_table_id(), 41);
  });
  test("no alias", () => {
    const lua = new Host({ init: false });
    lua.exports.set_memory_alias_enabled(0);
    lua.exports.init();
    assert.equal(lua.value("return Memory == nil and _home ~= nil"), true);
  });
  test("the counter goes up, never down", () => {
    const lua = new Host();
    lua.exports.sync_external_table_counter(100_000);
    lua.exports.sync_external_table_counter(5);
    assert.equal(lua.value("return ext.table().__ext_table_id"), 100_000);
  });
});

describe("memory", () => {
  test("statistics are true, and may lie in the buffer", () => {
    const lua = new Host();
    const stats = () => {
      lua.exports.get_memory_stats(lua.buffer);
      return [...new Uint32Array(lua.exports.memory.buffer, lua.buffer, 3)];
    };
    const [size, used, pages] = stats();
    assert.equal(size, 65536);
    assert.equal(pages, lua.memory.length / 65536);
    assert.ok(used > 10_000 && used < 1_000_000, `${used}`);
    lua.run("kept = string.rep('x', 1000000)");
    assert.ok(stats()[1] > used + 1_000_000);
    lua.run("kept = nil");
    lua.exports.run_gc();
    assert.ok(stats()[1] < used + 100_000, "run_gc collects");
  });
  test("an address outside the memory is ignored", () => {
    const lua = new Host();
    for (const address of [0, -1, lua.memory.length, lua.memory.length - 11, 0x7fffffff]) lua.exports.get_memory_stats(address);
    assert.equal(lua.value("return 1"), 1);
  });
});

describe("requests", () => {
  test("address 0 is the buffer; other addresses count too", () => {
    const lua = new Host();
    assert.ok(lua.raw("return 5", 0) > 0);
    assert.equal(lua.decode(lua.buffer, 13).result, 5);
    const code = Buffer.from("return 6");
    lua.memory.set(code, lua.buffer + 1000);
    assert.equal(lua.exports.compute(lua.buffer + 1000, code.length), 13);
    assert.equal(lua.decode(lua.buffer, 13).result, 6);
    assert.equal(lua.exports.compute(lua.memory.length - 4, 8), -1);
    assert.equal(lua.exports.compute(-16, 15), -1);
  });
  test("length 0 does nothing", () => {
    const lua = new Host();
    lua.memory.set([1, 2, 3], lua.buffer);
    assert.equal(lua.exports.compute(lua.buffer, 0), 0);
    assert.deepEqual([...lua.memory.subarray(lua.buffer, lua.buffer + 3)], [1, 2, 3]);
  });
  test("65,536 bytes are accepted, one more is refused", () => {
    const lua = new Host();
    assert.equal(lua.value("return 1" + " ".repeat(65528)), 1);
    lua.memory.set([1, 2, 3], lua.buffer);
    assert.equal(lua.exports.compute(lua.buffer, 65537), -1);
    assert.equal(lua.exports.compute(lua.buffer, -1), -1);
    assert.deepEqual([...lua.memory.subarray(lua.buffer, lua.buffer + 3)], [1, 2, 3]);
  });
  test("NUL bytes do not end the source", () => assert.equal(new Host().value("return #'a\0b'"), 3));
  test("bytecode is not source", () => {
    const lua = new Host();
    const chunk = lua.value("return string.dump(load('return 1')):gsub('.', function(c) return string.format('%02x', c:byte()) end) .. ''");
    assert.match(lua.error(Buffer.from(chunk, "hex")), /attempt to load a binary chunk/);
  });
  test("locals go, globals stay", () => {
    const lua = new Host();
    lua.run("local a = 1 b = 2");
    assert.equal(lua.value("return a == nil and b == 2"), true);
  });
});

describe("responses", () => {
  const rows = [
    ["x = 1", "0000000000"],
    ["return nil", "0000000000"],
    ["return true", "000000000101"],
    ["return false", "000000000100"],
    ["return 1", "00000000020100000000000000"],
    // The float subtype is kept, where the original wrote the integer 5.
    ["return 5.0", "00000000030000000000001440"],
    ["return -0.0", "00000000030000000000000080"],
    ["return 1.5", "0000000003000000000000f83f"],
    ["return 1/0", "0000000003000000000000f07f"],
    ["return math.mininteger", "00000000020000000000000080"],
    ["return 'hi'", "0000000004020000006869"],
    ["return 'a\\0b'", "000000000403000000610062"],
    // The original encoded nothing.
    ["return ''", "000000000400000000"],
    ["return {}", "00000000" + Buffer.from("table").toString("hex")],
    ["return print", "00000000" + Buffer.from("function").toString("hex")],
    ["return coroutine.create(print)", "00000000" + Buffer.from("thread").toString("hex")],
    ["return _home", "00000000" + Buffer.from("table").toString("hex")],
    ["return 1, 2, 3", "00000000020300000000000000"],
    ["return 1, nil", "0000000000"],
  ];
  const lua = new Host();
  for (const [code, expected] of rows) test(code, () => assert.equal(lua.response(code), expected));
  test("print as Lua prints", () => {
    const { output, result } = lua.run("print('a', 1, 2.5, 5.0, true, nil, setmetatable({}, {__tostring = function() return 'T' end})) return 7");
    assert.equal(output, "a\t1\t2.5\t5.0\ttrue\tnil\tT\n");
    assert.equal(result, 7);
  });
  test("output of one call is not in the next", () => {
    lua.run("print('first')");
    assert.equal(lua.run("print('second')").output, "second\n");
  });
});

describe("output that is too long", () => {
  test("is cut, with three counted dots", () => {
    const lua = new Host();
    const { output, result } = lua.run("for i = 1, 10000 do print('0123456789') end return 42");
    assert.equal(output.length, 64512);
    assert.ok(output.endsWith("..."));
    assert.ok(output.startsWith("0123456789\n0123456789\n"));
    assert.equal(result, 42);
  });
  test("exactly full is not cut", () => {
    const { output } = new Host().run("print(string.rep('x', 64511))");
    assert.equal(output, "x".repeat(64511) + "\n");
  });
  test("characters are not cut in two", () => {
    for (let i = 0; i < 4; i++) {
      const { output } = new Host().run(`print(string.rep('a', ${i}) .. string.rep('€', 30000))`);
      assert.ok(!output.includes("\ufffd") && output.endsWith("€..."));
    }
  });
  test("a string result is cut to the room left", () => {
    const lua = new Host();
    const { output, result } = lua.run("print(string.rep('x', 64000)) return string.rep('y', 100000)");
    assert.equal(output.length, 64001);
    assert.equal(result, "y".repeat(65536 - 4 - 64001 - 5));
    assert.equal(lua.value("return string.rep('z', 65527)").length, 65527);
    assert.equal(lua.value("return string.rep('z', 65528)").length, 65527);
  });
});

describe("errors", () => {
  const lua = new Host();
  const rows = [
    ["error('boom')", `[string "error('boom')"]:1: boom`],
    ["error('boom', 0)", "boom"],
    ["error(42)", "42"],
    ["error({})", "Unknown error"],
    ["error()", "Unknown error"],
    ["error('')", `[string "error('')"]:1: `],
    ["error('', 0)", ""],
    ["return +", `[string "return +"]:1: unexpected symbol near '+'`],
    ["local t = nil\nreturn t.x", `[string "local t = nil..."]:2: attempt to index a nil value (local 't')`],
    ["coroutine.yield(1)", /attempt to yield from outside a coroutine$/],
    ["assert(false)", `[string "assert(false)"]:1: assertion failed!`],
    ["require('missing')", /module 'missing' not found/],
    ["local function f() return f() + 1 end f()", /stack overflow/],
    ["local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x", /loop/],
    ["return string.rep('x', 1 << 40)", /too large/],
    ["local t = {} for i = 1, 1e9 do t[i] = {i} end", /not enough memory/],
    ["return " + "(".repeat(1000) + "1" + ")".repeat(1000), /overflow|nest|levels/],
    ["local s = 'x' while true do s = s .. s end", /not enough memory|length overflow/],
    // Whichever limit comes first: the compiler's on variables, or memory.
    ["return load(string.rep('local x = {1, 2, 3} ', 400000))()", /attempt to call a nil value|not enough memory/],
  ];
  for (const [code, expected] of rows)
    test(code.slice(0, 60), () => {
      const message = lua.error(code);
      if (typeof expected === "string") assert.equal(message, expected);
      else assert.match(message, expected);
      assert.equal(lua.value("return 1 + 1"), 2, "the instance goes on");
    });
  test("the number is -(length + 1), and no letter stands behind the message", () => {
    const n = lua.raw("error('abc', 0)");
    assert.equal(n, -4);
    assert.equal(lua.text(lua.buffer, 4), "abc\n");
  });
  test("a long message is cut to 65,525 bytes", () => {
    assert.equal(lua.raw("error(string.rep('e', 100000), 0)"), -65526);
  });
  test("pcall, coroutines and finalizers work", () => {
    assert.equal(lua.value("return select(2, pcall(error, 'caught'))"), "caught");
    assert.equal(lua.value("local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) return co() + co() + co()"), 6);
    assert.equal(lua.value("local done setmetatable({}, {__gc = function() done = true end}) collectgarbage() collectgarbage() return done"), true);
  });
});

describe("stored values", () => {
  const lua = new Host();
  const set = (code) => {
    lua.calls.length = 0;
    lua.run(code);
    return lua.calls.filter(([what]) => what === "set").map(([, ...rest]) => rest);
  };
  const rows = [
    ["_home.a = 1", [1, "a", "020100000000000000"]],
    ["_home[2] = 2.5", [1, "2", "030000000000000440"]],
    ["_home.e = ''", [1, "e", "0400000000"]],
    ["_home.s = 'hi'", [1, "s", "04020000006869"]],
    ["_home.b = true", [1, "b", "0101"]],
    ["_home.a = nil", [1, "a", "00"]],
    // The original wrote ffff and lost the function.
    ["_home.p = print", [1, "p", "060000"]],
    ["_home.p = table.sort", [1, "p", "064100"]],
    ["_home.me = _home", [1, "me", "0701000000"]],
    ["_home.io = _io", [1, "io", "0700000040"]],
    ["_home[1.0] = 1", [1, "1", "020100000000000000"]],
    ["_home[-7] = 1", [1, "-7", "020100000000000000"]],
    ["_home[0.1] = 1", [1, "0.1", "020100000000000000"]],
    ["_home[0.0000001] = 1", [1, "0.0000001", "020100000000000000"]],
    ["_home[2^63] = 1", [1, "9223372036854776000", "020100000000000000"]],
    ["_home[-1.5e300] = 1", [1, "-15" + "0".repeat(299), "020100000000000000"]],
    ["_home[123456.75] = 1", [1, "123456.75", "020100000000000000"]],
    ["_home[1/0] = 1", [1, "inf", "020100000000000000"]],
    ["_home[-1/0] = 1", [1, "-inf", "020100000000000000"]],
  ];
  for (const [code, expected] of rows) test(code, () => assert.deepEqual(set(code), [expected]));
  test("a nested table: inner ones first", () => {
    const lua = new Host();
    lua.run("_home.t = {a = 1, b = {c = 2}}");
    const sets = lua.calls.filter(([what]) => what === "set").map(([, ...rest]) => rest);
    assert.deepEqual(sets[0].slice(1), ["c", "020200000000000000"]);
    const [inner, outer] = [sets[0][0], sets[1][0]];
    assert.deepEqual(new Set(sets.slice(1, 3).map(String)), new Set([[outer, "b", hex(reference(inner))], [outer, "a", "020100000000000000"]].map(String)));
    assert.deepEqual(sets[3], [1, "t", hex(reference(outer))]);
    assert.equal(sets.length, 4);
  });

  const errors = [
    ["_home[''] = 1", /empty string as a key/],
    ["_home[{}] = 1", /got a table/],
    ["_home[true] = 1", /got a boolean/],
    ["_home[print] = 1", /got a function/],
    ["_home.c = coroutine.create(print)", /cannot store a coroutine in an external table \(at key 'c'\)/],
    ["_home.c = string.gmatch('a', 'a')", /has state/],
    ["_home.t = {[true] = 1}", /got a boolean/],
    ["_home.t = {{{coroutine.create(print)}}}", /cannot store a coroutine/],
    ["local t = {} t.t = t _home.t = t", /contains itself/],
    ["local t = {} for i = 1, 500 do t = {t} end _home.t = t", /nested deeper/],
    ["local t = {} for i = 1, 100 do t = {t, t} end _home.t = t", /entries at once/],
    ["_home.s = string.rep('x', 5000000)", /5000000 bytes/],
    ["_home[string.rep('k', 100000)] = 1", /too long/],
    ["_home.__ext_table_id = 7", /cannot be changed/],
  ];
  for (const [code, message] of errors)
    test(`refused: ${code}`, () => {
      lua.calls.length = 0;
      assert.match(lua.error(code), message);
      assert.deepEqual(lua.calls, [], "nothing was written");
    });
  test("unstorable keys read as nil", () => {
    lua.calls.length = 0;
    assert.equal(lua.value("return _home[''] == nil and _home[{}] == nil and _home[true] == nil and _home[string.rep('k', 100000)] == nil"), true);
    assert.deepEqual(lua.calls, []);
  });

  const get = (data) => {
    lua.tables.get(1).set("raw", data);
    return lua.run("local v = _home.raw if type(v) == 'number' then return math.type(v) .. ' ' .. v end return v == nil and 'nil' or type(v) .. ' ' .. tostring(v)").result;
  };
  const reads = [
    ["", "nil"],
    ["00", "nil"],
    ["01", "nil"],
    ["0107", "boolean true"],
    ["0100ffff", "boolean false"],
    ["02010000", "nil"],
    ["02ffffffffffffffff", "integer -1"],
    ["030000000000001440", "float 5.0"],
    ["0402000000616263", "string ab"],
    ["040400000061", "nil"],
    ["04ffffffff61", "nil"],
    ["05ffffffff61", "nil"],
    ["050400000061626364", "nil"],
    ["0500000000", "nil"],
    ["06", "nil"],
    ["064200", "nil"],
    ["061500", "nil"],
    ["062500", "nil"],
    ["0700000000", "nil"],
    ["07ffffffff", "nil"],
    ["0701", "nil"],
    ["08", "nil"],
    ["ff", "nil"],
    ["68656c6c6f", "nil"],
  ];
  for (const [data, expected] of reads) test(`read ${data || "nothing"}`, () => assert.equal(get(Buffer.from(data, "hex")), expected));
  test("built-in functions are found by index, in the present globals", () => {
    lua.tables.get(1).set("raw", Buffer.from("062f00", "hex"));
    assert.equal(lua.value("return _home.raw == string.byte"), true);
    assert.equal(lua.value("local old = string.byte string.byte = print local same = _home.raw == print string.byte = old return same"), true);
    lua.tables.get(1).set("raw", Buffer.from("06ffff", "hex"));
    assert.match(lua.error("_home.raw()"), /not supported/);
  });
  test("strings of any bytes", () => {
    lua.tables.get(1).set("raw", encodeString(Buffer.from([0, 255, 128])));
    assert.equal(lua.value("return _home.raw == '\\0\\255\\128'"), true);
  });
});
