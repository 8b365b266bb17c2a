//! A store in memory: the contract at its plainest. Clones are further handles on the same world, so that writers can race for it; it is gone
//! with its last handle.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::batch::{Batch, Op};
use crate::error::Result;
use crate::store::{Durability, Head, Health, Progress, Scan, Stats, Store, Visitor};

/// A world in memory, or a handle on one.
#[derive(Clone, Default, Debug)]
pub struct MemoryStore {
    // The entries are shared with running reads: a commit during a `visit` copies the tree, and the visit goes on with the old version.
    inner: Arc<Mutex<Inner>>,
}

#[derive(Clone, Default, Debug)]
struct Inner {
    entries: Arc<BTreeMap<Vec<u8>, Arc<[u8]>>>,
    head: Head,
    payload_bytes: u64,
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // No code that can panic runs while the lock is held, save an allocation failure, which aborts.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn head(&self) -> Result<Head> {
        Ok(self.inner().head)
    }

    fn lease(&mut self) -> Result<u64> {
        let mut inner = self.inner();
        inner.head.epoch += 1;
        Ok(inner.head.epoch)
    }

    fn read(&self, key: &[u8], take: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let value = self.inner().entries.get(key).cloned();
        if let Some(value) = &value {
            take(value);
        }
        Ok(value.is_some())
    }

    fn read_many(&self, keys: &[&[u8]], take: &mut dyn FnMut(usize, &[u8])) -> Result<()> {
        let entries = self.inner().entries.clone();
        for (at, key) in keys.iter().enumerate() {
            if let Some(value) = entries.get(*key) {
                take(at, value);
            }
        }
        Ok(())
    }

    fn visit(&self, scan: Scan<'_>, each: &mut Visitor<'_>) -> Result<()> {
        if scan.is_void() {
            return Ok(());
        }
        let entries = self.inner().entries.clone();
        let range = entries.range::<[u8], _>(bounds(scan.from, scan.to));
        let mut shown = 0;
        let mut show = |(key, value): (&Vec<u8>, &Arc<[u8]>)| {
            shown += 1;
            each(key, value).is_continue() && shown < scan.limit
        };
        if scan.reverse {
            range.rev().all(&mut show);
        } else {
            let mut range = range;
            range.all(&mut show);
        }
        Ok(())
    }

    fn reader(&self) -> Option<Box<dyn Store>> {
        Some(Box::new(self.clone()))
    }

    fn commit(&mut self, expected: u64, epoch: u64, batch: &Batch, _: Durability) -> Result<u64> {
        batch.check_limits()?;
        let mut inner = self.inner();
        let inner = &mut *inner;
        inner.head.check(expected, epoch)?;
        let entries = Arc::make_mut(&mut inner.entries);
        for op in batch.ops() {
            match op {
                Op::Put { key, value } => {
                    let old = entries.insert(key.to_vec(), value.into());
                    inner.payload_bytes += value.len() as u64;
                    match old {
                        Some(old) => inner.payload_bytes -= old.len() as u64,
                        None => inner.payload_bytes += key.len() as u64,
                    }
                }
                Op::Delete { key } => {
                    if let Some(old) = entries.remove(key) {
                        inner.payload_bytes -= (key.len() + old.len()) as u64;
                    }
                }
                Op::DeleteRange { from, to } => {
                    if to.is_some_and(|to| to <= from) {
                        continue;
                    }
                    let mut tail = entries.split_off(from);
                    let mut kept = to.map(|to| tail.split_off(to)).unwrap_or_default();
                    for (key, value) in &tail {
                        inner.payload_bytes -= (key.len() + value.len()) as u64;
                    }
                    entries.append(&mut kept);
                }
            }
        }
        inner.head.version += 1;
        Ok(inner.head.version)
    }

    fn stats(&self) -> Result<Stats> {
        let inner = self.inner();
        Ok(Stats {
            entries: inner.entries.len() as u64,
            payload_bytes: inner.payload_bytes,
            file_bytes: 0,
        })
    }

    fn reopen(&mut self) -> Result<()> {
        Ok(())
    }

    fn verify(&mut self, progress: &mut Progress<'_>) -> Result<Health> {
        let inner = self.inner().clone();
        let _ = progress(1.0);
        Ok(Health {
            entries: inner.entries.len() as u64,
            payload_bytes: inner.payload_bytes,
            damage: Vec::new(),
        })
    }

    fn vacuum(&mut self, progress: &mut Progress<'_>) -> Result<u64> {
        let _ = progress(1.0);
        Ok(0)
    }
}

/// A range as the standard collections take it.
pub(crate) fn bounds<'a>(
    from: &'a [u8],
    to: Option<&'a [u8]>,
) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    let to = to.map_or(Bound::Unbounded, Bound::Excluded);
    (Bound::Included(from), to)
}
