//! Every store of this crate through the conformance suite, and what is redb's alone: files, locks, strangers.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use evermoon_store::conformance::{TestWorld, Worlds};
use evermoon_store::{MemoryStore, RedbOptions, RedbStore, Store, store_conformance};

struct MemoryWorlds;

impl Worlds for MemoryWorlds {
    fn fresh(&self) -> Box<dyn TestWorld> {
        Box::new(MemoryWorld(MemoryStore::new()))
    }
}

struct MemoryWorld(MemoryStore);

impl TestWorld for MemoryWorld {
    fn handle(&mut self) -> Box<dyn Store> {
        Box::new(self.0.clone())
    }

    fn reopen(&mut self) {}
}

store_conformance!(memory, MemoryWorlds);

/// Worlds in files; each file goes with its world.
struct RedbWorlds {
    options: RedbOptions,
}

struct RedbWorld {
    path: PathBuf,
    options: RedbOptions,
    store: Option<RedbStore>,
}

/// A path that no other test has.
fn fresh_path() -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("evermoon-store-{}-{count}.world", std::process::id());
    std::env::temp_dir().join(name)
}

impl Worlds for RedbWorlds {
    fn fresh(&self) -> Box<dyn TestWorld> {
        let mut world = RedbWorld {
            path: fresh_path(),
            options: self.options.clone(),
            store: None,
        };
        world.reopen();
        Box::new(world)
    }
}

impl TestWorld for RedbWorld {
    fn handle(&mut self) -> Box<dyn Store> {
        Box::new(self.store.clone().unwrap())
    }

    fn reopen(&mut self) {
        self.store.take();
        self.store = Some(RedbStore::open(&self.path, self.options.clone()).unwrap());
    }
}

impl Drop for RedbWorld {
    fn drop(&mut self) {
        self.store.take();
        let _ = std::fs::remove_file(&self.path);
    }
}

store_conformance!(
    redb,
    RedbWorlds {
        options: RedbOptions::default()
    }
);
store_conformance!(
    redb_with_hardly_a_cache,
    RedbWorlds {
        options: RedbOptions {
            cache_bytes: 64 << 10,
            fast_recovery: true,
            ..RedbOptions::default()
        }
    }
);

mod files {
    //! What is a file's alone.

    use std::fs;
    use std::ops::ControlFlow;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use ::redb::{Database, TableDefinition};
    use evermoon_store::{Batch, Durability, Result, Scan, open};

    use super::*;

    /// A path whose file goes with it.
    struct Temporary(PathBuf);

    impl Temporary {
        fn new() -> Self {
            Temporary(fresh_path())
        }

