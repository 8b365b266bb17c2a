//! Snapshots: a whole world as one portable file (`docs/format.md`, "Snapshots"). Both directions are steps without IO of their own: who drives
//! them reads records and takes bytes, at once or later.
//!
//! A snapshot is canonical: objects are numbered in the order in which a walk from the roots meets them, and what depends on a world's history
//! (its garbage, the pace of its collector) is left out. So equal worlds give equal bytes.

use super::bytes::{Reader, put_varint, varint_len};
use super::decode::LoadError;
use super::key::Content;
use super::meta::Meta;
use super::record::{check, kind, refer, salt};
use super::refs::{Looked, Refs};
use super::value::Stored;
use super::{Fetch, Scanned, Source, content_hash, key, row};
use crate::heap::external::{decode_key, successor};
use crate::heap::hollow::IdHasher;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasherDefault;

const MAGIC: &[u8; 8] = b"EVMSNAP\x01";
/// Payload bytes of a block before compression.
const BLOCK: usize = 256 << 10;
/// The most that a block may hold: what belongs to one object stays in one block, and may be larger than [`BLOCK`].
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

/// Bytes of the check at a record's end.
const CHECK: usize = 4;

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

/// Numbers for numbers. Numbers of objects that were made together are neighbours, so they are kept by sixteens: four bytes an object where the
/// old numbers are dense, and no more than 80 where they are far apart.
#[derive(Default)]
struct Numbers {
    /// Where in `leaves` an old number's sixteen are.
    places: Map<u32, u32>,
    leaves: Vec<[u32; LEAF]>,
    /// The leaf that was asked for last: old number over [`LEAF`], place.
    last: Option<(u32, u32)>,
}

const LEAF: usize = 16;

impl Numbers {
    /// Where the new number of an old one stands; 0 if it has none yet.
    fn of(&mut self, old: u32) -> &mut u32 {
        let (leaf, slot) = (old / LEAF as u32, old as usize % LEAF);
        let place = match self.last {
            Some((last, place)) if last == leaf => place,
            _ => {
                let leaves = &mut self.leaves;
                let place = *self.places.entry(leaf).or_insert_with(|| {
                    leaves.push([0; LEAF]);
                    leaves.len() as u32 - 1
                });
                self.last = Some((leaf, place));
                place
            }
        };
        &mut self.leaves[place as usize][slot]
    }
}

/// A block before its checks and compression.
#[derive(Default)]
pub struct Block {
    number: u64,
    bytes: Vec<u8>,
    seals: Vec<Seal>,
}

/// A record in a block whose check is still to be made.
struct Seal {
    start: usize,
    /// Where the check stands.
    end: usize,
    salt: u64,
}

