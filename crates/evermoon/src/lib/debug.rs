//! The debug library (manual 6.10): frames, locals, upvalues, hooks and metatables, also of coroutines that are not running.
//!
//! It may look at everything and change values, but not break the engine: slots and upvalues are found through checked indices,
//! and what a frame is executing cannot be changed. No address can be seen: upvalue ids are the heap's own numbers.

use crate::heap::coroutine::{Coroutine, Exec, frame_flag};
use crate::heap::function::Proto;
use crate::heap::object::Gc;
use crate::heap::table::Table;
use crate::heap::value::{Value, tag};
use crate::vm::error::chunk_id;
use crate::vm::hook::mask;
use crate::vm::name::{local_at, upvalue_name};
use crate::vm::{Act, NativeFn, NativeResult, Throw, Vm};

const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("debug", debug),
    ("gethook", gethook),
    ("getinfo", getinfo),
    ("getlocal", getlocal),
    ("getmetatable", getmetatable),
    ("getregistry", getregistry),
    ("getupvalue", getupvalue),
    ("getuservalue", getuservalue),
    ("sethook", sethook),
    ("setlocal", setlocal),
    ("setmetatable", setmetatable),
    ("setupvalue", setupvalue),
    ("setuservalue", setuservalue),
    ("traceback", traceback),
    ("upvalueid", upvalueid),
    ("upvaluejoin", upvaluejoin),
];

pub fn open(vm: &mut Vm) -> Result<(), Throw> {
    let table = vm.new_table()?;
    let globals = vm.globals;
    vm.raw_set_name(globals, "debug", Value::table(table))?;
    vm.register_library("debug", table, FUNCTIONS)?;
    let loaded = super::loaded(vm)?;
    vm.raw_set_name(loaded, "debug", Value::table(table))
}

/// The coroutine that a function is about, and the index of its first own argument: an optional coroutine comes before the others.
fn thread_arg(vm: &Vm) -> (Gc<Coroutine>, usize) {
    match vm.arg(0).as_coroutine() {
        Some(co) => (co, 1),
        None => (vm.current, 0),
    }
}

/// An argument that must be a function.
fn check_function(vm: &mut Vm, i: usize) -> Result<Value, Throw> {
    let v = vm.arg(i);
    if v.is_function() {
        Ok(v)
    } else {
        Err(vm.arg_type_error(i, "function"))
    }
}

/// A level argument: the index of its frame, if there are so many.
fn check_level(vm: &mut Vm, co: Gc<Coroutine>, i: usize) -> Result<Option<usize>, Throw> {
    let level = vm.check_int(i)?;
    // The reference's levels are C ints.
    let level = level as i32 as i64;
    Ok(vm.level_frame(vm.exec_of(&co), level))
}

// ---- getinfo ----

