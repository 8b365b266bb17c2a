//! What the module and the package may weigh: the one place that says so. `cargo xtask test size` and `cargo xtask bench --wasm` hold them to it.

/// `dist/evermoon.wasm`, in bytes.
pub const MODULE_BYTES_MAX: u64 = 450 << 10;
/// The same, packed by brotli at its best.
pub const MODULE_BROTLI_MAX: u64 = 170 << 10;
/// The package's JavaScript (`dist/index.js` and what it imports), minified.
pub const SCRIPT_BYTES_MAX: u64 = 30 << 10;
