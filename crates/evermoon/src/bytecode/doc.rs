//! The instruction table as Markdown, for `docs/bytecode.md`. A test holds the page to it.

use std::fmt::Write;

use super::op::{EFFECTS, Field, Format, Row, TABLE, flag};

/// The table: a row for each operation, in the order of their bytes.
pub fn markdown_table() -> String {
    let mut out = String::from(
        "| byte | name | A | B | C | flags | effect |\n| ---: | --- | --- | --- | --- | --- | --- |\n",
    );
    for (row, effect) in TABLE.iter().zip(EFFECTS) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | `{}` |",
            row.op as u8,
            row.name,
            operands(row),
            flags(row),
            effect.replace('|', "\\|"),
        );
    }
    out
}

fn operands(row: &Row) -> String {
    match row.format {
        Format::None => " |  | ".into(),
        Format::Abc(a, b, c) => format!("{} | {} | {}", field(a), field(b), field(c)),
        Format::Abx(a, bx) => format!("{} | Bx: {} | ", field(a), field(bx)),
        Format::AsBx(a) => format!("{} | sBx: signed | ", field(a)),
        Format::Ax => "Ax: number |  | ".into(),
        Format::Sj => "sJ: jump |  | ".into(),
    }
}

fn field(field: Field) -> &'static str {
    match field {
        Field::Zero => "",
        Field::Reg => "register",
        Field::Range => "registers from",
        Field::Const => "constant",
        Field::ConstName => "constant: name",
        Field::ConstNum => "constant: number",
        Field::ConstInt => "constant: integer",
        Field::Up => "upvalue",
        Field::Proto => "function",
        Field::Imm => "number",
        Field::Simm => "signed",
        Field::Cond => "0 or 1",
        Field::Count => "count",
    }
}

fn flags(row: &Row) -> String {
    let names = [
        (flag::TEST, "test"),
        (flag::EXTRA, "extra"),
        (flag::USES_TOP, "uses top"),
        (flag::SETS_TOP, "sets top"),
        (flag::CALLS, "calls"),
        (flag::WRITES_A, "writes A"),
        (flag::ENDS, "ends"),
    ];
    let set: Vec<&str> = names
        .iter()
        .filter(|(bit, _)| row.flags & bit != 0)
        .map(|(_, name)| *name)
        .collect();
    set.join(", ")
}
