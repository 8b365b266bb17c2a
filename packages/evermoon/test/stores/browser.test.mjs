// The IndexedDB store in real Chromium, on a profile on the disk: the conformance suite, the lock, what only a real browser does.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchKept, page as newPage, serve } from './browser.mjs';
import { cases } from './conformance.mjs';
import { WAYS } from './faulty.mjs';

// `EVERMOON_LONG=1` for the long forms.
const long = process.env.EVERMOON_LONG === '1';

let server;
let browser;
before(async () => {
  server = await serve();
  browser = await launchKept();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

/** A page with the stores in it as globals; what it complains of fails the test. */
async function withPage(run, url = server.url) {
  const page = await newPage(browser.context, url);
  try {
    await page.evaluate(async () => {
      Object.assign(globalThis, await import('/dist/stores/index.js'));
      globalThis.conformance = await import('/test/stores/conformance.mjs');
      globalThis.b = conformance.b;
    });
    await run(page);
    assert.deepEqual(page.complaints, [], 'nothing on the console');
  } finally {
    await page.close();
  }
}

for (const way of ['newer', 'older']) {
  test(`conformance in Chromium, by the ${way} requests`, (t) =>
    withPage(async (page) => {
      const has = await page.evaluate((way) => {
        const has = 'getAllRecords' in IDBObjectStore.prototype;
        if (way === 'older') delete IDBObjectStore.prototype.getAllRecords;
        return has;
      }, way);
      if (way === 'newer' && !has) t.diagnostic('this Chromium has no getAllRecords');
      for (const name of Object.keys(cases)) {
        await t.test(name, () =>
          page.evaluate(
            async ([name, world]) => {
              await IndexedDBStore.delete(world);
              await conformance.cases[name]({ open: () => IndexedDBStore.open(world) });
              await IndexedDBStore.delete(world);
            },
            [name, `conformance ${way} ${name}`],
          ),
        );
      }
    }));
}

const inPages = (count, run) => {
  const more = (pages) => (pages.length === count ? run(...pages) : withPage((page) => more([...pages, page])));
  return more([]);
};

test('a second tab is told that the world is busy, and can wait for it', () =>
  inPages(2, async (one, two) => {
    await one.evaluate(async () => {
      globalThis.store = await IndexedDBStore.open('busy');
      globalThis.epoch = await store.lease();
      await store.commit(0, epoch, [{ kind: 'put', key: b('a'), value: b('one') }]);
    });
    const refused = await two.evaluate(async () => {
      globalThis.store = await IndexedDBStore.open('busy');
      return store.lease().catch((error) => [error.name, error.code, error.world, error.message, error instanceof WorldBusyError]);
    });
    assert.deepEqual([refused[0], refused[1], refused[2], refused[4]], ['WorldBusyError', 'busy', 'busy', true]);
    assert.match(refused[3], /another tab.*Close it there.*steal.*wait/);
    // It can read,
    assert.equal(await two.evaluate(async () => conformance.show(await store.get(b('a')))), 'one');
    // its failure has changed nothing,
    assert.equal(await one.evaluate(() => store.commit(1, epoch, [])), 2);
    // waiting can be given up, in two ways,
    assert.equal(await two.evaluate(() => store.lease({ ifBusy: 'wait', signal: AbortSignal.timeout(50) }).catch((e) => e.name)), 'TimeoutError');
    assert.equal(
      await two.evaluate(async () => {
        const other = await IndexedDBStore.open('busy');
        const waiting = other.lease({ ifBusy: 'wait' }).catch((e) => e.name);
        await other.close();
        return waiting;
      }),
      'StoreClosedError',
    );
    // and one that waits has it as soon as the other is closed.
    await two.evaluate(() => void (globalThis.waiting = store.lease({ ifBusy: 'wait' })));
    await one.evaluate(() => store.close());
    assert.deepEqual(await two.evaluate(async () => [await waiting, await store.commit(2, await waiting, [])]), [2, 3]);
    await two.evaluate(() => store.close());
  }));

test('a tab that is closed without a word leaves the world free', () =>
  withPage(async (two) => {
    await withPage((one) => one.evaluate(async () => (await IndexedDBStore.open('left')).lease()));
    assert.equal(await two.evaluate(async () => (await IndexedDBStore.open('left')).lease({ ifBusy: 'wait' })), 2);
  }));

test('a second tab can steal the world; the first is told and can commit no more', () =>
  inPages(2, async (one, two) => {
    await one.evaluate(async () => {
      globalThis.lost = [];
      globalThis.store = await IndexedDBStore.open('stolen');
      globalThis.epoch = await store.lease({ onLost: (reason) => lost.push([reason.name, reason.code, reason.message]) });
      await store.commit(0, epoch, [{ kind: 'put', key: b('a'), value: b('one') }]);
    });
    assert.equal(
      await two.evaluate(async () => {
        globalThis.store = await IndexedDBStore.open('stolen');
        return store.commit(1, await store.lease({ ifBusy: 'steal' }), [{ kind: 'put', key: b('a'), value: b('two') }]);
      }),
      2,
    );
    assert.deepEqual(
      await one.evaluate(() => store.commit(1, epoch, [{ kind: 'put', key: b('a'), value: b('lost') }]).catch((e) => [e.name, e.epoch, e.found, e.outcome])),
      ['StoreFencedError', 1, 2, 'none'],
    );
    const lost = await one.evaluate(() => lost);
    assert.equal(lost.length, 1, 'told once');
    assert.deepEqual(lost[0].slice(0, 2), ['StoreFencedError', 'fenced']);
    assert.match(lost[0][2], /taken over.*open the world again/i);
    assert.equal(await one.evaluate(async () => conformance.show(await store.get(b('a')))), 'two');
    // It may take the world back.
    assert.equal(await one.evaluate(() => store.lease({ ifBusy: 'steal' })), 3);
    await Promise.all([one, two].map((p) => p.evaluate(() => store.close())));
  }));

test('a world that is deleted while open is gone, and is not begun anew by accident', () =>
  inPages(2, async (one, two) => {
    await one.evaluate(async () => {
      globalThis.lost = [];
      globalThis.store = await IndexedDBStore.open('deleted');
      globalThis.epoch = await store.lease({ onLost: (reason) => lost.push(reason.code) });
      await store.commit(0, epoch, [{ kind: 'put', key: b('a'), value: b('one') }]);
    });
    assert.deepEqual(await two.evaluate(() => IndexedDBStore.delete('deleted').catch((e) => e.code)), 'busy');
    assert.ok(await two.evaluate(async () => (await IndexedDBStore.list()).includes('deleted')));
    await two.evaluate(() => IndexedDBStore.delete('deleted', { steal: true }));
    const code = (call) => one.evaluate(`${call}.then(() => 'nothing', (error) => [error.code, error.outcome])`);
    assert.deepEqual(await code("store.commit(1, epoch, [{ kind: 'put', key: b('a'), value: b('x') }])"), ['gone', 'none']);
    assert.deepEqual(await code("store.get(b('a'))"), ['gone', 'none']);
    assert.deepEqual(await code('store.lease()'), ['gone', 'none']);
    assert.equal((await one.evaluate(() => lost)).length, 1);
    assert.ok(!(await two.evaluate(async () => (await IndexedDBStore.list()).includes('deleted'))), 'no ghost of it');
    await one.evaluate(() => store.close());
  }));

test('the browser clears the site\'s data under an open world', () =>
  withPage(async (page) => {
    await page.evaluate(async () => {
      globalThis.store = await IndexedDBStore.open('cleared');
      globalThis.epoch = await store.lease();
      await store.commit(0, epoch, [{ kind: 'put', key: b('a'), value: b('one') }]);
    });
    const cdp = await browser.context.newCDPSession(page);
    const clear = (storageTypes) => cdp.send('Storage.clearDataForOrigin', { origin: new URL(server.url).origin, storageTypes });
    await clear('all');
    assert.equal(await page.evaluate(() => store.commit(1, epoch, []).then(() => 'saved', (e) => e.code)), 'gone');
    await page.evaluate(() => store.close());
    // Opening it again begins an empty one.
    const again = () => page.evaluate(async () => (await IndexedDBStore.open('cleared')).head().then((head) => [head.version, head.epoch], (e) => e.code));
    assert.deepEqual(await again(), [0, 0]);
    // Of its databases alone, which nobody asks a browser for: that is a loss.
    await page.evaluate(async () => {
      const store = await IndexedDBStore.open('cleared');
      await store.commit(0, await store.lease(), []);
      await store.close();
    });
    await clear('indexeddb');
    assert.equal(await page.evaluate(() => IndexedDBStore.open('cleared').catch((e) => e.code)), 'lost');
  }));

test('a world of a newer layout is not touched', () =>
  withPage(async (page) => {
    const told = await page.evaluate(async () => {
      await new Promise((resolve) => {
        const request = indexedDB.open('evermoon:newer', 9);
        request.onsuccess = () => resolve(request.result.close());
      });
      return IndexedDBStore.open('newer').catch((e) => [e.name, e.message]);
    });
    assert.equal(told[0], 'StoreNewerError');
    assert.match(told[1], /"newer".*Reload/);
  }));

test('a full disk is named, and has no effect', () => {
  // An origin of its own: Chromium remembers for a while how much room an origin has.
  const { port } = new URL(server.url);
  const origin = `http://127.0.0.1:${port}`;
  return withPage(async (page) => {
    const cdp = await browser.context.newCDPSession(page);
    try {
      await cdp.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 3_000_000 });
      const told = await page.evaluate(async () => {
        // Its noise would need more room than there is.
        globalThis.store = await IndexedDBStore.open('full', { freshLog: false });
        globalThis.epoch = await store.lease();
        await store.commit(0, epoch, [{ kind: 'put', key: b('a'), value: b('one') }]);
        const noise = new Uint8Array(1_000_000);
        for (let i = 0; i < noise.length; i += 65_536) crypto.getRandomValues(noise.subarray(i, Math.min(i + 65_536, noise.length)));
        const big = Array.from({ length: 8 }, (_, i) => ({ kind: 'put', key: conformance.id(i), value: noise }));
        return store.commit(1, epoch, [{ kind: 'put', key: b('a'), value: b('two') }, ...big]).then(
          () => 'saved',
          (e) => [e.name, e.code, e.outcome, e.message],
        );
      });
      assert.deepEqual(told.slice(0, 3), ['StoreFullError', 'full', 'none']);
      assert.match(told[3], /no more room.*nothing.*Free space/i);
      // The world is whole, and what is small enough still goes in.
      assert.deepEqual(
        await page.evaluate(async () => [await store.head(), (await store.scan()).length, await store.commit(1, epoch, [])]),
        [{ version: 1, epoch: 1 }, 1, 2],
      );
      await page.evaluate(() => store.close());
    } finally {
      await cdp.send('Storage.overrideQuotaForOrigin', { origin });
    }
  }, `${origin}/`);
});

