/**
 * An engine in a worker, as the main side has it: the calls of an engine as messages (`wire.ts`, answered by `serve.ts`).
 *
 * Functions and objects that cross are kept here by number until the worker says that Lua has forgotten them. Handles name what the worker keeps; a
 * forgotten one is freed. So is a forgotten engine's worker: nothing global leads to the engine but the messages that are under way.
 */
import {
  EvermoonError,
  EvermoonLoadError,
  LuaAbortError,
  LuaConversionError,
  LuaDisposedError,
  LuaError,
  LuaFuelError,
  LuaMemoryError,
  LuaSyncError,
  LuaSyntaxError,
  LuaTimeoutError,
} from './errors.js';
import { Evermoon as Base } from './evermoon.js';
import { isNode, nodeModule, elsewhere } from './load.js';
import { Method, Multi, Proxied } from './marks.js';
import { Sink } from './output.js';
import { proxyFunctions } from './proxy.js';
import type * as types from './types.js';
import { type FromWorker, kindOf, pack, type Packed, type Port, portOf, type Tagged, tagged, type ToWorker, unpack, type WireError } from './wire.js';

export * from './errors.js';
export { LuaFunction, LuaTable, LuaThread, LuaUserdata } from './handles.js';
export type * from './public.js';

interface Pending {
  resolve(value: never): void;
  reject(error: unknown): void;
  sink: Sink | undefined;
  /** Keeps the engine while something is under way. */
  owner: object;
}

interface Kept {
  object: object;
  /** How often it was sent. */
  sent: number;
}

type Terminable = { terminate(): unknown; ref?(): void; unref?(): void };

/** The connection. It does not lead to the engine's object. */
class Link {
  readonly port: Port;
  readonly pending = new Map<number, Pending>();
  #next = 1;
  readonly #kept = new Map<number, Kept>();
  readonly #numbers = new Map<object, number>();
  #nextNumber = 1;
  readonly #operations = proxyFunctions((object) => this.#number(object));
  /** Why nothing can be asked any more. */
  ended: Error | undefined;

  constructor(
    readonly worker: object,
    readonly sink: Sink,
    readonly ready: () => void,
  ) {
    this.port = portOf(worker);
    this.port.listen(
      (data) => this.#receive(data as FromWorker),
      (error) => this.end(new EvermoonLoadError(`the worker has stopped: ${error.message}`, { cause: error })),
    );
  }

  end(error: Error): void {
    if (this.ended) return;
    this.ended = error;
    void (this.worker as Partial<Terminable>).terminate?.();
    for (const { reject } of this.pending.values()) reject(error);
    this.pending.clear();
    this.#kept.clear();
    this.#numbers.clear();
  }

