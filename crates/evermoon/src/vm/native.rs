//! What a native function sees: its arguments, its state, the values it makes, and the acts it can return.
//!
//! A native never calls Lua. It returns an [`Act`]; the interpreter does it and, for a call, enters the native again with the results on
//! top of its slots. What it must remember it keeps in its state number and its slots, which are plain data. So a native can be suspended
//! anywhere. It must finish its checks before its first side effect.
//!
//! Slots: a native's frame starts with its arguments at 0, 1, …; `push` adds behind them. Slots below the arguments are not visible.

use super::Vm;
use super::meta::{Event, Outcome};
use crate::heap::OutOfMemory;
use crate::heap::coroutine::frame_flag;
use crate::heap::function::NativeClosure;
use crate::heap::number::{self, Num};
use crate::heap::object::Gc;
use crate::heap::string::Str;
use crate::heap::table::{StoreError, Table};
use crate::heap::value::{Value, tag};
use std::num::NonZeroU64;

/// What a native wants done next: a [`Request`], packed so that a native's result comes back in a register, on wasm too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Act(NonZeroU64);

/// An [`Act`], unpacked.
#[derive(Clone, Copy)]
pub enum Request {
    Return(u32),
    Call { args: u32, results: i16 },
    TailCall { args: u32 },
    Yield(u32),
    Resume { args: u32, wrap: bool },
    CloseCoroutine,
    HostCall,
    Again,
    Rest,
}

impl Act {
    const RETURN: u8 = 1;
    const CALL: u8 = 2;
    const TAIL_CALL: u8 = 3;
    const YIELD: u8 = 4;
    const RESUME: u8 = 5;
    const WRAP_RESUME: u8 = 6;
    const CLOSE: u8 = 7;
    const HOST: u8 = 8;
    const LATER: u8 = 9;

    const fn packed(what: u8, count: u32, results: i16) -> Act {
        let bits = what as u64 | (results as u16 as u64) << 16 | (count as u64) << 32;
        match NonZeroU64::new(bits) {
            Some(bits) => Act(bits),
            None => unreachable!(),
        }
    }

    /// Return the top `n` slots.
    #[inline]
    pub const fn returning(n: u32) -> Act {
        Act::packed(Act::RETURN, n, 0)
    }
    /// Call the function below the top `args` slots; its results (`results` of them, or all for -1) replace function and arguments,
    /// and the native is entered again. Set the state before.
    #[inline]
    pub const fn calling(args: u32, results: i16) -> Act {
        Act::packed(Act::CALL, args, results)
    }
    /// Return whatever the function below the top `args` slots returns.
    pub const fn tail_calling(args: u32) -> Act {
        Act::packed(Act::TAIL_CALL, args, 0)
    }
    /// Suspend the coroutine, handing out the top `n` slots. The values of the resume become the native's results.
    pub const fn yielding(n: u32) -> Act {
        Act::packed(Act::YIELD, n, 0)
    }
    /// Resume the coroutine in slot 0 with the top `args` slots.
    pub const fn resuming(args: u32) -> Act {
        Act::packed(Act::RESUME, args, 0)
    }
    /// The same with the coroutine in upvalue 0: errors propagate, and no status comes first.
    pub const fn resuming_wrapped(args: u32) -> Act {
        Act::packed(Act::WRAP_RESUME, args, 0)
    }
    /// Close the suspended or dead coroutine in slot 0; results `true`, or `false` and the error, are pushed and the native is entered again.
    pub const CLOSE_COROUTINE: Act = Act::packed(Act::CLOSE, 0, 0);
    /// Leave the interpreter so that the host can answer (`task.rs`); the native is entered again afterwards.
    pub const HOST_CALL: Act = Act::packed(Act::HOST, 0, 0);
    /// Enter the native again after the slice's safe point (for long work that has been charged).
    pub const AGAIN: Act = Act::packed(Act::LATER, 0, 0);
    /// The same, but the host gets its chance in any case (for long work that is not charged as it is done).
    pub const REST: Act = Act::packed(Act::LATER, 1, 0);

