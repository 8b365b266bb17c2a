//! The basic library (manual 6.1).
//!
//! Natives 0 and 1 are `next` and the iterator of `ipairs`: the loop knows them by their numbers, so this library is opened first.
//! Functions that call back (`print` with `__tostring`, `load` with a reader, `collectgarbage` with finalizers …) are small state machines; their
//! states are the constants above each of them.

use super::load::{self, Mode};
use super::pieces;
use crate::heap::gc::{Advance, Phase};
use crate::heap::number;
use crate::heap::value::{Value, tag};
use crate::vm::call::PASSING;
use crate::vm::meta::{Event, num_value};
use crate::vm::native::CAUGHT;
use crate::vm::{Act, NativeFn, NativeResult, Throw, Vm};

/// Name and function of each; `next` and the iterator come first.
const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("assert", assert_),
    ("collectgarbage", collectgarbage),
    ("dofile", dofile),
    ("error", error),
    ("getmetatable", getmetatable),
    ("ipairs", ipairs),
    ("load", load_),
    ("loadfile", loadfile),
    ("pairs", pairs),
    ("pcall", pcall),
    ("print", print),
    ("rawequal", rawequal),
    ("rawget", rawget),
    ("rawlen", rawlen),
    ("rawset", rawset),
    ("select", select),
    ("setmetatable", setmetatable),
    ("tonumber", tonumber),
    ("tostring", tostring),
    ("type", type_),
    ("warn", warn),
    ("xpcall", xpcall),
];

const NEXT: u32 = 0;
const IPAIRS_ITERATOR: u32 = 1;

pub fn open(vm: &mut Vm) -> Result<(), Throw> {
    assert!(
        vm.natives.is_empty(),
        "the basic library is opened first: 'next' must be native number 0"
    );
    let globals = vm.globals;
    vm.register_library("", globals, &[("next", next)])?;
    vm.register("", "ipairs.iterator", ipairs_iterator);
    vm.register_library("", globals, FUNCTIONS)?;
    vm.raw_set_name(globals, "_G", Value::table(globals))?;
    let version = vm.new_string(b"Lua 5.4")?;
    vm.raw_set_name(globals, "_VERSION", version)?;
    let loaded = super::loaded(vm)?;
    vm.raw_set_name(loaded, "_G", Value::table(globals))
}

// ---- values ----

/// `assert (v [, message])`
fn assert_(vm: &mut Vm) -> NativeResult {
    if vm.arg(0).is_truthy() {
        return Ok(Act::returning(vm.slots() as u32));
    }
    vm.check_any(0)?;
    if !vm.has_arg(1) {
        return Err(vm.fail("assertion failed!"));
    }
    // As `error` does with the message, a string gets the caller's position.
    let message = vm.arg(1);
    Err(raise(vm, message, 1))
}

/// `type (v)`
#[cfg_attr(evermoon_small, optimize(speed))]
fn type_(vm: &mut Vm) -> NativeResult {
    let v = vm.check_any(0)?;
    let name = vm.type_names[v.type_of() as usize];
    vm.ret(name)
}

/// `rawequal (v1, v2)`
fn rawequal(vm: &mut Vm) -> NativeResult {
    let (a, b) = (vm.check_any(0)?, vm.check_any(1)?);
    if a.is_string() && b.is_string() {
        // Its metamethods play no part in how strings compare, and long ones take their time.
        return match vm.equals(a, b)? {
            Some(same) => vm.ret(Value::bool(same)),
            None => Ok(Act::tail_calling(2)),
        };
    }
    vm.ret(Value::bool(a.raw_equals(b)))
}

/// `rawlen (v)`
fn rawlen(vm: &mut Vm) -> NativeResult {
    let v = vm.arg(0);
    let length = match (v.as_table(), v.as_str()) {
        (Some(t), _) => vm.raw_length(t)?,
        (_, Some(s)) => s.len() as i64,
        _ => return Err(vm.arg_type_error(0, "table or string")),
    };
    vm.ret(Value::int(length))
}

