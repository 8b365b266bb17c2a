//! An ordered map whose machinery exists once.
//!
//! `BTreeMap` is compiled anew for each pair of types, five to ten kilobytes of the wasm module every time. Here the order is kept over item
//! *numbers* by code that is not generic ([`Order`]), and [`Map`] adds only the comparison. For maps that are not in the interpreter's way.
//!
//! Invariants: `Order` holds each number below `Map::items.len()` exactly once, ascending by key; no part is empty, and none has more than
//! [`PART_MAX`] numbers. No order of insertions makes an operation cost more than a search and two short moves of memory.

use std::borrow::Borrow;
use std::cmp::Ordering;

/// Numbers in a part. Twice as many are moved by an insertion at worst, so it stays small.
const PART_MAX: usize = 256;

/// The numbers of items in the order of their keys.
#[derive(Clone, Default, Debug)]
struct Order {
    parts: Vec<Vec<u32>>,
}

/// Part, and position in it.
type Place = (usize, usize);

impl Order {
    /// Where the item stands for which `compare` is `Equal` (it tells how an item's key compares with the one wanted), or where it belongs.
    fn find(&self, compare: &mut dyn FnMut(u32) -> Ordering) -> Result<Place, Place> {
        let behind = self
            .parts
            .partition_point(|part| compare(part[0]) != Ordering::Greater);
        let Some(part) = behind.checked_sub(1) else {
            return Err((0, 0));
        };
        match self.parts[part].binary_search_by(|&n| compare(n)) {
            Ok(at) => Ok((part, at)),
            Err(at) => Err((part, at)),
        }
    }

    fn insert(&mut self, (part, at): Place, number: u32) {
        if self.parts.is_empty() {
            self.parts.push(Vec::new());
        }
        let numbers = &mut self.parts[part];
        numbers.insert(at, number);
        if numbers.len() > PART_MAX {
            // Ascending insertions leave full parts behind, others halves.
            let keep = if at == PART_MAX {
                PART_MAX
            } else {
                PART_MAX / 2
            };
            let rest = numbers.split_off(keep);
            self.parts.insert(part + 1, rest);
        }
    }

    /// The place itself, or the beginning of the next part if it is the end of its own.
    fn normal(&self, (part, at): Place) -> Place {
        match self.parts.get(part) {
            Some(numbers) if at == numbers.len() => (part + 1, 0),
            _ => (part, at),
        }
    }

    fn remove(&mut self, (part, at): Place) -> u32 {
        let number = self.parts[part].remove(at);
        if self.parts[part].is_empty() {
            self.parts.remove(part);
        }
        number
    }
}

/// Item numbers between two places.
struct Numbers<'a> {
    order: &'a Order,
    front: Place,
    back: Place,
}

impl Iterator for Numbers<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.front >= self.back {
            return None;
        }
        let (part, at) = self.front;
        self.front = self.order.normal((part, at + 1));
        Some(self.order.parts[part][at])
    }
}

impl DoubleEndedIterator for Numbers<'_> {
    fn next_back(&mut self) -> Option<u32> {
        if self.front >= self.back {
            return None;
        }
        let (part, at) = match self.back {
            (part, 0) => (part - 1, self.order.parts[part - 1].len() - 1),
            (part, at) => (part, at - 1),
        };
        self.back = (part, at);
        Some(self.order.parts[part][at])
    }
}

/// The numbers below `keys.len()` in the order of their keys; of equal keys the first comes first.
pub fn by_key(keys: &[u32]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..keys.len() as u32).collect();
    let mut next = vec![0; order.len()];
    for shift in [0, 8, 16, 24] {
        let digit = |n: u32| (keys[n as usize] >> shift) as usize & 0xff;
        let mut places = [0usize; 257];
        for &n in &order {
            places[digit(n) + 1] += 1;
        }
        if places.contains(&order.len()) {
            continue;
        }
        for d in 0..256 {
            places[d + 1] += places[d];
        }
        for &n in &order {
            let place = &mut places[digit(n)];
            next[*place] = n;
            *place += 1;
        }
        std::mem::swap(&mut order, &mut next);
    }
    order
}

/// A map in the order of its keys.
#[derive(Clone, Debug)]
pub struct Map<K, V> {
    order: Order,
    items: Vec<(K, V)>,
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Map {
            order: Order::default(),
            items: Vec::new(),
        }
    }
}

impl<K: Ord, V> Map<K, V> {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<Place, Place>
    where
        K: Borrow<Q>,
    {
        let items = &self.items;
        self.order
            .find(&mut |n| items[n as usize].0.borrow().cmp(key))
    }

