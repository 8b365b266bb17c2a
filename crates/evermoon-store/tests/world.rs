//! Worlds over stores: transactions, restarts, memory.

use evermoon_store::{
    MemoryStore, OnError, RedbOptions, RedbStore, World, WorldError, WorldOptions,
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
}
