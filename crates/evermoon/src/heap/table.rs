//! Tables: an array part, and an insertion-ordered hash part. Raw access only; metamethods are `vm/meta.rs`'s.
//!
//! ```text
//! array:    slots for keys 1 ..= array_len                  (room for array_cap)
//! entries:  (key, value) in the order of insertion          (entry_count used of entry_cap)
//! index:    behind the entries in the same buffer: hash -> entry number, linear probing; none while entry_cap <= 4
//! ```
//! Invariants
//! 1. A key is in one of the parts only. Keys `1..=array_len` are always looked up in the array.
//! 2. `array_len == 0`, or the slot `array_len` is not nil: so `#t` is `array_len` unless the hash goes on from there. Storing nil
//!    into the last slot shrinks `array_len`; slots between `array_len` and `array_cap` are not initialised.
//! 3. An entry is never moved or removed by storing nil: its value becomes nil (a tombstone) and its key stays, so that `next` can go on
//!    from it. Only inserting a new key may rebuild the parts, and the manual (6.1, `next`) forbids that during a traversal.
//! 4. `pairs` walks the array, then the entries in order. A key that moved from the entries to the array leaves a tombstone.
//! 5. No float key has an integral value; no key is nil or NaN.
//! 6. `bloom` has the bit of every string key's hash: a clear bit proves absence.
//! 7. An object that is the key of a tombstone is not kept alive by it: it becomes `tag::DEAD`. Short strings are; docs/heap.md says what holds in a world.
#![allow(unsafe_code)]

use super::object::{Gc, Header};
use super::string::Str;
use super::value::{Value, tag};
use super::{Heap, OutOfMemory};

/// Bits of a table's `Header::flags`.
pub mod flags {
    /// "As a metatable, it has no such field": `1 << Event` for the first eight events of `vm/meta.rs`.
    pub const ABSENT: u16 = 0xff;
    pub const WEAK_KEYS: u16 = 0x100;
    pub const WEAK_VALUES: u16 = 0x200;
    /// Some entry has an integer key.
    pub const INT_ENTRIES: u16 = 0x400;
    /// It has been some object's metatable.
    pub const METATABLE: u16 = 0x800;
}

/// An entry of the hash part. The first twelve bytes are a `Value`; the key's tag lies in its spare four.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Entry {
    pub value_bits: u64,
    pub value_tag: u32,
    pub key_tag: u32,
    pub key_bits: u64,
}

const _: () = assert!(size_of::<Entry>() == 24);

impl Entry {
    #[inline]
    pub fn key(&self) -> Value {
        Value {
            bits: self.key_bits,
            tag: self.key_tag,
        }
    }
    #[inline]
    pub fn value(&self) -> Value {
        Value {
            bits: self.value_bits,
            tag: self.value_tag,
        }
    }
    #[inline]
    fn set(&mut self, v: Value) {
        self.value_bits = v.bits;
        self.value_tag = v.tag;
    }
}

/// A table object.
#[repr(C)]
pub struct Table {
    pub header: Header,
    pub(crate) array: *mut Value,
    pub(crate) array_len: u32,
    pub(crate) array_cap: u32,
    pub(crate) entries: *mut Entry,
    pub(crate) entry_count: u32,
    pub(crate) entry_cap: u32,
    pub(crate) metatable: Option<Gc<Table>>,
    pub(crate) bloom: u32,
}

/// Bytes that a table without parts counts as, on every platform.
pub(super) const TABLE_BYTES: usize = 64;
/// Largest part; also keeps every size far below what a 32-bit address space can hold.
pub(super) const PART_MAX: u32 = 1 << 26;
/// Up to this many entries are searched without an index.
pub(super) const LINEAR_MAX: u32 = 4;
const NONE: u32 = u32::MAX;

/// Why a raw store cannot be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreError {
    NilKey,
    NanKey,
    /// The table would be larger than [`PART_MAX`].
    TooLarge,
    Memory,
}

impl From<OutOfMemory> for StoreError {
    fn from(_: OutOfMemory) -> Self {
        StoreError::Memory
    }
}

