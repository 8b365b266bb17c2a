//! The heap checker: walks every page, object, table, stack and list of the heap and holds them to the invariants that the files of
//! this folder state. It is the referee in disputes, so it leans on none of the collector's own walks: it has its own idea of what an
//! object refers to and how large it is. Compiled with the feature `checked` only; `docs/heap.md` lists what it checks, by these numbers:
//!
//! 1. **Blocks.** Every block of an object page is free and in its class's free list, or an object whose kind exists and whose size
//!    belongs to that class. Every buffer in use has exactly one owner, by count. What was taken from the system adds up.
//! 2. **Headers.** Colours are possible in the present phase; the bits of `Header::mark` agree with the lists that they stand for.
//! 3. **Values.** Every value has a tag that exists, and the object behind it is of that kind, in use, and not about to be swept.
//!    Nil and booleans have a payload of 0.
//! 4. **Strings.** Kind, length and hash agree; the interner finds each short string, and holds nothing else.
//! 5. **Tables.** The parts are within their capacities, the array ends with a value, keys are normal and in one part only, the index
//!    leads to every entry once, the flags are true.
//! 6. **Stacks.** Frames lie inside their stack in order, with the code, constants and closure of one function; what is counted per
//!    frame adds up; open upvalues are listed once, in order, by the stack that they point into; variables to be closed ascend.
//! 7. **Colours while marking.** No black object refers to a white one; every gray one is on a list to be looked at, or is exempt.
//! 8. **Accounts.** The bytes in use are the sum of what is alive, and the bytes marked the sum of what has been traversed. Not for a heap
//!    with a world, whose count includes what is in the store only and is not exact after a partial cycle (`hollow.rs`).
//! 9. **Numbers.** In a heap with a world: a numbered object is found by its number; it is clean, or noted as changed once, or in the
//!    commit under way; a hollow one is clean, and they are counted.
#![allow(unsafe_code)]

use super::alloc::Pools;
use super::coroutine::{Coroutine, Exec, SLACK, kind};
use super::function::{CLOSURE_HEAD, Insn, LuaClosure, NATIVE_HEAD, NativeClosure, Proto, Upvalue};
use super::gc::Phase;
use super::object::{Gc, HOLLOW, Header, mark};
use super::string::{Interner, SHORT_MAX, STR_HEAD, Str, hash_bytes};
use super::table::{Entry, LINEAR_MAX, PART_MAX, Table, flags, normal_key};
use super::userdata::Userdata;
use super::value::{Value, tag};
use super::{COROUTINE_BYTES, Heap};
use std::collections::HashSet;

/// What is wrong: which invariant, where.
pub type Finding = String;

macro_rules! ensure {
    ($holds:expr, $($words:tt)*) => {
        if !$holds {
            return Err(format!($($words)*));
        }
    };
}

/// Checks between two calls of [`Heap::check_sometimes`] are spread so that each pays for the walk over so many objects.
const OBJECTS_A_CALL: usize = 1000;

impl Heap {
    /// Walks the heap, and panics when an invariant does not hold. `place` says where that was noticed.
    pub(crate) fn check(&self, place: &str, roots: &[Value], exec: &Exec) {
        if let Err(finding) = self.finding(roots, exec) {
            panic!("bug in evermoon: the heap is damaged ({place}): {finding}");
        }
    }

    /// As `check`, at a place that comes often: now and then, the more seldom the larger the heap is.
    pub(crate) fn check_sometimes(&mut self, place: &str, roots: &[Value], exec: &Exec) {
        self.check_credit += OBJECTS_A_CALL;
        if self.check_credit >= self.check_cost {
            self.check_credit = 0;
            let mut cost = exec.stack_cap;
            self.each_object(|_| cost += 1);
            self.check_cost = cost;
            self.check(place, roots, exec);
        }
    }

    /// The first thing that is wrong.
    pub(crate) fn finding(&self, roots: &[Value], exec: &Exec) -> Result<(), Finding> {
        let mut blocks = Vec::new();
        let mut block = |header: *mut Header, bytes| {
            // SAFETY: every block of an object page, and every large object, begins with a header.
            let kind = unsafe { (*header).kind };
            if kind != 0 {
                let address = header as usize;
                blocks.push(Block {
                    address,
                    kind,
                    bytes,
                });
            }
        };
        let mut cursor = (0, 0);
        while let Some((page, size)) = self.pools.object_page(&mut cursor) {
            cursor.1 += 1;
            for at in (0..page.bytes).step_by(size) {
                block(page.start.wrapping_add(at).cast(), size);
            }
        }
        for &(header, size) in &self.pools.large {
            block(header, size);
        }
        blocks.sort_unstable_by_key(|b| b.address);
        let checker = Checker {
            heap: self,
            blocks: &blocks,
            open: HashSet::new(),
            buffers: Vec::new(),
        };
        checker.all(roots, exec)
    }
}

