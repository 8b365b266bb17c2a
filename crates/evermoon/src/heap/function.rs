//! Functions in the heap: loaded prototypes, closures, upvalues.
//!
//! Invariants
//! 1. A loaded prototype's code has passed the verifier, and never changes; only the `cache` words beside it do, and
//!    nothing depends on what they hold (they are guesses that are checked).
//! 2. An open upvalue's `slot` points into the stack of the coroutine that lists it; a closed one's to its own `closed`.
#![allow(unsafe_code)]

use super::object::{Gc, Header};
use super::value::Value;
use crate::bytecode::proto::{LocalVar, UpvalDesc};
use std::sync::Arc;

/// An instruction as the interpreter reads it: the word of `bytecode/op.rs`, and a cache word of the interpreter's own.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Insn {
    pub word: u32,
    /// An entry position that worked last time; a guess.
    pub cache: u32,
}

/// A prototype object.
#[repr(C)]
pub struct Proto {
    pub header: Header,
    pub(crate) code: *const Insn,
    pub(crate) consts: *const Value,
    pub num_params: u8,
    pub is_vararg: bool,
    pub max_stack: u8,
    pub code_len: u32,
    pub const_len: u32,
    pub(crate) protos: Box<[Gc<Proto>]>,
    pub(crate) info: Box<ProtoInfo>,
}

/// The parts of a prototype that running code does not touch.
pub struct ProtoInfo {
    pub upvals: Box<[UpvalDesc]>,
    pub line_defined: u32,
    pub last_line_defined: u32,
    pub source: Option<Arc<[u8]>>,
    pub lines: Box<[u32]>,
    pub locals: Box<[LocalVar]>,
    /// Lines that hold code, as `debug.getinfo`'s `activelines` wants them.
    pub bytes: usize,
}

impl Proto {
    pub fn code(&self) -> &[Insn] {
        // SAFETY: `code` points to `code_len` instructions owned by this prototype.
        unsafe { std::slice::from_raw_parts(self.code, self.code_len as usize) }
    }
    pub fn consts(&self) -> &[Value] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts(self.consts, self.const_len as usize) }
    }
    pub fn protos(&self) -> &[Gc<Proto>] {
        &self.protos
    }
    pub fn info(&self) -> &ProtoInfo {
        &self.info
    }
    /// The line of an instruction, if the prototype is not stripped.
    pub fn line(&self, pc: usize) -> Option<u32> {
        self.info.lines.get(pc).copied()
    }
}

/// A closure of a prototype; the upvalues follow the struct.
#[repr(C)]
pub struct LuaClosure {
    pub header: Header,
    pub proto: Gc<Proto>,
    pub upval_count: u32,
}

pub(super) const CLOSURE_HEAD: usize = size_of::<LuaClosure>().next_multiple_of(8);

impl LuaClosure {
    /// Where a closure's upvalues begin.
    #[inline]
    pub(crate) fn upvals_of(closure: *const LuaClosure) -> *const Gc<Upvalue> {
        closure.cast::<u8>().wrapping_add(CLOSURE_HEAD).cast()
    }
    #[inline]
    pub fn upvals(&self) -> &[Gc<Upvalue>] {
        // SAFETY: `upval_count` upvalues follow the struct in its block, all initialised before anyone sees the closure.
        unsafe { std::slice::from_raw_parts(Self::upvals_of(self), self.upval_count as usize) }
    }
}

impl Gc<LuaClosure> {
    /// By the object's pointer: a reference to the head may not write behind it.
    pub(crate) fn set_upval(self, i: usize, upval: Gc<Upvalue>) {
        assert!(i < self.upval_count as usize);
        let first = LuaClosure::upvals_of(self.as_ptr()).cast_mut();
        // SAFETY: in range.
        unsafe { first.add(i).write(upval) }
    }
}

/// A variable shared by closures.
#[repr(C)]
pub struct Upvalue {
    pub header: Header,
    pub(crate) slot: *mut Value,
    pub(crate) closed: Value,
}

impl Upvalue {
    pub fn is_open(&self) -> bool {
        !std::ptr::eq(self.slot, &raw const self.closed)
    }
    #[inline]
    pub fn get(&self) -> Value {
        // SAFETY: invariant 2.
        unsafe { Value::load(self.slot) }
    }
}

/// What writes goes by the object's pointer: a `&mut Upvalue` would claim `closed` for itself alone, to which a closed one's `slot` points.
impl Gc<Upvalue> {
    /// Stores without a barrier: the caller passes it.
    #[inline]
    pub(crate) fn put(self, v: Value) {
        // SAFETY: invariant 2.
        unsafe { v.store((*self.as_ptr()).slot) }
    }
    /// Makes it a closed one with this value. Without a barrier, too.
    #[inline]
    pub(super) fn close(self, v: Value) {
        let up = self.as_ptr();
        // SAFETY: a live upvalue (`object.rs`, invariant 2).
        unsafe {
            let closed = &raw mut (*up).closed;
            v.store(closed);
            (*up).slot = closed;
        }
    }
}

/// A native function with upvalues; they follow the struct.
#[repr(C)]
pub struct NativeClosure {
    pub header: Header,
    /// Number in the engine's list of natives.
    pub native: u32,
    pub upval_count: u32,
}

pub(super) const NATIVE_HEAD: usize = 16;
const _: () = assert!(size_of::<NativeClosure>() == NATIVE_HEAD);

impl NativeClosure {
    fn values_of(closure: *const NativeClosure) -> *const Value {
        closure.cast::<u8>().wrapping_add(NATIVE_HEAD).cast()
    }
    pub fn upvals(&self) -> &[Value] {
        // SAFETY: `upval_count` values follow the struct.
        unsafe { std::slice::from_raw_parts(Self::values_of(self), self.upval_count as usize) }
    }
}

impl Gc<NativeClosure> {
    /// Without a barrier: the caller passes it. By the object's pointer, as with Lua closures.
    pub(crate) fn upvals_mut(&mut self) -> &mut [Value] {
        let first = NativeClosure::values_of(self.as_ptr()).cast_mut();
        // SAFETY: `upval_count` values follow the struct.
        unsafe { std::slice::from_raw_parts_mut(first, self.upval_count as usize) }
    }
}
