// The IndexedDB store upon fake-indexeddb, in each of the ways that it reads ranges. `browser.test.mjs` has the same in Chromium.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IDBFactory, IDBKeyRange, IDBObjectStore } from 'fake-indexeddb';
import { IndexedDBStore, StoreLostError } from '../../dist/stores/index.js';
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

/** The part of the Cache API that notes of worlds are kept with. */
class FakeCaches {
  notes = new Map();
  async open() {
    return {
      match: async (address) => this.notes.get(address)?.clone(),
      put: async (address, response) => void this.notes.set(address, response),
      delete: async (address) => this.notes.delete(address),
    };
  }
}

test('a database that the browser has dropped is told from a new one', async () => {
  const caches = new FakeCaches();
  const put = (n) => [{ kind: 'put', key: Uint8Array.of(n), value: Uint8Array.of(n) }];
  const visit = async (indexedDB, commits, more = {}) => {
    const store = await IndexedDBStore.open('w', { indexedDB, IDBKeyRange, locks: null, storage: null, caches, ...more });
    let { version } = await store.head();
    const found = version;
    const epoch = await store.lease();
    for (let n = 0; n < commits; n++) version = await store.commit(version, epoch, put(n));
    await store.close();
    return found;
  };
  const before = new IDBFactory();
  // Nothing was committed: nothing can be missed.
  assert.equal(await visit(new IDBFactory(), 0), 0);
  assert.equal(await visit(before, 3), 0);
  assert.equal(await visit(before, 1), 3);
  assert.equal(await visit(before, 0), 4);
  const lost = (had, found) => (error) => {
    assert.ok(error instanceof StoreLostError);
    assert.deepEqual([error.code, error.world, error.had, error.found], ['lost', 'w', had, found]);
    assert.match(error.message, /Import it from an export.*ifLost/);
    return true;
  };
  const after = new IDBFactory();
  await assert.rejects(visit(after, 0), lost(4, 0));
  await assert.rejects(visit(after, 0), lost(4, 0), 'to have been told is no consent');
  assert.equal(await visit(after, 1, { ifLost: 'accept' }), 0);
  assert.equal(await visit(after, 1), 1);
  // An older state than the one that is known, too.
  await visit(before, 0, { ifLost: 'accept' });
  await assert.rejects(visit(after, 0), lost(4, 2));
  // Deleted by its user, it is not missed.
  await IndexedDBStore.delete('w', { indexedDB: after, locks: null, caches });
  assert.equal(await visit(after, 1), 0);
  // A cache that fails is none.
  caches.open = async () => {
    throw new Error('no cache today');
  };
  assert.equal(await visit(new IDBFactory(), 1), 0);
});
