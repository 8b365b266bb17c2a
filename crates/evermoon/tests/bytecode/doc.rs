//! `docs/bytecode.md` says what the code does: its table is the generated one, and its example is what `dump` writes.
//!
//! `EVERMOON_BLESS=1 cargo test -p evermoon --test bytecode` writes the table anew.

use evermoon::bytecode::chunk::{Limits, dump, undump};
use evermoon::bytecode::doc::markdown_table;
use evermoon::bytecode::instr::Instr;
use evermoon::bytecode::op::Op;
use evermoon::bytecode::proto::{Const, LocalVar, Proto, UpvalDesc};
use evermoon::bytecode::verify::verify;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/bytecode.md");

fn page() -> String {
    std::fs::read_to_string(PAGE)
        .expect("docs/bytecode.md is there")
        .replace("\r\n", "\n")
}

/// What stands between two marks.
fn between<'a>(page: &'a str, start: &str, end: &str) -> &'a str {
    let from = page
        .find(start)
        .unwrap_or_else(|| panic!("{start} is in docs/bytecode.md"))
        + start.len();
    let size = page[from..]
        .find(end)
        .unwrap_or_else(|| panic!("{end} is in docs/bytecode.md"));
    &page[from..from + size]
}

#[test]
fn the_table_is_fresh() {
    let (start, end) = ("<!-- table: generated -->\n", "<!-- end of table -->");
    let page = page();
    let found = between(&page, start, end);
    if found == markdown_table() {
        return;
    }
    assert!(
        std::env::var_os("EVERMOON_BLESS").is_some(),
        "the table has changed: run this test with EVERMOON_BLESS=1"
    );
    std::fs::write(PAGE, page.replace(found, &markdown_table()))
        .expect("docs/bytecode.md can be written");
}

/// `local n = ...; return n + 0.5, "n"`, as a compiler might have it.
fn example() -> Proto {
    Proto {
        code: vec![
            Instr::abc(Op::VARARGPREP, 0, 0, 0),
            Instr::abc(Op::VARARG, 0, 0, 2),
            Instr::abc(Op::ADDK, 1, 0, 0),
            Instr::abx(Op::LOADK, 2, 1),
            Instr::abc(Op::RETURN, 1, 3, 0),
        ],
        consts: vec![Const::Float(0.5), Const::Str(b"n".as_slice().into())],
        protos: Vec::new(),
        upvals: vec![UpvalDesc {
            in_stack: true,
            index: 0,
            kind: 0,
            name: Some(b"_ENV".as_slice().into()),
        }],
        num_params: 0,
        is_vararg: true,
        max_stack: 3,
        line_defined: 0,
        last_line_defined: 0,
        source: Some(b"@n.lua".as_slice().into()),
        lines: vec![1, 1, 2, 2, 2],
        locals: vec![LocalVar {
            name: b"n".as_slice().into(),
            start_pc: 2,
            end_pc: 5,
        }],
    }
}

#[test]
fn the_example_is_what_dump_writes() {
    let page = page();
    let shown: Vec<u8> = between(&page, "```hex\n", "```")
        .lines()
        .flat_map(|line| {
            line.split("  ")
                .next()
                .unwrap_or_default()
                .split_whitespace()
        })
        .map(|byte| u8::from_str_radix(byte, 16).expect("bytes come before two spaces"))
        .collect();
    let chunk = dump(&example(), false);
    let hex: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(shown, chunk, "dump writes {}", hex.join(" "));
    assert_eq!(verify(&example()), Ok(()));
    assert_eq!(undump(&shown, &Limits::default()), Ok(example()));
}
