//! Very many suspended coroutines in one world, and one very large plain table.

use evermoon_store::{Durability, WorldOptions};
use std::path::Path;
use std::time::Instant;

use crate::measure::{answer, median, part, peak_mib};
use crate::sizes::{entries, open, options};
use crate::table;

const A_COMMIT: u64 = 1000;

pub fn table(dir: &Path, count: u64) {
    let file = dir.join("parked.world");
    let path = file.to_string_lossy().into_owned();
    let numbers = part("park", &[&path, &count.to_string()]);
    table::row(
        &format!("{count} coroutines, each parked in a loop: stored for each"),
        &format!("{:.0} B", numbers[0]),
        "with its function, wrapper and variable",
        "250 B",
        numbers[0] <= 250.0,
    );
    let fill = numbers[1];
    let peak = numbers[2];
    let numbers = part("wake", &[&path]);
    let woken = (count / 100) as f64;
    table::row(
        &format!("  made in {fill:.0} s; opened again, each hundredth resumed and committed"),
        &format!("{:.2} s", numbers[0]),
        &format!("peak {peak:.0} MiB making, {:.0} MiB resuming", numbers[1]),
        "it works",
        numbers[2] == woken * 5.0 + numbers[3],
    );
    std::fs::remove_file(&file).expect("ours");

    let mut world = open(&dir.join("plain.world"), options());
    world
        .run("big = {} for i = 1, 1000000 do big[i] = i end names = {} for i = 1, 200000 do names['name' .. i] = i end")
        .expect("it fits");
    let mut times = [Vec::new(), Vec::new()];
    for i in 0..21 {
        for (times, change) in times
            .iter_mut()
            .zip(["big[500000 + n] = n", "names['name' .. n * 7919] = -n"])
        {
            let source = format!("local n = {i} + 1 {change}");
            world.lua().load(&source).exec().expect("it runs");
            let began = Instant::now();
            world.commit().expect("it commits");
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
    let [slots, names] = times.map(median);
    table::note(
        "plain table of 1,000,000 slots: commit of one changed, p50",
        &format!("{slots:.2} ms"),
        &format!("of 200,000 names: {names:.2} ms"),
    );
}

/// The parts that run in a process of their own.
pub fn run_part(name: &str, args: &[String]) -> bool {
    match name {
        "park" => {
            let began = Instant::now();
            let mut world = open(
                Path::new(&args[0]),
                WorldOptions {
                    durability: Durability::Relaxed,
                    ..options()
                },
            );
            world
                .run(&format!(
                    "all = {{}}
                     function park(part)
                       local t = {{}}
                       for i = 1, {A_COMMIT} do
                         t[i] = coroutine.wrap(function(a) local sum = a while true do sum = sum + coroutine.yield(sum) end end)
                         t[i](i)
                       end
                       all[part] = t
                     end"
                ))
                .expect("it runs");
            let (_, before) = entries(&world);
            let count: u64 = args[1].parse().expect("a number");
            for part in 1..=count / A_COMMIT {
                world.call::<()>("park", part as i64).expect("it runs");
            }
            let (_, after) = entries(&world);
            let each = (after - before) as f64 / count as f64;
            let mut store = world.close().expect("open");
            store.rest().expect("open");
            answer(&[each, began.elapsed().as_secs_f64(), peak_mib()]);
        }
        "wake" => {
            let began = Instant::now();
            let mut world = open(Path::new(&args[0]), options());
            // Each hundredth of a thousand that began with its own number.
            let (sum, expected): (i64, i64) = world
                .eval("local n, e = 0, 0 for _, part in ipairs(all) do for i = 100, #part, 100 do n = n + part[i](5) e = e + i end end return n, e")
                .expect("they go on");
            answer(&[
                began.elapsed().as_secs_f64(),
                peak_mib(),
                sum as f64,
                expected as f64,
            ]);
        }
        _ => return false,
    }
    true
}
