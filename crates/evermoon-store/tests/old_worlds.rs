//! Worlds of every format that has been: `tests/worlds` keeps one of each, as a store's file and as a snapshot. Each opens, goes on with the program it was in the middle
//! of, shows all that it holds, runs on, is verified and is exported. `tests/worlds/README.md` says how they were made.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use evermoon::{Host, Lua, StdLib};
use evermoon_store::care::{self, Progress};
use evermoon_store::{MemoryStore, Store, World, WorldOptions};

fn worlds() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/worlds")
}

fn text(name: &str) -> String {
    let bytes = std::fs::read(worlds().join(name)).expect("it is there");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[derive(Clone, Default)]
struct Output(Rc<RefCell<Vec<u8>>>);

impl Host for Output {
    fn print(&mut self, bytes: &[u8]) {
        self.0.borrow_mut().extend_from_slice(bytes);
    }
}

impl Output {
    fn take(&self) -> String {
        String::from_utf8_lossy(&self.0.take()).into_owned()
    }
}

fn open(store: Box<dyn Store>, output: &Output, resident_max: usize) -> World {
    let engine = Lua::builder().libraries(StdLib::ALL).host(output.clone());
    let options = WorldOptions {
        engine,
        resident_max,
        ..Default::default()
    };
    World::open_boxed(store, options).expect("it opens")
}

fn whole(store: &dyn Store) {
    let report = care::verify(store, &mut go_on).expect("it can be read");
    assert!(report.broken.is_empty(), "{:?}", report.broken);
    assert!(report.objects > 100, "{report:?}");
}

fn snapshot_of(store: &dyn Store) -> Vec<u8> {
    let mut file = Vec::new();
    care::export(store, &mut file, &mut go_on).expect("it is whole");
    file
}

/// Everything that a world of that age is put through. The snapshot that it ends with.
fn live_on(store: Box<dyn Store>, little_memory: bool) -> Vec<u8> {
    whole(store.as_ref());
    let output = Output::default();
    let resident_max = if little_memory { 0 } else { 48 << 20 };
    let mut world = open(store, &output, resident_max);
    // The program that was killed.
    world.run("may_end = true").expect("it runs");
    let pending = world.pending().expect("open");
    assert_eq!(pending.len(), 1);
    let run = pending.into_iter().next().expect("one").run;
    world.finish(run).expect("it ends");
    assert_eq!(output.take(), "sum 11100, seen 1000\n");
    let run_on = |world: &mut World| {
        world
            .run_named(&text("go_on.lua"), "@go_on.lua")
            .unwrap_or_else(|e| panic!("{e}\n{}", output.take()));
        output.take()
    };
    assert_eq!(run_on(&mut world), text("went_on.txt"));
    if little_memory {
        world.evict();
    }
    world.run("went = _home.went_on").expect("it runs");
    let store = world.close().expect("open");
    whole(store.as_ref());
    let file = snapshot_of(store.as_ref());
    // As the engine of today writes it, it opens again.
    let mut copy = MemoryStore::new();
    care::import(&mut copy, &mut &file[..], &mut go_on).expect("it is whole");
    whole(&copy);
    assert!(snapshot_of(&copy) == file, "equal worlds, equal bytes");
    let mut world = open(Box::new(copy), &output, 48 << 20);
    assert_eq!(world.eval::<i64>("return went").expect("it runs"), 1);
    file
}

fn of(version: u32) {
    let dir = std::env::temp_dir().join(format!("evermoon-old-{version}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a place for it");
    let file = dir.join("a.world");
    let mut ended = Vec::new();
    for little_memory in [false, true] {
        std::fs::copy(worlds().join(format!("format{version}.world")), &file).expect("it is there");
        let store = evermoon_store::open(&file).expect("it opens");
        ended.push(live_on(store, little_memory));
        let snapshot =
            std::fs::read(worlds().join(format!("format{version}.snapshot"))).expect("it is there");
        let mut store = MemoryStore::new();
        care::import(&mut store, &mut &snapshot[..], &mut go_on).expect("it is whole");
        // What an exporter of today makes of it is what that of its time made.
        assert!(snapshot_of(&store) == snapshot, "equal worlds, equal bytes");
        ended.push(live_on(Box::new(store), little_memory));
    }
    std::fs::remove_dir_all(&dir).expect("ours");
    for other in &ended[1..] {
        assert!(*other == ended[0], "the same world, whichever way");
    }
}

#[test]
fn format_1() {
    of(1);
}

/// There is a fixture for every format that this engine says it reads.
#[test]
fn every_format_has_its_fixture() {
    for version in 1..=evermoon::persist::meta::FORMAT {
        for kind in ["world", "snapshot"] {
            let file = worlds().join(format!("format{version}.{kind}"));
            assert!(file.is_file(), "{} is missing", file.display());
        }
    }
}
