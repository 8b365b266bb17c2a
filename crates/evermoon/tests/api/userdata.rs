//! Objects of the host's.

use evermoon::{AnyUserData, Error, Lua, UserData, UserDataFields, UserDataMethods, Value};
use std::cell::Cell;
use std::rc::Rc;

#[derive(Clone, Copy, PartialEq, Debug)]
struct Point {
    x: f64,
    y: f64,
}

impl UserData for Point {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field("dimensions", 2);
        fields.add_field_method_get("x", |_, this| Ok(this.x));
        fields.add_field_method_set("x", |_, this, x: f64| {
            this.x = x;
            Ok(())
        });
        fields.add_field_method_get("y", |_, this| Ok(this.y));
    }
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("length", |_, this, ()| Ok(this.x.hypot(this.y)));
        methods.add_method_mut("scale", |_, this, by: f64| {
            this.x *= by;
            this.y *= by;
            Ok(())
        });
        methods.add_function("new", |_, (x, y)| Ok(Point { x, y }));
        methods.add_meta_function("__add", |_, (a, b): (AnyUserData, AnyUserData)| {
            let (a, b) = (a.borrow::<Point>()?, b.borrow::<Point>()?);
            Ok(Point {
                x: a.x + b.x,
                y: a.y + b.y,
            })
        });
        methods.add_meta_method("__tostring", |_, this, ()| {
            Ok(format!("({}, {})", this.x, this.y))
        });
        methods.add_meta_method("__index", |_, _, key: String| Ok(format!("no {key}")));
    }
}

#[test]
fn methods_fields_and_metamethods() {
    let lua = Lua::new();
    lua.globals().set("p", Point { x: 3.0, y: 4.0 }).unwrap();
    let text: String = lua
        .load("local q = p.new(1, 1) p:scale(2) q.x = q.x + 1 return tostring(p + q) .. p:length() .. p.dimensions .. p.z")
        .eval()
        .unwrap();
    assert_eq!(text, "(8, 9)10.02no z");
    let object: AnyUserData = lua.globals().get("p").unwrap();
    assert_eq!(*object.borrow::<Point>().unwrap(), Point { x: 6.0, y: 8.0 });
    object.borrow_mut::<Point>().unwrap().x = 0.0;
    assert_eq!(object.get::<f64>("x").unwrap(), 0.0);
    assert!(object.is::<Point>() && !object.is::<String>());
    let message: String = lua
        .load("select(2, pcall(function() p.y = 1 end))")
        .eval()
        .unwrap();
    assert!(
        message.ends_with("cannot set read-only field 'y' of Point"),
        "{message}"
    );
    let message: String = lua
        .load("select(2, pcall(function() p:scale('x') end))")
        .set_name("=m")
        .eval()
        .unwrap();
    assert_eq!(
        message,
        "m:1: bad argument #1 to 'scale' (number expected, got string)"
    );
    let message: String = lua
        .load("select(2, pcall(function() p.scale({}, 2) end))")
        .set_name("=m")
        .eval()
        .unwrap();
    assert_eq!(
        message,
        "m:1: bad argument #1 to 'scale' (userdata expected, got table)"
    );
}

#[test]
fn borrows_are_checked() {
    let lua = Lua::new();
    let object = lua.create_userdata(Point { x: 1.0, y: 2.0 }).unwrap();
    lua.globals().set("p", &object).unwrap();
    let held = object.borrow_mut::<Point>().unwrap();
    let error = lua.load("p:length()").exec().unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    drop(held);
    assert_eq!(object.take::<Point>().unwrap().y, 2.0);
    assert!(matches!(
        object.borrow::<Point>(),
        Err(Error::UserDataType { .. })
    ));
    assert!(lua.load("p:length()").exec().is_err());
}

#[test]
fn objects_are_dropped_when_lua_drops_them_and_may_use_the_engine() {
    struct Dropped(Rc<Cell<u32>>, Lua);
    impl Drop for Dropped {
        fn drop(&mut self) {
            // The engine is usable here, and is not in the middle of anything.
            self.1.load("drops = (drops or 0) + 1").exec().unwrap();
            self.0.set(self.0.get() + 1);
        }
    }
    let count = Rc::new(Cell::new(0));
    let lua = Lua::new();
    for _ in 0..10 {
        let object = lua
            .create_opaque_userdata(Dropped(count.clone(), lua.clone()))
            .unwrap();
        lua.globals().set("object", object).unwrap();
    }
    lua.load("object = nil collectgarbage() collectgarbage()")
        .exec()
        .unwrap();
    lua.gc_collect().unwrap();
    assert_eq!(count.get(), 10);
    assert_eq!(
        lua.globals().get::<Value>("drops").unwrap(),
        Value::Integer(10)
    );
}

#[test]
fn the_metatable_is_out_of_reach() {
    let lua = Lua::new();
    lua.globals().set("p", Point { x: 1.0, y: 2.0 }).unwrap();
    assert_eq!(
        lua.load("getmetatable(p)").eval::<Value>().unwrap(),
        Value::Boolean(false)
    );
}
