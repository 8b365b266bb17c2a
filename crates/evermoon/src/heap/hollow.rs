//! What a world has of a heap's objects: their numbers, which have changed, which are hollow, how much is absent.
//!
//! A *hollow* object has its identity here and its contents in the store. It is made so that every fast path misses and every slow path
//! finds the bit [`HOLLOW`]: a table has no slots and a metatable of its own kind, a closure has a prototype of no use. Whoever finds
//! the bit has the contents loaded (`persist/fault.rs`) and tries again.
//!
//! Invariants
//! 1. An object with a number (`Header::meta`, for kinds that have one) is in `by_id`, and has a record in the store unless it was
//!    numbered by the commit under way.
//! 2. A numbered object has the mark `CLEAN`, or is in `changed` once. A hollow object is clean.
//! 3. A loaded object's metatable is loaded, and marked [`flags::METATABLE`], so that it is not hollowed.
//! 4. A loaded closure's upvalues and prototype are loaded; a loaded coroutine's frames' closures are, and
//!    its message handlers: an error on its way cannot wait.
//! 5. Contents that come and go do not change `Heap::bytes`, which counts the world; `absent_bytes` of it are in the store only. What a
//!    program sees of memory does not depend on what is loaded.
//!
//! While something is hollow, the collector sees a part of the world only (*partial* cycles): then changed objects and objects with
//! finalizers are roots, and a weak table keeps what is numbered. When nothing is, a cycle is exact, and numbered objects that it frees
//! are garbage in the store too (`dead`).
#![allow(unsafe_code)]

use super::coroutine::{Coroutine, Exec, Frame, SLACK, Status, handler_slot, kind};
use super::function::{CLOSURE_HEAD, LuaClosure, NATIVE_HEAD, NativeClosure, Proto, Upvalue};
use super::gc::Roots;
use super::object::{Gc, HOLLOW, Header, mark};
use super::string::Str;
use super::table::{Table, flags};
use super::userdata::Userdata;
use super::value::{Value, tag};
use super::{Heap, OutOfMemory, WORLDS};
use crate::bytecode::instr::Instr;
use crate::bytecode::op::Op;
use crate::bytecode::proto as plain;
use crate::ordered::{self, Map as Ordered};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The name of contents that are stored once: the first half of their SHA-256.
pub type ContentHash = [u8; 16];

/// Spreads object numbers; their order never shows.
#[derive(Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(byte as u32);
        }
    }
    fn write_u32(&mut self, n: u32) {
        self.0 = (self.0 ^ n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 ^= self.0 >> 32;
    }
    fn write_u64(&mut self, n: u64) {
        self.write_u32(n as u32);
        self.write_u32((n >> 32) as u32);
    }
    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }
}

/// The bit of a string's [`Header::flags`]: contents that have it were let go since it came.
pub(super) const STORED: u16 = 1;
/// Logical bytes here below which nothing is worth collecting.
const KEPT_MIN: usize = 4 << 20;

type Map<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// The state that this file keeps in a heap.
#[derive(Default)]
pub struct Objects {
    /// A world is attached.
    pub(crate) attached: bool,
    pub(super) by_id: Map<u32, Gc<Header>>,
    /// Numbered objects that are no longer as their records say.
    pub(crate) changed: Vec<Gc<Header>>,
    /// Hollow objects in this heap.
    pub(crate) hollow_count: usize,
    /// Of `Heap::bytes`, what is in the store only.
    pub(crate) absent_bytes: usize,
    /// Of `Heap::bytes`, what `collect_unnoticed` has freed since the last cycle that counts.
    pub(crate) unnoticed_bytes: usize,
    /// What was here after its last time.
    kept_bytes: usize,
    /// Numbers of objects that an exact cycle has freed since the last commit.
    pub(crate) dead: Vec<u32>,
    /// What the commit under way writes.
    pub(crate) in_flight: Vec<Gc<Header>>,
    /// Hollow objects made since somebody last asked.
    pub(crate) new_stubs: Vec<Gc<Header>>,
    /// What is in memory of external tables (`external.rs`).
    pub(super) externals: Vec<super::external::External>,
    pub(super) free_externals: Vec<u32>,
    /// How many of them are in `hollow_count`.
    pub(crate) external_count: usize,
    /// What their rows take that the store does not have yet.
    pub(super) external_bytes: usize,
    /// Numbers of external tables that an exact cycle has freed since the last commit.
    pub(crate) dead_externals: Vec<u32>,
    /// The cycle being swept was partial.
    pub(super) partial: bool,
    /// Some object of this world has had a finalizer, or some table was weak: then a partial cycle tells the program less than an exact one.
    pub(crate) sees_collector: bool,
    pub(super) metatable: Option<Gc<Table>>,
    proto: Option<Gc<Proto>>,
    upvalue: Option<Gc<Upvalue>>,
    hashes: Vec<ContentHash>,
    free_hashes: Vec<u32>,
    protos: Map<ContentHash, Gc<Proto>>,
}

/// A frame as a record has it. Positions are slots of its stack.
#[derive(Clone, Copy, Debug)]
pub struct FrameParts {
    /// Lua: the next instruction's index and the closure.
    pub lua: Option<(u32, Gc<LuaClosure>)>,
    pub base: u32,
    pub func: u32,
    pub top: u32,
    pub state: u32,
    pub aux: u32,
    pub results: i16,
    pub kind: u8,
    pub flags: u8,
}

