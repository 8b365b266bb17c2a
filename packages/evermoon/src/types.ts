/**
 * The whole public surface as types: what you can pass, what comes back, what an engine and its handles can do. No code.
 * `index.ts` has the class `Evermoon` that implements {@link LuaEngine}; `errors.ts` has the errors.
 *
 * ```ts
 * import { Evermoon } from 'evermoon';
 * const lua = await Evermoon.create();
 * const [sum, text] = await lua.run('local a, b = ...  return a + b, "hi"', { args: [1, 2] });
 * lua.define('fetchText', async (url: string) => (await fetch(url)).text());   // Lua just calls it
 * ```
 */

import type { Persistence, Store, StoreStats } from './stores/types.js';

/**
 * What Lua hands to JavaScript.
 *
 * | Lua | JavaScript |
 * | --- | --- |
 * | nil | `undefined` |
 * | boolean | `boolean` |
 * | integer | `number` within ±(2^53 - 1), else `bigint` |
 * | float | `number` |
 * | string | `string` (UTF-8; a byte string that is not UTF-8 has U+FFFD), or `Uint8Array` with `strings: 'bytes'` |
 * | table, function, thread, userdata | a live handle: `LuaTable`, `LuaFunction`, `LuaThread`, `LuaUserdata` |
 * | a function or object that came from JavaScript | itself |
 * | `null` (light userdata 0) | `null` |
 */
export type LuaValue =
  | undefined
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | LuaTable
  | LuaFunction
  | LuaThread
  | LuaUserdata
  // An object or function of yours that Lua gives back.
  | object;

/**
 * What JavaScript may hand to Lua.
 *
 * | JavaScript | Lua |
 * | --- | --- |
 * | `undefined` | nil |
 * | `null` | the sentinel `null` (a light userdata, true in conditions, equal to itself, also `lua.null`) |
 * | `number` | integer if it is integral, within ±(2^53 - 1) and not -0; else float |
 * | `bigint` | integer; beyond 64 bits a `LuaConversionError` |
 * | `string` | string, as UTF-8 |
 * | `Uint8Array`, other views, `ArrayBuffer` | string of these bytes |
 * | `Date` | milliseconds since the epoch |
 * | array | a new table from 1 on |
 * | plain object, `Map` | a new table; cycles and shared objects keep their shape |
 * | `Set` | a new table with `true` for each member |
 * | function | a function; the same one gives the same Lua function. An async one suspends the program |
 * | handle | what it holds, of the same engine |
 * | instance of a class, `lua.proxy(object)` | the object itself, by reference |
 * | symbol, `WeakMap` … | `LuaConversionError` with the path to it |
 */
export type LuaInput = unknown;

/** A function of yours that Lua can call. What it returns is one result; {@link LuaEngine.multi} makes several. */
export type HostFunction = (...args: never[]) => unknown;

/** Where the module comes from: an address, bytes, a response, or a compiled module. */
export type WasmSource = string | URL | BufferSource | WebAssembly.Module | Response | Promise<Response>;

/** What `require` finds: sources by module name, or a function that gives them (`undefined`: no such module). */
export type Modules =
  | Readonly<Record<string, string | Uint8Array>>
  | ReadonlyMap<string, string | Uint8Array>
  | ((name: string) => string | Uint8Array | undefined | null | Promise<string | Uint8Array | undefined | null>);

/** Where a program's output goes. */
export interface Output {
  /** Called for each line, without its line end. A last line without one comes when the run ends. Default: `console.log`. */
  onPrint?: (line: string) => void;
  /** Called with the bytes as they are written, instead of `onPrint`. They are yours. */
  onOutput?: (bytes: Uint8Array) => void;
  /** Called for each warning: `warn(…)` once the program has switched them on (`warn('@on')`), an error in a `__gc`. Default: `console.warn`. */
  onWarn?: (message: string) => void;
  /** Called for each line that goes to `io.stderr`. Default: `console.error`. */
  onStderr?: (line: string) => void;
}

/** How long a run may go on. */
export interface Control {
  /** Fuel for the run: safe points (calls and loop rounds) and work that grows with its input. Default: no limit. */
  fuel?: number;
  /** Milliseconds of wall time for the run, waiting included. Default: no limit. */
  timeout?: number;
  /** Stops the run with `LuaAbortError`, also while it waits for a promise. */
  signal?: AbortSignal;
}

/** How strings come out of Lua. */
export type Strings = 'text' | 'bytes';

