//! Snapshots: a whole world as one portable file (`docs/format.md`, "Snapshots"). Both directions are steps without IO of their own: who drives
//! them reads records and takes bytes, at once or later.
//!
//! A snapshot is canonical: objects are numbered in the order in which a walk from the roots meets them, and what depends on a world's history
//! (its garbage, the pace of its collector) is left out. So equal worlds give equal bytes.

use super::bytes::{Reader, put_varint};
use super::decode::LoadError;
use super::meta::Meta;
use super::record::{Body, Record, check, refer, salt};
use super::value::Stored;
use super::world::Delta;
use super::{Fetch, Gets, Scanned, Source, content_hash, key, row};
use crate::heap::external::{decode_key, successor};
use crate::heap::hollow::{ContentHash, IdHasher};
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasherDefault;

const MAGIC: &[u8; 8] = b"EVMSNAP\x01";
/// Payload bytes of a block before compression.
const BLOCK: usize = 256 << 10;
/// The most that a block may hold: a single entry may be larger than [`BLOCK`].
const BLOCK_MAX: usize = 80 << 20;

/// What stands before an entry.
mod entry {
    pub const META: u8 = b'm';
    pub const MANIFEST: u8 = b'l';
    pub const FINALIZERS: u8 = b'f';
    pub const OBJECT: u8 = b'o';
    pub const SEGMENT: u8 = b's';
    pub const ROW: u8 = b'x';
    pub const PROTO: u8 = b'p';
    pub const BLOB: u8 = b'b';
    pub const END: u8 = b'e';
}

type Map<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;
type Set<K> = HashSet<K, BuildHasherDefault<IdHasher>>;

/// Where a step has stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// There is output to take; go on.
    More,
    /// The store answers these later; go on then.
    Wait(Vec<Vec<u8>>),
    Done,
}

/// Keys that are asked for at once.
const WANTED_MAX: usize = 4096;

/// Rows read in one go.
const ROWS: usize = 512;

/// How far a walk is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Objects written.
    pub objects: u64,
    /// Objects met so far: at the end as many.
    pub known: u64,
    /// Bytes before compression.
    pub payload: u64,
}

/// Writes a snapshot.
#[derive(Default)]
pub struct Exporter {
    started: bool,
    finished: bool,
    /// New numbers by old ones.
    numbers: Map<u32, u32>,
    queue: VecDeque<u32>,
    /// The external table whose rows are being written: its old number, and the store's key to go on from.
    rows: Option<(u32, Vec<u8>)>,
    contents: Set<ContentHash>,
    block: Vec<u8>,
    out: Vec<u8>,
    progress: Progress,
    blocks: u64,
}

fn get(
    source: &mut dyn FnMut(&[u8]) -> Fetch,
    key: &[u8],
    what: &str,
) -> Result<Result<Vec<u8>, Step>, LoadError> {
    match source(key) {
        Fetch::Found(bytes) => Ok(Ok(bytes)),
        Fetch::Missing => Err(LoadError::Missing(what.to_owned())),
        Fetch::Later => Ok(Err(Step::Wait(vec![key.to_vec()]))),
        Fetch::Failed(e) => Err(LoadError::Store(e)),
    }
}

macro_rules! fetch {
    ($source:expr, $key:expr, $what:expr) => {
        match get($source, $key, $what)? {
            Ok(bytes) => bytes,
            Err(step) => return Ok(step),
        }
    };
}

impl Exporter {
    pub fn new() -> Exporter {
        Exporter::default()
    }

    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Takes the bytes written so far.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Goes on until there is a piece of output, the store is late, or all is written.
    pub fn step(&mut self, source: &mut dyn FnMut(&[u8]) -> Fetch) -> Result<Step, LoadError> {
        self.step_over(&mut Gets(source))
    }

    /// The same over a source that has scans, as worlds with external tables need it.
    pub fn step_over(&mut self, store: &mut dyn Source) -> Result<Step, LoadError> {
        if self.finished {
            return Ok(Step::Done);
        }
        if !self.started {
            let done = self.begin(&mut |key| store.get(key))?;
            if done != Step::More {
                return Ok(done);
            }
        }
        while self.rows.is_some() || !self.queue.is_empty() {
            let step = match (self.rows.take(), self.queue.front()) {
                (Some((id, from)), _) => self.some_rows(store, id, from)?,
                (None, Some(&id)) => {
                    let step = self.object(&mut |key| store.get(key), id)?;
                    if step == Step::More {
                        self.queue.pop_front();
                        self.progress.objects += 1;
                    }
                    step
                }
                (None, None) => Step::More,
            };
            if step != Step::More {
                return Ok(step);
            }
            if self.block.len() >= BLOCK {
                self.flush();
                return Ok(Step::More);
            }
        }
        let total = self.numbers.len() as u64;
        self.block.push(entry::END);
        put_varint(&mut self.block, total);
        self.flush();
        self.out.extend_from_slice(&[0; 12]);
        self.finished = true;
        Ok(Step::Done)
    }

