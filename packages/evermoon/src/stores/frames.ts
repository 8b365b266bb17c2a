/**
 * The bytes of a file store: a log. Pure data: nothing here opens a file. All numbers are little-endian.
 *
 * File: header, then frames, one after the other, each beginning at a multiple of 8.
 *
 * Header, 32 bytes:
 *    0  8 bytes  "evmlog1\n"
 *    8  u32      format, 1
 *   12  u32      0
 *   16  8 bytes  the file's id, random, and new with each compaction
 *   24  u32      0
 *   28  u32      CRC-32 of bytes 0..28
 *
 * Frame, 64 bytes and its payload:
 *    0  u32      "EVMF"
 *    4  u32      CRC-32 of bytes 8..64
 *    8  8 bytes  the file's id: bytes of another file, or of a value, are no frame of this one
 *   16  u64      the version after it
 *   24  u64      the epoch after it
 *   32  u64      synced: all bytes of the file below this were on the disk when the frame was written
 *   40  u64      the payload's length, a multiple of 8
 *   48  u32      CRC-32 of the payload
 *   52  u32      number of steps
 *   56  u32      kind: 1 commit, 2 lease, 3 base (a part of what a compaction kept; only at the beginning), 4 closed
 *   60  u32      0
 *
 * Step, at a multiple of 8 in its payload, filled up with zeros to the next:
 *    0  u8       1 put, 2 delete, 3 delete a range, 4 delete from a key to the end
 *    1  u8       0
 *    2  u16      the key's length
 *    4  u32      the value's length (3: the length of the range's end)
 *    8  u32      CRC-32 of key and value, so that a value is checked whenever it is read
 *   12           key, value
 */
import { crc32 } from 'node:zlib';
import { checkKey, checkValue, unknownWrite } from './bytes.js';
import { MAX_KEY, StoreTooLargeError, type Write } from './types.js';

export const HEADER = 32;
export const FRAME = 64;
export const STEP = 12;
export const FORMAT = 1;
const MAGIC = Buffer.from('evmlog1\n', 'latin1');
/** "EVMF", read as a little-endian number. */
export const MARK = Buffer.from('EVMF', 'latin1').readUInt32LE(0);
/** The longest payload: what one `Buffer` has without trouble. */
export const MAX_PAYLOAD = 2 ** 31;

export const enum Kind {
  Commit = 1,
  Lease = 2,
  Base = 3,
  Closed = 4,
}
const enum Tag {
  Put = 1,
  Delete = 2,
  Range = 3,
  Tail = 4,
}

export interface FrameHead {
  kind: Kind;
  version: number;
  epoch: number;
  synced: number;
  length: number;
  crc: number;
  steps: number;
}

export interface Payload {
  bytes: Buffer;
  steps: number;
}

const up8 = (n: number) => Math.ceil(n / 8) * 8;

export function header(id: Buffer): Buffer {
  const bytes = Buffer.alloc(HEADER);
  MAGIC.copy(bytes, 0);
  bytes.writeUInt32LE(FORMAT, 8);
  id.copy(bytes, 16);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 28)), 28);
  return bytes;
}

/** The file's id, or what is wrong. */
export function readHeader(bytes: Buffer): Buffer | 'foreign' | 'newer' | 'broken' {
  if (bytes.byteLength < 8 || !bytes.subarray(0, 7).equals(MAGIC.subarray(0, 7))) return 'foreign';
  if (bytes.byteLength < HEADER || crc32(bytes.subarray(0, 28)) !== bytes.readUInt32LE(28)) return 'broken';
  if (bytes.readUInt32LE(8) !== FORMAT) return 'newer';
  return Buffer.from(bytes.subarray(16, 24));
}

export function frameHead(id: Buffer, head: Omit<FrameHead, 'length' | 'crc' | 'steps'>, payload: Payload | undefined): Buffer {
  const bytes = Buffer.alloc(FRAME);
  bytes.writeUInt32LE(MARK, 0);
  id.copy(bytes, 8);
  bytes.writeBigUInt64LE(BigInt(head.version), 16);
  bytes.writeBigUInt64LE(BigInt(head.epoch), 24);
  bytes.writeBigUInt64LE(BigInt(head.synced), 32);
  bytes.writeBigUInt64LE(BigInt(payload?.bytes.byteLength ?? 0), 40);
  bytes.writeUInt32LE(payload ? crc32(payload.bytes) : 0, 48);
  bytes.writeUInt32LE(payload?.steps ?? 0, 52);
  bytes.writeUInt32LE(head.kind, 56);
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4);
  return bytes;
}

