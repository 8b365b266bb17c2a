//! Where Evermoon's worlds live.
//!
//! `store` is the contract: an ordered map of byte strings with versioned, fenced, atomic commits. `memory` is the contract at its plainest,
//! `redb_store` keeps a world in one file. `conformance` is the suite that every store passes. Reading order: store, batch, error, memory,
//! redb_store (with medium, what lies between redb and its file).
//!
//! Nothing here looks into keys or values: what they mean is the engine's business (`evermoon::persist`).

#![deny(unsafe_code)]

pub mod batch;
pub mod care;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod error;
mod medium;
pub mod memory;
mod quarantine;

pub mod redb_store;
mod snapshot;
pub mod store;
pub mod world;

use std::path::Path;

pub use batch::{Batch, Op};
pub use error::{Result, StoreError};
pub use memory::MemoryStore;
pub use redb_store::{RedbOptions, RedbStore};
pub use store::{
    Durability, Entry, Head, Health, KEY_SIZE_MAX, Progress, Scan, Stats, Store, VALUE_SIZE_MAX,
    Visitor,
};
pub use world::{Commit, OnError, World, WorldError, WorldOptions};

/// The guide's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/stores.md")]
struct Guide;

/// Opens the world in the file at `path`, or makes a new one there.
pub fn open(path: impl AsRef<Path>) -> Result<Box<dyn Store>> {
    Ok(Box::new(RedbStore::open(path, RedbOptions::default())?))
}
