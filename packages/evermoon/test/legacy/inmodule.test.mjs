// The original's names in evermoon.wasm: no imports, external tables in the module, where keys can be listed and entries deleted.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const module = new WebAssembly.Module(readFileSync(new URL("../../dist/evermoon.wasm", import.meta.url)));

/** Runs chunks; the memory may grow, so each call takes a fresh view. */
function engine() {
  const { exports } = new WebAssembly.Instance(module, {});
  assert.equal(exports.init(), 0);
  return (code) => {
    const source = new TextEncoder().encode(code);
    const at = exports.get_buffer_ptr();
    new Uint8Array(exports.memory.buffer, at).set(source);
    const n = exports.compute(at, source.length);
    const answer = Buffer.from(exports.memory.buffer, at, n < 0 ? -n - 1 : n);
    if (n < 0) throw new Error(answer.toString());
    const output = answer.subarray(4, 4 + answer.readUInt32LE(0)).toString();
    const rest = answer.subarray(4 + answer.readUInt32LE(0));
    const result = rest[0] === 2 ? Number(rest.readBigInt64LE(1)) : rest[0] === 4 ? rest.subarray(5).toString() : rest.toString("hex");
    return { output, result };
  };
}

test("no imports, and all names", () => {
  assert.deepEqual(WebAssembly.Module.imports(module), []);
  const names = WebAssembly.Module.exports(module).map(({ name }) => name);
  for (const name of ["memory", "init", "compute", "get_buffer_ptr", "get_buffer_size", "get_memory_stats", "run_gc", "attach_memory_table", "get_memory_table_id", "get_io_table_id", "clear_io_table", "sync_external_table_counter", "set_memory_alias_enabled"])
    assert.ok(names.includes(name), name);
});

test("it computes", () => {
  const run = engine();
  assert.deepEqual(run("print('hi') return 1 + 1"), { output: "hi\n", result: 2 });
  assert.throws(() => run("error('boom', 0)"), /^Error: boom/);
  assert.equal(run("return tostring(require('bigint').new(2) ^ 70)").result, "1180591620717411303424");
});

test("external tables are whole", () => {
  const run = engine();
  run("_home.a = 1 _home.t = {1, 2, x = {y = 'deep'}} _home.f = function(n) return n + _home.a end");
  assert.equal(run("return _home.f(1) .. _home.t.x.y .. #_home.t").result, "2deep3");
  assert.equal(run("local n = 0 for k in pairs(_home) do n = n + 1 end return n").result, 3);
  assert.equal(run("_home.a = nil return #_home").result, 2);
  assert.throws(() => run("for i = 1, 1e9 do _home[i] = string.rep('x', 4000000) end"), /refused|not enough memory/);
});
