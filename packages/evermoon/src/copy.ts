/**
 * Whole structures across: arrays, objects, maps and sets to new tables, tables to arrays, objects and maps. Iterative, so that depth costs no
 * stack; each object is copied once, so that cycles and sharing keep their shape.
 */
import { Holds, Kind, Mail, Status } from './abi.js';
import { type Core, isPlain, scalar } from './core.js';
import { LuaConversionError } from './errors.js';
import { Handle } from './handles.js';
import { asBytes } from './instance.js';
import type { Strings, ToJSOptions } from './types.js';

const SLOT = 16;
/** Slots sent or received at once. */
const BATCH = 512;

interface Pending {
  object: object;
  handle: number;
  path: string;
}

/** Copies plain data to a new table; the handle of it, which the caller owns. */
export function copyIn(core: Core, root: object, path: string): number {
  const { x, engine } = core;
  const seen = new Map<object, number>();
  const made: number[] = [];
  const work: Pending[] = [];
  const tableOf = (object: object, where: string): number => {
    const known = seen.get(object);
    if (known !== undefined) return known;
    const array = Array.isArray(object) ? object.length : 0;
    const handle = x.em_table_new(engine, array, 0);
    core.instance.view();
    if (handle === 0) throw core.refusal(Status.Memory);
    seen.set(object, handle);
    made.push(handle);
    work.push({ object, handle, path: where });
    return handle;
  };
  /** A handle for what needs one, else the value. */
  const prepare = (v: unknown, where: () => string): unknown => {
    switch (typeof v) {
      case 'symbol':
      case 'bigint':
        scalar(v, where());
        return v;
      case 'string':
        if (v.length <= 1024) return v;
        return temporary(core.newString(v));
      case 'object': {
        if (v === null || v instanceof Handle || v instanceof Date) return v;
        const bytes = asBytes(v);
        if (bytes) return bytes.length <= 1024 ? v : temporary(core.newBytes(bytes));
        if (isPlain(v)) return new Made(tableOf(v, where()));
        core.proxies();
        return v;
      }
      default:
        return v;
    }
  };
  const temporary = (handle: number): Made => {
    made.push(handle);
    return new Made(handle);
  };
  const write = (at: number, v: unknown) => {
    if (v instanceof Made) core.writeHandle(at, v.handle);
    else core.simple(at, v);
  };
  try {
    const result = tableOf(root, path);
    for (let next = work.pop(); next; next = work.pop()) {
      const { object, handle, path: here } = next;
      const isArray = Array.isArray(object);
      const items: unknown[] = isArray ? object : pairsOf(object, here);
      for (let from = 0; from < items.length; from += BATCH) {
        const part: unknown[] = [];
        for (let i = from; i < Math.min(items.length, from + BATCH); i++) {
          part.push(
            prepare(items[i], () => {
              const key = items[i & ~1];
              return here + (isArray ? `[${i}]` : `.${typeof key === 'object' ? 'key' : String(key)}`);
            }),
          );
        }
        const at = core.slots(part.length);
        part.forEach((v, i) => write(at + i * SLOT, v));
        const status = isArray ? x.em_raw_append(engine, handle, from + 1, part.length) : x.em_raw_set(engine, handle, part.length);
        core.sent();
        core.instance.view();
        if (status !== Status.Done) throw core.refusal(status);
      }
    }
    made.splice(made.indexOf(result), 1);
    return result;
  } finally {
    for (const handle of made) x.em_handle_free(engine, handle);
  }
}

class Made {
  constructor(readonly handle: number) {}
}

/** Keys and values in turn. */
function pairsOf(object: object, path: string): unknown[] {
  const pairs: unknown[] = [];
  if (object instanceof Map) {
    for (const [key, value] of object as Map<unknown, unknown>) {
      if (key === undefined || (typeof key === 'number' && Number.isNaN(key))) {
        throw new LuaConversionError(`${String(key)} cannot be a key in Lua, at ${path}`, path);
      }
      pairs.push(key, value);
    }
  } else if (object instanceof Set) {
    for (const key of object as Set<unknown>) pairs.push(key, true);
  } else {
    for (const key of Object.keys(object)) pairs.push(key, (object as Record<string, unknown>)[key]);
  }
  return pairs;
}

/** What a table becomes, by its keys (`em_table_shape`): the length of a sequence, or one of these. */
const NAMED = -1;

interface Waiting {
  handle: number;
  depth: number;
  /** Where its copy will stand. */
  parent: unknown;
  key: unknown;
}

/** Copies a table and what is below it. The handle stays the caller's. */
export function copyOut(core: Core, root: number, options: ToJSOptions): unknown {
  const { x, engine, instance } = core;
  const strings: Strings = options.strings ?? core.stringsAs;
  const depthMax = options.depth ?? Infinity;
  const top = new Map<unknown, unknown>();
  const work: Waiting[] = [{ handle: root, depth: 0, parent: top, key: 0 }];
  /** Copies by the identity of the table. Nothing runs meanwhile, so no table dies. */
  const seen = new Map<number, unknown>();
  const owned = new Set<number>();
  try {
    for (let next = work.pop(); next; next = work.pop()) {
      const { handle, depth, parent, key: where } = next;
      const identity = x.em_identity(engine, handle);
      let copy = seen.get(identity);
      if (copy === undefined) {
        const length = x.em_table_shape(engine, handle);
        copy = length > 0 ? new Array<unknown>(length) : length === 0 ? (options.empty === 'array' ? [] : {}) : length === NAMED ? {} : new Map();
        seen.set(identity, copy);
        // Entries in batches; each begins after the last key of the one before.
        instance.u32[(core.slots(1) >>> 2) + 2] = Kind.Nil;
        for (;;) {
          const status = x.em_raw_entries(engine, handle, BATCH);
          instance.view();
          if (status !== Status.Done) throw core.refusal(status);
          const { u32 } = instance;
          const count = core.count;
          if (count === 0) break;
          const at = u32[core.mail + Mail.Slots]!;
          for (let i = 0; i < count; i += 2) {
            const key = core.read(at + i * SLOT, Array.isArray(copy) ? 'text' : strings === 'bytes' && copy instanceof Map ? 'bytes' : 'text');
            const w = (at + (i + 1) * SLOT) >>> 2;
            if (u32[w + 2] === Kind.Handle && u32[w + 3] === Holds.Table && depth + 1 < depthMax) {
              const child = u32[w]!;
              owned.add(child);
              work.push({ handle: child, depth: depth + 1, parent: copy, key });
              place(copy, key, undefined);
            } else {
              place(copy, key, core.read(at + (i + 1) * SLOT, strings));
            }
          }
          if (count < 2 * BATCH) break;
          // The last key, as it is: its string or handle is alive as long as the table has it.
          u32.copyWithin(at >>> 2, (at + (count - 2) * SLOT) >>> 2, (at + (count - 1) * SLOT) >>> 2);
        }
      }
      place(parent, where, copy);
      if (owned.delete(handle)) x.em_handle_free(engine, handle);
    }
  } finally {
    for (const handle of owned) x.em_handle_free(engine, handle);
  }
  return top.get(0);
}

function place(copy: unknown, key: unknown, value: unknown): void {
  if (copy instanceof Map) copy.set(key, value);
  else if (Array.isArray(copy)) copy[(key as number) - 1] = value;
  // A key such as `__proto__` must not reach the prototype.
  else Object.defineProperty(copy as object, key as string, { value, writable: true, enumerable: true, configurable: true });
}
