//! A sandbox: untrusted code gets few libraries, a budget of fuel and a share of memory, and cannot get around them.

use evermoon::{Error, Lua, Result, StdLib};

const SCRIPTS: [(&str, &str); 7] = [
    (
        "a good one",
        "local s = 0 for i = 1, 1000 do s = s + i end return s",
    ),
    ("an endless loop", "while true do end"),
    (
        "one that catches errors",
        "while true do pcall(function() while true do end end) end",
    ),
    (
        "a hungry one",
        "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) end",
    ),
    (
        "a pattern without end",
        "return (('a'):rep(30000)):find('.-.-.-.-b')",
    ),
    (
        "one that looks around",
        "return os and os.getenv('HOME') or io and io.open('/etc/passwd') or 'nothing to see'",
    ),
    (
        "a deep one",
        "local function f() return 1 + f() end return f()",
    ),
];

fn main() -> Result<()> {
    for (what, source) in SCRIPTS {
        // A fresh engine takes microseconds: one for each script leaves nothing behind.
        let lua = Lua::builder()
            .libraries(StdLib::STRING | StdLib::TABLE | StdLib::MATH)
            .memory(8 << 20)
            .fuel(2_000_000)
            .call_depth(10_000)
            .build()?;
        match lua.load(source).set_name("=script").eval::<String>() {
            Ok(result) => println!("{what}: {result}"),
            Err(error @ (Error::Fuel { .. } | Error::Memory { .. })) => {
                println!("{what}: stopped, {error}")
            }
            Err(error) => println!("{what}: failed, {error}"),
        }
    }
    Ok(())
}
