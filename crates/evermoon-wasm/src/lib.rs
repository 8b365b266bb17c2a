//! The WebAssembly module: exports only, no imports, no logic of its own. It translates memory ranges and handles to calls of the
//! engine. `docs/abi.md` describes it to someone who writes a host; `abi.rs` is what that document is written from.
#![allow(unsafe_code)]

pub mod abi;
pub mod engine;
pub mod slot;