impl std::fmt::Debug for Gc<LuaClosure> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "closure #{}", self.header.meta)
    }
}

/// A coroutine as a record has it.
pub struct CoroutineParts {
    pub status: Status,
    pub failed: bool,
    pub seen: bool,
    pub error: Value,
    pub resumer: Option<Gc<Coroutine>>,
    /// The live part.
    pub stack: Vec<Value>,
    /// End of the values in use, inside the live part.
    pub top: usize,
    pub stack_cap: usize,
    pub frames: Vec<FrameParts>,
    pub frame_cap: usize,
    /// Slots and their open upvalues, ascending.
    pub open: Vec<(u32, Gc<Upvalue>)>,
    pub tbc: Vec<u32>,
    pub no_yield: u32,
    pub handlers: u32,
}

/// What a record says that cannot be.
pub type Bad = &'static str;

/// Puts objects into the order of their numbers.
pub(crate) fn sort_by_number(objects: &mut Vec<Gc<Header>>) {
    let numbers: Vec<u32> = objects.iter().map(|o| o.meta).collect();
    let order = ordered::by_key(&numbers).into_iter();
    *objects = order.map(|n| objects[n as usize]).collect();
}

impl Heap {
    /// Makes what hollow objects refer to. Before any other function here.
    pub(crate) fn world_begin(&mut self) -> Result<(), OutOfMemory> {
        if self.world.attached {
            return Ok(());
        }
        self.hollow_metatable()?;
        let code = vec![
            Instr::abc(Op::VARARGPREP, 0, 0, 0),
            Instr::abc(Op::RETURN0, 0, 1, 0),
        ];
        self.world.proto = Some(self.load_proto(&plain::Proto {
            code,
            is_vararg: true,
            max_stack: 2,
            ..plain::Proto::default()
        })?);
        self.world.upvalue = Some(self.upvalue(Value::NIL)?);
        self.world.attached = true;
        Ok(())
    }

    /// Makes the metatable that hollow objects have.
    pub(super) fn hollow_metatable(&mut self) -> Result<(), OutOfMemory> {
        if self.world.metatable.is_none() {
            self.world.metatable = Some(self.table()?);
        }
        Ok(())
    }

    pub(super) fn mark_world(&mut self) -> [Option<Gc<Header>>; 3] {
        [
            self.world.metatable.map(Gc::header),
            self.world.proto.map(Gc::header),
            self.world.upvalue.map(Gc::header),
        ]
    }

    /// The loaded or hollow object with this number. One that the sweep has not reached yet, though it is dead, is none.
    pub(crate) fn object_by_id(&mut self, id: u32) -> Option<Gc<Header>> {
        let found = *self.world.by_id.get(&id)?;
        if found.mark & mark::WHITES & !self.white != 0 && self.sweeping() {
            // Dead: what it refers to may be gone already. It must not come back.
            self.sweep_all();
            return self.world.by_id.get(&id).copied();
        }
        Some(found)
    }

    /// Gives an object its number. It counts as changed until the commit that writes it takes it as clean.
    pub(crate) fn give_id(&mut self, mut object: Gc<Header>, id: u32) {
        object.meta = id;
        self.world.by_id.insert(id, object);
    }

    /// Takes the number back, of a commit that failed.
    pub(crate) fn take_id(&mut self, mut object: Gc<Header>) {
        self.world.by_id.remove(&object.meta);
        object.meta = 0;
        object.mark &= !mark::CLEAN;
    }

    /// The object is as its record says from here on.
    pub(crate) fn set_clean(&mut self, mut object: Gc<Header>) {
        object.mark |= mark::CLEAN;
    }

    /// The object differs from its record.
    pub(crate) fn note_change(&mut self, mut object: Gc<Header>) {
        object.mark &= !mark::CLEAN;
        self.world.changed.push(object);
        if object.kind as u32 == tag::UPVALUE {
            // SAFETY: the kind says so.
            let up: Gc<Upvalue> = unsafe { object.cast() };
            if up.is_open() {
                self.note_owner(up);
            }
        }
    }

    /// A variable of a suspended coroutine has been changed from outside: its value is in the coroutine's record.
    fn note_owner(&mut self, up: Gc<Upvalue>) {
        for i in 0..self.gc.listed().len() {
            let co = self.gc.listed()[i];
            let stack = co.exec.stack as usize;
            if (stack..stack + co.exec.stack_cap * 16).contains(&(up.slot as usize)) {
                self.touch(co.header());
                return;
            }
        }
    }

    /// Notes a change of an object whose stores have no barrier (coroutines).
    #[inline]
    pub(crate) fn touch(&mut self, object: Gc<Header>) {
        if WORLDS && object.mark & mark::CLEAN != 0 {
            self.note_change(object);
        }
    }

    /// Runs `f`, whose allocations bring contents back from the store (invariant 5). The memory cap does not stop it: room is made at
    /// the next safe point. (An imported world does not know its size: it grows by what comes beyond what was known.)
    pub(crate) fn arriving<T>(&mut self, f: impl FnOnce(&mut Heap) -> T) -> T {
        let (bytes, debt, max) = (self.bytes, self.debt, self.bytes_max);
        self.bytes_max = usize::MAX / 2;
        let result = f(self);
        let came = self.bytes.saturating_sub(bytes);
        let known = came.min(self.world.absent_bytes);
        self.world.absent_bytes -= known;
        (self.bytes, self.debt, self.bytes_max) = (bytes + came - known, debt, max);
        result
    }

