//! The coroutine library (manual 6.2). The switching itself is the VM's (`vm/call.rs`); here are the arguments and the words.

use crate::heap::coroutine::{Coroutine, Status};
use crate::heap::object::Gc;
use crate::heap::value::Value;
use crate::vm::call::{CLOSED, WRAP_FAILED};
use crate::vm::{Act, NativeFn, NativeResult, Throw, Vm};

/// The function behind `wrap` comes right behind `wrap`, which finds it there.
const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("close", close),
    ("create", create),
    ("isyieldable", isyieldable),
    ("resume", resume),
    ("running", running),
    ("status", status),
    ("yield", yield_),
    ("wrap", wrap),
];

pub fn open(vm: &mut Vm) -> Result<(), Throw> {
    super::open_library(vm, "coroutine", FUNCTIONS)?;
    vm.register("coroutine", "wrap.call", wrap_call);
    Ok(())
}

fn check_coroutine(vm: &mut Vm, i: usize) -> Result<Gc<Coroutine>, Throw> {
    match vm.arg(i).as_coroutine() {
        Some(co) => Ok(co),
        None => Err(vm.arg_type_error(i, "thread")),
    }
}

fn check_function(vm: &mut Vm, i: usize) -> Result<Value, Throw> {
    let v = vm.arg(i);
    if v.is_function() {
        Ok(v)
    } else {
        Err(vm.arg_type_error(i, "function"))
    }
}

/// `coroutine.create (f)`
fn create(vm: &mut Vm) -> NativeResult {
    let f = check_function(vm, 0)?;
    let co = vm.new_coroutine(f)?;
    vm.ret(Value::coroutine(co))
}

/// `coroutine.resume (co [, val1, ···])`
#[cfg_attr(evermoon_small, optimize(speed))]
fn resume(vm: &mut Vm) -> NativeResult {
    check_coroutine(vm, 0)?;
    Ok(Act::resuming(vm.slots() as u32 - 1))
}

/// `coroutine.yield (···)`
#[cfg_attr(evermoon_small, optimize(speed))]
fn yield_(vm: &mut Vm) -> NativeResult {
    Ok(Act::yielding(vm.slots() as u32))
}

/// `coroutine.wrap (f)`
fn wrap(vm: &mut Vm) -> NativeResult {
    let f = check_function(vm, 0)?;
    let co = vm.new_coroutine(f)?;
    let number = vm.callee_number() + 1;
    let closure = vm.heap.native_closure(number, &[Value::coroutine(co)])?;
    vm.ret(Value::native_closure(closure))
}

/// What `wrap` returns: resumes its coroutine and passes errors on, with the caller's position before those that are strings.
#[cfg_attr(evermoon_small, optimize(speed))]
fn wrap_call(vm: &mut Vm) -> NativeResult {
    if vm.state() == WRAP_FAILED {
        let error = vm.pop();
        return Err(match error.as_str() {
            Some(s) => vm.fail_bytes(s.as_bytes()),
            None => vm.throw(error),
        });
    }
    Ok(Act::resuming_wrapped(vm.slots() as u32))
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Suspended => "suspended",
        Status::Running => "running",
        Status::Normal => "normal",
        Status::Dead => "dead",
    }
}

/// `coroutine.status (co)`
fn status(vm: &mut Vm) -> NativeResult {
    let co = check_coroutine(vm, 0)?;
    vm.ret_bytes(status_name(co.status).as_bytes())
}

/// `coroutine.isyieldable ([co])`
fn isyieldable(vm: &mut Vm) -> NativeResult {
    let co = if vm.arg(0).is_nil() {
        vm.current
    } else {
        check_coroutine(vm, 0)?
    };
    let answer = vm.is_yieldable_in(co);
    vm.ret(Value::bool(answer))
}

/// `coroutine.running ()`
fn running(vm: &mut Vm) -> NativeResult {
    let mut co = vm.current;
    co.seen = true;
    vm.push(Value::coroutine(co));
    vm.push(Value::bool(co.resumer.is_none()));
    Ok(Act::returning(2))
}

/// `coroutine.close (co)`
fn close(vm: &mut Vm) -> NativeResult {
    if vm.state() == CLOSED {
        // `true`, or `false` and the error, are on top.
        let ok = vm.arg(vm.slots() - 2).is_truthy();
        if ok {
            vm.pop();
        }
        return Ok(Act::returning(if ok { 1 } else { 2 }));
    }
    let co = check_coroutine(vm, 0)?;
    match co.status {
        Status::Suspended | Status::Dead => Ok(Act::CLOSE_COROUTINE),
        status => Err(vm.fail(&format!("cannot close a {} coroutine", status_name(status)))),
    }
}
