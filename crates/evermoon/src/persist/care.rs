//! Care of a store: the mark that finds what no root reaches, and the check of every record. Both read records only; both go in steps.

use super::bytes::{Read, Reader};
use super::decode::LoadError;
use super::key::Content;
use super::meta::Meta;
use super::record::{Body, Part, Record, SEGMENT_PAIRS, SEGMENT_SLOTS, kind, salt};
use super::value::Stored;
use super::{Fetch, Scanned, Source, content_hash, key, row};
use crate::bytecode::{chunk, verify};
use crate::heap::external::{Key, decode_key};
use crate::heap::hollow::IdHasher;
use crate::heap::number;
use crate::heap::value::tag;
use crate::ordered::{Map, by_key};
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

/// A record that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    pub key: Vec<u8>,
    /// Where a program would find it, as far as the walk knows.
    pub path: String,
    pub what: String,
    /// The kind of record that what refers to it expects (`record::kind`), and how many upvalues if that is a function; 0 where nobody has said.
    pub expected: (u8, u32),
}

/// An object on the walk's list.
struct Met {
    id: u32,
    /// As [`Broken::expected`].
    expected: (u8, u32),
    /// The name of the way there, when names are wanted.
    path: String,
}

/// So many missing segments of one table are named one by one.
const MISSING_MAX: u32 = 64;

/// A walk over all records that the roots reach.
pub struct Walk {
    /// One bit an object.
    marked: Vec<u64>,
    contents: HashSet<Content, BuildHasherDefault<IdHasher>>,
    /// Contents that are damaged or missing.
    bad: HashSet<Content, BuildHasherDefault<IdHasher>>,
    /// Variables that are slots of coroutines: number, and the coroutine's.
    open: Vec<(u32, u32)>,
    /// Coroutines, and functions that run in them.
    running: Vec<(u32, u32)>,
    /// What the list of finalizers says an object is.
    finalizable: HashMap<u32, u8, BuildHasherDefault<IdHasher>>,
    /// Objects to be read.
    queue: Vec<Met>,
    /// Those of them that come next, in descending order: so they are read in ascending order, which stores like.
    next: Vec<Met>,
    names: bool,
    pub broken: Vec<Broken>,
    pub objects: u64,
    pub bytes: u64,
    /// Numbers from here on were given after the walk began.
    pub limit: u32,
    /// Contents that the record at hand names are late.
    late: bool,
}

/// How many objects of the queue are put into order at a time. (Few: what they refer to is added to the queue.)
const NEXT: usize = 256;

/// Whether a walk is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Walked {
    More,
    /// The store answers later.
    Wait,
    Done,
}

impl Walk {
    /// Begins at the meta record's roots. With `names`, what is broken is named by its path.
    pub fn new(meta: &[u8], finalizers: &[u8], names: bool) -> Result<Walk, LoadError> {
        let bad = |bad| LoadError::Damaged(format!("the meta record: {bad}"));
        let meta = Meta::read(meta).map_err(bad)?;
        let mut walk = Walk {
            marked: Vec::new(),
            contents: HashSet::default(),
            bad: HashSet::default(),
            open: Vec::new(),
            running: Vec::new(),
            finalizable: HashMap::default(),
            queue: Vec::new(),
            next: Vec::new(),
            names,
            broken: Vec::new(),
            objects: 0,
            bytes: 0,
            limit: meta.next_id,
            late: false,
        };
        let roots = [
            (&meta.registry, "(registry)"),
            (&meta.main, "(main coroutine)"),
            (&meta.globals, "_G"),
        ];
        for mt in &meta.type_metatables {
            walk.meet_value(mt, &|| "(a type's metatable)".into());
        }
        for (_, v) in &meta.roots {
            walk.meet_value(v, &|| "(root)".into());
        }
        let coroutine = (kind::COROUTINE, 0);
        for task in meta.tasks.iter().flatten() {
            walk.meet(task.root, coroutine, &|| "(program)".into());
            walk.meet(task.current, coroutine, &|| "(program)".into());
        }
        if let Err(bad) = walk.finalizers(finalizers) {
            let key = key::FINALIZERS.to_vec();
            walk.break_at(key, "(finalizers)".into(), bad.to_string(), (0, 0));
        }
        for (v, name) in roots {
            walk.meet_value(v, &|| name.into());
        }
        Ok(walk)
    }