test('in a worker', () =>
  withPage(async (page) => {
    const result = await page.evaluate(
      () =>
        new Promise((resolve, reject) => {
          const source = `
            import { IndexedDBStore } from '${location.origin}/dist/stores/index.js';
            const store = await IndexedDBStore.open('worker');
            const version = await store.commit(0, await store.lease(), []);
            const kind = (await store.persistence({ ask: true })).kind;
            await store.close();
            postMessage([version, kind]);`;
          const worker = new Worker(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })), { type: 'module' });
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = (event) => reject(new Error(event.message));
        }),
    );
    assert.deepEqual(result, [1, 'best-effort']);
  }));

for (const way of WAYS) {
  test(`every step fails in Chromium: ${way}`, (t) =>
    withPage(async (page) => {
      for (const twice of [false, true]) {
        const { lives, troubles, steps } = await page.evaluate(
          async ([way, twice]) => {
            const { Faults, strikeAll } = await import('/test/stores/faulty.mjs');
            let n = 0;
            return strikeAll(way, twice, async (way, when) => {
              const name = `faults ${way} ${twice} ${n++}`;
              const faults = new Faults(indexedDB, way, when);
              return {
                faults,
                open: () => IndexedDBStore.open(name, { indexedDB: faults.indexedDB }),
                clean: () => IndexedDBStore.open(name),
              };
            });
          },
          [way, twice],
        );
        t.diagnostic(`${twice ? 'three in a row' : 'one'}: ${lives} lives; struck ${JSON.stringify(steps)}; told ${JSON.stringify(troubles)}`);
        assert.ok(lives > 40, `${lives} lives`);
      }
    }));
}

