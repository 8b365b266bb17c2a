//! The constants of one function while it is compiled: each value once, found by a small hash table of our own, which
//! costs one multiplication a look-up and allocates nothing until a function has more than a handful of constants.
//!
//! Invariant: indices are given in the order of first use, so equal sources give equal constant tables.

use crate::bytecode::proto::Const;
use crate::syntax::tree::Symbol;

/// A constant as the compiler sees it. Floats are their bits: 0.0 and -0.0 are two constants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key {
    Nil,
    False,
    True,
    Int(i64),
    Float(u64),
    Str(Symbol),
}

impl Key {
    fn hash(self) -> u32 {
        let bits = match self {
            Key::Nil => 1,
            Key::False => 2,
            Key::True => 3,
            Key::Int(i) => (i as u64).rotate_left(20),
            Key::Float(bits) => bits,
            Key::Str(symbol) => u64::from(symbol.0) << 3 | 4,
        };
        // Fibonacci hashing: the high bits of the product are the mixed ones. Floats differ in their high bits, which
        // would reach none of those that are used.
        ((bits ^ bits >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
    }
}

/// Up to this many constants are searched one by one.
const LINEAR_MAX: usize = 8;

/// The constants of one function.
#[derive(Default)]
pub(super) struct Constants {
    keys: Vec<Key>,
    /// Open addressing, linear probing; index plus one, 0 is free. Empty while `keys` is short; a power of two else.
    slots: Vec<u32>,
}

impl Constants {
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn clear(&mut self) {
        self.keys.clear();
        self.slots.clear();
    }

    /// The index of a constant, added if it is new.
    pub fn index(&mut self, key: Key) -> u32 {
        let next = self.keys.len() as u32;
        if self.slots.is_empty() {
            if let Some(at) = self.keys.iter().position(|&k| k == key) {
                return at as u32;
            }
            self.keys.push(key);
            if self.keys.len() > LINEAR_MAX {
                self.rehash(LINEAR_MAX * 4);
            }
            return next;
        }
        let mask = self.slots.len() - 1;
        let mut at = key.hash() as usize & mask;
        loop {
            match self.slots[at] {
                0 => break,
                found if self.keys[found as usize - 1] == key => return found - 1,
                _ => at = (at + 1) & mask,
            }
        }
        self.slots[at] = next + 1;
        self.keys.push(key);
        if self.keys.len() * 2 > self.slots.len() {
            self.rehash(self.slots.len() * 2);
        }
        next
    }

    fn rehash(&mut self, size: usize) {
        self.slots.clear();
        self.slots.resize(size, 0);
        let mask = size - 1;
        for (i, key) in self.keys.iter().enumerate() {
            let mut at = key.hash() as usize & mask;
            while self.slots[at] != 0 {
                at = (at + 1) & mask;
            }
            self.slots[at] = i as u32 + 1;
        }
    }

    /// The constants in order, as a prototype holds them.
    pub fn plain<'a>(&self, bytes: impl Fn(Symbol) -> &'a [u8]) -> Vec<Const> {
        let plain = |&key: &Key| match key {
            Key::Nil => Const::Nil,
            Key::False => Const::False,
            Key::True => Const::True,
            Key::Int(i) => Const::Int(i),
            Key::Float(bits) => Const::Float(f64::from_bits(bits)),
            Key::Str(symbol) => Const::Str(bytes(symbol).into()),
        };
        self.keys.iter().map(plain).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_one_index_in_order_of_first_use() {
        let mut constants = Constants::default();
        for round in 0..2 {
            for i in 0..1000u32 {
                assert_eq!(constants.index(Key::Int(i.into())), 2 * i, "round {round}");
                assert_eq!(
                    constants.index(Key::Float(f64::from(i).to_bits())),
                    2 * i + 1
                );
            }
        }
        assert_ne!(
            constants.index(Key::Float(0f64.to_bits())),
            constants.index(Key::Float((-0f64).to_bits()))
        );
        assert_eq!(constants.len(), 2001);
    }
}
