//! `ext`: external tables, whose rows are in the world's store one by one, in the order of their keys. They are used like other tables;
//! here is how they are made, and what their order is good for. An engine has this library when it has a world.
//!
//! The order: false, true, numbers by value, strings bytewise.

use crate::heap::external::{encode_key, successor};
use crate::heap::object::Gc;
use crate::heap::table::Table;
use crate::heap::value::Value;
use crate::vm::{Act, NativeFn, NativeResult, Throw, Vm};

const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("clear", clear),
    ("count", count),
    ("is", is),
    ("range", range),
    ("table", table),
];

/// The name of the table in which host and program hand each other values for a run.
pub const EXCHANGE: &str = "_io";

/// Opens the library, and makes the table `_io`, which records refer to by name: its contents are not stored.
pub fn open(vm: &mut Vm) -> Result<(), Throw> {
    super::open_library(vm, "ext", FUNCTIONS)?;
    let exchange = vm.new_table()?;
    vm.set_permanent(EXCHANGE, Value::table(exchange));
    Ok(())
}

/// `ext.table ()`: a new external table.
fn table(vm: &mut Vm) -> NativeResult {
    let t = vm.new_external_table()?;
    vm.ret(Value::table(t))
}

/// `ext.is (v)`
fn is(vm: &mut Vm) -> NativeResult {
    let v = vm.check_any(0)?;
    let external = v.as_table().is_some_and(|t| t.header.is_external());
    vm.ret(Value::bool(external))
}

fn check_external(vm: &mut Vm, i: usize) -> Result<Gc<Table>, Throw> {
    match vm.arg(i).as_table() {
        Some(t) if t.header.is_external() => Ok(t),
        _ => Err(vm.arg_type_error(i, "external table")),
    }
}

/// The bounds in two arguments as encoded keys, the second exclusive; nil is no bound.
fn check_bounds(vm: &mut Vm, i: usize) -> Result<(Vec<u8>, Option<Vec<u8>>), Throw> {
    let mut bound = |i: usize| {
        let v = vm.arg(i);
        match encode_key(v) {
            _ if v.is_nil() => Ok(None),
            Some(encoded) => Ok(Some(encoded)),
            None => Err(vm.arg_type_error(i, "boolean, number or string")),
        }
    };
    Ok((bound(i)?.unwrap_or_default(), bound(i + 1)?.map(successor)))
}

/// `ext.clear (t)`: removes all rows.
fn clear(vm: &mut Vm) -> NativeResult {
    let t = check_external(vm, 0)?;
    vm.ext_clear(t);
    vm.ret_none()
}

/// `ext.count (t [, from [, to]])`: how many rows have keys from `from` to `to`, both inclusive.
fn count(vm: &mut Vm) -> NativeResult {
    let t = check_external(vm, 0)?;
    let (low, high) = check_bounds(vm, 1)?;
    let n = vm.ext_count(t, &low, high.as_deref())?;
    vm.ret(Value::int(n as i64))
}

/// Upvalues of an iterator over a range.
mod upval {
    pub const TABLE: usize = 0;
    pub const FROM: usize = 1;
    pub const TO: usize = 2;
    /// The last key given; nil in the beginning.
    pub const LAST: usize = 3;
    /// How many more; -1 for no limit.
    pub const LEFT: usize = 4;
    pub const REVERSE: usize = 5;
}

/// `ext.range (t [, from [, to [, options]]])`: for a generic `for`, the rows with keys from `from` to `to`, both inclusive (nil: no bound);
/// options `reverse` (from the end) and `limit`. Rows may be changed, added and removed meanwhile. The iterator is a closure of this same
/// native.
fn range(vm: &mut Vm) -> NativeResult {
    if vm.callee().is_some() {
        return range_next(vm);
    }
    let t = check_external(vm, 0)?;
    check_bounds(vm, 1)?;
    let (mut limit, mut reverse) = (-1, Value::FALSE);
    if !vm.arg(3).is_nil() {
        let options = vm.check_table(3)?;
        reverse = Value::bool(vm.raw_get_name(options, "reverse")?.is_truthy());
        let v = vm.raw_get_name(options, "limit")?;
        if !v.is_nil() {
            limit = match vm.to_int(v) {
                Some(n) if n >= 0 => n,
                _ => return Err(vm.arg_error(3, "limit is no count")),
            };
        }
    }
    let (from, to) = (vm.arg(1), vm.arg(2));
    let upvals = [
        Value::table(t),
        from,
        to,
        Value::NIL,
        Value::int(limit),
        reverse,
    ];
    let iterator = vm.heap.native_closure(vm.native_number(), &upvals)?;
    vm.ret(Value::native_closure(iterator))
}

fn range_next(vm: &mut Vm) -> NativeResult {
    let Some(t) = vm.upval(upval::TABLE).as_table() else {
        return vm.ret(Value::NIL);
    };
    vm.touch_table(t)?;
    let (from, to) = (vm.upval(upval::FROM), vm.upval(upval::TO));
    let (last, left) = (vm.upval(upval::LAST), vm.upval(upval::LEFT).raw_int());
    let reverse = vm.upval(upval::REVERSE).is_truthy();
    if left == 0 || !t.header.is_external() {
        return vm.ret(Value::NIL);
    }
    let mut low = encode_key(from).unwrap_or_default();
    let mut high = encode_key(to).map(successor);
    if let Some(last) = encode_key(last) {
        if reverse {
            high = Some(last);
        } else {
            low = successor(last);
        }
    }
    match vm.ext_row(t, &low, high.as_deref(), reverse)? {
        Some((_, key, value)) => {
            vm.set_upval(upval::LAST, key);
            vm.set_upval(upval::LEFT, Value::int((left - 1).max(-1)));
            vm.push(key);
            vm.push(value);
            Ok(Act::returning(2))
        }
        None => {
            vm.set_upval(upval::LEFT, Value::int(0));
            vm.ret(Value::NIL)
        }
    }
}
