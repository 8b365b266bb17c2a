//! Worlds of several sizes: commits, opening, memory, export and import, each beside bare redb with the same entries.

use evermoon_store::{Durability, RedbOptions, RedbStore, Store, World, WorldOptions, care};
use std::io::{BufReader, BufWriter};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::measure::{Watch, answer, median, part, peak_mib};
use crate::{bare, table};

/// A program's memory in all of this.
const MEMORY: usize = 64 << 20;
const OBJECTS_A_PART: u64 = 1000;
const COMMITS: usize = 201;

pub fn options() -> WorldOptions {
    WorldOptions {
        engine: evermoon::Lua::builder().memory(MEMORY),
        resident_max: 24 << 20,
        ..WorldOptions::default()
    }
}

pub fn open(file: &Path, options: WorldOptions) -> World {
    let store = RedbStore::open(file, RedbOptions::default()).expect("it opens");
    World::open_boxed(Box::new(store), options).expect("it opens")
}

/// What one size has shown, for the comparison of sizes.
pub struct Shown {
    pub megabytes: u64,
    pub ours_ms: f64,
    pub bare_ms: f64,
}

pub fn one(dir: &Path, megabytes: u64) -> Shown {
    let file = dir.join(format!("{megabytes}.world"));
    let name = format!("{megabytes} MiB");
    let seconds = fill(&file, megabytes);
    let objects = megabytes * 1_048_576 / 100;
    let store = RedbStore::open(&file, RedbOptions::default()).expect("it opens");
    let stats = store.stats().expect("open");
    table::note(
        &format!("world of {name}: objects, records and keys"),
        &format!("{objects}, {:.0} MB", stats.payload_bytes as f64 / 1e6),
        &format!(
            "file {:.0} MB, filled in {seconds:.0} s",
            stats.file_bytes as f64 / 1e6
        ),
    );
    let bare_file = dir.join("bare.redb");
    let (insert_wall, insert_cpu, _) = bare::fill(&bare_file, &store);
    drop(store);
    let bare_bytes = stats.payload_bytes as f64 / 1e6;
    let shown = commits(&file, &bare_file, megabytes, &name);
    opening(&file, &name);
    transfer(
        dir,
        &file,
        &name,
        (bare_bytes / insert_wall, bare_bytes / insert_cpu.max(0.01)),
        {
            let (wall, cpu) = bare::scan(&bare_file);
            (bare_bytes / wall, bare_bytes / cpu.max(0.01))
        },
    );
    for path in [file, bare_file] {
        std::fs::remove_file(path).expect("ours");
    }
    shown
}

