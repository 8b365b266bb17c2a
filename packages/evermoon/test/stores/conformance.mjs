// What every store promises (src/stores/types.ts), as cases that run anywhere: no imports, so that a page can load this file too.
//
// A case gets `world`: `open()` gives a store upon one world, empty at first, the same at each call. It throws when the store does not
// keep its word. `noEmptyKey` is said of an emulation that cannot have one.

const encoder = new TextEncoder();
export const b = (text) => encoder.encode(text);
export const show = (bytes) => (bytes === undefined ? 'nothing' : new TextDecoder().decode(bytes));
const put = (key, value) => ({ kind: 'put', key: typeof key === 'string' ? b(key) : key, value: typeof value === 'string' ? b(value) : value });
const del = (key) => ({ kind: 'delete', key: typeof key === 'string' ? b(key) : key });
const cut = (from, to) => ({ kind: 'deleteRange', from: b(from), to: to === undefined ? undefined : b(to) });

export function equal(found, wanted, what = 'value') {
  const [f, w] = [found, wanted].map((v) => JSON.stringify(v, (_, x) => (x instanceof Uint8Array ? show(x) : x === undefined ? 'undefined' : x)));
  if (f !== w) throw new Error(`${what}: found ${f}, wanted ${w}`);
}
export function check(condition, what) {
  if (!condition) throw new Error(what);
}
/** The error that it fails with, whose `code` is wanted. */
export async function fails(code, promise, what = 'it') {
  let value;
  try {
    value = await promise;
  } catch (error) {
    if (error?.code !== code) throw new Error(`${what} failed with ${error?.name} (${error?.code}), wanted code ${code}: ${error?.message}`, { cause: error });
    check(error.message.length > 20, `${what}: the message says too little: ${error.message}`);
    check(error.outcome === 'none', `${what}: outcome ${error.outcome}`);
    return error;
  }
  throw new Error(`${what} succeeded (${JSON.stringify(value)}), wanted ${code}`);
}
const texts = (entries) => entries.map(([key, value]) => `${show(key)}=${show(value)}`).join(' ');
/** An object record's key. */
export function id(n) {
  const key = new Uint8Array(9);
  key[0] = 'o'.charCodeAt(0);
  new DataView(key.buffer).setBigUint64(1, BigInt(n));
  return key;
}
export function random(seed) {
  let s = seed >>> 0 || 1;
  return (n) => {
    s ^= s << 13;
    s >>>= 0;
    s ^= s >>> 17;
    s ^= s << 5;
    s >>>= 0;
    return s % n;
  };
}

