/** Values that say how something is to cross. */
import type { LuaMulti, LuaProxy } from './types.js';

export class Proxied<T extends object = object> implements LuaProxy<T> {
  constructor(readonly object: T) {}
}

export class Multi implements LuaMulti {
  constructor(readonly values: readonly unknown[]) {}
}

/** A method of an object by reference, on its way to Lua. */
export class Method {
  constructor(
    readonly owner: object,
    readonly fn: (...args: unknown[]) => unknown,
  ) {}
}

/** An object of JavaScript's that is elsewhere: what Lua does to it is asked there (`proxy.ts` has the list). */
export abstract class Elsewhere {
  abstract ask(operation: number, args: unknown[]): Promise<unknown>;
}

const bytes = new WeakSet<object>();
/** Marks a function: strings come to it as `Uint8Array`, whatever the engine's `strings` says. */
export function takesBytes<F extends object>(fn: F): F {
  bytes.add(fn);
  return fn;
}
export const isForBytes = (fn: object): boolean => bytes.has(fn);

/** An exception on its way through Lua. */
export class Thrown {
  constructor(readonly error: Error) {}
}