/// `debug.getinfo ([thread,] f [, what])`
fn getinfo(vm: &mut Vm) -> NativeResult {
    let (co, first) = thread_arg(vm);
    let options = vm.opt_str(first + 1)?;
    let options = options.as_ref().map_or(&b"flnSrtu"[..], |s| s.bytes());
    if options.first() == Some(&b'>') {
        return Err(vm.arg_error(first + 1, "invalid option '>'"));
    }
    let (index, function) = if vm.arg(first).is_function() {
        (None, vm.arg(first))
    } else {
        let Some(index) = check_level(vm, co, first)? else {
            return vm.ret(Value::NIL);
        };
        let exec = vm.exec_of(&co);
        (Some(index), vm.frame_function(exec, &exec.frames()[index]))
    };
    if options.iter().any(|option| !b"SlnrutLf".contains(option)) {
        return Err(vm.arg_error(first + 1, "invalid option"));
    }
    let wants = |option: u8| options.contains(&option);
    let proto = function.as_lua_closure().map(|c| c.proto);
    let info = vm.new_table()?;
    if wants(b'S') {
        set_source(vm, info, proto)?;
    }
    if wants(b'l') {
        let line = index.and_then(|index| {
            let frame = vm.exec_of(&co).frames()[index];
            vm.frame_proto(&frame)?.line(vm.frame_pc(&frame))
        });
        vm.raw_set_name(info, "currentline", Value::int(line.map_or(-1, i64::from)))?;
    }
    if wants(b'u') {
        let upvals = match (function.as_lua_closure(), function.as_native_closure()) {
            (Some(c), _) => c.upval_count,
            (None, Some(c)) => c.upval_count,
            (None, None) => 0,
        };
        vm.raw_set_name(info, "nups", Value::int(upvals as i64))?;
        vm.raw_set_name(
            info,
            "nparams",
            Value::int(proto.map_or(0, |p| p.num_params as i64)),
        )?;
        vm.raw_set_name(
            info,
            "isvararg",
            Value::bool(proto.is_none_or(|p| p.is_vararg)),
        )?;
    }
    if wants(b'n') {
        let name = index.and_then(|index| vm.call_name(vm.exec_of(&co), index));
        let (what, name) = match &name {
            Some((what, name)) => (*what, vm.new_string(name)?),
            None => ("", Value::NIL),
        };
        let what = vm.new_string(what.as_bytes())?;
        vm.raw_set_name(info, "name", name)?;
        vm.raw_set_name(info, "namewhat", what)?;
    }
    if wants(b'r') {
        let (from, count) = index.map_or((0, 0), |index| vm.frame_transfer(co, index));
        vm.raw_set_name(info, "ftransfer", Value::int(from as i64))?;
        vm.raw_set_name(info, "ntransfer", Value::int(count as i64))?;
    }
    if wants(b't') {
        let tail = index
            .is_some_and(|index| vm.exec_of(&co).frames()[index].flags & frame_flag::TAIL != 0);
        vm.raw_set_name(info, "istailcall", Value::bool(tail))?;
    }
    if wants(b'L')
        && let Some(proto) = proto
    {
        let lines = active_lines(vm, proto)?;
        vm.raw_set_name(info, "activelines", Value::table(lines))?;
    }
    if wants(b'f') {
        vm.raw_set_name(info, "func", function)?;
    }
    vm.ret(Value::table(info))
}

/// What `S` tells.
fn set_source(vm: &mut Vm, info: Gc<Table>, proto: Option<Gc<Proto>>) -> Result<(), Throw> {
    let (source, first, last, what) = match &proto {
        None => (&b"=[C]"[..], -1, -1, "C"),
        Some(proto) => {
            let p = proto.info();
            let what = if p.line_defined == 0 { "main" } else { "Lua" };
            (
                p.source.as_deref().unwrap_or(b"=?"),
                p.line_defined as i64,
                p.last_line_defined as i64,
                what,
            )
        }
    };
    let short = vm.new_string(&chunk_id(source))?;
    let source = vm.new_string(source)?;
    let what = vm.new_string(what.as_bytes())?;
    vm.raw_set_name(info, "source", source)?;
    vm.raw_set_name(info, "short_src", short)?;
    vm.raw_set_name(info, "linedefined", Value::int(first))?;
    vm.raw_set_name(info, "lastlinedefined", Value::int(last))?;
    vm.raw_set_name(info, "what", what)
}

/// The lines of a function that have code. (A vararg function's first instruction is on none that anyone wrote.)
fn active_lines(vm: &mut Vm, proto: Gc<Proto>) -> Result<Gc<Table>, Throw> {
    let lines = vm.new_table()?;
    vm.charge(proto.info().lines.len() as u64 / 4);
    for &line in proto.info().lines.iter().skip(proto.is_vararg as usize) {
        vm.raw_set_int(lines, line as i64, Value::TRUE)?;
    }
    Ok(lines)
}

// ---- locals ----

