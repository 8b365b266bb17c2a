/**
 * What Lua can do with an object of JavaScript's: the functions behind the metatable of all host objects.
 *
 * Fields that are objects come by reference too. Methods are bound to their object: `o:method(x)` and `o.method(x)` both call it on `o`. Arrays count
 * from 1. The ways from an object to the JavaScript around it (`constructor`, `__proto__`) are closed, because a sandboxed program must
 * not find `Function`.
 */
import { isPlain } from './core.js';
import { EvermoonError } from './errors.js';
import { Elsewhere, Method, Multi, Proxied } from './marks.js';

const CLOSED = /^(constructor|__proto__|__(define|lookup)[GS]etter__)$/;

type Fields = Record<string, unknown>;

/** A key of Lua's as the object has it. */
function keyOf(object: object, key: unknown): string | undefined {
  if (typeof key === 'number') return String(isList(object) ? key - 1 : key);
  if (typeof key === 'bigint') return String(key);
  if (typeof key !== 'string' || CLOSED.test(key)) return undefined;
  return key;
}

function isList(object: object): object is ArrayLike<unknown> {
  return Array.isArray(object) || (ArrayBuffer.isView(object) && !(object instanceof DataView));
}

/** A field's value by reference. */
function byReference(owner: object, value: unknown): unknown {
  if (typeof value === 'function') return new Method(owner, value as (...args: unknown[]) => unknown);
  if (typeof value === 'object' && value !== null && isPlain(value)) return new Proxied(value);
  return value;
}

/** `__index`, `__newindex`, `__len`, `__call`, `__pairs`, `__tostring`. */
export function proxyFunctions(numberOf: (object: object) => number): ((...args: unknown[]) => unknown)[] {
  const index = (object: object, key: unknown) => {
    if (object instanceof Map && !(typeof key === 'string' && key in object)) return byReference(object, object.get(key));
    const name = keyOf(object, key);
    return name === undefined ? undefined : byReference(object, (object as Fields)[name]);
  };
  const newindex = (object: object, key: unknown, value: unknown) => {
    const name = keyOf(object, key);
    if (name === undefined) throw new EvermoonError('misuse', `the field '${String(key)}' of a JavaScript object cannot be set`);
    if (!Reflect.set(object, name, value)) throw new EvermoonError('misuse', `the field '${name}' of a JavaScript object is read-only`);
  };
  const length = (object: object) => {
    if (isList(object)) return object.length;
    if (object instanceof Map || object instanceof Set) return object.size;
    const found = (object as Fields)['length'];
    return typeof found === 'number' ? found : Object.keys(object).length;
  };
  const call = (object: object, ...args: unknown[]) => {
    if (typeof object !== 'function') throw new EvermoonError('misuse', 'a JavaScript object that is not a function cannot be called');
    return Reflect.apply(object as (...args: unknown[]) => unknown, undefined, args);
  };
  const pairs = (object: object) => {
    // As they are now: the program may change the object as it goes.
    const entries: [unknown, unknown][] = isList(object)
      ? Array.from(object, (v, i) => [i + 1, v])
      : object instanceof Set
        ? Array.from(object, (v) => [v, true])
        : object instanceof Map
          ? [...(object as Map<unknown, unknown>)]
          : Object.entries(object);
    let at = 0;
    return () => {
      const entry = entries[at++];
      return entry && new Multi([entry[0], byReference(object, entry[1])]);
    };
  };
  const tostring = (object: object) => {
    if (object instanceof Error) return `${object.name}: ${object.message}`;
    const own = (object as { toString?: unknown }).toString;
    if (typeof own === 'function' && own !== Object.prototype.toString) return String(object);
    return `JavaScript ${Object.prototype.toString.call(object).slice(8, -1)}: ${numberOf(object)}`;
  };
  return [index, newindex, length, call, pairs, tostring].map(
    (f, i) =>
      (object, ...args) =>
        object instanceof Elsewhere ? object.ask(i, args) : (f as (...args: unknown[]) => unknown)(object, ...args),
  );
}