        fn open(&self) -> Result<RedbStore> {
            RedbStore::open(&self.0, RedbOptions::default())
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn put(store: &mut dyn Store, key: &str, value: &[u8]) -> Result<u64> {
        let head = store.head()?;
        let mut batch = Batch::new();
        batch.put(key, value);
        store.commit(head.version, head.epoch, &batch, Durability::Durable)
    }

    fn told(result: Result<impl Sized>) -> (&'static str, String) {
        match result {
            Ok(_) => panic!("it went well"),
            Err(error) => (error.code(), error.to_string()),
        }
    }

    #[test]
    fn a_world_is_open_once() {
        let file = Temporary::new();
        let mut store = file.open().unwrap();
        let busy = (
            "busy",
            format!("another process has '{}' open", file.0.display()),
        );
        assert_eq!(told(file.open()), busy);
        let patient =
            RedbStore::open_waiting(&file.0, RedbOptions::default(), Duration::from_millis(20));
        assert_eq!(told(patient), busy);
        put(&mut store, "a", b"1").unwrap();
        // Closing, like dropping, lets others in, and is for all handles.
        let mut clone = store.clone();
        clone.close();
        let closed = ("closed", "the store is closed: by its owner".to_owned());
        assert_eq!(told(store.head()), closed);
        assert_eq!(told(put(&mut store, "b", b"2")), closed);
        let other = file.open().unwrap();
        assert_eq!(other.get(b"a").unwrap().unwrap(), b"1");
        assert_eq!(told(store.reopen()), busy);
        drop(other);
        store.reopen().unwrap();
        assert_eq!(clone.get(b"a").unwrap().unwrap(), b"1");
        drop((store, clone));
        assert_eq!(open(&file.0).unwrap().head().unwrap().version, 1);
    }

    #[test]
    fn a_strangers_file_is_left_alone() {
        for bytes in [
            &b"print('hello')\n"[..],
            &[0xff; 100_000],
            b"redx",
            b"redb\x1A\x0A\xA9\x0D\x0A",
        ] {
            let file = Temporary::new();
            fs::write(&file.0, bytes).unwrap();
            let error = file.open().unwrap_err();
            assert!(
                matches!(error.code(), "not_a_store" | "corrupt" | "io"),
                "{error}"
            );
            assert_eq!(fs::read(&file.0).unwrap(), bytes, "after {error}");
        }
        let file = Temporary::new();
        fs::write(&file.0, "print('hello')\n").unwrap();
        let why = format!(
            "'{}' is not a world: it begins with other bytes than a world does",
            file.0.display()
        );
        assert_eq!(told(file.open()), ("not_a_store", why));

        let file = Temporary::new();
        let database = Database::create(&file.0).unwrap();
        let transaction = database.begin_write().unwrap();
        let table: TableDefinition<u64, u64> = TableDefinition::new("theirs");
        transaction.open_table(table).unwrap();
        transaction.commit().unwrap();
        drop(database);
        let why = format!(
            "'{}' is not a world: it is another program's redb database",
            file.0.display()
        );
        assert_eq!(told(file.open()), ("not_a_store", why));

        // No directory, and a directory.
        let nowhere = RedbStore::open("/nonexistent/a.world", RedbOptions::default());
        assert_eq!(told(nowhere).0, "io");
        let directory = RedbStore::open(std::env::temp_dir(), RedbOptions::default());
        assert_eq!(told(directory).0, "io");
    }

    #[test]
    fn a_newer_format_is_named() {
        let file = Temporary::new();
        drop(file.open().unwrap());
        let database = Database::open(&file.0).unwrap();
        let head: TableDefinition<(), (u64, u64, u64, u64)> = TableDefinition::new("evermoon.head");
        let transaction = database.begin_write().unwrap();
        transaction
            .open_table(head)
            .unwrap()
            .insert((), (2, 0, 0, 0))
            .unwrap();
        transaction.commit().unwrap();
        drop(database);
        let text =
            "the store has format 2, this evermoon reads 1 to 1: open it with a newer evermoon";
        assert_eq!(told(file.open()), ("format", text.to_owned()));
    }

    #[test]
    fn a_creation_that_was_cut_short_begins_anew() {
        // What redb leaves when it dies between the header and its magic number; and less than that.
        for (size, begun) in [
            (1_056_768, &b"redb"[..]),
            (1_056_768, b""),
            (4096, b""),
            (5, b"re"),
        ] {
            let file = Temporary::new();
            let mut bytes = vec![0; size];
            bytes[..begun.len()].copy_from_slice(begun);
            fs::write(&file.0, bytes).unwrap();
            let mut store = file.open().unwrap();
            put(&mut store, "a", b"1").unwrap();
            drop(store);
            assert_eq!(file.open().unwrap().get(b"a").unwrap().unwrap(), b"1");
        }
        // Anything behind the header is somebody's.
        let file = Temporary::new();
        let mut bytes = vec![0; 1_056_768];
        bytes[500_000] = 1;
        fs::write(&file.0, bytes).unwrap();
        assert_eq!(told(file.open()).0, "not_a_store");
    }

    #[test]
    fn a_file_that_was_not_closed_is_recovered() {
        let file = Temporary::new();
        let copy = Temporary::new();
        let mut store = file.open().unwrap();
        put(&mut store, "a", &[7; 100_000]).unwrap();
        // As kill -9 leaves it.
        fs::copy(&file.0, &copy.0).unwrap();
        let progress = Arc::new(Mutex::new(Vec::new()));
        let told = progress.clone();
        let options = RedbOptions {
            recovery_progress: Some(Arc::new(move |done| told.lock().unwrap().push(done))),
            ..RedbOptions::default()
        };
        let store = RedbStore::open(&copy.0, options.clone()).unwrap();
        assert_eq!(store.get(b"a").unwrap().unwrap(), [7; 100_000]);
        let told = std::mem::take(&mut *progress.lock().unwrap());
        assert!(
            !told.is_empty() && told.iter().all(|p| (0.0..=1.0).contains(p)),
            "{told:?}"
        );
        drop(store);
        drop(RedbStore::open(&copy.0, options).unwrap());
        assert_eq!(
            *progress.lock().unwrap(),
            [],
            "a file that was closed has nothing to recover"
        );
    }

    #[test]
    fn a_store_at_rest_needs_no_recovery() {
        let file = Temporary::new();
        let mut store = file.open().unwrap();
        put(&mut store, "a", &[7; 100_000]).unwrap();
        let recoveries = |store: &mut RedbStore| {
            let copy = Temporary::new();
            fs::copy(&file.0, &copy.0).unwrap();
            let count = Arc::new(Mutex::new(0));
            let counted = count.clone();
            let options = RedbOptions {
                recovery_progress: Some(Arc::new(move |_| *counted.lock().unwrap() += 1)),
                ..RedbOptions::default()
            };
            let copied = RedbStore::open(&copy.0, options).unwrap();
            assert_eq!(copied.head().unwrap(), store.head().unwrap());
            *count.lock().unwrap()
        };
        assert_ne!(recoveries(&mut store), 0);
        store.rest().unwrap();
        assert_eq!(recoveries(&mut store), 0);
        put(&mut store, "a", b"1").unwrap();
        assert_ne!(recoveries(&mut store), 0);
    }

    #[test]
    fn a_backup_is_the_same_world() {
        let (file, target) = (Temporary::new(), Temporary::new());
        let mut store = file.open().unwrap();
        store.lease().unwrap();
        for id in 0..30u8 {
            put(&mut store, &format!("{id:02}"), &vec![id; 400_000]).unwrap();
        }
        let mut other = store.clone();
        let mut told = Vec::new();
        let head = store.backup(&target.0, &mut |done| {
            told.push(done);
            // The world goes on meanwhile.
            put(&mut other, "later", b"1").unwrap();
            ControlFlow::Continue(())
        });
        let head = head.unwrap().unwrap();
        assert_eq!((head.version, head.epoch), (30, 1));
        assert!(told.len() > 2 && told.last() == Some(&1.0), "{told:?}");
        let copy = RedbStore::open(&target.0, RedbOptions::default()).unwrap();
        assert_eq!(copy.head().unwrap(), head);
        let before = Scan::range(b"", Some(b"later"));
        assert!(copy.scan(Scan::all()).unwrap() == store.scan(before).unwrap());
        assert!(store.get(b"later").unwrap().is_some());
        let stats = copy.stats().unwrap();
        assert_eq!((stats.entries, stats.payload_bytes), (30, 30 * 400_002));
        // Never over a file that is there; and nothing is left of one that was broken off.
        let again = store.backup(&target.0, &mut |_| ControlFlow::Continue(()));
        assert_eq!(told_code(again), "io");
        let other = Temporary::new();
        let broken_off = store.backup(&other.0, &mut |_| ControlFlow::Break(()));
        assert!(broken_off.unwrap().is_none());
        assert!(!other.0.exists() && !other.0.with_extension("world.part").exists());
    }

    fn told_code(result: Result<impl Sized>) -> &'static str {
        told(result).0
    }

