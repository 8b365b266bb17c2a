//! Metamethods (manual 2.4): how an operation finds its handler, and what it does without one.
//!
//! Operations here either finish at once ([`Outcome::Done`]) or push a call (function and arguments on top of the stack) and say how many
//! arguments it has. Who asked (the loop or a native) makes the call and takes the result.

use super::native::Throw;
use super::{LONG_WORK, Vm};
use crate::heap::coroutine::kind;
use crate::heap::number::{self, Num};
use crate::heap::object::Gc;
use crate::heap::table::Table;
use crate::heap::value::{Value, tag};

/// Events, in the order of [`EVENT_NAMES`]. The first eight have absence flags in tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Event {
    Index,
    NewIndex,
    Gc,
    Mode,
    Len,
    Eq,
    Call,
    Close,
    Add,
    Sub,
    Mul,
    Mod,
    Pow,
    Div,
    IDiv,
    BAnd,
    BOr,
    BXor,
    Shl,
    Shr,
    Unm,
    BNot,
    Lt,
    Le,
    Concat,
    ToString,
    Name,
    Metatable,
    Pairs,
}

pub const EVENT_COUNT: usize = 29;

pub const EVENT_NAMES: [&str; EVENT_COUNT] = [
    "__index",
    "__newindex",
    "__gc",
    "__mode",
    "__len",
    "__eq",
    "__call",
    "__close",
    "__add",
    "__sub",
    "__mul",
    "__mod",
    "__pow",
    "__div",
    "__idiv",
    "__band",
    "__bor",
    "__bxor",
    "__shl",
    "__shr",
    "__unm",
    "__bnot",
    "__lt",
    "__le",
    "__concat",
    "__tostring",
    "__name",
    "__metatable",
    "__pairs",
];

impl Event {
    /// An operation on integers bit by bit.
    pub(crate) fn is_bitwise(self) -> bool {
        (Event::BAnd as u8..=Event::Shr as u8).contains(&(self as u8)) || self == Event::BNot
    }
}

/// Longest chain of `__index` or `__newindex` (PUC's MAXTAGLOOP).
const CHAIN_MAX: u32 = 2000;

/// How an operation went.
#[derive(Clone, Copy)]
pub enum Outcome {
    Done(Value),
    /// A call has been pushed, with so many arguments.
    Call(u32),
}

impl Vm {
    /// A metatable's field for an event.
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn event_of(&self, mut mt: Gc<Table>, event: Event) -> Value {
        let bit = if (event as u8) < 8 {
            1u16 << event as u8
        } else {
            0
        };
        if mt.header.flags & bit != 0 {
            return Value::NIL;
        }
        let v = mt.get_str(self.events[event as usize]);
        if v.is_nil() {
            mt.header.flags |= bit;
        }
        v
    }