/// `rawget (table, index)`
fn rawget(vm: &mut Vm) -> NativeResult {
    let t = vm.check_table(0)?;
    let key = vm.check_any(1)?;
    let v = vm.get_raw(t, key)?;
    vm.ret(v)
}

/// `rawset (table, index, value)`
fn rawset(vm: &mut Vm) -> NativeResult {
    let t = vm.check_table(0)?;
    let key = vm.check_any(1)?;
    let value = vm.check_any(2)?;
    vm.raw_set(t, key, value)?;
    vm.ret(Value::table(t))
}

/// `select (n, ···)`
#[cfg_attr(evermoon_small, optimize(speed))]
fn select(vm: &mut Vm) -> NativeResult {
    let count = vm.slots() as i64;
    if let Some(s) = vm.arg(0).as_str()
        && s.bytes().first() == Some(&b'#')
    {
        return vm.ret(Value::int(count - 1));
    }
    let n = vm.check_int(0)?;
    let first = if n < 0 {
        count.saturating_add(n)
    } else {
        n.min(count)
    };
    if first < 1 {
        return Err(vm.arg_error(0, "index out of range"));
    }
    Ok(Act::returning((count - first) as u32))
}

/// `getmetatable (object)`
fn getmetatable(vm: &mut Vm) -> NativeResult {
    let v = vm.check_any(0)?;
    let Some(mt) = vm.metatable_of(v) else {
        return vm.ret(Value::NIL);
    };
    let shown = vm.event_of(mt, Event::Metatable);
    vm.ret(if shown.is_nil() {
        Value::table(mt)
    } else {
        shown
    })
}

/// `setmetatable (table, metatable)`
fn setmetatable(vm: &mut Vm) -> NativeResult {
    let t = vm.check_table(0)?;
    let v = vm.arg(1);
    let mt = v.as_table();
    if mt.is_none() && !(v.is_nil() && vm.has_arg(1)) {
        return Err(vm.arg_type_error(1, "nil or table"));
    }
    if let Some(old) = t.metatable
        && !vm.event_of(old, Event::Metatable).is_nil()
    {
        return Err(vm.fail("cannot change a protected metatable"));
    }
    if mt.is_some_and(|mt| mt.header.is_external()) {
        return Err(vm.arg_error(1, "an external table cannot be a metatable"));
    }
    vm.set_table_metatable(t, mt);
    vm.ret(Value::table(t))
}

/// `tonumber (e [, base])`
fn tonumber(vm: &mut Vm) -> NativeResult {
    if vm.arg(1).is_nil() {
        let v = vm.arg(0);
        if v.is_number() {
            return vm.ret(v);
        }
        vm.charge_text(v);
        return match vm.to_number(v) {
            Some(n) => vm.ret(num_value(n)),
            None => {
                vm.check_any(0)?;
                vm.ret(Value::NIL)
            }
        };
    }
    let base = vm.check_int(1)?;
    let Some(s) = vm.arg(0).as_str() else {
        return Err(vm.arg_type_error(0, "string"));
    };
    if !(2..=36).contains(&base) {
        return Err(vm.arg_error(1, "base out of range"));
    }
    vm.charge(s.len() as u64 >> 6);
    let n = number::parse_in_base(s.bytes(), base as u32);
    vm.ret(n.map_or(Value::NIL, Value::int))
}

// ---- text ----

/// `v` as a string (`luaL_tolstring`), or `None` when the call of its `__tostring` has been pushed: then return
/// `Act::calling(1, 1)`, and give the result to [`tostring_result`].
#[cfg_attr(evermoon_small, optimize(speed))]
pub fn to_string_value(vm: &mut Vm, v: Value) -> Result<Option<Value>, Throw> {
    let handler = vm.metamethod(v, Event::ToString);
    if !handler.is_nil() {
        vm.push(handler);
        vm.push(v);
        return Ok(None);
    }
    if v.is_string() {
        return Ok(Some(v));
    }
    if v.is_number() {
        return Ok(Some(Value::string(vm.number_string(v)?)));
    }
    let mut text = Vec::new();
    vm.display(v, &mut text);
    vm.new_string(&text).map(Some)
}

