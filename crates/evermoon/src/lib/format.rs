//! `string.format` (manual 6.4): takes the arguments and hands them to the conversions of `cformat.rs`.
//!
//! `%s` may have to call a `__tostring`. Then the formatting turns into a walk over the rest of the format that makes all those calls,
//! each result taking its argument's place, and afterwards formats from the beginning. So what is remembered during a call is two
//! numbers, and the text is never copied back and forth; conversions on the way are made and dropped, because one that
//! fails must do so before later arguments are called.
//!
//! Long arguments are taken as they are, and the slice is looked at between conversions (`pieces.rs`).

use super::cformat::{self, FormatError, RawSpec};
use super::pieces::{self, Pieces};
use super::string::check_size;
use crate::heap::number;
use crate::heap::value::{Type, Value, tag};
use crate::vm::meta::Event;
use crate::vm::{Act, NativeResult, Throw, Vm};

/// What a walk over the format is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Walk {
    /// The result, unless a call comes up.
    First,
    /// Calls.
    Calls,
    /// The result; there are no calls left to make.
    Last,
}

impl Walk {
    fn from_number(n: i64) -> Walk {
        match n {
            0 => Walk::First,
            1 => Walk::Calls,
            _ => Walk::Last,
        }
    }
}

/// States between two conversions, and while the result is being joined.
const BETWEEN: u32 = 1 << 30;
const JOINING: u32 = BETWEEN + 1;

/// `string.format (formatstring, ···)`. State: 0, one of the two above, or the number of the argument whose `__tostring` is being called;
/// then the position in the format and the call's result are behind the arguments. In `BETWEEN` that is: which walk, position, how
/// much of a `%q` is done, argument, and the text so far.
#[cfg_attr(evermoon_small, optimize(speed))]
pub(super) fn format(vm: &mut Vm) -> NativeResult {
    let (mut walk, mut at, mut arg, mut quoted) = (Walk::First, 0, 0, 0);
    let mut text = None;
    match vm.state() {
        0 => {}
        JOINING => {
            let made = Pieces::go_on(vm)?;
            return joined(vm, made);
        }
        BETWEEN => {
            text = Some(Pieces::restore(vm));
            arg = vm.pop().raw_int() as usize;
            quoted = vm.pop().raw_int() as usize;
            at = vm.pop().raw_int() as usize;
            walk = Walk::from_number(vm.pop().raw_int());
        }
        state => {
            arg = state as usize;
            let text = vm.pop();
            at = vm.pop().raw_int() as usize;
            if !text.is_string() && !text.is_number() {
                return Err(vm.fail("'__tostring' must return a string"));
            }
            if arg < vm.slots() {
                vm.set_slot(arg, text);
            }
            walk = Walk::Calls;
        }
    }
    let format = vm.check_str(0)?.as_bytes();
    let mut text = match text {
        Some(text) => text,
        None => Pieces::new(vm),
    };
    loop {
        let Some(rest) = format.get(at..).filter(|rest| !rest.is_empty()) else {
            if walk != Walk::Calls {
                break;
            }
            (walk, at, arg) = (Walk::Last, 0, 0);
            text.clear();
            continue;
        };
        if vm.slice_used_up() {
            vm.ensure_stack(8)?;
            for n in [walk as i64, at as i64, quoted as i64, arg as i64] {
                vm.push(Value::int(n));
            }
            text.put_aside(vm)?;
            vm.set_state(BETWEEN);
            return Ok(Act::AGAIN);
        }
        text.settle(vm)?;
        if rest[0] != b'%' {
            let window = &rest[..rest.len().min(pieces::STEP)];
            let at_percent = window.iter().position(|&c| c == b'%');
            let literal = at_percent.unwrap_or(window.len());
            text.out.extend_from_slice(&rest[..literal]);
            vm.charge(literal as u64 >> 8);
            at += literal;
            continue;
        }
        if rest.get(1) == Some(&b'%') {
            text.out.push(b'%');
            at += 2;
            continue;
        }
        // (In the middle of a `%q` the argument is counted already.)
        let number = if quoted > 0 { arg } else { arg + 1 };
        arg = number;
        if !vm.has_arg(arg) {
            return Err(vm.arg_error(arg, "no value"));
        }
        let raw = RawSpec::scan(format, at).map_err(|e| format_error(vm, e))?;
        let value = vm.arg(arg);
        if raw.conversion == b's' && walk != Walk::Last {
            let handler = vm.metamethod(value, Event::ToString);
            if !handler.is_nil() {
                vm.push(Value::int((at + raw.len()) as i64));
                vm.push(handler);
                vm.push(value);
                vm.set_state(arg as u32);
                vm.give_scratch(text.out);
                return Ok(Act::calling(1, 1));
            }
        }
        if walk == Walk::Calls {
            text.clear();
        }
        vm.charge(1);
        if raw.conversion == b'q'
            && let Some(s) = value.as_str()
            && s.len() > pieces::AT_ONCE
            && raw.is_plain()
        {
            // In parts.
            if quoted == 0 {
                text.out.push(b'"');
            }
            let end = s.len().min(quoted + pieces::STEP);
            cformat::push_quoted_part(&mut text.out, s.as_bytes(), quoted, end);
            vm.charge((end - quoted) as u64 >> 5);
            quoted = end;
            if quoted < s.len() {
                check_size(vm, text.len())?;
                continue;
            }
            text.out.push(b'"');
            quoted = 0;
            at += raw.len();
            continue;
        }
        at += raw.len();
        let before = text.out.len();
        convert(vm, &mut text, raw, arg, value)?;
        // (What is taken as it is, is copied later.)
        vm.charge(text.out.len().saturating_sub(before) as u64 >> 6);
    }
    let made = text.finish(vm, Value::NIL)?;
    joined(vm, made)
}

