//! Persistence: what is reachable from the world's roots outlives the engine.
//!
//! Reading order: `world.rs` (attach, commit, roll back, evict), `record.rs` (what the bytes say), `encode.rs` and `decode.rs` (between heap
//! and records), `value.rs`, `bytes.rs`, `key.rs`. The engine names no store: it reads through [`Backing`], and a commit is a [`Delta`] of
//! keys and bytes that the host puts into its store in one atomic batch (`crates/evermoon-store` does).
//!
//! It may not change what a program sees: `heap/hollow.rs` says what that takes.

pub mod bytes;
pub mod care;
mod decode;
mod encode;
pub mod key;
pub mod meta;
pub mod record;
pub mod refs;
pub mod row;
pub mod snapshot;
pub mod value;
pub mod world;

pub use decode::LoadError;
pub use world::{Codec, Delta, PersistError, Statistics, Write};

pub use crate::heap::hollow::ContentHash;
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

/// A store's answer to a scan.
pub enum Scanned {
    /// Keys and values.
    Entries(Vec<(Vec<u8>, Vec<u8>)>),
    /// As [`Fetch::Later`]; the backing remembers what was asked.
    Later,
    Failed(String),
    /// It has no scans.
    Cannot,
}

/// Where a walk over a whole world reads it.
pub trait Source {
    fn get(&mut self, key: &[u8]) -> Fetch;
    /// As [`Backing::scan`], in the order of the keys.
    fn scan(&mut self, from: &[u8], to: &[u8], limit: usize) -> Scanned;
}

/// Where records are read.
pub trait Backing {
    /// The value under a key.
    fn get(&mut self, key: &[u8]) -> Fetch;
    /// Entries from one key (inclusive) to another (exclusive) in their order, or in the reverse of it; at most `limit`.
    fn scan(&mut self, _from: &[u8], _to: &[u8], _limit: usize, _reverse: bool) -> Scanned {
        Scanned::Cannot
    }
    /// Whether it can do that. Without it there are no external tables.
    fn can_scan(&self) -> bool {
        false
    }
    /// Whether [`Fetch::Later`] can be an answer.
    fn may_wait(&self) -> bool {
        false
    }
}

/// The name of contents that are stored once.
pub fn content_hash(bytes: &[u8]) -> ContentHash {
    // In pieces: an engine of wasm changes to its better code between two calls, not within one, and the first long string of a page is
    // hashed while its user waits.
    let mut hasher = Sha256::new();
    for piece in bytes.chunks(1 << 14) {
        hasher.update(piece);
    }
    let digest = hasher.finalize();
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest[..16]);
    hash
}