/// What a `__tostring` has returned, checked to be a string; a number becomes one.
#[cfg_attr(evermoon_small, optimize(speed))]
pub fn tostring_result(vm: &mut Vm, v: Value) -> Result<Value, Throw> {
    match v.tag {
        tag::STR | tag::LONG_STR => Ok(v),
        tag::INT | tag::FLOAT => Ok(Value::string(vm.number_string(v)?)),
        _ => Err(vm.fail("'__tostring' must return a string")),
    }
}

/// `tostring (v)`
#[cfg_attr(evermoon_small, optimize(speed))]
fn tostring(vm: &mut Vm) -> NativeResult {
    if vm.state() != 0 {
        let v = vm.pop();
        let s = tostring_result(vm, v)?;
        return vm.ret(s);
    }
    let v = vm.check_any(0)?;
    match to_string_value(vm, v)? {
        Some(s) => vm.ret(s),
        None => {
            vm.set_state(1);
            Ok(Act::calling(1, 1))
        }
    }
}

/// State of `print` when all texts are known and there is more than is printed at once: behind the arguments, in a slot, is which of them
/// comes next, and how much of it is printed.
const PRINTING: u32 = u32::MAX / 2;

/// `print (···)`. State `i + 1`: the result of slot `i`'s `__tostring` is on top. All text is written at once, unless it is long.
fn print(vm: &mut Vm) -> NativeResult {
    let mut i = vm.state() as usize;
    if vm.state() == PRINTING {
        return print_long(vm);
    }
    if i > 0 {
        let v = vm.pop();
        let s = tostring_result(vm, v)?;
        vm.set_slot(i - 1, s);
    }
    let count = vm.slots();
    while i < count {
        let v = vm.arg(i);
        let handler = vm.metamethod(v, Event::ToString);
        i += 1;
        if !handler.is_nil() {
            vm.push(handler);
            vm.push(v);
            vm.set_state(i as u32);
            return Ok(Act::calling(1, 1));
        }
    }
    let length = |i| vm.arg(i).as_str().map_or(16, |s| s.len());
    if count > PRINTED_AT_ONCE || (0..count).map(length).sum::<usize>() > pieces::AT_ONCE {
        vm.push(Value::int(0));
        vm.push(Value::int(0));
        vm.set_state(PRINTING);
        return print_long(vm);
    }
    let mut out = vm.take_scratch();
    for i in 0..count {
        if i > 0 {
            out.push(b'\t');
        }
        let v = vm.arg(i);
        vm.display(v, &mut out);
    }
    out.push(b'\n');
    vm.charge(out.len() as u64 / 64);
    vm.print(&out);
    vm.give_scratch(out);
    vm.ret_none()
}

/// Most values that are printed at once.
const PRINTED_AT_ONCE: usize = 250;
/// Bytes that are handed to the host in one go when a text is long.
const PRINT_PART: usize = 64 << 10;

/// Prints part after part, with a look at the slice in between.
fn print_long(vm: &mut Vm) -> NativeResult {
    let count = vm.slots() - 2;
    let mut next = vm.arg(count).raw_int() as usize;
    let mut done = vm.arg(count + 1).raw_int() as usize;
    let mut out = vm.take_scratch();
    while next < count {
        if vm.slice_used_up() {
            vm.set_slot(count, Value::int(next as i64));
            vm.set_slot(count + 1, Value::int(done as i64));
            vm.give_scratch(out);
            return Ok(Act::AGAIN);
        }
        let v = vm.arg(next);
        match v.as_str() {
            Some(s) if s.len() > PRINT_PART => {
                let end = s.len().min(done + PRINT_PART);
                out.extend_from_slice(s.as_bytes().get(done..end).unwrap_or(&[]));
                done = end;
                if done == s.len() {
                    (next, done) = (next + 1, 0);
                }
            }
            _ => {
                vm.display(v, &mut out);
                next += 1;
            }
        }
        if done == 0 {
            out.push(if next < count { b'\t' } else { b'\n' });
        }
        if out.len() >= PRINT_PART || next == count {
            vm.charge(out.len() as u64 / 64);
            vm.print(&out);
            out.clear();
        }
    }
    vm.give_scratch(out);
    vm.ret_none()
}

