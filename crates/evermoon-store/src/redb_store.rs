//! A world in one file, by redb: copy on write, one fsync a commit, checksummed pages.
//!
//! Two tables. `entries` holds what the contract's map holds, each entry redb's own entry. `head` has one row (format, version, epoch, payload
//! bytes) that every commit and lease changes in its transaction; so the counters can never part from the contents.
//!
//! 1. The file is locked while the store is open. A second process is told `Busy`; it does not wait. (Clones are handles on the same open
//!    store: those race by version and epoch.)
//! 2. Reads go through one kept read transaction, shared by all handles, dropped before a commit (so that it holds no page back) and made anew
//!    by the next read.
//! 3. After a failure of the medium the database is dropped, and its lock with it. Every call says `Closed` then, until `reopen`.
//! 4. Locks are taken in the order database, view; none is held while a reader's function runs. (A progress function runs under them, and may
//!    not use the store.)
//! 5. redb's code runs under a net (`failure`): what a damaged page makes it panic over is `Corrupt`.
//!
//! If power fails during a commit: redb has written pages that no committed root refers to, then both the new root with its checksum and the
//! byte that says which root is current, and synced once. What of it arrived is found out at the next opening: a root is taken only when its
//! transaction number is the greatest and all pages below it have the checksums that it says. So it is the old version or the new one.

mod apply;
mod backup;
mod care;
mod failure;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use redb::backends::FileBackend;
use redb::{
    Database, ReadOnlyTable, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    StorageBackend, TableDefinition, TableError, WriteTransaction,
};

use self::apply::apply;
use self::failure::{Failure, guarded, let_go};
use crate::batch::Batch;
use crate::error::{Result, StoreError};
use crate::medium::{Medium, Meter};
use crate::memory::bounds;
use crate::store::{Durability, Head, Health, Progress, Scan, Stats, Store, Visitor};

const ENTRIES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("evermoon.entries");
const HEAD: TableDefinition<(), HeadRow> = TableDefinition::new("evermoon.head");

/// Format, version, epoch, payload bytes.
type HeadRow = (u64, u64, u64, u64);

/// The newest layout that this code knows. Version history: 1, the two tables above.
const FORMAT: u64 = 1;

/// Told how far the check after a crash has come, 0 to 1.
pub type RecoveryProgress = Arc<dyn Fn(f64) + Send + Sync>;

/// How to open one.
#[derive(Clone)]
pub struct RedbOptions {
    /// Pages kept in memory, in bytes. 16 MiB.
    pub cache_bytes: usize,
    /// Makes opening after a crash quick, instead of a pass over the whole file. Each commit pays a second fsync and writes the map of free
    /// pages, some hundreds of KiB for each GiB of the file. Off. (`Store::rest` does it for a pause only.)
    pub fast_recovery: bool,
    /// Called while a store that was not closed properly is checked.
    pub recovery_progress: Option<RecoveryProgress>,
}

impl Default for RedbOptions {
    fn default() -> Self {
        RedbOptions {
            cache_bytes: 16 << 20,
            fast_recovery: false,
            recovery_progress: None,
        }
    }
}

impl std::fmt::Debug for RedbOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedbOptions")
            .field("cache_bytes", &self.cache_bytes)
            .field("fast_recovery", &self.fast_recovery)
            .finish_non_exhaustive()
    }
}

/// What has gone to the medium since the store was made, for benchmarks and tests.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Traffic {
    pub bytes_written: u64,
    pub writes: u64,
    pub syncs: u64,
}

/// A world in a redb file, or a handle on one that is open already (`clone`).
#[derive(Clone, Debug)]
pub struct RedbStore {
    shared: Arc<Shared>,
}

struct Shared {
    source: Source,
    options: RedbOptions,
    meter: Arc<Meter>,
    database: RwLock<Phase>,
    view: Mutex<Option<Arc<View>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("source", &self.source.name())
            .finish_non_exhaustive()
    }
}

/// Where the bytes are, for opening them again.
enum Source {
    Path(PathBuf),
    /// Each call gives the same bytes.
    Backend(Box<dyn Fn() -> std::io::Result<Box<dyn StorageBackend>> + Send + Sync>),
}

