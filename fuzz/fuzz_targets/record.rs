//! Records, rows and meta records from anywhere: `src/record.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| evermoon_fuzz::record::one(data));