    /// Pushes a call above the live part of the top frame.
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn push_call(&mut self, values: &[Value]) -> Outcome {
        // `SLACK` slots are always there (`coroutine.rs`, invariant 2).
        self.open_top();
        for &v in values {
            self.exec.push(v);
        }
        Outcome::Call(values.len() as u32 - 1)
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn index_value(&mut self, object: Value, key: Value) -> Result<Outcome, Throw> {
        if let Some(v) = self.row_here(object, key) {
            return Ok(Outcome::Done(v));
        }
        let mut object = object;
        for _ in 0..CHAIN_MAX {
            self.touch(object)?;
            let handler = match object.as_table() {
                Some(t) => {
                    let v = self.get_raw(t, key)?;
                    if !v.is_nil() {
                        return Ok(Outcome::Done(v));
                    }
                    let Some(mt) = t.metatable else {
                        return Ok(Outcome::Done(Value::NIL));
                    };
                    let handler = self.event_of(mt, Event::Index);
                    if handler.is_nil() {
                        return Ok(Outcome::Done(Value::NIL));
                    }
                    handler
                }
                None => {
                    let handler = self.metamethod(object, Event::Index);
                    if handler.is_nil() {
                        return Err(self.index_error(object, key));
                    }
                    handler
                }
            };
            if handler.is_function() {
                return Ok(self.push_call(&[handler, object, key]));
            }
            object = handler;
        }
        Err(self.fail("'__index' chain too long; possible loop"))
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn set_index_value(
        &mut self,
        object: Value,
        key: Value,
        value: Value,
    ) -> Result<Outcome, Throw> {
        let mut object = object;
        for _ in 0..CHAIN_MAX {
            self.touch(object)?;
            let handler = match object.as_table() {
                Some(t) => {
                    let handler = match t.metatable {
                        None => Value::NIL,
                        Some(mt) => {
                            let handler = self.event_of(mt, Event::NewIndex);
                            if handler.is_nil() || !self.get_raw(t, key)?.is_nil() {
                                Value::NIL
                            } else {
                                handler
                            }
                        }
                    };
                    if handler.is_nil() {
                        if t.header.is_external() {
                            self.ext_set(t, key, value)?;
                            return Ok(Outcome::Done(Value::NIL));
                        }
                        self.heap.barrier(t);
                        return match self.heap.table_set(t, key, value) {
                            Ok(()) => Ok(Outcome::Done(Value::NIL)),
                            Err(e) => Err(self.store_error(e)),
                        };
                    }
                    handler
                }
                None => {
                    let handler = self.metamethod(object, Event::NewIndex);
                    if handler.is_nil() {
                        return Err(self.index_error(object, key));
                    }
                    handler
                }
            };
            if handler.is_function() {
                return Ok(self.push_call(&[handler, object, key, value]));
            }
            object = handler;
        }
        Err(self.fail("'__newindex' chain too long; possible loop"))
    }

    /// Arithmetic and bitwise operations by event, with string coercion (manual 3.4.1 to 3.4.3).
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn arith(&mut self, event: Event, a: Value, b: Value) -> Result<Outcome, Throw> {
        if a.is_number()
            && b.is_number()
            && let Some(v) = self.arith_numbers(event, a, b)?
        {
            return Ok(Outcome::Done(v));
        }
        self.touch(a)?;
        self.touch(b)?;
        let mut handler = self.metamethod(a, event);
        if handler.is_nil() {
            handler = self.metamethod(b, event);
        }
        if !handler.is_nil() {
            return Ok(self.push_call(&[handler, a, b]));
        }
        self.charge_text(a);
        self.charge_text(b);
        // The reference does this in metamethods of strings, which has none for bitwise operations.
        if !event.is_bitwise()
            && (a.is_string() || b.is_string())
            && let (Some(x), Some(y)) = (self.to_number(a), self.to_number(b))
        {
            if matches!(
                (event, x, y),
                (Event::Mod | Event::IDiv, Num::Int(_), Num::Int(0))
            ) {
                // It happens there, where no line is.
                return Err(self.throw_bytes(zero_division(event).as_bytes()));
            }
            if let Some(v) = self.arith_numbers(event, num_value(x), num_value(y))? {
                return Ok(Outcome::Done(v));
            }
        }
        Err(self.arith_error(event, a, b))
    }

    /// The operation on two numbers; `None` when a bitwise one meets a float without an integer value.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn arith_numbers(
        &mut self,
        event: Event,
        a: Value,
        b: Value,
    ) -> Result<Option<Value>, Throw> {
        if event.is_bitwise() {
            let (Some(x), Some(y)) = (self.to_int(a), self.to_int(b)) else {
                return Ok(None);
            };
            return Ok(Some(Value::int(match event {
                Event::BAnd => x & y,
                Event::BOr => x | y,
                Event::BXor => x ^ y,
                Event::Shl => number::shl(x, y),
                Event::Shr => number::shr(x, y),
                _ => !x,
            })));
        }
        if a.is_int() && b.is_int() {
            let (x, y) = (a.raw_int(), b.raw_int());
            let v = match event {
                Event::Add => x.wrapping_add(y),
                Event::Sub => x.wrapping_sub(y),
                Event::Mul => x.wrapping_mul(y),
                Event::Unm => 0i64.wrapping_sub(x),
                Event::Mod => match number::int_mod(x, y) {
                    Some(v) => v,
                    None => return Err(self.fail(zero_division(event))),
                },
                Event::IDiv => match number::int_idiv(x, y) {
                    Some(v) => v,
                    None => return Err(self.fail(zero_division(event))),
                },
                Event::Pow => return Ok(Some(Value::float(number::pow(x as f64, y as f64)))),
                _ => return Ok(Some(Value::float(x as f64 / y as f64))),
            };
            return Ok(Some(Value::int(v)));
        }
        let (x, y) = (float_of(a), float_of(b));
        Ok(Some(Value::float(match event {
            Event::Add => x + y,
            Event::Sub => x - y,
            Event::Mul => x * y,
            Event::Unm => -x,
            Event::Mod => number::float_mod(x, y),
            Event::IDiv => number::float_idiv(x, y),
            Event::Pow => number::pow(x, y),
            _ => x / y,
        })))
    }

    /// `a < b` or `a <= b`.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn compare(&mut self, event: Event, a: Value, b: Value) -> Result<Outcome, Throw> {
        let answer = if a.is_number() && b.is_number() {
            if event == Event::Lt {
                number_less(a, b)
            } else {
                number_less_equal(a, b)
            }
        } else if let (Some(x), Some(y)) = (a.as_str(), b.as_str()) {
            if let Some(natives) = self.long_strings
                && x.len().min(y.len()) > LONG_WORK
            {
                let native = if event == Event::Lt {
                    natives.less
                } else {
                    natives.less_equal
                };
                return Ok(self.push_call(&[Value::native(native), a, b]));
            }
            self.charge(x.len().min(y.len()) as u64 >> 8);
            if event == Event::Lt {
                x.bytes() < y.bytes()
            } else {
                x.bytes() <= y.bytes()
            }
        } else {
            self.touch(a)?;
            self.touch(b)?;
            let mut handler = self.metamethod(a, event);
            if handler.is_nil() {
                handler = self.metamethod(b, event);
            }
            if handler.is_nil() && event == Event::Le && self.exec.frame().kind == kind::LUA {
                // As the reference is usually built: `a <= b` is then `not (b < a)`.
                handler = self.metamethod(b, Event::Lt);
                if handler.is_nil() {
                    handler = self.metamethod(a, Event::Lt);
                }
                if !handler.is_nil() {
                    self.exec.frame_mut().aux = 1;
                    return Ok(self.push_call(&[handler, b, a]));
                }
            }
            if handler.is_nil() {
                return Err(self.compare_error(a, b));
            }
            return Ok(self.push_call(&[handler, a, b]));
        };
        Ok(Outcome::Done(Value::bool(answer)))
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn equal_value(&mut self, a: Value, b: Value) -> Result<Outcome, Throw> {
        if a.tag == tag::LONG_STR
            && b.tag == tag::LONG_STR
            && let (Some(x), Some(y), Some(natives)) = (a.as_str(), b.as_str(), self.long_strings)
            && x.len() > LONG_WORK
        {
            if x.len() != y.len() || x == y {
                return Ok(Outcome::Done(Value::bool(x == y)));
            }
            return Ok(self.push_call(&[Value::native(natives.equal), a, b]));
        }
        self.charge_string(a);
        if a.raw_equals(b) {
            return Ok(Outcome::Done(Value::TRUE));
        }
        if a.tag != b.tag || (a.tag != tag::TABLE && a.tag != tag::USERDATA) {
            return Ok(Outcome::Done(Value::FALSE));
        }
        self.touch(a)?;
        self.touch(b)?;
        let mut handler = self.metamethod(a, Event::Eq);
        if handler.is_nil() {
            handler = self.metamethod(b, Event::Eq);
        }
        if handler.is_nil() {
            return Ok(Outcome::Done(Value::FALSE));
        }
        Ok(self.push_call(&[handler, a, b]))
    }

    /// Charges for going over the whole of a string byte by byte.
    pub fn charge_text(&mut self, v: Value) {
        if v.tag == tag::LONG_STR
            && let Some(s) = v.as_str()
        {
            self.charge(s.len() as u64 >> 6);
        }
    }

    /// Charges for a look at the whole of a string.
    #[inline]
    pub(crate) fn charge_string(&mut self, v: Value) {
        if v.tag == tag::LONG_STR
            && let Some(s) = v.as_str()
        {
            self.charge(s.len() as u64 >> 8);
        }
    }

    pub(crate) fn length_value(&mut self, v: Value) -> Result<Outcome, Throw> {
        if let Some(s) = v.as_str() {
            return Ok(Outcome::Done(Value::int(s.len() as i64)));
        }
        self.touch(v)?;
        let handler = self.metamethod(v, Event::Len);
        if !handler.is_nil() {
            return Ok(self.push_call(&[handler, v, v]));
        }
        match v.as_table() {
            Some(t) => Ok(Outcome::Done(Value::int(self.raw_length(t)?))),
            None => Err(self.type_error(v, "get length of")),
        }
    }

    /// Concatenates the `count` values that end at `top`, from the right (manual 3.4.6). `Done` when slot `top - count` holds the result;
    /// else a call is pushed, and slot `top - 2` waits for its result (`CONCAT` is then executed again for one value fewer).
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn concat(
        &mut self,
        first: usize,
        count: usize,
    ) -> Result<(usize, Option<u32>), Throw> {
        let mut count = count;
        while count > 1 {
            let a = self.exec.get(first + count - 2);
            let b = self.exec.get(first + count - 1);
            if !(a.is_string() || a.is_number()) || !(b.is_string() || b.is_number()) {
                self.touch(a)?;
                self.touch(b)?;
                let mut handler = self.metamethod(a, Event::Concat);
                if handler.is_nil() {
                    handler = self.metamethod(b, Event::Concat);
                }
                if handler.is_nil() {
                    return Err(self.concat_error(first + count - 2));
                }
                let Outcome::Call(args) = self.push_call(&[handler, a, b]) else {
                    unreachable!("push_call pushes a call")
                };
                return Ok((count, Some(args)));
            }
            // Take all strings and numbers to the left at once.
            let mut start = count - 2;
            while start > 0 && {
                let v = self.exec.get(first + start - 1);
                v.is_string() || v.is_number()
            } {
                start -= 1;
            }
            match self.join(first + start, count - start)? {
                Some(s) => self.exec.set(first + start, s),
                None => {
                    // A native joins them: when it returns, its result takes the place of the first of them.
                    let args = self.push_join(first + start, count - start)?;
                    return Ok((start + 2, Some(args)));
                }
            }
            count = start + 1;
        }
        Ok((1, None))
    }

    /// Pushes the call of the native that joins strings in `count` slots.
    #[cold]
    fn push_join(&mut self, first: usize, count: usize) -> Result<u32, Throw> {
        self.open_top();
        self.ensure_stack(count + 1)?;
        let native = self
            .long_strings
            .map_or(Value::NIL, |n| Value::native(n.join));
        self.exec.push(native);
        for at in first..first + count {
            let v = self.exec.get(at);
            self.exec.push(v);
        }
        Ok(count as u32)
    }

    /// The strings and numbers in `count` slots as one string. `None`: they are all strings now, but too long to be joined at once.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn join(&mut self, first: usize, count: usize) -> Result<Option<Value>, Throw> {
        let mut total = 0usize;
        for at in first..first + count {
            let v = self.exec.get(at);
            match v.as_str() {
                Some(s) => total += s.len(),
                None => {
                    let s = self.number_string(v)?;
                    self.exec.set(at, Value::string(s));
                    total += s.len();
                }
            }
        }
        if total > self.limits.string_max {
            return Err(self.fail("string length overflow"));
        }
        // An empty operand leaves the other as it is.
        if count == 2 {
            let (a, b) = (self.exec.get(first), self.exec.get(first + 1));
            let len = |v: Value| v.as_str().map_or(0, |s| s.len());
            if len(b) == 0 {
                return Ok(Some(a));
            }
            if len(a) == 0 {
                return Ok(Some(b));
            }
        }
        if total > LONG_WORK && self.long_strings.is_some() {
            // While the instruction can still be tried again after a collection.
            self.heap.reserve(total + 64)?;
            return Ok(None);
        }
        self.charge(total as u64 >> 8);
        let exec = &self.exec;
        let parts = (first..first + count).filter_map(|slot| exec.get(slot).as_str());
        Ok(Some(Value::string(self.heap.joined_string(parts, total)?)))
    }
}

