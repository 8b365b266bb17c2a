//! The checks that need more than stable Rust: Miri, AddressSanitizer; and `bless`, which rewrites the
//! files that tests compare with. Each says plainly when its tool is missing.

use std::process::Command;

use anyhow::{Result, bail};

use crate::args::Args;
use crate::lua_programs;
use crate::workspace::{self, cargo, on_path, run, scratch};

/// The platform that the sanitizer's runtime library comes for.
const ASAN_TARGET: &str = "x86_64-unknown-linux-gnu";

/// How Miri is to judge. Tree Borrows, since by Stacked Borrows a reference to an object's head may not be used to reach the text or the
/// upvalues that follow it in its block; permissive provenance, since a value holds its object's address as an integer.
const MIRI_FLAGS: &str = "-Zmiri-tree-borrows -Zmiri-permissive-provenance";

/// What Miri runs, some ten thousand times as slowly as the machine does: targets of the engine, and which of their tests.
const MIRI_RUNS: [(&[&str], &[&str]); 3] = [
    // The rooms that may use unsafe code (what is pure in them has none).
    (&["--lib"], &["heap", "vm", "--skip", "heap::number"]),
    (&["--test", "small_programs"], &[]),
    (&["--test", "persist"], &["small::closures_share"]),
];

/// `cargo xtask miri [filters]`: the unsafe rooms' tests, small programs and small worlds, with aliasing checks on. With filters: the tests
/// of the same targets that these name.
pub fn miri(given: &[String]) -> Result<bool> {
    let args = Args::parse(given, &[], &[])?;
    install_miri()?;
    for (targets, tests) in MIRI_RUNS {
        let mut command = nightly_cargo()?;
        command
            .args(["miri", "test", "--package", "evermoon"])
            .args(targets)
            .arg("--");
        if args.words.is_empty() {
            command.args(tests);
        } else {
            command.args(&args.words);
        }
        command
            .env("MIRIFLAGS", MIRI_FLAGS)
            .env("CARGO_TARGET_DIR", scratch("miri")?);
        run(&mut command)?;
    }
    Ok(true)
}

/// Has rustup install Miri where it is not there yet.
fn install_miri() -> Result<()> {
    let there = || -> Result<bool> {
        let version = nightly_cargo()?.args(["miri", "--version"]).output();
        Ok(version.is_ok_and(|output| output.status.success()))
    };
    if there()? {
        return Ok(());
    }
    const ADD: [&str; 6] = [
        "component",
        "add",
        "--toolchain",
        "nightly",
        "miri",
        "rust-src",
    ];
    let added = Command::new("rustup").args(ADD).status();
    if !added.is_ok_and(|status| status.success()) || !there()? {
        bail!(
            "Miri is not here and cannot be installed (rustup {}, said why above): nothing was checked",
            ADD.join(" ")
        );
    }
    Ok(())
}

/// `cargo xtask asan [filters]`: the engine's tests, and the programs of `tests/lua`, under AddressSanitizer.
pub fn asan(given: &[String]) -> Result<bool> {
    let args = Args::parse(given, &["conformance"], &[])?;
    let out = scratch("asan")?;
    let with_sanitizer = |command: &mut Command| {
        command
            .env("RUSTFLAGS", "-Zsanitizer=address -Cdebuginfo=1")
            .env("CARGO_TARGET_DIR", &out);
        // Rust's own runtime leaks a few bytes on purpose at exit.
        command.env("ASAN_OPTIONS", "detect_leaks=0:abort_on_error=0");
    };
    let mut tests = nightly_cargo()?;
    tests
        .args([
            "test",
            "--package",
            "evermoon",
            "--lib",
            "--tests",
            "--target",
            ASAN_TARGET,
            // The pools say which of their blocks are in use.
            "--features",
            "evermoon/asan",
        ])
        .args(&args.words);
    with_sanitizer(&mut tests);
    run(&mut tests)?;

    let mut build = nightly_cargo()?;
    build.args([
        "build",
        "--package",
        "evermoon-cli",
        "--target",
        ASAN_TARGET,
        "--features",
        "evermoon/asan",
    ]);
    with_sanitizer(&mut build);
    run(&mut build)?;
    let lua = out.join(ASAN_TARGET).join("debug/evermoon");
    let mut tally = lua_programs::run_all(&lua, &args.words, lua_programs::Subject::Evermoon)?;
    if args.has("conformance") {
        tally.add(crate::conformance::part_of_test(&lua)?);
    }
    Ok(tally.close())
}

/// `cargo xtask bless [filters]`: runs the tests so that each golden file becomes what the code now says. Read the
/// difference before you commit it.
pub fn bless(given: &[String]) -> Result<bool> {
    let args = Args::parse(given, &[], &[])?;
    let mut tests = cargo();
    tests
        .args(["test", "--quiet", "--workspace"])
        .args(&args.words)
        .env("EVERMOON_BLESS", "1");
    run(&mut tests)?;
    run(Command::new("git")
        .args(["status", "--short"])
        .current_dir(workspace::root()))?;
    Ok(true)
}

/// Cargo of rustup's nightly toolchain.
pub fn nightly_cargo() -> Result<Command> {
    let Some(rustup) = on_path("rustup") else {
        bail!("this needs rustup and its nightly toolchain")
    };
    let mut command = Command::new(rustup);
    command
        .args(["run", "nightly", "cargo"])
        .current_dir(workspace::root());
    // Set for us by the cargo that runs xtask; they would lead back to the stable compiler.
    for name in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTDOC"] {
        command.env_remove(name);
    }
    Ok(command)
}
