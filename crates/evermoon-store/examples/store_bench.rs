//! Times a store beside bare redb: commits of one changed entry, reads, scans; and what each commit writes.
//!
//! `cargo run --release -p evermoon-store --example store_bench [-- MIB [COMMITS [DIRECTORY]]]`: a world of MIB mebibytes (1), COMMITS
//! timed commits (2000). Bare redb has one table, and one fsync a commit, as ours has. The two take turns, so that both see the same disk.

use std::io;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use evermoon_store::{Batch, Durability, RedbOptions, RedbStore, Scan, Store};
use redb::backends::FileBackend;
use redb::{BackendError, Database, ReadableDatabase, StorageBackend, TableDefinition};

const VALUE_SIZE: usize = 100;
const CACHE_BYTES: usize = 16 << 20;
const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("entries");

/// A file that counts what is written to it.
#[derive(Debug)]
struct Counting(FileBackend, Arc<AtomicU64>);

impl StorageBackend for Counting {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.1.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.0.write(offset, data)
    }
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }
    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}

/// Keys as the engine writes them: a class byte and an id.
fn key(id: u64) -> [u8; 9] {
    let mut key = [b'o'; 9];
    key[1..].copy_from_slice(&id.to_be_bytes());
    key
}

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    format!("p50 {:7.3} ms  p99 {:7.3} ms", at(0.5), at(0.99))
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

fn fill_bare(path: &Path, count: u64) -> (Database, Arc<AtomicU64>) {
    let _ = std::fs::remove_file(path);
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .unwrap();
    let written = Arc::new(AtomicU64::new(0));
    let backend = Counting(FileBackend::new(file).unwrap(), written.clone());
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(backend)
        .unwrap();
    let mut id = 0;
    while id < count {
        let transaction = database.begin_write().unwrap();
        {
            let mut table = transaction.open_table(TABLE).unwrap();
            for _ in 0..100_000.min(count - id) {
                table
                    .insert(&key(id)[..], &[id as u8; VALUE_SIZE][..])
                    .unwrap();
                id += 1;
            }
        }
        transaction.commit().unwrap();
    }
    (database, written)
}

