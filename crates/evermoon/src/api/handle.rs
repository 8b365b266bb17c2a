//! References that the embedder holds: a slot in the engine's handle table, which the collector treats as a root.
//!
//! Invariants
//! 1. A [`Handle`] owns its slot: while it lives, nobody else writes there. Dropping it puts the slot on the free list; the
//!    engine takes it back at its next operation. So no handle is ever stale, and dropping works at any time.
//! 2. A handle names its engine by the identity of the free list. An engine looks at a slot only after comparing that, so a
//!    handle of another engine is an error and not another value.
//! 3. Handles do not keep their engine alive: one that outlives it fails with [`Error::Closed`](super::Error::Closed).

use super::error::{Error, Result};
use super::lua::{Inner, Lua};
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex};

/// Slots given back since the engine last looked.
pub(crate) struct Pool {
    pub(crate) freed: RefCell<Vec<u32>>,
    /// Runs that were dropped before they were over.
    pub(crate) tasks: RefCell<Vec<usize>>,
    /// Given back by errors, which may be dropped on another thread.
    pub(crate) remote: Arc<Mutex<Vec<u32>>>,
}

/// A slot of an engine's handle table.
pub(crate) struct Handle {
    pub(crate) inner: Weak<Inner>,
    pub(crate) pool: Rc<Pool>,
    pub(crate) slot: u32,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Never borrowed elsewhere while user code runs, so this succeeds; if not, the slot stays taken.
        if let Ok(mut freed) = self.pool.freed.try_borrow_mut() {
            freed.push(self.slot);
        }
    }
}

impl Handle {
    /// The engine, if it is still there.
    pub(crate) fn lua(&self) -> Result<Lua> {
        self.inner
            .upgrade()
            .map(Lua::from_inner)
            .ok_or(Error::Closed)
    }
}

/// The slot of an error's value. Errors travel (`Send`, `Sync`); the value can be read with its engine only.
pub(crate) struct ErrorSlot {
    pub(crate) remote: Arc<Mutex<Vec<u32>>>,
    pub(crate) slot: u32,
}

impl Drop for ErrorSlot {
    fn drop(&mut self) {
        if let Ok(mut freed) = self.remote.lock() {
            freed.push(self.slot);
        }
    }
}
