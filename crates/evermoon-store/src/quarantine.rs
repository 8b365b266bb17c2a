//! Putting aside what is damaged: each broken entry moves under a key of the class `q`, and something that says so takes its place, so that the rest of the world opens,
//! runs, is verified and is exported.
//!
//! What takes the place: of a table an empty one; of a segment as many nils; of a variable nil; of a function one that fails when it is called; of a coroutine a dead one;
//! of a long string nil. A row goes. Library functions that were in a damaged table come back when the world is opened.

use evermoon::bytecode::chunk;
use evermoon::bytecode::proto::UpvalDesc;
use evermoon::persist::care::{Broken, content_is_good, segment_size};
use evermoon::persist::key::Content;
use evermoon::persist::meta::Meta;
use evermoon::persist::record::{
    Body, CoroutineRecord, Marks, Part, Record, SEGMENT_SLOTS, kind, salt,
};
use evermoon::persist::value::Stored;
use evermoon::persist::{ContentHash, LoadError, content_hash, key};

use crate::batch::Batch;
use crate::store::Store;
use crate::world::Result;

/// What a function that is not there any more runs: calling it fails and says its name.
const CODE: &str = "local a_function_that_was_damaged; a_function_that_was_damaged()";

struct Quarantine<'a> {
    store: &'a dyn Store,
    batch: Batch,
    /// The variable that all stand-ins of functions share; it is made when the first one needs it.
    cell: Option<u32>,
    next_id: u32,
}

/// The writes that put these aside.
pub fn writes(store: &dyn Store, broken: &[Broken]) -> Result<Batch> {
    let bytes = store.get(key::META)?.unwrap_or_default();
    let bad = |bad| LoadError::Damaged(format!("the meta record: {bad}"));
    let mut meta = Meta::read(&bytes).map_err(bad)?;
    let mut work = Quarantine {
        store,
        batch: Batch::new(),
        cell: None,
        next_id: meta.next_id,
    };
    let main = match meta.main {
        Stored::Coroutine(id) => id,
        _ => 0,
    };
    let mut lost = Vec::new();
    let mut tables = false;
    // The same entry can be broken in several ways: the first says it.
    let mut done = std::collections::BTreeSet::new();
    for b in broken.iter().filter(|b| done.insert(&b.key)) {
        if let Some(value) = store.get(&b.key)? {
            work.batch.put([b"q", &b.key[..]].concat(), value);
        }
        let id = b.key.get(1..9).map(|id| {
            let id = id.try_into().expect("eight bytes");
            u64::from_be_bytes(id) as u32
        });
        match (b.key.first(), id) {
            (Some(b'o'), Some(id)) => {
                tables |= b.expected.0 == kind::TABLE;
                if b.expected.0 == kind::COROUTINE {
                    lost.push(id);
                }
                work.object(id, b.expected, id == main)?;
            }
            (Some(b's'), Some(id)) => work.segment(id, &b.key)?,
            _ => work.batch.delete(b.key.clone()),
        }
    }
    for task in &mut meta.tasks {
        if task.is_some_and(|t| lost.contains(&t.root) || lost.contains(&t.current)) {
            *task = None;
        }
    }
    meta.next_id = work.next_id;
    let again = meta.write();
    if again != bytes {
        work.batch.put(key::META, again);
    }
    if tables {
        // The libraries' functions count as new ones.
        work.batch.delete(key::MANIFEST);
    }
    Ok(work.batch)
}