/// The name and slot of local `n` of a frame: a variable, a vararg (negative), or a value without a name.
fn find_local(vm: &Vm, exec: &Exec, index: usize, n: i64) -> Option<(Vec<u8>, usize)> {
    let frame = &exec.frames()[index];
    let base = frame.base as usize;
    let unnamed: &[u8] = match vm.frame_proto(frame) {
        None => b"(C temporary)",
        Some(proto) => {
            if n < 0 {
                let extra = frame.state as usize;
                let at = usize::try_from(n.checked_neg()?).ok()?;
                return (at <= extra).then(|| (b"(vararg)".to_vec(), base - extra + at - 1));
            }
            let n = usize::try_from(n).ok()?;
            if let Some(name) = local_at(&proto, n, vm.frame_pc(frame)) {
                return Some((name.to_vec(), base + n - 1));
            }
            b"(temporary)"
        }
    };
    // Below the function of a special call lies the engine's own note of where to go on.
    const SPECIAL: u8 = frame_flag::FINALIZER | frame_flag::CLOSE | frame_flag::HOOK;
    let limit = match exec.frames().get(index + 1) {
        Some(next) => next.func as usize - (next.flags & SPECIAL != 0) as usize,
        None => exec.top,
    };
    let n = usize::try_from(n).ok().filter(|&n| n > 0)?;
    (n <= limit.saturating_sub(base)).then(|| (unnamed.to_vec(), base + n - 1))
}

/// `debug.getlocal ([thread,] f, local)`
fn getlocal(vm: &mut Vm) -> NativeResult {
    let (co, first) = thread_arg(vm);
    let n = vm.check_int(first + 1)? as i32 as i64;
    if vm.arg(first).is_function() {
        // Of a function that is not running only the parameters are known.
        let name = vm.arg(first).as_lua_closure().and_then(|c| {
            let n = usize::try_from(n).ok()?;
            local_at(&c.proto, n, 0).map(<[u8]>::to_vec)
        });
        return match name {
            Some(name) => vm.ret_bytes(&name),
            None => vm.ret(Value::NIL),
        };
    }
    let Some(index) = check_level(vm, co, first)? else {
        return Err(vm.arg_error(first, "level out of range"));
    };
    let exec = vm.exec_of(&co);
    let Some((name, slot)) = find_local(vm, exec, index, n) else {
        return vm.ret(Value::NIL);
    };
    let value = exec.get(slot);
    let name = vm.new_string(&name)?;
    vm.push(name);
    vm.push(value);
    Ok(Act::returning(2))
}

/// Whether a local may get this value. What natives keep in their slots is theirs, and the engine trusts the types of numbers that have
/// no name (a loop's hidden state).
fn may_set(name: &[u8], old: Value, new: Value) -> bool {
    match name {
        b"(C temporary)" => false,
        b"(temporary)" | b"(for state)" => !old.is_number() || old.tag == new.tag,
        _ => true,
    }
}

/// `debug.setlocal ([thread,] level, local, value)`
fn setlocal(vm: &mut Vm) -> NativeResult {
    let (mut co, first) = thread_arg(vm);
    let Some(index) = check_level(vm, co, first)? else {
        return Err(vm.arg_error(first, "level out of range"));
    };
    let n = vm.check_int(first + 1)? as i32 as i64;
    let value = vm.check_any(first + 2)?;
    let exec = vm.exec_of(&co);
    let Some((name, slot)) = find_local(vm, exec, index, n) else {
        return vm.ret(Value::NIL);
    };
    if !may_set(&name, exec.get(slot), value) {
        return vm.ret(Value::NIL);
    }
    let name = vm.new_string(&name)?;
    if co == vm.current {
        vm.exec.set(slot, value);
    } else {
        vm.heap.barrier(co);
        co.exec.set(slot, value);
    }
    vm.ret(name)
}

// ---- upvalues ----

/// The name and value of upvalue `n` (from 1) of a function. Those of natives have an empty name.
fn find_upvalue(function: Value, n: i64) -> Option<(Vec<u8>, Value)> {
    let n = usize::try_from(n).ok()?.checked_sub(1)?;
    if let Some(c) = function.as_native_closure() {
        return c.upvals().get(n).map(|&v| (Vec::new(), v));
    }
    let c = function.as_lua_closure()?;
    let value = c.upvals().get(n)?.get();
    let name = upvalue_name(&c.proto, u8::try_from(n).ok()?).unwrap_or(b"(no name)");
    Some((name.to_vec(), value))
}

