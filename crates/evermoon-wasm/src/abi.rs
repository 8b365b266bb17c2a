//! All exports of Evermoon's own ABI, by noun. `docs/abi.md` says the same at length.
//!
//! Rules
//! - Numbers are 32-bit unless they are `f64`; addresses and lengths are in bytes.
//! - An engine is named by a number, never 0. Handles belong to one engine, are never 0, and a freed one is told from its successor.
//! - The host owns what `em_alloc` gave it, and every handle that it was handed. It never frees anything else.
//! - Addresses in the mailbox and the text of strings in slots are good until the next call into the same engine. Memory may grow in any
//!   call: take a fresh view of it afterwards.
//! - No call traps for whatever a Lua program or a host's mistake does: a mistake gives status `MISUSE` and a message in the mailbox.
//!
//! SAFETY of the file: the module is single-threaded, and its exports do not run inside each other (there are no imports that could come
//! back), so the table of engines is never borrowed twice. Ranges from the host are checked against the size of the memory before use.

use crate::engine::{Engine, Mailbox, status};
use crate::slot::{Slot, holds, pack};
use evermoon::heap::value::Value;
use evermoon::stdlib::load::{self, Mode};

/// Version of this interface; raised when something here changes its meaning. Additions do not count.
pub const ABI_VERSION: u32 = 1;

/// The engines of the module by number.
struct Engines(Vec<(u32, Option<Box<Engine>>)>);

static mut ENGINES: Engines = Engines(Vec::new());

#[allow(static_mut_refs)]
fn engines() -> &'static mut Engines {
    // SAFETY: see the head of this file.
    unsafe { &mut ENGINES }
}

/// The engine with this number: index + 1 in the low 12 bits, generation above.
fn engine(number: u32) -> Option<&'static mut Engine> {
    let index = (number & 0xfff).checked_sub(1)? as usize;
    let (generation, engine) = engines().0.get_mut(index)?;
    if *generation != number >> 12 { None } else { engine.as_deref_mut() }
}

/// A range of the module's memory, if it lies inside.
pub fn range<'a>(address: u32, len: u32) -> Option<&'a [u8]> {
    let end = address as usize + len as usize;
    if address == 0 && len > 0 || end > memory_bytes() {
        return None;
    }
    if len == 0 {
        return Some(&[]);
    }
    // SAFETY: inside the memory, which is all initialised (wasm memory is zeroed); the host does not write during the call.
    Some(unsafe { std::slice::from_raw_parts(address as usize as *const u8, len as usize) })
}

#[cfg(target_arch = "wasm32")]
fn memory_bytes() -> usize {
    core::arch::wasm32::memory_size(0) << 16
}
#[cfg(not(target_arch = "wasm32"))]
fn memory_bytes() -> usize {
    usize::MAX
}

/// `em_abi_version() -> version`
#[unsafe(no_mangle)]
pub extern "C" fn em_abi_version() -> u32 {
    ABI_VERSION
}

// ---- memory ----

/// `em_alloc(size) -> address`: memory for the host, aligned to 16; 0 when there is none.
#[unsafe(no_mangle)]
pub extern "C" fn em_alloc(size: u32) -> *mut u8 {
    let Ok(layout) = std::alloc::Layout::from_size_align(size.max(1) as usize, 16) else { return std::ptr::null_mut() };
    // SAFETY: the layout is not empty.
    unsafe { std::alloc::alloc(layout) }
}

/// `em_free(address, size)`: gives back what `em_alloc` gave, with the same size.
///
/// # Safety
/// The range came from `em_alloc` and has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn em_free(address: *mut u8, size: u32) {
    if let Ok(layout) = std::alloc::Layout::from_size_align(size.max(1) as usize, 16)
        && !address.is_null()
    {
        // SAFETY: the caller's promise.
        unsafe { std::alloc::dealloc(address, layout) }
    }
}

// ---- engines ----

