/**
 * Records between a store and the module: flat lists of entries, and supplying an engine with those that it wants.
 *
 * Invariant: slots and the scratch area are as they were after a call that was made again.
 */
import { type Exports, Mail, Status } from '../abi.js';
import type { Core } from '../core.js';
import { EvermoonError, LuaSyncError } from '../errors.js';
import { WorldError } from '../stores/errors.js';
import type { Instance } from '../instance.js';
import type { Entry, Store, Write } from '../stores/types.js';

const ABSENT = 0xffffffff;
/** In a key's length: a range of keys, up to the value. */
const RANGE = 0x80000000;
/** In the limit of a wanted range: from its end. */
const REVERSE = 0x80000000;

type KeyRange = readonly [from: Uint8Array, to: Uint8Array];

/** What a store has of what was wanted. */
export interface Found {
  /** A value of `undefined` says that the store has no such key. */
  entries: readonly (readonly [Uint8Array, Uint8Array | undefined])[];
  /** Ranges of which all that the store has is among the entries. */
  known?: readonly KeyRange[];
}

/** Entries as the module takes them. */
export function flatten({ entries, known = [] }: Found): Uint8Array {
  let size = 0;
  for (const [key, value] of entries) size += 8 + key.length + (value?.length ?? 0);
  for (const [from, to] of known) size += 8 + from.length + to.length;
  const flat = new Uint8Array(size);
  const view = new DataView(flat.buffer);
  let at = 0;
  const put = (key: Uint8Array, value: Uint8Array | undefined, mark: number) => {
    view.setUint32(at, key.length + mark, true);
    view.setUint32(at + 4, value ? value.length : ABSENT, true);
    flat.set(key, at + 8);
    at += 8 + key.length;
    if (value) {
      flat.set(value, at);
      at += value.length;
    }
  };
  for (const [key, value] of entries) put(key, value, 0);
  for (const [from, to] of known) put(from, to, RANGE);
  return flat;
}

/** What the module wants: keys, and at most one range. */
export interface Wanted {
  keys: Uint8Array[];
  range: { from: Uint8Array; to: Uint8Array; limit: number; reverse: boolean } | undefined;
}

/** The list of what is wanted. */
export function wantedOf(flat: Uint8Array): Wanted {
  const view = new DataView(flat.buffer, flat.byteOffset, flat.byteLength);
  const wanted: Wanted = { keys: [], range: undefined };
  for (let at = 0; at < flat.length; ) {
    const key = view.getUint32(at, true);
    const value = view.getUint32(at + 4, true);
    at += 8;
    const end = at + (key & ~RANGE);
    const bytes = flat.subarray(at, end);
    at = end;
    if (key < RANGE) {
      wanted.keys.push(bytes);
      continue;
    }
    const how = view.getUint32(end, true);
    at += value;
    wanted.range = { from: bytes, to: flat.subarray(end + 4, at), limit: how & ~REVERSE, reverse: how >= REVERSE };
  }
  return wanted;
}

/** Entries that the module gives. */
export function entriesOf(flat: Uint8Array): [Uint8Array, Uint8Array | undefined][] {
  const view = new DataView(flat.buffer, flat.byteOffset, flat.byteLength);
  const entries: [Uint8Array, Uint8Array | undefined][] = [];
  for (let at = 0; at < flat.length; ) {
    const key = view.getUint32(at, true);
    const value = view.getUint32(at + 4, true);
    at += 8;
    const end = at + key;
    entries.push([flat.subarray(at, end), value === ABSENT ? undefined : flat.subarray(end, end + value)]);
    at = end + (value === ABSENT ? 0 : value);
  }
  return entries;
}

/** Writes that the module gives, as a store takes them. */
export function writesOf(flat: Uint8Array): Write[] {
  const view = new DataView(flat.buffer, flat.byteOffset, flat.byteLength);
  const writes: Write[] = [];
  for (let at = 0; at < flat.length; ) {
    const kind = flat[at]!;
    const key = flat.subarray(at + 9, (at += 9 + view.getUint32(at + 1, true)));
    const value = flat.subarray(at, (at += view.getUint32(at - key.length - 4, true)));
    writes.push(kind === 0 ? { kind: 'put', key, value } : kind === 1 ? { kind: 'delete', key } : { kind: 'deleteRange', from: key, to: value });
  }
  return writes;
}

/** Hands bytes to the module for one call. */
export function lend<T>(instance: Instance, bytes: Uint8Array, use: (address: number, length: number) => T): T {
  const at = instance.alloc(bytes.length);
  try {
    instance.u8.set(bytes, at);
    return use(at, bytes.length);
  } finally {
    instance.x.em_free(at, bytes.length);
    instance.view();
  }
}

