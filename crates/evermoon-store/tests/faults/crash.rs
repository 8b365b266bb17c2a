//! Crashes at every write and every sync of generated workloads, and crashes again while the store recovers from the first. After each: the
//! store opens, holds exactly one of the states that the marks allow, is whole, and takes a commit.
//!
//! A state that an opened store has shown stays: a later crash may not go back behind it.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use evermoon_store::conformance::Model;
use evermoon_store::{RedbOptions, Store};

use crate::dice::Dice;
use crate::disk::{Disk, Event, Replay};
use crate::workload::{Workload, open, options};

/// The least and the most that a workload does before it is over.
const ACTIONS: (usize, usize) = (3, 16);

/// Images at each place where a crash has a choice.
const IMAGES_A_PLACE: usize = 2;

/// Places at which a recovery crashes. It has many, and there are many recoveries.
const PLACES_A_RECOVERY: usize = 4;

/// A crash in the recovery from a crash in the recovery from a crash.
const DEPTH_MAX: usize = 3;

#[derive(Default)]
pub struct Count {
    pub workloads: usize,
    pub images: usize,
    pub nested: usize,
    /// Opened images that held a state that was never acknowledged.
    pub ahead: usize,
    pub failures: Vec<String>,
}

/// Crashes until there have been so many images. `first` is the first seed; the others follow.
pub fn run(images: usize, first: u64, lies: bool) -> Count {
    let mut count = Count::default();
    let start = Instant::now();
    let mut told = 0;
    let mut seed = first;
    while count.images < images && count.failures.len() < 10 {
        workload(seed, lies, images, &mut count);
        seed += 1;
        if !lies && start.elapsed().as_secs() / 30 > told {
            told = start.elapsed().as_secs() / 30;
            println!("        {} images so far", count.images);
        }
    }
    count
}

/// The log of a workload from an empty disk on.
pub fn record(seed: u64) -> (Vec<Event>, RedbOptions) {
    let mut dice = Dice::new(seed);
    let options = options(&mut dice);
    let disk = Disk::new(Vec::new());
    let empty = Arc::new(Model::default());
    disk.allow(std::slice::from_ref(&empty));
    let store = open(&disk, &options).expect("a whole disk");
    let mut work = Workload::new(disk.clone(), options.clone(), store, empty);
    for _ in 0..ACTIONS.0 + dice.below(ACTIONS.1 - ACTIONS.0 + 1) {
        work.act(&mut dice).expect("a whole disk");
    }
    drop(work);
    (disk.take_log(), options)
}

fn workload(seed: u64, lies: bool, images_max: usize, count: &mut Count) {
    count.workloads += 1;
    let (log, options) = record(seed);
    let mut replay = Replay::new(Vec::new());
    replay.lies = lies;
    let mut crash = Crash {
        path: format!("seed {seed}"),
        options,
        dice: Dice::new(seed ^ 0xcafe),
        lies,
        images_max,
        count,
    };
    crash.everywhere(&mut replay, &log, 0);
}

struct Crash<'a> {
    /// How we came here, for the report.
    path: String,
    options: RedbOptions,
    dice: Dice,
    lies: bool,
    images_max: usize,
    count: &'a mut Count,
}

impl Crash<'_> {
    /// Crashes at each place of the log.
    fn everywhere(&mut self, replay: &mut Replay, log: &[Event], depth: usize) {
        let mut allowed = Arc::default();
        for (place, event) in log.iter().enumerate() {
            replay.step(event);
            if let Event::Allow(models) = event {
                allowed = models.clone();
            }
            if depth > 0 && self.dice.below(log.len()) >= PLACES_A_RECOVERY {
                continue;
            }
            let images = if replay.is_settled() {
                1
            } else {
                IMAGES_A_PLACE
            };
            for _ in 0..images {
                if self.count.images >= self.images_max || self.count.failures.len() >= 10 {
                    return;
                }
                let image = replay.image(&mut self.dice);
                self.count.images += 1;
                self.count.nested += usize::from(depth > 0);
                let before = self.path.len();
                self.path.push_str(&format!(
                    ", event {place} of {}, image {}",
                    log.len(),
                    self.count.images
                ));
                self.one(image, &allowed, depth);
                self.path.truncate(before);
            }
        }
    }

    /// Opens one image and looks; then perhaps crashes again in what that did.
    fn one(&mut self, image: Vec<u8>, allowed: &Arc<Vec<Arc<Model>>>, depth: usize) {
        let again = (depth < DEPTH_MAX && self.dice.once_in(20)).then(|| image.clone());
        let disk = Disk::new(image);
        disk.allow(allowed);
        let result = catch_unwind(AssertUnwindSafe(|| {
            check(&disk, &self.options, allowed, &mut self.dice)
        }));
        match result {
            Ok(Ok(is_ahead)) => self.count.ahead += usize::from(is_ahead),
            Ok(Err(why)) => self.count.failures.push(format!("{}: {why}", self.path)),
            Err(_) => self
                .count
                .failures
                .push(format!("{}: a panic (above)", self.path)),
        }
        if let Some(image) = again {
            self.path.push_str("; its recovery");
            let log = disk.take_log();
            let mut replay = Replay::new(image);
            replay.lies = self.lies;
            self.everywhere(&mut replay, &log, depth + 1);
        }
    }
}

/// Whether the store on the disk is right; true when it holds a state that nobody was promised.
fn check(
    disk: &Disk,
    options: &RedbOptions,
    allowed: &[Arc<Model>],
    dice: &mut Dice,
) -> Result<bool, String> {
    let store = open(disk, options).map_err(|e| format!("it does not open: {e}"))?;
    let head = store.head().map_err(|e| format!("it has no head: {e}"))?;
    let Some(at) = allowed.iter().position(|model| model.head == head) else {
        let heads: Vec<_> = allowed.iter().map(|model| model.head).collect();
        return Err(format!("it has {head:?}, allowed are {heads:?}"));
    };
    let difference = allowed[at]
        .difference(&store)
        .map_err(|e| format!("it cannot be read: {e}"))?;
    if let Some(difference) = difference {
        return Err(format!("as for {head:?}: {difference}"));
    }
    let mut work = Workload::new(disk.clone(), options.clone(), store, allowed[at].clone());
    let store = work.store().map_err(|e| e.to_string())?;
    if dice.once_in(3) {
        let health = store
            .verify(&mut |_| ControlFlow::Continue(()))
            .map_err(|e| format!("it cannot be verified: {e}"))?;
        if !health.is_whole() {
            return Err(format!("it is damaged: {:?}", health.damage));
        }
    }
    for _ in 0..2 {
        work.act(dice)
            .map_err(|e| format!("it does not go on: {e}"))?;
    }
    let current = work.current.clone();
    let store = work.store().map_err(|e| e.to_string())?;
    match current.difference(store) {
        Ok(None) => Ok(at > 0),
        Ok(Some(difference)) => Err(format!("after going on: {difference}")),
        Err(error) => Err(format!("after going on it cannot be read: {error}")),
    }
}
