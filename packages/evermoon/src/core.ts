/**
 * An engine as the rest of the package sees it: its number in the instance, values in and out of its slots, JavaScript's functions and objects by
 * number. Runs are in `run.ts`, copies of whole structures in `copy.ts`, handles in `handles.ts`.
 *
 * Invariants
 * 1. `simple` and `read` never call into the module but to get memory, and never run code of the user's: so slots can be written one after
 *    another. What needs more is made into a handle first (`pass` does so).
 * 2. The numbers in `refs` are those that Lua refers to, or that are on their way there. The module reports those it no longer refers to
 *    (`drain`).
 * 3. Nothing global refers to a core but weakly: an engine that is forgotten is freed.
 */
import { type Exports, Holds, Kind, Mail, Stat, Status } from './abi.js';
import { copyIn } from './copy.js';
import { EvermoonError, LuaConversionError, LuaDisposedError, LuaMemoryError } from './errors.js';
import { Handle, LuaFunction, LuaTable, LuaThread, LuaUserdata } from './handles.js';
import { asBytes, type Instance, trapped, utf8Length } from './instance.js';
import { isForBytes, Method, Multi, Proxied, Thrown } from './marks.js';
import { proxyFunctions } from './proxy.js';
import type { Sink } from './output.js';
import { RunState } from './run.js';
import type { Control, Strings } from './types.js';

type HostCall = (...args: unknown[]) => unknown;

/** A function or object of JavaScript's that Lua knows by number. */
export class Reference {
  /** Strings come to it as bytes. */
  readonly bytes: boolean;
  constructor(
    /** What comes back when Lua gives it back. */
    readonly object: object,
    /** What a call of it calls (nothing for an object by reference), and on what. */
    readonly call: HostCall | undefined,
    readonly owner: object | undefined,
  ) {
    this.bytes = isForBytes(object);
  }
}

/** Strings and byte strings above this go through a string object of their own: one copy. */
const LONG = 32 << 10;

/** Engines whose core was forgotten are freed; likewise handles. */
const engines = new FinalizationRegistry<{ instance: Instance; engine: number }>(({ instance, engine }) => {
  if (!instance.dead) instance.x.em_engine_free(engine);
});

const SLOT = 16;

/** Functions of Lua's that the package uses; taken before any program runs. */
export interface Operators {
  index: number;
  newindex: number;
  length: number;
  tostring: number;
  status: number;
  resume: number;
  setmetatable: number;
}

// Terse, since it is in every page's code.
const OPERATORS = `local e,r,s=error,coroutine.resume,debug.setmetatable
local function c(o,...)if o then return ...end e((...),0)end
return function(t,k)return t[k]end,function(t,k,v)t[k]=v end,function(t)return #t end,tostring,coroutine.status,function(...)return c(r(...))end,s`;

export class Core {
  readonly engine: number;
  /** The mailbox, in words. */
  readonly mail: number;
  disposed = false;
  readonly refs: (Reference | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #functions = new Map<object, number>();
  readonly #objects = new Map<object, number>();
  readonly #methods = new WeakMap<object, Map<object, number>>();
  /** Handles made for values on their way in. */
  #temporary: number[] = [];
  #proxies = false;
  readonly op: Operators;
  /** The run whose host function is being called. */
  currentRun: RunState | undefined;
  /** Runs that have not ended. */
  readonly runs = new Set<RunState>();
  /** The engine has been given limited fuel. */
  metered = false;

  constructor(
    readonly instance: Instance,
    memoryMax: number,
    readonly sink: Sink,
    readonly stringsAs: Strings,
    /** Limits of runs that name none. */
    readonly defaults: Control,
    /** The exports; a world's watch what goes through them (`world/supply.ts`). */
    readonly x: Exports = instance.x,
  ) {
    this.engine = x.em_engine_new(memoryMax);
    instance.view();
    if (this.engine === 0) throw new LuaMemoryError('no memory for an engine, or too many', '');
    this.mail = x.em_mailbox(this.engine) >>> 2;
    engines.register(this, { instance, engine: this.engine }, this);
    this.own(OPERATORS, []);
    const [index, newindex, length, tostring, st, resume, setmetatable] = [0, 1, 2, 3, 4, 5, 6].map((i) => this.handleAt(i));
    this.op = { index, newindex, length, tostring, status: st, resume, setmetatable } as Operators;
  }

  /** Runs Lua code of the package's own to its end; its results are in the slots. */
  own(code: string, args: readonly unknown[]): void {
    let status = this.compile(code, '=evermoon');
    if (status === Status.Done) {
      const main = this.handleAt(0);
      this.pass(args);
      status = this.x.em_call(this.engine, main, args.length, 1000);
      this.sent();
      this.x.em_handle_free(this.engine, main);
    }
    this.instance.view();
    if (status === Status.Done) return;
    if (status !== Status.Error) throw this.refusal(status);
    const message = String(this.first('text'));
    throw message === 'not enough memory' ? new LuaMemoryError(message, '') : new EvermoonError('bug', message);
  }

  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    engines.unregister(this);
    if (!this.instance.dead) this.x.em_engine_free(this.engine);
    const error = new LuaDisposedError('the engine was disposed of while this run was under way');
    for (const run of this.runs) run.cancel(error);
    this.refs.length = 0;
    this.#functions.clear();
    this.#objects.clear();
  }

