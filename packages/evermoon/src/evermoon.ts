/** The class `Evermoon`: an engine as a user has it. */
import { type Exports, Status } from './abi.js';
import { Stat } from './abi.js';
import { Core } from './core.js';
import { copyIn } from './copy.js';
import { EvermoonError, LuaSyntaxError } from './errors.js';
import { Handle, LuaFunction, LuaTable } from './handles.js';
import { compile, compileOwn, compileSync, instantiate } from './load.js';
import { Multi, Proxied } from './marks.js';
import { installModules } from './modules.js';
import { Sink } from './output.js';
import { callAsync, callNow, RunState } from './run.js';
import type * as types from './types.js';

/** Handles of the package's own in each engine (`core.ts`, `Operators`). */
const OPERATORS = 7;
const worlds = () => import('./world/world.js');

export class Evermoon implements types.LuaEngine {
  readonly #core: Core;
  readonly null = null;

  private constructor(core: Core) {
    this.#core = core;
  }

  /** A new engine. */
  static async create(options: types.EvermoonOptions = {}): Promise<Evermoon> {
    return Evermoon.#from(await Evermoon.compile(options.wasm), options);
  }

  /** The same at once, from bytes or a compiled module. (Browsers compile at most 8 MB on the main thread this way; ours is smaller.) */
  static createSync(options: types.EvermoonOptions & { wasm: BufferSource | WebAssembly.Module }): Evermoon {
    return Evermoon.#from(compileSync(options.wasm), options);
  }

  /** Compiles the module once, to create engines from it: `Evermoon.create({ wasm: module })`. Can be sent to workers. */
  static compile(wasm?: types.WasmSource): Promise<WebAssembly.Module> {
    // The literal is what bundlers look for.
    return wasm === undefined ? compileOwn(new URL('./evermoon.wasm', import.meta.url), 'evermoon.wasm') : compile(wasm);
  }

  /** The same for worlds: `Evermoon.open({ wasm: module })`. The larger module can do all that the other can. */
  static compileWorld(wasm?: types.WasmSource): Promise<WebAssembly.Module> {
    return worlds().then((w) => w.compileWorld(wasm));
  }

  /** Opens a world: an engine of which all that a program can reach outlives it. The code for that is loaded when this is called first. */
  static open(options?: types.WorldOptions): Promise<types.World> {
    return worlds().then((w) => w.openWorld((core) => new Evermoon(core), options));
  }

  /** Reads a world that `world.export()` (or the command line) wrote into a store that has none. */
  static import(from: types.SnapshotSource, options?: types.WorldOptions): Promise<void> {
    return worlds().then((w) => w.importWorld(from, options));
  }

