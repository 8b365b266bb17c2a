//! Ranges of the module's memory that the host names by address and length.
//!
//! SAFETY of the file: a range is checked against the size of the memory, all of which is initialised (wasm zeroes it). The host does not run
//! while the module looks at it.

/// A range to read; `None` if it does not lie inside the memory.
pub fn read<'a>(address: u32, len: u32) -> Option<&'a [u8]> {
    check(address, len)?;
    // SAFETY: see the head of this file.
    Some(unsafe { std::slice::from_raw_parts(address as usize as *const u8, len as usize) })
}

/// A range to write. The caller borrows nothing that lies in it.
pub fn write<'a>(address: u32, len: u32) -> Option<&'a mut [u8]> {
    check(address, len)?;
    // SAFETY: see the head of this file.
    Some(unsafe { std::slice::from_raw_parts_mut(address as usize as *mut u8, len as usize) })
}

fn check(address: u32, len: u32) -> Option<()> {
    let end = u64::from(address) + u64::from(len);
    (address != 0 && end <= u64::from(memory_pages()) << 16).then_some(())
}

/// The size of the memory in pages of 64 KiB.
pub fn memory_pages() -> u32 {
    #[cfg(target_arch = "wasm32")]
    return core::arch::wasm32::memory_size(0) as u32;
    #[cfg(not(target_arch = "wasm32"))]
    0
}
