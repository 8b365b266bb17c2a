/**
 * The original system's JavaScript API over `lua.wasm`: the same functions with the same shapes, as one module-wide engine. New programs
 * use `evermoon` itself; this is for pages that were written for the original. `docs/legacy.md` says what differs, and why.
 *
 * What holds here: an import never throws into the module (it answers "absent" or "refused"); tables that JavaScript makes are numbered above
 * `_io`, where Lua numbers none; the database's format is the original's, so that both can read it.
 */
import { compile } from './load.js';
import type { WasmSource } from './types.js';

/** A table as the host keeps it: encoded values by key. */
type Entries = Map<string, Uint8Array>;

export interface LoadOptions {
  /** Reads what was saved last. Default true; without IndexedDB there is nothing to read. */
  autoRestore?: boolean;
  /** Where the module is; by default beside this file. */
  wasmPath?: WasmSource;
}

export interface Result {
  /** What the program printed. */
  output: string;
  /** Its last result: null, a boolean, number, bigint or string; `<table>` and the like for what cannot cross. */
  result: unknown;
}

export interface TableInfo {
  tableCount: number;
  homeTableId: number | null;
  /** The same under its older name. */
  memoryTableId: number | null;
  nextTableId: number;
  tables: { id: number; size: number; keys: string[] }[];
}

interface Exports {
  memory: WebAssembly.Memory;
  init(): number;
  compute(address: number, length: number): number;
  get_buffer_ptr(): number;
  get_buffer_size(): number;
  get_memory_stats(address: number): void;
  run_gc(): void;
  attach_memory_table(id: number): void;
  get_memory_table_id(): number;
  get_io_table_id(): number;
  clear_io_table(): void;
  sync_external_table_counter(next: number): void;
  set_memory_alias_enabled(enabled: number): void;
}

const enum Tag {
  Nil,
  Boolean,
  Integer,
  Float,
  String,
  Function,
  Builtin,
  Table,
}

/** Numbers from here on are ours; Lua's new tables are numbered below. */
const HOST_TABLES = 2 ** 30;
const TABLES_MAX = 2 ** 31 - 1;

const DATABASE = 'LuaPersistentDB';
const STORE = 'externalTables';
const METADATA = '__metadata__';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

let exports: Exports | null = null;
const tables = new Map<number, Entries>();
let nextTableId = 1;
let homeTableId: number | null = null;
let ioTableId = 0;
let aliasEnabled = true;

// ---- loading ----

/** Loads the module, and by default what was saved last. Call `init` next. */
export async function load({ autoRestore = true, wasmPath = new URL('./lua.wasm', import.meta.url) }: LoadOptions = {}): Promise<true> {
  exports = null;
  ioTableId = 0;
  forgetTables();
  if (autoRestore) await restore();
  const module = await compile(wasmPath);
  const instance = await WebAssembly.instantiate(module, { env });
  const found = instance.exports as unknown as Exports;
  if (typeof found.compute !== 'function' || typeof found.get_buffer_ptr !== 'function') {
    throw new TypeError("the module has no 'compute': give the address of lua.wasm as wasmPath");
  }
  exports = found;
  return true;
}

/** Starts the engine: 0, or -1 when it cannot start. Restored tables are attached. */
export function init(): number {
  try {
    const lua = loaded();
    lua.set_memory_alias_enabled(aliasEnabled ? 1 : 0);
    const code = lua.init();
    if (code !== 0) return code;
    attach(lua);
    return code;
  } catch (error) {
    console.error('[cu] init failed:', error);
    return -1;
  }
}

/** Tells the engine which table is home and which numbers are taken. */
function attach(lua: Exports): void {
  if (homeTableId !== null && homeTableId !== lua.get_memory_table_id()) lua.attach_memory_table(homeTableId);
  homeTableId = lua.get_memory_table_id();
  entriesOf(homeTableId);
  nextTableId = Math.max(nextTableId, ...[...tables.keys()].map((id) => id + 1));
  lua.sync_external_table_counter(nextTableId);
}

function loaded(): Exports {
  if (!exports) throw new Error("lua.wasm is not loaded: await load() first");
  return exports;
}