    /// A string out of a record.
    pub(crate) fn arriving_string(&mut self, bytes: &[u8]) -> Result<Gc<Str>, OutOfMemory> {
        let mut s = self.arriving(|heap| heap.string(bytes))?;
        s.header.flags &= !STORED;
        Ok(s)
    }

    /// Bytes that are here.
    pub fn resident_bytes(&self) -> usize {
        self.bytes
            .saturating_sub(self.world.absent_bytes + self.world.unnoticed_bytes)
    }

    /// A world is attached.
    #[inline]
    pub(super) fn has_world(&self) -> bool {
        WORLDS && self.world.attached
    }

    /// Some object's contents are in the store only.
    #[inline]
    pub(super) fn has_hollow(&self) -> bool {
        WORLDS && self.world.hollow_count > 0
    }

    /// Frees what nothing here refers to any more since contents were let go (stubs, strings), when that may be much. The program sees nothing of it:
    /// what it can count and the collector's pace stay as they are. (But in a world whose cycles are partial anyway, weak tables are cleared.)
    pub(crate) fn collect_unnoticed(&mut self, roots: Roots<'_>) {
        if self.resident_bytes() < 2 * self.world.kept_bytes + KEPT_MIN {
            return;
        }
        self.end_sweep();
        let (bytes, debt) = (self.bytes, self.debt);
        self.gc_full(roots);
        self.world.unnoticed_bytes = bytes.saturating_sub(self.bytes);
        (self.bytes, self.debt) = (bytes, debt);
        self.world.kept_bytes = self.resident_bytes();
    }

    /// What a string takes is in the store once no object here has it: the contents that had it have been let go.
    fn let_string_go(v: Value) {
        if v.is_string() {
            // SAFETY: every string begins with a header.
            let mut s: Gc<Header> = Gc::from_bits(v.bits);
            s.flags |= STORED;
        }
    }

    /// A hollow object of this kind (a tag) with this number, which no object here has. `count`: upvalues of closures.
    pub(crate) fn stub(
        &mut self,
        kind: u32,
        id: u32,
        count: u32,
    ) -> Result<Gc<Header>, OutOfMemory> {
        let object = self.arriving(|heap| heap.bare_object(kind, count))?;
        let mut object = object;
        object.meta = id;
        object.mark |= mark::CLEAN;
        self.world.by_id.insert(id, object);
        if kind != tag::UPVALUE {
            object.flags |= HOLLOW;
            self.world.hollow_count += 1;
            self.world.new_stubs.push(object);
        }
        Ok(object)
    }

    fn bare_object(&mut self, kind: u32, count: u32) -> Result<Gc<Header>, OutOfMemory> {
        Ok(match kind {
            tag::TABLE => {
                let mut t = self.table()?;
                t.metatable = self.world.metatable;
                t.header()
            }
            tag::LUA_CLOSURE => {
                let (Some(proto), Some(dummy)) = (self.world.proto, self.world.upvalue) else {
                    return Err(self.refuse(0));
                };
                let c = self.lua_closure(proto, count as usize)?;
                for i in 0..count as usize {
                    c.set_upval(i, dummy);
                }
                c.header()
            }
            tag::NATIVE_CLOSURE => {
                let nils = vec![Value::NIL; count as usize];
                self.native_closure(u32::MAX, &nils)?.header()
            }
            tag::USERDATA => {
                let mut u = self.userdata(None)?;
                u.metatable = self.world.metatable;
                u.header()
            }
            tag::COROUTINE => self.coroutine_without_stacks(Status::Dead)?.header(),
            _ => self.upvalue(Value::NIL)?.header(),
        })
    }

    /// Takes the bit off an object whose contents are being put in.
    fn filled(&mut self, mut object: Gc<Header>) {
        if object.flags & HOLLOW != 0 {
            object.flags &= !HOLLOW;
            self.world.hollow_count -= 1;
        }
        // What it refers to now may be white.
        if object.mark & mark::BLACK != 0 {
            object.mark &= !mark::BLACK;
            if self.marking() {
                self.regray_object(object);
            }
        }
    }

    /// Gives a hollow (or reverted) table its contents. Keys are normalised; `tag::DEAD` stands for a tombstone's lost key.
    pub(crate) fn table_restore(
        &mut self,
        mut t: Gc<Table>,
        metatable: Option<Gc<Table>>,
        array: (&[Value], u32),
        entries: (&[(Value, Value)], u32),
    ) -> Result<(), Bad> {
        let (slots, array_cap) = array;
        let (pairs, entry_cap) = entries;
        if slots.len() > array_cap as usize || slots.last().is_some_and(|v| v.is_nil()) {
            return Err("array part");
        }
        if pairs.len() > entry_cap as usize {
            return Err("entries");
        }
        let room = array_cap as usize * 16 + entry_cap as usize * 24;
        if room > self.bytes_max {
            return Err("table size: beyond the memory limit");
        }
        self.arriving(|heap| {
            heap.table_clear(t);
            heap.table_array_cap(t, array_cap)
                .map_err(|_| "array size")?;
            heap.table_entry_room(t, entry_cap)
                .map_err(|_| "entry count")?;
            Ok::<(), Bad>(())
        })?;
        // SAFETY: room for `array_cap >= slots.len()` slots was made.
        unsafe {
            for (i, v) in slots.iter().enumerate() {
                v.store(t.array.add(i));
            }
        }
        t.array_len = slots.len() as u32;
        for &(key, value) in pairs {
            self.table_restore_entry(t, key, value);
        }
        if let Some(mut mt) = metatable {
            mt.header.flags |= flags::METATABLE;
        }
        t.metatable = metatable;
        self.filled(t.header());
        Ok(())
    }