impl Source {
    fn name(&self) -> String {
        match self {
            Source::Path(path) => path.display().to_string(),
            Source::Backend(_) => "the store".to_owned(),
        }
    }
}

enum Phase {
    Open(Database),
    /// And why.
    Closed(String),
}

/// One version, as all reads see it.
struct View {
    entries: ReadOnlyTable<&'static [u8], &'static [u8]>,
    row: HeadRow,
}

impl RedbStore {
    /// Opens the world in the file at `path`, or makes a new one there.
    pub fn open(path: impl AsRef<Path>, options: RedbOptions) -> Result<Self> {
        Self::from_source(Source::Path(path.as_ref().to_owned()), options)
    }

    /// As `open`, but waits at most so long for another process to close it.
    pub fn open_waiting(
        path: impl AsRef<Path>,
        options: RedbOptions,
        patience: Duration,
    ) -> Result<Self> {
        let start = std::time::Instant::now();
        loop {
            match Self::open(path.as_ref(), options.clone()) {
                Err(StoreError::Busy { .. }) if start.elapsed() < patience => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                result => return result,
            }
        }
    }

    /// A world in other bytes than a file's. `bytes` is called to open them, and again by `reopen`; it gives the same bytes each time.
    pub fn with_backend<B: StorageBackend>(
        bytes: impl Fn() -> std::io::Result<B> + Send + Sync + 'static,
        options: RedbOptions,
    ) -> Result<Self> {
        let bytes = move || Ok(Box::new(bytes()?) as Box<dyn StorageBackend>);
        Self::from_source(Source::Backend(Box::new(bytes)), options)
    }

    fn from_source(source: Source, options: RedbOptions) -> Result<Self> {
        let meter = Arc::new(Meter::default());
        let database = open_database(&source, &options, &meter)?;
        Ok(RedbStore {
            shared: Arc::new(Shared {
                source,
                options,
                meter,
                database: RwLock::new(Phase::Open(database)),
                view: Mutex::new(None),
            }),
        })
    }

    /// What has gone to the medium so far.
    pub fn traffic(&self) -> Traffic {
        let meter = &self.shared.meter;
        Traffic {
            bytes_written: meter.bytes_written.load(Ordering::Relaxed),
            writes: meter.writes.load(Ordering::Relaxed),
            syncs: meter.syncs.load(Ordering::Relaxed),
        }
    }

    /// Closes it for all handles, and gives up the file's lock. Also happens when the last handle is dropped.
    pub fn close(&mut self) {
        self.shared.close("by its owner".to_owned());
    }
}

impl Shared {
    fn lock_view(&self) -> MutexGuard<'_, Option<Arc<View>>> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kept view, or a new one.
    fn view(&self) -> Result<Arc<View>> {
        if let Some(view) = &*self.lock_view() {
            return Ok(view.clone());
        }
        self.with_database(|database| {
            // Under the lock, so that a commit in between cannot leave an old view behind: it drops the view when it is done.
            let mut kept = self.lock_view();
            let transaction = database.begin_read()?;
            let row = transaction.open_table(HEAD)?;
            let row = row.get(())?.ok_or_else(no_head)?.value();
            let view = Arc::new(View {
                entries: transaction.open_table(ENTRIES)?,
                row,
            });
            *kept = Some(view.clone());
            Ok(view)
        })
    }

    /// Runs `work` on the open database. A failure of the medium closes it.
    fn with_database<T>(
        &self,
        work: impl FnOnce(&Database) -> std::result::Result<T, Failure>,
    ) -> Result<T> {
        let result = {
            let phase = self.database.read().unwrap_or_else(PoisonError::into_inner);
            match &*phase {
                Phase::Open(database) => guarded(|| work(database)),
                Phase::Closed(why) => return Err(StoreError::Closed { why: why.clone() }),
            }
        };
        result.map_err(|failure| self.settle(failure))
    }

    /// The error for the caller; closes the database when it cannot be used any more.
    fn settle(&self, failure: Failure) -> StoreError {
        let is_panic = matches!(failure, Failure::Panic(_));
        let error = failure.tell(&self.source.name(), &self.meter);
        if is_panic || matches!(error, StoreError::Io { .. } | StoreError::Full { .. }) {
            self.close(error.to_string());
        }
        error
    }

