/**
 * A world: an engine over a store. A run is a transaction: its end is a commit, its failure the way back to the last one (or, with `keep`, a
 * commit as well).
 *
 * Invariants
 * 1. Commits, rollbacks and work on the store as a whole go one after the other (`#tail`). What changes is encoded when its turn has come, at once:
 *    programs run on while the store writes.
 * 2. A commit is reported when the store has resolved, never before.
 * 3. What a failed run has done reaches no commit: from the failure on, commits whose turn has not come are refused until the world is back.
 * 4. Host functions are in records by name only.
 */
import { Status } from '../abi.js';
import { Core } from '../core.js';
import { EvermoonError, EvermoonLoadError, LuaAbortError, LuaDisposedError } from '../errors.js';
import { WorldError } from '../stores/errors.js';
import type { Evermoon } from '../evermoon.js';
import { LuaFunction, LuaTable } from '../handles.js';
import { compile, compileOwn, instantiate } from '../load.js';
import { finder } from '../modules.js';
import { Sink } from '../output.js';
import { callAsync } from '../run.js';
import { IndexedDBStore } from '../stores/indexeddb.js';
import { MemoryStore } from '../stores/memory.js';
import type { Persistence, Store, Write } from '../stores/types.js';
import type * as types from '../types.js';
import { checkStore, exportStore, findGarbage, importInto } from './job.js';
import { damaged, readFirst, StoreSupplier, writesOf } from './supply.js';

const MIB = 1 << 20;
/** Commits that are remembered. */
const REMEMBERED = 50;

/** Puts the loader of modules into a world that has none; the function that finds them is the world's by name. */
const MODULES = `
local find = ...
local load, error = load, error
local searchers = package.searchers
if searchers.host then return end
searchers.host = true
table.insert(searchers, 2, function(name)
  local source = find(name)
  if source == nil then return "no module '" .. name .. "' from the host" end
  local f, message = load(source, "@" .. name)
  if not f then error("error loading module '" .. name .. "' from the host:\\n\\t" .. message, 0) end
  return f, name
end)`;

/** Rows that are brought in one go. */
const ROWS_AT_ONCE = 64;
/** An iterator over the rows of an external table, or over a plain one. */
const ROWS = `
local t, from, to, reverse = ...
if ext.is(t) then return ext.range(t, from, to, { reverse = reverse }) end
local next, k, v = next, nil, nil
return function() k, v = next(t, k) return k, v end`;
const BATCH = `
local next, n = ...
local found, count = {}, 0
while count < 2 * n do
  local k, v = next()
  if k == nil then break end
  found[count + 1], found[count + 2] = k, v
  count = count + 2
end
return table.unpack(found, 1, count)`;

async function storeOf(options: types.WorldOptions): Promise<{ store: Store; ours: boolean }> {
  const { store, name = 'world' } = options;
  if (typeof store === 'object' && 'commit' in store) return { store, ours: false };
  if (typeof store === 'object') {
    // By a name that no bundler for browsers follows.
    const node = 'evermoon/node';
    const { FileStore } = (await import(/* @vite-ignore */ /* webpackIgnore: true */ node)) as typeof import('../stores/node.js');
    return { store: await FileStore.open(store.file), ours: true };
  }
  const memory = store === 'memory' || (store === undefined && typeof indexedDB === 'undefined');
  return { store: memory ? new MemoryStore(undefined, name) : await IndexedDBStore.open(name, { ifLost: options.ifLost }), ours: true };
}

/** Compiles the module with worlds. */
export async function compileWorld(wasm?: types.WasmSource): Promise<WebAssembly.Module> {
  // The literal is what bundlers look for.
  const module = await (wasm === undefined ? compileOwn(new URL('./evermoon-world.wasm', import.meta.url), 'evermoon-world.wasm') : compile(wasm));
  const exported = WebAssembly.Module.exports(module).map(({ name }) => name);
  if (exported.includes('em_abi_version') && !exported.includes('em_world_open')) {
    throw new EvermoonLoadError("this is evermoon.wasm, which has no worlds: give evermoon-world.wasm as { wasm }, or import 'evermoon/inline-world'");
  }
  return module;
}

