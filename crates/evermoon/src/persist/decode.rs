//! Records to heap objects: a hollow object's contents come in, and with them what must come with it (`heap/hollow.rs`, invariants 3 and 4).
//!
//! Loading is all or nothing: when a record is missing, damaged or late, what this load has filled is made hollow again.

use super::bytes::BadBytes;
use super::encode::{Segment, Segments, bits_digest, segment_digest};
use super::key::Content;
use super::record::{Body, CoroutineRecord, Part, Record, SEGMENT_PAIRS, SEGMENT_SLOTS, salt};
use super::value::Stored;
use super::world::World;
use super::{Fetch, content_hash, key};
use crate::bytecode::{chunk, verify};
use crate::heap::Heap;
use crate::heap::coroutine::{Coroutine, Status, frame_flag, handler_slot, kind};
use crate::heap::function::{LuaClosure, NativeClosure, Proto, Upvalue};
use crate::heap::hollow::{ContentHash, CoroutineParts, FrameParts};
use crate::heap::object::{Gc, Header};
use crate::heap::table::Table;
use crate::heap::userdata::Userdata;
use crate::heap::value::{Value, tag};
use crate::vm::Vm;
use crate::vm::hook::Hook;

/// Why an object cannot be loaded now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LoadError {
    /// The store answers later; the keys are in the world's list.
    Later,
    /// The store has no such record.
    Missing(String),
    /// The record is not what it should be.
    Damaged(String),
    /// The store failed.
    Store(String),
    Memory,
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LoadError::Later => f.write_str("the store has not answered yet"),
            LoadError::Missing(what) => write!(f, "the world has no record of {what}"),
            LoadError::Damaged(what) => write!(f, "damaged record in the world: {what}"),
            LoadError::Store(what) => write!(f, "the world's store failed: {what}"),
            LoadError::Memory => f.write_str("not enough memory"),
        }
    }
}

type Loaded<T> = Result<T, LoadError>;

/// Keys that are asked for at once.
const WANTED_MAX: usize = 4096;

/// A table's slots and entries.
type Parts = (Vec<Value>, Vec<(Value, Value)>);

fn damaged(object: &str, bad: BadBytes) -> LoadError {
    LoadError::Damaged(format!("{object}: {bad}"))
}

pub(super) const NO_SCANS: &str = "this store cannot hold external tables: it has no scans";

/// What a table's record says, with all values at hand.
struct TableParts {
    metatable: Option<Gc<Table>>,
    array_cap: u32,
    entry_cap: u32,
    slots: Vec<Value>,
    pairs: Vec<(Value, Value)>,
}

impl World {
    /// Loads an object and all that must come with it.
    pub(super) fn load_all(&mut self, vm: &mut Vm, object: Gc<Header>) -> Loaded<()> {
        let mut todo = vec![object];
        let mut filled = Vec::new();
        self.fresh_cells.clear();
        self.tried.clear();
        let mut result = Ok(());
        while let Some(object) = todo.pop() {
            match self.load_one(vm, object, &mut todo) {
                Ok(()) => filled.push(object),
                // The other records can be asked for at the same time.
                Err(LoadError::Later) => result = Err(LoadError::Later),
                Err(e) => {
                    result = Err(e);
                    break;
                }
            }
        }
        if result.is_err() {
            for object in filled {
                vm.heap.hollow_again(object);
            }
            // Cells cannot be hollow: those without their values are forgotten.
            for cell in std::mem::take(&mut self.fresh_cells) {
                vm.heap.take_id(cell);
            }
        }
        result
    }

    fn fetch(&mut self, key: &[u8], what: &dyn Fn() -> String) -> Loaded<Vec<u8>> {
        self.faults += 1;
        match self.backing.get(key) {
            Fetch::Found(bytes) => Ok(bytes),
            Fetch::Missing => Err(LoadError::Missing(what())),
            Fetch::Later => {
                self.wanted.push(key.to_vec());
                Err(LoadError::Later)
            }
            Fetch::Failed(message) => Err(LoadError::Store(message)),
        }
    }

