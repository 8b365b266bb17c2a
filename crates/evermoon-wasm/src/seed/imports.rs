//! External tables at the host, behind the three functions that both families of the original's hosts provide.
//!
//! Keys and values pass through fixed areas that nothing else writes: one known host keeps a view of a value's bytes instead of a copy, and
//! reads the same address again later. Entries of tables that are being copied have an area of their own, so that they do not
//! overwrite such a view.
//!
//! SAFETY of the file: the module has one thread, and while an import runs nothing here is borrowed; the host may write to the areas then.

use super::backend::Backend;
use super::codec::{KEY_MAX, VALUE_MAX};

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn js_ext_table_get(
        table: u32,
        key: *const u8,
        key_len: u32,
        value: *mut u8,
        value_max: u32,
    ) -> i32;
    fn js_ext_table_set(
        table: u32,
        key: *const u8,
        key_len: u32,
        value: *const u8,
        value_len: u32,
    ) -> i32;
    fn js_ext_table_size(table: u32) -> i32;
}

static mut KEY: [u8; KEY_MAX] = [0; KEY_MAX];
static mut VALUE: [u8; VALUE_MAX] = [0; VALUE_MAX];

/// The host's tables.
pub struct Imports;

/// Copies a key to its area.
fn place_key(key: &[u8]) -> (*const u8, u32) {
    let len = key.len().min(KEY_MAX);
    let area = &raw mut KEY;
    // SAFETY: `len` bytes fit the area; see the head of this file.
    unsafe { std::ptr::copy_nonoverlapping(key.as_ptr(), area.cast::<u8>(), len) };
    (area.cast_const().cast(), len as u32)
}

impl Backend for Imports {
    fn get(&mut self, table: u32, key: &[u8]) -> Option<&[u8]> {
        let (key, key_len) = place_key(key);
        let area = (&raw mut VALUE).cast::<u8>();
        // SAFETY: both ranges lie in the areas.
        let len = unsafe { js_ext_table_get(table, key, key_len, area, VALUE_MAX as u32) };
        // One host copies what fits and returns the full length.
        let len = usize::try_from(len).ok()?.min(VALUE_MAX);
        // SAFETY: inside the area, which is initialised.
        (len > 0).then(|| unsafe { std::slice::from_raw_parts(area.cast_const(), len) })
    }

    fn set(&mut self, table: u32, key: &[u8], value: &[u8]) -> bool {
        if value.len() > VALUE_MAX {
            return false;
        }
        let (key, key_len) = place_key(key);
        let area = (&raw mut VALUE).cast::<u8>();
        // SAFETY: the value fits the area, and both ranges lie in the areas.
        unsafe {
            std::ptr::copy_nonoverlapping(value.as_ptr(), area, value.len());
            js_ext_table_set(table, key, key_len, area.cast_const(), value.len() as u32) >= 0
        }
    }

    fn size(&mut self, table: u32) -> u32 {
        // SAFETY: no memory is passed.
        unsafe { js_ext_table_size(table) }.max(0) as u32
    }

    fn keys(&mut self, _table: u32) -> Option<Vec<Vec<u8>>> {
        None
    }
}
