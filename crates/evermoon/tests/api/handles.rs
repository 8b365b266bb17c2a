//! References: they keep values alive, belong to their engine, and may outlive it.

use evermoon::{Error, Function, Lua, Table, Value};

#[test]
fn handles_keep_values_alive_and_let_them_go() {
    let lua = Lua::new();
    let weak: Table = lua
        .load("setmetatable({}, { __mode = 'v' })")
        .eval()
        .unwrap();
    let table = lua.create_table().unwrap();
    weak.raw_set(1, &table).unwrap();
    let again = table.clone();
    drop(table);
    lua.gc_collect().unwrap();
    assert!(!weak.raw_get::<Value>(1).unwrap().is_nil());
    assert_eq!(weak.raw_get::<Table>(1).unwrap(), again);
    drop(again);
    lua.gc_collect().unwrap();
    assert!(weak.raw_get::<Value>(1).unwrap().is_nil());
}

#[test]
fn values_of_another_engine_are_refused() {
    let (a, b) = (Lua::new(), Lua::new());
    let table = a.create_table().unwrap();
    assert!(matches!(b.globals().set("t", &table), Err(Error::Foreign)));
    let f: Function = b.load("function(x) return x end").eval().unwrap();
    assert!(matches!(f.call::<Value>(&table), Err(Error::Foreign)));
    let echo = b.create_function(move |_, ()| Ok(table.clone())).unwrap();
    assert!(
        echo.call::<Value>(())
            .unwrap_err()
            .to_string()
            .contains("another engine")
    );
    // Plain data is nobody's.
    b.globals().set("s", Value::string("text")).unwrap();
}

#[test]
fn handles_outlive_their_engine_without_harm() {
    let table = {
        let lua = Lua::new();
        lua.create_table().unwrap()
    };
    assert!(matches!(table.get::<Value>(1), Err(Error::Closed)));
    assert!(matches!(table.set(1, 2), Err(Error::Closed)));
    assert_eq!(table.raw_len(), 0);
    drop(table);
}

#[test]
fn many_handles_reuse_their_slots() {
    let lua = Lua::new();
    for round in 0..50 {
        let tables: Vec<Table> = (0..1000)
            .map(|i| lua.create_table_from([(1, i + round)]).unwrap())
            .collect();
        for (i, table) in tables.iter().enumerate() {
            assert_eq!(table.raw_get::<i32>(1).unwrap(), i as i32 + round);
        }
    }
    lua.gc_collect().unwrap();
    let before = lua.used_memory();
    for _ in 0..10_000 {
        lua.create_table().unwrap();
    }
    lua.gc_collect().unwrap();
    assert!(lua.used_memory() <= before + 4096);
}

#[test]
fn tables_iterate_in_the_order_of_insertion() {
    let lua = Lua::new();
    let table: Table = lua
        .load("{ z = 1, y = 2, x = 3, 'a', 'b' }")
        .eval()
        .unwrap();
    let pairs: Vec<(String, Value)> = table.pairs().map(Result::unwrap).collect();
    let keys: Vec<&str> = pairs.iter().map(|(k, _)| k.as_str()).collect();
    assert_eq!(keys, ["1", "2", "z", "y", "x"]);
    let values: Vec<String> = table.sequence_values().map(Result::unwrap).collect();
    assert_eq!(values, ["a", "b"]);
    table.clear().unwrap();
    assert!(table.is_empty());
}

#[test]
fn metamethods_are_honoured_unless_raw() {
    let lua = Lua::new();
    let table: Table = lua
        .load("setmetatable({}, { __index = function(_, k) return k .. '!' end, __newindex = function(t, k, v) rawset(t, k, v * 2) end, __len = function() return 42 end })")
        .eval()
        .unwrap();
    assert_eq!(table.get::<String>("k").unwrap(), "k!");
    assert!(table.raw_get::<Value>("k").unwrap().is_nil());
    table.set("n", 21).unwrap();
    assert_eq!(table.raw_get::<i64>("n").unwrap(), 42);
    assert_eq!(table.len().unwrap(), 42);
    assert_eq!(table.raw_len(), 0);
    assert!(table.metatable().unwrap().contains_key("__len").unwrap());
}

#[test]
fn closing_runs_the_finalizers_newest_first() {
    use std::cell::RefCell;
    use std::rc::Rc;
    let log: Rc<RefCell<Vec<i64>>> = Rc::default();
    {
        let lua = Lua::new();
        let to = log.clone();
        let note = lua.create_function(move |_, n: i64| {
            to.borrow_mut().push(n);
            Ok(())
        });
        lua.globals().set("note", note.unwrap()).unwrap();
        lua.load("for i = 1, 3 do _G[i] = setmetatable({}, { __gc = function() note(i) if i == 2 then error('x') end end }) end")
            .exec()
            .unwrap();
    }
    assert_eq!(*log.borrow(), [3, 2, 1]);
}
