// A host for `dist/lua.wasm` as the original's users wrote them: it keeps one view of the memory, stores copies of the bytes it is given, and
// decodes what the original's decoders decode. The tests run everything through it.
import { readFileSync } from "node:fs";

const path = process.env.LUA_WASM ?? new URL('../../dist/lua.wasm', import.meta.url);
export const bytes = readFileSync(path);
export const module = new WebAssembly.Module(bytes);

const utf8 = new TextEncoder();
const text = new TextDecoder();

export const hex = (data) => Buffer.from(data).toString("hex");

export class Host {
  /** options.tables: what an earlier instance stored; options.imports: functions that replace the three; options.init: false for no `init`. */
  constructor({ tables = new Map(), imports = {}, init = true, extra = {} } = {}) {
    this.tables = tables;
    this.calls = [];
    const env = {
      js_ext_table_get: (id, key, keyLen, value, max) => {
        const data = this.tables.get(id)?.get(this.text(key, keyLen));
        this.calls.push(["get", id, this.text(key, keyLen)]);
        if (!data || data.length > max) return -1;
        this.memory.set(data, value);
        return data.length;
      },
      js_ext_table_set: (id, key, keyLen, value, len) => {
        if (!this.tables.has(id)) this.tables.set(id, new Map());
        const data = this.memory.slice(value, value + len);
        this.calls.push(["set", id, this.text(key, keyLen), hex(data)]);
        this.tables.get(id).set(this.text(key, keyLen), data);
        return 0;
      },
      js_ext_table_size: (id) => this.tables.get(id)?.size ?? 0,
      // The original's hosts offer these too; nobody asks for them.
      js_ext_table_delete: () => -1,
      js_ext_table_keys: () => -1,
      js_time_now: () => Date.now() | 0,
      ...imports,
    };
    this.instance = new WebAssembly.Instance(module, { env, ...extra });
    this.exports = this.instance.exports;
    this.memory = new Uint8Array(this.exports.memory.buffer);
    if (init && this.exports.init() !== 0) throw new Error("init failed");
  }

  text(at, len) {
    return text.decode(this.memory.subarray(at, at + len));
  }

  get buffer() {
    return this.exports.get_buffer_ptr();
  }

  /** Runs a chunk and returns compute's number. */
  raw(code, address = this.buffer) {
    const source = typeof code === "string" ? utf8.encode(code) : code;
    this.memory.set(source, this.buffer);
    return this.exports.compute(address, source.length);
  }

  /** The bytes of a response, as hex. */
  response(code) {
    const n = this.raw(code);
    if (n < 0) throw new Error(this.text(this.buffer, -n - 1));
    return hex(this.memory.subarray(this.buffer, this.buffer + n));
  }

  /** Runs a chunk: { output, result }, or throws its error. */
  run(code) {
    const n = this.raw(code);
    if (n < 0) throw new Error(this.text(this.buffer, -n - 1));
    return this.decode(this.buffer, n);
  }

  decode(at, len) {
    const view = new DataView(this.memory.buffer, at, len);
    const outputLen = view.getUint32(0, true);
    const output = this.text(at + 4, outputLen);
    const rest = this.memory.slice(at + 4 + outputLen, at + len);
    return { output, result: decodeValue(rest) };
  }

  value(code) {
    return this.run(code).result;
  }

  /** The error message of a chunk. */
  error(code) {
    const n = this.raw(code);
    if (n >= 0) throw new Error("no error");
    return this.text(this.buffer, -n - 1);
  }

  /** Stores a JavaScript value under a key of a table, as the original's hosts encode it. */
  put(id, key, value, nextId) {
    if (!this.tables.has(id)) this.tables.set(id, new Map());
    this.tables.get(id).set(key, this.encode(value, nextId));
  }

  encode(value, nextId) {
    if (value === null || value === undefined) return Uint8Array.of(0);
    if (typeof value === "boolean") return Uint8Array.of(1, value ? 1 : 0);
    if (typeof value === "number" || typeof value === "bigint") {
      const data = new Uint8Array(9);
      data[0] = 2;
      new DataView(data.buffer).setBigInt64(1, typeof value === "bigint" ? value : BigInt(Math.floor(value)), true);
      return data;
    }
    if (typeof value === "string") return encodeString(utf8.encode(value));
    const id = nextId();
    this.tables.set(id, new Map());
    const entries = Array.isArray(value) ? value.map((v, i) => [String(i + 1), v]) : Object.entries(value);
    for (const [key, v] of entries) this.put(id, key, v, nextId);
    return reference(id);
  }

  /** A stored value as a JavaScript value. */
  stored(id, key) {
    const data = this.tables.get(id)?.get(key);
    return data ? this.storedValue(data) : null;
  }

  storedValue(data) {
    if (data[0] !== 7) return decodeValue(data);
    const table = this.tables.get(new DataView(data.buffer, data.byteOffset).getUint32(1, true));
    if (!table) return null;
    const keys = [...table.keys()];
    if (keys.every((key, i) => key === String(i + 1))) return keys.map((key) => this.storedValue(table.get(key)));
    return Object.fromEntries(keys.map((key) => [key, this.storedValue(table.get(key))]));
  }
}

export function encodeString(data) {
  const out = new Uint8Array(5 + data.length);
  out[0] = 4;
  new DataView(out.buffer).setUint32(1, data.length, true);
  out.set(data, 5);
  return out;
}

export function reference(id) {
  const out = new Uint8Array(5);
  out[0] = 7;
  new DataView(out.buffer).setUint32(1, id, true);
  return out;
}

export function decodeValue(data) {
  if (data.length === 0) return null;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  switch (data[0]) {
    case 0:
      return null;
    case 1:
      return data[1] !== 0;
    case 2: {
      const n = view.getBigInt64(1, true);
      return Number.isSafeInteger(Number(n)) ? Number(n) : n;
    }
    case 3:
      return view.getFloat64(1, true);
    case 4:
      return text.decode(data.subarray(5, 5 + view.getUint32(1, true)));
    default:
      return null;
  }
}
