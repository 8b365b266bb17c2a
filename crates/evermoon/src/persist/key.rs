//! The keys under which a world's records stand in its store. Their first byte is the class; `docs/format.md` has the list.

use super::ContentHash;

/// The meta record's key.
pub const META: &[u8] = b"m";
/// The list of objects with finalizers.
pub const FINALIZERS: &[u8] = b"mf";
/// The names that the engine's libraries had when the world was last written.
pub const MANIFEST: &[u8] = b"ml";

/// An object's record.
pub fn object(id: u32) -> Vec<u8> {
    object_bytes(id).to_vec()
}

/// The same without an allocation.
pub fn object_bytes(id: u32) -> [u8; 9] {
    let mut key = [b'o'; 9];
    key[1..].copy_from_slice(&(id as u64).to_be_bytes());
    key
}

/// A segment of a large table: array segments count from 0, entry segments from [`ENTRY_SEGMENTS`].
pub fn segment(id: u32, index: u32) -> Vec<u8> {
    let mut key = vec![b's'];
    key.extend_from_slice(&(id as u64).to_be_bytes());
    key.extend_from_slice(&index.to_be_bytes());
    key
}

/// The first number of the segments that hold entries.
pub const ENTRY_SEGMENTS: u32 = 1 << 31;

/// Contents that are stored once: a function's code or a long string. What they are belongs to their name, because a program can hold the one as the
/// other: `string.dump(f)` has the very bytes of the record of f's code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Content {
    pub is_code: bool,
    pub hash: ContentHash,
}

impl Content {
    /// A prototype by the hash of its dump.
    pub fn code(hash: ContentHash) -> Content {
        Content {
            is_code: true,
            hash,
        }
    }

    /// A long string by its hash.
    pub fn string(hash: ContentHash) -> Content {
        Content {
            is_code: false,
            hash,
        }
    }

    /// Where they stand.
    pub fn key(&self) -> Vec<u8> {
        let class = if self.is_code { b'p' } else { b'b' };
        [&[class], &self.hash[..]].concat()
    }

    /// What stands under a key, if it is contents.
    pub fn of_key(key: &[u8]) -> Option<Content> {
        let (&class, hash) = key.split_first()?;
        if class != b'p' && class != b'b' {
            return None;
        }
        Some(Content {
            is_code: class == b'p',
            hash: hash.try_into().ok()?,
        })
    }
}
