//! Where external tables live: at the host, behind three imports (`imports.rs`), or in this module's memory. A table is a number; its
//! keys and values are bytes, encoded by `codec.rs`.

/// A store of external tables. Nothing that it says is trusted.
pub trait Backend {
    /// The bytes of an entry.
    fn get(&mut self, table: u32, key: &[u8]) -> Option<&[u8]>;
    /// Stores an entry. False when the store refuses.
    fn set(&mut self, table: u32, key: &[u8], value: &[u8]) -> bool;
    /// How many entries the store counts.
    fn size(&mut self, table: u32) -> u32;
    /// All keys of a table, if the store can tell.
    fn keys(&mut self, table: u32) -> Option<Vec<Vec<u8>>>;
}