/// `em_engine_new(memory_max: f64) -> engine`: an engine with the pure libraries; `memory_max` caps its heap in bytes, 0 for no cap.
/// 0 when there is no memory.
#[unsafe(no_mangle)]
pub extern "C" fn em_engine_new(memory_max: f64) -> u32 {
    let Some(new) = Engine::new(memory_max.clamp(0.0, usize::MAX as f64 / 2.0) as usize) else { return 0 };
    let all = &mut engines().0;
    let index = match all.iter().position(|(_, e)| e.is_none()) {
        Some(index) => index,
        None if all.len() < 0xfff => {
            all.push((0, None));
            all.len() - 1
        }
        None => return 0,
    };
    all[index].1 = Some(Box::new(new));
    all[index].0 << 12 | index as u32 + 1
}

/// `em_engine_free(engine) -> 1 or 0`: frees an engine and all its handles; finalizers do not run. 0 if there is no such engine.
#[unsafe(no_mangle)]
pub extern "C" fn em_engine_free(number: u32) -> u32 {
    if engine(number).is_none() {
        return 0;
    }
    let slot = &mut engines().0[(number & 0xfff) as usize - 1];
    slot.1 = None;
    slot.0 = (slot.0 + 1) & 0xf_ffff;
    1
}

/// `em_mailbox(engine) -> address`: the engine's mailbox (`engine.rs`), constant for its life; 0 if there is no such engine.
#[unsafe(no_mangle)]
pub extern "C" fn em_mailbox(number: u32) -> *const Mailbox {
    match engine(number) {
        Some(e) => &raw const *e.mailbox,
        None => std::ptr::null(),
    }
}

/// `em_slots(engine, count) -> address`: room for `count` slots, for arguments. Earlier contents stay.
#[unsafe(no_mangle)]
pub extern "C" fn em_slots(number: u32, count: u32) -> *mut Slot {
    match engine(number) {
        Some(e) if count <= 1 << 20 => e.room(count as usize),
        _ => std::ptr::null_mut(),
    }
}

/// `em_output_taken(engine)`: the host has read the captured output and the released numbers; forget them.
#[unsafe(no_mangle)]
pub extern "C" fn em_output_taken(number: u32) {
    if let Some(e) = engine(number) {
        let mut shared = e.shared.borrow_mut();
        shared.output.clear();
        shared.released.clear();
        drop(shared);
        let status = e.mailbox.status;
        e.publish(status);
    }
}

/// `em_set_fuel(engine, fuel: f64)`: gives fuel; negative for no limit.
#[unsafe(no_mangle)]
pub extern "C" fn em_set_fuel(number: u32, fuel: f64) {
    if let Some(e) = engine(number) {
        e.vm.set_fuel(if fuel < 0.0 { None } else { Some(fuel as u64) });
    }
}

/// `em_fuel(engine) -> f64`: fuel left, negative for no limit.
#[unsafe(no_mangle)]
pub extern "C" fn em_fuel(number: u32) -> f64 {
    match engine(number) {
        Some(e) => e.vm.fuel().map_or(-1.0, |f| f as f64),
        None => -1.0,
    }
}

/// `em_set_memory_max(engine, bytes: f64)`: caps the heap, 0 for no cap.
#[unsafe(no_mangle)]
pub extern "C" fn em_set_memory_max(number: u32, bytes: f64) {
    if let Some(e) = engine(number) {
        e.vm.heap.bytes_max = if bytes > 0.0 { bytes as usize } else { usize::MAX / 2 };
    }
}

/// `em_interrupt(engine, message, len) -> 1 or 0`: the run ends with this error at its next safe point.
#[unsafe(no_mangle)]
pub extern "C" fn em_interrupt(number: u32, message: u32, len: u32) -> u32 {
    match (engine(number), range(message, len)) {
        (Some(e), Some(text)) => {
            e.vm.set_interrupt(&String::from_utf8_lossy(text));
            1
        }
        _ => 0,
    }
}

