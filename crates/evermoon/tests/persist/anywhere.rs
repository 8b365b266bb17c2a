//! Persist anywhere: the programs of `tests/lua` with a commit after every slice, all contents let go, and every few slices a new engine over
//! the same store. What they print must be what they print undisturbed.

use super::engine::{Ended, Engine};
use super::expectations::Expectations;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug)]
pub struct Disturbance {
    pub slice: u32,
    pub evict: bool,
    /// Slices after which a new engine takes over.
    pub reopen: usize,
}

pub fn run(source: &str, name: &str, how: Option<Disturbance>) -> (Vec<u8>, Ended) {
    let slice = how.map_or(1_000_000, |how| how.slice);
    let mut e = Engine::new(slice);
    let task = match e.start(source, name) {
        Ok(task) => task,
        Err(message) => return (Vec::new(), Ended::Failed(message)),
    };
    let mut slices = 0;
    let ended = loop {
        if let Some(ended) = e.step(task) {
            break ended;
        }
        slices += 1;
        if let Some(how) = how {
            if let Err(error) = e.commit() {
                break Ended::Failed(format!("commit: {error}"));
            }
            if how.evict {
                e.vm.world_evict();
            }
            if how.reopen > 0 && slices % how.reopen == 0 {
                e = e.reopen();
            }
        }
        assert!(slices < 2_000_000, "{name} does not end");
    };
    let out = e.output.borrow().clone();
    (out, ended)
}

fn programs(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("tests/lua is there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            programs(&path, out);
        } else if path.extension().is_some_and(|e| e == "lua") {
            out.push(path);
        }
    }
    out.sort();
}

#[test]
fn shared_programs_print_the_same() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/lua");
    let mut files = Vec::new();
    programs(&root, &mut files);
    let only = std::env::var("PERSIST_ONLY").unwrap_or_default();
    let every = std::env::var("PERSIST_EVERY")
        .ok()
        .and_then(|s| s.parse().ok());
    let ways = match every {
        Some(slice) => vec![Disturbance {
            slice,
            evict: true,
            reopen: 3,
        }],
        None => vec![
            Disturbance {
                slice: 10_000,
                evict: true,
                reopen: 2,
            },
            Disturbance {
                slice: 1_000,
                evict: true,
                reopen: 20,
            },
        ],
    };
    let (mut tried, mut wrong) = (0, Vec::new());
    for path in files {
        let name = path
            .strip_prefix(&root)
            .expect("below")
            .display()
            .to_string();
        let source = std::fs::read_to_string(&path).unwrap_or_default();
        let Ok(expected) = Expectations::parse(source.as_bytes()) else {
            continue;
        };
        if expected.needs_host || !name.contains(&only) {
            continue;
        }
        let chunk = format!("@{}", path.file_name().unwrap_or_default().display());
        let undisturbed = run(&source, &chunk, None);
        for how in &ways {
            tried += 1;
            let disturbed = std::panic::catch_unwind(|| run(&source, &chunk, Some(*how)))
                .unwrap_or_else(|_| (Vec::new(), Ended::Failed("panic".into())));
            if disturbed != undisturbed {
                if std::env::var("PERSIST_ONLY").is_ok() {
                    std::fs::write("/tmp/und.txt", &undisturbed.0).ok();
                    std::fs::write("/tmp/dis.txt", &disturbed.0).ok();
                }
                wrong.push(format!(
                    "{name} {how:?}\n  undisturbed {:?} {}\n  disturbed {:?} {}",
                    undisturbed.1,
                    tail(&undisturbed.0),
                    disturbed.1,
                    tail(&disturbed.0)
                ));
            }
        }
    }
    assert!(tried > 0);
    assert!(
        wrong.is_empty(),
        "{} of {tried}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(2)..].join(" | ")
}

/// The official suite's files, with `EVERMOON_TESTES` naming their folder (`cargo xtask conformance` fetches it): those that need neither files nor the
/// system. Each must end as it does undisturbed.
#[test]
fn official_files_end_the_same() {
    let Ok(dir) = std::env::var("EVERMOON_TESTES") else {
        return;
    };
    let only = std::env::var("PERSIST_ONLY").unwrap_or_default();
    let slice = std::env::var("PERSIST_EVERY")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(10_000);
    let mut files = Vec::new();
    programs(Path::new(&dir), &mut files);
    let (mut done, mut failed_alike, mut wrong) = (0, Vec::new(), Vec::new());
    for path in files {
        let name = path.file_name().unwrap_or_default().display().to_string();
        if !name.contains(&only)
            || matches!(
                &*name,
                "all.lua"
                    | "main.lua"
                    | "heavy.lua"
                    | "files.lua"
                    | "attrib.lua"
                    | "big.lua"
                    | "verybig.lua"
            )
        {
            continue;
        }
        let Ok(bytes) = std::fs::read(&path) else {
            continue;
        };
        let Ok(source) = String::from_utf8(bytes) else {
            continue;
        };
        let source = format!(
            "_soft = true _port = true _nomsg = true {}",
            source.trim_start_matches('#')
        );
        let chunk = format!("@{name}");
        let undisturbed = run(&source, &chunk, None);
        let how = Disturbance {
            slice,
            evict: true,
            reopen: 5,
        };
        let disturbed = std::panic::catch_unwind(|| run(&source, &chunk, Some(how)))
            .unwrap_or_else(|_| (Vec::new(), Ended::Failed("panic".into())));
        match (&undisturbed.1, &disturbed.1) {
            (Ended::Done, Ended::Done) => done += 1,
            (Ended::Failed(a), Ended::Failed(b)) if a == b => failed_alike.push(name.clone()),
            (a, b) => wrong.push(format!(
                "{name}: undisturbed {a:?}, disturbed {b:?} {}",
                tail(&disturbed.0)
            )),
        }
        println!("{name}: {:?} / {:?}", undisturbed.1, disturbed.1);
    }
    println!(
        "{done} end well both ways; not here either way (they need files or the system): {failed_alike:?}"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