    fn finalizers(&mut self, bytes: &[u8]) -> Read<()> {
        let mut from = Reader::new(bytes);
        while from.left() > 0 {
            let count = from.count("finalizers")?;
            for _ in 0..count {
                let expected = match from.byte("finalizers")? as u32 {
                    tag::TABLE => kind::TABLE,
                    tag::USERDATA => kind::USERDATA,
                    _ => return from.bad("finalizers"),
                };
                let id = from.u32("finalizers")?;
                // The list has no check: where it and a record disagree, it is the list that is wrong.
                self.finalizable.insert(id, expected);
                self.meet(id, (0, 0), &|| "(finalizers)".into());
            }
        }
        Ok(())
    }

    /// Whether an object has been reached.
    pub fn is_marked(&self, id: u32) -> bool {
        self.marked
            .get(id as usize / 64)
            .is_some_and(|word| word >> (id % 64) & 1 != 0)
    }

    /// Whether contents (of a prototype or a long string) have been met.
    pub fn has_content(&self, content: &Content) -> bool {
        self.contents.contains(content)
    }

    /// An object that has been written since, or that an engine has in its hands: it is looked at (again).
    pub fn note(&mut self, id: u32) {
        self.mark(id);
        self.queue.push(Met {
            id,
            expected: (0, 0),
            path: String::new(),
        });
    }

    fn mark(&mut self, id: u32) -> bool {
        let (at, bit) = (id as usize / 64, 1u64 << (id % 64));
        if self.marked.len() <= at {
            self.marked.resize(at + 1, 0);
        }
        let new = self.marked[at] & bit == 0;
        self.marked[at] |= bit;
        new
    }

    fn meet(&mut self, id: u32, expected: (u8, u32), name: &dyn Fn() -> String) {
        if self.mark(id) {
            let path = if self.names { name() } else { String::new() };
            self.queue.push(Met { id, expected, path });
        }
    }

    fn meet_value(&mut self, v: &Stored<'_>, name: &dyn Fn() -> String) {
        let expected = match *v {
            Stored::Table(_) => (kind::TABLE, 0),
            Stored::Closure(_, count) => (kind::CLOSURE, count),
            Stored::NativeClosure(_, count) => (kind::NATIVE_CLOSURE, count),
            Stored::Userdata(_) => (kind::USERDATA, 0),
            _ => (kind::COROUTINE, 0),
        };
        if let Some(id) = v.object() {
            self.meet(id, expected, name);
        }
    }