/// `warn (msg1, ···)`
fn warn(vm: &mut Vm) -> NativeResult {
    let count = vm.slots();
    vm.check_str(0)?;
    for i in 1..count {
        vm.check_str(i)?;
    }
    let mut text = Vec::new();
    for i in 0..count {
        if let Some(s) = vm.arg(i).as_str() {
            text.extend_from_slice(s.bytes());
        }
    }
    match (count, text.as_slice()) {
        (1, b"@on") => vm.warn_on = true,
        (1, b"@off") => vm.warn_on = false,
        // Other control messages are ignored.
        (1, [b'@', ..]) => {}
        _ => vm.warning(&text),
    }
    vm.ret_none()
}

// ---- iteration ----

/// `next (table [, index])`. State 1: slot 2 says from which position on the next entry is being looked for.
#[cfg_attr(evermoon_small, optimize(speed))]
fn next(vm: &mut Vm) -> NativeResult {
    let t = vm.check_table(0)?;
    let key = vm.arg(1);
    if t.header.is_external() {
        return match vm.raw_next(t, key, &mut 0)? {
            Some((key, value)) => {
                vm.push(key);
                vm.push(value);
                Ok(Act::returning(2))
            }
            None => vm.ret(Value::NIL),
        };
    }
    let mut at = if vm.state() == 0 {
        match t.position_behind(key, u32::MAX) {
            Some((at, looked_at)) => {
                vm.charge(looked_at as u64 / ENTRIES_PER_FUEL as u64);
                at
            }
            None => return Err(vm.throw_bytes(b"invalid key to 'next'")),
        }
    } else {
        vm.arg(2).raw_int() as usize
    };
    loop {
        let (found, stopped) = t.entry_from(at, ENTRIES_AT_ONCE);
        vm.charge((stopped - at) as u64 / ENTRIES_PER_FUEL as u64);
        if let Some((key, value)) = found {
            vm.push(key);
            vm.push(value);
            return Ok(Act::returning(2));
        }
        if stopped - at < ENTRIES_AT_ONCE {
            return vm.ret(Value::NIL);
        }
        at = stopped;
        if vm.slice_used_up() {
            vm.set_slots(3)?;
            vm.set_slot(2, Value::int(at as i64));
            vm.set_state(1);
            return Ok(Act::AGAIN);
        }
    }
}

/// Empty entries that `next` goes over between two looks at the slice, and how many cost a unit of fuel.
const ENTRIES_AT_ONCE: usize = 1 << 14;
const ENTRIES_PER_FUEL: usize = 16;

/// `pairs (t)`
#[cfg_attr(evermoon_small, optimize(speed))]
fn pairs(vm: &mut Vm) -> NativeResult {
    if vm.state() != 0 {
        return Ok(Act::returning(3));
    }
    let v = vm.check_any(0)?;
    let handler = vm.metamethod(v, Event::Pairs);
    if handler.is_nil() {
        vm.push(Value::native(NEXT));
        vm.push(v);
        vm.push(Value::NIL);
        return Ok(Act::returning(3));
    }
    vm.set_state(1);
    vm.push(handler);
    vm.push(v);
    Ok(Act::calling(1, 3))
}

/// `ipairs (t)`
fn ipairs(vm: &mut Vm) -> NativeResult {
    let v = vm.check_any(0)?;
    vm.push(Value::native(IPAIRS_ITERATOR));
    vm.push(v);
    vm.push(Value::int(0));
    Ok(Act::returning(3))
}

