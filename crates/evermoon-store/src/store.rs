//! The contract. A store holds one world: an ordered map from byte strings to byte strings, and two counters.
//!
//! 1. Keys are compared bytewise. A store never looks into keys or values.
//! 2. `version` is the number of the last commit, 0 before the first. `epoch` is the number of the last lease, 0 before the first.
//! 3. A commit is whole or absent, under every crash, and raises `version` by exactly one. No version is committed twice.
//! 4. What a durable commit or a lease has acknowledged is there after every crash. A relaxed commit may be lost by a crash, together with
//!    all commits after it; so what is left is always the state at some version.
//! 5. Only the holder of the latest lease can commit.
//! 6. A read sees the last commit, one version throughout the call.
//!
//! The trait is synchronous and safe to use as `dyn Store`. Reads hand out borrowed bytes (`read`, `visit`), so that a store need not copy;
//! the owning forms (`get`, `scan`) are there for convenience. How to write another store: `docs/stores.md`; it is right when it passes
//! `conformance`.

use std::ops::ControlFlow;

use crate::batch::Batch;
use crate::error::{Result, StoreError};

/// The longest key. From IndexedDB to PostgreSQL every index takes one of this size.
pub const KEY_SIZE_MAX: usize = 1024;

/// The longest value. Bounds what one read can ask of memory.
pub const VALUE_SIZE_MAX: usize = 64 << 20;

/// An entry, owned.
pub type Entry = (Vec<u8>, Vec<u8>);

/// The two counters.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Head {
    /// The number of the last commit; 0 when nothing has been committed yet.
    pub version: u64,
    /// The number of the last lease; 0 when it was never leased.
    pub epoch: u64,
}

impl Head {
    /// Whether a commit with these may go on. The epoch is asked first: who is fenced off need not know more.
    pub fn check(self, expected: u64, epoch: u64) -> Result<()> {
        if epoch != self.epoch {
            return Err(StoreError::Fenced {
                epoch,
                found: self.epoch,
            });
        }
        if expected != self.version {
            return Err(StoreError::Conflict {
                expected,
                found: self.version,
            });
        }
        Ok(())
    }
}

/// What a commit promises when it returns.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Durability {
    /// It is there after every crash.
    #[default]
    Durable,
    /// It may be lost by a crash, never torn, and never while a later commit survives. The next durable commit makes it durable.
    Relaxed,
}

/// Which entries, and in which order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scan<'a> {
    /// Inclusive.
    pub from: &'a [u8],
    /// Exclusive; none: to the end.
    pub to: Option<&'a [u8]>,
    pub limit: usize,
    /// From the last key to the first. The range stays the same, and `limit` counts from its end.
    pub reverse: bool,
}

impl<'a> Scan<'a> {
    /// Everything.
    pub fn all() -> Self {
        Scan {
            from: &[],
            to: None,
            limit: usize::MAX,
            reverse: false,
        }
    }

    /// From `from` (inclusive) to `to` (exclusive).
    pub fn range(from: &'a [u8], to: Option<&'a [u8]>) -> Self {
        Scan {
            from,
            to,
            ..Scan::all()
        }
    }

    pub fn limit(self, limit: usize) -> Self {
        Scan { limit, ..self }
    }

    pub fn reversed(self) -> Self {
        Scan {
            reverse: true,
            ..self
        }
    }

    /// Whether the range holds no key whatever is stored.
    pub fn is_void(&self) -> bool {
        self.limit == 0 || self.to.is_some_and(|to| to <= self.from)
    }
}

/// How much there is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Stats {
    /// Exact.
    pub entries: u64,
    /// The bytes of all keys and values. Exact.
    pub payload_bytes: u64,
    /// What the medium holds for it, free pages and slack included; 0 where there is no medium. Approximate.
    pub file_bytes: u64,
}