fn joined(vm: &mut Vm, made: Option<Value>) -> NativeResult {
    match made {
        Some(made) => vm.ret(made),
        None => {
            vm.set_state(JOINING);
            Ok(Act::AGAIN)
        }
    }
}

#[cold]
fn format_error(vm: &mut Vm, e: FormatError) -> Throw {
    vm.fail_bytes(&e.message())
}

/// Appends one argument as its specification says.
fn convert(
    vm: &mut Vm,
    text: &mut Pieces,
    raw: RawSpec,
    arg: usize,
    value: Value,
) -> Result<(), Throw> {
    if raw.conversion == b's'
        && raw.is_plain()
        && let Some(s) = value.as_str()
    {
        check_size(vm, text.len() + s.len())?;
        return text.add(vm, s);
    }
    let out = &mut text.out;
    macro_rules! spec {
        () => {
            raw.check().map_err(|e| format_error(vm, e))?
        };
    }
    match raw.conversion {
        b'd' | b'i' => {
            let n = vm.check_int(arg)?;
            if raw.is_plain() {
                number::push_int(out, n);
            } else {
                cformat::push_int(out, &spec!(), n);
            }
        }
        b'u' | b'o' | b'x' | b'X' => {
            let n = vm.check_int(arg)?;
            cformat::push_uint(out, &spec!(), n);
        }
        b'c' => {
            let spec = spec!();
            let n = vm.check_int(arg)?;
            cformat::push_char(out, &spec, n);
        }
        b'a' | b'A' => {
            let spec = spec!();
            let f = vm.check_float(arg)?;
            cformat::push_float(out, &spec, f);
        }
        b'e' | b'E' | b'f' | b'g' | b'G' => {
            let f = vm.check_float(arg)?;
            cformat::push_float(out, &spec!(), f);
        }
        b'p' => {
            let spec = spec!();
            let text = match value.type_of() {
                Type::Nil | Type::Boolean | Type::Number => "(null)".to_string(),
                _ => format!("0x{:08x}", vm.heap.printed_id(value)),
            };
            cformat::push_str(out, &spec, text.as_bytes());
        }
        b'q' => {
            if !raw.is_plain() {
                return Err(format_error(vm, FormatError::Modifiers));
            }
            push_literal(vm, out, arg, value)?;
        }
        b's' => push_string(vm, out, raw, arg, value)?,
        _ => return Err(format_error(vm, raw.unknown())),
    }
    Ok(())
}

/// `%s` of a value whose `__tostring` has been called already if it has one.
#[cfg_attr(evermoon_small, optimize(speed))]
fn push_string(
    vm: &mut Vm,
    out: &mut Vec<u8>,
    raw: RawSpec,
    arg: usize,
    value: Value,
) -> Result<(), Throw> {
    if let Some(s) = value.as_str() {
        let text = s.as_bytes();
        check_size(vm, out.len() + text.len())?;
        if raw.is_plain() {
            out.extend_from_slice(text);
            return Ok(());
        }
        return push_modified(vm, out, raw, arg, text);
    }
    let start = out.len();
    vm.display(value, out);
    if raw.is_plain() {
        return Ok(());
    }
    let text = out.split_off(start);
    push_modified(vm, out, raw, arg, &text)
}

#[cfg_attr(evermoon_small, optimize(speed))]
fn push_modified(
    vm: &mut Vm,
    out: &mut Vec<u8>,
    raw: RawSpec,
    arg: usize,
    text: &[u8],
) -> Result<(), Throw> {
    if text.contains(&0) {
        return Err(vm.arg_error(arg, "string contains zeros"));
    }
    let spec = raw.check().map_err(|e| format_error(vm, e))?;
    cformat::push_str(out, &spec, text);
    Ok(())
}

/// `%q`: what a Lua program would say to get the value.
#[cfg_attr(evermoon_small, optimize(speed))]
fn push_literal(vm: &mut Vm, out: &mut Vec<u8>, arg: usize, value: Value) -> Result<(), Throw> {
    match value.tag {
        tag::STR | tag::LONG_STR => {
            if let Some(s) = value.as_str() {
                // A byte takes four at most.
                check_size(vm, out.len() + s.len())?;
                cformat::push_quoted_str(out, s.as_bytes());
            }
        }
        tag::INT => cformat::push_quoted_int(out, value.raw_int()),
        tag::FLOAT => cformat::push_quoted_float(out, value.raw_float()),
        tag::NIL | tag::FALSE | tag::TRUE => vm.display(value, out),
        _ => return Err(vm.arg_error(arg, "value has no literal form")),
    }
    Ok(())
}