/// A block that is not free.
struct Block {
    address: usize,
    kind: u8,
    bytes: usize,
}

struct Checker<'h> {
    heap: &'h Heap,
    /// Every block in use, dead objects included, by address.
    blocks: &'h [Block],
    /// Open upvalues that a stack lists.
    open: HashSet<usize>,
    /// Sizes of the buffers that have an owner.
    buffers: Vec<usize>,
}

impl<'h> Checker<'h> {
    fn all(mut self, roots: &[Value], exec: &Exec) -> Result<(), Finding> {
        for block in self.blocks {
            ensure!(
                (tag::STR..=tag::UPVALUE).contains(&(block.kind as u32)),
                "the block at {:#x} has the kind {}, which does not exist",
                block.address,
                block.kind
            );
            let object = Gc::from_bits(block.address as u64);
            let wanted = Pools::block_bytes(block_size(object));
            ensure!(
                block.bytes == wanted,
                "{} needs a block of {wanted} bytes, and has one of {}",
                shown(object),
                block.bytes
            );
        }
        self.headers()?;
        for (i, &v) in roots.iter().enumerate() {
            self.value(v).map_err(|e| format!("root {i}: {e}"))?;
        }
        if let Some(name) = self.heap.mode_name {
            self.value(Value::string(name))?;
        }
        self.exec(exec)
            .map_err(|e| format!("the running coroutine: {e}"))?;
        self.buffers_of_exec(exec);
        let mut live_bytes = Interner::BYTES + exec.bytes();
        let mut open_upvalues = Vec::new();
        for object in self.objects() {
            self.owned_buffers(object);
            if self.is_dead(object) {
                continue;
            }
            live_bytes += logical_bytes(object);
            self.object(object)
                .map_err(|e| format!("{}: {e}", shown(object)))?;
            if let Some(up) = as_upvalue(object)
                && up.is_open()
            {
                open_upvalues.push(object.address());
            }
        }
        for address in open_upvalues {
            ensure!(
                self.open.contains(&address),
                "the upvalue at {address:#x} is open, but no stack lists it"
            );
        }
        self.interner()?;
        self.lists(exec)?;
        self.numbers()?;
        if self.heap.gc.phase == Phase::Propagate {
            self.colours()?;
        }
        ensure!(
            self.heap.world.attached || self.heap.bytes == live_bytes,
            "{} bytes are accounted for, {live_bytes} are in use",
            self.heap.bytes
        );
        self.heap.pools.check(&self.buffers)
    }

