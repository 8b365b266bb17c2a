//! The benchmarks: the programs of `bench/` under our release build, PUC Lua and LuaJIT in one interleaved run.
//!
//! What a number means: CPU time in user mode of one whole process (start, compile, run), the best of N rounds. A
//! round runs every program under every engine before the next round begins, so that a slow minute of the machine
//! falls on all alike. Every output must equal `lua5.4`'s: a wrong answer has no speed.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::bench_wasm;
use crate::child::{Child, Finished};
use crate::tools::{self, need};
use crate::workspace::{self, Profile};

/// No single program may be slower than this, as a ratio to `lua5.4`.
const RATIO_MAX: f64 = 1.25;
/// The bound on the geometric mean.
const MEAN_MAX: f64 = 0.90;
/// Peak memory, as a ratio to `lua5.4`.
const MEMORY_MAX: f64 = 1.2;
/// What the checks that worlds need may cost programs without one, as a ratio.
const CHECKS_MAX: f64 = 1.03;
/// Programs whose peak memory is compared.
const MEMORY_PROGRAMS: [&str; 2] = ["binary_trees", "string_hash_churn"];

struct Engine {
    name: &'static str,
    path: PathBuf,
    flags: &'static [&'static str],
}

/// The best of one program under one engine.
#[derive(Clone, Copy)]
struct Best {
    time: Duration,
    peak_bytes: u64,
}

/// `cargo xtask bench [names] [--runs N] [--bin PATH] [--memory] [--start] [--compile] [--worlds [--no-checks]]`; `--wasm` is in `bench_wasm.rs`.
pub fn bench(given: &[String]) -> Result<bool> {
    let flags = [
        "memory",
        "start",
        "compile",
        "worlds",
        "no-checks",
        "system-time",
        "no-luajit",
        "wasm",
        "no-speed",
        "no-build",
        "fengari",
        "chromium",
    ];
    let args = Args::parse(given, &flags, &["runs", "bin", "module"])?;
    if args.has("wasm") {
        return bench_wasm::bench(&args, &programs(&args)?);
    }
    if args.has("worlds") {
        return match args.has("chromium") {
            true => bench_wasm::worlds(&args),
            false => worlds(&args),
        };
    }
    let ours = workspace::binary(args.option("bin"), Profile::Release)?;
    let runs = args.number("runs", 5)?.max(1);
    // Those of the small ones that were asked for, instead of the programs' speed.
    let (wants_memory, wants_start) = (args.has("memory"), args.has("start"));
    if wants_memory || wants_start || args.has("compile") {
        let mut all_well = !wants_memory || memory(&ours, runs)?;
        all_well &= !wants_start || start(&ours, runs)?;
        all_well &= !args.has("compile") || compile(&ours, runs)?;
        return Ok(all_well);
    }
    speed(&ours, runs, &args)
}

fn speed(ours: &Path, runs: usize, args: &Args) -> Result<bool> {
    let mut engines = vec![
        Engine {
            name: "evermoon",
            path: ours.to_owned(),
            flags: &[],
        },
        Engine {
            name: "lua5.4",
            path: need(&tools::LUA)?,
            flags: &[],
        },
    ];
    if !args.has("no-luajit") {
        let luajit = need(&tools::LUAJIT)?;
        engines.push(Engine {
            name: "luajit -joff",
            path: luajit.clone(),
            flags: &["-joff"],
        });
        engines.push(Engine {
            name: "luajit",
            path: luajit,
            flags: &[],
        });
    }
    let programs = programs(args)?;
    let mut best: Vec<Vec<Option<Best>>> = vec![vec![None; engines.len()]; programs.len()];
    let mut wrong = Vec::new();
    let watched = std::io::stderr().is_terminal();
    for round in 1..=runs {
        for (p, program) in programs.iter().enumerate() {
            if watched {
                eprint!("\rround {round} of {runs}: {:<24}", name_of(program));
            }
            let mut expected = None;
            // The reference first: its output is what the others must print.
            for e in [1, 0].into_iter().chain(2..engines.len()) {
                let done = run_program(&engines[e], program)?;
                let output = (done.success(), done.stdout.clone());
                let reference = expected.get_or_insert_with(|| output.clone());
                if !done.success() || *reference != output {
                    let note = format!(
                        "{} under {}: {} {}",
                        name_of(program),
                        engines[e].name,
                        done.ending,
                        done.error_text()
                    );
                    if !wrong.contains(&note) {
                        wrong.push(note);
                    }
                    continue;
                }
                keep_best(&mut best[p][e], &done, args.has("system-time"));
            }
        }
    }
    if watched {
        eprint!("\r{:<60}\r", "");
    }
    let within = print_table(&engines, &programs, &best, args.words.is_empty());
    for note in &wrong {
        println!("WRONG: {}", note.trim_end());
    }
    Ok(wrong.is_empty() && within)
}

