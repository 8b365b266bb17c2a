// The entries: what a bundler for browsers can reach has no `node:` import, importing does no work, errors are the package's own.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as main from 'evermoon';
import * as node from 'evermoon/node';
import * as stores from 'evermoon/stores';

const dist = fileURLToPath(new URL('../../dist/', import.meta.url));
const imports = (file, seen = new Set()) => {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const [, from] of readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?["']([^"']+)["']/g)) {
    if (from.startsWith('.')) imports(join(dirname(file), from), seen);
    else seen.add(from);
  }
  return seen;
};

test('the stores of browsers import nothing of Node', () => {
  const all = [...imports(join(dist, 'stores/index.js'))];
  assert.deepEqual(all.filter((name) => !name.startsWith(dist)), []);
  assert.ok([...imports(join(dist, 'stores/node.js'))].includes('node:fs'), 'and this would have been seen');
});

test('types are there, and the errors are of one family', () => {
  for (const file of ['stores/index.d.ts', 'stores/node.d.ts']) assert.ok(existsSync(join(dist, file)));
  assert.equal(stores.StoreError, node.StoreError);
  assert.equal(new stores.StoreConflictError(1, 2) instanceof main.EvermoonError, true);
  assert.equal(stores.FileStore, undefined);
});

test('where there is no IndexedDB, that is what one is told', async () => {
  const error = await stores.IndexedDBStore.open('x').catch((e) => e);
  assert.equal(error.name, 'StoreUnavailableError');
  assert.match(error.message, /no IndexedDB here.*evermoon\/node.*memory/);
  await assert.rejects(stores.IndexedDBStore.open(''), { code: 'misuse' });
});
