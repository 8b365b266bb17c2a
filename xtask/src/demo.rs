//! `cargo xtask demo`: the page, from a clean clone to an address on localhost. With `--terminal`, the programs of `examples/` instead.
//!
//! Three steps, each by its own tool: the module (`build_wasm.rs`), the package and the page (npm and their own build scripts), a server
//! (`page_server.rs`). Nothing is installed outside the repository but what `tools.rs` says.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::tools::{self, need};
use crate::workspace::{self, Profile, on_path, root, run};
use crate::{build_wasm, page_server};

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
    need(&tools::NODE)?;
    let npm = on_path("npm")
        .context("'npm' is not on PATH (it comes with Node, or as the package 'npm')")?;

    println!("\x1b[1m== the module\x1b[0m");
    if !build_wasm::build_wasm(&[])? {
        return Ok(false);
    }
    for package in ["packages/evermoon", "packages/playground"] {
        println!("\x1b[1m== {package}\x1b[0m");
        build_package(&npm, &root().join(package))?;
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

/// Installs what a package needs, and builds it.
pub fn build_package(npm: &Path, dir: &Path) -> Result<()> {
    install(npm, dir)?;
    run(Command::new(npm)
        .current_dir(dir)
        .args(["run", "--silent", "build"]))
    .with_context(|| {
        let node = need(&tools::NODE).map_or_else(|_| "none".to_owned(), |node| version(&node));
        format!(
            "{} needs Node 20.19 or newer; {node} is here",
            dir.display()
        )
    })
}

/// `npm ci`, unless what the lock file names is installed already.
fn install(npm: &Path, dir: &Path) -> Result<()> {
    let changed = |path: &str| {
        std::fs::metadata(dir.join(path))
            .and_then(|meta| meta.modified())
            .ok()
    };
    let lock = changed("package-lock.json");
    if lock.is_some() && changed("node_modules/.package-lock.json") > lock {
        return Ok(());
    }
    run(Command::new(npm).current_dir(dir).args([
        "ci",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]))
}

fn version(node: &Path) -> String {
    let asked = Command::new(node).arg("--version").output();
    asked.map_or_else(
        |_| "another".to_owned(),
        |out| String::from_utf8_lossy(&out.stdout).trim().to_owned(),
    )
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
