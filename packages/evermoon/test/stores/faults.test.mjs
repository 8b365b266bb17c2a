// Every IndexedDB request failing in every way, one at a time: never a lost acknowledged commit, never a torn one. Upon fake-indexeddb;
// `browser.test.mjs` has the same in Chromium.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IDBFactory, IDBKeyRange } from 'fake-indexeddb';
import { IndexedDBStore } from '../../dist/stores/index.js';
import { Faults, WAYS, strikeAll } from './faulty.mjs';

for (const way of WAYS) {
  for (const twice of [false, true]) {
    test(`every step fails: ${way}${twice ? ', and the next two as well' : ''}`, async (t) => {
      const { lives, troubles, steps } = await strikeAll(way, twice, async (way, when) => {
        const factory = new IDBFactory();
        const faults = new Faults(factory, way, when);
        const options = { IDBKeyRange, locks: null, storage: null };
        return {
          faults,
          open: () => IndexedDBStore.open('w', { ...options, indexedDB: faults.indexedDB }),
          clean: () => IndexedDBStore.open('w', { ...options, indexedDB: factory }),
        };
      });
      t.diagnostic(`${lives} lives; struck ${JSON.stringify(steps)}; told ${JSON.stringify(troubles)}`);
      assert.ok(lives > 40, `${lives} lives`);
      if (twice && way !== 'quota') assert.ok(troubles['io unknown'] > 0, 'some commits were in doubt');
      if (way === 'quota') assert.ok(troubles['full none'] > 0);
    });
  }
}
