//! A disk in memory that remembers what was asked of it, and can show what it might hold after a crash: of all that came after the last sync,
//! any part, in any order, writes torn into sectors. It can also fail at a chosen call.
//!
//! Among the writes stand marks of the workload: which states the store may have from there on.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evermoon_store::conformance::Model;
use redb::StorageBackend;

use crate::dice::Dice;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// What happened, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    Write {
        at: usize,
        data: Arc<[u8]>,
    },
    Resize(usize),
    Sync,
    /// From here on a crash must leave one of these.
    Allow(Arc<Vec<Arc<Model>>>),
}

/// The disk, and all backends on it.
#[derive(Clone, Debug)]
pub struct Disk(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    bytes: Vec<u8>,
    log: Vec<Event>,
    /// Calls so far that could have failed.
    calls: usize,
    /// The call that fails, and how.
    fails: Option<(usize, io::ErrorKind)>,
    has_failed: bool,
}

impl Disk {
    pub fn new(bytes: Vec<u8>) -> Self {
        Disk(Arc::new(Mutex::new(Inner {
            bytes,
            log: Vec::new(),
            calls: 0,
            fails: None,
            has_failed: false,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn allow(&self, models: &[Arc<Model>]) {
        let event = Event::Allow(Arc::new(models.to_vec()));
        self.inner().log.push(event);
    }

    pub fn take_log(&self) -> Vec<Event> {
        std::mem::take(&mut self.inner().log)
    }

    /// Lets the call with that number fail, once.
    pub fn fail_at(&self, call: usize, kind: io::ErrorKind) {
        self.inner().fails = Some((call, kind));
    }

    /// No call fails from here on.
    pub fn heal(&self) {
        self.inner().fails = None;
    }

    /// Whether the call that was to fail has come.
    pub fn has_failed(&self) -> bool {
        self.inner().has_failed
    }
}

impl Inner {
    fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        match self.fails {
            Some((call, kind)) if call == self.calls => {
                self.fails = None;
                self.has_failed = true;
                Err(io::Error::new(kind, "the disk was told to fail here"))
            }
            _ => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.inner().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut inner = self.inner();
        inner.call()?;
        let at = offset as usize;
        let Some(bytes) = inner.bytes.get(at..at + out.len()) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inner = self.inner();
        inner.call()?;
        inner.bytes.resize(len as usize, 0);
        inner.log.push(Event::Resize(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut inner = self.inner();
        inner.call()?;
        inner.log.push(Event::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.inner();
        inner.call()?;
        let at = offset as usize;
        let Some(bytes) = inner.bytes.get_mut(at..at + data.len()) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        bytes.copy_from_slice(data);
        inner.log.push(Event::Write {
            at,
            data: data.into(),
        });
        Ok(())
    }
}

/// What is on the plates for certain, and what may or may not be.
pub struct Replay {
    durable: Vec<u8>,
    pending: Vec<Event>,
    /// Takes syncs for nothing, as a broken disk does. The checks must find that out.
    pub lies: bool,
}

/// What arrives of the pending writes. All ways that a simple cause has, and some that are mere spite.
const WAYS: usize = 9;

impl Replay {
    pub fn new(durable: Vec<u8>) -> Self {
        Replay {
            durable,
            pending: Vec::new(),
            lies: false,
        }
    }

    pub fn step(&mut self, event: &Event) {
        match event {
            Event::Sync if self.lies => {}
            Event::Sync => {
                for event in std::mem::take(&mut self.pending) {
                    arrive(&mut self.durable, &event, &mut |_| true);
                }
            }
            Event::Write { .. } | Event::Resize(_) => self.pending.push(event.clone()),
            Event::Allow(_) => {}
        }
    }

    /// Whether a crash has no choice here.
    pub fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// What the disk may hold after a crash here.
    pub fn image(&self, dice: &mut Dice) -> Vec<u8> {
        let mut image = self.durable.clone();
        let count = self.pending.len();
        if count == 0 {
            return image;
        }
        let way = dice.below(WAYS);
        let chosen = dice.below(count);
        for (at, event) in self.pending.iter().enumerate() {
            let sector = |dice: &mut Dice| match way {
                // The process dies, the machine does not.
                0 => true,
                // Nothing had been written back.
                1 => false,
                // In order, up to a point within one write.
                2 => at < chosen || (at == chosen && !dice.once_in(3)),
                // In the reverse order.
                3 => at > chosen,
                // Any sectors.
                4 => dice.once_in(2),
                // Nearly all, hardly any.
                5 => !dice.once_in(16),
                6 => dice.once_in(16),
                // All but one write, one write alone.
                7 => at != chosen,
                _ => at == chosen,
            };
            // Whole writes as often as torn ones.
            if dice.once_in(2) {
                let whole = sector(dice);
                arrive(&mut image, event, &mut |_| whole);
            } else {
                arrive(&mut image, event, &mut |_| sector(dice));
            }
        }
        image
    }
}

/// Lets those sectors of a write come to the plates for which `comes` says so.
fn arrive(bytes: &mut Vec<u8>, event: &Event, comes: &mut dyn FnMut(usize) -> bool) {
    match event {
        Event::Write { at, data } => {
            let mut done = 0;
            while done < data.len() {
                // Sectors are the disk's, wherever the write begins.
                let here = at + done;
                let end = (here / SECTOR + 1) * SECTOR;
                let size = (end - here).min(data.len() - done);
                // A write behind the end is lost with the resize that made room for it.
                if comes(here / SECTOR)
                    && let Some(place) = bytes.get_mut(here..here + size)
                {
                    place.copy_from_slice(&data[done..done + size]);
                }
                done += size;
            }
        }
        Event::Resize(size) => {
            if comes(0) {
                bytes.resize(*size, 0);
            }
        }
        Event::Sync | Event::Allow(_) => {}
    }
}
