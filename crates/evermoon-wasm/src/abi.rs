//! All exports of Evermoon's own ABI, by noun. `docs/abi.md` says the same at length.
//!
//! Rules
//! - Numbers are 32-bit unless they are `f64`; addresses and lengths are in bytes.
//! - An engine is named by a number, never 0. Handles belong to one engine, are never 0, and a freed one is told from its successor.
//! - The host owns what `em_alloc` gave it, and every handle that it was handed. It never frees anything else.
//! - Addresses in the mailbox and the text of strings in slots are good until the next call into the same engine. Memory may grow in any
//!   call: take a fresh view of it afterwards.
//! - After a call that did not come back (`inside.rs`) every call finds nothing.
//! - No call traps for whatever a Lua program or a host's mistake does: a mistake gives status `MISUSE` and a message in the mailbox.
//!
//! SAFETY of the file: the module is single-threaded, and its exports do not run inside each other (there are no imports that could come
//! back), so the table of engines is never borrowed twice. Ranges from the host are checked against the size of the memory before use.

use crate::engine::{Engine, Mailbox, status};
use crate::inside::Inside;
use crate::memory;
use crate::slot::{Refusal, Slot};
use evermoon::heap::object::Gc;
use evermoon::heap::table::Table;
use evermoon::heap::value::Value;
use evermoon::stdlib::load::{self, Mode};
use evermoon::vm::Thrown;
use evermoon::vm::task::{Answer, Stage};

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

/// The engine with this number, and that a call is at work on it.
pub(crate) fn engine(number: u32) -> Option<(&'static mut Engine, Inside)> {
    let inside = Inside::enter()?;
    Some((find(number)?, inside))
}

/// The same for a call that is inside already. A number is index + 1 in the low 12 bits, the slot's generation above.
pub(crate) fn find(number: u32) -> Option<&'static mut Engine> {
    let index = (number & 0xfff).checked_sub(1)? as usize;
    let (generation, engine) = engines().0.get_mut(index)?;
    if *generation != number >> 12 {
        None
    } else {
        engine.as_deref_mut()
    }
}

/// A range of the module's memory, if it lies inside. An empty one may have any address.
pub fn range<'a>(address: u32, len: u32) -> Option<&'a [u8]> {
    if len == 0 {
        return Some(&[]);
    }
    crate::range::read(address, len)
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
    let Some(_inside) = Inside::enter() else {
        return std::ptr::null_mut();
    };
    let Ok(layout) = std::alloc::Layout::from_size_align(size.max(1) as usize, 16) else {
        return std::ptr::null_mut();
    };
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
        && let Some(_inside) = Inside::enter()
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
    let Some(_inside) = Inside::enter() else {
        return 0;
    };
    memory::fill();
    let Some(new) = Engine::new(memory_max.clamp(0.0, usize::MAX as f64 / 2.0) as usize) else {
        return 0;
    };
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
    (all[index].0 << 12) | (index as u32 + 1)
}

/// `em_engine_free(engine) -> 1 or 0`: frees an engine and all its handles; finalizers do not run. 0 if there is no such engine.
#[unsafe(no_mangle)]
pub extern "C" fn em_engine_free(number: u32) -> u32 {
    let Some((_, _inside)) = engine(number) else {
        return 0;
    };
    let slot = &mut engines().0[(number & 0xfff) as usize - 1];
    slot.1 = None;
    slot.0 = (slot.0 + 1) & 0xf_ffff;
    1
}

/// `em_close(engine) -> task`: a task that runs the next finalizer, as Lua does at the end of a program; 0 when there are none left. Before
/// `em_engine_free`, if the host cares. The engine collects nothing from the first call on.
#[unsafe(no_mangle)]
pub extern "C" fn em_close(number: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return 0;
    };
    match e.close_next() {
        Ok(task) => task.map_or(0, |task| task as u32 + 1),
        Err(refusal) => {
            e.refuse(refusal);
            0
        }
    }
}

/// `em_mailbox(engine) -> address`: the engine's mailbox (`engine.rs`), constant for its life; 0 if there is no such engine.
#[unsafe(no_mangle)]
pub extern "C" fn em_mailbox(number: u32) -> *const Mailbox {
    match engine(number) {
        Some((e, _inside)) => &raw const *e.mailbox,
        None => std::ptr::null(),
    }
}

/// Slots that a host may ask for: 16 MiB of them.
const SLOTS_MAX: u32 = 1 << 20;