    fn close(&self, why: String) {
        let mut phase = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let_go(self.lock_view().take());
        if let Phase::Open(_) = &*phase {
            let_go(std::mem::replace(&mut *phase, Phase::Closed(why)));
        }
    }

    /// Shows the value of a key, if there is one.
    fn show(&self, view: &View, key: &[u8], take: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let value = guarded(|| Ok(view.entries.get(key)?)).map_err(|f| self.settle(f))?;
        let Some(value) = value else {
            return Ok(false);
        };
        take(guarded(|| Ok(value.value())).map_err(|f| self.settle(f))?);
        Ok(true)
    }

    /// Shows the entries of a view.
    fn visit(&self, view: &View, scan: Scan<'_>, each: &mut Visitor<'_>) -> Result<()> {
        if scan.is_void() {
            return Ok(());
        }
        let settle = |failure| self.settle(failure);
        let bounds = bounds(scan.from, scan.to);
        let mut range = guarded(|| Ok(view.entries.range::<&[u8]>(bounds)?)).map_err(settle)?;
        for _ in 0..scan.limit {
            let next = guarded(|| {
                let next = if scan.reverse {
                    range.next_back()
                } else {
                    range.next()
                };
                Ok(next.transpose()?)
            });
            let Some((key, value)) = next.map_err(settle)? else {
                break;
            };
            let (key, value) = guarded(|| Ok((key.value(), value.value()))).map_err(settle)?;
            if each(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// A write transaction around `work`, which gets the head's row to change.
    fn write<T>(
        &self,
        durability: Durability,
        work: impl FnOnce(&WriteTransaction, &mut HeadRow) -> std::result::Result<T, Failure>,
    ) -> Result<T> {
        self.with_database(|database| {
            // An old view would keep the pages of its version from being used again.
            self.lock_view().take();
            let mut transaction = database.begin_write()?;
            match durability {
                Durability::Durable => transaction.set_quick_repair(self.options.fast_recovery),
                Durability::Relaxed => transaction.set_durability(redb::Durability::None)?,
            }
            let done = {
                let mut heads = transaction.open_table(HEAD)?;
                let mut row = heads.get(())?.ok_or_else(no_head)?.value();
                let done = work(&transaction, &mut row)?;
                heads.insert((), row)?;
                done
            };
            let committed = transaction.commit();
            self.lock_view().take();
            committed?;
            Ok(done)
        })
    }
}

/// Opens the bytes and sees to it that the tables are there.
fn open_database(source: &Source, options: &RedbOptions, meter: &Arc<Meter>) -> Result<Database> {
    let name = source.name();
    let backend: Box<dyn StorageBackend> = match source {
        Source::Path(path) => {
            let file =
                open_file(path).map_err(|e| StoreError::from_io(format!("opening '{name}'"), e))?;
            let file = FileBackend::new(file)
                .map_err(|e| Failure::from(e).tell(&name, &Meter::default()))?;
            Box::new(file)
        }
        Source::Backend(bytes) => {
            bytes().map_err(|e| StoreError::from_io(format!("opening {name}"), e))?
        }
    };
    let open = || -> std::result::Result<Database, Failure> {
        let mut builder = Database::builder();
        builder.set_cache_size(options.cache_bytes);
        if let Some(tell) = options.recovery_progress.clone() {
            builder.set_repair_callback(move |session| tell(session.progress()));
        }
        let database = builder.create_with_backend(Medium::new(backend, meter.clone()))?;
        prepare(&database)?;
        Ok(database)
    };
    guarded(open).map_err(|failure| failure.tell(&name, meter))
}

/// Makes the file when there is none. A new file is in its directory for good before anything is acknowledged.
fn open_file(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true);
    match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        result => return result,
    }
    let file = options.create(true).truncate(false).open(path)?;
    sync_directory(path)?;
    Ok(file)
}

/// Makes the name of a file in its directory durable.
fn sync_directory(path: &Path) -> std::io::Result<()> {
    // Elsewhere a directory cannot be opened.
    if cfg!(unix) {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// Makes the tables in a new database, and refuses one that is not ours or too new.
fn prepare(database: &Database) -> std::result::Result<(), Failure> {
    let transaction = database.begin_read()?;
    match transaction.open_table(HEAD) {
        Ok(heads) => {
            let (format, ..) = heads.get(())?.ok_or_else(no_head)?.value();
            if format > FORMAT {
                return Err(Failure::Ours(StoreError::Format {
                    found: format,
                    newest: FORMAT,
                }));
            }
            return Ok(());
        }
        Err(TableError::TableDoesNotExist(_)) => {}
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(error) => return Err(Failure::Stranger(error.to_string())),
    }
    if transaction.list_tables()?.next().is_some() {
        return Err(Failure::Stranger(
            "it is another program's redb database".to_owned(),
        ));
    }
    drop(transaction);
    let transaction = database.begin_write()?;
    transaction
        .open_table(HEAD)?
        .insert((), (FORMAT, 0, 0, 0))?;
    transaction.open_table(ENTRIES)?;
    transaction.commit()?;
    Ok(())
}

fn no_head() -> Failure {
    Failure::Ours(StoreError::Corrupt {
        what: "the head row is missing".to_owned(),
    })
}

fn head_of(row: HeadRow) -> Head {
    Head {
        version: row.1,
        epoch: row.2,
    }
}

impl Store for RedbStore {
    fn head(&self) -> Result<Head> {
        Ok(head_of(self.shared.view()?.row))
    }

    fn lease(&mut self) -> Result<u64> {
        self.shared.write(Durability::Durable, |_, row| {
            row.2 += 1;
            Ok(row.2)
        })
    }

    fn read(&self, key: &[u8], take: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let view = self.shared.view()?;
        self.shared.show(&view, key, take)
    }

    fn read_many(&self, keys: &[&[u8]], take: &mut dyn FnMut(usize, &[u8])) -> Result<()> {
        let view = self.shared.view()?;
        for (at, key) in keys.iter().enumerate() {
            self.shared.show(&view, key, &mut |value| take(at, value))?;
        }
        Ok(())
    }

    fn visit(&self, scan: Scan<'_>, each: &mut Visitor<'_>) -> Result<()> {
        self.shared.visit(&*self.shared.view()?, scan, each)
    }

    fn reader(&self) -> Option<Box<dyn Store>> {
        Some(Box::new(self.clone()))
    }

    fn commit(
        &mut self,
        expected: u64,
        epoch: u64,
        batch: &Batch,
        durability: Durability,
    ) -> Result<u64> {
        batch.check_limits()?;
        self.shared.write(durability, |transaction, row| {
            head_of(*row)
                .check(expected, epoch)
                .map_err(Failure::Ours)?;
            row.3 = apply(transaction, batch, row.3)?;
            row.1 += 1;
            Ok(row.1)
        })
    }

    fn stats(&self) -> Result<Stats> {
        let view = self.shared.view()?;
        let entries = guarded(|| Ok(view.entries.len()?));
        Ok(Stats {
            entries: entries.map_err(|failure| self.shared.settle(failure))?,
            payload_bytes: view.row.3,
            file_bytes: self.shared.meter.size.load(Ordering::Relaxed),
        })
    }

    fn reopen(&mut self) -> Result<()> {
        let shared = &self.shared;
        let mut phase = shared
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Phase::Open(_) = &*phase {
            return Ok(());
        }
        shared.meter.forget_failure();
        let database = open_database(&shared.source, &shared.options, &shared.meter)?;
        *phase = Phase::Open(database);
        Ok(())
    }

    fn verify(&mut self, progress: &mut Progress<'_>) -> Result<Health> {
        self.check(progress)
    }

    fn vacuum(&mut self, progress: &mut Progress<'_>) -> Result<u64> {
        self.compact(progress)
    }

    /// Saves the map of free pages, as closing does: until the next commit a crash costs no recovery.
    fn rest(&mut self) -> Result<()> {
        self.shared.with_database(|database| {
            let_go(self.shared.lock_view().take());
            let mut transaction = database.begin_write()?;
            transaction.set_quick_repair(true);
            Ok(transaction.commit()?)
        })
    }
}
