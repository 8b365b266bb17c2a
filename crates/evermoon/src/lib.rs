//! Evermoon: a Lua 5.4 whose world survives.
#![deny(unsafe_code)]

pub mod api;
pub mod bytecode;
pub mod compile;
#[allow(unsafe_code)]
pub mod heap;
pub mod persist;
#[path = "lib/mod.rs"]
pub mod stdlib;
pub mod syntax;
pub mod vm;

pub use api::*;
pub use vm::host::Host;