/// `em_seed(engine, a: i64, b: i64)`: seeds `math.random`.
#[unsafe(no_mangle)]
pub extern "C" fn em_seed(number: u32, a: u64, b: u64) {
    if let Some(e) = engine(number) {
        evermoon::stdlib::seed(&mut e.vm, a, b);
    }
}

/// `em_collect(engine)`: a whole garbage collection.
#[unsafe(no_mangle)]
pub extern "C" fn em_collect(number: u32) {
    if let Some(e) = engine(number) {
        e.vm.collect();
        let status = e.mailbox.status;
        e.publish(status);
    }
}

/// `em_stat(engine, which) -> f64`: 0 heap bytes in use, 1 heap cap, 2 completed collections, 3 fuel used, 4 handles held,
/// 5 tasks, 6 bytes taken from the module's allocator.
#[unsafe(no_mangle)]
pub extern "C" fn em_stat(number: u32, which: u32) -> f64 {
    let Some(e) = engine(number) else { return -1.0 };
    match which {
        0 => e.vm.heap.bytes() as f64,
        1 => e.vm.heap.bytes_max as f64,
        2 => e.vm.heap.cycles() as f64,
        3 => e.vm.fuel_used() as f64,
        4 => e.vm.held_count() as f64,
        5 => e.vm.task_count() as f64,
        6 => e.vm.heap.system_bytes() as f64,
        _ => -1.0,
    }
}

// ---- values and handles ----

/// `em_handle_free(engine, handle) -> 1 or 0`
#[unsafe(no_mangle)]
pub extern "C" fn em_handle_free(number: u32, handle: u32) -> u32 {
    match engine(number) {
        Some(e) => match e.unpack(handle) {
            Some(h) => e.vm.release(h) as u32,
            None => 0,
        },
        None => 0,
    }
}

/// `em_same(engine, a, b) -> 1 or 0`: whether two handles hold the same object.
#[unsafe(no_mangle)]
pub extern "C" fn em_same(number: u32, a: u32, b: u32) -> u32 {
    let Some(e) = engine(number) else { return 0 };
    match (e.unpack(a).and_then(|h| e.vm.held(h)), e.unpack(b).and_then(|h| e.vm.held(h))) {
        (Some(a), Some(b)) => a.raw_equals(b) as u32,
        _ => 0,
    }
}

/// `em_globals(engine) -> handle` of the table of globals.
#[unsafe(no_mangle)]
pub extern "C" fn em_globals(number: u32) -> u32 {
    let Some(e) = engine(number) else { return 0 };
    let globals = Value::table(e.vm.globals);
    pack(e.vm.hold(globals))
}

/// `em_table_new(engine) -> handle`, 0 when memory is out.
#[unsafe(no_mangle)]
pub extern "C" fn em_table_new(number: u32) -> u32 {
    let Some(e) = engine(number) else { return 0 };
    match e.vm.new_table() {
        Ok(t) => pack(e.vm.hold(Value::table(t))),
        Err(_) => 0,
    }
}

/// `em_raw_get(engine, table) -> 1 or 0`: slot 0 is the key; the value comes in slot 0. No metamethods. 0 is a misuse.
#[unsafe(no_mangle)]
pub extern "C" fn em_raw_get(number: u32, table: u32) -> u32 {
    let Some(e) = engine(number) else { return 0 };
    let Some(t) = e.unpack(table).and_then(|h| e.vm.held(h)).and_then(|v| v.as_table()) else {
        e.misuse("not a table's handle");
        return 0;
    };
    match e.arguments(1) {
        Ok(args) => {
            let v = t.get(args[0]);
            e.set_results(&[v]);
            e.publish(status::DONE);
            1
        }
        Err(message) => {
            e.misuse(message);
            0
        }
    }
}