    /// Gives a closure its contents; `upvals` are as many as the stub was made with.
    pub(crate) fn closure_restore(
        &mut self,
        mut c: Gc<LuaClosure>,
        proto: Gc<Proto>,
        upvals: &[Gc<Upvalue>],
    ) -> Result<(), Bad> {
        if upvals.len() != c.upval_count as usize || proto.info().upvals.len() != upvals.len() {
            return Err("upvalue count");
        }
        c.proto = proto;
        for (i, up) in upvals.iter().enumerate() {
            c.set_upval(i, *up);
        }
        self.filled(c.header());
        Ok(())
    }

    pub(crate) fn native_closure_restore(
        &mut self,
        mut c: Gc<NativeClosure>,
        native: u32,
        upvals: &[Value],
    ) -> Result<(), Bad> {
        if upvals.len() != c.upval_count as usize {
            return Err("upvalue count");
        }
        c.native = native;
        c.upvals_mut().copy_from_slice(upvals);
        self.filled(c.header());
        Ok(())
    }

    pub(crate) fn userdata_restore(
        &mut self,
        mut u: Gc<Userdata>,
        metatable: Option<Gc<Table>>,
        data: Option<Box<dyn std::any::Any>>,
        user_values: Vec<Value>,
    ) {
        if let Some(mut mt) = metatable {
            mt.header.flags |= flags::METATABLE;
        }
        u.metatable = metatable;
        u.data = data;
        u.user_values = user_values;
        self.filled(u.header());
    }

    /// Gives an upvalue a value of its own: it is closed then.
    pub(crate) fn upvalue_restore(&mut self, up: Gc<Upvalue>, value: Value) {
        up.close(value);
        self.filled(up.header());
    }

    /// Gives a coroutine its contents. What its record says is checked for all that the interpreter relies on.
    pub(crate) fn coroutine_restore(
        &mut self,
        mut co: Gc<Coroutine>,
        parts: CoroutineParts,
    ) -> Result<(), Bad> {
        parts.check(self.bytes_max)?;
        // A variable is open in one place only.
        let mut theirs = ordered::Map::new();
        let alone = |(_, up): &(u32, Gc<Upvalue>)| {
            !up.is_open() && theirs.insert(up.address(), ()).is_none()
        };
        if !parts.open.iter().all(alone) {
            return Err("open upvalue");
        }
        self.arriving(|heap| {
            let exec = &mut co.exec;
            let mut change = exec.release(&mut heap.pools);
            if parts.stack_cap > 0 {
                change += exec.grow_stack(&mut heap.pools, parts.stack_cap);
            }
            if parts.frame_cap > 0 {
                change += exec.grow_frames(&mut heap.pools, parts.frame_cap);
            }
            heap.account(change);
        });
        let exec = &mut co.exec;
        for (i, v) in parts.stack.iter().enumerate() {
            exec.set(i, *v);
        }
        exec.top = parts.top;
        for f in &parts.frames {
            let (pc, k, closure) = match f.lua {
                Some((at, closure)) => (
                    closure.proto.code.wrapping_add(at as usize),
                    closure.proto.consts,
                    closure.as_ptr().cast_const(),
                ),
                None => (std::ptr::null(), std::ptr::null(), std::ptr::null()),
            };
            exec.enter_frame();
            *exec.frame_mut() = Frame {
                pc,
                k,
                closure,
                base: f.base,
                func: f.func,
                top: f.top,
                state: f.state,
                aux: f.aux,
                results: f.results,
                kind: f.kind,
                flags: f.flags,
            };
        }
        for (slot, up) in &parts.open {
            let mut up = *up;
            // SAFETY: `check` has seen that the slot is inside the stack.
            up.slot = unsafe { exec.stack.add(*slot as usize) };
            exec.open.push(up);
        }
        exec.tbc = parts.tbc;
        exec.no_yield = parts.no_yield;
        exec.handlers = parts.handlers;
        co.status = parts.status;
        co.failed = parts.failed;
        co.seen = parts.seen;
        co.error = parts.error;
        co.resumer = parts.resumer;
        if !parts.open.is_empty() {
            self.list_open(co);
        }
        self.filled(co.header());
        Ok(())
    }

