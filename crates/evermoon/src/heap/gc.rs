//! The collector: incremental tri-colour mark and sweep, with weak tables, ephemerons and finalizers (manual 2.5).
//!
//! Colours: an object of the current white is new or not yet reached; gray (neither white nor black) is reached but not traversed, or
//! must be traversed again; black is done. Main invariant while marking: no black object refers to a white one, because a store
//! into a black object turns it gray again (`Heap::barrier`). Exceptions: Lua stacks have no barrier, so a traversed coroutine
//! stays gray and is traversed again in the atomic phase; so do open upvalues.
//!
//! Phases: pause → propagate (in steps) → atomic (at once) → sweep (in steps) → pause.
//!
//! What a program can see (weak tables, finalizers, `collectgarbage "count"`) changes only at the atomic phase: there the count becomes
//! the bytes that were marked, and the next cycle's start is set. The sweep only gives memory back, so its order and pace, which depend
//! on the platform's layout, are invisible. All counts are logical bytes (`heap/mod.rs`).
//!
//! No step takes long: large tables are traversed in parts, and traversed again before the atomic phase if they were written to meanwhile;
//! the sweep goes by pages. What the atomic phase does at once is the stacks, weak tables, and what was written to last.
//!
//! Pacing (as PUC 5.4): a cycle starts when the bytes reach `pause` percent of those that survived the last one. While marking, each
//! `2^step_size` bytes allocated pay for `step_size_bytes / 16 * step_mul` traversed slots; so marking ends long before the heap has doubled.
#![allow(unsafe_code)]

use super::coroutine::Exec;
use super::function::{CLOSURE_HEAD, LuaClosure, NATIVE_HEAD, NativeClosure, Proto, Upvalue};
use super::object::{Gc, Header, mark};
use super::string::{Interner, SLOT_BYTES, STR_HEAD, Str};
use super::table::{Entry, Table, flags};
use super::userdata::Userdata;
use super::value::{Value, tag};
use super::{COROUTINE_BYTES, coroutine::Coroutine};
use super::{Heap, WORLDS};
use std::collections::VecDeque;

/// Slots of a table that are traversed in one go while the program runs.
const PART: usize = 1 << 14;
/// Tables with more slots are traversed again before the atomic phase if they were written to after their turn.
const LARGE: usize = 1 << 12;
/// How often that is done in a cycle.
const ROUNDS: u8 = 2;
/// Most slots that a step traverses, however much was allocated: what is left is done at the next safe points.
const STEP_SLOTS: i64 = 1 << 16;
/// Bytes of the heap that a slice of the sweep is for.
const SWEEP_BYTES: usize = 1 << 20;
/// Pages that are swept in one go by a full collection, and how many large objects count as a page.
const STEP_PAGES: usize = 64;
const LARGE_PER_PAGE: usize = 64;

/// Bytes that the pools may hold beyond twice what is in use before a full collection gives pages back.
const POOLS_SPARE: usize = 1 << 20;

/// Free blocks that are looked at in one go when pages are given back.
const RELEASE_BLOCKS: usize = 1 << 14;

/// What a page of the sweep counts as in slots of marking, roughly.
const PAGE_SLOTS: usize = 2048;

/// What [`Heap::gc_advance`] has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advance {
    Working,
    /// The atomic phase of a cycle is over.
    Marked,
    /// A cycle has ended.
    Swept,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    Pause,
    Propagate,
    Sweep,
}

/// The collector's state and parameters.
pub struct Collector {
    pub phase: Phase,
    /// Percent; a cycle starts when memory reaches this share of what survived.
    pub pause: u32,
    /// Work per allocated 16 bytes while marking.
    pub step_mul: u32,
    /// Log2 of the bytes between steps.
    pub step_size: u32,
    /// The mode is called generational, as it is in the reference's `lua` from the start. There is one collector, an incremental one.
    pub generational: bool,
    /// The program has asked for that mode: then a basic step is a whole cycle, for those who count on young objects being gone.
    pub whole_steps: bool,
    /// Stopped by `collectgarbage "stop"`.
    pub stopped: bool,
    /// Stopped because a finalizer runs or the engine is closing.
    pub suspended: bool,
    /// Every step is a whole cycle, and each allocation makes a step due: for tests.
    pub stress: bool,
    pub(super) gray: Vec<Gc<Header>>,
    /// A table of which only so many slots are traversed yet.
    pub(super) partial: Option<(Gc<Table>, usize)>,
    /// How often tables were taken from `gray_again` in this cycle.
    rounds: u8,
    /// Work of steps since the engine asked last: slots, and pages in slots.
    recent: usize,
    pub(super) gray_again: Vec<Gc<Header>>,
    weak_values: Vec<Gc<Table>>,
    ephemerons: Vec<Gc<Table>>,
    all_weak: Vec<Gc<Table>>,
    /// Tables of a world with tombstones whose keys are objects: what becomes of those is known when all is marked.
    tombstoned: Vec<Gc<Table>>,
    /// Coroutines with open upvalues.
    pub(super) listed: Vec<Gc<Coroutine>>,
    /// Objects with finalizers, in the order in which they were marked for finalization.
    pub(super) finalizable: Vec<Gc<Header>>,
    /// Dead ones whose finalizer is to be called, in calling order.
    pub(crate) to_finalize: VecDeque<Gc<Header>>,
    /// Logical bytes marked in this cycle.
    pub(super) marked: usize,
    /// In the atomic phase: weak tables are then entered in their lists.
    atomic: bool,
    pub(super) sweep_cursor: (usize, usize),
    /// Where the sweep of the large objects stands.
    sweep_large: usize,
    /// Slices of the sweep that are still to come, and pages in each.
    sweep_steps: usize,
    sweep_batch: usize,
    /// Eighths of a slice's even share of the pages that it sweeps, inverted. Nothing that a program sees depends on it: tests change it.
    sweep_share: usize,
    /// Bytes between the end of this sweep slice and the start of the next cycle.
    sweep_rest: isize,
    sweep_slice: isize,
    /// Completed cycles.
    pub cycles: u64,
}

/// What the engine holds on to.
pub struct Roots<'a> {
    pub values: &'a [Value],
    /// The running coroutine's state.
    pub exec: &'a mut Exec,
}