    #[inline]
    pub fn request(self) -> Request {
        let bits = self.0.get();
        let count = (bits >> 32) as u32;
        match bits as u8 {
            Act::RETURN => Request::Return(count),
            Act::CALL => Request::Call {
                args: count,
                results: (bits >> 16) as i16,
            },
            Act::TAIL_CALL => Request::TailCall { args: count },
            Act::YIELD => Request::Yield(count),
            Act::RESUME => Request::Resume {
                args: count,
                wrap: false,
            },
            Act::WRAP_RESUME => Request::Resume {
                args: count,
                wrap: true,
            },
            Act::CLOSE => Request::CloseCoroutine,
            Act::HOST => Request::HostCall,
            _ if count == 0 => Request::Again,
            _ => Request::Rest,
        }
    }
}

/// An error is under way: [`Vm::thrown`] says of what kind. It holds nothing itself, so that what may fail returns no more than what cannot.
#[derive(Clone, Copy, Debug)]
pub struct Throw(());

/// Why a native failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Thrown {
    /// The error value is in `Vm::error`.
    Error,
    /// The same, past every message handler ("error in error handling").
    ErrorUnhandled,
    /// The memory cap was reached: [`Heap::refused`](crate::heap::Heap::refused).
    Memory,
    /// Contents are wanted that a store will give later ([`super::fault`]).
    Fault,
}

impl From<OutOfMemory> for Throw {
    fn from(_: OutOfMemory) -> Self {
        Throw(())
    }
}

impl Vm {
    /// Begins an error of this kind.
    #[cold]
    #[inline(never)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn raise(&mut self, kind: Thrown) -> Throw {
        if kind != Thrown::Memory {
            self.heap.clear_refused();
            self.thrown = kind;
        } else if self.heap.refused().is_none() {
            return self.heap.refuse(0).into();
        }
        Throw(())
    }

    /// The kind of the error under way.
    pub fn thrown(&self) -> Thrown {
        match self.heap.refused() {
            Some(_) => Thrown::Memory,
            None => self.thrown,
        }
    }
}

/// State of a native that is entered after an error that it has caught (see [`Vm::catch`]): the error is its last slot.
pub const CAUGHT: u32 = u32::MAX - 5;
/// The handler's slot of a frame that catches by itself.
pub(crate) const CATCH: u32 = u32::MAX;

pub type NativeResult = Result<Act, Throw>;
// It comes back in a register.
const _: () = assert!(size_of::<NativeResult>() == 8);
pub type NativeFn = fn(&mut Vm) -> NativeResult;

/// Arguments and slots.
impl Vm {
    #[inline]
    fn native_base(&self) -> usize {
        self.exec.frame().base as usize
    }