impl Block {
    /// Adds it to the bytes of a file. Blocks do not depend on each other, so this can be done elsewhere than where they come from.
    pub fn pack(mut self, out: &mut Vec<u8>) {
        for seal in &self.seals {
            let sum = check(seal.salt, &self.bytes[seal.start..seal.end]);
            self.bytes[seal.end..seal.end + CHECK].copy_from_slice(&sum.to_le_bytes());
        }
        let packed = lz4_flex::block::compress(&self.bytes);
        out.extend_from_slice(&(packed.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(&check(self.number, &self.bytes).to_le_bytes());
        out.extend_from_slice(&packed);
    }
}

/// What a file begins with and ends with: its blocks stand between.
pub const BEGIN: &[u8] = MAGIC;
pub const END: &[u8] = &[0; 12];

/// Writes a snapshot.
#[derive(Default)]
pub struct Exporter {
    started: bool,
    finished: bool,
    numbers: Numbers,
    /// Old numbers of the objects that are to be written, in the order of their new ones.
    queue: VecDeque<u32>,
    /// The external table whose rows are being written: its old number, and the store's key to go on from.
    rows: Option<(u32, Vec<u8>)>,
    contents: Set<Content>,
    block: Block,
    /// Blocks that are full.
    blocks: Vec<Block>,
    /// How much of the file's beginning and end [`take`](Self::take) has given.
    begun: bool,
    ended: bool,
    progress: Progress,
    refs: Refs,
    news: Vec<u32>,
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
        let mut out = Vec::new();
        if self.started && !self.begun {
            out.extend_from_slice(BEGIN);
            self.begun = true;
        }
        for block in self.take_blocks() {
            block.pack(&mut out);
        }
        if self.finished && !self.ended {
            out.extend_from_slice(END);
            self.ended = true;
        }
        out
    }

    /// Takes the blocks that are full, for one who puts the file together himself: [`BEGIN`], the blocks in their order, [`END`].
    pub fn take_blocks(&mut self) -> Vec<Block> {
        std::mem::take(&mut self.blocks)
    }

    /// Whether there are blocks to take.
    pub fn has_blocks(&self) -> bool {
        !self.blocks.is_empty()
    }

    /// The objects whose records come next, by their numbers in the store; more may come to stand behind them. Nothing while something else
    /// does, which [`between`](Self::between) writes.
    pub fn upcoming(&self) -> impl Iterator<Item = u32> {
        let now = self.started && self.rows.is_none();
        self.queue
            .iter()
            .copied()
            .take(if now { usize::MAX } else { 0 })
    }

    /// Goes on until there is a piece of output, the store is late, or all is written.
    pub fn step_over(&mut self, store: &mut dyn Source) -> Result<Step, LoadError> {
        loop {
            let next = self.upcoming().next();
            let step = match next {
                Some(id) => {
                    let source: &mut dyn FnMut(&[u8]) -> Fetch = &mut |key| store.get(key);
                    let bytes = fetch!(source, &key::object(id), &format!("object {id}"));
                    self.object(&bytes, source)?
                }
                None => self.between(store)?,
            };
            if step != Step::More || self.has_blocks() {
                return Ok(step);
            }
        }
    }

    /// A step of what stands before, between and behind the objects: the beginning, rows of external tables, the end.
    pub fn between(&mut self, store: &mut dyn Source) -> Result<Step, LoadError> {
        if self.finished {
            return Ok(Step::Done);
        }
        if !self.started {
            return self.begin(&mut |key| store.get(key));
        }
        if let Some((id, from)) = self.rows.take() {
            return self.some_rows(store, id, from);
        }
        if !self.queue.is_empty() {
            return Ok(Step::More);
        }
        let total = self.progress.known;
        self.block.bytes.push(entry::END);
        put_varint(&mut self.block.bytes, total);
        self.flush();
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
        let new = self.numbers.of(old);
        if *new == 0 {
            self.progress.known += 1;
            *new = self.progress.known as u32;
            self.queue.push_back(old);
        }
        *new
    }

    /// Writes the next object: its record, which is given, and what belongs to it.
    pub fn object(
        &mut self,
        record: &[u8],
        source: &mut dyn FnMut(&[u8]) -> Fetch,
    ) -> Result<Step, LoadError> {
        let Some(&old) = self.queue.front() else {
            return Ok(Step::More);
        };
        let mut refs = std::mem::take(&mut self.refs);
        let step = match refs.look(salt(old, None), record) {
            Ok(looked) => self.looked(looked, source),
            Err(bad) => Err(LoadError::Damaged(format!("object {old}: {bad}"))),
        };
        self.refs = refs;
        step
    }

    /// The same for a record that has been looked through already. Reads everything before it writes anything, except contents, and so can be
    /// tried again with what it waits for.
    pub fn looked(
        &mut self,
        record: Looked<'_>,
        source: &mut dyn FnMut(&[u8]) -> Fetch,
    ) -> Result<Step, LoadError> {
        let Some(&old) = self.queue.front() else {
            return Ok(Step::More);
        };
        // Objects are written in the order of their numbers.
        let new = self.progress.objects as u32 + 1;
        let damaged = |bad| LoadError::Damaged(format!("object {old}: {bad}"));
        let shape = record.shape;
        let (slots, pairs) = shape.segments;
        let indices = (0..slots).chain((0..pairs).map(|n| n + key::ENTRY_SEGMENTS));
        let mut segments = Vec::new();
        let mut late = Vec::new();
        for index in indices {
            let key = key::segment(old, index);
            match get(source, &key, &format!("segment {index} of object {old}"))? {
                Ok(bytes) => segments.push((index, bytes)),
                Err(_) => late.push(key),
            }
            // A damaged record can promise millions: they are asked for in portions.
            if late.len() >= WANTED_MAX {
                return Ok(Step::Wait(late));
            }
        }
        self.some_contents(record.contents, source, &mut late)?;
        let mut refs = Refs::default();
        for (index, bytes) in &segments {
            let looked = refs.look(salt(old, Some(*index)), bytes).map_err(damaged)?;
            self.some_contents(looked.contents, source, &mut late)?;
        }
        if !late.is_empty() {
            return Ok(Step::Wait(late));
        }
        self.record(entry::OBJECT, &[], salt(new, None), record);
        for (index, bytes) in &segments {
            let looked = refs.look(salt(old, Some(*index)), bytes).map_err(damaged)?;
            let salt = salt(new, Some(*index));
            self.record(entry::SEGMENT, &index.to_le_bytes(), salt, looked);
        }
        if shape.kind == kind::EXTERNAL {
            self.rows = Some((old, row::key(old, &[])));
        }
        self.queue.pop_front();
        self.progress.objects += 1;
        self.flush_full();
        Ok(Step::More)
    }

    /// Writes those contents that have not been written yet, in their order, up to the first that is late.
    fn some_contents(
        &mut self,
        contents: &[Content],
        source: &mut dyn FnMut(&[u8]) -> Fetch,
        late: &mut Vec<Vec<u8>>,
    ) -> Result<(), LoadError> {
        for content in contents {
            if self.contents.contains(content) {
                continue;
            }
            let key = content.key();
            let kind = if content.is_code {
                entry::PROTO
            } else {
                entry::BLOB
            };
            match get(source, &key, "a function's code or a long string")? {
                Ok(bytes) if late.is_empty() => {
                    self.contents.insert(*content);
                    self.entry(kind, &bytes);
                }
                Ok(_) => {}
                Err(_) => late.push(key),
            }
        }
        Ok(())
    }

    /// Writes a record with its references as the file numbers them; `before` stands before it in its entry.
    fn record(&mut self, kind: u8, before: &[u8], salt: u64, record: Looked<'_>) {
        let mut news = std::mem::take(&mut self.news);
        news.clear();
        let mut len = before.len() + record.body.len() + CHECK;
        for r in record.objects {
            let new = self.number(r.id);
            news.push(new);
            len = len + varint_len(new as u64) - (r.end - r.at) as usize;
        }
        self.begin_entry(kind, len);
        self.block.bytes.extend_from_slice(before);
        let out = &mut self.block.bytes;
        let start = out.len();
        let mut at = 0;
        for (r, new) in record.objects.iter().zip(&news) {
            out.extend_from_slice(&record.body[at..r.at as usize]);
            put_varint(out, *new as u64);
            at = r.end as usize;
        }
        out.extend_from_slice(&record.body[at..]);
        let end = out.len();
        out.extend_from_slice(&[0; CHECK]);
        self.block.seals.push(Seal { start, end, salt });
        self.news = news;
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
        let mut contents = Vec::new();
        for (keyed, bytes) in &entries {
            let value = row::read(old, row::encoded(keyed), bytes).map_err(damaged)?;
            if let Stored::Blob(hash, _) = value {
                contents.push(Content::string(hash));
            }
        }
        let mut late = Vec::new();
        self.some_contents(&contents, &mut |key| store.get(key), &mut late)?;
        if !late.is_empty() {
            self.rows = Some((old, from));
            return Ok(Step::Wait(late));
        }
        let new = *self.numbers.of(old);
        let mut whole = Vec::new();
        for (keyed, bytes) in &entries {
            let encoded = row::encoded(keyed);
            let mut value = row::read(old, encoded, bytes).map_err(damaged)?;
            refer(&mut value, &mut |id| *id = self.number(*id));
            whole.clear();
            put_varint(&mut whole, encoded.len() as u64);
            whole.extend_from_slice(encoded);
            row::write(new, encoded, &value, &mut whole);
            self.entry(entry::ROW, &whole);
        }
        self.flush_full();
        if entries.len() == ROWS
            && let Some((last, _)) = entries.into_iter().next_back()
        {
            self.rows = Some((old, successor(last)));
        }
        Ok(Step::More)
    }

    fn entry(&mut self, kind: u8, bytes: &[u8]) {
        self.begin_entry(kind, bytes.len());
        self.block.bytes.extend_from_slice(bytes);
    }

    fn begin_entry(&mut self, kind: u8, len: usize) {
        // What belongs to one object is in one block, unless no reader would take that.
        let before = self.block.bytes.len();
        if before + len + 16 > BLOCK_MAX && before > 0 {
            self.flush();
        }
        self.block.bytes.push(kind);
        put_varint(&mut self.block.bytes, len as u64);
    }

    fn flush_full(&mut self) {
        if self.block.bytes.len() >= BLOCK {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let next = Block {
            number: self.block.number + 1,
            bytes: Vec::with_capacity(BLOCK + BLOCK / 8),
            seals: Vec::with_capacity(self.block.seals.len()),
        };
        let full = std::mem::replace(&mut self.block, next);
        self.progress.payload += full.bytes.len() as u64;
        self.blocks.push(full);
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
    payload: u64,
    refs: Refs,
}

/// Is given what is to be stored: key and value.
pub type Put<'a> = dyn FnMut(&[u8], &[u8]) + 'a;

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

    /// Takes more of the file, and puts what has become ready to be stored. Store that in its order, in as many commits as is convenient:
    /// nothing opens such a store before what [`finish`](Self::finish) puts is there.
    pub fn feed(&mut self, bytes: &[u8], put: &mut Put<'_>) -> Result<(), LoadError> {
        self.input.extend_from_slice(bytes);
        let mut at = 0;
        let result = self.blocks(&mut at, put);
        self.input.drain(..at);
        result
    }

    fn blocks(&mut self, at: &mut usize, put: &mut Put<'_>) -> Result<(), LoadError> {
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
            self.entries(&block, put)?;
        }
    }

    fn entries(&mut self, block: &[u8], put: &mut Put<'_>) -> Result<(), LoadError> {
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
            self.one(kind, bytes, put)?;
        }
        Ok(())
    }

