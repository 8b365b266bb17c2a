//! Bare redb, for comparison: the same entries as a world's, in one table of one file, by redb's quickest means.

use evermoon_store::{RedbStore, Scan, Store};
use redb::{Database, Durability, ReadableDatabase, TableDefinition};
use std::ops::{Bound, ControlFlow};
use std::path::Path;

use crate::measure::Watch;

const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("entries");
/// As `RedbOptions` has it.
const CACHE_BYTES: usize = 16 << 20;

pub fn open(path: &Path) -> Database {
    Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create(path)
        .expect("it opens")
}

/// Entries in memory, one behind the other.
#[derive(Default)]
struct Portion {
    bytes: Vec<u8>,
    sizes: Vec<(usize, usize)>,
}

/// Copies a store's entries in their order; seconds of wall and processor for the insertion alone, and the bytes of values.
pub fn fill(path: &Path, store: &RedbStore) -> (f64, f64, u64) {
    let database = open(path);
    let (mut wall, mut cpu, mut payload) = (0.0, 0.0, 0);
    let mut from = Vec::new();
    loop {
        let mut portion = Portion::default();
        let mut next = None;
        store
            .visit(Scan::range(&from, None), &mut |key, value| {
                if portion.bytes.len() > 8 << 20 {
                    next = Some(key.to_vec());
                    return ControlFlow::Break(());
                }
                portion.bytes.extend_from_slice(key);
                portion.bytes.extend_from_slice(value);
                portion.sizes.push((key.len(), value.len()));
                payload += value.len() as u64;
                ControlFlow::Continue(())
            })
            .expect("open");
        let watch = Watch::start();
        insert(&database, &portion, next.is_none());
        wall += watch.wall();
        cpu += watch.cpu();
        match next {
            Some(key) => from = key,
            None => return (wall, cpu, payload),
        }
    }
}

fn insert(database: &Database, portion: &Portion, last: bool) {
    let mut transaction = database.begin_write().expect("open");
    if !last {
        transaction
            .set_durability(Durability::None)
            .expect("no savepoints");
    }
    {
        let mut table = transaction.open_table(TABLE).expect("ours");
        let mut rest = &portion.bytes[..];
        let first = &rest[..portion.sizes[0].0];
        let mut cursor = table.lower_bound_mut(Bound::Included(first)).expect("open");
        for &(key, value) in &portion.sizes {
            let (k, behind) = rest.split_at(key);
            let (v, behind) = behind.split_at(value);
            cursor.insert_before(k, v).expect("ascending");
            rest = behind;
        }
        cursor.close().expect("open");
    }
    transaction.commit().expect("it commits");
}

/// Seconds of wall and processor of a scan over all.
pub fn scan(path: &Path) -> (f64, f64) {
    let database = open(path);
    let watch = Watch::start();
    let transaction = database.begin_read().expect("open");
    let table = transaction.open_table(TABLE).expect("ours");
    let mut sum = 0;
    for entry in table.range::<&[u8]>(..).expect("open") {
        let (key, value) = entry.expect("whole");
        sum += key.value().len() + value.value().len();
    }
    assert!(sum > 0);
    (watch.wall(), watch.cpu())
}

/// Puts entries, durably.
pub fn commit(database: &Database, entries: &[(Vec<u8>, Vec<u8>)]) {
    let transaction = database.begin_write().expect("open");
    {
        let mut table = transaction.open_table(TABLE).expect("ours");
        for (key, value) in entries {
            table.insert(&key[..], &value[..]).expect("open");
        }
    }
    transaction.commit().expect("it commits");
}
