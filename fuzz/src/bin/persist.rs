//! Runs made programs (`program.rs`, and `busy_world.lua` with a seed) in a world undisturbed and disturbed: with commits after slices of a few instructions, everything let go, new engines over the
//! same store, which answers at once or later. Output, end and snapshot must be the same. A difference is shrunk, shown, and kept in
//! `fuzz/artifacts/persist`.
//!
//! `persist [--seconds N] [--seed S] [--findings N]`; with file names, disturbs those programs in every way instead, or in one (`--way N`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use disturbed::{Disturbance, Program, keep, run};
use engine::Ended;
use evermoon_fuzz::choices::Choices;
use evermoon_fuzz::engine::{End, Engine, Leash, OUTPUT_MAX};
use evermoon_fuzz::program;
use evermoon_fuzz::shrink::shrink;

#[path = "../../../crates/evermoon/tests/persist/disturbed.rs"]
mod disturbed;
#[path = "../../../crates/evermoon/tests/persist/engine.rs"]
#[allow(dead_code)]
mod engine;

/// Slices, and how many of them an engine lasts.
const SLICES: [(u32, usize); 6] = [(1, 1), (3, 1), (7, 1), (20, 2), (61, 1), (300, 3)];
const WAYS: usize = SLICES.len() * 2;

struct Options {
    seconds: u64,
    seed: u64,
    findings_max: usize,
    /// The only way in which programs of files are disturbed.
    way: Option<usize>,
    files: Vec<String>,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("persist: {message}");
            return ExitCode::from(2);
        }
    };
    // A panic is a difference like others.
    if options.files.is_empty() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    // As deep as the main thread of a test: programs recurse.
    let work = std::thread::Builder::new().stack_size(64 << 20);
    let done = work.spawn(move || examine(&options)).map(|t| t.join());
    match done {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        seconds: 60,
        seed: 1,
        findings_max: 5,
        way: None,
        files: Vec::new(),
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || {
            let text = args.next().ok_or(format!("{arg} needs a value"))?;
            text.parse::<u64>()
                .map_err(|_| format!("'{text}' is no number"))
        };
        match arg.as_str() {
            "--seconds" => options.seconds = number()?,
            "--seed" => options.seed = number()?,
            "--way" => options.way = Some(number()? as usize % WAYS),
            "--findings" => options.findings_max = number()? as usize,
            _ if arg.starts_with("--") => return Err(format!("no option '{arg}' here")),
            _ => options.files.push(arg),
        }
    }
    Ok(options)
}

/// True if nothing was found.
fn examine(options: &Options) -> bool {
    let mut findings = 0;
    for file in &options.files {
        let Ok(source) = std::fs::read_to_string(file) else {
            println!("{file} cannot be read");
            return false;
        };
        for way in (0..WAYS).filter(|way| options.way.is_none_or(|only| only == *way)) {
            let (ended, difference) = disturb(&source, way);
            if let (0, Some(Ended::Failed(message))) = (way, ended) {
                println!("{file} ends by an error: {message}");
            }
            if let Some(difference) = difference {
                println!("== {file}, {:?}\n{difference}", disturbance(way));
                findings += 1;
            }
        }
    }
    if !options.files.is_empty() {
        return findings == 0;
    }
    let (mut programs, mut skipped) = (0, 0);
    // Of made programs, of busy worlds.
    let mut failed = [0, 0];
    let start = Instant::now();
    let mut seed = options.seed << 32;
    while start.elapsed() < Duration::from_secs(options.seconds) && findings < options.findings_max
    {
        seed += 1;
        let busy = seed.is_multiple_of(2);
        let source = if busy {
            busy_world(seed, 40)
        } else {
            program::make(&mut Choices::from_seed(seed))
        };
        if !busy && !ends(&source) {
            skipped += 1;
            continue;
        }
        programs += 1;
        let way = (seed / 2) as usize % WAYS;
        let (ended, difference) = disturb(&source, way);
        failed[busy as usize] += u64::from(ended != Some(Ended::Done));
        let Some(difference) = difference else {
            continue;
        };
        findings += 1;
        let small = if busy {
            // The fewest steps that show it.
            let fewer = (1..40).map(|count| busy_world(seed, count));
            let found = fewer.into_iter().find(|s| disturb(s, way).1.is_some());
            found.unwrap_or(source)
        } else {
            shrink(&source, program::PRELUDE, 1_000, |candidate| {
                ends(candidate) && disturb(candidate, way).1.is_some()
            })
        };
        let least = disturb(&small, way).1.unwrap_or(difference);
        let body = small.strip_prefix(program::PRELUDE).unwrap_or(&small);
        let body = body.strip_suffix(BUSY_WORLD).unwrap_or(body);
        println!("== seed {seed}, {:?}\n{body}\n{least}\n", disturbance(way));
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/artifacts/persist");
        let _ = std::fs::create_dir_all(dir);
        let _ = std::fs::write(format!("{dir}/{seed:x}.lua"), &small);
    }
    println!(
        "persist: {programs} programs in {:.0} s ({} made ones and {} busy worlds ended by an error), {skipped} skipped, {findings} differences",
        start.elapsed().as_secs_f64(),
        failed[0],
        failed[1],
    );
    findings == 0
}

const BUSY_WORLD: &str = include_str!("../busy_world.lua");

fn busy_world(seed: u64, count: usize) -> String {
    format!("local SEED, COUNT = {seed}, {count}\n{BUSY_WORLD}")
}

fn disturbance(way: usize) -> Disturbance {
    let (slice, reopen) = SLICES[way % SLICES.len()];
    Disturbance {
        slice,
        evict: true,
        reopen,
        late: way >= SLICES.len(),
    }
}

/// Whether a program comes to an end soon: thousands of engines may be made for it.
fn ends(source: &str) -> bool {
    let mut engine = Engine::new(&Leash {
        fuel: 20_000,
        bytes_max: 8 << 20,
        stack_max: 1_000_000,
        ..Leash::default()
    });
    let end = engine.run(source.as_bytes(), "=p", &[]);
    let printed = engine.output.borrow().len();
    printed < OUTPUT_MAX && matches!(end, End::Done | End::Failed(_))
}

/// How the program ends, and what is different when it is disturbed.
fn disturb(source: &str, way: usize) -> (Option<Ended>, Option<String>) {
    let program = Program::new("=p", source);
    let one = |how| catch_unwind(AssertUnwindSafe(|| run(&program, how)));
    match (one(None), one(Some(disturbance(way)))) {
        (Ok(undisturbed), Ok(disturbed)) => {
            let difference = undisturbed.difference(&disturbed);
            if !difference.is_empty() {
                keep(&undisturbed, "undisturbed");
                keep(&disturbed, "disturbed");
            }
            (
                Some(undisturbed.ended),
                (!difference.is_empty()).then_some(difference),
            )
        }
        (Ok(undisturbed), Err(_)) => (Some(undisturbed.ended), Some("it panics".into())),
        // That is what other fuzzers look for.
        (Err(_), _) => (None, None),
    }
}
