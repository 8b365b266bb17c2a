//! The original's exports (`docs/legacy.md`): one Lua engine in the module, an I/O buffer, external tables.
//!
//! SAFETY of the file: the module has one thread. The only way in while the engine runs is an import of a host that calls back; `enter` then
//! refuses, so the engine is never borrowed twice. The I/O buffer is touched only here, while no import runs.

mod backend;
mod codec;
mod engine;
mod function;
mod ids;
#[cfg(all(feature = "legacy", target_arch = "wasm32"))]
mod imports;
#[cfg(not(all(feature = "legacy", target_arch = "wasm32")))]
mod in_memory;
#[cfg(all(feature = "legacy", target_arch = "wasm32"))]
mod memory;
mod output;
mod proxy;
mod response;
mod state;
mod store;
#[cfg(test)]
mod tests;

use engine::Seed;
use response::{BUFFER_SIZE, Buffer};
use std::cell::{Cell, UnsafeCell};

/// The module's engine and what hosts see of it at any time.
struct Module {
    engine: UnsafeCell<Option<Seed>>,
    buffer: UnsafeCell<Buffer>,
    /// The engine is running.
    busy: Cell<bool>,
    /// The counter that the host gave before `init`, or while the engine was running; 0 for none.
    synced: Cell<u32>,
    memory_alias: Cell<bool>,
    home: Cell<u32>,
    io: Cell<u32>,
    heap_bytes: Cell<u32>,
}

// SAFETY: see the head of this file.
unsafe impl Sync for Module {}

static MODULE: Module = Module {
    engine: UnsafeCell::new(None),
    buffer: UnsafeCell::new(Buffer::new()),
    busy: Cell::new(false),
    synced: Cell::new(0),
    memory_alias: Cell::new(true),
    home: Cell::new(0),
    io: Cell::new(0),
    heap_bytes: Cell::new(0),
};

/// Runs something in the engine; `None` before `init`, and while the engine is running.
fn enter<R>(action: impl FnOnce(&mut Seed, &mut Buffer) -> R) -> Option<R> {
    if MODULE.busy.get() {
        return None;
    }
    // SAFETY: see the head of this file.
    let (engine, buffer) = unsafe { (&mut *MODULE.engine.get(), &mut *MODULE.buffer.get()) };
    let seed = engine.as_mut()?;
    MODULE.busy.set(true);
    let result = action(seed, buffer);
    seed.sync(MODULE.synced.replace(0));
    MODULE.home.set(seed.home());
    MODULE.io.set(seed.io());
    MODULE
        .heap_bytes
        .set(seed.heap_bytes().min(u32::MAX as usize) as u32);
    MODULE.busy.set(false);
    Some(result)
}

/// Makes the engine: 0, or -1 when there is no memory for it. Again: 0, and nothing happens.
#[unsafe(no_mangle)]
pub extern "C" fn init() -> i32 {
    if MODULE.busy.get() {
        return 0;
    }
    // SAFETY: see the head of this file.
    let engine = unsafe { &mut *MODULE.engine.get() };
    if engine.is_none() {
        match Seed::new(
            store_of_tables(),
            MODULE.synced.replace(0),
            MODULE.memory_alias.get(),
            heap_max(),
        ) {
            Some(seed) => *engine = Some(seed),
            None => return -1,
        }
        let _ = enter(|_, _| ());
    }
    0
}

/// Runs the chunk of `len` bytes at `address` (0 means the I/O buffer). The answer is in the I/O buffer; its length is returned, or -(n + 1)
/// for an error message of n bytes.
#[unsafe(no_mangle)]
pub extern "C" fn compute(address: u32, len: u32) -> i32 {
    if len == 0 {
        return 0;
    }
    if len as usize > BUFFER_SIZE {
        return -1;
    }
    let address = if address == 0 {
        get_buffer_ptr()
    } else {
        address
    };
    let Some(source) = crate::range::read(address, len).map(<[u8]>::to_vec) else {
        return -1;
    };
    match enter(|seed, buffer| seed.compute(&source, buffer)) {
        Some(answer) => answer,
        None => {
            // SAFETY: see the head of this file.
            let buffer = unsafe { &mut *MODULE.buffer.get() };
            if MODULE.busy.get() {
                return buffer.error(b"the engine is running: an import may not call 'compute'");
            }
            buffer.error(b"Lua state not initialized");
            -1
        }
    }
}

/// Where the I/O buffer is: constant.
#[unsafe(no_mangle)]
pub extern "C" fn get_buffer_ptr() -> u32 {
    MODULE.buffer.get() as usize as u32
}

#[unsafe(no_mangle)]
pub extern "C" fn get_buffer_size() -> u32 {
    BUFFER_SIZE as u32
}

/// Writes three u32 to `address`: the buffer's size, the bytes of the Lua heap, the memory's pages.
#[unsafe(no_mangle)]
pub extern "C" fn get_memory_stats(address: u32) {
    let stats = [
        BUFFER_SIZE as u32,
        MODULE.heap_bytes.get(),
        crate::range::memory_pages(),
    ];
    if let Some(out) = crate::range::write(address, 12) {
        for (to, stat) in out.chunks_exact_mut(4).zip(stats) {
            to.copy_from_slice(&stat.to_le_bytes());
        }
    }
}

/// A whole garbage collection.
#[unsafe(no_mangle)]
pub extern "C" fn run_gc() {
    enter(|seed, _| seed.collect());
}

/// Makes `_home` a proxy for this table, and `Memory` if the alias is on.
#[unsafe(no_mangle)]
pub extern "C" fn attach_memory_table(id: u32) {
    enter(|seed, _| seed.attach(id, MODULE.memory_alias.get()));
}

/// The number of the home table; 0 before `init`.
#[unsafe(no_mangle)]
pub extern "C" fn get_memory_table_id() -> u32 {
    MODULE.home.get()
}

/// The number of `_io`; 0 before `init`.
#[unsafe(no_mangle)]
pub extern "C" fn get_io_table_id() -> u32 {
    MODULE.io.get()
}

/// Sets `input`, `output` and `meta` of `_io` to nil.
#[unsafe(no_mangle)]
pub extern "C" fn clear_io_table() {
    enter(|seed, _| seed.clear_io());
}

/// Tables from this number on are free.
#[unsafe(no_mangle)]
pub extern "C" fn sync_external_table_counter(next: u32) {
    if next <= ids::MAX {
        MODULE.synced.set(MODULE.synced.get().max(next));
        enter(|_, _| ());
    }
}

/// Whether `init` and `attach_memory_table` also set `Memory` from now on.
#[unsafe(no_mangle)]
pub extern "C" fn set_memory_alias_enabled(enabled: u32) {
    MODULE.memory_alias.set(enabled != 0);
}

#[cfg(all(feature = "legacy", target_arch = "wasm32"))]
fn store_of_tables() -> Box<dyn backend::Backend> {
    Box::new(imports::Imports)
}
#[cfg(not(all(feature = "legacy", target_arch = "wasm32")))]
fn store_of_tables() -> Box<dyn backend::Backend> {
    Box::new(in_memory::InMemory::default())
}

/// What the Lua heap may take.
fn heap_max() -> engine::Bounds {
    #[cfg(all(feature = "legacy", target_arch = "wasm32"))]
    return memory::BOUNDS;
    #[cfg(not(all(feature = "legacy", target_arch = "wasm32")))]
    engine::Bounds {
        heap: 1 << 30,
        string: 1 << 29,
        system: 3 << 30,
    }
}
