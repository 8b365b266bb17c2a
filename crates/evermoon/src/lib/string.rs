//! The string library (manual 6.4): what works on bytes alone. Formatting, patterns and packing have files of their own.
//!
//! Strings are bytes and letters are those of the "C" locale. Results are made in place or on the host's stack where they are
//! short. Nothing here calls Lua; long strings are made in parts (`pieces.rs`), and then the function's only state is [`FILLING`].

use super::{format, open_library, pack, pieces, strpattern};
use crate::bytecode::chunk;
use crate::heap::object::Gc;
use crate::heap::string::Str;
use crate::heap::value::{Type, Value};
use crate::vm::{Act, LongStrings, NativeFn, NativeResult, Throw, Vm};

const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("byte", byte),
    ("char", char),
    ("dump", dump),
    ("find", strpattern::find),
    ("format", format::format),
    ("gmatch", strpattern::gmatch),
    ("gsub", strpattern::gsub),
    ("len", len),
    ("lower", lower),
    ("match", strpattern::match_),
    ("pack", pack::pack),
    ("packsize", pack::packsize),
    ("rep", rep),
    ("reverse", reverse),
    ("sub", sub),
    ("unpack", pack::unpack),
    ("upper", upper),
];

pub fn open(vm: &mut Vm) -> Result<(), Throw> {
    let library = open_library(vm, "string", FUNCTIONS)?;
    let [join, less, less_equal, equal] =
        pieces::FOR_THE_LOOP.map(|(name, f)| vm.register("string", name, f).bits as u32);
    vm.set_long_strings(LongStrings {
        join,
        less,
        less_equal,
        equal,
    });
    // Arithmetic on strings is the machine's (`vm/meta.rs`), so this is all there is to it.
    let metatable = vm.new_table()?;
    vm.raw_set_name(metatable, "__index", Value::table(library))?;
    vm.type_metatables[Type::String as usize] = Some(metatable);
    Ok(())
}

/// Where a range begins: negative positions count from the end, and those before the string are 1.
#[inline]
#[cfg_attr(evermoon_small, optimize(speed))]
pub(super) fn start_position(position: i64, len: usize) -> u64 {
    if position > 0 {
        position as u64
    } else if position == 0 || position < -(len as i64) {
        1
    } else {
        (len as i64 + position + 1) as u64
    }
}

/// Where a range ends, the last byte included: positions before the string are 0, those behind it its length.
#[inline]
#[cfg_attr(evermoon_small, optimize(speed))]
pub(super) fn end_position(position: i64, len: usize) -> u64 {
    if position > len as i64 {
        len as u64
    } else if position >= 0 {
        position as u64
    } else {
        (len as i64 + position + 1).max(0) as u64
    }
}

/// The part of `s` from one position to another.
#[inline]
#[cfg_attr(evermoon_small, optimize(speed))]
fn slice(s: &[u8], first: i64, last: i64) -> &[u8] {
    let start = start_position(first, s.len());
    let end = end_position(last, s.len());
    // `end` is at most the length, so both are indices if the part is not empty.
    if start > end {
        &[]
    } else {
        &s[start as usize - 1..end as usize]
    }
}

/// Whether a string of so many bytes may be made now.
pub(super) fn check_size(vm: &mut Vm, len: usize) -> Result<(), Throw> {
    if len > vm.limits.string_max {
        return Err(vm.fail("resulting string too large"));
    }
    Ok(vm.heap.reserve(len)?)
}

/// The result is being filled in; its slots are the last ones.
const FILLING: u32 = 1;

/// Returns a string of `len` bytes, more than a short one's, that is made in parts. The function has `args` arguments, which it looks at
/// anew each time; `part` as for [`pieces::fill`].
fn ret_filled(
    vm: &mut Vm,
    args: usize,
    len: usize,
    part: &mut dyn FnMut(&mut [u8], usize, usize),
) -> NativeResult {
    if vm.state() != FILLING {
        vm.set_state(FILLING);
        vm.set_slots(args)?;
        pieces::begin_fill(vm, len)?;
    }
    Ok(if pieces::fill(vm, part)? {
        Act::returning(1)
    } else {
        Act::AGAIN
    })
}

/// Returns a string as long as `s` whose bytes `change` makes of those of `s`, which it finds in place, from either end.
fn ret_same_length(
    vm: &mut Vm,
    s: Gc<Str>,
    backwards: bool,
    change: fn(&mut [u8]),
) -> NativeResult {
    let text = s.as_bytes();
    if text.len() > pieces::AT_ONCE {
        return ret_filled(vm, 1, text.len(), &mut |made, from, to| {
            let source = if backwards {
                &text[text.len() - to..text.len() - from]
            } else {
                &text[from..to]
            };
            made[from..to].copy_from_slice(source);
            change(&mut made[from..to]);
        });
    }
    vm.charge(s.len() as u64 >> 8);
    let made = vm.heap.string_filled(s.len(), &mut |made| {
        made.copy_from_slice(text);
        change(made);
    })?;
    vm.ret(Value::string(made))
}

/// `string.byte (s [, i [, j]])`
#[cfg_attr(evermoon_small, optimize(speed))]
fn byte(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(0)?;
    let first = vm.opt_int(1, 1)?;
    let last = vm.opt_int(2, first)?;
    match *slice(s.as_bytes(), first, last) {
        [] => vm.ret_none(),
        [byte] => vm.ret(Value::int(byte as i64)),
        ref bytes => {
            vm.charge(bytes.len() as u64 >> 4);
            if bytes.len() >= i32::MAX as usize {
                return Err(vm.fail("string slice too long"));
            }
            ensure_results(vm, bytes.len(), "string slice too long")?;
            for &byte in bytes {
                vm.push(Value::int(byte as i64));
            }
            Ok(Act::returning(bytes.len() as u32))
        }
    }
}