/// `debug.getupvalue (f, up)`
fn getupvalue(vm: &mut Vm) -> NativeResult {
    let n = vm.check_int(1)?;
    let function = check_function(vm, 0)?;
    let Some((name, value)) = find_upvalue(function, n) else {
        return vm.ret_none();
    };
    let name = vm.new_string(&name)?;
    vm.push(name);
    vm.push(value);
    Ok(Act::returning(2))
}

/// `debug.setupvalue (f, up, value)`
fn setupvalue(vm: &mut Vm) -> NativeResult {
    let value = vm.check_any(2)?;
    let n = vm.check_int(1)?;
    let function = check_function(vm, 0)?;
    let Some((name, _)) = find_upvalue(function, n) else {
        return vm.ret_none();
    };
    let at = n as usize - 1;
    if let Some(mut c) = function.as_native_closure() {
        vm.heap.barrier(c);
        c.upvals_mut()[at] = value;
    } else if let Some(c) = function.as_lua_closure() {
        let up = c.upvals()[at];
        vm.heap.barrier(up);
        up.put(value);
    }
    vm.ret_bytes(&name)
}

/// `debug.upvalueid (f, n)`: a light userdata, the same for closures that share the upvalue.
fn upvalueid(vm: &mut Vm) -> NativeResult {
    let n = vm.check_int(1)?;
    let function = check_function(vm, 0)?;
    if find_upvalue(function, n).is_none() {
        return vm.ret(Value::NIL);
    }
    let at = n as usize - 1;
    let id = match function.as_lua_closure() {
        Some(c) => vm
            .heap
            .printed_id(Value::object(tag::UPVALUE, c.upvals()[at])),
        // A native's upvalues are its own, at their places in it.
        None => vm.heap.printed_id(function) << 8 | (at as u64 + 1) << 48,
    };
    vm.ret(Value::light(id))
}

/// `debug.upvaluejoin (f1, n1, f2, n2)`
fn upvaluejoin(vm: &mut Vm) -> NativeResult {
    let mut ends = [(Value::NIL, 0); 2];
    for (i, end) in ends.iter_mut().enumerate() {
        let n = vm.check_int(2 * i + 1)?;
        let function = check_function(vm, 2 * i)?;
        if find_upvalue(function, n).is_none() {
            return Err(vm.arg_error(2 * i + 1, "invalid upvalue index"));
        }
        *end = (function, n as usize - 1);
    }
    let mut closures = ends.map(|(function, _)| function.as_lua_closure());
    for (i, closure) in closures.iter().enumerate() {
        if closure.is_none() {
            return Err(vm.arg_error(2 * i, "Lua function expected"));
        }
    }
    if let [Some(to), Some(from)] = &mut closures {
        let up = from.upvals()[ends[1].1];
        vm.heap.barrier(*to);
        to.set_upval(ends[0].1, up);
    }
    vm.ret_none()
}

// ---- metatables, user values, registry ----

/// `debug.getmetatable (value)`
fn getmetatable(vm: &mut Vm) -> NativeResult {
    let v = vm.check_any(0)?;
    let mt = vm.metatable_of(v).map_or(Value::NIL, Value::table);
    vm.ret(mt)
}

/// `debug.setmetatable (value, table)`
fn setmetatable(vm: &mut Vm) -> NativeResult {
    let mt = vm.arg(1);
    if !vm.has_arg(1) || !(mt.is_nil() || mt.is_table()) {
        return Err(vm.arg_type_error(1, "nil or table"));
    }
    let v = vm.arg(0);
    set_any_metatable(vm, v, mt.as_table())?;
    vm.ret(v)
}

/// `debug.getregistry ()`
fn getregistry(vm: &mut Vm) -> NativeResult {
    let registry = vm.registry;
    vm.ret(Value::table(registry))
}

/// `debug.getuservalue (u, n)`
fn getuservalue(vm: &mut Vm) -> NativeResult {
    let n = vm.opt_int(1, 1)?;
    let value = vm.arg(0).as_userdata().and_then(|u| {
        let n = usize::try_from(n).ok()?.checked_sub(1)?;
        u.user_values.get(n).copied()
    });
    match value {
        Some(value) => {
            vm.push(value);
            vm.push(Value::TRUE);
            Ok(Act::returning(2))
        }
        None => vm.ret(Value::NIL),
    }
}