  /** Sends a request; `make` may throw. */
  send<T>(owner: object, make: (id: number) => ToWorker, sink?: Sink, signal?: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.ended) throw this.ended;
      const aborted = () => new LuaAbortError('the run was aborted', signal?.reason);
      if (signal?.aborted) throw aborted();
      const id = this.#next++;
      this.port.post(make(id));
      const abort = () => this.cancel(id, aborted());
      signal?.addEventListener('abort', abort);
      const done = () => {
        signal?.removeEventListener('abort', abort);
        if (this.pending.delete(id) && this.pending.size === 0) (this.worker as Partial<Terminable>).unref?.();
        (sink ?? this.sink).end();
      };
      if (this.pending.size === 0) (this.worker as Partial<Terminable>).ref?.();
      this.pending.set(id, { resolve: (value: T) => (done(), resolve(value)), reject: (error) => (done(), reject(error as Error)), sink, owner });
    });
  }

  /** Rejects what is under way, and has the worker stop it. */
  cancel(id: number, error: unknown): void {
    const pending = this.pending.get(id);
    if (!pending) return;
    pending.reject(error);
    this.#post({ t: 'cancel', id });
  }

  #post(message: ToWorker): void {
    if (!this.ended) this.port.post(message);
  }

  free(handle: number): void {
    this.#post({ t: 'free', handle });
  }

  #receive(message: FromWorker): void {
    switch (message.t) {
      case 'ready':
        this.ready();
        break;
      case 'done':
        this.pending.get(message.id)?.resolve(this.unpack(message.value) as never);
        break;
      case 'fail':
        this.pending.get(message.id)?.reject(this.unpack(message.error));
        break;
      case 'out':
        this.#put(message.run, (sink) => sink.write(message.bytes));
        break;
      case 'report':
        this.#put(message.run, (sink) => sink.report(message.text, message.isWarning));
        break;
      case 'call':
        void this.#call(message);
        break;
      case 'drop': {
        const kept = this.#kept.get(message.number);
        if (kept && (kept.sent -= message.count) <= 0) {
          this.#kept.delete(message.number);
          this.#numbers.delete(kept.object);
        }
      }
    }
  }

  /** Output. What its callback throws ends the run, or whatever is under way. */
  #put(run: number, put: (sink: Sink) => void): void {
    const pending = this.pending.get(run);
    if (run !== 0 && !pending) return;
    try {
      put(pending?.sink ?? this.sink);
    } catch (error) {
      for (const id of run === 0 ? [...this.pending.keys()] : [run]) this.cancel(id, error);
    }
  }

  async #call({ id, number, op, args }: FromWorker & { t: 'call' }): Promise<void> {
    let ok = true;
    let result: unknown;
    let value: Packed;
    try {
      const { object } = this.#kept.get(number)!;
      const given = this.unpack(args) as unknown[];
      result = await (op < 0 ? (object as (...args: unknown[]) => unknown)(...given) : this.#operations[op]!(object, ...given));
      value = this.pack(result instanceof Multi ? result.values : result === undefined ? [] : [result]);
    } catch (error) {
      ok = false;
      value = this.pack(error);
    }
    this.#post({ t: 'answer', id, ok, value });
  }

  // ---- values ----

  /** The number of a function or object of ours, which is kept. */
  #number(object: object): number {
    let number = this.#numbers.get(object);
    if (number === undefined) {
      number = this.#nextNumber++;
      this.#numbers.set(object, number);
      this.#kept.set(number, { object, sent: 0 });
    }
    return number;
  }

  #name(object: object, more?: { error: WireError }): Tagged {
    const number = this.#number(object);
    this.#kept.get(number)!.sent++;
    return tagged(typeof object === 'function' && !more ? 'function' : 'object', number, more);
  }

  pack(value: unknown): Packed {
    return pack(value, (v) => {
      if (v instanceof Remote) return tagged('handle', v.usable(this));
      if (v instanceof Proxied) {
        const { object } = v as Proxied;
        const number = this.#number(object);
        this.#kept.get(number)!.sent++;
        return tagged('object', number);
      }
      if (v instanceof Method) return this.#name(bound(v));
      if (v instanceof Error) return this.#name(v, { error: { name: v.name, message: v.message, stack: v.stack } });
      if (v instanceof Multi) throw new LuaConversionError('lua.multi(…) is only for the result of a host function', 'multi');
      return this.#name(v);
    });
  }

  unpack(packed: Packed): unknown {
    return unpack(packed, (t) => {
      switch (kindOf(t)) {
        case 'handle':
          return remote(this, t.id, t.type!);
        case 'error':
          return this.#error(t.error!);
        default:
          return this.#kept.get(t.id)?.object;
      }
    });
  }

  /** An error of the worker's, as the class it was there. */
  #error(data: WireError): Error {
    const error = Object.create((KINDS[data.name] ?? Error).prototype) as Error;
    const at = data.traceback === undefined ? null : /^(.+?):(\d+): /.exec(data.message);
    const fields: Record<string, unknown> = { ...data, chunk: at?.[1], line: at ? Number(at[2]) : undefined };
    if (data.value) fields['value'] = this.unpack(data.value);
    if (data.name === 'LuaSyntaxError') fields['incomplete'] = data.message.endsWith('near <eof>');
    for (const [key, value] of Object.entries(fields)) {
      if (value !== undefined || key === 'value') Object.defineProperty(error, key, { value, writable: true, configurable: true });
    }
    return error;
  }
}

const KINDS: Record<string, { prototype: Error }> = {
  EvermoonError, EvermoonLoadError, LuaConversionError, LuaDisposedError, LuaError, LuaFuelError, LuaMemoryError, LuaSyncError, LuaSyntaxError, LuaTimeoutError,
};

/** The methods of objects by reference, each bound once. */
const methods = new WeakMap<object, Map<object, object>>();
function bound({ owner, fn }: Method): object {
  let known = methods.get(owner);
  if (!known) methods.set(owner, (known = new Map()));
  let method = known.get(fn);
  if (!method) {
    known.set(fn, (method = (...args: unknown[]) => Reflect.apply(fn, owner, args[0] === owner ? args.slice(1) : args) as unknown));
  }
  return method;
}