/// A world of objects of about 100 bytes each with their keys, a thousand a commit.
fn fill(file: &Path, megabytes: u64) -> f64 {
    let mut world = open(
        file,
        WorldOptions {
            durability: Durability::Relaxed,
            ..options()
        },
    );
    let watch = Instant::now();
    world
        .run(&format!(
            "all = {{}} n = 1
             function fill(part)
               local t = {{}}
               for i = 1, {OBJECTS_A_PART} do
                 t[i] = {{ id = i + part * {OBJECTS_A_PART}, name = 'object ' .. i, on = true, text = ('x'):rep(30) }}
               end
               all[part + 1] = t
             end
             function change() local t = all[#all // 2 + 1] t[7].id = n n = n + 1 end
             function change_many()
               local t = all[#all // 2 + 1]
               for i = 1, 500 do t[i].text = ('y'):rep(30) .. n end
               n = n + 1
             end"
        ))
        .expect("it runs");
    for part in 0..(megabytes * 1_048_576 / 100).div_ceil(OBJECTS_A_PART) {
        world.call::<()>("fill", part as i64).expect("it runs");
    }
    world.run("").expect("it runs");
    let mut store = world.close().expect("open");
    store.rest().expect("open");
    watch.elapsed().as_secs_f64()
}

fn commits(file: &Path, bare_file: &Path, megabytes: u64, name: &str) -> Shown {
    let store = RedbStore::open(file, RedbOptions::default()).expect("it opens");
    let traffic = store.clone();
    let mut world = World::open_boxed(Box::new(store), options()).expect("it opens");
    let bare = bare::open(bare_file);
    let mut ours_ms = Vec::new();
    let mut bare_ms = Vec::new();
    let (mut entry_bytes, mut file_bytes) = (0, 0);
    world.run("change()").expect("it runs");
    // The keys of what such a commit writes, for bare redb to write as much under them.
    let keys = written_keys(&traffic, &mut world, "change()");
    for _ in 0..COMMITS {
        world.lua().load("change()").exec().expect("it runs");
        let before = traffic.traffic().bytes_written;
        let began = Instant::now();
        let commit = world.commit().expect("it commits");
        ours_ms.push(began.elapsed().as_secs_f64() * 1e3);
        file_bytes += traffic.traffic().bytes_written - before;
        entry_bytes = commit.bytes as u64;
        let entries: Vec<_> = keys
            .iter()
            .map(|(key, value)| (key.clone(), value.iter().map(|b| b ^ 1).collect()))
            .collect();
        let began = Instant::now();
        bare::commit(&bare, &entries);
        bare_ms.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let file_bytes = file_bytes / COMMITS as u64;
    let (ours_ms, bare_ms) = (median(ours_ms), median(bare_ms));
    table::row(
        &format!("{name}: commit of one changed field, p50"),
        &format!("{ours_ms:.3} ms"),
        &format!("bare redb, the same entries: {bare_ms:.3} ms"),
        "1.5 ms",
        ours_ms <= 1.5,
    );
    // The field that changes, the counter beside it.
    let changed = 2 * 9;
    table::row(
        &format!("{name}:   written, as entries"),
        &table::bytes(entry_bytes),
        &format!("{changed} B changed"),
        "3 times + 8 KB",
        entry_bytes <= 3 * changed + 8192,
    );
    table::row(
        &format!("{name}:   written, as bytes of the file"),
        &table::bytes(file_bytes),
        "redb copies pages",
        "3 times + 8 KB",
        file_bytes <= 3 * changed + 8192,
    );
    world.lua().load("change_many()").exec().expect("it runs");
    let before = traffic.traffic().bytes_written;
    let began = Instant::now();
    let commit = world.commit().expect("it commits");
    let ms = began.elapsed().as_secs_f64() * 1e3;
    let changed = 500 * 31;
    let file_bytes = traffic.traffic().bytes_written - before;
    table::row(
        &format!("{name}: commit of 500 changed texts of 31 bytes, {ms:.1} ms; as entries"),
        &table::bytes(commit.bytes as u64),
        &format!("{changed} B changed"),
        "3 times + 8 KB",
        commit.bytes as u64 <= 3 * changed + 8192,
    );
    table::row(
        &format!("{name}:   written, as bytes of the file"),
        &table::bytes(file_bytes),
        "redb copies pages",
        "3 times + 8 KB",
        file_bytes <= 3 * changed + 8192,
    );
    Shown {
        megabytes,
        ours_ms,
        bare_ms,
    }
}

/// What a run writes, found by comparing the entries that it may touch: those with the greatest numbers do not change, so all are compared that
/// its delta names.
fn written_keys(store: &RedbStore, world: &mut World, run: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    world.lua().load(run).exec().expect("it runs");
    let delta = world.lua().world_delta().expect("it is whole");
    // As if the store had failed: the next commit writes it.
    world.lua().world_commit_failed();
    let keys: Vec<Vec<u8>> = delta
        .writes
        .into_iter()
        .filter_map(|write| match write {
            evermoon::persist::Write::Put(key, _) => Some(key),
            _ => None,
        })
        .collect();
    keys.into_iter()
        .map(|key| {
            let value = store.get(&key).expect("open").unwrap_or_default();
            (key, value)
        })
        .collect()
}

fn opening(file: &Path, name: &str) {
    let path = file.to_string_lossy().into_owned();
    let mut times = Vec::new();
    let mut peak: f64 = 0.0;
    for _ in 0..5 {
        let numbers = part("open", &[&path]);
        times.push(numbers[0]);
        peak = peak.max(numbers[1]);
    }
    let ms = median(times);
    table::row(
        &format!("{name}: open, to the end of the first statement"),
        &format!("{ms:.1} ms"),
        &format!("peak of the process {peak:.0} MiB"),
        "50 ms, 64 MB",
        ms <= 50.0 && peak <= 64.0,
    );
    let numbers = part("walk", &[&path]);
    table::row(
        &format!("{name}: a program reads every object, {:.1} s", numbers[0]),
        &format!("peak {:.0} MiB", numbers[1]),
        "",
        "64 MiB",
        numbers[1] <= 64.0,
    );
}

fn transfer(dir: &Path, file: &Path, name: &str, insert: (f64, f64), scan: (f64, f64)) {
    let snapshot = dir.join("world.snapshot");
    let other = dir.join("other.world");
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    let (from, to) = (file.to_string_lossy().into_owned(), text(&snapshot));
    let numbers = part("export", &[&from, &to]);
    let (payload, objects) = (numbers[0], numbers[1]);
    let show = |numbers: &[f64]| {
        format!(
            "{:.0} MB/s ({:.0} a processor second), peak {:.0} MiB",
            payload / numbers[2],
            payload / numbers[3].max(0.01),
            numbers[4]
        )
    };
    let beside = |what: &str, rate: (f64, f64)| {
        format!("bare redb {what}: {:.0} MB/s ({:.0})", rate.0, rate.1)
    };
    table::row(
        &format!("{name}: export of {payload:.0} MB, {objects:.0} objects"),
        &show(&numbers),
        &beside("scans", scan),
        "300 MB/s",
        payload / numbers[2] >= 300.0,
    );
    let numbers = part("import", &[&to, &text(&other)]);
    table::row(
        &format!("{name}: import"),
        &show(&numbers),
        &beside("inserts in order", insert),
        "200 MB/s",
        payload / numbers[2] >= 200.0,
    );
    for path in [snapshot, other] {
        std::fs::remove_file(path).expect("ours");
    }
}

/// The parts that run in a process of their own.
pub fn run_part(name: &str, args: &[String]) -> bool {
    let mut go = |_: care::Progress| ControlFlow::Continue(());
    match name {
        "open" => {
            let began = Instant::now();
            let mut world = open(Path::new(&args[0]), options());
            world.run("return #all").expect("it runs");
            answer(&[began.elapsed().as_secs_f64() * 1e3, peak_mib()]);
        }
        "walk" => {
            let began = Instant::now();
            let mut world = open(Path::new(&args[0]), options());
            let count: i64 = world
                .eval("local n = 0 for _, part in ipairs(all) do for _, o in ipairs(part) do if o.on then n = n + 1 end end end return n")
                .expect("it fits");
            answer(&[began.elapsed().as_secs_f64(), peak_mib(), count as f64]);
        }
        "export" => {
            let store = RedbStore::open(&args[0], RedbOptions::default()).expect("it opens");
            let watch = Watch::start();
            let file = std::fs::File::create(&args[1]).expect("a file");
            let mut out = BufWriter::with_capacity(1 << 20, file);
            let done = care::export(&store, &mut out, &mut go).expect("it is whole");
            let (wall, cpu) = (watch.wall(), watch.cpu());
            let (payload, objects) = (done.payload as f64 / 1e6, done.objects as f64);
            answer(&[payload, objects, wall, cpu, peak_mib()]);
        }
        "import" => {
            let mut store = RedbStore::open(&args[1], RedbOptions::default()).expect("it opens");
            let watch = Watch::start();
            let mut input = BufReader::new(std::fs::File::open(&args[0]).expect("a file"));
            let done = care::import(&mut store, &mut input, &mut go).expect("it is whole");
            let (wall, cpu) = (watch.wall(), watch.cpu());
            let (payload, objects) = (done.payload as f64 / 1e6, done.objects as f64);
            answer(&[payload, objects, wall, cpu, peak_mib()]);
        }
        _ => return false,
    }
    true
}

/// How many entries a store has.
pub fn entries(world: &World) -> (u64, u64) {
    let stats = world.with_store(|store| store.stats().expect("open"));
    stats.map_or((0, 0), |stats| (stats.entries, stats.payload_bytes))
}

/// What a commit in the largest world costs beside one in the smallest.
pub fn compare(shown: &[Shown]) {
    let (Some(small), Some(large)) = (shown.first(), shown.last()) else {
        return;
    };
    if shown.len() < 2 {
        return;
    }
    let ours = large.ours_ms / small.ours_ms;
    let bare = large.bare_ms / small.bare_ms;
    table::row(
        &format!(
            "commit: {} MiB beside {} MiB",
            large.megabytes, small.megabytes
        ),
        &format!("{ours:.2} times"),
        &format!("bare redb: {bare:.2} times"),
        "1.2 times, beyond redb's own",
        ours <= 1.2 * bare.max(1.0),
    );
}
