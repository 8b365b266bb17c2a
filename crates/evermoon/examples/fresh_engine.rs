//! What a fresh engine with all pure libraries costs: time of the best of many, and heap bytes. `cargo xtask bench --start` runs it.

use evermoon::Lua;
use std::time::Instant;

fn main() {
    let mut best = f64::MAX;
    let mut bytes = 0;
    for _ in 0..2000 {
        let start = Instant::now();
        let lua = Lua::new();
        best = best.min(start.elapsed().as_secs_f64());
        bytes = lua.used_memory();
    }
    println!(
        "fresh engine: {:.1} µs, {:.1} KiB of heap",
        best * 1e6,
        bytes as f64 / 1024.0
    );
}
