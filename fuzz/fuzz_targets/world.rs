//! Worlds whose records have been changed: `src/world.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| evermoon_fuzz::world::one(data));
