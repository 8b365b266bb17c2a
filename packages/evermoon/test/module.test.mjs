// The modules themselves: no imports, the exports of docs/abi.md.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { module, worldModule } from './helpers.mjs';

test('the modules import nothing', () => {
  for (const one of [module, worldModule]) assert.deepEqual(WebAssembly.Module.imports(one), []);
});

test('the exports are those of abi.ts and of the original module, and no more; those for worlds are in one module only', () => {
  const source = readFileSync(new URL('../src/abi.ts', import.meta.url), 'utf8');
  const all = [...source.matchAll(/^  (em_\w+)\(/gm)].map((m) => m[1]);
  const plain = all.filter((name) => !/^em_(world|job)_/.test(name));
  assert.ok(plain.length > 40 && plain.length < all.length);
  const seed = [
    'init', 'compute', 'get_buffer_ptr', 'get_buffer_size', 'get_memory_stats', 'run_gc', 'attach_memory_table', 'clear_io_table',
    'get_io_table_id', 'get_memory_table_id', 'set_memory_alias_enabled', 'sync_external_table_counter',
  ];
  for (const [one, listed] of [[module, plain], [worldModule, all]]) {
    const exported = WebAssembly.Module.exports(one).map((e) => e.name);
    for (const name of [...listed, ...seed, 'memory']) assert.ok(exported.includes(name), `${name} is exported`);
    const others = exported.filter((n) => !listed.includes(n) && !seed.includes(n) && n !== 'memory' && !/^(__data_end|__heap_base)$/.test(n));
    assert.deepEqual(others, []);
  }
});
