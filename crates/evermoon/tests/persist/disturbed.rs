//! A program that is disturbed: a commit after every slice, all contents let go, and every few slices a new engine over the same store; and what it
//! has done, to be compared. `fuzz/src/bin/persist.rs` uses this file too.

use super::engine::{Ended, Engine, Files};

#[derive(Clone, Copy, Debug)]
pub struct Disturbance {
    pub slice: u32,
    pub evict: bool,
    /// Slices after which a new engine takes over.
    pub reopen: usize,
    /// The store answers later, each time that something is asked for after a commit.
    pub late: bool,
}

/// What a program has done.
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome {
    pub output: Vec<u8>,
    pub ended: Ended,
    /// The world that it has left; or why it cannot be stored.
    pub snapshot: Result<Vec<u8>, String>,
}

impl Outcome {
    /// How another outcome differs; empty if it does not.
    pub fn difference(&self, other: &Outcome) -> String {
        let mut all = Vec::new();
        if self.ended != other.ended {
            all.push(format!(
                "it ends as {:?}, not {:?}",
                other.ended, self.ended
            ));
        }
        if self.output != other.output {
            all.push(format!(
                "it prints … {}, not … {}",
                tail(&other.output),
                tail(&self.output)
            ));
        }
        match (&self.snapshot, &other.snapshot) {
            (Ok(one), Ok(two)) if one != two => all.push(format!(
                "its world differs ({} and {} bytes)",
                one.len(),
                two.len()
            )),
            (Ok(_), Ok(_)) => {}
            (one, two) if one != two => {
                let (one, two) = (one.as_ref().err(), two.as_ref().err());
                all.push(format!("its world: {two:?}, not {one:?}"));
            }
            _ => {}
        }
        all.join("; ")
    }
}

/// A program to run.
#[derive(Clone)]
pub struct Program {
    pub name: String,
    pub chunk: String,
    /// Run one after the other, the first few to prepare the world.
    pub sources: Vec<Vec<u8>>,
    /// Where it finds files to read.
    pub files: Files,
}

impl Program {
    pub fn new(name: &str, source: &str) -> Program {
        Program {
            name: name.to_owned(),
            chunk: name.to_owned(),
            sources: vec![source.as_bytes().to_vec()],
            files: Files::default(),
        }
    }
}

pub fn run(program: &Program, how: Option<Disturbance>) -> Outcome {
    let slice = how.map_or(1_000_000, |how| how.slice);
    let mut e = Engine::with_files(slice, program.files.clone());
    let mut slices = 0;
    let mut ended = Ended::Done;
    for source in &program.sources {
        let task = match e.start(source, &program.chunk) {
            Ok(task) => task,
            Err(message) => {
                ended = Ended::Failed(message);
                break;
            }
        };
        ended = loop {
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
                    e = if how.late {
                        e.over_a_late_store()
                    } else {
                        e.reopen()
                    };
                }
            }
            assert!(slices < 20_000_000, "{} does not end", program.name);
        };
        if ended != Ended::Done {
            break;
        }
    }
    let snapshot = match e.commit() {
        Ok(_) => e.snapshot(),
        Err(error) => Err(error.to_string()),
    };
    let output = e.output.borrow().clone();
    Outcome {
        output,
        ended,
        snapshot,
    }
}

fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(2)..].join(" | ")
}

/// What a program has done, in files to compare.
pub fn keep(outcome: &Outcome, name: &str) {
    let dir = std::env::temp_dir();
    std::fs::write(dir.join(format!("{name}.out")), &outcome.output).ok();
    if let Ok(snapshot) = &outcome.snapshot {
        std::fs::write(dir.join(format!("{name}.snapshot")), snapshot).ok();
    }
}
