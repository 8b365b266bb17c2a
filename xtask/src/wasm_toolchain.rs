//! A Rust toolchain that can build for `wasm32-unknown-unknown`, and the one function that uses it.
//!
//! Two ways, tried in order:
//! 1. rustup's own: `rustup target add` fetches the target's standard library, and `rustup component add rust-src` its source, from which a smaller
//!    one is built. Without the source the fetched one is used as it is.
//! 2. Debian's `rustc-web` and `cargo-web` (a newer compiler than the distribution's own), which build the standard
//!    library from `rust-web-src`, linked with the `rust-lld` of rustup's toolchain. For machines whose network has
//!    package registries but not static.rust-lang.org.
//!
//! Both build into `target/wasm`, because the two compilers would otherwise throw away each other's work and that of
//! the native builds.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::tools;
use crate::workspace::{self, cargo, on_path, run, scratch};

const TARGET: &str = "wasm32-unknown-unknown";
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std";

/// What a profile cannot say (`docs/size.md` has the measurements). Everything is built for size but what says `optimize(speed)`, which is an
/// unstable attribute and waits for this `cfg`. There, a call is inlined where that makes the code hardly larger; functions with `#[inline]` are not
/// asked. And a panic is a trap: nobody reads where it was, or what `{:?}` would print (which must not be in a
/// message that anyone reads).
const SMALL: &str =
    "--cfg evermoon_small -Cllvm-args=-inline-threshold=10 -Zlocation-detail=none -Zfmt-debug=none";
/// A panic is a trap and needs neither words nor places; for a standard library that is built with us.
const MUTE_PANICS: &str = "-Zunstable-options -Cpanic=immediate-abort";

enum Toolchain {
    Rustup { std_source: bool },
    Debian { linker: PathBuf },
}

/// Makes sure that there is a toolchain, and says which.
pub fn prepare() -> Result<String> {
    Ok(match find()? {
        Toolchain::Rustup { std_source: true } => {
            format!("rustup target {TARGET}, with the standard library's source")
        }
        Toolchain::Rustup { std_source: false } => format!("rustup target {TARGET}"),
        Toolchain::Debian { linker } => {
            format!("Debian's rustc-web, linked by {}", linker.display())
        }
    })
}

/// Builds a package's library (a `cdylib`) for wasm, in release, and returns the module's path.
pub fn build(package: &str, features: &[&str]) -> Result<PathBuf> {
    let out = scratch("wasm")?;
    let mut flags = vec![
        std::env::var("RUSTFLAGS").unwrap_or_default(),
        SMALL.to_owned(),
    ];
    let mut command = match find()? {
        Toolchain::Rustup { std_source } => {
            let mut command = cargo();
            if std_source {
                build_std(&mut command, &mut flags);
            }
            command
        }
        Toolchain::Debian { linker } => {
            let mut command = Command::new(DEBIAN_CARGO);
            command.current_dir(workspace::root());
            // The variables that rustup's cargo has set for us would
            // lead Debian's back to rustup's compiler.
            command.env("RUSTC", DEBIAN_RUSTC);
            command
                .env_remove("RUSTUP_TOOLCHAIN")
                .env_remove("CARGO")
                .env_remove("RUSTDOC");
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            build_std(&mut command, &mut flags);
            command
        }
    };
    command.args([
        "build",
        "--profile",
        "wasm",
        "--target",
        TARGET,
        "--package",
        package,
    ]);
    // A stable compiler that is asked for unstable flags: those above, and Debian's for -Zbuild-std.
    command.env("RUSTC_BOOTSTRAP", "1");
    // Nothing of this machine in the module: the same bytes wherever it is built.
    let root = workspace::root();
    flags.push(format!("--remap-path-prefix={}=.", root.display()));
    command.env("RUSTFLAGS", flags.join(" "));
    command.arg("--target-dir").arg(&out);
    // All features are said, so that a module is what its list of them says.
    command.arg("--no-default-features");
    if !features.is_empty() {
        command.args(["--features", &features.join(",")]);
    }
    run(&mut command)?;
    let module = out
        .join(TARGET)
        .join("wasm")
        .join(format!("{}.wasm", package.replace('-', "_")));
    if !module.is_file() {
        bail!(
            "the build of {package} made no {} (is it a cdylib?)",
            module.display()
        );
    }
    Ok(module)
}

/// Has the standard library built with us, as small as we are. (Not with its feature `optimize_for_size`: docs/size.md.)
fn build_std(command: &mut Command, flags: &mut Vec<String>) {
    command.arg("-Zbuild-std=std,panic_abort");
    flags.push(MUTE_PANICS.to_owned());
}

fn find() -> Result<Toolchain> {
    // For trying the second way on a machine that has the first.
    if std::env::var_os("EVERMOON_WASM_TOOLCHAIN").is_some_and(|name| name == "debian") {
        return debian();
    }
    if rustup_has_target() {
        return Ok(of_rustup());
    }
    if debian_is_installed() {
        return debian();
    }
    if let Some(rustup) = on_path("rustup") {
        let added = Command::new(rustup)
            .args(["target", "add", TARGET])
            .status();
        if added.is_ok_and(|status| status.success()) && rustup_has_target() {
            return Ok(of_rustup());
        }
    }
    tools::install(&DEBIAN_PACKAGES)
        .context("no Rust toolchain for wasm32 (run 'rustup target add wasm32-unknown-unknown')")?;
    debian()
}

fn rustup_has_target() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    match printed {
        Ok(output) if output.status.success() => {
            let dir = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim().to_owned());
            workspace::files_in(&dir, "rlib").is_ok_and(|files| !files.is_empty())
        }
        _ => false,
    }
}

/// rustup's toolchain, with the source of the standard library if there is a way to it.
fn of_rustup() -> Toolchain {
    let std_source =
        || sysroot().is_some_and(|root| root.join("lib/rustlib/src/rust/library/std").is_dir());
    if !std_source()
        && let Some(rustup) = on_path("rustup")
    {
        // Offline it fails, and says so: that is no failure of ours.
        let _ = Command::new(rustup)
            .args(["component", "add", "rust-src"])
            .status();
    }
    Toolchain::Rustup {
        std_source: std_source(),
    }
}

/// Where rustup's compiler lives.
fn sysroot() -> Option<PathBuf> {
    let printed = Command::new("rustc").args(["--print", "sysroot"]).output();
    let printed = printed.ok()?.stdout;
    Some(PathBuf::from(String::from_utf8_lossy(&printed).trim()))
}

fn debian_is_installed() -> bool {
    Path::new(DEBIAN_RUSTC).is_file()
        && Path::new(DEBIAN_CARGO).is_file()
        && Path::new(DEBIAN_SOURCE).is_dir()
}

fn debian() -> Result<Toolchain> {
    Ok(Toolchain::Debian {
        linker: rust_lld()?,
    })
}

/// The linker that every rustup toolchain brings, or the system's own.
fn rust_lld() -> Result<PathBuf> {
    if let Some(root) = sysroot()
        && let Ok(targets) = std::fs::read_dir(root.join("lib/rustlib"))
    {
        for target in targets.flatten() {
            let lld = target.path().join("bin/rust-lld");
            if lld.is_file() {
                return Ok(lld);
            }
        }
    }
    on_path("wasm-ld")
        .or_else(|| on_path("rust-lld"))
        .context("no rust-lld and no wasm-ld: install lld")
}