/// Prints times and ratios, and says whether the bounds are kept.
fn print_table(
    engines: &[Engine],
    programs: &[PathBuf],
    best: &[Vec<Option<Best>>],
    all: bool,
) -> bool {
    let mut head = format!(
        "| {:<20} | {:>11} | {:>9} | {:>8} |",
        "program", "evermoon ms", "lua5.4 ms", "evermoon"
    );
    let mut rule = format!("|{:-<22}|{:->12}:|{:->10}:|{:->9}:|", "", "", "", "");
    for engine in &engines[2..] {
        head += &format!(" {:>12} |", engine.name);
        rule += &format!("{:->13}:|", "");
    }
    println!("{head}\n{rule}");
    let mut logs = vec![Vec::new(); engines.len()];
    let mut over = Vec::new();
    for (p, program) in programs.iter().enumerate() {
        let Some(reference) = best[p][1] else {
            continue;
        };
        let time = |e: usize| best[p][e].map(|b| b.time);
        let ratio =
            |e: usize| time(e).map(|t| t.as_secs_f64() / reference.time.as_secs_f64().max(1e-6));
        let mut row = format!(
            "| {:<20} | {:>11} | {:>9} |",
            name_of(program),
            millis(time(0)),
            millis(time(1))
        );
        for e in [0].into_iter().chain(2..engines.len()) {
            let width = if e == 0 { 8 } else { 12 };
            match ratio(e) {
                Some(r) => {
                    logs[e].push(r.ln());
                    row += &format!(" {r:>width$.2} |");
                    if e == 0 && r > RATIO_MAX {
                        over.push(format!("{} {r:.2}", name_of(program)));
                    }
                }
                None => row += &format!(" {:>width$} |", "-"),
            }
        }
        println!("{row}");
    }
    let mean = |e: usize| -> f64 {
        if logs[e].is_empty() {
            f64::NAN
        } else {
            (logs[e].iter().sum::<f64>() / logs[e].len() as f64).exp()
        }
    };
    let mut row = format!(
        "| {:<20} | {:>11} | {:>9} | {:>8.2} |",
        "geometric mean",
        "",
        "",
        mean(0)
    );
    for e in 2..engines.len() {
        row += &format!(" {:>12.2} |", mean(e));
    }
    println!("{row}");
    println!(
        "(user CPU time of a whole process, best of the rounds; ratios to lua5.4, less is faster)"
    );
    if !over.is_empty() {
        println!("above {RATIO_MAX}: {}", over.join(", "));
    }
    // The bound on the mean is about the whole set.
    let mean_kept = !all || mean(0) <= MEAN_MAX;
    if !mean_kept {
        println!("the mean is above {MEAN_MAX}");
    }
    over.is_empty() && mean_kept
}

/// Peak memory of the programs that allocate most.
fn memory(ours: &Path, runs: usize) -> Result<bool> {
    let reference = need(&tools::LUA)?;
    println!(
        "| {:<20} | {:>12} | {:>10} | {:>5} |",
        "peak resident", "evermoon MiB", "lua5.4 MiB", "ratio"
    );
    println!("|{:-<22}|{:->13}:|{:->11}:|{:->6}:|", "", "", "", "");
    let mut within = true;
    for name in MEMORY_PROGRAMS {
        let program = workspace::root().join("bench").join(format!("{name}.lua"));
        let peak = |path: &Path| -> Result<f64> {
            let engine = Engine {
                name: "",
                path: path.to_owned(),
                flags: &[],
            };
            let mut least = u64::MAX;
            for _ in 0..runs.min(3) {
                least = least.min(run_program(&engine, &program)?.peak_bytes);
            }
            Ok(least as f64 / 1048576.0)
        };
        let (a, b) = (peak(ours)?, peak(&reference)?);
        within &= a / b <= MEMORY_MAX;
        println!("| {name:<20} | {a:>12.1} | {b:>10.1} | {:>5.2} |", a / b);
    }
    println!("(the whole process, least of the runs; the bound is {MEMORY_MAX})");
    Ok(within)
}

