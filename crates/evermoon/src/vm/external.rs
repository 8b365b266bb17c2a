//! External tables (`heap/external.rs`) as programs use them: a row is looked up in memory first, then in the store; rows in order are those of
//! the store with memory's own laid over them.
//!
//! Everything here may have to wait for the store ([`Thrown::Fault`](super::native::Thrown::Fault)): it is called before its caller has had an effect. What a program sees does
//! not depend on what is in memory.

use super::Vm;
use super::native::Throw;
use crate::heap::external::{Key, StoredRow, Window, decode_key, encode_key, successor};
use crate::heap::object::Gc;
use crate::heap::table::{StoreError, Table, normal_key};
use crate::heap::value::Value;

/// Rows read from the store in one go.
const BATCH: usize = 64;
/// Rows read when they are only counted.
const COUNT_BATCH: usize = 1024;

/// A row: its encoded key, key and value.
pub type Found = (Vec<u8>, Value, Value);

impl Vm {
    /// A row that is in memory and not nil, the usual case of an external table: to be asked before anything else.
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn row_here(&mut self, object: Value, key: Value) -> Option<Value> {
        let t = object.as_table()?;
        if !t.header.is_external() || key.is_float() {
            return None;
        }
        self.heap.external(t).read(key)
    }

    /// Raw `t[key]`.
    #[inline]
    pub(crate) fn ext_get(&mut self, t: Gc<Table>, key: Value) -> Result<Value, Throw> {
        let key = normal_key(key);
        let e = self.heap.external(t);
        if let Some(v) = e.row(key) {
            return Ok(v);
        }
        if e.reads_store() {
            self.ext_fetch(t, key)
        } else {
            Ok(Value::NIL)
        }
    }

    #[cold]
    fn ext_fetch(&mut self, t: Gc<Table>, key: Value) -> Result<Value, Throw> {
        let Some(encoded) = encode_key(key) else {
            return Ok(Value::NIL);
        };
        let v = self.with_loader(|loader, vm| loader.row(vm, t, &encoded))?;
        self.heap.external_read(t, key, v);
        Ok(v)
    }

    /// Raw `t[key]` of any table that has been touched.
    #[inline]
    pub fn get_raw(&mut self, t: Gc<Table>, key: Value) -> Result<Value, Throw> {
        if t.header.is_external() {
            self.ext_get(t, key)
        } else {
            Ok(t.get(key))
        }
    }

    /// Raw `t[key] = value`; passes the barrier.
    #[cold]
    #[inline(never)]
    pub(crate) fn ext_set(&mut self, t: Gc<Table>, key: Value, value: Value) -> Result<(), Throw> {
        if self.heap.external_put_again(t, key, value) {
            return Ok(());
        }
        let Some(encoded) = encode_key(key) else {
            return Err(if key.is_nil() {
                self.store_error(StoreError::NilKey)
            } else if key.is_float() {
                self.store_error(StoreError::NanKey)
            } else if key.is_string() {
                self.fail_here("string too long for a key of an external table")
            } else {
                let what = key.type_of().name();
                self.fail_here(format!(
                    "a key of an external table is a boolean, number or string, not a {what}"
                ))
            });
        };
        self.heap.barrier(t);
        let put = self.heap.external_put(t, key, encoded, value);
        Ok(put?)
    }

    /// Raw `#t`: the largest integer key above 0. (Which border it is must not depend on what is in memory.)
    pub(crate) fn ext_border(&mut self, t: Gc<Table>) -> Result<i64, Throw> {
        let low = encode_key(Value::int(1)).unwrap_or_default();
        let mut high = encode_key(Value::int(i64::MAX)).map(successor);
        loop {
            match self.ext_row(t, &low, high.as_deref(), true)? {
                None => return Ok(0),
                Some((_, key, _)) if key.is_int() => return Ok(key.raw_int()),
                Some((encoded, ..)) => high = Some(encoded),
            }
        }
    }

    /// The row after a key (nil: the first). A key that is not there (any more) has a place in the order all the same.
    pub(crate) fn ext_next(
        &mut self,
        t: Gc<Table>,
        key: Value,
    ) -> Result<Option<(Value, Value)>, Throw> {
        let low = match encode_key(key) {
            _ if key.is_nil() => Vec::new(),
            Some(encoded) => successor(encoded),
            None => return Err(self.throw_bytes(b"invalid key to 'next'")),
        };
        let row = self.ext_row(t, &low, None, false)?;
        Ok(row.map(|(_, key, value)| (key, value)))
    }

