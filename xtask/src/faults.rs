//! `cargo xtask faults [parts]`: the hostile world at length. What `cargo test` does in short:
//!
//! - the stores' own parts (`crates/evermoon-store/tests/faults`): `replay lies crash errors flips kill race`, with `--images N --kills N --races N --errors N --flips N
//!   --stride N --seed S --dir D`;
//! - `anywhere`: the programs of `tests/lua` and the official suite with a commit, everything let go and a new engine every 1,000 and every 10,000 instructions (`--quick`: the
//!   suite without what is long);
//! - `story`: a computing program is killed and goes on, here and in another world (`--kills N`, `--seed S`);
//! - `browser`: the npm package's stores (`browser_faults.rs`);
//! - `damage`: each single entry of a world is damaged, put aside, and the rest is used.

use std::process::Command;

use anyhow::{Result, bail};

use crate::args::Args;
use crate::workspace::{cargo, run, scratch};
use crate::{browser_faults, conformance};

/// The stores' parts, and how long each is.
const STORES: [&str; 7] = ["replay", "lies", "crash", "errors", "flips", "kill", "race"];
const LONG: [(&str, &str); 7] = [
    ("images", "100000"),
    ("kills", "300"),
    ("races", "10000"),
    ("errors", "8"),
    ("flips", "5000"),
    ("stride", "1"),
    ("seed", "1"),
];

/// `cargo xtask test anywhere`: the official suite without what is long, and without cstack.lua, which takes longer than all others together.
pub fn part_of_test() -> Result<Command> {
    let mut tests = suite_in_worlds("official", true)?;
    tests.env("PERSIST_WITHOUT", "cstack.lua");
    Ok(tests)
}

/// The long tests of the persistence that have this in their names, with a copy of the official suite; `soft` leaves out what is long in it.
fn suite_in_worlds(name: &str, soft: bool) -> Result<Command> {
    let mut tests = cargo();
    tests.args(["test", "--quiet", "--package", "evermoon"]);
    tests.args(["--test", "persist", "--", "--ignored", "--nocapture"]);
    tests.args(["--test-threads=1", name]);
    tests.env("EVERMOON_TESTES", conformance::copy_for("anywhere")?);
    if soft {
        tests.env("EVERMOON_TESTES_SOFT", "1");
    }
    Ok(tests)
}

/// The parts beside the stores'.
type Part = (&'static str, fn(&Args) -> Result<()>);
const PARTS: [Part; 3] = [("anywhere", anywhere), ("story", story), ("damage", damage)];

pub fn faults(given: &[String]) -> Result<bool> {
    let mut names: Vec<&str> = LONG.iter().map(|(name, _)| *name).collect();
    names.push("dir");
    let args = Args::parse(given, &["quick"], &names)?;
    if args.words.iter().any(|word| word == "browser") {
        return browser_faults::run(&args);
    }
    let known = |word: &&String| {
        STORES.contains(&word.as_str()) || PARTS.iter().any(|(name, _)| name == word)
    };
    if let Some(word) = args.words.iter().find(|word| !known(word)) {
        bail!("no part is called '{word}'");
    }
    let wants = |name: &str| args.words.is_empty() || args.words.iter().any(|word| word == name);
    if STORES.iter().any(|part| wants(part)) {
        stores(&args)?;
    }
    for (name, part) in PARTS {
        if wants(name) {
            println!("== {name}");
            part(&args)?;
        }
    }
    Ok(true)
}

/// Unoptimised on purpose: redb's own assertions run along.
fn stores(args: &Args) -> Result<()> {
    let parts = args
        .words
        .iter()
        .filter(|word| STORES.contains(&word.as_str()));
    let mut tests = cargo();
    tests.args(["test", "--quiet", "--package", "evermoon-store"]);
    tests.args(["--test", "faults", "--"]).args(parts);
    for (name, value) in LONG {
        let value = args.option(name).unwrap_or(value);
        tests.args([&format!("--{name}"), value]);
    }
    if let Some(directory) = args.option("dir") {
        tests.args(["--dir", directory]);
    }
    run(&mut tests)
}

fn anywhere(args: &Args) -> Result<()> {
    run(&mut suite_in_worlds("anywhere", args.has("quick"))?)
}

fn story(args: &Args) -> Result<()> {
    let keep = scratch("story")?;
    let mut tests = cargo();
    tests.args([
        "test",
        "--quiet",
        "--package",
        "evermoon-cli",
        "--test",
        "story",
    ]);
    tests.args(["--", "--nocapture"]);
    tests.env("EVERMOON_KILLS", args.option("kills").unwrap_or("300"));
    tests.env("EVERMOON_SEED", args.option("seed").unwrap_or("1"));
    tests.env("EVERMOON_KEEP", &keep);
    run(&mut tests)
}

fn damage(_: &Args) -> Result<()> {
    let mut tests = cargo();
    tests.args([
        "test",
        "--quiet",
        "--package",
        "evermoon-store",
        "--test",
        "damage",
    ]);
    tests.args(["--", "--nocapture"]).env("EVERMOON_LONG", "1");
    run(&mut tests)
}