impl Collector {
    pub(super) fn new() -> Collector {
        Collector {
            phase: Phase::Pause,
            pause: 200,
            step_mul: 100,
            step_size: 13,
            generational: true,
            whole_steps: false,
            stopped: false,
            suspended: false,
            stress: false,
            gray: Vec::new(),
            partial: None,
            rounds: 0,
            recent: 0,
            gray_again: Vec::new(),
            weak_values: Vec::new(),
            ephemerons: Vec::new(),
            all_weak: Vec::new(),
            tombstoned: Vec::new(),
            listed: Vec::new(),
            finalizable: Vec::new(),
            to_finalize: VecDeque::new(),
            marked: 0,
            atomic: false,
            sweep_cursor: (0, 0),
            sweep_large: 0,
            sweep_steps: 0,
            sweep_batch: 0,
            sweep_share: 8,
            sweep_rest: 0,
            sweep_slice: 0,
            cycles: 0,
        }
    }
}

impl Collector {
    pub(super) fn listed(&self) -> &[Gc<Coroutine>] {
        &self.listed
    }
}

/// The longest string that a world's tombstone keeps as its key. Programs see memory, and a large string is to go when it is deleted.
const KEPT_KEY_MAX: usize = 1024;

impl Heap {
    /// Collects at every chance: what a program does must not depend on it, but for what it sees of the collector.
    pub fn set_stress(&mut self, on: bool) {
        self.gc.stress = on;
        self.debt = self.debt.max(0);
    }

    /// Registers an object whose metatable has a `__gc` field (manual 2.5.3).
    pub fn mark_for_finalization(&mut self, mut object: Gc<Header>) {
        if object.mark & mark::FINALIZER == 0 {
            self.world.sees_collector = true;
            object.mark |= mark::FINALIZER;
            self.touch(object);
            self.gc.finalizable.push(object);
        }
    }

    /// The next dead object whose finalizer is due.
    pub(crate) fn next_finalizable(&self) -> Option<Value> {
        self.gc.to_finalize.front().map(|object| Value {
            bits: object.address() as u64,
            tag: object.kind as u32,
        })
    }

    /// Takes the next dead object whose finalizer is due.
    pub(crate) fn take_finalizable(&mut self) -> Option<Value> {
        let mut object = self.gc.to_finalize.pop_front()?;
        object.mark &= !mark::FINALIZER;
        self.touch(object);
        Some(Value {
            bits: object.address() as u64,
            tag: object.kind as u32,
        })
    }

    /// Makes every object that still has a finalizer due, in reverse order of marking: for closing an engine.
    pub(crate) fn finalize_all(&mut self) {
        let all = std::mem::take(&mut self.gc.finalizable);
        self.gc.to_finalize.extend(all.into_iter().rev());
    }

    pub(crate) fn finalizable(&self) -> &[Gc<Header>] {
        &self.gc.finalizable
    }

    /// The objects with finalizers in their order, and those that are due.
    pub(crate) fn set_finalizable(&mut self, all: Vec<Gc<Header>>, due: Vec<Gc<Header>>) {
        self.gc.finalizable = all;
        self.gc.to_finalize = due.into();
    }

    pub(crate) fn list_open(&mut self, mut co: Gc<Coroutine>) {
        if !co.listed {
            co.listed = true;
            self.gc.listed.push(co);
        }
    }

    /// One step when the debt says that it is due. True when a cycle's atomic phase was passed.
    pub fn gc_step(&mut self, mut roots: Roots<'_>) -> bool {
        self.pools.go_on_releasing(usize::MAX);
        // Also while no cycle may begin: what the sweep has of the debt is not to be lost.
        if self.gc.phase == Phase::Sweep {
            self.gc_sweep_step();
            if self.gc.phase == Phase::Pause {
                self.checked("swept", &roots);
            }
            return false;
        }
        if self.gc.stopped || self.gc.suspended {
            self.debt = -(16 << 10);
            return false;
        }
        if self.gc.phase == Phase::Pause {
            self.gc_begin(&mut roots);
            self.debt = 0;
        }
        let step_bytes = 1i64 << self.gc.step_size.min(30);
        self.gc_mark_some(step_bytes, &mut roots)
    }

    /// A slice of the sweep. How many there are, and how many bytes apart, is reckoned from logical sizes; only how many pages each of
    /// them takes depends on the platform. So the sweep counts as under way until its last slice, also when there is nothing left to sweep.
    fn gc_sweep_step(&mut self) {
        let over = self.debt;
        self.gc_sweep(self.gc.sweep_batch);
        self.gc.sweep_steps = self.gc.sweep_steps.saturating_sub(1);
        let behind = over.max(over.saturating_sub(self.gc.sweep_rest));
        if self.gc.sweep_steps == 0 || self.gc_in_a_hurry(behind) {
            self.end_sweep();
        } else if self.gc.sweep_rest <= self.gc.sweep_slice {
            // The next cycle is due already: the sweep goes on at every safe point.
            self.gc.sweep_rest += 1 - over;
            self.debt = 1;
        } else {
            self.gc.sweep_rest -= self.gc.sweep_slice;
            self.debt = over - self.gc.sweep_slice;
        }
    }

    /// Ends a sweep that is under way. The debt then is what has been allocated beyond the next cycle's start, whatever the platform: for
    /// whoever looks at it or changes it.
    pub(crate) fn end_sweep(&mut self) {
        if self.gc.phase == Phase::Sweep {
            self.sweep_all();
            self.leave_sweep();
        }
    }

    /// The debt as `end_sweep` would leave it.
    pub(crate) fn debt_when_swept(&self) -> isize {
        match self.gc.phase {
            Phase::Sweep => self.debt.saturating_sub(self.gc.sweep_rest),
            _ => self.debt,
        }
    }

    /// All is swept, and what is left of the time until the next cycle is the debt again.
    fn leave_sweep(&mut self) {
        self.debt = self.debt_when_swept();
        self.gc.phase = Phase::Pause;
        self.gc.sweep_rest = 0;
    }

    /// Frees all that is dead now. Nothing else changes: who needs this may differ from platform to platform, and the pace may not.
    pub(super) fn sweep_all(&mut self) {
        while !self.gc_sweep(usize::MAX) {}
    }