/// The time of a process that makes an engine with all libraries and ends.
fn start(ours: &Path, runs: usize) -> Result<bool> {
    let reference = need(&tools::LUA)?;
    let mut best = [Duration::MAX; 2];
    let mut peak = [u64::MAX; 2];
    for _ in 0..runs * 40 {
        for (index, path) in [ours, reference.as_path()].into_iter().enumerate() {
            let done = Child::new(path).args(["-e", ""]).run()?;
            if !done.success() {
                bail!(
                    "{} -e '': {}\n{}",
                    path.display(),
                    done.ending,
                    done.error_text()
                );
            }
            best[index] = best[index].min(done.user + done.system);
            peak[index] = peak[index].min(done.peak_bytes);
        }
    }
    for (index, name) in ["evermoon", "lua5.4"].into_iter().enumerate() {
        let kib = peak[index] / 1024;
        println!(
            "{name:<9} a process with a fresh engine: {} µs of CPU time, {kib} KiB resident",
            best[index].as_micros()
        );
    }
    // The engine alone, when the crate has its own measure.
    if workspace::root()
        .join("crates/evermoon/examples/fresh_engine.rs")
        .is_file()
    {
        let mut example = workspace::cargo();
        example.args([
            "run",
            "--quiet",
            "--release",
            "--package",
            "evermoon",
            "--example",
            "fresh_engine",
        ]);
        workspace::run(&mut example)?;
    }
    Ok(true)
}

/// What worlds cost; the words are sizes in MiB. `--no-checks` leaves out what they cost a program that has none.
fn worlds(args: &Args) -> Result<bool> {
    let mut example = workspace::cargo();
    example.args(["run", "--quiet", "--release", "--package", "evermoon-store"]);
    example
        .args(["--example", "world_bench", "--"])
        .args(&args.words);
    workspace::run(&mut example)?;
    if args.has("no-checks") {
        return Ok(true);
    }
    checks(args.number("runs", 5)?.max(1))
}

/// What a program pays that has no world: the benchmarks under a build whose loop does not ask whether a table's contents are in a store, by turns
/// with the usual one.
fn checks(runs: usize) -> Result<bool> {
    let builds = [runner(&[])?, runner(&["--no-default-features"])?];
    let programs = workspace::files_in(&workspace::root().join("bench"), "lua")?;
    let mut best = vec![[None; 2]; programs.len()];
    for _ in 0..runs {
        for (program, best) in programs.iter().zip(&mut best) {
            for (path, best) in builds.iter().zip(best) {
                let engine = Engine {
                    name: "",
                    path: path.clone(),
                    flags: &[],
                };
                keep_best(best, &run_program(&engine, program)?, false);
            }
        }
    }
    let mut logs = 0.0;
    let mut worst = (0.0, String::new());
    for (program, best) in programs.iter().zip(&best) {
        let [Some(with), Some(without)] = best else {
            bail!("{} has no time", name_of(program));
        };
        let ratio = with.time.as_secs_f64() / without.time.as_secs_f64().max(1e-6);
        logs += ratio.ln();
        if ratio > worst.0 {
            worst = (ratio, name_of(program));
        }
    }
    let mean = (logs / programs.len() as f64).exp();
    let kept = mean <= CHECKS_MAX;
    println!(
        "| the checks that worlds need, for programs without one ({} programs, {runs} rounds, user time) | {:+.1} % | a build without them; the most: {} {:+.1} % | {:.0} % | {} |",
        programs.len(),
        (mean - 1.0) * 100.0,
        worst.1,
        (worst.0 - 1.0) * 100.0,
        (CHECKS_MAX - 1.0) * 100.0,
        if kept { "yes" } else { "**no**" }
    );
    Ok(kept)
}

