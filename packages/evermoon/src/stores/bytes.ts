/**
 * What the stores share: checking and copying arguments, keys as strings that sort like their bytes, neighbours of a key.
 * Knows no store.
 */
import { MAX_KEY, MAX_VALUE, StoreMisuseError, StoreTooLargeError, type Write } from './types.js';

/** A copy in a buffer of its own: what a store was given may be a view of memory that changes, moves or is shared. */
export function own(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes.byteLength);
  copy.set(bytes);
  return copy;
}

export function checkKey(key: unknown): asserts key is Uint8Array {
  if (!(key instanceof Uint8Array)) throw new StoreMisuseError('a key must be a Uint8Array');
  if (key.byteLength > MAX_KEY) throw new StoreTooLargeError('a key', key.byteLength, MAX_KEY);
}

export function checkValue(value: unknown): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array)) throw new StoreMisuseError('a value must be a Uint8Array');
  if (value.byteLength > MAX_VALUE) throw new StoreTooLargeError('a value', value.byteLength, MAX_VALUE);
}

type OwnBytes = Uint8Array<ArrayBuffer>;
/** A `Write` whose bytes are the store's. */
export type OwnWrite =
  | { kind: 'put'; key: OwnBytes; value: OwnBytes }
  | { kind: 'delete'; key: OwnBytes }
  | { kind: 'deleteRange'; from: OwnBytes; to: OwnBytes | undefined };

/** Checks and copies: from here on the batch is the store's. */
export function ownBatch(batch: readonly Write[]): OwnWrite[] {
  return batch.map((write): OwnWrite => {
    switch (write.kind) {
      case 'put':
        checkKey(write.key);
        checkValue(write.value);
        return { kind: 'put', key: own(write.key), value: own(write.value) };
      case 'delete':
        checkKey(write.key);
        return { kind: 'delete', key: own(write.key) };
      case 'deleteRange':
        checkKey(write.from);
        if (write.to !== undefined) checkKey(write.to);
        return { kind: 'deleteRange', from: own(write.from), to: write.to && own(write.to) };
      default:
        throw unknownWrite(write);
    }
  });
}

export function unknownWrite(write: never): StoreMisuseError {
  return new StoreMisuseError(`a batch knows put, delete and deleteRange, not ${JSON.stringify((write as { kind: unknown }).kind)}`);
}

/** `expected` and `epoch` of a commit. */
export function checkCounters(expected: number, epoch: number): void {
  if (!Number.isSafeInteger(expected) || expected < 0 || !Number.isSafeInteger(expected + 1)) {
    throw new StoreMisuseError(`a version is a whole number from 0 to 2^53 - 2, not ${expected}`);
  }
  if (!Number.isSafeInteger(epoch) || epoch < 0) throw new StoreMisuseError(`an epoch is a whole number from 0 to 2^53 - 1, not ${epoch}`);
}

/** How many entries a scan may give: a whole number, or Infinity. */
export function checkLimit(limit: number | undefined): number {
  if (limit === undefined || limit === Infinity) return Infinity;
  if (!Number.isSafeInteger(limit) || limit < 0) throw new StoreMisuseError(`a limit is a whole number from 0, not ${limit}`);
  return limit;
}

/** One character a byte. Strings compare by code units, hence exactly as the bytes do. */
export function keyText(key: Uint8Array): string {
  return String.fromCharCode.apply(null, key as unknown as number[]);
}

export function keyBytes(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** For messages. */
export function keyName(key: Uint8Array): string {
  const head = [...key.subarray(0, 24)].map((b, i) => (i === 0 && b > 32 && b < 127 ? String.fromCharCode(b) : b.toString(16).padStart(2, '0')));
  return head.join(' ') + (key.byteLength > 24 ? ` … (${key.byteLength} bytes)` : '');
}

/** Bytewise order. */
export function compare(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.byteLength, b.byteLength);
  for (let i = 0; i < n; i++) {
    const d = a[i]! - b[i]!;
    if (d !== 0) return d;
  }
  return a.byteLength - b.byteLength;
}

/** The number in a key of the shape class byte, 8-byte big-endian number. `undefined`: another shape. */
export function keyNumber(key: Uint8Array): bigint | undefined {
  if (key.byteLength !== 9) return undefined;
  return new DataView(key.buffer, key.byteOffset, 9).getBigUint64(1);
}

export function numberedKey(first: number, number: bigint): Uint8Array<ArrayBuffer> {
  const key = new Uint8Array(9);
  key[0] = first;
  new DataView(key.buffer).setBigUint64(1, number);
  return key;
}

/** The range of a key and its neighbours: both ends inclusive. */
export function neighbours(key: Uint8Array, reach: { before?: number | undefined; after?: number | undefined } = {}): [Uint8Array, Uint8Array] {
  checkKey(key);
  const number = keyNumber(key);
  if (number === undefined) return [key, key];
  const far = (n: number | undefined, fallback: number) => BigInt(Math.min(checkLimit(n ?? fallback), 0xffff));
  const low = number - far(reach.before, 0);
  const high = number + far(reach.after, 32);
  const last = 0xffff_ffff_ffff_ffffn;
  return [numberedKey(key[0]!, low < 0n ? 0n : low), numberedKey(key[0]!, high > last ? last : high)];
}
