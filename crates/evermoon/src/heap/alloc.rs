//! Memory for objects and their buffers: size-class pools in pages, larger blocks from the system.
//!
//! Invariants
//! 1. A block of an object pool begins with a `Header`; kind 0 means free, and then bytes 8..16 hold the next free block.
//! 2. Pages are never moved, and given back only after a full collection or when the pools are dropped, so that the sweeper can walk them.
//! 3. Buffers carry no header: their owner passes the same size to `buffer_free` that it asked for.
//!
//! AddressSanitizer sees nothing of what happens inside a page. With the feature `asan` the pools tell it: blocks that are not in use are
//! poisoned (but for a free object's first 16 bytes, which the sweeper reads), and rest a while before they are used again.
#![allow(unsafe_code)]

use super::object::Header;
use crate::ordered::Map;
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};
use std::sync::atomic::{AtomicBool, Ordering};

/// The embedder's allocator had to dig into its reserve: larger requests are refused until it says otherwise. Nothing sets this but an embedder
/// whose allocator has one (the wasm module).
pub static LOW: AtomicBool = AtomicBool::new(false);

/// Requests from this size on are refused while memory is low; smaller ones come from the reserve.
pub(super) const REFUSABLE: usize = 256;
/// Requests from this size on might not fit the reserve: they are tried first, where the system may refuse them at all.
const TRIED: usize = 32 << 10;

/// Whether the system has a block of this size. Where the system overcommits memory (natively) the answer is yes.
#[inline]
pub(super) fn available(size: usize) -> bool {
    !LOW.load(Ordering::Relaxed)
        && (cfg!(not(target_family = "wasm")) || size < TRIED || try_block(size))
}

#[cold]
fn try_block(size: usize) -> bool {
    // SAFETY: the layout is not empty; the block is given back unused.
    unsafe {
        // Seen by something that the compiler does not know, or it would leave out the pair.
        let block = std::hint::black_box(alloc(layout(size)));
        if !block.is_null() {
            dealloc(block, layout(size));
        }
        !block.is_null()
    }
}

/// Granularity of the size classes, and the alignment of every block.
const GRAIN: usize = 16;
/// Largest pooled block; larger ones come from the system. Miri sees to the bounds and the life of what comes from the system, not of what
/// lies in a page: it gets few pools.
pub(super) const POOLED_MAX: usize = if cfg!(miri) { 32 } else { 512 };
const CLASSES: usize = POOLED_MAX / GRAIN + 1;
const PAGE_MIN: usize = 1024;
/// (Miri's accesses take the longer the more pointers there are into their allocation.)
const PAGE_MAX: usize = if cfg!(miri) { PAGE_MIN } else { 64 * 1024 };

/// A page of equal blocks.
#[derive(Clone, Copy)]
pub(super) struct Page {
    pub start: *mut u8,
    pub bytes: usize,
}

struct Class {
    /// How much of a free block stays readable: the header of an object, nothing of a buffer.
    #[cfg(feature = "asan")]
    readable: usize,
    /// Freed blocks that are not used again yet.
    #[cfg(feature = "asan")]
    resting: std::collections::VecDeque<*mut FreeBlock>,
    free: *mut FreeBlock,
    bump: *mut u8,
    bump_end: *mut u8,
    pages: Vec<Page>,
    bytes: usize,
}

#[repr(C)]
struct FreeBlock {
    header: Header,
    next: *mut FreeBlock,
}

/// The pools of one engine.
pub struct Pools {
    objects: [Class; CLASSES],
    buffers: [Class; CLASSES],
    /// Objects larger than a pooled block, with their sizes.
    pub(super) large: Vec<(*mut Header, usize)>,
    /// Bytes taken from the system, for statistics.
    pub system_bytes: usize,
    /// Pages are being given back.
    release: Option<Box<Release>>,
}