// ---- handles ----

const forgotten = new FinalizationRegistry<{ link: Link; handle: number }>(({ link, handle }) => link.free(handle));

class Remote implements types.RemoteHandle {
  readonly #link: Link;
  #handle: number;

  constructor(
    link: Link,
    handle: number,
    readonly type: types.RemoteHandle['type'],
  ) {
    this.#link = link;
    this.#handle = handle;
    forgotten.register(this, { link, handle }, this);
  }

  /** The handle's number, if it can be used there. */
  usable(link: Link): number {
    if (link !== this.#link) throw new EvermoonError('misuse', `this ${this.type} belongs to another engine: pass a copy (toJS())`);
    if (this.#handle === 0) throw new LuaDisposedError(`this ${this.type} was disposed of`);
    return this.#handle;
  }

  get disposed(): boolean {
    return this.#handle === 0 || this.#link.ended !== undefined;
  }

  dispose(): void {
    if (this.#handle === 0) return;
    forgotten.unregister(this);
    this.#link.free(this.#handle);
    this.#handle = 0;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  protected async ask<T>(op: string, args: unknown[] = [], options: types.RunOptions = {}): Promise<T> {
    return ask<T>(this.#link, this, op, this.usable(this.#link), args, options);
  }

  equals = (other: types.RemoteHandle) => this.ask<boolean>('equals', [other]);
  tostring = () => this.ask<string>('tostring');
}

class Indexed extends Remote {
  get = <T>(key: unknown) => this.ask<T>('get', [key]);
  set = (key: unknown, value: unknown) => this.ask<void>('set', [key, value]);
}

class RemoteTable extends Indexed implements types.RemoteTable {
  declare readonly type: 'table';
  has = (key: unknown) => this.ask<boolean>('has', [key]);
  delete = (key: unknown) => this.ask<void>('delete', [key]);
  length = () => this.ask<number>('length');
  entries = () => this.ask<[unknown, unknown][]>('entries');
  metatable = () => this.ask<types.RemoteTable | undefined>('metatable');
  setMetatable = (table: types.RemoteTable | undefined) => this.ask<void>('setMetatable', [table]);
  toJS = (options?: types.ToJSOptions) => this.ask<unknown>('toJS', [options]);
  async *[Symbol.asyncIterator](): AsyncIterator<[unknown, unknown]> {
    yield* await this.entries();
  }
}

class RemoteFunction extends Remote implements types.RemoteFunction {
  declare readonly type: 'function';
  call = <R extends unknown[]>(...args: unknown[]) => this.ask<R>('call', [{ args }]);
  callWith = <R extends unknown[]>(options: Omit<types.RunOptions, 'name'>) => this.ask<R>('call', [plainOf(options)], options);
}

class RemoteThread extends Remote implements types.RemoteThread {
  declare readonly type: 'thread';
  status = () => this.ask<types.LuaThread['status']>('status');
  resume = <R extends unknown[]>(...args: unknown[]) => this.ask<R>('resume', args);
}

function remote(link: Link, handle: number, type: string): Remote {
  const kind = { table: RemoteTable, function: RemoteFunction, thread: RemoteThread }[type] ?? Indexed;
  return new (kind as typeof Remote)(link, handle, type as types.RemoteHandle['type']);
}

/** What of the options the worker needs. */
function plainOf<T extends types.RunOptions & { wasm?: unknown; worker?: unknown }>(options: T): Omit<T, keyof types.Output | 'signal' | 'wasm' | 'worker'> {
  const { onPrint: _p, onOutput: _o, onWarn: _w, onStderr: _e, signal: _s, wasm: _m, worker: _k, ...rest } = options;
  return rest;
}

function ask<T>(link: Link, owner: object, op: string, handle: number, args: unknown[], options: types.RunOptions = {}): Promise<T> {
  const own = (options.onPrint ?? options.onOutput ?? options.onWarn ?? options.onStderr) !== undefined;
  const sink = own ? new Sink(options) : undefined;
  return link.send<T>(owner, (id) => ({ t: 'ask', id, op, handle, args: link.pack(args), own }), sink, options.signal);
}

// ---- the engine ----

const abandoned = new FinalizationRegistry<Link>((link) => link.end(new LuaDisposedError('the engine was forgotten')));

class InWorker implements types.WorkerEngine {
  readonly #link: Link;
  readonly null = null;

  constructor(link: Link) {
    this.#link = link;
    abandoned.register(this, link, this);
  }

  #ask<T>(op: string, args: unknown[], options?: types.RunOptions): Promise<T> {
    return ask<T>(this.#link, this, op, 0, args, options);
  }

  run = <R extends unknown[]>(code: string | Uint8Array, options: types.RunOptions = {}) => this.#ask<R>('run', [code, plainOf(options)], options);
  load = (code: string | Uint8Array, name?: string) => this.#ask<types.RemoteFunction>('load', [code, name]);
  get = <T>(name: string) => this.#ask<T>('get', [name]);
  set = (name: string, value: unknown) => this.#ask<void>('set', [name, value]);
  async define(name: string, fn: types.HostFunction): Promise<void> {
    if (typeof fn !== 'function') throw new EvermoonError('misuse', `define('${name}'): a function is needed, not ${typeof fn}`);
    return this.set(name, fn);
  }
  globals = () => this.#ask<types.RemoteTable>('globals', []);
  table = (contents?: readonly unknown[] | object) => this.#ask<types.RemoteTable>('table', [contents]);
  proxy = <T extends object>(object: T): types.LuaProxy<T> => new Proxied(object);
  multi = (...values: unknown[]): types.LuaMulti => new Multi(values);
  stats = () => this.#ask<types.Stats>('stats', []);
  collect = () => this.#ask<void>('collect', []);
  setMemoryMax = (bytes: number) => this.#ask<void>('setMemoryMax', [bytes]);

  get disposed(): boolean {
    return this.#link.ended !== undefined;
  }

  dispose(): void {
    abandoned.unregister(this);
    this.#link.end(new LuaDisposedError('this engine was disposed of: create a new one'));
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** A worker from an address, or the package's own. The literal is what bundlers look for. */
async function start(given: string | URL | undefined): Promise<object> {
  if (isNode()) {
    const { Worker } = await nodeModule<typeof import('node:worker_threads')>('node:worker_threads');
    // Not `new URL(…, import.meta.url)`, which bundlers would follow: theirs is below.
    const address = given ?? import.meta.url.replace(/[^/]*$/, 'worker-script.js');
    return new Worker(address instanceof URL ? address : new URL(address));
  }
  if (given !== undefined) return new Worker(given, { type: 'module' });
  return new Worker(new URL('./worker-script.js', import.meta.url), { type: 'module' });
}

/** Waits for the worker's first message. */
function connect(worker: object, sink: Sink): Promise<Link> {
  return new Promise((resolve, reject) => {
    const link = new Link(worker, sink, () => resolve(link));
    link.pending.set(0, { resolve: () => {}, reject, sink: undefined, owner: link });
  });
}

async function workerEngine(options: types.WorkerOptions = {}): Promise<types.WorkerEngine> {
  const compiling = Base.compile(options.wasm);
  compiling.catch(() => {});
  const sink = new Sink(options);
  const { worker } = options;
  const tries: (() => object | Promise<object>)[] =
    typeof worker === 'object' && !(worker instanceof URL)
      ? [() => worker]
      : worker !== undefined
        ? [() => start(worker)]
        : [() => start(undefined)];
  const there = worker === undefined ? elsewhere('worker-script.js') : undefined;
  if (there !== undefined) tries.push(() => start(there));
  let link: Link | undefined;
  let failure: unknown;
  for (const attempt of tries) {
    try {
      link = await connect(await attempt(), sink);
      break;
    } catch (error) {
      failure ??= error;
    }
  }
  if (!link) {
    throw new EvermoonLoadError(
      `the worker cannot be started (${(failure as Error).message}): make a script with import 'evermoon/worker-script' and pass ` +
        `{ worker: new Worker(new URL('./script.js', import.meta.url), { type: 'module' }) }`,
      { cause: failure },
    );
  }
  const connected = link;
  connected.pending.delete(0);
  try {
    const module = await compiling;
    const engine = new InWorker(connected);
    await connected.send<void>(engine, (id) => ({ t: 'create', id, module, options: connected.pack(plainOf(options)) }));
    return engine;
  } catch (error) {
    connected.end(error as Error);
    throw error;
  }
}

/** Engines in workers. */
export const Evermoon = {
  /** A new engine in a worker of its own (a Web Worker, or a thread in Node). */
  worker: workerEngine,
};