#[inline]
fn mix(bits: u64) -> u32 {
    (bits.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
}

#[inline(always)]
pub(super) fn hash_key(key: Value) -> u32 {
    match key.tag {
        tag::STR => Gc::<Str>::from_bits(key.bits).short_hash(),
        tag::LONG_STR => Gc::<Str>::from_bits(key.bits).hash(),
        _ => mix(key.bits ^ (key.tag as u64) << 56),
    }
}

/// Bytes of one slot of the index.
#[inline]
fn slot_size(cap: u32) -> usize {
    if cap <= 128 {
        1
    } else if cap <= 32768 {
        2
    } else {
        4
    }
}

#[inline]
pub(super) fn slot_count(cap: u32) -> usize {
    if cap <= LINEAR_MAX {
        0
    } else {
        cap.next_power_of_two() as usize * 2
    }
}

/// Bytes of the buffer that holds `cap` entries and their index.
#[inline]
pub(super) fn part_bytes(cap: u32) -> usize {
    cap as usize * size_of::<Entry>() + slot_count(cap) * slot_size(cap)
}

impl Table {
    /// An empty table's fields.
    pub(super) fn empty(header: Header) -> Table {
        Table {
            header,
            array: std::ptr::null_mut(),
            array_len: 0,
            array_cap: 0,
            entries: std::ptr::null_mut(),
            entry_count: 0,
            entry_cap: 0,
            metatable: None,
            bloom: 0,
        }
    }

    /// Logical bytes, the same on every platform.
    pub(super) fn bytes(&self) -> usize {
        TABLE_BYTES + self.array_cap as usize * 16 + part_bytes(self.entry_cap)
    }

    /// The array part in use.
    #[inline]
    pub fn array(&self) -> &[Value] {
        if self.array_len == 0 {
            return &[];
        }
        // SAFETY: invariant 2: the first `array_len` slots are initialised.
        unsafe { std::slice::from_raw_parts(self.array, self.array_len as usize) }
    }
    pub(crate) fn array_mut(&mut self) -> &mut [Value] {
        if self.array_len == 0 {
            return &mut [];
        }
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.array, self.array_len as usize) }
    }
    /// The entries in use, tombstones included.
    #[inline]
    pub fn entries(&self) -> &[Entry] {
        if self.entry_count == 0 {
            return &[];
        }
        // SAFETY: the first `entry_count` entries are initialised.
        unsafe { std::slice::from_raw_parts(self.entries, self.entry_count as usize) }
    }
    pub(crate) fn entries_mut(&mut self) -> &mut [Entry] {
        if self.entry_count == 0 {
            return &mut [];
        }
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.entries, self.entry_count as usize) }
    }

    #[inline]
    fn slots(&self) -> *mut u8 {
        // The index begins behind the last entry of the same buffer.
        self.entries.wrapping_add(self.entry_cap as usize).cast()
    }
    #[inline(always)]
    pub(super) fn slot(&self, at: usize) -> u32 {
        // SAFETY: `at` is below the slot count of this capacity; slots are initialised when the index is built.
        unsafe {
            match slot_size(self.entry_cap) {
                1 => match *self.slots().add(at) {
                    u8::MAX => NONE,
                    n => n as u32,
                },
                2 => match *self.slots().cast::<u16>().add(at) {
                    u16::MAX => NONE,
                    n => n as u32,
                },
                _ => *self.slots().cast::<u32>().add(at),
            }
        }
    }
    #[inline]
    pub(super) fn set_slot(&mut self, at: usize, n: u32) {
        // SAFETY: as above; an entry number is below the capacity, which the slot size was chosen for.
        unsafe {
            match slot_size(self.entry_cap) {
                1 => *self.slots().add(at) = n as u8,
                2 => *self.slots().cast::<u16>().add(at) = n as u16,
                _ => *self.slots().cast::<u32>().add(at) = n,
            }
        }
    }

    /// Entry number of a short string key, or `u32::MAX`.
    #[inline]
    pub(crate) fn find_name(&self, key: Gc<Str>) -> u32 {
        let hash = key.short_hash();
        if self.bloom & 1 << (hash & 31) == 0 {
            return NONE;
        }
        self.find_name_hashed(key.address() as u64, hash)
    }

    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn find_name_hashed(&self, bits: u64, hash: u32) -> u32 {
        if self.entry_cap <= LINEAR_MAX {
            for (i, e) in self.entries().iter().enumerate() {
                if e.key_bits == bits && e.key_tag == tag::STR {
                    return i as u32;
                }
            }
            return NONE;
        }
        let mask = slot_count(self.entry_cap) - 1;
        let mut at = hash as usize & mask;
        loop {
            let n = self.slot(at);
            if n == NONE {
                return NONE;
            }
            // SAFETY: the index holds numbers of initialised entries.
            let e = unsafe { &*self.entries.add(n as usize) };
            if e.key_bits == bits && e.key_tag == tag::STR {
                return n;
            }
            at = (at + 1) & mask;
        }
    }

    /// Entry number of any key in the hash part, or `u32::MAX`. The key is normalised (no integral float).
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(super) fn find(&self, key: Value) -> u32 {
        if key.tag == tag::STR {
            return self.find_name(Gc::from_bits(key.bits));
        }
        if self.entry_count == 0 {
            return NONE;
        }
        if key.tag == tag::LONG_STR {
            let hash = hash_key(key);
            if self.bloom & 1 << (hash & 31) == 0 {
                return NONE;
            }
            return self.find_by(hash, |e| {
                e.key_tag == tag::LONG_STR && e.key().raw_equals(key)
            });
        }
        if self.entry_cap <= LINEAR_MAX {
            for (i, e) in self.entries().iter().enumerate() {
                if e.key_bits == key.bits && e.key_tag == key.tag {
                    return i as u32;
                }
            }
            return NONE;
        }
        self.find_by(hash_key(key), |e| {
            e.key_bits == key.bits && e.key_tag == key.tag
        })
    }

    #[inline]
    fn find_by(&self, hash: u32, matches: impl Fn(&Entry) -> bool) -> u32 {
        if self.entry_cap <= LINEAR_MAX {
            return self
                .entries()
                .iter()
                .position(matches)
                .map_or(NONE, |i| i as u32);
        }
        let mask = slot_count(self.entry_cap) - 1;
        let mut at = hash as usize & mask;
        loop {
            let n = self.slot(at);
            if n == NONE {
                return NONE;
            }
            // SAFETY: the index holds numbers of initialised entries.
            if matches(unsafe { &*self.entries.add(n as usize) }) {
                return n;
            }
            at = (at + 1) & mask;
        }
    }

    #[inline]
    fn entry_value(&self, n: u32) -> Value {
        if n == NONE {
            return Value::NIL;
        }
        // SAFETY: entry numbers come from `find`.
        unsafe { (*self.entries.add(n as usize)).value() }
    }

    /// Raw `t[key]` for an integer.
    #[inline(always)]
    pub fn get_int(&self, key: i64) -> Value {
        let at = (key as u64).wrapping_sub(1);
        if at < self.array_len as u64 {
            // SAFETY: below `array_len`.
            return unsafe { *self.array.add(at as usize) };
        }
        if self.header.flags & flags::INT_ENTRIES == 0 {
            return Value::NIL;
        }
        self.entry_value(self.find(Value::int(key)))
    }

    /// Raw `t[key]` for a string.
    #[inline]
    pub fn get_str(&self, key: Gc<Str>) -> Value {
        if key.is_short() {
            self.entry_value(self.find_name(key))
        } else {
            self.entry_value(self.find(Value::string(key)))
        }
    }

    /// Raw `t[key]`.
    #[inline]
    pub fn get(&self, key: Value) -> Value {
        match key.tag {
            tag::INT => self.get_int(key.raw_int()),
            tag::STR => self.entry_value(self.find_name(Gc::from_bits(key.bits))),
            tag::NIL => Value::NIL,
            tag::FLOAT => match normal_key(key) {
                k if k.is_int() => self.get_int(k.raw_int()),
                k => self.entry_value(self.find(k)),
            },
            _ => self.entry_value(self.find(key)),
        }
    }

    /// `#t` without metamethods: a border (manual 3.4.7).
    #[inline]
    pub fn border(&self) -> u64 {
        let n = self.array_len as u64;
        if self.header.flags & flags::INT_ENTRIES == 0 {
            n
        } else {
            self.border_hash(n)
        }
    }

    #[cold]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn border_hash(&self, n: u64) -> u64 {
        let mut low = n;
        if self.get_int(low as i64 + 1).is_nil() {
            return low;
        }
        // Doubling, then bisection between a present and an absent key.
        low += 1;
        let mut high = low;
        loop {
            if high > i64::MAX as u64 / 2 {
                if self.get_int(i64::MAX).is_nil() {
                    high = i64::MAX as u64;
                    break;
                }
                return i64::MAX as u64;
            }
            high *= 2;
            if self.get_int(high as i64).is_nil() {
                break;
            }
            low = high;
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.get_int(middle as i64).is_nil() {
                high = middle;
            } else {
                low = middle;
            }
        }
        low
    }

    /// The entry after `key` in traversal order, as `next`: `None` at the end, `Err(())` if the key is not in the table.
    /// `hint` is where the caller guesses the key to be; it is checked, and set to the position of the key returned.
    #[allow(clippy::result_unit_err)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn next(&self, key: Value, hint: &mut u32) -> Result<Option<(Value, Value)>, ()> {
        let (from, _) = self.position_behind(key, *hint).ok_or(())?;
        let (found, stopped) = self.entry_from(from, usize::MAX);
        // A hollow table's keys are elsewhere.
        if found.is_none() && self.header.is_hollow() {
            return Err(());
        }
        *hint = stopped as u32;
        Ok(found)
    }

    /// The same for the loop, which cannot wait: `Err(())` also if there are many empty slots to go over.
    #[inline]
    #[allow(clippy::result_unit_err)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn next_near(
        &self,
        key: Value,
        hint: &mut u32,
    ) -> Result<Option<(Value, Value)>, ()> {
        /// Empty slots that cost nothing.
        const NEAR: usize = 64;
        let (from, looked_at) = self.position_behind(key, *hint).ok_or(())?;
        let (found, stopped) = self.entry_from(from, NEAR);
        if found.is_none() && (stopped - from == NEAR || self.header.is_hollow()) || looked_at > 0 {
            return Err(());
        }
        *hint = stopped as u32;
        Ok(found)
    }

    /// The position behind a key (behind none for nil) in traversal order, and how many entries had to be looked at to find it beyond
    /// what is usual. `None` if the key is not in the table.
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn position_behind(&self, key: Value, hint: u32) -> Option<(usize, usize)> {
        let array_len = self.array_len as usize;
        if key.tag == tag::NIL {
            return Some((0, 0));
        }
        let guess = hint as usize;
        let key = if key.is_float() { normal_key(key) } else { key };
        if key.is_int() && (key.raw_int() as u64).wrapping_sub(1) < array_len as u64 {
            return Some((key.raw_int() as usize, 0));
        }
        if guess >= array_len
            && let Some(e) = self.entries().get(guess - array_len)
            && e.key_bits == key.bits
            && (e.key_tag == key.tag || e.key_tag == tag::DEAD && key.is_collectable())
        {
            return Some((guess + 1, 0));
        }
        let n = self.find(key);
        if n != NONE {
            return Some((array_len + n as usize + 1, 0));
        }
        if key.is_collectable() {
            // Its entry may have become a tombstone whose key the collector gave up.
            let entries = self.entries();
            let dead = |e: &Entry| e.key_tag == tag::DEAD && e.key_bits == key.bits;
            let n = entries.iter().position(dead)?;
            return Some((array_len + n + 1, n));
        }
        // The array may have shrunk under the traversal.
        (key.is_int() && (key.raw_int() as u64).wrapping_sub(1) < self.array_cap as u64)
            .then_some((array_len, 0))
    }

    /// The first entry from a position on that is not empty, and where it is; else where the search has stopped, after at most `most`
    /// empty slots.
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn entry_from(&self, from: usize, most: usize) -> (Option<(Value, Value)>, usize) {
        let array = self.array();
        let end = from.saturating_add(most);
        let mut at = from;
        while at < array.len().min(end) {
            if !array[at].is_nil() {
                return (Some((Value::int(at as i64 + 1), array[at])), at);
            }
            at += 1;
        }
        let entries = self.entries();
        while at < end {
            let Some(e) = at.checked_sub(array.len()).and_then(|n| entries.get(n)) else {
                break;
            };
            if e.value_tag != tag::NIL {
                return (Some((e.key(), e.value())), at);
            }
            at += 1;
        }
        (None, at)
    }

    /// Whether some string key could have this value's hash; used by tests of absence.
    pub fn len_hint(&self) -> (u32, u32) {
        (self.array_len, self.entry_count)
    }

    /// Cuts trailing nils off the array (invariant 2).
    pub(crate) fn trim(&mut self) {
        // SAFETY: slots below `array_len` are initialised.
        while self.array_len > 0
            && unsafe { (*self.array.add(self.array_len as usize - 1)).is_nil() }
        {
            self.array_len -= 1;
        }
    }
}

