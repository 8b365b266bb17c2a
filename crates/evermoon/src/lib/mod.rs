//! The standard library, one file a library. The files named here are its pure cores: they know neither heap nor VM,
//! so they can be tested against the reference byte by byte, and the library functions that use them stay short.

pub mod base;
pub mod calendar;
pub mod cformat;
pub mod closure;
pub mod coroutine;
pub mod debug;
pub mod ext;
pub mod format;
pub mod io;
pub mod load;
pub mod math;
pub mod os;
pub mod pack;
pub mod package;
pub mod packfmt;
pub mod pattern;
mod pieces;
pub mod sort;
pub mod string;
pub mod strpattern;
pub mod table;
pub mod utf8;
pub mod utf8core;
pub mod xoshiro;

use crate::heap::object::Gc;
use crate::heap::table::Table;
use crate::heap::value::Value;
use crate::vm::{Act, NativeFn, NativeResult, Throw, Vm};

/// Opens the libraries in the global table. `base` comes first (its natives have fixed numbers).
pub fn open(vm: &mut Vm) -> Result<(), Throw> {
    base::open(vm)?;
    package::open(vm)?;
    coroutine::open(vm)?;
    string::open(vm)?;
    utf8::open(vm)?;
    table::open(vm)?;
    math::open(vm)?;
    debug::open(vm)
}

/// Opens `io` and all of `os`: for an embedder that trusts its programs with files and processes. What they reach is still up to
/// the host. (`os::open` with `Offer::Time` is the part for a sandbox.)
pub fn open_os_io(vm: &mut Vm) -> Result<(), Throw> {
    os::open(vm, os::Offer::All)?;
    io::open(vm)
}

/// `package.loaded`, made if it is not there yet.
pub fn loaded(vm: &mut Vm) -> Result<Gc<Table>, Throw> {
    let registry = vm.registry;
    if let Some(loaded) = vm.raw_get_name(registry, "_LOADED")?.as_table() {
        return Ok(loaded);
    }
    let loaded = vm.new_table()?;
    vm.raw_set_name(registry, "_LOADED", Value::table(loaded))?;
    Ok(loaded)
}

/// Makes a library's table with its functions, and publishes it.
pub fn open_library(
    vm: &mut Vm,
    name: &'static str,
    functions: &[(&'static str, NativeFn)],
) -> Result<Gc<Table>, Throw> {
    let table = vm.new_table()?;
    vm.register_library(name, table, functions)?;
    publish(vm, name, table)?;
    Ok(table)
}

/// Makes a library known: as a global, and as a loaded module.
pub(crate) fn publish(vm: &mut Vm, name: &str, library: Gc<Table>) -> Result<(), Throw> {
    let (globals, loaded) = (vm.globals, loaded(vm)?);
    vm.raw_set_name(globals, name, Value::table(library))?;
    vm.raw_set_name(loaded, name, Value::table(library))
}

/// Enters a loader into `package.preload`: `require(name)` calls it with the name and `":preload:"`, and the module is what it returns. In an
/// engine without the package library nobody can ask for it.
pub fn preload(vm: &mut Vm, name: &'static str, loader: NativeFn) -> Result<(), Throw> {
    let loader = vm.register(name, "loader", loader);
    match package::preload_table(vm)? {
        Some(preload) => vm.raw_set_name(preload, name, loader),
        None => Ok(()),
    }
}

/// A message handler for the host's entries: it keeps the error value as it is and remembers the traceback.
pub fn traceback_handler(vm: &mut Vm) -> Option<Value> {
    Some(vm.register("engine", "message_handler", debug::remember_traceback))
}

/// The native at the bottom of main programs. Programs under way in a world stand on it by its name, so every engine that opens worlds has it,
/// whether it begins such programs itself or not.
pub fn main_entry(vm: &mut Vm) -> Value {
    vm.register("engine", "main", main)
}

/// function, values → what the function returns. It only stands in the stack, as the program that embeds the reference does.
fn main(vm: &mut Vm) -> NativeResult {
    // The state is part of the format of worlds.
    const CALLED: u32 = 1;
    if vm.state() == CALLED {
        return Ok(Act::returning(vm.slots() as u32));
    }
    vm.set_state(CALLED);
    Ok(Act::calling(vm.slots() as u32 - 1, -1))
}

/// The name under which worlds know the message handler of a program's host, whichever that is.
pub const MESSAGE_HANDLER: &str = "engine.message_handler";

/// The error of a run that failed, and its traceback as a string (or nil).
pub fn split_traceback(vm: &mut Vm) -> (Value, Value) {
    let traceback = debug::remembered_traceback(vm);
    (vm.error, traceback)
}

/// Seeds `math.random`.
pub fn seed(vm: &mut Vm, a: u64, b: u64) {
    vm.random = xoshiro::Xoshiro::seed(a as i64, b as i64).state();
}