    fn load_one(
        &mut self,
        vm: &mut Vm,
        object: Gc<Header>,
        todo: &mut Vec<Gc<Header>>,
    ) -> Loaded<()> {
        let is_cell = object.kind as u32 == tag::UPVALUE;
        if (!object.is_hollow() || object.is_external()) && !is_cell {
            return Ok(());
        }
        let id = object.meta;
        self.tried.push(id);
        let name = || format!("object {id}");
        let bytes = self.fetch(&key::object(id), &name)?;
        let record = Record::read(salt(id, None), &bytes).map_err(|bad| damaged(&name(), bad))?;
        let wrong = |what: &str| LoadError::Damaged(format!("object {id}: {what}"));
        match record.body {
            Body::Table {
                metatable,
                array_cap,
                entry_cap,
                array,
                entries,
            } => {
                let Some(t) = Heap::as_kind::<Table>(object) else {
                    return Err(wrong("it is a table's"));
                };
                let (slots, pairs) = self.table_parts(vm, id, array, entries)?;
                let parts = TableParts {
                    metatable: self.metatable(vm, &metatable, todo)?,
                    array_cap,
                    entry_cap,
                    slots,
                    pairs,
                };
                vm.heap
                    .table_restore(
                        t,
                        parts.metatable,
                        (&parts.slots, parts.array_cap),
                        (&parts.pairs, parts.entry_cap),
                    )
                    .map_err(wrong)?;
            }
            Body::External { metatable, refs } => {
                let Some(t) = Heap::as_kind::<Table>(object) else {
                    return Err(wrong("it is a table's"));
                };
                if !self.backing.can_scan() {
                    return Err(LoadError::Store(NO_SCANS.into()));
                }
                let metatable = self.metatable(vm, &metatable, todo)?;
                vm.heap.make_external(t, metatable, true, refs);
            }
            Body::Closure { proto, upvals } => {
                let Some(c) = Heap::as_kind::<LuaClosure>(object) else {
                    return Err(wrong("it is a function's"));
                };
                let proto = self.proto(vm, &proto)?;
                let mut cells = Vec::with_capacity(upvals.len());
                for up in upvals {
                    cells.push(self.cell(vm, up, todo)?);
                }
                vm.heap.closure_restore(c, proto, &cells).map_err(wrong)?;
            }
            Body::NativeClosure { name, upvals } => {
                let Some(c) = Heap::as_kind::<NativeClosure>(object) else {
                    return Err(wrong("it is a native function's"));
                };
                let upvals = self.values(vm, &upvals)?;
                let native = self.native(vm, name)?;
                let Value {
                    bits,
                    tag: tag::NATIVE,
                } = native
                else {
                    return Err(wrong("the native function is not there"));
                };
                vm.heap
                    .native_closure_restore(c, bits as u32, &upvals)
                    .map_err(wrong)?;
            }
            Body::Userdata {
                metatable,
                user_values,
                codec,
                data,
            } => {
                let Some(u) = Heap::as_kind::<Userdata>(object) else {
                    return Err(wrong("it is a userdata's"));
                };
                let metatable = self.metatable(vm, &metatable, todo)?;
                let user_values = self.values(vm, &user_values)?;
                let data = if codec.is_empty() {
                    None
                } else {
                    Some(self.decode_data(codec, data).map_err(|e| wrong(&e))?)
                };
                vm.heap.userdata_restore(u, metatable, data, user_values);
            }
            Body::Coroutine(record) => {
                let Some(co) = Heap::as_kind::<Coroutine>(object) else {
                    return Err(wrong("it is a coroutine's"));
                };
                if !self.frames_loaded(vm, object, &record, todo)? {
                    return Ok(());
                }
                self.coroutine(vm, co, *record, todo)?;
            }
            Body::Closed(value) => {
                let Some(up) = Heap::as_kind::<Upvalue>(object) else {
                    return Err(wrong("it is an upvalue's"));
                };
                let value = self.value(vm, &value)?;
                vm.heap.upvalue_restore(up, value);
                self.fresh_cells.retain(|cell| *cell != object);
            }
            Body::Open { coroutine, .. } => {
                if !is_cell {
                    return Err(wrong("it is an upvalue's"));
                }
                // The coroutine's record opens it. Until that has been read too the cell counts as fresh: without it nobody would look for the coroutine again.
                let co = self.object(vm, tag::COROUTINE, coroutine, 0)?;
                if co.is_hollow() {
                    todo.push(co);
                }
            }
            Body::Slots(_) | Body::Pairs(_) => return Err(wrong("it is a segment")),
        }
        let mut object = object;
        if let Some(printed) = record.marks.printed {
            vm.heap.restore_printed_id(object, printed);
        }
        if record.marks.finalizer {
            object.mark |= crate::heap::object::mark::FINALIZER;
        }
        Ok(())
    }

