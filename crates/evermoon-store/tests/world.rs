//! Worlds over stores: transactions, restarts, memory.

use evermoon_store::{
    Batch, Durability, MemoryStore, OnError, RedbOptions, RedbStore, Scan, Store, World,
    WorldError, WorldOptions,
};

fn open(store: Box<dyn evermoon_store::Store>) -> World {
    World::open_boxed(store, WorldOptions::default()).expect("it opens")
}

#[test]
fn a_failed_run_is_undone_and_a_good_one_is_there_after_a_restart() {
    let dir = std::env::temp_dir().join(format!("evermoon-world-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a place for it");
    let file = dir.join("a.world");
    let _ = std::fs::remove_file(&file);
    let store = RedbStore::open(&file, RedbOptions::default()).expect("it opens");
    let mut world = open(Box::new(store));
    world
        .run("users = { { name = 'ada' } } local n = 0 function count() n = n + 1 return n end")
        .expect("it runs");
    let error = world
        .run("users[2] = {} users[1].name = nil count() error('no')")
        .expect_err("it fails");
    assert!(matches!(error, WorldError::Lua(_)), "{error}");
    assert_eq!(
        world
            .eval::<(i64, String)>("return #users, users[1].name")
            .expect("it runs"),
        (1, "ada".into())
    );
    assert_eq!(world.eval::<i64>("return count()").expect("it runs"), 1);
    let version = world.version();
    drop(world);
    let store = RedbStore::open(&file, RedbOptions::default()).expect("it opens again");
    let mut world = open(Box::new(store));
    assert_eq!(world.version(), version);
    assert_eq!(world.eval::<i64>("return count()").expect("it runs"), 2);
    drop(world);
    std::fs::remove_dir_all(&dir).expect("ours");
}

#[test]
fn host_functions_are_found_again_by_name() {
    let mut world = open(Box::new(MemoryStore::new()));
    world
        .lua()
        .define("double", |_, n: i64| Ok(n * 2))
        .expect("a name");
    world
        .run("function quadruple(n) return double(double(n)) end")
        .expect("it runs");
    let mut world = open(world.close().expect("open"));
    let error = world
        .run("return quadruple(1)")
        .expect_err("nobody has defined it");
    assert!(
        error.to_string().contains("the function 'double'"),
        "{error}"
    );
    world
        .lua()
        .define("double", |_, n: i64| Ok(n * 2))
        .expect("a name");
    assert_eq!(
        world.eval::<i64>("return quadruple(10)").expect("it runs"),
        40
    );
}

#[test]
fn kept_errors_and_commits_from_lua() {
    let options = WorldOptions {
        on_error: OnError::Keep,
        ..Default::default()
    };
    let mut world = World::open_boxed(Box::new(MemoryStore::new()), options).expect("it opens");
    world.run("x = 1 error('later')").expect_err("it fails");
    let mut world = open(world.close().expect("open"));
    assert_eq!(world.eval::<i64>("return x").expect("it runs"), 1);
    let before = world.version();
    world
        .run("x = 2 committed = world.commit() x = 3 error('after the commit')")
        .expect_err("it fails");
    assert_eq!(world.version(), before + 1);
    assert_eq!(world.eval::<i64>("return x").expect("it runs"), 2);
    // The program itself was in that commit, in the middle of its call; but it has failed.
    assert!(world.pending().expect("open").is_empty());
}

#[test]
fn a_checkpointed_program_goes_on_in_another_process() {
    let options = || WorldOptions {
        checkpoint: Some(std::time::Duration::ZERO),
        ..Default::default()
    };
    let mut world = World::open_boxed(Box::new(MemoryStore::new()), options()).expect("it opens");
    world.lua().set_fuel(Some(2_000_000));
    let error = world
        .run("local sum = 0 for i = 1, 10000000 do sum = sum + i; progress = i end return sum");
    assert!(error.is_err());
    // Rolled back to the last checkpoint, as after a crash.
    let store = world.close().expect("open");
    let mut world = World::open_boxed(store, options()).expect("it opens");
    let pending = world.pending().expect("open");
    assert_eq!(pending.len(), 1);
    let run = pending.into_iter().next().expect("one").run;
    let values = world.finish(run).expect("it ends");
    assert_eq!(values[0].as_integer(), Some(50000005000000));
}

#[test]
fn a_world_larger_than_its_memory() {
    let options = || WorldOptions {
        engine: evermoon::Lua::builder().memory(16 << 20),
        resident_max: 8 << 20,
        ..Default::default()
    };
    let mut world = World::open_boxed(Box::new(MemoryStore::new()), options()).expect("it opens");
    world.run("all = {}").expect("it runs");
    for part in 0..40 {
        world
            .run(&format!("local t = {{}} for i = 1, 2000 do t[i] = {{ id = i, text = 'row ' .. i .. ('x'):rep(100) .. {part} }} end all[{part} + 1] = t"))
            .expect("it runs");
    }
    assert!(
        world.statistics().absent_bytes > 4 << 20,
        "{:?}",
        world.statistics()
    );
    let sum: i64 = world
        .eval("local n = 0 for _, part in ipairs(all) do for _, row in ipairs(part) do n = n + row.id end end return n")
        .expect("it fits part by part");
    assert_eq!(sum, 40 * 2000 * 2001 / 2);
    assert!(world.lua().resident_memory() < 16 << 20);
    // What is in the store only does not make memory short for the rest: the collector does not run all the time, and code can be loaded.
    let before = world.statistics().collections;
    let one: i64 = world
        .eval("for i = 1, 100000 do local t = {} end return load(string.dump(load 'return 1'))()")
        .expect("there is room");
    assert_eq!(one, 1);
    let cycles = world.statistics().collections - before;
    assert!(cycles < 20, "{cycles} cycles of the collector");
}

/// Reading a world that is much larger than memory keeps neither what was read nor the stubs of it; the program's own count of the world stays
/// what it was.
#[test]
fn a_reader_of_a_large_world_needs_little_memory() {
    let options = || WorldOptions {
        engine: evermoon::Lua::builder().memory(16 << 20),
        resident_max: 6 << 20,
        ..Default::default()
    };
    let mut world = World::open_boxed(Box::new(MemoryStore::new()), options()).expect("it opens");
    world.run("all = {}").expect("it runs");
    for part in 0..80 {
        world
            .run(&format!("local t = {{}} for i = 1, 1000 do t[i] = {{ id = i, text = 'row ' .. i .. ('x'):rep(100) .. {part} }} end all[{part} + 1] = t"))
            .expect("it runs");
    }
    let count = |world: &mut World| -> f64 {
        world
            .eval("return collectgarbage('count')")
            .expect("it runs")
    };
    let walk = "local n = 0 for _, part in ipairs(all) do for _, row in ipairs(part) do n = n + #row.text end end return n";
    let mut world = open_with(world.close().expect("open"), options());
    let before = count(&mut world);
    let length: i64 = world.eval(walk).expect("it fits part by part");
    let stubs = world.statistics().hollow;
    assert!(stubs < 40_000, "{stubs} hollow objects are here");
    let after = count(&mut world);
    assert!(
        (after / before - 1.0).abs() < 0.05,
        "{before} KiB, then {after} KiB"
    );
    // A world that came as a snapshot does not know its size; it is let go all the same.
    let (file, _) = snapshot(world);
    let mut store = MemoryStore::new();
    evermoon_store::care::import(&mut store, &mut &file[..], &mut go_on).expect("it is whole");
    let mut world = open_with(Box::new(store), options());
    let again: i64 = world.eval(walk).expect("it fits part by part");
    assert_eq!(again, length);
    let stubs = world.statistics().hollow;
    assert!(stubs < 40_000, "{stubs} hollow objects are here");
    assert!(world.lua().resident_memory() < 16 << 20);
}

fn open_with(store: Box<dyn evermoon_store::Store>, options: WorldOptions) -> World {
    World::open_boxed(store, options).expect("it opens")
}

fn go_on(_: evermoon_store::care::Progress) -> std::ops::ControlFlow<()> {
    std::ops::ControlFlow::Continue(())
}

fn snapshot(world: World) -> (Vec<u8>, Box<dyn evermoon_store::Store>) {
    let store = world.close().expect("open");
    let mut file = Vec::new();
    evermoon_store::care::export(store.as_ref(), &mut file, &mut go_on).expect("it is whole");
    (file, store)
}

const PROGRAM: &str = "
    local function counter() local n = 0 return function() n = n + 1 return n end end
    a, b = counter(), counter() a() a() b()
    co = coroutine.wrap(function() for i = 1, 10 do coroutine.yield(i) end end) co()
    big = {} for i = 1, 3000 do big[i] = { i } big['k' .. i] = i end
    text = ('long '):rep(1000) weak = setmetatable({}, { __mode = 'v' }) weak[1] = big[1]";

#[test]
fn a_snapshot_opens_elsewhere_and_equal_worlds_give_equal_bytes() {
    let mut world = open(Box::new(MemoryStore::new()));
    world.run(PROGRAM).expect("it runs");
    let (first, _) = snapshot(world);
    // The same state by another way: with garbage, restarts, and everything let go between.
    let mut world = open(Box::new(MemoryStore::new()));
    world
        .run("garbage = {} for i = 1, 1000 do garbage[i] = { i } end")
        .expect("it runs");
    world.run("garbage = nil").expect("it runs");
    let mut world = open(world.close().expect("open"));
    world.evict();
    let mut world = open(Box::new(MemoryStore::new()));
    world.run(PROGRAM).expect("it runs");
    let mut world = open(world.close().expect("open"));
    world.evict();
    world.commit().expect("nothing to do");
    let (second, _) = snapshot(world);
    assert_eq!(first.len(), second.len());
    assert!(first == second);
    let mut store = MemoryStore::new();
    evermoon_store::care::import(&mut store, &mut &first[..], &mut go_on).expect("it is whole");
    let mut world = open(Box::new(store));
    let said: String = world
        .eval("return table.concat({ a(), b(), co(), #big, big[2999][1], big.k3000, #text, weak[1] == big[1] and 1 or 0 }, ' ')")
        .expect("it runs");
    assert_eq!(said, "3 2 2 3000 2999 3000 5000 1");
    for cut in [0, 7, 8, 100, first.len() - 1] {
        let mut store = MemoryStore::new();
        evermoon_store::care::import(&mut store, &mut &first[..cut], &mut go_on)
            .expect_err("it is cut");
    }
    let mut damaged = first.clone();
    damaged[first.len() / 2] ^= 4;
    evermoon_store::care::import(&mut MemoryStore::new(), &mut &damaged[..], &mut go_on)
        .expect_err("it is damaged");
}

#[test]
fn garbage_is_removed_and_damage_is_named() {
    let mut world = open(Box::new(MemoryStore::new()));
    world.run("t = {} for i = 1, 500 do t[i] = { i } end users = { { name = 'ada' }, { name = 'bob' } }").expect("it runs");
    world.run("t = nil").expect("it runs");
    let mut store = world.close().expect("open");
    let report = evermoon_store::care::verify(store.as_ref(), &mut go_on).expect("it reads");
    assert!(
        report.broken.is_empty() && report.garbage >= 500,
        "{report:?}"
    );
    let freed = evermoon_store::care::remove_garbage(store.as_mut(), &mut go_on).expect("it goes");
    assert!(freed.entries >= 500);
    let report = evermoon_store::care::verify(store.as_ref(), &mut go_on).expect("it reads");
    assert!(
        report.broken.is_empty() && report.garbage == 0,
        "{report:?}"
    );
    // Damage one user's record.
    let mut ada = None;
    store
        .visit(evermoon_store::Scan::all(), &mut |key, value| {
            if key[0] == b'o' && value.windows(3).any(|w| w == b"ada") {
                ada = Some((key.to_vec(), value.to_vec()));
            }
            std::ops::ControlFlow::Continue(())
        })
        .expect("it reads");
    let (key, mut value) = ada.expect("it is there");
    value[3] ^= 1;
    let epoch = store.lease().expect("ours");
    let version = store.head().expect("ours").version;
    let mut batch = evermoon_store::Batch::new();
    batch.put(key, value);
    store
        .commit(version, epoch, &batch, evermoon_store::Durability::Durable)
        .expect("ours");
    let report = evermoon_store::care::verify(store.as_ref(), &mut go_on).expect("it reads");
    assert_eq!(report.broken.len(), 1);
    assert_eq!(report.broken[0].path, "users[1]", "{report:?}");
    let mut world = open(store);
    let error = world
        .run("return users[1].name")
        .expect_err("it is damaged");
    assert!(error.to_string().contains("damaged record"), "{error}");
    assert_eq!(
        world
            .eval::<String>("return users[2].name")
            .expect("the rest works"),
        "bob"
    );
    let mut store = world.close().expect("open");
    evermoon_store::care::quarantine(store.as_mut(), &report.broken).expect("it is put aside");
    let mut world = open(store);
    assert_eq!(
        world
            .eval::<Option<String>>("return users[1].name")
            .expect("it runs"),
        None
    );
}

/// The same over rows of an external table: order, figures, restarts.
#[test]
fn home_is_a_table_of_rows_in_the_store() {
    let dir = std::env::temp_dir().join(format!("evermoon-home-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a place for it");
    let file = dir.join("a.world");
    let _ = std::fs::remove_file(&file);
    let store = RedbStore::open(&file, RedbOptions::default()).expect("it opens");
    let mut world = open(Box::new(store));
    world
        .run(
            "assert(Memory == _home and ext.is(_home))
             for i = 1, 10000 do _home[i] = { id = i } end
             _home.name = 'ada' _home.sub = ext.table() _home.sub.x = _home[77]",
        )
        .expect("it runs");
    world.evict();
    let whole = "local sum, last = 0, 0
         for k, v in pairs(_home) do
           if type(k) == 'number' then assert(k == last + 1) last = k sum = sum + v.id end
         end
         return sum, #_home, ext.count(_home), _home.sub.x == _home[77]";
    let want = (50_005_000, 10_000, 10_002, true);
    assert_eq!(
        world.eval::<(i64, i64, i64, bool)>(whole).expect("it runs"),
        want
    );
    // One row, one object and the table's record.
    world
        .run("_home[5000].id = 5000 _home[1].more = 1 _home.name = 'eve'")
        .expect("it runs");
    let commit = world.last_commit().expect("one");
    assert!(commit.bytes < 500, "{commit:?}");
    let error = world.run("_home.name = 'x' _home[3] = nil ext.clear(_home.sub) error('no')");
    error.expect_err("it fails");
    assert_eq!(
        world
            .eval::<(String, i64, bool)>("return _home.name, _home[3].id, _home.sub.x == _home[77]")
            .expect("it runs"),
        ("eve".into(), 3, true)
    );
    drop(world);
    let store = RedbStore::open(&file, RedbOptions::default()).expect("it opens again");
    let mut world = open(Box::new(store));
    assert_eq!(
        world.eval::<(i64, i64, i64, bool)>(whole).expect("it runs"),
        want
    );
    // From the host.
    let home = world.home().expect("it has one");
    assert_eq!(home.get::<String>("name").expect("a row"), "eve");
    assert_eq!(home.raw_len(), 10_000);
    assert_eq!(
        home.pairs::<evermoon::Value, evermoon::Value>().count(),
        10_002
    );
    home.set("from", "host").expect("it is set");
    world.commit().expect("it can be stored");
    drop((home, world));
    std::fs::remove_dir_all(&dir).expect("ours");
}

#[test]
fn a_large_table_of_rows_needs_little_memory() {
    let mut world = open(Box::new(MemoryStore::new()));
    for round in 0..20 {
        world
            .run(&format!(
                "for i = {0} + 1, {0} + 10000 do _home[i] = ('row %d '):format(i):rep(10) end",
                round * 10_000
            ))
            .expect("it runs");
    }
    world
        .run("collectgarbage() collectgarbage()")
        .expect("it runs");
    world
        .run("local n = 0 for k, v in pairs(_home) do n = n + #v end assert(n > 2e7 and #_home == 200000)")
        .expect("it runs");
    world
        .run("collectgarbage() collectgarbage()")
        .expect("it runs");
    assert!(
        world.lua().resident_memory() < 8 << 20,
        "{}",
        world.lua().resident_memory()
    );
}

#[test]
fn the_exchange_table_is_not_stored() {
    let mut world = open(Box::new(MemoryStore::new()));
    world
        .run("kept = _io function double() _io.output = _io.input * 2 end")
        .expect("it runs");
    let mut world = open(world.close().expect("open"));
    for n in [4, 5] {
        let exchange = world.exchange().expect("it has one");
        exchange.set("input", n).expect("it is set");
        world.run("assert(kept == _io) double()").expect("it runs");
        assert_eq!(exchange.get::<i64>("output").expect("a number"), 2 * n);
    }
    let mut world = open(world.close().expect("open"));
    world
        .run("assert(kept == _io and next(_io) == nil)")
        .expect("it runs");
}

#[test]
fn rows_go_into_snapshots_and_come_back() {
    let program =
        "_home.b = { 'b' } _home[1] = _home.b _home[2.5] = ('long'):rep(1000) _home.a = 'a'
        deep = { ext.table() } deep[1].x = deep deep[1].f = function() return deep end
        for i = 1, 3000 do deep[1][i] = i end";
    let mut one = open(Box::new(MemoryStore::new()));
    one.run(program).expect("it runs");
    let mut other = open(Box::new(MemoryStore::new()));
    other
        .run("_home.garbage = { ext.table() } _home.garbage[1].x = {} _home.a = {}")
        .expect("it runs");
    other.run("_home.garbage = nil").expect("it runs");
    other.run(program).expect("it runs");
    let mut files = Vec::new();
    for world in [one, other] {
        let mut file = Vec::new();
        let store = world.close().expect("open");
        evermoon_store::care::export(store.as_ref(), &mut file, &mut go_on).expect("it is written");
        files.push(file);
    }
    assert!(files[0] == files[1], "equal worlds, equal bytes");
    let mut store = MemoryStore::new();
    evermoon_store::care::import(&mut store, &mut &files[0][..], &mut go_on).expect("it is read");
    let report = evermoon_store::care::verify(&store, &mut go_on).expect("it can be read");
    assert!(
        report.broken.is_empty() && report.garbage == 0,
        "{report:?}"
    );
    let mut world = open(Box::new(store));
    let said: (bool, i64, bool, i64) = world
        .eval("return _home.b == _home[1] and _home.b[1] == 'b', #_home[2.5], deep[1].f() == deep and deep[1].x == deep, ext.count(deep[1])")
        .expect("it runs");
    assert_eq!(said, (true, 4000, true, 3002));
    let mut again = Vec::new();
    world.run("deep[1].y = 1").expect("it runs");
    world.run("deep[1].y = nil").expect("it runs");
    let store = world.close().expect("open");
    evermoon_store::care::export(store.as_ref(), &mut again, &mut go_on).expect("it is written");
    // Every byte of a row is checked.
    for at in (12..files[0].len()).step_by(97) {
        let mut broken = files[0].clone();
        broken[at] ^= 0x10;
        let mut store = MemoryStore::new();
        evermoon_store::care::import(&mut store, &mut &broken[..], &mut go_on)
            .expect_err("it is damaged");
    }
}

#[test]
fn rows_of_dead_tables_are_garbage_and_damaged_ones_have_paths() {
    let mut world = open(Box::new(MemoryStore::new()));
    world
        .run("_home.keep = { {} } _home.gone = ext.table() for i = 1, 100 do _home.gone[i] = { i } end")
        .expect("it runs");
    world.run("_home.gone = nil").expect("it runs");
    let mut store = world.close().expect("open");
    let rows = |store: &dyn Store| {
        store
            .scan(Scan::range(b"x", Some(b"y")))
            .expect("rows")
            .len()
    };
    assert_eq!(rows(store.as_ref()), 101);
    let freed = evermoon_store::care::remove_garbage(store.as_mut(), &mut go_on).expect("it goes");
    assert!(freed.entries >= 201, "{freed:?}");
    assert_eq!(rows(store.as_ref()), 1);
    // A row is damaged.
    let (key, mut value) = store
        .scan(Scan::range(b"x", Some(b"y")))
        .expect("rows")
        .remove(0);
    value[0] ^= 1;
    let (epoch, version) = (
        store.lease().expect("ours"),
        store.head().expect("a head").version,
    );
    let mut batch = Batch::new();
    batch.put(key, value);
    store
        .commit(version, epoch, &batch, Durability::Durable)
        .expect("it is written");
    let report = evermoon_store::care::verify(store.as_ref(), &mut go_on).expect("it can be read");
    assert_eq!(report.broken.len(), 1);
    assert_eq!(report.broken[0].path, "_home.keep");
    let mut world = open(store);
    let error = world.run("return _home.keep").expect_err("it is damaged");
    assert!(
        error
            .to_string()
            .contains("damaged record in the world: a row of object"),
        "{error}"
    );
    let mut store = world.close().expect("open");
    evermoon_store::care::quarantine(store.as_mut(), &report.broken).expect("it is put aside");
    let mut world = open(store);
    assert!(
        world
            .eval::<bool>("return _home.keep == nil")
            .expect("it runs")
    );
}