/// `em_raw_set(engine, table) -> 1 or 0`: slot 0 is the key, slot 1 the value. No metamethods. 0 is a misuse.
#[unsafe(no_mangle)]
pub extern "C" fn em_raw_set(number: u32, table: u32) -> u32 {
    let Some(e) = engine(number) else { return 0 };
    let Some(t) = e.unpack(table).and_then(|h| e.vm.held(h)).and_then(|v| v.as_table()) else {
        e.misuse("not a table's handle");
        return 0;
    };
    let done = e.arguments(2).and_then(|args| {
        e.vm.raw_set(t, args[0], args[1]).map_err(|_| "the key is nil or NaN, or memory is out")
    });
    match done {
        Ok(()) => 1,
        Err(message) => {
            e.misuse(message);
            0
        }
    }
}

/// `em_raw_next(engine, table) -> 1, 0 at the end`: slot 0 is the key; the next key and value come in slots 0 and 1.
#[unsafe(no_mangle)]
pub extern "C" fn em_raw_next(number: u32, table: u32) -> u32 {
    let Some(e) = engine(number) else { return 0 };
    let Some(t) = e.unpack(table).and_then(|h| e.vm.held(h)).and_then(|v| v.as_table()) else {
        e.misuse("not a table's handle");
        return 0;
    };
    match e.arguments(1).map(|args| t.next(args[0], &mut u32::MAX.clone())) {
        Ok(Ok(Some((key, value)))) => {
            e.set_results(&[key, value]);
            e.publish(status::DONE);
            1
        }
        Ok(Ok(None)) => 0,
        Ok(Err(())) => {
            e.misuse("the key is not in the table");
            0
        }
        Err(message) => {
            e.misuse(message);
            0
        }
    }
}

/// `em_raw_len(engine, table) -> f64`: a border of the table, or -1.
#[unsafe(no_mangle)]
pub extern "C" fn em_raw_len(number: u32, table: u32) -> f64 {
    let Some(e) = engine(number) else { return -1.0 };
    match e.unpack(table).and_then(|h| e.vm.held(h)).and_then(|v| v.as_table()) {
        Some(t) => t.border() as f64,
        None => -1.0,
    }
}

/// `em_string_new(engine, len) -> handle`: a string of `len` bytes for the host to fill in place before the next call into the engine;
/// its address is in the mailbox's `slots` field as slot 0. Only for more than 40 bytes; 0 when memory is out.
#[unsafe(no_mangle)]
pub extern "C" fn em_string_new(number: u32, len: u32) -> u32 {
    let Some(e) = engine(number) else { return 0 };
    match e.vm.heap.blank_string(len as usize) {
        Ok(s) => {
            let address = s.as_bytes().as_ptr() as usize as u64;
            e.room(1);
            e.slots[0] = Slot { payload: address | (len as u64) << 32, kind: crate::slot::kind::STRING, detail: 0 };
            e.publish(status::DONE);
            let _ = holds::STRING;
            pack(e.vm.hold(Value::string(s)))
        }
        Err(_) => 0,
    }
}

/// `em_function_new(engine, number) -> handle`: a Lua function that asks the host: calling it gives `HOST_CALL` with this number.
#[unsafe(no_mangle)]
pub extern "C" fn em_function_new(number: u32, function: u32) -> u32 {
    let Some(e) = engine(number) else { return 0 };
    match e.vm.host_function(function) {
        Ok(f) => pack(e.vm.hold(f)),
        Err(_) => 0,
    }
}

/// `em_object_metatable(engine, table) -> 1 or 0`: the metatable of host objects made from now on. Its `__gc` is set by the engine, to report
/// dead objects in the mailbox's `released`.
#[unsafe(no_mangle)]
pub extern "C" fn em_object_metatable(number: u32, table: u32) -> u32 {
    let Some(e) = engine(number) else { return 0 };
    let Some(t) = e.unpack(table).and_then(|h| e.vm.held(h)).and_then(|v| v.as_table()) else { return 0 };
    let release = e.release;
    let registry = e.vm.registry;
    let kept = e.vm.raw_set_name(registry, "host object metatable", Value::table(t));
    if kept.is_err() || e.vm.raw_set_name(t, "__gc", release).is_err() {
        return 0;
    }
    e.object_metatable = Some(t);
    1
}

// ---- running ----

