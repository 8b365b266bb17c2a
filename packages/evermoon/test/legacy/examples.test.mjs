// The original's four example hosts (bare Node, Rust, Go, C), as its document describes them: five imports of exact types and no clock, a fresh view of
// the memory for each access, errors read as -r - 1 bytes, the buffer as the place for statistics.
import assert from "node:assert/strict";
import { test } from "node:test";
import { module } from "./host.mjs";

function exampleHost() {
  const tables = new Map();
  let memory;
  const bytes = (at, len) => new Uint8Array(memory.buffer, at, len);
  const key = (at, len) => Buffer.from(bytes(at, len)).toString();
  const env = {
    js_ext_table_get(id, at, len, value, max) {
      assert.equal(arguments.length, 5);
      const stored = tables.get(id)?.get(key(at, len));
      if (!stored || stored.length > max) return -1;
      bytes(value, max).set(stored);
      return stored.length;
    },
    js_ext_table_set(id, at, len, value, size) {
      assert.equal(arguments.length, 5);
      if (!tables.has(id)) tables.set(id, new Map());
      tables.get(id).set(key(at, len), bytes(value, size).slice());
      return 0;
    },
    js_ext_table_delete: (id, at, len) => (tables.get(id)?.delete(key(at, len)) ? 0 : -1),
    js_ext_table_size: (id) => tables.get(id)?.size ?? 0,
    js_ext_table_keys: () => -1,
  };
  const { exports } = new WebAssembly.Instance(module, { env });
  memory = exports.memory;
  return { exports, bytes, tables };
}

test("an example host: five imports, no clock, fresh views", () => {
  const { exports, bytes, tables } = exampleHost();
  const at = exports.get_buffer_ptr();
  const compute = (code) => {
    const source = Buffer.from(code);
    assert.ok(source.length <= exports.get_buffer_size());
    bytes(at, source.length).set(source);
    const r = exports.compute(at, source.length);
    if (r < 0) throw new Error(Buffer.from(bytes(at, -r - 1)).toString());
    const response = Buffer.from(bytes(at, r));
    const output = response.subarray(4, 4 + response.readUInt32LE(0)).toString();
    return { output, result: response.subarray(4 + output.length) };
  };
  assert.equal(exports.init(), 0);
  const { output, result } = compute("print('Hello from Lua') return 2 + 2");
  assert.equal(output, "Hello from Lua\n");
  assert.deepEqual([result[0], result.readBigInt64LE(1)], [2, 4n]);
  assert.deepEqual([...compute("return 'text'").result.subarray(0, 5)], [4, 4, 0, 0, 0]);
  compute("_home.counter = (_home.counter or 0) + 1");
  compute("_home.counter = (_home.counter or 0) + 1");
  assert.equal(Buffer.from(tables.get(1).get("counter")).readBigInt64LE(1), 2n);
  assert.throws(() => compute("error('as wanted', 0)"), { message: "as wanted" });
  exports.get_memory_stats(at);
  const stats = Buffer.from(bytes(at, 12));
  assert.equal(stats.readUInt32LE(0), 65536);
  assert.ok(stats.readUInt32LE(4) > 0);
  assert.equal(stats.readUInt32LE(8), bytes(0).buffer.byteLength / 65536);
  exports.run_gc();
  assert.equal(compute("return _home.counter").result.readBigInt64LE(1), 2n);
});
