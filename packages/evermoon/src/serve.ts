/**
 * The worker's side of `Evermoon.worker()`: an engine, and messages that ask it for things (`wire.ts`). Functions and objects of the main side are
 * stand-ins here; what is done to them is asked there, and Lua waits.
 */
import { EvermoonError } from './errors.js';
import { Evermoon } from './evermoon.js';
import { Handle, type LuaFunction, type LuaTable, LuaThread } from './handles.js';
import { os } from './libs.js';
import { Elsewhere, Multi } from './marks.js';
import { callAsync } from './run.js';
import type { EvermoonOptions, RunOptions } from './types.js';
import { type FromWorker, kindOf, pack, type Packed, type Port, portOf, type Tagged, tagged, type ToWorker, unpack, type WireError } from './wire.js';

/** A stand-in's number, and how often it came: the main side counts with us before it forgets the original. */
interface Origin {
  number: number;
  count: number;
}

/** Serves the thread that started this worker. */
export async function serve(): Promise<void> {
  const web = globalThis as { postMessage?: unknown; document?: unknown };
  if (typeof web.postMessage === 'function' && web.document === undefined) return serveOn(globalThis);
  const { parentPort } = (await import(/* @vite-ignore */ /* webpackIgnore: true */ nodeThreads)) as typeof import('node:worker_threads');
  if (!parentPort) throw new EvermoonError('misuse', "this script is for a worker: use Evermoon.worker() of 'evermoon/worker'");
  serveOn(parentPort);
}
const nodeThreads = 'node:worker_threads';

function serveOn(given: object): void {
  const port = portOf(given);
  const worker = new Served(port);
  port.listen(
    (message) => worker.receive(message as ToWorker),
    () => {},
  );
  port.post({ t: 'ready' } satisfies FromWorker);
}

