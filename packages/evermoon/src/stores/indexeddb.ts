/**
 * A world in the browser: one IndexedDB database a world.
 *
 * Layout (format 1): database `evermoon:NAME`; object store `records`, key bytes to an ArrayBuffer; object store `meta`, whose entry
 * `head` has version, epoch and the last commit's nonce. Records and head change in the same transaction, so one is never
 * without the other.
 *
 * Invariants:
 * 1. Nothing is reported saved before the transaction's `complete`, which with `durability: 'strict'` comes after the disk has it.
 * 2. A commit's requests are made in one burst, the reading of the head first; when the head is not as expected the whole is aborted.
 * 3. Commits and leases of one store go one after the other.
 *    In Chromium a durable commit waits for a fresh log, too: in an old one it could still be lost with the rest.
 * 4. A connection may go away at any moment (`close`, `versionchange`, or anything throwing InvalidStateError). The operation is then
 *    made once more on a new connection. A commit can tell whether its first attempt has happened: the head has its nonce.
 * 5. Reopening never makes a database: a world that is gone is reported, not begun anew. Nor is one begun, or gone on with, where a later
 *    version is known to have been (`marker.ts`), unless whoever opens it says so.
 */
import { checkCounters, checkKey, checkLimit, compare, keyName, keyNumber, neighbours, own, ownBatch } from './bytes.js';
import { HEAD, Lost, META, RECORDS, classify, lose, openDatabase, transact, type Link, type Work } from './idb.js';
import { freshLog } from './freshlog.js';
import { WorldLock, busy } from './locks.js';
import { Marker } from './marker.js';
import {
  StoreClosedError,
  StoreConflictError,
  StoreCorruptError,
  StoreError,
  StoreFencedError,
  StoreGoneError,
  StoreIoError,
  StoreLostError,
  StoreMisuseError,
  StoreUnavailableError,
  type CommitOptions,
  type Entry,
  type Head,
  type Health,
  type LeaseOptions,
  type Persistence,
  type ScanRange,
  type Store,
  type StoreStats,
  type Write,
} from './types.js';

export const DATABASE_PREFIX = 'evermoon:';

export interface IndexedDBOptions {
  /** Default: the global ones. `locks: null` does without locks: only the epoch keeps a second writer out then. */
  indexedDB?: IDBFactory | undefined;
  IDBKeyRange?: typeof IDBKeyRange | undefined;
  locks?: LockManager | null | undefined;
  storage?: StorageManager | null | undefined;
  /** Where is noted that a world was there. `null`: nowhere. */
  caches?: CacheStorage | null | undefined;
}

export interface IndexedDBOpenOptions extends IndexedDBOptions {
  /**
   * When the browser has lost the world, or its last commits: `fail` with a `StoreLostError` (the default), or `accept` what is left, which may be
   * nothing.
   */
  ifLost?: 'fail' | 'accept' | undefined;
  /** Has Chromium begin a new log, which keeps it from losing the database after it was killed (see `freshlog.ts`). Default: true. */
  freshLog?: boolean | undefined;
}

/** What `meta` has under `head`. */
interface StoredHead extends Head {
  /** Of the last commit. A lease does not change it. */
  nonce: string;
}

/** Milliseconds from the lease to the fresh log, when no commit asks for it before. */
const FRESH_AFTER = 250;
/** Records that lie this close together are read as one range. */
const GAP = 4n;

export class IndexedDBStore implements Store {
  readonly kind = 'indexeddb';
  readonly name: string;
  readonly #factory: IDBFactory;
  readonly #ranges: typeof IDBKeyRange;
  readonly #storage: StorageManager | undefined;
  readonly #lock: WorldLock;
  readonly #marker: Marker;
  /** Whether durable commits are to be in a fresh log, and the timer that sees to it when none is made soon. */
  #wantsFresh = false;
  #soon: ReturnType<typeof setTimeout> | undefined;
  /** The version that the marker has. */
  #marked = 0;
  #link: Link | undefined;
  #opening: Promise<Link> | undefined;
  /** The database was there once: from then on it is never made (invariant 5). */
  #made = false;
  #closed = false;
  /** The tail of the writers' queue (invariant 3); never rejects. */
  #queue: Promise<unknown> = Promise.resolve();
  #running = new Set<Promise<unknown>>();
  #lease: { epoch: number; onLost: ((reason: Error) => void) | undefined } | undefined;
  #commits = 0;
  readonly #id = randomId();

