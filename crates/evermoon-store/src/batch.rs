//! What one commit writes: puts, deletes and range deletes, applied in the order in which they were added, so that the last write of a key
//! wins. A batch knows nothing of stores; its keys and values are checked against the limits when it is committed.

use crate::error::{Result, StoreError};
use crate::store::{KEY_SIZE_MAX, VALUE_SIZE_MAX};

/// One write, borrowed from its batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op<'a> {
    Put {
        key: &'a [u8],
        value: &'a [u8],
    },
    Delete {
        key: &'a [u8],
    },
    /// All keys from `from` (inclusive) to `to` (exclusive; none: to the end).
    DeleteRange {
        from: &'a [u8],
        to: Option<&'a [u8]>,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum OwnedOp {
    Put { key: Vec<u8>, value: Vec<u8> },
    Delete { key: Vec<u8> },
    DeleteRange { from: Vec<u8>, to: Option<Vec<u8>> },
}

/// The writes of one commit, in order.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Batch {
    ops: Vec<OwnedOp>,
    payload_bytes: u64,
}

impl Batch {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        let (key, value) = (key.into(), value.into());
        self.payload_bytes += (key.len() + value.len()) as u64;
        self.ops.push(OwnedOp::Put { key, value });
    }

    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        let key = key.into();
        self.payload_bytes += key.len() as u64;
        self.ops.push(OwnedOp::Delete { key });
    }

    /// Deletes all keys from `from` (inclusive) to `to` (exclusive; none: to the end).
    pub fn delete_range(&mut self, from: impl Into<Vec<u8>>, to: Option<Vec<u8>>) {
        let from = from.into();
        self.payload_bytes += (from.len() + to.as_ref().map_or(0, Vec::len)) as u64;
        self.ops.push(OwnedOp::DeleteRange { from, to });
    }

    /// How many writes there are.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// The bytes of all keys and values in it.
    pub fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// Empties it for the next commit.
    pub fn clear(&mut self) {
        self.ops.clear();
        self.payload_bytes = 0;
    }

    /// The writes, in order.
    pub fn ops(&self) -> impl DoubleEndedIterator<Item = Op<'_>> + ExactSizeIterator {
        self.ops.iter().map(|op| match op {
            OwnedOp::Put { key, value } => Op::Put { key, value },
            OwnedOp::Delete { key } => Op::Delete { key },
            OwnedOp::DeleteRange { from, to } => Op::DeleteRange {
                from,
                to: to.as_deref(),
            },
        })
    }

    /// Whether every key and value is within the contract's limits. Stores ask this before they change anything.
    pub fn check_limits(&self) -> Result<()> {
        for op in self.ops() {
            match op {
                Op::Put { key, value } => {
                    check("key", key.len(), KEY_SIZE_MAX)?;
                    check("value", value.len(), VALUE_SIZE_MAX)?;
                }
                Op::Delete { key } => check("key", key.len(), KEY_SIZE_MAX)?,
                // Bounds are not stored; any length has a place in the order.
                Op::DeleteRange { .. } => {}
            }
        }
        Ok(())
    }
}

fn check(what: &'static str, size: usize, limit: usize) -> Result<()> {
    if size > limit {
        return Err(StoreError::TooLarge { what, size, limit });
    }
    Ok(())
}