    /// Whether contents may leave: the object is as its record says, and nobody relies on its being here.
    pub(crate) fn may_hollow(&self, object: Gc<Header>) -> bool {
        if object.meta == 0 || object.mark & mark::CLEAN == 0 || object.flags & HOLLOW != 0 {
            return false;
        }
        // SAFETY (casts): the kind says so.
        unsafe {
            match object.kind as u32 {
                tag::TABLE => object.flags & flags::METATABLE == 0,
                tag::COROUTINE => {
                    let co: Gc<Coroutine> = object.cast();
                    co.exec.open.is_empty()
                        && matches!(co.status, Status::Suspended | Status::Dead)
                        && co.hook.is_none()
                }
                tag::LUA_CLOSURE => true,
                _ => false,
            }
        }
    }

    /// [`hollow_out`](Self::hollow_out) for external tables too.
    pub(crate) fn hollow_again(&mut self, object: Gc<Header>) {
        if object.is_external() {
            // SAFETY: `is_external` says that it is a table.
            self.external_stub(unsafe { object.cast() });
        } else {
            self.hollow_out(object);
        }
    }

    /// Every external table here that has a number.
    pub(crate) fn external_tables(&self) -> Vec<Gc<Table>> {
        if self.world.externals.len() == self.world.free_externals.len() {
            return Vec::new();
        }
        self.numbered_objects()
            .into_iter()
            .filter(|o| o.is_external())
            .filter_map(Heap::as_kind)
            .collect()
    }

    /// Lets an object's contents go; what is not in the store of them is lost. For reverting too: then an object may be of any kind
    /// but an upvalue, and a coroutine's open upvalues are closed with nil.
    pub(crate) fn hollow_out(&mut self, mut object: Gc<Header>) {
        if object.flags & HOLLOW != 0 {
            return;
        }
        let before = self.bytes;
        let debt = self.debt;
        // SAFETY (casts): the kind says so.
        unsafe {
            match object.kind as u32 {
                tag::TABLE => {
                    let mut t: Gc<Table> = object.cast();
                    for i in 0..t.array_len as usize {
                        Heap::let_string_go(Value::load(t.array.add(i)));
                    }
                    for entry in t.entries() {
                        Heap::let_string_go(entry.key());
                        Heap::let_string_go(entry.value());
                    }
                    self.table_clear(t);
                    t.metatable = self.world.metatable;
                }
                tag::LUA_CLOSURE => {
                    let mut c: Gc<LuaClosure> = object.cast();
                    if let (Some(proto), Some(dummy)) = (self.world.proto, self.world.upvalue) {
                        c.proto = proto;
                        for i in 0..c.upval_count as usize {
                            c.set_upval(i, dummy);
                        }
                    }
                }
                tag::NATIVE_CLOSURE => {
                    let mut c: Gc<NativeClosure> = object.cast();
                    c.native = u32::MAX;
                    c.upvals_mut().fill(Value::NIL);
                }
                tag::USERDATA => {
                    let mut u: Gc<Userdata> = object.cast();
                    u.metatable = self.world.metatable;
                    u.data = None;
                    u.user_values.clear();
                }
                tag::COROUTINE => {
                    let mut co: Gc<Coroutine> = object.cast();
                    for up in std::mem::take(&mut co.exec.open) {
                        up.close(Value::NIL);
                    }
                    let change = co.exec.release(&mut self.pools);
                    self.account(change);
                    co.status = Status::Dead;
                    co.error = Value::NIL;
                    co.resumer = None;
                    co.hook = None;
                }
                _ => return,
            }
        }
        object.flags |= HOLLOW;
        object.mark |= mark::CLEAN;
        self.world.hollow_count += 1;
        self.world.absent_bytes += before.saturating_sub(self.bytes);
        (self.bytes, self.debt) = (before, debt);
    }

    /// The sweep frees an object with a number, or one whose contents have a hash.
    #[cold]
    pub(super) fn world_dropped(&mut self, object: Gc<Header>) {
        match object.kind as u32 {
            tag::PROTO | tag::LONG_STR => {
                let at = object.meta - 1;
                let hash = self.world.hashes[at as usize];
                if object.kind as u32 == tag::PROTO
                    && self
                        .world
                        .protos
                        .get(&hash)
                        .is_some_and(|p| p.address() == object.address())
                {
                    self.world.protos.remove(&hash);
                }
                self.world.free_hashes.push(at);
            }
            _ => {
                if self.world.by_id.get(&object.meta) == Some(&object) {
                    self.world.by_id.remove(&object.meta);
                }
                // An external table's state says whether it was counted.
                if object.flags & HOLLOW != 0 && !object.is_external() {
                    self.world.hollow_count -= 1;
                }
                if self.world.partial {
                    let bytes = self.object_bytes(object);
                    self.world.absent_bytes += bytes;
                    self.bytes += bytes;
                } else {
                    self.world.dead.push(object.meta);
                    if object.is_external() {
                        self.world.dead_externals.push(object.meta);
                    }
                }
            }
        }
    }

    /// The sweep frees a string that hollow objects have: a partial cycle does not make the world smaller by that.
    #[cold]
    pub(super) fn stored_string_dropped(&mut self, bytes: usize) {
        if self.world.partial {
            self.world.absent_bytes += bytes;
            self.bytes += bytes;
        }
    }

    /// The hash of a prototype's or long string's contents, if it is known.
    pub(crate) fn content_hash(&self, object: Gc<Header>) -> Option<ContentHash> {
        match object.meta {
            0 => None,
            n => self.world.hashes.get(n as usize - 1).copied(),
        }
    }