/// The giving back of pages, class by class. The free list of the class in hand is taken off, so that nothing of it is allocated meanwhile; it
/// is walked once to find pages all of whose blocks are in it, and once to leave those out.
struct Release {
    class: usize,
    begun: bool,
    /// Pages by their addresses, and how much of each is free.
    order: Vec<usize>,
    free_bytes: Vec<usize>,
    /// The list that was taken off, and how far it has been walked.
    list: *mut FreeBlock,
    at: *mut FreeBlock,
    /// Which pages go, once that is known.
    gone: Vec<bool>,
}

impl Default for Release {
    fn default() -> Release {
        Release {
            class: 0,
            begun: false,
            order: Vec::new(),
            free_bytes: Vec::new(),
            list: std::ptr::null_mut(),
            at: std::ptr::null_mut(),
            gone: Vec::new(),
        }
    }
}

impl Release {
    /// The page of a block, by its number when this began. Pages are only added meanwhile.
    fn page_of(&self, pages: &[Page], block: *mut FreeBlock) -> usize {
        let behind = |&i: &usize| pages[i].start <= block.cast();
        self.order[self.order.partition_point(behind) - 1]
    }

    /// Goes on with a class of blocks of `size` bytes. True when it is done.
    fn go_on(
        &mut self,
        class: &mut Class,
        size: usize,
        blocks: &mut usize,
        system_bytes: &mut usize,
    ) -> bool {
        if !self.begun {
            self.begun = true;
            let mut by_start = Map::new();
            for (i, page) in class.pages.iter().enumerate() {
                by_start.insert(page.start as usize, i);
            }
            self.order = by_start.values().copied().collect();
            self.free_bytes = vec![0; class.pages.len()];
            self.list = std::mem::replace(&mut class.free, std::ptr::null_mut());
            self.at = self.list;
        }
        // SAFETY (both walks): invariant 1; nobody else has the blocks of this list.
        if self.gone.is_empty() {
            while !self.at.is_null() {
                if *blocks == 0 {
                    return false;
                }
                *blocks -= 1;
                let page = self.page_of(&class.pages, self.at);
                self.free_bytes[page] += size;
                self.at = unsafe { (*self.at).next };
            }
            let full = |(free, page): (&usize, &Page)| *free == page.bytes;
            self.gone = self.free_bytes.iter().zip(&class.pages).map(full).collect();
            self.at = self.list;
        }
        while !self.at.is_null() {
            if *blocks == 0 {
                return false;
            }
            *blocks -= 1;
            let block = self.at;
            self.at = unsafe { (*block).next };
            if !self.gone[self.page_of(&class.pages, block)] {
                // SAFETY: a free block.
                unsafe { (*block).next = class.free }
                class.free = block;
            }
        }
        let mut n = 0;
        let gone = &self.gone;
        class.pages.retain(|page| {
            let gone = gone.get(n).copied().unwrap_or(false);
            n += 1;
            if gone {
                class.bytes -= page.bytes;
                *system_bytes -= page.bytes;
                // SAFETY: allocated with this layout; all its blocks were in the list, and are in none any more.
                unsafe { dealloc(page.start, page_layout(page.bytes)) }
            }
            !gone
        });
        true
    }
}

const fn class_of(size: usize) -> usize {
    size.div_ceil(GRAIN)
}

fn layout(size: usize) -> Layout {
    // Sizes come from checked arithmetic in this folder and stay far below isize::MAX.
    Layout::from_size_align(size.max(1), GRAIN).expect("a block size below isize::MAX")
}

/// Larger pages begin at a cache line: blocks of 32 and 64 bytes then lie in one each.
fn page_layout(bytes: usize) -> Layout {
    let align = if bytes < 4096 { GRAIN } else { 64 };
    Layout::from_size_align(bytes, align).expect("a page is small")
}

/// The memory there will be wanted soon.
#[inline(always)]
pub(super) fn prefetch<T>(_at: *const T) {
    // SAFETY: only a hint, whatever the address.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(_at.cast());
    }
}