/// `debug.setuservalue (udata, value, n)`
fn setuservalue(vm: &mut Vm) -> NativeResult {
    let n = vm.opt_int(2, 1)?;
    let Some(mut u) = vm.arg(0).as_userdata() else {
        return Err(vm.arg_type_error(0, "userdata"));
    };
    let value = vm.check_any(1)?;
    let at = usize::try_from(n)
        .ok()
        .and_then(|n| n.checked_sub(1))
        .filter(|&at| at < u.user_values.len());
    let Some(at) = at else {
        return vm.ret(Value::NIL);
    };
    vm.heap.barrier(u);
    u.user_values[at] = value;
    vm.ret(Value::userdata(u))
}

// ---- hooks ----

/// `debug.sethook ([thread,] hook, mask [, count])`
fn sethook(vm: &mut Vm) -> NativeResult {
    let (co, first) = thread_arg(vm);
    if vm.arg(first).is_nil() {
        vm.set_hook(co, Value::NIL, 0, 0);
        return vm.ret_none();
    }
    let letters = vm.check_str(first + 1)?;
    let function = check_function(vm, first)?;
    let count = vm.opt_int(first + 2, 0)? as i32;
    let mut events = 0;
    for (letter, event) in [(b'c', mask::CALL), (b'r', mask::RETURN), (b'l', mask::LINE)] {
        if letters.bytes().contains(&letter) {
            events |= event;
        }
    }
    if count > 0 {
        events |= mask::COUNT;
    }
    hook_table(vm)?;
    vm.set_hook(co, function, events, count.max(0) as u32);
    vm.ret_none()
}

/// The registry has a weak table for hooks, as in the reference; here the coroutines hold them, and it stays empty.
fn hook_table(vm: &mut Vm) -> Result<(), Throw> {
    let registry = vm.registry;
    if vm.raw_get_name(registry, "_HOOKKEY")?.is_nil() {
        let table = vm.new_table()?;
        let mode = vm.new_string(b"k")?;
        vm.raw_set_name(table, "__mode", mode)?;
        set_any_metatable(vm, Value::table(table), Some(table))?;
        vm.raw_set_name(registry, "_HOOKKEY", Value::table(table))?;
    }
    Ok(())
}

/// `debug.gethook ([thread])`
fn gethook(vm: &mut Vm) -> NativeResult {
    let (co, _) = thread_arg(vm);
    let Some(hook) = vm.hook_of(co) else {
        return vm.ret(Value::NIL);
    };
    let letters = [(b'c', mask::CALL), (b'r', mask::RETURN), (b'l', mask::LINE)];
    let letters: Vec<u8> = letters
        .iter()
        .filter(|(_, event)| hook.mask & event != 0)
        .map(|(letter, _)| *letter)
        .collect();
    let letters = vm.new_string(&letters)?;
    vm.push(hook.function);
    vm.push(letters);
    vm.push(Value::int(hook.count as i64));
    Ok(Act::returning(3))
}

// ---- traceback, debug ----

/// `debug.traceback ([thread,] [message [, level]])`
fn traceback(vm: &mut Vm) -> NativeResult {
    let (co, first) = thread_arg(vm);
    let message = vm.arg(first);
    if !message.is_nil() && !message.is_string() && !message.is_number() {
        // Not text: handed on as it is.
        return vm.ret(message);
    }
    let own = if co == vm.current { 1 } else { 0 };
    let level = vm.opt_int(first + 1, own)? as i32 as i64;
    let message = if message.is_nil() {
        None
    } else {
        Some(vm.check_str(first)?)
    };
    vm.touch_loaded_names()?;
    let text = vm.traceback(co, message.as_ref().map(|s| s.bytes()), level);
    vm.charge(text.len() as u64 / 16);
    vm.ret_bytes(&text)
}

