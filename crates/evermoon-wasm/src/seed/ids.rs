//! The numbers of external tables.
//!
//! The original's hosts number tables of their own without telling the module, starting at small numbers and going on above the largest
//! that they have met. So that the two do not meet:
//! - `_io` has a large number, above which a host goes on as soon as it touches `_io`;
//! - tables that Lua makes are numbered from [`FIRST`] up to there;
//! - a number is taken only when the host counts no entries under it.

use super::backend::Backend;

/// The first number that Lua takes for a new table.
pub const FIRST: u32 = 1 << 16;
/// The number of `_io`; from here on numbers are the host's.
pub const IO: u32 = 1 << 30;
/// Numbers beyond are negative for JavaScript hosts.
pub const MAX: u32 = i32::MAX as u32;

/// Looking for where an earlier session stopped: numbers looked at together, blocks in a row that must be unused, blocks in all.
const BLOCK: u32 = 64;
const UNUSED_BLOCKS: u32 = 16;
const BLOCKS_MAX: u32 = 1 << 14;
/// Numbers in a row that may turn out to be in use.
const TRIES: u32 = 1 << 16;

pub struct Ids {
    next: u32,
    pub home: u32,
    pub io: u32,
    /// The host's counter has passed `IO`: it does not tell which of our numbers an earlier session used.
    unsure: bool,
}

impl Ids {
    /// `synced` is the counter that the host gave before the start, or 0.
    pub fn new(synced: u32) -> Ids {
        let home = if (1..=MAX).contains(&synced) {
            synced
        } else {
            1
        };
        let io = if home == IO { IO + 1 } else { IO };
        let mut ids = Ids {
            next: FIRST,
            home,
            io,
            unsure: false,
        };
        ids.sync(home.saturating_add(1));
        ids
    }

    /// The host says that numbers from `next` on are free.
    pub fn sync(&mut self, next: u32) {
        if next > MAX {
            return;
        }
        if next > IO {
            self.unsure = true;
        } else {
            self.next = self.next.max(next);
        }
    }

    /// A number was met.
    pub fn met(&mut self, id: u32) {
        if id < IO && id >= self.next {
            self.next = id + 1;
        }
    }

    /// A number for a new table; `None` when there is none left.
    pub fn take(&mut self, store: &mut dyn Backend) -> Option<u32> {
        if self.unsure {
            self.unsure = false;
            self.look_for_end(store);
        }
        for _ in 0..TRIES {
            let id = self.next;
            if id >= IO {
                return None;
            }
            self.next += 1;
            if id != self.home && id != self.io && store.size(id) == 0 {
                return Some(id);
            }
        }
        None
    }

    /// Moves behind the numbers of an earlier session, and a little further: empty tables at its end cannot be seen.
    fn look_for_end(&mut self, store: &mut dyn Backend) {
        let (mut at, mut unused) = (self.next, 0);
        for _ in 0..BLOCKS_MAX {
            if unused == UNUSED_BLOCKS || at >= IO - BLOCK {
                break;
            }
            if (at..at + BLOCK).any(|id| store.size(id) > 0) {
                unused = 0;
                self.next = at + BLOCK * (1 + UNUSED_BLOCKS);
            } else {
                unused += 1;
            }
            at += BLOCK;
        }
    }
}