    fn one(&mut self, kind: u8, bytes: &[u8], put: &mut Put<'_>) -> Result<(), LoadError> {
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
            entry::MANIFEST if !bytes.is_empty() => put(key::MANIFEST, bytes),
            entry::FINALIZERS if !bytes.is_empty() => put(key::FINALIZERS, bytes),
            entry::MANIFEST | entry::FINALIZERS => {}
            entry::OBJECT => {
                let id = self
                    .objects
                    .checked_add(1)
                    .ok_or_else(|| LoadError::Damaged("the snapshot: too many objects".into()))?;
                let kind = self.look(salt(id, None), bytes)?;
                self.rows = (kind == kind::EXTERNAL).then(Vec::new);
                self.objects = id;
                put(&key::object_bytes(id), bytes);
            }
            entry::SEGMENT => {
                let Some((index, bytes)) = bytes.split_first_chunk::<4>() else {
                    return Err(LoadError::Damaged("the snapshot: a segment".into()));
                };
                let index = u32::from_le_bytes(*index);
                self.look(salt(self.objects, Some(index)), bytes)?;
                put(&key::segment(self.objects, index), bytes);
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
                put(&row::key(self.objects, encoded), record);
            }
            entry::PROTO => put(&Content::code(content_hash(bytes)).key(), bytes),
            entry::BLOB => put(&Content::string(content_hash(bytes)).key(), bytes),
            _ => {
                return Err(LoadError::Damaged(
                    "the snapshot: an entry of unknown kind".into(),
                ));
            }
        }
        Ok(())
    }

    /// Checks a record and notes what it refers to; its kind.
    fn look(&mut self, salt: u64, bytes: &[u8]) -> Result<u8, LoadError> {
        let bad = |bad| LoadError::Damaged(format!("the snapshot: {bad}"));
        let looked = self.refs.look(salt, bytes).map_err(bad)?;
        for r in looked.objects {
            self.largest = self.largest.max(r.id);
        }
        Ok(looked.shape.kind)
    }

    /// Puts the last entry, which makes a world of what has been stored.
    pub fn finish(&mut self, put: &mut Put<'_>) -> Result<(), LoadError> {
        let (true, Some(total), Some(meta)) = (self.ended, self.total, self.meta.take()) else {
            return Err(LoadError::Damaged("the snapshot: it ends too early".into()));
        };
        let bad = |bad| LoadError::Damaged(format!("the snapshot: {bad}"));
        let mut meta = Meta::read(&meta).map_err(bad)?;
        meta.next_id = total.saturating_add(1);
        put(key::META, &meta.write());
        Ok(())
    }
}
