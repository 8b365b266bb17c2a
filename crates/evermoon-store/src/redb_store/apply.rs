//! A batch into redb's table, in the batch's order.
//!
//! Most commits are a few entries at random places: those are inserted one by one. An import, or a table's first save, is a long run of
//! ascending keys into a gap between the keys that are there; once a run has shown itself, a cursor stays in the gap, which redb fills several
//! times faster. The cursor itself refuses a key that does not belong there (it is out of order, or there already), and changes nothing then:
//! so the contents never depend on which way was taken.

use std::ops::Bound;

use redb::{CursorError, Table, WriteTransaction};

use super::ENTRIES;
use super::failure::Failure;
use crate::batch::{Batch, Op};
use crate::memory::bounds;

/// So many ascending puts in a row make a run. A cursor costs about as much as two insertions.
const RUN_LENGTH: usize = 16;

type Entries<'t> = Table<'t, &'static [u8], &'static [u8]>;

/// Applies the batch to the entries; the payload's new size.
pub(super) fn apply(
    transaction: &WriteTransaction,
    batch: &Batch,
    mut payload_bytes: u64,
) -> std::result::Result<u64, Failure> {
    let mut entries = transaction.open_table(ENTRIES)?;
    let mut ops = batch.ops();
    // Ascending puts so far, and the last of them.
    let mut run = 0;
    let mut last: &[u8] = &[];
    let mut next = ops.next();
    while let Some(op) = next {
        next = None;
        match op {
            Op::Put { key, value } if run >= RUN_LENGTH && key > last => {
                // What stopped the run has not been applied, and begins a new one.
                next = fill_gap(&mut entries, key, value, &mut ops, &mut payload_bytes)?;
                run = 0;
                if let Some(Op::Put { key, value }) = next {
                    put(&mut entries, key, value, &mut payload_bytes)?;
                    last = key;
                    next = None;
                }
            }
            Op::Put { key, value } => {
                run = if key > last { run + 1 } else { 0 };
                last = key;
                put(&mut entries, key, value, &mut payload_bytes)?;
            }
            Op::Delete { key } => {
                run = 0;
                if let Some(old) = entries.remove(key)? {
                    let gone = key.len() + old.value().len();
                    payload_bytes = payload_bytes.saturating_sub(gone as u64);
                }
            }
            Op::DeleteRange { from, to } => {
                run = 0;
                if to.is_none_or(|to| from < to) {
                    let mut gone = 0;
                    entries.retain_in::<&[u8], _>(bounds(from, to), |key, value| {
                        gone += (key.len() + value.len()) as u64;
                        false
                    })?;
                    payload_bytes = payload_bytes.saturating_sub(gone);
                }
            }
        }
        if next.is_none() {
            next = ops.next();
        }
    }
    Ok(payload_bytes)
}

fn put(
    entries: &mut Entries<'_>,
    key: &[u8],
    value: &[u8],
    payload_bytes: &mut u64,
) -> std::result::Result<(), Failure> {
    let old = entries.insert(key, value)?;
    *payload_bytes += value.len() as u64;
    *payload_bytes = match old {
        Some(old) => payload_bytes.saturating_sub(old.value().len() as u64),
        None => *payload_bytes + key.len() as u64,
    };
    Ok(())
}

/// Puts as many of the ops as belong, in their order, into the gap where `key` belongs. The op that did not, if one is left.
fn fill_gap<'b>(
    entries: &mut Entries<'_>,
    mut key: &'b [u8],
    mut value: &'b [u8],
    ops: &mut impl Iterator<Item = Op<'b>>,
    payload_bytes: &mut u64,
) -> std::result::Result<Option<Op<'b>>, Failure> {
    let mut cursor = entries.lower_bound_mut(Bound::Included(key))?;
    let left = loop {
        match cursor.insert_before(key, value) {
            Ok(()) => *payload_bytes += (key.len() + value.len()) as u64,
            Err(CursorError::UnorderedKey) => break Some(Op::Put { key, value }),
            Err(error) => return Err(error.into()),
        }
        match ops.next() {
            Some(Op::Put { key: k, value: v }) => (key, value) = (k, v),
            other => break other,
        }
    };
    cursor.close()?;
    Ok(left)
}
