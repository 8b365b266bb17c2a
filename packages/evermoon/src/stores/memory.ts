/**
 * A world in memory: for tests, and for worlds that need not last. It answers at once. What it holds is gone with the process,
 * unless it is exported.
 */
import { checkCounters, checkKey, checkLimit, keyBytes, keyText, neighbours, own, ownBatch } from './bytes.js';
import { SortedMap } from './sorted.js';
import {
  StoreClosedError,
  StoreConflictError,
  StoreFencedError,
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

/** What outlives the closing of one `MemoryStore`, for another upon the same world. */
interface Shared {
  entries: SortedMap<Uint8Array>;
  payload: number;
  head: Head;
  /** Who has the latest lease, and how to tell it that it has lost it. */
  holder: { store: MemoryStore; onLost: ((reason: Error) => void) | undefined } | undefined;
}

export class MemoryStore implements Store {
  readonly kind = 'memory';
  readonly name: string;
  readonly #shared: Shared;
  #closed = false;

  /** An empty world; or, with `like`, one more store upon the world of another (which may be closed by now). */
  constructor(like?: MemoryStore, name = 'memory') {
    this.name = like?.name ?? name;
    this.#shared = like ? like.#shared : { entries: new SortedMap(), payload: 0, head: { version: 0, epoch: 0 }, holder: undefined };
  }

  async head(): Promise<Head> {
    return { ...this.#open().head };
  }

  async lease(options: LeaseOptions = {}): Promise<number> {
    const shared = this.#open();
    const before = shared.head.epoch;
    shared.head.epoch += 1;
    const { holder } = shared;
    shared.holder = { store: this, onLost: options.onLost };
    // To take it anew is no loss.
    const onLost = holder?.store === this ? undefined : holder?.onLost;
    if (onLost) queueMicrotask(() => onLost(new StoreFencedError(before, before + 1)));
    return shared.head.epoch;
  }

  getSync(key: Uint8Array): Uint8Array | undefined {
    checkKey(key);
    const value = this.#open().entries.get(keyText(key));
    return value && own(value);
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.getSync(key);
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    this.#open();
    return keys.map((key) => this.getSync(key));
  }

  async getNear(key: Uint8Array, reach?: { before?: number | undefined; after?: number | undefined }): Promise<Entry[]> {
    const [low, high] = neighbours(key, reach);
    return this.#scan(keyText(low), keyText(high) + '\0', Infinity, false);
  }

  async scan(range: ScanRange = {}): Promise<Entry[]> {
    return this.scanSync(range);
  }

  scanSync(range: ScanRange = {}): Entry[] {
    if (range.from) checkKey(range.from);
    if (range.to) checkKey(range.to);
    return this.#scan(range.from ? keyText(range.from) : '', range.to && keyText(range.to), checkLimit(range.limit), range.reverse ?? false);
  }

  #scan(from: string, to: string | undefined, limit: number, reverse: boolean): Entry[] {
    const { entries } = this.#open();
    const found: Entry[] = [];
    if (limit === 0) return found;
    for (const [key, value] of entries.range(from, to, reverse)) {
      found.push([keyBytes(key), own(value)]);
      if (found.length >= limit) break;
    }
    return found;
  }

  // Nothing in here waits, so that a commit is whole for everybody else.
  async commit(expected: number, epoch: number, batch: readonly Write[], _options: CommitOptions = {}): Promise<number> {
    const shared = this.#open();
    const { entries, head } = shared;
    checkCounters(expected, epoch);
    const writes = ownBatch(batch);
    if (head.epoch !== epoch) throw new StoreFencedError(epoch, head.epoch);
    if (head.version !== expected) throw new StoreConflictError(expected, head.version);
    const remove = (key: string) => {
      const old = entries.delete(key);
      if (old) shared.payload -= key.length + old.byteLength;
    };
    for (const write of writes) {
      if (write.kind === 'put') {
        const key = keyText(write.key);
        const old = entries.set(key, write.value);
        shared.payload += write.value.byteLength - (old ? old.byteLength : -key.length);
      } else if (write.kind === 'delete') {
        remove(keyText(write.key));
      } else {
        const keys = [...entries.range(keyText(write.from), write.to && keyText(write.to))];
        for (const [key] of keys) remove(key);
      }
    }
    head.version += 1;
    return head.version;
  }

  async stats(): Promise<StoreStats> {
    const { entries, payload } = this.#open();
    return { entries: entries.size, payloadBytes: payload, fileBytes: undefined };
  }

  async verify(onProgress?: (done: number) => void): Promise<Health> {
    const { entries, payload } = this.#open();
    onProgress?.(1);
    return { entries: entries.size, payloadBytes: payload, damage: [] };
  }

  async persistence(): Promise<Persistence> {
    this.#open();
    return { kind: 'memory', usage: undefined, quota: undefined };
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#shared.holder?.store === this) this.#shared.holder = undefined;
  }

  #open(): Shared {
    if (this.#closed) throw new StoreClosedError(`the store "${this.name}"`);
    return this.#shared;
  }
}
