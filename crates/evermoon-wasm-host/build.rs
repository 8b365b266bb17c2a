//! Tells the tests whether there is a module: without one they count as ignored, not as passed. `cargo xtask test` builds it first.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(module_is_built)");
    println!("cargo::rerun-if-env-changed=EVERMOON_WASM");
    println!("cargo::rerun-if-changed=../../dist/evermoon.wasm");
    let there = std::path::Path::new("../../dist/evermoon.wasm").is_file()
        || std::env::var_os("EVERMOON_WASM").is_some();
    if there {
        println!("cargo::rustc-cfg=module_is_built");
    }
}
