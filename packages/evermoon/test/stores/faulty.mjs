// IndexedDB that fails when told: every open, transaction, request, `commit()` and `complete` of it is a counted step, and the n-th fails in
// a chosen way. Works upon any implementation, by dressing the real objects. No imports: pages load this file too.
//
// The ways:
//   abort    the transaction is aborted by nobody in sight (error null), at once
//   failed   the request fails in its turn with UnknownError, and its transaction with it
//   quota    likewise with QuotaExceededError; only in transactions that write
//   loss     the connection is closed by force: transactions are aborted, `close` is told
//   mute     the connection is closed, calls upon it throw InvalidStateError, and nobody is told
//   frozen   the connection is closed by force, `close` is told, but its transactions never say anything again
// At a `complete` the transaction *has* happened, and only the news of it is lost (quota: not possible, hence not a step).
import { check, equal, id, b, show } from './conformance.mjs';

export const WAYS = ['abort', 'failed', 'quota', 'loss', 'mute', 'frozen'];

export class Faults {
  /** `when`: the steps (from 1) that fail. */
  constructor(factory, way, when = []) {
    this.steps = 0;
    this.struck = [];
    this.way = way;
    this.when = new Set(when);
    const self = this;
    this.indexedDB = {
      databases: () => factory.databases(),
      deleteDatabase: (name) => factory.deleteDatabase(name),
      open(name, version) {
        const request = factory.open(name, version);
        const strike = self.step('open');
        let handler;
        let failed;
        handle(request, 'onsuccess', (f) => (handler = f));
        own(request, 'error', () => failed);
        request.addEventListener('success', (event) => {
          if (strike) {
            request.result.close();
            failed = self.error();
            request.onerror?.(event);
          } else {
            self.dress(request.result);
            handler?.(event);
          }
        });
        return request;
      },
    };
  }

  step(what) {
    this.steps += 1;
    if (!this.when.has(this.steps)) return false;
    this.struck.push(what);
    return true;
  }

  error() {
    const name = { quota: 'QuotaExceededError', mute: 'InvalidStateError', abort: 'AbortError' }[this.way] ?? 'UnknownError';
    return new DOMException('as wanted by the test', name);
  }

  dress(db) {
    const self = this;
    const open = new Set();
    const transaction = db.transaction;
    let onclose;
    let broken = false;
    handle(db, 'onclose', (f) => (onclose = f));
    const lose = () => {
      broken = true;
      for (const tx of open) tx.lose();
      db.close();
      if (self.way === 'loss' || self.way === 'frozen') queueMicrotask(() => onclose?.({ type: 'close' }));
    };
    db.transaction = function (stores, mode, options) {
      if (self.step('transaction')) lose();
      if (broken) throw new DOMException('The database connection is closing.', 'InvalidStateError');
      const tx = transaction.call(db, stores, mode, options);
      let error = null;
      let muted = false;
      let oncomplete;
      let onabort;
      handle(tx, 'oncomplete', (f) => (oncomplete = f));
      handle(tx, 'onabort', (f) => (onabort = f));
      own(tx, 'error', () => error);
      let ended = false;
      const entry = {
        lose() {
          if (self.way === 'frozen' || self.way === 'mute') muted = self.way === 'frozen';
          if (!ended) try {
            tx.abort();
          } catch {}
        },
      };
      open.add(entry);
      tx.addEventListener('abort', (event) => {
        open.delete(entry);
        ended = true;
        if (!muted) onabort?.(event);
      });
      tx.addEventListener('complete', (event) => {
        open.delete(entry);
        ended = true;
        if (self.way !== 'quota' && mode === 'readwrite' && self.step('complete')) {
          // It has happened. Nobody hears of it.
          if (self.way === 'failed') error = self.error();
          if (self.way !== 'abort' && self.way !== 'failed') lose();
          if (self.way !== 'frozen') onabort?.(event);
          return;
        }
        if (!muted) oncomplete?.(event);
      });
      const fail = () => {
        error = self.error();
        tx.abort();
      };
      const strike = (what, request) => {
        if (!self.step(what)) return;
        if (self.way === 'abort') tx.abort();
        else if (self.way === 'failed' || self.way === 'quota') {
          if (!request) fail();
          else
            request.addEventListener('success', (event) => {
              event.stopImmediatePropagation();
              fail();
            });
        } else {
          lose();
          if (self.way === 'mute') throw self.error();
        }
      };
      const objectStore = tx.objectStore;
      tx.objectStore = (name) => {
        const store = objectStore.call(tx, name);
        for (const method of ['get', 'getAll', 'getAllKeys', 'getAllRecords', 'openCursor', 'count', 'put', 'delete', 'clear']) {
          const real = store[method];
          if (!real) continue;
          store[method] = function (...args) {
            const request = real.apply(store, args);
            if (self.way !== 'quota' || mode === 'readwrite') strike(method, request);
            return request;
          };
        }
        return store;
      };
      if (tx.commit) {
        const commit = tx.commit;
        tx.commit = () => {
          strike('commit');
          // A request may fail after `commit()`, but nobody can make it so from outside: without it the transaction commits by itself.
          if (!ended && !broken && self.way !== 'failed' && self.way !== 'quota') commit.call(tx);
        };
      }
      return tx;
    };
  }
}