    /// Nothing is freed from here on while this number stays the same: until then an address is one object.
    pub(crate) fn settled(&mut self) -> u64 {
        if self.sweeping() {
            self.sweep_all();
        }
        self.gc.cycles
    }

    /// No step is due until more is allocated: while a full collection goes on, nobody else is to go on with the cycle.
    pub(crate) fn gc_hold(&mut self) {
        if self.debt > 0 {
            if self.gc.phase == Phase::Sweep {
                self.gc.sweep_rest = self.gc.sweep_rest.saturating_sub(self.debt);
            }
            self.debt = 0;
        }
    }

    /// Runs the heap checker, in builds that have it.
    #[inline]
    fn checked(&mut self, _place: &str, _roots: &Roots<'_>) {
        // Where every safe point is a collection, that is too often for a large heap.
        #[cfg(feature = "stress")]
        self.check_sometimes(_place, _roots.values, _roots.exec);
        #[cfg(all(feature = "checked", not(feature = "stress")))]
        self.check(_place, _roots.values, _roots.exec);
    }

    /// Whether the collector is so many bytes behind that it must catch up at once, however long that takes: else a program that makes few
    /// but large objects would outrun it.
    fn gc_in_a_hurry(&self, behind: isize) -> bool {
        behind > (self.bytes / 4).min(self.room() / 4) as isize
    }

    fn gc_mark_some(&mut self, step_bytes: i64, roots: &mut Roots<'_>) -> bool {
        let step_mul = (self.gc.step_mul as i64).max(1);
        let due = (self.debt.max(0) as i64 + step_bytes) / 16 * step_mul;
        let work = if self.gc_in_a_hurry(self.debt) {
            due
        } else {
            due.min(STEP_SLOTS.max(step_bytes / 16 * step_mul))
        };
        if self.gc_mark(work, roots) {
            return true;
        }
        // What was too much for one step stays due.
        self.debt = ((due - work) / step_mul * 16 - step_bytes) as isize;
        false
    }