/** `undefined`: no frame of this file begins here. */
export function readFrameHead(bytes: Buffer, at: number, id: Buffer): FrameHead | undefined {
  if (bytes.byteLength - at < FRAME || bytes.readUInt32LE(at) !== MARK) return undefined;
  if (crc32(bytes.subarray(at + 8, at + FRAME)) !== bytes.readUInt32LE(at + 4)) return undefined;
  if (!bytes.subarray(at + 8, at + 16).equals(id)) return undefined;
  return {
    kind: bytes.readUInt32LE(at + 56),
    version: Number(bytes.readBigUInt64LE(at + 16)),
    epoch: Number(bytes.readBigUInt64LE(at + 24)),
    synced: Number(bytes.readBigUInt64LE(at + 32)),
    length: Number(bytes.readBigUInt64LE(at + 40)),
    crc: bytes.readUInt32LE(at + 48),
    steps: bytes.readUInt32LE(at + 52),
  };
}

export function payloadIsWhole(head: FrameHead, payload: Buffer): boolean {
  return payload.byteLength === head.length && crc32(payload) === head.crc;
}

/** Checks a batch and makes a payload of it; nothing of it is referred to afterwards. */
export function encode(batch: readonly Write[]): Payload {
  let size = 0;
  for (const write of batch) {
    let key: Uint8Array;
    let more = 0;
    switch (write.kind) {
      case 'put':
        key = write.key;
        checkValue(write.value);
        more = write.value.byteLength;
        break;
      case 'delete':
        key = write.key;
        break;
      case 'deleteRange':
        key = write.from;
        if (write.to !== undefined) {
          checkKey(write.to);
          more = write.to.byteLength;
        }
        break;
      default:
        throw unknownWrite(write);
    }
    checkKey(key);
    size += up8(STEP + key.byteLength + more);
  }
  if (size > MAX_PAYLOAD) throw new StoreTooLargeError('a commit (commit in parts)', size, MAX_PAYLOAD);
  const bytes = Buffer.allocUnsafe(size);
  const step = (at: number, tag: Tag, key: Uint8Array, value: Uint8Array | undefined): number => {
    const more = value?.byteLength ?? 0;
    bytes.writeUInt16LE(tag, at);
    bytes.writeUInt16LE(key.byteLength, at + 2);
    bytes.writeUInt32LE(more, at + 4);
    bytes.set(key, at + STEP);
    if (value) bytes.set(value, at + STEP + key.byteLength);
    const end = at + STEP + key.byteLength + more;
    bytes.writeUInt32LE(crc32(bytes.subarray(at + STEP, end)), at + 8);
    const next = at + up8(end - at);
    bytes.fill(0, end, next);
    return next;
  };
  let at = 0;
  for (const write of batch) {
    if (write.kind === 'put') at = step(at, Tag.Put, write.key, write.value);
    else if (write.kind === 'delete') at = step(at, Tag.Delete, write.key, undefined);
    else at = step(at, write.to === undefined ? Tag.Tail : Tag.Range, write.from, write.to);
  }
  return { bytes, steps: batch.length };
}

export interface Steps {
  /** `at`: where the step begins in the payload; `length`: of the value. */
  put(key: string, at: number, length: number): void;
  delete(key: string): void;
  deleteRange(from: string, to: string | undefined): void;
}

/** Tells a payload's steps; `false` when they do not fill it exactly (that is a bug, or a forgery: the checksum was right). */
export function decode(payload: Buffer, steps: number, tell: Steps): boolean {
  let at = 0;
  for (; steps > 0; steps--) {
    if (payload.byteLength - at < STEP) return false;
    const tag = payload.readUInt16LE(at);
    const key = payload.readUInt16LE(at + 2);
    const more = payload.readUInt32LE(at + 4);
    const end = at + STEP + key + more;
    if (end > payload.byteLength || key > MAX_KEY) return false;
    const name = payload.toString('latin1', at + STEP, at + STEP + key);
    if (tag === Tag.Put) tell.put(name, at, more);
    else if (tag === Tag.Delete) tell.delete(name);
    else if (tag === Tag.Range) tell.deleteRange(name, payload.toString('latin1', at + STEP + key, end));
    else if (tag === Tag.Tail) tell.deleteRange(name, undefined);
    else return false;
    at += up8(end - at);
  }
  return at === payload.byteLength;
}

/** How many bytes a put of such a key and value takes in the log. */
export function stepSize(key: number, value: number): number {
  return up8(STEP + key + value);
}

/** The value of a put that was read back, when it is the key's and whole. */
export function readPut(bytes: Buffer, key: string): Uint8Array | undefined {
  if (bytes.byteLength < STEP || bytes.readUInt16LE(0) !== Tag.Put || bytes.readUInt16LE(2) !== key.length) return undefined;
  const start = STEP + key.length;
  const end = start + bytes.readUInt32LE(4);
  if (end > bytes.byteLength || crc32(bytes.subarray(STEP, end)) !== bytes.readUInt32LE(8)) return undefined;
  if (bytes.toString('latin1', STEP, start) !== key) return undefined;
  // A buffer of its own, as long as it is.
  return new Uint8Array(bytes.subarray(start, end));
}

/** The length of the value of the put whose first bytes these are. */
export function readLength(bytes: Buffer): number {
  return bytes.readUInt32LE(4);
}
