//! What `docs/abi.md` says about itself: its list of exports is the module's, and its example is C.

#[path = "../host/mod.rs"]
mod host;

use host::{Wasm, built};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use wasmi::{ExternType, ValType};

const DOCUMENT: &str = include_str!("../../../docs/abi.md");

/// The original system's exports, which `docs/legacy.md` describes.
const SEED: [&str; 12] = [
    "attach_memory_table",
    "clear_io_table",
    "compute",
    "get_buffer_ptr",
    "get_buffer_size",
    "get_io_table_id",
    "get_memory_stats",
    "get_memory_table_id",
    "init",
    "run_gc",
    "set_memory_alias_enabled",
    "sync_external_table_counter",
];

/// The document's blocks of C: the declarations, then the example.
fn blocks() -> Vec<&'static str> {
    let fenced = DOCUMENT.split("```c\n").skip(1);
    fenced
        .map(|rest| rest.split("```").next().unwrap_or(rest))
        .collect()
}

/// `uint32_t em_run(uint32_t engine, …);` as a name and a type: `i32 i32 -> i32`.
fn declaration(line: &str) -> Option<(String, String)> {
    let (head, parameters) = line.strip_suffix(");")?.split_once('(')?;
    let (result, name) = head.split_once(' ')?;
    let wasm = |c: &str| match c.split(' ').next() {
        Some("uint32_t") => "i32",
        Some("uint64_t") => "i64",
        Some("double") => "f64",
        Some("void") => "",
        other => panic!("{other:?} is not one of the document's types"),
    };
    let parameters: Vec<&str> = parameters.split(", ").map(wasm).collect();
    let shown = format!("{} -> {}", parameters.join(" "), wasm(result));
    Some((name.trim().to_owned(), shown))
}

fn type_of(export: &ExternType) -> Option<String> {
    let wasm = |types: &[ValType]| {
        let names: Vec<&str> = types
            .iter()
            .map(|t| match t {
                ValType::I32 => "i32",
                ValType::I64 => "i64",
                ValType::F64 => "f64",
                _ => "other",
            })
            .collect();
        names.join(" ")
    };
    let function = export.func()?;
    Some(format!(
        "{} -> {}",
        wasm(function.params()),
        wasm(function.results())
    ))
}

/// What a module exports, but for the original's functions, and their types.
fn exported(wasm: &Wasm) -> BTreeMap<String, String> {
    let mut exported = BTreeMap::new();
    for export in wasm.instance.exports(&wasm.store) {
        let name = export.name().to_owned();
        match type_of(&export.ty(&wasm.store)) {
            Some(_) if SEED.contains(&name.as_str()) => {}
            Some(signature) => {
                exported.insert(name, signature);
            }
            None => assert!(
                ["memory", "__data_end", "__heap_base"].contains(&name.as_str()),
                "{name} is not in the document"
            ),
        }
    }
    for name in SEED {
        assert!(
            wasm.instance.get_func(&wasm.store, name).is_some(),
            "{name} is exported"
        );
    }
    exported
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn the_documents_exports_are_the_modules() {
    let mut documented: BTreeMap<String, String> =
        blocks()[0].lines().filter_map(declaration).collect();
    assert_eq!(
        documented,
        exported(&Wasm::of(&built("evermoon-world.wasm"))),
        "left: docs/abi.md, right: dist/evermoon-world.wasm (is it fresh? 'cargo xtask build-wasm')"
    );
    documented.retain(|name, _| !name.starts_with("em_world_") && !name.starts_with("em_job_"));
    assert_eq!(
        documented,
        exported(&Wasm::of(&built("evermoon.wasm"))),
        "left: docs/abi.md without worlds and jobs, right: dist/evermoon.wasm"
    );
}

#[test]
fn every_function_is_explained() {
    let prose = DOCUMENT.split("```").step_by(2).collect::<String>();
    for (name, _) in blocks()[0].lines().filter_map(declaration) {
        assert!(
            prose.contains(&name),
            "{name} is declared and not explained"
        );
    }
}

/// A linker that Rust can use is a C compiler, so there is one wherever this runs.
#[test]
fn the_example_is_c() {
    let blocks = blocks();
    assert_eq!(blocks.len(), 2, "the declarations and the example");
    let mut cc = Command::new("cc")
        .args(["-x", "c", "-std=c11", "-Wall", "-Wextra", "-Werror"])
        .args(["-fsyntax-only", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cc is installed");
    let source = format!("#include <stdint.h>\n{}{}", blocks[0], blocks[1]);
    cc.stdin
        .take()
        .expect("it reads")
        .write_all(source.as_bytes())
        .expect("all of it");
    let done = cc.wait_with_output().expect("it ends");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}
