//! Each single entry of a world with one of everything is damaged, cut short, and deleted, one at a time. Each time: `verify` names it by a path, or the damage is in what has
//! no check and is of no consequence; the world opens and the rest of it can be used, before it is put aside and after; and after `quarantine` everything is whole again: verified,
//! exported, committed to.

use std::ops::ControlFlow;
use std::path::Path;

use evermoon::{Lua, StdLib};
use evermoon_store::care::{self, Progress};
use evermoon_store::{Batch, Durability, MemoryStore, Scan, Store, World, WorldOptions};

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A world that has one of everything, but not many of each.
const PROGRAM: &str = "
    plain = { 1, 2, 3, name = 'plain' }
    users = { { name = 'ada' }, { name = 'bob', friends = {} } }
    users[2].friends[1] = users[1]
    do local n = 0 function count() n = n + 1 return n end function counted() return n end end
    for_each = string.gmatch('a b c', '%a')
    class = setmetatable({}, { __index = function(_, k) return k end, __name = 'Class' })
    big = {} for i = 1, 1100 do big[i] = i big['k' .. i] = i end
    long = { ('long'):rep(1000), text = ('text'):rep(1000), [('key'):rep(1000)] = 1 }
    co = coroutine.wrap(function() local a = 1 function peek() return a end while true do a = a + coroutine.yield(a) end end) co()
    other = coroutine.create(function(...) return ... end)
    match_all = select(2, pcall(string.gmatch, 'x y', '%a'))
    finalized = setmetatable({}, { __gc = function() end })
    _home.row = { 'in a row' } _home[1] = ('row'):rep(1000) _home.inner = ext.table() _home.inner.x = users
    registry_entry = debug.getregistry()
    witness = { 'the rest', deep = { deep = { value = 42 } } }";

fn open(store: Box<dyn Store>) -> Result<World, String> {
    let options = WorldOptions {
        engine: Lua::builder().libraries(StdLib::ALL),
        ..Default::default()
    };
    World::open_boxed(store, options).map_err(|e| e.to_string())
}

/// What a program that touches everything gets to see: how many things it could not look at.
const TOUCH: &str = "
    local seen, bad, n = {}, 0, 0
    local function look(v)
      local kind = type(v)
      if kind ~= 'table' and kind ~= 'function' and kind ~= 'thread' and kind ~= 'userdata' or seen[v] then return end
      seen[v] = true n = n + 1
      local ok = pcall(function()
        if kind == 'table' then
          look(getmetatable(v))
          for k, x in next, v do look(k) look(x) end
        elseif kind == 'function' then
          local i = 1
          while true do local name, x = debug.getupvalue(v, i) if not name then break end look(x) i = i + 1 end
        elseif kind == 'thread' then debug.traceback(v)
        else tostring(v) end
      end)
      if not ok then bad = bad + 1 end
    end
    look(_G) look(debug.getregistry())
    return n, bad";

#[derive(Default, Debug)]
struct Count {
    entries: usize,
    tried: usize,
    /// What `verify` has named.
    named: usize,
    /// It does not open before it is put aside.
    closed: usize,
    /// Nobody has noticed, and everything can be used: bytes without a check.
    unnoticed: usize,
}

fn with(entries: &[(Vec<u8>, Vec<u8>)], key: &[u8], value: Option<Vec<u8>>) -> Box<dyn Store> {
    let mut store = MemoryStore::new();
    let mut batch = Batch::new();
    for (k, v) in entries {
        match (k == key, &value) {
            (true, Some(value)) => batch.put(k.clone(), value.clone()),
            (true, None) => {}
            _ => batch.put(k.clone(), v.clone()),
        }
    }
    let epoch = store.lease().expect("ours");
    store
        .commit(0, epoch, &batch, Durability::Durable)
        .expect("ours");
    Box::new(store)
}

/// The world opens, what nobody has damaged is there, programs run and are committed.
fn usable(store: Box<dyn Store>, damaged: &str, must: bool) -> Result<Box<dyn Store>, String> {
    let mut world = open(store)?;
    let touched: Result<(i64, i64), _> = world.eval(TOUCH);
    if must {
        let (n, bad) = touched.map_err(|e| format!("{damaged}: {e}"))?;
        // What a library kept in a damaged table may be missing; the bulk is there.
        if bad > 0 || n < 20 {
            return Err(format!("{damaged}: {bad} of {n} cannot be looked at"));
        }
    }
    if !damaged.contains("_G") && !damaged.contains("witness") && !damaged.is_empty() {
        let value: i64 = world
            .eval("return witness.deep.deep.value")
            .map_err(|e| format!("{damaged}: {e}"))?;
        assert_eq!(value, 42, "{damaged}");
    }
    world
        .run("added = { 'after' } local sum = 0 for i = 1, 1000 do sum = sum + i end added.sum = sum")
        .map_err(|e| format!("{damaged}: {e}"))?;
    let mut world = open(world.close().map_err(|e| e.to_string())?)?;
    let sum: i64 = world
        .eval("return added.sum")
        .map_err(|e| format!("{damaged}: {e}"))?;
    assert_eq!(sum, 500500);
    world.close().map_err(|e| e.to_string())
}