/// `debug.debug ()`: runs lines from the host's standard input until it ends or a line is `cont`.
fn debug(vm: &mut Vm) -> NativeResult {
    // States: 0 about to read a line; 1 a line has been run by `pcall`.
    if vm.state() == 1 {
        if !vm.arg(0).is_truthy() {
            let error = vm.arg(1);
            report(vm, error);
        }
        vm.set_slots(0)?;
    }
    loop {
        vm.host.report(b"lua_debug> ");
        let line = read_line(vm);
        let Some(line) = line.filter(|line| line != b"cont\n") else {
            return vm.ret_none();
        };
        let env = Value::table(vm.globals);
        match super::load::load(vm, &line, b"=(debug command)", super::load::Mode::ANY, env)? {
            Ok(function) => {
                let pcall = vm
                    .natives
                    .iter()
                    .position(|n| n.library.is_empty() && n.name == "pcall");
                let Some(pcall) = pcall else {
                    return vm.ret_none();
                };
                vm.set_slots(0)?;
                vm.push(Value::native(pcall as u32));
                vm.push(function);
                vm.set_state(1);
                return Ok(Act::calling(1, 2));
            }
            Err(message) => {
                vm.host.report(&message);
                vm.host.report(b"\n");
            }
        }
    }
}

fn report(vm: &mut Vm, error: Value) {
    let mut text = Vec::new();
    vm.display(error, &mut text);
    text.push(b'\n');
    vm.host.report(&text);
}

/// A line of standard input with its end, `None` behind the last one.
fn read_line(vm: &mut Vm) -> Option<Vec<u8>> {
    /// Longer ones are cut there, as in the reference.
    const LINE_MAX: usize = 249;
    let mut input = vm.host.standard(0).ok()?;
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < LINE_MAX && matches!(input.read(&mut byte), Ok(1)) {
        line.push(byte[0]);
        if byte[0] == b'\n' {
            break;
        }
    }
    if line.is_empty() { None } else { Some(line) }
}

// ---- for the host ----

/// Where the registry keeps the traceback of the last error that nobody in Lua caught.
const TRACEBACK: &str = "_TRACEBACK";

/// A message handler that leaves the error as it is and keeps the traceback for the host.
pub(super) fn remember_traceback(vm: &mut Vm) -> NativeResult {
    let co = vm.current;
    let text = vm.traceback(co, None, 1);
    let text = vm.new_string(&text)?;
    let registry = vm.registry;
    vm.raw_set_name(registry, TRACEBACK, text)?;
    let error = vm.arg(0);
    vm.ret(error)
}

/// Takes what [`remember_traceback`] has kept.
pub(super) fn remembered_traceback(vm: &mut Vm) -> Value {
    let registry = vm.registry;
    let text = vm.raw_get_name(registry, TRACEBACK).unwrap_or(Value::NIL);
    if !text.is_nil() {
        // The key exists, so this needs no memory.
        let _ = vm.raw_set_name(registry, TRACEBACK, Value::NIL);
    }
    text
}

/// Sets or removes the metatable of any value; a basic type has one for all its values.
fn set_any_metatable(vm: &mut Vm, v: Value, mt: Option<Gc<Table>>) -> Result<(), Throw> {
    let finalizer = match mt {
        Some(mt) => !vm.raw_get_name(mt, "__gc")?.is_nil(),
        None => false,
    };
    if mt.is_some_and(|mt| mt.header.is_external()) {
        return Err(vm.fail("an external table cannot be a metatable"));
    }
    if let Some(t) = v.as_table() {
        vm.heap.barrier(t);
        vm.heap.set_external_metatable(t, mt);
        if finalizer {
            vm.heap.mark_for_finalization(t.header());
        }
    } else if let Some(mut u) = v.as_userdata() {
        vm.heap.barrier(u);
        u.set_metatable(mt);
        if finalizer {
            vm.heap.mark_for_finalization(u.header());
        }
    } else {
        if let Some(mut mt) = mt {
            mt.header.flags |= crate::heap::table::flags::METATABLE;
        }
        vm.type_metatables[v.type_of() as usize] = mt;
    }
    Ok(())
}
