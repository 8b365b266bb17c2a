//! Coroutines: a Lua stack, a stack of frames, open upvalues and to-be-closed variables. All of it is plain data: what a
//! program is in the middle of can be read off these fields, so it can be suspended, encoded and moved.
//!
//! ```text
//! stack:   | func | args of main... | func | varargs | func' params, locals, temporaries ... | func | native's args ... |
//!                                     ^frame.func      ^frame.base                                     ^base        ^top
//! ```
//! The running coroutine's state is kept in the engine (`Vm::exec`); its object then holds an empty one.
//!
//! Invariants
//! 1. All `stack_cap` slots hold valid values at all times. At the atomic phase of a collection the slots beyond the live
//!    part are set to nil, so a stale slot never names a freed object.
//! 2. There are always [`SLACK`] slots beyond the top frame's `top`.
//! 3. `frames[frame_count - 1]` is the active frame, to which `last` points; the saved `pc` of every Lua frame below it is the instruction behind its call.
//! 4. `open` holds the open upvalues in ascending order of slot; `tbc` the to-be-closed slots in ascending order.
#![allow(unsafe_code)]

use super::alloc::Pools;
use super::function::{Insn, LuaClosure, Upvalue};
use super::object::{Gc, Header};
use super::value::Value;
use crate::vm::native::CATCH;

/// Slots that a frame may use beyond its own: pending metamethod calls and a native's minimum of 20 (manual, `LUA_MINSTACK`).
pub const SLACK: usize = 24;
/// Most slots of one stack (PUC's LUAI_MAXSTACK).
pub const STACK_MAX: usize = 1_000_000;
/// Room beyond the limit for a message handler.
pub const STACK_ERROR_EXTRA: usize = 4_000;

/// What a frame is.
pub mod kind {
    /// A Lua function.
    pub const LUA: u8 = 0;
    /// A native function, which may be waiting for a callback.
    pub const NATIVE: u8 = 1;
    /// The bottom of a coroutine: returning to it ends the coroutine.
    pub const BOTTOM: u8 = 2;
    /// The bottom of a task's root: returning to it leaves the interpreter.
    pub const ENTRY: u8 = 3;
}

/// Properties of a frame.
pub mod frame_flag {
    /// When it returns, the instruction before the caller's pc is finished with its result (a metamethod's call).
    pub const FINISH: u8 = 1;
    /// Its results are dropped and the caller goes on as it was (finalizers); an error in it is a warning.
    pub const FINALIZER: u8 = 2;
    /// It is a `__close` call made by a Lua frame: the caller's instruction is executed again.
    pub const CLOSE: u8 = 4;
    /// It replaced its caller by a tail call.
    pub const TAIL: u8 = 8;
    /// On a native frame: it catches errors (`pcall` and what is built like it).
    pub const PROTECTED: u8 = 16;
    /// On a Lua frame: its caller is not a Lua frame, so a return takes the general road.
    pub const OUTWARD: u8 = 16;
    /// A hook call: results dropped, caller goes on, hooks are off while it runs.
    pub const HOOK: u8 = 32;
    /// A message handler's call: its first result becomes the error value and unwinding goes on.
    pub const HANDLER: u8 = 64;
    /// No yield may pass this frame.
    pub const NO_YIELD: u8 = 128;
}

/// One call in progress.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Frame {
    /// Next instruction; null in natives.
    pub pc: *const Insn,
    /// The constants of the function; null in natives.
    pub k: *const Value,
    /// The running closure; dangling in natives, never read there.
    pub closure: *const LuaClosure,
    /// First register, or first argument of a native.
    pub base: u32,
    /// The called value's slot, where results go.
    pub func: u32,
    /// End of the registers of a Lua function. In a native or entry that catches errors: the slot of its message handler, or 0.
    pub top: u32,
    /// Lua: how many variable arguments. Native: its state (0 on entry).
    pub state: u32,
    /// Lua, while a metamethod runs for it: how many values a `CONCAT` has left, or that a comparison is to be negated; else 0.
    /// Native: how many slots or results it keeps.
    pub aux: u32,
    /// Results wanted by the caller, -1 for all.
    pub results: i16,
    pub kind: u8,
    pub flags: u8,
}

/// Whether a frame of this kind catches errors.
pub(crate) fn catches(kind: u8, flags: u8) -> bool {
    kind == kind::ENTRY || kind == kind::NATIVE && flags & frame_flag::PROTECTED != 0
}

/// The slot of the message handler of a frame of this kind, if it catches errors and has one.
pub(crate) fn handler_slot(kind: u8, flags: u8, top: u32) -> Option<usize> {
    (catches(kind, flags) && top != 0 && top != CATCH).then_some(top as usize)
}

/// A coroutine's status as `coroutine.status` tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Status {
    /// Not started, or yielded.
    Suspended,
    Running,
    /// It has resumed another one.
    Normal,
    Dead,
}

