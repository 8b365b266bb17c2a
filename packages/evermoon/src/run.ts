/**
 * Runs: a task of the module from its start to its end, at once or asynchronously. Host functions are called here, promises awaited, limits kept,
 * output handed out, errors made.
 *
 * When the module returns, nothing of the program is on any stack: so a host function may run other programs of the same engine, and
 * several runs may wait side by side.
 */
import { Kind, Mail, Status } from './abi.js';
import type { Core } from './core.js';
import {
  EvermoonError,
  LuaAbortError,
  LuaError,
  LuaFuelError,
  LuaMemoryError,
  LuaSyncError,
  LuaTimeoutError,
} from './errors.js';
import { Handle } from './handles.js';
import { Multi, Thrown } from './marks.js';
import { Sink } from './output.js';
import type { Control, RunOptions, Strings } from './types.js';

/** As many slices as it takes. */
export const MANY_SLICES = 0x7fffffff;

const SLOT = 16;
/** Milliseconds that an asynchronous run keeps the event loop. */
const TURN = 8;
/** What one entry into the module should take. */
const ENTRY = 4;
/**
 * Most slices in one entry: so few that one which is a hundred times dearer than those before it (their work is metered, not their time) does not
 * hold up a frame, and so many that entering costs nothing beside them.
 */
const SLICES_MAX = 16;

/** What a run may do, and where its output goes. Nested calls (a host function that calls Lua) are part of it. */
export class RunState {
  readonly sink: Sink;
  readonly ownSink: boolean;
  fuel: number | undefined;
  readonly fuelStart: number | undefined;
  readonly runDeadline: number;
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  slices = 4;
  /** The error that ends the run from outside (dispose). */
  cancelled: Error | undefined;
  onCancel: ((error: Error) => void) | undefined;

  constructor(core: Core, options: Control & RunOptions, defaults: Control) {
    this.ownSink = (options.onPrint ?? options.onOutput ?? options.onWarn ?? options.onStderr) !== undefined;
    this.sink = this.ownSink ? new Sink(options) : (core.currentRun?.sink ?? core.sink);
    this.fuel = this.fuelStart = options.fuel ?? defaults.fuel;
    this.timeout = options.timeout ?? defaults.timeout ?? Infinity;
    this.runDeadline = this.timeout === Infinity ? Infinity : performance.now() + this.timeout;
    this.signal = options.signal;
  }

  cancel(error: Error): void {
    this.cancelled = error;
    this.onCancel?.(error);
  }

  get limited(): boolean {
    return this.runDeadline !== Infinity || this.signal !== undefined;
  }

  /** Throws if the run may not go on. */
  check(): void {
    if (this.cancelled) throw this.cancelled;
    if (this.signal?.aborted) throw this.aborted();
    if (this.runDeadline !== Infinity && performance.now() >= this.runDeadline) throw this.late();
  }

  aborted(): Error {
    return new LuaAbortError('the run was aborted', this.signal?.reason);
  }

  late(): Error {
    return new LuaTimeoutError(`the run took longer than its timeout of ${this.timeout} ms`);
  }
}

/** Gives the engine the run's fuel. */
function refuel(core: Core, run: RunState | undefined): void {
  if (run?.fuel !== undefined) {
    core.x.em_set_fuel(core.engine, run.fuel);
    core.metered = true;
  } else if (core.metered) {
    core.x.em_set_fuel(core.engine, -1);
    core.metered = false;
  }
}

/** Takes back what is left. */
function settle(core: Core, run: RunState | undefined): void {
  if (run?.fuel !== undefined) run.fuel = core.x.em_fuel(core.engine);
}

// ---- host calls ----

/** What a host function threw, on its way to the program that called it. */
class Failed {
  readonly value: unknown;
  constructor(error: unknown) {
    // An exception crosses Lua as the object it is.
    this.value = error instanceof Error ? new Thrown(error) : error;
  }
}

function isThenable(v: unknown): v is PromiseLike<unknown> {
  return typeof v === 'object' && v !== null && typeof (v as { then?: unknown }).then === 'function';
}

/** Calls the host function that the task waits for: what it gave (which may be a promise), or `Failed`. */
function callHost(core: Core, run: RunState | undefined): unknown {
  const { u32 } = core.instance;
  const { mail } = core;
  const reference = core.refs[u32[mail + Mail.Function]!];
  const strings = reference?.bytes ? 'bytes' : core.stringsAs;
  // A list of one or two arguments would cost as much as the call.
  const count = u32[mail + Mail.Count]!;
  const few = (count === 1 || count === 2) && reference?.owner === undefined;
  const at = u32[mail + Mail.Slots]!;
  const a = few ? core.read(at, strings) : undefined;
  const b = few && count === 2 ? core.read(at + SLOT, strings) : undefined;
  const args = few ? NO_VALUES : core.allResults(strings);
  core.drainTo(run?.sink ?? core.sink);
  const before = core.currentRun;
  core.currentRun = run;
  core.instance.depth++;
  try {
    if (!reference?.call) throw new EvermoonError('bug', 'unknown function');
    const { call, owner } = reference;
    if (few) return count === 1 ? call(a) : call(a, b);
    return Reflect.apply(call, owner, owner !== undefined && args[0] === owner ? args.slice(1) : args);
  } catch (error) {
    return new Failed(error);
  } finally {
    core.instance.depth--;
    core.currentRun = before;
  }
}
const NO_VALUES: readonly unknown[] = [];

