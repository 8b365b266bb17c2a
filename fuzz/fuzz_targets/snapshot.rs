//! Snapshots from anywhere: `src/snapshot.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| evermoon_fuzz::snapshot::one(data));
