//! The arrows between the engine's rooms (`docs/architecture.md`): which may name which in its `use crate::` lines and paths.

use std::path::Path;

/// Room and what it may use.
const ARROWS: [(&str, &[&str]); 8] = [
    ("syntax", &[]),
    ("bytecode", &[]),
    ("compile", &["syntax", "bytecode", "heap"]),
    ("heap", &["bytecode", "vm"]),
    ("vm", &["heap", "bytecode"]),
    ("persist", &["vm", "heap", "bytecode"]),
    (
        "lib",
        &["persist", "vm", "heap", "compile", "syntax", "bytecode"],
    ),
    (
        "api",
        &[
            "persist", "vm", "heap", "lib", "compile", "syntax", "bytecode",
        ],
    ),
];

fn sources(dir: &Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("the room exists") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

#[test]
fn rooms_know_only_whom_they_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (room, may) in ARROWS {
        let mut files = Vec::new();
        sources(&root.join(room), &mut files);
        assert!(!files.is_empty(), "{room} has sources");
        for file in files {
            let text = std::fs::read_to_string(&file).expect("a source is text");
            // Test modules may reach for what they compare with.
            if file.ends_with("tests.rs") {
                continue;
            }
            let text = text.split("#[cfg(test)]").next().unwrap_or(&text);
            for (other, _) in ARROWS {
                let name = if other == "lib" {
                    "crate::stdlib"
                } else {
                    &format!("crate::{other}")
                };
                if other != room && !may.contains(&other) && text.contains(&format!("{name}::")) {
                    wrong.push(format!("{} names {name}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
