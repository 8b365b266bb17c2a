//! The hostile world: crashes of a simulated disk, failing calls, killed processes, racing processes. Short under `cargo test`, long under
//! `cargo xtask faults`.
//!
//! `cargo test -p evermoon-store --test faults -- [parts] [--images N] [--kills N] [--races N] [--errors N] [--flips N] [--stride N] [--seed S] [--dir D]`. A failure
//! says its seed; `crash --seed S --images 1000` runs it again, image by image the same.

mod crash;
mod dice;
mod disk;
mod errors;
mod flips;
mod kill;
mod race;
mod workload;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

const PARTS: [&str; 7] = ["replay", "lies", "crash", "errors", "flips", "kill", "race"];

struct Args {
    parts: Vec<String>,
    images: usize,
    kills: usize,
    races: usize,
    errors: u64,
    flips: usize,
    stride: usize,
    seed: u64,
    directory: PathBuf,
}

fn parse(given: &[String]) -> Result<Args, String> {
    let mut args = Args {
        parts: Vec::new(),
        images: 2000,
        kills: 12,
        races: 200,
        errors: 3,
        flips: 200,
        stride: 5,
        seed: 1,
        directory: std::env::temp_dir(),
    };
    let mut rest = given.iter();
    while let Some(arg) = rest.next() {
        let mut number = || -> Result<u64, String> {
            let value = rest.next().ok_or(format!("{arg} needs a number"))?;
            value
                .parse()
                .map_err(|_| format!("{arg} needs a number, got '{value}'"))
        };
        match arg.as_str() {
            "--images" => args.images = number()? as usize,
            "--kills" => args.kills = number()? as usize,
            "--races" => args.races = number()? as usize,
            "--errors" => args.errors = number()?,
            "--flips" => args.flips = number()? as usize,
            "--stride" => args.stride = (number()? as usize).max(1),
            "--seed" => args.seed = number()?,
            "--dir" => args.directory = rest.next().ok_or("--dir needs a directory")?.into(),
            // What cargo passes to all tests.
            "--quiet" | "-q" | "--nocapture" | "--no-capture" => {}
            flag if flag.starts_with('-') => return Err(format!("no flag '{flag}' here")),
            part => args.parts.push(part.to_owned()),
        }
    }
    Ok(args)
}

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let as_child = match given.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--child-kill", path] => Some(kill::child(Path::new(path))),
        ["--child-race", path, me, turns] => {
            Some(race::child(Path::new(path), me, turns.parse().unwrap_or(0)))
        }
        _ => None,
    };
    if let Some(result) = as_child {
        return match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("child: {why}");
                ExitCode::FAILURE
            }
        };
    }
    // As test runners ask: what tests there are (none is ignored), and then for one of them.
    let has = |flag: &str| given.iter().any(|arg| arg == flag);
    if has("--list") {
        if !has("--ignored") {
            PARTS.iter().for_each(|part| println!("{part}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let given: Vec<String> = given
        .into_iter()
        .filter(|arg| !matches!(&**arg, "--exact" | "--nocapture"))
        .collect();
    let args = match parse(&given) {
        Ok(args) => args,
        Err(why) => {
            eprintln!("faults: {why}");
            return ExitCode::from(2);
        }
    };
    // A filter that names no part of ours is for the other tests.
    let mut failed = 0;
    for part in PARTS {
        if !args.parts.is_empty() && !args.parts.iter().any(|p| p == part) {
            continue;
        }
        let start = Instant::now();
        let result = run(part, &args);
        let took = start.elapsed().as_secs_f64();
        match result {
            Ok(line) => println!("ok      {part}: {line} ({took:.1} s)"),
            Err(why) => {
                failed += 1;
                println!("FAILED  {part} ({took:.1} s)");
                for line in why.lines() {
                    println!("        {line}");
                }
            }
        }
    }
    if failed > 0 {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(part: &str, args: &Args) -> Result<String, String> {
    match part {
        // Without this no seed could be run again.
        "replay" => {
            for seed in args.seed..args.seed + 5 {
                let [one, two] = [crash::record(seed).0, crash::record(seed).0];
                if one != two {
                    return Err(format!("seed {seed} gave two different logs"));
                }
            }
            Ok("the same seed gives the same log".to_owned())
        }
        // The check that the checks can fail.
        "lies" => {
            let count = quietly(|| crash::run(500, args.seed, true));
            if count.failures.is_empty() {
                return Err("a disk that ignores syncs was not found out".to_owned());
            }
            Ok(format!(
                "a disk that ignores syncs is found out ({} images)",
                count.images
            ))
        }
        "crash" => {
            let count = crash::run(args.images, args.seed, false);
            fail_if_any(count.failures)?;
            Ok(format!(
                "{} images of {} workloads, {} of them in a recovery, {} with a commit that was under way",
                count.images, count.workloads, count.nested, count.ahead
            ))
        }
        "errors" => {
            let (calls, failures) = errors::run(args.seed..args.seed + args.errors, args.stride);
            fail_if_any(failures)?;
            Ok(format!("{calls} calls failed, one at a time"))
        }
        "flips" => {
            let count = quietly(|| flips::run(args.flips, args.seed));
            fail_if_any(count.failures)?;
            Ok(format!(
                "{} spoilt images: {} do not open, {} have their damage named, {} are back at an earlier version, {} are unharmed",
                count.images, count.refused, count.named, count.rolled_back, count.unharmed
            ))
        }
        "kill" => {
            let count = kill::run(args.kills, args.seed, &args.directory)?;
            Ok(format!(
                "{} kills, {} versions, {} times with a commit that was under way",
                count.kills, count.versions, count.ahead
            ))
        }
        _ => {
            let count = race::run(args.races, &args.directory)?;
            Ok(format!(
                "{} turns: {} won, {} in conflict, {} fenced off, {} times busy; no version twice",
                count.turns, count.won, count.conflict, count.fenced, count.busy
            ))
        }
    }
}

fn fail_if_any(failures: Vec<String>) -> Result<(), String> {
    if failures.is_empty() {
        return Ok(());
    }
    Err(failures.join("\n"))
}

/// Without the panics' own words: those of redb are caught.
fn quietly<T>(work: impl FnOnce() -> T) -> T {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = work();
    std::panic::set_hook(hook);
    result
}