const OBJECT = 0x6f;
/** Entries that are read with one that is wanted, and for how many that is done. */
const AHEAD = { before: 16, after: 240 };
const AHEAD_MAX = 4;

/** Rows that are read when some are wanted, and for how many calls of `next` they last. */
const ROWS_AHEAD = 512;

/** What is wanted, with neighbours: objects made together have numbers side by side. */
export async function readNear(store: Store, { keys, range }: Wanted): Promise<Found> {
  const near = keys.length <= AHEAD_MAX ? keys.filter((key) => key[0] === OBJECT) : [];
  const scan = range && rowsOf(range);
  const [values, rows, ...around] = await Promise.all([store.getMany(keys), scan && store.scan(scan), ...near.map((key) => store.getNear(key, AHEAD))]);
  const entries: [Uint8Array, Uint8Array | undefined][] = around.flat();
  if (rows) entries.push(...rows);
  // What was asked for comes last: it counts.
  keys.forEach((key, i) => entries.push([key, values[i]]));
  return { entries, known: scan && rows ? [knownOf(scan, rows)] : [] };
}

function rowsOf(range: NonNullable<Wanted['range']>): NonNullable<Wanted['range']> {
  return { ...range, limit: Math.max(range.limit, ROWS_AHEAD) };
}

/** How much of a range is known, when it was scanned and these were found. */
function knownOf({ from, to, limit, reverse }: NonNullable<Wanted['range']>, found: readonly Entry[]): KeyRange {
  if (found.length < limit) return [from, to];
  const last = found[found.length - 1]![0];
  return reverse ? [last, to] : [from, behind(last)];
}

