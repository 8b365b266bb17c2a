//! `cargo xtask build-wasm`: `dist/evermoon.wasm`, and `dist/lua.wasm` for the original's hosts, from a clean checkout.
//!
//! Cargo builds the module (`wasm_toolchain.rs`), `wasm/optimize.mjs` makes it small with npm's `binaryen`, and this file checks what must
//! hold of it: no imports, and sizes below the limits.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::child::output_of;
use crate::limits::{MODULE_BROTLI_HELD, MODULE_BROTLI_MAX, MODULE_BYTES_HELD, MODULE_BYTES_MAX};
use crate::tally::Tally;
use crate::tools::{self, need};
use crate::wasm_toolchain;
use crate::workspace::{on_path, root, run, scratch};

/// The module that has limits.
const OURS: &str = "evermoon.wasm";

/// What is built: the file's name, the features, and how many imports it has.
const MODULES: [(&str, &[&str], u64); 2] = [(OURS, &[], 0), ("lua.wasm", &["legacy"], 3)];

/// `cargo xtask build-wasm`.
pub fn build_wasm(given: &[String]) -> Result<bool> {
    Args::parse(given, &[], &[])?;
    for (index, (name, ..)) in MODULES.iter().enumerate() {
        let module = build(index)?;
        let (raw, brotli) = sizes(&module)?;
        println!("{}: {raw} bytes, {brotli} by brotli", module.display());
        for complaint in complaints([(raw, MODULE_BYTES_MAX), (brotli, MODULE_BROTLI_MAX)]) {
            // Nobody waits for the original's module on a slow line.
            if *name == OURS {
                println!("  {complaint}");
            }
        }
    }
    Ok(true)
}

/// `cargo xtask test size`: the module is not larger than it has been.
pub fn size_check() -> Result<Tally> {
    let mut tally = Tally::new();
    let start = Instant::now();
    let (raw, brotli) = sizes(&build(0)?)?;
    println!("{OURS}: {raw} bytes, {brotli} by brotli");
    let complaints = complaints([(raw, MODULE_BYTES_HELD), (brotli, MODULE_BROTLI_HELD)]);
    let result = if complaints.is_empty() {
        Ok(())
    } else {
        Err(complaints.join("; "))
    };
    tally.record(&format!("the size of {OURS}"), start.elapsed(), result);
    Ok(tally)
}

/// What is too much: raw size and its limit, packed size and its limit.
fn complaints(sizes: [(u64, u64); 2]) -> Vec<String> {
    let mut all = Vec::new();
    for ((is, limit), what) in sizes.into_iter().zip(["", " by brotli"]) {
        if is > limit {
            all.push(format!(
                "{is} bytes{what} are more than the limit of {limit}"
            ));
        }
    }
    all
}

/// Builds one of `MODULES`, optimises it, and checks its imports.
fn build(index: usize) -> Result<PathBuf> {
    let (name, features, imports_expected) = MODULES[index];
    let out = root().join("dist");
    std::fs::create_dir_all(&out)?;
    let built = wasm_toolchain::build("evermoon-wasm", features)?;
    let module = out.join(name);
    optimize(&built, &module)?;
    let imports = imports(&std::fs::read(&module)?)?;
    if imports != imports_expected {
        bail!(
            "{} has {imports} imports; it must have {imports_expected}",
            module.display()
        );
    }
    Ok(module)
}

/// A module's bytes, raw and packed by brotli.
fn sizes(module: &Path) -> Result<(u64, u64)> {
    let node = need(&tools::NODE)?;
    let script = root().join("xtask/wasm/sizes.mjs");
    let args = [script.display().to_string(), module.display().to_string()];
    let printed = output_of(&node, &args.each_ref().map(String::as_str))?;
    let mut numbers = printed.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(raw)), Some(Ok(brotli))) => Ok((raw, brotli)),
        _ => bail!("sizes.mjs printed '{}'", printed.trim_end()),
    }
}

/// Runs the optimiser.
fn optimize(from: &Path, to: &Path) -> Result<()> {
    let node = need(&tools::NODE)?;
    let dir = tools_dir()?;
    run(Command::new(node)
        .current_dir(&dir)
        .arg(dir.join("optimize.mjs"))
        .arg(from)
        .arg(to))
}

/// `target/wasm-tools`, with the script and what it needs from npm.
fn tools_dir() -> Result<PathBuf> {
    let dir = scratch("wasm-tools")?;
    let source = root().join("xtask/wasm");
    for file in ["package.json", "optimize.mjs"] {
        std::fs::copy(source.join(file), dir.join(file))
            .with_context(|| format!("cannot copy {file}"))?;
    }
    if !dir.join("node_modules/binaryen").is_dir() {
        let npm = on_path("npm")
            .context("'npm' is not on PATH (install npm: it fetches the optimiser)")?;
        run(Command::new(npm).current_dir(&dir).args([
            "install",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ]))?;
    }
    Ok(dir)
}

/// How many imports a module has.
fn imports(bytes: &[u8]) -> Result<u64> {
    let mut at = 8;
    while at < bytes.len() {
        let id = bytes[at];
        at += 1;
        let size = leb(bytes, &mut at)?;
        if id == 2 {
            return leb(bytes, &mut at);
        }
        at += size as usize;
    }
    Ok(0)
}

fn leb(bytes: &[u8], at: &mut usize) -> Result<u64> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let byte = *bytes.get(*at).context("the module is cut short")?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    Ok(value)
}
