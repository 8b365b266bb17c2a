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

/** Entries as the module takes them; a value of `undefined` says that the store has no such key. */
export function flatten(entries: readonly (readonly [Uint8Array, Uint8Array | undefined])[]): Uint8Array {
  let size = 0;
  for (const [key, value] of entries) size += 8 + key.length + (value?.length ?? 0);
  const flat = new Uint8Array(size);
  const view = new DataView(flat.buffer);
  let at = 0;
  for (const [key, value] of entries) {
    view.setUint32(at, key.length, true);
    view.setUint32(at + 4, value ? value.length : ABSENT, true);
    flat.set(key, at + 8);
    at += 8 + key.length;
    if (value) {
      flat.set(value, at);
      at += value.length;
    }
  }
  return flat;
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

/** What is wanted, with neighbours: objects made together have numbers side by side. */
export async function readNear(store: Store, keys: readonly Uint8Array[]): Promise<[Uint8Array, Uint8Array | undefined][]> {
  const near = keys.length <= AHEAD_MAX ? keys.filter((key) => key[0] === OBJECT) : [];
  const [values, ...around] = await Promise.all([store.getMany(keys), ...near.map((key) => store.getNear(key, AHEAD))]);
  // What was asked for comes last: it counts.
  return [...around.flat(), ...keys.map((key, i): [Uint8Array, Uint8Array | undefined] => [key, values[i]])];
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
    const last = found[found.length - 1]![0];
    from = new Uint8Array(last.length + 1);
    from.set(last);
  }
  return { entries, complete: false };
}

/** Calls whose second argument is the handle of a table that they look into. */
const LOOKING = [
  'em_raw_get', 'em_get', 'em_raw_set', 'em_raw_append', 'em_raw_entries', 'em_raw_len', 'em_table_shape', 'em_has_metatable', 'em_metatable', 'em_object_metatable',
] as const;
/** Calls that run a task. */
const RUNNING = ['em_run', 'em_call', 'em_answer_run'] as const;

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
        if (this.#core) this.#touch(this.#core, handle);
        return call(engine, handle, ...rest);
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
    while (status === Status.Fault && this.store.getSync) {
      this.#supplyNow(core);
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
      if (!this.store.getSync) {
        this.wanted(core);
        throw new EvermoonError('misuse', 'this is not in memory, and the world\'s store cannot give it at once: await world.load(handle) first');
      }
      this.#supplyNow(core);
    }
  }

  /** The keys that the engine wants. */
  wanted(core: Core): Uint8Array[] {
    const { instance, engine } = core;
    const { x } = instance;
    const length = x.em_world_wanted(engine);
    const at = x.em_world_wanted_at(engine) >>> 0;
    instance.view();
    return entriesOf(instance.u8.slice(at, at + length)).map(([key]) => key);
  }

  #supplyNow(core: Core): void {
    this.supply(core, this.wanted(core).map((key) => [key, this.store.getSync!(key)]));
  }

  async fault(core: Core): Promise<void> {
    const keys = this.wanted(core);
    const entries = await readNear(this.store, keys);
    core.usable();
    this.supply(core, entries);
  }

  supply(core: Core, entries: readonly (readonly [Uint8Array, Uint8Array | undefined])[]): void {
    if (entries.length === 0) return;
    lend(core.instance, flatten(entries), (at, length) => core.instance.x.em_world_supply(core.engine, at, length));
  }
}

/** The error of a world call that gave `ERROR`. */
export function damaged(core: Core): WorldError {
  return new WorldError(String(core.first('text')));
}
