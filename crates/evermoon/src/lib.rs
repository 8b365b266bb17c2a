//! Evermoon: a Lua 5.4 whose world survives.
#![deny(unsafe_code)]

pub mod bytecode;
#[allow(unsafe_code)]
pub mod heap;
pub mod syntax;
pub mod vm;