  /** Throws if the engine cannot be used. */
  usable(): void {
    if (this.disposed) throw new LuaDisposedError('this engine was disposed of: create a new one');
    if (this.instance.dead) throw new EvermoonError('bug', 'the WebAssembly module has stopped: create a new engine');
  }

  /** The limits of a synchronous call that names none. */
  defaultRun(): RunState | undefined {
    return this.#limited ? new RunState(this, {}, this.defaults) : undefined;
  }
  get #limited(): boolean {
    return this.defaults.fuel !== undefined || this.defaults.timeout !== undefined;
  }

  /** A call needs nothing but to be made. */
  get plain(): boolean {
    return this.currentRun === undefined && !this.metered && !this.#limited;
  }

  /** There is nothing to drain. */
  get quiet(): boolean {
    const { u32 } = this.instance;
    const m = this.mail;
    return (u32[m + Mail.OutputLen]! | u32[m + Mail.ReleasedLen]! | u32[m + Mail.ReportsLen]!) === 0;
  }

  // ---- slots ----

  /** Address of the slots, with room for so many. */
  slots(count: number): number {
    const { instance } = this;
    if (count > 16) {
      const at = this.x.em_slots(this.engine, count) >>> 0;
      instance.view();
      if (at === 0) throw new EvermoonError('misuse', `${count} values at once are too many (the limit is 1048576)`);
      return at;
    }
    instance.view();
    return instance.u32[this.mail + Mail.Slots]!;
  }

  /** The handle that a slot of the last results holds. */
  handleAt(i: number): number {
    const { u32 } = this.instance;
    return u32[(u32[this.mail + Mail.Slots]! + i * SLOT) >>> 2]!;
  }

  /** How many results there are. */
  get count(): number {
    return this.instance.u32[this.mail + Mail.Count]!;
  }

  /** Writes values to the slots from 0 on. `sent` must follow when the module has taken them. */
  pass(values: readonly unknown[]): void {
    let at = this.slots(values.length);
    for (let i = 0; i < values.length; i++, at += SLOT) {
      if (!this.simple(at, values[i])) {
        this.#passMade(values);
        return;
      }
    }
  }

  /** The same when some must be made into handles first. */
  #passMade(values: readonly unknown[]): void {
    const made: number[] = [];
    try {
      for (let i = 0; i < values.length; i++) made.push(this.#make(values[i], () => `value ${i + 1}`));
      // Whatever ran for that (a getter may run Lua) is over: now nothing comes between these slots.
      this.instance.releaseScratch(0);
      const at = this.slots(values.length);
      for (let i = 0; i < values.length; i++) {
        const handle = made[i]!;
        if (handle !== 0) this.writeHandle(at + i * SLOT, handle);
        else if (!this.simple(at + i * SLOT, values[i])) throw new EvermoonError('bug', 'no way in');
      }
    } catch (error) {
      for (const handle of made) if (handle !== 0) this.x.em_handle_free(this.engine, handle);
      throw error;
    }
    this.#temporary = made;
  }

  /** The module has taken what `pass` wrote. */
  sent(): void {
    this.instance.releaseScratch(0);
    if (this.#temporary.length > 0) {
      const handles = this.#temporary;
      this.#temporary = [];
      for (const handle of handles) if (handle !== 0) this.x.em_handle_free(this.engine, handle);
    }
  }

  /** A temporary handle for a value that does not fit a slot; 0 if it does. */
  #make(v: unknown, path: () => string): number {
    let handle = 0;
    if (typeof v === 'string') {
      if (v.length > LONG) handle = this.newString(v);
    } else if (typeof v === 'object' && v !== null && !(v instanceof Handle)) {
      const bytes = asBytes(v);
      if (bytes) {
        if (bytes.length > LONG) handle = this.newBytes(bytes);
      } else if (isPlain(v)) {
        handle = copyIn(this, v, path());
      } else if (!(v instanceof Date)) {
        this.proxies();
      }
    }
    return handle;
  }

  /** Writes one value if a slot can hold it. */
  simple(at: number, v: unknown): boolean {
    const w = at >>> 2;
    switch (typeof v) {
      case 'number':
        this.writeNumber(at, v);
        return true;
      case 'string': {
        if (v.length > LONG) return false;
        this.#writeText(w, this.instance.text(v));
        return true;
      }
      case 'boolean':
        this.instance.u32[w + 2] = v ? Kind.True : Kind.False;
        return true;
      case 'undefined':
        this.instance.u32[w + 2] = Kind.Nil;
        return true;
      case 'bigint':
        this.#writeBigint(w, v);
        return true;
      case 'function':
        this.#writeReference(w, this.functionNumber(v as (...args: unknown[]) => unknown), Kind.HostFunction);
        return true;
      case 'symbol':
        scalar(v, 'the value');
        return false;
      default:
        return this.#simpleObject(at, v as object | null);
    }
  }

  #simpleObject(at: number, v: object | null): boolean {
    const w = at >>> 2;
    if (v === null) {
      this.#writeReference(w, 0, Kind.Light);
      return true;
    }
    if (v instanceof Handle) {
      this.writeHandle(at, v.usable(this));
      return true;
    }
    const bytes = asBytes(v);
    if (bytes) {
      if (bytes.length > LONG) return false;
      this.#writeText(w, this.instance.bytes(bytes));
      return true;
    }
    if (v instanceof Date) {
      this.writeNumber(at, v.getTime());
      return true;
    }
    if (isPlain(v) || !this.#proxies) return false;
    if (v instanceof Method) {
      this.#writeReference(w, this.#methodNumber(v.owner, v.fn), Kind.HostFunction);
      return true;
    }
    if (v instanceof Thrown) {
      this.#writeReference(w, this.objectNumber(v.error), Kind.HostObject);
      return true;
    }
    if (v instanceof Multi) {
      throw new LuaConversionError('lua.multi(…) is only for the result of a host function', 'multi');
    }
    this.#writeReference(w, this.objectNumber(v instanceof Proxied ? v.object : v), Kind.HostObject);
    return true;
  }

  writeNumber(at: number, v: number): void {
    const { u32 } = this.instance;
    const w = at >>> 2;
    const low = v | 0;
    if (low === v && (low !== 0 || 1 / v > 0)) {
      u32[w] = low;
      u32[w + 1] = low >> 31;
      u32[w + 2] = Kind.Int;
    } else if (Number.isSafeInteger(v) && v !== 0) {
      const high = Math.floor(v / 0x100000000);
      u32[w] = v - high * 0x100000000;
      u32[w + 1] = high;
      u32[w + 2] = Kind.Int;
    } else {
      this.instance.f64[at >>> 3] = v;
      u32[w + 2] = Kind.Float;
    }
  }

  writeHandle(at: number, handle: number): void {
    const { u32 } = this.instance;
    u32[at >>> 2] = handle;
    u32[(at >>> 2) + 2] = Kind.Handle;
  }

  #writeText(w: number, address: number): void {
    const { u32, length } = this.instance;
    u32[w] = address;
    u32[w + 1] = length;
    u32[w + 2] = Kind.String;
  }

  #writeReference(w: number, number: number, kind: number): void {
    const { u32 } = this.instance;
    u32[w] = number;
    u32[w + 1] = 0;
    u32[w + 2] = kind;
  }

  #writeBigint(w: number, v: bigint): void {
    scalar(v, 'the value');
    const { u32 } = this.instance;
    u32[w] = Number(BigInt.asUintN(32, v));
    u32[w + 1] = Number(BigInt.asUintN(32, v >> 32n));
    u32[w + 2] = Kind.Int;
  }

  /** The value in a slot, for JavaScript. Objects of Lua's become handles, which the caller owns. */
  read(at: number, strings: Strings): unknown {
    const { instance } = this;
    const { u32 } = instance;
    const w = at >>> 2;
    switch (u32[w + 2]) {
      case Kind.Int: {
        const low = u32[w]! | 0;
        const high = u32[w + 1]! | 0;
        if (high === low >> 31) return low;
        const n = high * 0x100000000 + (low >>> 0);
        return Number.isSafeInteger(n) ? n : (BigInt(high) << 32n) | BigInt(low >>> 0);
      }
      case Kind.Float:
        return instance.f64[at >>> 3];
      case Kind.String:
        return strings === 'text' ? instance.readText(u32[w]!, u32[w + 1]!) : instance.u8.slice(u32[w]!, u32[w]! + u32[w + 1]!);
      case Kind.Nil:
        return undefined;
      case Kind.False:
        return false;
      case Kind.True:
        return true;
      case Kind.Handle:
        return this.#wrap(u32[w]!, u32[w + 3]!);
      case Kind.HostObject:
      case Kind.HostFunction:
        return this.refs[u32[w]!]?.object;
      case Kind.Light:
        return (u32[w]! | u32[w + 1]!) === 0 ? null : (BigInt(u32[w + 1]!) << 32n) | BigInt(u32[w]!);
      default:
        throw new EvermoonError('bug', `unknown slot kind ${u32[w + 2]}`);
    }
  }

  #wrap(handle: number, holds: number): Handle {
    if (handle === 0) throw new LuaMemoryError('too many handles: dispose of some', '');
    switch (holds) {
      case Holds.Table:
        return new LuaTable(this, handle);
      case Holds.Function:
        return new LuaFunction(this, handle);
      case Holds.Thread:
        return new LuaThread(this, handle);
      default:
        return new LuaUserdata(this, handle);
    }
  }

  /** All results, from slot `from` on. */
  allResults(strings: Strings): unknown[] {
    const { u32 } = this.instance;
    const count = u32[this.mail + Mail.Count]!;
    const at = u32[this.mail + Mail.Slots]!;
    const values = new Array<unknown>(count);
    for (let i = 0; i < count; i++) values[i] = this.read(at + i * SLOT, strings);
    return values;
  }

  /** The first result. */
  first(strings: Strings): unknown {
    const { u32 } = this.instance;
    return u32[this.mail + Mail.Count] === 0 ? undefined : this.read(u32[this.mail + Mail.Slots]!, strings);
  }

  // ---- strings and code ----

  newString(s: string): number {
    const write = (room: Uint8Array) => {
      const { read, written } = encoder.encodeInto(s, room);
      return read === s.length ? written : -1;
    };
    // What is like its beginning need not be counted: counting takes as long as a copy.
    const head = s.slice(0, LONG);
    const size = utf8Length(head);
    const guess = s.length === head.length || size === head.length ? size + s.length - head.length : Math.ceil(((s.length * size) / head.length) * 1.03);
    return this.#fill(guess, write, true) || this.#fill(utf8Length(s), write);
  }

  newBytes(bytes: Uint8Array): number {
    return this.#fill(bytes.length, (room) => (room.set(bytes), bytes.length));
  }

  /** A string of what `write` writes, at most so many bytes. 0 where the size is a guess, and it is more, or there is not so much memory. */
  #fill(size: number, write: (room: Uint8Array) => number, guess = false): number {
    const { x, engine } = this;
    const handle = x.em_string_new(engine, size);
    this.instance.view();
    if (handle === 0) {
      if (guess) return 0;
      throw this.refusal(this.instance.u32[this.mail]!);
    }
    const at = x.em_string_bytes(engine, handle) >>> 0;
    const written = write(this.instance.u8.subarray(at, at + size));
    if (written === size || x.em_string_cut(engine, handle, written) !== 0) return handle;
    x.em_handle_free(engine, handle);
    return 0;
  }

  /** Compiles a chunk; the status of `em_load`. */
  compile(code: string | Uint8Array, name: string): number {
    if (typeof code !== 'string' && !(code instanceof Uint8Array)) throw new EvermoonError('misuse', `code is a string or a Uint8Array, not ${typeof code}`);
    const { instance, x } = this;
    instance.room();
    instance.view();
    const nameAt = instance.text(name);
    const nameLength = instance.length;
    const at = typeof code === 'string' ? instance.text(code) : instance.bytes(code);
    const status = x.em_load(this.engine, at, instance.length, nameAt, nameLength, 3);
    instance.view();
    instance.releaseScratch(0);
    return status;
  }

  // ---- references ----

  /** The number of a key, which gets one if it has none. */
  #number(known: Map<object, number>, key: object, call?: HostCall, owner?: object): number {
    let number = known.get(key);
    if (number === undefined) {
      number = this.#free.pop() ?? Math.max(1, this.refs.length);
      this.refs[number] = new Reference(key, call, owner);
      known.set(key, number);
    }
    return number;
  }

  functionNumber(fn: HostCall): number {
    return this.#number(this.#functions, fn, fn);
  }

  objectNumber(object: object): number {
    return this.#number(this.#objects, object);
  }

  #methodNumber(owner: object, fn: HostCall): number {
    let methods = this.#methods.get(owner);
    if (!methods) this.#methods.set(owner, (methods = new Map()));
    return this.#number(methods, fn, fn, owner);
  }

  #forget(number: number): void {
    const reference = this.refs[number];
    if (!reference) return;
    this.refs[number] = undefined;
    this.#free.push(number);
    const { object, call, owner } = reference;
    (owner ? this.#methods.get(owner) : call ? this.#functions : this.#objects)?.delete(object);
  }

  get referenceCount(): number {
    return Math.max(0, this.refs.length - 1) - this.#free.length;
  }

  /** Gives host objects their metatable, once. */
  proxies(): void {
    if (this.#proxies) return;
    this.#proxies = true;
    this.own(
      `local i,n,l,c,p,t=... return{__index=i,__newindex=n,__len=l,__call=c,__pairs=p,__tostring=t,__name='JavaScript object',__metatable=false}`,
      proxyFunctions((object) => this.objectNumber(object)),
    );
    const table = this.handleAt(0);
    this.x.em_object_metatable(this.engine, table);
    this.x.em_handle_free(this.engine, table);
  }

  // ---- after a call ----

  /** Takes the output, the reports and the released numbers, if there are any. */
  drainTo(sink: Sink): void {
    if (this.quiet) return;
    const { u32, u8 } = this.instance;
    const m = this.mail;
    /** A copy of what a field and the one behind it name, in units of the view. */
    const copy = <T extends Uint8Array | Uint32Array>(view: T, field: number, shift: number) => {
      const at = u32[m + field]! >>> shift;
      return view.slice(at, at + u32[m + field + 1]!) as T;
    };
    const output = copy(u8, Mail.Output, 0);
    const reports = copy(u8, Mail.Reports, 0);
    const released = copy(u32, Mail.Released, 2);
    this.x.em_output_taken(this.engine);
    for (const number of released) this.#forget(number);
    if (output.length > 0) sink.write(output);
    const words = new Uint32Array(reports.buffer);
    for (let at = 0; at < reports.length; ) {
      const head = words[at >>> 2]!;
      const end = at + 4 + (head >>> 1);
      sink.report(reports.subarray(at + 4, end), (head & 1) !== 0);
      at = (end + 3) & ~3;
    }
  }

  /** The error for a call that was refused. */
  refusal(status: number): Error {
    const { instance } = this;
    if (this.lost()) return this.lostError();
    instance.view();
    const { u32 } = instance;
    const text = instance.readText(u32[this.mail + Mail.Message]!, u32[this.mail + Mail.MessageLen]!);
    if (status === Status.Memory) return new LuaMemoryError('not enough memory', '');
    return new EvermoonError('misuse', text);
  }

  /** What an exception that came out of the module becomes: a trap; JavaScript's stack that ran out within it. Others are not the module's. */
  trap(error: unknown): unknown {
    if (!(error instanceof WebAssembly.RuntimeError)) return this.lost() ? this.lostError(error) : error;
    this.instance.dead = true;
    // What the engine can still be asked: whether the system had refused it memory.
    return trapped(error, this.stat(Stat.Refused) > 0);
  }

  /** Whether a call into the module never came back: it lets nobody in any more (`docs/abi.md`). */
  lost(): boolean {
    return !this.disposed && this.x.em_mailbox(this.engine) === 0;
  }

  lostError(cause?: unknown): EvermoonError {
    this.instance.dead = true;
    return new EvermoonError('bug', 'the stack of JavaScript ran out within the WebAssembly module; this instance cannot go on: create a new engine', { cause });
  }

  stat(which: Stat): number {
    return this.x.em_stat(this.engine, which);
  }
}

const encoder = new TextEncoder();

/** Throws for a symbol, and for a bigint that is no integer of Lua's. */
export function scalar(v: bigint | symbol, path: string): void {
  if (typeof v === 'symbol') throw new LuaConversionError(`a symbol (${String(v)}) cannot cross to Lua, at ${path}: pass its description`, path);
  if (BigInt.asIntN(64, v) !== v) {
    throw new LuaConversionError(`the bigint ${v} does not fit Lua's 64-bit integers, at ${path}: pass it as a string`, path);
  }
}

/** Whether an object is plain data that is copied: an array, an object of no class, a map or set. */
export function isPlain(v: object): boolean {
  if (Array.isArray(v)) return true;
  const prototype = Object.getPrototypeOf(v) as object | null;
  if (prototype === null || prototype === Object.prototype) return true;
  if (v instanceof Map || v instanceof Set) return true;
  // An object of another realm (an iframe, `vm`).
  return Object.getPrototypeOf(prototype) === null && Object.prototype.toString.call(v) === '[object Object]';
}
