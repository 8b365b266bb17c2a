//! The utf8 library (manual 6.5) over `utf8core.rs`.

use super::pieces::STEP;
use super::string::ensure_results;
use super::{open_library, utf8core};
use crate::heap::value::Value;
use crate::vm::{Act, NativeFn, NativeResult, Throw, Vm};

const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("char", char),
    ("codepoint", codepoint),
    ("len", len),
    ("offset", offset),
    ("codes", codes),
];

pub fn open(vm: &mut Vm) -> Result<(), Throw> {
    let library = open_library(vm, "utf8", FUNCTIONS)?;
    // What `codes` returns; it finds them behind itself.
    vm.register("utf8", "codes.strict", next_strict);
    vm.register("utf8", "codes.lax", next_lax);
    let pattern = vm.new_string(utf8core::CHAR_PATTERN)?;
    vm.raw_set_name(library, "charpattern", pattern)
}

/// A position counted from the end if it is negative; 0 for one before the string.
fn from_end(position: i64, len: usize) -> i64 {
    if position >= 0 {
        position
    } else if position.unsigned_abs() > len as u64 {
        0
    } else {
        len as i64 + position + 1
    }
}

/// `utf8.char (···)`
fn char(vm: &mut Vm) -> NativeResult {
    let count = vm.slots();
    vm.charge(count as u64 >> 4);
    let mut out = vm.take_scratch();
    for i in 0..count {
        let code = vm.check_int(i)?;
        let Some(code) = u32::try_from(code)
            .ok()
            .filter(|&code| code <= utf8core::MAX)
        else {
            return Err(vm.arg_error(i, "value out of range"));
        };
        out.extend_from_slice(utf8core::encode(code, &mut [0; 6]));
    }
    let made = vm.new_string(&out)?;
    vm.give_scratch(out);
    vm.ret(made)
}

/// `utf8.codepoint (s [, i [, j [, lax]]])`
fn codepoint(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(0)?.as_bytes();
    let first = vm.opt_int(1, 1)?;
    let first = from_end(first, s.len());
    let last = vm.opt_int(2, first)?;
    let last = from_end(last, s.len());
    let strict = !vm.arg(3).is_truthy();
    if first < 1 {
        return Err(vm.arg_error(1, "out of bounds"));
    }
    if last > s.len() as i64 {
        return Err(vm.arg_error(2, "out of bounds"));
    }
    if first > last {
        return vm.ret_none();
    }
    if last - first >= i32::MAX as i64 {
        return Err(vm.fail("string slice too long"));
    }
    // Both are positions in the string now. The range has at most so many characters, but need not have room for more than there are.
    let (mut at, end) = (first as usize - 1, last as usize);
    vm.charge((end - at) as u64 >> 4);
    let mut count = 0;
    while at < end {
        let Some((code, size)) = utf8core::decode(&s[at..], strict) else {
            return Err(vm.fail("invalid UTF-8 code"));
        };
        ensure_results(vm, 1, "string slice too long")?;
        vm.push(Value::int(code as i64));
        at += size;
        count += 1;
    }
    Ok(Act::returning(count))
}

/// `utf8.len (s [, i [, j [, lax]]])`
fn len(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(0)?.as_bytes();
    let first = vm.opt_int(1, 1)?;
    let first = from_end(first, s.len());
    let last = vm.opt_int(2, -1)?;
    let last = from_end(last, s.len());
    if first < 1 || first - 1 > s.len() as i64 {
        return Err(vm.arg_error(1, "initial position out of bounds"));
    }
    if last > s.len() as i64 {
        return Err(vm.arg_error(2, "final position out of bounds"));
    }
    let strict = !vm.arg(3).is_truthy();
    // Behind the arguments: where it has come to, and how many characters there were. (That is nothing to start with.)
    vm.set_slots(6)?;
    let mut at = if vm.state() == 0 {
        first as usize - 1
    } else {
        vm.arg(4).raw_int() as usize
    };
    let mut count = vm.arg(5).as_int().unwrap_or(0);
    while (at as i64) < last {
        if vm.slice_used_up() {
            vm.set_slot(4, Value::int(at as i64));
            vm.set_slot(5, Value::int(count));
            vm.set_state(1);
            return Ok(Act::AGAIN);
        }
        let stop = (last as usize - 1).min(at + STEP - 1);
        match utf8core::count_part(s, at, stop, strict) {
            Ok((n, next)) => {
                vm.charge((next - at) as u64 >> 5);
                at = next;
                count += n as i64;
            }
            Err(at) => {
                vm.push(Value::NIL);
                vm.push(Value::int(at as i64 + 1));
                return Ok(Act::returning(2));
            }
        }
    }
    vm.ret(Value::int(count))
}

