/**
 * What a store is. A store holds ONE world: an ordered map of byte keys to byte values, and two counters. It never looks into keys or
 * values, and every entry is the store's own entry: nothing is emulated in pages on top of it. `docs/stores-js.md` tells how the
 * stores here keep these promises; `test/stores/conformance.mjs` holds them to it.
 *
 * The same words mean the same in Rust (`evermoon-store`).
 */
export * from './errors.js';

/** The longest key, in bytes. */
export const MAX_KEY = 1024;
/** The longest value, in bytes. */
export const MAX_VALUE = 64 * 1024 * 1024;

/** The two counters: safe integers that only grow. */
export interface Head {
  /** The number of the last commit; 0: nothing is committed yet. */
  version: number;
  /** Counts leases: only the holder of the latest may commit. 0: never leased. */
  epoch: number;
}

export type Entry = [key: Uint8Array, value: Uint8Array];

/** One step of a batch. Steps count in their order: the last that touches a key wins. */
export type Write =
  | { kind: 'put'; key: Uint8Array; value: Uint8Array }
  | { kind: 'delete'; key: Uint8Array }
  /** Everything in `from <= key < to`; without `to`, to the end. */
  | { kind: 'deleteRange'; from: Uint8Array; to?: Uint8Array | undefined };

/**
 * `durable`: when the commit resolves it survives a crash of the process and of the machine. `relaxed`: a crash may lose it, together
 * with all relaxed commits after it, but never a part of it, and never before something older.
 */
export type Durability = 'durable' | 'relaxed';

export interface ScanRange {
  /** The first key, inclusive. Default: the first there is. */
  from?: Uint8Array | undefined;
  /** The end, exclusive. Default: none. */
  to?: Uint8Array | undefined;
  /** At most so many entries. Default: all. */
  limit?: number | undefined;
  /** From the end of the range backwards. */
  reverse?: boolean | undefined;
}

export interface LeaseOptions {
  /**
   * What to do when the world is open somewhere else: `fail` (the default) with a `WorldBusyError`; `wait` until it is closed there;
   * `steal` it, upon which the other is told (`onLost`) and can commit no more. A store without a lock (memory) always steals; a file
   * never does from a living process.
   */
  ifBusy?: 'fail' | 'wait' | 'steal' | undefined;
  /** Ends `wait`. */
  signal?: AbortSignal | undefined;
  /** Called once, when this lease is lost: another took the world over, or it was deleted. */
  onLost?: ((reason: Error) => void) | undefined;
}

export interface CommitOptions {
  /** Default: `durable`. */
  durability?: Durability | undefined;
}

export interface StoreStats {
  entries: number;
  /** Bytes of all keys and values; `undefined` where only `exact` can tell (IndexedDB). */
  payloadBytes: number | undefined;
  /** What the store takes on disk; in a browser an estimate for all that the page's origin keeps. `undefined`: no disk, or not known. */
  fileBytes: number | undefined;
}

/** What `verify` found. */
export interface Health {
  /** Entries that can be read, and the bytes of their keys and values. */
  entries: number;
  payloadBytes: number;
  /** What is wrong, for people. Empty: all is well. */
  damage: string[];
}

/** How safe the world is from the system that keeps it. */
export interface Persistence {
  /**
   * `memory`: gone with the process. `best-effort`: a browser may delete it when space is short, or after weeks without a visit.
   * `persistent`: only its user deletes it.
   */
  kind: 'memory' | 'best-effort' | 'persistent';
  /** Bytes in use and at most, for all that the page's origin keeps, where the browser tells. */
  usage: number | undefined;
  quota: number | undefined;
}

/**
 * All methods fail with a `StoreError`. Arguments are copied before a method returns its promise; results belong to the caller.
 */
export interface Store {
  readonly kind: 'memory' | 'indexeddb' | 'file' | (string & {});
  /** For people: the world's name or path. */
  readonly name: string;
  head(): Promise<Head>;
  /** Durably adds one to `epoch` and returns it: the caller is now the only writer, and whoever holds an older epoch is fenced off. */
  lease(options?: LeaseOptions): Promise<number>;
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  /** All in one go, from one consistent view, in the order asked. */
  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>;
  /**
   * The entry and its neighbours, in key order: those with the same first byte whose 8-byte big-endian number is at most `before`
   * lower and `after` higher. For reading ahead: objects made together have numbers side by side. A key of another shape than
   * class byte and 8-byte number has no neighbours.
   */
  getNear(key: Uint8Array, reach?: { before?: number | undefined; after?: number | undefined }): Promise<Entry[]>;
  /** In key order, one consistent view a call. */
  scan(range?: ScanRange): Promise<Entry[]>;
  /**
   * All or nothing; with `durable`, kept when it resolves. `expected` must be the store's version and `epoch` its epoch, else it fails with
   * `StoreConflictError` or, first, `StoreFencedError`. Resolves to the new version, `expected + 1`. An empty batch commits too.
   */
  commit(expected: number, epoch: number, batch: readonly Write[], options?: CommitOptions): Promise<number>;
  /** `exact` may read the whole store. */
  stats(options?: { exact?: boolean | undefined }): Promise<StoreStats>;
  /** Reads everything, and checks what a store can check; damage is in the answer, no error. `onProgress` hears from 0 to 1. */
  verify(onProgress?: (done: number) => void): Promise<Health>;
  /** How safe it is; `ask` asks the browser to keep it for good first (it may ask its user; only a page can, not a worker). */
  persistence(options?: { ask?: boolean | undefined }): Promise<Persistence>;
  /** Waits for what is under way, and gives the lease up. Closing twice is no error. */
  close(): Promise<void>;
  /** Gives space that is of no use back to the disk; returns how many bytes. Stores without it leave this to their system. */
  vacuum?(): Promise<number>;
  /** `get` and `scan`, for stores that can answer at once. */
  getSync?(key: Uint8Array): Uint8Array | undefined;
  scanSync?(range?: ScanRange): Entry[];
}
