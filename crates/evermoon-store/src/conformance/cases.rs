//! The promises, one a case.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::Worlds;
use crate::batch::{Batch, Op};
use crate::error::StoreError;
use crate::store::{Durability, Entry, Head, KEY_SIZE_MAX, Scan, Stats, Store, VALUE_SIZE_MAX};

/// A batch of puts.
fn puts<const N: usize>(entries: [(&str, &str); N]) -> Batch {
    let mut batch = Batch::new();
    for (key, value) in entries {
        batch.put(key, value);
    }
    batch
}

/// Commits upon what is there.
fn commit(store: &mut dyn Store, batch: &Batch) -> u64 {
    let head = store.head().unwrap();
    store
        .commit(head.version, head.epoch, batch, Durability::Durable)
        .unwrap()
}

/// All entries as text, `key=value` separated by blanks.
fn text(entries: &[Entry]) -> String {
    let entry = |(key, value): &Entry| format!("{}={}", key.escape_ascii(), value.escape_ascii());
    entries.iter().map(entry).collect::<Vec<_>>().join(" ")
}

fn content(store: &dyn Store) -> String {
    text(&store.scan(Scan::all()).unwrap())
}

pub(super) fn a_new_world_is_empty(worlds: &dyn Worlds) {
    let mut world = worlds.fresh();
    for _ in 0..2 {
        let store = world.handle();
        let head = store.head().unwrap();
        assert_eq!(head, Head::default());
        assert_eq!(content(&*store), "");
        assert_eq!(store.get(b"").unwrap(), None);
        assert_eq!(store.get(b"a").unwrap(), None);
        let stats = store.stats().unwrap();
        assert_eq!((stats.entries, stats.payload_bytes), (0, 0));
        drop(store);
        world.reopen();
    }
    // Worlds are apart.
    let mut store = world.handle();
    commit(&mut *store, &puts([("a", "1")]));
    assert_eq!(content(&*worlds.fresh().handle()), "");
}

pub(super) fn commits_count(worlds: &dyn Worlds) {
    let mut world = worlds.fresh();
    let mut store = world.handle();
    let durable = Durability::Durable;
    assert_eq!(store.commit(0, 0, &puts([("a", "1")]), durable).unwrap(), 1);
    let head = Head {
        version: 1,
        epoch: 0,
    };
    assert_eq!(store.head().unwrap(), head);
    // An empty batch is a commit too.
    assert_eq!(store.commit(1, 0, &Batch::new(), durable).unwrap(), 2);
    assert_eq!(store.lease().unwrap(), 1);
    let head = Head {
        version: 2,
        epoch: 1,
    };
    assert_eq!(store.head().unwrap(), head);
    assert_eq!(store.commit(2, 1, &puts([("b", "2")]), durable).unwrap(), 3);
    assert_eq!(content(&*store), "a=1 b=2");
    // Another handle sees it at once.
    assert_eq!(world.handle().head().unwrap().version, 3);
    assert_eq!(content(&*world.handle()), "a=1 b=2");
}

pub(super) fn a_conflict_changes_nothing(worlds: &dyn Worlds) {
    let mut world = worlds.fresh();
    let mut store = world.handle();
    commit(&mut *store, &puts([("a", "1"), ("b", "2")]));
    let mut wrong = puts([("a", "x"), ("c", "x")]);
    wrong.delete("b");
    wrong.delete_range("", None);
    for expected in [0, 2, u64::MAX] {
        match store.commit(expected, 0, &wrong, Durability::Durable) {
            Err(StoreError::Conflict { expected: e, found }) => {
                assert_eq!((e, found), (expected, 1));
            }
            other => panic!("a commit upon version {expected} of 1: {other:?}"),
        }
        assert_eq!(content(&*store), "a=1 b=2");
        assert_eq!(store.head().unwrap().version, 1);
    }
    drop(store);
    world.reopen();
    let store = world.handle();
    assert_eq!(content(&*store), "a=1 b=2");
    assert_eq!(store.head().unwrap().version, 1);
}

