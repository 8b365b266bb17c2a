/**
 * Live handles to what stays in Lua: tables, functions, threads, userdata. A handle keeps its object alive until it is disposed of, or until
 * JavaScript's collector finds that nobody has it.
 */
import { Kind, Mail, Status } from './abi.js';
import { copyOut } from './copy.js';
import type { Core } from './core.js';
import { EvermoonError, LuaDisposedError } from './errors.js';
import type { Instance } from './instance.js';
import { callAsync, callNow, finishNow, MANY_SLICES } from './run.js';
import type * as types from './types.js';

/** What the collector needs to free a handle that was forgotten; it must not lead to the engine's object. */
interface Token {
  instance: Instance;
  engine: number;
  handle: number;
}

const free = ({ instance, engine, handle }: Token) => {
  if (!instance.dead) instance.x.em_handle_free(engine, handle);
};
const forgotten = new FinalizationRegistry<Token>(free);

const SLOT = 16;

export abstract class Handle implements types.LuaHandle {
  abstract readonly type: types.LuaHandle['type'];
  readonly core: Core;
  #handle: number;

  /** @internal */
  constructor(core: Core, handle: number) {
    this.core = core;
    this.#handle = handle;
    forgotten.register(this, { instance: core.instance, engine: core.engine, handle }, this);
    // The engine's object is of no concern to somebody who prints a handle.
    Object.defineProperty(this, 'core', { enumerable: false });
  }

