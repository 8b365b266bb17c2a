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

/// What a write is, and how many bytes of it there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    Put { key: usize, value: usize },
    Delete { key: usize },
    DeleteRange { from: usize, to: Option<usize> },
}

/// The writes of one commit, in order.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Batch {
    shapes: Vec<Shape>,
    /// Their keys and values, one behind the other.
    bytes: Vec<u8>,
}

impl Batch {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let (key, value) = (self.add(key.as_ref()), self.add(value.as_ref()));
        self.shapes.push(Shape::Put { key, value });
    }

    pub fn delete(&mut self, key: impl AsRef<[u8]>) {
        let key = self.add(key.as_ref());
        self.shapes.push(Shape::Delete { key });
    }

    /// Deletes all keys from `from` (inclusive) to `to` (exclusive; none: to the end).
    pub fn delete_range(&mut self, from: impl AsRef<[u8]>, to: Option<Vec<u8>>) {
        let from = self.add(from.as_ref());
        let to = to.map(|to| self.add(&to));
        self.shapes.push(Shape::DeleteRange { from, to });
    }

    fn add(&mut self, bytes: &[u8]) -> usize {
        self.bytes.extend_from_slice(bytes);
        bytes.len()
    }

    /// Takes over the writes of another batch, behind its own.
    pub fn append(&mut self, other: &mut Batch) {
        self.shapes.append(&mut other.shapes);
        self.bytes.append(&mut other.bytes);
    }

    /// How many writes there are.
    pub fn len(&self) -> usize {
        self.shapes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// The bytes of all keys and values in it.
    pub fn payload_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Empties it for the next commit.
    pub fn clear(&mut self) {
        self.shapes.clear();
        self.bytes.clear();
    }

    /// The writes, in order.
    pub fn ops(&self) -> impl ExactSizeIterator<Item = Op<'_>> {
        let mut rest = &self.bytes[..];
        let mut next = move |len: usize| {
            let (bytes, behind) = rest.split_at(len);
            rest = behind;
            bytes
        };
        self.shapes.iter().map(move |shape| match *shape {
            Shape::Put { key, value } => Op::Put {
                key: next(key),
                value: next(value),
            },
            Shape::Delete { key } => Op::Delete { key: next(key) },
            Shape::DeleteRange { from, to } => Op::DeleteRange {
                from: next(from),
                to: to.map(&mut next),
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
