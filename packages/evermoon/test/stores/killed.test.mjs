// Chromium killed with SIGKILL while it commits, again and again: what was acknowledged is there, whole; or Chromium itself says that it has dropped its
// database for corrupt (`docs/stores-js.md` tells how that comes about), and the store says that the world was lost.
import assert from 'node:assert/strict';
import { appendFileSync, cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { serve, spawnBrowser } from './browser.mjs';
import { random } from './conformance.mjs';

const rounds = Number(process.env.EVERMOON_KILLS ?? (process.env.EVERMOON_LONG === '1' ? 100 : 6));

test(`killing Chromium ${rounds} times`, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'evermoon-killed-'));
  let acked = 0;
  let found;
  let failed;
  /** Databases that Chromium has dropped, the round of the last, and what the store has said of them. */
  let dropped = 0;
  let since = 0;
  let losses = [];
  const server = await serve((path, text) => {
    const value = JSON.parse(text);
    // A commit counts from the moment that the page heard of it; we hear a little later, hence know of fewer.
    if (path === '/acked' && value.durability === 'durable') acked = Math.max(acked, value.version);
    if (path === '/found') found(value);
    if (path === '/lost') losses.push(value);
    if (path === '/failed') failed(new Error(value));
    return '';
  });
  const seed = Number(process.env.SEED ?? Date.now() % 1e9);
  t.diagnostic(`SEED=${seed}`);
  const rnd = random(seed);
  try {
    let during = 0;
    for (let round = 0; round <= rounds; round++) {
      const told = new Promise((resolve, reject) => {
        found = resolve;
        failed = reject;
        setTimeout(() => reject(new Error('the page said nothing for 60 s')), 60_000).unref();
      });
      const browser = spawnBrowser(folder, `${server.url}test/stores/killed.html`);
      try {
        const before = acked;
        const { version, epoch, wrong } = await told.catch((error) => assert.fail(`round ${round}, with ${before} acknowledged: ${error.message}\n${lookAround(folder)}`));
        assert.deepEqual(wrong, [], `round ${round}: whole`);
        if (version < before && readFileSync(join(folder, 'chromium.log'), 'utf8').includes('recovering from a corrupted (and deleted) database')) {
          t.diagnostic(`round ${round}: Chromium has dropped its database, with ${before} acknowledged; the store said ${JSON.stringify(losses)}`);
          assert.equal(version, 0);
          // The note is there, unless the browser was killed before it had written that.
          for (const { had, found } of losses.splice(0)) assert.ok(had > 0 && had <= before && found === 0);
          dropped++;
          since = round;
          acked = 0;
        } else if (version < before) assert.fail(`round ${round}: version ${version} and epoch ${epoch}, but ${before} was acknowledged\n${lookAround(folder)}`);
        assert.equal(epoch, round - since + 1, 'each lease has lasted');
        if (round < rounds) await new Promise((resolve) => setTimeout(resolve, 50 + rnd(600)));
        during += acked > before;
      } finally {
        await browser.kill();
      }
      // As the kill has left it, before the next browser looks at it.
      const data = join(folder, 'Default/IndexedDB');
      const kept = join(folder, 'as-killed');
      rmSync(kept, { recursive: true, force: true });
      if (existsSync(data)) cpSync(data, join(kept, 'IndexedDB'), { recursive: true, preserveTimestamps: true });
    }
    assert.deepEqual(losses, [], 'no loss was told where there was none');
    t.diagnostic(`${dropped} databases dropped by Chromium; ${acked} commits acknowledged; ${during} of ${rounds} kills while committing`);
    assert.ok(during >= rounds / 2, 'it was killed while it committed');
  } finally {
    await server.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
});

// The same made certain: what a kill leaves between a log record's head and its body. With a fresh log nothing is lost; without, the loss is told.
for (const log of ['fresh', 'old']) test(`a log that a kill has torn, ${log} log`, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'evermoon-torn-'));
  const heard = [];
  let wake = () => {};
  const server = await serve((path, text) => {
    heard.push([path, JSON.parse(text)]);
    wake();
    return '';
  });
  /** Starts a browser, waits until it has said this, lets it go on for a while, and kills it. */
  const live = async (...whats) => {
    heard.length = 0;
    const browser = spawnBrowser(folder, `${server.url}test/stores/killed.html?${log}-log`);
    const late = setTimeout(() => wake('late'), 60_000);
    try {
      const has = (what) => heard.find(([path]) => path === `/${what}`)?.[1];
      while (!whats.every(has)) {
        const told = await new Promise((resolve) => (wake = resolve));
        if (told === 'late' || has('failed')) assert.fail(`the page said ${JSON.stringify(heard.slice(-3))}\n${lookAround(folder)}`);
      }
      // The note in the cache is written behind the first commit.
      await new Promise((resolve) => setTimeout(resolve, 1500));
      return { found: has('found'), lost: has('lost'), acked: heard.filter(([path]) => path === '/acked').at(-1)?.[1].version };
    } finally {
      clearTimeout(late);
      await browser.kill();
    }
  };
  try {
    const first = await live('found', 'acked');
    const data = join(folder, 'Default/IndexedDB');
    const logs = readdirSync(data, { recursive: true }).filter((name) => name.endsWith('.log'));
    if (logs.length === 0) return t.skip('this Chromium keeps no LevelDB log');
    // A check sum, a length of 71, "whole": and no body.
    appendFileSync(join(data, logs.sort().at(-1)), Buffer.from([0xbf, 0xcf, 0xe7, 0x66, 71, 0, 1]));
    const second = await live('found', 'acked');
    assert.ok(second.found.version >= first.acked - 1 && second.found.wrong.length === 0, 'the torn record was none yet');
    const third = await live('found');
    if (log === 'old' && third.found.version === 0) {
      assert.match(readFileSync(join(folder, 'chromium.log'), 'utf8'), /recovering from a corrupted \(and deleted\) database/);
      assert.ok(third.lost?.had > 0 && third.lost.found === 0, `the store said ${JSON.stringify(third.lost)}`);
    } else {
      assert.ok(third.found.version >= second.acked - 1 && third.found.wrong.length === 0, JSON.stringify([first, second, third]));
    }
    t.diagnostic(third.lost ? `Chromium has dropped the database, and the store has told of ${third.lost.had} commits` : 'this Chromium has kept it');
  } finally {
    await server.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
});

/** What is left of the data on the disk, what there was after the kill (`as-killed`), and what Chromium says of it. */
function lookAround(folder) {
  const files = readdirSync(folder, { recursive: true }).filter((name) => /IndexedDB|WebStorage|Local Storage/.test(name));
  const sizes = files.map((name) => {
    const stat = statSync(join(folder, name), { throwIfNoEntry: false });
    return `${stat?.mtime.toISOString()} ${stat?.size} ${name}`;
  });
  return [...sizes, readFileSync(join(folder, 'chromium.log'), 'utf8').slice(-8000)].join('\n');
}
