//! `cargo xtask build-wasm`: `dist/evermoon.wasm`, and `dist/lua.wasm` for the original's hosts, from a clean checkout.
//!
//! Cargo builds the module (`wasm_toolchain.rs`), `wasm/optimize.mjs` makes it small with npm's `binaryen`, and this file checks what must
//! hold of it: no imports, and sizes below the limits.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::tools::{self, need};
use crate::wasm_toolchain;
use crate::workspace::{on_path, root, run, scratch};

/// The module may not be larger, in bytes.
const BYTES_MAX: u64 = 450 << 10;

/// What is built: the file's name, the features, and how many imports it has.
const MODULES: [(&str, &[&str], u64); 2] =
    [("evermoon.wasm", &[], 0), ("lua.wasm", &["legacy"], 3)];

/// `cargo xtask build-wasm`.
pub fn build_wasm(given: &[String]) -> Result<bool> {
    Args::parse(given, &[], &[])?;
    let out = root().join("dist");
    std::fs::create_dir_all(&out)?;
    for (name, features, imports_expected) in MODULES {
        let built = wasm_toolchain::build("evermoon-wasm", features)?;
        let module = out.join(name);
        optimize(&built, &module)?;
        let bytes = std::fs::read(&module)?;
        let imports = imports(&bytes)?;
        if imports != imports_expected {
            bail!(
                "{} has {imports} imports; it must have {imports_expected}",
                module.display()
            );
        }
        println!("{}: {} bytes", module.display(), bytes.len());
        if bytes.len() as u64 > BYTES_MAX {
            println!("that is more than the limit of {BYTES_MAX}");
        }
    }
    Ok(true)
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