    /// Forgets it.
    pub(super) fn forget_content(&mut self, mut object: Gc<Header>) {
        if WORLDS && object.meta != 0 {
            self.world.free_hashes.push(object.meta - 1);
            object.meta = 0;
        }
    }

    /// Remembers it.
    pub(crate) fn set_content_hash(&mut self, mut object: Gc<Header>, hash: ContentHash) {
        let at = match self.world.free_hashes.pop() {
            Some(at) => {
                self.world.hashes[at as usize] = hash;
                at
            }
            None => {
                self.world.hashes.push(hash);
                self.world.hashes.len() as u32 - 1
            }
        };
        object.meta = at + 1;
        if object.kind as u32 == tag::PROTO {
            // SAFETY: the kind says so.
            self.world.protos.insert(hash, unsafe { object.cast() });
        }
    }

    /// A loaded prototype by its hash.
    pub(crate) fn proto_by_hash(&mut self, hash: &ContentHash) -> Option<Gc<Proto>> {
        let found = *self.world.protos.get(hash)?;
        if found.header.mark & mark::WHITES & !self.white != 0 && self.sweeping() {
            self.sweep_all();
            return self.world.protos.get(hash).copied();
        }
        Some(found)
    }

    /// Every loaded or hollow object with a number, in the order of the numbers. Not those that only wait to be swept: what needs more of
    /// the world may sweep them meanwhile.
    pub(crate) fn numbered_objects(&self) -> Vec<Gc<Header>> {
        let mut all = self.numbered_in_any_order();
        sort_by_number(&mut all);
        all
    }

    /// The same, for those to whom their order does not matter.
    pub(crate) fn numbered_in_any_order(&self) -> Vec<Gc<Header>> {
        let dead = if self.sweeping() {
            mark::WHITES & !self.white
        } else {
            0
        };
        let numbered = self.world.by_id.values().copied();
        numbered.filter(|o| o.mark & dead == 0).collect()
    }

    /// A frame's next instruction as an index.
    pub(crate) fn frame_pc(frame: &Frame) -> Option<(u32, Gc<LuaClosure>)> {
        if frame.kind != kind::LUA {
            return None;
        }
        // SAFETY: a Lua frame's closure is alive and loaded, and its pc points into that closure's code.
        unsafe {
            let closure = Gc::from_raw(frame.closure.cast_mut());
            let at = frame.pc.offset_from(closure.proto.code);
            Some((at as u32, closure))
        }
    }

    /// The slot that an open upvalue of this coroutine stands for.
    pub(crate) fn open_slot(exec: &Exec, up: Gc<Upvalue>) -> u32 {
        ((up.slot as usize - exec.stack as usize) / 16) as u32
    }

    /// The coroutine whose stack an open upvalue points into.
    pub(crate) fn open_owner(&self, up: Gc<Upvalue>) -> Option<Gc<Coroutine>> {
        self.gc.listed().iter().copied().find(|co| {
            let stack = co.exec.stack as usize;
            (stack..stack + co.exec.stack_cap * 16).contains(&(up.slot as usize))
        })
    }

    /// Kinds that have numbers in a world.
    pub(crate) fn is_numbered_kind(kind: u32) -> bool {
        matches!(
            kind,
            tag::TABLE
                | tag::LUA_CLOSURE
                | tag::NATIVE_CLOSURE
                | tag::USERDATA
                | tag::COROUTINE
                | tag::UPVALUE
        )
    }

    /// Every coroutine here.
    pub(crate) fn coroutines(&self) -> Vec<Gc<Coroutine>> {
        let mut all = Vec::new();
        self.each_object(|header| {
            // SAFETY: `each_object` passes objects; the kind says what this is.
            unsafe {
                if (*header).kind as u32 == tag::COROUTINE {
                    all.push(Gc::from_raw(header.cast()));
                }
            }
        });
        all
    }

    /// The addresses of the closures that the loaded coroutines' frames run or have as message handlers.
    /// The running one's are in `exec`.
    pub(crate) fn running_closures(&self, exec: &Exec) -> Ordered<usize, ()> {
        let mut running = Ordered::new();
        let mut add = |exec: &Exec| {
            for frame in exec.frames() {
                if frame.kind == kind::LUA {
                    running.insert(frame.closure as usize, ());
                } else if let Some(slot) = handler_slot(frame.kind, frame.flags, frame.top)
                    && slot < exec.live_end()
                    && let Some(handler) = exec.get(slot).as_lua_closure()
                {
                    running.insert(handler.header().address(), ());
                }
            }
        };
        add(exec);
        for co in self.coroutines() {
            add(&co.exec);
        }
        running
    }

    /// Sets the number by which an object is printed.
    pub(crate) fn restore_printed_id(&mut self, mut object: Gc<Header>, id: u64) {
        object.mark |= mark::PRINTED;
        self.printed_ids.insert(object.address(), id);
    }

    /// The number by which an object has been printed, if it was.
    pub(crate) fn printed_id_if_any(&self, object: Gc<Header>) -> Option<u64> {
        if object.mark & mark::PRINTED == 0 {
            return None;
        }
        self.printed_ids.get(&object.address()).copied()
    }