    fn at(&self, (part, at): Place) -> usize {
        self.order.parts[part][at] as usize
    }

    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        Some(&self.items[self.at(place)].1)
    }

    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        let n = self.at(place);
        Some(&mut self.items[n].1)
    }

    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.place(key).is_ok()
    }

    /// The value before, if there was one.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(place) => {
                let n = self.at(place);
                Some(std::mem::replace(&mut self.items[n].1, value))
            }
            Err(place) => {
                self.order.insert(place, self.items.len() as u32);
                self.items.push((key, value));
                None
            }
        }
    }

    /// The value of a key, made now if it is not there.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let n = match self.place(&key) {
            Ok(place) => self.at(place),
            Err(place) => {
                let n = self.items.len();
                self.order.insert(place, n as u32);
                self.items.push((key, make()));
                n
            }
        };
        &mut self.items[n].1
    }

    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        // The last item takes the number of the one that goes.
        let last = self.items.len() - 1;
        let last_place = match self.place(self.items[last].0.borrow()) {
            Ok(place) => place,
            Err(place) => place,
        };
        let n = self.at(place);
        self.order.parts[last_place.0][last_place.1] = n as u32;
        self.order.remove(place);
        Some(self.items.swap_remove(n).1)
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Ascending by key.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.between((0, 0), (self.order.parts.len(), 0))
    }

    /// Those from `low` on and below `high`.
    pub fn range<Q: Ord + ?Sized>(
        &self,
        low: &Q,
        high: Option<&Q>,
    ) -> impl DoubleEndedIterator<Item = (&K, &V)>
    where
        K: Borrow<Q>,
    {
        let place = |key| self.place(key).unwrap_or_else(|place| place);
        let end = (self.order.parts.len(), 0);
        self.between(place(low), high.map_or(end, place))
    }

    fn between(&self, from: Place, to: Place) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        let order = &self.order;
        let numbers = Numbers {
            order,
            front: order.normal(from),
            back: order.normal(to),
        };
        numbers.map(|n| {
            let (key, value) = &self.items[n as usize];
            (key, value)
        })
    }

    /// The items in no particular order.
    pub fn into_items(self) -> Vec<(K, V)> {
        self.items
    }

    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// Ascending by key.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::Map;
    use std::collections::BTreeMap;

    #[test]
    fn by_key_sorts_and_is_stable() {
        let mut state = 7u64;
        for len in [0, 1, 2, 255, 256, 257, 5000] {
            let mut keys = Vec::new();
            for _ in 0..len {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
                keys.push((state >> 33) as u32 & [u32::MAX, 0xff, 0x00ff_ff00][len % 3]);
            }
            let mut expected: Vec<u32> = (0..len as u32).collect();
            expected.sort_by_key(|&n| keys[n as usize]);
            assert_eq!(super::by_key(&keys), expected);
        }
    }

    /// The same as a `BTreeMap` whatever is done to it, with keys in the three orders that matter: up, down, scattered.
    #[test]
    fn behaves_as_a_tree() {
        for order in 0..3u64 {
            let mut ours = Map::new();
            let mut theirs = BTreeMap::new();
            let mut state = 1u64;
            for i in 0..20_000u64 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
                let key = match order {
                    0 => i,
                    1 => 20_000 - i,
                    _ => (state >> 33) % 3000,
                };
                if order == 2 && state >> 60 < 5 {
                    assert_eq!(ours.remove(&key), theirs.remove(&key));
                } else {
                    assert_eq!(ours.insert(key, i), theirs.insert(key, i));
                }
                assert_eq!(ours.get(&(key / 2)), theirs.get(&(key / 2)));
            }
            assert_eq!(ours.len(), theirs.len());
            assert!(ours.iter().eq(theirs.iter()));
            assert!(ours.iter().rev().eq(theirs.iter().rev()));
            for low in (0..20_001).step_by(997) {
                for high in [low, low + 1, low + 300, 30_000] {
                    let range = ours.range(&low, Some(&high));
                    assert!(range.eq(theirs.range(low..high)));
                    let range = ours.range(&low, Some(&high));
                    assert!(range.rev().eq(theirs.range(low..high).rev()));
                }
                assert!(ours.range(&low, None).eq(theirs.range(low..)));
            }
            for key in theirs.keys().copied().collect::<Vec<_>>() {
                assert_eq!(ours.remove(&key), theirs.remove(&key));
                assert_eq!(ours.remove(&key), None);
            }
            assert!(ours.is_empty());
        }
    }
}
