//! Heap objects to records. A reference to an object without a number gives it one and has it written too: what is reachable from
//! something that persists, persists.

use super::key::Content;
use super::record::{
    Body, CoroutineRecord, FrameRecord, HookRecord, Marks, Part, Record, SEGMENT_PAIRS,
    SEGMENT_SLOTS, UNSEGMENTED_MAX, salt,
};
use super::value::{INLINE_MAX, Stored};
use super::world::{Delta, Names, World};
use super::{content_hash, key, row};
use crate::bytecode::chunk;
use crate::heap::Heap;
use crate::heap::coroutine::{Coroutine, Exec, Status, kind};
use crate::heap::function::{LuaClosure, NativeClosure, Proto, Upvalue};
use crate::heap::hollow::ContentHash;
use crate::heap::object::{Gc, Header, PERMANENT, mark};
use crate::heap::string::hash_bytes;
use crate::heap::table::Table;
use crate::heap::userdata::Userdata;
use crate::heap::value::{Value, tag};
use crate::ordered::Map;
use crate::vm::Vm;
use std::collections::VecDeque;

/// What cannot be stored, and why.
pub(super) struct Unstorable {
    pub object: Option<Gc<Header>>,
    pub why: String,
}

/// One commit's encoding under way.
pub(super) struct Encoder<'a> {
    pub vm: &'a mut Vm,
    pub world: &'a mut World,
    pub names: &'a Names,
    pub delta: Delta,
    /// Objects to be written.
    pub queue: VecDeque<Gc<Header>>,
    /// Objects that this commit has given numbers.
    pub numbered: Vec<Gc<Header>>,
    /// Contents that this commit writes.
    pub contents: Vec<Content>,
    /// External tables written, and whether some row refers to an object.
    pub externals: Vec<(Gc<Table>, bool)>,
}

/// What is known of a large table's segments as the store has them.
#[derive(Default)]
pub(super) struct Segments {
    /// The collector's cycle in which their `bits` were taken.
    pub cycle: Option<u64>,
    pub segments: Map<u32, Segment>,
}

#[derive(Clone, Copy)]
pub(super) struct Segment {
    /// Of its record ([`segment_digest`]).
    pub digest: u64,
    pub bits: Option<Bits>,
}

/// What tells one content of a segment's slots from another, by their bits alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Bits {
    digest: u64,
    /// There is an address among them, which is one object only as long as nothing is freed.
    addresses: bool,
}

type Encoded<T> = Result<T, Unstorable>;

impl<'a> Encoder<'a> {
    /// The number of an object; one that has none gets the next, and will be written.
    pub fn number(&mut self, object: Gc<Header>) -> u32 {
        if object.meta != 0 {
            return object.meta;
        }
        let id = self.world.next_id;
        self.world.next_id += 1;
        self.vm.heap.give_id(object, id);
        self.numbered.push(object);
        self.queue.push_back(object);
        id
    }

