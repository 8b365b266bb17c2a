//! `cargo xtask demo`: builds the release binary and shows the programs of `examples/`.
//!
//! An example's first comment lines say what it shows; they are printed above what it prints.

use std::process::Command;

use anyhow::Result;

use crate::args::Args;
use crate::workspace::{self, Profile, run};

/// `cargo xtask demo [names] [--bin PATH]`.
pub fn demo(given: &[String]) -> Result<bool> {
    let args = Args::parse(given, &[], &["bin"])?;
    let lua = workspace::binary(args.option("bin"), Profile::Release)?;
    for path in workspace::files_in(&workspace::root().join("examples"), "lua")? {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if !args.wants(&name) {
            continue;
        }
        println!("\x1b[1m== examples/{name}\x1b[0m");
        let text = std::fs::read_to_string(&path)?;
        for line in text.lines().take_while(|line| line.starts_with("--")) {
            println!("\x1b[2m{line}\x1b[0m");
        }
        run(Command::new(&lua).arg(&path))?;
        println!();
    }
    println!("try: {} -i    or    cargo xtask bench", lua.display());
    Ok(true)
}