/// The engine alone with the example that runs a file, in a target directory of its own for these features.
fn runner(features: &[&str]) -> Result<PathBuf> {
    let out = match features {
        [] => workspace::target(),
        _ => workspace::scratch("without-worlds")?,
    };
    let mut build = workspace::cargo();
    build
        .args(["build", "--quiet", "--release", "--package", "evermoon"])
        .args(["--example", "run_file"])
        .args(features)
        .arg("--target-dir")
        .arg(&out);
    workspace::run(&mut build)?;
    let name = format!("run_file{}", std::env::consts::EXE_SUFFIX);
    Ok(out.join("release/examples").join(name))
}

/// Compile speed on a generated source of 5 MB.
fn compile(ours: &Path, runs: usize) -> Result<bool> {
    let reference = need(&tools::LUAC)?;
    let source = workspace::scratch("bench")?.join("five_megabytes.lua");
    std::fs::write(&source, generated_source(5_000_000))?;
    let mut best = [Duration::MAX; 2];
    let file = source.to_string_lossy().into_owned();
    for _ in 0..runs {
        let ways: [(&Path, Vec<&str>); 2] = [
            (ours, vec!["--check", &file]),
            (&reference, vec!["-p", &file]),
        ];
        for (index, (path, args)) in ways.into_iter().enumerate() {
            let done = Child::new(path).args(&args).run()?;
            if !done.success() {
                bail!(
                    "{} {}: {}\n{}",
                    path.display(),
                    args.join(" "),
                    done.ending,
                    done.error_text()
                );
            }
            best[index] = best[index].min(done.user);
        }
    }
    let ratio = best[0].as_secs_f64() / best[1].as_secs_f64();
    println!(
        "5 MB of source: evermoon --check {} ms, luac5.4 -p {} ms, ratio {ratio:.2}",
        millis(Some(best[0])),
        millis(Some(best[1]))
    );
    Ok(ratio <= 1.0)
}

/// Source of about this many bytes that looks like code people write: functions, tables, loops, strings, comments.
fn generated_source(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 1024);
    text.push_str("local M = {}\n");
    let mut n: u64 = 0;
    while text.len() < bytes {
        n += 1;
        let (a, b) = (n % 97, n % 13 + 1);
        text.push_str(&format!(
            "-- Number {n}: what it does and why it is here.\n\
             function M.step_{n}(self, list, options)\n\
             \x20 local total, name = {a}, \"step {n}\"\n\
             \x20 for i = 1, #list, {b} do\n\
             \x20   local item = list[i]\n\
             \x20   if item.kind == 'k{a}' and item.weight > {a}.{b} then\n\
             \x20     total = total + item.weight * (i - {b}) % 7\n\
             \x20   elseif not item.done or options.force then\n\
             \x20     self:visit(item, {{ depth = i, tag = name .. ':' .. i, {a}, {b}, nil, true }})\n\
             \x20   else\n\
             \x20     item.next = function(x) return x and x.value or total end\n\
             \x20   end\n\
             \x20 end\n\
             \x20 while total > 0x{n:x} do total = total // 2 - 1 end\n\
             \x20 return total, name, ...\n\
             end\n"
        ).replace("(self, list, options)", "(self, list, options, ...)"));
    }
    text.push_str("return M\n");
    text
}

fn programs(args: &Args) -> Result<Vec<PathBuf>> {
    let mut programs = workspace::files_in(&workspace::root().join("bench"), "lua")?;
    programs.retain(|path| args.wants(&name_of(path)));
    if programs.is_empty() {
        bail!("no benchmark is called {}", args.words.join(" or "));
    }
    Ok(programs)
}

fn run_program(engine: &Engine, program: &Path) -> Result<Finished> {
    let dir = program.parent().context("a program has a directory")?;
    Child::new(&engine.path)
        .args(engine.flags)
        .arg(program)
        .dir(dir)
        .run()
}

fn keep_best(best: &mut Option<Best>, done: &Finished, with_system: bool) {
    let time = if with_system {
        done.user + done.system
    } else {
        done.user
    };
    let new = match *best {
        None => Best {
            time,
            peak_bytes: done.peak_bytes,
        },
        Some(old) => Best {
            time: old.time.min(time),
            peak_bytes: old.peak_bytes.min(done.peak_bytes),
        },
    };
    *best = Some(new);
}

fn millis(time: Option<Duration>) -> String {
    time.map_or("-".to_owned(), |time| {
        format!("{:.0}", time.as_secs_f64() * 1000.0)
    })
}

fn name_of(program: &Path) -> String {
    program
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}