    /// In the order of addresses.
    fn objects(&self) -> impl Iterator<Item = Gc<Header>> + use<'h> {
        let blocks: &'h [Block] = self.blocks;
        blocks.iter().map(|b| Gc::from_bits(b.address as u64))
    }

    fn kind_at(&self, address: usize) -> Option<u32> {
        let at = self.blocks.binary_search_by_key(&address, |b| b.address);
        at.ok().map(|i| self.blocks[i].kind as u32)
    }

    /// White of the other kind, and the sweeper has not come by yet.
    fn is_dead(&self, object: Gc<Header>) -> bool {
        self.heap.gc.phase == Phase::Sweep && object.mark & mark::WHITES & !self.heap.white != 0
    }

    // ---- 2: headers ----

    fn headers(&self) -> Result<(), Finding> {
        let white = self.heap.white;
        ensure!(
            white == mark::WHITE_A || white == mark::WHITE_B,
            "the current white is {white}"
        );
        for object in self.objects() {
            let marks = object.mark;
            let colour = marks & (mark::WHITES | mark::BLACK);
            let possible = match self.heap.gc.phase {
                Phase::Pause => colour == white,
                Phase::Propagate => colour == white || colour == mark::BLACK || colour == 0,
                Phase::Sweep => {
                    matches!(colour, mark::WHITE_A | mark::WHITE_B | mark::BLACK | 0)
                }
            };
            ensure!(
                possible,
                "{} has the marks {marks:#x} in the phase {:?}",
                shown(object),
                self.heap.gc.phase
            );
            ensure!(
                marks & mark::CLEAN == 0 || object.meta != 0,
                "{} is clean, but has no number",
                shown(object)
            );
        }
        if self.heap.gc.phase == Phase::Sweep {
            self.swept_pages()?;
        }
        Ok(())
    }

    /// Behind the sweeper everything has the current white.
    fn swept_pages(&self) -> Result<(), Finding> {
        let mut cursor = (0, 0);
        while cursor < self.heap.gc.sweep_cursor {
            let Some((page, size)) = self.heap.pools.object_page(&mut cursor) else {
                break;
            };
            if cursor >= self.heap.gc.sweep_cursor {
                break;
            }
            cursor.1 += 1;
            for at in (0..page.bytes).step_by(size) {
                let object: Gc<Header> = Gc::from_bits(page.start as u64 + at as u64);
                ensure!(
                    object.kind == 0
                        || object.mark & (mark::WHITES | mark::BLACK) == self.heap.white,
                    "{} has been swept, but has the marks {:#x}",
                    shown(object),
                    object.mark
                );
            }
        }
        Ok(())
    }

    // ---- 1: blocks ----

    /// Notes the buffers of an object: dead ones keep theirs until they are swept.
    fn owned_buffers(&mut self, object: Gc<Header>) {
        // SAFETY (casts): the kind was written with the object.
        unsafe {
            match object.kind as u32 {
                tag::TABLE => {
                    let t: Gc<Table> = object.cast();
                    self.buffers.push(t.array_cap as usize * size_of::<Value>());
                    self.buffers.push(super::table::part_bytes(t.entry_cap));
                }
                tag::COROUTINE => {
                    let co: Gc<Coroutine> = object.cast();
                    self.buffers_of_exec(&co.exec);
                }
                _ => {}
            }
        }
    }

    fn buffers_of_exec(&mut self, exec: &Exec) {
        self.buffers.push(exec.stack_cap * size_of::<Value>());
        self.buffers
            .push(exec.frame_cap * size_of::<super::coroutine::Frame>());
    }

    // ---- 3: values ----

    fn value(&self, v: Value) -> Result<(), Finding> {
        match v.tag {
            tag::NIL | tag::FALSE | tag::TRUE => {
                ensure!(
                    v.bits == 0,
                    "a value of tag {} has the payload {:#x}",
                    v.tag,
                    v.bits
                )
            }
            tag::INT | tag::FLOAT | tag::LIGHT | tag::NATIVE => {}
            tag::STR..=tag::COROUTINE => return self.pointer(v.bits as usize, v.tag),
            _ => return Err(format!("a value has the tag {}", v.tag)),
        }
        Ok(())
    }

    /// An object of this kind, in use, and not dead.
    fn pointer(&self, address: usize, kind: u32) -> Result<(), Finding> {
        match self.kind_at(address) {
            None => Err(format!(
                "refers to {address:#x} as an object of kind {kind}, but nothing is there"
            )),
            Some(found) if found != kind => Err(format!(
                "refers to {address:#x} as an object of kind {kind}, but it is of kind {found}"
            )),
            Some(_) => {
                let object: Gc<Header> = Gc::from_bits(address as u64);
                ensure!(
                    !self.is_dead(object),
                    "refers to {}, which is dead",
                    shown(object)
                );
                Ok(())
            }
        }
    }

    fn values(&self, what: &str, values: &[Value]) -> Result<(), Finding> {
        for (i, &v) in values.iter().enumerate() {
            self.value(v).map_err(|e| format!("{what} {i}: {e}"))?;
        }
        Ok(())
    }

    fn object(&mut self, object: Gc<Header>) -> Result<(), Finding> {
        // SAFETY (casts): the kind was written with the object.
        unsafe {
            match object.kind as u32 {
                tag::STR | tag::LONG_STR => self.string(object.cast()),
                tag::TABLE => self.table(object.cast()),
                tag::LUA_CLOSURE => {
                    let c: Gc<LuaClosure> = object.cast();
                    self.pointer(c.proto.address(), tag::PROTO)?;
                    ensure!(
                        object.flags & HOLLOW != 0
                            || c.upval_count as usize == c.proto.info.upvals.len(),
                        "it has {} upvalues, its function {}",
                        c.upval_count,
                        c.proto.info.upvals.len()
                    );
                    for up in c.upvals() {
                        self.pointer(up.address(), tag::UPVALUE)?;
                    }
                    Ok(())
                }
                tag::NATIVE_CLOSURE => {
                    let c: Gc<NativeClosure> = object.cast();
                    self.values("upvalue", c.upvals())
                }
                // An open one points into a stack, which is looked at with its coroutine.
                tag::UPVALUE => self.value(object.cast::<Upvalue>().closed),
                tag::USERDATA => {
                    let u: Gc<Userdata> = object.cast();
                    if let Some(mt) = u.metatable {
                        self.pointer(mt.address(), tag::TABLE)?;
                    }
                    self.values("user value", &u.user_values)
                }
                tag::PROTO => self.proto(object.cast()),
                _ => {
                    let co: Gc<Coroutine> = object.cast();
                    self.value(co.error)?;
                    if let Some(resumer) = co.resumer {
                        self.pointer(resumer.address(), tag::COROUTINE)?;
                    }
                    if let Some(hook) = &co.hook {
                        self.value(hook.function)?;
                    }
                    ensure!(
                        co.exec.open.is_empty() || co.listed,
                        "it has open upvalues, but the collector does not list it"
                    );
                    self.exec(&co.exec)
                }
            }
        }
    }

    fn proto(&self, p: Gc<Proto>) -> Result<(), Finding> {
        self.values("constant", p.consts())?;
        for v in p.consts() {
            ensure!(
                v.tag <= tag::FLOAT || v.is_string(),
                "a constant has the tag {}",
                v.tag
            );
        }
        for nested in p.protos() {
            self.pointer(nested.address(), tag::PROTO)?;
        }
        let lines = p.info.lines.len();
        ensure!(
            lines == 0 || lines == p.code_len as usize,
            "it has {} instructions and {lines} lines",
            p.code_len
        );
        Ok(())
    }

    // ---- 4: strings ----

    fn string(&self, s: Gc<Str>) -> Result<(), Finding> {
        let short = s.len() <= SHORT_MAX;
        ensure!(
            s.is_short() == short,
            "{} bytes are of the wrong kind",
            s.len()
        );
        let hash = hash_bytes(s.bytes());
        if short {
            ensure!(s.hash == hash, "its hash is {:#x}, not {hash:#x}", s.hash);
            ensure!(
                self.heap.interner.find(s.bytes(), hash) == Ok(s.as_ptr()),
                "the interner has not this one for {:?}",
                s.to_text()
            );
        } else {
            ensure!(
                s.hash == 0 || s.hash == hash | 1,
                "its hash is {:#x}, not {:#x}",
                s.hash,
                hash | 1
            );
        }
        Ok(())
    }

    fn interner(&self) -> Result<(), Finding> {
        let interner = &self.heap.interner;
        let mut used = 0;
        for &s in interner.slots.iter().filter(|s| !s.is_null()) {
            used += 1;
            ensure!(
                self.kind_at(s as usize) == Some(tag::STR),
                "the interner holds {s:p}, which is no short string"
            );
        }
        let strings = self
            .blocks
            .iter()
            .filter(|b| b.kind as u32 == tag::STR)
            .count();
        ensure!(
            used == interner.used && used == strings,
            "there are {strings} short strings, {used} in the interner, which counts {}",
            interner.used
        );
        ensure!(
            interner.slots.len().is_power_of_two() && used * 2 <= interner.slots.len(),
            "the interner has {} slots for {used} strings",
            interner.slots.len()
        );
        Ok(())
    }

    // ---- 5: tables ----

    fn table(&self, t: Gc<Table>) -> Result<(), Finding> {
        ensure!(
            t.array_len <= t.array_cap && t.array_cap <= PART_MAX,
            "its array has {} of {} slots",
            t.array_len,
            t.array_cap
        );
        ensure!(
            t.entry_count <= t.entry_cap && t.entry_cap <= PART_MAX,
            "it has {} of {} entries",
            t.entry_count,
            t.entry_cap
        );
        ensure!(
            t.array.is_null() == (t.array_cap == 0) && t.entries.is_null() == (t.entry_cap == 0),
            "a part without room has a buffer, or one with room has none"
        );
        if let Some(mt) = t.metatable {
            self.pointer(mt.address(), tag::TABLE)?;
        }
        self.values("slot", t.array())?;
        ensure!(
            t.array().last().is_none_or(|v| !v.is_nil()),
            "its array of {} ends with nil",
            t.array_len
        );
        for (i, e) in t.entries().iter().enumerate() {
            self.entry(t, i as u32, e)
                .map_err(|error| format!("entry {i}: {error}"))?;
        }
        self.index(t)?;
        for (bit, name) in self.heap.event_names.iter().enumerate() {
            ensure!(
                t.header.flags & 1 << bit == 0 || t.get_str(*name).is_nil(),
                "it has '{}', but remembers that it has not",
                name.to_text()
            );
        }
        Ok(())
    }

    fn entry(&self, t: Gc<Table>, i: u32, e: &Entry) -> Result<(), Finding> {
        self.value(e.value())?;
        let key = e.key();
        if key.tag == tag::DEAD {
            ensure!(e.value_tag == tag::NIL, "a dead key has a value");
            return Ok(());
        }
        self.value(key).map_err(|e| format!("the key {e}"))?;
        ensure!(
            key.tag != tag::NIL
                && !(key.is_float() && (key.raw_float().is_nan() || normal_key(key).is_int())),
            "the key {:#x} of tag {} is not normal",
            key.bits,
            key.tag
        );
        if key.is_int() {
            ensure!(
                t.header.flags & flags::INT_ENTRIES != 0,
                "an integer key, but the table remembers that it has none"
            );
            ensure!(
                e.value_tag == tag::NIL || !(1..=t.array_len as i64).contains(&key.raw_int()),
                "the key {} belongs to the array of {}",
                key.raw_int(),
                t.array_len
            );
        }
        let found = t.find(key);
        ensure!(
            found == i,
            "a search for its key (tag {}, {:#x}) leads to {found}",
            key.tag,
            key.bits
        );
        Ok(())
    }

    /// Every entry number once. A dead key's entry may be there or not: nobody can search for it.
    fn index(&self, t: Gc<Table>) -> Result<(), Finding> {
        if t.entry_cap <= LINEAR_MAX {
            return Ok(());
        }
        let mut seen = vec![false; t.entry_count as usize];
        for at in 0..super::table::slot_count(t.entry_cap) {
            let n = t.slot(at);
            if n == u32::MAX {
                continue;
            }
            match seen.get_mut(n as usize) {
                Some(seen) if !*seen => *seen = true,
                _ => {
                    return Err(format!(
                        "the index has {n} of {} entries twice, or too high",
                        t.entry_count
                    ));
                }
            }
        }
        let mut entries = seen.iter().zip(t.entries());
        match entries.position(|(seen, e)| !seen && e.key_tag != tag::DEAD) {
            Some(missing) => Err(format!("the index does not lead to entry {missing}")),
            None => Ok(()),
        }
    }

    // ---- 6: stacks ----

    fn exec(&mut self, exec: &Exec) -> Result<(), Finding> {
        ensure!(
            exec.top <= exec.stack_cap
                && exec.frame_count <= exec.frame_cap
                && exec.last == exec.frames.wrapping_add(exec.frame_count).wrapping_sub(1),
            "top {} of {}, frame {} of {}",
            exec.top,
            exec.stack_cap,
            exec.frame_count,
            exec.frame_cap
        );
        for slot in 0..exec.stack_cap {
            self.value(exec.get(slot))
                .map_err(|e| format!("stack slot {slot} (top {}): {e}", exec.top))?;
        }
        let mut floor = 0;
        for (i, f) in exec.frames().iter().enumerate() {
            self.frame(exec, i, floor)
                .map_err(|e| format!("frame {i} of {} (kind {}): {e}", exec.frame_count, f.kind))?;
            floor = f.base as usize;
        }
        let counted = |flag: u8| exec.frames().iter().filter(|f| f.flags & flag != 0).count();
        use super::coroutine::frame_flag::{HANDLER, NO_YIELD};
        ensure!(
            exec.no_yield as usize == counted(NO_YIELD)
                && exec.handlers as usize == counted(HANDLER),
            "{} frames let no yield pass and {} are handlers, but {} and {} are counted",
            counted(NO_YIELD),
            counted(HANDLER),
            exec.no_yield,
            exec.handlers
        );
        ensure!(
            exec.tbc.windows(2).all(|w| w[0] < w[1])
                && exec
                    .tbc
                    .last()
                    .is_none_or(|&slot| (slot as usize) < exec.stack_cap),
            "variables to be closed: {:?}",
            exec.tbc
        );
        let mut below = 0;
        for up in &exec.open {
            self.pointer(up.address(), tag::UPVALUE)?;
            let offset = (up.slot as usize).wrapping_sub(exec.stack as usize);
            ensure!(
                up.is_open() && offset.is_multiple_of(16) && offset / 16 < exec.stack_cap,
                "the upvalue at {:#x} is listed as open, but points outside of the stack",
                up.address()
            );
            ensure!(
                offset / 16 >= below,
                "open upvalues are not in order at slot {}",
                offset / 16
            );
            below = offset / 16 + 1;
            self.open.insert(up.address());
        }
        Ok(())
    }

    fn frame(&self, exec: &Exec, i: usize, floor: usize) -> Result<(), Finding> {
        let f = exec.frames()[i];
        ensure!(
            f.func as usize >= floor && f.base >= f.func && f.base as usize <= exec.stack_cap,
            "function {}, base {}, below it begins {floor}, the stack has {}",
            f.func,
            f.base,
            exec.stack_cap
        );
        if f.kind != kind::LUA {
            return match f.kind {
                kind::NATIVE | kind::BOTTOM | kind::ENTRY => Ok(()),
                _ => Err("no such kind".to_owned()),
            };
        }
        self.pointer(f.closure as usize, tag::LUA_CLOSURE)?;
        let callee = exec.get(f.func as usize);
        ensure!(
            callee.tag == tag::LUA_CLOSURE && callee.bits == f.closure as u64,
            "the slot of its function holds something else (tag {})",
            callee.tag
        );
        let closure: Gc<LuaClosure> = Gc::from_bits(f.closure as u64);
        let proto = closure.proto;
        ensure!(
            f.k == proto.consts,
            "its constants are not those of its function"
        );
        let pc = (f.pc as usize).wrapping_sub(proto.code as usize);
        ensure!(
            pc.is_multiple_of(size_of::<Insn>())
                && pc / size_of::<Insn>() <= proto.code_len as usize,
            "its pc is outside of the code"
        );
        let varargs = if proto.is_vararg {
            f.state as usize + proto.num_params as usize
        } else {
            0
        };
        ensure!(
            f.base as usize == f.func as usize + 1 + varargs,
            "base {} behind function {} with {} varargs of {} parameters",
            f.base,
            f.func,
            f.state,
            proto.num_params
        );
        ensure!(
            f.top == f.base + proto.max_stack as u32,
            "its registers end at {}, not at {}",
            f.top,
            f.base + proto.max_stack as u32
        );
        let slack = if i + 1 == exec.frame_count { SLACK } else { 0 };
        ensure!(
            f.top as usize + slack <= exec.stack_cap,
            "its registers end at {} of {}",
            f.top,
            exec.stack_cap
        );
        Ok(())
    }

    // ---- 2, 7: the collector's lists ----

    fn lists(&self, exec: &Exec) -> Result<(), Finding> {
        let gc = &self.heap.gc;
        let mut due = HashSet::new();
        for object in gc.finalizable.iter().chain(&gc.to_finalize) {
            ensure!(
                self.kind_at(object.address()).is_some() && !self.is_dead(*object),
                "the object at {:#x} is to be finalized, but is gone",
                object.address()
            );
            ensure!(
                due.insert(object.address()),
                "{} is to be finalized twice",
                shown(*object)
            );
        }
        let mut listed = HashSet::new();
        for co in &gc.listed {
            self.pointer(co.address(), tag::COROUTINE)?;
            ensure!(
                listed.insert(co.address()),
                "the coroutine at {:#x} is listed twice",
                co.address()
            );
        }
        let mut running_is_listed = exec.open.is_empty();
        for object in self.objects() {
            if self.is_dead(object) {
                continue;
            }
            ensure!(
                (object.mark & mark::FINALIZER != 0) == due.contains(&object.address()),
                "{} is marked for a finalizer and on no list, or the other way round",
                shown(object)
            );
            ensure!(
                (object.mark & mark::PRINTED != 0)
                    == self.heap.printed_ids.contains_key(&object.address()),
                "{} has been printed and has no number, or the other way round",
                shown(object)
            );
            if object.kind as u32 == tag::COROUTINE {
                // SAFETY: the kind says so.
                let co: Gc<Coroutine> = unsafe { object.cast() };
                ensure!(
                    co.listed == listed.contains(&object.address()),
                    "{} is listed and does not know, or the other way round",
                    shown(object)
                );
                running_is_listed |= co.listed && co.status == super::coroutine::Status::Running;
            }
        }
        for address in self.heap.printed_ids.keys() {
            ensure!(
                self.kind_at(*address).is_some(),
                "a number was printed for {address:#x}, where nothing is"
            );
        }
        ensure!(
            running_is_listed,
            "the running coroutine has open upvalues, but is not listed"
        );
        Ok(())
    }

    // ---- 9: numbers ----

    fn numbers(&self) -> Result<(), Finding> {
        let world = &self.heap.world;
        let changed: HashSet<usize> = world.changed.iter().map(|o| o.address()).collect();
        ensure!(
            changed.len() == world.changed.len(),
            "an object is noted as changed twice"
        );
        let mut hollow = 0;
        for object in self.objects() {
            if !Heap::is_numbered_kind(object.kind as u32) {
                continue;
            }
            // External tables have the bit for good; those whose rows may refer to objects count.
            let is_hollow = object.flags & HOLLOW != 0 && !object.is_external();
            let counts = is_hollow || self.heap.external_counts(object);
            hollow += counts as usize;
            if self.is_dead(object) || object.meta == 0 {
                ensure!(
                    object.meta != 0 || !is_hollow,
                    "{} is hollow, and has no number",
                    shown(object)
                );
                continue;
            }
            ensure!(
                world.by_id.get(&object.meta) == Some(&object),
                "{} is not found by its number {}",
                shown(object),
                object.meta
            );
            let clean = object.mark & mark::CLEAN != 0;
            let noted = changed.contains(&object.address());
            ensure!(
                clean != noted || !clean && world.in_flight.contains(&object),
                "{} (number {}) is {}clean, and {}noted as changed",
                shown(object),
                object.meta,
                if clean { "" } else { "not " },
                if noted { "" } else { "not " }
            );
            ensure!(
                clean || !is_hollow,
                "{} is hollow, but not clean",
                shown(object)
            );
        }
        ensure!(
            hollow == world.hollow_count,
            "{hollow} objects are hollow, {} are counted",
            world.hollow_count
        );
        Ok(())
    }

    fn colours(&self) -> Result<(), Finding> {
        let gc = &self.heap.gc;
        let gray: HashSet<usize> = gc.gray.iter().map(|o| o.address()).collect();
        let again: HashSet<usize> = gc.gray_again.iter().map(|o| o.address()).collect();
        for address in gray.iter().chain(&again) {
            ensure!(
                self.kind_at(*address).is_some(),
                "{address:#x} is to be traversed, but nothing is there"
            );
            let object: Gc<Header> = Gc::from_bits(*address as u64);
            ensure!(
                !object.is_white(),
                "{} is to be traversed, but is white",
                shown(object)
            );
        }
        let mut marked = Interner::BYTES;
        for object in self.objects() {
            let kind = object.kind as u32;
            let waiting = gray.contains(&object.address());
            let open = as_upvalue(object).is_some_and(|up| up.is_open());
            if object.is_black() {
                ensure!(
                    kind != tag::COROUTINE && !open,
                    "{} is black, and is stored into without a barrier",
                    shown(object)
                );
                // An upvalue that was closed while it waited is black, and still to be traversed.
                ensure!(
                    !waiting || kind == tag::UPVALUE,
                    "{} is black, and still to be traversed",
                    shown(object)
                );
                // (What a partly traversed table refers to is known when it is done.)
                if gc
                    .partial
                    .is_none_or(|(t, _)| t.address() != object.address())
                {
                    self.no_white_child(object)?;
                }
            } else if !object.is_white() {
                ensure!(
                    waiting || open || again.contains(&object.address()),
                    "{} is gray, and on no list",
                    shown(object)
                );
            }
            if !waiting && (object.is_black() || open && !object.is_white()) {
                marked += logical_bytes(object);
            }
        }
        ensure!(
            self.heap.world.attached || gc.marked == marked,
            "{} bytes count as marked, {marked} have been traversed",
            gc.marked
        );
        Ok(())
    }

    fn no_white_child(&self, object: Gc<Header>) -> Result<(), Finding> {
        let mut white = None;
        children(object, |child| {
            if child.is_white() {
                white = Some(child);
            }
        });
        match white {
            Some(child) => Err(format!(
                "{} is black and refers to {}, which is white",
                shown(object),
                shown(child)
            )),
            None => Ok(()),
        }
    }
}

