//! Strings: bytes behind a header. Short ones (at most 40 bytes) are interned, so that equality is identity.
//!
//! Invariants
//! 1. `is_short()` exactly when the length is at most [`SHORT_MAX`]; the kind in the header says the same.
//! 2. A short string is in the interner as long as it lives; two live short strings never have equal bytes.
//! 3. A short string's hash is computed at creation. A long one's hash is 0 until it is first asked for.
#![allow(unsafe_code)]

use super::alloc::copy_bytes;
use super::object::{Gc, Header, mark};
use super::value::tag;

/// Longest interned string, in bytes.
pub const SHORT_MAX: usize = 40;
/// Bytes before the text.
pub(super) const STR_HEAD: usize = 16;

/// A string object; the text follows the struct.
#[repr(C)]
pub struct Str {
    pub header: Header,
    pub(super) hash: u32,
    pub(super) len: u32,
}

const _: () = assert!(size_of::<Str>() == STR_HEAD);

impl Str {
    #[inline(always)]
    pub fn is_short(&self) -> bool {
        self.header.kind == tag::STR as u8
    }
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len as usize
    }
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The text.
    #[inline(always)]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the text of `len` bytes follows the header in the same block.
        unsafe {
            std::slice::from_raw_parts(
                (self as *const Str).cast::<u8>().add(STR_HEAD),
                self.len as usize,
            )
        }
    }
    /// The interned hash of a short string.
    #[inline(always)]
    pub(super) fn short_hash(&self) -> u32 {
        self.hash
    }
}

impl Gc<Str> {
    /// The text, for as long as the caller may hold the object (`object.rs`, invariant 3).
    pub fn as_bytes<'a>(self) -> &'a [u8] {
        // SAFETY: as in `bytes`; the lifetime is bounded by invariant 3 of `object.rs`.
        unsafe {
            std::slice::from_raw_parts(self.as_ptr().cast::<u8>().add(STR_HEAD), self.len as usize)
        }
    }
    /// The text of a long string that its maker has not shown to anyone yet. Nobody else may hold its text meanwhile.
    pub(super) fn text_mut<'a>(mut self) -> &'a mut [u8] {
        if self.is_short() {
            return &mut [];
        }
        // Should someone have looked all the same (a commit has, between two parts), the hashes are those of another text.
        self.hash = 0;
        self.header.meta = 0;
        // SAFETY: the text of `len` bytes follows the header in the same block; short strings, which are shared, are excluded; the lifetime
        // is bounded by invariant 3 of `object.rs`.
        unsafe {
            std::slice::from_raw_parts_mut(
                self.as_ptr().cast::<u8>().add(STR_HEAD),
                self.len as usize,
            )
        }
    }
    pub(super) fn hash(mut self) -> u32 {
        if self.hash == 0 && !self.is_short() {
            let h = hash_long(self.bytes());
            self.hash = h | 1;
        }
        self.hash
    }
    /// Text as UTF-8 for messages, lossy.
    pub fn to_text(self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}

/// Hash of a byte string: multiply and fold, eight bytes at a time. Its order never shows (tables keep insertion order),
/// so it need not be secret for determinism's sake, only well spread.
#[inline]
#[cfg_attr(evermoon_small, optimize(speed))]
pub fn hash_bytes(bytes: &[u8]) -> u32 {
    const K: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut h: u64 = (bytes.len() as u64).wrapping_mul(K) ^ 0x51_7c_c1_b7_27_22_0a_95;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes([
            chunk[0], chunk[1], chunk[2], chunk[3], chunk[4], chunk[5], chunk[6], chunk[7],
        ]);
        h = (h ^ word).wrapping_mul(K);
        h ^= h >> 32;
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let mut word = 0u64;
        for &byte in rest {
            word = word << 8 | byte as u64;
        }
        h = (h ^ word).wrapping_mul(K);
        h ^= h >> 32;
    }
    h = h.wrapping_mul(K);
    (h >> 32) as u32
}

/// Logical bytes that a short string pays for its place in the interner: it is at most half full of 8-byte pointers. The interner's real
/// size may not be counted, as it depends on when dead strings are swept, and so on the platform.
pub(super) const SLOT_BYTES: usize = 16;

/// Texts longer than this are hashed by samples, since a look-up cannot be interrupted.
const HASHED_WHOLE: usize = 256 << 10;

/// The hash of a long string: of all of it, or of both ends and samples between them.
#[cfg_attr(evermoon_small, optimize(speed))]
fn hash_long(bytes: &[u8]) -> u32 {
    const END: usize = 64 << 10;
    const SAMPLES: usize = 4096;
    if bytes.len() <= HASHED_WHOLE {
        return hash_bytes(bytes);
    }
    let (first, rest) = bytes.split_at(END);
    let (middle, last) = rest.split_at(rest.len() - END);
    let mut hash = hash_bytes(first) ^ hash_bytes(last).rotate_left(9) ^ bytes.len() as u32;
    for sample in middle.chunks(middle.len() / SAMPLES + 1) {
        let sample = &sample[..sample.len().min(8)];
        hash = hash.rotate_left(5) ^ hash_bytes(sample);
    }
    hash
}