function memory(): Uint8Array {
  return new Uint8Array(loaded().memory.buffer);
}

// ---- the module's imports ----

/** `action`, or `failed` when it throws: an exception through the module would leave it locked. */
function guarded(failed: number, action: () => number): number {
  try {
    return action();
  } catch (error) {
    console.error('[cu] external table:', error);
    return failed;
  }
}

function textAt(address: number, length: number): string {
  return decoder.decode(memory().subarray(address, address + length));
}

const env = {
  js_ext_table_get: (id: number, key: number, keyLength: number, value: number, valueMax: number): number =>
    guarded(-1, () => {
      const bytes = tables.get(id)?.get(textAt(key, keyLength));
      if (!bytes || bytes.length > valueMax) return -1;
      memory().set(bytes, value);
      return bytes.length;
    }),
  js_ext_table_set: (id: number, key: number, keyLength: number, value: number, valueLength: number): number =>
    guarded(-1, () => {
      entriesOf(id).set(textAt(key, keyLength), memory().slice(value, value + valueLength));
      return 0;
    }),
  js_ext_table_size: (id: number): number => tables.get(id)?.size ?? 0,
  // The original's module asks for these too.
  js_ext_table_delete: (id: number, key: number, keyLength: number): number =>
    guarded(-1, () => (tables.get(id)?.delete(textAt(key, keyLength)) ? 0 : -1)),
  js_ext_table_keys: (id: number, address: number, max: number): number =>
    guarded(-1, () => {
      const bytes = encoder.encode([...(tables.get(id)?.keys() ?? [])].join('\n'));
      if (bytes.length > max) return -1;
      memory().set(bytes, address);
      return bytes.length;
    }),
  js_time_now: (): number => Date.now() | 0,
};

function entriesOf(id: number): Entries {
  let entries = tables.get(id);
  if (!entries) {
    entries = new Map();
    tables.set(id, entries);
    nextTableId = Math.max(nextTableId, id + 1);
  }
  return entries;
}

function forgetTables(): void {
  tables.clear();
  nextTableId = 1;
  homeTableId = null;
}

// ---- running ----

/**
 * Runs a chunk. The number is that of the module's `compute`: the length of the result in the buffer (`readResult`), or minus the length of an error
 * message and 1 (`readBuffer`).
 */
export async function compute(code: string): Promise<number> {
  if (typeof code !== 'string' || code === '') throw new TypeError('compute: the code is a string, and not empty');
  try {
    const lua = loaded();
    const source = encoder.encode(code);
    if (source.length > lua.get_buffer_size()) {
      throw new RangeError(`the code has ${source.length} bytes, the buffer ${lua.get_buffer_size()}`);
    }
    const address = lua.get_buffer_ptr();
    memory().set(source, address);
    return lua.compute(address, source.length);
  } catch (error) {
    if (!exports) throw error;
    const message = encoder.encode(`Error: ${error instanceof Error ? error.message : String(error)}`);
    memory().set([...message, 0x0a], exports.get_buffer_ptr());
    return -(message.length + 1);
  }
}

/** Runs a chunk and gives what it printed and returned; its error is thrown. */
async function evaluate(code: string): Promise<Result> {
  const length = await compute(code);
  if (length < 0) throw new Error(readBuffer(getBufferPtr(), -length - 1));
  return readResult(getBufferPtr(), length);
}
export { evaluate as eval };

export function getBufferPtr(): number {
  return loaded().get_buffer_ptr();
}

export function getBufferSize(): number {
  return loaded().get_buffer_size();
}

/** What `compute` left in the buffer: output and result. Never throws. */
export function readResult(address: number, length: number): Result {
  try {
    const all = memory();
    if (length < 4 || address < 0 || address + length > all.length) return { output: '', result: null };
    const bytes = all.slice(address, address + length);
    const outputLength = new DataView(bytes.buffer).getUint32(0, true);
    let output = decoder.decode(bytes.subarray(4, 4 + outputLength));
    let rest = bytes.subarray(4 + outputLength);
    // The original's mark of output that was cut.
    if (rest[0] === 0x2e && rest[1] === 0x2e && rest[2] === 0x2e) {
      output += '...';
      rest = rest.subarray(3);
    }
    return { output, result: rest.length > 0 && rest[0]! > 0x20 ? `<${decoder.decode(rest)}>` : decodeValue(rest) };
  } catch (error) {
    console.error('[cu] readResult failed:', error);
    return { output: '', result: null };
  }
}