/// `em_slots(engine, count) -> address`: room for `count` slots, for arguments. Earlier contents stay. 0 for more than 1048576.
#[unsafe(no_mangle)]
pub extern "C" fn em_slots(number: u32, count: u32) -> *mut Slot {
    let Some((e, _inside)) = engine(number) else {
        return std::ptr::null_mut();
    };
    if count > SLOTS_MAX {
        e.refuse(Refusal::Misuse("more than 1048576 slots"));
        return std::ptr::null_mut();
    }
    e.room(count as usize)
}

/// `em_output_taken(engine)`: the host has read the captured output and the released numbers; forget them.
#[unsafe(no_mangle)]
pub extern "C" fn em_output_taken(number: u32) {
    if let Some((e, _inside)) = engine(number) {
        let mut shared = e.shared.borrow_mut();
        shared.output.clear();
        shared.reports.clear();
        shared.released.clear();
        drop(shared);
        let status = e.mailbox.status;
        e.publish(status);
    }
}

/// `em_set_fuel(engine, fuel: f64)`: gives fuel; negative for no limit.
#[unsafe(no_mangle)]
pub extern "C" fn em_set_fuel(number: u32, fuel: f64) {
    if let Some((e, _inside)) = engine(number) {
        e.vm.set_fuel(if fuel < 0.0 { None } else { Some(fuel as u64) });
    }
}

/// `em_fuel(engine) -> f64`: fuel left, negative for no limit.
#[unsafe(no_mangle)]
pub extern "C" fn em_fuel(number: u32) -> f64 {
    match engine(number) {
        Some((e, _inside)) => e.vm.fuel().map_or(-1.0, |f| f as f64),
        None => -1.0,
    }
}

/// `em_set_memory_max(engine, bytes: f64)`: caps the heap, 0 for no cap.
#[unsafe(no_mangle)]
pub extern "C" fn em_set_memory_max(number: u32, bytes: f64) {
    if let Some((e, _inside)) = engine(number) {
        e.vm.heap.bytes_max = if bytes > 0.0 {
            bytes as usize
        } else {
            usize::MAX / 2
        };
    }
}

/// `em_interrupt(engine, message, len) -> 1 or 0`: whichever task runs next gets this error at the end of a slice; a `pcall` of its may catch it.
#[unsafe(no_mangle)]
pub extern "C" fn em_interrupt(number: u32, message: u32, len: u32) -> u32 {
    match (engine(number), range(message, len)) {
        (Some((e, _inside)), Some(text)) => {
            e.vm.set_interrupt(&String::from_utf8_lossy(text));
            1
        }
        _ => 0,
    }
}

/// `em_seed(engine, a: i64, b: i64)`: seeds `math.random`.
#[unsafe(no_mangle)]
pub extern "C" fn em_seed(number: u32, a: u64, b: u64) {
    if let Some((e, _inside)) = engine(number) {
        evermoon::stdlib::seed(&mut e.vm, a, b);
    }
}

/// `em_collect(engine)`: a whole garbage collection.
#[unsafe(no_mangle)]
pub extern "C" fn em_collect(number: u32) {
    if let Some((e, _inside)) = engine(number) {
        e.vm.collect();
        let status = e.mailbox.status;
        e.publish(status);
    }
}

/// `em_stat(engine, which) -> f64`: 0 heap bytes in use, 1 heap cap, 2 completed collections, 3 fuel used, 4 handles held,
/// 5 tasks, 6 bytes taken from the module's allocator, 7 requests for memory that the system has refused the module.
#[unsafe(no_mangle)]
pub extern "C" fn em_stat(number: u32, which: u32) -> f64 {
    if which == 7 {
        return memory::refused() as f64;
    }
    let Some((e, _inside)) = engine(number) else {
        return -1.0;
    };
    match which {
        0 => e.vm.heap.bytes() as f64,
        1 => e.vm.heap.bytes_max as f64,
        2 => e.vm.heap.cycles() as f64,
        3 => e.vm.fuel_used() as f64,
        4 => (e.vm.held_count() - e.own_handles()) as f64,
        5 => e.vm.task_count() as f64,
        6 => e.vm.heap.system_bytes() as f64,
        _ => -1.0,
    }
}

// ---- values and handles ----

/// A table by its handle.
fn table(e: &Engine, handle: u32) -> Result<Gc<Table>, Refusal> {
    e.held(handle)?
        .as_table()
        .ok_or(Refusal::Misuse("the handle is not a table's"))
}

