//! Evermoon: a Lua 5.4 whose world survives.
#![deny(unsafe_code)]

pub mod bytecode;
pub mod compile;
pub mod heap;
pub mod syntax;