fn each(entries: &[(Vec<u8>, Vec<u8>)], every: usize) -> Count {
    let mut count = Count {
        entries: entries.len(),
        ..Default::default()
    };
    let mut wrong = Vec::new();
    for (n, (key, value)) in entries.iter().enumerate() {
        // The meta record is the world: without it there is a snapshot or nothing.
        if key == b"m" || n % every != 0 {
            continue;
        }
        let mut changed = value.clone();
        let middle = changed.len() / 2;
        if let Some(byte) = changed.get_mut(middle) {
            *byte ^= 0x24;
        }
        let cut = value[..value.len() / 2].to_vec();
        for (how, damage) in [
            ("changed", Some(changed)),
            ("cut", Some(cut)),
            ("deleted", None),
        ] {
            count.tried += 1;
            let what = format!("{} {how}", key.escape_ascii());
            let store = with(entries, key, damage.clone());
            let report = match care::verify(store.as_ref(), &mut go_on) {
                Ok(report) => report,
                Err(error) => {
                    wrong.push(format!("{what}: verify: {error}"));
                    continue;
                }
            };
            let named = report.broken.first().map(|b| b.path.clone());
            if let Some(path) = &named {
                count.named += 1;
                if path.is_empty() {
                    wrong.push(format!("{what}: it has no path"));
                }
            } else if key[0] != b'm' && (key[0] != b'x' || damage.is_some()) {
                wrong.push(format!("{what}: nobody notices"));
            } else {
                count.unnoticed += 1;
            }
            // As it is: it opens unless a root is damaged, and errors are errors of the program's.
            let path = named.clone().unwrap_or_default();
            let copy = with(entries, key, damage);
            if usable(copy, &path, false).is_err() {
                count.closed += 1;
            }
            let mut store = store;
            if let Err(error) = care::quarantine(store.as_mut(), &report.broken) {
                wrong.push(format!("{what} ({path}): quarantine: {error}"));
                continue;
            }
            let result = usable(store, &path, true).and_then(|store| {
                let report = care::verify(store.as_ref(), &mut go_on).map_err(|e| e.to_string())?;
                if let Some(b) = report.broken.first() {
                    return Err(format!("it is still damaged: {}: {}", b.path, b.what));
                }
                let mut file = Vec::new();
                care::export(store.as_ref(), &mut file, &mut go_on).map_err(|e| e.to_string())?;
                Ok(())
            });
            if let Err(error) = result {
                wrong.push(format!("{what} ({path}), put aside: {error}"));
            }
        }
    }
    println!("{count:?}");
    assert!(
        wrong.is_empty(),
        "{} of {count:?}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    count
}

fn entries_of(store: &dyn Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    store.scan(Scan::all()).expect("ours")
}

#[test]
fn each_entry_of_a_world_is_damaged_in_turn() {
    let mut world = open(Box::new(MemoryStore::new())).expect("it opens");
    world.run(PROGRAM).expect("it runs");
    let store = world.close().expect("open");
    let count = each(&entries_of(store.as_ref()), 1);
    assert!(
        count.entries > 70 && count.named > count.tried * 9 / 10,
        "{count:?}"
    );
}

/// A fixture with coroutines in every state, and a program under way; every 29th entry, as there are many.
#[test]
fn entries_of_the_fixture_are_damaged_in_turn() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/worlds/format1.snapshot");
    let file = std::fs::read(path).expect("it is there");
    let mut store = MemoryStore::new();
    care::import(&mut store, &mut &file[..], &mut go_on).expect("it is whole");
    let every = if std::env::var("EVERMOON_LONG").is_ok() {
        1
    } else {
        29
    };
    let mut world = open(Box::new(store)).expect("it opens");
    world
        .run("witness = { deep = { deep = { value = 42 } } }")
        .expect("it runs");
    let store = world.close().expect("open");
    each(&entries_of(store.as_ref()), every);
}