  private constructor(name: string, options: IndexedDBOptions) {
    this.name = name;
    this.#factory = options.indexedDB ?? defaultFactory();
    this.#ranges = options.IDBKeyRange ?? globalThis.IDBKeyRange;
    this.#storage = options.storage === null ? undefined : (options.storage ?? globalThis.navigator?.storage);
    const locks = options.locks === null ? undefined : (options.locks ?? globalThis.navigator?.locks);
    this.#lock = new WorldLock(name, lockName(name), locks);
    this.#marker = new Marker(name, cachesOf(options));
  }

  /** Opens the world of this name, or begins an empty one. Reading needs no lease; writing does. */
  static async open(name: string, options: IndexedDBOpenOptions = {}): Promise<IndexedDBStore> {
    checkName(name);
    const store = new IndexedDBStore(name, options);
    try {
      store.#wantsFresh = !options.indexedDB && options.freshLog !== false;
      const note = store.#marker.read();
      let { version } = await store.head();
      store.#marked = await note;
      // What another tab has committed and noted meanwhile is no loss.
      if (version < store.#marked) ({ version } = await store.head());
      if (version < store.#marked) {
        if (options.ifLost !== 'accept') throw new StoreLostError(name, store.#marked, version);
        store.#marked = 0;
      }
    } catch (error) {
      await store.close();
      throw error;
    }
    return store;
  }

  /** The names of the worlds that this origin has. */
  static async list(options: IndexedDBOptions = {}): Promise<string[]> {
    const factory = options.indexedDB ?? defaultFactory();
    const all = await factory.databases();
    return all.flatMap(({ name }) => (name?.startsWith(DATABASE_PREFIX) ? [name.slice(DATABASE_PREFIX.length)] : [])).sort();
  }

  /** Deletes a world for good. It must not be open anywhere; with `steal`, who has it open is told that it is gone. */
  static async delete(name: string, options: IndexedDBOptions & { steal?: boolean | undefined } = {}): Promise<void> {
    checkName(name);
    const factory = options.indexedDB ?? defaultFactory();
    const locks = options.locks === null ? undefined : (options.locks ?? globalThis.navigator?.locks);
    const lock = new WorldLock(name, lockName(name), locks);
    await lock.hold(options.steal ? 'steal' : 'fail', undefined, () => {});
    try {
      await new Marker(name, cachesOf(options)).remove();
      await new Promise<void>((resolve, reject) => {
        const request = factory.deleteDatabase(DATABASE_PREFIX + name);
        request.onsuccess = () => resolve();
        request.onerror = () => reject(final(classify(request.error, name), name));
        // `blocked` is no end: the stores here close upon `versionchange`, and the deletion goes on.
      });
    } finally {
      lock.release();
    }
  }

  async head(): Promise<Head> {
    this.#check();
    return this.#read([META], (work) => readHead(work, this.name, ({ version, epoch }) => work.done({ version, epoch })));
  }

  async lease(options: LeaseOptions = {}): Promise<number> {
    this.#check();
    const already = this.#lock.held;
    // Outside of the queue: waiting for the lock may take a day.
    await this.#lock.hold(options.ifBusy ?? 'fail', options.signal, () => this.#lost(undefined));
    return this.#write(async () => {
      try {
        this.#check();
        if (this.#lock.lost) throw busy(this.name);
        const { epoch, version } = await this.#try((link) =>
          transact<Head>(link, [META], 'readwrite', { durability: 'strict' }, (work) => {
            readHead(work, this.name, (head) => {
              head.epoch += 1;
              work.tx.objectStore(META).put(head, HEAD);
              work.done(head);
            });
          }),
        );
        this.#mark(version);
        // Not beside what is read first.
        if (this.#wantsFresh) this.#soon ??= setTimeout(freshLog, FRESH_AFTER);
        // A lease taken anew by its own holder ends the one before without a word.
        this.#lease = { epoch, onLost: options.onLost };
        return epoch;
      } catch (error) {
        if (!already) this.#lock.release();
        throw error;
      }
    });
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    this.#check();
    checkKey(key);
    const mine = own(key);
    return this.#read([RECORDS], ({ tx, on, done }) => {
      on(tx.objectStore(RECORDS).get(mine), (value) => done(value === undefined ? undefined : bytes(value, mine)));
    });
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    this.#check();
    keys.forEach(checkKey);
    const mine = keys.map(own);
    if (mine.length === 0) return [];
    const groups = groupNeighbours(mine);
    return this.#read([RECORDS], (work) => {
      const records = work.tx.objectStore(RECORDS);
      const values: (Uint8Array | undefined)[] = new Array(mine.length).fill(undefined);
      let waiting = groups.length;
      const one = () => {
        if (--waiting === 0) work.done(values);
      };
      for (const group of groups) {
        if (group.length < 3) {
          waiting += group.length - 1;
          for (const { index } of group) {
            work.on(records.get(mine[index]!), (value) => {
              if (value !== undefined) values[index] = bytes(value, mine[index]!);
              one();
            });
          }
          continue;
        }
        const wanted = new Map<bigint, number[]>();
        for (const { index, number } of group) {
          const same = wanted.get(number!);
          if (same) same.push(index);
          else wanted.set(number!, [index]);
        }
        const range = this.#ranges.bound(mine[group[0]!.index]!, mine[group.at(-1)!.index]!);
        readRange(work, records, range, Infinity, false, (entries) => {
          for (const [key, value] of entries) {
            const number = keyNumber(key);
            const indexes = number === undefined ? undefined : wanted.get(number);
            // A key asked for twice gives two values: each belongs to the caller.
            indexes?.forEach((index, i) => (values[index] = i === 0 ? value : own(value)));
          }
          one();
        });
      }
    });
  }

  async getNear(key: Uint8Array, reach?: { before?: number | undefined; after?: number | undefined }): Promise<Entry[]> {
    this.#check();
    const [low, high] = neighbours(key, reach);
    const range = this.#ranges.bound(own(low), own(high));
    return this.#read([RECORDS], (work) => readRange(work, work.tx.objectStore(RECORDS), range, Infinity, false, work.done));
  }

  async scan(range: ScanRange = {}): Promise<Entry[]> {
    this.#check();
    const { from, to, reverse = false } = range;
    if (from) checkKey(from);
    if (to) checkKey(to);
    const limit = checkLimit(range.limit);
    const bounds = this.#range(from && own(from), to && own(to));
    if (limit === 0 || bounds === 'empty') return [];
    return this.#read([RECORDS], (work) => readRange(work, work.tx.objectStore(RECORDS), bounds, limit, reverse, work.done));
  }

  async commit(expected: number, epoch: number, batch: readonly Write[], options: CommitOptions = {}): Promise<number> {
    this.#check();
    checkCounters(expected, epoch);
    const writes = ownBatch(batch);
    const nonce = `${this.#id}.${++this.#commits}`;
    const durability = options.durability === 'relaxed' ? 'relaxed' : 'strict';
    const fresh = this.#wantsFresh && durability === 'strict' ? freshLog() : undefined;
    return this.#write(async () => {
      try {
        const version = await this.#try(
          (link, attempt) =>
            transact<number>(link, [RECORDS, META], 'readwrite', { durability }, (work) => {
              const { tx } = work;
              readHead(work, this.name, (head) => {
                if (attempt > 0 && head.version === expected + 1 && head.nonce === nonce) {
                  // Invariant 4: it has happened, and only the news of it was lost. What this attempt wrote is undone.
                  throw new Happened();
                }
                // A second attempt that finds another writer's commits cannot tell whether the first one came before them.
                const outcome = attempt > 0 && head.version > expected ? 'unknown' : 'none';
                if (head.epoch !== epoch) throw new StoreFencedError(epoch, head.epoch, { outcome });
                if (head.version !== expected) throw new StoreConflictError(expected, head.version);
                tx.objectStore(META).put({ ...head, version: expected + 1, nonce } satisfies StoredHead, HEAD);
                work.done(expected + 1);
                // All is asked for: the transaction need not wait to see whether more comes.
                tx.commit?.();
              });
              const records = tx.objectStore(RECORDS);
              for (const write of writes) {
                if (write.kind === 'put') records.put(write.value.buffer, write.key);
                else if (write.kind === 'delete') records.delete(write.key);
                else {
                  const range = this.#range(write.from, write.to);
                  if (range === undefined) records.clear();
                  else if (range !== 'empty') records.delete(range);
                }
              }
            }),
          true,
        );
        await fresh;
        // The first one makes it a world that can be lost; later ones are noted by the next lease.
        if (this.#marked === 0 && durability === 'strict') this.#mark(version);
        return version;
      } catch (error) {
        if (error instanceof Happened) return expected + 1;
        if (error instanceof StoreFencedError) this.#lost(error);
        throw error;
      }
    });
  }

  async stats(options: { exact?: boolean | undefined } = {}): Promise<StoreStats> {
    this.#check();
    const entries = await this.#read<number>([RECORDS], ({ tx, on, done }) => on(tx.objectStore(RECORDS).count(), done));
    const payloadBytes = options.exact ? (await this.verify()).payloadBytes : undefined;
    const estimate = (await this.#storage?.estimate?.().catch(() => undefined)) as
      | (StorageEstimate & { usageDetails?: { indexedDB?: number } })
      | undefined;
    return { entries, payloadBytes, fileBytes: estimate?.usageDetails?.indexedDB ?? estimate?.usage };
  }

  /** All in one view, some at a time. The browser checks its own files when they are read. */
  async verify(onProgress?: (done: number) => void): Promise<Health> {
    this.#check();
    const total = onProgress ? (await this.stats()).entries : 0;
    return this.#read<Health>([RECORDS], (work) => {
      const records = work.tx.objectStore(RECORDS);
      const health: Health = { entries: 0, payloadBytes: 0, damage: [] };
      const some = (range: IDBKeyRange | undefined): void =>
        readRaw(work, records, range, 256, false, (found) => {
          for (const { key, value } of found) {
            if (isBuffer(key) && isBuffer(value)) {
              health.entries += 1;
              health.payloadBytes += key.byteLength + value.byteLength;
            } else {
              health.damage.push(notBytes(key).message);
            }
          }
          if (total > 0) onProgress?.(Math.min(1, health.entries / total));
          if (found.length < 256) work.done(health);
          else some(this.#ranges.lowerBound(found.at(-1)!.key, true));
        });
      some(undefined);
    });
  }

  async persistence(options: { ask?: boolean | undefined } = {}): Promise<Persistence> {
    this.#check();
    const storage = this.#storage;
    if (!storage) return { kind: 'best-effort', usage: undefined, quota: undefined };
    let kept = (await storage.persisted?.().catch(() => false)) ?? false;
    // Workers have no `persist`.
    if (!kept && options.ask) kept = (await storage.persist?.().catch(() => false)) ?? false;
    const estimate = await storage.estimate?.().catch(() => undefined);
    return { kind: kept ? 'persistent' : 'best-effort', usage: estimate?.usage, quota: estimate?.quota };
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#soon);
    if (!this.#lock.held) this.#lock.release();
    await this.#queue;
    while (this.#running.size) await Promise.allSettled(this.#running);
    this.#lease = undefined;
    this.#link?.db.close();
    this.#link = undefined;
    this.#lock.release();
  }

  /** Notes that the world is there. Nobody waits for it but `close`. */
  #mark(version: number): void {
    if (version === this.#marked) return;
    this.#marked = version;
    const writing = this.#marker.write(version);
    this.#running.add(writing);
    void writing.then(() => this.#running.delete(writing));
  }

  #check(): void {
    if (this.#closed) throw new StoreClosedError(`the world "${this.name}"`);
  }

  #read<T>(stores: string[], issue: (work: Work<T>) => void): Promise<T> {
    this.#check();
    const reading = this.#try((link) => transact<T>(link, stores, 'readonly', {}, issue));
    this.#running.add(reading);
    const over = () => this.#running.delete(reading);
    reading.then(over, over);
    return reading;
  }

  #write<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }

  /** Runs it, and once more on a new connection when the first one went away. */
  async #try<T>(run: (link: Link, attempt: number) => Promise<T>, changes = false): Promise<T> {
    let begun = false;
    for (let attempt = 0; ; attempt++) {
      let link: Link | undefined;
      try {
        link = await this.#connect();
        begun = true;
        return await run(link, attempt);
      } catch (error) {
        if (!(error instanceof Lost)) throw error;
        if (link) this.#drop(link, error.cause);
        if (attempt > 0) throw final(error, this.name, changes && begun);
      }
    }
  }

  async #connect(): Promise<Link> {
    if (this.#link && !this.#link.lost) return this.#link;
    this.#opening ??= openDatabase(this.#factory, DATABASE_PREFIX + this.name, this.name, !this.#made).finally(() => (this.#opening = undefined));
    try {
      this.#link = await this.#opening;
    } catch (error) {
      if (error instanceof StoreGoneError) this.#lost(error);
      throw error;
    }
    this.#made = true;
    return this.#link;
  }

  /** The connection is of no use any more. */
  #drop(link: Link, cause: unknown): void {
    if (this.#link === link) this.#link = undefined;
    lose(link, cause);
  }

  /** `undefined`: all there is. */
  #range(from: Uint8Array<ArrayBuffer> | undefined, to: Uint8Array<ArrayBuffer> | undefined): IDBKeyRange | undefined | 'empty' {
    if (to === undefined) return from && from.byteLength > 0 ? this.#ranges.lowerBound(from) : undefined;
    if (compare(from ?? new Uint8Array(), to) >= 0) return 'empty';
    return from ? this.#ranges.bound(from, to, false, true) : this.#ranges.upperBound(to, true);
  }

  /** The lease is lost: to another writer, or with the whole world. */
  #lost(reason: StoreError | undefined): void {
    const lease = this.#lease;
    if (!lease) return;
    this.#lease = undefined;
    this.#lock.release();
    const { onLost } = lease;
    // Not from within a commit: what it throws is its own affair.
    if (onLost) queueMicrotask(() => onLost(reason ?? new StoreFencedError(lease.epoch, undefined)));
  }
}

