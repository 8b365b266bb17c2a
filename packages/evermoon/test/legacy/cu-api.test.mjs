// The original's JavaScript API over lua.wasm: its methods, and the browser suite's rows with a database in memory.
import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import cu, * as named from "../../dist/cu-api.js";

const wasmPath = new URL("../../dist/lua.wasm", import.meta.url);

/** A fresh engine without saved tables. */
async function fresh(options = {}) {
  await cu.load({ autoRestore: false, wasmPath, ...options });
  assert.equal(cu.init(), 0);
}
async function run(code) {
  const length = await cu.compute(code);
  if (length < 0) throw new Error(cu.readBuffer(cu.getBufferPtr(), -length - 1));
  return cu.readResult(cu.getBufferPtr(), length);
}
const value = async (code) => (await run(code)).result;

test("the shape of the API", () => {
  const methods = [
    "load init compute getBufferPtr getBufferSize readResult readBuffer writeBuffer getMemoryStats runGc saveState loadState",
    "clearPersistedState getTableInfo getMemoryTableId getIoTableId setInput setMetadata getOutput clearIo setMemoryAliasEnabled",
    "getHomeTableId setInputField getOutputField eval",
  ].join(" ");
  for (const name of methods.split(" ")) {
    assert.equal(typeof cu[name], "function", name);
    assert.equal(cu[name], named[name], name);
  }
});

test("before load", async () => {
  assert.throws(() => cu.getBufferPtr(), /not loaded/);
  assert.throws(() => cu.getBufferSize(), /not loaded/);
  assert.equal(cu.readBuffer(0, 10), "");
  assert.deepEqual(cu.readResult(0, 10), { output: "", result: null });
  await assert.rejects(cu.compute("return 1"), /not loaded/);
});

test("loading fails with a reason", async () => {
  await assert.rejects(cu.load({ wasmPath: new URL("nowhere.wasm", import.meta.url) }), /cannot fetch file:/);
  await assert.rejects(cu.load({ wasmPath: new TextEncoder().encode("<!doctype html>") }), /page in place of the wasm/);
  await assert.rejects(cu.load({ wasmPath: new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]) }), /no 'compute'/);
});

describe("computing", () => {
  test("results of all kinds", async () => {
    await fresh();
    assert.equal(cu.getBufferSize(), 65536);
    assert.equal(await value("return 2 + 2"), 4);
    assert.equal(await value("return 'a' .. 'b'"), "ab");
    assert.equal(await value("return nil"), null);
    assert.equal(await value("return true"), true);
    assert.equal(await value("return 3.14"), 3.14);
    assert.equal(await value("return math.maxinteger"), 9223372036854775807n);
    assert.equal(await value("return ''"), "");
    assert.equal(await value("return {}"), "<table>");
    assert.equal(await value("return print"), "<function>");
    assert.deepEqual(await run("print('x') return 1"), { output: "x\n", result: 1 });
    assert.deepEqual(await cu.eval("print('y') return 2"), { output: "y\n", result: 2 });
  });
  test("errors", async () => {
    await fresh();
    await assert.rejects(run("error('boom')"), /:1: boom/);
    await assert.rejects(cu.eval("return +"), /unexpected symbol/);
    await assert.rejects(cu.compute(""), TypeError);
    await assert.rejects(cu.compute(undefined), TypeError);
    await assert.rejects(run("x" + " ".repeat(70000)), /Error: the code has 70001 bytes, the buffer 65536/);
    assert.equal(await value("return 1"), 1);
  });
  test("the buffer", async () => {
    await fresh();
    const at = cu.getBufferPtr();
    assert.equal(cu.writeBuffer(at, "grüß"), 6);
    assert.equal(cu.readBuffer(at, 6), "grüß");
    assert.equal(cu.readBuffer(-1, 4), "");
    assert.equal(cu.readBuffer(at, 2 ** 31), "");
    assert.throws(() => cu.writeBuffer(2 ** 31, "x"), RangeError);
    assert.deepEqual(cu.readResult(at, 2), { output: "", result: null });
  });
  test("memory", async () => {
    await fresh();
    cu.writeBuffer(cu.getBufferPtr(), "stays there");
    const { total, used, free } = cu.getMemoryStats();
    assert.ok(total % 65536 === 0 && used > 10_000 && used + free === total);
    assert.equal(cu.readBuffer(cu.getBufferPtr(), 11), "stays there");
    await run("kept = string.rep('x', 1000000)");
    assert.ok(cu.getMemoryStats().used > used + 900_000);
    await run("kept = nil");
    assert.equal(cu.runGc(), true);
    assert.ok(cu.getMemoryStats().used < used + 100_000);
  });
});