/// Copies bytes, mostly few.
///
/// # Safety
/// As for `copy_nonoverlapping`.
#[inline(always)]
pub(super) unsafe fn copy_bytes(from: *const u8, to: *mut u8, n: usize) {
    // In wasm a copy is one instruction, and that a call into the engine's C++ code: slow for few bytes.
    // SAFETY: the caller's promise.
    unsafe {
        if cfg!(target_family = "wasm") && n <= 128 {
            copy_few(from, to, n);
        } else {
            std::ptr::copy_nonoverlapping(from, to, n);
        }
    }
}

/// Word by word; the last word may overlap the one before. (Not inline: where it is known that the places are apart, LLVM would make a copy
/// of the loop.)
///
/// # Safety
/// As for `copy_nonoverlapping`.
#[inline(never)]
unsafe fn copy_few(from: *const u8, to: *mut u8, n: usize) {
    // SAFETY: every access ends within the `n` bytes.
    unsafe {
        let word = |at: usize| {
            let word: u64 = from.add(at).cast::<u64>().read_unaligned();
            to.add(at).cast::<u64>().write_unaligned(word);
        };
        if n >= 8 {
            let mut at = 0;
            while at + 8 < n {
                word(at);
                at += 8;
            }
            word(n - 8);
        } else {
            for at in 0..n {
                to.add(at).write(from.add(at).read());
            }
        }
    }
}

impl Class {
    const fn new(_readable: usize) -> Class {
        Class {
            #[cfg(feature = "asan")]
            readable: _readable,
            #[cfg(feature = "asan")]
            resting: std::collections::VecDeque::new(),
            free: std::ptr::null_mut(),
            bump: std::ptr::null_mut(),
            bump_end: std::ptr::null_mut(),
            pages: Vec::new(),
            bytes: 0,
        }
    }

    #[inline(always)]
    fn take(&mut self, size: usize, system_bytes: &mut usize) -> *mut u8 {
        let block = self.free;
        if !block.is_null() {
            sanitizer::unpoison(block.cast(), size);
            // SAFETY: invariant 1: a free block links to the next.
            self.free = unsafe { (*block).next };
            // The one behind it will be asked for its link.
            prefetch(self.free);
            return block.cast();
        }
        self.take_bump(size, system_bytes)
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    fn take_bump(&mut self, size: usize, system_bytes: &mut usize) -> *mut u8 {
        if self.bump == self.bump_end {
            let wanted = self.bytes.clamp(PAGE_MIN, PAGE_MAX);
            let bytes = (wanted / size).max(1) * size;
            // SAFETY: the layout is not empty. Zeroed, so that untouched blocks read as free (invariant 1).
            let start = unsafe { alloc_zeroed(page_layout(bytes)) };
            if start.is_null() {
                std::alloc::handle_alloc_error(page_layout(bytes));
            }
            self.pages.push(Page { start, bytes });
            self.bytes += bytes;
            *system_bytes += bytes;
            self.bump = start;
            self.bump_end = start.wrapping_add(bytes);
            #[cfg(feature = "asan")]
            for at in (0..bytes).step_by(size) {
                sanitizer::poison(start.wrapping_add(at), self.readable, size);
            }
        }
        let block = self.bump;
        self.bump = block.wrapping_add(size);
        sanitizer::unpoison(block, size);
        block
    }

    /// # Safety
    /// `block` came from `take` of this class with this size and is not in use.
    #[inline]
    unsafe fn give(&mut self, block: *mut u8, size: usize) {
        let block: *mut FreeBlock = block.cast();
        // SAFETY: the caller's promise; a block is at least 16 bytes.
        unsafe { (&raw mut (*block).header.kind).write(0) }
        #[cfg(feature = "asan")]
        let Some(block) = self.rest(block, size) else {
            return;
        };
        #[cfg(not(feature = "asan"))]
        let _ = size;
        // SAFETY: as above.
        unsafe { (&raw mut (*block).next).write(self.free) }
        #[cfg(feature = "asan")]
        sanitizer::poison(block.cast(), self.readable, size);
        self.free = block;
    }

    /// Lets a freed block rest; one that has rested long enough, with its link writable, comes back.
    #[cfg(feature = "asan")]
    fn rest(&mut self, block: *mut FreeBlock, size: usize) -> Option<*mut FreeBlock> {
        sanitizer::poison(block.cast(), self.readable, size);
        self.resting.push_back(block);
        if self.resting.len() <= RESTING_MAX {
            return None;
        }
        let block = self.resting.pop_front()?;
        sanitizer::unpoison(block.cast(), size);
        Some(block)
    }
}

/// Blocks of a class that rest at most: enough to outlast what an instruction or a native frees.
#[cfg(feature = "asan")]
const RESTING_MAX: usize = 1000;

/// What AddressSanitizer is told. Nothing, unless the feature says that it is linked.
mod sanitizer {
    #[cfg(feature = "asan")]
    unsafe extern "C" {
        fn __asan_poison_memory_region(start: *const u8, size: usize);
        fn __asan_unpoison_memory_region(start: *const u8, size: usize);
    }