    fn table_parts(
        &mut self,
        vm: &mut Vm,
        id: u32,
        array: Part<Stored<'_>>,
        entries: Part<(Stored<'_>, Stored<'_>)>,
    ) -> Loaded<Parts> {
        let (slots, pairs) = match (array, entries) {
            (Part::Here(slots), Part::Here(pairs)) => {
                return Ok((self.values(vm, &slots)?, self.pairs(vm, id, &pairs)?));
            }
            (Part::Segments(slots), Part::Segments(pairs)) => (slots as usize, pairs as usize),
            _ => return Err(LoadError::Damaged(format!("object {id}: segments"))),
        };
        let mut late = false;
        let mut known = Segments::default();
        let mut segments = Vec::new();
        let array = 0..slots.div_ceil(SEGMENT_SLOTS) as u32;
        let hash = (0..pairs.div_ceil(SEGMENT_PAIRS) as u32).map(|n| n + key::ENTRY_SEGMENTS);
        for index in array.chain(hash) {
            let name = || format!("segment {index} of object {id}");
            match self.fetch(&key::segment(id, index), &name) {
                Ok(bytes) => {
                    let digest = segment_digest(&bytes);
                    let segment = Segment { digest, bits: None };
                    known.segments.insert(index, segment);
                    segments.push((index, bytes));
                }
                Err(LoadError::Later) => {
                    late = true;
                    // A damaged record can promise millions: they are asked for in portions.
                    if self.wanted.len() >= WANTED_MAX {
                        break;
                    }
                }
                Err(e) => return Err(e),
            }
        }
        if late {
            return Err(LoadError::Later);
        }
        let mut all = (
            Vec::with_capacity(slots.min(1 << 20)),
            Vec::with_capacity(pairs.min(1 << 20)),
        );
        for (index, bytes) in &segments {
            let name = format!("segment {index} of object {id}");
            let record =
                Record::read(salt(id, Some(*index)), bytes).map_err(|bad| damaged(&name, bad))?;
            match record.body {
                Body::Slots(values) => {
                    let values = self.values(vm, &values)?;
                    if let Some(segment) = known.segments.get_mut(index) {
                        segment.bits = Some(bits_digest(values.iter().copied()));
                    }
                    all.0.extend(values);
                }
                Body::Pairs(pairs) => all.1.extend(self.pairs(vm, id, &pairs)?),
                _ => return Err(LoadError::Damaged(name)),
            }
        }
        if (all.0.len(), all.1.len()) != (slots, pairs) {
            return Err(LoadError::Damaged(format!(
                "object {id}: its segments' sizes"
            )));
        }
        self.segments.insert(id, known);
        Ok(all)
    }