pub(super) fn a_lease_fences_off(worlds: &dyn Worlds) {
    let mut world = worlds.fresh();
    let mut old = world.handle();
    let mut new = world.handle();
    assert_eq!(old.lease().unwrap(), 1);
    old.commit(0, 1, &puts([("a", "old")]), Durability::Durable)
        .unwrap();
    assert_eq!(new.lease().unwrap(), 2);
    // Right or wrong version: it is the epoch that is told.
    for expected in [1, 0] {
        match old.commit(expected, 1, &puts([("a", "x")]), Durability::Durable) {
            Err(StoreError::Fenced { epoch, found }) => assert_eq!((epoch, found), (1, 2)),
            other => panic!("a commit under epoch 1 of 2: {other:?}"),
        }
    }
    // An epoch from the future is not the current one either.
    let result = old.commit(1, 3, &puts([("a", "x")]), Durability::Durable);
    assert!(matches!(result, Err(StoreError::Fenced { .. })));
    assert_eq!(content(&*old), "a=old");
    new.commit(1, 2, &puts([("a", "new")]), Durability::Durable)
        .unwrap();
    assert_eq!(content(&*old), "a=new");
    drop((old, new));
    world.reopen();
    let head = Head {
        version: 2,
        epoch: 2,
    };
    assert_eq!(world.handle().head().unwrap(), head);
    // A lease is durable without a commit behind it.
    let mut store = world.handle();
    assert_eq!(store.lease().unwrap(), 3);
    drop(store);
    world.reopen();
    assert_eq!(world.handle().head().unwrap().epoch, 3);
}

pub(super) fn the_last_write_wins(worlds: &dyn Worlds) {
    let mut world = worlds.fresh();
    let mut store = world.handle();
    let mut batch = puts([("a", "1"), ("b", "1"), ("c", "1"), ("a", "2")]);
    batch.delete("b");
    batch.delete("c");
    batch.put("c", "3");
    batch.delete("never");
    batch.put("d", "1");
    batch.delete_range("d", Some(b"e".to_vec()));
    batch.put("e", "1");
    batch.delete_range("e", Some(b"f".to_vec()));
    batch.put("e", "2");
    commit(&mut *store, &batch);
    assert_eq!(content(&*store), "a=2 c=3 e=2");
}

pub(super) fn ranges_are_deleted(worlds: &dyn Worlds) {
    let all = || puts([("a", "1"), ("b", "2"), ("ba", "3"), ("c", "4"), ("d", "5")]);
    let cases: [(&str, Option<&str>, &str); 8] = [
        ("b", Some("c"), "a=1 c=4 d=5"),
        ("b", Some("c\0"), "a=1 d=5"),
        ("b\0", Some("c"), "a=1 b=2 c=4 d=5"),
        ("", Some("b"), "b=2 ba=3 c=4 d=5"),
        ("c", None, "a=1 b=2 ba=3"),
        ("", None, ""),
        ("e", None, "a=1 b=2 ba=3 c=4 d=5"),
        // The wrong way round: nothing.
        ("c", Some("b"), "a=1 b=2 ba=3 c=4 d=5"),
    ];
    let mut world = worlds.fresh();
    let mut store = world.handle();
    for (from, to, left) in cases {
        commit(&mut *store, &all());
        let mut batch = Batch::new();
        batch.delete_range(from, to.map(|to| to.as_bytes().to_vec()));
        commit(&mut *store, &batch);
        assert_eq!(content(&*store), left, "after deleting {from:?} to {to:?}");
        // The same within one batch.
        let mut batch = all();
        batch.delete_range(from, to.map(|to| to.as_bytes().to_vec()));
        commit(&mut *store, &batch);
        assert_eq!(
            content(&*store),
            left,
            "after putting and deleting {from:?} to {to:?}"
        );
    }
}