/// The set of all short strings: open addressing with linear probing.
pub struct Interner {
    pub(super) slots: Vec<*mut Str>,
    /// Strings in the set.
    pub(super) used: usize,
}

impl Interner {
    const SLOTS_MIN: usize = 256;
    /// Logical bytes of an empty one.
    pub(super) const BYTES: usize = Interner::SLOTS_MIN * 8;

    pub(super) fn new() -> Interner {
        Interner {
            slots: vec![std::ptr::null_mut(); Interner::SLOTS_MIN],
            used: 0,
        }
    }

    /// The string with these bytes and this hash, or the slot where it belongs.
    #[inline(always)]
    pub(super) fn find(&self, bytes: &[u8], hash: u32) -> Result<*mut Str, usize> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let s = self.slots[at];
            if s.is_null() {
                return Err(at);
            }
            // SAFETY: invariant 2: interned strings are alive.
            unsafe {
                if (*s).hash == hash && (*s).len as usize == bytes.len() && (*s).bytes() == bytes {
                    return Ok(s);
                }
            }
            at = (at + 1) & mask;
        }
    }

    #[inline(always)]
    pub(super) fn insert(&mut self, slot: usize, s: *mut Str) {
        self.slots[slot] = s;
        self.used += 1;
        if self.used * 2 > self.slots.len() {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        let fresh = vec![std::ptr::null_mut(); self.slots.len() * 2];
        let old = std::mem::replace(&mut self.slots, fresh);
        let mask = self.slots.len() - 1;
        for s in old {
            if !s.is_null() {
                // SAFETY: invariant 2.
                let mut at = unsafe { (*s).hash } as usize & mask;
                while !self.slots[at].is_null() {
                    at = (at + 1) & mask;
                }
                self.slots[at] = s;
            }
        }
    }

    /// Takes a dying string out, closing the gap that it leaves in its probe run.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(super) fn remove(&mut self, s: *mut Str) {
        let mask = self.slots.len() - 1;
        // SAFETY: the sweeper removes a string before it frees it.
        let mut at = unsafe { (*s).hash } as usize & mask;
        while self.slots[at] != s {
            if self.slots[at].is_null() {
                return;
            }
            at = (at + 1) & mask;
        }
        self.used -= 1;
        let mut gap = at;
        loop {
            at = (at + 1) & mask;
            let next = self.slots[at];
            if next.is_null() {
                break;
            }
            // SAFETY: invariant 2.
            let home = unsafe { (*next).hash } as usize & mask;
            // `next` may move into the gap unless its home lies cyclically after the gap.
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(gap) & mask) {
                self.slots[gap] = next;
                gap = at;
            }
        }
        self.slots[gap] = std::ptr::null_mut();
    }
}

/// Writes a string object into a block with room for it.
///
/// # Safety
/// `block` has `STR_HEAD + bytes.len()` bytes.
#[cfg_attr(evermoon_small, optimize(speed))]
pub(super) unsafe fn write(block: *mut u8, white: u8, hash: u32, bytes: &[u8]) -> Gc<Str> {
    let kind = if bytes.len() <= SHORT_MAX {
        tag::STR
    } else {
        tag::LONG_STR
    } as u8;
    // SAFETY: the caller's promise.
    unsafe {
        let s: *mut Str = block.cast();
        s.write(Str {
            header: Header {
                kind,
                mark: white & mark::WHITES,
                flags: 0,
                meta: 0,
            },
            hash,
            len: bytes.len() as u32,
        });
        copy_bytes(bytes.as_ptr(), block.add(STR_HEAD), bytes.len());
        Gc::from_raw(s)
    }
}

/// Writes texts one behind the other, up to `room` bytes; returns how many.
///
/// # Safety
/// There is room for so many bytes at `to`.
#[inline]
pub(super) unsafe fn join(parts: impl Iterator<Item = Gc<Str>>, to: *mut u8, room: usize) -> usize {
    let mut at = 0;
    for s in parts {
        let bytes = s.as_bytes();
        let n = bytes.len().min(room - at);
        // SAFETY: `at + n` is at most `room`.
        unsafe { copy_bytes(bytes.as_ptr(), to.add(at), n) };
        at += n;
    }
    at
}

/// Makes a long string of a block whose text is written already.
///
/// # Safety
/// `block` has `STR_HEAD + len` bytes, the last `len` of them initialised, and `len > SHORT_MAX`.
#[cfg_attr(evermoon_small, optimize(speed))]
pub(super) unsafe fn finish_long(block: *mut u8, white: u8, len: usize) -> Gc<Str> {
    // SAFETY: the caller's promise.
    unsafe {
        let s: *mut Str = block.cast();
        s.write(Str {
            header: Header {
                kind: tag::LONG_STR as u8,
                mark: white & mark::WHITES,
                flags: 0,
                meta: 0,
            },
            hash: 0,
            len: len as u32,
        });
        Gc::from_raw(s)
    }
}
