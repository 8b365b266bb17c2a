//! The npm packages as other verbs need them: what they depend on installed, built, tested; and their command in Node.
//!
//! `npm ci` leaves exactly what `package-lock.json` names. Nothing is installed outside the repository but what `tools.rs` says.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::tools::{self, need};
use crate::workspace::{on_path, root, run};

/// The package itself.
pub const PACKAGE: &str = "packages/evermoon";
/// The page, which uses it.
pub const PAGE: &str = "packages/playground";

/// `npm`, in a package's directory.
pub fn npm(package: &str) -> Result<Command> {
    need(&tools::NODE)?;
    let npm = on_path("npm")
        .context("'npm' is not on PATH (it comes with Node, or as the package 'npm')")?;
    let mut command = Command::new(npm);
    command.current_dir(root().join(package));
    Ok(command)
}

/// `npm ci`, unless what the lock file names is installed already.
pub fn install(package: &str) -> Result<()> {
    let dir = root().join(package);
    let changed = |path: &str| {
        std::fs::metadata(dir.join(path))
            .and_then(|meta| meta.modified())
            .ok()
    };
    let lock = changed("package-lock.json");
    if lock.is_some() && changed("node_modules/.package-lock.json") > lock {
        return Ok(());
    }
    run(npm(package)?.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]))
}

/// `npm run build`.
pub fn build(package: &str) -> Result<()> {
    run(npm(package)?.args(["run", "--silent", "build"])).with_context(|| {
        format!(
            "{package} needs Node 20.19 or newer; {} is here",
            node_version()
        )
    })
}

/// TypeScript's compiler in its strictest settings (each package's `tsconfig.json`), for a package that is installed.
pub fn type_check(package: &str) -> Result<Command> {
    let dir = root().join(package);
    let mut command = Command::new(need(&tools::NODE)?);
    command.current_dir(&dir);
    command.args(["node_modules/typescript/bin/tsc", "-p", ".", "--noEmit"]);
    Ok(command)
}

/// The package's command: a `lua` in Node, through the module. The package must have been built.
pub fn command() -> Result<Vec<PathBuf>> {
    let script = root().join(PACKAGE).join("dist/cli.js");
    if !script.is_file() {
        bail!(
            "{} is not there: run 'cargo xtask build-wasm', then 'npm ci && npm run build' in {PACKAGE}",
            script.display()
        );
    }
    Ok(vec![need(&tools::NODE)?, script])
}

fn node_version() -> String {
    let asked = Command::new(Path::new("node")).arg("--version").output();
    asked.map_or_else(
        |_| "another".to_owned(),
        |out| String::from_utf8_lossy(&out.stdout).trim().to_owned(),
    )
}