export async function openWorld(around: (core: Core) => Evermoon, options: types.WorldOptions = {}): Promise<World> {
  return World.open(await compileWorld(options.wasm), options, around);
}

export async function importWorld(from: types.SnapshotSource, options: types.WorldOptions = {}): Promise<void> {
  const module = await compileWorld(options.wasm);
  // An import is what a lost world is to be mended with.
  const { store, ours } = await storeOf({ ...options, ifLost: 'accept' });
  try {
    await importInto(instantiate(module, true), from, store, options.ifBusy ?? 'fail');
  } finally {
    if (ours) await store.close();
  }
}

interface Run {
  stop: AbortController;
  done: Promise<unknown>;
}

export class World implements types.World {
  readonly name: string;
  readonly store: Store;
  readonly null = null;
  existed = false;
  version = 0;
  commits: types.WorldCommit[] = [];
  closed = false;
  readonly #core: Core;
  readonly #lua: Evermoon;
  readonly #supplier: StoreSupplier;
  readonly #options: types.WorldOptions;
  readonly #listeners = new Set<(commit: types.WorldCommit) => void>();
  readonly #runs = new Set<Run>();
  /** Tasks that were under way when the world was opened, and that are still as they were. */
  #pending = new Set<number>();
  #epoch = 0;
  #tail: Promise<unknown> = Promise.resolve();
  /** The commit whose turn has not come. */
  #next: Promise<types.WorldCommit> | undefined;
  /** Invariant 3. */
  #failed = false;
  /** Work in `#tail` that is not over. */
  #busy = 0;
  #checkpoint: ReturnType<typeof setInterval> | undefined;

  private constructor(core: Core, lua: Evermoon, store: Store, supplier: StoreSupplier, options: types.WorldOptions) {
    this.#core = core;
    this.#lua = lua;
    this.store = store;
    this.#supplier = supplier;
    this.#options = options;
    this.name = options.name ?? store.name;
    if (options.onCommit) this.#listeners.add(options.onCommit);
  }

  static async open(module: WebAssembly.Module, options: types.WorldOptions, around: (core: Core) => Evermoon): Promise<World> {
    const { store } = await storeOf(options);
    let world: World | undefined;
    try {
      const lost = (reason: Error) => options.onLost?.(reason);
      const epoch = await store.lease({ ifBusy: options.ifBusy, onLost: lost });
      const { version } = await store.head();
      const instance = instantiate(module, true);
      const supplier = new StoreSupplier(store, instance);
      const core = new Core(
        instance,
        options.memoryMax ?? 0,
        new Sink(options),
        options.strings ?? 'text',
        { ...options },
        supplier.x,
      );
      world = new World(core, around(core), store, supplier, options);
      world.#epoch = epoch;
      world.version = version;
      await world.#begin(options);
      return world;
    } catch (error) {
      if (world) world.#core.dispose();
      await store.close();
      throw error;
    }
  }