/** Writes an answer to the slots: how many values it has, or -1 for an error. What cannot cross becomes an error in the program. */
function passAnswer(core: Core, given: unknown): number {
  if (typeof given === 'number') {
    core.writeNumber(core.slots(1), given);
    return 1;
  }
  if (given === undefined) return 0;
  let failed: Failed;
  try {
    const values = given instanceof Multi ? given.values : [given instanceof Failed ? given.value : given];
    core.pass(values);
    return given instanceof Failed ? -1 : values.length;
  } catch (error) {
    core.sent();
    failed = new Failed(error);
  }
  core.pass([failed.value]);
  return -1;
}

/** Answers and goes on; the next status. */
function answerRun(core: Core, task: number, answer: unknown, run: RunState | undefined, slices: number): number {
  const count = passAnswer(core, answer);
  refuel(core, run);
  let status = core.x.em_answer_run(core.engine, task, Math.abs(count), +(count >= 0), slices);
  core.sent();
  if (status === Status.Memory) {
    // The results do not fit the heap: the program is told so.
    core.pass(['not enough memory']);
    status = core.x.em_answer_run(core.engine, task, 1, 0, slices);
    core.sent();
  }
  settle(core, run);
  core.instance.view();
  return status;
}

// ---- errors ----

/** What a task that failed becomes: the JavaScript exception that crossed it, or a `LuaError`. */
export function failure(core: Core): Error {
  const { u32 } = core.instance;
  const at = u32[core.mail + Mail.Slots]!;
  const kind = u32[(at >>> 2) + 2];
  const traceback = core.count > 1 ? String(core.read(at + SLOT, 'text') ?? '') : '';
  const value = core.read(at, core.stringsAs);
  if (kind === Kind.HostObject && value instanceof Error) {
    // It comes out as itself, and says where in Lua it came from.
    if (traceback !== '' && Object.isExtensible(value) && !Object.hasOwn(value, 'luaTraceback')) {
      Object.defineProperty(value, 'luaTraceback', { value: traceback, configurable: true });
    }
    return value;
  }
  const text = kind === Kind.String ? core.read(at, 'text') : undefined;
  // Between two slices the module raises it as an error with a place.
  if (typeof text === 'string' && /(^|:\d+: )not enough memory$/.test(text)) return new LuaMemoryError(text, traceback);
  return new LuaError(messageOf(core, value, text), value, traceback);
}

function messageOf(core: Core, value: unknown, text: unknown): string {
  if (typeof text === 'string') return text;
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (value instanceof Handle) {
    const meta = core.x.em_has_metatable(core.engine, value.usable(core)) !== 0;
    if (meta) {
      try {
        const shown = value.toString();
        if (!/^(table|userdata): 0x/.test(shown)) return shown;
      } catch {
        // A __tostring that fails: as without.
      }
    }
    return `(error object is a ${value.type} value)`;
  }
  if (value === undefined || value === null) return 'nil';
  return `(error object is a ${typeof value === 'object' ? 'userdata' : typeof value} value)`;
}

// ---- the end ----

/** All results of a run that is done; throws for any other end. Slots are read before any code of the user's runs. */
function ended(core: Core, status: number, run: RunState | undefined, strings: Strings): unknown[] {
  let error: Error | undefined;
  let values: unknown[] = [];
  if (status === Status.Done) values = core.allResults(strings);
  else if (status === Status.Error) error = failure(core);
  else if (status === Status.OutOfFuel) error = new LuaFuelError(`out of fuel: the budget of ${run?.fuelStart} ran out`);
  else error = core.refusal(status);
  core.drainTo(run?.sink ?? core.sink);
  if (error) throw error;
  return values;
}

/** Drops a task that is not at its end. After Error and Done it is gone; its number may already be another's. */
function stopped(core: Core, status: number, task: number, error: unknown): unknown {
  if (status > Status.Error && task !== 0 && !core.disposed && !core.instance.dead) core.x.em_drop(core.engine, task);
  return core.trap(error);
}

// ---- at once ----

/** Calls a Lua function to its end; all results. */
export function callNow(core: Core, handle: number, args: readonly unknown[], strings: Strings, own?: RunState): unknown[] {
  const run = own ?? core.currentRun ?? core.defaultRun();
  run?.check();
  core.instance.room();
  try {
    core.pass(args);
    refuel(core, run);
    const status = core.x.em_call(core.engine, handle, args.length, run?.limited ? run.slices : MANY_SLICES);
    core.sent();
    settle(core, run);
    core.instance.view();
    return finishNow(core, status, run, strings);
  } finally {
    if (run?.ownSink) run.sink.end();
    else if (core.currentRun === undefined) core.sink.end();
  }
}

