// The IndexedDB store upon fake-indexeddb, in each of the ways that it reads ranges. `browser.test.mjs` has the same in Chromium.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IDBFactory, IDBKeyRange, IDBObjectStore } from 'fake-indexeddb';
import { IndexedDBStore } from '../../dist/stores/index.js';
import { cases } from './conformance.mjs';

const { getAllRecords } = IDBObjectStore.prototype;
assert.equal(typeof getAllRecords, 'function', 'fake-indexeddb has the newer way');

for (const way of ['newer', 'older']) {
  test(`IndexedDB, ${way} browsers`, async (t) => {
    if (way === 'older') delete IDBObjectStore.prototype.getAllRecords;
    try {
      for (const [name, run] of Object.entries(cases)) {
        await t.test(name, async () => {
          const indexedDB = new IDBFactory();
          // fake-indexeddb takes no key of no bytes; Chromium does.
          await run({ noEmptyKey: true, open: () => IndexedDBStore.open('test', { indexedDB, IDBKeyRange, locks: null, storage: null }) });
        });
      }
    } finally {
      IDBObjectStore.prototype.getAllRecords = getAllRecords;
    }
  });
}