    /// Traverses about so many slots. True when nothing was left to traverse and the atomic phase is over.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn gc_mark(&mut self, mut work: i64, roots: &mut Roots<'_>) -> bool {
        while work > 0 {
            let slots = self.gc_next_gray();
            if slots > 0 {
                self.gc.recent += slots;
                work -= slots as i64;
            } else if !self.gc_another_round() {
                self.gc_atomic(roots);
                return true;
            }
        }
        false
    }

    /// Traverses the next gray object, or a part of it; 0 if there is none.
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn gc_next_gray(&mut self) -> usize {
        if let Some((t, from)) = self.gc.partial.take() {
            return self.traverse_part(t, from);
        }
        match self.gc.gray.pop() {
            Some(object) => self.traverse(object),
            None => 0,
        }
    }

    /// Takes large tables that were written to after their turn once more, so that the atomic phase need not. True if there were any.
    fn gc_another_round(&mut self) -> bool {
        if self.gc.rounds == ROUNDS {
            return false;
        }
        self.gc.rounds += 1;
        let (gray, again) = (&mut self.gc.gray, &mut self.gc.gray_again);
        again.retain(|object| {
            if object.kind as u32 != tag::TABLE {
                return true;
            }
            // SAFETY: the kind says so.
            let t: Gc<Table> = unsafe { object.cast() };
            let large = t.array_len as usize + t.entry_count as usize > LARGE;
            let weak = t.header.flags & (flags::WEAK_KEYS | flags::WEAK_VALUES) != 0;
            if large && !weak {
                gray.push(*object);
            }
            !large || weak
        });
        !gray.is_empty()
    }

    /// Goes on with the cycle for a step of bounded length, or begins one. For a full collection that comes back to the host in between.
    pub fn gc_advance(&mut self, mut roots: Roots<'_>) -> Advance {
        self.pools.go_on_releasing(usize::MAX);
        if self.gc.phase == Phase::Sweep {
            if !self.gc_sweep(STEP_PAGES) {
                return Advance::Working;
            }
            self.leave_sweep();
            self.checked("swept", &roots);
            return Advance::Swept;
        }
        if self.gc.phase == Phase::Pause {
            self.gc_begin(&mut roots);
        }
        if self.gc_mark(STEP_SLOTS, &mut roots) {
            Advance::Marked
        } else {
            Advance::Working
        }
    }

    /// Where the cycle stands.
    pub fn gc_phase(&self) -> Phase {
        self.gc.phase
    }

    /// The work that steps have done since this was asked last, in slots.
    pub(crate) fn gc_recent(&mut self) -> usize {
        std::mem::take(&mut self.gc.recent)
    }

    /// Begins to give pages that are not used back if there are many. After a full collection.
    pub(crate) fn gc_begin_release(&mut self) {
        // A program whose objects change their sizes would else hold every size's peak for good.
        if self.gc.phase != Phase::Sweep && self.pools.system_bytes / 2 > self.bytes + POOLS_SPARE {
            self.pools.begin_release();
        }
    }

    /// Goes on with that; true when it is done. The collector itself does it to the end before it goes on: pages must not go while it walks
    /// them.
    pub(crate) fn gc_release(&mut self) -> bool {
        self.pools.go_on_releasing(RELEASE_BLOCKS)
    }

    /// A whole cycle at once: finishes what is under way, then marks and sweeps everything.
    pub fn gc_full(&mut self, mut roots: Roots<'_>) {
        self.pools.go_on_releasing(usize::MAX);
        match self.gc.phase {
            Phase::Sweep => self.sweep_all(),
            // Objects marked in the unfinished cycle may have died since: start over with all of them white.
            Phase::Propagate => self.gc_abandon(),
            Phase::Pause => {}
        }
        self.gc_begin(&mut roots);
        self.propagate_all();
        self.gc_atomic(&mut roots);
        self.end_sweep();
        self.checked("swept at once", &roots);
        self.gc_begin_release();
        self.pools.go_on_releasing(usize::MAX);
    }

    /// Turns everything marked so far white again, freeing nothing.
    fn gc_abandon(&mut self) {
        self.gc.partial = None;
        self.gc.gray.clear();
        self.gc.gray_again.clear();
        self.gc.weak_values.clear();
        self.gc.ephemerons.clear();
        self.gc.all_weak.clear();
        self.gc.tombstoned.clear();
        let white = self.white;
        self.each_object(|header| {
            // SAFETY: `each_object` passes live objects.
            unsafe { (*header).mark = (*header).mark & !(mark::WHITES | mark::BLACK) | white }
        });
    }

    /// Calls `f` for every object, dead ones that are not swept yet included.
    pub(crate) fn each_object(&self, mut f: impl FnMut(*mut Header)) {
        let mut cursor = (0, 0);
        while let Some((page, size)) = self.pools.object_page(&mut cursor) {
            cursor.1 += 1;
            for at in (0..page.bytes).step_by(size) {
                let header: *mut Header = page.start.wrapping_add(at).cast();
                // SAFETY: every block of an object page begins with a header.
                if unsafe { (*header).kind } != 0 {
                    f(header);
                }
            }
        }
        for &(header, _) in &self.pools.large {
            f(header);
        }
    }

    fn gc_begin(&mut self, roots: &mut Roots<'_>) {
        self.gc.partial = None;
        self.gc.rounds = 0;
        self.gc.gray.clear();
        self.gc.gray_again.clear();
        self.gc.weak_values.clear();
        self.gc.ephemerons.clear();
        self.gc.all_weak.clear();
        self.gc.tombstoned.clear();
        self.gc.marked = Interner::BYTES;
        self.mark_roots(roots);
        // What only the running stack refers to would else be left for the atomic phase, all of it. (But a string is no work, and a large
        // one that dies soon need not be kept.)
        for slot in 0..roots.exec.live_end() {
            let v = roots.exec.get(slot);
            if !v.is_string() {
                self.mark(v);
            }
        }
        self.mark_pending();
        self.gc.phase = Phase::Propagate;
        self.checked("marking begins", roots);
    }

    fn mark_roots(&mut self, roots: &mut Roots<'_>) {
        if self.has_world() {
            self.mark_world_roots();
        } else if WORLDS && let [Some(metatable), ..] = self.mark_world() {
            // External tables have it without a world too.
            self.mark_object(metatable);
        }
        if let Some(name) = self.mode_name {
            self.mark(Value::string(name));
        }
        for &v in roots.values {
            self.mark(v);
        }
    }

    #[cold]
    fn mark_world_roots(&mut self) {
        for object in self.mark_world().into_iter().flatten() {
            self.mark_object(object);
        }
        for i in 0..self.world.in_flight.len() {
            let object = self.world.in_flight[i];
            self.mark_object(object);
        }
        self.world.new_stubs.clear();
        if !self.has_hollow() {
            return;
        }
        // What refers to them may be in the store.
        for i in 0..self.world.changed.len() {
            let object = self.world.changed[i];
            self.mark_object(object);
        }
        for i in 0..self.gc.finalizable.len() {
            let object = self.gc.finalizable[i];
            if object.meta != 0 {
                self.mark_object(object);
            }
        }
    }

    /// In a partial cycle nobody knows that a numbered object is dead: a weak table keeps it.
    fn keep_numbered(&mut self, v: Value) {
        if let Some(object) = v.as_object()
            && object.meta != 0
            && self.has_hollow()
            && Heap::is_numbered_kind(object.kind as u32)
        {
            self.mark_object(object);
        }
    }

    fn keep_numbered_of(&mut self, t: Gc<Table>) {
        for &v in t.array() {
            self.keep_numbered(v);
        }
        for e in t.entries() {
            self.keep_numbered(e.key());
            self.keep_numbered(e.value());
        }
    }

    pub(super) fn sweeping(&self) -> bool {
        self.gc.phase == Phase::Sweep
    }

    pub(super) fn marking(&self) -> bool {
        self.gc.phase == Phase::Propagate
    }

    /// A table's contents are being let go: if a part of them is traversed, that part counts for nothing.
    pub(super) fn forget_partial(&mut self, mut t: Gc<Table>) {
        if self
            .gc
            .partial
            .is_some_and(|(partial, _)| partial.address() == t.address())
        {
            self.gc.partial = None;
            if t.header.mark & mark::BLACK != 0 {
                t.header.mark &= !mark::BLACK;
                self.regray_object(t.header());
            }
        }
    }

    /// A traversed object has got contents that were not traversed: it is looked at again.
    pub(super) fn regray_object(&mut self, object: Gc<Header>) {
        self.uncount_marked(object);
        self.gc.gray_again.push(object);
    }

    fn mark_pending(&mut self) {
        for i in 0..self.gc.to_finalize.len() {
            let object = self.gc.to_finalize[i];
            self.mark_object(object);
        }
    }

    #[inline(always)]
    fn mark(&mut self, v: Value) {
        if v.is_collectable() {
            self.mark_object(Gc::from_bits(v.bits));
        }
    }

    #[inline(always)]
    fn mark_object(&mut self, object: Gc<Header>) {
        if object.mark & mark::WHITES != 0 {
            self.mark_white(object);
        }
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    fn mark_white(&mut self, mut object: Gc<Header>) {
        object.mark &= !mark::WHITES;
        match object.kind as u32 {
            tag::STR | tag::LONG_STR => {
                object.mark |= mark::BLACK;
                self.gc.marked += string_bytes(object);
            }
            kind => {
                if kind == tag::TABLE {
                    // SAFETY: the kind says so.
                    super::alloc::prefetch(unsafe { object.cast::<Table>() }.array);
                }
                self.gc.gray.push(object);
            }
        }
    }

    /// Marks what an object refers to; returns how many slots that were.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn traverse(&mut self, mut object: Gc<Header>) -> usize {
        object.mark |= mark::BLACK;
        // SAFETY (all casts): the kind was written with the object.
        unsafe {
            match object.kind as u32 {
                tag::TABLE => self.traverse_table(object.cast()),
                tag::LUA_CLOSURE => {
                    let c: Gc<LuaClosure> = object.cast();
                    self.gc.marked += 32 + 8 * c.upval_count as usize;
                    self.mark_object(c.proto.header());
                    for up in c.upvals() {
                        self.mark_object(up.header());
                    }
                    2 + c.upval_count as usize
                }
                tag::UPVALUE => {
                    let up: Gc<Upvalue> = object.cast();
                    self.gc.marked += 40;
                    self.mark(up.get());
                    if up.is_open() {
                        // Stores through it have no barrier: it must never be black.
                        object.mark &= !mark::BLACK;
                    }
                    1
                }
                tag::NATIVE_CLOSURE => {
                    let c: Gc<NativeClosure> = object.cast();
                    self.gc.marked += NATIVE_HEAD + 16 * c.upval_count as usize;
                    for &v in c.upvals() {
                        self.mark(v);
                    }
                    1 + c.upval_count as usize
                }
                tag::USERDATA => {
                    let u: Gc<Userdata> = object.cast();
                    self.gc.marked += 64;
                    if let Some(mt) = u.metatable {
                        self.mark_object(mt.header());
                    }
                    for &v in &u.user_values {
                        self.mark(v);
                    }
                    2 + u.user_values.len()
                }
                tag::PROTO => {
                    let p: Gc<Proto> = object.cast();
                    self.gc.marked += p.info.bytes;
                    for &v in p.consts() {
                        self.mark(v);
                    }
                    for nested in p.protos() {
                        self.mark_object(nested.header());
                    }
                    1 + p.consts().len() + p.protos().len()
                }
                tag::COROUTINE => {
                    let mut co: Gc<Coroutine> = object.cast();
                    // Stacks change without a barrier: gray until the atomic phase.
                    object.mark &= !mark::BLACK;
                    self.gc.gray_again.push(object);
                    if let Some(resumer) = co.resumer {
                        self.mark_object(resumer.header());
                    }
                    if let Some(hook) = &co.hook {
                        self.mark(hook.function);
                    }
                    self.mark(co.error);
                    let co = &mut *co;
                    self.mark_exec(&mut co.exec)
                }
                _ => 1,
            }
        }
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    fn mark_exec(&mut self, exec: &mut Exec) -> usize {
        let end = exec.live_end();
        for slot in 0..end {
            let v = exec.get(slot);
            self.mark(v);
        }
        if self.has_hollow() {
            // A hollow closure may have it: there must not be another one for the same variable.
            for up in &exec.open {
                if up.header.meta != 0 {
                    self.mark_object(up.header());
                }
            }
        }
        1 + end
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    fn traverse_table(&mut self, mut t: Gc<Table>) -> usize {
        self.gc.marked += t.bytes();
        if let Some(mt) = t.metatable {
            self.mark_object(mt.header());
        }
        if t.header.is_external() {
            let values = self.external_values(t);
            for &v in &values {
                self.mark(v);
            }
            return 1 + values.len();
        }
        let weak = self.weak_mode(t);
        t.header.flags = t.header.flags & !(flags::WEAK_KEYS | flags::WEAK_VALUES) | weak;
        if weak != 0 && self.has_world() {
            self.world.sees_collector = true;
            if self.has_hollow() {
                self.keep_numbered_of(t);
            }
        }
        if weak == 0 {
            let slots = t.array_len as usize + t.entry_count as usize;
            return 1 + if slots <= PART {
                self.traverse_whole(t)
            } else {
                self.traverse_part(t, 0)
            };
        }
        if weak == flags::WEAK_VALUES {
            let mut clearable = !t.array().is_empty();
            let mut open = false;
            for e in t.entries_mut() {
                if e.value_tag == tag::NIL {
                    open |= self.tombstone(e);
                } else {
                    self.mark(e.key());
                    clearable = clearable || self.clearable(e.value());
                }
            }
            if open {
                self.gc.tombstoned.push(t);
            }
            if !self.gc.atomic {
                self.regray(t);
            } else if clearable {
                self.gc.weak_values.push(t);
            }
        } else if weak == flags::WEAK_KEYS {
            self.traverse_ephemeron(t);
        } else if self.gc.atomic {
            self.gc.all_weak.push(t);
        } else {
            self.regray(t);
        }
        1 + t.array_len as usize + 2 * t.entry_count as usize
    }

    /// Traverses all slots of an ordinary table.
    #[inline(always)]
    fn traverse_whole(&mut self, mut t: Gc<Table>) -> usize {
        self.mark_values(t.array());
        if self.mark_entries(t.entries_mut()) {
            self.gc.tombstoned.push(t);
        }
        1 + t.array_len as usize + 2 * t.entry_count as usize
    }

    #[inline(always)]
    fn mark_values(&mut self, values: &[Value]) {
        for &v in values {
            self.mark(v);
        }
    }

    /// True if what becomes of a tombstone's key is not known yet.
    #[inline(always)]
    fn mark_entries(&mut self, entries: &mut [Entry]) -> bool {
        let mut open = false;
        for e in entries {
            if e.value_tag == tag::NIL {
                open |= self.tombstone(e);
            } else {
                self.mark(e.key());
                self.mark(e.value());
            }
        }
        open
    }

    /// Traverses some slots of a large ordinary table, array first, and remembers where it stopped. Stores into the table meanwhile pass the
    /// barrier, so that it is traversed again.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn traverse_part(&mut self, mut t: Gc<Table>, from: usize) -> usize {
        let array_len = t.array_len as usize;
        let end = from + PART;
        self.mark_values(t.array().get(from..end.min(array_len)).unwrap_or(&[]));
        let first = from.saturating_sub(array_len);
        let last = end.saturating_sub(array_len).min(t.entry_count as usize);
        if self.mark_entries(t.entries_mut().get_mut(first..last).unwrap_or(&mut [])) {
            self.gc.tombstoned.push(t);
        }
        let all = array_len + t.entry_count as usize;
        if end < all {
            self.gc.partial = Some((t, end));
        }
        1 + end.min(all).saturating_sub(from) + last.saturating_sub(first)
    }

    /// The weakness that the metatable's `__mode` asks for now (manual 2.5.4).
    fn weak_mode(&self, t: Gc<Table>) -> u16 {
        let (Some(mt), Some(name)) = (t.metatable, self.mode_name) else {
            return 0;
        };
        let Some(mode) = mt.get_str(name).as_str() else {
            return 0;
        };
        let mut weak = 0;
        if mode.bytes().contains(&b'k') {
            weak |= flags::WEAK_KEYS;
        }
        if mode.bytes().contains(&b'v') {
            weak |= flags::WEAK_VALUES;
        }
        weak
    }

    /// A weak table met while the program still runs is looked at again in the atomic phase, and counted there.
    fn regray(&mut self, mut t: Gc<Table>) {
        self.gc.marked -= t.bytes();
        t.header.mark &= !mark::BLACK;
        self.gc.gray_again.push(t.header());
    }

    /// Whether a value would be cleared from a weak table: dead, and not a string (strings are values, manual 2.5.4).
    fn clearable(&mut self, v: Value) -> bool {
        if v.is_string() {
            self.mark(v);
            return false;
        }
        match v.as_object() {
            Some(object) => object.is_white(),
            None => false,
        }
    }

    /// Marks the values of the entries whose keys are alive. True if it marked something.
    fn traverse_ephemeron(&mut self, mut t: Gc<Table>) -> bool {
        let mut marked = false;
        let mut dead_keys = false;
        let mut pairs_white = false;
        let mut open = false;
        for &v in t.array() {
            if v.as_object().is_some_and(|o| o.is_white()) {
                marked = true;
                self.mark(v);
            }
        }
        for e in t.entries_mut() {
            if e.value_tag == tag::NIL {
                open |= self.tombstone(e);
            } else if self.clearable(e.key()) {
                dead_keys = true;
                if e.value().as_object().is_some_and(|o| o.is_white()) {
                    pairs_white = true;
                }
            } else if e.value().as_object().is_some_and(|o| o.is_white()) {
                marked = true;
                self.mark(e.value());
            }
        }
        if open {
            self.gc.tombstoned.push(t);
        }
        if !self.gc.atomic {
            self.regray(t);
        } else if pairs_white {
            self.gc.ephemerons.push(t);
        } else if dead_keys {
            self.gc.all_weak.push(t);
        }
        marked
    }

    fn propagate_all(&mut self) {
        while self.gc_next_gray() > 0 {}
    }

    /// Repeats until no ephemeron entry's key is alive while its value is not marked.
    fn converge_ephemerons(&mut self) {
        let mut forward = true;
        loop {
            let mut list = std::mem::take(&mut self.gc.ephemerons);
            if !forward {
                list.reverse();
            }
            forward = !forward;
            let mut changed = false;
            for t in list {
                if self.traverse_ephemeron(t) {
                    self.propagate_all();
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    fn clear_values(&mut self, tables: &[Gc<Table>]) {
        for t in tables {
            let mut t = *t;
            for i in 0..t.array_len as usize {
                let v = t.array()[i];
                if self.clearable(v) {
                    self.touch(t.header());
                    t.array_mut()[i] = Value::NIL;
                }
            }
            t.trim();
            for i in 0..t.entry_count as usize {
                let v = t.entries()[i].value();
                if self.clearable(v) {
                    self.clear_entry(t, i);
                }
            }
        }
    }

    fn clear_keys(&mut self, tables: &[Gc<Table>]) {
        for t in tables {
            for i in 0..t.entry_count as usize {
                let e = t.entries()[i];
                // A tombstone too: nothing has marked its key.
                if e.value_tag == tag::NIL || self.clearable(e.key()) {
                    self.clear_entry(*t, i);
                }
            }
        }
    }

    fn clear_entry(&mut self, mut t: Gc<Table>, i: usize) {
        self.touch(t.header());
        let e = &mut t.entries_mut()[i];
        e.value_bits = 0;
        e.value_tag = tag::NIL;
        if self.tombstone(e) {
            self.gc.tombstoned.push(t);
        }
    }

    /// Gives up a tombstone's key, unless it is a short string: those are kept until the table is rehashed, so that what `next` finds, and what a
    /// record says, does not hang on when a collection was.
    /// In a world long strings are kept too, up to a size, as they are other objects after a reload; and an object (or a larger string) is given up when
    /// nothing else refers to it: a suspended traversal that stands on it goes on from it, wherever and whenever its table and its coroutine are
    /// loaded. True for such an object.
    #[inline(always)]
    fn tombstone(&mut self, e: &mut Entry) -> bool {
        if e.key_tag == tag::STR {
            self.mark(e.key());
            return false;
        }
        if e.key_tag & tag::COLLECTABLE == 0 {
            return false;
        }
        if self.has_world() {
            if e.key().as_str().is_some_and(|s| s.len() <= KEPT_KEY_MAX) {
                self.mark(e.key());
                return false;
            }
            self.keep_numbered(e.key());
            return true;
        }
        e.key_tag = tag::DEAD;
        false
    }

    /// Contents that have been let go since these tables were traversed may refer to their tombstones' keys.
    fn keep_numbered_tombstones(&mut self) {
        if !self.has_hollow() {
            return;
        }
        for t in self.gc.tombstoned.clone() {
            for e in t.entries() {
                if e.value_tag == tag::NIL {
                    self.keep_numbered(e.key());
                }
            }
        }
        self.propagate_all();
    }

    /// The end of marking, when it is known which keys of tombstones nothing else refers to. (In a partial cycle numbered ones have been kept.)
    fn clear_tombstones(&mut self) {
        for mut t in std::mem::take(&mut self.gc.tombstoned) {
            let mut lost = false;
            for e in t.entries_mut() {
                if e.value_tag == tag::NIL && e.key().as_object().is_some_and(|o| o.is_white()) {
                    e.key_tag = tag::DEAD;
                    lost = true;
                }
            }
            if lost {
                self.touch(t.header());
            }
        }
    }

    fn gc_atomic(&mut self, roots: &mut Roots<'_>) {
        self.checked("marking ends", roots);
        self.gc.atomic = true;
        self.mark_roots(roots);
        self.mark_exec(roots.exec);
        self.propagate_all();
        // Values in open upvalues of coroutines that are otherwise dead.
        for i in 0..self.gc.listed.len() {
            let co = self.gc.listed[i];
            if co.header.is_white() {
                for j in 0..co.exec.open.len() {
                    let up = co.exec.open[j];
                    if !up.header.is_white() {
                        self.mark(up.get());
                    }
                }
            }
        }
        self.propagate_all();
        // Coroutines put themselves on the list again when they are traversed: take it first.
        let again = std::mem::take(&mut self.gc.gray_again);
        for object in &again {
            if object.mark & mark::BLACK == 0 {
                self.traverse(*object);
                self.propagate_all();
            }
        }
        self.keep_numbered_tombstones();
        let mut late = std::mem::take(&mut self.gc.gray_again);
        self.converge_ephemerons();
        late.append(&mut self.gc.gray_again);
        let weak_values = std::mem::take(&mut self.gc.weak_values);
        self.clear_values(&weak_values);
        let all_weak = std::mem::take(&mut self.gc.all_weak);
        self.clear_values(
            &all_weak
                .iter()
                .copied()
                .filter(is_weak_valued)
                .collect::<Vec<_>>(),
        );
        // Finalizers: the dead ones among the finalizable, last marked first; they come back to life for the call.
        let mut dead = Vec::new();
        self.gc.finalizable.retain(|object| {
            let keep = !object.is_white();
            if !keep {
                dead.push(*object);
            }
            keep
        });
        dead.reverse();
        self.gc.to_finalize.extend(dead);
        self.mark_pending();
        self.propagate_all();
        let ephemerons_left = std::mem::take(&mut self.gc.ephemerons);
        self.gc.ephemerons = ephemerons_left;
        self.converge_ephemerons();
        late.append(&mut self.gc.gray_again);
        let ephemerons = std::mem::take(&mut self.gc.ephemerons);
        self.clear_keys(&ephemerons);
        let resurrected_all = std::mem::take(&mut self.gc.all_weak);
        self.clear_keys(&all_weak);
        self.clear_keys(&resurrected_all);
        let resurrected_values = std::mem::take(&mut self.gc.weak_values);
        self.clear_values(&resurrected_values);
        self.clear_values(
            &resurrected_all
                .iter()
                .copied()
                .filter(is_weak_valued)
                .collect::<Vec<_>>(),
        );
        self.clear_tombstones();
        // Stacks: dead slots are cleared, dead coroutines' open upvalues are closed, dead upvalues leave the lists.
        roots.exec.clear_dead_slots();
        for object in again.iter().chain(&late) {
            if object.kind as u32 == tag::COROUTINE {
                // SAFETY: the kind says so.
                let mut co: Gc<Coroutine> = unsafe { object.cast() };
                if co.header.mark & mark::BLACK == 0 {
                    co.header.mark |= mark::BLACK;
                    co.exec.clear_dead_slots();
                    self.gc.marked += COROUTINE_BYTES + co.exec.bytes();
                }
            }
        }
        self.gc.marked += roots.exec.bytes();
        roots.exec.open.retain(|up| !up.header.is_white());
        let listed = std::mem::take(&mut self.gc.listed);
        for mut co in listed {
            if co.header.is_white() {
                for up in std::mem::take(&mut co.exec.open) {
                    if !up.header.is_white() {
                        up.close(up.get());
                        self.touch(up.header());
                    }
                }
            } else {
                let before = co.exec.open.len();
                co.exec.open.retain(|up| !up.header.is_white());
                if co.exec.open.len() < before {
                    // Its record lists them.
                    self.touch(co.header());
                }
                // The running coroutine's list is with the engine, so it stays listed.
                if co.exec.open.is_empty() && co.status != super::coroutine::Status::Running {
                    co.listed = false;
                } else {
                    self.gc.listed.push(co);
                }
            }
        }
        self.gc.atomic = false;
        if self.has_world() {
            self.world.partial = self.has_hollow();
            self.world.changed.retain(|object| !object.is_white());
            self.gc.marked += self.world.absent_bytes;
            self.world.unnoticed_bytes = 0;
            if !self.world.partial {
                // Everything is here: nothing is absent but garbage.
                self.gc.marked -= self.world.absent_bytes;
                self.world.absent_bytes = 0;
            }
        }
        self.white ^= mark::WHITES;
        self.gc.sweep_steps = self.bytes / SWEEP_BYTES + 8;
        self.bytes = self.gc.marked;
        // The next cycle starts after `pause` percent of what survived; the sweep is done in the first part of that.
        let survived = self.bytes as u128;
        let wait = (survived * self.gc.pause.max(100) as u128 / 100 - survived)
            .min(isize::MAX as u128 / 4) as isize;
        // Near the cap, cycles come often enough to end before it.
        let room = (self.room() / 2).min(isize::MAX as usize / 4) as isize;
        let wait = wait.min(room);
        self.gc.sweep_cursor = (0, 0);
        self.gc.sweep_large = 0;
        let pages = self.pools.object_page_count() + self.pools.large.len() / LARGE_PER_PAGE;
        let share = self.gc.sweep_steps.saturating_mul(self.gc.sweep_share);
        self.gc.sweep_batch = pages.saturating_mul(8) / share + 1;
        self.gc.sweep_slice = (wait / (4 * self.gc.sweep_steps as isize)).max(1);
        self.gc.sweep_rest = wait - self.gc.sweep_slice;
        self.debt = -self.gc.sweep_slice;
        self.gc.phase = Phase::Sweep;
        self.gc.cycles += 1;
        self.checked("marked", roots);
    }

    /// Sweeps up to so many pages; true when all is swept.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn gc_sweep(&mut self, mut pages: usize) -> bool {
        let white = self.white;
        while pages > 0 {
            self.gc.recent += PAGE_SLOTS;
            let Some((page, size)) = self.pools.object_page(&mut self.gc.sweep_cursor) else {
                if self.gc_sweep_large() {
                    return true;
                }
                pages -= 1;
                continue;
            };
            self.gc.sweep_cursor.1 += 1;
            pages -= 1;
            let mut at = page.start;
            let end = page.start.wrapping_add(page.bytes);
            while at < end {
                let header: *mut Header = at.cast();
                // SAFETY: every block of an object page begins with a header; a block of the other white is dead.
                unsafe {
                    if (*header).kind != 0 {
                        let marks = (*header).mark;
                        if marks & mark::WHITES & !white != 0 {
                            self.drop_object(header);
                            self.pools.object_free(at, size);
                        } else {
                            (*header).mark = marks & !(mark::WHITES | mark::BLACK) | white;
                        }
                    }
                }
                at = at.wrapping_add(size);
            }
        }
        false
    }

    /// Sweeps some large objects; true when all are swept. New ones come to the end of the list, in the living white.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn gc_sweep_large(&mut self) -> bool {
        let white = self.white;
        for _ in 0..LARGE_PER_PAGE {
            let at = self.gc.sweep_large;
            let Some(&(header, size)) = self.pools.large.get(at) else {
                return true;
            };
            // SAFETY: large objects are listed from allocation to here.
            unsafe {
                if (*header).mark & mark::WHITES & !white != 0 {
                    self.drop_object(header);
                    self.pools.large.swap_remove(at);
                    self.pools.large_free(header.cast(), size);
                } else {
                    (*header).mark = (*header).mark & !(mark::WHITES | mark::BLACK) | white;
                    self.gc.sweep_large += 1;
                }
            }
        }
        false
    }

    /// Frees what a dead object owns beside its block.
    ///
    /// # Safety
    /// `header` is a dead object that nothing will touch again.
    #[inline]
    unsafe fn drop_object(&mut self, header: *mut Header) {
        // SAFETY: the caller's promise; the kind was written with the object.
        unsafe {
            if (*header).mark & mark::PRINTED != 0 {
                self.printed_ids.remove(&(header as usize));
            }
            if WORLDS && (*header).meta != 0 {
                self.world_dropped(Gc::from_raw(header));
            }
            match (*header).kind as u32 {
                tag::STR | tag::LONG_STR => self.string_dropped(header.cast()),
                tag::TABLE => {
                    let t: Gc<Table> = Gc::from_raw(header.cast());
                    if t.header.is_external() {
                        self.external_dropped(t);
                    }
                    self.table_drop(t)
                }
                tag::PROTO | tag::COROUTINE | tag::USERDATA => self.drop_rare(header),
                _ => {}
            }
        }
    }

    /// # Safety
    /// As `drop_object`; the object is a string.
    #[inline]
    unsafe fn string_dropped(&mut self, s: *mut Str) {
        // SAFETY: the caller's promise.
        unsafe {
            if WORLDS && (*s).header.flags & super::hollow::STORED != 0 {
                self.stored_string_dropped(string_bytes(Gc::from_raw(s.cast())));
            }
            if Gc::from_raw(s).is_short() {
                self.interner.remove(s);
            }
        }
    }

    /// # Safety
    /// As `drop_object`.
    #[cold]
    unsafe fn drop_rare(&mut self, header: *mut Header) {
        // SAFETY: the caller's promise.
        unsafe {
            match (*header).kind as u32 {
                tag::PROTO => {
                    let p = header.cast::<Proto>();
                    drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(
                        (*p).code.cast_mut(),
                        (*p).code_len as usize,
                    )));
                    drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(
                        (*p).consts.cast_mut(),
                        (*p).const_len as usize,
                    )));
                    std::ptr::drop_in_place(p);
                }
                tag::COROUTINE => {
                    let co = header.cast::<Coroutine>();
                    (*co).exec.release(&mut self.pools);
                    std::ptr::drop_in_place(co);
                }
                _ => std::ptr::drop_in_place(header.cast::<Userdata>()),
            }
        }
    }

    /// Gives an open upvalue a value of its own, the one that it has now. Whoever calls this has taken it off its stack's list.
    #[inline]
    pub(crate) fn close_upvalue(&mut self, mut up: Gc<Upvalue>) {
        up.close(up.get());
        // It was gray if it was reached; now it is an ordinary object, with its value marked.
        self.touch(up.header());
        if self.gc.phase == Phase::Propagate && !up.header.is_white() {
            self.mark(up.closed);
            up.header.mark |= mark::BLACK;
        }
    }

    /// What a barrier takes back from the marked bytes: the object will be counted when it is traversed again.
    pub(super) fn uncount_marked(&mut self, object: Gc<Header>) {
        let bytes = match object.kind as u32 {
            // Counted in the atomic phase only.
            tag::COROUTINE => 0,
            _ => self.object_bytes(object),
        };
        self.gc.marked = self.gc.marked.saturating_sub(bytes);
    }

    /// Logical bytes of an object of a kind that a world numbers, as it is here.
    pub(super) fn object_bytes(&self, object: Gc<Header>) -> usize {
        // SAFETY (casts): the kind was written with the object.
        unsafe {
            match object.kind as u32 {
                tag::TABLE => object.cast::<Table>().bytes(),
                tag::UPVALUE => 40,
                tag::NATIVE_CLOSURE => {
                    NATIVE_HEAD + 16 * object.cast::<NativeClosure>().upval_count as usize
                }
                tag::USERDATA => 64,
                tag::LUA_CLOSURE => 32 + 8 * object.cast::<LuaClosure>().upval_count as usize,
                tag::COROUTINE => COROUTINE_BYTES + object.cast::<Coroutine>().exec.bytes(),
                _ => 0,
            }
        }
    }
}