export interface EvermoonOptions extends Output, Pick<Control, 'fuel' | 'timeout'> {
  /** The module, when it is not beside the package's own files. */
  wasm?: WasmSource;
  /** An instance (and memory) of its own, instead of sharing one with the other engines of this module. */
  isolate?: boolean;
  /** Cap of the heap in bytes; over it Lua gets `not enough memory`. */
  memoryMax?: number;
  /** What `require` finds. */
  modules?: Modules;
  /** Strings as text (default) or bytes. */
  strings?: Strings;
  /** Seed of `math.random`. Default: random bits (no secrets). */
  seed?: number | bigint;
  /** Libraries beyond the sandbox's: `os()` and `io(…)` of `evermoon/libs`, or any function that puts something into the engine. */
  libs?: readonly ((lua: never) => void)[];
  /** Globals to set. */
  globals?: Readonly<Record<string, LuaInput>>;
}

export interface RunOptions extends Output, Control {
  /** The chunk's `...`. */
  args?: readonly LuaInput[];
  /** Name of the chunk in messages. Default: `main.lua`. With `=` or `@` in front, as in Lua's `load`. */
  name?: string;
  /** Strings as text or bytes, for this run's values. */
  strings?: Strings;
}

/** Figures of an engine. */
export interface Stats {
  /** Bytes of Lua values in use, by Evermoon's account (the same on every platform). */
  heapBytes: number;
  /** The cap, `Infinity` for none. */
  heapBytesMax: number;
  /** Garbage collections that have ended. */
  collections: number;
  /** Fuel used since the engine was made. */
  fuelUsed: number;
  /** Handles that JavaScript holds. */
  handles: number;
  /** Runs under way or waiting. */
  runs: number;
  /** Functions and objects of JavaScript that Lua refers to. */
  hostReferences: number;
  /** Size of the instance's memory in bytes, shared by its engines. */
  wasmBytes: number;
}

/** One engine: one `_G`. Everything here works while other runs of the engine wait. */
export interface LuaEngine {
  /**
   * Runs a chunk and gives all values that it returns. Yields to the event loop as it goes; async functions suspend it.
   * Rejects with `LuaError`, `LuaSyntaxError`, `LuaMemoryError`, `LuaTimeoutError`, `LuaAbortError` or `LuaFuelError`.
   */
  run<R extends unknown[] = LuaValue[]>(code: string | Uint8Array, options?: RunOptions): Promise<R>;
  /** Runs a chunk to its end at once. A promise from a host function is a `LuaSyncError` inside the program. */
  runSync<R extends unknown[] = LuaValue[]>(code: string | Uint8Array, options?: RunOptions): R;
  /** Compiles a chunk to a function without running it. */
  load(code: string | Uint8Array, name?: string): LuaFunction;

  /** A global. A name with dots (`'config.size'`) walks through tables. */
  get<T = LuaValue>(name: string): T;
  /** Sets a global; a name with dots sets a field of a table that exists. */
  set(name: string, value: LuaInput): void;
  /** Makes a function of yours a global (or a field, with dots). Async ones are awaited; the program is suspended meanwhile. */
  define(name: string, fn: HostFunction): void;
  /** The table of globals. */
  readonly globals: LuaTable;

  /** A new table, with the contents of an array, object or `Map`. */
  table(contents?: readonly unknown[] | object): LuaTable;
  /** Wraps an object so that it crosses by reference: fields, methods, `#`, `pairs`, calls go to the object itself. Arrays count from 1. */
  proxy<T extends object>(object: T): LuaProxy<T>;
  /** Several results of a host function: `return lua.multi(1, 2)`. */
  multi(...values: LuaInput[]): LuaMulti;
  /** The value that Lua's `null` is. */
  readonly null: null;

  /** Figures. */
  stats(): Stats;
  /** A whole garbage collection. */
  collect(): void;
  /** Caps the heap, in bytes; `Infinity` for no cap. */
  setMemoryMax(bytes: number): void;

  /** Frees the engine. Runs under way reject with `LuaDisposedError`. Forgetting it costs memory only until the garbage collector sees it. */
  dispose(): void;
  [Symbol.dispose](): void;
  readonly disposed: boolean;
}

/** A world's file: bytes, or where they come from. */
export type SnapshotSource = Uint8Array | ArrayBuffer | Blob | ReadableStream<Uint8Array> | Response;

/** How far an export, import or check is. */
export interface SnapshotProgress {
  /** Objects done, and known of so far. */
  objects: number;
  known: number;
  /** Bytes of their records. */
  payload: number;
}

