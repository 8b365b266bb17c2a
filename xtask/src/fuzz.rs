//! `cargo xtask fuzz [names] [--seconds N] [--seed S] [--checked]`: each fuzzer of `fuzz/` for a while, one after the other, with what
//! it has executed and found. Those of libFuzzer run under AddressSanitizer and need nightly; `volume`, `persist` and `differential` are
//! ordinary programs; the last is compared with a reference built here from the sources that the official suite comes with.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::deep_checks::nightly_cargo;
use crate::workspace::{self, cargo, on_path, run, scratch};
use crate::{conformance, tools};

/// The targets of libFuzzer, in `fuzz/fuzz_targets`, and whether programs are seeds for them.
const TARGETS: [(&str, bool); 7] = [
    ("chunk", false),
    ("source", false),
    ("run", true),
    ("hostile_code", true),
    ("record", false),
    ("snapshot", false),
    ("world", false),
];
const DIFFERENTIAL: &str = "differential";
/// The last three without libFuzzer: unguided, and a hundred times as many.
const VOLUME: &str = "volume";
/// Made programs whose world is committed and loaded again every few instructions.
const PERSIST: &str = "persist";

pub fn fuzz(given: &[String]) -> Result<bool> {
    let args = Args::parse(given, &["checked"], &["seconds", "seed", "bin"])?;
    let seconds = args.number("seconds", 60)?;
    let known = |word: &str| {
        let others = [DIFFERENTIAL, VOLUME, PERSIST];
        TARGETS.iter().any(|(name, _)| name.contains(word))
            || others.iter().any(|name| name.contains(word))
    };
    if let Some(word) = args.words.iter().find(|word| !known(word)) {
        bail!("no fuzzer is called '{word}'");
    }
    let mut all_well = true;
    for (name, programs_are_seeds) in TARGETS {
        if args.wants(name) {
            all_well &= libfuzzer(name, programs_are_seeds, seconds, args.has("checked"))?;
        }
    }
    if args.wants(DIFFERENTIAL) {
        all_well &= differential(&args, seconds)?;
    }
    if args.wants(VOLUME) {
        all_well &= volume(&args, seconds)?;
    }
    if args.wants(PERSIST) {
        all_well &= persist(&args, seconds)?;
    }
    Ok(all_well)
}

fn libfuzzer(name: &str, programs_are_seeds: bool, seconds: usize, checked: bool) -> Result<bool> {
    need_cargo_fuzz()?;
    let dir = workspace::root().join("fuzz");
    let artifacts = dir.join("artifacts").join(name);
    let before = count_files(&artifacts);
    let corpus = dir.join("corpus").join(name);
    std::fs::create_dir_all(&corpus)?;
    println!("== {name}, {seconds} s");
    let features = if checked { "asan,checked" } else { "asan" };
    let mut command = nightly_cargo()?;
    // The sanitizer keeps every stack that has ever allocated: of a recursive parser these are without number.
    command.env(
        "ASAN_OPTIONS",
        "malloc_context_size=4:quarantine_size_mb=64",
    );
    command
        .args(["fuzz", "run", "--features", features, name])
        .arg(&corpus);
    if programs_are_seeds {
        command.arg(workspace::root().join("tests/lua"));
    }
    command.arg("--").arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-dict={}", dir.join("lua.dict").display()));
    command.args([
        "-max_len=3000",
        "-timeout=60",
        "-report_slow_units=60",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]);
    let output = command.output().context("cannot run cargo fuzz")?;
    let log = String::from_utf8_lossy(&output.stderr);
    let executed = log
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .map_or("?", str::trim);
    let found = count_files(&artifacts).saturating_sub(before);
    println!("{name}: {executed} executions, {found} new findings");
    if output.status.success() && found == 0 {
        return Ok(true);
    }
    // The panic or the sanitizer's report, and where the input is.
    let telling = |line: &&str| {
        [
            "panicked at",
            "ERROR:",
            "SUMMARY:",
            "Test unit written",
            "error:",
            "error[",
        ]
        .iter()
        .any(|mark| line.contains(mark))
    };
    for line in log.lines().filter(telling) {
        println!("    {line}");
    }
    if executed == "?" && found == 0 {
        println!("{log}");
    }
    println!("    again: cargo +nightly fuzz run --features {features} {name} FILE");
    Ok(false)
}