    fn begin(&mut self, source: &mut dyn FnMut(&[u8]) -> Fetch) -> Result<Step, LoadError> {
        let bytes = fetch!(source, key::META, "its meta record");
        let mut optional = |key: &[u8]| match source(key) {
            Fetch::Found(bytes) => Ok(Ok(bytes)),
            Fetch::Missing => Ok(Ok(Vec::new())),
            Fetch::Later => Ok(Err(Step::Wait(vec![key.to_vec()]))),
            Fetch::Failed(e) => Err(LoadError::Store(e)),
        };
        let manifest = match optional(key::MANIFEST)? {
            Ok(bytes) => bytes,
            Err(step) => return Ok(step),
        };
        let finalizers = match optional(key::FINALIZERS)? {
            Ok(bytes) => bytes,
            Err(step) => return Ok(step),
        };
        let damaged = |bad| LoadError::Damaged(format!("the meta record: {bad}"));
        let mut meta = Meta::read(&bytes).map_err(damaged)?;
        let mut refer = |v: &mut Stored<'_>| {
            if let Stored::Table(id) | Stored::Coroutine(id) = v {
                *id = self.number(*id);
            }
        };
        refer(&mut meta.globals);
        refer(&mut meta.registry);
        refer(&mut meta.main);
        meta.type_metatables.iter_mut().for_each(&mut refer);
        meta.roots.iter_mut().for_each(|(_, v)| refer(v));
        for task in meta.tasks.iter_mut().flatten() {
            task.root = self.number(task.root);
            task.current = self.number(task.current);
        }
        meta.gc.bytes = 0;
        meta.gc.debt = 0;
        let finalizers = self.finalizers(&finalizers)?;
        // Numbers are known when the walk is over: those to come begin behind all that a reader will find in the file.
        meta.next_id = 0;
        self.out.extend_from_slice(MAGIC);
        let bytes = meta.write();
        self.entry(entry::META, &bytes);
        self.entry(entry::MANIFEST, &manifest);
        self.entry(entry::FINALIZERS, &finalizers);
        self.started = true;
        Ok(Step::More)
    }

    fn finalizers(&mut self, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        let damaged = |bad| LoadError::Damaged(format!("the finalizers: {bad}"));
        let mut from = Reader::new(bytes);
        let mut out = Vec::new();
        while from.left() > 0 {
            let count = from.count("count").map_err(damaged)?;
            put_varint(&mut out, count as u64);
            for _ in 0..count {
                out.push(from.byte("kind").map_err(damaged)?);
                let id = from.u32("number").map_err(damaged)?;
                put_varint(&mut out, self.number(id) as u64);
            }
        }
        // Lists that are empty now are as good as lists that never were.
        if out.iter().all(|&count| count == 0) {
            out.clear();
        }
        Ok(out)
    }

    fn number(&mut self, old: u32) -> u32 {
        let next = self.numbers.len() as u32 + 1;
        let queue = &mut self.queue;
        let known = &mut self.progress.known;
        *self.numbers.entry(old).or_insert_with(|| {
            queue.push_back(old);
            *known += 1;
            next
        })
    }

    /// Writes one object's record and what belongs to it. Reads everything before it writes anything, so that it can be tried again.
    fn object(
        &mut self,
        source: &mut dyn FnMut(&[u8]) -> Fetch,
        old: u32,
    ) -> Result<Step, LoadError> {
        let name = format!("object {old}");
        let bytes = fetch!(source, &key::object(old), &name);
        let damaged = |bad| LoadError::Damaged(format!("{name}: {bad}"));
        let mut record = Record::read(salt(old, None), &bytes).map_err(damaged)?;
        let (slots, pairs) = record.segments();
        let indices = (0..slots).chain((0..pairs).map(|n| n + key::ENTRY_SEGMENTS));
        let mut segments = Vec::new();
        let mut late = Vec::new();
        for index in indices {
            let key = key::segment(old, index);
            match get(source, &key, &format!("segment {index} of {name}"))? {
                Ok(bytes) => segments.push((index, bytes)),
                Err(_) => late.push(key),
            }
            // A damaged record can promise millions: they are asked for in portions.
            if late.len() >= WANTED_MAX {
                return Ok(Step::Wait(late));
            }
        }
        let mut contents = Vec::new();
        let mut want = |record: &Record<'_>, known: &Set<ContentHash>| {
            record.each_content(&mut |is_proto, hash| {
                if !known.contains(hash) && !contents.iter().any(|(_, h, _)| h == hash) {
                    contents.push((is_proto, *hash, Vec::new()));
                }
            });
        };
        want(&record, &self.contents);
        let mut parsed = Vec::new();
        for (index, bytes) in &segments {
            let record = Record::read(salt(old, Some(*index)), bytes).map_err(damaged)?;
            want(&record, &self.contents);
            parsed.push((*index, record));
        }
        for (is_proto, hash, bytes) in &mut contents {
            let key = if *is_proto {
                key::proto(hash)
            } else {
                key::blob(hash)
            };
            match get(source, &key, "a function's code or a long string")? {
                Ok(found) => *bytes = found,
                Err(_) => late.push(key),
            }
        }
        if !late.is_empty() {
            return Ok(Step::Wait(late));
        }
        for (is_proto, hash, bytes) in contents {
            self.contents.insert(hash);
            self.entry(if is_proto { entry::PROTO } else { entry::BLOB }, &bytes);
        }
        let new = self.number(old);
        record.each_reference(&mut |id| *id = self.number(*id));
        let mut out = Vec::with_capacity(bytes.len() + 8);
        record.write(salt(new, None), &mut out);
        self.entry(entry::OBJECT, &out);
        if matches!(record.body, Body::External { .. }) {
            self.rows = Some((old, row::key(old, &[])));
        }
        for (index, mut record) in parsed {
            record.each_reference(&mut |id| *id = self.number(*id));
            out.clear();
            record.write(salt(new, Some(index)), &mut out);
            let mut whole = Vec::with_capacity(out.len() + 4);
            whole.extend_from_slice(&index.to_le_bytes());
            whole.extend_from_slice(&out);
            self.entry(entry::SEGMENT, &whole);
        }
        Ok(Step::More)
    }

    /// Writes some rows of an external table behind its record, in their order.
    fn some_rows(
        &mut self,
        store: &mut dyn Source,
        old: u32,
        from: Vec<u8>,
    ) -> Result<Step, LoadError> {
        let entries = match store.scan(&from, &row::end(old), ROWS) {
            Scanned::Entries(entries) => entries,
            Scanned::Later => {
                self.rows = Some((old, from));
                return Ok(Step::Wait(Vec::new()));
            }
            Scanned::Failed(e) => return Err(LoadError::Store(e)),
            Scanned::Cannot => return Err(LoadError::Store(super::decode::NO_SCANS.into())),
        };
        let damaged = |bad| LoadError::Damaged(format!("a row of object {old}: {bad}"));
        // Long strings first, so that it can be tried again.
        let mut late = Vec::new();
        for (keyed, bytes) in &entries {
            let value = row::read(old, row::encoded(keyed), bytes).map_err(damaged)?;
            if let Stored::Blob(hash, _) = value
                && !self.contents.contains(&hash)
            {
                let key = key::blob(&hash);
                match get(&mut |key| store.get(key), &key, "a long string")? {
                    Ok(found) => {
                        self.contents.insert(hash);
                        self.entry(entry::BLOB, &found);
                    }
                    Err(_) => late.push(key),
                }
            }
        }
        if !late.is_empty() {
            self.rows = Some((old, from));
            return Ok(Step::Wait(late));
        }
        let new = self.number(old);
        for (keyed, bytes) in &entries {
            let encoded = row::encoded(keyed);
            let mut value = row::read(old, encoded, bytes).map_err(damaged)?;
            refer(&mut value, &mut |id| *id = self.number(*id));
            let mut whole = Vec::with_capacity(encoded.len() + bytes.len() + 4);
            put_varint(&mut whole, encoded.len() as u64);
            whole.extend_from_slice(encoded);
            whole.extend_from_slice(&row::write(new, encoded, &value));
            self.entry(entry::ROW, &whole);
        }
        if entries.len() == ROWS
            && let Some((last, _)) = entries.into_iter().next_back()
        {
            self.rows = Some((old, successor(last)));
        }
        Ok(Step::More)
    }

    fn entry(&mut self, kind: u8, bytes: &[u8]) {
        self.block.push(kind);
        put_varint(&mut self.block, bytes.len() as u64);
        self.block.extend_from_slice(bytes);
    }

    fn flush(&mut self) {
        let packed = lz4_flex::block::compress(&self.block);
        self.out
            .extend_from_slice(&(packed.len() as u32).to_le_bytes());
        self.out
            .extend_from_slice(&(self.block.len() as u32).to_le_bytes());
        self.out
            .extend_from_slice(&check(self.blocks, &self.block).to_le_bytes());
        self.out.extend_from_slice(&packed);
        self.progress.payload += self.block.len() as u64;
        self.blocks += 1;
        self.block.clear();
    }
}

