//! What all heap objects share: the header, and the pointer type [`Gc`].
//!
//! Invariants
//! 1. Every object begins with a [`Header`] whose `kind` is one of the collectable tags of `value.rs`; a free block
//!    has kind 0. Layouts are `repr(C)`.
//! 2. A `Gc<T>` always points to an object of kind `T`: only the constructors in this folder make one from an address,
//!    after a tag or kind test.
//! 3. An object is freed only by the sweeper (`gc.rs`), and the collector runs only at safe points of the interpreter,
//!    when no native function is active. So whoever runs between two safe points may hold a `Gc` freely; to keep one
//!    longer, store it where the collector looks: a Lua stack, a table, the registry.
//! 4. The heap is used by one thread at a time.
#![allow(unsafe_code)]

use super::WORLDS;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// First eight bytes of every object.
#[repr(C)]
pub struct Header {
    /// The object's tag of `value.rs` as a byte, or 0 in a free block.
    pub kind: u8,
    /// Colour and barrier bits, see [`mark`].
    pub mark: u8,
    /// Bits whose meaning depends on the kind (tables: `table::flags`; strings: `hollow::STORED`).
    pub flags: u16,
    /// Of objects that a world keeps: their number in its object table ([`super::hollow`]), 0 for none. Of prototypes and long
    /// strings: 1 more than the place of their content hash in the world's list, or 0.
    pub meta: u32,
}

/// Bits of [`Header::mark`].
pub mod mark {
    /// The two whites; an object of the other white than the current one is dead during the sweep.
    pub const WHITE_A: u8 = 1;
    pub const WHITE_B: u8 = 2;
    pub const WHITES: u8 = WHITE_A | WHITE_B;
    /// Marked and traversed. Neither white nor black is gray.
    pub const BLACK: u8 = 4;
    /// Persisted and unchanged since its last commit.
    pub const CLEAN: u8 = 8;
    /// A store into an object with one of these bits must pass `Heap::barrier`.
    pub const BARRIER: u8 = if super::WORLDS { BLACK | CLEAN } else { BLACK };
    /// Has a finalizer that has not been called.
    pub const FINALIZER: u8 = 16;
    /// Has a number in `Heap::printed_ids`.
    pub const PRINTED: u8 = 32;
}

/// The bit of [`Header::flags`] that all kinds share: the object's identity is here, its contents are in the store.
pub const HOLLOW: u16 = 0x8000;
/// Of tables: the rows are in the store one by one (`external.rs`). It stands beside [`HOLLOW`].
pub const EXTERNAL: u16 = 0x1000;
/// Of tables and userdata: the host has given it a name, by which records refer to it.
pub const PERMANENT: u16 = 0x2000;

/// A pointer to a heap object. Copyable, not owning; see the invariants above.
pub struct Gc<T> {
    pointer: NonNull<T>,
    _not_send: PhantomData<*mut T>,
}

impl<T> Clone for Gc<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Gc<T> {}
impl<T> PartialEq for Gc<T> {
    fn eq(&self, other: &Self) -> bool {
        self.pointer == other.pointer
    }
}
impl<T> Eq for Gc<T> {}

impl<T> Gc<T> {
    /// # Safety
    /// `pointer` must point to a live object of this type (invariant 2).
    #[inline]
    pub(crate) unsafe fn from_raw(pointer: *mut T) -> Gc<T> {
        // SAFETY: live objects are not at address 0.
        Gc {
            pointer: unsafe { NonNull::new_unchecked(pointer) },
            _not_send: PhantomData,
        }
    }
    /// From the payload of a value whose tag says `T`.
    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Gc<T> {
        // SAFETY: invariant 2: callers have tested the tag, and a tagged payload is an object's address.
        unsafe { Gc::from_raw(bits as usize as *mut T) }
    }
    #[inline]
    pub(crate) fn as_ptr(self) -> *mut T {
        self.pointer.as_ptr()
    }
    #[inline]
    pub fn address(self) -> usize {
        self.pointer.as_ptr() as usize
    }
    /// The header view.
    #[inline]
    pub fn header(self) -> Gc<Header> {
        Gc {
            pointer: self.pointer.cast(),
            _not_send: PhantomData,
        }
    }
    /// The same object as another type.
    ///
    /// # Safety
    /// The object's kind must be that of `U`.
    #[inline]
    pub(crate) unsafe fn cast<U>(self) -> Gc<U> {
        Gc {
            pointer: self.pointer.cast(),
            _not_send: PhantomData,
        }
    }
}

impl<T> Deref for Gc<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: invariants 2 and 3: it points to a live object of this type; invariant 4: no other thread.
        unsafe { self.pointer.as_ref() }
    }
}
impl<T> DerefMut for Gc<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above. Mutable views are short: no method of an object keeps one while it calls out of this folder.
        unsafe { self.pointer.as_mut() }
    }
}

impl Header {
    #[inline]
    pub fn is_white(&self) -> bool {
        self.mark & mark::WHITES != 0
    }
    /// Its contents are in the store (`hollow.rs`).
    #[inline]
    pub fn is_hollow(&self) -> bool {
        WORLDS && self.flags & HOLLOW != 0
    }
    #[inline]
    pub fn is_black(&self) -> bool {
        self.mark & mark::BLACK != 0
    }
}
