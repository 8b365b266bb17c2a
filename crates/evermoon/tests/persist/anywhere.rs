//! Persist anywhere: programs with a commit after every slice, all contents let go, and every few slices a new engine over the same store. What they
//! print, how they end, and the snapshot of the world that they leave must be what they are undisturbed, byte for byte.
//!
//! Short in every `cargo test` (the programs of `tests/lua`); at length by `cargo xtask faults anywhere`, which runs the official suite too.

use super::disturbed::{Disturbance, Program, keep, run};
use super::engine::{Ended, Files};
use super::expectations::Expectations;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

fn find(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            find(&path, out);
        } else if path.extension().is_some_and(|e| e == "lua") {
            out.push(path);
        }
    }
    out.sort();
}

/// `PERSIST_ONLY` in a program's name, for those who look for a fault.
fn only() -> String {
    std::env::var("PERSIST_ONLY").unwrap_or_default()
}

/// `PERSIST_WITHOUT`: the program of this name is left out, for those who have less time than it takes.
fn left_out(program: &Program) -> bool {
    std::env::var("PERSIST_WITHOUT").is_ok_and(|name| name == program.name)
}

fn shared_programs() -> Vec<Program> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/lua");
    let mut files = Vec::new();
    find(&root, &mut files);
    let program = |path: PathBuf| {
        let name = path.strip_prefix(&root).expect("below");
        let source = std::fs::read(&path).expect("it is there");
        let expected = Expectations::parse(&source).expect("it says what it expects");
        (!expected.needs_host).then(|| Program {
            name: name.display().to_string(),
            chunk: format!("@{}", path.file_name().unwrap_or_default().display()),
            sources: vec![source],
            files: Files::default(),
        })
    };
    files.into_iter().filter_map(program).collect()
}

/// Files of the official suite that are not run here, and why.
const NOT_HERE: [(&str, &str); 10] = [
    ("all.lua", "runs the others"),
    (
        "main.lua",
        "runs the command by the shell; what it starts are worlds of their own",
    ),
    (
        "files.lua",
        "an open file does not outlive its process (docs/persistence.md)",
    ),
    (
        "attrib.lua",
        "writes files, which it has open across many instructions",
    ),
    (
        "verybig.lua",
        "writes a file, which it has open across many instructions",
    ),
    ("api.lua", "tests the C API: returns at once without T"),
    (
        "code.lua",
        "compares PUC's opcodes: returns at once without T",
    ),
    (
        "heavy.lua",
        "fills all memory of the machine; not part of all.lua either",
    ),
    ("bwcoercion.lua", "a module that bitwise.lua loads"),
    ("tracegc.lua", "a module that gc.lua loads"),
];

/// Programs whose world at the end is another when they are disturbed, and why. Everything else about them is the same. A program that is here without need
/// fails the test.
const OTHER_WORLD: [(&str, &str); 0] = [];

/// Passages of the official suite that are cut out here, from a text to a text: file, from, to. Why: `%p` of a string, which has a value and no identity that a store keeps.
const CUTS: [(&str, &str, &str); 1] = [(
    "pm.lua",
    "do   -- test reuse of original string in gsub",
    "assert(r == s and string.format(\"%p\", s) ~= string.format(\"%p\", r))\nend",
)];

fn cut(name: &str, mut source: Vec<u8>) -> Vec<u8> {
    for (_, from, to) in CUTS.iter().filter(|(file, ..)| *file == name) {
        let find = |what: &str, after: usize| {
            let at = source[after..]
                .windows(what.len())
                .position(|w| w == what.as_bytes());
            at.map(|at| after + at)
                .unwrap_or_else(|| panic!("{name} has no text '{what}'"))
        };
        let begin = find(from, 0);
        let end = find(to, begin) + to.len();
        // Messages point into the original.
        let lines = source[begin..end].iter().filter(|&&b| b == b'\n').count();
        source.splice(begin..end, std::iter::repeat_n(b'\n', lines));
    }
    source
}

/// The official suite's files, as `cargo xtask conformance` has them, passages cut and all.
fn official_files(dir: &Path) -> Vec<Program> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).expect("the suite is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|e| e == "lua") {
            paths.push(path);
        }
    }
    paths.sort();
    let soft = std::env::var("EVERMOON_TESTES_SOFT").is_ok();
    let prelude = format!(
        "debug = nil; _soft = {}; function Message(m) print(); print('<<skipped>> ' .. m:gsub('%s+', ' ')) end",
        if soft { "true" } else { "nil" }
    );
    let program = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().display().to_string();
        if NOT_HERE.iter().any(|(not, _)| *not == name) {
            return None;
        }
        let source = if name == "big.lua" {
            // It yields, and must be resumed once.
            b"local f = coroutine.wrap(assert(loadfile('big.lua'))) if not _soft then assert(f() == 'b') end assert(f() == 'a')".to_vec()
        } else {
            cut(&name, std::fs::read(&path).expect("it is there"))
        };
        Some(Program {
            chunk: format!("@{name}"),
            name,
            sources: vec![prelude.clone().into_bytes(), source],
            files: Files(Some(dir.to_path_buf())),
        })
    };
    paths.into_iter().filter_map(program).collect()
}

