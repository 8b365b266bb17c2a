//! The table in which a chunk's names and string literals are interned: equal bytes get one [`Symbol`], numbered in the
//! order of first appearance.
//!
//! The hash is keyed by the source itself, so that nobody can write a chunk whose names all collide without knowing what
//! that chunk will be; nothing that leaves this file depends on the hash, so the result is the same on every platform.

use super::tree::Symbol;

#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    /// A symbol's number, or [`EMPTY`].
    symbol: u32,
}

const EMPTY: u32 = u32::MAX;

/// Interned byte strings. Open addressing with linear probing; at most half of the slots are taken.
pub struct Symbols {
    pub bytes: Vec<u8>,
    pub ends: Vec<u32>,
    slots: Vec<Slot>,
    key: (u64, u64),
}

impl Symbols {
    /// A table for the names of `source`.
    pub fn new(source: &[u8]) -> Symbols {
        // A guess at the number of distinct names; the table grows when it is wrong.
        let slots = (source.len() / 32).clamp(32, 4096).next_power_of_two();
        let h = hash_long(source, (0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344));
        Symbols {
            bytes: Vec::with_capacity(slots * 4),
            ends: Vec::with_capacity(slots / 2),
            slots: vec![
                Slot {
                    hash: 0,
                    symbol: EMPTY
                };
                slots
            ],
            key: (h, fold(h ^ 0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89)),
        }
    }

    /// The symbol of `text`. `word` is its [`leading_word`].
    #[inline]
    pub fn intern(&mut self, text: &[u8], word: u64) -> Symbol {
        let hash = if text.len() <= 8 {
            fold(word ^ self.key.0, text.len() as u64 ^ self.key.1)
        } else {
            hash_long(text, self.key)
        } as u32;
        let mask = self.slots.len() - 1;
        let mut i = hash as usize & mask;
        loop {
            let slot = self.slots[i];
            if slot.symbol == EMPTY {
                return self.add(text, hash, i);
            }
            if slot.hash == hash && self.get(slot.symbol) == text {
                return Symbol(slot.symbol);
            }
            i = (i + 1) & mask;
        }
    }

    /// The bytes of the symbol with this number.
    #[inline]
    pub fn get(&self, symbol: u32) -> &[u8] {
        let i = symbol as usize;
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.bytes[start..self.ends[i] as usize]
    }

    /// Bytes of memory in use.
    pub fn footprint(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * 4 + self.slots.capacity() * size_of::<Slot>()
    }

    fn add(&mut self, text: &[u8], hash: u32, slot: usize) -> Symbol {
        let symbol = self.ends.len() as u32;
        self.bytes.extend_from_slice(text);
        // A symbol is never longer than its token, and the parser refuses sources that u32 does not span.
        self.ends.push(self.bytes.len() as u32);
        self.slots[slot] = Slot { hash, symbol };
        if self.ends.len() * 2 > self.slots.len() {
            self.grow();
        }
        Symbol(symbol)
    }

    #[cold]
    fn grow(&mut self) {
        let size = self.slots.len() * 4;
        let old = std::mem::replace(
            &mut self.slots,
            vec![
                Slot {
                    hash: 0,
                    symbol: EMPTY
                };
                size
            ],
        );
        for slot in old {
            if slot.symbol != EMPTY {
                let mut i = slot.hash as usize & (size - 1);
                while self.slots[i].symbol != EMPTY {
                    i = (i + 1) & (size - 1);
                }
                self.slots[i] = slot;
            }
        }
    }
}

/// The first eight of a text's `len` bytes, filled up with zeros. `rest` starts with the text and may go on after it.
#[inline]
pub fn leading_word(rest: &[u8], len: usize) -> u64 {
    let kept = len.min(8);
    if let Some(bytes) = rest.first_chunk::<8>() {
        let word = u64::from_le_bytes(*bytes);
        // Two shifts, because one by 64 (of an empty text) would be none at all.
        return (word << (32 - kept * 4) << (32 - kept * 4)) >> (32 - kept * 4) >> (32 - kept * 4);
    }
    let mut bytes = [0; 8];
    bytes[..kept].copy_from_slice(&rest[..kept]);
    u64::from_le_bytes(bytes)
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The hash of a text of any length, sixteen bytes at a time.
fn hash_long(text: &[u8], key: (u64, u64)) -> u64 {
    let mut hash = text.len() as u64 ^ key.0;
    let mut rest = text;
    while let Some((block, after)) = rest.split_first_chunk::<16>() {
        hash = fold(
            hash ^ leading_word(block, 8),
            leading_word(&block[8..], 8) ^ key.1,
        );
        rest = after;
    }
    let (low, high) = rest.split_at(rest.len().min(8));
    fold(
        hash ^ leading_word(low, low.len()),
        leading_word(high, high.len()) ^ key.1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_get_one_symbol_in_order_of_appearance() {
        let mut symbols = Symbols::new(b"any source");
        let mut intern = |text: &[u8]| symbols.intern(text, leading_word(text, text.len())).0;
        let texts: Vec<Vec<u8>> = (0..5000u32)
            .map(|i| {
                [
                    &b"name"[..i as usize % 5],
                    &i.to_le_bytes(),
                    &b"_and_a_tail"[..i as usize % 12],
                ]
                .concat()
            })
            .collect();
        for (i, text) in texts.iter().enumerate() {
            assert_eq!(intern(text), i as u32);
        }
        for (i, text) in texts.iter().enumerate() {
            assert_eq!(intern(text), i as u32);
        }
        assert_eq!(intern(b""), 5000);
        assert_eq!(intern(b""), 5000);
        assert_eq!(symbols.get(7), &texts[7][..]);
    }

    #[test]
    fn the_leading_word_ignores_what_follows() {
        assert_eq!(leading_word(b"endlessly", 3), leading_word(b"end", 3));
        assert_eq!(leading_word(b"endlessly", 0), 0);
        assert_eq!(
            leading_word(b"function()", 8),
            u64::from_le_bytes(*b"function")
        );
    }
}