    /// How many slots the native has: on entry (state 0), the number of arguments.
    #[inline]
    pub fn slots(&self) -> usize {
        self.exec.top - self.native_base()
    }
    /// Slot `i` from 0, nil beyond the last.
    #[inline]
    pub fn arg(&self, i: usize) -> Value {
        let at = self.native_base() + i;
        if at < self.exec.top {
            self.exec.get(at)
        } else {
            Value::NIL
        }
    }
    /// Whether there is a slot `i` (an argument was given, even nil).
    #[inline]
    pub fn has_arg(&self, i: usize) -> bool {
        self.native_base() + i < self.exec.top
    }
    /// Writes slot `i`, which exists.
    #[inline]
    pub fn set_slot(&mut self, i: usize, v: Value) {
        let at = self.native_base() + i;
        debug_assert!(at < self.exec.top);
        self.exec.set(at, v);
    }
    /// Cuts or fills (with nil) the slots to `n`.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn set_slots(&mut self, n: usize) -> Result<(), Throw> {
        let base = self.native_base();
        let top = self.exec.top;
        if base + n > top {
            self.ensure_stack(n + base - top)?;
        }
        for at in top..base + n {
            self.exec.set(at, Value::NIL);
        }
        self.exec.top = base + n;
        Ok(())
    }
    /// Adds a slot. Natives have room for 16 beyond their arguments; more needs `ensure_stack`.
    #[inline]
    pub fn push(&mut self, v: Value) {
        self.exec.push(v);
    }
    /// Takes the last slot.
    #[inline]
    pub fn pop(&mut self) -> Value {
        debug_assert!(self.exec.top > self.native_base());
        self.exec.top -= 1;
        self.exec.get(self.exec.top)
    }
    /// The native's state: 0 when it is entered first.
    #[inline]
    pub fn state(&self) -> u32 {
        self.exec.frame().state
    }
    #[inline]
    pub fn set_state(&mut self, state: u32) {
        self.exec.frame_mut().state = state;
    }
    /// The number of the running native in the engine's list. A library registers helpers behind the function that makes them.
    pub fn native_number(&self) -> u32 {
        let callee = self.exec.get(self.exec.frame().func as usize);
        callee
            .as_native_closure()
            .map_or(callee.bits as u32, |c| c.native)
    }
    /// The running native closure, when the native has upvalues.
    pub fn callee(&self) -> Option<Gc<NativeClosure>> {
        self.exec
            .get(self.exec.frame().func as usize)
            .as_native_closure()
    }
    /// Upvalue `i` of the running native.
    pub fn upval(&self, i: usize) -> Value {
        self.callee()
            .and_then(|c| c.upvals().get(i).copied())
            .unwrap_or(Value::NIL)
    }
    pub fn set_upval(&mut self, i: usize, v: Value) {
        if let Some(mut c) = self.callee() {
            self.heap.barrier(c);
            if let Some(slot) = c.upvals_mut().get_mut(i) {
                *slot = v;
            }
        }
    }
    /// Makes the native catch errors in what it calls: it then returns `false` and the error, as `pcall` does. `handler` is the slot
    /// of a message handler.
    pub fn protect(&mut self, handler: Option<usize>) {
        let frame = self.exec.frame_mut();
        frame.flags |= frame_flag::PROTECTED;
        frame.top = handler.map_or(0, |slot| frame.base + slot as u32);
    }
    /// Makes the native catch errors in what it calls and deal with them itself: it is then entered again with state [`CAUGHT`], its
    /// slots cut to the present ones, and the error on top. The caller's message handler still sees the error first.
    pub fn catch(&mut self) {
        let slots = self.slots();
        let frame = self.exec.frame_mut();
        frame.flags |= frame_flag::PROTECTED;
        frame.top = CATCH;
        frame.aux = slots as u32;
    }
    /// The number of the running native.
    pub fn callee_number(&self) -> u32 {
        let callee = self.exec.get(self.exec.frame().func as usize);
        match callee.as_native_closure() {
            Some(c) => c.native,
            None => callee.bits as u32,
        }
    }
    /// Returns everything from slot `first` on, preceded by `v` in the slot before it (slot -1 is the native itself).
    pub fn ret_with(&mut self, v: Value, first: usize) -> NativeResult {
        let at = self.native_base() + first - 1;
        self.exec.set(at, v);
        Ok(Act::returning((self.exec.top - at) as u32))
    }

    /// Returns one value.
    #[inline]
    pub fn ret(&mut self, v: Value) -> NativeResult {
        self.exec.push(v);
        Ok(Act::returning(1))
    }
    pub fn ret_none(&mut self) -> NativeResult {
        Ok(Act::returning(0))
    }
    pub fn ret_bytes(&mut self, bytes: &[u8]) -> NativeResult {
        let s = self.new_string(bytes)?;
        self.ret(s)
    }
    /// nil (`luaL_pushfail`) and a message.
    pub fn ret_fail(&mut self, message: &str) -> NativeResult {
        let s = self.new_string(message.as_bytes())?;
        self.push(Value::NIL);
        self.push(s);
        Ok(Act::returning(2))
    }
}

