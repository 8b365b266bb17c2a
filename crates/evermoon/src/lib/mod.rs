//! The standard library, one file a library. The files named here are its pure cores: they know neither heap nor VM,
//! so they can be tested against the reference byte by byte, and the library functions that use them stay short.

pub mod cformat;
pub mod packfmt;
pub mod pattern;
pub mod utf8core;
pub mod xoshiro;
pub mod base;
pub mod format;
pub mod load;
pub mod pack;
pub mod string;
pub mod strpattern;
pub mod utf8;

use crate::heap::object::Gc;
use crate::heap::table::Table;
use crate::heap::value::Value;
use crate::vm::{Throw, Vm};

/// Opens the pure libraries in the global table.
pub fn open(vm: &mut Vm) -> Result<(), Throw> {
    base::open(vm)?;
    string::open(vm)?;
    utf8::open(vm)
}

/// `package.loaded`, which every library enters itself into.
pub fn loaded(vm: &mut Vm) -> Result<Gc<Table>, Throw> {
    let registry = vm.registry;
    if let Some(t) = vm.raw_get_name(registry, "_LOADED")?.as_table() {
        return Ok(t);
    }
    let t = vm.new_table()?;
    vm.raw_set_name(registry, "_LOADED", Value::table(t))?;
    Ok(t)
}

/// A message handler for the host's entries: it keeps the error value as it is and remembers the traceback.
pub fn traceback_handler(_vm: &mut Vm) -> Option<crate::heap::value::Value> {
    None
}

/// The error of a run that failed, and its traceback as a string (or nil).
pub fn split_traceback(vm: &mut Vm) -> (crate::heap::value::Value, crate::heap::value::Value) {
    (vm.error, crate::heap::value::Value::NIL)
}

/// Seeds `math.random`.
pub fn seed(vm: &mut Vm, a: u64, b: u64) {
    vm.random = xoshiro::Xoshiro::seed(a as i64, b as i64).state();
}
