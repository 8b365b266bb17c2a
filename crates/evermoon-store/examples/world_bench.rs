//! What worlds cost: `cargo run --release -p evermoon-store --example world_bench -- [megabytes …]` prints one table a world size. Called by
//! `cargo xtask bench --worlds`.

use evermoon_store::{Durability, RedbOptions, RedbStore, Scan, World, WorldOptions, care};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

fn options() -> WorldOptions {
    WorldOptions {
        engine: evermoon::Lua::builder().memory(64 << 20),
        resident_max: 32 << 20,
        ..WorldOptions::default()
    }
}

fn open(file: &Path) -> World {
    let store = RedbStore::open(file, RedbOptions::default()).expect("it opens");
    World::open_boxed(Box::new(store), options()).expect("it opens")
}

fn median(times: &mut [Duration]) -> (f64, f64) {
    times.sort();
    let ms = |d: Duration| d.as_secs_f64() * 1000.0;
    (
        ms(times[times.len() / 2]),
        ms(times[times.len() * 99 / 100]),
    )
}

fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kib: f64 = line
        .and_then(|line| line.split_whitespace().nth(1))
        .and_then(|n| n.parse().ok())
        .unwrap_or(0.0);
    kib / 1024.0
}

fn row(what: &str, value: String) {
    println!("| {what:<58} | {value:>22} |");
}

fn main() {
    let sizes: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    let sizes = if sizes.is_empty() { vec![1, 64] } else { sizes };
    let dir = std::env::temp_dir().join(format!("evermoon-world-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a place");
    for megabytes in sizes {
        one(&dir, megabytes);
    }
    parked(&dir);
    std::fs::remove_dir_all(&dir).expect("ours");
}

fn one(dir: &Path, megabytes: u64) {
    let file = dir.join(format!("{megabytes}.world"));
    let mut world = open(&file);
    // About 100 bytes an object: a record, its key.
    let objects = megabytes * 1_048_576 / 100;
    world.run("all = {}").expect("it runs");
    let per_part = 1000;
    let began = Instant::now();
    for part in 0..objects / per_part {
        world
            .run(&format!(
                "local t = {{}} for i = 1, {per_part} do t[i] = {{ id = i + {part} * {per_part}, name = 'object ' .. i, on = true, text = ('x'):rep(30) }} end all[#all + 1] = t"
            ))
            .expect("it runs");
    }
    let filled = began.elapsed();
    let payload = world
        .with_store(|store| store.stats().expect("open").payload_bytes)
        .unwrap_or(0);
    println!(
        "\n| world of {megabytes} MiB: {objects} objects, {:.1} MiB of records |  |",
        payload as f64 / 1048576.0
    );
    println!("|{:-<60}|{:->24}|", "", "");
    row(
        "filled, a commit every 1000 objects",
        format!("{:.1} s", filled.as_secs_f64()),
    );
    let mut times = Vec::new();
    let mut bytes = 0;
    world.run("n = 1 function change() local t = all[#all // 2 + 1] t[7].id = n n = n + 1 end change()").expect("it runs");
    for _ in 0..200 {
        world.run("change()").expect("it runs");
        // The same as a run, but only its commit is timed.
        world.lua().load("change()").exec().expect("it runs");
        let began = Instant::now();
        let commit = world.commit().expect("it commits");
        times.push(began.elapsed());
        bytes = commit.bytes;
    }
    let (p50, p99) = median(&mut times);
    row(
        "commit of one changed field and a counter, p50",
        format!("{p50:.3} ms"),
    );
    row("  p99", format!("{p99:.3} ms"));
    row("  bytes written (keys and values)", format!("{bytes}"));
    let mut store = world.close().expect("open");
    let epoch = store.lease().expect("ours");
    let mut times = Vec::new();
    for i in 0..200u64 {
        let version = store.head().expect("open").version;
        let mut batch = evermoon_store::Batch::new();
        batch.put(b"zz".to_vec(), vec![i as u8; bytes]);
        let began = Instant::now();
        store
            .commit(version, epoch, &batch, Durability::Durable)
            .expect("ours");
        times.push(began.elapsed());
    }
    let (bare, _) = median(&mut times);
    row(
        "  the store's own commit of as many bytes, p50",
        format!("{bare:.3} ms"),
    );
    drop(store);
    let began = Instant::now();
    let mut world = open(&file);
    world.run("return #all").expect("it runs");
    row(
        "open to the end of the first statement",
        format!("{:.1} ms", began.elapsed().as_secs_f64() * 1000.0),
    );
    let began = Instant::now();
    let sum: i64 = world
        .eval("local n = 0 for i = 1, #all, 7 do n = n + all[i][500].id end return n")
        .expect("it runs");
    row(
        "one object in each seventh part",
        format!("{:.1} ms ({sum})", began.elapsed().as_secs_f64() * 1000.0),
    );
    row(
        "peak memory of this process so far",
        format!("{:.0} MiB", peak_memory()),
    );
    let store = world.close().expect("open");
    let snapshot = dir.join("world.snapshot");
    let mut go = |_: care::Progress| ControlFlow::Continue(());
    let began = Instant::now();
    let mut out = std::io::BufWriter::new(std::fs::File::create(&snapshot).expect("a file"));
    let done = care::export(store.as_ref(), &mut out, &mut go).expect("it is whole");
    drop(out);
    let rate = |bytes: u64, time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    row(
        "export",
        format!("{:.0} MB/s", rate(done.payload, began.elapsed())),
    );
    drop(store);
    let other = dir.join("other.world");
    let mut store = RedbStore::open(&other, RedbOptions::default()).expect("it opens");
    let began = Instant::now();
    let mut input = std::io::BufReader::new(std::fs::File::open(&snapshot).expect("a file"));
    let done = care::import(&mut store, &mut input, &mut go).expect("it is whole");
    row(
        "import",
        format!("{:.0} MB/s", rate(done.payload, began.elapsed())),
    );
    drop(store);
    for path in [file, snapshot, other] {
        std::fs::remove_file(path).expect("ours");
    }
}

/// What a parked coroutine takes in the store.
fn parked(dir: &Path) {
    let file = dir.join("parked.world");
    let mut world = open(&file);
    let count = 100_000u64;
    world.run("all = {}").expect("it runs");
    let before = world
        .with_store(|store| store.stats().expect("open").payload_bytes)
        .unwrap_or(0);
    for part in 0..count / 1000 {
        world
            .run(&format!(
                "local t = {{}} for i = 1, 1000 do local co = coroutine.wrap(function(a) local sum = a while true do sum = sum + coroutine.yield(sum) end end) co(i) t[i] = co end all[{part} + 1] = t"
            ))
            .expect("it runs");
    }
    let after = world
        .with_store(|store| store.stats().expect("open").payload_bytes)
        .unwrap_or(0);
    let mut objects = 0u64;
    world.with_store(|store| {
        store
            .visit(Scan::all(), &mut |_, _| {
                objects += 1;
                ControlFlow::Continue(())
            })
            .expect("open")
    });
    println!(
        "\n| {count} parked coroutines |  |\n|{:-<60}|{:->24}|",
        "", ""
    );
    row(
        "stored, each with its function, wrapper, variables",
        format!("{} B", (after - before) / count),
    );
    row("entries of the store", format!("{objects}"));
    let mut world = open_again(world, &file);
    let sum: i64 = world
        .eval("local n = 0 for _, part in ipairs(all) do n = n + part[10](5) end return n")
        .expect("they go on");
    row("one of each 1000 goes on after a restart", format!("{sum}"));
}

fn open_again(world: World, file: &Path) -> World {
    drop(world);
    open(file)
}