/** Bytes of the module's memory as text; empty for a range outside. */
export function readBuffer(address: number, length: number): string {
  if (!exports || address < 0 || length <= 0 || address + length > exports.memory.buffer.byteLength) return '';
  return textAt(address, length);
}

/** Writes text into the module's memory and gives its length in bytes. */
export function writeBuffer(address: number, data: string): number {
  const bytes = encoder.encode(data);
  if (address < 0 || address + bytes.length > memory().length) throw new RangeError('writeBuffer: outside the memory');
  memory().set(bytes, address);
  return bytes.length;
}

/** The memory in bytes: of the module, what Lua uses of it, the rest. */
export function getMemoryStats(): { total: number; used: number; free: number } {
  const lua = loaded();
  const address = lua.get_buffer_ptr();
  // The numbers come in the buffer, where a result may be waiting.
  const kept = memory().slice(address, address + 12);
  lua.get_memory_stats(address);
  const used = new DataView(lua.memory.buffer).getUint32(address + 4, true);
  memory().set(kept, address);
  const total = lua.memory.buffer.byteLength;
  return { total, used, free: total - used };
}

/** A whole garbage collection. */
export function runGc(): boolean {
  loaded().run_gc();
  return true;
}

// ---- _io ----

/** `_io.input` for the next program. */
export function setInput(data: unknown): void {
  entriesOf(getIoTableId()).set('input', encodeValue(data, new Set()));
}

/** `_io.meta` for the next program. */
export function setMetadata(data: unknown): void {
  entriesOf(getIoTableId()).set('meta', encodeValue(data, new Set()));
}

/** What the program left in `_io.output`. */
export function getOutput(): unknown {
  return stored(tables.get(getIoTableId())?.get('output'), new Map());
}

/** A field of `_io.input`, which becomes a table if it is none. */
export function setInputField(name: string, data: unknown): void {
  const bytes = tables.get(getIoTableId())?.get('input');
  if (bytes?.[0] !== Tag.Table) setInput({});
  const id = tableId(tables.get(getIoTableId())?.get('input'));
  if (id !== undefined) entriesOf(id).set(name, encodeValue(data, new Set()));
}

/** A field of `_io.output`. */
export function getOutputField(name: string): unknown {
  const id = tableId(tables.get(getIoTableId())?.get('output'));
  return id === undefined ? null : stored(tables.get(id)?.get(name), new Map());
}

/** Empties `_io`. */
export function clearIo(): void {
  loaded().clear_io_table();
  const io = tables.get(getIoTableId());
  for (const key of ['input', 'output', 'meta']) io?.delete(key);
}

export function getIoTableId(): number {
  ioTableId ||= loaded().get_io_table_id();
  if (ioTableId === 0) throw new Error('_io is not there yet: call init() first');
  return ioTableId;
}

/** The number of the home table; null before `init`. */
export function getMemoryTableId(): number | null {
  return homeTableId;
}
export { getMemoryTableId as getHomeTableId };

/** Whether `Memory` names the home table too, from the next `init` on. */
export function setMemoryAliasEnabled(enabled: boolean): void {
  aliasEnabled = Boolean(enabled);
  exports?.set_memory_alias_enabled(aliasEnabled ? 1 : 0);
}

export function getTableInfo(): TableInfo {
  return {
    tableCount: tables.size,
    homeTableId,
    memoryTableId: homeTableId,
    nextTableId,
    tables: [...tables].map(([id, entries]) => ({ id, size: entries.size, keys: [...entries.keys()] })),
  };
}

// ---- values ----

