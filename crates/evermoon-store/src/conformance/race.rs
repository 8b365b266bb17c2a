//! Two handles and more, in threads, at once. What the threads were told must fit together: each version committed by exactly one of them.

use std::thread;

use super::Worlds;
use crate::batch::Batch;
use crate::error::StoreError;
use crate::store::{Durability, Scan, Store};

const THREADS: usize = 4;

/// All versions that the writers say they committed: 1 to the last, each once; and the entry of each is its writer's.
fn check(store: &dyn Store, mut committed: Vec<(u64, String)>) {
    committed.sort();
    let versions: Vec<u64> = committed.iter().map(|(version, _)| *version).collect();
    let expected: Vec<u64> = (1..=versions.len() as u64).collect();
    assert_eq!(
        versions, expected,
        "a version is missing or was committed twice"
    );
    assert_eq!(store.head().unwrap().version, versions.len() as u64);
    let entries = store.scan(Scan::all()).unwrap();
    assert_eq!(entries.len(), committed.len());
    for ((key, value), (version, writer)) in entries.into_iter().zip(committed) {
        assert_eq!(key, version.to_be_bytes());
        assert_eq!(
            value,
            writer.as_bytes(),
            "version {version} has another writer's entry"
        );
    }
}

/// A batch whose only key is the version that it is to become.
fn claim(version: u64, writer: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(version.to_be_bytes(), writer);
    batch
}

/// Writers of one epoch: the version decides.
pub(super) fn writers_race(worlds: &dyn Worlds) {
    const COMMITS: usize = 50;
    let mut world = worlds.fresh();
    let handles: Vec<Box<dyn Store>> = (0..THREADS).map(|_| world.handle()).collect();
    let committed = thread::scope(|scope| {
        let writers: Vec<_> = handles
            .into_iter()
            .enumerate()
            .map(|(me, mut store)| {
                scope.spawn(move || {
                    let me = format!("writer {me}");
                    let mut mine = Vec::new();
                    while mine.len() < COMMITS {
                        let head = store.head().unwrap();
                        let next = head.version + 1;
                        let batch = claim(next, &me);
                        match store.commit(head.version, head.epoch, &batch, Durability::Relaxed) {
                            Ok(version) => {
                                assert_eq!(version, next);
                                mine.push((version, me.clone()));
                            }
                            Err(StoreError::Conflict { expected, found }) => {
                                assert!(found > expected);
                            }
                            Err(error) => panic!("{error}"),
                        }
                    }
                    mine
                })
            })
            .collect();
        let join = |writer: thread::ScopedJoinHandle<'_, _>| writer.join().unwrap();
        writers.into_iter().flat_map(join).collect::<Vec<_>>()
    });
    assert_eq!(committed.len(), THREADS * COMMITS);
    check(&*world.handle(), committed);
}

/// Writers that take the lease from one another: the epoch decides.
pub(super) fn leases_race(worlds: &dyn Worlds) {
    const TURNS: usize = 25;
    let mut world = worlds.fresh();
    let handles: Vec<Box<dyn Store>> = (0..THREADS).map(|_| world.handle()).collect();
    let (committed, leases) = thread::scope(|scope| {
        let writers: Vec<_> = handles
            .into_iter()
            .enumerate()
            .map(|(me, mut store)| {
                scope.spawn(move || {
                    let me = format!("writer {me}");
                    let (mut mine, mut leases) = (Vec::new(), Vec::new());
                    for _ in 0..TURNS {
                        let epoch = store.lease().unwrap();
                        leases.push(epoch);
                        let mut version = store.head().unwrap().version;
                        // Holds on until somebody else takes it.
                        for _ in 0..10 {
                            let batch = claim(version + 1, &me);
                            match store.commit(version, epoch, &batch, Durability::Relaxed) {
                                Ok(new) => {
                                    assert_eq!(new, version + 1);
                                    version = new;
                                    mine.push((new, me.clone()));
                                }
                                Err(StoreError::Fenced { epoch: e, found }) => {
                                    assert!(e == epoch && found > epoch);
                                    break;
                                }
                                // The last one before us committed between our lease and our look at the version? He cannot have.
                                Err(error) => panic!("{error}"),
                            }
                        }
                    }
                    (mine, leases)
                })
            })
            .collect();
        let mut all = (Vec::new(), Vec::new());
        for writer in writers {
            let (mine, leases) = writer.join().unwrap();
            all.0.extend(mine);
            all.1.extend(leases);
        }
        all
    });
    let store = world.handle();
    check(&*store, committed);
    let mut sorted = leases;
    sorted.sort_unstable();
    let expected: Vec<u64> = (1..=(THREADS * TURNS) as u64).collect();
    assert_eq!(sorted, expected, "an epoch was given twice");
    assert_eq!(store.head().unwrap().epoch, expected.len() as u64);
}
