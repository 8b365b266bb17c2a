/** The errors of the package. Each has a stable `code`; every message says what happened and, where we know it, what to do. */
import type { StoreErrorCode } from './stores/errors.js';

export type ErrorCode =
  | 'runtime'
  | 'syntax'
  | 'memory'
  | 'timeout'
  | 'abort'
  | 'fuel'
  | 'conversion'
  | 'disposed'
  | 'sync'
  | 'load'
  | 'misuse'
  | 'bug'
  | 'world'
  | StoreErrorCode;

/** What all have. */
export class EvermoonError extends Error {
  override name = 'EvermoonError';
  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** An error of the Lua program that nothing in it caught. */
export class LuaError extends EvermoonError {
  override name = 'LuaError';
  /** The chunk and line in front of the message, if there is one. */
  readonly chunk: string | undefined;
  readonly line: number | undefined;
  constructor(
    message: string,
    /** The error value itself: a string for most errors. */
    readonly value: unknown,
    /** Where the program was, as Lua's `debug.traceback` gives it. */
    readonly traceback: string,
    code: ErrorCode = 'runtime',
    options?: ErrorOptions,
  ) {
    super(code, message, options);
    const at = /^(.+?):(\d+): /.exec(message);
    this.chunk = at?.[1];
    this.line = at ? Number(at[2]) : undefined;
  }
}

/** The source does not compile. `line` says where. */
export class LuaSyntaxError extends LuaError {
  override name = 'LuaSyntaxError';
  /** The source ends too early: more input could complete it (for a prompt). */
  readonly incomplete: boolean;
  constructor(message: string) {
    super(message, message, '', 'syntax');
    this.incomplete = message.endsWith("near <eof>");
  }
}

/** The heap cap was reached, or the wasm memory could not grow. The engine stays usable. */
export class LuaMemoryError extends LuaError {
  override name = 'LuaMemoryError';
  constructor(message: string, traceback: string) {
    super(message, message, traceback, 'memory');
  }
}

/** The run took longer than its `timeout`. */
export class LuaTimeoutError extends EvermoonError {
  override name = 'LuaTimeoutError';
  constructor(message: string) {
    super('timeout', message);
  }
}

/** The run's `signal` was aborted; `cause` is its reason. */
export class LuaAbortError extends EvermoonError {
  override name = 'LuaAbortError';
  constructor(message: string, reason: unknown) {
    super('abort', message, { cause: reason });
  }
}

/** The run's fuel is used up. */
export class LuaFuelError extends EvermoonError {
  override name = 'LuaFuelError';
  constructor(message: string) {
    super('fuel', message);
  }
}

/** A value cannot cross between JavaScript and Lua; `path` leads to it. */
export class LuaConversionError extends EvermoonError {
  override name = 'LuaConversionError';
  constructor(
    message: string,
    readonly path: string,
  ) {
    super('conversion', message);
  }
}

/** A handle or engine is used after its `dispose`. */
export class LuaDisposedError extends EvermoonError {
  override name = 'LuaDisposedError';
  constructor(message: string) {
    super('disposed', message);
  }
}

/** A synchronous run met something that must be awaited. */
export class LuaSyncError extends EvermoonError {
  override name = 'LuaSyncError';
  constructor(message: string) {
    super('sync', message);
  }
}

/** The module could not be fetched, compiled or recognised. */
export class EvermoonLoadError extends EvermoonError {
  override name = 'EvermoonLoadError';
  constructor(message: string, options?: ErrorOptions) {
    super('load', message, options);
  }
}