describe("_io", () => {
  const rows = [
    [{ name: "Alice", age: 30 }, "_io.output = _io.input.name .. ' is ' .. _io.input.age", "Alice is 30"],
    [[10, 20, 30, 40, 50], "local s = 0 for i, v in ipairs(_io.input) do s = s + v end _io.output = {s, #_io.input}", [150, 5]],
    [{ a: 6, b: 7 }, "_io.output = _io.input.a * _io.input.b", 42],
    [{ user: { name: "Bob" }, list: [1, 2, 3] }, "_io.output = {ok = true, inner = {z = 1}}", { ok: true, inner: { z: 1 } }],
    [{ user: { name: "Bob" }, list: [1, 2, 3] }, "_io.output = _io.input", { user: { name: "Bob" }, list: [1, 2, 3] }],
    [2.75, "_io.output = _io.input * 2", 5.5],
    [[1.5, -0, NaN], "_io.output = {_io.input[1], 1 / _io.input[2] < 0, _io.input[3] ~= _io.input[3]}", [1.5, true, true]],
    [2n ** 62n, "_io.output = _io.input", 2n ** 62n],
    [null, "_io.output = _io.input == nil", true],
    [{}, "_io.output = type(_io.input)", "table"],
    [{ __proto__: null, x: 1, ["__proto__"]: 5 }, "_io.output = _io.input.x", 1],
    [undefined, "_io.output = {status = 'ok', value = 42}", { status: "ok", value: 42 }],
    [undefined, "_io.output = {a = {b = {c = 'deep'}}}", { a: { b: { c: "deep" } } }],
    [undefined, "_io.output = {}", null],
    [undefined, "_io.output = {n = 1, f = 1.5, s = 'x', b = false, t = {1, 2}}", { n: 1, f: 1.5, s: "x", b: false, t: [1, 2] }],
    [undefined, "_io.output = {1, 2, 3} _io.output[3] = nil", [1, 2]],
    [undefined, "_io.output = print", null],
  ];
  for (const [input, code, expected] of rows)
    test(`${code} of ${typeof input === "bigint" ? input : JSON.stringify(input)}`, async () => {
      await fresh();
      cu.setInput(input);
      await run(code);
      assert.deepEqual(cu.getOutput(), expected);
    });
  test("fields, metadata, clearing", async () => {
    await fresh();
    cu.setMetadata({ id: 7 });
    cu.setInputField("x", 1);
    cu.setInputField("y", { z: 2 });
    assert.equal(await value("return _io.input.x + _io.input.y.z + _io.meta.id"), 10);
    await run("_io.output = {a = 'A'}");
    assert.equal(cu.getOutputField("a"), "A");
    assert.equal(cu.getOutputField("b"), null);
    cu.clearIo();
    assert.equal(cu.getOutput(), null);
    assert.equal(await value("return _io.input == nil and _io.meta == nil and _io.output == nil"), true);
  });
  test("a cycle in Lua comes back as a cycle; one in JavaScript is refused", async () => {
    await fresh();
    await run("local t = ext.table() t.me = t t.x = 1 _io.output = t");
    const output = cu.getOutput();
    assert.equal(output.me, output);
    const cycle = {};
    cycle.me = cycle;
    assert.throws(() => cu.setInput(cycle), TypeError);
    assert.throws(() => cu.setInput(2n ** 64n), RangeError);
  });
});

describe("keeping", () => {
  test("numbers, strings and functions survive saving and loading", async () => {
    await fresh();
    await run("_home.n = 42 _home.s = 'kept' _home.t = {a = {1, 2, 3}} _home.multiply = function(a, b) return a * b end");
    assert.equal(await cu.saveState(), true);
    await cu.load({ autoRestore: true, wasmPath });
    assert.equal(cu.init(), 0);
    assert.equal(await value("return _home.multiply(6, 7)"), 42);
    assert.equal(await value("return _home.n .. _home.s .. #_home.t.a"), "42kept3");
    const info = cu.getTableInfo();
    assert.equal(info.homeTableId, 1);
    assert.equal(info.memoryTableId, info.homeTableId);
    assert.deepEqual(info.tables.find(({ id }) => id === 1).keys, ["n", "s", "t", "multiply"]);
    assert.equal(info.tableCount, info.tables.length);
    assert.ok(info.tables.every(({ id }) => id < info.nextTableId));
  });
  test("a counter over sessions, with tables made in each", async () => {
    await fresh();
    await run("_home.log = {}");
    for (let i = 1; i <= 5; i++) {
      cu.setInput({ session: i, extra: { list: [i] } });
      await run("_home.log[_io.input.session] = {n = _io.input.session, extra = _io.input.extra.list[1]}");
      await cu.saveState();
      await cu.load({ wasmPath });
      cu.init();
    }
    assert.equal(await value("local s = 0 for i = 1, 5 do s = s + _home.log[i].n * 10 + _home.log[i].extra end return s"), 165);
  });
  test("loadState goes back to what was saved", async () => {
    await fresh();
    await run("_home.x = 1");
    await cu.saveState();
    await run("_home.x = 2");
    assert.equal(await cu.loadState(), true);
    assert.equal(await value("return _home.x"), 1);
  });
  test("another home is attached again", async () => {
    await cu.clearPersistedState();
    await fresh();
    await new Promise((resolve, reject) => {
      const open = indexedDB.open("LuaPersistentDB", 1);
      open.onsuccess = () => {
        const store = open.result.transaction("externalTables", "readwrite").objectStore("externalTables");
        // As old versions wrote: only `memoryTableId`, and plain values.
        store.put({ id: 9, data: { plain: "text", n: { _type: "binary", data: [2, 5, 0, 0, 0, 0, 0, 0, 0] } } });
        store.put({ id: "__metadata__", data: { memoryTableId: 9 } });
        store.transaction.oncomplete = () => resolve(open.result.close());
        store.transaction.onerror = reject;
      };
      open.onerror = reject;
    });
    await cu.load({ wasmPath });
    cu.init();
    assert.equal(cu.getMemoryTableId(), 9);
    assert.equal(await value("return _home.__ext_table_id .. _home.plain .. _home.n"), "9text5");
  });
  test("cleared", async () => {
    await cu.clearPersistedState();
    await cu.load({ wasmPath });
    cu.init();
    assert.equal(await value("return _home.n == nil"), true);
  });
  test("the alias can be off", async () => {
    cu.setMemoryAliasEnabled(false);
    await fresh();
    assert.equal(await value("return Memory == nil"), true);
    cu.setMemoryAliasEnabled(true);
  });
});
