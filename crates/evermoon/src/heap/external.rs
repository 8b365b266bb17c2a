//! External tables: tables whose rows are in the store one by one, in the order of their keys. Here is what of such a table is in memory: the
//! rows that were looked at lately, and those that the store does not have yet. `vm/external.rs` has what programs do with them.
//!
//! The object itself is an empty [`Table`] for good, with the bits [`HOLLOW`] and [`EXTERNAL`]: so every fast path misses it, and the slow paths
//! find the second bit. Where a plain table has its Bloom filter it has the number of its [`External`].
//!
//! Invariants
//! 1. A row in `dirty` or `in_flight` is in `rows` and pinned there; those in `dirty` say so. Any other row in `rows` is as the store has it.
//! 2. What is held here is alive: the collector traverses it with the table. Whatever else the rows in the store refer to is numbered, and
//!    while there may be such a row, the table counts as hollow: cycles are partial (`hollow.rs`).
//! 3. Its metatable is the user's, or the one that hollow objects have; never none, which fast paths would take for a plain table's.
//! 4. The order of keys is that of [`encode_key`]'s bytes: false, true, numbers by value, strings.

use super::object::{EXTERNAL, Gc, HOLLOW, Header, mark};
use super::rows::Rows;
use super::table::{Table, hash_key, normal_key};
use super::value::{Value, tag};
use super::{Heap, OutOfMemory, WORLDS};
use crate::ordered::Map;
use std::hash::{Hash, Hasher};

/// Rows that are as the store has them and may stay in memory, for each table.
const CLEAN_ROWS_MAX: usize = 4096;
/// The longest encoded key: with the class and the table's number it is within what stores take (1 KiB).
pub const KEY_MAX: usize = 1000;
/// What a row that the store does not have yet counts for, beside its key and what its value refers to.
const ROW_BYTES: usize = 200;
/// The value of a row that is known not to be there. No native has this number.
pub(super) const ABSENT: Value = Value {
    bits: u32::MAX as u64,
    tag: tag::NATIVE,
};

mod first {
    pub const FALSE: u8 = 1;
    pub const TRUE: u8 = 2;
    pub const NUMBER: u8 = 3;
    pub const STRING: u8 = 4;
}

/// A key's place in the order, as bytes: keys compare as these do bytewise. `None` for what cannot be a key.
///
/// A number is the largest float that is not above it, made to sort as bytes, and how much more it is: integers beyond 2^53 and floats between
/// them stand where their values belong.
pub fn encode_key(key: Value) -> Option<Vec<u8>> {
    Some(match normal_key(key) {
        v if v.tag == tag::FALSE => vec![first::FALSE],
        v if v.tag == tag::TRUE => vec![first::TRUE],
        v if v.is_int() => {
            let i = v.raw_int();
            let mut f = i as f64;
            if f as i128 > i as i128 {
                f = f.next_down();
            }
            number_key(f, (i as i128 - f as i128) as u16)
        }
        v if v.is_float() && !v.raw_float().is_nan() => number_key(v.raw_float(), 0),
        v => {
            let s = v.as_str()?;
            if s.len() >= KEY_MAX {
                return None;
            }
            let mut out = Vec::with_capacity(s.len() + 1);
            out.push(first::STRING);
            out.extend_from_slice(s.as_bytes());
            out
        }
    })
}

fn number_key(f: f64, more: u16) -> Vec<u8> {
    let bits = f.to_bits();
    let sorted = if bits >> 63 == 0 {
        bits | 1 << 63
    } else {
        !bits
    };
    let mut out = Vec::with_capacity(11);
    out.push(first::NUMBER);
    out.extend_from_slice(&sorted.to_be_bytes());
    out.extend_from_slice(&more.to_be_bytes());
    out
}

/// A key out of its bytes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Key<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a [u8]),
}

/// What [`encode_key`] has made; `None` for bytes that it does not make.
pub fn decode_key(bytes: &[u8]) -> Option<Key<'_>> {
    let (&kind, rest) = bytes.split_first()?;
    match kind {
        first::FALSE if rest.is_empty() => Some(Key::Bool(false)),
        first::TRUE if rest.is_empty() => Some(Key::Bool(true)),
        first::STRING if bytes.len() <= KEY_MAX => Some(Key::Text(rest)),
        first::NUMBER => {
            let (sorted, more) = rest.split_first_chunk::<8>()?;
            let more = u16::from_be_bytes(more.try_into().ok()?);
            let sorted = u64::from_be_bytes(*sorted);
            let f = f64::from_bits(if sorted >> 63 != 0 {
                sorted & !(1 << 63)
            } else {
                !sorted
            });
            let key = if (-9223372036854775808.0..9223372036854775808.0).contains(&f)
                && f as i64 as f64 == f
            {
                Key::Int((f as i64).checked_add(more as i64)?)
            } else if more == 0 && !f.is_nan() {
                Key::Float(f)
            } else {
                return None;
            };
            // One key has one form.
            let again = match key {
                Key::Int(i) => encode_key(Value::int(i)),
                _ => Some(number_key(f, 0)),
            };
            (again.as_deref() == Some(bytes)).then_some(key)
        }
        _ => None,
    }
}

