//! External tables in this module's memory.

use super::backend::Backend;
use evermoon::ordered::Map;

/// Bytes that all tables together may take.
const BYTES_MAX: usize = 1 << 30;
/// What an entry takes beyond its bytes, about.
const ENTRY_BYTES: usize = 96;

/// Tables in memory. A nil (`00`) is a deletion here.
#[derive(Default)]
pub struct InMemory {
    tables: Map<u32, Map<Vec<u8>, Vec<u8>>>,
    bytes: usize,
}

impl Backend for InMemory {
    fn get(&mut self, table: u32, key: &[u8]) -> Option<&[u8]> {
        self.tables.get(&table)?.get(key).map(Vec::as_slice)
    }

    fn set(&mut self, table: u32, key: &[u8], value: &[u8]) -> bool {
        let entries = self.tables.get_or_insert_with(table, Map::new);
        let taken = |value: &[u8]| key.len() + value.len() + ENTRY_BYTES;
        let before = entries.get(key).map_or(0, |v| taken(v));
        if value == [super::codec::tag::NIL] {
            entries.remove(key);
            self.bytes -= before;
            return true;
        }
        let bytes = self.bytes - before + taken(value);
        if bytes > BYTES_MAX {
            return false;
        }
        self.bytes = bytes;
        entries.insert(key.to_vec(), value.to_vec());
        true
    }

    fn size(&mut self, table: u32) -> u32 {
        self.tables
            .get(&table)
            .map_or(0, |entries| entries.len() as u32)
    }

    fn keys(&mut self, table: u32) -> Option<Vec<Vec<u8>>> {
        Some(
            self.tables
                .get(&table)
                .map(|entries| entries.keys().cloned().collect())
                .unwrap_or_default(),
        )
    }
}