/// A handle for a value that was made, 0 when it was refused.
fn give(e: &mut Engine, made: Result<Value, Refusal>) -> u32 {
    match made.and_then(|v| e.handle(v)) {
        Ok(handle) => handle,
        Err(refusal) => {
            e.refuse(refusal);
            0
        }
    }
}

/// 1, or 0 for a refusal.
fn done(e: &mut Engine, done: Result<(), Refusal>) -> u32 {
    match done {
        Ok(()) => 1,
        Err(refusal) => {
            e.refuse(refusal);
            0
        }
    }
}

/// `em_handle_free(engine, handle) -> 1 or 0`: lets go of what the handle holds. 0 if it was freed before.
#[unsafe(no_mangle)]
pub extern "C" fn em_handle_free(number: u32, handle: u32) -> u32 {
    match engine(number) {
        Some((e, _inside)) => match e.unpack(handle) {
            Some(h) => e.vm.release(h) as u32,
            None => 0,
        },
        None => 0,
    }
}

/// `em_handle_copy(engine, handle) -> handle`: another handle to the same; 0 if there is none to copy.
#[unsafe(no_mangle)]
pub extern "C" fn em_handle_copy(number: u32, handle: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return 0;
    };
    let held = e.held(handle);
    give(e, held)
}

/// `em_handle_slot(engine, handle) -> status`: slot 0 becomes the value that a handle holds, as a result would have it (a string's bytes; a
/// second handle to a table).
#[unsafe(no_mangle)]
pub extern "C" fn em_handle_slot(number: u32, handle: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return status::MISUSE;
    };
    match e.held(handle) {
        Ok(v) => e.results(&[v]),
        Err(refusal) => e.refuse(refusal),
    }
}

/// `em_same(engine, a, b) -> 1 or 0`: whether two handles hold the same object.
#[unsafe(no_mangle)]
pub extern "C" fn em_same(number: u32, a: u32, b: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return 0;
    };
    match (e.held(a), e.held(b)) {
        (Ok(a), Ok(b)) => a.raw_equals(b) as u32,
        _ => 0,
    }
}

/// `em_globals(engine) -> handle`: the table of globals.
#[unsafe(no_mangle)]
pub extern "C" fn em_globals(number: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return 0;
    };
    let globals = Value::table(e.vm.globals);
    give(e, Ok(globals))
}

/// `em_table_new(engine, array, entries) -> handle`: a table with room for so many array elements and other entries; 0 when memory is out.
#[unsafe(no_mangle)]
pub extern "C" fn em_table_new(number: u32, array: u32, entries: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return 0;
    };
    let made = e.with_arguments(0, |e, _| {
        let t = e.vm.new_table()?;
        e.vm.heap
            .table_presize(t, array.min(1 << 24), entries.min(1 << 24))
            .map_err(|_| Refusal::Memory)?;
        Ok(Value::table(t))
    });
    give(e, made)
}

/// `em_string_new(engine, len) -> handle`: a string of `len` bytes, more than 40, for the host to fill in at `em_string_bytes` before the next call that
/// runs Lua; until then its bytes are what was in that memory. 0 when memory is out. (Shorter strings go by slots only.)
#[unsafe(no_mangle)]
pub extern "C" fn em_string_new(number: u32, len: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return 0;
    };
    let made = if len <= 40 {
        Err(Refusal::Misuse("em_string_new is for more than 40 bytes"))
    } else {
        e.with_arguments(0, |e, _| {
            // SAFETY: the module's memory is initialised, all of it: wasm zeroes what it gives. (The allocation is hidden from the optimiser,
            // which would think otherwise.) Zeroing it again would be a third of what a long string costs.
            let s = unsafe { e.vm.heap.unwritten_string(len as usize) };
            Ok(Value::string(s?))
        })
    };
    give(e, made)
}

/// `em_string_cut(engine, handle, len) -> 1 or 0`: a string of `em_string_new` that has more bytes than its host could fill becomes shorter, of at least 1024
/// bytes, before the next call that runs Lua.
#[unsafe(no_mangle)]
pub extern "C" fn em_string_cut(number: u32, handle: u32, len: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return 0;
    };
    match e.held(handle).ok().and_then(|v| v.as_str()) {
        Some(s) if len >= 1024 => e.vm.heap.cut_string(s, len as usize) as u32,
        _ => 0,
    }
}

/// `em_string_bytes(engine, handle) -> address` of a string's bytes, 0 if the handle is not a string's.
#[unsafe(no_mangle)]
pub extern "C" fn em_string_bytes(number: u32, handle: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return 0;
    };
    match e.held(handle).ok().and_then(|v| v.as_str()) {
        Some(s) => s.as_bytes().as_ptr() as usize as u32,
        None => 0,
    }
}