  async #begin(options: types.WorldOptions): Promise<void> {
    const core = this.#core;
    const { x, engine, instance } = core;
    const seed = options.seed === undefined ? crypto.getRandomValues(new BigUint64Array(2)) : [BigInt.asUintN(64, BigInt(Math.trunc(Number(options.seed)))), 0n];
    x.em_seed(engine, seed[0]!, seed[1]!);
    const first = await readFirst(this.store, this.version === 0 ? 1 : (options.readAtOnce ?? 2000) + 1, 16 * MIB);
    this.#supplier.supply(core, first);
    this.#supplier.attach(core);
    let status: number;
    while ((status = x.em_world_open(engine, first.complete ? 1 : 0, options.memory ?? 48 * MIB)) === Status.Fault) await this.#supplier.fault(core);
    instance.view();
    if (status !== Status.Done) throw status === Status.Error ? damaged(core) : core.refusal(status);
    this.existed = core.first('text') as boolean;
    this.#pending = new Set(this.#tasks().map(([task]) => task));
    const commit = this.#name('world.commit', () => this.commit().then(({ version }) => version));
    // The library's table is the program's to change; only a new world gets it.
    if (!this.existed) {
      const library = this.table({ commit });
      this.set('world', library);
      library.dispose();
    }
    commit.dispose();
    for (const [name, fn] of Object.entries(options.define ?? {})) this.define(name, fn);
    if (options.modules) {
      const find = this.#name('evermoon.modules', finder(options.modules) as types.HostFunction);
      const main = this.load(MODULES, '=evermoon');
      await callAsync(core, () => main.usable(core), { args: [find] });
      main.dispose();
      find.dispose();
    }
    while ((status = x.em_world_library(engine)) === Status.Fault) await this.#supplier.fault(core);
    instance.view();
    if (status !== Status.Done) throw core.refusal(status);
    const added = core.first('text') as boolean;
    // There is something to go back to from the start, and it has all that a world has.
    if (!this.existed || added) await this.commit();
  }

  // ---- programs ----

  run<R extends unknown[] = types.LuaValue[]>(code: string | Uint8Array, options: types.RunOptions = {}): Promise<R> {
    return this.#transaction(options, (inner) => this.#lua.run<R>(code, inner));
  }

  call<R extends unknown[] = types.LuaValue[]>(name: string, ...args: unknown[]): Promise<R> {
    return this.#transaction({}, async (inner) => {
      const fn = this.get<unknown>(name);
      if (!(fn instanceof LuaFunction)) throw new EvermoonError('misuse', `'${name}' is not a function of this world`);
      try {
        return await fn.callWith<R>({ ...inner, args });
      } finally {
        fn.dispose();
      }
    });
  }

  runSync<R extends unknown[] = types.LuaValue[]>(code: string | Uint8Array, options: types.RunOptions = {}): R {
    this.#use();
    if (this.#keeps) {
      try {
        return this.#lua.runSync<R>(code, options);
      } finally {
        this.#later();
      }
    }
    if (this.#busy > 0 || this.#runs.size > 0) {
      throw new EvermoonError('misuse', 'runSync: a commit or a run is under way, so a failure could not be undone at once: await world.settled(), or use run()');
    }
    let result: R;
    try {
      result = this.#lua.runSync<R>(code, options);
    } catch (error) {
      this.#back(this.#core.x.em_world_rollback(this.#core.engine));
      throw error;
    }
    this.#later();
    return result;
  }

  async #transaction<T>(options: Omit<types.RunOptions, 'args' | 'name'>, go: (inner: types.RunOptions) => Promise<T>): Promise<T> {
    this.#use();
    while (this.#failed) await this.#tail;
    // What was set before is not undone with this run.
    if (!this.#keeps) await this.#next?.catch(() => {});
    this.#use();
    const stop = new AbortController();
    const { signal } = options;
    const abort = () => stop.abort(signal?.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort);
    const done = go({ ...options, signal: stop.signal });
    const run: Run = { stop, done };
    this.#runs.add(run);
    this.#watch();
    let result: T;
    try {
      result = await done;
    } catch (error) {
      this.#end(run);
      if (this.closed) throw error;
      if (this.#keeps) {
        // The program's error is the one to hear of.
        await this.commit().catch((failure: unknown) => this.#tell(failure));
      } else if (!this.#failed) await this.rollback();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#end(run);
    }
    try {
      await this.commit();
    } catch (error) {
      if (!this.#keeps && error instanceof WorldError && !this.#failed) await this.rollback();
      throw error;
    }
    return result;
  }

  #end(run: Run): void {
    this.#runs.delete(run);
    this.#watch();
  }

  get #keeps(): boolean {
    return this.#options.onError === 'keep';
  }

  /** Checkpoints go on as long as programs do. */
  #watch(): void {
    const { checkpointEvery } = this.#options;
    if (checkpointEvery === undefined) return;
    if (this.#runs.size === 0) {
      clearInterval(this.#checkpoint);
      this.#checkpoint = undefined;
    } else {
      this.#checkpoint ??= setInterval(() => this.#failed || this.#next || this.#later(), Math.max(1, checkpointEvery));
    }
  }

  #tasks(): [task: number, waitsFor: string | undefined][] {
    const core = this.#core;
    core.usable();
    core.x.em_world_tasks(core.engine);
    core.instance.view();
    const values = core.allResults('text');
    const tasks: [number, string | undefined][] = [];
    for (let i = 0; i < values.length; i += 2) tasks.push([values[i] as number, values[i + 1] as string | undefined]);
    return tasks;
  }

  pending(): types.PendingProgram[] {
    const core = this.#core;
    return this.#tasks()
      .filter(([task]) => this.#pending.has(task))
      .map(([task, waitsFor]) => ({
        waitsFor,
        resume: <R extends unknown[]>(options: Omit<types.RunOptions, 'args' | 'name'> = {}) => {
          if (!this.#pending.delete(task)) return Promise.reject(new EvermoonError('misuse', 'this program has been gone on with already'));
          return this.#transaction(options, (inner) => callAsync(core, () => this.#supplier.resume(task), inner) as Promise<R>);
        },
        drop: () => {
          if (this.#pending.delete(task)) core.x.em_drop(core.engine, task);
        },
      }));
  }

  // ---- commits ----

  /** Does something when all before it is done. */
  #queue<T>(work: () => Promise<T>): Promise<T> {
    this.#busy++;
    const done = this.#tail.then(work).finally(() => this.#busy--);
    this.#tail = done.catch(() => {});
    return done;
  }

  commit(): Promise<types.WorldCommit> {
    this.#use();
    // Whoever comes before its turn is part of it.
    return (this.#next ??= this.#queue(() => {
      this.#next = undefined;
      return this.#commit();
    }));
  }

  async #commit(): Promise<types.WorldCommit> {
    const core = this.#core;
    const { x, engine, instance } = core;
    if (this.#failed) throw new WorldError('the world is being put back to its last commit');
    this.#use();
    const start = performance.now();
    const status = x.em_world_delta(engine);
    instance.view();
    if (status === Status.Error) {
      const [why, path] = core.allResults('text') as [string, string];
      throw new WorldError(`${path === '' ? '' : `${path} `}cannot be stored: ${why}`, path);
    }
    if (status !== Status.Done) throw core.refusal(status);
    const [flat, objects, bytes] = core.allResults('bytes') as [Uint8Array, number, number];
    if (flat.length === 0) {
      x.em_world_committed(engine);
      return { version: this.version, objects: 0, bytes: 0, ms: 0, at: Date.now() };
    }
    try {
      this.version = await this.store.commit(this.version, this.#epoch, writesOf(flat));
    } catch (error) {
      if (!core.disposed && !instance.dead) x.em_world_failed(engine);
      throw error;
    }
    if (!core.disposed && !instance.dead) x.em_world_committed(engine);
    const commit = { version: this.version, objects, bytes, ms: performance.now() - start, at: Date.now() };
    this.commits = [commit, ...this.commits.slice(0, REMEMBERED - 1)];
    for (const listener of this.#listeners) listener(commit);
    return commit;
  }

  /** A commit that nobody waits for. */
  #later(): void {
    this.commit().catch((error: unknown) => this.#tell(error));
  }

  #tell(error: unknown): void {
    if (this.#options.onCommitError) this.#options.onCommitError(error);
    else console.error(error);
  }

  async rollback(): Promise<void> {
    this.#use();
    this.#failed = true;
    const others = [...this.#runs];
    for (const { stop } of others) stop.abort(new LuaAbortError('the world was put back to its last commit', undefined));
    await Promise.allSettled(others.map(({ done }) => done));
    await this.#queue(async () => {
      const core = this.#core;
      try {
        let status: number;
        while ((status = core.x.em_world_rollback(core.engine)) === Status.Fault) await this.#supplier.fault(core);
        this.#back(status);
      } finally {
        this.#failed = false;
      }
    });
  }

  /** The world is back. What a failed program had been in the middle of when it committed goes too. */
  #back(status: number): void {
    const core = this.#core;
    core.instance.view();
    if (status === Status.Done) {
      for (const [task] of this.#tasks()) if (!this.#pending.has(task)) core.x.em_drop(core.engine, task);
      return;
    }
    const error = status === Status.Error ? damaged(core) : core.refusal(status);
    this.#core.dispose();
    throw new WorldError(`the world has to be opened again: ${error.message}`, '', { cause: error });
  }

  async settled(): Promise<void> {
    while (this.#busy > 0) await this.#tail;
  }

  onCommit(listener: (commit: types.WorldCommit) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // ---- values ----

  load(handle: types.LuaHandle): Promise<void>;
  load(code: string | Uint8Array, name?: string): LuaFunction;
  load(what: string | Uint8Array | types.LuaHandle, name?: string): LuaFunction | Promise<void> {
    this.#use();
    if (typeof what === 'string' || what instanceof Uint8Array) return this.#lua.load(what, name);
    return this.#load(what as LuaTable);
  }

  async #load(handle: LuaTable): Promise<void> {
    const core = this.#core;
    for (;;) {
      const status = core.x.em_world_touch(core.engine, handle.usable(core));
      core.instance.view();
      if (status === Status.Done) return;
      if (status !== Status.Fault) throw status === Status.Error ? damaged(core) : core.refusal(status);
      await this.#supplier.fault(core);
    }
  }

  get<T = types.LuaValue>(name: string): T {
    this.#use();
    return this.#lua.get<T>(name);
  }

  set(name: string, value: unknown): void {
    this.#use();
    this.#lua.set(name, value);
    this.#later();
  }

  get home(): LuaTable {
    const home = this.get<unknown>('_home');
    if (home instanceof LuaTable) return home;
    throw new EvermoonError('misuse', 'the global _home is no table any more: a program has changed it');
  }

  /** Runs code of ours that reads: while no commit is made, so that none takes it for a program under way. */
  #ask<R extends unknown[]>(code: string, args: unknown[]): Promise<R> {
    this.#use();
    return this.#queue(async () => {
      const fn = this.#lua.load(code, '=evermoon');
      try {
        return (await callAsync(this.#core, () => fn.usable(this.#core), { args })) as R;
      } finally {
        fn.dispose();
      }
    });
  }

  async row<T = types.LuaValue>(table: types.LuaTable, key: unknown): Promise<T> {
    return (await this.#ask<[T]>('local t, k = ... return (t[k])', [table, key]))[0];
  }

  async *rows(table: types.LuaTable, options: types.RowsOptions = {}): AsyncIterableIterator<[types.LuaValue, types.LuaValue]> {
    const { from, to, reverse = false } = options;
    let left = options.limit ?? Infinity;
    const [next] = await this.#ask<[LuaFunction]>(ROWS, [table, from, to, reverse]);
    try {
      while (left > 0) {
        const count = Math.min(left, ROWS_AT_ONCE);
        const batch = await this.#ask<types.LuaValue[]>(BATCH, [next, count]);
        for (let i = 0; i < batch.length; i += 2) yield [batch[i] as types.LuaValue, batch[i + 1] as types.LuaValue];
        if (batch.length < 2 * count) return;
        left -= count;
      }
    } finally {
      next.dispose();
    }
  }

  define(name: string, fn: types.HostFunction): void {
    this.#use();
    if (typeof fn !== 'function') throw new EvermoonError('misuse', `define('${name}'): a function is needed, not ${typeof fn}`);
    const named = this.#name(name, fn);
    const there = this.get<unknown>(name);
    if (there === undefined) this.set(name, named);
    else if (there instanceof LuaTable || there instanceof LuaFunction) there.dispose();
    named.dispose();
  }

  /** The function that records know by this name, which calls `fn` from here on. */
  #name(name: string, fn: types.HostFunction): LuaFunction {
    const core = this.#core;
    const { instance, engine } = core;
    const number = core.functionNumber(fn as (...args: unknown[]) => unknown);
    const handle = core.x.em_world_permanent(engine, instance.text(name), instance.length, number);
    instance.releaseScratch(0);
    instance.view();
    if (handle === 0) throw core.refusal(instance.u32[core.mail]!);
    return new LuaFunction(core, handle);
  }

  get globals(): LuaTable {
    this.#use();
    return this.#lua.globals;
  }

  table(contents?: readonly unknown[] | object): LuaTable {
    this.#use();
    return this.#lua.table(contents);
  }

  proxy<T extends object>(object: T): types.LuaProxy<T> {
    return this.#lua.proxy(object);
  }

  multi(...values: unknown[]): types.LuaMulti {
    return this.#lua.multi(...values);
  }

  collect(): void {
    this.#use();
    this.#lua.collect();
  }

  setMemoryMax(bytes: number): void {
    this.#use();
    this.#lua.setMemoryMax(bytes);
  }

  // ---- the world as a whole ----

  export(options: { onProgress?: (progress: types.SnapshotProgress) => void } = {}): Promise<Blob> {
    this.#use();
    return this.#queue(() => exportStore(this.#core.instance, this.store, options.onProgress));
  }

  verify(options: { onProgress?: (progress: types.SnapshotProgress) => void } = {}): Promise<types.WorldReport> {
    this.#use();
    return this.#queue(async () => {
      const { damage } = await this.store.verify();
      return { ...(await checkStore(this.#core.instance, this.store, options.onProgress)), damage };
    });
  }

  async vacuum(): Promise<{ entries: number }> {
    const before = (await this.store.stats()).entries;
    this.collect();
    await this.commit();
    return this.#queue(async () => {
      const remove = async (writes: Write[]) => {
        this.version = await this.store.commit(this.version, this.#epoch, writes);
      };
      await findGarbage(this.#core.instance, this.store, this.#core.engine, remove);
      await this.store.vacuum?.();
      return { entries: Math.max(0, before - (await this.store.stats()).entries) };
    });
  }

  figures(): types.Stats {
    this.#use();
    return this.#lua.stats();
  }

  async stats(): Promise<types.WorldStats> {
    this.#use();
    const { x, engine } = this.#core;
    const stat = (which: number) => x.em_world_stat(engine, which);
    return {
      ...this.#lua.stats(),
      version: this.version,
      objects: stat(0),
      hollow: stat(1),
      changed: stat(2),
      faults: stat(3),
      residentBytes: stat(5),
      store: await this.store.stats(),
    };
  }

  persistence(options?: { ask?: boolean }): Promise<Persistence> {
    return this.store.persistence(options);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    if (this.#runs.size === 0 && !this.#core.disposed) await this.commit().catch((error: unknown) => this.#tell(error));
    await this.settled();
    this.closed = true;
    clearInterval(this.#checkpoint);
    this.#core.dispose();
    await this.store.close();
  }

  [Symbol.dispose](): void {
    void this.close();
  }

  /** Throws if the world cannot be used. */
  #use(): void {
    if (this.closed) throw new LuaDisposedError('this world is closed: open it again');
    this.#core.usable();
  }
}