/// What `ipairs` returns. In state 1 the value that `__index` has given is on top, the position below it.
#[cfg_attr(evermoon_small, optimize(speed))]
fn ipairs_iterator(vm: &mut Vm) -> NativeResult {
    if vm.state() == 0 {
        let at = vm.check_int(1)?.wrapping_add(1);
        let object = vm.arg(0);
        vm.push(Value::int(at));
        if let Some(t) = object.as_table() {
            let v = t.get_int(at);
            if !v.is_nil() {
                vm.push(v);
                return Ok(Act::returning(2));
            }
            if t.metatable.is_none() {
                return vm.ret(Value::NIL);
            }
        }
        match vm.index(object, Value::int(at))? {
            Some(v) => vm.push(v),
            None => {
                vm.set_state(1);
                return Ok(Act::calling(2, 1));
            }
        }
    }
    let v = vm.arg(vm.slots() - 1);
    Ok(Act::returning(if v.is_nil() { 1 } else { 2 }))
}

// ---- errors ----

/// `error (message [, level])`
#[cfg_attr(evermoon_small, optimize(speed))]
fn error(vm: &mut Vm) -> NativeResult {
    let level = vm.opt_int(1, 1)?;
    let message = vm.arg(0);
    Err(raise(vm, message, level))
}

/// A longer message gets no position any more.
const POSITION_MAX: usize = 1 << 15;

/// Raises a message, with the position of the function at `level` if it is a string.
#[cfg_attr(evermoon_small, optimize(speed))]
fn raise(vm: &mut Vm, message: Value, level: i64) -> Throw {
    // A message that is passed on through very many levels, each adding its position, must stop growing at some point.
    if let Some(s) = message.as_str()
        && level > 0
        && s.len() < POSITION_MAX
    {
        let frame = usize::try_from(level)
            .ok()
            .and_then(|level| vm.frame_at_level(level));
        let mut text = vm.position(frame);
        if !text.is_empty() {
            text.extend_from_slice(s.bytes());
            return vm.throw_bytes(&text);
        }
    }
    vm.throw(message)
}

/// `pcall (f [, arg1, ···])`. The driver returns `false` and the error, or `true` and the results, by itself; only with hooks on
/// does success come back here.
#[cfg_attr(evermoon_small, optimize(speed))]
fn pcall(vm: &mut Vm) -> NativeResult {
    if vm.state() != 0 {
        return vm.ret_with(Value::TRUE, 0);
    }
    vm.check_any(0)?;
    vm.protect(None);
    vm.set_state(PASSING);
    Ok(Act::calling(vm.slots() as u32 - 1, -1))
}

/// `xpcall (f, msgh [, arg1, ···])`
fn xpcall(vm: &mut Vm) -> NativeResult {
    if vm.state() != 0 {
        return vm.ret_with(Value::TRUE, 1);
    }
    let (f, handler) = (vm.arg(0), vm.arg(1));
    if !handler.is_function() {
        return Err(vm.arg_type_error(1, "function"));
    }
    vm.set_slot(0, handler);
    vm.set_slot(1, f);
    vm.protect(Some(0));
    vm.set_state(PASSING);
    Ok(Act::calling(vm.slots() as u32 - 2, -1))
}

// ---- chunks ----

/// `load`: slots while a reader is called.
mod reading {
    pub const READER: usize = 0;
    pub const NAME: usize = 1;
    pub const MODE: usize = 2;
    pub const ENV: usize = 3;
    /// The pieces so far, a table.
    pub const PIECES: usize = 4;
    pub const COUNT: usize = 5;
}

/// State of `load` when it only has to do it.
const PAID: u32 = 2;