/** A JavaScript value as bytes; objects and arrays become new tables. */
function encodeValue(value: unknown, around: Set<object>): Uint8Array {
  switch (typeof value) {
    case 'boolean':
      return Uint8Array.of(Tag.Boolean, value ? 1 : 0);
    case 'number':
      return Number.isSafeInteger(value) && !Object.is(value, -0) ? encodeInteger(BigInt(value)) : encodeFloat(value);
    case 'bigint':
      if (BigInt.asIntN(64, value) !== value) throw new RangeError(`${value} does not fit the 64 bits of a Lua integer`);
      return encodeInteger(value);
    case 'string':
      return encodeBytes(encoder.encode(value));
    case 'object':
      break;
    default:
      return Uint8Array.of(Tag.Nil);
  }
  if (value === null) return Uint8Array.of(Tag.Nil);
  if (value instanceof Uint8Array) return encodeBytes(value);
  if (around.has(value)) throw new TypeError('a value that contains itself cannot become a table');
  around.add(value);
  const id = newTable();
  const entries = entriesOf(id);
  const pairs = Array.isArray(value) ? value.map((item, i) => [String(i + 1), item] as const) : Object.entries(value);
  for (const [key, item] of pairs) entries.set(key, encodeValue(item, around));
  around.delete(value);
  const bytes = new Uint8Array(5);
  bytes[0] = Tag.Table;
  new DataView(bytes.buffer).setUint32(1, id, true);
  return bytes;
}

function newTable(): number {
  const id = Math.max(nextTableId, HOST_TABLES + 1);
  if (id > TABLES_MAX) throw new RangeError('no number is left for a table');
  nextTableId = id + 1;
  return id;
}

function encodeInteger(value: bigint): Uint8Array {
  const bytes = new Uint8Array(9);
  bytes[0] = Tag.Integer;
  new DataView(bytes.buffer).setBigInt64(1, value, true);
  return bytes;
}

function encodeFloat(value: number): Uint8Array {
  const bytes = new Uint8Array(9);
  bytes[0] = Tag.Float;
  new DataView(bytes.buffer).setFloat64(1, value, true);
  return bytes;
}

function encodeBytes(value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(5 + value.length);
  bytes[0] = Tag.String;
  new DataView(bytes.buffer).setUint32(1, value.length, true);
  bytes.set(value, 5);
  return bytes;
}

/** A value without tables; null for bytes that are none. */
function decodeValue(bytes: Uint8Array): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (bytes[0]) {
    case Tag.Boolean:
      return bytes.length >= 2 ? bytes[1] !== 0 : null;
    case Tag.Integer: {
      if (bytes.length < 9) return null;
      const value = view.getBigInt64(1, true);
      return Number.isSafeInteger(Number(value)) ? Number(value) : value;
    }
    case Tag.Float:
      return bytes.length >= 9 ? view.getFloat64(1, true) : null;
    case Tag.String: {
      if (bytes.length < 5) return null;
      const length = view.getUint32(1, true);
      return bytes.length >= 5 + length ? decoder.decode(bytes.subarray(5, 5 + length)) : null;
    }
    default:
      return null;
  }
}

/** The number of the table that bytes refer to. */
function tableId(bytes: Uint8Array | undefined): number | undefined {
  if (!bytes || bytes[0] !== Tag.Table || bytes.length < 5) return undefined;
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(1, true);
}

/** A stored value. A table is one JavaScript value however often it is met, so cycles end. */
function stored(bytes: Uint8Array | undefined, met: Map<number, unknown>): unknown {
  if (!bytes) return null;
  const id = tableId(bytes);
  if (id === undefined) return decodeValue(bytes);
  if (met.has(id)) return met.get(id);
  const entries = tables.get(id);
  if (!entries) return null;
  // An entry of nil is one that was removed: the module cannot delete.
  const keys = [...entries.keys()].filter((key) => entries.get(key)![0] !== Tag.Nil);
  if (isSequence(keys)) {
    const array: unknown[] = [];
    met.set(id, array);
    for (let i = 1; i <= keys.length; i++) array.push(stored(entries.get(String(i)), met));
    return array;
  }
  const object: Record<string, unknown> = {};
  met.set(id, object);
  for (const key of keys) {
    const value = stored(entries.get(key), met);
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
  }
  return object;
}