/// What an object keeps alive, were it not weak. Not for coroutines.
fn children(object: Gc<Header>, mut f: impl FnMut(Gc<Header>)) {
    let mut value = |v: Value| {
        if let Some(child) = v.as_object() {
            f(child);
        }
    };
    // SAFETY (casts): the kind was written with the object.
    unsafe {
        match object.kind as u32 {
            tag::TABLE => {
                let t: Gc<Table> = object.cast();
                t.array().iter().for_each(|v| value(*v));
                for e in t.entries().iter().filter(|e| e.value_tag != tag::NIL) {
                    value(e.key());
                    value(e.value());
                }
                if let Some(mt) = t.metatable {
                    f(mt.header());
                }
            }
            tag::LUA_CLOSURE => {
                let c: Gc<LuaClosure> = object.cast();
                f(c.proto.header());
                c.upvals().iter().for_each(|up| f(up.header()));
            }
            tag::UPVALUE => value(object.cast::<Upvalue>().get()),
            tag::NATIVE_CLOSURE => object
                .cast::<NativeClosure>()
                .upvals()
                .iter()
                .for_each(|v| value(*v)),
            tag::USERDATA => {
                let u: Gc<Userdata> = object.cast();
                u.user_values.iter().for_each(|v| value(*v));
                if let Some(mt) = u.metatable {
                    f(mt.header());
                }
            }
            tag::PROTO => {
                let p: Gc<Proto> = object.cast();
                p.consts().iter().for_each(|v| value(*v));
                p.protos().iter().for_each(|nested| f(nested.header()));
            }
            _ => {}
        }
    }
}