/// The bytes that come next after these, of whatever length.
pub fn successor(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

/// A normalised key in the cache.
#[derive(Clone, Copy)]
pub(super) struct RowKey(pub(super) Value);

impl PartialEq for RowKey {
    #[inline]
    fn eq(&self, other: &RowKey) -> bool {
        self.0.tag == other.0.tag && (self.0.bits == other.0.bits || self.0.raw_equals(other.0))
    }
}
impl Eq for RowKey {}
impl Hash for RowKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u32(hash_key(self.0));
    }
}

#[derive(Clone, Copy)]
pub(super) struct Row {
    /// Or [`ABSENT`].
    pub(super) value: Value,
    pub(super) pinned: bool,
    /// It is in `dirty`: so another store need not look there.
    dirty: bool,
}

impl Row {
    /// Its value, if there is one.
    #[inline]
    pub(super) fn present(&self) -> Option<Value> {
        let absent = self.value.tag == ABSENT.tag && self.value.bits == ABSENT.bits;
        (!absent).then_some(self.value)
    }
}

/// A row as the store has it: encoded key and record.
pub type StoredRow = (Vec<u8>, Vec<u8>);

/// A stretch of rows as they were read from the store.
#[derive(Default)]
pub struct Window {
    /// The bound that was asked for: the first key (going up), or the key that all are below (going down; none: no bound).
    asked: Option<Vec<u8>>,
    /// Keys and records, in the direction.
    rows: Vec<StoredRow>,
    /// There are no more in this direction.
    whole: bool,
}

impl Window {
    pub fn new(asked: Option<Vec<u8>>, rows: Vec<StoredRow>, whole: bool) -> Window {
        Window { asked, rows, whole }
    }

    /// The first row at or above `low`: `None` if the window does not know.
    pub fn up(&self, low: &[u8]) -> Option<Option<&StoredRow>> {
        if self.asked.as_deref().is_none_or(|asked| low < asked) {
            return None;
        }
        let at = self.rows.partition_point(|row| &row.0[..] < low);
        self.found(at)
    }

    /// The last row below `high`, or the last of all.
    pub fn down(&self, high: Option<&[u8]>) -> Option<Option<&StoredRow>> {
        let inside = match (&self.asked, high) {
            (None, _) => !self.rows.is_empty() || self.whole,
            (Some(asked), Some(high)) => high <= &asked[..],
            (Some(_), None) => false,
        };
        if !inside {
            return None;
        }
        let at = high.map_or(0, |high| {
            self.rows.partition_point(|row| &row.0[..] >= high)
        });
        self.found(at)
    }

    fn found(&self, at: usize) -> Option<Option<&StoredRow>> {
        match self.rows.get(at) {
            Some(row) => Some(Some(row)),
            None if self.whole => Some(None),
            None => None,
        }
    }
}

/// An encoded key.
type Encoded = Box<[u8]>;
type Keys = Map<Encoded, Value>;

/// What is in memory of an external table.
#[derive(Default)]
pub struct External {
    rows: Rows,
    /// Rows that differ from the store, by encoded key.
    dirty: Keys,
    /// Rows that the commit under way writes.
    in_flight: Keys,
    /// All rows in the store are to go, and the commit under way lets them go.
    cleared: bool,
    clearing: bool,
    /// The store may have rows of it.
    stored: bool,
    /// Some row that is or was in the store refers to an object.
    refs: bool,
    /// It is in the heap's count of hollow objects (invariant 2).
    counted: bool,
    pub up: Window,
    pub down: Window,
}

impl External {
    /// Whether rows that are not in memory may be in the store.
    pub fn reads_store(&self) -> bool {
        self.stored && !self.cleared && !self.clearing
    }

    /// A row: `None` if it is not in memory.
    #[inline]
    pub fn row(&self, key: Value) -> Option<Value> {
        self.rows
            .get(key)
            .map(|row| row.present().unwrap_or(Value::NIL))
    }