/// `utf8.offset (s, n [, i])`
fn offset(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(0)?.as_bytes();
    let n = vm.check_int(1)?;
    let default = if n >= 0 { 1 } else { s.len() as i64 + 1 };
    let position = vm.opt_int(2, default)?;
    let position = from_end(position, s.len());
    if position < 1 || position - 1 > s.len() as i64 {
        return Err(vm.arg_error(2, "position out of bounds"));
    }
    // Behind the arguments: how many characters are left, and where it has come to.
    vm.set_slots(5)?;
    let (mut left, mut at) = (n, position as usize - 1);
    if vm.state() != 0 {
        (left, at) = (vm.arg(3).raw_int(), vm.arg(4).raw_int() as usize);
    }
    loop {
        if vm.slice_used_up() {
            vm.set_slot(3, Value::int(left));
            vm.set_slot(4, Value::int(at as i64));
            vm.set_state(1);
            return Ok(Act::AGAIN);
        }
        // The last part comes to the character itself; the others to one that is so many characters nearer.
        const PART: i64 = STEP as i64;
        let (step, rest) = match left {
            n if n < -PART => (-PART, left + PART),
            n if n > PART => (PART + 1, left - PART),
            n => (n, 0),
        };
        vm.charge(step.unsigned_abs().min(s.len() as u64) >> 5);
        match utf8core::offset(s, step, at) {
            Ok(Some(at)) if rest == 0 => return vm.ret(Value::int(at as i64 + 1)),
            Ok(Some(next)) => (left, at) = (rest, next),
            Ok(None) => return vm.ret(Value::NIL),
            Err(utf8core::InsideCharacter) => {
                return Err(vm.fail("initial position is a continuation byte"));
            }
        }
    }
}

/// `utf8.codes (s [, lax])`
fn codes(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(0)?;
    let lax = vm.arg(1).is_truthy();
    if s.as_bytes()
        .first()
        .is_some_and(|&b| utf8core::is_continuation(b))
    {
        return Err(vm.arg_error(0, "invalid UTF-8 code"));
    }
    let next = vm.native_number() + 1 + lax as u32;
    vm.push(Value::native(next));
    vm.push(Value::string(s));
    vm.push(Value::int(0));
    Ok(Act::returning(3))
}

fn next_strict(vm: &mut Vm) -> NativeResult {
    next(vm, true)
}

fn next_lax(vm: &mut Vm) -> NativeResult {
    next(vm, false)
}

/// The character behind the one at the position given, with its own position.
fn next(vm: &mut Vm, strict: bool) -> NativeResult {
    let s = vm.check_str(0)?.as_bytes();
    let control = vm.arg(1);
    // As an index this is the byte behind the last character's first.
    let mut at = usize::try_from(vm.to_int(control).unwrap_or(0)).unwrap_or(usize::MAX);
    while s.get(at).is_some_and(|&b| utf8core::is_continuation(b)) {
        at += 1;
    }
    if at >= s.len() {
        return vm.ret_none();
    }
    match utf8core::decode(&s[at..], strict) {
        Some((code, size))
            if !s
                .get(at + size)
                .is_some_and(|&b| utf8core::is_continuation(b)) =>
        {
            vm.push(Value::int(at as i64 + 1));
            vm.push(Value::int(code as i64));
            Ok(Act::returning(2))
        }
        _ => Err(vm.fail("invalid UTF-8 code")),
    }
}