/// The execution state of a coroutine.
#[repr(C)]
pub struct Exec {
    pub(crate) stack: *mut Value,
    pub(crate) stack_cap: usize,
    /// End of the values in use: of a native's frame, or of multiple results in a Lua frame.
    pub(crate) top: usize,
    pub(crate) frames: *mut Frame,
    /// Read it; `enter_frame`, `leave_frame` and `keep_frames` change it, and `last` with it.
    pub(crate) frame_count: usize,
    /// The frame on top: one before `frames` if there is none.
    pub(crate) last: *mut Frame,
    pub(crate) frame_cap: usize,
    pub(crate) open: Vec<Gc<Upvalue>>,
    pub(crate) tbc: Vec<u32>,
    /// Frames with `NO_YIELD`, and host entries.
    pub(crate) no_yield: u32,
    /// While a collection runs at a point of a Lua function where the registers from this slot on are known to be dead: that slot, else 0.
    pub(crate) live_limit: usize,
    /// The step of the collector that belongs between the last instruction of the Lua frame on top and the next waits for the store: where.
    pub(crate) collection_waits: Option<SafePoint>,
    /// Frames of message handlers.
    pub(crate) handlers: u32,
}

/// Where the collector takes a step: between two instructions of a Lua function, of which it says which registers are dead there, or when a native's callee has
/// returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SafePoint {
    /// Behind an instruction that has made something.
    Instruction,
    /// A native has returned, and `top` is the end of its results.
    NativeReturn,
}

/// A coroutine object.
#[repr(C)]
pub struct Coroutine {
    pub header: Header,
    pub status: Status,
    /// Set while it is on the collector's list of stacks with open upvalues.
    pub(crate) listed: bool,
    /// It died by an error, which `coroutine.close` has not reported yet.
    pub(crate) failed: bool,
    pub(crate) error: Value,
    /// Lua code may know it.
    pub(crate) seen: bool,
    /// The coroutine that resumed it.
    pub resumer: Option<Gc<Coroutine>>,
    pub(crate) exec: Exec,
    /// Its hook, if it has one of its own.
    pub(crate) hook: Option<Box<crate::vm::hook::Hook>>,
}

impl Exec {
    pub(crate) const fn none() -> Exec {
        Exec {
            stack: std::ptr::null_mut(),
            stack_cap: 0,
            top: 0,
            frames: std::ptr::null_mut(),
            frame_count: 0,
            last: std::ptr::null_mut::<Frame>().wrapping_sub(1),
            frame_cap: 0,
            open: Vec::new(),
            tbc: Vec::new(),
            no_yield: 0,
            live_limit: 0,
            collection_waits: None,
            handlers: 0,
        }
    }