impl Gc<Table> {
    /// Sets the metatable. Whoever needs `__gc` honoured registers the table with the collector too. (Not a method of `&mut Table`: a table
    /// may be its own metatable.)
    pub fn set_metatable(mut self, metatable: Option<Gc<Table>>) {
        if let Some(mut mt) = metatable {
            mt.header.flags |= flags::METATABLE;
        }
        self.metatable = metatable;
    }
}

/// A key as tables hold it: an integral float becomes the integer.
#[inline]
pub fn normal_key(key: Value) -> Value {
    if key.tag == tag::FLOAT {
        let f = key.raw_float();
        if (-9223372036854775808.0..9223372036854775808.0).contains(&f) {
            let i = f as i64;
            if i as f64 == f {
                return Value::int(i);
            }
        }
    }
    key
}

impl Heap {
    /// Raw `t[key] = value` for an integer key. The caller has passed the barrier.
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn table_set_int(
        &mut self,
        mut t: Gc<Table>,
        key: i64,
        value: Value,
    ) -> Result<(), StoreError> {
        let at = (key as u64).wrapping_sub(1);
        if at < t.array_len as u64 {
            // SAFETY: below `array_len`.
            unsafe { value.store(t.array.add(at as usize)) };
            if value.is_nil() && at + 1 == t.array_len as u64 {
                t.trim();
            }
            return Ok(());
        }
        if at == t.array_len as u64 && !value.is_nil() {
            return self.table_append(t, value);
        }
        self.table_set_entry(t, Value::int(key), value)
    }