/// Reads a snapshot into an empty store.
#[derive(Default)]
pub struct Importer {
    input: Vec<u8>,
    begun: bool,
    ended: bool,
    blocks: u64,
    objects: u32,
    /// The last object is an external table, whose rows come next; the last row's key.
    rows: Option<Vec<u8>>,
    /// The largest number that something refers to.
    largest: u32,
    total: Option<u32>,
    meta: Option<Vec<u8>>,
    delta: Delta,
    payload: u64,
}

impl Importer {
    pub fn new() -> Importer {
        Importer::default()
    }

    pub fn progress(&self) -> Progress {
        Progress {
            objects: self.objects as u64,
            known: self.objects as u64,
            payload: self.payload,
        }
    }

    /// Takes more of the file. What has become ready to be stored is in [`take`](Self::take).
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        self.input.extend_from_slice(bytes);
        let mut at = 0;
        let result = self.blocks(&mut at);
        self.input.drain(..at);
        result
    }

    fn blocks(&mut self, at: &mut usize) -> Result<(), LoadError> {
        let broken = |what: &str| LoadError::Damaged(format!("the snapshot: {what}"));
        if !self.begun {
            if self.input.len() < MAGIC.len() {
                return if MAGIC.starts_with(&self.input) {
                    Ok(())
                } else {
                    Err(broken("this is no snapshot of Evermoon's"))
                };
            }
            if self.input[..7] != MAGIC[..7] {
                return Err(broken("this is no snapshot of Evermoon's"));
            }
            if self.input[7] != MAGIC[7] {
                return Err(broken("a newer Evermoon wrote it; read it with that"));
            }
            self.begun = true;
            *at = MAGIC.len();
        }
        loop {
            let input = &self.input[*at..];
            if self.ended {
                return if input.is_empty() {
                    Ok(())
                } else {
                    Err(broken("bytes behind its end"))
                };
            }
            let Some((head, rest)) = input.split_first_chunk::<12>() else {
                return Ok(());
            };
            let word =
                |i: usize| u32::from_le_bytes([head[i], head[i + 1], head[i + 2], head[i + 3]]);
            let (packed, size, sum) = (word(0) as usize, word(4) as usize, word(8));
            if packed == 0 {
                if self.total.is_none() {
                    return Err(broken("it ends too early"));
                }
                self.ended = true;
                *at += 12;
                continue;
            }
            // Compressed bytes cannot become more than 255 times as many.
            if size > BLOCK_MAX || size / 255 > packed + 16 || packed > size + size / 100 + 64 {
                return Err(broken("a block's size"));
            }
            let Some(packed) = rest.get(..packed) else {
                return Ok(());
            };
            let block = lz4_flex::block::decompress(packed, size)
                .map_err(|_| broken("a block that cannot be decompressed"))?;
            if block.len() != size || check(self.blocks, &block) != sum {
                return Err(broken("a block's check does not hold; the file is damaged"));
            }
            *at += 12 + packed.len();
            self.blocks += 1;
            self.payload += size as u64;
            self.entries(&block)?;
        }
    }

    fn entries(&mut self, block: &[u8]) -> Result<(), LoadError> {
        let bad = |bad| LoadError::Damaged(format!("the snapshot: {bad}"));
        let mut from = Reader::new(block);
        while from.left() > 0 {
            if self.total.is_some() {
                return Err(LoadError::Damaged(
                    "the snapshot: entries behind its end".into(),
                ));
            }
            let kind = from.byte("entry").map_err(bad)?;
            if kind == entry::END {
                let total = from.u32("object count").map_err(bad)?;
                if total != self.objects || self.largest > total {
                    return Err(LoadError::Damaged(
                        "the snapshot: objects are missing".into(),
                    ));
                }
                self.total = Some(total);
                continue;
            }
            let bytes = from.counted("entry size").map_err(bad)?;
            self.one(kind, bytes)?;
        }
        Ok(())
    }

    fn one(&mut self, kind: u8, bytes: &[u8]) -> Result<(), LoadError> {
        let bad = |bad| LoadError::Damaged(format!("the snapshot: {bad}"));
        match kind {
            entry::META => {
                let mut meta = Meta::read(bytes).map_err(bad)?;
                let mut largest = 0;
                let mut refer = |v: &mut Stored<'_>| largest = largest.max(v.object().unwrap_or(0));
                refer(&mut meta.globals);
                refer(&mut meta.registry);
                refer(&mut meta.main);
                meta.type_metatables.iter_mut().for_each(&mut refer);
                for task in meta.tasks.iter().flatten() {
                    largest = largest.max(task.root).max(task.current);
                }
                self.largest = self.largest.max(largest);
                self.meta = Some(bytes.to_vec());
            }
            entry::MANIFEST if !bytes.is_empty() => {
                self.delta.put(key::MANIFEST.to_vec(), bytes.to_vec())
            }
            entry::FINALIZERS if !bytes.is_empty() => {
                self.delta.put(key::FINALIZERS.to_vec(), bytes.to_vec())
            }
            entry::MANIFEST | entry::FINALIZERS => {}
            entry::OBJECT => {
                let id = self
                    .objects
                    .checked_add(1)
                    .ok_or_else(|| LoadError::Damaged("the snapshot: too many objects".into()))?;
                self.look(salt(id, None), bytes)?;
                let record = Record::read(salt(id, None), bytes).map_err(bad)?;
                let external = matches!(record.body, Body::External { .. });
                self.rows = external.then(Vec::new);
                self.objects = id;
                self.delta.objects += 1;
                self.delta.put(key::object(id), bytes.to_vec());
            }
            entry::SEGMENT => {
                let Some((index, bytes)) = bytes.split_first_chunk::<4>() else {
                    return Err(LoadError::Damaged("the snapshot: a segment".into()));
                };
                let index = u32::from_le_bytes(*index);
                self.look(salt(self.objects, Some(index)), bytes)?;
                self.delta
                    .put(key::segment(self.objects, index), bytes.to_vec());
            }
            entry::ROW => {
                let broken = || LoadError::Damaged("the snapshot: a row".into());
                let mut from = Reader::new(bytes);
                let encoded = from.counted("a row's key").map_err(bad)?;
                let record = &bytes[from.at()..];
                let last = self.rows.as_mut().ok_or_else(broken)?;
                if decode_key(encoded).is_none() || last[..] >= *encoded {
                    return Err(broken());
                }
                last.clear();
                last.extend_from_slice(encoded);
                let mut value = row::read(self.objects, encoded, record).map_err(bad)?;
                refer(&mut value, &mut |id| self.largest = self.largest.max(*id));
                self.delta
                    .put(row::key(self.objects, encoded), record.to_vec());
            }
            entry::PROTO => self
                .delta
                .put(key::proto(&content_hash(bytes)), bytes.to_vec()),
            entry::BLOB => self
                .delta
                .put(key::blob(&content_hash(bytes)), bytes.to_vec()),
            _ => {
                return Err(LoadError::Damaged(
                    "the snapshot: an entry of unknown kind".into(),
                ));
            }
        }
        Ok(())
    }

    /// Checks a record, and notes what it refers to.
    fn look(&mut self, salt: u64, bytes: &[u8]) -> Result<(), LoadError> {
        let bad = |bad| LoadError::Damaged(format!("the snapshot: {bad}"));
        let mut record = Record::read(salt, bytes).map_err(bad)?;
        let mut largest = self.largest;
        record.each_reference(&mut |id| largest = largest.max(*id));
        self.largest = largest;
        Ok(())
    }

    /// What is ready to be stored. Store these in order, in as many commits as is convenient: nothing opens such a store before
    /// [`finish`](Self::finish)'s are there.
    pub fn take(&mut self) -> Delta {
        std::mem::take(&mut self.delta)
    }

    /// The last writes, which make a world of it.
    pub fn finish(&mut self) -> Result<Delta, LoadError> {
        let (true, Some(total), Some(meta)) = (self.ended, self.total, self.meta.take()) else {
            return Err(LoadError::Damaged("the snapshot: it ends too early".into()));
        };
        let bad = |bad| LoadError::Damaged(format!("the snapshot: {bad}"));
        let mut meta = Meta::read(&meta).map_err(bad)?;
        meta.next_id = total.saturating_add(1);
        let mut delta = self.take();
        delta.put(key::META.to_vec(), meta.write());
        Ok(delta)
    }
}