    /// Reads up to `budget` records. (A table's rows count as one record.)
    pub fn step_over(
        &mut self,
        store: &mut dyn Source,
        budget: usize,
    ) -> Result<Walked, LoadError> {
        for _ in 0..budget {
            let Some(met) = self.pop() else {
                self.close();
                return Ok(Walked::Done);
            };
            let (id, mut expected) = (met.id, met.expected);
            if expected.0 == 0
                && let Some(&kind) = self.finalizable.get(&id)
            {
                expected.0 = kind;
            }
            let path = &met.path;
            let before = (self.objects, self.bytes, self.broken.len());
            let keyed = key::object(id);
            let source: &mut dyn FnMut(&[u8]) -> Fetch = &mut |key: &[u8]| store.get(key);
            let bytes = match source(&keyed) {
                Fetch::Found(bytes) => bytes,
                Fetch::Missing => {
                    self.break_at(
                        keyed,
                        path.clone(),
                        "there is no such record".into(),
                        expected,
                    );
                    continue;
                }
                Fetch::Later => {
                    self.queue.push(met);
                    return Ok(Walked::Wait);
                }
                Fetch::Failed(e) => return Err(LoadError::Store(e)),
            };
            self.objects += 1;
            self.bytes += (keyed.len() + bytes.len()) as u64;
            let record = match Record::read(salt(id, None), &bytes) {
                Ok(record) => record,
                Err(bad) => {
                    self.break_at(keyed, path.clone(), bad.to_string(), expected);
                    continue;
                }
            };
            if met.expected.0 != 0 && record.kind() != expected {
                let what = "its record is of another kind than what refers to it expects";
                self.break_at(keyed, path.clone(), what.into(), expected);
                continue;
            }
            if self
                .finalizable
                .get(&id)
                .is_some_and(|&kind| record.kind().0 != kind)
            {
                let what = "the list says that something is what it is not";
                let keyed = key::FINALIZERS.to_vec();
                self.break_at(keyed, "(finalizers)".into(), what.into(), (0, 0));
            }
            if let Body::Coroutine(co) = &record.body
                && self.names
            {
                for frame in &co.frames {
                    let function = match &frame.closure {
                        Stored::Nil => co.stack.get(frame.func as usize),
                        closure => Some(closure),
                    };
                    if let Some(function) = function.and_then(Stored::object) {
                        self.running.push((id, function));
                    }
                }
            }
            if let Body::Open { coroutine, .. } = record.body
                && self.names
            {
                self.open.push((id, coroutine));
            }
            let (slots, pairs) = record.segments();
            self.look(&record, &keyed, path, expected, source, 0)?;
            let mut missing = 0;
            for index in (0..slots).chain((0..pairs).map(|n| n + key::ENTRY_SEGMENTS)) {
                let keyed = key::segment(id, index);
                let bytes = match source(&keyed) {
                    Fetch::Found(bytes) => bytes,
                    Fetch::Later => {
                        self.late = true;
                        continue;
                    }
                    Fetch::Missing => {
                        missing += 1;
                        // A record can promise millions: after so many it is the record that is wrong.
                        if missing > MISSING_MAX {
                            let what = "there are no such segments, as far as was looked";
                            self.break_at(key::object(id), path.clone(), what.into(), expected);
                            break;
                        }
                        let what = "there is no such segment";
                        self.break_at(keyed, path.clone(), what.into(), (0, 0));
                        continue;
                    }
                    Fetch::Failed(e) => return Err(LoadError::Store(e)),
                };
                self.bytes += (keyed.len() + bytes.len()) as u64;
                match Record::read(salt(id, Some(index)), &bytes) {
                    Ok(segment) if segment_holds(&record, &segment, index) => {
                        let first = (index & (key::ENTRY_SEGMENTS - 1)) as usize * SEGMENT_SLOTS;
                        self.look(&segment, &keyed, path, (0, 0), source, first)?;
                    }
                    Ok(_) => {
                        let what = "the segment holds another number of values than the table's record says";
                        self.break_at(keyed, path.clone(), what.into(), (0, 0));
                    }
                    Err(bad) => self.break_at(keyed, path.clone(), bad.to_string(), (0, 0)),
                }
            }
            if std::mem::take(&mut self.late) {
                // It is looked at again as a whole.
                (self.objects, self.bytes) = (before.0, before.1);
                self.broken.truncate(before.2);
                self.queue.push(met);
                return Ok(Walked::Wait);
            }
            if matches!(record.body, Body::External { .. }) && !self.rows(store, id, path)? {
                self.queue.push(met);
                return Ok(Walked::Wait);
            }
        }
        Ok(Walked::More)
    }

    fn pop(&mut self) -> Option<Met> {
        if self.next.is_empty() {
            let from = self.queue.len().saturating_sub(NEXT);
            let mut met: Vec<_> = self.queue.drain(from..).map(Some).collect();
            let ids: Vec<u32> = met.iter().flatten().map(|met| met.id).collect();
            // (The last comes first.)
            for n in by_key(&ids).into_iter().rev() {
                self.next.extend(met[n as usize].take());
            }
        }
        self.next.pop()
    }

