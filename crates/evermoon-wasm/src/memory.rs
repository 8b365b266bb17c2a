//! The module's allocator: the standard one over memory that grows, and a reserve for when the system refuses to let it grow.
//!
//! Most of the engine's small allocations cannot fail. So when memory is refused, they are served from the reserve, and the engine is told
//! (`heap::alloc::LOW`): it refuses larger ones, and between two slices the program that runs gets `not enough memory`. Once there is memory
//! again, the reserve is filled first.
//!
//! SAFETY of the file: the module has one thread.
#![cfg_attr(not(target_family = "wasm"), allow(dead_code))]

use evermoon::heap::alloc::LOW;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering::Relaxed};

/// What one slice of a program may take before it is stopped, in requests too small to be refused.
const RESERVE: usize = 1 << 20;

static RESERVED: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static REFUSED: AtomicU32 = AtomicU32::new(0);

fn reserve_layout() -> Layout {
    Layout::new::<[u64; RESERVE / 8]>()
}

/// Whether memory is low. Fills the reserve if it can.
pub fn is_low() -> bool {
    LOW.load(Relaxed) && !fill()
}

/// Requests that the system has refused.
pub fn refused() -> u32 {
    REFUSED.load(Relaxed)
}

/// Fills the reserve; whether it is full.
pub fn fill() -> bool {
    if RESERVED.load(Relaxed).is_null() {
        // SAFETY: the layout is not empty.
        let block = unsafe { take(reserve_layout()) };
        RESERVED.store(block, Relaxed);
        LOW.store(block.is_null(), Relaxed);
    }
    !RESERVED.load(Relaxed).is_null()
}

/// Gives the reserve to the allocator. False if it is used up.
#[cold]
fn spend() -> bool {
    REFUSED.fetch_add(1, Relaxed);
    LOW.store(true, Relaxed);
    let block = RESERVED.swap(std::ptr::null_mut(), Relaxed);
    if block.is_null() {
        return false;
    }
    // SAFETY: `fill` took the block with this layout.
    unsafe { Memory.dealloc(block, reserve_layout()) }
    true
}

/// Whether a request that the system refused is worth another try.
#[cold]
fn again(size: usize) -> bool {
    size <= RESERVE / 4 && spend()
}

struct Memory;

#[cfg(target_family = "wasm")]
#[global_allocator]
static MEMORY: Memory = Memory;

/// One copy of the system's allocator in the module: it is large, and would be inlined everywhere.
///
/// # Safety
/// As `GlobalAlloc::alloc`.
#[inline(never)]
unsafe fn take(layout: Layout) -> *mut u8 {
    loop {
        // SAFETY: the caller's promise.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() || !again(layout.size()) {
            return block;
        }
    }
}

// SAFETY: `System` is a correct allocator, and nothing but what it gave is handed out or taken back.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those that `System` asks for; so below.
        unsafe { take(layout) }
    }
    #[inline(never)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        loop {
            // SAFETY: as above.
            let block = unsafe { System.alloc_zeroed(layout) };
            if !block.is_null() || !again(layout.size()) {
                return block;
            }
        }
    }
    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
    #[inline(never)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        loop {
            // SAFETY: as above.
            let moved = unsafe { System.realloc(block, layout, size) };
            if !moved.is_null() || !again(size) {
                return moved;
            }
        }
    }
}