    /// What an upvalue, closure or the like may be cast to, after its kind was asked for.
    pub(crate) fn as_kind<T: Kind>(object: Gc<Header>) -> Option<Gc<T>> {
        if object.kind as u32 != T::TAG {
            return None;
        }
        // SAFETY: the kind was written with the object.
        Some(unsafe { object.cast() })
    }
}

/// Types of objects, by tag.
pub(crate) trait Kind {
    const TAG: u32;
}
impl Kind for Table {
    const TAG: u32 = tag::TABLE;
}
impl Kind for LuaClosure {
    const TAG: u32 = tag::LUA_CLOSURE;
}
impl Kind for NativeClosure {
    const TAG: u32 = tag::NATIVE_CLOSURE;
}
impl Kind for Userdata {
    const TAG: u32 = tag::USERDATA;
}
impl Kind for Coroutine {
    const TAG: u32 = tag::COROUTINE;
}
impl Kind for Upvalue {
    const TAG: u32 = tag::UPVALUE;
}
impl Kind for Proto {
    const TAG: u32 = tag::PROTO;
}

impl CoroutineParts {
    /// A frame returns into the one below without further checks: there is room for its results, and that one's instruction is one that can be
    /// finished.
    fn return_holds(&self, i: usize) -> Result<(), Bad> {
        use super::coroutine::frame_flag::{CLOSE, FINALIZER, FINISH, HANDLER, HOOK};
        let holds = |holds: bool, what: Bad| if holds { Ok(()) } else { Err(what) };
        let f = &self.frames[i];
        let Some(caller) = i.checked_sub(1).map(|below| &self.frames[below]) else {
            return holds(
                f.flags & (FINISH | CLOSE | FINALIZER | HOOK | HANDLER) == 0,
                "frame flags",
            );
        };
        let room = match caller.kind {
            kind::LUA => (caller.top as usize)
                .saturating_sub(f.func as usize)
                .max(SLACK),
            _ => SLACK,
        };
        if matches!(caller.kind, kind::LUA | kind::NATIVE) {
            holds(f.func >= caller.base, "function slot")?;
        }
        holds(f.flags & FINISH == 0 || caller.lua.is_some(), "frame flags")?;
        holds(f.results < 0 || f.results as usize <= room, "frame results")?;
        if f.flags & (CLOSE | FINALIZER | HOOK) != 0 {
            let saved = (f.func as usize)
                .checked_sub(1)
                .and_then(|at| self.stack.get(at));
            let top = saved.filter(|v| v.is_int()).map(|v| v.raw_int());
            let within = top.is_some_and(|top| {
                let lowest = if caller.kind == kind::NATIVE {
                    caller.base
                } else {
                    0
                };
                (lowest as i64..f.func as i64).contains(&top)
            });
            holds(within, "saved top")?;
        }
        if let (true, Some((pc, closure))) = (f.flags & (FINISH | CLOSE | HOOK) != 0, &caller.lua) {
            let Some(word) = (*pc as usize)
                .checked_sub(1)
                .and_then(|at| closure.proto.code().get(at))
            else {
                return Err("program counter");
            };
            let instr = Instr(word.word);
            if f.flags & FINISH != 0 && instr.op() == Some(Op::CONCAT) {
                let end = instr.a() as u32 + caller.aux;
                holds(
                    caller.aux >= 2 && end <= closure.proto.max_stack as u32,
                    "frame aux",
                )?;
            }
        } else {
            holds(f.flags & CLOSE == 0 || caller.lua.is_some(), "frame flags")?;
        }
        Ok(())
    }

    /// Where the next instruction of a Lua frame goes on from the stack's top, the top is behind its registers.
    fn top_holds(&self, i: usize, pc: usize, code: &[super::function::Insn]) -> Result<(), Bad> {
        use super::coroutine::frame_flag::{CLOSE, FINALIZER, FINISH, HANDLER, HOOK};
        use crate::bytecode::op::flag::USES_TOP;
        let f = &self.frames[i];
        // Behind which slot the top must be, if this instruction wants it.
        let wanted = |at: Option<usize>| {
            let instr = Instr(code.get(at?)?.word);
            let op = instr.op().filter(|op| op.has(USES_TOP) && instr.b() == 0)?;
            Some(f.base as i64 + instr.a() as i64 + (op != Op::RETURN) as i64)
        };
        let concat = code
            .get(pc)
            .is_some_and(|word| Instr(word.word).op() == Some(Op::CONCAT));
        if concat && f.aux > 0 {
            let a = Instr(code[pc].word).a() as u32;
            if f.aux < 2 || a + f.aux > f.top - f.base {
                return Err("frame aux");
            }
        }
        let holds = match self.frames.get(i + 1) {
            None => wanted(Some(pc)).is_none_or(|from| self.top as i64 >= from),
            Some(above) if above.flags & (CLOSE | FINALIZER | HOOK) != 0 => {
                // The instruction before this one is executed again (or this one), with the top that was kept.
                let saved = self.stack.get((above.func as usize).wrapping_sub(1));
                let top = saved.map_or(0, |v| v.raw_int());
                let before = pc.checked_sub(1);
                [wanted(before), wanted(Some(pc))]
                    .into_iter()
                    .flatten()
                    .all(|from| top >= from)
            }
            Some(above) if above.flags & (HANDLER | FINISH) != 0 => true,
            Some(above) => {
                wanted(Some(pc)).is_none_or(|from| above.results < 0 && above.func as i64 >= from)
            }
        };
        if holds { Ok(()) } else { Err("stack top") }
    }