/// `em_function_new(engine, number) -> handle`: the Lua function of a number of the host's (as a slot of kind `HOST_FUNCTION` gives it): calling it
/// gives `HOST_CALL` with this number.
#[unsafe(no_mangle)]
pub extern "C" fn em_function_new(number: u32, function: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return 0;
    };
    let made = e.with_arguments(0, |e, _| e.host_function(function));
    give(e, made)
}

/// `em_object_metatable(engine, table) -> 1 or 0`: the metatable of host objects made from now on. Its `__gc` is set by the engine, to report
/// dead objects in the mailbox's `released`.
#[unsafe(no_mangle)]
pub extern "C" fn em_object_metatable(number: u32, handle: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return 0;
    };
    let set = table(e, handle).and_then(|t| e.set_object_metatable(t));
    done(e, set)
}

// ---- tables, without metamethods ----

/// `em_raw_get(engine, table) -> status`: slot 0 is the key; slot 0 becomes the value.
#[unsafe(no_mangle)]
pub extern "C" fn em_raw_get(number: u32, handle: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return status::MISUSE;
    };
    let got = table(e, handle)
        .and_then(|t| e.with_arguments(1, |e, args| Ok(e.vm.get_raw(t, args[0])?)));
    match got {
        Ok(v) => e.results(&[v]),
        Err(refusal) => e.refuse(refusal),
    }
}

/// `em_get(engine, table) -> status`: the same where no metamethod has a say; else `METAMETHOD`: let Lua do it (`return t[k]`).
#[unsafe(no_mangle)]
pub extern "C" fn em_get(number: u32, handle: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return status::MISUSE;
    };
    let got = table(e, handle).and_then(|t| {
        e.with_arguments(1, |e, args| {
            let lua = t.header.is_external() || e.vm.metatable_of(Value::table(t)).is_some();
            Ok((t.get(args[0]), lua))
        })
    });
    match got {
        Ok((v, true)) if v.is_nil() => e.empty(status::METAMETHOD),
        Ok((v, _)) => e.results(&[v]),
        Err(refusal) => e.refuse(refusal),
    }
}

/// `em_raw_set(engine, table, count) -> status`: the first `count` slots are keys and values in turn. After a refusal the pairs before the
/// refused one are set.
#[unsafe(no_mangle)]
pub extern "C" fn em_raw_set(number: u32, handle: u32, count: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return status::MISUSE;
    };
    let set = table(e, handle).and_then(|t| {
        if count & 1 != 0 {
            return Err(Refusal::Misuse("keys and values come in pairs"));
        }
        e.with_arguments(count as usize, |e, args| {
            for pair in args.chunks_exact(2) {
                if pair[0].is_nil() || pair[0].as_float().is_some_and(f64::is_nan) {
                    return Err(Refusal::Misuse("a key is nil or NaN"));
                }
                e.vm.raw_set(t, pair[0], pair[1])?;
            }
            Ok(())
        })
    });
    match set {
        Ok(()) => status::DONE,
        Err(refusal) => e.refuse(refusal),
    }
}

/// `em_raw_append(engine, table, position: f64, count) -> status`: the first `count` slots go to `position` (from 1) and the places after it.
#[unsafe(no_mangle)]
pub extern "C" fn em_raw_append(number: u32, handle: u32, position: f64, count: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return status::MISUSE;
    };
    let set = table(e, handle).and_then(|t| {
        e.with_arguments(count as usize, |e, args| {
            for (i, v) in args.iter().enumerate() {
                e.vm.raw_set_int(t, position as i64 + i as i64, *v)?;
            }
            Ok(())
        })
    });
    match set {
        Ok(()) => status::DONE,
        Err(refusal) => e.refuse(refusal),
    }
}

/// `em_raw_entries(engine, table, count) -> status`: slot 0 is a key (nil for the beginning); the slots become the next keys and values in turn, at most `count`
/// pairs, in the order of `pairs`. None when there are no more.
#[unsafe(no_mangle)]
pub extern "C" fn em_raw_entries(number: u32, handle: u32, count: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return status::MISUSE;
    };
    let found = table(e, handle).and_then(|t| {
        e.with_arguments(1, |e, args| {
            let mut found = Vec::new();
            let (mut key, mut hint) = (args[0], u32::MAX);
            for _ in 0..count.min(1 << 16) {
                match e.vm.raw_next(t, key, &mut hint) {
                    Ok(Some((next, value))) => {
                        found.extend([next, value]);
                        key = next;
                    }
                    Ok(None) => break,
                    Err(_) if e.vm.thrown() == Thrown::Fault => return Err(Refusal::Fault),
                    Err(_) => return Err(Refusal::Misuse("the key is not in the table")),
                }
            }
            Ok(found)
        })
    });
    match found {
        Ok(found) => e.results(&found),
        Err(refusal) => e.refuse(refusal),
    }
}