    /// A block is not in use, but for its first `readable` bytes.
    #[cfg(feature = "asan")]
    pub(super) fn poison(block: *mut u8, readable: usize, size: usize) {
        // SAFETY: only marks addresses of a page of ours.
        unsafe { __asan_poison_memory_region(block.wrapping_add(readable), size - readable) }
    }

    /// A block is in use.
    #[inline]
    pub(super) fn unpoison(_block: *mut u8, _size: usize) {
        #[cfg(feature = "asan")]
        // SAFETY: only marks addresses of a page of ours.
        unsafe {
            __asan_unpoison_memory_region(_block, _size)
        }
    }
}

impl Pools {
    pub fn new() -> Pools {
        Pools {
            objects: [const { Class::new(GRAIN) }; CLASSES],
            buffers: [const { Class::new(0) }; CLASSES],
            large: Vec::new(),
            system_bytes: 0,
            release: None,
        }
    }

    /// A block for an object; its header must be written before the next safe point.
    #[inline(always)]
    pub(super) fn object(&mut self, size: usize) -> *mut u8 {
        if size <= POOLED_MAX {
            let class = class_of(size);
            self.objects[class].take(class * GRAIN, &mut self.system_bytes)
        } else {
            self.object_large(size)
        }
    }

    #[cold]
    fn object_large(&mut self, size: usize) -> *mut u8 {
        // SAFETY: the layout is not empty.
        let block = unsafe { alloc(layout(size)) };
        if block.is_null() {
            std::alloc::handle_alloc_error(layout(size));
        }
        self.system_bytes += size;
        self.large.push((block.cast(), size));
        block
    }

    /// The same, with zeros in it.
    pub(super) fn object_zeroed(&mut self, size: usize) -> *mut u8 {
        if size <= POOLED_MAX {
            let block = self.object(size);
            // SAFETY: a block of that size.
            unsafe { block.write_bytes(0, size) };
            return block;
        }
        // SAFETY: the layout is not empty.
        let block = unsafe { alloc_zeroed(layout(size)) };
        if block.is_null() {
            std::alloc::handle_alloc_error(layout(size));
        }
        self.system_bytes += size;
        self.large.push((block.cast(), size));
        block
    }

    /// # Safety
    /// `block` came from `object` with this size, and is dead. Large blocks are freed by the sweeper's own walk.
    #[inline]
    pub(super) unsafe fn object_free(&mut self, block: *mut u8, size: usize) {
        debug_assert!(size <= POOLED_MAX);
        // SAFETY: the caller's promise.
        unsafe { self.objects[class_of(size)].give(block, class_of(size) * GRAIN) }
    }

    /// # Safety
    /// `block` came from `object_large` with this size, has been taken out of `large`, and is dead.
    pub(super) unsafe fn large_free(&mut self, block: *mut u8, size: usize) {
        self.system_bytes -= size;
        // SAFETY: the caller's promise.
        unsafe { dealloc(block, layout(size)) }
    }