    /// Everything that the interpreter takes for granted about a suspended coroutine (`coroutine.rs`, invariants).
    fn check(&self, bytes_max: usize) -> Result<(), Bad> {
        use super::coroutine::frame_flag::{CLOSE, HANDLER, HOOK, NO_YIELD, OUTWARD, PROTECTED};
        let holds = |holds: bool, what: Bad| if holds { Ok(()) } else { Err(what) };
        let cap = self.stack_cap;
        holds(
            cap <= 2 * super::coroutine::STACK_MAX && cap * 16 <= bytes_max,
            "stack size",
        )?;
        holds(
            self.frame_cap <= 1 << 24 && self.frame_cap * 48 <= bytes_max,
            "frame capacity",
        )?;
        holds(self.frames.len() <= self.frame_cap, "frame count")?;
        holds(
            self.stack.len() + SLACK <= cap || cap == 0 && self.stack.is_empty(),
            "stack top",
        )?;
        holds(self.top <= self.stack.len(), "stack top")?;
        let mut before = 0;
        for (i, f) in self.frames.iter().enumerate() {
            let last = i + 1 == self.frames.len();
            holds(
                (i == 0) == matches!(f.kind, kind::BOTTOM | kind::ENTRY),
                "first frame",
            )?;
            // Nobody can resume a task's root.
            holds(
                f.kind != kind::ENTRY || self.status == Status::Normal,
                "status",
            )?;
            holds(
                f.func >= before && (f.base as usize) <= cap - SLACK,
                "frame position",
            )?;
            holds(f.base > f.func || i == 0 && f.base >= f.func, "frame base")?;
            holds(
                (f.func as usize) < self.stack.len() || i == 0,
                "function slot",
            )?;
            before = f.func;
            self.return_holds(i)?;
            match (&f.lua, f.kind) {
                (Some((pc, closure)), kind::LUA) => {
                    let p = closure.proto;
                    holds(!closure.header.is_hollow(), "frame's function")?;
                    // Below a hook or a `__close`, execution goes back to the instruction before; `return_holds` sees that there is one.
                    let goes_back = |above: &FrameParts| above.flags & (CLOSE | HOOK) != 0;
                    let back = self.frames.get(i + 1).is_some_and(goes_back);
                    holds(*pc < p.code_len + back as u32, "program counter")?;
                    holds(f.aux <= p.max_stack as u32, "frame aux")?;
                    let caller_is_lua = i > 0 && self.frames[i - 1].kind == kind::LUA;
                    holds(caller_is_lua || f.flags & OUTWARD != 0, "frame flags")?;
                    self.top_holds(i, *pc as usize, p.code())?;
                    holds(f.top == f.base + p.max_stack as u32, "frame top")?;
                    holds(f.top as usize + SLACK <= cap, "frame size")?;
                    let below = f.base - f.func - 1;
                    if p.is_vararg {
                        holds(
                            f.state.saturating_add(p.num_params as u32)
                                <= below.max(p.num_params as u32),
                            "variable arguments",
                        )?;
                        holds(f.state <= below, "variable arguments")?;
                    } else {
                        holds(below == 0 || f.state == 0, "frame base")?;
                    }
                }
                (None, kind::NATIVE | kind::BOTTOM | kind::ENTRY) => {
                    holds(f.base as usize <= self.stack.len(), "native's slots")?;
                    if f.kind == kind::NATIVE {
                        holds(!last || f.base as usize <= self.top, "native's slots")?;
                        holds(
                            f.flags & PROTECTED == 0
                                || f.top as usize <= self.stack.len()
                                || f.base as usize + f.aux as usize <= self.stack.len(),
                            "error slot",
                        )?;
                        holds(
                            f.state != crate::vm::call::RETURNING
                                || !last
                                || f.top as usize <= self.top,
                            "results",
                        )?;
                    }
                }
                _ => return Err("frame kind"),
            }
        }
        // What is resumed has yielded, which a native does, or has not begun.
        let yielded =
            self.frames.len() > 1 && self.frames.last().is_some_and(|f| f.kind == kind::NATIVE);
        holds(
            self.status != Status::Suspended || self.frames.is_empty() || yielded,
            "status",
        )?;
        let mut lowest = 0;
        for (slot, _) in &self.open {
            holds(
                *slot >= lowest && (*slot as usize) < self.stack.len(),
                "open upvalue",
            )?;
            lowest = *slot + 1;
        }
        holds(
            self.tbc.windows(2).all(|w| w[0] < w[1])
                && self
                    .tbc
                    .last()
                    .is_none_or(|&s| (s as usize) < self.stack.len()),
            "to-be-closed variables",
        )?;
        let with = |flags: u8| {
            self.frames
                .iter()
                .filter(|f| f.flags & flags == flags)
                .count() as u32
        };
        holds(with(NO_YIELD) == self.no_yield, "frames that do not yield")?;
        holds(
            with(NO_YIELD | HANDLER) == self.handlers,
            "message handlers",
        )
    }
}

const _: () = assert!(CLOSURE_HEAD > 0 && NATIVE_HEAD > 0 && size_of::<Str>() == 16);