    #[test]
    fn vacuum_gives_back_space() {
        let file = Temporary::new();
        let mut store = file.open().unwrap();
        for id in 0..40u8 {
            put(&mut store, &format!("{id:02}"), &vec![id; 100_000]).unwrap();
        }
        let mut batch = Batch::new();
        batch.delete_range("02", None);
        let head = store.head().unwrap();
        store
            .commit(head.version, head.epoch, &batch, Durability::Durable)
            .unwrap();
        let before = fs::metadata(&file.0).unwrap().len();
        assert_eq!(store.stats().unwrap().file_bytes, before);
        let given_back = store.vacuum(&mut |_| ControlFlow::Continue(())).unwrap();
        let after = fs::metadata(&file.0).unwrap().len();
        assert_eq!(before - after, given_back);
        assert!(after < before / 2, "{after} bytes of {before} are left");
        assert_eq!(store.scan(Scan::all()).unwrap().len(), 2);
        // One that is told to stop before it began has done nothing.
        assert_eq!(store.vacuum(&mut |_| ControlFlow::Break(())).unwrap(), 0);
    }

    #[test]
    fn commits_write_what_they_change() {
        let file = Temporary::new();
        let mut store = file.open().unwrap();
        let mut batch = Batch::new();
        for id in 0..10_000u64 {
            batch.put(id.to_be_bytes(), [1; 100]);
        }
        store.commit(0, 0, &batch, Durability::Durable).unwrap();
        let before = store.traffic();
        for id in 0..20u64 {
            put(&mut store, "x", &id.to_be_bytes()).unwrap();
        }
        let traffic = store.traffic();
        // One sync a commit. A dozen pages each: the tree's path, the head's, and redb's own books.
        assert_eq!(traffic.syncs - before.syncs, 20);
        let bytes = (traffic.bytes_written - before.bytes_written) / 20;
        assert!(bytes <= 12 * 4096, "{bytes} bytes for one entry of 8");
    }
}
