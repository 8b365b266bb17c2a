//! The WebAssembly module: exports only, no imports, no logic of its own. It translates memory ranges and handles to calls of the
//! engine. `docs/abi.md` describes it to someone who writes a host; `abi.rs` is what that document is written from.
//!
//! Three modules are built from it: with the feature `worlds` (the default) `evermoon-world.wasm`; without it `evermoon.wasm`, which has no `em_world_*` and
//! `em_job_*`; with `legacy` alone `lua.wasm`, which has only the exports of the original system (`seed.rs`) and asks the host for external tables.
#![allow(unsafe_code)]
#![cfg_attr(evermoon_small, feature(optimize_attribute))]

#[cfg(not(feature = "legacy"))]
pub mod abi;
#[cfg(not(feature = "legacy"))]
pub mod engine;
#[cfg(not(feature = "legacy"))]
mod inside;
#[cfg(all(feature = "worlds", not(feature = "legacy")))]
pub mod jobs;
#[cfg(not(feature = "legacy"))]
pub mod memory;
#[cfg(all(feature = "worlds", not(feature = "legacy")))]
mod pieces;
mod range;
pub mod seed;
#[cfg(not(feature = "legacy"))]
pub mod slot;
#[cfg(not(feature = "legacy"))]
#[cfg_attr(not(feature = "worlds"), path = "no_world.rs")]
pub mod world;