    /// Looks at an external table's rows; false: the store answers later.
    fn rows(&mut self, store: &mut dyn Source, id: u32, path: &str) -> Result<bool, LoadError> {
        const BATCH: usize = 1024;
        let mut from = row::key(id, &[]);
        loop {
            let entries = match store.scan(&from, &row::end(id), BATCH) {
                Scanned::Entries(entries) => entries,
                Scanned::Later => return Ok(false),
                Scanned::Failed(e) => return Err(LoadError::Store(e)),
                Scanned::Cannot => return Err(LoadError::Store(super::decode::NO_SCANS.into())),
            };
            for (keyed, bytes) in &entries {
                let encoded = row::encoded(keyed);
                let name = || match decode_key(encoded) {
                    Some(Key::Text(name)) if path == "_G" => String::from_utf8_lossy(name).into(),
                    Some(Key::Text(name)) => format!("{path}.{}", String::from_utf8_lossy(name)),
                    Some(Key::Int(i)) => format!("{path}[{i}]"),
                    Some(Key::Float(f)) => format!("{path}[{}]", number::float_string(f)),
                    Some(Key::Bool(b)) => format!("{path}[{b}]"),
                    None => format!("{path}[?]"),
                };
                self.bytes += (keyed.len() + bytes.len()) as u64;
                let value = row::read(id, encoded, bytes);
                match value {
                    Ok(_) if decode_key(encoded).is_none() => {
                        let what = "a row without a key";
                        self.break_at(keyed.clone(), name(), what.into(), (0, 0));
                    }
                    Ok(value) => {
                        let record = Record {
                            marks: super::record::Marks::default(),
                            body: Body::Closed(value),
                        };
                        let path = name();
                        let source = &mut |key: &[u8]| store.get(key);
                        self.look(&record, keyed, &path, (0, 0), source, 0)?;
                    }
                    Err(bad) => self.break_at(keyed.clone(), name(), bad.to_string(), (0, 0)),
                }
            }
            if entries.len() < BATCH {
                return Ok(true);
            }
            if let Some((last, _)) = entries.into_iter().next_back() {
                from = crate::heap::external::successor(last);
            }
        }
    }

    fn break_at(&mut self, key: Vec<u8>, path: String, what: String, expected: (u8, u32)) {
        self.broken.push(Broken {
            key,
            path,
            what,
            expected,
        });
    }

    /// At the end: what cannot be used either, because of what is damaged.
    fn close(&mut self) {
        let (running, open) = (
            std::mem::take(&mut self.running),
            std::mem::take(&mut self.open),
        );
        let mut lost = Map::new();
        for b in &self.broken {
            lost.insert(b.key.clone(), ());
        }
        let groups = [
            (
                running,
                kind::COROUTINE,
                "a function that runs in it is damaged",
            ),
            (
                open,
                kind::UPVALUE,
                "the coroutine that has this variable is damaged",
            ),
        ];
        for (pairs, kind, what) in groups {
            for (id, needs) in pairs {
                let keyed = key::object(id);
                if lost.contains_key(&key::object(needs))
                    && lost.insert(keyed.clone(), ()).is_none()
                {
                    let path = match kind {
                        kind::COROUTINE => "(a coroutine)",
                        _ => "(a variable)",
                    };
                    self.break_at(keyed, path.into(), what.into(), (kind, 0));
                }
            }
        }
    }

    /// Meets what a record refers to, and checks the contents that it names.
    fn look(
        &mut self,
        record: &Record<'_>,
        keyed: &[u8],
        path: &str,
        expected: (u8, u32),
        source: &mut dyn FnMut(&[u8]) -> Fetch,
        first: usize,
    ) -> Result<(), LoadError> {
        let mut contents = Vec::new();
        record.each_content(&mut |content| contents.push(content));
        let mut is_bad = false;
        for content in contents {
            if !self.contents.insert(content) || !self.names {
                is_bad |= self.bad.contains(&content);
                continue;
            }
            let keyed = content.key();
            let good = match source(&keyed) {
                Fetch::Found(bytes) => {
                    self.bytes += (keyed.len() + bytes.len()) as u64;
                    content_is_good(&content, &bytes)
                }
                Fetch::Missing => false,
                Fetch::Later => {
                    self.contents.remove(&content);
                    self.late = true;
                    true
                }
                Fetch::Failed(e) => return Err(LoadError::Store(e)),
            };
            if !good {
                self.bad.insert(content);
                is_bad = true;
            }
        }
        if is_bad {
            let what = match record.body {
                Body::Closure { .. } => "its code is damaged or missing",
                _ => "a long string in it is damaged or missing",
            };
            self.break_at(keyed.to_vec(), path.to_owned(), what.into(), expected);
        }
        if self.names {
            self.meet_by_name(&record.body, path, first);
        }
        record.each_object(&mut |id, kind, count| {
            self.meet(id, (kind, count), &|| format!("(something in {path})"));
        });
        Ok(())
    }

