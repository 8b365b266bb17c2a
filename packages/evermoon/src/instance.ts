/**
 * One instance of the module and its memory: views that follow the memory when it grows, a scratch area for strings on their way
 * in, text in and out.
 *
 * Invariant: a view is good until the next call into the module; `view()` gives fresh ones when the memory has grown.
 */
import { ABI_VERSION, type Exports } from './abi.js';
import { EvermoonError, EvermoonLoadError, LuaMemoryError } from './errors.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Size of the scratch area; longer strings get memory of their own. */
const SCRATCH = 64 << 10;

let many: unknown[] | undefined;
const nothing = () => {};

export class Instance {
  readonly x: Exports;
  u8!: Uint8Array;
  u32!: Uint32Array;
  f64!: Float64Array;
  #scratch: number;
  #used = 0;
  /** Memory of long strings, to be freed with the scratch. */
  #long: { address: number; size: number }[] = [];

  constructor(module: WebAssembly.Module) {
    const exports = new WebAssembly.Instance(module).exports as unknown as Exports;
    if (typeof exports.em_abi_version !== 'function' || !(exports.memory instanceof WebAssembly.Memory)) {
      throw new EvermoonLoadError('this module is not evermoon.wasm or evermoon-world.wasm: it has no em_abi_version');
    }
    const version = exports.em_abi_version();
    if (version !== ABI_VERSION) {
      throw new EvermoonLoadError(
        `the module has ABI version ${version}, this package needs ${ABI_VERSION}: use the evermoon.wasm (or evermoon-world.wasm) of the same release`,
      );
    }
    this.x = exports;
    this.#renew();
    this.#scratch = this.alloc(SCRATCH);
  }

  /** Makes the views fresh if the memory has grown. */
  view(): void {
    if (this.u32.length === 0) this.#renew();
  }

  #renew(): void {
    const buffer = this.x.memory.buffer;
    this.u8 = new Uint8Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.f64 = new Float64Array(buffer);
  }

  alloc(size: number): number {
    const address = this.x.em_alloc(size) >>> 0;
    this.view();
    if (address === 0) throw new LuaMemoryError(`not enough memory: ${size} bytes for a string or source on its way to Lua`, '');
    return address;
  }

  /** Host functions that are being called inside each other. */
  depth = 0;
  /**
   * Where Lua and JavaScript call each other without an end, JavaScript's RangeError is to come before the module is entered: inside it, memory would
   * be left in the middle of something. So the stack must have room for so many arguments.
   */
  room(): void {
    if (this.depth > 8) Reflect.apply(nothing, undefined, (many ??= new Array(16 << 10)));
  }

  /** Puts text into the scratch area; its length is in `length` afterwards. Good until `release`. */
  length = 0;
  /** It has trapped: nothing may be called any more. */
  dead = false;
  text(s: string): number {
    const n = s.length;
    if (n <= 24 && this.#used + 24 <= SCRATCH) {
      // Short ASCII text, without a call.
      const { u8 } = this;
      const at = this.#scratch + this.#used;
      let i = 0;
      for (; i < n; i++) {
        const c = s.charCodeAt(i);
        if (c > 0x7f) break;
        u8[at + i] = c;
      }
      if (i === n) {
        this.#used += n;
        this.length = n;
        return at;
      }
    }
    if (n * 3 <= SCRATCH - this.#used) {
      const at = this.#scratch + this.#used;
      const { written } = encoder.encodeInto(s, this.u8.subarray(at, at + n * 3));
      this.#used += written;
      this.length = written;
      return at;
    }
    const size = utf8Length(s);
    const at = this.#own(size);
    encoder.encodeInto(s, this.u8.subarray(at, at + size));
    this.length = size;
    return at;
  }

  /** The same for bytes. */
  bytes(b: Uint8Array): number {
    let at: number;
    if (b.length <= SCRATCH - this.#used) {
      at = this.#scratch + this.#used;
      this.#used += b.length;
    } else {
      at = this.#own(b.length);
    }
    this.u8.set(b, at);
    this.length = b.length;
    return at;
  }

  #own(size: number): number {
    const address = this.alloc(size);
    this.#long.push({ address, size });
    return address;
  }

  /** How much of the scratch area is used, to come back to with `release`. */
  get mark(): number {
    return this.#used;
  }

  /** Gives the scratch area back, down to a mark. */
  releaseScratch(mark = 0): void {
    this.#used = mark;
    if (mark === 0 && this.#long.length > 0) {
      for (const { address, size } of this.#long) this.x.em_free(address, size);
      this.#long = [];
    }
  }

  /** Text at an address. */
  readText(address: number, length: number): string {
    const { u8 } = this;
    if (length <= 16) {
      let s = '';
      let i = 0;
      for (; i < length; i++) {
        const c = u8[address + i]!;
        if (c > 0x7f) break;
        s += String.fromCharCode(c);
      }
      if (i === length) return s;
    }
    return decoder.decode(u8.subarray(address, address + length));
  }
}

/** The bytes of a view or buffer. */
export function asBytes(v: object): Uint8Array | undefined {
  if (v instanceof Uint8Array) return v;
  if (ArrayBuffer.isView(v)) return new Uint8Array(v.buffer, v.byteOffset, v.byteLength);
  if (v instanceof ArrayBuffer || Object.prototype.toString.call(v) === '[object ArrayBuffer]') return new Uint8Array(v as ArrayBuffer);
  return undefined;
}

/** Length of a string in UTF-8 (a lone surrogate counts as U+FFFD): the engine's encoder counts ten times as fast as a loop over the characters. */
export function utf8Length(s: string): number {
  const room = new Uint8Array(PART * 3);
  let n = 0;
  for (let at = 0; at < s.length; ) {
    // No pair is cut in two.
    const end = at + PART - +((s.charCodeAt(at + PART - 1) & 0xfc00) === 0xd800);
    n += encoder.encodeInto(s.slice(at, end), room).written;
    at = end;
  }
  return n;
}
const PART = 16 << 10;

/** A call into the module that trapped: a bug of ours, or memory that the system refused. */
export function trapped(error: unknown, refused: boolean): EvermoonError {
  const end = '; this instance cannot go on: create a new engine';
  if (refused) return new LuaMemoryError(`the system refused memory${end}`, '');
  return new EvermoonError('bug', `the WebAssembly module stopped (${String(error)})${end}`, { cause: error });
}
