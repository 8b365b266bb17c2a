/**
 * A world in one file, for Node: a log of commits (its bytes are in `frames.ts`), and in memory an index from each key to where its value
 * is. Values stay in the file. Only Node's entry may import this.
 *
 * Invariants:
 * 1. Commits go to the end of the file, one after the other. A durable one is acknowledged after `fdatasync`.
 * 2. The index changes only after that, in one go: whatever is read is the state after some commit.
 * 3. At opening, the frames are read up to the first that is not whole. What follows was never on the disk for sure, hence never
 *    acknowledged as durable, and is cut off; unless a later frame says that the disk had it: then the file is damaged, and nothing is cut.
 * 4. A compaction writes another file, whole, and renames it over this one.
 * 5. One process at a time has the file open (`filelock.ts`).
 * 6. After a failed `fdatasync` nobody knows what the disk has: this store commits no more, and opening it again finds out.
 */
import { randomBytes } from 'node:crypto';
import * as nodeFs from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { checkCounters, checkKey, checkLimit, keyBytes, keyName, keyText, neighbours } from './bytes.js';
import { FileLock } from './filelock.js';
import {
  FRAME,
  HEADER,
  Kind,
  MARK,
  STEP,
  decode,
  encode,
  frameHead,
  header,
  payloadIsWhole,
  readFrameHead,
  readHeader,
  readLength,
  readPut,
  stepSize,
  type FrameHead,
  type Payload,
} from './frames.js';
import { SortedMap } from './sorted.js';
import {
  NotAStoreError,
  StoreClosedError,
  StoreConflictError,
  StoreCorruptError,
  StoreError,
  StoreFencedError,
  StoreFullError,
  StoreIoError,
  StoreNewerError,
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

/** What is used of `node:fs`. */
export interface FileSystem {
  promises: Pick<typeof nodeFs.promises, 'open' | 'rename' | 'readdir' | 'unlink'>;
  readSync: typeof nodeFs.readSync;
}

export interface FileOptions {
  /** When another process has the file: fail with `WorldBusyError` (the default), or wait. */
  ifBusy?: 'fail' | 'wait' | undefined;
  /** Ends the waiting. */
  signal?: AbortSignal | undefined;
  /**
   * When the file is damaged in its midst: `fail` with `StoreCorruptError` (the default), or `cut` it off before the damage: all later
   * commits are lost. What is cut is kept beside it as `PATH.damaged`.
   */
  onCorrupt?: 'fail' | 'cut' | undefined;
  /** Another file system, for tests. */
  fs?: FileSystem | undefined;
}

/** A file is compacted when more than half of it is of no use, and that is more than this. */
const SLACK = 4 * 1024 * 1024;
/** How much of a file is read at a time when much of it will be. */
const WINDOW = 256 * 1024;

// Where a value is, as one number: the step's offset in units of 8, and the value's length up to LONG (which says: look there).
const LONG = 8191;
const place = (offset: number, length: number) => (offset / 8) * 8192 + Math.min(length, LONG);
const offsetOf = (at: number) => Math.floor(at / 8192) * 8;
const lengthOf = (at: number) => at % 8192;

/** The state of one file: replaced as a whole by a compaction. */
interface Log {
  file: FileHandle;
  id: Buffer;
  index: SortedMap<number>;
  /** Bytes of all keys and values, and what their steps take in the file. */
  payload: number;
  useful: number;
  /** Where the next frame goes. */
  end: number;
  /** Everything below is on the disk. */
  synced: number;
}

export class FileStore implements Store {
  readonly kind = 'file';
  /** The path. */
  readonly name: string;
  /** What was cut off at opening: the unfinished end of a writer that was killed. */
  cut: { at: number; bytes: number } | undefined;
  readonly #fs: FileSystem;
  readonly #lock: FileLock;
  #log!: Log;
  #head: Head = { version: 0, epoch: 0 };
  #closed = false;
  #broken: Error | undefined;
  /** The last frame is `closed`: nothing is to be added when closing. */
  #sealed = false;
  #compactAbove = 0;
  #queue: Promise<unknown> = Promise.resolve();
  #onLost: ((reason: Error) => void) | undefined;

  private constructor(name: string, lock: FileLock, fs: FileSystem) {
    this.name = name;
    this.#lock = lock;
    this.#fs = fs;
  }

  /** Opens the world in this file, or begins an empty one. Its folder must be there. */
  static async open(path: string, options: FileOptions = {}): Promise<FileStore> {
    const name = resolve(path);
    const fs = options.fs ?? nodeFs;
    let lock: FileLock | undefined;
    try {
      lock = await FileLock.take(name, options.ifBusy ?? 'fail', options.signal);
      const store = new FileStore(name, lock, fs);
      await store.#begin(options.onCorrupt ?? 'fail');
      return store;
    } catch (error) {
      lock?.release();
      throw told(error, name, 'opened');
    }
  }

  async head(): Promise<Head> {
    this.#check();
    return { ...this.#head };
  }

  async lease(options: LeaseOptions = {}): Promise<number> {
    this.#check();
    return this.#write(async () => {
      const epoch = this.#head.epoch + 1;
      await this.#append(Kind.Lease, { version: this.#head.version, epoch }, undefined, true, 'leased');
      this.#head.epoch = epoch;
      this.#onLost = options.onLost;
      this.#lock.update({ epoch });
      return epoch;
    });
  }

  getSync(key: Uint8Array): Uint8Array | undefined {
    this.#check();
    checkKey(key);
    const name = keyText(key);
    const at = this.#log.index.get(name);
    return at === undefined ? undefined : this.#read(new Reader(this.#fs, this.#log), name, at);
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.getSync(key);
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    this.#check();
    const reader = new Reader(this.#fs, this.#log);
    return keys.map((key) => {
      checkKey(key);
      const name = keyText(key);
      const at = this.#log.index.get(name);
      return at === undefined ? undefined : this.#read(reader, name, at);
    });
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
    this.#check();
    const found: Entry[] = [];
    if (limit === 0) return found;
    const reader = new Reader(this.#fs, this.#log);
    for (const [key, at] of this.#log.index.range(from, to, reverse)) {
      found.push([keyBytes(key), this.#read(reader, key, at)]);
      if (found.length >= limit) break;
    }
    return found;
  }

  async commit(expected: number, epoch: number, batch: readonly Write[], options: CommitOptions = {}): Promise<number> {
    this.#check();
    checkCounters(expected, epoch);
    const payload = encode(batch);
    return this.#write(async () => {
      const head = this.#head;
      if (head.epoch !== epoch) throw new StoreFencedError(epoch, head.epoch);
      if (head.version !== expected) throw new StoreConflictError(expected, head.version);
      const at = await this.#append(Kind.Commit, { version: expected + 1, epoch }, payload, options.durability !== 'relaxed', 'committed');
      this.#apply(this.#log, payload.bytes, payload.steps, at);
      head.version += 1;
      if (this.#isWasteful()) void this.#write(() => this.#compact(false)).catch(() => {});
      return head.version;
    });
  }

  /** Writes the file anew without what is of no use any more. This happens by itself as well. */
  async vacuum(): Promise<number> {
    this.#check();
    return this.#write(async () => {
      const before = this.#log.end;
      await this.#compact(true);
      return before - this.#log.end;
    });
  }

  /** Every entry is read and compared with its checksum. The log around them was checked when it was opened. */
  async verify(onProgress?: (done: number) => void): Promise<Health> {
    this.#check();
    return this.#write(async () => {
      const health: Health = { entries: 0, payloadBytes: 0, damage: [] };
      const reader = new Reader(this.#fs, this.#log);
      let seen = 0;
      for (const [key, at] of this.#log.index.range()) {
        try {
          health.payloadBytes += key.length + this.#read(reader, key, at).byteLength;
          health.entries += 1;
        } catch (error) {
          if (!(error instanceof StoreCorruptError)) throw told(error, this.name, 'read');
          health.damage.push(error.message);
        }
        if (++seen % 4096) continue;
        onProgress?.(seen / this.#log.index.size);
        await new Promise((resolve) => setImmediate(resolve));
      }
      onProgress?.(1);
      return health;
    });
  }

  async stats(): Promise<StoreStats> {
    this.#check();
    return { entries: this.#log.index.size, payloadBytes: this.#log.payload, fileBytes: this.#log.end };
  }

  async persistence(): Promise<Persistence> {
    this.#check();
    return { kind: 'persistent', usage: this.#log.end, quota: undefined };
  }

  async close(): Promise<void> {
    if (this.#closed) {
      await this.#queue;
      return;
    }
    this.#closed = true;
    await this.#queue;
    this.#onLost = undefined;
    try {
      // Says that everything before was on the disk: from now on, damage to it can be told from an unfinished write.
      if (!this.#broken && !this.#sealed) await this.#append(Kind.Closed, this.#head, undefined, true, 'closed');
    } finally {
      await this.#log.file.close().catch(() => {});
      this.#lock.release();
    }
  }

  #check(): void {
    if (this.#closed) throw new StoreClosedError(`the world "${this.name}"`);
  }

  #write<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }

  // -- Reading

  #read(reader: Reader, key: string, at: number): Uint8Array {
    const offset = offsetOf(at);
    let length = lengthOf(at);
    if (length === LONG) length = readLength(reader.bytes(offset, STEP));
    const value = readPut(reader.bytes(offset, STEP + key.length + length), key);
    if (value) return value;
    const name = keyBytes(key);
    throw new StoreCorruptError(
      `the entry ${keyName(name)} of "${this.name}" is damaged (at byte ${offset}). Import the world from an export; what else it holds can still be read`,
      name,
    );
  }

  // -- Writing

  /** Adds a frame; returns where its payload is. Without effect when it fails, or the store is broken. */
  async #append(kind: Kind, after: Head, payload: Payload | undefined, durable: boolean, what: string): Promise<number> {
    if (this.#broken) {
      throw new StoreIoError(`"${this.name}" cannot be written any more since a write failed (${this.#broken.message}). Close it and open it again`, {
        cause: this.#broken,
      });
    }
    if (!this.#lock.held) {
      const error = new StoreFencedError(this.#head.epoch, undefined);
      this.#broken = error;
      const onLost = this.#onLost;
      if (onLost) queueMicrotask(() => onLost(error));
      throw error;
    }
    const log = this.#log;
    const start = log.end;
    const head = frameHead(log.id, { kind, ...after, synced: log.synced }, payload);
    let end = start;
    try {
      if (payload && payload.bytes.byteLength <= WINDOW) {
        end = await writeAll(log.file, Buffer.concat([head, payload.bytes]), start);
      } else {
        end = await writeAll(log.file, head, start);
        if (payload) end = await writeAll(log.file, payload.bytes, end);
      }
    } catch (error) {
      await log.file.truncate(start).catch((worse: Error) => (this.#broken = worse));
      throw told(error, this.name, what);
    }
    if (durable) {
      try {
        await log.file.datasync();
      } catch (error) {
        this.#broken = error as Error;
        await log.file.truncate(start).catch(() => {});
        throw new StoreIoError(`"${this.name}" was written, but the disk did not confirm it (${(error as Error).message}). Close it and open it again: it will tell what it has`, {
          cause: error,
          outcome: kind === Kind.Commit ? 'unknown' : 'none',
        });
      }
      log.synced = end;
    }
    log.end = end;
    this.#sealed = kind === Kind.Closed;
    return start + FRAME;
  }

  /** Takes the steps of a payload at `base` into the index. */
  #apply(log: Log, payload: Buffer, steps: number, base: number): boolean {
    const { index } = log;
    const forget = (key: string, at: number | undefined) => {
      if (at === undefined) return;
      let length = lengthOf(at);
      if (length === LONG) length = readLength(new Reader(this.#fs, log).bytes(offsetOf(at), STEP));
      log.payload -= key.length + length;
      log.useful -= stepSize(key.length, length);
    };
    return decode(payload, steps, {
      put(key, at, length) {
        // In this order: what is replaced may be in the same payload.
        forget(key, index.set(key, place(base + at, length)));
        log.payload += key.length + length;
        log.useful += stepSize(key.length, length);
      },
      delete: (key) => forget(key, index.delete(key)),
      deleteRange(from, to) {
        for (const [key] of [...index.range(from, to)]) forget(key, index.delete(key));
      },
    });
  }

  // -- Opening

  async #begin(onCorrupt: 'fail' | 'cut'): Promise<void> {
    const folder = dirname(this.name);
    const beside = `${basename(this.name)}.new-`;
    for (const name of await this.#fs.promises.readdir(folder)) {
      if (name.startsWith(beside)) await this.#fs.promises.unlink(join(folder, name));
    }
    let file: FileHandle;
    try {
      file = await this.#fs.promises.open(this.name, 'r+');
      // Somebody's `touch` is as good as no file.
      if (nodeFs.fstatSync(file.fd).size === 0) {
        await file.close();
        file = await this.#make();
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      file = await this.#make();
    }
    try {
      await this.#load(file, onCorrupt);
    } catch (error) {
      await file.close().catch(() => {});
      throw error;
    }
  }

  /** An empty log, there as a whole or not at all. */
  async #make(): Promise<FileHandle> {
    const beside = `${this.name}.new-${randomBytes(6).toString('hex')}`;
    const file = await this.#fs.promises.open(beside, 'wx+');
    try {
      await writeAll(file, header(randomBytes(8)), 0);
      await file.datasync();
      await this.#fs.promises.rename(beside, this.name);
      await this.#syncFolder();
      return file;
    } catch (error) {
      await file.close().catch(() => {});
      await this.#fs.promises.unlink(beside).catch(() => {});
      throw error;
    }
  }

  async #syncFolder(): Promise<void> {
    // Windows has no such thing.
    if (process.platform === 'win32') return;
    const folder = await this.#fs.promises.open(dirname(this.name), 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  async #load(file: FileHandle, onCorrupt: 'fail' | 'cut'): Promise<void> {
    const { size } = nodeFs.fstatSync(file.fd);
    const start = Buffer.alloc(HEADER);
    const { bytesRead } = await file.read(start, 0, HEADER, 0);
    const id = readHeader(start.subarray(0, bytesRead));
    if (id === 'foreign') throw new NotAStoreError(`"${this.name}" is not a world: it does not begin as one. Choose another path`);
    if (id === 'newer') throw new StoreNewerError(this.name);
    if (id === 'broken') throw new StoreCorruptError(`the beginning of "${this.name}" is damaged. Import the world from an export`);
    const log: Log = { file, id, index: new SortedMap(), payload: 0, useful: 0, end: HEADER, synced: HEADER };
    this.#log = log;
    const reader = new Reader(this.#fs, log);
    let whole = true;
    let last: FrameHead | undefined;
    while (log.end < size) {
      const head = readFrameHead(reader.bytes(log.end, FRAME, WINDOW), 0, id);
      const payload = head && head.length <= size - log.end - FRAME ? reader.bytes(log.end + FRAME, head.length, WINDOW) : undefined;
      if (!head || !payload || !payloadIsWhole(head, payload)) {
        whole = false;
        break;
      }
      const follows =
        head.kind === Kind.Commit
          ? head.version === this.#head.version + 1 && head.epoch === this.#head.epoch
          : head.kind === Kind.Lease
            ? head.version === this.#head.version && head.epoch === this.#head.epoch + 1
            : head.kind === Kind.Base
              ? last === undefined || last.kind === Kind.Base
              : head.kind === Kind.Closed && head.version === this.#head.version && head.epoch === this.#head.epoch;
      if (!follows || !this.#apply(log, payload, head.steps, log.end + FRAME)) {
        throw new StoreCorruptError(`"${this.name}" has a frame at byte ${log.end} that does not follow the one before. Import the world from an export`);
      }
      this.#head = { version: head.version, epoch: head.epoch };
      log.end += FRAME + head.length;
      last = head;
    }
    if (!whole) await this.#cutOff(log, size, onCorrupt);
    // What the process before us left to the system is on the disk before we build upon it.
    if (last && last.kind !== Kind.Closed) await file.datasync();
    log.synced = log.end;
    this.#sealed = last?.kind === Kind.Closed || log.end === HEADER;
  }

  /** Invariant 3. */
  async #cutOff(log: Log, size: number, onCorrupt: 'fail' | 'cut'): Promise<void> {
    const at = log.end;
    if (this.#isDamage(log, size)) {
      if (onCorrupt === 'fail') {
        throw new StoreCorruptError(
          `"${this.name}" is damaged at byte ${at} of ${size}: it is whole up to version ${this.#head.version}, and has later commits behind the damage. Import the world from an export; or open it with { onCorrupt: 'cut' } to go on from version ${this.#head.version}`,
        );
      }
      await this.#keepDamaged(log, size);
    }
    await log.file.truncate(at);
    await log.file.datasync();
    this.cut = { at, bytes: size - at };
  }

  /** Whether a frame behind the end was written when the disk had more than up to the end. */
  #isDamage(log: Log, size: number): boolean {
    const reader = new Reader(this.#fs, log);
    for (let at = log.end + 8; at + FRAME <= size; ) {
      const bytes = reader.bytes(at, Math.min(WINDOW, size - at));
      let i = 0;
      for (; i + FRAME <= bytes.byteLength; i += 8) {
        if (bytes.readUInt32LE(i) !== MARK) continue;
        const head = readFrameHead(bytes, i, log.id);
        if (!head || head.synced <= log.end || head.length > size - at - i - FRAME) continue;
        if (payloadIsWhole(head, new Reader(this.#fs, log).bytes(at + i + FRAME, head.length))) return true;
      }
      at += i;
    }
    return false;
  }

  async #keepDamaged(log: Log, size: number): Promise<void> {
    const kept = await this.#fs.promises.open(`${this.name}.damaged`, 'w');
    try {
      const reader = new Reader(this.#fs, log);
      for (let at = log.end; at < size; at += WINDOW) await writeAll(kept, Buffer.from(reader.bytes(at, Math.min(WINDOW, size - at))), at - log.end);
      await kept.datasync();
    } finally {
      await kept.close();
    }
  }

  // -- Compaction

  #isWasteful(): boolean {
    const { end, useful } = this.#log;
    return end - useful > Math.max(useful, SLACK) && end > this.#compactAbove;
  }

  async #compact(asked: boolean): Promise<void> {
    if (this.#broken || (!asked && (this.#closed || !this.#isWasteful()))) return;
    const old = this.#log;
    const beside = `${this.name}.new-${randomBytes(6).toString('hex')}`;
    let file: FileHandle | undefined;
    let renamed = false;
    try {
      file = await this.#fs.promises.open(beside, 'wx+');
      const log: Log = { file, id: randomBytes(8), index: new SortedMap(), payload: 0, useful: 0, end: HEADER, synced: HEADER };
      await writeAll(file, header(log.id), 0);
      const reader = new Reader(this.#fs, old);
      let part: Write[] = [];
      let weight = 0;
      const flush = async () => {
        const payload = encode(part);
        await writeAll(file!, frameHead(log.id, { kind: Kind.Base, ...this.#head, synced: 0 }, payload), log.end);
        await writeAll(file!, payload.bytes, log.end + FRAME);
        this.#apply(log, payload.bytes, payload.steps, log.end + FRAME);
        log.end += FRAME + payload.bytes.byteLength;
        part = [];
        weight = 0;
      };
      for (const [key, at] of old.index.range()) {
        const value = this.#read(reader, key, at);
        part.push({ kind: 'put', key: keyBytes(key), value });
        weight += key.length + value.byteLength;
        if (weight > 4 * WINDOW) await flush();
      }
      // One at least: it has the version.
      await flush();
      await file.datasync();
      log.synced = log.end;
      await this.#fs.promises.rename(beside, this.name);
      renamed = true;
      this.#log = log;
      this.#sealed = false;
      await old.file.close().catch(() => {});
      await this.#syncFolder();
    } catch (error) {
      if (renamed) {
        // The folder may have the old file or the new: both are whole, but what is committed from now on must be found.
        this.#broken = error as Error;
      } else {
        await file?.close().catch(() => {});
        await this.#fs.promises.unlink(beside).catch(() => {});
        // Not again with every commit.
        this.#compactAbove = old.end * 2;
      }
      throw told(error, this.name, 'compacted');
    }
  }
}

/** Reads a file, more at a time when it is read on and on. Its results are good until the next call. */
class Reader {
  #buffer = Buffer.alloc(0);
  #from = 0;
  #next = -1;
  constructor(
    readonly fs: Pick<FileSystem, 'readSync'>,
    readonly log: Log,
  ) {}

  /** These bytes, fewer at the file's end. `ahead`: how many to have at hand at least. */
  bytes(offset: number, length: number, ahead = 0): Buffer {
    const at = offset - this.#from;
    if (at < 0 || at + length > this.#buffer.byteLength) {
      // On from where it was: the next ones will be wanted too.
      if (offset >= this.#next && offset - this.#next < WINDOW && this.#next >= 0) ahead = WINDOW;
      const want = Math.max(length, ahead);
      const buffer = Buffer.allocUnsafe(want);
      let have = 0;
      while (have < want) {
        const read = this.fs.readSync(this.log.file.fd, buffer, have, want - have, offset + have);
        if (read === 0) break;
        have += read;
      }
      this.#buffer = buffer.subarray(0, have);
      this.#from = offset;
    }
    this.#next = offset + length;
    return this.#buffer.subarray(offset - this.#from, offset - this.#from + length);
  }
}

/** Returns where it ends. */
async function writeAll(file: FileHandle, bytes: Buffer, at: number): Promise<number> {
  let done = 0;
  while (done < bytes.byteLength) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, at + done);
    done += bytesWritten;
  }
  return at + bytes.byteLength;
}

/** A system's error in our words. */
function told(error: unknown, path: string, what: string): unknown {
  if (error instanceof StoreError || !(error instanceof Error) || !('code' in error)) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  // A signal's reason has a number.
  if (typeof code !== 'string') return error;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new StoreFullError(`the disk is full: "${path}" could not be ${what}, and is as it was before. Make room and try again`, { cause: error });
  }
  return new StoreIoError(`"${path}" could not be ${what}: ${message}`, { cause: error });
}
