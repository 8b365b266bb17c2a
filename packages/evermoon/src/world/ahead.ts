/**
 * Reads a store for work on it as a whole: what is wanted now, and what will be wanted next while the module works on that. Numbers are given in the order
 * in which objects are met, more or less, so each class of keys is read in order as long as that is what is wanted, in ever larger pieces.
 */
import { compare } from '../stores/bytes.js';
import type { Entry, Store } from '../stores/types.js';
import { behind, type Found, type Wanted } from './supply.js';

/** Entries of the first piece in a new place, and of the largest one. */
const FIRST = 256;
const MOST = 8192;
/** Bytes that a piece is to have. */
const PIECE = 1 << 20;

/** The next piece of one class, on its way. */
interface Cursor {
  from: Uint8Array;
  limit: number;
  next: Promise<Entry[]>;
}

export class Ahead {
  readonly #cursors = new Map<number, Cursor>();

  constructor(private readonly store: Store) {}

  /** Of each class at least the first that is wanted; the module asks again for what is not among it. */
  async read({ keys, range }: Wanted): Promise<Found> {
    const firsts = new Map<number, Uint8Array>();
    for (const key of range ? [...keys, range.from] : keys) {
      const first = firsts.get(key[0]!);
      if (!first || compare(key, first) < 0) firsts.set(key[0]!, key);
    }
    const pieces = await Promise.all([...firsts.values()].map((key) => this.#piece(key)));
    return { entries: pieces.length === 1 ? pieces[0]!.entries : pieces.flatMap(({ entries }) => entries), known: pieces.map(({ known }) => known) };
  }

  async #piece(key: Uint8Array): Promise<{ entries: Entry[]; known: [Uint8Array, Uint8Array] }> {
    const kind = key[0]!;
    const end = Uint8Array.of(kind + 1);
    let cursor = this.#cursors.get(kind);
    let entries: Entry[] = [];
    let last: Uint8Array | undefined;
    if (cursor && compare(key, cursor.from) >= 0) {
      entries = await cursor.next;
      last = entries.length < cursor.limit ? undefined : entries[entries.length - 1]![0];
      if (last && compare(key, last) > 0) cursor = undefined;
    } else cursor = undefined;
    const { from, limit } = cursor ?? { from: key, limit: FIRST };
    if (!cursor) {
      entries = await this.store.scan({ from, to: end, limit });
      last = entries.length < limit ? undefined : entries[entries.length - 1]![0];
    }
    if (last) this.#go(kind, behind(last), end, cursor ? larger(entries, limit) : FIRST);
    else this.#cursors.delete(kind);
    return { entries, known: [from, last ? behind(last) : end] };
  }

  #go(kind: number, from: Uint8Array, to: Uint8Array, limit: number): void {
    const next = this.store.scan({ from, to, limit });
    // Whoever waits for it is told.
    next.catch(() => {});
    this.#cursors.set(kind, { from, limit, next });
  }
}

/** The size of the piece after this one. */
function larger(entries: Entry[], limit: number): number {
  let bytes = 0;
  for (const [key, value] of entries) bytes += key.length + value.length;
  return Math.max(16, Math.min(MOST, limit * 4, Math.floor((PIECE * entries.length) / bytes)));
}
