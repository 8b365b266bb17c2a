//! Every call to the disk fails once, one at a time, as a broken disk fails and as a full one does. The store says what it was, has changed
//! nothing or everything, says `Closed` until it is reopened, and then goes on.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use evermoon_store::conformance::Model;
use evermoon_store::{Store, StoreError};

use crate::dice::Dice;
use crate::disk::Disk;
use crate::workload::{Workload, open, options};

const ACTIONS: usize = 8;

/// How many calls were failed, and what went wrong. Of the calls of a workload it fails every `stride`th, from another one on for each seed.
pub fn run(seeds: std::ops::Range<u64>, stride: usize) -> (usize, Vec<String>) {
    let (mut calls, mut failures) = (0, Vec::new());
    for seed in seeds {
        for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
            let mut call = 1 + seed as usize % stride;
            loop {
                let result = catch_unwind(|| one(seed, call, kind));
                let what = format!("seed {seed}, call {call}, {kind}");
                match result {
                    Ok(Ok(true)) => calls += 1,
                    // The workload needs fewer calls than that.
                    Ok(Ok(false)) => break,
                    Ok(Err(why)) => failures.push(format!("{what}: {why}")),
                    Err(_) => failures.push(format!("{what}: a panic (above)")),
                }
                if failures.len() >= 10 {
                    return (calls, failures);
                }
                call += stride;
            }
        }
    }
    (calls, failures)
}

/// Runs a workload with one failing call; false when it never came.
fn one(seed: u64, call: usize, kind: ErrorKind) -> Result<bool, String> {
    let mut dice = Dice::new(seed);
    let options = options(&mut dice);
    let disk = Disk::new(Vec::new());
    disk.fail_at(call, kind);
    let is_ours = |error: &StoreError| match kind {
        ErrorKind::StorageFull => matches!(error, StoreError::Full { .. }),
        _ => matches!(error, StoreError::Io { .. }),
    };
    let empty = Arc::new(Model::default());
    let store = match open(&disk, &options) {
        Ok(store) => store,
        Err(error) if disk.has_failed() => {
            if !is_ours(&error) {
                return Err(format!("opening said {}: {error}", error.code()));
            }
            open(&disk, &options).map_err(|e| format!("it does not open again: {e}"))?
        }
        Err(error) => return Err(format!("opening: {error}")),
    };
    let mut work = Workload::new(disk.clone(), options, store, empty);
    for _ in 0..ACTIONS {
        let Err(error) = work.act(&mut dice) else {
            continue;
        };
        if !disk.has_failed() || !is_ours(&error) {
            return Err(format!("it said {}: {error}", error.code()));
        }
        // Dropped and opened anew by the workload when that was what failed.
        let allowed = work.allowed.clone();
        let store = work
            .store()
            .map_err(|e| format!("it does not open again: {e}"))?;
        let mut other = store.clone();
        match other.head() {
            Err(StoreError::Closed { .. }) => {}
            // Opened since.
            Ok(_) => {}
            Err(error) => return Err(format!("a failed store said {}: {error}", error.code())),
        }
        other
            .reopen()
            .map_err(|e| format!("it does not reopen: {e}"))?;
        let head = store.head().map_err(|e| format!("after reopening: {e}"))?;
        let Some(model) = allowed.iter().find(|model| model.head == head) else {
            let heads: Vec<_> = allowed.iter().map(|model| model.head).collect();
            return Err(format!("it has {head:?}, allowed are {heads:?}"));
        };
        match catch_unwind(AssertUnwindSafe(|| model.difference(store))) {
            Ok(Ok(None)) => {}
            other => return Err(format!("after reopening: {other:?}")),
        }
        work.current = model.clone();
        work.allowed = vec![model.clone()];
    }
    let has_failed = disk.has_failed();
    disk.heal();
    let current = work.current.clone();
    let store = work.store().map_err(|e| format!("at the end: {e}"))?;
    match current.difference(store) {
        Ok(None) => Ok(has_failed),
        other => Err(format!("at the end: {other:?}")),
    }
}
