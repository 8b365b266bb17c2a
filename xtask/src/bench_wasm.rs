//! `cargo xtask bench --wasm`: the npm package's module against the other Luas that JavaScript can run, beside native ones.
//!
//! This file builds what is measured and fetches what it is compared with (into `target/wasm-bench`); the scripts of `xtask/wasm/bench` measure and
//! print. They say what each number means.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::args::Args;
use crate::limits::{MODULE_MAX, SCRIPT_BYTES_MAX, Sizes};
use crate::tools::{self, need};
use crate::workspace::{self, Profile, files_in, on_path, root, scratch, shown};
use crate::{build_wasm, packages};

/// Rounds of the programs, when `--runs` does not say.
const ROUNDS: usize = 3;
/// The size of the large world, when no word says so.
const MEGABYTES: u64 = 100;

/// `cargo xtask bench --wasm [names] [--runs N] [--no-speed] [--no-build] [--fengari] [--chromium] [--module PATH]`: `--module` is another build of
/// ours to measure in the same run, `--no-build` takes the package as it is, `--fengari` takes its time, `--chromium` measures in a page.
pub fn bench(args: &Args, programs: &[PathBuf]) -> Result<bool> {
    let Some((node, dir, package)) = prepare(args)? else {
        return Ok(false);
    };
    let plan = plan(args, programs, &package)?;
    let script = if args.has("chromium") {
        "chromium.mjs"
    } else {
        "measure.mjs"
    };
    measure(Command::new(node).current_dir(&dir).arg(script).arg(plan))
}

/// `cargo xtask bench --worlds --chromium [MEGABYTES] [--no-build]`: what worlds cost in a page and in Node.
pub fn worlds(args: &Args) -> Result<bool> {
    let Some((node, dir, package)) = prepare(args)? else {
        return Ok(false);
    };
    let megabytes = match args.words.first() {
        Some(word) => word.parse().context("megabytes are a number")?,
        None => MEGABYTES,
    };
    let plan = format!(
        r#"{{"package": {}, "chromium": {}, "megabytes": {megabytes}}}"#,
        quoted(&package.display().to_string()),
        quoted(&tools::chromium()?.display().to_string()),
    );
    measure(
        Command::new(node)
            .current_dir(&dir)
            .arg("worlds.mjs")
            .arg(plan),
    )
}

fn measure(command: &mut Command) -> Result<bool> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    Ok(status.success())
}

/// Node, the directory with the scripts and what they need from npm, and the package, built; `None` when that could not be.
fn prepare(args: &Args) -> Result<Option<(PathBuf, PathBuf, PathBuf)>> {
    let node = need(&tools::NODE)?;
    let npm = on_path("npm").context("'npm' is not on PATH (it fetches the other engines)")?;
    let package = root().join("packages/evermoon");
    if !args.has("no-build") {
        if !build_wasm::build_wasm(&[])? {
            return Ok(None);
        }
        packages::install(packages::PACKAGE)?;
        packages::build(packages::PACKAGE)?;
    }
    let dir = scratch("wasm-bench")?;
    for script in files_in(&root().join("xtask/wasm/bench"), "mjs")? {
        copy_to(&dir, &script)?;
    }
    copy_to(&dir, &root().join("xtask/wasm/bench/package.json"))?;
    if !dir.join("node_modules/wasmoon").is_dir() {
        let install = ["install", "--no-audit", "--no-fund", "--loglevel=error"];
        workspace::run(Command::new(&npm).current_dir(&dir).args(install))?;
    }
    Ok(Some((node, dir, package)))
}

/// What the scripts are to do, as JSON.
fn plan(args: &Args, programs: &[PathBuf], package: &Path) -> Result<String> {
    let lua = need(&tools::LUA)?;
    let mut native = vec![pair("lua5.4", &lua)];
    if !args.has("chromium") && !args.has("no-speed") {
        let ours = workspace::binary(args.option("bin"), Profile::Release)?;
        native.push(pair("evermoon native", &ours));
    }
    let modules: Vec<String> = match args.option("module") {
        Some(path) => vec![quoted(
            &workspace::found(&format!("./{path}"))?
                .display()
                .to_string(),
        )],
        None => Vec::new(),
    };
    let bench: Vec<String> = programs
        .iter()
        .map(|p| quoted(&p.display().to_string()))
        .collect();
    let chromium = match args.has("chromium") {
        true => quoted(&tools::chromium()?.display().to_string()),
        false => "null".to_owned(),
    };
    let Sizes { raw, brotli } = MODULE_MAX;
    Ok(format!(
        r#"{{"package": {}, "chromium": {chromium}, "bench": [{}], "rounds": {}, "fengari": {}, "speed": {}, "border": {}, "modules": [{}], "native": [{}],
            "limits": {{"raw": {raw}, "brotli": {brotli}, "script": {SCRIPT_BYTES_MAX}}}}}"#,
        quoted(&package.display().to_string()),
        bench.join(", "),
        args.number("runs", ROUNDS)?.max(1),
        args.has("fengari"),
        !args.has("no-speed"),
        args.words.is_empty(),
        modules.join(", "),
        native.join(", "),
    ))
}

fn pair(name: &str, path: &Path) -> String {
    format!(
        "[{}, {}]",
        quoted(name),
        quoted(&path.display().to_string())
    )
}

/// A JSON string. Debug's escapes are JSON's for the paths that people have.
fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn copy_to(dir: &Path, file: &Path) -> Result<()> {
    let name = file.file_name().context("a file has a name")?;
    std::fs::copy(file, dir.join(name))
        .with_context(|| format!("cannot copy {}", file.display()))?;
    Ok(())
}
