//! `string.pack`, `packsize` and `unpack` (manual 6.4.2) over the formats of `packfmt.rs`.

use super::packfmt::{self, Blame, Kind, Options, PackError};
use super::pieces::Pieces;
use super::string::{check_size, ensure_results, start_position};
use crate::heap::value::Value;
use crate::vm::{Act, NativeResult, Throw, Vm};

/// The error as the reference reports it; `value` is the argument that was being packed.
#[cold]
fn pack_error(vm: &mut Vm, e: PackError, value: usize) -> Throw {
    match e.blame() {
        Blame::Nobody => vm.fail_bytes(&e.message()),
        Blame::Format => vm.arg_error(0, &e.to_string()),
        Blame::Value => vm.arg_error(value, &e.to_string()),
        Blame::Data => vm.arg_error(1, &e.to_string()),
    }
}

/// `string.pack (fmt, v1, v2, ···)`
pub(super) fn pack(vm: &mut Vm) -> NativeResult {
    if vm.state() == JOINING {
        let made = Pieces::go_on(vm)?;
        return joined(vm, made);
    }
    let mut options = Options::new(vm.check_str(0)?.as_bytes());
    // A value that is missing is reported as nil: the reference keeps one behind its arguments.
    vm.push(Value::NIL);
    let mut text = Pieces::new(vm);
    let mut arg = 0;
    while let Some(item) = options
        .next(text.len())
        .map_err(|e| pack_error(vm, e, arg))?
    {
        text.settle(vm)?;
        let total = text.len();
        if item.align + item.size > 64 {
            check_size(vm, total + item.align + item.size)?;
        }
        text.out
            .resize(text.out.len() + item.align, packfmt::PADDING);
        let out = &mut text.out;
        if item.has_value() {
            arg += 1;
        }
        match item.kind {
            Kind::Int => {
                let n = vm.check_int(arg)?;
                packfmt::check_int(n, item.size).map_err(|e| pack_error(vm, e, arg))?;
                packfmt::push_int(out, n, item.size, item.little, true);
            }
            Kind::Uint => {
                let n = vm.check_int(arg)?;
                packfmt::check_uint(n, item.size).map_err(|e| pack_error(vm, e, arg))?;
                packfmt::push_int(out, n, item.size, item.little, false);
            }
            Kind::Float => {
                let f = vm.check_float(arg)?;
                packfmt::push_single(out, f, item.little);
            }
            Kind::Double => {
                let f = vm.check_float(arg)?;
                packfmt::push_double(out, f, item.little);
            }
            Kind::Chars => {
                let s = vm.check_str(arg)?.as_bytes();
                let Some(fill) = item.size.checked_sub(s.len()) else {
                    return Err(pack_error(vm, PackError::StringTooLong, arg));
                };
                out.extend_from_slice(s);
                out.resize(out.len() + fill, packfmt::PADDING);
            }
            Kind::Counted => {
                let s = vm.check_str(arg)?;
                packfmt::check_length(s.len(), item.size).map_err(|e| pack_error(vm, e, arg))?;
                check_size(vm, total + item.size + s.len())?;
                packfmt::push_int(out, s.len() as i64, item.size, item.little, false);
                text.add(vm, s)?;
            }
            Kind::Zero => {
                let s = vm.check_str(arg)?;
                if super::pattern::position(s.as_bytes(), 0).is_some() {
                    return Err(pack_error(vm, PackError::StringContainsZeros, arg));
                }
                check_size(vm, total + s.len() + 1)?;
                text.add(vm, s)?;
                text.out.push(0);
            }
            Kind::Padding => out.push(packfmt::PADDING),
            Kind::Nothing => {}
        }
    }
    vm.charge(options.read() as u64 >> 4);
    let made = text.finish(vm, Value::NIL)?;
    joined(vm, made)
}

/// State of `pack` while its result is being joined.
const JOINING: u32 = 1;

fn joined(vm: &mut Vm, made: Option<Value>) -> NativeResult {
    match made {
        Some(made) => vm.ret(made),
        None => {
            vm.set_state(JOINING);
            Ok(Act::AGAIN)
        }
    }
}

/// `string.packsize (fmt)`
pub(super) fn packsize(vm: &mut Vm) -> NativeResult {
    let format = vm.check_str(0)?.as_bytes();
    vm.charge(format.len() as u64 >> 4);
    match packfmt::packed_size(format) {
        Ok(size) => vm.ret(Value::int(size as i64)),
        Err(e) => Err(pack_error(vm, e, 0)),
    }
}

/// `string.unpack (fmt, s [, pos])`
pub(super) fn unpack(vm: &mut Vm) -> NativeResult {
    let format = vm.check_str(0)?.as_bytes();
    let data = vm.check_str(1)?.as_bytes();
    let position = vm.opt_int(2, 1)?;
    let mut at = match usize::try_from(start_position(position, data.len()) - 1) {
        Ok(at) if at <= data.len() => at,
        _ => return Err(vm.arg_error(2, "initial position out of string")),
    };
    vm.charge(format.len() as u64 >> 4);
    let mut options = Options::new(format);
    let mut count = 0;
    while let Some(item) = options.next(at).map_err(|e| pack_error(vm, e, 0))? {
        let short = |vm: &mut Vm| pack_error(vm, PackError::DataTooShort, 0);
        // Where the item begins and where it ends; both are in the data.
        let start = at.saturating_add(item.align);
        let Some(bytes) = data.get(start..start.saturating_add(item.size)) else {
            return Err(short(vm));
        };
        at = start + item.size;
        let value = match item.kind {
            Kind::Int | Kind::Uint => {
                let n = packfmt::read_int(bytes, item.little, item.kind == Kind::Int);
                Value::int(n.map_err(|e| pack_error(vm, e, 0))?)
            }
            Kind::Float | Kind::Double => Value::float(packfmt::read_float(bytes, item.little)),
            Kind::Chars => {
                vm.charge(bytes.len() as u64 >> 8);
                vm.new_string(bytes)?
            }
            Kind::Counted => {
                let n = packfmt::read_int(bytes, item.little, false)
                    .map_err(|e| pack_error(vm, e, 0))?;
                let end = usize::try_from(n as u64)
                    .ok()
                    .and_then(|len| at.checked_add(len));
                let Some(text) = end.and_then(|end| data.get(at..end)) else {
                    return Err(short(vm));
                };
                at += text.len();
                vm.charge(text.len() as u64 >> 8);
                vm.new_string(text)?
            }
            Kind::Zero => {
                let Some(len) = super::pattern::position(&data[at..], 0) else {
                    return Err(pack_error(vm, PackError::UnfinishedString, 0));
                };
                let text = &data[at..at + len];
                at += len + 1;
                vm.charge(len as u64 >> 7);
                vm.new_string(text)?
            }
            Kind::Padding | Kind::Nothing => continue,
        };
        ensure_results(vm, 2, "too many results")?;
        vm.push(value);
        count += 1;
    }
    vm.push(Value::int(at as i64 + 1));
    Ok(Act::returning(count + 1))
}
