//! Runs the programs of `tests/lua` under a `lua` command and checks what they print against their own comments.
//!
//! Each runs in its own directory under its bare file name, so that messages (`errors.lua:3: …`) are the same wherever
//! the repository lies.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::child::{Child, Ending, Finished};
use crate::expectations::{Expectations, Outcome};
use crate::tally::Tally;
use crate::{packages, tools, workspace};

/// A program and its name as people type it: `strings/format_quoted`.
struct Program {
    name: String,
    path: PathBuf,
}

/// Whom the programs are tried on, which decides what is passed over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Our own binary: nothing is.
    Evermoon,
    /// Our own, built so that it collects or shrinks its limits at unusual times: those that watch the collector.
    Stressed,
    /// The module, under a host without files, clock or command: those that need them.
    Bare,
    /// The npm package's command: those that need what it has not.
    Node,
    /// The reference: those that are only Evermoon's, or that ask for a newer reference.
    Reference,
}

/// Programs that the npm package's command does not run besides those that need a host in full (its `io` and `os` are its own), and why.
const NOT_IN_NODE: [(&str, &str); 1] = [(
    "gc/finalizers",
    "its command does not call em_close, so finalizers do not run at the end",
)];

/// Runs all programs whose name has one of the words.
pub fn run_all(lua: &Path, words: &[String], subject: Subject) -> Result<Tally> {
    run_command(&[lua.to_path_buf()], words, subject)
}

/// The same under a command with arguments.
fn run_command(lua: &[PathBuf], words: &[String], subject: Subject) -> Result<Tally> {
    let version = if subject == Subject::Reference {
        version_of(lua)?
    } else {
        String::new()
    };
    let mut tally = Tally::new();
    let mut passed_over: Vec<&str> = Vec::new();
    let programs = programs()?;
    for program in &programs {
        if !words.is_empty()
            && !words
                .iter()
                .any(|word| program.name.contains(word.as_str()))
        {
            continue;
        }
        let source = std::fs::read(&program.path)?;
        let expected = match Expectations::parse(&source) {
            Ok(expected) => expected,
            Err(why) => {
                tally.record_quietly(&program.name, Err(why));
                continue;
            }
        };
        let newer = || {
            expected
                .reference
                .as_ref()
                .is_some_and(|wanted| !version.contains(wanted.as_str()))
        };
        let passed_over_here = match subject {
            Subject::Evermoon => false,
            Subject::Stressed => expected.watches_collector,
            Subject::Bare => expected.needs_host,
            Subject::Node => {
                expected.needs_host || NOT_IN_NODE.iter().any(|(name, _)| *name == program.name)
            }
            Subject::Reference => expected.evermoon_only.is_some() || newer(),
        };
        if passed_over_here {
            passed_over.push(&program.name);
            continue;
        }
        let done = run_one(lua, &program.path)?;
        tally.record_quietly(&program.name, check(&expected, &done));
    }
    let note = match passed_over.len() {
        0 => String::new(),
        count => format!(", {count} not for this one ({})", passed_over.join(", ")),
    };
    if subject == Subject::Node {
        for (name, why) in NOT_IN_NODE {
            println!("not run: {name}: {why}");
        }
    }
    println!(
        "tests/lua under {}: {} passed, {} failed{note}",
        shown(lua),
        tally.passed,
        tally.failed
    );
    Ok(tally)
}

fn shown(command: &[PathBuf]) -> String {
    let words: Vec<_> = command.iter().map(|path| path.to_string_lossy()).collect();
    words.join(" ")
}

fn run_one(lua: &[PathBuf], path: &Path) -> Result<Finished> {
    let dir = path.parent().context("a program has a directory")?;
    let file = path.file_name().context("a program has a name")?;
    Child::of(lua)
        .arg(file)
        .dir(dir)
        .limit(Duration::from_secs(120))
        .run()
}

fn check(expected: &Expectations, done: &Finished) -> Result<(), String> {
    let error = match done.ending {
        Ending::Exit(0) => None,
        Ending::Exit(1) => Some(done.stderr.as_slice()),
        other => return Err(format!("{other}\n{}", done.error_text())),
    };
    expected.check(&Outcome {
        stdout: &done.stdout,
        error,
    })
}

fn programs() -> Result<Vec<Program>> {
    let root = workspace::root().join("tests/lua");
    let mut chapters: Vec<PathBuf> = Vec::new();
    for entry in
        std::fs::read_dir(&root).with_context(|| format!("cannot list {}", root.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            chapters.push(path);
        }
    }
    chapters.sort();
    let mut programs = Vec::new();
    for chapter in chapters {
        for path in workspace::files_in(&chapter, "lua")? {
            let name = path
                .strip_prefix(&root)?
                .with_extension("")
                .to_string_lossy()
                .into_owned();
            programs.push(Program { name, path });
        }
    }
    Ok(programs)
}

fn version_of(lua: &[PathBuf]) -> Result<String> {
    let done = Child::of(lua).arg("-v").run()?;
    Ok(String::from_utf8_lossy(&done.stdout).into_owned() + &done.error_text())
}

/// Runs them through `dist/evermoon-world.wasm`, under the `lua` command that `crates/evermoon-wasm-host` makes of it. (The package's command runs
/// them through `dist/evermoon.wasm`: `run_node`.)
pub fn run_wasm(words: &[String]) -> Result<Tally> {
    let module = workspace::world_module()?;
    println!("{} under wasmi:", module.display());
    run_all(
        &workspace::build_example("evermoon-wasm-host", "lua")?,
        words,
        Subject::Bare,
    )
}

/// Runs them through the npm package's command in Node, whose module is the one without worlds.
pub fn run_node(words: &[String]) -> Result<Tally> {
    run_command(&packages::command()?, words, Subject::Node)
}

/// Asks the reference too: our expectations must be Lua's.
pub fn run_reference(words: &[String], lua: Option<&str>) -> Result<Tally> {
    let lua = match lua {
        Some(given) => workspace::found(given)?,
        None => tools::need(&tools::LUA)?,
    };
    run_all(&lua, words, Subject::Reference)
}
