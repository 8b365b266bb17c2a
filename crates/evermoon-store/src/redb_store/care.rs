//! Care of a redb store: reading everything and checking redb's own structure, and giving free space back.

use std::ops::ControlFlow;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redb::{CompactionError, Database, DatabaseError, ReadableTableMetadata};

use super::failure::{Failure, guarded};
use super::{Phase, RedbStore, Shared};
use crate::error::{Result, StoreError};
use crate::memory::bounds;
use crate::store::{Health, Progress};

/// How long to wait for readers of other threads to end, in milliseconds.
const PATIENCE_MS: u32 = 10_000;

impl RedbStore {
    /// `Store::verify`.
    pub(super) fn check(&mut self, progress: &mut Progress<'_>) -> Result<Health> {
        // Reading through takes about as long as checking the pages.
        let mut health = Health::default();
        let walked = self.walk(&mut health, &mut |done| progress(done * 0.5))?;
        if walked.is_break() {
            return Ok(health);
        }
        let checked =
            self.shared.alone(
                |database| match guarded(|| Ok(database.check_integrity())) {
                    Ok(Err(DatabaseError::TransactionInProgress)) => None,
                    Ok(Ok(is_clean)) => Some(Ok(is_clean)),
                    Ok(Err(error)) => Some(Err(Failure::from(error))),
                    Err(panic) => Some(Err(panic)),
                },
            )?;
        match checked.map_err(|failure| self.shared.settle(failure)) {
            Ok(true) => {}
            Ok(false) => health.damage.push(
                "the map of pages did not agree with the pages in use; it has been made anew"
                    .to_owned(),
            ),
            Err(error @ StoreError::Corrupt { .. }) => health.damage.push(error.to_string()),
            Err(error) => return Err(error),
        }
        if !health.is_whole() {
            // redb does not write to what failed its check. Opened again, it may be read; that also tells whether it can be.
            self.shared.close("it is damaged".to_owned());
            crate::store::Store::reopen(self)?;
        }
        let _ = progress(1.0);
        Ok(health)
    }

    /// `Store::vacuum`.
    pub(super) fn compact(&mut self, progress: &mut Progress<'_>) -> Result<u64> {
        if progress(0.0).is_break() {
            return Ok(0);
        }
        let meter = self.shared.meter.clone();
        let before = meter.size.load(Ordering::Relaxed);
        let start = meter.bytes_written.load(Ordering::Relaxed);
        // At most everything moves; mostly less.
        let work = before.max(1) as f64;
        let compacted = self.shared.alone(|database| {
            // redb says nothing until it is done, so the meter is watched meanwhile.
            let result = std::thread::scope(|scope| {
                let watcher = std::thread::current();
                let worker = scope.spawn(move || {
                    let result = guarded(|| Ok(database.compact()));
                    watcher.unpark();
                    result
                });
                while !worker.is_finished() {
                    std::thread::park_timeout(Duration::from_millis(20));
                    let moved = meter.bytes_written.load(Ordering::Relaxed) - start;
                    let _ = progress((moved as f64 / work).min(0.99));
                }
                worker.join()
            });
            match result.expect("the worker catches its panics") {
                Ok(Err(CompactionError::TransactionInProgress)) => None,
                Ok(Ok(_)) => Some(Ok(())),
                Ok(Err(error)) => Some(Err(Failure::from(error))),
                Err(panic) => Some(Err(panic)),
            }
        })?;
        compacted.map_err(|failure| self.shared.settle(failure))?;
        let _ = progress(1.0);
        Ok(before.saturating_sub(meter.size.load(Ordering::Relaxed)))
    }
}

impl RedbStore {
    /// Reads all entries into `health`. Behind an entry that cannot be read it goes on where the next readable one may be, so that one broken
    /// page does not hide the rest.
    fn walk(&self, health: &mut Health, progress: &mut Progress<'_>) -> Result<ControlFlow<()>> {
        let view = self.shared.view()?;
        let promised = guarded(|| Ok(view.entries.len()?));
        let promised = promised.map_err(|failure| self.shared.settle(failure))?;
        let mut from = Some(Vec::new());
        while let Some(start) = from.take() {
            let mut last: Option<Vec<u8>> = None;
            let mut range =
                match guarded(|| Ok(view.entries.range::<&[u8]>(bounds(&start, None))?)) {
                    Ok(range) => range,
                    Err(failure) => {
                        from = self.skip(health, &start, false, failure)?;
                        continue;
                    }
                };
            loop {
                let next = guarded(|| {
                    let Some(entry) = range.next() else {
                        return Ok(None);
                    };
                    let (key, value) = entry?;
                    let key = key.value();
                    // Only a page with a damaged index has keys out of order; following it could go round for ever.
                    if last.as_deref().map_or(key < &start[..], |last| key <= last) {
                        return Err(Failure::Ours(StoreError::Corrupt {
                            what: "the keys are out of order".to_owned(),
                        }));
                    }
                    let last = last.get_or_insert_default();
                    last.clear();
                    last.extend_from_slice(key);
                    Ok(Some((key.len() + value.value().len()) as u64))
                });
                match next {
                    Ok(None) => break,
                    Ok(Some(size)) => {
                        health.entries += 1;
                        health.payload_bytes += size;
                    }
                    Err(failure) => {
                        let was_read = last.is_some();
                        let at = last.unwrap_or(start);
                        from = self.skip(health, &at, was_read, failure)?;
                        break;
                    }
                }
                if health.entries.is_multiple_of(4096)
                    && progress((health.entries as f64 / promised.max(1) as f64).min(1.0))
                        .is_break()
                {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        if health.entries != promised {
            health.damage.push(format!(
                "{} entries can be read, {promised} were committed",
                health.entries
            ));
        } else if health.payload_bytes != view.row.3 {
            health.damage.push(format!(
                "the entries have {} bytes, {} were committed",
                health.payload_bytes, view.row.3
            ));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Notes what cannot be read, and says from where on to try again: the next sibling of the key that was read last, and then, as long as
    /// nothing can be read, the next sibling one byte further up each time. So there are few tries, however long the gap.
    fn skip(
        &self,
        health: &mut Health,
        at: &[u8],
        was_read: bool,
        failure: Failure,
    ) -> Result<Option<Vec<u8>>> {
        match failure.tell(&self.shared.source.name(), &self.shared.meter) {
            StoreError::Corrupt { what } => {
                health
                    .damage
                    .push(format!("behind key {}: {what}", at.escape_ascii()));
            }
            error => return Err(self.shared.settle(Failure::Ours(error))),
        }
        let mut next = at.to_vec();
        if !was_read {
            next.pop();
        }
        while let Some(last) = next.pop() {
            if last < u8::MAX {
                next.push(last + 1);
                return Ok(Some(next));
            }
        }
        Ok(None)
    }
}

impl Shared {
    /// Runs `work` on the database with no reader about. `work` says `None` while there is one.
    fn alone<T>(&self, mut work: impl FnMut(&mut Database) -> Option<T>) -> Result<T> {
        // Readers of other threads end by themselves; one who reads and waits for us at once is told so.
        for _ in 0..PATIENCE_MS {
            {
                let mut phase = self
                    .database
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                self.lock_view().take();
                match &mut *phase {
                    Phase::Closed(why) => return Err(StoreError::Closed { why: why.clone() }),
                    Phase::Open(database) => {
                        if let Some(done) = work(database) {
                            return Ok(done);
                        }
                    }
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(StoreError::Busy {
            name: self.source.name(),
        })
    }
}