    /// A value as a record has it.
    pub fn value(&mut self, v: Value) -> Encoded<Stored<'a>> {
        Ok(match v.tag {
            tag::NIL => Stored::Nil,
            tag::FALSE => Stored::Bool(false),
            tag::TRUE => Stored::Bool(true),
            tag::INT => Stored::Int(v.raw_int()),
            tag::FLOAT => Stored::Float(v.raw_float()),
            tag::LIGHT => Stored::Light(v.bits),
            tag::NATIVE => match self.names.of(self.world, self.vm, v.bits as u32) {
                Some(name) => Stored::Native(name),
                None => return self.cannot(v, "a native function that is not among the engine's"),
            },
            tag::STR | tag::LONG_STR => {
                let s = v.as_str().expect("a string's tag");
                if s.len() <= INLINE_MAX {
                    Stored::Text(s.as_bytes())
                } else {
                    Stored::Blob(self.blob(s.header(), s.as_bytes()), s.len() as u64)
                }
            }
            tag::TABLE => {
                let object = v.as_object().expect("a table");
                if object.flags & PERMANENT != 0
                    && let Some(name) = self.permanent(v)
                {
                    return Ok(Stored::Permanent(name));
                }
                Stored::Table(self.number(object))
            }
            tag::LUA_CLOSURE => {
                let c = v.as_lua_closure().expect("a closure");
                Stored::Closure(self.number(c.header()), c.upval_count)
            }
            tag::NATIVE_CLOSURE => {
                let c = v.as_native_closure().expect("a native closure");
                if let Some(name) = self.permanent(v) {
                    return Ok(Stored::Host(name));
                }
                Stored::NativeClosure(self.number(c.header()), c.upval_count)
            }
            tag::USERDATA => {
                if let Some(name) = self.permanent(v) {
                    return Ok(Stored::Permanent(name));
                }
                Stored::Userdata(self.number(v.as_object().expect("a userdata")))
            }
            tag::COROUTINE => Stored::Coroutine(self.number(v.as_object().expect("a coroutine"))),
            _ => Stored::Dead,
        })
    }

    fn cannot<T>(&self, v: Value, why: &str) -> Encoded<T> {
        Err(Unstorable {
            object: v.as_object(),
            why: why.to_owned(),
        })
    }

    /// The name that the host has given to a value.
    fn permanent(&self, v: Value) -> Option<&'a [u8]> {
        self.names.permanent(self.vm, v)
    }

    /// Stores a long string's bytes once.
    fn blob(&mut self, object: Gc<Header>, bytes: &[u8]) -> ContentHash {
        let hash = match self.vm.heap.content_hash(object) {
            Some(hash) => hash,
            None => {
                let hash = content_hash(bytes);
                self.vm.heap.set_content_hash(object, hash);
                hash
            }
        };
        let content = Content::string(hash);
        if self.world.new_content(content) {
            self.contents.push(content);
            self.delta.put(content.key(), bytes.to_vec());
        }
        hash
    }

    fn proto(&mut self, proto: Gc<Proto>) -> ContentHash {
        if let Some(hash) = self.vm.heap.content_hash(proto.header())
            && self.world.has_content(&Content::code(hash))
        {
            return hash;
        }
        let bytes = chunk::dump(&self.vm.heap.plain_proto(proto), false);
        let hash = content_hash(&bytes);
        if self.vm.heap.content_hash(proto.header()).is_none() {
            self.vm.heap.set_content_hash(proto.header(), hash);
        }
        let content = Content::code(hash);
        if self.world.new_content(content) {
            self.contents.push(content);
            self.delta.put(content.key(), bytes);
        }
        hash
    }

    /// Writes an object's record.
    pub fn object(&mut self, object: Gc<Header>) -> Encoded<()> {
        let marks = Marks {
            printed: self.vm.heap.printed_id_if_any(object),
            finalizer: object.mark & mark::FINALIZER != 0,
        };
        let id = object.meta;
        let body = if let Some(t) = Heap::as_kind::<Table>(object) {
            return self.table(marks, t);
        } else if let Some(c) = Heap::as_kind::<LuaClosure>(object) {
            Body::Closure {
                proto: self.proto(c.proto),
                upvals: c
                    .upvals()
                    .iter()
                    .map(|up| self.number(up.header()))
                    .collect(),
            }
        } else if let Some(c) = Heap::as_kind::<NativeClosure>(object) {
            let Some(name) = self.names.of(self.world, self.vm, c.native) else {
                return self.cannot(
                    Value::native_closure(c),
                    "a function of the host's without a name (define it by name before the world is committed)",
                );
            };
            Body::NativeClosure {
                name,
                upvals: self.values(c.upvals())?,
            }
        } else if let Some(u) = Heap::as_kind::<Userdata>(object) {
            return self.userdata(marks, u);
        } else if let Some(co) = Heap::as_kind::<Coroutine>(object) {
            Body::Coroutine(Box::new(self.coroutine(co)?))
        } else if let Some(up) = Heap::as_kind::<Upvalue>(object) {
            if up.is_open() {
                let Some(owner) = self.vm.heap.open_owner(up) else {
                    return Err(Unstorable {
                        object: Some(object),
                        why: "a variable of a function that is running".to_owned(),
                    });
                };
                Body::Open {
                    coroutine: self.number(owner.header()),
                    slot: Heap::open_slot(&owner.exec, up),
                }
            } else {
                Body::Closed(self.value(up.get())?)
            }
        } else {
            return Ok(());
        };
        self.put(id, None, &Record { marks, body });
        Ok(())
    }

    fn put(&mut self, id: u32, segment: Option<u32>, record: &Record<'_>) {
        let mut out = Vec::with_capacity(64);
        record.write(salt(id, segment), &mut out);
        let key = match segment {
            None => key::object(id),
            Some(index) => key::segment(id, index),
        };
        self.delta.put(key, out);
    }

    fn values(&mut self, values: &[Value]) -> Encoded<Vec<Stored<'a>>> {
        let mut list = Vec::with_capacity(values.len());
        for v in values {
            list.push(self.value(*v)?);
        }
        Ok(list)
    }

    fn table(&mut self, marks: Marks, t: Gc<Table>) -> Encoded<()> {
        if t.header.is_external() {
            return self.external(marks, t);
        }
        let id = t.header.meta;
        let metatable = match t.metatable {
            Some(mt) => self.value(Value::table(mt))?,
            None => Stored::Nil,
        };
        let (slots, count) = (t.array_len as usize, t.entry_count as usize);
        let large = slots > UNSEGMENTED_MAX || count > UNSEGMENTED_MAX;
        let (array, entries) = if large {
            self.segments(t)?;
            (Part::Segments(slots as u32), Part::Segments(count as u32))
        } else {
            if self.world.segments.remove(&id).is_some() {
                self.delta
                    .delete_range(key::segment(id, 0), key::segment(id + 1, 0));
            }
            (
                Part::Here(self.values(t.array())?),
                Part::Here(self.pairs(t, 0, count)?),
            )
        };
        let body = Body::Table {
            metatable,
            array_cap: t.array_cap,
            entry_cap: t.entry_cap,
            array,
            entries,
        };
        self.put(id, None, &Record { marks, body });
        Ok(())
    }

    /// Writes an external table's record and those of its rows that the store does not have as they are.
    fn external(&mut self, marks: Marks, t: Gc<Table>) -> Encoded<()> {
        let id = t.header.meta;
        let metatable = match self.vm.heap.metatable_of_table(t) {
            Some(mt) => self.value(Value::table(mt))?,
            None => Stored::Nil,
        };
        let e = self.vm.heap.external(t);
        let (changes, cleared, mut refs) = (e.changes(), e.is_cleared(), e.refs());
        if cleared {
            self.delta.delete_range(row::key(id, &[]), row::end(id));
        }
        for (encoded, value) in changes {
            let key = row::key(id, &encoded);
            if value.is_nil() {
                self.delta.delete(key);
            } else {
                let stored = self.value(value)?;
                refs |= stored.object().is_some();
                let mut record = Vec::with_capacity(16);
                row::write(id, &encoded, &stored, &mut record);
                self.delta.put(key, record);
            }
        }
        self.externals.push((t, refs));
        let body = Body::External { metatable, refs };
        self.put(id, None, &Record { marks, body });
        Ok(())
    }

    fn pairs(
        &mut self,
        t: Gc<Table>,
        from: usize,
        to: usize,
    ) -> Encoded<Vec<(Stored<'a>, Stored<'a>)>> {
        let mut pairs = Vec::with_capacity(to - from);
        for e in &t.entries()[from..to] {
            pairs.push((self.value(e.key())?, self.value(e.value())?));
        }
        Ok(pairs)
    }

    /// Writes those segments of a large table that are not in the store as they are. Those whose slots still hold the same bits as the
    /// last time are not even encoded; unless something has been freed meanwhile and there is an address among them, which may be another object now.
    fn segments(&mut self, t: Gc<Table>) -> Encoded<()> {
        let id = t.header.meta;
        let old = self.world.segments.remove(&id).unwrap_or_default();
        let cycle = self.vm.heap.settled();
        let comparable = old.cycle == Some(cycle);
        let mut new = Map::new();
        let same = |index: u32, bits: Bits| {
            let segment = old.segments.get(&index).copied();
            segment.filter(|segment| (comparable || !bits.addresses) && segment.bits == Some(bits))
        };
        for (n, values) in t.array().chunks(SEGMENT_SLOTS).enumerate() {
            let bits = bits_digest(values.iter().copied());
            let segment = match same(n as u32, bits) {
                Some(segment) => segment,
                None => {
                    let body = Body::Slots(self.values(values)?);
                    self.segment(id, n as u32, body, bits, &old)
                }
            };
            new.insert(n as u32, segment);
        }
        let count = t.entry_count as usize;
        for (n, from) in (0..count).step_by(SEGMENT_PAIRS).enumerate() {
            let to = (from + SEGMENT_PAIRS).min(count);
            let pairs = t.entries()[from..to].iter();
            let bits = bits_digest(pairs.flat_map(|e| [e.key(), e.value()]));
            let index = key::ENTRY_SEGMENTS + n as u32;
            let segment = match same(index, bits) {
                Some(segment) => segment,
                None => {
                    let body = Body::Pairs(self.pairs(t, from, to)?);
                    self.segment(id, index, body, bits, &old)
                }
            };
            new.insert(index, segment);
        }
        for index in old.segments.keys() {
            if !new.contains_key(index) {
                self.delta.delete(key::segment(id, *index));
            }
        }
        let segments = Segments {
            cycle: Some(cycle),
            segments: new,
        };
        self.world.segments.insert(id, segments);
        Ok(())
    }

    fn segment(
        &mut self,
        id: u32,
        index: u32,
        body: Body<'_>,
        bits: Bits,
        old: &Segments,
    ) -> Segment {
        let mut out = Vec::new();
        let record = Record {
            marks: Marks::default(),
            body,
        };
        record.write(salt(id, Some(index)), &mut out);
        let digest = segment_digest(&out);
        if old.segments.get(&index).map(|s| s.digest) != Some(digest) {
            self.delta.put(key::segment(id, index), out);
        }
        Segment {
            digest,
            bits: Some(bits),
        }
    }

    fn userdata(&mut self, marks: Marks, u: Gc<Userdata>) -> Encoded<()> {
        let metatable = match u.metatable {
            Some(mt) => self.value(Value::table(mt))?,
            None => Stored::Nil,
        };
        let user_values = self.values(&u.user_values)?;
        let (codec, data) = match &u.data {
            None => (&b""[..], Vec::new()),
            Some(object) => match self.world.encode_data(object.as_ref()) {
                Some(encoded) => encoded,
                None => {
                    return self.cannot(
                        Value::userdata(u),
                        "an object of the host's that has no codec",
                    );
                }
            },
        };
        let body = Body::Userdata {
            metatable,
            user_values,
            codec,
            data: &data,
        };
        self.put(u.header.meta, None, &Record { marks, body });
        Ok(())
    }

    fn coroutine(&mut self, co: Gc<Coroutine>) -> Encoded<CoroutineRecord<'a>> {
        if co == self.vm.current || co == self.vm.outside {
            return self.cannot(Value::coroutine(co), "a coroutine that is running");
        }
        let exec: &Exec = &co.exec;
        let end = exec.live_end();
        let mut stack = Vec::with_capacity(end);
        for slot in 0..end {
            stack.push(self.value(exec.get(slot))?);
        }
        let mut frames = Vec::with_capacity(exec.frame_count);
        for f in exec.frames() {
            let (pc, closure) = match Heap::frame_pc(f) {
                Some((pc, closure)) => {
                    let value = self.value(Value::lua_closure(closure))?;
                    let in_slot = stack.get(f.func as usize) == Some(&value);
                    (pc, if in_slot { Stored::Nil } else { value })
                }
                None => (0, Stored::Nil),
            };
            frames.push(FrameRecord {
                kind: f.kind,
                flags: f.flags,
                results: f.results,
                func: f.func,
                base: f.base,
                top: if f.kind == kind::LUA { 0 } else { f.top },
                state: f.state,
                aux: f.aux,
                pc,
                closure,
            });
        }
        let mut open = Vec::with_capacity(exec.open.len());
        for up in &exec.open {
            open.push((Heap::open_slot(exec, *up), self.number(up.header())));
        }
        let error = self.value(co.error)?;
        let resumer = match co.resumer {
            Some(resumer) if resumer != self.vm.outside => self.value(Value::coroutine(resumer))?,
            _ => Stored::Nil,
        };
        let hook = match &co.hook {
            Some(hook) => Some(HookRecord {
                function: self.value(hook.function)?,
                numbers: hook.numbers(),
            }),
            None => None,
        };
        Ok(CoroutineRecord {
            status: match co.status {
                Status::Suspended => 0,
                Status::Running => 1,
                Status::Normal => 2,
                Status::Dead => 3,
            },
            failed: co.failed,
            seen: co.seen,
            error,
            resumer,
            top: exec.top as u32,
            stack_cap: exec.stack_cap as u32,
            frame_cap: exec.frame_cap as u32,
            stack,
            frames,
            open,
            tbc: exec.tbc.clone(),
            hook,
        })
    }
}

/// What tells one content of a segment from another.
pub(super) fn segment_digest(bytes: &[u8]) -> u64 {
    let (a, b) = bytes.split_at(bytes.len() / 2);
    (hash_bytes(a) as u64) << 32 | hash_bytes(b) as u64
}

pub(super) fn bits_digest(values: impl Iterator<Item = Value>) -> Bits {
    let mut hash = 0x9E37_79B9_7F4A_7C15u64;
    let mut addresses = false;
    for v in values {
        addresses |= v.is_collectable();
        // A lost key is one like the other.
        let bits = if v.tag == tag::DEAD { 0 } else { v.bits };
        let product = (hash ^ bits) as u128 * (0xA076_1D64_78BD_642F ^ (v.tag as u64) << 7) as u128;
        hash = (product as u64 ^ (product >> 64) as u64).wrapping_add(hash.rotate_left(23));
    }
    Bits {
        digest: hash,
        addresses,
    }
}