    fn meet_by_name(&mut self, body: &Body<'_>, path: &str, first: usize) {
        let prefix = if path == "_G" {
            String::new()
        } else {
            path.to_owned()
        };
        let field = |k: &Stored<'_>| match k {
            Stored::Text(name) if prefix.is_empty() => String::from_utf8_lossy(name).into_owned(),
            Stored::Text(name) => format!("{prefix}.{}", String::from_utf8_lossy(name)),
            Stored::Int(i) => format!("{path}[{i}]"),
            _ => format!("{path}[?]"),
        };
        let slots = |walk: &mut Walk, values: &[Stored<'_>]| {
            for (i, v) in values.iter().enumerate() {
                walk.meet_value(v, &|| format!("{path}[{}]", first + i + 1));
            }
        };
        let pairs = |walk: &mut Walk, pairs: &[(Stored<'_>, Stored<'_>)]| {
            for (k, v) in pairs {
                walk.meet_value(v, &|| field(k));
            }
        };
        match body {
            Body::Table { array, entries, .. } => {
                if let Part::Here(values) = array {
                    slots(self, values);
                }
                if let Part::Here(entries) = entries {
                    pairs(self, entries);
                }
            }
            Body::Slots(values) => slots(self, values),
            Body::Pairs(entries) => pairs(self, entries),
            Body::Closed(v) => self.meet_value(v, &|| path.to_owned()),
            _ => {}
        }
    }
}

/// Whether the bytes are what their hash says, and code that may run if they are code.
pub fn content_is_good(content: &Content, bytes: &[u8]) -> bool {
    content_hash(bytes) == content.hash
        && (!content.is_code
            || chunk::undump(bytes, &chunk::Limits::default())
                .is_ok_and(|proto| verify::verify(&proto).is_ok()))
}

/// How many values the segment of a table must hold.
pub fn segment_size(table: &Record<'_>, index: u32) -> usize {
    let Body::Table {
        array: Part::Segments(slots),
        entries: Part::Segments(pairs),
        ..
    } = table.body
    else {
        return 0;
    };
    let (all, index, size) = match index.checked_sub(key::ENTRY_SEGMENTS) {
        Some(index) => (pairs, index, SEGMENT_PAIRS),
        None => (slots, index, SEGMENT_SLOTS),
    };
    (all as usize)
        .saturating_sub(index as usize * size)
        .min(size)
}

fn segment_holds(table: &Record<'_>, segment: &Record<'_>, index: u32) -> bool {
    let size = segment_size(table, index);
    match &segment.body {
        Body::Slots(values) => index < key::ENTRY_SEGMENTS && values.len() == size,
        Body::Pairs(pairs) => index >= key::ENTRY_SEGMENTS && pairs.len() == size,
        _ => false,
    }
}

/// Whether the walk's end says that an entry of the store is garbage. Keys that are none of the world's objects and contents are not.
pub fn is_garbage(walk: &Walk, key: &[u8]) -> bool {
    match (key.first(), key.get(1..9)) {
        (Some(b'o' | b's' | b'x'), Some(id)) => {
            let id: [u8; 8] = id.try_into().unwrap_or([0; 8]);
            match u32::try_from(u64::from_be_bytes(id)) {
                Ok(id) => id < walk.limit && !walk.is_marked(id),
                Err(_) => false,
            }
        }
        (Some(b'p' | b'b'), _) => !Content::of_key(key).is_some_and(|c| walk.has_content(&c)),
        _ => false,
    }
}