/// `em_raw_len(engine, table) -> f64`: a border of the table (or a string's length in bytes), -1 for what has none, -4 when records are wanted.
#[unsafe(no_mangle)]
pub extern "C" fn em_raw_len(number: u32, handle: u32) -> f64 {
    let Some((e, _inside)) = engine(number) else {
        return -1.0;
    };
    match e.held(handle) {
        Ok(v) => match (v.as_table(), v.as_str()) {
            (Some(t), _) => match e.vm.raw_length(t) {
                Ok(border) => border as f64,
                Err(_) if e.vm.thrown() == Thrown::Fault => -4.0,
                Err(_) => -1.0,
            },
            (_, Some(s)) => s.as_bytes().len() as f64,
            _ => -1.0,
        },
        Err(_) => -1.0,
    }
}

/// `em_table_shape(engine, table) -> f64`: n if the table's keys are just 1 to n (0 for an empty table), -1 if they are all strings, -2 otherwise,
/// -3 for what is not a table's handle, -4 when records are wanted.
#[unsafe(no_mangle)]
pub extern "C" fn em_table_shape(number: u32, handle: u32) -> f64 {
    let Some((e, _inside)) = engine(number) else {
        return -3.0;
    };
    let Ok(t) = table(e, handle) else { return -3.0 };
    let (mut key, mut hint) = (Value::NIL, u32::MAX);
    let (mut count, mut max, mut names) = (0i64, 0i64, 0i64);
    loop {
        let next = match e.vm.raw_next(t, key, &mut hint) {
            Ok(Some((next, _))) => next,
            Err(_) if e.vm.thrown() == Thrown::Fault => return -4.0,
            _ => break,
        };
        count += 1;
        if next.is_int() && next.raw_int() > 0 {
            max = max.max(next.raw_int());
        } else if next.is_string() {
            names += 1;
        } else {
            return -2.0;
        }
        key = next;
    }
    match () {
        _ if names == 0 && max == count => count as f64,
        _ if names == count => -1.0,
        _ => -2.0,
    }
}

/// `em_identity(engine, handle) -> number`: the same for two handles that hold the same object, as long as it lives. 0 for what is no handle.
#[unsafe(no_mangle)]
pub extern "C" fn em_identity(number: u32, handle: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return 0;
    };
    e.held(handle).map_or(0, |v| v.bits as u32)
}

/// `em_has_metatable(engine, handle) -> 1 or 0`
#[unsafe(no_mangle)]
pub extern "C" fn em_has_metatable(number: u32, handle: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return 0;
    };
    e.held(handle).is_ok_and(|v| e.vm.metatable_of(v).is_some()) as u32
}

/// `em_metatable(engine, handle) -> handle` of the metatable of what a handle holds; 0 if it has none.
#[unsafe(no_mangle)]
pub extern "C" fn em_metatable(number: u32, handle: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return 0;
    };
    match e.held(handle).ok().and_then(|v| e.vm.metatable_of(v)) {
        Some(t) => give(e, Ok(Value::table(t))),
        None => 0,
    }
}

// ---- running ----

/// `em_load(engine, source, len, name, name_len, mode) -> status`: compiles a chunk; `mode` 1 text, 2 binary, 3 both. `DONE`: slot 0 is the function;
/// `ERROR`: slot 0 is the message.
#[unsafe(no_mangle)]
pub extern "C" fn em_load(
    number: u32,
    source: u32,
    len: u32,
    name: u32,
    name_len: u32,
    mode: u32,
) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return status::MISUSE;
    };
    let (Some(source), Some(name)) = (range(source, len), range(name, name_len)) else {
        return e.refuse(Refusal::Misuse(
            "the source's range lies outside the memory",
        ));
    };
    let mode = Mode([b"".as_slice(), b"t", b"b", b"bt"][mode as usize & 3]);
    let env = Value::table(e.vm.globals);
    let loaded = e.with_arguments(0, |e, _| {
        Ok(load::load(&mut e.vm, source, name, mode, env)?)
    });
    match loaded {
        Ok(Ok(function)) => e.results(&[function]),
        Ok(Err(message)) => match e.vm.new_string(&message) {
            Ok(s) => {
                e.set_results(&[s, Value::NIL]);
                e.publish(status::ERROR)
            }
            Err(_) => e.refuse(Refusal::Memory),
        },
        Err(refusal) => e.refuse(refusal),
    }
}

