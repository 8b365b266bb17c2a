//! What lies between redb and the file (or whatever holds the bytes): passes everything on, counts it, and remembers the first failure, since
//! redb tells later callers only that there was one.
//!
//! It also undoes a torn creation. redb makes a file in steps and writes its magic number last; a crash in between leaves a file that redb
//! takes for a stranger's. When redb first asks for the length (it holds the file's lock by then), such a file is emptied, and redb begins
//! anew. Only a file with nothing in it but the beginning of a header is taken for one.

use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use redb::{BackendError, StorageBackend};

/// The first bytes of a redb file.
const MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";

/// redb's page, and the room of its header.
const PAGE_SIZE: u64 = 4096;

/// A new redb file has a little over 1 MiB.
const NEW_FILE_SIZE_MAX: u64 = 16 << 20;

/// Marks our own refusal among the errors of the medium.
pub(crate) const STRANGER: &str = "it begins with other bytes than a world does";

/// What went through, and what failed first.
#[derive(Default, Debug)]
pub(crate) struct Meter {
    pub(crate) bytes_written: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) size: AtomicU64,
    failure: Mutex<Option<(io::ErrorKind, String)>>,
}

impl Meter {
    /// The first failure, which may be behind an error that says only that there was one.
    pub(crate) fn failure(&self) -> Option<io::Error> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure
            .as_ref()
            .map(|(kind, text)| io::Error::new(*kind, text.clone()))
    }

    /// For a new start after it.
    pub(crate) fn forget_failure(&self) {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    fn note<T>(&self, doing: &str, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert_with(|| (error.kind(), format!("{doing}: {error}")));
        }
        result
    }
}

#[derive(Debug)]
pub(crate) struct Medium {
    inner: Box<dyn StorageBackend>,
    meter: Arc<Meter>,
    looked: AtomicBool,
}

impl Medium {
    pub(crate) fn new(inner: Box<dyn StorageBackend>, meter: Arc<Meter>) -> Self {
        Medium {
            inner,
            meter,
            looked: AtomicBool::new(false),
        }
    }

    /// Empties a file whose creation was cut short. A stranger's file is refused here, with words of ours.
    fn undo_torn_creation(&self, size: u64) -> io::Result<u64> {
        let mut head = vec![0; size.min(PAGE_SIZE) as usize];
        self.inner.read(0, &mut head)?;
        if head.len() >= MAGIC.len() && head[..MAGIC.len()] == MAGIC {
            return Ok(size);
        }
        let begun = head.iter().zip(MAGIC).all(|(&b, m)| b == 0 || b == m);
        if !begun || size > NEW_FILE_SIZE_MAX || !self.is_zero_from(head.len() as u64, size)? {
            return Err(io::Error::new(io::ErrorKind::InvalidData, STRANGER));
        }
        self.inner.set_len(0)?;
        self.inner.sync_data()?;
        Ok(0)
    }

    fn is_zero_from(&self, mut at: u64, size: u64) -> io::Result<bool> {
        let mut piece = vec![0; 64 << 10];
        while at < size {
            let here = piece.len().min((size - at) as usize);
            self.inner.read(at, &mut piece[..here])?;
            if piece[..here].iter().any(|&b| b != 0) {
                return Ok(false);
            }
            at += here as u64;
        }
        Ok(true)
    }
}

impl StorageBackend for Medium {
    fn len(&self) -> io::Result<u64> {
        let mut size = self.meter.note("reading the size", self.inner.len())?;
        if size > 0 && !self.looked.swap(true, Ordering::Relaxed) {
            size = self.meter.note("reading", self.undo_torn_creation(size))?;
        }
        self.meter.size.store(size, Ordering::Relaxed);
        Ok(size)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.meter.note("reading", self.inner.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.looked.store(true, Ordering::Relaxed);
        self.meter.note("resizing", self.inner.set_len(len))?;
        self.meter.size.store(len, Ordering::Relaxed);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.meter.syncs.fetch_add(1, Ordering::Relaxed);
        self.meter.note("syncing", self.inner.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.meter.writes.fetch_add(1, Ordering::Relaxed);
        self.meter
            .bytes_written
            .fetch_add(data.len() as u64, Ordering::Relaxed);
        self.meter.note("writing", self.inner.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
