// The memory store keeps the stores' promises; so does its sorted map when it is large.
import { test } from 'node:test';
import { MemoryStore } from '../../dist/stores/index.js';
import { cases } from './conformance.mjs';

for (const [name, run] of Object.entries(cases)) {
  test(`memory: ${name}`, async () => {
    let last;
    await run({ open: async () => (last = new MemoryStore(last)) });
  });
}