class Served {
  #lua: Evermoon | undefined;
  readonly #handles = new Map<number, Handle>();
  #nextHandle = 1;
  readonly #standIns = new Map<number, WeakRef<object>>();
  readonly #origins = new WeakMap<object, Origin>();
  readonly #gone = new FinalizationRegistry<Origin>(({ number, count }) => {
    if (!this.#standIns.get(number)?.deref()) this.#standIns.delete(number);
    this.#post({ t: 'drop', number, count });
  });
  readonly #asked = new Map<number, { resolve: (v: unknown) => void; reject: (e: unknown) => void }>();
  #nextAsked = 1;
  /** Runs that can be cancelled. */
  readonly #runs = new Map<number, AbortController>();

  constructor(readonly port: Port) {}

  #post(message: FromWorker, transfer?: ArrayBuffer[]): void {
    this.port.post(message, transfer);
  }

  receive(message: ToWorker): void {
    switch (message.t) {
      case 'create':
        this.#finish(message.id, () => this.#create(message));
        break;
      case 'ask':
        this.#finish(message.id, () => this.#do(message));
        break;
      case 'cancel':
        this.#runs.get(message.id)?.abort();
        break;
      case 'free':
        this.#handles.get(message.handle)?.dispose();
        this.#handles.delete(message.handle);
        break;
      case 'answer': {
        const asked = this.#asked.get(message.id);
        this.#asked.delete(message.id);
        const value = this.#unpack(message.value);
        if (message.ok) asked?.resolve(value);
        else asked?.reject(value);
      }
    }
  }

  async #finish(id: number, work: () => unknown): Promise<void> {
    let reply: FromWorker;
    try {
      reply = { t: 'done', id, value: this.#pack(await work()) };
    } catch (error) {
      reply = { t: 'fail', id, error: this.#packError(error) };
    }
    try {
      this.#post(reply);
    } catch (error) {
      this.#post({ t: 'fail', id, error: this.#packError(error) });
    }
  }

  #create(message: ToWorker & { t: 'create' }): void {
    const options = this.#unpack(message.options) as EvermoonOptions & { os?: boolean };
    this.#lua = Evermoon.createSync({ ...options, ...(options.os && { libs: [os()] }), ...this.#outputOf(0), wasm: message.module });
  }

  #outputOf(run: number) {
    const text = (line: string) => new TextEncoder().encode(line);
    return {
      onOutput: (bytes: Uint8Array) => this.#post({ t: 'out', run, bytes }, [bytes.buffer as ArrayBuffer]),
      onWarn: (line: string) => this.#post({ t: 'report', run, text: text(line), isWarning: true }),
      onStderr: (line: string) => this.#post({ t: 'report', run, text: text(`${line}\n`), isWarning: false }),
    };
  }

  #do(message: ToWorker & { t: 'ask' }): unknown {
    const lua = this.#lua;
    if (!lua) throw new EvermoonError('misuse', 'there is no engine in this worker');
    const args = this.#unpack(message.args) as unknown[];
    if (message.handle !== 0) return this.#doHandle(message, args);
    switch (message.op) {
      case 'run':
        return this.#run(message, (control) => lua.run(args[0] as string, { ...(args[1] as RunOptions), ...control }));
      case 'table':
        return lua.table(args[0] as object);
      case 'globals':
        return lua.globals;
      case 'load':
      case 'get':
      case 'set':
      case 'stats':
      case 'collect':
      case 'setMemoryMax':
        return (lua[message.op] as (...args: unknown[]) => unknown)(...args);
      default:
        throw new EvermoonError('misuse', `'${message.op}' is unknown: use the same release of the package in the worker`);
    }
  }

  #doHandle(message: ToWorker & { t: 'ask' }, args: unknown[]): unknown {
    const handle = this.#handles.get(message.handle);
    if (!handle) throw new EvermoonError('disposed', 'this handle was disposed of');
    const table = handle as LuaTable;
    switch (message.op) {
      case 'call':
        return this.#run(message, (control) => (handle as LuaFunction).callWith({ ...(args[0] as RunOptions), ...control }));
      case 'resume':
        return (handle as LuaThread).resume(...args);
      // Metamethods may wait here for functions of the main side.
      case 'get':
      case 'set':
      case 'length':
      case 'tostring': {
        const { core } = handle;
        const operator = { get: core.op.index, set: core.op.newindex, length: core.op.length, tostring: core.op.tostring }[message.op];
        return callAsync(core, () => (handle.usable(core), operator), { args: [handle, ...args] }).then(([first]) => first);
      }
      case 'has':
        return (this.#doHandle({ ...message, op: 'get' }, args) as Promise<unknown>).then((v) => v !== undefined);
      case 'metatable':
        return table.metatable;
      case 'status':
        return (handle as LuaThread).status;
      case 'entries':
        return [...table.entries()];
      case 'equals':
        return handle.equals(args[0] as Handle);
      case 'delete':
        return this.#doHandle({ ...message, op: 'set' }, [args[0], undefined]);
      case 'setMetatable':
      case 'toJS':
        return (table[message.op] as (...args: unknown[]) => unknown).apply(table, args);
      default:
        throw new EvermoonError('misuse', `'${message.op}' is unknown: use the same release of the package in the worker`);
    }
  }

  async #run(message: ToWorker & { t: 'ask' }, go: (control: RunOptions) => Promise<unknown>): Promise<unknown> {
    const controller = new AbortController();
    this.#runs.set(message.id, controller);
    try {
      return await go({ signal: controller.signal, ...(message.own && this.#outputOf(message.id)) });
    } finally {
      this.#runs.delete(message.id);
    }
  }

  // ---- values ----

  #pack(value: unknown): Packed {
    return pack(value, (v) => this.#name(v));
  }

  #name(v: object): Tagged {
    if (v instanceof Handle) {
      const id = this.#nextHandle++;
      this.#handles.set(id, v);
      return tagged('handle', id, { type: v.type });
    }
    const origin = this.#origins.get(v);
    if (origin) return tagged(typeof v === 'function' ? 'function' : 'object', origin.number);
    if (v instanceof Error) return tagged('error', 0, { error: this.#errorData(v) });
    throw new EvermoonError('bug', `a ${typeof v} of the worker's own cannot cross`);
  }

  #packError(error: unknown): Packed {
    return this.#pack(error instanceof Error || typeof error !== 'object' ? error : new Error(String(error)));
  }

  #errorData(error: Error): WireError {
    const { name, message, stack, code, traceback, luaTraceback, path } = error as Error & Partial<WireError>;
    const data: WireError = { name, message, stack, code, traceback, luaTraceback, path };
    if ('value' in error) data.value = this.#pack(error.value);
    return data;
  }

  #unpack(packed: Packed): unknown {
    return unpack(packed, (t) => {
      switch (kindOf(t)) {
        case 'handle': {
          const handle = this.#handles.get(t.id);
          if (!handle) throw new EvermoonError('disposed', 'this handle was disposed of');
          return handle;
        }
        default:
          return this.#standIn(t);
      }
    });
  }

  #standIn(t: Tagged): object {
    const known = this.#standIns.get(t.id)?.deref();
    if (known) {
      this.#origins.get(known)!.count++;
      return known;
    }
    const origin: Origin = { number: t.id, count: 1 };
    const ask = (op: number, args: unknown[]) => this.#ask(origin.number, op, args);
    let made: object;
    if (kindOf(t) === 'function') made = (...args: unknown[]) => ask(-1, args);
    else if (t.error) made = Object.assign(new Error(t.error.message), { name: t.error.name, stack: t.error.stack });
    else made = new (class extends Elsewhere { ask = ask; })();
    this.#standIns.set(t.id, new WeakRef(made));
    this.#origins.set(made, origin);
    this.#gone.register(made, origin);
    return made;
  }

  /** Has the main side call a function (operation -1) or do something to an object. */
  #ask(number: number, op: number, args: unknown[]): Promise<unknown> {
    const id = this.#nextAsked++;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve: (v) => resolve(Array.isArray(v) ? new Multi(v) : v), reject });
      this.#post({ t: 'call', id, number, op, args: this.#pack(args) });
    });
  }
}