fn is_weak_valued(t: &Gc<Table>) -> bool {
    t.header.flags & flags::WEAK_VALUES != 0
}

fn string_bytes(object: Gc<Header>) -> usize {
    // SAFETY: called for strings only.
    let s: Gc<Str> = unsafe { object.cast() };
    if s.is_short() {
        STR_HEAD + s.len() + SLOT_BYTES
    } else {
        STR_HEAD + s.len()
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        let mut objects = Vec::new();
        self.each_object(|header| {
            // SAFETY: live or unswept objects.
            if matches!(
                unsafe { (*header).kind } as u32,
                tag::TABLE | tag::PROTO | tag::COROUTINE | tag::USERDATA
            ) {
                objects.push(header);
            }
        });
        for header in objects {
            // SAFETY: the whole heap goes; nothing is touched twice.
            unsafe {
                if (*header).kind as u32 == tag::TABLE {
                    self.table_drop(Gc::from_raw(header.cast()));
                } else {
                    self.drop_rare(header);
                }
            }
        }
        let large = std::mem::take(&mut self.pools.large);
        for (header, size) in large {
            // SAFETY: as above.
            unsafe { self.pools.large_free(header.cast(), size) }
        }
    }
}

const _: () = assert!(CLOSURE_HEAD.is_multiple_of(8));

#[cfg(test)]
mod tests;
