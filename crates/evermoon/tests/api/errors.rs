//! Errors that cross: Lua's to the host, the host's through Lua, panics, limits.

use evermoon::{Error, Function, Lua, StdLib, Table, Value};

#[derive(Debug, PartialEq)]
struct Mine(u32);
impl std::fmt::Display for Mine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "my error {}", self.0)
    }
}
impl std::error::Error for Mine {}

fn failing(lua: &Lua) {
    let f = lua
        .create_function(|_, n: u32| Err::<(), _>(Error::host(Mine(n))))
        .unwrap();
    lua.globals().set("fail", f).unwrap();
}

#[test]
fn a_host_error_comes_back_as_itself() {
    let lua = Lua::new();
    failing(&lua);
    let error = lua.load("fail(7)").set_name("@m.lua").exec().unwrap_err();
    assert_eq!(error.downcast_ref::<Mine>(), Some(&Mine(7)));
    assert_eq!(error.to_string(), "my error 7");
    assert!(
        error
            .traceback()
            .unwrap()
            .contains("m.lua:1: in main chunk"),
        "{error:#}"
    );
    // Also when Lua catches it, looks at it, and raises it again.
    let error = lua
        .load("local ok, e = pcall(fail, 8) assert(not ok and tostring(e) == 'my error 8' and type(e) == 'userdata') error(e)")
        .exec()
        .unwrap_err();
    assert_eq!(error.downcast_ref::<Mine>(), Some(&Mine(8)));
    // And as a value.
    let value: Value = lua.load("select(2, pcall(fail, 9))").eval().unwrap();
    let Value::Error(error) = value else {
        panic!("{value:?}")
    };
    assert_eq!(error.downcast_ref::<Mine>(), Some(&Mine(9)));
}

#[test]
fn a_lua_error_keeps_its_value_through_the_host() {
    let lua = Lua::new();
    let call = lua
        .create_function(|_, f: Function| f.call::<Value>(()))
        .unwrap();
    lua.globals().set("call", call).unwrap();
    let same: bool = lua
        .load("local e = {} local ok, got = pcall(call, function() error(e) end) return not ok and got == e")
        .eval()
        .unwrap();
    assert!(same);
    let error = lua.load("error({ code = 5 })").exec().unwrap_err();
    assert_eq!(error.to_string(), "(error object is a table value)");
    let value: Table = error.value(&lua).unwrap().try_into().unwrap();
    assert_eq!(value.get::<i64>("code").unwrap(), 5);
    let error = lua
        .load("error(setmetatable({}, { __tostring = function() return 'explained' end }))")
        .exec()
        .unwrap_err();
    assert_eq!(error.to_string(), "explained");
    assert_eq!(
        lua.load("error()").exec().unwrap_err().to_string(),
        "(error object is a nil value)"
    );
}

#[test]
fn arguments_are_named_by_position() {
    let lua = Lua::new();
    let f = lua
        .create_function(|_, (_, n): (String, i64)| Ok(n))
        .unwrap();
    lua.globals().set("f", f).unwrap();
    let error = lua.load("f('x', {})").set_name("=main").exec().unwrap_err();
    assert_eq!(
        error.to_string(),
        "main:1: bad argument #2 to 'f' (number expected, got table)"
    );
    let error = lua.load("f()").set_name("=main").exec().unwrap_err();
    assert_eq!(
        error.to_string(),
        "main:1: bad argument #1 to 'f' (string expected, got nil)"
    );
}

#[test]
fn a_panic_becomes_a_lua_error() {
    let lua = Lua::new();
    let f = lua.create_function(|_, n: usize| Ok([1, 2, 3][n])).unwrap();
    lua.globals().set("pick", f).unwrap();
    let (ok, message): (bool, String) = lua.load("pcall(pick, 9)").eval().unwrap();
    assert!(
        !ok && message.contains("panic in host function"),
        "{message}"
    );
    assert_eq!(lua.load("pick(1)").eval::<i64>().unwrap(), 2);
}

#[test]
fn fuel_ends_what_pcall_would_not_let_go() {
    let lua = Lua::builder().fuel(50_000).build().unwrap();
    let error = lua
        .load("while true do pcall(function() while true do end end) end")
        .exec()
        .unwrap_err();
    assert_eq!(error.code(), "fuel");
    assert_eq!(lua.fuel(), Some(0));
    lua.set_fuel(None);
    assert_eq!(
        lua.load("local s = 0 for i = 1, 100 do s = s + i end return s")
            .eval::<i64>()
            .unwrap(),
        5050
    );
    // In the middle of coroutines, metamethods and to-be-closed variables.
    lua.set_fuel(Some(20_000));
    let source = "
        local t = setmetatable({}, { __index = function() while true do end end })
        local c <close> = setmetatable({}, { __close = function() closed = true end })
        coroutine.wrap(function() coroutine.wrap(function() local up = 1 f = function() up = up + 1 return up end return t.x end)() end)()";
    assert_eq!(lua.load(source).exec().unwrap_err().code(), "fuel");
    lua.set_fuel(None);
    assert_eq!(lua.load("f() return f()").eval::<i64>().unwrap(), 3);
    lua.gc_collect().unwrap();
}

#[test]
fn the_same_work_uses_the_same_fuel() {
    let used = || {
        let lua = Lua::new();
        lua.load("local t = {} for i = 1, 1000 do t[i] = tostring(i) end table.sort(t)")
            .exec()
            .unwrap();
        lua.fuel_used()
    };
    assert_eq!(used(), used());
}

#[test]
fn memory_is_limited_and_the_engine_survives() {
    let lua = Lua::builder().memory(3 << 20).build().unwrap();
    let error = lua
        .load("local t = {} for i = 1, 1e8 do t[i] = { i } end")
        .exec()
        .unwrap_err();
    assert_eq!(error.code(), "memory");
    let caught: String = lua
        .load("select(2, pcall(string.rep, 'x', 1 << 24))")
        .eval()
        .unwrap();
    assert_eq!(caught, "not enough memory");
    for _ in 0..100 {
        let big = "y".repeat(1 << 20);
        lua.globals().set("big", big).unwrap();
    }
    assert!(lua.globals().set("big", "z".repeat(4 << 20)).is_err());
    assert!(lua.used_memory() < 3 << 20);
}

#[test]
fn interrupts_stop_a_program() {
    let lua = Lua::new();
    let interrupter = lua.interrupter();
    let thread = std::thread::spawn(move || interrupter.interrupt());
    thread.join().unwrap();
    let error = lua.load("while true do end").exec().unwrap_err();
    assert!(error.to_string().ends_with("interrupted!"), "{error}");
}

#[test]
fn a_sandbox_has_what_it_was_given() {
    let lua = Lua::builder()
        .libraries(StdLib::STRING | StdLib::TABLE)
        .build()
        .unwrap();
    let names: Vec<String> = [
        "string",
        "table",
        "math",
        "os",
        "io",
        "debug",
        "package",
        "require",
        "coroutine",
        "utf8",
    ]
    .iter()
    .filter(|name| lua.globals().contains_key(**name).unwrap())
    .map(|name| name.to_string())
    .collect();
    assert_eq!(names, ["string", "table"]);
}
