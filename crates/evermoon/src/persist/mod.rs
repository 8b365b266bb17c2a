//! Persistence: what is reachable from the world's roots outlives the engine.
//!
//! Reading order: `world.rs` (attach, commit, roll back, evict), `record.rs` (what the bytes say), `encode.rs` and `decode.rs` (between heap
//! and records), `value.rs`, `bytes.rs`, `key.rs`. The engine names no store: it reads through [`Backing`], and a commit is a [`Delta`] of
//! keys and bytes that the host puts into its store in one atomic batch (`crates/evermoon-store` does).
//!
//! It may not change what a program sees: `heap/hollow.rs` says what that takes.

pub mod bytes;
mod decode;
mod encode;
pub mod key;
pub mod meta;
pub mod record;
pub mod value;
pub mod world;

pub use decode::LoadError;
pub use world::{Codec, Delta, PersistError, Statistics, Write};

use crate::heap::hollow::ContentHash;
use sha2::{Digest, Sha256};

/// A store's answer.
pub enum Fetch {
    Found(Vec<u8>),
    Missing,
    /// The host will supply it; the run comes back to it meanwhile.
    Later,
    /// The store failed, in words for people.
    Failed(String),
}

/// Where records are read.
pub trait Backing {
    /// The value under a key.
    fn get(&mut self, key: &[u8]) -> Fetch;
    /// Whether [`Fetch::Later`] can be an answer.
    fn may_wait(&self) -> bool {
        false
    }
}

/// The name of contents that are stored once.
pub(crate) fn content_hash(bytes: &[u8]) -> ContentHash {
    let digest = Sha256::digest(bytes);
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest[..16]);
    hash
}