function own(object, name, get) {
  Object.defineProperty(object, name, { configurable: true, get });
}

/** Keeps a handler from being called by the object itself. (fake-indexeddb reads the property, browsers do not.) */
function handle(object, name, set) {
  Object.defineProperty(object, name, { configurable: true, get: () => null, set });
}

const put = (key, value) => ({ kind: 'put', key, value: b(value) });

/** A life of a world in few steps: what is acknowledged must be there at the end, whole and nothing else. */
async function live(open, allowed, trouble) {
  const model = new Map();
  let version = 0;
  let doubtful; // what an error with outcome 'unknown' may have left
  const text = (key) => String.fromCharCode(...key);
  const apply = (to, batch) => {
    for (const w of batch) {
      if (w.kind === 'put') to.set(text(w.key), show(w.value));
      else if (w.kind === 'delete') to.delete(text(w.key));
      else for (const k of [...to.keys()]) if (k >= text(w.from) && (!w.to || k < text(w.to))) to.delete(k);
    }
    return to;
  };
  const settle = (head) => {
    if (!doubtful) return equal(head.version, version, 'version');
    check(head.version === version || head.version === version + 1, `version ${head.version} where ${version} was acknowledged and one more was in doubt`);
    if (head.version > version) {
      version += 1;
      model.clear();
      for (const [k, v] of doubtful) model.set(k, v);
    }
    doubtful = undefined;
  };
  const entries = () => [...model].sort(([x], [y]) => (x < y ? -1 : 1)).map(([k, v]) => [k, v]);
  // Each call is made until it succeeds; what it fails with must be allowed, and is noted.
  let store;
  let epoch;
  const sure = async (call, batch) => {
    for (let tries = 0; ; tries++) {
      try {
        if (!store) {
          store = await open();
          settle(await store.head());
          epoch = undefined;
        }
        if (batch && epoch === undefined) epoch = await store.lease();
        return await call(store);
      } catch (error) {
        trouble.push(`${error.code} ${error.outcome}`);
        check(allowed.includes(error.code), `failed with ${error.name} (${error.code}): ${error.message}\n${error.stack}`);
        check(tries < 20, 'it never ends');
        if (error.outcome === 'unknown') {
          check(batch, 'only a commit can be in doubt');
          doubtful = apply(new Map(model), batch);
          await store.close();
          store = undefined;
        }
      }
    }
  };
  const commit = async (batch, options) => {
    let before;
    const now = await sure(async (s) => {
      before = version;
      return s.commit(version, epoch, batch, options);
    }, batch);
    equal(now, before + 1, 'the new version');
    version = now;
    apply(model, batch);
  };
  await commit([put(id(1), 'one'), put(id(2), 'two'), put(id(3), 'three'), put(id(4), 'four'), put(b('m'), 'meta 1')]);
  await commit([put(id(2), 'TWO'), { kind: 'delete', key: id(3) }, put(b('m'), 'meta 2')]);
  equal(await sure(async (s) => (await s.getMany([id(1), id(2), id(3), id(4), b('m')])).map((v) => v && show(v))), ['one', 'TWO', undefined, 'four', 'meta 2']);
  await commit([put(b('m'), 'meta 3')], { durability: 'relaxed' });
  await commit([{ kind: 'deleteRange', from: id(2), to: id(4) }, put(id(9), 'nine')]);
  equal(await sure(async (s) => show(await s.get(b('m')))), 'meta 3');
  await sure((s) => s.close());
  store = undefined;
  // Another session.
  equal(await sure(async (s) => (await s.scan({ reverse: true, limit: 2 })).map(([, v]) => show(v))), ['nine', 'four']);
  await commit([{ kind: 'deleteRange', from: b(''), to: undefined }, put(id(5), 'five')]);
  await sure((s) => s.close());
  return { version, entries: entries() };
}

/**
 * The life, with every one of its steps failing in the way, one at a time; or, with `twice`, that step and the next one (which is in the
 * second attempt). `fresh(faults)` gives `{ open, clean }`: how to open an empty world upon the faults, and later without them.
 */
export async function strikeAll(way, twice, fresh, note = () => {}) {
  let lives = 0;
  const troubles = {};
  const steps = {};
  for (let n = 1; ; n++) {
    const when = [n];
    if (twice) when.push(n + 1, n + 2);
    const { faults, open, clean } = await fresh(way, when);
    const trouble = [];
    // One fault is nothing to hear of, but for a disk that is full. Two in a row may be.
    const allowed = way === 'quota' ? ['full'] : twice ? ['io'] : [];
    let result;
    try {
      result = await live(open, allowed, trouble);
      if (faults.struck.length === 0) break;
      const s = await clean();
      equal((await s.head()).version, result.version, 'the version at the end');
      equal((await s.scan()).map(([k, v]) => [String.fromCharCode(...k), show(v)]), result.entries, 'the world at the end');
      await s.close();
    } catch (error) {
      throw new Error(`way ${way}, step ${n} (${faults.struck}), trouble [${trouble}]: ${error.message}`, { cause: error });
    }
    lives += 1;
    for (const t of trouble) troubles[t] = (troubles[t] ?? 0) + 1;
    steps[faults.struck[0]] = (steps[faults.struck[0]] ?? 0) + 1;
    note(n);
  }
  return { lives, troubles, steps };
}
