//! What an access to an external table costs: a row in memory beside a field of a plain table, a row that is read from the store beside the
//! store's own `get`; and what a world costs a program that has nothing to do with it.

use evermoon_store::{MemoryStore, RedbOptions, RedbStore, Scan, Store, World};
use std::path::Path;
use std::time::Instant;

use crate::table as rows;

const ROWS: u32 = 100_000;
const ROUNDS: usize = 5;

fn seconds(world: &mut World, program: &str) -> f64 {
    let start = Instant::now();
    world.run(program).expect("it runs");
    start.elapsed().as_secs_f64()
}

pub fn table(dir: &Path) {
    cached();
    for redb in [false, true] {
        uncached(dir, redb);
    }
}

/// The time of one access, with that of its loop and without: a loop over two accesses less a loop over one.
fn cached() {
    let mut world = World::open(MemoryStore::new()).expect("it opens");
    world
        .run("plain, s = {}, {} for i = 1, 1000 do s[i] = 'key' .. i end for _, t in ipairs({ plain, _home }) do t.x = 1 for i = 1, 1000 do t[i] = i t[s[i]] = i end end")
        .expect("it runs");
    for (name, access) in [
        ("t.x", "x = t.x"),
        ("t[i]", "x = t[i]"),
        ("t[s]", "x = t[k]"),
        ("t[i] = v", "t[i] = i"),
    ] {
        let mut best = [[f64::INFINITY; 2]; 2];
        for _ in 0..ROUNDS {
            for (best, table) in best.iter_mut().zip(["plain", "_home"]) {
                for (n, best) in best.iter_mut().enumerate() {
                    let program = format!(
                        "local t, s, x = {table}, s for n = 1, 300 do for i = 1, 1000 do local k = s[i] {} end end",
                        format!("{access} ").repeat(n + 1)
                    );
                    *best = best.min(seconds(&mut world, &program));
                }
            }
        }
        let [plain, external] = best.map(|[one, two]| (two - one) * 1e9 / 300e3);
        rows::row(
            &format!("external table, row in memory: {name}"),
            &format!("{external:.1} ns"),
            &format!("plain table: {plain:.1} ns"),
            "5 times",
            external <= 5.0 * plain,
        );
    }
}

fn uncached(dir: &Path, redb: bool) {
    let store: Box<dyn Store> = if redb {
        let file = dir.join("rows.world");
        Box::new(RedbStore::open(file, RedbOptions::default()).expect("a file"))
    } else {
        Box::new(MemoryStore::new())
    };
    let mut world = World::open_boxed(store, Default::default()).expect("it opens");
    world
        .run(&format!(
            "for i = 1, {ROWS} do _home[i] = 'row number ' .. i end"
        ))
        .expect("it runs");
    let keys: Vec<Vec<u8>> = world
        .with_store(|store| store.scan(Scan::range(b"x", None)).expect("rows"))
        .expect("open")
        .into_iter()
        .map(|row| row.0)
        .collect();
    // Each row once, in an order that no cache helps with.
    let order = (1..=ROWS as usize).map(|i| i * 7919 % ROWS as usize);
    let program =
        format!("local t, x = _home for i = 1, {ROWS} do x = t[i * 7919 % {ROWS} + 1] end");
    let mut best = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        world.evict();
        best[0] = best[0].min(seconds(&mut world, &program));
        let start = Instant::now();
        world.with_store(|store| {
            for at in order.clone() {
                assert!(store.get(&keys[at]).expect("it reads").is_some());
            }
        });
        best[1] = best[1].min(start.elapsed().as_secs_f64());
    }
    let [external, get] = best.map(|seconds| seconds * 1e9 / ROWS as f64);
    rows::row(
        &format!(
            "external table, row in the store only ({})",
            if redb { "redb" } else { "memory" }
        ),
        &format!("{external:.0} ns"),
        &format!("the store's get: {get:.0} ns"),
        "2 times",
        external <= 2.0 * get,
    );
}
