//! Two processes race for one world: each looks at the head, lets go of the file, comes back, and tries to commit upon what it saw, under the
//! lease it had or found; now and then it takes the lease. Whatever the order: no version is ever committed by both.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use evermoon_store::{Batch, Durability, RedbOptions, RedbStore, Scan, Store, StoreError};

use crate::dice::Dice;

/// What a racer tells of a turn.
const WON: &str = "won";
const CONFLICT: &str = "conflict";
const FENCED: &str = "fenced";

/// Opens the world and lets go of it, counting how often another had it.
fn turn<T>(
    path: &Path,
    busy: &mut u64,
    work: impl FnOnce(&mut RedbStore) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    loop {
        match RedbStore::open(path, RedbOptions::default()) {
            Ok(mut store) => return work(&mut store),
            Err(StoreError::Busy { .. }) => {
                *busy += 1;
                std::thread::sleep(Duration::from_micros(300));
            }
            Err(error) => return Err(error),
        }
    }
}

/// A racer: so many tries to commit, each told in a line.
pub fn child(path: &Path, me: &str, turns: usize) -> Result<(), String> {
    let mut dice = Dice::new(me.bytes().map(u64::from).sum());
    let mut busy = 0;
    let mut epoch = 0;
    for _ in 0..turns {
        let head = turn(path, &mut busy, |store| {
            let head = store.head()?;
            match dice.below(4) {
                0 => epoch = store.lease()?,
                // Two who believe that they have the same lease: the version must part them.
                1 | 2 => epoch = head.epoch,
                // The one from before, ours or not any more.
                _ => {}
            }
            Ok(head)
        })
        .map_err(|e| e.to_string())?;
        // Time for the other to come in between.
        if dice.once_in(2) {
            std::thread::sleep(Duration::from_micros(dice.below(8000) as u64));
        }
        let mut batch = Batch::new();
        batch.put((head.version + 1).to_be_bytes(), me);
        let durability = Durability::Durable;
        let result = turn(path, &mut busy, |store| {
            store.commit(head.version, epoch, &batch, durability)
        });
        match result {
            Ok(version) => println!("{WON} {version}"),
            Err(StoreError::Conflict { .. }) => println!("{CONFLICT}"),
            Err(StoreError::Fenced { .. }) => {
                println!("{FENCED}");
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    println!("busy {busy}");
    Ok(())
}

#[derive(Default)]
pub struct Count {
    pub turns: usize,
    pub won: usize,
    pub conflict: usize,
    pub fenced: usize,
    pub busy: u64,
}

pub fn run(turns: usize, directory: &Path) -> Result<Count, String> {
    let path = directory.join(format!("evermoon-race-{}.world", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let me = std::env::current_exe().map_err(|e| e.to_string())?;
    let racers: Vec<_> = ["red", "blue"]
        .map(|name| {
            let child = Command::new(&me)
                .arg("--child-race")
                .arg(&path)
                .arg(name)
                .arg(turns.div_ceil(2).to_string())
                .stdout(Stdio::piped())
                .spawn();
            (name, child)
        })
        .into_iter()
        .collect();
    let mut count = Count::default();
    let mut winners = BTreeMap::new();
    // Both write less than a pipe holds back only if we read both; so each is read in its own thread.
    let outputs: Vec<_> = racers
        .into_iter()
        .map(|(name, child)| {
            let child = child.map_err(|e| e.to_string());
            std::thread::spawn(move || {
                let output = child?.wait_with_output().map_err(|e| e.to_string())?;
                if !output.status.success() {
                    return Err(format!("{name} ended with {}", output.status));
                }
                Ok((name, String::from_utf8_lossy(&output.stdout).into_owned()))
            })
        })
        .collect();
    for output in outputs {
        let (name, text) = output.join().map_err(|_| "a panic (above)".to_owned())??;
        for line in text.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                (WON, version) => {
                    count.won += 1;
                    let version: u64 = version
                        .parse()
                        .map_err(|_| format!("{name} said '{line}'"))?;
                    if let Some(other) = winners.insert(version, name) {
                        return Err(format!(
                            "version {version} was committed by {other} and by {name}"
                        ));
                    }
                }
                (CONFLICT, _) => count.conflict += 1,
                (FENCED, _) => count.fenced += 1,
                ("busy", times) => count.busy += times.parse::<u64>().unwrap_or(0),
                _ => return Err(format!("{name} said '{line}'")),
            }
        }
    }
    count.turns = count.won + count.conflict + count.fenced;
    // What they said is what the world holds.
    let store = RedbStore::open(&path, RedbOptions::default()).map_err(|e| e.to_string())?;
    let head = store.head().map_err(|e| e.to_string())?;
    let held: BTreeMap<u64, String> = store
        .scan(Scan::all())
        .map_err(|e| e.to_string())?
        .into_iter()
        .map(|(key, value)| {
            let version = u64::from_be_bytes(key.try_into().unwrap_or_default());
            (version, String::from_utf8_lossy(&value).into_owned())
        })
        .collect();
    let said: BTreeMap<u64, String> = winners
        .into_iter()
        .map(|(v, n)| (v, n.to_owned()))
        .collect();
    if held != said || head.version != said.len() as u64 {
        return Err(format!(
            "the world has {} versions and {} entries, the racers won {}",
            head.version,
            held.len(),
            said.len()
        ));
    }
    if turns > 100 && [count.won, count.conflict, count.fenced].contains(&0) {
        return Err(format!(
            "it was no race: {} won, {} in conflict, {} fenced off",
            count.won, count.conflict, count.fenced
        ));
    }
    drop(store);
    let _ = std::fs::remove_file(&path);
    Ok(count)
}