/// `load (chunk [, chunkname [, mode [, env]]])`. State 1: the reader has returned a piece.
fn load_(vm: &mut Vm) -> NativeResult {
    match vm.state() {
        0 => {
            let chunk = vm.arg(0);
            if chunk.is_string() || chunk.is_number() {
                let chunk = vm.check_str(0)?;
                vm.opt_str(1)?;
                vm.opt_str(2)?;
                let env = if vm.has_arg(3) {
                    vm.arg(3)
                } else {
                    Value::table(vm.globals)
                };
                vm.set_slots(reading::COUNT)?;
                vm.set_slot(reading::ENV, env);
                return pay_and_load(vm, chunk.len());
            }
            vm.opt_str(1)?;
            if !chunk.is_function() {
                return Err(vm.arg_type_error(0, "function"));
            }
            vm.opt_str(2)?;
            let env = if vm.has_arg(3) {
                vm.arg(3)
            } else {
                Value::table(vm.globals)
            };
            vm.set_slots(reading::COUNT)?;
            vm.set_slot(reading::ENV, env);
            let pieces = vm.new_table()?;
            vm.set_slot(reading::PIECES, Value::table(pieces));
            vm.catch();
        }
        CAUGHT => return fail_with_top(vm),
        PAID => return load_now(vm),
        _ => {
            let piece = vm.pop();
            let end = match piece.tag {
                tag::NIL => true,
                tag::STR | tag::LONG_STR => piece.as_str().is_none_or(|s| s.is_empty()),
                tag::INT | tag::FLOAT => false,
                _ => return Err(vm.fail("reader function must return a string")),
            };
            let Some(pieces) = vm.arg(reading::PIECES).as_table() else {
                return vm.ret_fail("no pieces");
            };
            if end {
                return load_pieces(vm);
            }
            let text = match piece.as_str() {
                Some(s) => s,
                None => vm.number_string(piece)?,
            };
            vm.raw_set_int(pieces, pieces.border() as i64 + 1, Value::string(text))?;
        }
    }
    vm.set_state(1);
    let reader = vm.arg(reading::READER);
    vm.push(reader);
    Ok(Act::calling(0, 1))
}

/// Compiling is one step, so it is paid before; when that has used up the slice, the host comes first: without fuel it does not begin.
fn pay_and_load(vm: &mut Vm, len: usize) -> NativeResult {
    vm.charge(load::price(len));
    vm.set_state(PAID);
    if vm.slice_used_up() {
        return Ok(Act::AGAIN);
    }
    load_now(vm)
}

/// Loads what a reader has returned.
fn load_pieces(vm: &mut Vm) -> NativeResult {
    let Some(pieces) = vm.arg(reading::PIECES).as_table() else {
        return vm.ret_fail("no pieces");
    };
    let length = |v: &Value| v.as_str().map_or(0, |s| s.len());
    let total = pieces.array().iter().map(length).sum();
    pay_and_load(vm, total)
}

/// Loads the chunk that is in the slots, as a string or in pieces.
fn load_now(vm: &mut Vm) -> NativeResult {
    let text = |v: &Value| v.as_str().map_or(&b""[..], |s| s.as_bytes());
    let mut joined = Vec::new();
    let source = vm.arg(reading::READER).as_str();
    let name = vm.opt_str(reading::NAME)?;
    let (chunk, name) = match (source, vm.arg(reading::PIECES).as_table()) {
        (Some(source), _) => (source.as_bytes(), name.unwrap_or(source).as_bytes()),
        (None, pieces) => {
            let pieces = pieces.as_ref().map_or(&[][..], |t| t.array());
            let total = pieces.iter().map(|v| text(v).len()).sum();
            vm.heap.reserve(total)?;
            joined.reserve_exact(total);
            for piece in pieces {
                joined.extend_from_slice(text(piece));
            }
            (&joined[..], name.map_or(&b"=(load)"[..], |s| s.as_bytes()))
        }
    };
    let mode = vm.opt_str(reading::MODE)?;
    let mode = mode.map_or(Mode::ANY, |m| Mode(m.as_bytes()));
    let env = vm.arg(reading::ENV);
    let loaded = load::load_paid(vm, chunk, name, mode, env)?;
    loaded_or_nil(vm, loaded)
}

/// A function, or nil and a message.
fn loaded_or_nil(vm: &mut Vm, loaded: Result<Value, Vec<u8>>) -> NativeResult {
    match loaded {
        Ok(function) => vm.ret(function),
        Err(message) => {
            let message = vm.new_string(&message)?;
            vm.push(message);
            fail_with_top(vm)
        }
    }
}

/// nil and the top slot.
fn fail_with_top(vm: &mut Vm) -> NativeResult {
    let message = vm.pop();
    vm.push(Value::NIL);
    vm.push(message);
    Ok(Act::returning(2))
}