    /// Exchanges two states, as `mem::swap` does; that one is a slow loop where code is made small.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn swap(&mut self, other: &mut Exec) {
        const WORDS: usize = size_of::<Exec>() / size_of::<usize>();
        type Words = [std::mem::MaybeUninit<*mut ()>; WORDS];
        // SAFETY: two states that are apart, as the words that they are made of.
        let (a, b) = unsafe {
            (
                &mut *std::ptr::from_mut(self).cast::<Words>(),
                &mut *std::ptr::from_mut(other).cast::<Words>(),
            )
        };
        for (x, y) in a.iter_mut().zip(b) {
            std::mem::swap(x, y);
        }
    }

    /// The values of these slots. Panics if one is out of range.
    pub(crate) fn values(&self, slots: std::ops::Range<usize>) -> &[Value] {
        assert!(slots.start <= slots.end && slots.end <= self.stack_cap);
        if slots.is_empty() {
            return &[];
        }
        // SAFETY: in range, and invariant 1.
        unsafe { std::slice::from_raw_parts(self.stack.add(slots.start), slots.len()) }
    }

    /// Reads a slot. Panics if it is out of range, which would be a bug of ours.
    #[inline]
    pub fn get(&self, slot: usize) -> Value {
        assert!(slot < self.stack_cap);
        // SAFETY: in range, and invariant 1.
        unsafe { Value::load(self.stack.add(slot)) }
    }
    #[inline]
    pub fn set(&mut self, slot: usize, v: Value) {
        assert!(slot < self.stack_cap);
        // SAFETY: in range.
        unsafe { v.store(self.stack.add(slot)) }
    }
    #[inline]
    pub fn push(&mut self, v: Value) {
        let top = self.top;
        self.set(top, v);
        self.top = top + 1;
    }
    /// Copies `count` slots; the ranges may overlap. Few are copied one by one, field by field: they have just been written
    /// (`value.rs`, on wide loads).
    #[inline]
    pub fn copy(&mut self, from: usize, to: usize, count: usize) {
        const FEW: usize = 16;
        assert!(from + count <= self.stack_cap && to + count <= self.stack_cap);
        // SAFETY: both ranges are in the stack.
        unsafe {
            if count > FEW {
                std::ptr::copy(self.stack.add(from), self.stack.add(to), count);
            } else if to <= from {
                for i in 0..count {
                    Value::load(self.stack.add(from + i)).store(self.stack.add(to + i));
                }
            } else {
                for i in (0..count).rev() {
                    Value::load(self.stack.add(from + i)).store(self.stack.add(to + i));
                }
            }
        }
    }
    #[inline]
    pub fn frame(&self) -> &Frame {
        assert!(self.frame_count > 0);
        // SAFETY: invariant 3.
        unsafe { &*self.last }
    }
    #[inline]
    pub fn frame_mut(&mut self) -> &mut Frame {
        assert!(self.frame_count > 0);
        // SAFETY: invariant 3.
        unsafe { &mut *self.last }
    }
    /// One more frame; what it is follows. There must be room for it.
    #[inline(always)]
    pub(crate) fn enter_frame(&mut self) {
        self.frame_count += 1;
        self.last = self.last.wrapping_add(1);
    }
    /// The top frame goes.
    #[inline(always)]
    pub(crate) fn leave_frame(&mut self) {
        self.frame_count -= 1;
        self.last = self.last.wrapping_sub(1);
    }
    /// All frames but the first `count` go.
    pub(crate) fn keep_frames(&mut self, count: usize) {
        self.frame_count = count;
        self.last = self.frames.wrapping_add(count).wrapping_sub(1);
    }
    pub fn frames(&self) -> &[Frame] {
        if self.frame_count == 0 {
            return &[];
        }
        // SAFETY: the first `frame_count` frames are initialised.
        unsafe { std::slice::from_raw_parts(self.frames, self.frame_count) }
    }
    pub fn frames_mut(&mut self) -> &mut [Frame] {
        if self.frame_count == 0 {
            return &mut [];
        }
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.frames, self.frame_count) }
    }
    /// End of the part that the collector must mark.
    pub(crate) fn live_end(&self) -> usize {
        match self.frames().last() {
            _ if self.live_limit != 0 => self.live_limit,
            Some(f) if f.kind == kind::LUA => self.top.max(f.top as usize),
            _ => self.top,
        }
    }

    /// Makes the stack at least `cap` slots large; open upvalues follow it.
    pub(crate) fn grow_stack(&mut self, pools: &mut Pools, cap: usize) -> isize {
        let (old, new) = (self.stack_cap, cap);
        let from = self.stack;
        // SAFETY: the buffer was made here with `old` slots, all initialised.
        unsafe {
            let to: *mut Value = pools.buffer(new * 16).cast();
            if old > 0 {
                std::ptr::copy_nonoverlapping(from, to, old.min(new));
            }
            for i in old.min(new)..new {
                Value::NIL.store(to.add(i));
            }
            for up in &mut self.open {
                let at = (up.slot as usize - from as usize) / 16;
                up.slot = to.add(at);
            }
            pools.buffer_free(from.cast(), old * 16);
            self.stack = to;
        }
        self.stack_cap = new;
        (new as isize - old as isize) * 16
    }

    pub(crate) fn grow_frames(&mut self, pools: &mut Pools, cap: usize) -> isize {
        let old = self.frame_cap;
        // SAFETY: the buffer was made here with `old` frames, `frame_count` of them initialised.
        self.frames = unsafe {
            pools.buffer_resize(
                self.frames.cast(),
                old * size_of::<Frame>(),
                cap * size_of::<Frame>(),
                self.frame_count * size_of::<Frame>(),
            )
        }
        .cast();
        self.frame_cap = cap;
        self.keep_frames(self.frame_count);
        (cap as isize - old as isize) * FRAME_BYTES as isize
    }

    /// Sets the slots beyond the live part to nil (invariant 1).
    pub(crate) fn clear_dead_slots(&mut self) {
        for slot in self.live_end()..self.stack_cap {
            // SAFETY: in range.
            unsafe { Value::NIL.store(self.stack.add(slot)) }
        }
    }

    /// Frees the buffers; the state is empty afterwards. Open upvalues must have been closed or be dead.
    pub(super) fn release(&mut self, pools: &mut Pools) -> isize {
        // SAFETY: the buffers were made here with these sizes.
        unsafe {
            pools.buffer_free(self.stack.cast(), self.stack_cap * 16);
            pools.buffer_free(self.frames.cast(), self.frame_cap * size_of::<Frame>());
        }
        let bytes = self.bytes();
        *self = Exec::none();
        -(bytes as isize)
    }

    pub(super) fn bytes(&self) -> usize {
        self.stack_cap * 16 + self.frame_cap * FRAME_BYTES
    }
}

/// Logical bytes of a frame on every platform.
const FRAME_BYTES: usize = 48;
