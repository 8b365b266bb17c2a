//! The smallest host: runs the Lua program in a file. `cargo xtask bench --worlds` builds it with and without the feature `worlds`, to measure what
//! that costs a program without one.

use evermoon::{Host, Lua};
use std::error::Error;
use std::io::Write;

/// Output goes to the standard output; there is nothing else.
struct Printer;

impl Host for Printer {
    fn print(&mut self, bytes: &[u8]) {
        // A closed pipe is no reason to complain.
        let _ = std::io::stdout().write_all(bytes);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: run_file FILE")?;
    let lua = Lua::builder().host(Printer).build()?;
    lua.load(std::fs::read(&path)?)
        .set_name(format!("@{path}"))
        .exec()?;
    Ok(())
}
