//! What worlds cost, as one table: `cargo run --release -p evermoon-store --example world_bench -- [MIB …]`. Called by `cargo xtask bench --worlds`.
//!
//! Sizes are of the worlds to make (1 and 1024 unless given; with small ones it takes a minute). Wall-clock figures are as true as the machine is
//! idle; so bare redb takes its turn beside each, and export and import tell processor time as well.

mod bare;
mod coroutines;
mod external;
mod measure;
mod sizes;
mod table;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some((name, rest)) = args.split_first()
        && (sizes::run_part(name, rest) || coroutines::run_part(name, rest))
    {
        return;
    }
    let mut megabytes: Vec<u64> = args.iter().filter_map(|a| a.parse().ok()).collect();
    if megabytes.is_empty() {
        megabytes = vec![1, 1024];
    }
    let dir = std::env::temp_dir().join(format!("evermoon-world-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a place");
    table::head();
    let shown: Vec<_> = megabytes.iter().map(|&m| sizes::one(&dir, m)).collect();
    sizes::compare(&shown);
    // A tenth of the largest world's size in coroutines, so that small runs stay short: a million beside 1 GiB.
    let largest = megabytes.iter().max().copied().unwrap_or(1);
    coroutines::table(&dir, (largest * 1000).clamp(10_000, 1_000_000));
    external::table(&dir);
    std::fs::remove_dir_all(&dir).expect("ours");
}