  /** The handle's number, if it can be used here. */
  usable(core: Core): number {
    if (core !== this.core) throw new EvermoonError('misuse', `this ${this.type} belongs to another engine: pass a copy (toJS())`);
    if (this.#handle === 0) throw core.lost() ? core.lostError() : new LuaDisposedError(`this ${this.type} was disposed of`);
    if (core.disposed || core.instance.dead) core.usable();
    return this.#handle;
  }

  get disposed(): boolean {
    return this.#handle === 0 || this.core.disposed;
  }

  dispose(): void {
    if (this.#handle === 0) return;
    forgotten.unregister(this);
    free({ instance: this.core.instance, engine: this.core.engine, handle: this.#handle });
    this.#handle = 0;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  equals(other: types.LuaHandle): boolean {
    if (!(other instanceof Handle) || other.core !== this.core) return false;
    return this.core.x.em_same(this.core.engine, this.usable(this.core), other.usable(this.core)) === 1;
  }

  toString(): string {
    const { core } = this;
    this.usable(core);
    return String(callNow(core, core.op.tostring, [this], 'text')[0]);
  }
}

/** `t[key]` and `t[key] = value` with metamethods, which tables and userdata share. */
abstract class Indexed extends Handle {
  set(key: unknown, value: unknown): void {
    const { core } = this;
    this.usable(core);
    callNow(core, core.op.newindex, [this, key, value], 'text');
  }
  get<T = types.LuaValue>(key: unknown): T {
    const { core } = this;
    this.usable(core);
    return callNow(core, core.op.index, [this, key], core.stringsAs)[0] as T;
  }
}

export class LuaTable extends Indexed implements types.LuaTable {
  readonly type = 'table';

  override get<T = types.LuaValue>(key: unknown): T {
    const { core } = this;
    const handle = this.usable(core);
    core.pass([key]);
    const status = core.x.em_get(core.engine, handle);
    core.instance.view();
    core.sent();
    if (status === Status.Done) return core.first(core.stringsAs) as T;
    if (status === Status.Metamethod) return super.get<T>(key);
    throw core.refusal(status);
  }

  override set(key: unknown, value: unknown): void {
    const { core } = this;
    const handle = this.usable(core);
    if (core.x.em_has_metatable(core.engine, handle) !== 0 || key === undefined || Number.isNaN(key)) {
      super.set(key, value);
      return;
    }
    core.pass([key, value]);
    const status = core.x.em_raw_set(core.engine, handle, 2);
    core.instance.view();
    core.sent();
    if (status !== Status.Done) throw core.refusal(status);
  }

  has(key: unknown): boolean {
    const value = this.get<unknown>(key);
    if (value instanceof Handle) value.dispose();
    return value !== undefined;
  }

  delete(key: unknown): void {
    this.set(key, undefined);
  }

  get length(): number {
    const { core } = this;
    this.usable(core);
    return callNow(core, core.op.length, [this], 'text')[0] as number;
  }

  *entries(): IterableIterator<[types.LuaValue, types.LuaValue]> {
    const { core } = this;
    let key: unknown;
    // A few at a time: the caller may change the table, or stop.
    for (;;) {
      const handle = this.usable(core);
      core.pass([key]);
      const status = core.x.em_raw_entries(core.engine, handle, 32);
      if (key instanceof Handle) key.dispose();
      core.instance.view();
      core.sent();
      if (status !== Status.Done) throw core.refusal(status);
      const count = core.count;
      if (count === 0) return;
      const at = core.instance.u32[core.mail + Mail.Slots]!;
      const last = at + (count - 2) * SLOT;
      const kind = core.instance.u32[(last >>> 2) + 2];
      // In bytes: text could have lost something. And with a handle of our own: the caller may dispose of his.
      let next = kind === Kind.String ? core.read(last, 'bytes') : undefined;
      if (kind === Kind.Handle) next = new LuaUserdata(core, core.x.em_handle_copy(core.engine, core.instance.u32[last >>> 2]!));
      const batch = core.allResults(core.stringsAs);
      for (let i = 0; i < count; i += 2) yield [batch[i] as types.LuaValue, batch[i + 1] as types.LuaValue];
      key = next ?? batch[count - 2];
    }
  }

  *keys(): IterableIterator<types.LuaValue> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): IterableIterator<types.LuaValue> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): IterableIterator<[types.LuaValue, types.LuaValue]> {
    return this.entries();
  }

  get metatable(): LuaTable | undefined {
    const { core } = this;
    const handle = core.x.em_metatable(core.engine, this.usable(core));
    return handle === 0 ? undefined : new LuaTable(core, handle);
  }

  setMetatable(table: types.LuaTable | undefined): void {
    const { core } = this;
    this.usable(core);
    callNow(core, core.op.setmetatable, [this, table], 'text');
  }

  toJS(options: types.ToJSOptions = {}): unknown {
    return copyOut(this.core, this.usable(this.core), options);
  }
}

export class LuaUserdata extends Indexed implements types.LuaUserdata {
  readonly type = 'userdata';
}

export class LuaFunction extends Handle implements types.LuaFunction {
  readonly type = 'function';

  call<R extends unknown[] = types.LuaValue[]>(...args: unknown[]): Promise<R> {
    return callAsync(this.core, () => this.usable(this.core), { args }) as Promise<R>;
  }

  callWith<R extends unknown[] = types.LuaValue[]>(options: Omit<types.RunOptions, 'name'>): Promise<R> {
    return callAsync(this.core, () => this.usable(this.core), options) as Promise<R>;
  }

  callSync<R extends unknown[] = types.LuaValue[]>(...args: unknown[]): R {
    const { core } = this;
    return callNow(core, this.usable(core), args, core.stringsAs) as R;
  }

  invoke<T = types.LuaValue>(...args: unknown[]): T {
    const { core } = this;
    const handle = this.usable(core);
    if (core.plain) {
      // The short way: nothing but the call.
      core.instance.room();
      core.pass(args);
      const status = core.x.em_call(core.engine, handle, args.length, MANY_SLICES);
      core.sent();
      core.instance.view();
      if (status === Status.Done && core.quiet) return core.first(core.stringsAs) as T;
      try {
        return finishNow(core, status, undefined, core.stringsAs)[0] as T;
      } finally {
        core.sink.end();
      }
    }
    return callNow(core, handle, args, core.stringsAs)[0] as T;
  }
}

export class LuaThread extends Handle implements types.LuaThread {
  readonly type = 'thread';

  get status(): types.LuaThread['status'] {
    const { core } = this;
    this.usable(core);
    return callNow(core, core.op.status, [this], 'text')[0] as types.LuaThread['status'];
  }

  resume<R extends unknown[] = types.LuaValue[]>(...args: unknown[]): Promise<R> {
    const { core } = this;
    return callAsync(core, () => (this.usable(core), core.op.resume), { args: [this, ...args] }) as Promise<R>;
  }
}
