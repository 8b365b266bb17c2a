//! The stores of the npm package in a hostile world, at length: what its tests do in short.

use anyhow::Result;

use crate::args::Args;
use crate::{build_wasm, packages, tools, workspace};

/// `cargo xtask faults browser [--kills N] [--seed S]`: the stores of the npm package at length: every request of IndexedDB failing, Chromium killed, tabs that
/// race 10,000 times, files cut and flipped.
pub fn run(args: &Args) -> Result<bool> {
    if !build_wasm::build_wasm(&[])? {
        return Ok(false);
    }
    packages::install(packages::PACKAGE)?;
    packages::build(packages::PACKAGE)?;
    let mut tests = packages::npm(packages::PACKAGE)?;
    tests.args(["run", "test:stores"]);
    tests.env("CHROMIUM", tools::chromium()?);
    tests.env("EVERMOON_LONG", "1");
    tests.env("EVERMOON_KILLS", args.option("kills").unwrap_or("300"));
    if let Some(seed) = args.option("seed") {
        tests.env("SEED", seed);
    }
    workspace::run(&mut tests)?;
    Ok(true)
}
