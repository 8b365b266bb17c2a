//! A guided tour: values, functions, objects, errors, coroutines. Run it with `cargo run --example tour`.

use evermoon::{
    AnyUserData, Error, Function, Lua, Result, Table, Thread, UserData, UserDataMethods, Variadic,
};

/// A Rust type that Lua code can use.
struct Account {
    owner: String,
    balance: i64,
}

impl UserData for Account {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("balance", |_, this, ()| Ok(this.balance));
        methods.add_method_mut("deposit", |_, this, amount: i64| {
            if amount <= 0 {
                return Err(Error::runtime("a deposit must be positive"));
            }
            this.balance += amount;
            Ok(this.balance)
        });
        methods.add_meta_method("__tostring", |_, this, ()| {
            Ok(format!("{}: {}", this.owner, this.balance))
        });
    }
}

fn main() -> Result<()> {
    let lua = Lua::new();

    // 1. Run code. Expressions need no `return`; results convert to Rust types.
    let sum: i64 = lua.load("2 + 3 * 4").eval()?;
    println!("1. {sum}");

    // 2. Globals and tables. Tables are handles: both sides see the same one.
    let config: Table = lua.load("{ name = 'demo', sizes = { 1, 2, 3 } }").eval()?;
    config.set("debug", true)?;
    lua.globals().set("config", &config)?;
    lua.load("config.sizes[#config.sizes + 1] = 4").exec()?;
    let sizes: Vec<i64> = config.get("sizes")?;
    println!("2. {} {sizes:?}", config.get::<String>("name")?);

    // 3. Rust functions for Lua, and Lua functions for Rust.
    let max = lua.create_function(|_, numbers: Variadic<f64>| {
        Ok(numbers.iter().copied().fold(f64::MIN, f64::max))
    })?;
    lua.globals().set("max", max)?;
    let shout: Function = lua
        .load("function(text, n) return text:upper() .. ('!'):rep(n or 1), max(1, 2.5, 2) end")
        .eval()?;
    let (text, most): (String, f64) = shout.call(("hello", 3))?;
    println!("3. {text} {most}");

    // 4. Objects.
    lua.globals().set(
        "account",
        Account {
            owner: "Ada".into(),
            balance: 10,
        },
    )?;
    println!(
        "4. {}",
        lua.load("account:deposit(32) return tostring(account)")
            .eval::<String>()?
    );
    let account: AnyUserData = lua.globals().get("account")?;
    account.borrow_mut::<Account>()?.balance = 0;

    // 5. Errors have a message, a traceback and the value that was raised.
    let error = lua
        .load("local function pay() account:deposit(-1) end\npay()")
        .set_name("@shop.lua")
        .exec()
        .unwrap_err();
    println!("5. {error:#}");

    // 6. A host's own error comes back as itself, through any amount of Lua.
    let read =
        lua.create_function(|_, path: String| std::fs::read_to_string(path).map_err(Error::host))?;
    lua.globals().set("read", read)?;
    let error = lua
        .load("local ok, e = pcall(read, '/no/such/file') error(e)")
        .exec()
        .unwrap_err();
    println!(
        "6. {:?}",
        error.downcast_ref::<std::io::Error>().map(|e| e.kind())
    );

    // 7. Coroutines.
    let counter: Function = lua
        .load("function(n) for i = 1, n do coroutine.yield(i) end return 'end' end")
        .eval()?;
    let thread: Thread = lua.create_thread(&counter)?;
    println!(
        "7. {} {} {}",
        thread.resume::<i64>(2)?,
        thread.resume::<i64>(())?,
        thread.resume::<String>(())?
    );

    // 8. What it cost: the same everywhere, each time.
    println!(
        "8. {} units of fuel, {} bytes",
        lua.fuel_used(),
        lua.used_memory()
    );
    Ok(())
}
