//! Evermoon: a Lua 5.4 whose world survives.
#![deny(unsafe_code)]
#![cfg_attr(evermoon_small, feature(optimize_attribute))]

pub mod api;
pub mod bytecode;
pub mod compile;
pub mod decimal;
#[allow(unsafe_code)]
pub mod heap;
pub mod ordered;
pub mod persist;
#[path = "lib/mod.rs"]
pub mod stdlib;
pub mod syntax;
pub mod vm;

pub use api::*;
pub use vm::host::Host;