fn as_upvalue(object: Gc<Header>) -> Option<Gc<Upvalue>> {
    if object.kind as u32 == tag::UPVALUE {
        // SAFETY: the kind says so.
        Some(unsafe { object.cast() })
    } else {
        None
    }
}

/// Bytes that the object asked its pool for.
fn block_size(object: Gc<Header>) -> usize {
    // SAFETY (casts): the kind was written with the object.
    unsafe {
        match object.kind as u32 {
            tag::STR | tag::LONG_STR => STR_HEAD + object.cast::<Str>().len(),
            tag::TABLE => size_of::<Table>(),
            tag::LUA_CLOSURE => {
                CLOSURE_HEAD
                    + object.cast::<LuaClosure>().upval_count as usize * size_of::<Gc<Upvalue>>()
            }
            tag::NATIVE_CLOSURE => {
                NATIVE_HEAD + object.cast::<NativeClosure>().upval_count as usize * 16
            }
            tag::USERDATA => size_of::<Userdata>(),
            tag::COROUTINE => size_of::<Coroutine>(),
            tag::PROTO => size_of::<Proto>(),
            _ => size_of::<Upvalue>(),
        }
    }
}

/// Bytes that the object counts as, with what it owns: the table of `docs/heap.md`.
fn logical_bytes(object: Gc<Header>) -> usize {
    // SAFETY (casts): the kind was written with the object.
    unsafe {
        match object.kind as u32 {
            tag::STR => 16 + object.cast::<Str>().len() + super::string::SLOT_BYTES,
            tag::LONG_STR => 16 + object.cast::<Str>().len(),
            tag::TABLE => object.cast::<Table>().bytes(),
            tag::LUA_CLOSURE => 32 + 8 * object.cast::<LuaClosure>().upval_count as usize,
            tag::NATIVE_CLOSURE => 16 + 16 * object.cast::<NativeClosure>().upval_count as usize,
            tag::USERDATA => 64,
            tag::COROUTINE => COROUTINE_BYTES + object.cast::<Coroutine>().exec.bytes(),
            tag::PROTO => object.cast::<Proto>().info.bytes,
            _ => 40,
        }
    }
}

fn shown(object: Gc<Header>) -> String {
    let kind = match object.kind as u32 {
        tag::STR | tag::LONG_STR => {
            // SAFETY: the kind says so.
            let s: Gc<Str> = unsafe { object.cast() };
            let head = &s.as_bytes()[..s.len().min(SHORT_MAX)];
            return format!("the string \"{}\"", head.escape_ascii());
        }
        tag::TABLE => "table",
        tag::LUA_CLOSURE => "function",
        tag::NATIVE_CLOSURE => "native function",
        tag::USERDATA => "userdata",
        tag::COROUTINE => "coroutine",
        tag::PROTO => "prototype",
        tag::UPVALUE => "upvalue",
        _ => "block",
    };
    format!("the {kind} at {:#x}", object.address())
}

#[cfg(test)]
mod tests;
