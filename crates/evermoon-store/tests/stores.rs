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
