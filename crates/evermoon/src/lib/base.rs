//! The basic library (manual 6.1).

use crate::heap::value::Value;
use crate::vm::{NativeFn, NativeResult, Throw, Vm};

/// Name and function of each. `next` comes first: the loop knows it as native number 0.
const FUNCTIONS: &[(&str, NativeFn)] = &[("next", next), ("pairs", pairs), ("print", print)];

pub fn open(vm: &mut Vm) -> Result<(), Throw> {
    assert!(vm.natives.is_empty(), "the basic library is opened first: 'next' must be native number 0");
    let globals = vm.globals;
    vm.register_library("", globals, FUNCTIONS)?;
    vm.raw_set_name(globals, "_G", Value::table(globals))
}

/// `next (table [, index])`
fn next(vm: &mut Vm) -> NativeResult {
    let t = vm.check_table(0)?;
    let key = vm.arg(1);
    match t.next(key, &mut 0) {
        Ok(Some((key, value))) => {
            vm.push(key);
            vm.push(value);
            Ok(crate::vm::Act::Return(2))
        }
        Ok(None) => vm.ret(Value::NIL),
        Err(()) => Err(vm.fail("invalid key to 'next'")),
    }
}

fn pairs(vm: &mut Vm) -> NativeResult {
    let v = vm.check_any(0)?;
    vm.push(Value::native(0));
    vm.push(v);
    vm.push(Value::NIL);
    Ok(crate::vm::Act::Return(3))
}

fn print(vm: &mut Vm) -> NativeResult {
    let mut out = Vec::new();
    for i in 0..vm.slots() {
        if i > 0 {
            out.push(b'\t');
        }
        let v = vm.arg(i);
        vm.display(v, &mut out);
    }
    out.push(b'\n');
    vm.host.print(&out);
    vm.ret_none()
}