export const cases = {
  'an empty world': async (world) => {
    const s = await world.open();
    equal(await s.head(), { version: 0, epoch: 0 });
    equal(await s.get(b('a')), undefined);
    equal(await s.getMany([b('a'), b('b')]), [undefined, undefined]);
    equal(await s.getMany([]), []);
    equal(await s.scan(), []);
    equal(await s.getNear(id(7)), []);
    equal((await s.stats()).entries, 0);
    await s.close();
  },

  'commits are numbered, and last': async (world) => {
    let s = await world.open();
    const epoch = await s.lease();
    equal(epoch, 1, 'epoch');
    equal(await s.commit(0, epoch, [put('a', '1'), put('b', '2')]), 1, 'version');
    equal(await s.commit(1, epoch, [put('a', '3'), del('b'), put('c', '')]), 2, 'version');
    equal(await s.commit(2, epoch, []), 3, 'an empty batch');
    equal(await s.commit(3, epoch, [del('never there')], { durability: 'relaxed' }), 4, 'relaxed');
    await s.close();
    s = await world.open();
    equal(await s.head(), { version: 4, epoch: 1 });
    equal(texts(await s.scan()), 'a=3 c=');
    equal((await s.get(b('c'))).byteLength, 0, 'an empty value');
    await s.close();
  },

  'the last write of a key wins': async (world) => {
    const s = await world.open();
    const epoch = await s.lease();
    await s.commit(0, epoch, [put('a', '1'), put('b', '1'), put('c', '1'), put('d', '1')]);
    await s.commit(1, epoch, [put('a', '2'), del('a'), del('b'), put('b', '3'), put('c', '4'), put('c', '5'), put('cc', '1'), cut('c', 'd'), put('ca', '6')]);
    equal(texts(await s.scan()), 'b=3 ca=6 d=1');
    await s.close();
  },

  'ranges of deletion': async (world) => {
    const s = await world.open();
    const epoch = await s.lease();
    const all = ['a', 'b', 'ba', 'c', 'd'].map((k) => put(k, k));
    await s.commit(0, epoch, all);
    await s.commit(1, epoch, [cut('b', 'c')]);
    equal(texts(await s.scan()), 'a=a c=c d=d');
    await s.commit(2, epoch, [cut('c', 'c'), cut('z', 'b')]);
    equal(texts(await s.scan()), 'a=a c=c d=d', 'empty ranges');
    await s.commit(3, epoch, [cut('c')]);
    equal(texts(await s.scan()), 'a=a');
    await s.commit(4, epoch, [...all, cut('')]);
    equal(texts(await s.scan()), '');
    equal((await s.stats()).entries, 0);
    await s.close();
  },

  'keys are ordered as bytes': async (world) => {
    const s = await world.open();
    const epoch = await s.lease();
    const first = world.noEmptyKey ? [0] : [];
    const keys = [first, [0, 0], [0, 1], [0, 255], [1], [127], [127, 255, 255], [128], [200, 1], [255], [255, 0], [255, 255]].map((k) => Uint8Array.from(k));
    const shuffled = [5, 0, 11, 3, 8, 1, 10, 2, 9, 4, 7, 6].map((i) => put(keys[i], `${i}`));
    await s.commit(0, epoch, shuffled);
    equal((await s.scan()).map(([, v]) => Number(show(v))), keys.map((_, i) => i));
    equal((await s.scan({ reverse: true })).map(([, v]) => Number(show(v))), keys.map((_, i) => 11 - i));
    equal((await s.scan()).map(([k]) => [...k]), keys.map((k) => [...k]));
    equal((await s.scan({ from: keys[5], to: keys[9] })).map(([, v]) => show(v)), ['5', '6', '7', '8']);
    await s.close();
  },

  'scans: bounds, limit, direction': async (world) => {
    const s = await world.open();
    const epoch = await s.lease();
    await s.commit(0, epoch, [...'abcdefghij'].map((k) => put(k, k.toUpperCase())));
    const keys = async (range) => (await s.scan(range)).map(([k]) => show(k)).join('');
    equal(await keys({ from: b('c') }), 'cdefghij');
    equal(await keys({ to: b('c') }), 'ab');
    equal(await keys({ from: b('c'), to: b('f') }), 'cde');
    equal(await keys({ from: b('bb'), to: b('ee') }), 'cde');
    equal(await keys({ from: b('c'), to: b('f'), reverse: true }), 'edc');
    equal(await keys({ from: b('c'), limit: 2 }), 'cd');
    equal(await keys({ to: b('i'), limit: 3, reverse: true }), 'hgf');
    equal(await keys({ limit: 0 }), '');
    equal(await keys({ limit: 99 }), 'abcdefghij');
    equal(await keys({ limit: 1, reverse: true }), 'j');
    equal(await keys({ from: b('f'), to: b('c') }), '');
    equal(await keys({ from: b('c'), to: b('c') }), '');
    equal(await keys({ from: b('c'), to: b('c'), reverse: true }), '');
    equal(await keys({ from: b('x') }), '');
    await fails('misuse', s.scan({ limit: -1 }));
    await fails('misuse', s.scan({ limit: 1.5 }));
    await s.close();
  },

  'neighbours': async (world) => {
    const s = await world.open();
    const epoch = await s.lease();
    const ids = [0, 1, 2, 3, 10, 11, 12, 40, 300, 2 ** 40];
    await s.commit(0, epoch, [...ids.map((n) => put(id(n), `${n}`)), put('p', 'proto'), put('o', 'short'), put('m'.padEnd(9, '!'), 'meta')]);
    const near = async (n, reach) => (await s.getNear(id(n), reach)).map(([, v]) => show(v)).join(' ');
    equal(await near(2), '2 3 10 11 12');
    equal(await near(2, { before: 1, after: 0 }), '1 2');
    equal(await near(2, { before: 99, after: 1 }), '0 1 2 3');
    equal(await near(5, { after: 10 }), '10 11 12', 'the key itself is not there');
    equal(await near(2 ** 40, { before: 5, after: 5 }), String(2 ** 40));
    equal(texts(await s.getNear(b('p'))), 'p=proto');
    equal(texts(await s.getNear(b('q'))), '');
    await s.close();
  },

  'getMany: in the order asked, whatever lies close together': async (world) => {
    const s = await world.open();
    const epoch = await s.lease();
    const ids = Array.from({ length: 300 }, (_, i) => i * (i % 7 === 0 ? 3 : 1));
    await s.commit(0, epoch, [...new Set(ids)].map((n) => put(id(n), `v${n}`)));
    const there = new Set(ids);
    for (const asked of [
      [5, 4, 3, 2, 1],
      [1, 1, 1, 2, 2],
      [100, 299, 101, 0, 102, 103, 9999, 104, 2 ** 50],
      Array.from({ length: 200 }, (_, i) => (i * 37) % 301),
    ]) {
      const values = await s.getMany(asked.map(id));
      equal(values.map(show), asked.map((n) => (there.has(n) ? `v${n}` : 'nothing')));
      // Each is the caller's own.
      values.forEach((v) => v?.fill(0));
      equal((await s.getMany(asked.map(id))).map(show), asked.map((n) => (there.has(n) ? `v${n}` : 'nothing')));
    }
    equal((await s.getMany([b('nine byte'), id(1), b('x'), id(2), id(3)])).map(show), ['nothing', 'v1', 'nothing', 'v2', 'v3']);
    await s.close();
  },

  'a conflict has no effect': async (world) => {
    const s = await world.open();
    const epoch = await s.lease();
    await s.commit(0, epoch, [put('a', '1')]);
    for (const expected of [0, 2, 77]) {
      const error = await fails('conflict', s.commit(expected, epoch, [put('a', 'x'), put('b', 'x'), cut('')]));
      equal([error.expected, error.found], [expected, 1]);
    }
    equal(await s.head(), { version: 1, epoch });
    equal(texts(await s.scan()), 'a=1');
    equal(await s.commit(1, epoch, [put('a', '2')]), 2, 'and the writer may go on');
    await s.close();
  },

  'an older lease is fenced off': async (world) => {
    const s = await world.open();
    const lost = [];
    // A world that was never leased takes epoch 0: there is nobody to be fenced from.
    const before = await s.commit(0, 0, [put('a', '0')]);
    const first = await s.lease({ onLost: (reason) => lost.push(reason) });
    await s.commit(before, first, [put('a', '1')]);
    const second = await s.lease({ ifBusy: 'steal' });
    equal(second, first + 1, 'epoch');
    const error = await fails('fenced', s.commit(before + 1, first, [put('a', 'x')]));
    equal([error.epoch, error.found], [first, second]);
    await fails('fenced', s.commit(before + 9, first, [put('a', 'x')]), 'fenced comes before conflict');
    await fails('fenced', s.commit(before + 1, second + 1, [put('a', 'x')]), 'an epoch of the future');
    equal(await s.commit(before + 1, second, [put('a', '2')]), before + 2);
    equal(show(await s.get(b('a'))), '2');
    await s.close();
  },

  'epochs are kept': async (world) => {
    for (let n = 1; n <= 4; n++) {
      const s = await world.open();
      equal((await s.head()).epoch, n - 1);
      equal(await s.lease(), n);
      await s.close();
    }
  },

  'limits are named': async (world) => {
    const s = await world.open();
    const epoch = await s.lease();
    const long = new Uint8Array(1025);
    await fails('too_large', s.get(long));
    await fails('too_large', s.getMany([b('a'), long]));
    await fails('too_large', s.scan({ from: long }));
    await fails('too_large', s.getNear(long));
    await fails('too_large', s.commit(0, epoch, [put('a', '1'), put(long, '')]));
    await fails('too_large', s.commit(0, epoch, [del(long)]));
    await fails('misuse', s.commit(0, epoch, [{ kind: 'put', key: b('a'), value: 'text' }]));
    await fails('misuse', s.commit(0, epoch, [{ kind: 'put', key: 'a', value: b('') }]));
    await fails('misuse', s.commit(0, epoch, [{ kind: 'purge', key: b('a') }]));
    await fails('misuse', s.commit(-1, epoch, []));
    await fails('misuse', s.commit(0.5, epoch, []));
    await fails('misuse', s.commit(Number.MAX_SAFE_INTEGER, epoch, []));
    await fails('misuse', s.commit(0, NaN, []));
    equal(await s.head(), { version: 0, epoch });
    equal(texts(await s.scan()), '');
    await fails('too_large', s.commit(0, epoch, [put('a', new Uint8Array(64 * 1024 * 1024 + 1))]));
    const longest = new Uint8Array(1024).fill(255);
    await s.commit(0, epoch, [put(longest, 'v'), put('a', '1')]);
    equal(show(await s.get(longest)), 'v');
    equal(await s.stats({ exact: true }).then(({ entries, payloadBytes }) => [entries, payloadBytes]), [2, 1024 + 1 + 1 + 1]);
    let progress = 0;
    equal(await s.verify((done) => (progress = done)), { entries: 2, payloadBytes: 1027, damage: [] });
    equal(progress, 1);
    await s.close();
  },

  'large values': async (world) => {
    let s = await world.open();
    const epoch = await s.lease();
    const rnd = random(5);
    const sizes = [100, 65_000, 70_000, 1_000_000, 5_000_000];
    const values = sizes.map((n) => Uint8Array.from({ length: n }, () => rnd(256)));
    await s.commit(0, epoch, values.map((v, i) => put(id(i), v)));
    await s.close();
    s = await world.open();
    const found = [...(await s.getMany(sizes.map((_, i) => id(i)))), ...(await s.scan()).map(([, v]) => v)];
    found.forEach((v, i) => {
      const wanted = values[i % sizes.length];
      check(v.byteLength === wanted.byteLength && v.every((x, at) => x === wanted[at]), `value of ${wanted.byteLength} bytes`);
    });
    await s.close();
  },

  'what was given may change afterwards, what was got is the caller\'s': async (world) => {
    const s = await world.open();
    const epoch = await s.lease();
    const memory = new Uint8Array(4096).fill(120);
    const key = memory.subarray(10, 13);
    const value = memory.subarray(100, 105);
    const batch = [{ kind: 'put', key, value }];
    const committing = s.commit(0, epoch, batch);
    batch.length = 0;
    memory.fill(33);
    await committing;
    equal(texts(await s.scan()), 'xxx=xxxxx');
    const asked = b('xxx');
    const getting = s.get(asked);
    asked.fill(0);
    const got = await getting;
    equal(show(got), 'xxxxx');
    check(got.buffer.byteLength === 5, `a value brings ${got.buffer.byteLength} bytes with it`);
    got.fill(0);
    equal(show(await s.get(b('xxx'))), 'xxxxx');
    if (typeof SharedArrayBuffer === 'function') {
      const shared = new Uint8Array(new SharedArrayBuffer(64)).fill(121);
      await s.commit(1, epoch, [{ kind: 'put', key: shared.subarray(0, 2), value: shared.subarray(0, 3) }]);
      equal(texts(await s.scan()), 'xxx=xxxxx yy=yyy');
    }
    await s.close();
  },

  'many at once': async (world) => {
    const s = await world.open();
    const epoch = await s.lease();
    // Commits in a row without waiting, reads between them.
    const all = [];
    for (let v = 0; v < 20; v++) {
      all.push(s.commit(v, epoch, [put('n', `${v}`), put(id(v), `${v}`)], { durability: v % 3 ? 'relaxed' : 'durable' }));
      all.push(s.getMany([b('n'), id(v)]));
    }
    const results = await Promise.all(all);
    equal(results.filter((_, i) => i % 2 === 0), Array.from({ length: 20 }, (_, i) => i + 1));
    equal(show(await s.get(b('n'))), '19');
    // Of two that expect the same version one wins.
    const race = await Promise.allSettled([s.commit(20, epoch, [put('w', 'one')]), s.commit(20, epoch, [put('w', 'two')])]);
    equal(race.map((r) => r.status), ['fulfilled', 'rejected']);
    equal(race[1].reason.code, 'conflict');
    equal(show(await s.get(b('w'))), 'one');
    await s.close();
  },

  'a closed store says so': async (world) => {
    const s = await world.open();
    const epoch = await s.lease();
    const last = s.commit(0, epoch, [put('a', '1')]);
    const closing = s.close();
    for (const call of [s.head(), s.lease(), s.get(b('a')), s.getMany([]), s.getNear(id(1)), s.scan(), s.commit(1, epoch, []), s.stats(), s.verify(), s.persistence()]) {
      await fails('closed', call);
    }
    equal(await last, 1, 'what was under way');
    await closing;
    await s.close();
    if (s.getSync) check(await fails('closed', (async () => s.getSync(b('a')))()), 'getSync');
    const again = await world.open();
    equal(show(await again.get(b('a'))), '1');
    await again.close();
  },

  'getSync is get': async (world) => {
    const s = await world.open();
    if (s.getSync) {
      const epoch = await s.lease();
      await s.commit(0, epoch, [put('a', '1')]);
      equal(s.getSync(b('a')), b('1'));
      equal(s.getSync(b('b')), undefined);
    }
    await s.close();
  },

  'what it says of itself': async (world) => {
    const s = await world.open();
    check(typeof s.kind === 'string' && typeof s.name === 'string', 'kind and name');
    check(['memory', 'best-effort', 'persistent'].includes((await s.persistence()).kind), 'persistence');
    const { entries, fileBytes } = await s.stats();
    check(entries === 0 && (fileBytes === undefined || fileBytes >= 0), 'stats');
    await s.close();
  },

  'thousands of keys, in and out of order': async (world) => {
    const s = await world.open();
    const epoch = await s.lease();
    const there = new Set();
    const name = (n) => `k${String(n).padStart(5, '0')}`;
    const keys = async (range) => (await s.scan(range)).map(([k]) => show(k));
    const all = () => [...there].sort((x, y) => x - y).map(name);
    let version = 0;
    const write = async (numbers, kind) => {
      version = await s.commit(version, epoch, numbers.map((n) => (kind === 'put' ? put(name(n), `${n}`) : del(name(n)))), { durability: 'relaxed' });
      for (const n of numbers) kind === 'put' ? there.add(n) : there.delete(n);
      equal(await keys(), all());
      equal((await s.stats()).entries, there.size);
    };
    const count = 1500;
    await write(Array.from({ length: count }, (_, i) => i * 2), 'put'); // in order
    await write(Array.from({ length: count }, (_, i) => ((i * 7919) % count) * 2 + 1), 'put'); // here and there
    await write(Array.from({ length: 900 }, (_, i) => 500 + i), 'delete'); // whole stretches
    await write(Array.from({ length: 300 }, (_, i) => 2999 - i * 3), 'delete');
    await write(Array.from({ length: 600 }, (_, i) => 1100 - i), 'put'); // backwards
    equal((await s.getMany(Array.from({ length: 3000 }, (_, n) => b(name(n))))).map((v) => v && Number(show(v))), Array.from({ length: 3000 }, (_, n) => (there.has(n) ? n : undefined)));
    for (let n = 0; n < 3000; n += 61) {
      equal(await keys({ from: b(name(n)), limit: 3 }), all().filter((k) => k >= name(n)).slice(0, 3));
      equal(await keys({ to: b(name(n)), limit: 3, reverse: true }), all().filter((k) => k < name(n)).reverse().slice(0, 3));
    }
    version = await s.commit(version, epoch, [cut(name(300), name(2700))]);
    for (const n of [...there]) if (n >= 300 && n < 2700) there.delete(n);
    equal(await keys(), all());
    equal(await keys({ reverse: true }), all().reverse());
    await s.close();
  },

  'a plain map agrees with 300 random batches': async (world) => {
    const rnd = random(20261120);
    const model = new Map();
    let s = await world.open();
    let epoch = await s.lease();
    let version = 0;
    // Keys of all kinds, few enough that they meet.
    const someKey = () => {
      const kind = rnd(4);
      if (kind === 0) return id(rnd(60));
      if (kind === 1) return b('k' + rnd(40));
      if (kind === 2) return Uint8Array.from({ length: world.noEmptyKey ? 1 + rnd(2) : rnd(3) }, () => rnd(3) * 127);
      return id(rnd(20) * 1000);
    };
    const text = (key) => String.fromCharCode(...key);
    const sorted = () => [...model].sort(([x], [y]) => (x < y ? -1 : x > y ? 1 : 0));
    for (let round = 0; round < 300; round++) {
      const batch = [];
      const effect = new Map(model);
      for (let n = rnd(12); n > 0; n--) {
        const kind = rnd(10);
        const key = someKey();
        if (kind < 6) {
          const value = `${round}.${n}`.padEnd(rnd(60), '#');
          batch.push(put(key, value));
          effect.set(text(key), value);
        } else if (kind < 9) {
          batch.push(del(key));
          effect.delete(text(key));
        } else {
          const to = rnd(3) ? someKey() : undefined;
          batch.push({ kind: 'deleteRange', from: key, to });
          for (const k of [...effect.keys()]) if (k >= text(key) && (to === undefined || k < text(to))) effect.delete(k);
        }
      }
      if (rnd(10) === 0) {
        await fails('conflict', s.commit(version + 1 + rnd(3), epoch, batch));
      } else {
        version = await s.commit(version, epoch, batch, { durability: rnd(2) ? 'durable' : 'relaxed' });
        model.clear();
        for (const [k, v] of effect) model.set(k, v);
      }
      if (rnd(25) === 0) {
        await s.close();
        s = await world.open();
        if (rnd(2)) epoch = await s.lease();
        else epoch = await s.lease({ ifBusy: 'steal' });
        equal((await s.head()).version, version);
      }
      if (round % 3) continue;
      const wanted = sorted();
      const from = rnd(2) ? someKey() : undefined;
      const to = rnd(2) ? someKey() : undefined;
      const limit = rnd(3) ? undefined : rnd(8);
      const reverse = rnd(2) === 1;
      let part = wanted.filter(([k]) => (!from || k >= text(from)) && (!to || k < text(to)));
      if (reverse) part.reverse();
      part = part.slice(0, limit);
      const found = (await s.scan({ from, to, limit, reverse })).map(([k, v]) => [text(k), show(v)]);
      equal(found, part, `scan in round ${round}`);
      const asked = Array.from({ length: rnd(20) }, someKey);
      equal((await s.getMany(asked)).map((v) => v && show(v)), asked.map((k) => model.get(text(k))), `getMany in round ${round}`);
    }
    equal((await s.scan()).map(([k, v]) => [text(k), show(v)]), sorted(), 'at the end');
    const { entries, payloadBytes } = await s.stats({ exact: true });
    equal([entries, payloadBytes], [model.size, [...model].reduce((sum, [k, v]) => sum + k.length + v.length, 0)], 'stats');
    await s.close();
  },
};
