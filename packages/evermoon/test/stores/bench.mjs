// Measures the stores in this machine's Chromium and Node: `node test/stores/bench.mjs` (after `npm run build`). `MB=10` for a smaller world.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { FileStore } from '../../dist/stores/node.js';
import { MemoryStore } from '../../dist/stores/index.js';
import { ARGS, browserPath, page as newPage, serve } from './browser.mjs';

const MB = Number(process.env.MB ?? 100);
const folder = mkdtempSync(join(tmpdir(), 'evermoon-bench-'));
const server = await serve();

/** Runs in a page and here alike: `open()` gives the store of one world. */
async function measure(open, rows, MB, bare) {
  const id = (n) => {
    const key = new Uint8Array(9);
    key[0] = 111;
    new DataView(key.buffer).setBigUint64(1, BigInt(n));
    return key;
  };
  const noise = (n) => {
    const bytes = new Uint8Array(n);
    for (let i = 0; i < n; i += 65_536) crypto.getRandomValues(bytes.subarray(i, Math.min(n, i + 65_536)));
    return bytes;
  };
  const pause = () => new Promise((resolve) => setTimeout(resolve, 0));
  // `prepare` is not measured.
  const spread = async (count, run, prepare = (i) => i) => {
    const times = [];
    for (let i = 0; i < count; i++) {
      const what = prepare(i);
      const start = performance.now();
      await run(what);
      times.push(performance.now() - start);
      if (i % 20 === 19) await pause();
    }
    times.sort((x, y) => x - y);
    return [0.5, 0.9, 0.99].map((q) => times[Math.floor(q * times.length)]);
  };
  const store = await open();
  let epoch = await store.lease();
  let { version } = await store.head();
  const commit = async (batch, durability) => (version = await store.commit(version, epoch, batch, { durability }));
  const one = (i) => [{ kind: 'put', key: id(1e9 + (i % 50)), value: noise(100) }];
  if (rows === 'small' || rows === 'large') {
    const name = rows === 'small' ? 'an empty world' : `a world of ${MB} MB`;
    const results = {};
    results[`commit, 1 put of 100 B, durable, in ${name}`] = await spread(300, (batch) => commit(batch, 'durable'), one);
    if (rows === 'small') {
      const ten = (i) => Array.from({ length: 10 }, (_, n) => ({ kind: 'put', key: id(1e9 + ((i * 7 + n) % 500)), value: noise(200) }));
      results['commit, 10 puts of 200 B, durable'] = await spread(200, (batch) => commit(batch, 'durable'), ten);
      results['commit, 1 put of 100 B, relaxed'] = await spread(300, (batch) => commit(batch, 'relaxed'), one);
      if (bare) results['  beside it: bare IndexedDB, 1 put of 100 B, strict'] = await bare(spread, noise);
      for (let i = 0; i < 10; i++) await commit(Array.from({ length: 1000 }, (_, n) => ({ kind: 'put', key: id(i * 1000 + n), value: noise(100) })), 'relaxed');
      results['commit, 10,000 puts of 100 B, durable'] = await spread(
        5,
        (batch) => commit(batch, 'durable'),
        () => Array.from({ length: 10_000 }, (_, n) => ({ kind: 'put', key: id(n), value: noise(100) })),
      );
      results['scan of 10,000 rows of 100 B'] = await spread(15, async () => {
        const found = await store.scan({ to: id(10_000) });
        if (found.length !== 10_000) throw new Error(`${found.length} rows`);
      });
      results['scan backwards, 10,000 rows'] = await spread(15, () => store.scan({ to: id(10_000), reverse: true }));
    }
    const max = rows === 'small' ? 10_000 : MB * 1000;
    results[`get, at random, in ${name}`] = await spread(500, (i) => store.get(id((i * 7919) % max)));
    results[`getMany, 100 at random, in ${name}`] = await spread(50, (i) => store.getMany(Array.from({ length: 100 }, (_, n) => id(((i * 100 + n) * 7919) % max))));
    results[`getMany, 100 side by side, in ${name}`] = await spread(50, (i) => store.getMany(Array.from({ length: 100 }, (_, n) => id(((i * 7919) % (max - 100)) + n))));
    results[`getNear, 33 entries, in ${name}`] = await spread(100, (i) => store.getNear(id((i * 7919) % (max - 33))));
    await store.close();
    return results;
  }
  // Fill it: 1,000 values of 1,000 bytes a commit.
  const start = performance.now();
  for (let i = 0; i < MB; i++) await commit(Array.from({ length: 1000 }, (_, n) => ({ kind: 'put', key: id(i * 1000 + n), value: noise(1000) })), 'relaxed');
  await commit([], 'durable');
  await store.close();
  return { [`fill ${MB} MB (${MB} commits, last one durable)`]: [performance.now() - start] };
}