pub(super) fn scans_go_both_ways(worlds: &dyn Worlds) {
    let mut world = worlds.fresh();
    let mut store = world.handle();
    commit(
        &mut *store,
        &puts([("b", "2"), ("a", "1"), ("d", "4"), ("c", "3")]),
    );
    let scan = |scan: Scan<'_>| text(&store.scan(scan).unwrap());
    assert_eq!(scan(Scan::all()), "a=1 b=2 c=3 d=4");
    assert_eq!(scan(Scan::all().reversed()), "d=4 c=3 b=2 a=1");
    assert_eq!(scan(Scan::all().limit(2)), "a=1 b=2");
    assert_eq!(scan(Scan::all().reversed().limit(2)), "d=4 c=3");
    assert_eq!(scan(Scan::all().limit(0)), "");
    let middle = Scan::range(b"b", Some(b"d"));
    assert_eq!(scan(middle), "b=2 c=3");
    assert_eq!(scan(middle.reversed()), "c=3 b=2");
    assert_eq!(scan(middle.reversed().limit(1)), "c=3");
    assert_eq!(scan(Scan::range(b"aa", Some(b"cc"))), "b=2 c=3");
    assert_eq!(scan(Scan::range(b"aa", Some(b"cc")).reversed()), "c=3 b=2");
    assert_eq!(scan(Scan::range(b"c", None)), "c=3 d=4");
    assert_eq!(scan(Scan::range(b"e", None)), "");
    for (from, to) in [("b", "b"), ("c", "b"), ("", "")] {
        let void = Scan::range(from.as_bytes(), Some(to.as_bytes()));
        assert_eq!(scan(void), "");
        assert_eq!(scan(void.reversed()), "");
    }
}

pub(super) fn keys_are_ordered_bytewise(worlds: &dyn Worlds) {
    let ordered: [&[u8]; 11] = [
        b"",
        b"\0",
        b"\0\0",
        b"\0\xff",
        b"\x7f",
        b"\x80",
        b"a",
        b"a\0",
        b"ab",
        b"b",
        b"\xff\xff",
    ];
    let mut sorted = ordered;
    sorted.sort();
    let mut world = worlds.fresh();
    let mut store = world.handle();
    let mut batch = Batch::new();
    for (at, key) in ordered.iter().enumerate().rev() {
        batch.put(*key, [at as u8]);
    }
    commit(&mut *store, &batch);
    let keys = |scan| -> Vec<Vec<u8>> {
        let entries = store.scan(scan).unwrap();
        entries.into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys(Scan::all()), sorted);
    // Every key bounds a range from either side.
    for key in sorted {
        let at = sorted.iter().position(|k| *k == key).unwrap();
        assert_eq!(keys(Scan::range(key, None)), sorted[at..]);
        assert_eq!(keys(Scan::range(b"", Some(key))), sorted[..at]);
    }
}