    /// A buffer of `size` bytes; null for 0.
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(super) fn buffer(&mut self, size: usize) -> *mut u8 {
        if size == 0 {
            return std::ptr::null_mut();
        }
        if size <= POOLED_MAX {
            let class = class_of(size);
            return self.buffers[class].take(class * GRAIN, &mut self.system_bytes);
        }
        self.system_bytes += size;
        // SAFETY: the layout is not empty.
        let block = unsafe { alloc(layout(size)) };
        if block.is_null() {
            std::alloc::handle_alloc_error(layout(size));
        }
        block
    }

    /// # Safety
    /// `block` came from `buffer` with this size.
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(super) unsafe fn buffer_free(&mut self, block: *mut u8, size: usize) {
        if size == 0 {
            return;
        }
        // SAFETY: the caller's promise.
        unsafe {
            if size <= POOLED_MAX {
                self.buffers[class_of(size)].give(block, class_of(size) * GRAIN);
            } else {
                self.system_bytes -= size;
                dealloc(block, layout(size));
            }
        }
    }

    /// Changes a buffer's size, keeping the common prefix.
    ///
    /// # Safety
    /// `block` came from `buffer` with `old` bytes, of which the first `used` are initialised.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(super) unsafe fn buffer_resize(
        &mut self,
        block: *mut u8,
        old: usize,
        new: usize,
        used: usize,
    ) -> *mut u8 {
        // SAFETY: the caller's promise; `used` is at most both sizes.
        unsafe {
            if old > POOLED_MAX && new > POOLED_MAX {
                let moved = realloc(block, layout(old), new);
                if moved.is_null() {
                    std::alloc::handle_alloc_error(layout(new));
                }
                self.system_bytes = self.system_bytes - old + new;
                return moved;
            }
            let fresh = self.buffer(new);
            if used > 0 {
                copy_bytes(block, fresh, used.min(new));
            }
            self.buffer_free(block, old);
            fresh
        }
    }

    /// Begins to give pages without a block in use back to the system. Not while the sweeper walks the pages.
    pub(super) fn begin_release(&mut self) {
        // Free blocks cannot be looked at with `asan`.
        if self.release.is_none() && !cfg!(feature = "asan") {
            self.release = Some(Box::new(Release::default()));
        }
    }

    /// Goes on with it for about so many free blocks. True when it is done.
    pub(super) fn go_on_releasing(&mut self, mut blocks: usize) -> bool {
        let Some(mut release) = self.release.take() else {
            return true;
        };
        while release.class < 2 * CLASSES {
            let size = release.class % CLASSES * GRAIN;
            let class = if release.class < CLASSES {
                &mut self.objects[release.class]
            } else {
                &mut self.buffers[release.class - CLASSES]
            };
            if !release.go_on(class, size, &mut blocks, &mut self.system_bytes) {
                self.release = Some(release);
                return false;
            }
            release = Box::new(Release {
                class: release.class + 1,
                ..Release::default()
            });
        }
        true
    }

    pub(super) fn object_page_count(&self) -> usize {
        self.objects.iter().map(|class| class.pages.len()).sum()
    }

    /// Where the sweeper's walk over the object pages stands: class and page. Blocks of the page at `cursor`, and the
    /// size of each, or nothing when all pages have been walked.
    pub(super) fn object_page(&self, cursor: &mut (usize, usize)) -> Option<(Page, usize)> {
        while cursor.0 < CLASSES {
            if let Some(page) = self.objects[cursor.0].pages.get(cursor.1) {
                return Some((*page, cursor.0 * GRAIN));
            }
            *cursor = (cursor.0 + 1, 0);
        }
        None
    }
}

/// For the heap checker (`check.rs`, invariant 1).
#[cfg(feature = "checked")]
impl Pools {
    /// The size of the block that an object of `size` bytes stands in.
    pub(super) fn block_bytes(size: usize) -> usize {
        if size > POOLED_MAX {
            size
        } else {
            class_of(size) * GRAIN
        }
    }

