//! `cargo xtask demo`: the page, from a clean clone to an address on localhost. With `--terminal`, the programs of `examples/` instead.
//!
//! Three steps, each by its own tool: the module (`build_wasm.rs`), the package and the page (npm and their own build scripts), a server
//! (`page_server.rs`). Nothing is installed outside the repository but what `tools.rs` says.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::workspace::{self, Profile, root, run};
use crate::{build_wasm, packages, page_server};

/// The first port that is tried.
const PORT: u16 = 4173;

/// `cargo xtask demo [--port N] [--build-only]`, `cargo xtask demo --terminal [names] [--bin PATH]`.
pub fn demo(given: &[String]) -> Result<bool> {
    let args = Args::parse(given, &["terminal", "build-only"], &["bin", "port"])?;
    if args.has("terminal") || !args.words.is_empty() {
        return in_terminal(&args);
    }
    let port = match args.option("port") {
        Some(text) => text
            .parse()
            .with_context(|| format!("--port {text}: a port is a number up to 65535"))?,
        None => PORT,
    };
    println!("\x1b[1m== the module\x1b[0m");
    if !build_wasm::build_wasm(&[])? {
        return Ok(false);
    }
    for package in [packages::PACKAGE, packages::PAGE] {
        println!("\x1b[1m== {package}\x1b[0m");
        packages::install(package)?;
        packages::build(package)?;
    }
    let site = root().join("packages/playground/dist");
    if !site.join("index.html").is_file() {
        bail!(
            "the page was built, but {} has no index.html",
            site.display()
        );
    }
    if args.has("build-only") {
        println!("{}", site.display());
        return Ok(true);
    }
    page_server::serve(&site, port)?;
    Ok(true)
}

/// Shows the programs of `examples/`: the first comment lines of each, which say what it shows, then what it prints.
fn in_terminal(args: &Args) -> Result<bool> {
    let lua = workspace::binary(args.option("bin"), Profile::Release)?;
    for path in workspace::files_in(&root().join("examples"), "lua")? {
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
