//! A host for `evermoon.wasm` in Rust, over the interpreter `wasmi`, written from `docs/abi.md` and nothing else: if it works, the document does.
//!
//! Nothing is here: the host is `host/mod.rs`, which the parts below share, so that the interpreter is a dependency of tests only.
//! - `examples/lua.rs`: a `lua` command. `cargo xtask lua-tests --wasm` runs the programs of `tests/lua` under it, by the list of the native runs.
//! - `tests/`: what the document says, and what happens to a host that makes mistakes.
//!
//! All run `dist/evermoon-world.wasm` (`cargo xtask build-wasm`), or another module named by `EVERMOON_WASM`: whatever they show holds for
//! `dist/evermoon.wasm` too, which is the same without worlds (Node runs that one).
