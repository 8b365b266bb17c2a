//! Tells the tests whether there are the modules: without them they count as ignored, not as passed. `cargo xtask test` builds it first.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(module_is_built)");
    println!("cargo::rerun-if-env-changed=EVERMOON_WASM");
    let there = |name: &str| {
        println!("cargo::rerun-if-changed=../../dist/{name}");
        std::path::Path::new("../../dist").join(name).is_file()
    };
    let both = there("evermoon.wasm") & there("evermoon-world.wasm");
    if both || std::env::var_os("EVERMOON_WASM").is_some() {
        println!("cargo::rustc-cfg=module_is_built");
    }
}