/// `em_load(engine, source, len, name, name_len, mode) -> status`: compiles a chunk; `mode` 1 text, 2 binary, 3 both. `DONE`: slot 0 is the function;
/// `ERROR`: slot 0 is the message.
#[unsafe(no_mangle)]
pub extern "C" fn em_load(number: u32, source: u32, len: u32, name: u32, name_len: u32, mode: u32) -> u32 {
    let Some(e) = engine(number) else { return status::MISUSE };
    let (Some(source), Some(name)) = (range(source, len), range(name, name_len)) else {
        return e.misuse("the source's range lies outside the memory");
    };
    let mode = Mode(match mode & 3 { 0 => b"", 1 => b"t", 2 => b"b", _ => b"bt" });
    let env = Value::table(e.vm.globals);
    match load::load(&mut e.vm, source, name, mode, env) {
        Ok(Ok(function)) => {
            e.set_results(&[function]);
            e.publish(status::DONE)
        }
        Ok(Err(message)) => match e.vm.new_string(&message) {
            Ok(s) => {
                e.set_results(&[s, Value::NIL]);
                e.publish(status::ERROR)
            }
            Err(_) => e.misuse("not enough memory"),
        },
        Err(_) => {
            let message = e.vm.memory_error();
            e.set_results(&[message, Value::NIL]);
            e.publish(status::ERROR)
        }
    }
}

/// `em_start(engine, function, count) -> task`: a task that calls the function (a handle) with the first `count` slots. 0 is a misuse.
#[unsafe(no_mangle)]
pub extern "C" fn em_start(number: u32, function: u32, count: u32) -> u32 {
    let Some(e) = engine(number) else { return 0 };
    let Some(f) = e.unpack(function).and_then(|h| e.vm.held(h)) else {
        e.misuse("the function's handle was freed, or belongs to another engine");
        return 0;
    };
    match e.start(f, count as usize) {
        Ok(task) => task as u32 + 1,
        Err(message) => {
            e.misuse(message);
            0
        }
    }
}

/// `em_run(engine, task, slices) -> status`: runs a task until something happens, at most so many slices (20 000 safe points each).
/// After `DONE` and `ERROR` the task is gone.
#[unsafe(no_mangle)]
pub extern "C" fn em_run(number: u32, task: u32, slices: u32) -> u32 {
    let Some(e) = engine(number) else { return status::MISUSE };
    match task.checked_sub(1) {
        Some(task) => e.run(task as usize, slices.max(1)),
        None => e.misuse("no such task"),
    }
}

/// `em_call(engine, function, count, slices) -> status`: `em_start` and `em_run` in one.
#[unsafe(no_mangle)]
pub extern "C" fn em_call(number: u32, function: u32, count: u32, slices: u32) -> u32 {
    match em_start(number, function, count) {
        0 => status::MISUSE,
        task => em_run(number, task, slices),
    }
}

/// `em_answer(engine, task, count, ok) -> 1 or 0`: answers a task's host call with the first `count` slots as results, or (ok = 0) raises slot 0 as an
/// error there. Then `em_run` goes on. 0 if the task does not wait.
#[unsafe(no_mangle)]
pub extern "C" fn em_answer(number: u32, task: u32, count: u32, ok: u32) -> u32 {
    let Some(e) = engine(number) else { return 0 };
    let Some(task) = task.checked_sub(1) else { return 0 };
    match e.arguments(count as usize) {
        Ok(values) => {
            let error = values.first().copied().unwrap_or(Value::NIL);
            let answer = if ok != 0 { Ok(&values[..]) } else { Err(error) };
            e.vm.answer_task(task as usize, answer) as u32
        }
        Err(message) => {
            e.misuse(message);
            0
        }
    }
}

/// `em_drop(engine, task)`: forgets a task without running it further.
#[unsafe(no_mangle)]
pub extern "C" fn em_drop(number: u32, task: u32) {
    if let (Some(e), Some(task)) = (engine(number), task.checked_sub(1)) {
        e.vm.drop_task(task as usize);
    }
}