    /// The value of a row that is in memory and not nil.
    #[inline]
    pub fn read(&mut self, key: Value) -> Option<Value> {
        self.rows.read(key)
    }

    /// Whether the row is one that memory has and the store has not.
    pub fn is_pinned(&self, encoded: &[u8]) -> bool {
        self.dirty.contains_key(encoded) || self.in_flight.contains_key(encoded)
    }

    /// The first present row of memory's own in a range, from its beginning or its end.
    pub fn own_row(
        &self,
        low: &[u8],
        high: Option<&[u8]>,
        reverse: bool,
    ) -> Option<(Vec<u8>, Value, Value)> {
        let found = |keys: &Keys| {
            if high.is_some_and(|high| high <= low) {
                return None;
            }
            let mut range = keys.range(low, high);
            let there = |(encoded, key): (&Encoded, &Value)| {
                let value = self.row(*key).filter(|v| !v.is_nil())?;
                Some((encoded.to_vec(), *key, value))
            };
            if reverse {
                range.rev().find_map(there)
            } else {
                range.find_map(there)
            }
        };
        match (found(&self.dirty), found(&self.in_flight)) {
            (Some(a), Some(b)) if (a.0 > b.0) != reverse => Some(b),
            (Some(a), _) => Some(a),
            (None, b) => b,
        }
    }

    /// The keys of rows that the next commit writes, and their values; nil: it is to be deleted.
    pub fn changes(&self) -> Vec<(Vec<u8>, Value)> {
        let value = |key: &Value| self.row(*key).unwrap_or(Value::NIL);
        self.dirty
            .iter()
            .map(|(encoded, key)| (encoded.to_vec(), value(key)))
            .collect()
    }

    pub fn is_cleared(&self) -> bool {
        self.cleared
    }
    pub fn refs(&self) -> bool {
        self.refs
    }

    fn pinned_bytes(&self) -> usize {
        let of = |keys: &Keys| keys.keys().map(|key| key.len() + ROW_BYTES).sum::<usize>();
        of(&self.dirty) + of(&self.in_flight)
    }

    fn drop_clean(&mut self) {
        self.rows.drop_clean();
    }

    fn forget_windows(&mut self) {
        self.up = Window::default();
        self.down = Window::default();
    }
}

impl Header {
    /// The rows of this table are in the store one by one.
    #[inline]
    pub fn is_external(&self) -> bool {
        WORLDS && self.flags & EXTERNAL != 0 && self.kind as u32 == tag::TABLE
    }
}

impl Heap {
    /// A new external table without rows.
    pub(crate) fn external_table(&mut self) -> Result<Gc<Table>, OutOfMemory> {
        self.hollow_metatable()?;
        let t = self.table()?;
        self.make_external(t, None, false, false);
        Ok(t)
    }

    /// Makes an empty table, or a hollow one's stub, an external table. `stored`: the store may have rows, of which `refs` says whether some
    /// refer to objects.
    pub(crate) fn make_external(
        &mut self,
        mut t: Gc<Table>,
        metatable: Option<Gc<Table>>,
        stored: bool,
        refs: bool,
    ) {
        if t.header.flags & HOLLOW != 0 {
            self.world.hollow_count -= 1;
        }
        let mut state = External {
            stored,
            refs,
            ..External::default()
        };
        if stored && refs {
            state.counted = true;
            self.world.hollow_count += 1;
            self.world.external_count += 1;
        }
        t.bloom = match self.world.free_externals.pop() {
            Some(at) => {
                self.world.externals[at as usize] = state;
                at
            }
            None => {
                self.world.externals.push(state);
                self.world.externals.len() as u32 - 1
            }
        };
        t.header.flags |= HOLLOW | EXTERNAL;
        self.set_external_metatable(t, metatable);
        self.traverse_again(t);
    }

    /// What it refers to may be white now.
    fn traverse_again(&mut self, t: Gc<Table>) {
        let mut object = t.header();
        if object.mark & mark::BLACK != 0 {
            object.mark &= !mark::BLACK;
            if self.marking() {
                self.regray_object(object);
            }
        }
    }

    /// The metatable that programs see.
    pub(crate) fn metatable_of_table(&self, t: Gc<Table>) -> Option<Gc<Table>> {
        if t.header.is_hollow() && t.metatable == self.world.metatable {
            return None;
        }
        t.metatable
    }

    /// Sets any table's metatable (invariant 3). The caller has passed the barrier.
    pub(crate) fn set_external_metatable(&mut self, mut t: Gc<Table>, mt: Option<Gc<Table>>) {
        match mt {
            None if t.header.is_external() => t.metatable = self.world.metatable,
            mt => t.set_metatable(mt),
        }
    }