    /// The pools agree with what is in use: `buffers` are the sizes of all buffers that have an owner.
    pub(super) fn check(&self, buffers: &[usize]) -> Result<(), String> {
        // A free list is off its class then.
        if self.release.is_some() {
            return Ok(());
        }
        let mut owned = [0; CLASSES];
        let mut large_bytes = 0;
        for &size in buffers.iter().filter(|&&size| size > 0) {
            if size <= POOLED_MAX {
                owned[class_of(size)] += 1;
            } else {
                large_bytes += size;
            }
        }
        let mut system = large_bytes + self.large.iter().map(|(_, size)| size).sum::<usize>();
        for (i, &owned) in owned.iter().enumerate().skip(1) {
            let size = i * GRAIN;
            let (objects, buffers) = (&self.objects[i], &self.buffers[i]);
            system += objects.bytes + buffers.bytes;
            let free = objects.check(size, true)?;
            let used = objects.bytes / size - free;
            let mut found = 0;
            for page in &objects.pages {
                for at in (0..page.bytes).step_by(size) {
                    // SAFETY: invariant 1: a block of an object page begins with a header.
                    found += unsafe { (*page.start.add(at).cast::<Header>()).kind != 0 } as usize;
                }
            }
            if found != used {
                return Err(format!(
                    "{found} objects in blocks of {size} bytes, of which {used} are not free"
                ));
            }
            let free = buffers.check(size, false)?;
            let used = buffers.bytes / size - free;
            if owned != used {
                return Err(format!(
                    "{used} buffers of {size} bytes are in use, {owned} have an owner"
                ));
            }
        }
        if system != self.system_bytes {
            return Err(format!(
                "{} bytes taken from the system, {system} found",
                self.system_bytes
            ));
        }
        Ok(())
    }
}

#[cfg(feature = "checked")]
impl Class {
    /// Walks the free list; gives how many blocks are not in use.
    fn check(&self, size: usize, objects: bool) -> Result<usize, String> {
        let mut pages: Vec<&Page> = self.pages.iter().collect();
        pages.sort_by_key(|page| page.start);
        let inside = |block: *mut u8| {
            let after = pages.partition_point(|page| page.start <= block);
            after.checked_sub(1).is_some_and(|i| {
                let at = block as usize - pages[i].start as usize;
                at < pages[i].bytes && at.is_multiple_of(size)
            })
        };
        if self.bytes != self.pages.iter().map(|page| page.bytes).sum::<usize>() {
            return Err(format!("pages of {size}-byte blocks do not add up"));
        }
        let rest = self.bump_end as usize - self.bump as usize;
        if rest > 0 && !inside(self.bump) || !rest.is_multiple_of(size) {
            return Err(format!("fresh {size}-byte blocks lie outside of a page"));
        }
        let mut free = rest / size;
        let mut seen = std::collections::HashSet::new();
        let mut block = self.free;
        while !block.is_null() {
            if !inside(block.cast()) || !seen.insert(block) {
                return Err(format!(
                    "the free list of {size}-byte blocks leaves its pages or bites its tail at {block:p}"
                ));
            }
            // AddressSanitizer keeps even us from reading the links of free buffers: unpoisoned for that.
            #[cfg(feature = "asan")]
            if !objects {
                sanitizer::unpoison(block.cast(), GRAIN);
            }
            // SAFETY: invariant 1, and it lies in a page.
            let (kind, next) = unsafe { ((*block).header.kind, (*block).next) };
            #[cfg(feature = "asan")]
            if !objects {
                sanitizer::poison(block.cast(), 0, GRAIN);
            }
            if objects && kind != 0 {
                return Err(format!("the free block {block:p} has the kind {kind}"));
            }
            free += 1;
            block = next;
        }
        #[cfg(feature = "asan")]
        {
            free += self.resting.len();
        }
        Ok(free)
    }
}

impl Default for Pools {
    fn default() -> Self {
        Pools::new()
    }
}

impl Drop for Pools {
    fn drop(&mut self) {
        for class in self.objects.iter().chain(&self.buffers) {
            for page in &class.pages {
                sanitizer::unpoison(page.start, page.bytes);
                // SAFETY: each page was allocated with this layout and is freed once.
                unsafe { dealloc(page.start, page_layout(page.bytes)) }
            }
        }
    }
}