/** Not an error: ends an attempt whose work was done by the one before. */
class Happened extends Error {}

/** What is told when the second attempt is lost too. */
function final(error: Error, world: string, doubtful = false): Error {
  if (!(error instanceof Lost)) return error;
  const cause = error.cause as { name?: string; message?: string } | null | undefined;
  const words = cause ? `${cause.name ?? 'error'}: ${cause.message ?? ''}` : 'it was aborted';
  return new StoreIoError(
    `the browser's storage failed twice for the world "${world}" (${words}). ${doubtful ? 'Whether the commit was saved is not known: open the world again, it will tell' : 'Try again, or reload the page'}`,
    { cause, outcome: doubtful ? 'unknown' : 'none' },
  );
}

function readHead<T>(work: Work<T>, world: string, then: (head: StoredHead) => void): void {
  work.on(work.tx.objectStore(META).get(HEAD), (head: StoredHead | undefined) => {
    if (!head || !Number.isSafeInteger(head.version) || !Number.isSafeInteger(head.epoch)) {
      throw new StoreCorruptError(`the world "${world}" has no readable head. Import it from an export, or delete it`);
    }
    then(head);
  });
}

/** What `getAllRecords` gives (Chromium 141 and later). */
interface StoredRecord {
  key: IDBValidKey;
  value: unknown;
}
type NewObjectStore = IDBObjectStore & {
  getAllRecords?(options: { query?: IDBKeyRange; count?: number; direction?: IDBCursorDirection }): IDBRequest<StoredRecord[]>;
};

