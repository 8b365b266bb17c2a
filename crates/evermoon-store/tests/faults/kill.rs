//! A child process commits for its life and says so; we kill it (`kill -9`) at some moment, open its world, and look for what it has said.
//!
//! The content of a version is the same whoever commits it, so the children go on from one another.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use evermoon_store::conformance::Model;
use evermoon_store::{Batch, Durability, RedbOptions, RedbStore, Store};

use crate::dice::Dice;

/// What the version writes.
fn batch(version: u64) -> Batch {
    let mut dice = Dice::new(version);
    let mut batch = Batch::new();
    batch.put("version", version.to_be_bytes());
    for _ in 0..1 + dice.below(40) {
        let key = format!("o{:04}", dice.below(2000));
        if dice.once_in(4) {
            batch.delete(key);
        } else {
            let limit = if dice.once_in(10) { 20_000 } else { 200 };
            let size = dice.below(limit);
            batch.put(key, vec![version as u8; size]);
        }
    }
    batch
}

fn open(path: &Path) -> Result<RedbStore, String> {
    // A dead child's lock is gone when the kernel has taken it down.
    RedbStore::open_waiting(path, RedbOptions::default(), Duration::from_secs(10))
        .map_err(|e| e.to_string())
}

/// The child: takes the lease, commits until it is killed, writes each version that is durable to its output.
pub fn child(path: &Path) -> Result<(), String> {
    let mut store = open(path)?;
    let epoch = store.lease().map_err(|e| e.to_string())?;
    let mut version = store.head().map_err(|e| e.to_string())?.version;
    let mut out = std::io::stdout();
    loop {
        let next = version + 1;
        // Relaxed ones in between, which nobody is told of.
        let durability = if next.is_multiple_of(5) {
            Durability::Relaxed
        } else {
            Durability::Durable
        };
        version = store
            .commit(version, epoch, &batch(next), durability)
            .map_err(|e| e.to_string())?;
        if durability == Durability::Durable {
            writeln!(out, "{version}").map_err(|e| e.to_string())?;
        }
    }
}

pub struct Count {
    pub kills: usize,
    pub versions: u64,
    /// The world held a commit that its child had not come to report.
    pub ahead: usize,
}

pub fn run(kills: usize, seed: u64, directory: &Path) -> Result<Count, String> {
    let path = directory.join(format!("evermoon-kill-{}.world", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let result = run_in(kills, seed, &path);
    if result.is_ok() {
        let _ = std::fs::remove_file(&path);
    }
    result.map_err(|why| format!("{why} (seed {seed}, the world is {})", path.display()))
}

fn run_in(kills: usize, seed: u64, path: &Path) -> Result<Count, String> {
    let mut dice = Dice::new(seed);
    let mut model = Model {
        head: Default::default(),
        entries: BTreeMap::new(),
    };
    let mut count = Count {
        kills: 0,
        versions: 0,
        ahead: 0,
    };
    for kill in 0..kills {
        let me = std::env::current_exe().map_err(|e| e.to_string())?;
        let mut child = Command::new(me)
            .arg("--child-kill")
            .arg(path)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| e.to_string())?;
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        // Some die young (in the middle of opening), the others after some commits and a moment.
        let reports = if dice.once_in(4) {
            0
        } else {
            1 + dice.below(12)
        };
        let mut told = 0;
        let mut hear = |line: std::io::Result<String>| {
            let line = line.unwrap_or_default();
            // The last line may be torn off.
            told = line.parse().unwrap_or(told).max(told);
        };
        lines.by_ref().take(reports).for_each(&mut hear);
        std::thread::sleep(Duration::from_micros(dice.below(12_000) as u64));
        child.kill().map_err(|e| e.to_string())?;
        child.wait().map_err(|e| e.to_string())?;
        lines.for_each(&mut hear);
        if told < reports as u64 {
            return Err(format!("child {kill} ended by itself after version {told}"));
        }

        let store = open(path).map_err(|e| format!("after kill {kill} it does not open: {e}"))?;
        let head = store.head().map_err(|e| e.to_string())?;
        if head.version < told.max(model.head.version) {
            return Err(format!(
                "after kill {kill} it is at version {}, the child was told of {told}",
                head.version
            ));
        }
        count.ahead += usize::from(head.version > told.max(model.head.version));
        while model.head.version < head.version {
            let next = batch(model.head.version + 1);
            model.apply(&next);
        }
        // A child may have died before or after its lease.
        if head.epoch < model.head.epoch || head.epoch > model.head.epoch + 1 {
            return Err(format!(
                "after kill {kill} its epoch went from {} to {}",
                model.head.epoch, head.epoch
            ));
        }
        model.head.epoch = head.epoch;
        if let Some(difference) = model.difference(&store).map_err(|e| e.to_string())? {
            return Err(format!("after kill {kill} at {head:?}: {difference}"));
        }
        count.kills += 1;
        count.versions = head.version;
    }
    Ok(count)
}