const table = [];
const row = (place, results) => {
  for (const [what, times] of Object.entries(results)) {
    table.push([place, what, ...times.map((t) => (t < 10 ? t.toFixed(2) : t.toFixed(0)))]);
    console.error(...table.at(-1));
  }
};

async function inBrowser(profile, run) {
  const context = await chromium.launchPersistentContext(join(folder, profile), { executablePath: browserPath, args: ARGS });
  try {
    const page = await newPage(context, server.url);
    await page.evaluate(async (measure) => {
      Object.assign(globalThis, await import('/dist/stores/index.js'));
      globalThis.measure = eval(`(${measure})`);
      globalThis.bare = async (spread, noise) => {
        const db = await new Promise((resolve) => {
          const request = indexedDB.open('bare', 1);
          request.onupgradeneeded = () => request.result.createObjectStore('r');
          request.onsuccess = () => resolve(request.result);
        });
        return spread(300, (i) => new Promise((resolve, reject) => {
          const tx = db.transaction('r', 'readwrite', { durability: 'strict' });
          tx.objectStore('r').put(noise(100).buffer, new Uint8Array([1, i % 50]));
          tx.oncomplete = resolve;
          tx.onabort = reject;
          tx.commit();
        }));
      };
    }, measure.toString());
    return await run(page);
  } finally {
    await context.close();
  }
}

try {
  row('Chromium', await inBrowser('a', (page) => page.evaluate((MB) => measure(() => IndexedDBStore.open('small'), 'small', MB, bare), MB)));
  row('Chromium', await inBrowser('b', (page) => page.evaluate((MB) => measure(() => IndexedDBStore.open('large'), 'fill', MB), MB)));
  // In a browser just started, as a user's is.
  const opening = [];
  for (let i = 0; i < 5; i++) {
    opening.push(
      await inBrowser('b', (page) =>
        page.evaluate(async (n) => {
          const start = performance.now();
          const store = await IndexedDBStore.open('large');
          await store.lease();
          const leased = performance.now();
          const key = new Uint8Array(9);
          key[0] = 111;
          new DataView(key.buffer).setBigUint64(1, BigInt(n));
          const value = await store.get(key);
          const end = performance.now();
          if (value.byteLength !== 1000) throw new Error('not there');
          await store.close();
          return [end - start, leased - start];
        }, i * 17_001 % (MB * 1000)),
      ),
    );
  }
  const middle = (at) => opening.map((o) => o[at]).sort((x, y) => x - y)[2];
  row('Chromium', { [`open ${MB} MB, lease, first get (fresh browser, median of 5)`]: [middle(0)], '  of which open and lease': [middle(1)] });
  row('Chromium', await inBrowser('b', (page) => page.evaluate((MB) => measure(() => IndexedDBStore.open('large'), 'large', MB), MB)));

  const path = join(folder, 'small.world');
  row('Node file', await measure(() => FileStore.open(path), 'small', MB));
  const large = join(folder, 'large.world');
  row('Node file', await measure(() => FileStore.open(large), 'fill', MB));
  const times = [];
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    const store = await FileStore.open(large);
    await store.lease();
    await store.get(Uint8Array.of(111, 0, 0, 0, 0, 0, 0, i, 7));
    times.push(performance.now() - start);
    await store.close();
  }
  row('Node file', { [`open ${MB} MB, lease, first get (median of 5)`]: [times.sort((x, y) => x - y)[2]] });
  row('Node file', await measure(() => FileStore.open(large), 'large', MB));
  const memory = new MemoryStore();
  row('memory', await measure(async () => new MemoryStore(memory), 'small', MB));
} finally {
  await server.close();
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}
console.log('| where | what | p50 ms | p90 | p99 |\n| --- | --- | ---: | ---: | ---: |');
for (const [place, what, ...times] of table) console.log(`| ${place} | ${what} | ${[0, 1, 2].map((i) => times[i] ?? '').join(' | ')} |`);
