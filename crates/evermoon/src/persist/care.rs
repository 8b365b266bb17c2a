//! Care of a store: the mark that finds what no root reaches, and the check of every record. Both read records only; both go in steps.

use super::decode::LoadError;
use super::meta::Meta;
use super::record::{Body, Record, kind, salt};
use super::refs::{Refs, Shape};
use super::value::Stored;
use super::{Fetch, Scanned, Source, content_hash, key, row};
use crate::bytecode::{chunk, verify};
use crate::heap::external::{Key, decode_key};
use crate::heap::hollow::{ContentHash, IdHasher};
use crate::heap::number;
use std::collections::HashSet;
use std::hash::BuildHasherDefault;

/// A record that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    pub key: Vec<u8>,
    /// Where a program would find it, as far as the walk knows.
    pub path: String,
    pub what: String,
}

/// A walk over all records that the roots reach.
pub struct Walk {
    /// One bit an object.
    marked: Vec<u64>,
    contents: HashSet<ContentHash, BuildHasherDefault<IdHasher>>,
    /// Objects to be read, with the name of the way there when names are wanted.
    queue: Vec<(u32, String)>,
    /// Those of them that come next, in descending order: so they are read in ascending order, which stores like.
    next: Vec<(u32, String)>,
    names: bool,
    pub broken: Vec<Broken>,
    pub objects: u64,
    pub bytes: u64,
    /// Numbers from here on were given after the walk began.
    pub limit: u32,
    /// Contents that the record at hand names are late.
    late: bool,
    refs: Refs,
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
            queue: Vec::new(),
            next: Vec::new(),
            names,
            broken: Vec::new(),
            objects: 0,
            bytes: 0,
            limit: meta.next_id,
            late: false,
            refs: Refs::default(),
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
        for task in meta.tasks.iter().flatten() {
            walk.meet(task.root, &|| "(program)".into());
            walk.meet(task.current, &|| "(program)".into());
        }
        let mut from = super::bytes::Reader::new(finalizers);
        while from.left() > 0 {
            let count = from.count("finalizers").map_err(bad)?;
            for _ in 0..count {
                from.byte("finalizers").map_err(bad)?;
                let id = from.u32("finalizers").map_err(bad)?;
                walk.meet(id, &|| "(finalizers)".into());
            }
        }
        for (v, name) in roots {
            walk.meet_value(v, &|| name.into());
        }
        Ok(walk)
    }

    /// Whether an object has been reached.
    pub fn is_marked(&self, id: u32) -> bool {
        self.marked
            .get(id as usize / 64)
            .is_some_and(|word| word >> (id % 64) & 1 != 0)
    }

    /// Whether contents (of a prototype or a long string) have been met.
    pub fn has_content(&self, hash: &[u8]) -> bool {
        hash.try_into()
            .is_ok_and(|hash: ContentHash| self.contents.contains(&hash))
    }

    /// An object that has been written since, or that an engine has in its hands: it is looked at (again).
    pub fn note(&mut self, id: u32) {
        self.mark(id);
        self.queue.push((id, String::new()));
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

    fn meet(&mut self, id: u32, name: &dyn Fn() -> String) {
        if self.mark(id) {
            let name = if self.names { name() } else { String::new() };
            self.queue.push((id, name));
        }
    }

    fn meet_value(&mut self, v: &Stored<'_>, name: &dyn Fn() -> String) {
        if let Some(id) = v.object() {
            self.meet(id, name);
        }
    }

    /// Reads up to `budget` records. (A table's rows count as one record.)
    pub fn step_over(
        &mut self,
        store: &mut dyn Source,
        budget: usize,
    ) -> Result<Walked, LoadError> {
        for _ in 0..budget {
            let Some((id, path)) = self.pop() else {
                return Ok(Walked::Done);
            };
            let before = (self.objects, self.bytes, self.broken.len());
            let keyed = key::object(id);
            let source: &mut dyn FnMut(&[u8]) -> Fetch = &mut |key: &[u8]| store.get(key);
            let bytes = match source(&keyed) {
                Fetch::Found(bytes) => bytes,
                Fetch::Missing => {
                    self.break_at(keyed, path, "there is no such record".into());
                    continue;
                }
                Fetch::Later => {
                    self.queue.push((id, path));
                    return Ok(Walked::Wait);
                }
                Fetch::Failed(e) => return Err(LoadError::Store(e)),
            };
            self.objects += 1;
            self.bytes += (keyed.len() + bytes.len()) as u64;
            let Some(shape) = self.look(keyed, salt(id, None), &bytes, &path, source, 0)? else {
                continue;
            };
            let (slots, pairs) = shape.segments;
            for index in (0..slots).chain((0..pairs).map(|n| n + key::ENTRY_SEGMENTS)) {
                let keyed = key::segment(id, index);
                let bytes = match source(&keyed) {
                    Fetch::Found(bytes) => bytes,
                    Fetch::Later => {
                        self.late = true;
                        continue;
                    }
                    Fetch::Missing => {
                        self.break_at(keyed, path.clone(), "there is no such segment".into());
                        continue;
                    }
                    Fetch::Failed(e) => return Err(LoadError::Store(e)),
                };
                self.bytes += (keyed.len() + bytes.len()) as u64;
                let first = (index & (key::ENTRY_SEGMENTS - 1)) as usize;
                let first = first * super::record::SEGMENT_SLOTS;
                self.look(keyed, salt(id, Some(index)), &bytes, &path, source, first)?;
            }
            if std::mem::take(&mut self.late) {
                // It is looked at again as a whole.
                (self.objects, self.bytes) = (before.0, before.1);
                self.broken.truncate(before.2);
                self.queue.push((id, path));
                return Ok(Walked::Wait);
            }
            if shape.kind == kind::EXTERNAL && !self.rows(store, id, &path)? {
                self.queue.push((id, path));
                return Ok(Walked::Wait);
            }
        }
        Ok(Walked::More)
    }

    fn pop(&mut self) -> Option<(u32, String)> {
        if self.next.is_empty() {
            let from = self.queue.len().saturating_sub(NEXT);
            self.next.extend(self.queue.drain(from..));
            self.next
                .sort_unstable_by_key(|(id, _)| std::cmp::Reverse(*id));
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
                        self.break_at(keyed.clone(), name(), "a row without a key".into());
                    }
                    Ok(value) => {
                        if let Stored::Blob(hash, _) = value {
                            let path = if self.names { name() } else { String::new() };
                            self.content(false, hash, &path, &mut |key| store.get(key))?;
                        }
                        self.meet_value(&value, &name);
                    }
                    Err(bad) => self.break_at(keyed.clone(), name(), bad.to_string()),
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

    fn break_at(&mut self, key: Vec<u8>, path: String, what: String) {
        self.broken.push(Broken { key, path, what });
    }

    /// Reads a record, meets what it refers to, and checks the contents that it names; nothing if it is broken.
    fn look(
        &mut self,
        keyed: Vec<u8>,
        salt: u64,
        bytes: &[u8],
        path: &str,
        source: &mut dyn FnMut(&[u8]) -> Fetch,
        first: usize,
    ) -> Result<Option<Shape>, LoadError> {
        let mut refs = std::mem::take(&mut self.refs);
        let shape = match refs.look(salt, bytes) {
            Ok(looked) => looked.shape,
            Err(bad) => {
                self.refs = refs;
                self.break_at(keyed, path.to_owned(), bad.to_string());
                return Ok(None);
            }
        };
        for (is_proto, hash) in &refs.contents {
            self.content(*is_proto, *hash, path, source)?;
        }
        // Before the rest, which has no names.
        if self.names
            && let Ok(record) = Record::read(salt, bytes)
        {
            self.meet_by_name(&record.body, path, first);
        }
        for r in &refs.objects {
            self.meet(r.id, &|| format!("(something in {path})"));
        }
        self.refs = refs;
        Ok(Some(shape))
    }

    /// Checks the contents with this hash, if they have not been met before.
    fn content(
        &mut self,
        is_proto: bool,
        hash: ContentHash,
        path: &str,
        source: &mut dyn FnMut(&[u8]) -> Fetch,
    ) -> Result<(), LoadError> {
        if !self.contents.insert(hash) || !self.names {
            return Ok(());
        }
        let keyed = if is_proto {
            key::proto(&hash)
        } else {
            key::blob(&hash)
        };
        match source(&keyed) {
            Fetch::Found(bytes) => {
                self.bytes += (keyed.len() + bytes.len()) as u64;
                let whole = content_hash(&bytes) == hash;
                let runs = !is_proto
                    || chunk::undump(&bytes, &chunk::Limits::default())
                        .is_ok_and(|proto| verify::verify(&proto).is_ok());
                if !whole || !runs {
                    let what = "its contents are not what their hash says";
                    self.break_at(keyed, path.to_owned(), what.into());
                }
            }
            Fetch::Missing => {
                self.break_at(keyed, path.to_owned(), "there are no such contents".into())
            }
            Fetch::Later => {
                self.contents.remove(&hash);
                self.late = true;
            }
            Fetch::Failed(e) => return Err(LoadError::Store(e)),
        }
        Ok(())
    }

    fn meet_by_name(&mut self, body: &Body<'_>, path: &str, first: usize) {
        use super::record::Part;
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
        (Some(b'p' | b'b'), _) => !walk.has_content(&key[1..]),
        _ => false,
    }
}