/// `loadfile ([filename [, mode [, env]]])`
fn loadfile(vm: &mut Vm) -> NativeResult {
    let path = vm.opt_str(0)?;
    let mode = vm.opt_str(1)?;
    let env = if vm.has_arg(2) {
        vm.arg(2)
    } else {
        Value::table(vm.globals)
    };
    let mode = mode.map_or(Mode::ANY, |m| Mode(m.as_bytes()));
    let loaded = load::load_file(vm, path.map(|s| s.as_bytes()), mode, env)?;
    loaded_or_nil(vm, loaded)
}

/// `dofile ([filename])`
fn dofile(vm: &mut Vm) -> NativeResult {
    if vm.state() != 0 {
        return Ok(Act::returning(vm.slots() as u32 - 1));
    }
    let path = vm.opt_str(0)?;
    vm.set_slots(1)?;
    let env = Value::table(vm.globals);
    match load::load_file(vm, path.map(|s| s.as_bytes()), Mode::ANY, env)? {
        Ok(function) => {
            vm.set_state(1);
            vm.push(function);
            Ok(Act::calling(0, -1))
        }
        Err(message) => Err(vm.throw_bytes(&message)),
    }
}

// ---- memory ----

const OPTIONS: &[&str] = &[
    "collect",
    "stop",
    "restart",
    "count",
    "step",
    "isrunning",
    "generational",
    "incremental",
    "setpause",
    "setstepmul",
];

/// States of `collectgarbage` while finalizers run: what it returns afterwards.
const RETURN_ZERO: u32 = 1;
const RETURN_TRUE: u32 = 2;
const RETURN_FALSE: u32 = 3;
/// A full collection is going on: in slots 0 and 1 are how many cycles are to pass their atomic phase, and the state after that.
const COLLECTING: u32 = 4;
/// In slot 0: all is collected, and memory is being given back.
const RELEASING: i64 = -1 << 32;

/// Begins a full collection, which comes back to the host again and again. It is paid at once: how much is done in one go is not the same
/// on all platforms.
fn collect_all(vm: &mut Vm, then: u32) -> NativeResult {
    vm.charge(vm.heap.bytes() as u64 >> 8);
    // Objects that were marked in an unfinished cycle may have died since: then it takes another one.
    let cycles = 1 + (vm.heap.gc_phase() == Phase::Propagate) as i64;
    vm.set_slots(2)?;
    vm.set_slot(0, Value::int(cycles));
    vm.set_slot(1, Value::int(then as i64));
    vm.set_state(COLLECTING);
    vm.heap.gc_hold();
    Ok(Act::AGAIN)
}

fn collect_on(vm: &mut Vm) -> NativeResult {
    if vm.may_fault() {
        vm.wait_for_cycle(true)?;
        // A world may be let go or opened anew between two parts, and the cycle would begin again each time: here it is done in one go.
        vm.collect();
        let then = vm.arg(1).raw_int() as u32;
        vm.set_state(then);
        return finalize_all(vm);
    }
    let cycles = vm.arg(0).raw_int();
    if cycles == RELEASING {
        if vm.heap.gc_release() {
            let then = vm.arg(1).raw_int() as u32;
            vm.set_state(then);
            return finalize_all(vm);
        }
        return Ok(Act::REST);
    }
    match vm.collect_some() {
        Advance::Swept if cycles <= 0 => {
            vm.heap.gc_begin_release();
            vm.set_slot(0, Value::int(RELEASING));
            return Ok(Act::REST);
        }
        Advance::Marked => vm.set_slot(0, Value::int(cycles - 1)),
        _ => {}
    }
    vm.heap.gc_hold();
    Ok(Act::REST)
}