impl Quarantine<'_> {
    fn put(&mut self, id: u32, index: Option<u32>, record: &Record<'_>) {
        let mut out = Vec::new();
        record.write(salt(id, index), &mut out);
        let key = index.map_or_else(|| key::object(id), |index| key::segment(id, index));
        self.batch.put(key, out);
    }

    /// Something in the place of an object, of the kind that what refers to it expects.
    fn object(&mut self, id: u32, expected: (u8, u32), is_main: bool) -> Result<()> {
        let bytes = self.store.get(&key::object(id))?.unwrap_or_default();
        let mut old = Record::read(salt(id, None), &bytes)
            .ok()
            .filter(|old| expected.0 == 0 || old.kind() == expected);
        if let Some(old) = &mut old
            && old.segments() == (0, 0)
            && !matches!(old.body, Body::Closure { .. } | Body::External { .. })
            && self.without_bad_strings(&mut old.body)?
        {
            // Only long strings in it are lost. An array does not end with nil.
            if let Body::Table {
                array: Part::Here(slots),
                ..
            } = &mut old.body
            {
                slots.truncate(used(slots));
            }
            self.put(id, None, old);
            return Ok(());
        }
        let (expected, count) = match &old {
            Some(old) => old.kind(),
            None => expected,
        };
        let nils = |count: u32| vec![Stored::Nil; count as usize];
        let body = match expected {
            kind::CLOSURE => self.function(count)?,
            kind::NATIVE_CLOSURE => Body::NativeClosure {
                name: b"error",
                upvals: nils(count),
            },
            kind::USERDATA => Body::Userdata {
                metatable: Stored::Nil,
                user_values: Vec::new(),
                codec: b"",
                data: b"",
            },
            kind::COROUTINE => Body::Coroutine(Box::new(coroutine(is_main))),
            kind::UPVALUE => Body::Closed(Stored::Nil),
            _ => Body::Table {
                metatable: Stored::Nil,
                array_cap: 0,
                entry_cap: 0,
                array: Part::Here(Vec::new()),
                entries: Part::Here(Vec::new()),
            },
        };
        let marks = Marks::default();
        self.put(id, None, &Record { marks, body });
        Ok(())
    }

    fn function(&mut self, count: u32) -> Result<Body<'static>> {
        let lost = |e: &dyn std::fmt::Display| LoadError::Damaged(e.to_string());
        let tree = evermoon::syntax::parser::parse(CODE.as_bytes(), &Default::default())
            .map_err(|e| lost(&String::from_utf8_lossy(&e.message)))?;
        let name: std::sync::Arc<[u8]> = b"=(damaged)".as_slice().into();
        let mut proto = evermoon::compile::compile(&tree, name)
            .map_err(|e| lost(&String::from_utf8_lossy(&e.message)))?;
        proto.upvals = (0..count)
            .map(|_| UpvalDesc {
                in_stack: true,
                index: 0,
                kind: 0,
                name: None,
            })
            .collect();
        let code = chunk::dump(&proto, false);
        let hash = content_hash(&code);
        self.batch.put(Content::code(hash).key(), code);
        let mut upvals = Vec::new();
        if count > 0 {
            let cell = match self.cell {
                Some(cell) => cell,
                None => {
                    let cell = self.next_id;
                    self.next_id += 1;
                    let record = Record {
                        marks: Marks::default(),
                        body: Body::Closed(Stored::Nil),
                    };
                    self.put(cell, None, &record);
                    *self.cell.insert(cell)
                }
            };
            upvals = vec![cell; count as usize];
        }
        Ok(Body::Closure {
            proto: hash,
            upvals,
        })
    }

    /// As many nils as the segment held, or what it held but for damaged strings.
    fn segment(&mut self, id: u32, keyed: &[u8]) -> Result<()> {
        let (Some(index), Some(table)) = (keyed.get(9..13), self.store.get(&key::object(id))?)
        else {
            return Ok(());
        };
        let index = u32::from_be_bytes(index.try_into().expect("four bytes"));
        let Ok(table) = Record::read(salt(id, None), &table) else {
            return Ok(());
        };
        let size = segment_size(&table, index);
        let bytes = self.store.get(keyed)?.unwrap_or_default();
        let mut body = if index < key::ENTRY_SEGMENTS {
            Body::Slots(vec![Stored::Nil; size])
        } else {
            Body::Pairs(vec![(Stored::Dead, Stored::Nil); size])
        };
        if let Ok(mut old) = Record::read(salt(id, Some(index)), &bytes) {
            let holds = match &old.body {
                Body::Slots(values) => index < key::ENTRY_SEGMENTS && values.len() == size,
                Body::Pairs(pairs) => index >= key::ENTRY_SEGMENTS && pairs.len() == size,
                _ => false,
            };
            if holds && self.without_bad_strings(&mut old.body)? {
                body = old.body;
            }
        }
        let marks = Marks::default();
        let (slots, _) = table.segments();
        match &mut body {
            Body::Slots(values) if index + 1 == slots => {
                let values = std::mem::take(values);
                self.array_ends(id, table, index, values)
            }
            _ => {
                self.put(id, Some(index), &Record { marks, body });
                Ok(())
            }
        }
    }

    /// The last segment of an array is to hold these: the array ends with the last slot that is not nil, which may be further in front.
    fn array_ends(
        &mut self,
        id: u32,
        mut table: Record<'_>,
        last: u32,
        values: Vec<Stored<'_>>,
    ) -> Result<()> {
        let marks = Marks::default();
        let mut index = last;
        let mut bytes;
        let mut values = values;
        loop {
            let count = used(&values);
            if count > 0 || index == 0 {
                values.truncate(count);
                if let Body::Table {
                    array: Part::Segments(slots),
                    ..
                } = &mut table.body
                {
                    *slots = index * SEGMENT_SLOTS as u32 + count as u32;
                }
                self.put(id, None, &table);
                if count > 0 {
                    let body = Body::Slots(values);
                    self.put(id, Some(index), &Record { marks, body });
                } else {
                    self.batch.delete(key::segment(id, index));
                }
                return Ok(());
            }
            self.batch.delete(key::segment(id, index));
            index -= 1;
            bytes = self
                .store
                .get(&key::segment(id, index))?
                .unwrap_or_default();
            values = match Record::read(salt(id, Some(index)), &bytes) {
                Ok(Record {
                    body: Body::Slots(values),
                    ..
                }) => values,
                _ => Vec::new(),
            };
        }
    }

    /// Takes long strings out whose contents are damaged; whether there were any.
    fn without_bad_strings(&self, body: &mut Body<'_>) -> Result<bool> {
        let mut any = false;
        let mut failed = None;
        let mut is_bad = |v: &Stored<'_>| {
            let Stored::Blob(hash, length) = v else {
                return false;
            };
            match self.blob_is_bad(hash, *length) {
                Ok(bad) => {
                    any |= bad;
                    bad
                }
                Err(error) => {
                    failed = Some(error);
                    false
                }
            }
        };
        let mut values = |values: &mut [Stored<'_>]| {
            for v in values.iter_mut().filter(|v| is_bad(v)) {
                *v = Stored::Nil;
            }
        };
        match body {
            Body::Table { array, entries, .. } => {
                if let Part::Here(slots) = array {
                    values(slots);
                }
                if let Part::Here(pairs) = entries {
                    mend_pairs(pairs, &mut values);
                }
            }
            Body::NativeClosure { upvals, .. } => values(upvals),
            Body::Userdata { user_values, .. } => values(user_values),
            Body::Coroutine(co) => {
                values(std::slice::from_mut(&mut co.error));
                values(&mut co.stack);
            }
            Body::Closed(v) => values(std::slice::from_mut(v)),
            Body::Slots(slots) => values(slots),
            Body::Pairs(pairs) => mend_pairs(pairs, &mut values),
            Body::Closure { .. } | Body::Open { .. } | Body::External { .. } => {}
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(any),
        }
    }

    fn blob_is_bad(&self, hash: &ContentHash, length: u64) -> Result<bool> {
        let content = Content::string(*hash);
        let bytes = self.store.get(&content.key())?;
        Ok(!bytes
            .is_some_and(|bytes| bytes.len() as u64 == length && content_is_good(&content, &bytes)))
    }
}