/// Runs programs in all ways, on all cores; says what it has done, and fails if anything was not the same.
fn all_the_same(programs: Vec<Program>, ways: &[Disturbance], must_end_well: bool) {
    let only = only();
    let programs: Vec<Program> = programs
        .into_iter()
        .filter(|p| p.name.contains(&only) && !left_out(p))
        .collect();
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let (runs, alike) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let one = |program: &Program| {
        let began = Instant::now();
        let undisturbed = run(program, None);
        let mut say = vec![format!("{:.1} s", began.elapsed().as_secs_f64())];
        if must_end_well && undisturbed.ended != Ended::Done {
            let how = format!("{}: undisturbed {:?}", program.name, undisturbed.ended);
            wrong.lock().expect("no panic").push(how);
        }
        let listed = OTHER_WORLD.iter().any(|(name, _)| *name == program.name);
        let mut needed = false;
        for how in ways {
            let began = Instant::now();
            let disturbed = std::panic::catch_unwind(|| run(program, Some(*how)));
            runs.fetch_add(1, Ordering::Relaxed);
            say.push(format!("{:.1} s", began.elapsed().as_secs_f64()));
            let mut difference = match &disturbed {
                Ok(disturbed) => undisturbed.difference(disturbed),
                Err(_) => "it panics".to_owned(),
            };
            if listed && difference.starts_with("its world differs") {
                needed = true;
                difference.clear();
            }
            if difference.is_empty() {
                alike.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            if let (false, Ok(disturbed)) = (only.is_empty(), &disturbed) {
                keep(&undisturbed, "undisturbed");
                keep(disturbed, "disturbed");
            }
            let text = format!("{} {how:?}\n  {difference}", program.name);
            wrong.lock().expect("no panic").push(text);
        }
        if listed && !needed {
            let text = format!("{} need not be in OTHER_WORLD", program.name);
            wrong.lock().expect("no panic").push(text);
        }
        println!("{}: {}", program.name, say.join(", "));
    };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let work = || {
                while let Some(program) = programs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    one(program);
                }
            };
            std::thread::Builder::new()
                .stack_size(16 << 20)
                .spawn_scoped(scope, work)
                .expect("a thread");
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    println!(
        "{} programs, {} disturbed runs, {} the same in output, end and world",
        programs.len(),
        runs.load(Ordering::Relaxed),
        alike.load(Ordering::Relaxed)
    );
    assert!(!programs.is_empty());
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Slices of both sizes that the issue names, and the smaller ones over a store that answers later. The reloads are as frequent as the time allows.
fn ways(reopen: [usize; 3]) -> Vec<Disturbance> {
    let every = std::env::var("PERSIST_EVERY")
        .ok()
        .and_then(|s| s.parse().ok());
    let late = std::env::var("PERSIST_LATE").is_ok();
    let ways = [(10_000, false), (1_000, false), (1_000, true)];
    let ways = std::iter::zip(ways, reopen).map(|((slice, late), reopen)| Disturbance {
        slice,
        evict: true,
        reopen,
        late,
    });
    match every {
        Some(slice) => vec![Disturbance {
            slice,
            evict: true,
            reopen: 1,
            late,
        }],
        None => ways.collect(),
    }
}

#[test]
fn shared_programs_are_the_same() {
    all_the_same(shared_programs(), &ways([2, 20, 20]), false);
}

/// What closes variables, calls hooks and unwinds has steps of its own, in which a store may be asked and between which a slice may end: slices of a few
/// instructions meet them all.
#[test]
fn closing_hooks_and_unwinding_in_small_steps() {
    let mut programs = shared_programs();
    let names = ["clos", "hook", "caught_with"];
    programs.retain(|p| names.iter().any(|name| p.name.contains(name)));
    let how = Disturbance {
        slice: 3,
        evict: true,
        reopen: 1,
        late: true,
    };
    all_the_same(programs, &[how], false);
}

/// The same with a new engine after every slice.
#[test]
#[ignore = "long: cargo xtask faults anywhere"]
fn shared_programs_are_the_same_with_a_new_engine_every_time() {
    all_the_same(shared_programs(), &ways([1, 1, 20]), false);
}

/// The official suite, with `EVERMOON_TESTES` naming its folder.
#[test]
#[ignore = "long: cargo xtask faults anywhere"]
fn official_files_are_the_same() {
    let dir = std::env::var("EVERMOON_TESTES").expect("EVERMOON_TESTES names the suite's folder");
    for (name, why) in NOT_HERE {
        println!("not here: {name}: {why}");
    }
    all_the_same(official_files(Path::new(&dir)), &ways([1, 1, 20]), true);
}
