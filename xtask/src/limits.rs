//! What the module and the package may weigh: the one place that says so. `cargo xtask bench --wasm` shows how far they are from it.
//!
//! The module is not there yet (`docs/size.md`). Until it is, `cargo xtask test size` holds what has been reached, so that it does not grow unseen;
//! then `MODULE_HELD` becomes the limit.

/// A module's bytes.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub raw: u64,
    /// Packed by brotli at its best.
    pub brotli: u64,
}

/// What `dist/evermoon.wasm` is to weigh.
pub const MODULE_MAX: Sizes = Sizes {
    raw: 450 << 10,
    brotli: 170 << 10,
};
/// What `cargo xtask test size` refuses to see grow. With room for a toolchain that has no source of the standard library (5 KiB).
pub const MODULE_HELD: Sizes = Sizes {
    raw: 484 << 10,
    brotli: 180 << 10,
};
/// The same for `dist/evermoon-world.wasm`.
pub const WORLD_HELD: Sizes = Sizes {
    raw: 690 << 10,
    brotli: 254 << 10,
};
/// The package's JavaScript (`dist/index.js` and what it imports), minified.
pub const SCRIPT_BYTES_MAX: u64 = 30 << 10;