/// `em_start(engine, function, count) -> task`: a task that calls the function (a handle) with the first `count` slots. 0 is a refusal.
#[unsafe(no_mangle)]
pub extern "C" fn em_start(number: u32, function: u32, count: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return 0;
    };
    match e
        .held(function)
        .and_then(|f| e.start(false, f, count as usize))
    {
        Ok(task) => task as u32 + 1,
        Err(refusal) => {
            e.refuse(refusal);
            0
        }
    }
}

/// `em_start_coroutine(engine, function, count) -> task`: the same, but its function may yield to the host: `YIELDED`.
#[unsafe(no_mangle)]
pub extern "C" fn em_start_coroutine(number: u32, function: u32, count: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return 0;
    };
    match e
        .held(function)
        .and_then(|f| e.start(true, f, count as usize))
    {
        Ok(task) => task as u32 + 1,
        Err(refusal) => {
            e.refuse(refusal);
            0
        }
    }
}

/// `em_run(engine, task, slices) -> status`: runs a task until something happens, at most so many slices (5000 safe points each).
/// After `DONE` and `ERROR` the task is gone.
#[unsafe(no_mangle)]
pub extern "C" fn em_run(number: u32, task: u32, slices: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return status::MISUSE;
    };
    match task.checked_sub(1) {
        Some(task) => e.run(task as usize, slices.max(1)),
        None => e.refuse(Refusal::Misuse("there is no task 0")),
    }
}

/// `em_call(engine, function, count, slices) -> status`: `em_start` and `em_run` in one. The task is in the mailbox.
#[unsafe(no_mangle)]
pub extern "C" fn em_call(number: u32, function: u32, count: u32, slices: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return status::MISUSE;
    };
    match e
        .held(function)
        .and_then(|f| e.start(false, f, count as usize))
    {
        Ok(task) => e.run(task, slices.max(1)),
        Err(refusal) => {
            // Not the task of a call further out, which the host would take for this one's.
            e.mailbox.task = 0;
            e.refuse(refusal)
        }
    }
}

/// `em_answer(engine, task, count, ok) -> status`: answers a task's host call or yield with the first `count` slots as results, or (ok = 0,
/// host calls only) raises slot 0 as an error there. Then `em_run` goes on. `MEMORY`: the task still waits.
#[unsafe(no_mangle)]
pub extern "C" fn em_answer(number: u32, task: u32, count: u32, ok: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return status::MISUSE;
    };
    let answered = e.with_arguments(count as usize, |e, values| {
        let answer = if ok != 0 {
            Answer::Values(values)
        } else {
            Answer::Error(values.first().copied().unwrap_or(Value::NIL))
        };
        let Some(task) = task.checked_sub(1).map(|task| task as usize) else {
            return Err(Refusal::Misuse("there is no task 0"));
        };
        match e.vm.task_stage(task) {
            Some(Stage::Asked) if e.vm.answer_task(task, answer)? => Ok(()),
            Some(Stage::Yielded) if ok == 0 => Err(Refusal::Misuse(
                "the task has yielded: it can be given values, not an error",
            )),
            Some(Stage::Yielded) if e.vm.resume_task(task, values)? => Ok(()),
            _ => Err(Refusal::Misuse("the task does not wait for an answer")),
        }
    });
    match answered {
        Ok(()) => status::DONE,
        Err(refusal) => e.refuse(refusal),
    }
}

/// `em_answer_run(engine, task, count, ok, slices) -> status`: `em_answer` and, if that is done, `em_run`.
#[unsafe(no_mangle)]
pub extern "C" fn em_answer_run(number: u32, task: u32, count: u32, ok: u32, slices: u32) -> u32 {
    match em_answer(number, task, count, ok) {
        status::DONE => em_run(number, task, slices),
        refused => refused,
    }
}

/// `em_drop(engine, task)`: forgets a task without running it further.
#[unsafe(no_mangle)]
pub extern "C" fn em_drop(number: u32, task: u32) {
    if let (Some((e, _inside)), Some(task)) = (engine(number), task.checked_sub(1)) {
        e.vm.drop_task(task as usize);
    }
}