/** The entries of a range; `undefined` is the range of all. */
function readRange<T>(
  work: Work<T>,
  records: NewObjectStore,
  range: IDBKeyRange | undefined,
  limit: number,
  reverse: boolean,
  done: (entries: Entry[]) => void,
): void {
  readRaw(work, records, range, limit, reverse, (found) => done(found.map(({ key, value }) => entry(key, value))));
}

/** By whatever of the three ways the browser has. */
function readRaw<T>(
  { on }: Work<T>,
  records: NewObjectStore,
  range: IDBKeyRange | undefined,
  limit: number,
  reverse: boolean,
  done: (found: StoredRecord[]) => void,
): void {
  const count = limit >= 0xffff_ffff ? undefined : limit;
  if (records.getAllRecords) {
    const options = { ...(range && { query: range }), ...(count !== undefined && { count }), direction: reverse ? 'prev' : 'next' } as const;
    on(records.getAllRecords(options), done);
  } else if (!reverse) {
    // Two lists of one transaction: they match, and the first is there when the second comes.
    const keys = records.getAllKeys(range, count);
    on(records.getAll(range, count), (values) => done(keys.result.map((key, i) => ({ key, value: values[i] }))));
  } else {
    const found: StoredRecord[] = [];
    on(records.openCursor(range, 'prev'), (cursor) => {
      if (cursor) found.push({ key: cursor.key, value: cursor.value as unknown });
      if (cursor && found.length < limit) cursor.continue();
      else done(found);
    });
  }
}