/// Checked arguments; `i` counts from 0, messages count from 1. Wording as `lauxlib`.
impl Vm {
    pub fn check_any(&mut self, i: usize) -> Result<Value, Throw> {
        if self.has_arg(i) {
            Ok(self.arg(i))
        } else {
            Err(self.arg_error(i, "value expected"))
        }
    }
    #[inline]
    pub fn check_table(&mut self, i: usize) -> Result<Gc<Table>, Throw> {
        match self.arg(i).as_table() {
            Some(t) => Ok(t),
            None => Err(self.arg_type_error(i, "table")),
        }
    }
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn check_int(&mut self, i: usize) -> Result<i64, Throw> {
        let v = self.arg(i);
        if v.is_int() {
            return Ok(v.raw_int());
        }
        self.check_int_slow(i, v)
    }
    #[cold]
    fn check_int_slow(&mut self, i: usize, v: Value) -> Result<i64, Throw> {
        match self.to_int(v) {
            Some(n) => Ok(n),
            None if self.to_number(v).is_some() => {
                Err(self.arg_error(i, "number has no integer representation"))
            }
            None => Err(self.arg_type_error(i, "number")),
        }
    }
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn opt_int(&mut self, i: usize, default: i64) -> Result<i64, Throw> {
        if self.arg(i).is_nil() {
            Ok(default)
        } else {
            self.check_int(i)
        }
    }
    /// A number as a float.
    pub fn check_float(&mut self, i: usize) -> Result<f64, Throw> {
        match self.check_number(i)? {
            Num::Int(n) => Ok(n as f64),
            Num::Float(f) => Ok(f),
        }
    }
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn check_number(&mut self, i: usize) -> Result<Num, Throw> {
        let v = self.arg(i);
        match self.to_number(v) {
            Some(n) => Ok(n),
            None => Err(self.arg_type_error(i, "number")),
        }
    }
    /// A string, or a number converted to one.
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn check_str(&mut self, i: usize) -> Result<Gc<Str>, Throw> {
        match self.arg(i).as_str() {
            Some(s) => Ok(s),
            None => self.check_str_slow(i),
        }
    }
    #[cold]
    #[inline(never)]
    fn check_str_slow(&mut self, i: usize) -> Result<Gc<Str>, Throw> {
        let v = self.arg(i);
        if !v.is_number() {
            return Err(self.arg_type_error(i, "string"));
        }
        let s = self.number_string(v)?;
        self.set_slot(i, Value::string(s));
        Ok(s)
    }
    pub fn opt_str(&mut self, i: usize) -> Result<Option<Gc<Str>>, Throw> {
        if self.arg(i).is_nil() {
            Ok(None)
        } else {
            self.check_str(i).map(Some)
        }
    }
    /// One of a list of names (`luaL_checkoption`).
    pub fn check_option(
        &mut self,
        i: usize,
        default: Option<&str>,
        options: &[&str],
    ) -> Result<usize, Throw> {
        let name = match (self.opt_str(i)?, default) {
            (Some(s), _) => s.to_text(),
            (None, Some(d)) => d.to_string(),
            (None, None) => return Err(self.arg_type_error(i, "string")),
        };
        match options.iter().position(|o| *o == name) {
            Some(at) => Ok(at),
            None => Err(self.arg_error(i, &format!("invalid option '{name}'"))),
        }
    }
    /// `bad argument #i to 'f' (message)`.
    #[cold]
    pub fn arg_error(&mut self, i: usize, message: &str) -> Throw {
        self.arg_error_bytes(i, message.as_bytes())
    }
    #[cold]
    fn arg_error_bytes(&mut self, i: usize, message: &[u8]) -> Throw {
        let (mut number, call) = (i + 1, self.native_call_name());
        let Some((what, name)) = call else {
            // Called by another native: by the name under which the library has it.
            let name = self
                .natives
                .get(self.callee_number() as usize)
                .map_or("?".into(), |n| n.full_name());
            return self.bad_argument(number, name.as_bytes(), message);
        };
        if what == "method" {
            number -= 1;
            if number == 0 {
                return self.fail_bytes(
                    &[b"calling '", &name[..], b"' on bad self (", message, b")"].concat(),
                );
            }
        }
        self.bad_argument(number, &name, message)
    }
    fn bad_argument(&mut self, number: usize, name: &[u8], message: &[u8]) -> Throw {
        let mut text = format!("bad argument #{number} to '").into_bytes();
        text.extend([name, b"' (", message, b")"].concat());
        self.fail_bytes(&text)
    }
    /// `bad argument #i to 'f' (expected expected, got actual)`.
    #[cold]
    pub fn arg_type_error(&mut self, i: usize, expected: &str) -> Throw {
        let got = if self.has_arg(i) {
            self.type_name_meta(self.arg(i), true)
        } else {
            b"no value".to_vec()
        };
        self.arg_error_bytes(i, &[expected.as_bytes(), b" expected, got ", &got].concat())
    }
    /// The type's name for messages: `__name` of the metatable if that is a string (`luaL_typeerror`).
    pub fn type_name_meta(&mut self, v: Value, light: bool) -> Vec<u8> {
        if let Some(mt) = self.metatable_of(v)
            && let Some(s) = mt.get_str(self.events[Event::Name as usize]).as_str()
        {
            return s.bytes().to_vec();
        }
        if light && v.tag == tag::LIGHT {
            b"light userdata".to_vec()
        } else {
            v.type_of().name().into()
        }
    }
}