/// Where a long piece of work is: 0 at its start, 1 when it is done. Work that is told to `Break` stops at the next point where the store is
/// whole. The function may not use the store.
pub type Progress<'a> = dyn FnMut(f64) -> ControlFlow<()> + 'a;

/// Is shown an entry, and says whether it wants the next.
pub type Visitor<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// What `verify` found.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Health {
    /// Entries that can be read.
    pub entries: u64,
    /// The bytes of their keys and values.
    pub payload_bytes: u64,
    /// What is wrong, for people. Empty: all is well.
    pub damage: Vec<String>,
}

impl Health {
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty()
    }
}

/// A place for one world. See the file's head for the contract.
pub trait Store: Send {
    /// The two counters as of the last commit and lease.
    fn head(&self) -> Result<Head>;

    /// Adds one to the epoch, durably and atomically, and returns it. The caller is now the only writer: whoever holds an older epoch gets
    /// `Fenced` from his next commit. The version stays.
    fn lease(&mut self) -> Result<u64>;

    /// Shows the value of a key to `take` and tells whether there is one. The bytes are the store's and may not be kept.
    fn read(&self, key: &[u8], take: &mut dyn FnMut(&[u8])) -> Result<bool>;

    /// Shows the values of several keys, all of one version, by the position of the key. Absent keys are not shown.
    fn read_many(&self, keys: &[&[u8]], take: &mut dyn FnMut(usize, &[u8])) -> Result<()>;

    /// Shows entries in order of their keys (or the other way), all of one version, until `each` breaks. It streams: the store holds one
    /// entry at a time. The store may be read from within `each`.
    fn visit(&self, scan: Scan<'_>, each: &mut Visitor<'_>) -> Result<()>;

    /// Another handle on the same open store, for another thread to read with at the same time; none if it has no such thing.
    fn reader(&self) -> Option<Box<dyn Store>> {
        None
    }

    /// Applies the batch as the version after `expected` and returns that version. All or nothing; with `Durable` it is durable on return.
    /// `Fenced` when `epoch` is not the current one (asked first), `Conflict` when `expected` is not the current version, `TooLarge` when a
    /// key or value is over its limit: nothing has changed then. After `Io` and `Full` the store is closed; see `reopen`.
    fn commit(
        &mut self,
        expected: u64,
        epoch: u64,
        batch: &Batch,
        durability: Durability,
    ) -> Result<u64>;

    /// How much there is. Takes no time that grows with it.
    fn stats(&self) -> Result<Stats>;

    /// Goes on after a failure of the medium: closes what is open, opens it again as after a crash. `head` then tells whether the commit
    /// that failed is there. Does nothing to a store that is well.
    fn reopen(&mut self) -> Result<()>;

    /// Reads everything and checks what the store itself can check (its own structure; the contents' checksums are the engine's). Damage
    /// is in the answer, not an error. Leaves relaxed commits durable.
    fn verify(&mut self, progress: &mut Progress<'_>) -> Result<Health>;

    /// Gives free space back to the medium. The contents, the version and the epoch stay. Returns how many bytes it gave back.
    fn vacuum(&mut self, progress: &mut Progress<'_>) -> Result<u64>;

    /// Tells the store that nothing is going to be committed for a while. It may use the time for what makes opening it after a crash quick;
    /// nothing that can be read changes, and nothing depends on it.
    fn rest(&mut self) -> Result<()> {
        Ok(())
    }

    /// The value of a key, as a copy.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = None;
        self.read(key, &mut |bytes| value = Some(bytes.to_vec()))?;
        Ok(value)
    }

    /// The values of several keys, all of one version, as copies.
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
        let mut values = vec![None; keys.len()];
        self.read_many(keys, &mut |at, bytes| values[at] = Some(bytes.to_vec()))?;
        Ok(values)
    }

    /// Entries, as copies, all of one version. Give a limit: it holds all of them at once.
    fn scan(&self, scan: Scan<'_>) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        self.visit(scan, &mut |key, value| {
            entries.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })?;
        Ok(entries)
    }
}