/// The message for a division of integers by zero.
fn zero_division(event: Event) -> &'static str {
    if event == Event::Mod {
        "attempt to perform 'n%0'"
    } else {
        "attempt to divide by zero"
    }
}

#[inline]
pub(crate) fn float_of(v: Value) -> f64 {
    if v.is_int() {
        v.raw_int() as f64
    } else {
        v.raw_float()
    }
}

pub fn num_value(n: Num) -> Value {
    match n {
        Num::Int(i) => Value::int(i),
        Num::Float(f) => Value::float(f),
    }
}

/// `a < b` for numbers, exact across the subtypes (manual 3.4.4).
pub fn number_less(a: Value, b: Value) -> bool {
    match (a.is_int(), b.is_int()) {
        (true, true) => a.raw_int() < b.raw_int(),
        (false, false) => a.raw_float() < b.raw_float(),
        (true, false) => number::lt_int_float(a.raw_int(), b.raw_float()),
        (false, true) => number::lt_float_int(a.raw_float(), b.raw_int()),
    }
}

/// `a <= b` for numbers.
pub fn number_less_equal(a: Value, b: Value) -> bool {
    match (a.is_int(), b.is_int()) {
        (true, true) => a.raw_int() <= b.raw_int(),
        (false, false) => a.raw_float() <= b.raw_float(),
        (true, false) => number::le_int_float(a.raw_int(), b.raw_float()),
        (false, true) => number::le_float_int(a.raw_float(), b.raw_int()),
    }
}
