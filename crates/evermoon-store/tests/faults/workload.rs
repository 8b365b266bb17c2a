//! What the store is asked to do while things go wrong: commits of all shapes, leases, care, closing and opening, invented from a seed. The
//! model goes along, and the disk's log is marked with what a crash must leave.

use std::ops::ControlFlow;
use std::sync::Arc;

use evermoon_store::conformance::Model;
use evermoon_store::{Batch, Durability, RedbOptions, RedbStore, Result, Store};

use crate::dice::Dice;
use crate::disk::Disk;

/// A store on a disk, and what it must hold.
pub struct Workload {
    disk: Disk,
    options: RedbOptions,
    store: Option<RedbStore>,
    /// What the store holds now.
    pub current: Arc<Model>,
    /// What a crash may leave: the last durable state, and all later ones.
    pub allowed: Vec<Arc<Model>>,
}

/// Options that differ from seed to seed.
pub fn options(dice: &mut Dice) -> RedbOptions {
    RedbOptions {
        // A small cache makes redb write before it commits.
        cache_bytes: if dice.once_in(2) { 16 << 10 } else { 1 << 20 },
        fast_recovery: dice.once_in(3),
        ..RedbOptions::default()
    }
}

pub fn open(disk: &Disk, options: &RedbOptions) -> Result<RedbStore> {
    let disk = disk.clone();
    RedbStore::with_backend(move || Ok(disk.clone()), options.clone())
}

impl Workload {
    /// Takes up a store that is open and holds `current`.
    pub fn new(disk: Disk, options: RedbOptions, store: RedbStore, current: Arc<Model>) -> Self {
        let allowed = vec![current.clone()];
        disk.allow(&allowed);
        Workload {
            disk,
            options,
            store: Some(store),
            current,
            allowed,
        }
    }

    pub fn store(&mut self) -> Result<&mut RedbStore> {
        if self.store.is_none() {
            self.store = Some(open(&self.disk, &self.options)?);
        }
        Ok(self.store.as_mut().expect("it was opened just now"))
    }

    /// Does one thing.
    pub fn act(&mut self, dice: &mut Dice) -> Result<()> {
        match dice.below(20) {
            0 | 1 => self.change(
                Durability::Durable,
                |model| model.head.epoch += 1,
                |store, model| {
                    assert_eq!(store.lease()?, model.head.epoch);
                    Ok(())
                },
            ),
            2 => {
                let _ = self.store()?.vacuum(&mut |_| ControlFlow::Continue(()))?;
                Ok(())
            }
            3 => {
                let health = self.store()?.verify(&mut |_| ControlFlow::Continue(()))?;
                assert_eq!(health.damage, [""; 0]);
                Ok(())
            }
            4 if dice.once_in(2) => self.store()?.rest(),
            4 => {
                self.store = None;
                let head = self.store()?.head()?;
                // Closing makes relaxed commits durable, and has nobody to tell when the disk fails just then.
                let left = self.allowed.iter().find(|model| model.head == head);
                if self.disk.has_failed()
                    && let Some(model) = left
                {
                    self.current = model.clone();
                    self.allowed = vec![model.clone()];
                }
                Ok(())
            }
            _ => {
                let batch = batch(dice);
                let durability = if dice.once_in(3) {
                    Durability::Relaxed
                } else {
                    Durability::Durable
                };
                let before = self.current.head;
                self.change(
                    durability,
                    |model| model.apply(&batch),
                    |store, model| {
                        let version =
                            store.commit(before.version, before.epoch, &batch, durability)?;
                        assert_eq!(version, model.head.version);
                        Ok(())
                    },
                )
            }
        }
    }

    /// A change of the state, in the model and in the store. When the store fails, `allowed` says what may be there.
    fn change(
        &mut self,
        durability: Durability,
        plan: impl FnOnce(&mut Model),
        run: impl FnOnce(&mut RedbStore, &Model) -> Result<()>,
    ) -> Result<()> {
        let mut next = (*self.current).clone();
        plan(&mut next);
        let next = Arc::new(next);
        self.store()?;
        self.allowed.push(next.clone());
        self.disk.allow(&self.allowed);
        run(self.store()?, &next)?;
        self.current = next;
        if durability == Durability::Durable {
            self.allowed = vec![self.current.clone()];
            self.disk.allow(&self.allowed);
        }
        Ok(())
    }
}

/// A batch over few keys, so that commits meet; now and then one with much in it.
fn batch(dice: &mut Dice) -> Batch {
    let mut batch = Batch::new();
    let writes = match dice.below(10) {
        0 => 0,
        1 => 100 + dice.below(300),
        _ => 1 + dice.below(12),
    };
    // Now and then a long run of ascending keys.
    if dice.once_in(8) {
        let (first, class) = (dice.below(100) as u64, b"opx"[dice.below(3)]);
        for id in first..first + 20 + dice.below(200) as u64 {
            let mut key = vec![class];
            key.extend_from_slice(&id.to_be_bytes());
            batch.put(key, vec![id as u8; 1 + id as usize % 90]);
        }
    }
    for _ in 0..writes {
        let key = key(dice);
        match dice.below(12) {
            0 | 1 => batch.delete(key),
            2 if dice.once_in(4) => {
                let to = (!dice.once_in(3)).then(|| self::key(dice));
                batch.delete_range(key, to);
            }
            _ => {
                // Large enough now and then that the file grows, and shrinks when they are gone.
                let size = match dice.below(600) {
                    0 => 300_000 + dice.below(900_000),
                    1..20 => dice.below(70_000),
                    20..80 => dice.below(5000),
                    _ => dice.below(200),
                };
                let first = dice.next() as u8;
                let value: Vec<u8> = (0..size)
                    .map(|i| first.wrapping_add((i * 7) as u8))
                    .collect();
                batch.put(key, value);
            }
        }
    }
    batch
}

fn key(dice: &mut Dice) -> Vec<u8> {
    let mut key = vec![b"mostpbxqg"[dice.below(9)]];
    key.extend_from_slice(&(dice.below(60) as u64).to_be_bytes());
    if dice.once_in(20) {
        key.resize(1 + dice.below(900), b'k');
    }
    key
}
