//! Source from anywhere: it is refused with a message, or what comes of it is what the interpreter may trust.
#![no_main]

use evermoon::bytecode::chunk::{self, dump, undump};
use evermoon::bytecode::verify::verify;
use evermoon::compile::compile;
use evermoon::syntax::parser::{Limits, parse};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/evermoon/tests/bytecode/program.rs"]
mod program;
#[path = "../../crates/evermoon/tests/bytecode/rng.rs"]
mod rng;
#[path = "../../crates/evermoon/tests/bytecode/walk.rs"]
mod walk;

/// A token for each byte, so that most changes of a byte leave something that parses.
const TOKENS: &[&str] = &[
    "and",
    "break",
    "do",
    "else",
    "elseif",
    "end",
    "false",
    "for",
    "function",
    "goto",
    "if",
    "in",
    "local",
    "nil",
    "not",
    "or",
    "repeat",
    "return",
    "then",
    "true",
    "until",
    "while",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "#",
    "&",
    "~",
    "|",
    "<<",
    ">>",
    "//",
    "==",
    "~=",
    "<=",
    ">=",
    "<",
    ">",
    "=",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "::",
    ";",
    ":",
    ",",
    ".",
    "..",
    "...",
    "a",
    "b",
    "c",
    "d",
    "_ENV",
    "self",
    "l",
    "<close>",
    "<const>",
    "0",
    "1",
    "-1",
    "255",
    "70000",
    "0.5",
    "1e300",
    "'s'",
    "'a string that is longer than the forty bytes of a name'",
    "::l::",
    "goto l",
    "local a",
    "local x <close> = a",
    "local k <const> = 1",
    "function f(a, b)",
    "(function(...)",
    "for a in b do",
    "for a = 1, 2 do",
    "while a do",
    "if a then",
    "do",
    "end",
    "end",
    "end",
    "end)",
];

fuzz_target!(|data: &[u8]| {
    let Some((&kind, data)) = data.split_first() else {
        return;
    };
    match kind % 3 {
        0 => check(data),
        1 => {
            let tokens: Vec<&str> = data
                .iter()
                .map(|&byte| TOKENS[usize::from(byte) % TOKENS.len()])
                .collect();
            check(tokens.join(" ").as_bytes());
        }
        _ => {
            let mut seed = [0; 8];
            let size = data.len().min(8);
            seed[..size].copy_from_slice(&data[..size]);
            let source = program::program(&mut rng::Rng::new(u64::from_le_bytes(seed) >> 1));
            check(source.as_bytes());
        }
    }
});

fn check(source: &[u8]) {
    let limits = Limits {
        memory: 64 << 20,
        ..Limits::default()
    };
    let tree = parse(source, &limits);
    let Ok(proto) = tree.and_then(|tree| compile(&tree, b"=source".as_slice().into())) else {
        return;
    };
    if let Err(error) = verify(&proto) {
        panic!("{error}");
    }
    walk::walk(&proto, &mut rng::Rng::new(source.len() as u64), 100);
    let bytes = dump(&proto, false);
    let again = undump(&bytes, &chunk::Limits::default()).expect("a chunk of ours is read");
    assert!(dump(&again, false) == bytes);
    assert!(
        verify(
            &undump(&dump(&proto, true), &chunk::Limits::default()).expect("a stripped one too")
        )
        .is_ok()
    );
}