/** The first key behind a key. */
export function behind(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

/** What a store has, from its beginning, up to so many entries and bytes; `complete`: that is everything. */
export async function readFirst(store: Store, entriesMax: number, bytesMax: number): Promise<{ entries: Entry[]; complete: boolean }> {
  const entries: Entry[] = [];
  let bytes = 0;
  let from: Uint8Array | undefined;
  while (entries.length < entriesMax && bytes < bytesMax) {
    const limit = Math.min(1024, entriesMax - entries.length);
    const found = await store.scan({ from, limit });
    for (const entry of found) {
      bytes += entry[0].length + entry[1].length;
      entries.push(entry);
    }
    if (found.length < limit) return { entries, complete: true };
    from = behind(found[found.length - 1]![0]);
  }
  return { entries, complete: false };
}

/** Calls whose second argument is the handle of a table that they look into. */
const LOOKING = [
  'em_raw_get', 'em_get', 'em_raw_set', 'em_raw_append', 'em_raw_entries', 'em_raw_len', 'em_table_shape', 'em_has_metatable', 'em_metatable', 'em_object_metatable',
] as const;
/** Those of them that may want rows of it, and what they give then. */
const WANTING: Record<string, number> = { em_raw_get: Status.Fault, em_raw_entries: Status.Fault, em_raw_len: -4, em_table_shape: -4 };
/** Calls that run a task. */
const RUNNING = ['em_run', 'em_call'] as const;

type Call = (engine: number, ...rest: number[]) => number;

/**
 * Stands between a core and the module, so that the rest of the package need not know of worlds: what a call lacks is supplied, and the call made again. When
 * the store answers later, a run sees that as the call of a host function which gives a promise.
 */
export class StoreSupplier {
  readonly x: Exports;
  #core: Core | undefined;
  /** The number of the host function that brings what is wanted. */
  #function = 0;
  /** Tasks that have been told to call it. */
  readonly #faulting = new Set<number>();
  #failed: unknown;
  /** What was wanted and could not be supplied at once: the module names it once. */
  readonly #late: Wanted[] = [];
  /** Commits that the module has heard of. */
  commits = 0;
  /** The task that the next start is to go on with. */
  #resuming = 0;
  #resumed = 0;

  constructor(
    private readonly store: Store,
    instance: Instance,
  ) {
    const { x } = instance;
    const watched: Record<string, unknown> = { ...x };
    for (const name of LOOKING) {
      const call = x[name] as Call;
      watched[name] = (engine: number, handle: number, ...rest: number[]) => {
        const core = this.#core;
        if (!core) return call(engine, handle, ...rest);
        this.#touch(core, handle);
        for (;;) {
          const result = call(engine, handle, ...rest);
          if (result !== WANTING[name]) return result;
          if (this.#supplyNow(core)) continue;
          this.wanted(core);
          throw new EvermoonError('misuse', 'rows of this table are in the store only, which cannot give them at once: use world.row(), world.rows() or run()');
        }
      };
    }
    for (const name of RUNNING) {
      const call = x[name] as Call;
      watched[name] = (engine: number, ...rest: number[]) => this.#run(engine, rest, call);
    }
    watched['em_start'] = (engine: number, ...rest: [number, number]) => {
      const task = (this.#resumed = this.#resuming);
      this.#resuming = 0;
      return task === 0 ? x.em_start(engine, ...rest) : task;
    };
    watched['em_answer'] = (engine: number, task: number, count: number, ok: number) => {
      if (!this.#faulting.delete(task)) return x.em_answer(engine, task, count, ok);
      const error = this.#failed;
      this.#failed = undefined;
      if (error) throw error as Error;
      if (!ok) throw new LuaSyncError("a part of the world is not in memory, and its store cannot give it at once: use run() or call()");
      return Status.Done;
    };
    watched['em_answer_run'] = (engine: number, task: number, count: number, ok: number, slices: number) => {
      const status = this.x.em_answer(engine, task, count, ok);
      return status === Status.Done ? this.x.em_run(engine, task, slices) : status;
    };
    watched['em_world_committed'] = (engine: number) => {
      this.commits++;
      x.em_world_committed(engine);
    };
    watched['em_drop'] = (engine: number, task: number) => {
      this.#faulting.delete(task);
      x.em_drop(engine, task);
    };
    this.x = watched as unknown as Exports;
  }

  /** From here on this engine is supplied. */
  attach(core: Core): void {
    this.#core = core;
    this.#function = core.functionNumber(() =>
      this.fault(core).catch((error: unknown) => {
        this.#failed = error;
      }),
    );
  }

  /** What is started next (at once) is this task. */
  resume(task: number): number {
    this.#resuming = task;
    return 0;
  }

  #run(engine: number, rest: number[], call: Call): number {
    const resumed = this.#resumed;
    this.#resumed = 0;
    const core = this.#core;
    if (core && resumed !== 0) return core.instance.x.em_world_resume(engine, resumed);
    let status = call(engine, ...rest);
    if (status !== Status.Fault || !core) return status;
    const { instance } = core;
    instance.view();
    const task = instance.u32[core.mail + Mail.Task]!;
    while (status === Status.Fault && this.#supplyNow(core)) {
      status = instance.x.em_run(engine, task, rest[rest.length - 1]!);
    }
    if (status !== Status.Fault) return status;
    this.#faulting.add(task);
    instance.u32[core.mail + Mail.Function] = this.#function;
    return Status.HostCall;
  }

  #touch(core: Core, handle: number): void {
    for (;;) {
      const status = core.instance.x.em_world_touch(core.engine, handle);
      core.instance.view();
      if (status === Status.Done) return;
      if (status !== Status.Fault) throw status === Status.Error ? damaged(core) : core.refusal(status);
      if (!this.#supplyNow(core)) {
        this.wanted(core);
        throw new EvermoonError('misuse', 'this is not in memory, and the world\'s store cannot give it at once: await world.load(handle) first');
      }
    }
  }

  /** What the engine wants. */
  wanted(core: Core): Wanted {
    const { instance, engine } = core;
    const { x } = instance;
    const length = x.em_world_wanted(engine);
    const at = x.em_world_wanted_at(engine) >>> 0;
    instance.view();
    return wantedOf(instance.u8.slice(at, at + length));
  }

  /** False when the store answers later only. */
  #supplyNow(core: Core): boolean {
    const { store } = this;
    if (!store.getSync) return false;
    const wanted = this.wanted(core);
    const { keys, range } = wanted;
    if (range && !store.scanSync) {
      this.#late.push(wanted);
      return false;
    }
    const entries: [Uint8Array, Uint8Array | undefined][] = keys.map((key) => [key, store.getSync!(key)]);
    const scan = range && rowsOf(range);
    const rows = scan && store.scanSync!(scan);
    if (rows) entries.push(...rows);
    this.supply(core, { entries, known: scan && rows ? [knownOf(scan, rows)] : [] });
    return true;
  }

  async fault(core: Core): Promise<void> {
    const all = [...this.#late.splice(0), this.wanted(core)];
    let commits: number;
    let found: Found[];
    do {
      // What was read before a commit must not come after it.
      commits = this.commits;
      found = await Promise.all(all.map((wanted) => readNear(this.store, wanted)));
      core.usable();
    } while (commits !== this.commits);
    for (const some of found) this.supply(core, some);
  }

  supply(core: Core, found: Found): void {
    if (found.entries.length === 0 && !found.known?.length) return;
    lend(core.instance, flatten(found), (at, length) => core.instance.x.em_world_supply(core.engine, at, length));
  }
}

/** The error of a world call that gave `ERROR`. */
export function damaged(core: Core): WorldError {
  return new WorldError(String(core.first('text')));
}
