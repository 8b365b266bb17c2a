//! The store against a plain map: operations that proptest invents, the same answers from both after each.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{TestWorld, Worlds};
use crate::batch::{Batch, Op};
use crate::error::{Result, StoreError};
use crate::store::{Durability, Entry, Head, Scan, Store};

/// What a store is, said with the standard library.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Model {
    pub head: Head,
    /// Shared between the states of a history.
    pub entries: BTreeMap<Vec<u8>, Arc<[u8]>>,
}

impl Model {
    /// A commit.
    pub fn apply(&mut self, batch: &Batch) {
        for op in batch.ops() {
            match op {
                Op::Put { key, value } => {
                    self.entries.insert(key.to_vec(), value.into());
                }
                Op::Delete { key } => {
                    self.entries.remove(key);
                }
                Op::DeleteRange { from, to } => {
                    self.entries
                        .retain(|key, _| &key[..] < from || to.is_some_and(|to| &key[..] >= to));
                }
            }
        }
        self.head.version += 1;
    }

    /// What is different in `store`, if anything is.
    pub fn difference(&self, store: &dyn Store) -> Result<Option<String>> {
        let head = store.head()?;
        if head != self.head {
            return Ok(Some(format!("it has {head:?}, not {:?}", self.head)));
        }
        let mut expected = self.entries.iter();
        let mut found = None;
        store.visit(Scan::all(), &mut |key, value| match expected.next() {
            Some((k, v)) if k == key && **v == *value => ControlFlow::Continue(()),
            other => {
                let other = other.map(|(k, v)| (k.escape_ascii().to_string(), v.len()));
                found = Some(format!(
                    "it has key {} with {} bytes, not {other:?}",
                    key.escape_ascii(),
                    value.len()
                ));
                ControlFlow::Break(())
            }
        })?;
        if found.is_none()
            && let Some((key, _)) = expected.next()
        {
            found = Some(format!("it has no key {}", key.escape_ascii()));
        }
        let stats = store.stats()?;
        let bytes = |(key, value): (&Vec<u8>, &Arc<[u8]>)| (key.len() + value.len()) as u64;
        let figures = (
            self.entries.len() as u64,
            self.entries.iter().map(bytes).sum(),
        );
        if found.is_none() && (stats.entries, stats.payload_bytes) != figures {
            found = Some(format!("its figures are {stats:?}, not {figures:?}"));
        }
        Ok(found)
    }

    fn scan(&self, scan: Scan<'_>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self
            .entries
            .iter()
            .filter(|(key, _)| &key[..] >= scan.from && scan.to.is_none_or(|to| &key[..] < to))
            .map(|(key, value)| (key.clone(), value.to_vec()))
            .collect();
        if scan.reverse {
            entries.reverse();
        }
        entries.truncate(scan.limit);
        entries
    }
}

/// One thing to do with a store.
#[derive(Clone, Debug)]
enum Action {
    Commit {
        batch: Batch,
        /// Added to the right version and the right epoch.
        off: (u64, u64),
        durability: Durability,
    },
    Lease,
    Reopen,
    Get(Vec<Vec<u8>>),
    Scan {
        from: Vec<u8>,
        to: Option<Vec<u8>>,
        limit: usize,
        reverse: bool,
    },
    Care,
}

/// Keys of few bytes, each of few kinds, so that they meet.
fn key() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(vec![0u8, 1, b'a', b'b', 0x7f, 0x80, 0xff]);
    prop_oneof![
        20 => vec(byte.clone(), 0..5),
        1 => vec(byte, 1000..1024),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        10 => vec(any::<u8>(), 0..20),
        2 => (any::<u8>(), 1000..9000usize).prop_map(|(byte, size)| vec![byte; size]),
    ]
}

fn batch() -> impl Strategy<Value = Batch> {
    #[derive(Clone, Debug)]
    enum Write {
        Put(Vec<u8>, Vec<u8>),
        Delete(Vec<u8>),
        DeleteRange(Vec<u8>, Option<Vec<u8>>),
    }
    impl Write {
        fn key(&self) -> &[u8] {
            match self {
                Write::Put(key, _) | Write::Delete(key) | Write::DeleteRange(key, _) => key,
            }
        }
    }
    let write = prop_oneof![
        20 => (key(), value()).prop_map(|(key, value)| Write::Put(key, value)),
        3 => key().prop_map(Write::Delete),
        1 => (key(), prop::option::of(key())).prop_map(|(from, to)| Write::DeleteRange(from, to)),
    ];
    // Long ascending runs are a way of their own in some stores.
    let writes = (vec(write, 0..60), any::<bool>());
    writes.prop_map(|(mut writes, is_sorted)| {
        if is_sorted {
            writes.sort_by(|a, b| a.key().cmp(b.key()));
        }
        let mut batch = Batch::new();
        for write in writes {
            match write {
                Write::Put(key, value) => batch.put(key, value),
                Write::Delete(key) => batch.delete(key),
                Write::DeleteRange(from, to) => batch.delete_range(from, to),
            }
        }
        batch
    })
}

