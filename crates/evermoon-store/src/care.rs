//! Whole worlds: export to a file and import from one (`snapshot.rs`), verify, and the removal of what no root reaches any more.

use std::ops::{ControlFlow, Range};

use evermoon::persist::care::{self, Broken, Walk, Walked};
use evermoon::persist::{Delta, Fetch, LoadError, Scanned, Source, Write as Change, key};

use crate::batch::Batch;
use crate::store::{Durability, Scan, Store};
use crate::world::{Result, WorldError};

pub use crate::snapshot::{export, import};
pub use evermoon::persist::snapshot::Progress;

/// Is told how far the work is; `Break` stops it.
pub type OnProgress<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

/// What a check of all records has found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Records of objects that the roots reach.
    pub objects: u64,
    /// Their bytes, keys included.
    pub bytes: u64,
    /// What is damaged or missing, by path.
    pub broken: Vec<Broken>,
    /// Entries that no root reaches.
    pub garbage: u64,
}

/// What a removal of garbage has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Freed {
    pub entries: u64,
    pub bytes: u64,
}

pub(crate) fn lost(why: impl std::fmt::Display) -> WorldError {
    WorldError::Lost {
        why: why.to_string(),
    }
}

impl From<LoadError> for WorldError {
    fn from(e: LoadError) -> Self {
        WorldError::Lua(e.into())
    }
}

pub(crate) fn io(error: std::io::Error) -> WorldError {
    lost(format!("the file: {error}"))
}

pub(crate) fn fetch(store: &dyn Store, key: &[u8]) -> Fetch {
    match store.get(key) {
        Ok(Some(value)) => Fetch::Found(value),
        Ok(None) => Fetch::Missing,
        Err(error) => Fetch::Failed(error.to_string()),
    }
}

/// Reads ahead: objects that are written together are mostly read together, and a scan costs a fraction of so many look-ups. It reads as far
/// ahead as has paid so far.
struct Ahead<'a> {
    store: &'a dyn Store,
    /// Entries in their order, and the bytes of their values.
    entries: Vec<(Vec<u8>, Range<usize>)>,
    bytes: Vec<u8>,
    at: usize,
    /// How many entries the next scan takes, and how many of the last one were asked for.
    length: usize,
    used: usize,
}

/// The most entries of one scan, and the bytes after which it is enough.
const AHEAD: usize = 1024;
const AHEAD_BYTES: usize = 1 << 20;

impl Ahead<'_> {
    fn new(store: &dyn Store) -> Ahead<'_> {
        Ahead {
            store,
            entries: Vec::new(),
            bytes: Vec::new(),
            at: 0,
            length: 16,
            used: 16,
        }
    }

    fn find(&mut self, key: &[u8]) -> Fetch {
        if !matches!(key.first(), Some(b'o' | b's')) {
            return fetch(self.store, key);
        }
        if self.entries.get(self.at).is_none_or(|(k, _)| k != key) {
            match self
                .entries
                .binary_search_by(|(k, _)| k.as_slice().cmp(key))
            {
                Ok(at) => self.at = at,
                Err(at) if at < self.entries.len() && at > 0 => return Fetch::Missing,
                Err(_) => {
                    if let Err(error) = self.read(key) {
                        return Fetch::Failed(error.to_string());
                    }
                    if self.entries.first().is_none_or(|(k, _)| k != key) {
                        return Fetch::Missing;
                    }
                }
            }
        }
        let value = self.bytes[self.entries[self.at].1.clone()].to_vec();
        self.at += 1;
        self.used += 1;
        Fetch::Found(value)
    }

    fn read(&mut self, key: &[u8]) -> crate::error::Result<()> {
        let length = if self.used * 2 >= self.entries.len() {
            self.length * 2
        } else {
            self.length / 2
        };
        self.length = length.clamp(1, AHEAD);
        (self.at, self.used) = (0, 0);
        let (entries, bytes) = (&mut self.entries, &mut self.bytes);
        entries.clear();
        bytes.clear();
        let scan = Scan::range(key, None).limit(self.length);
        self.store.visit(scan, &mut |key, value| {
            let start = bytes.len();
            bytes.extend_from_slice(value);
            entries.push((key.to_vec(), start..bytes.len()));
            if bytes.len() < AHEAD_BYTES {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })
    }
}