fn fill_ours(path: &Path, count: u64) -> RedbStore {
    let _ = std::fs::remove_file(path);
    let options = RedbOptions {
        cache_bytes: CACHE_BYTES,
        ..RedbOptions::default()
    };
    let mut store = RedbStore::open(path, options).unwrap();
    let mut id = 0;
    let mut version = 0;
    while id < count {
        let mut batch = Batch::new();
        for _ in 0..100_000.min(count - id) {
            batch.put(key(id), [id as u8; VALUE_SIZE]);
            id += 1;
        }
        version = store
            .commit(version, 0, &batch, Durability::Durable)
            .unwrap();
    }
    store
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| words.get(at).map_or(default, |w| w.parse().unwrap());
    let (mib, commits) = (number(0, 1), number(1, 2000));
    let directory = words.get(2).map_or_else(std::env::temp_dir, PathBuf::from);
    let count = (mib << 20) / (VALUE_SIZE as u64 + 9);
    let bare_path = directory.join(format!("bench-bare-{}", std::process::id()));
    let our_path = directory.join(format!("bench-ours-{}", std::process::id()));

    println!("{mib} MiB, {count} entries of {VALUE_SIZE} bytes, cache {CACHE_BYTES} bytes");
    let start = Instant::now();
    let (bare, bare_written) = fill_bare(&bare_path, count);
    println!("filling: bare {:.2} s", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let mut ours = fill_ours(&our_path, count);
    println!("filling: ours {:.2} s", start.elapsed().as_secs_f64());

    // Commits of one changed entry, by turns.
    let mut dice = Dice(88);
    let mut version = ours.head().unwrap().version;
    let (mut bare_times, mut our_times) = (Vec::new(), Vec::new());
    let bare_start = bare_written.load(Ordering::Relaxed);
    let our_start = ours.traffic();
    for turn in 0..commits {
        let changed = key(dice.next(count));
        let value = [turn as u8; VALUE_SIZE];
        let bare_turn = |times: &mut Vec<Duration>| {
            let start = Instant::now();
            let transaction = bare.begin_write().unwrap();
            transaction
                .open_table(TABLE)
                .unwrap()
                .insert(&changed[..], &value[..])
                .unwrap();
            transaction.commit().unwrap();
            times.push(start.elapsed());
        };
        let mut our_turn = |times: &mut Vec<Duration>| {
            let start = Instant::now();
            let mut batch = Batch::new();
            batch.put(changed, value);
            version = ours
                .commit(version, 0, &batch, Durability::Durable)
                .unwrap();
            times.push(start.elapsed());
        };
        // Whoever comes second may profit from the first: each is first half of the time.
        if turn % 2 == 0 {
            bare_turn(&mut bare_times);
            our_turn(&mut our_times);
        } else {
            our_turn(&mut our_times);
            bare_turn(&mut bare_times);
        }
    }
    let bare_bytes = (bare_written.load(Ordering::Relaxed) - bare_start) / commits;
    let traffic = ours.traffic();
    let our_bytes = (traffic.bytes_written - our_start.bytes_written) / commits;
    let syncs = (traffic.syncs - our_start.syncs) as f64 / commits as f64;
    println!(
        "commit, bare: {}  {bare_bytes} bytes",
        percentiles(bare_times)
    );
    println!(
        "commit, ours: {}  {our_bytes} bytes, {syncs:.2} syncs",
        percentiles(our_times)
    );

    // Reads at random places.
    const READS: u64 = 200_000;
    let transaction = bare.begin_read().unwrap();
    let table = transaction.open_table(TABLE).unwrap();
    for name in ["cold", "warm"] {
        // Warm reads stay within 1 MiB.
        let places = if name == "cold" {
            count
        } else {
            count.min(9000)
        };
        let mut dice = Dice(7);
        let start = Instant::now();
        let mut sum = 0usize;
        for _ in 0..READS {
            let value = table.get(&key(dice.next(places))[..]).unwrap().unwrap();
            sum += value.value().len();
        }
        let bare_ns = start.elapsed().as_nanos() as u64 / READS;
        let mut dice = Dice(7);
        let start = Instant::now();
        for _ in 0..READS {
            ours.read(&key(dice.next(places)), &mut |value| sum -= value.len())
                .unwrap();
        }
        let our_ns = start.elapsed().as_nanos() as u64 / READS;
        assert_eq!(sum, 0);
        println!("get, {name}: bare {bare_ns} ns, ours {our_ns} ns");
    }

    let start = Instant::now();
    let mut bytes = 0;
    ours.visit(Scan::all(), &mut |key, value| {
        bytes += key.len() + value.len();
        ControlFlow::Continue(())
    })
    .unwrap();
    let rate = bytes as f64 / start.elapsed().as_secs_f64() / 1e6;
    println!("visit of all: {rate:.0} MB/s");

    drop((table, transaction, bare, ours));
    for (name, options) in [
        ("default", RedbOptions::default()),
        ("at rest", RedbOptions::default()),
        (
            "fast_recovery",
            RedbOptions {
                fast_recovery: true,
                ..RedbOptions::default()
            },
        ),
    ] {
        let start = Instant::now();
        let mut store = RedbStore::open(&our_path, options.clone()).unwrap();
        let head = store.head().unwrap();
        println!(
            "open, {name}: {:.2} ms",
            start.elapsed().as_secs_f64() * 1e3
        );
        let mut batch = Batch::new();
        batch.put("x", name);
        let before = store.traffic();
        let start = Instant::now();
        store
            .commit(head.version, 0, &batch, Durability::Durable)
            .unwrap();
        println!(
            "one commit, {name}: {:.2} ms, {} bytes",
            start.elapsed().as_secs_f64() * 1e3,
            store.traffic().bytes_written - before.bytes_written
        );
        if name == "at rest" {
            let start = Instant::now();
            store.rest().unwrap();
            println!("rest: {:.2} ms", start.elapsed().as_secs_f64() * 1e3);
        }
        // As kill -9 leaves it.
        let copy = our_path.with_extension("crashed");
        std::fs::copy(&our_path, &copy).unwrap();
        // Or the copy's own dirty pages would be synced on our time.
        let file = std::fs::File::open(&copy).unwrap();
        file.sync_all().unwrap();
        drop(file);
        let start = Instant::now();
        RedbStore::open(&copy, options).unwrap().head().unwrap();
        println!(
            "open after a crash, {name}: {:.2} ms",
            start.elapsed().as_secs_f64() * 1e3
        );
        std::fs::remove_file(copy).unwrap();
    }
    println!("peak memory of this program: {:.1} MiB", resident_mib());
    for path in [bare_path, our_path] {
        std::fs::remove_file(path).unwrap();
    }
}