/// Room for so many results (`luaL_checkstack`).
pub(super) fn ensure_results(vm: &mut Vm, count: usize, message: &str) -> Result<(), Throw> {
    if count > vm.limits.stack_max {
        return Err(vm.fail(&format!("stack overflow ({message})")));
    }
    vm.ensure_stack(count)
}

/// `string.char (···)`
#[cfg_attr(evermoon_small, optimize(speed))]
fn char(vm: &mut Vm) -> NativeResult {
    let count = vm.slots();
    let mut short = [0u8; 32];
    if let Some(text) = short.get_mut(..count) {
        for (i, slot) in text.iter_mut().enumerate() {
            *slot = char_argument(vm, i)?;
        }
        return vm.ret_bytes(&short[..count]);
    }
    vm.charge(count as u64 >> 4);
    let mut text = vm.take_scratch();
    for i in 0..count {
        let byte = char_argument(vm, i)?;
        text.push(byte);
    }
    let made = vm.new_string(&text)?;
    vm.give_scratch(text);
    vm.ret(made)
}

#[inline]
#[cfg_attr(evermoon_small, optimize(speed))]
fn char_argument(vm: &mut Vm, i: usize) -> Result<u8, Throw> {
    let code = vm.check_int(i)?;
    u8::try_from(code).map_err(|_| vm.arg_error(i, "value out of range"))
}

/// `string.dump (function [, strip])`
fn dump(vm: &mut Vm) -> NativeResult {
    let function = vm.arg(0);
    let strip = vm.arg(1).is_truthy();
    if !function.is_function() {
        return Err(vm.arg_type_error(0, "function"));
    }
    let Some(closure) = function.as_lua_closure() else {
        return Err(vm.fail("unable to dump given function"));
    };
    let bytes = chunk::dump(&vm.heap.plain_proto(closure.proto), strip);
    vm.charge(bytes.len() as u64 >> 4);
    vm.ret_bytes(&bytes)
}

/// `string.len (s)`
fn len(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(0)?;
    vm.ret(Value::int(s.len() as i64))
}

/// `string.lower (s)`
fn lower(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(0)?;
    ret_same_length(vm, s, false, <[u8]>::make_ascii_lowercase)
}

/// `string.upper (s)`
fn upper(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(0)?;
    ret_same_length(vm, s, false, <[u8]>::make_ascii_uppercase)
}

/// `string.reverse (s)`
fn reverse(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(0)?;
    ret_same_length(vm, s, true, <[u8]>::reverse)
}

/// `string.rep (s, n [, sep])`
fn rep(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(0)?;
    let n = vm.check_int(1)?;
    let sep = match vm.opt_str(2)? {
        Some(sep) => sep.as_bytes(),
        None => &[],
    };
    let text = s.as_bytes();
    if n <= 0 {
        return vm.ret_bytes(b"");
    }
    // As in the reference, a separator too many is counted here.
    let unit = text.len() + sep.len();
    let total = usize::try_from(n)
        .unwrap_or(usize::MAX)
        .saturating_mul(unit);
    check_size(vm, total)?;
    let total = total - sep.len();
    if total == 0 {
        return vm.ret_bytes(b"");
    }
    if n == 1 {
        return vm.ret(Value::string(s));
    }
    if total > pieces::AT_ONCE {
        return ret_filled(vm, 3, total, &mut |out, from, to| {
            repeat(out, text, sep, from, to);
        });
    }
    vm.charge(total as u64 >> 8);
    let made = vm
        .heap
        .string_filled(total, &mut |out| repeat(out, text, sep, 0, total))?;
    vm.ret(Value::string(made))
}

/// Fills `out[from..to]`, all before being there: text and separator in turns.
fn repeat(out: &mut [u8], text: &[u8], sep: &[u8], from: usize, to: usize) {
    if let &[byte] = text
        && sep.is_empty()
    {
        return out[from..to].fill(byte);
    }
    let unit = text.len() + sep.len();
    let mut at = from;
    while at < to {
        // Whole units that are there already are copied at once, else what comes next of the unit.
        let back = at.min(pieces::STEP) / unit * unit;
        let count = if back > 0 {
            let count = back.min(to - at);
            out.copy_within(at - back..at - back + count, at);
            count
        } else {
            let place = at % unit;
            let source = match text.get(place..) {
                Some(rest) if !rest.is_empty() => rest,
                _ => &sep[place - text.len()..],
            };
            let count = source.len().min(to - at);
            out[at..at + count].copy_from_slice(&source[..count]);
            count
        };
        at += count;
    }
}

/// `string.sub (s, i [, j])`
#[cfg_attr(evermoon_small, optimize(speed))]
fn sub(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(0)?;
    let first = vm.check_int(1)?;
    let last = vm.opt_int(2, -1)?;
    let part = slice(s.as_bytes(), first, last);
    if part.len() == s.len() {
        return vm.ret(Value::string(s));
    }
    if part.len() > pieces::AT_ONCE {
        return ret_filled(vm, 3, part.len(), &mut |made, from, to| {
            made[from..to].copy_from_slice(&part[from..to]);
        });
    }
    vm.charge(part.len() as u64 >> 8);
    let made = vm.heap.string(part)?;
    vm.ret(Value::string(made))
}
