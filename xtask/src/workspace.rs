//! Where things are, and how the `evermoon` binary comes to be: every other verb asks here.
//!
//! Nothing outside the repository is written to; what a verb fetches or makes goes below `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Which of Cargo's profiles a binary is built in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// Quick to build, with debug assertions: what tests use.
    Dev,
    /// What users get: what is measured and shown.
    Release,
}

/// The repository's root directory.
pub fn root() -> PathBuf {
    // Cargo sets this to xtask's own directory, also when `cargo xtask` is typed in a subdirectory.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let xtask = manifest.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    xtask.parent().map(Path::to_path_buf).unwrap_or(xtask)
}

/// Cargo's target directory, by default `target/` in the root.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// `target/<name>`, made if it is not there.
pub fn scratch(name: &str) -> Result<PathBuf> {
    let dir = target().join(name);
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

/// A `cargo` command in the root.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// The binary that a verb tests or measures: the one given with `--bin`, else `evermoon`, built now.
pub fn binary(given: Option<&str>, profile: Profile) -> Result<PathBuf> {
    match given {
        Some(given) => found(given),
        None => build(profile, None),
    }
}

/// Builds `evermoon`. With features of the engine it goes to a target directory of their own, so that the usual build
/// is not thrown away.
pub fn build(profile: Profile, features: Option<&str>) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--package", "evermoon-cli"]);
    if profile == Profile::Release {
        build.arg("--release");
    }
    let mut out = target();
    if let Some(features) = features {
        out = scratch(&features.replace(',', "-"))?;
        let of_the_engine: Vec<String> = features
            .split(',')
            .map(|f| format!("evermoon/{f}"))
            .collect();
        build
            .arg("--features")
            .arg(of_the_engine.join(","))
            .arg("--target-dir")
            .arg(&out);
    }
    run(&mut build)?;
    let folder = if profile == Profile::Release {
        "release"
    } else {
        "debug"
    };
    let path = out
        .join(folder)
        .join(format!("evermoon{}", std::env::consts::EXE_SUFFIX));
    if !path.is_file() {
        bail!(
            "cargo built evermoon-cli, but {} is not there",
            path.display()
        );
    }
    Ok(path)
}

/// `dist/evermoon-world.wasm`, which `cargo xtask build-wasm` makes.
pub fn world_module() -> Result<PathBuf> {
    let path = root().join("dist/evermoon-world.wasm");
    if !path.is_file() {
        bail!(
            "{} is not there: run 'cargo xtask build-wasm'",
            path.display()
        );
    }
    Ok(path)
}

/// Builds an example of a package, as tests use it.
pub fn build_example(package: &str, name: &str) -> Result<PathBuf> {
    run(cargo().args(["build", "--quiet", "--package", package, "--example", name]))?;
    Ok(target()
        .join("debug/examples")
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
}

/// A program by path or by its name on `PATH`, as an absolute path (children run in other directories).
pub fn found(program: &str) -> Result<PathBuf> {
    if program.contains('/') {
        let path = std::env::current_dir()?.join(program);
        return path
            .canonicalize()
            .with_context(|| format!("no program at {program}"));
    }
    on_path(program).with_context(|| format!("'{program}' is not on PATH"))
}

/// Where `PATH` finds a program.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

/// Runs a command with our own output, and fails when it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", shown(command));
    }
    Ok(())
}

/// A command as one would type it, for messages.
pub fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        text.push(' ');
        text.push_str(&arg.to_string_lossy());
    }
    text
}

/// The files of a directory with this extension, in name order.
pub fn files_in(dir: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_file() && path.extension().is_some_and(|e| e == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
