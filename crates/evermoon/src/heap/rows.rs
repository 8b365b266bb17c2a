//! The rows of an external table that are in memory: a map, and in front of it the rows that were read last, by their keys' bits. What the map does not
//! have the front does not have either, so it refers to nothing by itself.

use super::external::{Row, RowKey};
use super::hollow::IdHasher;
use super::value::{Value, tag};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// Rows in front of the map: a power of two.
const RECENT: usize = 64;

/// A key and its row's value; nil and nil where there is none.
type Recent = (Value, Value);

#[derive(Default)]
pub(super) struct Rows {
    map: HashMap<RowKey, Row, BuildHasherDefault<IdHasher>>,
    recent: Option<Box<[Recent; RECENT]>>,
}

/// Where a key's row is in front. Long strings have no place there: equal ones need not be one object.
#[inline]
fn place(key: Value) -> usize {
    (key.bits.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - RECENT.trailing_zeros())) as usize
}

impl Rows {
    #[inline]
    pub fn get(&self, key: Value) -> Option<&Row> {
        self.map.get(&RowKey(key))
    }

    /// The value of a row that is not absent, for programs that ask for it again and again.
    #[inline]
    pub fn read(&mut self, key: Value) -> Option<Value> {
        if let Some(recent) = &self.recent {
            let (k, v) = recent[place(key)];
            if k.bits == key.bits && k.tag == key.tag && !v.is_nil() {
                return Some(v);
            }
        }
        self.read_from_map(key)
    }

    #[inline(never)]
    fn read_from_map(&mut self, key: Value) -> Option<Value> {
        let value = self.get(key)?.present()?;
        if key.tag != tag::LONG_STR {
            let none = || Box::new([(Value::NIL, Value::NIL); RECENT]);
            self.recent.get_or_insert_with(none)[place(key)] = (key, value);
        }
        Some(value)
    }

    /// A row that is to be changed.
    #[inline]
    pub fn change(&mut self, key: Value) -> Option<&mut Row> {
        self.forget(key);
        self.map.get_mut(&RowKey(key))
    }

    pub fn insert(&mut self, key: Value, row: Row) {
        self.forget(key);
        self.map.insert(RowKey(key), row);
    }

    /// Keeps a row unless there is one.
    pub fn keep(&mut self, key: Value, row: Row) {
        self.map.entry(RowKey(key)).or_insert(row);
    }

    pub fn remove(&mut self, key: Value) {
        self.forget(key);
        self.map.remove(&RowKey(key));
    }

    pub fn clear(&mut self) {
        self.recent = None;
        self.map.clear();
    }

    /// Lets go of the rows that are as the store has them.
    pub fn drop_clean(&mut self) {
        self.recent = None;
        self.map.retain(|_, row| row.pinned);
        self.map.shrink_to_fit();
    }

    pub fn len(&self) -> usize {
        self.map.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (Value, &Row)> {
        self.map.iter().map(|(key, row)| (key.0, row))
    }

    #[inline]
    fn forget(&mut self, key: Value) {
        if let Some(recent) = &mut self.recent {
            recent[place(key)] = (Value::NIL, Value::NIL);
        }
    }
}
