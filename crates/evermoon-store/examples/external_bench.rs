//! What an access to an external table costs: `cargo run --release -p evermoon-store --example external_bench`.
//!
//! A row in memory beside a field of a plain table, and a row that is read from the store beside the store's own `get`.

use evermoon_store::{MemoryStore, RedbOptions, RedbStore, Store, World};
use std::time::Instant;

const ROWS: u32 = 100_000;

fn seconds(world: &mut World, program: &str) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        world.run(program).expect("it runs");
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

fn main() {
    let mut world = World::open(MemoryStore::new()).expect("it opens");
    world
        .run("_home.x = 1 for i = 1, 1000 do _home[i] = i end plain = { x = 1 } for i = 1, 1000 do plain[i] = i end s = {} for i = 1, 1000 do s[i] = 'key' .. i plain[s[i]] = i _home[s[i]] = i end")
        .expect("it runs");
    println!("rows in memory, ns for an access, the loop's own taken off:");
    for (name, access) in [
        ("t.x", "x = t.x"),
        ("t[i]", "x = t[i]"),
        ("t[s]", "x = t[s[i]]"),
        ("t[i] = v", "t[i] = 0"),
    ] {
        let time = |world: &mut World, table: &str, access: &str| {
            let program = format!(
                "local t, s, x = {table}, s for n = 1, 1000 do for i = 1, 1000 do {access} end end"
            );
            seconds(world, &program) * 1e3
        };
        let empty = time(
            &mut world,
            "plain",
            if name == "t[s]" { "x = s[i]" } else { "" },
        );
        let plain = time(&mut world, "plain", access);
        let external = time(&mut world, "_home", access);
        println!(
            "  {name:9} plain {:5.1}  external {:5.1}  (with the loop: {plain:5.1} {external:5.1}, {:.1} times)",
            plain - empty,
            external - empty,
            external / plain
        );
    }

    let dir = std::env::temp_dir().join(format!("evermoon-external-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a place for it");
    for redb in [false, true] {
        let store: Box<dyn Store> = if redb {
            Box::new(RedbStore::open(dir.join("a.world"), RedbOptions::default()).expect("a file"))
        } else {
            Box::new(MemoryStore::new())
        };
        let mut world = World::open_boxed(store, Default::default()).expect("it opens");
        world
            .run(&format!(
                "for i = 1, {ROWS} do _home[i] = 'row number ' .. i end"
            ))
            .expect("it runs");
        let prefix = world
            .with_store(|store| {
                let rows = store
                    .scan(evermoon_store::Scan::range(b"x", None))
                    .expect("rows");
                rows.into_iter().map(|row| row.0).collect::<Vec<_>>()
            })
            .expect("open");
        // Each row once, in an order that no cache helps with.
        let program =
            format!("local t, x = _home for i = 1, {ROWS} do x = t[i * 7919 % {ROWS} + 1] end");
        let mut external = f64::INFINITY;
        let mut get = f64::INFINITY;
        for _ in 0..5 {
            world.evict();
            let start = Instant::now();
            world.run(&program).expect("it runs");
            external = external.min(start.elapsed().as_secs_f64());
            let start = Instant::now();
            world.with_store(|store| {
                for i in 1..=ROWS as usize {
                    let key = &prefix[i * 7919 % ROWS as usize];
                    assert!(store.get(key).expect("it reads").is_some());
                }
            });
            get = get.min(start.elapsed().as_secs_f64());
        }
        let scan = seconds(&mut world, "for k, v in pairs(_home) do end");
        let ns = 1e9 / ROWS as f64;
        println!(
            "{}: an uncached row {:.0} ns, the store's get {:.0} ns ({:.2} times); pairs {:.0} ns a row",
            if redb { "redb" } else { "memory" },
            external * ns,
            get * ns,
            external / get,
            scan * ns
        );
    }
    std::fs::remove_dir_all(&dir).expect("ours");
}
