//! What can go wrong in a store, told to a person by `Display` and to a program by `code`.
//!
//! Invariant: an error of `commit` or `lease` other than `Io` and `Full` means that nothing has changed. After those two the outcome is
//! known only when the store has been opened again: it is either the old version or the new one, whole.

use std::fmt;
use std::io;

/// What the methods of a store return.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why a store could not do what it was asked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// The version is not the one that the caller built upon: somebody else has committed.
    Conflict { expected: u64, found: u64 },
    /// The epoch is not the current one: somebody else has taken the lease.
    Fenced { epoch: u64, found: u64 },
    /// Another process, or another store in this one, has it open.
    Busy { name: String },
    /// What is stored fails its checks.
    Corrupt { what: String },
    /// The disk, or the quota, is full.
    Full { what: String },
    /// A key or a value over the limit of the contract.
    TooLarge {
        what: &'static str,
        size: usize,
        limit: usize,
    },
    /// Closed by its owner, or by an earlier failure of the medium: `reopen` it, or open it again.
    Closed { why: String },
    /// The file is something else than a store.
    NotAStore { name: String, why: String },
    /// The store was written by a newer Evermoon.
    Format { found: u64, newest: u64 },
    /// The medium failed.
    Io { what: String, error: io::Error },
}

impl StoreError {
    /// The same short name in Rust, the ABI, TypeScript and HTTP.
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::Conflict { .. } => "conflict",
            StoreError::Fenced { .. } => "fenced",
            StoreError::Busy { .. } => "busy",
            StoreError::Corrupt { .. } => "corrupt",
            StoreError::Full { .. } => "full",
            StoreError::TooLarge { .. } => "too_large",
            StoreError::Closed { .. } => "closed",
            StoreError::NotAStore { .. } => "not_a_store",
            StoreError::Format { .. } => "format",
            StoreError::Io { .. } => "io",
        }
    }

    /// From an error of the medium: a full disk is told apart from a broken one.
    pub fn from_io(what: impl Into<String>, error: io::Error) -> Self {
        let what = what.into();
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => StoreError::Full {
                what: format!("{what}: {error}"),
            },
            _ => StoreError::Io { what, error },
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Conflict { expected, found } => write!(
                f,
                "another writer committed version {found} first (this one built upon version {expected}): reopen the world and run again"
            ),
            StoreError::Fenced { epoch, found } => write!(
                f,
                "another writer has taken over this world (its lease is number {found}, ours was number {epoch}): reopen the world to write again"
            ),
            StoreError::Busy { name } => write!(f, "another process has '{name}' open"),
            StoreError::Corrupt { what } => write!(f, "the store is damaged: {what}"),
            StoreError::Full { what } => write!(f, "no space left ({what})"),
            StoreError::TooLarge { what, size, limit } => {
                write!(
                    f,
                    "a {what} of {size} bytes is over the limit of {limit} bytes"
                )
            }
            StoreError::Closed { why } => write!(f, "the store is closed: {why}"),
            StoreError::NotAStore { name, why } => write!(f, "'{name}' is not a world: {why}"),
            StoreError::Format { found, newest } => write!(
                f,
                "the store has format {found}, this evermoon reads 1 to {newest}: open it with a newer evermoon"
            ),
            StoreError::Io { what, error } => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StoreError::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}