function entry(key: IDBValidKey, value: unknown): Entry {
  if (!isBuffer(key)) throw notBytes(key);
  const name = new Uint8Array(key);
  return [name, bytes(value, name)];
}

function bytes(value: unknown, key: Uint8Array): Uint8Array {
  if (!isBuffer(value)) throw notBytes(key);
  return new Uint8Array(value);
}

/** By its tag: a buffer may come from another realm. */
function isBuffer(value: unknown): value is ArrayBuffer {
  return Object.prototype.toString.call(value) === '[object ArrayBuffer]';
}

function notBytes(key: IDBValidKey | Uint8Array): StoreCorruptError {
  const name = key instanceof Uint8Array ? key : isBuffer(key) ? new Uint8Array(key) : undefined;
  return new StoreCorruptError(`the entry ${name ? keyName(name) : String(key)} is not bytes. Import the world from an export`, name);
}

/** Keys by order, those that lie close together in one group. */
function groupNeighbours(keys: Uint8Array[]): { index: number; number: bigint | undefined }[][] {
  const all = keys.map((key, index) => ({ index, number: keyNumber(key), first: key[0]! }));
  all.sort((a, b) => {
    if (a.number === undefined || b.number === undefined) return Number(a.number !== undefined) - Number(b.number !== undefined);
    return a.first - b.first || (a.number < b.number ? -1 : a.number > b.number ? 1 : 0);
  });
  const groups: (typeof all)[] = [];
  for (const item of all) {
    const last = groups.at(-1)?.at(-1);
    if (last?.number !== undefined && item.number !== undefined && last.first === item.first && item.number - last.number <= GAP) groups.at(-1)!.push(item);
    else groups.push([item]);
  }
  return groups;
}

function checkName(name: unknown): void {
  if (typeof name !== 'string' || name === '') throw new StoreMisuseError('a world needs a name: a string that is not empty');
}

function cachesOf(options: IndexedDBOptions): CacheStorage | undefined {
  if (options.caches !== undefined) return options.caches ?? undefined;
  try {
    // Another factory's worlds are not the page's. And a frame that is sandboxed throws.
    return options.indexedDB ? undefined : globalThis.caches;
  } catch {
    return undefined;
  }
}

function lockName(world: string): string {
  return DATABASE_PREFIX + world;
}

function defaultFactory(): IDBFactory {
  const factory = globalThis.indexedDB as IDBFactory | undefined;
  if (!factory) throw new StoreUnavailableError("there is no IndexedDB here. In Node use the file store of 'evermoon/node', elsewhere a memory store");
  return factory;
}

/** Not secret; only never the same twice. `randomUUID` is missing on plain http. */
function randomId(): string {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((n) => n.toString(36)).join('-');
}