/** Whether keys are exactly "1" to "n". */
function isSequence(keys: string[]): boolean {
  return keys.every((key) => /^[1-9]\d*$/.test(key) && Number(key) <= keys.length);
}

// ---- keeping ----

interface TableRecord {
  id: number | typeof METADATA;
  data: Record<string, unknown>;
}

/** Saves all tables in IndexedDB; false when that is not possible. */
export async function saveState(): Promise<boolean> {
  return withStore('readwrite', (store) => {
    store.clear();
    for (const [id, entries] of tables) {
      const data: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
      for (const [key, bytes] of entries) {
        Object.defineProperty(data, key, { value: { _type: 'binary', data: [...bytes] }, enumerable: true });
      }
      store.put({ id, data });
    }
    const data = {
      homeTableId,
      memoryTableId: homeTableId,
      nextTableId,
      savedAt: Date.now(),
      stateRestored: true,
      tableCount: tables.size,
      tableIds: [...tables.keys()],
    };
    store.put({ id: METADATA, data });
  });
}

/** Replaces all tables by those saved last, and tells the engine; false when there is nothing to read from. */
export async function loadState(): Promise<boolean> {
  const done = await restore();
  if (done && exports && exports.get_memory_table_id() !== 0) attach(exports);
  return done;
}

/** Forgets what was saved, not what is there now. */
export async function clearPersistedState(): Promise<boolean> {
  return withStore('readwrite', (store) => void store.clear());
}

/** Reads the tables. What is there stays when reading fails. */
async function restore(): Promise<boolean> {
  let records: TableRecord[] = [];
  const done = await withStore('readonly', (store) => {
    const request = store.getAll() as IDBRequest<TableRecord[]>;
    request.onsuccess = () => (records = request.result);
  });
  if (!done) return false;
  forgetTables();
  for (const { id, data } of records) {
    if (typeof id !== 'number') {
      const home = data['homeTableId'] ?? data['memoryTableId'];
      if (typeof home === 'number') homeTableId = home;
      if (typeof data['nextTableId'] === 'number') nextTableId = Math.max(nextTableId, data['nextTableId']);
      continue;
    }
    const entries = entriesOf(id);
    for (const [key, value] of Object.entries(data)) entries.set(key, restored(value));
  }
  return true;
}

/** A saved value's bytes; very old ones were saved as plain values. */
function restored(value: unknown): Uint8Array {
  if (typeof value === 'object' && value !== null && (value as { _type?: unknown })._type === 'binary') {
    return Uint8Array.from((value as unknown as { data: number[] }).data);
  }
  return encodeValue(value, new Set());
}

/** Runs a transaction; false, with a warning, when there is no database or it fails. */
async function withStore(mode: IDBTransactionMode, action: (store: IDBObjectStore) => void): Promise<boolean> {
  if (typeof indexedDB === 'undefined') return false;
  try {
    const database = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open(DATABASE, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'id' });
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
      request.onblocked = () => reject(new Error('another page holds the database'));
    });
    try {
      await new Promise<void>((resolve, reject) => {
        const transaction = database.transaction(STORE, mode);
        transaction.oncomplete = () => resolve();
        transaction.onerror = transaction.onabort = () => reject(transaction.error);
        action(transaction.objectStore(STORE));
      });
    } finally {
      database.close();
    }
    return true;
  } catch (error) {
    console.warn('[cu] IndexedDB:', error);
    return false;
  }
}

const api = {
  load,
  init,
  compute,
  eval: evaluate,
  getBufferPtr,
  getBufferSize,
  readResult,
  readBuffer,
  writeBuffer,
  getMemoryStats,
  runGc,
  saveState,
  loadState,
  clearPersistedState,
  getTableInfo,
  getMemoryTableId,
  getHomeTableId: getMemoryTableId,
  getIoTableId,
  setInput,
  setInputField,
  setMetadata,
  getOutput,
  getOutputField,
  clearIo,
  setMemoryAliasEnabled,
};
export default api;