pub(super) fn a_visit_stops_when_told(worlds: &dyn Worlds) {
    let mut world = worlds.fresh();
    let mut store = world.handle();
    commit(&mut *store, &puts([("a", "1"), ("b", "2"), ("c", "3")]));
    let mut seen = Vec::new();
    store
        .visit(Scan::all(), &mut |key, _| {
            seen.push(key.to_vec());
            if key == b"b" {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .unwrap();
    assert_eq!(seen, [b"a", b"b"]);
}

pub(super) fn a_visit_sees_one_version(worlds: &dyn Worlds) {
    let mut world = worlds.fresh();
    let reader = world.handle();
    let mut writer = world.handle();
    commit(&mut *writer, &puts([("a", "1"), ("b", "1"), ("c", "1")]));
    let mut seen = Vec::new();
    reader
        .visit(Scan::all(), &mut |key, value| {
            seen.push((key.to_vec(), value.to_vec()));
            // Committing and reading within a visit is allowed, and does not disturb it.
            let mut batch = puts([("b", "2"), ("bb", "2")]);
            batch.delete("c");
            commit(&mut *writer, &batch);
            assert_eq!(content(&*reader), "a=1 b=2 bb=2");
            assert_eq!(reader.get(b"c").unwrap(), None);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(text(&seen), "a=1 b=1 c=1");
    assert_eq!(content(&*reader), "a=1 b=2 bb=2");
}

pub(super) fn reading_many_is_one_view(worlds: &dyn Worlds) {
    let mut world = worlds.fresh();
    let mut store = world.handle();
    commit(&mut *store, &puts([("a", "1"), ("b", "2"), ("e", "")]));
    let keys: [&[u8]; 6] = [b"b", b"x", b"a", b"b", b"e", b""];
    let some = |text: &str| Some(text.as_bytes().to_vec());
    let values = [some("2"), None, some("1"), some("2"), some(""), None];
    assert_eq!(store.get_many(&keys).unwrap(), values);
    assert_eq!(store.get_many(&[]).unwrap(), []);
    let mut other = world.handle();
    let mut seen = Vec::new();
    store
        .read_many(&[b"a", b"b"], &mut |at, value| {
            seen.push((at, value.to_vec()));
            commit(&mut *other, &puts([("b", "9")]));
        })
        .unwrap();
    assert_eq!(seen, [(0, b"1".to_vec()), (1, b"2".to_vec())]);
    assert_eq!(store.get(b"b").unwrap(), some("9"));
}

pub(super) fn values_of_all_sizes(worlds: &dyn Worlds) {
    let mut world = worlds.fresh();
    let mut store = world.handle();
    let sizes = [0, 1, 40, 1000, 4095, 4096, 4097, 65_536, 1 << 20, 5_000_001];
    let value = |size: usize| -> Vec<u8> { (0..size).map(|i| (i * 31 % 251) as u8).collect() };
    let mut batch = Batch::new();
    for size in sizes {
        batch.put(format!("{size}"), value(size));
    }
    commit(&mut *store, &batch);
    for size in sizes {
        let key = format!("{size}");
        assert!(
            store.get(key.as_bytes()).unwrap() == Some(value(size)),
            "{size} bytes"
        );
    }
    // From large to small and back.
    for size in [1 << 20, 3, 4096, 0] {
        let mut batch = Batch::new();
        batch.put("x", value(size));
        commit(&mut *store, &batch);
        assert!(
            store.get(b"x").unwrap() == Some(value(size)),
            "{size} bytes"
        );
    }
}

pub(super) fn limits_refuse_the_whole_batch(worlds: &dyn Worlds) {
    let mut world = worlds.fresh();
    let mut store = world.handle();
    let longest = vec![7; KEY_SIZE_MAX];
    let mut batch = Batch::new();
    batch.put(longest.clone(), "at the limit");
    batch.put("", "the empty key");
    batch.put("largest", vec![1; VALUE_SIZE_MAX]);
    commit(&mut *store, &batch);
    assert_eq!(store.get(&longest).unwrap().unwrap(), b"at the limit");
    assert_eq!(store.get(b"").unwrap().unwrap(), b"the empty key");
    let mut largest = 0;
    assert!(
        store
            .read(b"largest", &mut |value| largest = value.len())
            .unwrap()
    );
    assert_eq!(largest, VALUE_SIZE_MAX);

    let too_long = vec![7; KEY_SIZE_MAX + 1];
    let mut key = puts([("a", "1")]);
    key.put(too_long.clone(), "");
    let mut value = puts([("a", "1")]);
    value.put("b", vec![0; VALUE_SIZE_MAX + 1]);
    let mut delete = puts([("a", "1")]);
    delete.delete(too_long.clone());
    for batch in [key, value, delete] {
        match store.commit(1, 0, &batch, Durability::Durable) {
            Err(StoreError::TooLarge { size, limit, .. }) => assert_eq!(size, limit + 1),
            other => panic!("a batch over a limit: {other:?}"),
        }
    }
    assert_eq!(store.head().unwrap().version, 1);
    assert_eq!(store.get(b"a").unwrap(), None);
    // Asking for such a key is no error: it is not there.
    assert_eq!(store.get(&too_long).unwrap(), None);
    // As a bound it has its place in the order.
    let range = Scan::range(&too_long, None);
    assert_eq!(store.scan(range).unwrap().len(), 1);
}

pub(super) fn many_keys(worlds: &dyn Worlds) {
    const COUNT: u64 = 20_000;
    let mut world = worlds.fresh();
    let mut store = world.handle();
    let value = |id: u64| id.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    // Neither in order nor in one commit.
    let mut ids = (0..COUNT).map(|i| i * 7919 % COUNT).peekable();
    while ids.peek().is_some() {
        let mut batch = Batch::new();
        for id in ids.by_ref().take(3000) {
            batch.put(id.to_be_bytes(), value(id));
        }
        commit(&mut *store, &batch);
    }
    for reopen in [false, true] {
        if reopen {
            drop(store);
            world.reopen();
            store = world.handle();
        }
        let mut next = 0u64;
        store
            .visit(Scan::all(), &mut |key, stored| {
                assert_eq!((key, stored), (&next.to_be_bytes()[..], &value(next)[..]));
                next += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(next, COUNT);
        assert_eq!(store.stats().unwrap().entries, COUNT);
        let (from, to) = (5000u64.to_be_bytes(), 15_000u64.to_be_bytes());
        let middle = store.scan(Scan::range(&from, Some(&to)).reversed().limit(10));
        let expected: Vec<Entry> = (14_990..15_000u64)
            .rev()
            .map(|id| (id.to_be_bytes().to_vec(), value(id).to_vec()))
            .collect();
        assert_eq!(middle.unwrap(), expected);
    }
    let mut batch = Batch::new();
    batch.delete_range(
        100u64.to_be_bytes(),
        Some((COUNT - 100).to_be_bytes().to_vec()),
    );
    commit(&mut *store, &batch);
    let left = store.scan(Scan::all()).unwrap();
    assert_eq!(left.len(), 200);
    assert_eq!(left[99].0, 99u64.to_be_bytes());
    assert_eq!(left[100].0, (COUNT - 100).to_be_bytes());
}

pub(super) fn runs_meet_what_is_there(worlds: &dyn Worlds) {
    let mut world = worlds.fresh();
    let mut store = world.handle();
    let key = |id: u64| id.to_be_bytes();
    let mut expected = BTreeMap::new();
    // Gaps of a hundred, then runs over them: into gaps, over what is there, with gaps of their own, from the end and to it, and broken off
    // by deletions and by keys that go back.
    let mut batches = vec![Batch::new()];
    for id in (0..3000).step_by(100) {
        batches[0].put(key(id), "stone");
    }
    for (from, to, step) in [(50, 90, 1), (1, 2000, 1), (1500, 3500, 3), (0, 100, 1)] {
        let mut batch = Batch::new();
        for id in (from..to).step_by(step) {
            batch.put(key(id), format!("{from} {id}"));
            if id % 97 == 0 {
                batch.delete(key(id - id % 7));
            }
            if id % 199 == 0 {
                batch.put(key(id / 2), "back");
            }
            if id % 293 == 0 {
                batch.delete_range(key(id.saturating_sub(20)), Some(key(id + 10).to_vec()));
            }
        }
        batches.push(batch);
    }
    for batch in batches {
        commit(&mut *store, &batch);
        for op in batch.ops() {
            match op {
                Op::Put { key, value } => {
                    expected.insert(key.to_vec(), value.to_vec());
                }
                Op::Delete { key } => {
                    expected.remove(key);
                }
                Op::DeleteRange { from, to } => {
                    expected
                        .retain(|key, _| &key[..] < from || to.is_some_and(|to| &key[..] >= to));
                }
            }
        }
        let entries: Vec<Entry> = expected.clone().into_iter().collect();
        assert!(store.scan(Scan::all()).unwrap() == entries);
        let bytes = entries
            .iter()
            .map(|(k, v)| (k.len() + v.len()) as u64)
            .sum();
        let stats = store.stats().unwrap();
        assert_eq!(
            (stats.entries, stats.payload_bytes),
            (entries.len() as u64, bytes)
        );
    }
    assert!(
        store
            .verify(&mut |_| ControlFlow::Continue(()))
            .unwrap()
            .is_whole()
    );
}

pub(super) fn everything_is_there_after_reopening(worlds: &dyn Worlds) {
    let mut world = worlds.fresh();
    for round in 1..=5 {
        let mut store = world.handle();
        let epoch = store.lease().unwrap();
        assert_eq!(epoch, round);
        let mut batch = puts([("same", "")]);
        batch.put(format!("round {round}"), format!("{round}"));
        batch.delete(format!("round {}", round.saturating_sub(2)));
        let version = store
            .commit(round - 1, epoch, &batch, Durability::Durable)
            .unwrap();
        assert_eq!(version, round);
        drop(store);
        world.reopen();
        let store = world.handle();
        let head = Head {
            version: round,
            epoch: round,
        };
        assert_eq!(store.head().unwrap(), head);
        let mut expected = vec![format!("round {round}={round}")];
        if round > 1 {
            let before = round - 1;
            expected.insert(0, format!("round {before}={before}"));
        }
        expected.push("same=".to_owned());
        assert_eq!(content(&*store), expected.join(" "));
    }
}

pub(super) fn relaxed_commits_are_commits(worlds: &dyn Worlds) {
    let mut world = worlds.fresh();
    let mut store = world.handle();
    for version in 1..=10u64 {
        let mut batch = Batch::new();
        batch.put("count", format!("{version}"));
        let durability = if version == 5 {
            Durability::Durable
        } else {
            Durability::Relaxed
        };
        let result = store.commit(version - 1, 0, &batch, durability);
        assert_eq!(result.unwrap(), version);
        assert_eq!(content(&*world.handle()), format!("count={version}"));
    }
    let result = store.commit(3, 0, &Batch::new(), Durability::Relaxed);
    assert!(matches!(result, Err(StoreError::Conflict { .. })));
    // A durable one, or a lease, takes those before it along; so does closing properly.
    assert_eq!(store.lease().unwrap(), 1);
    drop(store);
    world.reopen();
    assert_eq!(content(&*world.handle()), "count=10");
}

pub(super) fn figures_are_exact(worlds: &dyn Worlds) {
    let mut world = worlds.fresh();
    let mut store = world.handle();
    let mut check = |batch: Batch, entries: u64, payload_bytes: u64| {
        commit(&mut *store, &batch);
        let stats = store.stats().unwrap();
        let expected = Stats {
            entries,
            payload_bytes,
            ..stats
        };
        assert_eq!(stats, expected);
    };
    check(puts([("a", "123"), ("bb", "4567")]), 2, 10);
    check(puts([("a", "1"), ("a", "12345")]), 2, 12);
    let mut batch = Batch::new();
    batch.delete("a");
    batch.delete("a");
    batch.delete("none");
    check(batch, 1, 6);
    check(puts([("c", "1"), ("d", "2"), ("e", "")]), 4, 11);
    let mut batch = Batch::new();
    batch.delete_range("c", Some(b"e".to_vec()));
    check(batch, 2, 7);
    let mut batch = Batch::new();
    batch.delete_range("", None);
    check(batch, 0, 0);
    check(puts([("x", "1")]), 1, 2);
    drop(store);
    world.reopen();
    let stats = world.handle().stats().unwrap();
    assert_eq!((stats.entries, stats.payload_bytes), (1, 2));
}

pub(super) fn care_changes_nothing(worlds: &dyn Worlds) {
    let mut world = worlds.fresh();
    let mut store = world.handle();
    store.lease().unwrap();
    for round in 0..4u32 {
        let mut batch = Batch::new();
        for id in 0..500u32 {
            batch.put(id.to_be_bytes(), vec![round as u8; 300]);
        }
        commit(&mut *store, &batch);
    }
    let mut batch = Batch::new();
    batch.delete_range(10u32.to_be_bytes(), None);
    commit(&mut *store, &batch);
    let before = (store.head().unwrap(), content(&*store));

    let mut told = Vec::new();
    let mut progress = |done: f64| {
        told.push(done);
        ControlFlow::Continue(())
    };
    let health = store.verify(&mut progress).unwrap();
    assert_eq!((health.entries, health.payload_bytes), (10, 10 * 304));
    assert_eq!(health.damage, [""; 0]);
    store.vacuum(&mut progress).unwrap();
    assert!(
        told.iter().all(|done| (0.0..=1.0).contains(done)),
        "{told:?}"
    );
    assert_eq!(told.last(), Some(&1.0));
    assert_eq!((store.head().unwrap(), content(&*store)), before);
    let size = store.stats().unwrap().file_bytes;
    // What is vacuumed stays so, and it goes on.
    let again = store.vacuum(&mut |_| ControlFlow::Continue(())).unwrap();
    assert!(again <= size / 2, "{again} bytes of {size} in a second go");
    assert!(
        store
            .verify(&mut |_| ControlFlow::Continue(()))
            .unwrap()
            .is_whole()
    );
    store.rest().unwrap();
    assert_eq!((store.head().unwrap(), content(&*store)), before);
    // A store that is well has nothing to reopen.
    store.reopen().unwrap();
    commit(&mut *store, &puts([("on", "1")]));
    drop(store);
    world.reopen();
    assert_eq!(world.handle().head().unwrap().version, before.0.version + 1);
    assert_eq!(world.handle().get(b"on").unwrap().unwrap(), b"1");
}