    fn pairs(
        &mut self,
        vm: &mut Vm,
        id: u32,
        pairs: &[(Stored<'_>, Stored<'_>)],
    ) -> Loaded<Vec<(Value, Value)>> {
        let mut all = Vec::with_capacity(pairs.len());
        for (k, v) in pairs {
            let key = self.value(vm, k)?;
            let value = self.value(vm, v)?;
            let lost = key.tag == tag::DEAD && value.is_nil();
            let normal = crate::heap::table::normal_key(key).tag == key.tag;
            let nan = key.is_float() && key.raw_float().is_nan();
            if key.is_nil() || nan || !normal || key.tag == tag::DEAD && !lost {
                return Err(LoadError::Damaged(format!("object {id}: a key")));
            }
            all.push((key, value));
        }
        Ok(all)
    }

    fn values(&mut self, vm: &mut Vm, values: &[Stored<'_>]) -> Loaded<Vec<Value>> {
        let mut all = Vec::with_capacity(values.len());
        for v in values {
            all.push(self.value(vm, v)?);
        }
        Ok(all)
    }

    /// A value out of a record; objects that are not here come in hollow.
    pub(super) fn value(&mut self, vm: &mut Vm, v: &Stored<'_>) -> Loaded<Value> {
        let mut object = |kind: u32, id: u32, count: u32| -> Loaded<Value> {
            let object = self.object(vm, kind, id, count)?;
            Ok(Value::object(kind, object))
        };
        Ok(match *v {
            Stored::Nil => Value::NIL,
            Stored::Bool(b) => Value::bool(b),
            Stored::Int(i) => Value::int(i),
            Stored::Float(f) => Value::float(f),
            Stored::Light(bits) => Value::light(bits),
            Stored::Text(text) => {
                let s = vm.heap.arriving_string(text);
                Value::string(s.map_err(|_| LoadError::Memory)?)
            }
            Stored::Blob(hash, len) => self.blob(vm, hash, len)?,
            Stored::Native(name) => self.native(vm, name)?,
            Stored::Table(id) => object(tag::TABLE, id, 0)?,
            Stored::Closure(id, count) => object(tag::LUA_CLOSURE, id, count)?,
            Stored::NativeClosure(id, count) => object(tag::NATIVE_CLOSURE, id, count)?,
            Stored::Userdata(id) => object(tag::USERDATA, id, 0)?,
            Stored::Coroutine(id) => object(tag::COROUTINE, id, 0)?,
            Stored::Dead => Value {
                bits: 0,
                tag: tag::DEAD,
            },
            Stored::Host(name) => self.permanent(vm, name, true)?,
            Stored::Permanent(name) => self.permanent(vm, name, false)?,
        })
    }

    /// The object with this number, as it is here or as a new hollow one.
    pub(super) fn object(
        &mut self,
        vm: &mut Vm,
        kind: u32,
        id: u32,
        count: u32,
    ) -> Loaded<Gc<Header>> {
        if id >= self.next_id {
            return Err(LoadError::Damaged(format!(
                "a reference to object {id}, which was never made"
            )));
        }
        let object = match vm.heap.object_by_id(id) {
            Some(object) => object,
            None => vm
                .heap
                .stub(kind, id, count)
                .map_err(|_| LoadError::Memory)?,
        };
        let count_here = match kind {
            tag::LUA_CLOSURE => Heap::as_kind::<LuaClosure>(object).map_or(0, |c| c.upval_count),
            tag::NATIVE_CLOSURE => {
                Heap::as_kind::<NativeClosure>(object).map_or(0, |c| c.upval_count)
            }
            _ => count,
        };
        if object.kind as u32 != kind || count_here != count {
            return Err(LoadError::Damaged(format!(
                "a reference to object {id} as what it is not"
            )));
        }
        Ok(object)
    }

    /// An upvalue: as it is here, or made now, with its record to be read next.
    fn cell(&mut self, vm: &mut Vm, id: u32, todo: &mut Vec<Gc<Header>>) -> Loaded<Gc<Upvalue>> {
        let known = self.fresh_cells.len();
        let cell = self.cell_alone(vm, id)?;
        todo.extend(&self.fresh_cells[known..]);
        Ok(cell)
    }

    /// The same where the record need not be read.
    fn cell_alone(&mut self, vm: &mut Vm, id: u32) -> Loaded<Gc<Upvalue>> {
        let known = vm.heap.object_by_id(id).is_some();
        let object = self.object(vm, tag::UPVALUE, id, 0)?;
        if !known {
            self.fresh_cells.push(object);
        }
        Heap::as_kind::<Upvalue>(object)
            .ok_or_else(|| LoadError::Damaged(format!("object {id}: not an upvalue")))
    }

    fn metatable(
        &mut self,
        vm: &mut Vm,
        v: &Stored<'_>,
        todo: &mut Vec<Gc<Header>>,
    ) -> Loaded<Option<Gc<Table>>> {
        let mt = self.value(vm, v)?.as_table();
        if let Some(mt) = mt
            && mt.header.is_hollow()
        {
            todo.push(mt.header());
        }
        Ok(mt)
    }

    fn blob(&mut self, vm: &mut Vm, hash: ContentHash, len: u64) -> Loaded<Value> {
        let name = || "a long string".to_owned();
        let bytes = self.fetch(&Content::string(hash).key(), &name)?;
        if bytes.len() as u64 != len || content_hash(&bytes) != hash {
            return Err(LoadError::Damaged(
                "a long string's bytes are not what its hash says".into(),
            ));
        }
        self.know_content(Content::string(hash));
        let s = vm
            .heap
            .arriving_string(&bytes)
            .map_err(|_| LoadError::Memory)?;
        if !s.is_short() && vm.heap.content_hash(s.header()).is_none() {
            vm.heap.set_content_hash(s.header(), hash);
        }
        Ok(Value::string(s))
    }

    fn proto(&mut self, vm: &mut Vm, hash: &ContentHash) -> Loaded<Gc<Proto>> {
        if let Some(proto) = vm.heap.proto_by_hash(hash) {
            return Ok(proto);
        }
        let name = || "a function's code".to_owned();
        let bytes = self.fetch(&Content::code(*hash).key(), &name)?;
        if content_hash(&bytes) != *hash {
            return Err(LoadError::Damaged(
                "a function's code is not what its hash says".into(),
            ));
        }
        let plain = chunk::undump(&bytes, &chunk::Limits::default())
            .map_err(|e| LoadError::Damaged(format!("a function's code: {e}")))?;
        verify::verify(&plain)
            .map_err(|e| LoadError::Damaged(format!("a function's code: {e}")))?;
        let proto = vm
            .heap
            .arriving(|heap| heap.load_proto(&plain))
            .map_err(|_| LoadError::Memory)?;
        vm.heap.set_content_hash(proto.header(), *hash);
        self.know_content(Content::code(*hash));
        Ok(proto)
    }

    /// Whether all functions that run in a coroutine, and its message handlers, are loaded; else they are put on the list, and the coroutine behind them.
    fn frames_loaded(
        &mut self,
        vm: &mut Vm,
        object: Gc<Header>,
        record: &CoroutineRecord<'_>,
        todo: &mut Vec<Gc<Header>>,
    ) -> Loaded<bool> {
        let mut hollow = Vec::new();
        for f in &record.frames {
            let closure = if f.kind == kind::LUA {
                self.frame_closure(vm, record, f.func, &f.closure)?
            } else {
                let slot = handler_slot(f.kind, f.flags, f.top);
                let handler = match slot.and_then(|slot| record.stack.get(slot)) {
                    Some(stored @ Stored::Closure(..)) => self.value(vm, stored)?,
                    _ => continue,
                };
                match handler.as_lua_closure() {
                    Some(handler) => handler,
                    None => continue,
                }
            };
            if closure.header.is_hollow() && !hollow.contains(&closure.header()) {
                hollow.push(closure.header());
            }
        }
        if hollow.is_empty() {
            return Ok(true);
        }
        if hollow.iter().any(|h| self.tried.contains(&h.meta)) {
            // Their records are late.
            return Err(LoadError::Later);
        }
        todo.push(object);
        todo.extend(hollow);
        Ok(false)
    }

    fn frame_closure(
        &mut self,
        vm: &mut Vm,
        record: &CoroutineRecord<'_>,
        func: u32,
        closure: &Stored<'_>,
    ) -> Loaded<Gc<LuaClosure>> {
        let stored = match closure {
            Stored::Nil => record
                .stack
                .get(func as usize)
                .copied()
                .unwrap_or(Stored::Nil),
            stored => *stored,
        };
        self.value(vm, &stored)?
            .as_lua_closure()
            .ok_or_else(|| LoadError::Damaged("a coroutine: a frame without its function".into()))
    }

    fn coroutine(
        &mut self,
        vm: &mut Vm,
        co: Gc<Coroutine>,
        record: CoroutineRecord<'_>,
        todo: &mut Vec<Gc<Header>>,
    ) -> Loaded<()> {
        let id = co.header.meta;
        let wrong = |what: &str| LoadError::Damaged(format!("object {id}: {what}"));
        let stack = self.values(vm, &record.stack)?;
        let mut frames = Vec::with_capacity(record.frames.len());
        for f in &record.frames {
            let (lua, top) = if f.kind == kind::LUA {
                let closure = self.frame_closure(vm, &record, f.func, &f.closure)?;
                let top = f.base.saturating_add(closure.proto.max_stack as u32);
                (Some((f.pc, closure)), top)
            } else {
                if f.kind == kind::NATIVE && !is_passing(f.state) {
                    let callee = stack.get(f.func as usize).copied().unwrap_or(Value::NIL);
                    let runs = match callee.tag {
                        tag::NATIVE => (callee.bits as usize) < vm.natives.len(),
                        tag::NATIVE_CLOSURE => true,
                        _ => false,
                    };
                    if !runs {
                        return Err(wrong("a frame without its native function"));
                    }
                }
                (None, f.top)
            };
            frames.push(FrameParts {
                lua,
                base: f.base,
                func: f.func,
                top,
                state: f.state,
                aux: f.aux,
                results: f.results,
                kind: f.kind,
                flags: f.flags,
            });
        }
        let mut open = Vec::with_capacity(record.open.len());
        for &(slot, up) in &record.open {
            // Its record would only say that it is open here.
            open.push((slot, self.cell_alone(vm, up)?));
        }
        let error = self.value(vm, &record.error)?;
        let resumer = self.value(vm, &record.resumer)?.as_coroutine();
        if let Some(resumer) = resumer
            && resumer.header.is_hollow()
        {
            todo.push(resumer.header());
        }
        let hook = match &record.hook {
            None => None,
            Some(hook) => {
                let function = self.value(vm, &hook.function)?;
                let hook =
                    Hook::from_numbers(function, hook.numbers).ok_or_else(|| wrong("its hook"))?;
                Some(Box::new(hook))
            }
        };
        let count = |flags: u8| {
            record
                .frames
                .iter()
                .filter(|f| f.flags & flags == flags)
                .count() as u32
        };
        let parts = CoroutineParts {
            status: match record.status {
                0 => Status::Suspended,
                1 => Status::Running,
                2 => Status::Normal,
                _ => Status::Dead,
            },
            failed: record.failed,
            seen: record.seen,
            error,
            resumer,
            stack,
            top: record.top as usize,
            stack_cap: record.stack_cap as usize,
            frames,
            frame_cap: record.frame_cap as usize,
            open,
            tbc: record.tbc,
            no_yield: count(frame_flag::NO_YIELD),
            handlers: count(frame_flag::NO_YIELD | frame_flag::HANDLER),
        };
        vm.heap.coroutine_restore(co, parts).map_err(wrong)?;
        let mut co = co;
        co.hook = hook;
        Ok(())
    }
}

/// States in which a native's frame does not run the native again.
fn is_passing(state: u32) -> bool {
    state >= u32::MAX - 8
}
