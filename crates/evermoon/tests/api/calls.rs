//! Host functions: conversions, re-entry, callbacks from everywhere.

use evermoon::{Error, Function, Lua, MultiValue, Table, Value, Variadic};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

#[test]
fn values_cross_in_both_directions() {
    let lua = Lua::new();
    let echo = lua.create_function(|_, args: MultiValue| Ok(args)).unwrap();
    let (a, b, c, rest): (Option<i64>, f32, String, Variadic<bool>) =
        echo.call((None::<i64>, 1.5, "text", true, false)).unwrap();
    assert_eq!(
        (a, b, c.as_str(), rest.0),
        (None, 1.5, "text", vec![true, false])
    );
    let list: Vec<u8> = echo.call(vec![1, 2, 3]).unwrap();
    assert_eq!(list, [1, 2, 3]);
    let map: BTreeMap<String, i64> = echo.call(HashMap::from([("a", 1), ("b", 2)])).unwrap();
    assert_eq!(map, BTreeMap::from([("a".into(), 1), ("b".into(), 2)]));
    let triple: [i64; 3] = echo.call([7, 8, 9]).unwrap();
    assert_eq!(triple, [7, 8, 9]);
    assert!(echo.call::<u8>(256).is_err());
    assert!(echo.call::<i64>(1.5).is_err());
    assert_eq!(echo.call::<i64>("0x10").unwrap(), 16);
    assert_eq!(echo.call::<String>(12).unwrap(), "12");
    assert_eq!(echo.call::<Value>(2.0).unwrap(), Value::Integer(2));
    assert!(u64::MAX.into_lua_is_refused(&lua));
}

trait Refused {
    fn into_lua_is_refused(self, lua: &Lua) -> bool;
}
impl Refused for u64 {
    fn into_lua_is_refused(self, lua: &Lua) -> bool {
        matches!(lua.pack(self), Err(Error::IntoLua { .. }))
    }
}

#[test]
fn host_functions_call_lua_that_calls_host_functions() {
    let lua = Lua::new();
    let apply = lua
        .create_function(|_, (f, n): (Function, i64)| f.call::<i64>(n))
        .unwrap();
    lua.globals().set("apply", apply).unwrap();
    let n: i64 = lua
        .load("apply(function(n) return apply(function(m) return m * 2 end, n) + 1 end, 20)")
        .eval()
        .unwrap();
    assert_eq!(n, 41);
}

#[test]
fn host_functions_work_where_the_library_calls_back() {
    let lua = Lua::new();
    let less = lua
        .create_function(|_, (a, b): (i64, i64)| Ok(a < b))
        .unwrap();
    let index = lua
        .create_function(|_, (_, key): (Table, String)| Ok(format!("<{key}>")))
        .unwrap();
    lua.globals().set("less", less).unwrap();
    lua.globals().set("index", index).unwrap();
    let text: String = lua
        .load(
            r#"
            local list = { 5, 2, 8, 1 }
            table.sort(list, less)
            local auto = setmetatable({}, { __index = index, __close = index, __add = function(a, b) return index(a, tostring(b)) end })
            local out = table.concat(list, ",") .. auto.name .. (auto + 1)
            out = out .. string.gsub("ab", ".", function(c) return index(auto, c) end)
            for word in coroutine.wrap(function() coroutine.yield(index(auto, "co")) end) do out = out .. word end
            do local x <close> = setmetatable({}, { __close = function() out = out .. index(auto, "close") end }) end
            return out
            "#,
        )
        .eval()
        .unwrap();
    assert_eq!(text, "1,2,5,8<name><1><a><b><co><close>");
}

#[test]
fn recursion_through_the_host_has_a_limit() {
    let lua = Lua::new();
    lua.load("function again() return bounce(again) end")
        .exec()
        .unwrap();
    let bounce = lua
        .create_function(|_, f: Function| f.call::<Value>(()))
        .unwrap();
    lua.globals().set("bounce", bounce).unwrap();
    let error = lua.load("again()").exec().unwrap_err();
    assert!(error.to_string().contains("C stack overflow"), "{error}");
    assert_eq!(lua.load("1 + 1").eval::<i64>().unwrap(), 2);
}

#[test]
fn mutable_functions_refuse_to_be_entered_twice() {
    let lua = Lua::new();
    let mut calls = 0;
    let count = lua.create_function_mut(move |_, f: Option<Function>| {
        calls += 1;
        if let Some(f) = f {
            f.call::<()>(())?;
        }
        Ok(calls)
    });
    lua.globals().set("count", count.unwrap()).unwrap();
    assert_eq!(lua.load("count() + count()").eval::<i64>().unwrap(), 3);
    let error = lua.load("count(count)").exec().unwrap_err();
    assert!(
        error.to_string().contains("called while it was running"),
        "{error}"
    );
}

#[test]
fn a_dropped_function_drops_its_closure() {
    struct Witness(Rc<Cell<u32>>);
    impl Drop for Witness {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let dropped = Rc::new(Cell::new(0));
    let lua = Lua::new();
    let witness = Witness(dropped.clone());
    let f = lua
        .create_function(move |_, ()| Ok(witness.0.get()))
        .unwrap();
    lua.globals().set("f", f).unwrap();
    lua.gc_collect().unwrap();
    assert_eq!(dropped.get(), 0);
    lua.load("f() f = nil").exec().unwrap();
    lua.gc_collect().unwrap();
    lua.gc_collect().unwrap();
    assert_eq!(dropped.get(), 1);
}

#[test]
fn chunks_have_names_modes_environments_and_binary_forms() {
    let lua = Lua::new();
    let environment = lua.create_table_from([("x", 20)]).unwrap();
    let chunk = lua
        .load("y = x + 1 return y")
        .set_environment(environment.clone());
    assert_eq!(chunk.eval::<i64>().unwrap(), 21);
    assert_eq!(environment.get::<i64>("y").unwrap(), 21);
    let f = lua.load("return ... , 7").into_function().unwrap();
    let binary = f.dump(true).unwrap();
    let (a, b): (String, i64) = lua.load(&binary).call("arg").unwrap();
    assert_eq!((a.as_str(), b), ("arg", 7));
    assert!(
        lua.load(&binary)
            .set_mode(evermoon::ChunkMode::Text)
            .into_function()
            .is_err()
    );
    assert!(lua.load(&binary[..binary.len() - 3]).exec().is_err());
    assert!(lua.load("f(").exec().unwrap_err().is_incomplete());
    assert!(!lua.load("f)").exec().unwrap_err().is_incomplete());
}