export interface WorldOptions extends Output, Pick<Control, 'fuel' | 'timeout'> {
  /** The world's name: of the database in a browser. Default: `world`. */
  name?: string;
  /**
   * Where it is kept: a store of `evermoon/stores` or `evermoon/node`, or one of your own; `'indexeddb'`, `'memory'`; `{ file: path }` in Node. Default:
   * IndexedDB where there is one, else memory.
   */
  store?: Store | 'indexeddb' | 'memory' | { readonly file: string };
  /** What a failed run leaves: the world as of its last commit (default), or what the program had done, as a REPL wants it. */
  onError?: 'rollback' | 'keep';
  /** When the world is open elsewhere: fail with `WorldBusyError` (default), wait, or take it over. */
  ifBusy?: 'fail' | 'wait' | 'steal';
  /** When the browser has lost the world or its last commits: fail with `StoreLostError` (default), or go on with what is there. */
  ifLost?: 'fail' | 'accept' | undefined;
  /** Called when another tab has taken the world over: this one can commit no more. */
  onLost?: (reason: Error) => void;
  /** Called after each commit, when the store has it. */
  onCommit?: (commit: WorldCommit) => void;
  /** Called when a commit fails that nobody waits for (after `runSync` or `set`, at a checkpoint). Default: `console.error`. */
  onCommitError?: (error: unknown) => void;
  /** Milliseconds after which a program under way is committed as it stands, again and again. Default: never. */
  checkpointEvery?: number;
  /** Bytes of the world that may be in memory; beyond, what is in the store is let go. Default: 48 MiB. */
  memory?: number;
  /** Cap of the whole world in bytes; over it Lua gets `not enough memory`. */
  memoryMax?: number;
  /** Worlds of up to so many records are read at once when they are opened, and never wait for their store. Default: 2,000. */
  readAtOnce?: number;
  /** Functions of yours that programs of this world use. (`world.define` gives more.) */
  define?: Readonly<Record<string, HostFunction>>;
  modules?: Modules;
  strings?: Strings;
  /** Seed of `math.random` of a new world. */
  seed?: number | bigint;
  /** The module with worlds (evermoon-world.wasm), when it is not beside the package's own files. */
  wasm?: WasmSource;
}

/** Which rows of a table. */
export interface RowsOptions {
  /** The first and the last key, both inclusive. Default: all. */
  from?: LuaInput;
  to?: LuaInput;
  /** At most so many. */
  limit?: number;
  /** From the end. */
  reverse?: boolean;
}

/** One commit. */
export interface WorldCommit {
  version: number;
  /** Objects written. */
  objects: number;
  /** Bytes of keys and values. */
  bytes: number;
  /** From the encoding until the store had it. */
  ms: number;
  /** When, as `Date.now()`. */
  at: number;
}

/** A program that the world is in the middle of. */
export interface PendingProgram {
  /** The function of yours that it waits for, if it does. */
  readonly waitsFor: string | undefined;
  /** Goes on with it to its end; a run like any other. */
  resume<R extends unknown[] = LuaValue[]>(options?: Omit<RunOptions, 'args' | 'name'>): Promise<R>;
  /** Forgets it. */
  drop(): void;
}

/** What a check of all records has found. */
export interface WorldReport {
  objects: number;
  bytes: number;
  /** What is damaged or missing, and where a program would find it. */
  broken: { key: Uint8Array; path: string; what: string }[];
  /** What the store itself found wrong. */
  damage: string[];
}

export interface WorldStats extends Stats {
  version: number;
  /** Objects that the world has had so far. */
  objects: number;
  /** Those of them that are in the store only. */
  hollow: number;
  /** Changed since the last commit. */
  changed: number;
  /** Bytes of the world in memory. */
  residentBytes: number;
  /** Records read so far. */
  faults: number;
  store: StoreStats;
}

/** A world: an engine whose state is in a store. */
export interface World extends Omit<LuaEngine, 'run' | 'stats' | 'dispose' | 'disposed'> {
  readonly name: string;
  /** The number of the last commit. */
  readonly version: number;
  /** The store held a world already. */
  readonly existed: boolean;
  readonly store: Store;
  /** The last commits of this engine, the latest first. */
  readonly commits: readonly WorldCommit[];

