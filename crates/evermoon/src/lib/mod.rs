//! The standard library, one file a library. The files named here are its pure cores: they know neither heap nor VM,
//! so they can be tested against the reference byte by byte, and the library functions that use them stay short.

pub mod cformat;
pub mod packfmt;
pub mod pattern;
pub mod utf8core;
pub mod xoshiro;
pub mod base;
pub mod load;

use crate::vm::{Throw, Vm};

/// Opens the pure libraries in the global table.
pub fn open(vm: &mut Vm) -> Result<(), Throw> {
    base::open(vm)
}