/// Values.
impl Vm {
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn new_string(&mut self, bytes: &[u8]) -> Result<Value, Throw> {
        if bytes.len() > self.limits.string_max {
            return Err(self.fail("resulting string too large"));
        }
        Ok(Value::string(self.heap.string(bytes)?))
    }
    pub fn new_table(&mut self) -> Result<Gc<Table>, Throw> {
        Ok(self.heap.table()?)
    }
    /// Raw store with barrier. Errors: nil or NaN key, memory.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn raw_set(&mut self, t: Gc<Table>, key: Value, value: Value) -> Result<(), Throw> {
        self.touch_table(t)?;
        if t.header.is_external() {
            return self.ext_set(t, key, value);
        }
        self.heap.barrier(t);
        let done = self.heap.table_set(t, key, value);
        done.map_err(|e| self.store_error(e))
    }
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn raw_set_int(&mut self, t: Gc<Table>, key: i64, value: Value) -> Result<(), Throw> {
        self.touch_table(t)?;
        if t.header.is_external() {
            return self.ext_set(t, Value::int(key), value);
        }
        self.heap.barrier(t);
        let done = self.heap.table_set_int(t, key, value);
        done.map_err(|e| self.store_error(e))
    }
    /// Raw store under a name.
    pub fn raw_set_name(&mut self, t: Gc<Table>, name: &str, value: Value) -> Result<(), Throw> {
        let key = self.new_string(name.as_bytes())?;
        self.raw_set(t, key, value)
    }
    /// Raw field; what it holds is loaded, so that a library may look into it.
    pub fn raw_get_name(&mut self, t: Gc<Table>, name: &str) -> Result<Value, Throw> {
        self.touch_table(t)?;
        let key = self.heap.string(name.as_bytes())?;
        let v = self.get_raw(t, Value::string(key))?;
        self.touch(v)?;
        Ok(v)
    }
    /// `#t` without metamethods.
    pub fn raw_length(&mut self, t: Gc<Table>) -> Result<i64, Throw> {
        self.touch_table(t)?;
        if t.header.is_external() {
            self.ext_border(t)
        } else {
            Ok(t.border() as i64)
        }
    }
    /// The entry after a key as `next` has it, of a table that has been touched; `hint` as in [`Table::next`].
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn raw_next(
        &mut self,
        t: Gc<Table>,
        key: Value,
        hint: &mut u32,
    ) -> Result<Option<(Value, Value)>, Throw> {
        if t.header.is_external() {
            return self.ext_next(t, key);
        }
        match t.next(key, hint) {
            Ok(pair) => Ok(pair),
            Err(()) => Err(self.throw_bytes(b"invalid key to 'next'")),
        }
    }
    #[cold]
    pub(crate) fn store_error(&mut self, e: StoreError) -> Throw {
        match e {
            StoreError::NilKey => self.fail_here("table index is nil"),
            StoreError::NanKey => self.fail_here("table index is NaN"),
            StoreError::TooLarge => self.fail_here("table overflow"),
            StoreError::Memory => self.raise(Thrown::Memory),
        }
    }

    /// Integer by Lua's conversions (manual 3.4.3): integral floats, and strings that denote them.
    pub fn to_int(&self, v: Value) -> Option<i64> {
        match v.tag {
            tag::INT => Some(v.raw_int()),
            tag::FLOAT => number::float_to_int(v.raw_float()),
            tag::STR | tag::LONG_STR => match number::parse_number(v.as_str()?.bytes())? {
                Num::Int(i) => Some(i),
                Num::Float(f) => number::float_to_int(f),
            },
            _ => None,
        }
    }
    /// Number by Lua's conversions: strings convert.
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn to_number(&self, v: Value) -> Option<Num> {
        match v.tag {
            tag::INT => Some(Num::Int(v.raw_int())),
            tag::FLOAT => Some(Num::Float(v.raw_float())),
            tag::STR | tag::LONG_STR => number::parse_number(v.as_str()?.bytes()),
            _ => None,
        }
    }
    /// A number's string.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn number_string(&mut self, v: Value) -> Result<Gc<Str>, Throw> {
        let mut buffer = [0; number::NUM_BUF];
        let text = if v.is_int() {
            number::int_text(v.raw_int(), &mut buffer)
        } else {
            number::float_text(v.raw_float(), &mut buffer)
        };
        Ok(self.heap.string(text)?)
    }

    /// The metatable of any value.
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn metatable_of(&self, v: Value) -> Option<Gc<Table>> {
        match v.tag {
            tag::TABLE => v.as_table().and_then(|t| {
                if t.header.is_hollow() {
                    self.heap.metatable_of_table(t)
                } else {
                    t.metatable
                }
            }),
            tag::USERDATA => v.as_userdata().and_then(|u| u.metatable),
            _ => self.type_metatables[v.type_of() as usize],
        }
    }
    /// A metamethod, nil if there is none.
    #[inline]
    pub fn metamethod(&self, v: Value, event: Event) -> Value {
        match self.metatable_of(v) {
            Some(mt) => self.event_of(mt, event),
            None => Value::NIL,
        }
    }
    /// A field of a value's metatable by name.
    pub fn meta_field(&mut self, v: Value, name: &str) -> Result<Value, Throw> {
        match self.metatable_of(v) {
            Some(mt) => self.raw_get_name(mt, name),
            None => Ok(Value::NIL),
        }
    }

    /// `object[key]` with metamethods: the value, or `None` when a call has been pushed (function and 2 arguments): then
    /// return `Act::calling(2, 1)` and find the value on top.
    pub fn index(&mut self, object: Value, key: Value) -> Result<Option<Value>, Throw> {
        match self.index_value(object, key)? {
            Outcome::Done(v) => Ok(Some(v)),
            Outcome::Call(_) => Ok(None),
        }
    }
    /// `object[key] = value` with metamethods: true when done; false when a call has been pushed (3 arguments, no results).
    pub fn set_index(&mut self, object: Value, key: Value, value: Value) -> Result<bool, Throw> {
        Ok(matches!(
            self.set_index_value(object, key, value)?,
            Outcome::Done(_)
        ))
    }
    /// `a < b`: the answer, or `None` when a call has been pushed (2 arguments, 1 result).
    pub fn less_than(&mut self, a: Value, b: Value) -> Result<Option<bool>, Throw> {
        match self.compare(Event::Lt, a, b)? {
            Outcome::Done(v) => Ok(Some(v.is_truthy())),
            Outcome::Call(_) => Ok(None),
        }
    }
    /// `a == b`: likewise.
    pub fn equals(&mut self, a: Value, b: Value) -> Result<Option<bool>, Throw> {
        match self.equal_value(a, b)? {
            Outcome::Done(v) => Ok(Some(v.is_truthy())),
            Outcome::Call(_) => Ok(None),
        }
    }
    /// `#v`: the length value, or `None` when a call has been pushed (2 arguments, 1 result).
    pub fn length(&mut self, v: Value) -> Result<Option<Value>, Throw> {
        match self.length_value(v)? {
            Outcome::Done(v) => Ok(Some(v)),
            Outcome::Call(_) => Ok(None),
        }
    }

    /// A plain rendering for messages and `tostring` without metamethods.
    pub fn display(&mut self, v: Value, out: &mut Vec<u8>) {
        match v.tag {
            tag::NIL => out.extend(b"nil"),
            tag::FALSE => out.extend(b"false"),
            tag::TRUE => out.extend(b"true"),
            tag::INT => number::push_int(out, v.raw_int()),
            tag::FLOAT => number::push_float(out, v.raw_float()),
            tag::STR | tag::LONG_STR => {
                if let Some(s) = v.as_str() {
                    out.extend(s.bytes());
                }
            }
            _ => {
                let name = self.type_name_meta(v, false);
                let id = self.heap.printed_id(v);
                out.extend(name);
                out.extend(format!(": 0x{id:08x}").as_bytes());
            }
        }
    }
}