    /// Stores a value other than nil right behind the array part.
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn table_append(&mut self, mut t: Gc<Table>, value: Value) -> Result<(), StoreError> {
        let key = t.array_len as i64 + 1;
        if t.header.flags & flags::INT_ENTRIES != 0 {
            // The key may be an entry already. It stays there: moving it would disturb a traversal (invariant 3).
            let n = t.find(Value::int(key));
            if n != NONE && t.entries()[n as usize].value_tag != tag::NIL {
                t.entries_mut()[n as usize].set(value);
                return Ok(());
            }
        }
        if t.array_len == t.array_cap {
            self.table_grow_array(t)?;
            if key <= t.array_len as i64 {
                // The rebuild made the slot already.
                return self.table_set_int(t, key, value);
            }
            if t.array_len == t.array_cap || key != t.array_len as i64 + 1 {
                return self.table_set_entry(t, Value::int(key), value);
            }
        }
        // SAFETY: there is room for one more.
        unsafe { value.store(t.array.add(t.array_len as usize)) };
        t.array_len += 1;
        if t.header.flags & flags::INT_ENTRIES != 0 {
            // Entries that now continue the array move into it.
            loop {
                let n = t.find(Value::int(t.array_len as i64 + 1));
                if n == NONE || t.entries()[n as usize].value_tag == tag::NIL {
                    break;
                }
                if t.array_len == t.array_cap {
                    let cap = t.array_cap;
                    self.table_array_cap(t, (cap * 2).max(4))?;
                }
                let moved = t.entries()[n as usize].value();
                t.entries_mut()[n as usize].set(Value::NIL);
                // SAFETY: room was made above.
                unsafe { moved.store(t.array.add(t.array_len as usize)) };
                t.array_len += 1;
            }
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn table_grow_array(&mut self, t: Gc<Table>) -> Result<(), StoreError> {
        let cap = t.array_cap;
        if cap >= 64 {
            // A queue leaves nils at the front: then the split is chosen anew, or the array would grow for ever.
            let used = t.array().iter().filter(|v| !v.is_nil()).count();
            if used < cap as usize / 2 {
                return self.table_rebuild(t, Value::int(t.array_len as i64 + 1));
            }
        }
        let cap = if cap < 4 {
            4
        } else {
            cap.checked_mul(2)
                .filter(|&c| c <= PART_MAX)
                .ok_or(StoreError::TooLarge)?
        };
        self.table_array_cap(t, cap)
    }

    /// Sets the room of the array part; `cap` is at least `array_len`.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn table_array_cap(&mut self, mut t: Gc<Table>, cap: u32) -> Result<(), StoreError> {
        if cap > PART_MAX {
            return Err(StoreError::TooLarge);
        }
        let (old, new) = (t.array_cap as usize * 16, cap as usize * 16);
        if new > old {
            self.reserve_block(new - old, new)?;
        }
        t.array = if old == 0 {
            self.pools.buffer(new)
        } else {
            // SAFETY: the buffer was made here with `old` bytes.
            unsafe {
                self.pools
                    .buffer_resize(t.array.cast(), old, new, t.array_len as usize * 16)
            }
        }
        .cast();
        t.array_cap = cap;
        self.account(new as isize - old as isize);
        Ok(())
    }

    /// Room for `array` slots and `entries` entries in an empty table.
    pub fn table_presize(
        &mut self,
        t: Gc<Table>,
        array: u32,
        entries: u32,
    ) -> Result<(), StoreError> {
        if array > t.array_cap {
            self.table_array_cap(t, array)?;
        }
        if entries > t.entry_cap {
            let cap = if entries <= LINEAR_MAX {
                entries
            } else {
                entries.next_power_of_two()
            };
            self.table_entry_cap(t, cap)?;
        }
        Ok(())
    }

    /// Raw `t[key] = value`. The caller has passed the barrier. Errors for nil and NaN keys, and when memory is out.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn table_set(&mut self, t: Gc<Table>, key: Value, value: Value) -> Result<(), StoreError> {
        match key.tag {
            tag::INT => self.table_set_int(t, key.raw_int(), value),
            tag::NIL => Err(StoreError::NilKey),
            tag::FLOAT => {
                let k = normal_key(key);
                if k.is_int() {
                    self.table_set_int(t, k.raw_int(), value)
                } else if k.raw_float().is_nan() {
                    Err(StoreError::NanKey)
                } else {
                    self.table_set_entry(t, k, value)
                }
            }
            _ => self.table_set_entry(t, key, value),
        }
    }

