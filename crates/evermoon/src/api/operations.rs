//! The natives that the API itself needs: operations with metamethods, and the message handler. Lua code never sees them.

use super::error::{Error, Result};
use super::lua::Lua;
use super::value::{MultiValue, Value};
use crate::heap::value::Value as Raw;
use crate::vm::meta::Event;
use crate::vm::{Act, NativeResult, Throw, Vm};
use std::cell::RefCell;
use std::rc::Rc;

/// Numbers of the natives, and slots of what else the API keeps.
pub(crate) struct Natives {
    pub(crate) index: Raw,
    pub(crate) set_index: Raw,
    pub(crate) length: Raw,
    pub(crate) equals: Raw,
    pub(crate) tostring: Raw,
    pub(crate) resume: Raw,
    pub(crate) main: Raw,
    pub(crate) handler: Raw,
    /// Handle slot of the metatable of errors that cross Lua.
    pub(crate) error_metatable: u32,
}

/// What the message handler found out about an error, before the stack was unwound.
pub(crate) struct Report {
    pub(crate) message: String,
    pub(crate) traceback: Option<String>,
}

/// Where the message handler leaves its report; a userdata's content.
struct ReportTo(Rc<RefCell<Option<Report>>>);

pub(crate) fn register(
    vm: &mut Vm,
    report: &Rc<RefCell<Option<Report>>>,
) -> Result<Natives, Throw> {
    let handler = vm.register("engine", "message_handler", message_handler);
    let report = vm.heap.userdata(Some(Box::new(ReportTo(report.clone()))))?;
    let handler = Raw::native_closure(
        vm.heap
            .native_closure(handler.bits as u32, &[Raw::userdata(report)])?,
    );
    let metatable = vm.new_table()?;
    let name = vm.new_string(b"error")?;
    vm.raw_set_name(metatable, "__name", name)?;
    vm.raw_set_name(metatable, "__metatable", Raw::FALSE)?;
    let text = vm.register("engine", "error_text", error_text);
    vm.raw_set_name(metatable, "__tostring", text)?;
    let error_metatable = vm.hold(Raw::table(metatable)).slot;
    Ok(Natives {
        index: vm.register("engine", "index", index),
        set_index: vm.register("engine", "set_index", set_index),
        length: vm.register("engine", "length", length),
        equals: vm.register("engine", "equals", equals),
        tostring: vm.register("engine", "tostring", tostring),
        resume: vm.register("engine", "resume", resume),
        main: crate::stdlib::main_entry(vm),
        handler,
        error_metatable,
    })
}

impl Lua {
    /// Calls one of the natives above.
    pub(crate) fn operate(&self, native: Raw, args: &[Value]) -> Result<MultiValue> {
        self.call_with(|_| Ok(native), args)
    }
}

/// State of an operation that waits for its metamethod's result, which is then its last slot.
const CALLED: u32 = 1;

fn wait(vm: &mut Vm, args: u32, results: i16) -> NativeResult {
    vm.set_state(CALLED);
    Ok(Act::calling(args, results))
}

/// object, key → value
fn index(vm: &mut Vm) -> NativeResult {
    if vm.state() == CALLED {
        return Ok(Act::returning(1));
    }
    let (object, key) = (vm.arg(0), vm.arg(1));
    match vm.index(object, key)? {
        Some(value) => vm.ret(value),
        None => wait(vm, 2, 1),
    }
}

/// object, key, value →
fn set_index(vm: &mut Vm) -> NativeResult {
    if vm.state() == CALLED {
        return Ok(Act::returning(0));
    }
    let (object, key, value) = (vm.arg(0), vm.arg(1), vm.arg(2));
    if vm.set_index(object, key, value)? {
        vm.ret_none()
    } else {
        wait(vm, 3, 0)
    }
}

/// value → its length
fn length(vm: &mut Vm) -> NativeResult {
    if vm.state() == CALLED {
        return Ok(Act::returning(1));
    }
    let value = vm.arg(0);
    match vm.length(value)? {
        Some(length) => vm.ret(length),
        None => wait(vm, 2, 1),
    }
}

/// a, b → whether they are equal
fn equals(vm: &mut Vm) -> NativeResult {
    if vm.state() == CALLED {
        let answer = vm.pop().is_truthy();
        return vm.ret(Raw::bool(answer));
    }
    let (a, b) = (vm.arg(0), vm.arg(1));
    match vm.equals(a, b)? {
        Some(answer) => vm.ret(Raw::bool(answer)),
        None => wait(vm, 2, 1),
    }
}

/// value → string
fn tostring(vm: &mut Vm) -> NativeResult {
    if vm.state() == CALLED {
        let text = vm.pop();
        if text.is_number() {
            let text = vm.number_string(text)?;
            return vm.ret(Raw::string(text));
        }
        if !text.is_string() {
            return Err(vm.fail("'__tostring' must return a string"));
        }
        return vm.ret(text);
    }
    let value = vm.arg(0);
    let handler = vm.metamethod(value, Event::ToString);
    if !handler.is_nil() {
        vm.push(handler);
        vm.push(value);
        return wait(vm, 1, 1);
    }
    let mut text = Vec::new();
    vm.display(value, &mut text);
    vm.ret_bytes(&text)
}

/// coroutine, values → as `coroutine.resume`
fn resume(vm: &mut Vm) -> NativeResult {
    let args = vm.slots() as u32 - 1;
    match vm.arg(0).as_coroutine() {
        Some(_) => Ok(Act::resuming(args)),
        None => Err(vm.arg_type_error(0, "coroutine")),
    }
}

/// The text of an error object.
fn error_text(vm: &mut Vm) -> NativeResult {
    let text = match super::userdata::content_of::<Error>(vm.arg(0)) {
        Some(error) => error.to_string(),
        None => "error".to_string(),
    };
    vm.ret_bytes(text.as_bytes())
}

/// The message of an error value without its `__tostring`.
pub(crate) fn plain_message(vm: &mut Vm, error: Raw) -> String {
    if error.is_string() || error.is_number() {
        let mut text = Vec::new();
        vm.display(error, &mut text);
        return String::from_utf8_lossy(&text).into_owned();
    }
    format!("(error object is a {} value)", error.type_of().name())
}

/// Called with an error value before the stack is unwound; notes message and traceback and gives the value back.
fn message_handler(vm: &mut Vm) -> NativeResult {
    let error = vm.arg(0);
    let (message, with_traceback) = if vm.state() == CALLED {
        let text = vm.pop();
        match text.as_str() {
            // Objects that explain themselves get no traceback, as `lua` does it.
            Some(text) => (
                text.to_text(),
                super::userdata::content_of::<Error>(error).is_some(),
            ),
            None => (plain_message(vm, error), true),
        }
    } else {
        let handler = if error.is_string() || error.is_number() {
            Raw::NIL
        } else {
            vm.metamethod(error, Event::ToString)
        };
        if !handler.is_nil() {
            vm.push(handler);
            vm.push(error);
            return wait(vm, 1, 1);
        }
        (plain_message(vm, error), true)
    };
    let traceback = if with_traceback {
        Some(traceback(vm))
    } else {
        None
    };
    if let Some(data) = vm.upval(0).as_userdata()
        && let Some(ReportTo(report)) = data.data.as_ref().and_then(|d| d.downcast_ref())
    {
        *report.borrow_mut() = Some(Report { message, traceback });
    }
    vm.ret(error)
}

/// The calls in progress below the message handler.
fn traceback(vm: &mut Vm) -> String {
    String::from_utf8_lossy(&vm.traceback(vm.current, None, 1)).into_owned()
}