/// A fuzzer that is an ordinary program, built without libFuzzer.
fn ordinary(name: &str, seconds: usize) -> Command {
    let mut command = cargo();
    command
        .args(["run", "--quiet", "--release", "--no-default-features"])
        .arg("--manifest-path")
        .arg(workspace::root().join("fuzz/Cargo.toml"))
        .args(["--bin", name, "--", "--seconds", &seconds.to_string()]);
    command
}

fn differential(args: &Args, seconds: usize) -> Result<bool> {
    let lua = match args.option("bin") {
        Some(given) => workspace::found(given)?,
        None => reference()?,
    };
    println!("== {DIFFERENTIAL}, {seconds} s, against {}", lua.display());
    let mut command = ordinary(DIFFERENTIAL, seconds);
    command.arg("--lua").arg(lua);
    command.args(["--seed", &seed(args)?.to_string()]);
    match run(&mut command) {
        Ok(()) => Ok(true),
        Err(error) => {
            println!("FAILED  {DIFFERENTIAL}: {error:#}");
            Ok(false)
        }
    }
}

/// Another part of the programs each day, unless one is asked for.
fn seed(args: &Args) -> Result<usize> {
    let today = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(1, |time| time.as_secs() / 86_400);
    args.number("seed", today as usize)
}

/// Worlds in small steps.
fn persist(args: &Args, seconds: usize) -> Result<bool> {
    println!("== {PERSIST}, {seconds} s");
    let mut command = ordinary(PERSIST, seconds);
    command.args(["--seed", &seed(args)?.to_string()]);
    Ok(run(&mut command).is_ok())
}

/// Damaged records, snapshots and worlds, by chance.
fn volume(args: &Args, seconds: usize) -> Result<bool> {
    println!("== {VOLUME}, {seconds} s each");
    let mut command = ordinary(VOLUME, seconds);
    command
        .args(["--seed", args.option("seed").unwrap_or("1")])
        .current_dir(scratch("volume")?);
    Ok(run(&mut command).is_ok())
}

/// cargo-fuzz, installed now if it is missing.
fn need_cargo_fuzz() -> Result<()> {
    if on_path("cargo-fuzz").is_some() {
        return Ok(());
    }
    run(cargo().args(["install", "cargo-fuzz", "--locked"]))
}

fn count_files(dir: &Path) -> usize {
    std::fs::read_dir(dir).map_or(0, Iterator::count)
}

/// Goes to the end of the reference's configuration. It shows a NaN without its sign, which is the processor's and not the
/// language's.
const UNSIGNED_NAN: &str = r#"
#undef lua_number2str
#define lua_number2str(s,sz,n) \
    ((n) == (n) ? l_sprintf((s), sz, "%.14g", (double)(n)) : l_sprintf((s), sz, "%s", "nan"))
"#;

/// The reference: version 5.4.8 if there is a C compiler, else the system's `lua5.4`.
fn reference() -> Result<PathBuf> {
    let home = scratch("reference")?;
    let lua = home.join("lua");
    if lua.is_file() {
        return Ok(lua);
    }
    let Some(cc) = on_path("cc") else {
        println!("no C compiler is on PATH: comparing with the system's lua5.4");
        return tools::need(&tools::LUA);
    };
    let tarball = conformance::tarball(&scratch("conformance")?)?;
    let source = "lupa-2.8/third-party/lua54";
    run(Command::new("tar")
        .arg("-xzf")
        .arg(tarball)
        .arg("-C")
        .arg(&home)
        .args(["--strip-components=3", source]))?;
    let configuration = home.join("luaconf.h");
    let text = std::fs::read_to_string(&configuration)?;
    let (before, after) = text
        .rsplit_once("#endif")
        .context("luaconf.h has no #endif")?;
    std::fs::write(
        &configuration,
        format!("{before}{UNSIGNED_NAN}#endif{after}"),
    )?;
    let mut build = Command::new(cc);
    build
        .args([
            "-std=gnu99",
            "-O2",
            "-w",
            "-DLUA_COMPAT_5_3",
            "-DLUA_USE_POSIX",
            "-o",
        ])
        .arg(&lua);
    build.arg(home.join("onelua.c")).arg("-lm");
    run(&mut build)?;
    Ok(lua)
}