    /// Raw store under a string key.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn table_set_str(
        &mut self,
        t: Gc<Table>,
        key: Gc<Str>,
        value: Value,
    ) -> Result<(), StoreError> {
        self.table_set_entry(t, Value::string(key), value)
    }

    /// Stores into the hash part; the key is normalised and not in the array part.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn table_set_entry(
        &mut self,
        mut t: Gc<Table>,
        key: Value,
        value: Value,
    ) -> Result<(), StoreError> {
        let n = t.find(key);
        if n != NONE {
            // A field that comes back to life may be a metamethod: forget what was known to be absent.
            t.header.flags &= !flags::ABSENT;
            t.entries_mut()[n as usize].set(value);
            return Ok(());
        }
        if value.is_nil() {
            return Ok(());
        }
        if t.entry_count == t.entry_cap {
            self.table_rebuild(t, key)?;
            // The rebuild may have made the key an array key.
            if key.is_int() {
                let at = (key.raw_int() as u64).wrapping_sub(1);
                if at <= t.array_len as u64 && at < t.array_cap as u64 {
                    return self.table_set_int(t, key.raw_int(), value);
                }
            }
        }
        self.table_push_entry(t, key, value);
        Ok(())
    }

    /// Appends an entry for which there is room and whose key is new.
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn table_push_entry(&mut self, mut t: Gc<Table>, key: Value, value: Value) {
        let n = t.entry_count;
        debug_assert!(n < t.entry_cap);
        let hash = hash_key(key);
        match key.tag {
            tag::STR | tag::LONG_STR => t.bloom |= 1 << (hash & 31),
            tag::INT => t.header.flags |= flags::INT_ENTRIES,
            _ => {}
        }
        t.header.flags &= !flags::ABSENT;
        // SAFETY: `n < entry_cap`.
        unsafe {
            t.entries.add(n as usize).write(Entry {
                value_bits: value.bits,
                value_tag: value.tag,
                key_tag: key.tag,
                key_bits: key.bits,
            });
        }
        t.entry_count = n + 1;
        if t.entry_cap > LINEAR_MAX {
            let mask = slot_count(t.entry_cap) - 1;
            let mut at = hash as usize & mask;
            while t.slot(at) != NONE {
                at = (at + 1) & mask;
            }
            t.set_slot(at, n);
        }
    }

    /// Sets the room of the hash part, dropping tombstones, and builds the index anew.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn table_entry_cap(&mut self, mut t: Gc<Table>, cap: u32) -> Result<(), StoreError> {
        if cap > PART_MAX {
            return Err(StoreError::TooLarge);
        }
        let (old, new) = (part_bytes(t.entry_cap), part_bytes(cap));
        if new > old {
            self.reserve_block(new - old, new)?;
        }
        // Compact in place first, so that one resize of the buffer is all that moves.
        let mut live = 0usize;
        let mut bloom = 0u32;
        let mut ints = 0u16;
        let count = t.entry_count as usize;
        for i in 0..count {
            // SAFETY: `live <= i < count`.
            unsafe {
                let e = *t.entries.add(i);
                if e.value_tag != tag::NIL {
                    match e.key_tag {
                        tag::STR | tag::LONG_STR => bloom |= 1 << (hash_key(e.key()) & 31),
                        tag::INT => ints = flags::INT_ENTRIES,
                        _ => {}
                    }
                    *t.entries.add(live) = e;
                    live += 1;
                }
            }
        }
        debug_assert!(live <= cap as usize);
        t.entry_count = live as u32;
        t.bloom = bloom;
        t.header.flags = t.header.flags & !flags::INT_ENTRIES | ints;
        // SAFETY: the buffer was made here with `old` bytes; the live entries are its initialised prefix.
        t.entries = unsafe {
            self.pools
                .buffer_resize(t.entries.cast(), old, new, live * size_of::<Entry>())
        }
        .cast();
        t.entry_cap = cap;
        self.account(new as isize - old as isize);
        let slots = slot_count(cap);
        if slots > 0 {
            // SAFETY: the index part of the new buffer. All ones read as "none" in every slot size.
            unsafe { t.slots().write_bytes(0xff, slots * slot_size(cap)) };
            let mask = slots - 1;
            for i in 0..live {
                // SAFETY: below the live count.
                let hash = hash_key(unsafe { (*t.entries.add(i)).key() });
                let mut at = hash as usize & mask;
                while t.slot(at) != NONE {
                    at = (at + 1) & mask;
                }
                t.set_slot(at, i as u32);
            }
        }
        Ok(())
    }

    /// Chooses both parts' sizes anew so that `key` fits: the array gets the largest n such that more than half of 1..=n are
    /// in use (the paper "The Implementation of Lua 5.0", section 4), the rest goes to the hash part.
    #[cold]
    #[inline(never)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn table_rebuild(&mut self, mut t: Gc<Table>, key: Value) -> Result<(), StoreError> {
        let mut live = 0u32;
        let mut entry_ints = 0u32;
        // bins[b] counts integer keys in (2^(b-1), 2^b].
        let mut bins = [0u32; 33];
        let mut bin = |k: i64| -> bool {
            let fits = k >= 1 && k <= PART_MAX as i64;
            if fits {
                bins[64 - (k as u64 - 1).leading_zeros() as usize] += 1;
            }
            fits
        };
        for e in t.entries() {
            if e.value_tag != tag::NIL {
                live += 1;
                if e.key_tag == tag::INT && bin(e.key_bits as i64) {
                    entry_ints += 1;
                }
            }
        }
        let key_is_int = key.is_int() && bin(key.raw_int());
        let mut new_array = t.array_cap;
        let queue =
            key.is_int() && t.array_len == t.array_cap && key.raw_int() == t.array_len as i64 + 1;
        if entry_ints > 0 || key_is_int {
            for (i, v) in t.array().iter().enumerate() {
                if !v.is_nil() {
                    bin(i as i64 + 1);
                }
            }
            let mut sum = 0u64;
            let mut best = 0u64;
            for (b, &count) in bins.iter().enumerate() {
                let size = 1u64 << b;
                sum += count as u64;
                if sum > size / 2 {
                    best = size;
                }
                if size > PART_MAX as u64 {
                    break;
                }
            }
            let best = best.min(PART_MAX as u64) as u32;
            // The array never shrinks here, except for a queue's sake: a shrink moves values behind other entries.
            if best > new_array || queue {
                new_array = best;
            }
        }
        if new_array < t.array_len {
            return self.table_shrink_array(t, new_array, live);
        }
        if new_array > t.array_cap {
            self.table_array_cap(t, new_array)?;
        }
        // Move entries that now belong to the array. Slots in between become nil; the last one used is not nil.
        let mut top = t.array_len;
        if new_array > t.array_len && entry_ints > 0 {
            for e in t.entries() {
                if e.value_tag != tag::NIL && e.key_tag == tag::INT {
                    let k = e.key_bits as i64;
                    if k > t.array_len as i64 && k <= new_array as i64 {
                        top = top.max(k as u32);
                    }
                }
            }
            if top > t.array_len {
                let from = t.array_len;
                // SAFETY: `top <= array_cap`.
                unsafe {
                    for i in from..top {
                        Value::NIL.store(t.array.add(i as usize));
                    }
                }
                let array = t.array;
                for e in t.entries_mut() {
                    if e.value_tag != tag::NIL && e.key_tag == tag::INT {
                        let k = e.key_bits as i64;
                        if k > from as i64 && k <= top as i64 {
                            // SAFETY: `k - 1 < top <= array_cap`.
                            unsafe { e.value().store(array.add(k as usize - 1)) };
                            e.set(Value::NIL);
                            live -= 1;
                        }
                    }
                }
                t.array_len = top;
            }
        }
        if key.is_int() && (1..=new_array as i64).contains(&key.raw_int()) {
            // The key goes to the array: make its slot part of it.
            let k = key.raw_int() as u32;
            if k > t.array_len {
                // SAFETY: `k <= array_cap`. The caller stores the value right after this, which restores invariant 2.
                unsafe {
                    for i in t.array_len..k {
                        Value::NIL.store(t.array.add(i as usize));
                    }
                }
                t.array_len = k;
            }
            let cap = t.entry_cap;
            return self.table_entry_cap(t, cap);
        }
        self.table_entry_cap(t, grown(live + 1))
    }

    /// The array part gives its tail back to the hash part.
    fn table_shrink_array(
        &mut self,
        mut t: Gc<Table>,
        new_array: u32,
        live: u32,
    ) -> Result<(), StoreError> {
        let tail: Vec<(i64, Value)> = t.array()[new_array as usize..]
            .iter()
            .enumerate()
            .filter(|(_, v)| !v.is_nil())
            .map(|(i, v)| (new_array as i64 + i as i64 + 1, *v))
            .collect();
        self.table_entry_cap(t, grown(live + tail.len() as u32 + 1))?;
        t.array_len = new_array;
        t.trim();
        let len = t.array_len;
        self.table_array_cap(t, len.max(new_array))?;
        for (k, v) in tail {
            self.table_push_entry(t, Value::int(k), v);
        }
        Ok(())
    }

    /// Lets both parts go. The caller sees to the metatable.
    pub(super) fn table_clear(&mut self, mut t: Gc<Table>) {
        self.forget_partial(t);
        let bytes = t.bytes() - TABLE_BYTES;
        self.table_drop(t);
        self.account(-(bytes as isize));
        t.array = std::ptr::null_mut();
        t.entries = std::ptr::null_mut();
        (t.array_len, t.array_cap, t.entry_count, t.entry_cap) = (0, 0, 0, 0);
        t.bloom = 0;
        t.header.flags &= flags::METATABLE | super::object::HOLLOW;
    }

    /// Room for so many entries in a table without any.
    pub(super) fn table_entry_room(&mut self, t: Gc<Table>, cap: u32) -> Result<(), StoreError> {
        debug_assert_eq!(t.entry_count, 0);
        if cap == 0 {
            return Ok(());
        }
        self.table_entry_cap(t, cap)
    }

    /// Puts an entry back as it was; a lost key (`tag::DEAD`) is found by nobody.
    pub(super) fn table_restore_entry(&mut self, mut t: Gc<Table>, key: Value, value: Value) {
        if key.tag != tag::DEAD {
            return self.table_push_entry(t, key, value);
        }
        let n = t.entry_count;
        assert!(n < t.entry_cap);
        // SAFETY: `n < entry_cap`.
        unsafe {
            t.entries.add(n as usize).write(Entry {
                value_bits: 0,
                value_tag: tag::NIL,
                key_tag: tag::DEAD,
                key_bits: key.bits,
            });
        }
        t.entry_count = n + 1;
    }

    /// Frees a dead table's parts.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(super) fn table_drop(&mut self, t: Gc<Table>) {
        // SAFETY: the buffers were made here with these sizes, and the table is dead.
        unsafe {
            self.pools
                .buffer_free(t.array.cast(), t.array_cap as usize * 16);
            self.pools
                .buffer_free(t.entries.cast(), part_bytes(t.entry_cap));
        }
    }
}

/// The capacity for so many entries with some room to grow.
fn grown(live: u32) -> u32 {
    match live {
        0..=1 => 1,
        2 => 2,
        3..=4 => 4,
        n => {
            let cap = n.next_power_of_two();
            // A nearly full part would be rebuilt again at once.
            if n > cap - cap / 4 && n != cap {
                cap * 2
            } else {
                cap
            }
        }
    }
}