/// How many of these slots are in use: up to the last one that is not nil.
fn used(slots: &[Stored<'_>]) -> usize {
    slots
        .iter()
        .rposition(|v| *v != Stored::Nil)
        .map_or(0, |at| at + 1)
}

/// An entry whose key is lost is a tombstone that nobody can name.
fn mend_pairs<'a>(
    pairs: &mut [(Stored<'a>, Stored<'a>)],
    values: &mut impl FnMut(&mut [Stored<'_>]),
) {
    for (k, v) in pairs {
        values(std::slice::from_mut(v));
        let mut mended = [*k];
        values(&mut mended);
        if mended[0] == Stored::Nil {
            (*k, *v) = (Stored::Dead, Stored::Nil);
        }
    }
}

/// A dead coroutine, which says why; or an unused main one.
fn coroutine(is_main: bool) -> CoroutineRecord<'static> {
    CoroutineRecord {
        // A main one that no program runs in, and a dead one.
        status: if is_main { 2 } else { 3 },
        failed: !is_main,
        seen: true,
        error: if is_main {
            Stored::Nil
        } else {
            Stored::Text(b"this coroutine was damaged, and has been put aside")
        },
        resumer: Stored::Nil,
        top: 0,
        stack_cap: 0,
        frame_cap: 0,
        stack: Vec::new(),
        frames: Vec::new(),
        open: Vec::new(),
        tbc: Vec::new(),
        hook: None,
    }
}
