//! The keys under which a world's records stand in its store. Their first byte is the class; `docs/format.md` has the list.

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

/// A prototype by the hash of its dump.
pub fn proto(hash: &[u8; 16]) -> Vec<u8> {
    [b"p", &hash[..]].concat()
}

/// A long string by its hash.
pub fn blob(hash: &[u8; 16]) -> Vec<u8> {
    [b"b", &hash[..]].concat()
}