impl Source for Ahead<'_> {
    fn get(&mut self, key: &[u8]) -> Fetch {
        self.find(key)
    }
    fn scan(&mut self, from: &[u8], to: &[u8], limit: usize) -> Scanned {
        crate::world::scan(self.store, from, to, limit, false)
    }
}

pub(crate) fn stopped() -> WorldError {
    lost("stopped")
}

/// The writes of a delta as a batch.
pub(crate) fn to_batch(delta: Delta) -> Batch {
    let mut batch = Batch::new();
    for write in delta.writes {
        match write {
            Change::Put(key, value) => batch.put(key, value),
            Change::Delete(key) => batch.delete(key),
            Change::DeleteRange(from, to) => batch.delete_range(from, Some(to)),
        }
    }
    batch
}

fn walk(store: &dyn Store, names: bool, progress: &mut OnProgress<'_>) -> Result<Walk> {
    let meta = store
        .get(key::META)?
        .ok_or_else(|| lost("the store holds no world"))?;
    let finalizers = store.get(key::FINALIZERS)?.unwrap_or_default();
    let mut walk = Walk::new(&meta, &finalizers, names)?;
    let mut ahead = Ahead::new(store);
    while walk.step_over(&mut ahead, 4096)? != Walked::Done {
        let now = Progress {
            objects: walk.objects,
            known: walk.objects,
            payload: walk.bytes,
        };
        if progress(now).is_break() {
            return Err(stopped());
        }
    }
    Ok(walk)
}

/// Reads every record that the roots reach and checks it.
pub fn verify(store: &dyn Store, progress: &mut OnProgress<'_>) -> Result<Report> {
    let walk = walk(store, true, progress)?;
    let mut garbage = 0;
    store.visit(Scan::all(), &mut |key, _| {
        garbage += care::is_garbage(&walk, key) as u64;
        ControlFlow::Continue(())
    })?;
    Ok(Report {
        objects: walk.objects,
        bytes: walk.bytes,
        broken: walk.broken,
        garbage,
    })
}

/// Puts what is broken aside, under keys of the class `q`, with something in its place that lets the rest of the world be used (`quarantine.rs`
/// says what). How many entries were put aside.
pub fn quarantine(store: &mut dyn Store, broken: &[Broken]) -> Result<u64> {
    let epoch = store.lease()?;
    let version = store.head()?.version;
    let batch = crate::quarantine::writes(store, broken)?;
    if batch.is_empty() {
        return Ok(0);
    }
    store.commit(version, epoch, &batch, Durability::Durable)?;
    Ok(broken.len() as u64)
}

/// Finds what no root reaches and deletes it, in commits of a bounded size. No engine may have the world open.
pub fn remove_garbage(store: &mut dyn Store, progress: &mut OnProgress<'_>) -> Result<Freed> {
    let epoch = store.lease()?;
    let walk = walk(store, false, progress)?;
    let mut freed = Freed::default();
    let mut from = Vec::new();
    loop {
        let mut batch = Batch::new();
        let mut next = None;
        let mut seen = 0;
        store.visit(Scan::range(&from, None), &mut |key, value| {
            if seen == 100_000 {
                next = Some(key.to_vec());
                return ControlFlow::Break(());
            }
            seen += 1;
            if care::is_garbage(&walk, key) {
                freed.entries += 1;
                freed.bytes += (key.len() + value.len()) as u64;
                batch.delete(key);
            }
            ControlFlow::Continue(())
        })?;
        if !batch.is_empty() {
            let version = store.head()?.version;
            store.commit(version, epoch, &batch, Durability::Durable)?;
        }
        match next {
            Some(key) => from = key,
            None => return Ok(freed),
        }
    }
}
