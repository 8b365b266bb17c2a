// The file store: the stores' promises, and then everything that can happen to a file.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import * as nodeFs from 'node:fs';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FileStore } from '../../dist/stores/node.js';
import { b, cases, fails, id, random, show } from './conformance.mjs';

const long = process.env.EVERMOON_LONG === '1';
const folder = mkdtempSync(join(tmpdir(), 'evermoon-file-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const fresh = () => join(folder, `${++files}.world`);
const put = (key, value) => ({ kind: 'put', key: typeof key === 'string' ? b(key) : key, value: typeof value === 'string' ? b(value) : value });
const seed = Number(process.env.SEED ?? Date.now() % 1e9);

for (const [name, run] of Object.entries(cases)) {
  test(`file: ${name}`, async () => {
    const path = fresh();
    await run({ open: () => FileStore.open(path) });
    assert.deepEqual(readdirSync(folder).filter((f) => f.includes('.lock-') || f.includes('.new-')), [], 'nothing is left beside it');
  });
}

/** All that a store holds, as text. */
async function contents(store) {
  return (await store.scan()).map(([k, v]) => `${String.fromCharCode(...k)}=${show(v)}`).join(';');
}

/** A file with some commits of all kinds; `states[v]` is what the world holds at version v, `ends[v]` where the file ended then. */
async function history(path, { close = true, commits = 12, relaxed = () => false } = {}) {
  const store = await FileStore.open(path);
  const epoch = await store.lease();
  const states = [''];
  const ends = [(await store.stats()).fileBytes];
  for (let v = 0; v < commits; v++) {
    const batch = [put(id(v % 5), `value ${v} `.repeat(1 + ((v * 7) % 20))), put('version', `${v + 1}`)];
    if (v % 4 === 3) batch.push({ kind: 'delete', key: id((v + 2) % 5) });
    if (v % 6 === 5) batch.push({ kind: 'deleteRange', from: id(1), to: id(3) });
    await store.commit(v, epoch, batch, { durability: relaxed(v) ? 'relaxed' : 'durable' });
    states.push(await contents(store));
    ends.push((await store.stats()).fileBytes);
  }
  if (close) await store.close();
  return { store, epoch, states, ends };
}

test('cut off at every byte of its last frames: the world is at the last whole commit, and goes on', async () => {
  const path = fresh();
  const { states, ends } = await history(path);
  const bytes = readFileSync(path);
  const from = ends[ends.length - 3];
  let cuts = 0;
  for (let n = from; n <= bytes.length; n++) {
    const cut = fresh();
    writeFileSync(cut, bytes.subarray(0, n));
    const store = await FileStore.open(cut);
    const { version, epoch } = await store.head();
    assert.equal(version, ends.findLastIndex((end) => end <= n), `cut at ${n}`);
    assert.equal(await contents(store), states[version], `cut at ${n}`);
    const whole = ends.includes(n) || n === bytes.length;
    assert.deepEqual(store.cut, whole ? undefined : { at: ends[version], bytes: n - ends[version] }, `cut at ${n}`);
    if (n % 16) {
      await store.close();
      rmSync(cut);
      cuts += 1;
      continue;
    }
    // It is a world to work on.
    assert.equal(await store.commit(version, epoch, [put('more', 'x')]), version + 1);
    await store.close();
    const again = await FileStore.open(cut);
    assert.equal((await again.head()).version, version + 1);
    assert.equal(show(await again.get(b('more'))), 'x');
    await again.close();
    rmSync(cut);
    cuts += 1;
  }
  assert.ok(cuts > 500, `${cuts} cuts`);
});

test('every byte of it flipped: damage is told, or was in nothing that counts', async (t) => {
  const path = fresh();
  const { states } = await history(path, { commits: 6 });
  const bytes = readFileSync(path);
  const last = states.length - 1;
  const seen = {};
  for (let n = 0; n < bytes.length; n++) {
    const flipped = Buffer.from(bytes);
    flipped[n] ^= 1 << n % 8;
    const broken = fresh();
    writeFileSync(broken, flipped);
    let outcome;
    try {
      const store = await FileStore.open(broken);
      const { version } = await store.head();
      // Closed in order, every byte but those of the very last frame (`closed`: it holds nothing) was on the disk for sure.
      assert.equal(version, last, `byte ${n}`);
      assert.equal(await contents(store), states[last], `byte ${n}`);
      outcome = store.cut ? 'closing frame' : 'without effect';
      await store.close();
    } catch (error) {
      assert.ok(['corrupt', 'format', 'not_a_store'].includes(error.code), `byte ${n}: ${error.stack}`);
      outcome = error.code;
    }
    seen[outcome] = (seen[outcome] ?? 0) + 1;
    assert.deepEqual(readdirSync(folder).filter((f) => f.includes('.lock-')), []);
    rmSync(broken);
  }
  t.diagnostic(JSON.stringify(seen));
  assert.ok(seen.corrupt > bytes.length - 100);
});

test('damage in the midst can be cut off, and what is cut is kept', async () => {
  const path = fresh();
  const { states, ends } = await history(path);
  const bytes = readFileSync(path);
  bytes[ends[7] + 90] ^= 1;
  writeFileSync(path, bytes);
  const error = await fails('corrupt', FileStore.open(path));
  assert.match(error.message, /whole up to version 7.*onCorrupt/);
  assert.deepEqual(readFileSync(path), bytes, 'nothing is touched before that');
  const store = await FileStore.open(path, { onCorrupt: 'cut' });
  assert.deepEqual(await store.head(), { version: 7, epoch: 1 });
  assert.equal(await contents(store), states[7]);
  await store.close();
  assert.deepEqual(readFileSync(`${path}.damaged`), bytes.subarray(ends[7]));
});

test('a value that goes bad under an open store is told, and named', async () => {
  const path = fresh();
  const { store, epoch } = await history(path, { close: false });
  const file = nodeFs.openSync(path, 'r+');
  nodeFs.writeSync(file, 'V', readFileSync(path).lastIndexOf('value 10 value 10'));
  nodeFs.closeSync(file);
  const error = await fails('corrupt', store.get(id(0)));
  assert.deepEqual([...error.key], [...id(0)]);
  await fails('corrupt', store.scan());
  const { entries, damage } = await store.verify();
  assert.equal(entries, 2);
  assert.equal(damage.length, 1);
  assert.match(damage[0], /^the entry o 00 00 00 00 00 00 00 00 of .* is damaged \(at byte \d+\)/);
  assert.equal(show(await store.get(b('version'))), '12', 'the rest can be read');
  assert.equal(await store.commit(12, epoch, [put(id(0), 'new')]), 13, 'and be written over');
  assert.equal(show(await store.get(id(0))), 'new');
  await store.close();
});

test('other files are refused, and left alone', async () => {
  for (const [text, code] of [
    ['return 1 -- some program\n', 'not_a_store'],
    ['e', 'not_a_store'],
    ['evmlog1\n short', 'corrupt'],
  ]) {
    const path = fresh();
    writeFileSync(path, text);
    await fails(code, FileStore.open(path));
    assert.equal(readFileSync(path, 'utf8'), text);
  }
  const empty = fresh();
  writeFileSync(empty, '');
  await (await FileStore.open(empty)).close();
  const error = await FileStore.open(join(folder, 'no', 'such', 'folder')).catch((e) => e);
  assert.equal(error.code, 'io');
  assert.match(error.message, /could not be opened.*ENOENT/);
});

test('compaction keeps the world, by itself as well', async () => {
  const path = fresh();
  const store = await FileStore.open(path);
  const epoch = await store.lease();
  const big = 'x'.repeat(100_000);
  for (let v = 0; v < 200; v++) await store.commit(v, epoch, [put(id(v % 10), `${v} ${big}`), put('v', `${v}`)], { durability: 'relaxed' });
  const { fileBytes, payloadBytes, entries } = await store.stats();
  assert.equal(entries, 11);
  assert.ok(fileBytes < 4 * payloadBytes + 5e6, `20 MB were written, the file has ${fileBytes}`);
  const before = await contents(store);
  await store.vacuum();
  const after = await store.stats();
  assert.ok(after.fileBytes < payloadBytes + 2000, `${after.fileBytes} for ${payloadBytes}`);
  assert.equal(await contents(store), before);
  assert.deepEqual(await store.head(), { version: 200, epoch });
  assert.equal(await store.commit(200, epoch, [put('v', 'after')]), 201);
  await store.close();
  const again = await FileStore.open(path);
  assert.deepEqual(await again.head(), { version: 201, epoch });
  assert.equal(await contents(again), before.replace(/v=199$/, 'v=after'));
  // An empty world keeps its version.
  const next = await again.lease();
  await again.commit(201, next, [{ kind: 'deleteRange', from: b('') }]);
  await again.vacuum();
  await again.close();
  const empty = await FileStore.open(path);
  assert.deepEqual(await empty.head(), { version: 202, epoch: next });
  assert.equal((await empty.stats()).entries, 0);
  await empty.close();
  assert.deepEqual(readdirSync(folder).filter((f) => f.includes('.new-')), []);
});

/**
 * A file system that writes down what reaches it, and fails at the n-th call. `image` gives what a disk may hold after the power went at
 * that moment: what was synced, and of what was not any part, torn anywhere, in any order; of a renaming, either side until the folder is synced.
 */
class Disk {
  constructor(path, { failAt = Infinity, code = 'EIO', partly = false } = {}) {
    this.calls = 0;
    this.failed = undefined;
    this.onStep = undefined;
    // What the name leads to, and what it led to before a renaming that the folder may not know of yet: `{ synced, pending }`.
    this.now = undefined;
    this.before = undefined;
    const disk = this;
    const files = new Map();
    const step = (what) => {
      disk.onStep?.(what);
      if (++disk.calls !== failAt) return;
      disk.failed = what;
      throw Object.assign(new Error(`${code}: as wanted by the test`), { code });
    };
    this.fs = {
      readSync: nodeFs.readSync,
      promises: {
        readdir: nodeFs.promises.readdir,
        async open(name, flags) {
          step('open');
          const handle = await nodeFs.promises.open(name, flags);
          if (!files.has(name)) files.set(name, { synced: flags.startsWith('wx') || flags === 'r' ? Buffer.alloc(0) : readFileSync(name), pending: [] });
          const file = files.get(name);
          if (name === path) disk.now = file;
          return {
            fd: handle.fd,
            stat: () => handle.stat(),
            read: (...args) => handle.read(...args),
            close: () => handle.close(),
            // Only of the folder.
            async sync() {
              step('sync');
              await handle.sync();
              disk.before = undefined;
            },
            async write(bytes, from, length, at) {
              try {
                step('write');
              } catch (error) {
                // A full disk takes a part.
                if (partly && length > 1) await handle.write(bytes, from, length >> 1, at);
                throw error;
              }
              file.pending.push([at, Buffer.from(bytes.subarray(from, from + length))]);
              return handle.write(bytes, from, length, at);
            },
            async truncate(size) {
              step('truncate');
              file.pending.push(['truncate', size]);
              return handle.truncate(size);
            },
            async datasync() {
              step('datasync');
              await handle.datasync();
              file.synced = Disk.written(file);
              file.pending = [];
            },
          };
        },
        async rename(from, to) {
          step('rename');
          await nodeFs.promises.rename(from, to);
          disk.before = disk.now;
          disk.now = files.get(from);
          files.set(to, disk.now);
        },
        async unlink(name) {
          step('unlink');
          return nodeFs.promises.unlink(name);
        },
      },
    };
  }

  static written(file, what = () => 4) {
    let bytes = file.synced;
    for (const [at, data] of file.pending) {
      const how = what(5);
      if (at === 'truncate') {
        if (how) bytes = bytes.subarray(0, data);
        continue;
      }
      if (how === 0) continue; // never arrived
      let [from, to] = [0, data.length];
      if (how === 1) to = what(data.length + 1);
      if (how === 2) from = what(data.length + 1);
      const next = Buffer.alloc(Math.max(bytes.length, at + (how === 1 ? to : data.length))); // what was extended and not written is zeros
      bytes.copy(next);
      data.copy(next, at + from, from, to);
      bytes = next;
    }
    return bytes;
  }

  image(rnd) {
    return Disk.written(this.before && rnd(2) ? this.before : this.now, rnd);
  }
}

test('the power goes at any moment: no durable commit is lost, and nothing is torn or out of order', async (t) => {
  t.diagnostic(`SEED=${seed}`);
  const rnd = random(seed);
  let images = 0;
  let lost = 0;
  const rounds = long ? 200 : 12;
  for (let round = 0; round < rounds; round++) {
    const path = fresh();
    const disk = new Disk(path);
    const states = [''];
    let durable = 0;
    let made = 0;
    const checks = [];
    disk.onStep = () => {
      // Before there is an acknowledged world there is nothing to keep.
      if (!disk.now) return;
      for (let n = 0; n < 3; n++) checks.push({ bytes: disk.image(rnd), durable, made, possible: Math.min(made + 1, states.length - 1) });
    };
    const store = await FileStore.open(path, { fs: disk.fs });
    const epoch = await store.lease();
    const commits = 4 + rnd(6);
    for (let v = 0; v < commits; v++) {
      const relaxed = rnd(2) === 0;
      const batch = [put('version', `${v + 1}`), put(id(rnd(6)), `${v} `.repeat(rnd(200)))];
      if (rnd(3) === 0) batch.push({ kind: 'deleteRange', from: id(2), to: id(4) });
      // What it will be, for images taken while it is on its way.
      const model = new Map(states[v] ? states[v].split(';').map((e) => e.split('=')) : []);
      for (const w of batch) {
        if (w.kind === 'put') model.set(String.fromCharCode(...w.key), show(w.value));
        else for (const k of [...model.keys()]) if (k >= String.fromCharCode(...w.from) && k < String.fromCharCode(...w.to)) model.delete(k);
      }
      states.push([...model].sort(([x], [y]) => (x < y ? -1 : 1)).map((e) => e.join('=')).join(';'));
      made = v;
      await store.commit(v, epoch, batch, { durability: relaxed ? 'relaxed' : 'durable' });
      made = v + 1;
      if (!relaxed) durable = v + 1;
      if (rnd(4) === 0) {
        await store.vacuum();
        durable = v + 1;
      }
      assert.equal(await contents(store), states[v + 1]);
    }
    await store.close();
    for (const { bytes, durable, made, possible } of checks) {
      const image = fresh();
      writeFileSync(image, bytes);
      const store = await FileStore.open(image);
      const { version } = await store.head();
      assert.ok(version >= durable && version <= possible, `SEED=${seed} round ${round}: version ${version}, durable ${durable}, made ${made}`);
      assert.equal(await contents(store), states[version], `SEED=${seed} round ${round}, version ${version}`);
      await store.close();
      rmSync(image);
      images += 1;
      lost += version < made;
    }
    rmSync(path, { force: true });
  }
  t.diagnostic(`${images} images; ${lost} had lost relaxed commits`);
  assert.ok(images > rounds * 30 && lost > 0);
});

for (const [code, partly, wanted] of [
  ['EIO', false, 'io'],
  ['ENOSPC', true, 'full'],
]) {
  test(`every call of the file system fails with ${code}, one at a time`, async (t) => {
    const seen = {};
    for (let n = 1; ; n++) {
      const path = fresh();
      const disk = new Disk(path, { failAt: n, code, partly });
      let version = 0;
      let doubt = false;
      const states = [''];
      const note = (error) => {
        assert.ok(error.code === wanted || error.code === 'io', `call ${n} (${disk.failed}): ${error.stack}`);
        assert.ok(error.message.length > 30);
        doubt ||= error.outcome === 'unknown';
        seen[`${disk.failed} ${error.code} ${error.outcome}`] = (seen[`${disk.failed} ${error.code} ${error.outcome}`] ?? 0) + 1;
      };
      const work = async () => {
        const store = await FileStore.open(path, { fs: disk.fs });
        try {
          assert.equal((await store.head()).version, version);
          assert.equal(await contents(store), states[version]);
          const epoch = await store.lease();
          for (let i = 0; i < 4; i++) {
            const batch = [put(id(i), 'x'.repeat(1000 * (version + 1))), put('v', `${version + 1}`)];
            if (i === 2) batch.push({ kind: 'delete', key: id(0) });
            const model = new Map(states[version] ? states[version].split(';').map((e) => e.split('=')) : []);
            for (const w of batch) w.kind === 'put' ? model.set(String.fromCharCode(...w.key), show(w.value)) : model.delete(String.fromCharCode(...w.key));
            states[version + 1] = [...model].sort(([x], [y]) => (x < y ? -1 : 1)).map((e) => e.join('=')).join(';');
            try {
              assert.equal(await store.commit(version, epoch, batch, { durability: i === 1 ? 'relaxed' : 'durable' }), version + 1);
              version += 1;
            } catch (error) {
              if (error.code === 'ERR_ASSERTION') throw error;
              note(error);
              // Nothing of it can be seen.
              assert.equal(await contents(store), states[version]);
              if (error.outcome === 'none' && error.code === 'full') i -= 1; // room was made
              else return false;
            }
            if (i === 2) await store.vacuum().catch(note);
          }
          return true;
        } finally {
          await store.close().catch(note);
        }
      };
      for (let tries = 0; ; tries++) {
        assert.ok(tries < 3, `call ${n} (${disk.failed})`);
        try {
          if (await work()) break;
        } catch (error) {
          if (error.code === 'ERR_ASSERTION') throw error;
          note(error);
        }
        if (doubt) {
          const store = await FileStore.open(path);
          const head = await store.head();
          assert.ok(head.version === version || head.version === version + 1);
          version = head.version;
          await store.close();
          doubt = false;
        }
      }
      const store = await FileStore.open(path);
      assert.equal((await store.head()).version, version, `call ${n} (${disk.failed})`);
      assert.equal(await contents(store), states[version], `call ${n} (${disk.failed})`);
      await store.close();
      assert.deepEqual(readdirSync(folder).filter((f) => f.includes('.lock-') || f.includes('.new-')), [], `call ${n} (${disk.failed})`);
      if (!disk.failed) {
        t.diagnostic(`${n - 1} calls; ${JSON.stringify(seen)}`);
        assert.ok(n > 20);
        break;
      }
    }
  });
}

const child = fileURLToPath(new URL('file-child.mjs', import.meta.url));

test('kill -9 while it commits, again and again', async (t) => {
  const rounds = Number(process.env.EVERMOON_KILLS ?? (long ? 300 : 15));
  const path = fresh();
  let acked = 0;
  let cuts = 0;
  let during = 0;
  const rnd = random(seed);
  t.diagnostic(`SEED=${seed}`);
  for (let round = 0; round < rounds; round++) {
    const process = spawn('node', [child, 'commit', path], { stdio: ['ignore', 'pipe', 'inherit'] });
    const before = acked;
    const ended = new Promise((resolve) => process.once('close', resolve));
    let text = '';
    const first = new Promise((resolve) => {
      process.stdout.on('data', (chunk) => {
        text += chunk;
        const lines = text.split('\n');
        text = lines.pop();
        for (const line of lines) acked = Math.max(acked, Number(line));
        resolve();
      });
      ended.then(resolve);
    });
    await first;
    await new Promise((resolve) => setTimeout(resolve, rnd(60)));
    process.kill('SIGKILL');
    await ended;
    assert.ok(acked >= before);
    during += acked > before;
    const store = await FileStore.open(path);
    const { version, epoch } = await store.head();
    cuts += store.cut !== undefined;
    assert.ok(version >= acked, `version ${version}, acknowledged ${acked}`);
    assert.equal(epoch, round + 1);
    for (let v = Math.max(1, version - 400); v <= version; v++) assert.equal(show(await store.get(id(v))), `${v} `.repeat(v % 300), `version ${v}`);
    if (version > 0) assert.equal(show(await store.get(b('version'))), `${version}`);
    await store.close();
  }
  t.diagnostic(`${acked} commits, ${cuts} unfinished ends cut off`);
  assert.equal(during, rounds);
});

test('two processes race for one file: never two commits of one version', async (t) => {
  const attempts = long ? 10_000 : 300;
  const path = fresh();
  const run = (who) =>
    new Promise((resolve, reject) => {
      const process = spawn('node', [child, 'race', path, who, String(attempts)], { stdio: ['ignore', 'pipe', 'inherit'] });
      let text = '';
      process.stdout.on('data', (chunk) => (text += chunk));
      process.once('close', (code) => (code === 0 ? resolve(JSON.parse(text)) : reject(new Error(`exit code ${code}`))));
    });
  const results = await Promise.all([run('a'), run('b')]);
  const all = results.flatMap((r) => r.acked);
  const versions = new Map(all);
  assert.equal(versions.size, all.length, 'no version twice');
  const store = await FileStore.open(path);
  assert.equal((await store.head()).version, all.length);
  for (const [version, text] of versions) assert.equal(show(await store.get(id(version))), text);
  await store.close();
  t.diagnostic(`${results.map((r) => `${r.acked.length} commits, busy ${r.busy}`).join('; ')}`);
  assert.ok(results.every((r) => r.acked.length > 0) && results.some((r) => r.busy > 0));
});

test('who has it open is told; the lock of the dead is nobody\'s', async () => {
  const path = fresh();
  const one = await FileStore.open(path);
  const error = await fails('busy', FileStore.open(path));
  assert.equal(error.world, path);
  assert.match(error.message, new RegExp(`process ${process.pid} \\(this one\\).*Close it there`));
  const waiting = FileStore.open(path, { ifBusy: 'wait' });
  await assert.rejects(FileStore.open(path, { ifBusy: 'wait', signal: AbortSignal.timeout(80) }), { name: 'TimeoutError' });
  await one.close();
  const two = await waiting;
  // Somebody deletes the lock file, wrongly: better no commit than two writers.
  const lost = [];
  const epoch = await two.lease({ onLost: (reason) => lost.push(reason.code) });
  for (const name of readdirSync(folder)) if (name.includes('.lock-')) rmSync(join(folder, name));
  await fails('fenced', two.commit(0, epoch, []));
  assert.deepEqual(lost, ['fenced']);
  await two.close();
  // Of a process that is gone, of one that only has the same id, and one half written.
  writeFileSync(`${path}.lock-999999999-00aa`, JSON.stringify({ pid: 999999999, host: (await import('node:os')).hostname(), born: '', state: 'held' }));
  writeFileSync(`${path}.lock-${process.pid}-00bb`, JSON.stringify({ pid: process.pid, host: (await import('node:os')).hostname(), born: 'long ago', state: 'held' }));
  writeFileSync(`${path}.lock-999999999-00cc`, '{"pi');
  await (await FileStore.open(path)).close();
  assert.deepEqual(readdirSync(folder).filter((f) => f.includes('.lock-')), []);
  // Of another machine nothing is known.
  writeFileSync(`${path}.lock-7-00dd`, JSON.stringify({ pid: 7, host: 'elsewhere', born: '', state: 'held' }));
  assert.match((await fails('busy', FileStore.open(path))).message, /process 7 on elsewhere.*surely gone, delete ".*lock-7-00dd"/);
  rmSync(`${path}.lock-7-00dd`);
});