    /// The first row from `low` (inclusive) to `high` (exclusive; none: no bound), or the last.
    pub(crate) fn ext_row(
        &mut self,
        t: Gc<Table>,
        low: &[u8],
        high: Option<&[u8]>,
        reverse: bool,
    ) -> Result<Option<Found>, Throw> {
        if high.is_some_and(|high| high <= low) {
            return Ok(None);
        }
        let own = self.heap.external(t).own_row(low, high, reverse);
        let (mut from, mut to) = (low.to_vec(), high.map(<[u8]>::to_vec));
        let stored = loop {
            let Some((encoded, record)) = self.ext_stored(t, &from, to.as_deref(), reverse)? else {
                break None;
            };
            if let Some((own, ..)) = &own
                && (*own < encoded) != reverse
                && *own != encoded
            {
                // Memory's own comes first: no need to look on.
                break None;
            }
            if !self.heap.external(t).is_pinned(&encoded) {
                break Some((encoded, record));
            }
            if reverse {
                to = Some(encoded);
            } else {
                from = successor(encoded);
            }
        };
        let Some((encoded, record)) = stored else {
            return Ok(own);
        };
        let key = match decode_key(&encoded) {
            Some(Key::Bool(b)) => Value::bool(b),
            Some(Key::Int(i)) => Value::int(i),
            Some(Key::Float(f)) => Value::float(f),
            Some(Key::Text(text)) => {
                let s = self.heap.arriving_string(text);
                Value::string(s?)
            }
            None => return Err(self.fail("damaged record in the world: a row's key")),
        };
        let value = match self.heap.external(t).row(key) {
            Some(v) => v,
            None => {
                let v =
                    self.with_loader(|loader, vm| loader.row_value(vm, t, &encoded, &record))?;
                self.heap.external_read(t, key, v);
                v
            }
        };
        Ok(Some((encoded, key, value)))
    }

    /// The first (last) row of the store's in a range, and its record.
    fn ext_stored(
        &mut self,
        t: Gc<Table>,
        low: &[u8],
        high: Option<&[u8]>,
        reverse: bool,
    ) -> Result<Option<StoredRow>, Throw> {
        let e = self.heap.external(t);
        if !e.reads_store() {
            return Ok(None);
        }
        let known = if reverse {
            e.down.down(high)
        } else {
            e.up.up(low)
        };
        let inside = |row: Option<&StoredRow>| {
            row.filter(|row| {
                if reverse {
                    &row.0[..] >= low
                } else {
                    high.is_none_or(|high| &row.0[..] < high)
                }
            })
            .cloned()
        };
        if let Some(known) = known {
            return Ok(inside(known));
        }
        // The window goes beyond the range: what comes next will be asked for next.
        let (from, to) = if reverse {
            (&[][..], high)
        } else {
            (low, None)
        };
        let rows = self.with_loader(|loader, vm| loader.rows(vm, t, from, to, BATCH, reverse))?;
        let whole = rows.len() < BATCH;
        let first = inside(rows.first());
        let e = self.heap.external(t);
        if reverse {
            e.down = Window::new(high.map(<[u8]>::to_vec), rows, whole);
        } else {
            e.up = Window::new(Some(low.to_vec()), rows, whole);
        }
        Ok(first)
    }

    /// How many rows a range has.
    pub(crate) fn ext_count(
        &mut self,
        t: Gc<Table>,
        low: &[u8],
        high: Option<&[u8]>,
    ) -> Result<u64, Throw> {
        if high.is_some_and(|high| high <= low) {
            return Ok(0);
        }
        let mut count = 0;
        let mut from = low.to_vec();
        while let Some((encoded, ..)) = self.heap.external(t).own_row(&from, high, false) {
            count += 1;
            from = successor(encoded);
        }
        from = low.to_vec();
        while self.heap.external(t).reads_store() {
            let batch =
                self.with_loader(|loader, vm| loader.rows(vm, t, &from, high, COUNT_BATCH, false))?;
            let e = self.heap.external(t);
            count += batch.iter().filter(|row| !e.is_pinned(&row.0)).count() as u64;
            match batch.into_iter().nth(COUNT_BATCH - 1) {
                Some((last, _)) => from = successor(last),
                None => break,
            }
        }
        self.charge(count / 4);
        Ok(count)
    }

    /// Removes all rows.
    pub(crate) fn ext_clear(&mut self, t: Gc<Table>) {
        self.heap.barrier(t);
        self.heap.external_clear(t);
    }
}