  /** Runs a chunk as a transaction: resolves when its effects are in the store. */
  run<R extends unknown[] = LuaValue[]>(code: string | Uint8Array, options?: RunOptions): Promise<R>;
  /** Calls a global function as a transaction. */
  call<R extends unknown[] = LuaValue[]>(name: string, ...args: LuaInput[]): Promise<R>;
  /** Makes a function of yours known by this name, which the world remembers; a global unless there is one. */
  define(name: string, fn: HostFunction): void;
  /** Commits what has changed; resolves when the store has it. */
  commit(): Promise<WorldCommit>;
  /** Puts the world back to its last commit. Runs under way end with `LuaAbortError`. */
  rollback(): Promise<void>;
  /** Resolves when no commit is under way or due. */
  settled(): Promise<void>;
  onCommit(listener: (commit: WorldCommit) => void): () => void;
  /** Programs that were under way when the world was committed and that this engine has not gone on with. */
  pending(): PendingProgram[];
  /** The world's own external table, the global `_home` (and `Memory`): its rows are in the store one by one (`ext` in `docs/persistence.md`). */
  readonly home: LuaTable;
  /** `table[key]`, whether it is in memory or not. */
  row<T = LuaValue>(table: LuaTable, key: LuaInput): Promise<T>;
  /** Rows of an external table in the order of their keys, some at a time; of a plain one all, in the order of `pairs`. */
  rows(table: LuaTable, options?: RowsOptions): AsyncIterableIterator<[LuaValue, LuaValue]>;
  /** Has what a handle holds in memory, for worlds that are not read at once. */
  load(handle: LuaHandle): Promise<void>;
  load(code: string | Uint8Array, name?: string): LuaFunction;
  /** The world as of its last commit, as a file that opens anywhere. */
  export(options?: { onProgress?: (progress: SnapshotProgress) => void }): Promise<Blob>;
  verify(options?: { onProgress?: (progress: SnapshotProgress) => void }): Promise<WorldReport>;
  /** Removes from the store what nothing leads to any more. */
  vacuum(): Promise<{ entries: number }>;
  stats(): Promise<WorldStats>;
  /** Figures of the engine, at once. */
  figures(): Stats;
  /** How safe the world is from the system that keeps it; `ask` asks the browser to keep it for good. */
  persistence(options?: { ask?: boolean }): Promise<Persistence>;
  /** Commits what has changed (unless a program is under way), frees the engine, and closes the store. */
  close(): Promise<void>;
  readonly closed: boolean;
}

/** What all handles have. A handle keeps its value alive until it is disposed of or collected. */
export interface LuaHandle {
  /** The Lua type. */
  readonly type: 'table' | 'function' | 'thread' | 'userdata';
  /** Whether both hold the same object. */
  equals(other: LuaHandle): boolean;
  /** As Lua's `tostring`. */
  toString(): string;
  dispose(): void;
  [Symbol.dispose](): void;
  readonly disposed: boolean;
}

/** A live Lua table. */
export interface LuaTable extends LuaHandle {
  readonly type: 'table';
  /** `t[key]`, with `__index`. */
  get<T = LuaValue>(key: LuaInput): T;
  /** `t[key] = value`, with `__newindex`. */
  set(key: LuaInput, value: LuaInput): void;
  has(key: LuaInput): boolean;
  delete(key: LuaInput): void;
  /** `#t`, with `__len`. */
  readonly length: number;
  /** Keys and values in `pairs` order (raw). The table may change meanwhile as it may in Lua. */
  entries(): IterableIterator<[LuaValue, LuaValue]>;
  keys(): IterableIterator<LuaValue>;
  values(): IterableIterator<LuaValue>;
  [Symbol.iterator](): IterableIterator<[LuaValue, LuaValue]>;
  readonly metatable: LuaTable | undefined;
  setMetatable(table: LuaTable | undefined): void;
  /**
   * A deep copy. A table whose keys are 1 to n becomes an array (an empty one an object), one with string keys only an object, any
   * other a `Map`. Cycles and shared tables keep their shape. Functions and the like stay handles.
   */
  toJS(options?: ToJSOptions): unknown;
}

export interface ToJSOptions {
  /** Levels to copy; deeper tables stay handles. Default: all. */
  depth?: number;
  /** What an empty table becomes. Default: `'object'`. */
  empty?: 'object' | 'array';
  strings?: Strings;
}

/** A live Lua function. */
export interface LuaFunction extends LuaHandle {
  readonly type: 'function';
  /** Calls it; all results. Awaits async host functions and yields to the event loop. */
  call<R extends unknown[] = LuaValue[]>(...args: LuaInput[]): Promise<R>;
  /** The same with options. */
  callWith<R extends unknown[] = LuaValue[]>(options: Omit<RunOptions, 'name'>): Promise<R>;
  /** Calls it at once; all results. */
  callSync<R extends unknown[] = LuaValue[]>(...args: LuaInput[]): R;
  /** Calls it at once; the first result only, without an array: the fastest way. */
  invoke<T = LuaValue>(...args: LuaInput[]): T;
}

