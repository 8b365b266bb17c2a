//! What `docs/abi.md` promises about values: slots, handles, tables, the host's own functions and objects; and that no mistake traps.

#[path = "../host/mod.rs"]
mod host;

use host::{Lua, Mail, Status, Value};
use wasmi::Val;

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn every_kind_crosses_and_comes_back() {
    let mut lua = Lua::new();
    let plain = [
        Value::Nil,
        Value::Bool(false),
        Value::Bool(true),
        Value::Int(i64::MIN),
        Value::Int(-1),
        Value::Float(-0.0),
        Value::Float(f64::INFINITY),
        Value::text(""),
        Value::Text((0..=255).collect()),
        Value::Text(vec![b'x'; 100_000]),
        Value::Light(u64::MAX),
        Value::Object(12),
        Value::Function(u32::MAX),
    ];
    assert_eq!(lua.eval("return ...", &plain), plain);
    let made = lua.eval(
        "return {}, print, coroutine.create(print), io or select(2, load '')",
        &[],
    );
    let held: Vec<u32> = made[..3]
        .iter()
        .map(|v| match v {
            Value::Handle(_, holds) => *holds,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(held, [1, 2, 3]);
    let back = lua.eval("return ...", &made[..3]);
    for (first, second) in made.iter().zip(&back) {
        let (a, b) = (first.handle(), second.handle());
        assert_ne!(a, b, "a fresh handle each time");
        assert_eq!(lua.call("em_same", &[a, b]), 1);
        let (a, b) = (lua.call("em_identity", &[a]), lua.call("em_identity", &[b]));
        assert_eq!(a, b);
        assert_ne!(a, 0);
    }
    assert_eq!(
        lua.call("em_same", &[made[0].handle(), made[1].handle()]),
        0
    );
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn results_may_be_passed_straight_back() {
    let mut lua = Lua::new();
    let function = lua
        .load(
            b"local a, n = ... collectgarbage('step') return a .. string.rep('y', 10), n + 1",
            "=f",
        )
        .expect("it compiles");
    let args = [Value::Text(vec![b'x'; 60]), Value::Int(0)];
    let task = lua.start(function, &args);
    assert_eq!(lua.run(task, 100), Status::Done);
    // From now on the host touches no slot: the string, which nothing in Lua refers to, stays in its place.
    for _ in 0..3000 {
        assert_eq!(lua.status("em_call", &[function, 2, 100]), Status::Done);
    }
    assert_eq!(lua.slot(1), Value::Int(3001));
    let mut expected = vec![b'x'; 60];
    expected.extend(std::iter::repeat_n(b'y', 30_010));
    assert_eq!(lua.slot(0), Value::Text(expected));
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn results_passed_back_survive_the_collection_that_makes_room() {
    let mut lua = Lua::new();
    let table = lua.call("em_table_new", &[0, 0]);
    let handle = lua.call("em_string_new", &[600_000]);
    let at = lua.call("em_string_bytes", &[handle]);
    lua.wasm.write(at, &[b'x'; 600_000]);
    assert_eq!(lua.status("em_handle_slot", &[handle]), Status::Done);
    // Slot 0 names the text of a string that nobody refers to, and there is room for another one only when this one has gone.
    lua.call("em_handle_free", &[handle]);
    let used = lua.call_with("em_stat", &[Val::I32(0)]);
    lua.call_with("em_set_memory_max", &[Val::F64((used + 300_000.0).into())]);
    let set = lua.call_with(
        "em_raw_append",
        &[Val::I32(table as i32), Val::F64(1.0.into()), Val::I32(1)],
    );
    assert_eq!(set, 0.0, "{}", lua.message());
    lua.with_slots("em_raw_get", &[Value::Int(1)], &[table]);
    assert_eq!(lua.slot(0), Value::Text(vec![b'x'; 600_000]));
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn tables_are_read_written_and_walked() {
    let mut lua = Lua::new();
    let table = lua.call("em_table_new", &[4, 100]);
    let mut values = Vec::new();
    for i in 0..50 {
        values.extend([Value::text(&format!("key {i}")), Value::Int(i)]);
    }
    assert_eq!(
        lua.with_slots("em_raw_set", &values, &[table, 100]),
        Status::Done
    );
    assert_eq!(
        lua.call_with("em_table_shape", &[Val::I32(table as i32)]),
        -1.0
    );
    for chunk in [1, 7, 64] {
        let mut seen = Vec::new();
        let mut status = lua.with_slots("em_raw_entries", &[Value::Nil], &[table, chunk]);
        loop {
            assert_eq!(status, Status::Done);
            let pairs = lua.slots();
            if pairs.is_empty() {
                break;
            }
            // The last key moves to slot 0 as it is.
            let from = lua.mail(Mail::Slots) + 16 * (pairs.len() as u32 - 2);
            let key = lua.wasm.bytes(from, 16).to_vec();
            let to = lua.mail(Mail::Slots);
            lua.wasm.write(to, &key);
            seen.extend(pairs);
            status = lua.status("em_raw_entries", &[table, chunk]);
        }
        assert_eq!(seen, values, "the order of pairs");
    }
    let list = lua.call("em_table_new", &[0, 0]);
    assert_eq!(
        lua.call_with("em_table_shape", &[Val::I32(list as i32)]),
        0.0
    );
    let at = |lua: &mut Lua, position: f64, count: i32| {
        let args = [
            Val::I32(list as i32),
            Val::F64(position.into()),
            Val::I32(count),
        ];
        lua.call_with("em_raw_append", &args)
    };
    lua.with_slots(
        "em_raw_get",
        &[Value::Int(1), Value::Int(2), Value::Int(3)],
        &[list],
    );
    lua.write_slot(0, 10, 3);
    assert_eq!(at(&mut lua, 1.0, 3), 0.0);
    assert_eq!(lua.call_with("em_raw_len", &[Val::I32(list as i32)]), 3.0);
    assert_eq!(
        lua.call_with("em_table_shape", &[Val::I32(list as i32)]),
        3.0
    );
    lua.with_slots("em_raw_get", &[Value::Int(1)], &[list]);
    assert_eq!(lua.slots(), [Value::Int(10)]);
    lua.with_slots(
        "em_raw_set",
        &[Value::Bool(true), Value::Int(1)],
        &[list, 2],
    );
    assert_eq!(
        lua.call_with("em_table_shape", &[Val::I32(list as i32)]),
        -2.0
    );
    assert_eq!(lua.call_with("em_table_shape", &[Val::I32(0)]), -3.0);
    assert_eq!(lua.call_with("em_raw_len", &[Val::I32(0)]), -1.0);
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn em_get_leaves_metamethods_to_lua() {
    let mut lua = Lua::new();
    let made = lua.eval(
        "return setmetatable({ a = 1 }, { __index = { b = 2 } })",
        &[],
    );
    let table = made[0].handle();
    assert_eq!(
        lua.with_slots("em_get", &[Value::text("a")], &[table]),
        Status::Done
    );
    assert_eq!(lua.slots(), [Value::Int(1)]);
    assert_eq!(
        lua.with_slots("em_get", &[Value::text("b")], &[table]),
        Status::Metamethod
    );
    assert_eq!(lua.slots(), []);
    assert_eq!(
        lua.with_slots("em_raw_get", &[Value::text("b")], &[table]),
        Status::Done
    );
    assert_eq!(lua.slots(), [Value::Nil]);
    assert_eq!(lua.call("em_has_metatable", &[table]), 1);
    let metatable = lua.call("em_metatable", &[table]);
    assert_eq!(lua.call("em_metatable", &[metatable]), 0);
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn long_strings_cross_with_one_copy() {
    let mut lua = Lua::new();
    let handle = lua.call("em_string_new", &[100_000]);
    let at = lua.call("em_string_bytes", &[handle]);
    lua.wasm.write(at, &[b'z'; 100_000]);
    let found = lua.eval("return #..., (...):sub(-2)", &[Value::Handle(handle, 0)]);
    assert_eq!(found, [Value::Int(100_000), Value::text("zz")]);
    assert_eq!(
        lua.call("em_string_bytes", &[handle]),
        at,
        "good as long as the handle"
    );
    assert_eq!(lua.status("em_handle_slot", &[handle]), Status::Done);
    assert_eq!(lua.slots(), [Value::Text(vec![b'z'; 100_000])]);
    // One that was guessed too long, and what a guess may not be.
    let guessed = lua.call("em_string_new", &[100_000]);
    let at = lua.call("em_string_bytes", &[guessed]);
    lua.wasm.write(at, &[b'y'; 70_000]);
    assert_eq!(lua.call("em_string_cut", &[guessed, 100_001]), 0);
    assert_eq!(lua.call("em_string_cut", &[guessed, 1023]), 0);
    assert_eq!(lua.call("em_string_cut", &[guessed, 70_000]), 1);
    assert_eq!(lua.call("em_string_cut", &[guessed, 70_001]), 0);
    assert_eq!(lua.call("em_string_cut", &[0, 70_000]), 0);
    let found = lua.eval(
        "return ... == ('y'):rep(70000), #..., collectgarbage(), #...",
        &[Value::Handle(guessed, 0)],
    );
    assert_eq!(
        found,
        [
            Value::Bool(true),
            Value::Int(70_000),
            Value::Int(0),
            Value::Int(70_000)
        ]
    );
    assert_eq!(lua.call("em_string_new", &[40]), 0);
    assert!(lua.message().contains("more than 40 bytes"));
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn freed_handles_stay_freed() {
    let mut lua = Lua::new();
    let first = lua.call("em_table_new", &[0, 0]);
    let copy = lua.call("em_handle_copy", &[first]);
    assert_eq!(lua.call("em_handle_free", &[first]), 1);
    assert_eq!(lua.call("em_handle_free", &[first]), 0);
    assert_eq!(lua.call_with("em_raw_len", &[Val::I32(copy as i32)]), 0.0);
    for _ in 0..255 {
        let next = lua.call("em_table_new", &[0, 0]);
        assert_ne!(next, first);
        assert_eq!(lua.status("em_handle_slot", &[first]), Status::Misuse);
        assert_eq!(
            lua.message(),
            "the handle was freed, or belongs to another engine"
        );
        lua.call("em_handle_free", &[next]);
    }
    assert_eq!(lua.call_with("em_stat", &[Val::I32(4)]), 1.0, "the copy");
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn the_hosts_numbers_are_released_once_and_never_too_early() {
    let mut lua = Lua::new();
    let made = lua.eval(
        "local f, o = ... kept = o return f == f, rawequal(f, f)",
        &[Value::Function(3), Value::Object(4)],
    );
    assert_eq!(made, [Value::Bool(true), Value::Bool(true)]);
    for _ in 0..2 {
        lua.call("em_collect", &[]);
        lua.eval("collectgarbage()", &[]);
    }
    assert_eq!(lua.drain().1, [3], "the object is still kept");
    assert_eq!(lua.eval("return kept", &[]), [Value::Object(4)]);
    lua.eval("kept = nil collectgarbage() collectgarbage()", &[]);
    assert_eq!(lua.mail(Mail::ReleasedLen), 1);
    // It crosses again before the list is read.
    lua.eval("again = ...", &[Value::Object(4)]);
    assert_eq!(lua.drain().1, [] as [u32; 0]);
    lua.eval("again = nil collectgarbage() collectgarbage()", &[]);
    assert_eq!(lua.drain().1, [4]);
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn objects_have_the_hosts_metatable() {
    let mut lua = Lua::new();
    let table = lua.eval("return { __index = ... }", &[Value::Function(9)])[0].handle();
    assert_eq!(lua.call("em_object_metatable", &[table]), 1);
    let function = lua
        .load(b"local o = ... return o.field", "=f")
        .expect("it compiles");
    let task = lua.start(function, &[Value::Object(77)]);
    assert_eq!(lua.run(task, 1), Status::HostCall);
    assert_eq!(lua.mail(Mail::Function), 9);
    assert_eq!(lua.slots(), [Value::Object(77), Value::text("field")]);
    lua.answer(task, Ok(&[Value::text("value")]));
    assert_eq!(lua.run(task, 1), Status::Done);
    assert_eq!(lua.slots(), [Value::text("value")]);
    let made = lua.call("em_function_new", &[9]);
    assert_eq!(lua.status("em_handle_slot", &[made]), Status::Done);
    assert_eq!(lua.slots(), [Value::Function(9)]);
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn no_mistake_traps() {
    let mut lua = Lua::new();
    let table = lua.call("em_table_new", &[0, 0]);
    let end = lua.wasm.memory_size() as u32;
    // Ranges: beyond the end, across it, around it, at 0.
    for (at, len) in [
        (end, 1),
        (end - 8, 16),
        (0xffff_fff0, 0x20),
        (0xffff_ffff, 0xffff_ffff),
        (0, 5),
        (16, 0xffff_fff8),
    ] {
        assert_eq!(
            lua.status("em_load", &[at, len, 0, 0, 1]),
            Status::Misuse,
            "{at:x} {len:x}"
        );
        assert_eq!(lua.status("em_load", &[0, 0, at, len, 1]), Status::Misuse);
        assert_eq!(lua.call("em_interrupt", &[at, len]), 0);
        lua.write_slot(0, u64::from(at) | u64::from(len) << 32, 5);
        assert_eq!(lua.status("em_raw_get", &[table]), Status::Misuse);
        assert_eq!(lua.message(), "a string's range lies outside the memory");
        lua.write_slot(0, u64::from(at) | u64::from(len) << 32, 5);
        assert_eq!(lua.call("em_start", &[table, 1]), 0);
    }
    for kind in [10, 15, 16, u32::MAX] {
        lua.write_slot(0, 0, kind);
        assert_eq!(
            lua.status("em_raw_get", &[table]),
            Status::Misuse,
            "kind {kind}"
        );
        assert_eq!(lua.message(), "a slot has an unknown kind");
    }
    assert_eq!(
        lua.with_slots("em_raw_set", &[Value::Int(1), Value::Int(2)], &[table, 1]),
        Status::Misuse
    );
    assert_eq!(
        lua.with_slots("em_raw_set", &[Value::Nil, Value::Int(2)], &[table, 2]),
        Status::Misuse
    );
    assert_eq!(
        lua.with_slots(
            "em_raw_set",
            &[Value::Float(f64::NAN), Value::Int(2)],
            &[table, 2]
        ),
        Status::Misuse
    );
    assert_eq!(
        lua.with_slots("em_raw_entries", &[Value::Int(99)], &[table, 1]),
        Status::Misuse
    );
    for count in [17, 1 << 20, u32::MAX] {
        assert_eq!(
            lua.status("em_raw_set", &[table, count & !1]),
            Status::Misuse
        );
        assert_eq!(lua.call("em_start", &[table, count]), 0);
        assert_eq!(lua.message(), "more slots are named than there are");
    }
    assert_eq!(lua.call("em_slots", &[(1 << 20) + 1]), 0);
    assert_eq!(lua.message(), "more than 1048576 slots");
    assert_ne!(lua.call("em_slots", &[1 << 16]), 0);
    for handle in [0, 5, 0xffff, u32::MAX, table + (1 << 24)] {
        for name in ["em_raw_get", "em_get", "em_handle_slot"] {
            assert_eq!(
                lua.status(name, &[handle]),
                Status::Misuse,
                "{name} {handle:x}"
            );
        }
        for name in [
            "em_handle_free",
            "em_handle_copy",
            "em_string_bytes",
            "em_object_metatable",
            "em_has_metatable",
            "em_metatable",
            "em_identity",
        ] {
            assert_eq!(lua.call(name, &[handle]), 0, "{name} {handle:x}");
        }
        for (name, count) in [("em_raw_set", 0), ("em_raw_entries", 1)] {
            assert_eq!(lua.status(name, &[handle, count]), Status::Misuse);
        }
        assert_eq!(lua.status("em_call", &[handle, 0, 1]), Status::Misuse);
        assert_eq!(lua.call("em_start", &[handle, 0]), 0);
    }
    let text = lua.call("em_string_new", &[64]);
    assert_eq!(lua.status("em_raw_get", &[text]), Status::Misuse);
    assert_eq!(lua.message(), "the handle is not a table's");
    for task in [0, 1, 77, u32::MAX] {
        assert_eq!(lua.run(task, 1), Status::Misuse);
        assert_eq!(lua.answer(task, Ok(&[])), Status::Misuse);
        lua.call("em_drop", &[task]);
    }
    for fuel in [f64::NAN, f64::INFINITY, 1e300, 0.0, -5.0] {
        lua.call_with("em_set_fuel", &[Val::F64(fuel.into())]);
        lua.call_with("em_set_memory_max", &[Val::F64(fuel.into())]);
    }
    lua.call_with("em_set_memory_max", &[Val::F64(0.0.into())]);
    for position in [f64::NAN, f64::INFINITY, -1e300, 9.3e18] {
        let args = [
            Val::I32(table as i32),
            Val::F64(position.into()),
            Val::I32(2),
        ];
        lua.with_slots("em_raw_get", &[Value::Int(1), Value::Int(2)], &[table]);
        lua.call_with("em_raw_append", &args);
    }
    assert_eq!(lua.call_with("em_stat", &[Val::I32(99)]), -1.0);
    // Calling what cannot be called is Lua's error, not a mistake.
    assert_eq!(lua.status("em_call", &[table, 0, 1]), Status::Error);
    assert_eq!(
        lua.eval("return 'still here'", &[]),
        [Value::text("still here")]
    );
}
