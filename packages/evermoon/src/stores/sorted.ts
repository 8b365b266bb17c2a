/**
 * An ordered map from strings to values, for the stores that keep their keys in memory.
 *
 * Shape: a list of leaves, each with up to `LEAF` keys in order and their values beside them. No leaf is empty, but for the only
 * one of an empty map; every key of a leaf is less than every key of the next. Finding is two binary searches; inserting moves at
 * most one leaf's entries, and the list of leaves when one splits.
 */
interface Leaf<V> {
  keys: string[];
  values: V[];
}

const LEAF = 256;

export class SortedMap<V> {
  #leaves: Leaf<V>[] = [{ keys: [], values: [] }];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): V | undefined {
    const leaf = this.#leaves[this.#leafOf(key)]!;
    const i = lowerBound(leaf.keys, key);
    return leaf.keys[i] === key ? leaf.values[i] : undefined;
  }

  /** Returns what was there before. */
  set(key: string, value: V): V | undefined {
    const at = this.#leafOf(key);
    const leaf = this.#leaves[at]!;
    const i = lowerBound(leaf.keys, key);
    if (leaf.keys[i] === key) {
      const old = leaf.values[i];
      leaf.values[i] = value;
      return old;
    }
    leaf.keys.splice(i, 0, key);
    leaf.values.splice(i, 0, value);
    this.#size += 1;
    if (leaf.keys.length > LEAF) {
      // Keys that come in order (a log being read, a compacted file) fill their leaves.
      const half = i === LEAF ? LEAF : LEAF >> 1;
      this.#leaves.splice(at + 1, 0, { keys: leaf.keys.splice(half), values: leaf.values.splice(half) });
    }
    return undefined;
  }

  /** Returns what was there. */
  delete(key: string): V | undefined {
    const at = this.#leafOf(key);
    const leaf = this.#leaves[at]!;
    const i = lowerBound(leaf.keys, key);
    if (leaf.keys[i] !== key) return undefined;
    const old = leaf.values[i];
    leaf.keys.splice(i, 1);
    leaf.values.splice(i, 1);
    this.#size -= 1;
    if (leaf.keys.length === 0 && this.#leaves.length > 1) this.#leaves.splice(at, 1);
    return old;
  }

  /** The entries of `from <= key < to` in order, or backwards. The map must not change meanwhile. */
  *range(from = '', to?: string, reverse = false): Generator<[string, V]> {
    if (to !== undefined && from >= to) return;
    if (!reverse) {
      let at = this.#leafOf(from);
      let i = lowerBound(this.#leaves[at]!.keys, from);
      for (; at < this.#leaves.length; at++, i = 0) {
        const { keys, values } = this.#leaves[at]!;
        for (; i < keys.length; i++) {
          const key = keys[i]!;
          if (to !== undefined && key >= to) return;
          yield [key, values[i]!];
        }
      }
      return;
    }
    let at = to === undefined ? this.#leaves.length - 1 : this.#leafOf(to);
    let i = to === undefined ? this.#leaves[at]!.keys.length : lowerBound(this.#leaves[at]!.keys, to);
    for (;;) {
      const { keys, values } = this.#leaves[at]!;
      while (--i >= 0) {
        const key = keys[i]!;
        if (key < from) return;
        yield [key, values[i]!];
      }
      if (--at < 0) return;
      i = this.#leaves[at]!.keys.length;
    }
  }

  /** The leaf that has the key, if any has. */
  #leafOf(key: string): number {
    let low = 0;
    let high = this.#leaves.length - 1;
    while (low < high) {
      const mid = (low + high + 1) >> 1;
      if (this.#leaves[mid]!.keys[0]! <= key) low = mid;
      else high = mid - 1;
    }
    return low;
  }
}

/** The first index whose key is not less. */
function lowerBound(keys: string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (keys[mid]! < key) low = mid + 1;
    else high = mid;
  }
  return low;
}