fn action() -> impl Strategy<Value = Action> {
    let off = prop_oneof![
        8 => Just((0, 0)),
        1 => Just((1, 0)),
        1 => Just((u64::MAX, 0)),
        1 => Just((0, 1)),
        1 => Just((1, u64::MAX)),
    ];
    let durability = prop_oneof![Just(Durability::Durable), Just(Durability::Relaxed)];
    prop_oneof![
        8 => (batch(), off, durability)
            .prop_map(|(batch, off, durability)| Action::Commit { batch, off, durability }),
        1 => Just(Action::Lease),
        1 => Just(Action::Reopen),
        2 => vec(key(), 0..5).prop_map(Action::Get),
        4 => (key(), prop::option::of(key()), prop_oneof![3 => Just(usize::MAX), 2 => 0..6usize], any::<bool>())
            .prop_map(|(from, to, limit, reverse)| Action::Scan { from, to, limit, reverse }),
        1 => Just(Action::Care),
    ]
}

fn act(
    world: &mut dyn TestWorld,
    store: &mut Option<Box<dyn Store>>,
    model: &mut Model,
    action: Action,
) {
    if let Action::Reopen = action {
        store.take();
        world.reopen();
    }
    let store = store.get_or_insert_with(|| world.handle());
    match action {
        Action::Reopen => {}
        Action::Commit {
            batch,
            off,
            durability,
        } => {
            let expected = model.head.version.wrapping_add(off.0);
            let epoch = model.head.epoch.wrapping_add(off.1);
            match store.commit(expected, epoch, &batch, durability) {
                Ok(version) => {
                    assert_eq!(off, (0, 0));
                    model.apply(&batch);
                    assert_eq!(version, model.head.version);
                }
                Err(StoreError::Fenced { epoch: e, found }) => {
                    assert_ne!(off.1, 0);
                    assert_eq!((e, found), (epoch, model.head.epoch));
                }
                Err(StoreError::Conflict { expected: e, found }) => {
                    assert_eq!(off.1, 0);
                    assert_ne!(off.0, 0);
                    assert_eq!((e, found), (expected, model.head.version));
                }
                Err(error) => panic!("{error}"),
            }
        }
        Action::Lease => {
            model.head.epoch += 1;
            assert_eq!(store.lease().unwrap(), model.head.epoch);
        }
        Action::Get(keys) => {
            let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
            let expected: Vec<_> = keys
                .iter()
                .map(|key| model.entries.get(*key).map(|value| value.to_vec()))
                .collect();
            assert_eq!(store.get_many(&keys).unwrap(), expected);
            for (key, value) in keys.iter().zip(expected) {
                assert_eq!(store.get(key).unwrap(), value);
            }
        }
        Action::Scan {
            from,
            to,
            limit,
            reverse,
        } => {
            let scan = Scan {
                from: &from,
                to: to.as_deref(),
                limit,
                reverse,
            };
            assert_eq!(store.scan(scan).unwrap(), model.scan(scan));
        }
        Action::Care => {
            let health = store.verify(&mut |_| ControlFlow::Continue(())).unwrap();
            assert_eq!(health.damage, [""; 0]);
            store.vacuum(&mut |_| ControlFlow::Continue(())).unwrap();
        }
    }
    assert_eq!(model.difference(&**store).unwrap(), None);
    let backwards = Scan::all().reversed();
    assert_eq!(store.scan(backwards).unwrap(), model.scan(backwards));
}

pub(super) fn like_a_plain_map(worlds: &dyn Worlds) {
    // PROPTEST_CASES asks for more, PROPTEST_RNG_SEED for others.
    let cases = std::env::var("PROPTEST_CASES").map_or(64, |n| n.parse().unwrap_or(64));
    let config = Config {
        cases,
        failure_persistence: None,
        rng_seed: match Config::default().rng_seed {
            proptest::test_runner::RngSeed::Random => proptest::test_runner::RngSeed::Fixed(4),
            seed => seed,
        },
        ..Config::default()
    };
    let run = TestRunner::new(config).run(&vec(action(), 1..40), |actions| {
        let mut world = worlds.fresh();
        let mut store = None;
        let mut model = Model::default();
        for action in actions {
            act(&mut *world, &mut store, &mut model, action);
        }
        Ok(())
    });
    if let Err(error) = run {
        panic!("{error}");
    }
}