/** A coroutine. */
export interface LuaThread extends LuaHandle {
  readonly type: 'thread';
  readonly status: 'suspended' | 'running' | 'normal' | 'dead';
  /** Resumes it: what it yields or returns. Rejects if it fails. */
  resume<R extends unknown[] = LuaValue[]>(...args: LuaInput[]): Promise<R>;
}

/** A full userdata of the engine itself (such as an open file). */
export interface LuaUserdata extends LuaHandle {
  readonly type: 'userdata';
  get<T = LuaValue>(key: LuaInput): T;
  set(key: LuaInput, value: LuaInput): void;
}

/** An object that will cross by reference. */
export interface LuaProxy<T extends object> {
  readonly object: T;
}

/** Several values at once. */
export interface LuaMulti {
  readonly values: readonly LuaInput[];
}

/** Options of an engine in a worker. Functions among them (`modules`, `globals`) are called on your side. */
export interface WorkerOptions extends Omit<EvermoonOptions, 'isolate' | 'libs'> {
  /** `os.time`, `os.clock`, `os.date` and `os.difftime`. */
  os?: boolean;
  /**
   * The worker: one of your own, or the address of its script. Its script is `import 'evermoon/worker-script'`. Default: the package's own file, which bundlers
   * that know `new Worker(new URL(…, import.meta.url))` find by themselves.
   */
  worker?: object | string | URL;
}

/**
 * An engine in a worker (`Evermoon.worker()`): the same calls, all of them asynchronous. Plain data is copied between the threads; Lua tables and
 * functions come as remote handles; functions and objects of yours stay on your side, and Lua waits for them.
 */
export interface WorkerEngine {
  /** As {@link LuaEngine.run}. A `signal` rejects at once, whatever Lua is doing. */
  run<R extends unknown[] = unknown[]>(code: string | Uint8Array, options?: RunOptions): Promise<R>;
  load(code: string | Uint8Array, name?: string): Promise<RemoteFunction>;
  get<T = unknown>(name: string): Promise<T>;
  set(name: string, value: LuaInput): Promise<void>;
  define(name: string, fn: HostFunction): Promise<void>;
  globals(): Promise<RemoteTable>;
  table(contents?: readonly unknown[] | object): Promise<RemoteTable>;
  proxy<T extends object>(object: T): LuaProxy<T>;
  multi(...values: LuaInput[]): LuaMulti;
  readonly null: null;
  stats(): Promise<Stats>;
  collect(): Promise<void>;
  setMemoryMax(bytes: number): Promise<void>;
  /** Ends the worker at once, even in the middle of a run. What is under way rejects with `LuaDisposedError`. */
  dispose(): void;
  [Symbol.dispose](): void;
  readonly disposed: boolean;
}

/** A handle to what is in the worker. */
export interface RemoteHandle {
  readonly type: 'table' | 'function' | 'thread' | 'userdata';
  equals(other: RemoteHandle): Promise<boolean>;
  /** As Lua's `tostring`. */
  tostring(): Promise<string>;
  dispose(): void;
  [Symbol.dispose](): void;
  readonly disposed: boolean;
}
export interface RemoteTable extends RemoteHandle {
  readonly type: 'table';
  get<T = unknown>(key: LuaInput): Promise<T>;
  set(key: LuaInput, value: LuaInput): Promise<void>;
  has(key: LuaInput): Promise<boolean>;
  delete(key: LuaInput): Promise<void>;
  length(): Promise<number>;
  /** All of them in one message. */
  entries(): Promise<[unknown, unknown][]>;
  [Symbol.asyncIterator](): AsyncIterator<[unknown, unknown]>;
  metatable(): Promise<RemoteTable | undefined>;
  setMetatable(table: RemoteTable | undefined): Promise<void>;
  toJS(options?: ToJSOptions): Promise<unknown>;
}
export interface RemoteFunction extends RemoteHandle {
  readonly type: 'function';
  call<R extends unknown[] = unknown[]>(...args: LuaInput[]): Promise<R>;
  callWith<R extends unknown[] = unknown[]>(options: Omit<RunOptions, 'name'>): Promise<R>;
}
export interface RemoteThread extends RemoteHandle {
  readonly type: 'thread';
  status(): Promise<LuaThread['status']>;
  resume<R extends unknown[] = unknown[]>(...args: LuaInput[]): Promise<R>;
}
export interface RemoteUserdata extends RemoteHandle {
  readonly type: 'userdata';
  get<T = unknown>(key: LuaInput): Promise<T>;
  set(key: LuaInput, value: LuaInput): Promise<void>;
}