/** Sees a call that has been entered through to its end; all results. */
export function finishNow(core: Core, first: number, run: RunState | undefined, strings: Strings): unknown[] {
  let status = first;
  const task = core.instance.u32[core.mail + Mail.Task]!;
  const sink = run?.sink ?? core.sink;
  try {
    for (;;) {
      switch (status) {
        case Status.HostCall: {
          let answer = callHost(core, run);
          if (isThenable(answer)) {
            answer.then(undefined, () => {});
            answer = new Failed(new LuaSyncError('a host function gave a promise in a synchronous run: use run() or call(), which wait for it'));
          }
          run?.check();
          core.usable();
          status = answerRun(core, task, answer, run, run?.limited ? run.slices : MANY_SLICES);
          break;
        }
        case Status.Slice:
          core.drainTo(sink);
          run?.check();
          core.usable();
          refuel(core, run);
          status = core.x.em_run(core.engine, task, run?.limited ? run.slices : MANY_SLICES);
          settle(core, run);
          core.instance.view();
          break;
        default:
          return ended(core, status, run, strings);
      }
    }
  } catch (error) {
    throw stopped(core, status, task, error);
  }
}

// ---- asynchronously ----

/** Calls a Lua function; awaits host functions, and yields to the event loop. */
export async function callAsync(core: Core, handle: () => number, options: RunOptions): Promise<unknown[]> {
  core.usable();
  const run = new RunState(core, options, core.defaults);
  const strings = options.strings ?? core.stringsAs;
  run.check();
  core.runs.add(run);
  let task = 0;
  let status: number = Status.Slice;
  try {
    core.pass(options.args ?? []);
    task = core.x.em_start(core.engine, handle(), options.args?.length ?? 0);
    core.sent();
    core.instance.view();
    if (task === 0) throw core.refusal(core.instance.u32[core.mail]!);
    status = enter(core, run, () => core.x.em_run(core.engine, task, run.slices));
    let turn = performance.now();
    let calls = 0;
    for (;;) {
      switch (status) {
        case Status.HostCall: {
          let answer = callHost(core, run);
          if (isThenable(answer)) {
            answer = await wait(answer, run);
            turn = performance.now();
          }
          core.usable();
          run.check();
          if ((++calls & 63) === 0 && performance.now() - turn > TURN) {
            await breathe();
            turn = performance.now();
            core.usable();
            run.check();
          }
          status = answerRun(core, task, answer, run, run.slices);
          break;
        }
        case Status.Slice: {
          core.drainTo(run.sink);
          core.usable();
          run.check();
          if (performance.now() - turn > TURN) {
            await breathe();
            turn = performance.now();
            core.usable();
            run.check();
          }
          status = enter(core, run, () => core.x.em_run(core.engine, task, run.slices));
          break;
        }
        default:
          return ended(core, status, run, strings);
      }
    }
  } catch (error) {
    throw stopped(core, status, task, error);
  } finally {
    core.runs.delete(run);
    run.sink.end();
  }
}

/** Enters the module, and learns how many slices fit the time for one entry. */
function enter(core: Core, run: RunState, go: () => number): number {
  refuel(core, run);
  const before = performance.now();
  const status = go();
  const took = performance.now() - before;
  settle(core, run);
  core.instance.view();
  if (status === Status.Slice) {
    if (took < ENTRY / 2) run.slices = Math.min(run.slices * 2, SLICES_MAX);
    else if (took > ENTRY * 2) run.slices = Math.max(1, Math.floor((run.slices * ENTRY) / took));
  }
  return status;
}

/** Waits for a host function's promise, no longer than the run may go on. */
function wait(promise: PromiseLike<unknown>, run: RunState): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const done =
      <T>(then: (value: T) => void) =>
      (value: T) => {
        clearTimeout(timer);
        run.signal?.removeEventListener('abort', abort);
        run.onCancel = undefined;
        then(value);
      };
    const stop = done(reject);
    const abort = () => stop(run.aborted());
    promise.then(
      done(resolve),
      done((error) => resolve(new Failed(error))),
    );
    if (run.runDeadline !== Infinity) {
      timer = setTimeout(() => stop(run.late()), Math.min(Math.max(0, run.runDeadline - performance.now()), 0x7fffffff));
    }
    run.signal?.addEventListener('abort', abort);
    run.onCancel = stop;
  });
}

type Later = { setImmediate?: (f: () => void) => void };
let channel: MessageChannel | undefined;
const breathing: (() => void)[] = [];

/** Lets the event loop turn once. */
function breathe(): Promise<void> {
  const { setImmediate } = globalThis as Later;
  if (setImmediate) return new Promise((resolve) => setImmediate(resolve));
  // Not scheduler.yield(): Chromium runs its continuations before all other work, so a busy program would starve timers, input and frames.
  return new Promise((resolve) => {
    if (!channel) {
      channel = new MessageChannel();
      channel.port1.onmessage = () => breathing.shift()?.();
    }
    breathing.push(resolve);
    channel.port2.postMessage(0);
  });
}
