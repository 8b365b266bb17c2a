//! The allocator of the module for the original's hosts: all memory comes from an arena that is there from the start.
//!
//! Those hosts keep a view of the module's memory for the life of the instance; a growth would detach it, and every later access would
//! fail in silence. So the memory never grows. What Lua may use is so far below the arena's size that the allocator does not run dry:
//! the bounds below are checked by the heap and between slices, and end in Lua's `not enough memory`.
//!
//! SAFETY of the file: the module has one thread, and the allocator calls nothing that allocates.

use super::engine::Bounds;
use dlmalloc::Dlmalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;

/// Bytes for everything that is allocated. They cost address space, and memory only when touched.
const ARENA: usize = 192 << 20;

/// The heap's pools keep pages of one block size for that size, so they may come to hold several times the heap's bytes. The rest of the
/// arena is for the compiler's trees and buffers of library functions.
pub const BOUNDS: Bounds = Bounds {
    heap: 32 << 20,
    string: 16 << 20,
    system: 128 << 20,
};

#[repr(C, align(65536))]
struct Space([u8; ARENA]);

struct Arena {
    space: UnsafeCell<Space>,
    given: UnsafeCell<bool>,
}

// SAFETY: see the head of this file.
unsafe impl Sync for Arena {}

static ARENA_SPACE: Arena = Arena {
    space: UnsafeCell::new(Space([0; ARENA])),
    given: UnsafeCell::new(false),
};

/// Hands the arena to dlmalloc as if it were the system's memory, whole and once.
struct Source;

// SAFETY: the arena is zeroed, aligned to a page, handed out once and never taken back.
unsafe impl dlmalloc::Allocator for Source {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let given = ARENA_SPACE.given.get();
        // SAFETY: see the head of this file.
        unsafe {
            if *given || size > ARENA {
                return (std::ptr::null_mut(), 0, 0);
            }
            *given = true;
        }
        (ARENA_SPACE.space.get().cast(), ARENA, 0)
    }
    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        std::ptr::null_mut()
    }
    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }
    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }
    fn can_release_part(&self, _: u32) -> bool {
        false
    }
    fn allocates_zeros(&self) -> bool {
        true
    }
    fn page_size(&self) -> usize {
        65536
    }
}

struct Memory(UnsafeCell<Dlmalloc<Source>>);

// SAFETY: see the head of this file.
unsafe impl Sync for Memory {}

#[global_allocator]
static MEMORY: Memory = Memory(UnsafeCell::new(Dlmalloc::new_with_allocator(Source)));

// SAFETY: dlmalloc is a correct allocator; see the head of this file.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).malloc(layout.size(), layout.align()) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).calloc(layout.size(), layout.align()) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { (*self.0.get()).free(block, layout.size(), layout.align()) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        unsafe { (*self.0.get()).realloc(block, layout.size(), layout.align(), size) }
    }
}