// Each round both want to write the next version, in one of three manners; the epoch and the version decide, with locks or without.
for (const locks of [true, false]) {
  const rounds = long ? 10_000 : 300;
  test(`two tabs race for one world, ${rounds} attempts each, ${locks ? 'stealing its lock' : 'without locks'}: never two commits of one version`, (t) =>
    inPages(2, async (...pages) => {
      const world = `race ${locks}`;
      const play = () => async ([me, world, rounds, locks]) => {
        const store = await IndexedDBStore.open(world, locks ? {} : { locks: null });
        const acked = [];
        const refused = {};
        let epoch = 0;
        let version = (await store.head()).version;
        for (let round = 0; round < rounds; round++) {
          try {
            if (epoch === 0) {
              epoch = await store.lease({ ifBusy: 'steal' });
              version = (await store.head()).version;
            }
            const batch = [
              { kind: 'put', key: conformance.id(version + 1), value: b(`${me} ${round}`) },
              { kind: 'put', key: b('last'), value: b(`${me} ${round}`) },
            ];
            version = await store.commit(version, epoch, batch, { durability: round % 50 ? 'relaxed' : 'durable' });
            acked.push([version, `${me} ${round}`]);
          } catch (error) {
            refused[error.code ?? error.name] = (refused[error.code ?? error.name] ?? 0) + 1;
            if (!['fenced', 'conflict', 'busy'].includes(error.code) && error.name !== 'AbortError') throw error;
            if (error.outcome === 'unknown') throw new Error('nobody pulled a plug here');
            epoch = 0;
          }
        }
        await store.close();
        return { acked, refused };
      };
      const results = await Promise.all(pages.map((page, me) => page.evaluate(play(), [me, world, rounds, locks])));
      const all = results.flatMap((r) => r.acked);
      const versions = new Map(all);
      assert.equal(versions.size, all.length, 'no version is acknowledged twice');
      const found = await pages[0].evaluate(async (world) => {
        const store = await IndexedDBStore.open(world);
        const entries = await store.scan();
        const head = await store.head();
        await store.close();
        return { version: head.version, epoch: head.epoch, entries: entries.map(([k, v]) => [k.length === 9 ? Number(new DataView(k.buffer).getBigUint64(1)) : 'last', conformance.show(v)]) };
      }, world);
      assert.equal(found.version, all.length, 'each version is acknowledged once');
      const records = new Map(found.entries);
      for (const [version, text] of versions) assert.equal(records.get(version), text, `version ${version}`);
      assert.equal(records.size, all.length + 1);
      assert.equal(records.get('last'), versions.get(found.version));
      t.diagnostic(`${all.length} commits (${results.map((r) => r.acked.length).join(' and ')}), epoch ${found.epoch}, refused ${JSON.stringify(results.map((r) => r.refused))}`);
      assert.ok(results.every((r) => r.acked.length > 0), 'each wrote some');
      assert.ok(results.some((r) => Object.keys(r.refused).length > 0), 'they did meet');
    }));
}

test('a database that Chromium has dropped is not begun anew without a word', () =>
  withPage(async (page) => {
    const told = await page.evaluate(async () => {
      const visit = async (options) => {
        const store = await IndexedDBStore.open('dropped', options);
        const { version } = await store.head();
        const epoch = await store.lease();
        await store.commit(version, epoch, [{ kind: 'put', key: b('a'), value: b('b') }]);
        await store.close();
        return version;
      };
      const told = [await visit(), await visit()];
      // As the browser does it: behind our back.
      await new Promise((resolve) => (indexedDB.deleteDatabase('evermoon:dropped').onsuccess = resolve));
      told.push(await visit().catch((error) => [error.name, error.had, error.found]));
      told.push(await visit({ ifLost: 'accept' }), await visit());
      await IndexedDBStore.delete('dropped');
      told.push(await visit());
      return told;
    });
    assert.deepEqual(told, [0, 1, ['StoreLostError', 1, 0], 0, 1, 0]);
  }));
