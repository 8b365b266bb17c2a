//! Whole worlds: export to a file, import from one, verify, and the removal of what no root reaches any more.

use std::io::{Read, Write};
use std::ops::ControlFlow;

use evermoon::persist::care::{self, Broken, Walk, Walked};
use evermoon::persist::snapshot::{Exporter, Importer, Step};
use evermoon::persist::{Delta, Fetch, LoadError, Scanned, Source, Write as Change, key};

use crate::batch::Batch;
use crate::store::{Durability, Scan, Store};
use crate::world::{Result, WorldError};

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

/// Bytes of writes in one commit of an import or a removal.
const PORTION: usize = 8 << 20;

fn lost(why: impl std::fmt::Display) -> WorldError {
    WorldError::Lost {
        why: why.to_string(),
    }
}

impl From<LoadError> for WorldError {
    fn from(e: LoadError) -> Self {
        WorldError::Lua(e.into())
    }
}

fn io(error: std::io::Error) -> WorldError {
    lost(format!("the file: {error}"))
}

fn fetch(store: &dyn Store, key: &[u8]) -> Fetch {
    match store.get(key) {
        Ok(Some(value)) => Fetch::Found(value),
        Ok(None) => Fetch::Missing,
        Err(error) => Fetch::Failed(error.to_string()),
    }
}

/// Reads ahead: objects that are written together are mostly read together, and a scan costs a fraction of so many look-ups.
struct Ahead<'a> {
    store: &'a dyn Store,
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    at: usize,
}

/// Entries of one scan.
const AHEAD: usize = 1024;

impl Ahead<'_> {
    fn new(store: &dyn Store) -> Ahead<'_> {
        Ahead {
            store,
            entries: Vec::new(),
            at: 0,
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
                    self.entries.clear();
                    self.at = 0;
                    let scan = Scan::range(key, None).limit(AHEAD);
                    let read = self.store.visit(scan, &mut |key, value| {
                        self.entries.push((key.to_vec(), value.to_vec()));
                        ControlFlow::Continue(())
                    });
                    if let Err(error) = read {
                        return Fetch::Failed(error.to_string());
                    }
                    if self.entries.first().is_none_or(|(k, _)| k != key) {
                        return Fetch::Missing;
                    }
                }
            }
        }
        let value = self.entries[self.at].1.clone();
        self.at += 1;
        Fetch::Found(value)
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

fn stopped() -> WorldError {
    lost("stopped")
}

/// Writes the world in a store as a snapshot, as of its last commit.
pub fn export(
    store: &dyn Store,
    out: &mut dyn Write,
    progress: &mut OnProgress<'_>,
) -> Result<Progress> {
    let mut exporter = Exporter::new();
    let mut ahead = Ahead::new(store);
    loop {
        let step = exporter.step_over(&mut ahead)?;
        out.write_all(&exporter.take()).map_err(io)?;
        if progress(exporter.progress()).is_break() {
            return Err(stopped());
        }
        match step {
            Step::Done => break,
            Step::More => {}
            Step::Wait(_) => return Err(lost("the store answers later")),
        }
    }
    out.flush().map_err(io)?;
    Ok(exporter.progress())
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

/// Reads a snapshot into a store, which must be empty. Only the last commit makes a world of it: one that is interrupted leaves none.
pub fn import(
    store: &mut dyn Store,
    input: &mut dyn Read,
    progress: &mut OnProgress<'_>,
) -> Result<Progress> {
    let epoch = store.lease()?;
    let mut version = store.head()?.version;
    if store.read(key::META, &mut |_| {})? {
        return Err(lost(
            "the store holds a world already; import into an empty one",
        ));
    }
    let mut importer = Importer::new();
    let mut buffer = vec![0; 1 << 20];
    let mut batch = Batch::new();
    // What an interrupted import has left.
    batch.delete_range(Vec::new(), None);
    let mut waiting = 0;
    loop {
        let count = input.read(&mut buffer).map_err(io)?;
        if count == 0 {
            break;
        }
        importer.feed(&buffer[..count])?;
        let delta = importer.take();
        waiting += delta.bytes;
        for write in delta.writes {
            if let Change::Put(key, value) = write {
                batch.put(key, value);
            }
        }
        if waiting > PORTION {
            version = store.commit(version, epoch, &batch, Durability::Relaxed)?;
            batch = Batch::new();
            waiting = 0;
        }
        if progress(importer.progress()).is_break() {
            return Err(stopped());
        }
    }
    let last = importer.finish()?;
    for write in last.writes {
        if let Change::Put(key, value) = write {
            batch.put(key, value);
        }
    }
    store.commit(version, epoch, &batch, Durability::Durable)?;
    Ok(importer.progress())
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
                batch.delete(key.to_vec());
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
