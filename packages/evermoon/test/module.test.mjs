// The module itself: no imports, the exports of docs/abi.md.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { module } from './helpers.mjs';

test('the module imports nothing', () => {
  assert.deepEqual(WebAssembly.Module.imports(module), []);
});

test('the exports are those of abi.ts and of the original module, and no more', () => {
  const source = readFileSync(new URL('../src/abi.ts', import.meta.url), 'utf8');
  const listed = [...source.matchAll(/^  (em_\w+)\(/gm)].map((m) => m[1]);
  const seed = [
    'init', 'compute', 'get_buffer_ptr', 'get_buffer_size', 'get_memory_stats', 'run_gc', 'attach_memory_table', 'clear_io_table',
    'get_io_table_id', 'get_memory_table_id', 'set_memory_alias_enabled', 'sync_external_table_counter',
  ];
  const exported = WebAssembly.Module.exports(module).map((e) => e.name);
  for (const name of listed) assert.ok(exported.includes(name), `${name} is exported`);
  assert.ok(exported.includes('memory'));
  const others = exported.filter((n) => !listed.includes(n) && !seed.includes(n) && n !== 'memory' && !/^(__data_end|__heap_base)$/.test(n));
  assert.deepEqual(others, []);
});