  static #from(module: WebAssembly.Module, options: types.EvermoonOptions): Evermoon {
    const instance = instantiate(module, options.isolate ?? false);
    const core = new Core(instance, options.memoryMax ?? 0, new Sink(options), options.strings ?? 'text', options);
    seed(core.x, core.engine, options.seed);
    const lua = new Evermoon(core);
    if (options.modules) installModules(core, options.modules);
    for (const library of options.libs ?? []) (library as (lua: Evermoon) => void)(lua);
    for (const [name, value] of Object.entries(options.globals ?? {})) lua.globals.set(name, value);
    return lua;
  }

  async run<R extends unknown[] = types.LuaValue[]>(code: string | Uint8Array, options: types.RunOptions = {}): Promise<R> {
    const fn = this.load(code, options.name);
    try {
      const run = callAsync(this.#core, () => fn.usable(this.#core), options);
      return (await run) as R;
    } finally {
      fn.dispose();
    }
  }

  runSync<R extends unknown[] = types.LuaValue[]>(code: string | Uint8Array, options: types.RunOptions = {}): R {
    const core = this.#core;
    const fn = this.load(code, options.name);
    const { args: _args, name: _name, strings: _strings, ...control } = options;
    const run = Object.keys(control).length > 0 ? new RunState(core, options, core.defaults) : undefined;
    try {
      return callNow(core, fn.usable(core), options.args ?? [], options.strings ?? core.stringsAs, run) as R;
    } finally {
      fn.dispose();
    }
  }

  load(code: string | Uint8Array, name = 'main.lua'): LuaFunction {
    const core = this.#core;
    core.usable();
    const status = core.compile(code, /^[=@]/.test(name) ? name : `@${name}`);
    if (status === Status.Done) return core.first('text') as LuaFunction;
    if (status !== Status.Error) throw core.refusal(status);
    throw new LuaSyntaxError(core.first('text') as string);
  }

  get<T = types.LuaValue>(name: string): T {
    const { table, key } = this.#place(name);
    try {
      return table.get<T>(key);
    } finally {
      table.dispose();
    }
  }

  set(name: string, value: types.LuaInput): void {
    const { table, key } = this.#place(name);
    try {
      table.set(key, value);
    } finally {
      table.dispose();
    }
  }

  define(name: string, fn: types.HostFunction): void {
    if (typeof fn !== 'function') throw new EvermoonError('misuse', `define('${name}'): a function is needed, not ${typeof fn}`);
    this.set(name, fn);
  }

  get globals(): LuaTable {
    const core = this.#core;
    core.usable();
    return new LuaTable(core, core.x.em_globals(core.engine));
  }

  table(contents?: readonly unknown[] | object): LuaTable {
    const core = this.#core;
    core.usable();
    return new LuaTable(core, copyIn(core, contents ?? {}, 'table'));
  }

  proxy<T extends object>(object: T): types.LuaProxy<T> {
    return new Proxied(object);
  }

  multi(...values: unknown[]): types.LuaMulti {
    return new Multi(values);
  }

  stats(): types.Stats {
    const core = this.#core;
    core.usable();
    const max = core.stat(Stat.HeapMax);
    return {
      heapBytes: core.stat(Stat.HeapBytes),
      heapBytesMax: max >= 0x3fffffff ? Infinity : max,
      collections: core.stat(Stat.Collections),
      fuelUsed: core.stat(Stat.FuelUsed),
      // Those of the package's own are not the user's.
      handles: core.stat(Stat.Handles) - OPERATORS,
      runs: core.runs.size,
      hostReferences: core.referenceCount,
      wasmBytes: core.x.memory.buffer.byteLength,
    };
  }

  collect(): void {
    const core = this.#core;
    core.usable();
    core.x.em_collect(core.engine);
    core.instance.view();
    core.drainTo(core.sink);
  }

  setMemoryMax(bytes: number): void {
    this.#core.usable();
    this.#core.x.em_set_memory_max(this.#core.engine, Number.isFinite(bytes) ? bytes : 0);
  }

  dispose(): void {
    this.#core.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  get disposed(): boolean {
    return this.#core.disposed;
  }

  /** The table and key that a name with dots leads to. */
  #place(name: string): { table: LuaTable; key: string } {
    const parts = name.split('.');
    const key = parts.pop()!;
    let table = this.globals;
    for (let i = 0; i < parts.length; i++) {
      const next: unknown = table.get<unknown>(parts[i]);
      table.dispose();
      if (!(next instanceof LuaTable)) {
        if (next instanceof Handle) next.dispose();
        throw new EvermoonError('misuse', `'${parts.slice(0, i + 1).join('.')}' is not a table, so there is no '${name}'`);
      }
      table = next;
    }
    return { table, key };
  }
}

/**
 * Seeds `math.random`: with what was given, else with random bits. They are not from `crypto`, which Node loads when it is first asked for: 5 ms, a
 * third of the time to the first result. Lua's numbers are no secrets, whatever they begin with.
 */
function seed(x: Exports, engine: number, given: number | bigint | undefined): void {
  const random = () => Math.random() * 2 ** 53;
  const word = (n: number | bigint) => BigInt(Math.trunc(Number(n)));
  x.em_seed(engine, word(given ?? random()), word(given === undefined ? random() : 0));
}
