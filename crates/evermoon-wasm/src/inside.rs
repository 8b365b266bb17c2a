//! Whether a call is in the module, so that a call which never came back is noticed.
//!
//! A host's stack may run out while the module is at work: an exception of the host's then passes through the module's frames, and no code here sees it. (A trap does the
//! same.) Memory is in the middle of something afterwards, the allocator's lists among it. So every call that touches an engine or a job holds an
//! [`Inside`], which such an exception never drops, and nobody is let in again: every export answers as if what it was asked about did not exist.
//! That is how a host can tell: an engine that it has not freed has no mailbox.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

// One thread: the exports do not run inside each other.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// A call that is in the module.
pub struct Inside(());

impl Inside {
    /// Lets a call in; `None` once one has not come back.
    pub fn enter() -> Option<Inside> {
        if TAKEN.load(Relaxed) {
            return None;
        }
        TAKEN.store(true, Relaxed);
        Some(Inside(()))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        TAKEN.store(false, Relaxed);
    }
}