    /// What is in memory of an external table.
    #[inline]
    pub(crate) fn external(&mut self, t: Gc<Table>) -> &mut External {
        debug_assert!(t.header.is_external());
        &mut self.world.externals[t.bloom as usize]
    }

    /// Whether it is an external table that is in the count of hollow objects.
    #[cfg(feature = "checked")]
    pub(super) fn external_counts(&self, object: Gc<Header>) -> bool {
        let t = object
            .is_external()
            .then(|| Heap::as_kind::<Table>(object))
            .flatten();
        t.is_some_and(|t| self.world.externals[t.bloom as usize].counted)
    }

    /// Keeps a row that was read; nil: there is none.
    pub(crate) fn external_read(&mut self, t: Gc<Table>, key: Value, value: Value) {
        let e = self.external(t);
        let pinned = e.dirty.len() + e.in_flight.len();
        if e.rows.len() >= CLEAN_ROWS_MAX + pinned {
            e.drop_clean();
        }
        let value = if value.is_nil() { ABSENT } else { value };
        let row = Row {
            value,
            pinned: false,
            dirty: false,
        };
        e.rows.keep(normal_key(key), row);
        self.traverse_again(t);
    }

    /// Sets a row. The caller has passed the barrier, and `encoded` is the key's.
    pub(crate) fn external_put(
        &mut self,
        t: Gc<Table>,
        key: Value,
        encoded: Vec<u8>,
        value: Value,
    ) -> Result<(), OutOfMemory> {
        let (used, max) = (
            self.resident_bytes() + self.world.external_bytes,
            self.bytes_max,
        );
        let e = self.external(t);
        let key = normal_key(key);
        let bytes = encoded.len() + ROW_BYTES;
        let mut came = 0;
        if value.is_nil() && !e.stored && !e.clearing && e.in_flight.is_empty() {
            // Nobody knows of it but this.
            e.rows.remove(key);
            if e.dirty.remove(&encoded[..]).is_some() {
                self.world.external_bytes = self.world.external_bytes.saturating_sub(bytes);
            }
            return Ok(());
        }
        if !e.dirty.contains_key(&encoded[..]) {
            if used + bytes > max && !value.is_nil() {
                return Err(self.refuse(bytes));
            }
            e.dirty.insert(encoded.into(), key);
            came = bytes;
        }
        let value = if value.is_nil() { ABSENT } else { value };
        let row = Row {
            value,
            pinned: true,
            dirty: true,
        };
        e.rows.insert(key, row);
        self.world.external_bytes += came;
        Ok(())
    }

    /// Sets a row that has been set since the last commit, to a value that is not nil; false: it has not been.
    #[inline]
    pub(crate) fn external_put_again(&mut self, t: Gc<Table>, key: Value, value: Value) -> bool {
        match self.external(t).rows.change(normal_key(key)) {
            Some(row) if row.dirty && !value.is_nil() => row.value = value,
            _ => return false,
        }
        self.barrier(t);
        true
    }

    /// Removes all rows. The caller has passed the barrier.
    pub(crate) fn external_clear(&mut self, t: Gc<Table>) {
        let e = self.external(t);
        let bytes = e.pinned_bytes();
        e.dirty.clear();
        if e.in_flight.is_empty() {
            e.rows.clear();
        } else {
            // Should the commit under way fail, they are still to be forgotten.
            e.rows.clear();
            for (encoded, &key) in e.in_flight.iter() {
                e.dirty.insert(encoded.clone(), key);
                let row = Row {
                    value: ABSENT,
                    pinned: true,
                    dirty: true,
                };
                e.rows.insert(key, row);
            }
        }
        e.cleared = e.stored;
        e.forget_windows();
        let left = e.pinned_bytes();
        self.world.external_bytes = (self.world.external_bytes + left).saturating_sub(bytes);
    }

    /// The commit under way writes its changes.
    pub(crate) fn external_written(&mut self, t: Gc<Table>, refs: bool) {
        let e = self.external(t);
        e.in_flight = std::mem::take(&mut e.dirty);
        for &key in e.in_flight.values() {
            if let Some(row) = e.rows.change(key) {
                row.dirty = false;
            }
        }
        e.clearing = std::mem::take(&mut e.cleared);
        e.stored = true;
        e.refs |= refs;
        if e.refs && !e.counted {
            e.counted = true;
            self.world.hollow_count += 1;
            self.world.external_count += 1;
        }
    }

