/**
 * Values between two threads. What the structured clone can carry goes as it is (plain data with its cycles, numbers, bytes, dates); what it cannot is
 * replaced by a {@link Tagged} that names it: functions and objects of the main side, handles of the worker's.
 */
import { isPlain } from './core.js';
import { LuaConversionError } from './errors.js';
import { asBytes } from './instance.js';

/** The key that marks a tagged value. Plain data of the user's that has it cannot cross. */
const TAG = '\u0001evermoon';

export interface Tagged {
  [TAG]: 'function' | 'object' | 'handle' | 'error';
  id: number;
  /** The type of a handle. */
  type?: string;
  /** What an error is. */
  error?: WireError;
}

export interface WireError {
  name: string;
  message: string;
  stack?: string | undefined;
  code?: string | undefined;
  value?: Packed;
  cause?: Packed;
  traceback?: string | undefined;
  luaTraceback?: string | undefined;
  path?: string | undefined;
}

export interface Packed {
  data: unknown;
  /** There are tagged values in it. */
  tagged: boolean;
}

export const tagged = (kind: Tagged[typeof TAG], id: number, more: Omit<Tagged, typeof TAG | 'id'> = {}): Tagged => ({ [TAG]: kind, id, ...more });
export const kindOf = (t: Tagged) => t[TAG];

/** Replaces what cannot be cloned by what `name` says. */
export function pack(value: unknown, name: (v: object) => Tagged): Packed {
  const seen = new Map<object, unknown>();
  let found = false;
  const copy = (v: unknown, path: string): unknown => {
    if (typeof v === 'symbol') throw new LuaConversionError(`a symbol (${String(v)}) cannot cross to Lua, at ${path}`, path);
    if (typeof v !== 'object' && typeof v !== 'function') return v;
    if (v === null || asBytes(v) || v instanceof Date) return v;
    const known = seen.get(v);
    if (known !== undefined) return known;
    const keep = <T>(made: T): T => (seen.set(v, made), made);
    if (typeof v === 'function' || !isPlain(v)) {
      found = true;
      return keep(name(v));
    }
    if (Array.isArray(v)) {
      const made = keep(new Array<unknown>(v.length));
      for (let i = 0; i < v.length; i++) made[i] = copy(v[i], `${path}[${i}]`);
      return made;
    }
    if (v instanceof Map) {
      const made = keep(new Map<unknown, unknown>());
      for (const [key, item] of v as Map<unknown, unknown>) made.set(copy(key, `${path}.key`), copy(item, `${path}.${String(key)}`));
      return made;
    }
    if (v instanceof Set) {
      const made = keep(new Set<unknown>());
      for (const item of v as Set<unknown>) made.add(copy(item, `${path}.key`));
      return made;
    }
    if (Object.hasOwn(v, TAG)) throw new LuaConversionError(`the key of ${path} is reserved`, path);
    const made = keep<Record<string, unknown>>({});
    for (const key of Object.keys(v)) put(made, key, copy((v as Record<string, unknown>)[key], `${path}.${key}`));
    return made;
  };
  const data = copy(value, 'value');
  return { data, tagged: found };
}

/** The other way: `find` gives what a tag names. */
export function unpack(packed: Packed, find: (t: Tagged) => unknown): unknown {
  if (!packed.tagged) return packed.data;
  const seen = new Set<object>();
  const open = (v: unknown): unknown => {
    if (typeof v !== 'object' || v === null || asBytes(v) || v instanceof Date) return v;
    if (Object.hasOwn(v, TAG)) return find(v as Tagged);
    if (seen.has(v)) return v;
    seen.add(v);
    if (Array.isArray(v)) for (let i = 0; i < v.length; i++) v[i] = open(v[i]);
    else if (v instanceof Map) {
      const entries = [...(v as Map<unknown, unknown>)];
      v.clear();
      for (const [key, item] of entries) v.set(open(key), open(item));
    } else if (v instanceof Set) {
      const items = [...(v as Set<unknown>)];
      v.clear();
      for (const item of items) v.add(open(item));
    } else for (const key of Object.keys(v)) put(v, key, open((v as Record<string, unknown>)[key]));
    return v;
  };
  return open(packed.data);
}

/** A key such as `__proto__` must not reach the prototype. */
function put(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}

// ---- messages ----

export type ToWorker =
  | { t: 'create'; id: number; module: WebAssembly.Module; options: Packed }
  | { t: 'ask'; id: number; op: string; handle: number; args: Packed; own: boolean }
  | { t: 'cancel'; id: number }
  | { t: 'free'; handle: number }
  | { t: 'answer'; id: number; ok: boolean; value: Packed };

export type FromWorker =
  | { t: 'ready' }
  | { t: 'done'; id: number; value: Packed }
  | { t: 'fail'; id: number; error: Packed }
  | { t: 'out'; run: number; bytes: Uint8Array }
  | { t: 'report'; run: number; text: Uint8Array; isWarning: boolean }
  | { t: 'call'; id: number; number: number; op: number; args: Packed }
  | { t: 'drop'; number: number; count: number };

/** One end of the wire: a worker, a port, Node's `parentPort`. */
export interface Port {
  post(message: unknown, transfer?: ArrayBuffer[]): void;
  listen(message: (data: unknown) => void, failed: (error: Error) => void): void;
}

interface WebPort {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  addEventListener(type: string, listener: (event: { data?: unknown; message?: string; error?: unknown; preventDefault?(): void }) => void): void;
  start?(): void;
}
interface NodePort {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  on(type: string, listener: (value: unknown) => void): void;
}

/** Whatever it is, as a port. */
export function portOf(given: object): Port {
  const target = given as WebPort | NodePort;
  return {
    post: (message, transfer = []) => target.postMessage(message, transfer),
    listen(message, failed) {
      if ('addEventListener' in target) {
        target.addEventListener('message', (event) => message(event.data));
        target.addEventListener('messageerror', () => failed(new Error('a message could not be read')));
        target.addEventListener('error', (event) => {
          event.preventDefault?.();
          failed(new Error(event.message ?? 'the script could not be loaded'));
        });
        target.start?.();
      } else {
        target.on('message', message);
        target.on('error', (error) => failed(error as Error));
        target.on('exit', (code) => failed(new Error(`the worker ended with code ${String(code)}`)));
      }
    },
  };
}