/// `collectgarbage ([opt [, arg]])`. There is one collector, an incremental one: after "generational" each basic step is a whole cycle.
fn collectgarbage(vm: &mut Vm) -> NativeResult {
    match vm.state() {
        0 => {}
        COLLECTING => return collect_on(vm),
        _ => return finalize_all(vm),
    }
    let option = OPTIONS[vm.check_option(0, Some("collect"), OPTIONS)?];
    let arg = match option {
        "step" | "setpause" | "setstepmul" => vm.opt_int(1, 0)?,
        _ => 0,
    };
    let params = match option {
        "incremental" => [vm.opt_int(1, 0)?, vm.opt_int(2, 0)?, vm.opt_int(3, 0)?],
        "generational" => [vm.opt_int(1, 0)?, vm.opt_int(2, 0)?, 0],
        _ => [0; 3],
    };
    if vm.heap.gc.suspended {
        // Inside a finalizer every option fails.
        return vm.ret(Value::NIL);
    }
    // Kept in fours, as the reference does.
    let percent = |n: i64| n.clamp(0, 1000) as u32 & !3;
    let result = match option {
        "stop" => {
            vm.heap.gc.stopped = true;
            Value::int(0)
        }
        "restart" => {
            vm.heap.gc.stopped = false;
            vm.heap.end_sweep();
            vm.heap.debt = vm.heap.debt.max(0);
            Value::int(0)
        }
        "count" => Value::float(vm.heap.bytes() as f64 / 1024.0),
        "isrunning" => Value::bool(!vm.heap.gc.stopped),
        "setpause" => Value::int(std::mem::replace(&mut vm.heap.gc.pause, percent(arg)) as i64),
        "setstepmul" => {
            Value::int(std::mem::replace(&mut vm.heap.gc.step_mul, percent(arg)) as i64)
        }
        "incremental" | "generational" => {
            if option == "incremental" {
                let gc = &mut vm.heap.gc;
                let [pause, step_mul, step_size] = params;
                if pause != 0 {
                    gc.pause = percent(pause);
                }
                if step_mul != 0 {
                    gc.step_mul = percent(step_mul);
                }
                if step_size != 0 {
                    gc.step_size = step_size.clamp(0, 40) as u32;
                }
            }
            let generational = option == "generational";
            vm.heap.gc.whole_steps = generational;
            let old = std::mem::replace(&mut vm.heap.gc.generational, generational);
            return vm.ret_bytes(if old { b"generational" } else { b"incremental" });
        }
        "step" => {
            if arg <= 0 && vm.heap.gc.whole_steps {
                return collect_all(vm, RETURN_TRUE);
            }
            vm.wait_for_cycle(false)?;
            let done = step(vm, arg);
            vm.set_state(if done { RETURN_TRUE } else { RETURN_FALSE });
            return finalize_all(vm);
        }
        _ => return collect_all(vm, RETURN_ZERO),
    };
    vm.ret(result)
}

/// One step of the collector, or what it does for the allocation of so many kilobytes. True when a cycle ended. In generational mode a
/// basic step is a whole cycle.
fn step(vm: &mut Vm, kilobytes: i64) -> bool {
    let stopped = std::mem::replace(&mut vm.heap.gc.stopped, false);
    vm.heap.end_sweep();
    let step_bytes = 1isize << vm.heap.gc.step_size.clamp(10, 40);
    let done = if kilobytes > 0 {
        let bytes = kilobytes.saturating_mul(1024).min(isize::MAX as i64 / 4) as isize;
        let mut left = vm.heap.debt.saturating_add(bytes);
        let mut done = false;
        vm.heap.debt = left.min(0);
        while left > 0 && !done {
            vm.heap.debt = left.min(step_bytes);
            done = vm.collect_step();
            left -= step_bytes;
        }
        done
    } else {
        vm.collect_step()
    };
    vm.heap.gc.stopped = stopped;
    done
}

/// Calls the finalizers that are due, one after the other, then returns what the state says.
fn finalize_all(vm: &mut Vm) -> NativeResult {
    if vm.call_finalizer()? {
        return Ok(Act::AGAIN);
    }
    let result = match vm.state() {
        RETURN_TRUE => Value::TRUE,
        RETURN_FALSE => Value::FALSE,
        _ => Value::int(0),
    };
    vm.ret(result)
}