    /// How that commit ended.
    pub(crate) fn external_settled(&mut self, t: Gc<Table>, committed: bool) {
        let e = self.external(t);
        let before = e.pinned_bytes();
        let keys = std::mem::take(&mut e.in_flight);
        let clearing = std::mem::take(&mut e.clearing);
        for (encoded, key) in keys.into_items() {
            if !committed {
                if let Some(row) = e.rows.change(key) {
                    row.dirty = true;
                }
                e.dirty.insert(encoded, key);
            } else if !e.dirty.contains_key(&encoded)
                && let Some(row) = e.rows.change(key)
            {
                row.pinned = false;
            }
        }
        e.cleared |= clearing && !committed;
        e.forget_windows();
        if e.rows.len() > CLEAN_ROWS_MAX + e.dirty.len() {
            e.drop_clean();
        }
        let after = e.pinned_bytes();
        self.world.external_bytes = (self.world.external_bytes + after).saturating_sub(before);
    }

    /// Lets go of the rows that are as the store has them.
    pub(crate) fn external_evict(&mut self, t: Gc<Table>) {
        let e = self.external(t);
        e.drop_clean();
        e.forget_windows();
    }

    /// Makes it a hollow table like others: what the store does not have of it is forgotten.
    pub(crate) fn external_stub(&mut self, mut t: Gc<Table>) {
        if !self.external(t).counted {
            self.world.hollow_count += 1;
        } else {
            self.world.external_count -= 1;
        }
        // The bit alone stays counted: as a hollow object's.
        self.external(t).counted = false;
        self.external_dropped(t);
        t.header.flags &= !EXTERNAL;
        t.header.mark |= mark::CLEAN;
        t.bloom = 0;
        t.metatable = self.world.metatable;
    }

    /// The table goes.
    #[cold]
    pub(super) fn external_dropped(&mut self, t: Gc<Table>) {
        let e = std::mem::take(self.external(t));
        if e.counted {
            self.world.hollow_count -= 1;
            self.world.external_count -= 1;
        }
        let bytes = e.pinned_bytes();
        self.world.external_bytes = self.world.external_bytes.saturating_sub(bytes);
        self.world.free_externals.push(t.bloom);
    }

    /// The keys and values in memory, for the collector.
    pub(super) fn external_values(&mut self, t: Gc<Table>) -> Vec<Value> {
        let e = self.external(t);
        // A long string in `dirty` need not be the same object as its equal in `rows`.
        let mut values = Vec::new();
        let mut add = |v: Value| {
            if v.is_collectable() {
                values.push(v);
            }
        };
        for (key, row) in e.rows.iter() {
            add(key);
            add(row.value);
        }
        for keys in [&e.dirty, &e.in_flight] {
            keys.values().for_each(|v| add(*v));
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_values_and_come_back() {
        let big = 1i64 << 53;
        let numbers = [
            Value::float(f64::NEG_INFINITY),
            Value::float(-1e300),
            Value::int(i64::MIN),
            Value::int(i64::MIN + 1),
            Value::int(-big - 1),
            Value::int(-big),
            Value::float(-2.5),
            Value::int(-2),
            Value::float(-1e-300),
            Value::int(0),
            Value::float(5e-324),
            Value::float(0.5),
            Value::int(1),
            Value::int(big),
            Value::int(big + 1),
            Value::int(big + 2),
            Value::int(i64::MAX - 1),
            Value::int(i64::MAX),
            Value::float(9223372036854775808.0),
            Value::float(f64::INFINITY),
        ];
        let mut last = encode_key(Value::TRUE).unwrap();
        assert!(encode_key(Value::FALSE).unwrap() < last);
        for v in numbers {
            let encoded = encode_key(v).unwrap();
            assert!(last < encoded, "{last:?} {encoded:?}");
            let key = if v.is_int() {
                Key::Int(v.raw_int())
            } else {
                Key::Float(v.raw_float())
            };
            assert_eq!(decode_key(&encoded), Some(key));
            last = encoded;
        }
        assert!(last < [first::STRING].to_vec());
        assert_eq!(encode_key(Value::float(3.0)), encode_key(Value::int(3)));
        assert_eq!(encode_key(Value::float(f64::NAN)), None);
        assert_eq!(encode_key(Value::NIL), None);
        // Bytes that no key has.
        for bytes in [
            &[][..],
            &[1, 0],
            &[3],
            &[5],
            &number_key(1.0, 7),
            &number_key(0.5, 1),
        ] {
            let whole = decode_key(bytes).map(|key| format!("{key:?}"));
            assert_eq!(whole, None, "{bytes:?}");
        }
    }
}
