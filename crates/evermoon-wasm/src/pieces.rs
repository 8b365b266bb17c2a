//! The records that a job works on, as they were supplied: pieces of entries in the order of their keys, looked up where they are. Jobs go through
//! whole stores mostly in order, so the entry behind the last one is looked at first, and nothing is allocated for a record that only passes by.
//!
//! Invariant: the keys of a piece ascend; of two pieces with the same key the later one counts.

use crate::world::{Map, Range, Wanted, first_of, put_range, take_entry};
use evermoon::persist::{Fetch, Scanned, Source};

/// Bytes beyond which all is dropped, when nothing waits for it.
const BYTES_MAX: usize = 32 << 20;

#[derive(Default)]
struct Piece {
    flat: Vec<u8>,
    /// Where its entries begin.
    at: Vec<u32>,
    /// The entry after the last one that was found.
    hint: usize,
}

impl Piece {
    fn key(&self, index: usize) -> &[u8] {
        self.entry(index).map_or(&[], |(key, _)| key)
    }

    fn entry(&self, index: usize) -> Option<(&[u8], Option<&[u8]>)> {
        let at = *self.at.get(index)? as usize;
        let (_, key, value, _) = take_entry(&self.flat[at..])?;
        Some((key, value))
    }

    /// The first entry whose key is not less.
    fn lower_bound(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.at.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.key(middle) < key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// An entry with this key.
    fn find(&mut self, key: &[u8]) -> Option<usize> {
        if self.key(self.hint) == key && self.hint < self.at.len() {
            self.hint += 1;
            return Some(self.hint - 1);
        }
        let last = self.at.len().checked_sub(1)?;
        if key < self.key(0) || self.key(last) < key {
            return None;
        }
        let index = self.lower_bound(key);
        if self.key(index) != key {
            return None;
        }
        self.hint = index + 1;
        Some(index)
    }
}

#[derive(Default)]
pub struct Pieces {
    pieces: Vec<Piece>,
    bytes: usize,
    /// Ranges of which everything that the store has is here.
    known: Vec<Range>,
    /// A range that is wanted.
    scan: Option<Wanted>,
}

impl Pieces {
    /// Takes entries as `em_job_supply` has them; false if they are not whole.
    pub fn supply(&mut self, flat: &[u8]) -> bool {
        let mut piece = Piece {
            flat: flat.to_vec(),
            ..Piece::default()
        };
        let mut at = 0;
        let mut last: &[u8] = &[];
        while let Some((is_range, key, value, rest)) = take_entry(&flat[at..]) {
            match (is_range, value) {
                (true, Some(to)) => crate::world::know(&mut self.known, (key.into(), to.into())),
                (true, None) => return false,
                (false, _) => {
                    // Several sorted lists may come as one.
                    if key < last {
                        let rest = Piece {
                            flat: piece.flat.clone(),
                            ..Piece::default()
                        };
                        self.add(std::mem::replace(&mut piece, rest));
                    }
                    last = key;
                    piece.at.push(at as u32);
                }
            }
            at = flat.len() - rest.len();
            if rest.is_empty() {
                break;
            }
        }
        self.add(piece);
        at == flat.len()
    }

    fn add(&mut self, piece: Piece) {
        if !piece.at.is_empty() {
            self.bytes += piece.flat.len();
            self.pieces.push(piece);
        }
    }

    /// The keys of all entries.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        let of = |piece| (0..Piece::len(piece)).map(move |index| Piece::key(piece, index));
        self.pieces.iter().flat_map(of)
    }

    /// Drops everything, if there is much.
    pub fn trim(&mut self) {
        if self.bytes > BYTES_MAX {
            self.pieces.clear();
            self.known.clear();
            self.bytes = 0;
        }
    }

    /// Writes the wanted range, if there is one.
    pub fn put_wanted(&mut self, out: &mut Vec<u8>) {
        if let Some(wanted) = self.scan.take() {
            put_range(out, wanted);
        }
    }
}

impl Piece {
    fn len(&self) -> usize {
        self.at.len()
    }
}

impl Source for Pieces {
    fn get(&mut self, key: &[u8]) -> Fetch {
        for piece in self.pieces.iter_mut().rev() {
            if let Some(index) = piece.find(key)
                && let Some((_, value)) = piece.entry(index)
            {
                return value.map_or(Fetch::Missing, |value| Fetch::Found(value.to_vec()));
            }
        }
        if self.known.iter().any(|range| crate::world::has(range, key)) {
            Fetch::Missing
        } else {
            Fetch::Later
        }
    }

    fn scan(&mut self, from: &[u8], to: &[u8], limit: usize) -> Scanned {
        let known = self
            .known
            .iter()
            .find(|range| crate::world::has(range, from));
        let high = known.map_or(from, |range| to.min(&range.1[..])).to_vec();
        let mut found = Map::new();
        for piece in &self.pieces {
            let first = piece.lower_bound(from);
            let entries = (first..piece.len()).map_while(|index| piece.entry(index));
            let inside = entries.take_while(|(key, _)| *key < &high[..]);
            for (key, value) in inside.filter(|(_, value)| value.is_some()).take(limit) {
                found.insert(key.to_vec(), value.map(<[u8]>::to_vec));
            }
        }
        let found = first_of(&found, limit, false);
        if found.len() == limit || high == to {
            return Scanned::Entries(found);
        }
        self.scan = Some(((high, to.to_vec()), limit as u32));
        Scanned::Later
    }
}
