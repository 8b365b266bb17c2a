//! Bytes that change on the disk while nobody looks. The store need not notice when it reads (the engine's records have their own checksums),
//! but nothing panics, nothing hangs, and `verify` names damage unless the contents are those of some version, whole.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use evermoon_store::conformance::Model;
use evermoon_store::{Batch, Scan, Store, StoreError};

use crate::dice::Dice;
use crate::disk::{Disk, Replay};
use crate::workload::{Workload, open, options};

#[derive(Default)]
pub struct Count {
    pub images: usize,
    /// It does not open.
    pub refused: usize,
    /// It opens, and `verify` says that there is damage.
    pub named: usize,
    /// It holds an earlier state, whole: the flips hit the last commit, or the header.
    pub rolled_back: usize,
    /// The flips hit nothing that is in use.
    pub unharmed: usize,
    pub failures: Vec<String>,
}

pub fn run(images: usize, first: u64) -> Count {
    let mut count = Count::default();
    let mut seed = first;
    while count.images < images && count.failures.len() < 10 {
        let mut dice = Dice::new(seed);
        let options = options(&mut dice);
        let disk = Disk::new(Vec::new());
        let store = open(&disk, &options).expect("a whole disk");
        let mut work = Workload::new(
            disk.clone(),
            options.clone(),
            store,
            Arc::new(Model::default()),
        );
        let mut history = vec![work.current.clone()];
        for _ in 0..12 {
            work.act(&mut dice).expect("a whole disk");
            history.push(work.current.clone());
        }
        // Half of them closed properly, half as a crash leaves them.
        let log = if dice.once_in(2) {
            drop(work);
            disk.take_log()
        } else {
            let log = disk.take_log();
            drop(work);
            log
        };
        let mut replay = Replay::new(Vec::new());
        log.iter().for_each(|event| replay.step(event));
        for flip in 0..20 {
            let mut image = replay.image(&mut dice);
            let what = spoil(&mut image, &mut dice);
            count.images += 1;
            let disk = Disk::new(image);
            let result = catch_unwind(AssertUnwindSafe(|| look(&disk, &options, &history)));
            match result {
                Ok(Ok(Found::Refused)) => count.refused += 1,
                Ok(Ok(Found::Named)) => count.named += 1,
                Ok(Ok(Found::RolledBack)) => count.rolled_back += 1,
                Ok(Ok(Found::Unharmed)) => count.unharmed += 1,
                Ok(Err(why)) => count
                    .failures
                    .push(format!("seed {seed}, flip {flip} ({what}): {why}")),
                Err(_) => count.failures.push(format!(
                    "seed {seed}, flip {flip} ({what}): a panic (above)"
                )),
            }
        }
        seed += 1;
    }
    count
}

/// Changes something, and says what.
fn spoil(image: &mut Vec<u8>, dice: &mut Dice) -> String {
    if image.is_empty() {
        return "nothing".to_owned();
    }
    // Pages with something in them, rather than the empty room at the end.
    let mut at = dice.below(image.len());
    for _ in 0..50 {
        if image[at] != 0 {
            break;
        }
        at = dice.below(image.len());
    }
    match dice.below(8) {
        0 => {
            let size = dice.below(4096).min(image.len() - at);
            image[at..at + size].fill(0);
            format!("{size} zeros at {at}")
        }
        1 => {
            let page = at / 4096 * 4096;
            let end = (page + 4096).min(image.len());
            image[page..end]
                .iter_mut()
                .for_each(|byte| *byte = dice.next() as u8);
            format!("noise in the page at {page}")
        }
        2 => {
            image.truncate(at);
            format!("cut off at {at}")
        }
        3 => {
            let at = dice.below(320.min(image.len()));
            image[at] ^= 1 << dice.below(8);
            format!("a bit of the header at {at}")
        }
        _ => {
            image[at] ^= 1 << dice.below(8);
            format!("a bit at {at}")
        }
    }
}

enum Found {
    Refused,
    Named,
    RolledBack,
    Unharmed,
}

fn look(
    disk: &Disk,
    options: &evermoon_store::RedbOptions,
    history: &[Arc<Model>],
) -> Result<Found, String> {
    let mut store = match open(disk, options) {
        Ok(store) => store,
        Err(
            StoreError::Corrupt { .. }
            | StoreError::NotAStore { .. }
            | StoreError::Format { .. }
            | StoreError::Io { .. },
        ) => return Ok(Found::Refused),
        Err(error) => return Err(format!("opening said {}: {error}", error.code())),
    };
    // Whatever these say, they come back.
    let is = |model: &Arc<Model>| matches!(model.difference(&store), Ok(None));
    let model = history.last().expect("it begins with the empty state");
    let same = is(model);
    let rolled_back = !same && history.iter().any(is);
    let _ = store.scan(Scan::all().reversed().limit(100));
    for key in model.entries.keys().take(20) {
        let _ = store.get(key);
    }
    if store.head().is_err() {
        let _ = store.reopen();
    }
    let verified = store.verify(&mut |_| ControlFlow::Continue(()));
    if let Ok(head) = store.head() {
        let mut batch = Batch::new();
        batch.put("after", "damage");
        let _ = store.commit(head.version, head.epoch, &batch, Default::default());
    }
    match verified {
        // After a crash a damaged last commit looks like one that had not come to its end.
        Ok(health) if health.is_whole() && rolled_back => Ok(Found::RolledBack),
        Ok(health) if health.is_whole() && !same => Err("nobody noticed".to_owned()),
        Ok(health) if health.is_whole() => Ok(Found::Unharmed),
        _ => Ok(Found::Named),
    }
}
