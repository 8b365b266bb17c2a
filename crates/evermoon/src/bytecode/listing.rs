//! A prototype for people to read: its instructions, a line each, with what their operands stand for. Names, operands and
//! comments follow from the instruction table, so a new row needs nothing here.
//!
//! Invariant: any prototype can be listed, also one that the verifier would reject; what does not exist is shown as `?`.
//! Numbers count from 0, as in the verifier's messages: functions in the order in which they stand in a chunk, each before
//! those nested in it.

use std::fmt::Write;

use super::instr::Instr;
use super::op::{Field, Format, Op};
use super::proto::{Const, Proto};

/// What a listing shows beyond the instructions.
#[derive(Clone, Copy, Default, Debug)]
pub struct Options<'s> {
    /// Constants, locals and upvalues, as `luac -l -l` does.
    pub tables: bool,
    /// The chunk's source: each of its lines is shown above the instructions that come from it.
    pub source: Option<&'s [u8]>,
}

/// Strings are cut to this many bytes.
const SHOWN_MAX: usize = 60;

/// Appends the listing of a function and of all that are nested in it.
pub fn list(proto: &Proto, out: &mut String, options: &Options<'_>) {
    let lines: Vec<&[u8]> = options
        .source
        .unwrap_or_default()
        .split(|&byte| byte == b'\n')
        .collect();
    // A stack of our own: nesting is the chunk's affair.
    let mut left = vec![proto];
    let mut number = 0;
    while let Some(proto) = left.pop() {
        // Writing to a string cannot fail.
        let _ = Function {
            proto,
            number,
            lines: &lines,
        }
        .list(out, options);
        number += 1;
        left.extend(proto.protos.iter().rev());
    }
}

struct Function<'a> {
    proto: &'a Proto,
    number: usize,
    lines: &'a [&'a [u8]],
}

impl Function<'_> {
    fn list(&self, out: &mut String, options: &Options<'_>) -> std::fmt::Result {
        let proto = self.proto;
        if self.number > 0 {
            out.push('\n');
        }
        let kind = if proto.line_defined == 0 {
            "main"
        } else {
            "function"
        };
        let name = proto.source.as_deref().map_or("?".into(), |name| {
            let name = name
                .strip_prefix(b"@")
                .or(name.strip_prefix(b"="))
                .unwrap_or(name);
            quoted(name, '`')
        });
        writeln!(
            out,
            "{kind} {} <{name}:{},{}>",
            self.number, proto.line_defined, proto.last_line_defined
        )?;
        writeln!(
            out,
            "{}{}, {}, {}, {}, {}, {}",
            counted(proto.num_params.into(), "param"),
            if proto.is_vararg { " and more" } else { "" },
            counted(proto.max_stack.into(), "register"),
            counted(proto.upvals.len(), "upvalue"),
            counted(proto.consts.len(), "constant"),
            counted(proto.protos.len(), "function"),
            counted(proto.code.len(), "instruction"),
        )?;
        let mut shown = 0;
        for (pc, &instr) in proto.code.iter().enumerate() {
            let line = proto.lines.get(pc).copied();
            if let Some(line) = line
                && line != shown
                && options.source.is_some()
            {
                let text = (line as usize)
                    .checked_sub(1)
                    .and_then(|at| self.lines.get(at));
                writeln!(
                    out,
                    "  {line}: {}",
                    String::from_utf8_lossy(text.copied().unwrap_or_default()).trim_end()
                )?;
            }
            shown = line.unwrap_or(shown);
            self.instruction(out, pc, instr)?;
        }
        if options.tables {
            self.tables(out)
        } else {
            Ok(())
        }
    }

    fn instruction(&self, out: &mut String, pc: usize, instr: Instr) -> std::fmt::Result {
        match self.proto.lines.get(pc) {
            Some(line) => write!(out, "{pc:5} [{line}]\t")?,
            None => write!(out, "{pc:5} [-]\t")?,
        }
        let Some(op) = instr.op() else {
            return writeln!(out, "? {:#010x}", instr.0);
        };
        let (operands, comments) = self.operands(pc, instr, op);
        write!(out, "{:<10} ", op.row().name)?;
        for (i, operand) in operands.iter().enumerate() {
            write!(out, "{}{operand}", if i == 0 { "" } else { " " })?;
        }
        if !comments.is_empty() {
            write!(out, "\t; {}", comments.join(" "))?;
        }
        // No blanks at the end of a line.
        out.truncate(out.trim_end_matches([' ', '\t']).len());
        writeln!(out)
    }

    /// The operands as numbers, and what is to be said about them.
    fn operands(&self, pc: usize, instr: Instr, op: Op) -> (Vec<i64>, Vec<String>) {
        let mut operands = Vec::new();
        let mut comments = Vec::new();
        match op.row().format {
            Format::None => {}
            Format::Abc(a, b, c) => {
                let fields = [
                    (a, instr.a(), 'A'),
                    (b, instr.b(), 'B'),
                    (c, instr.c(), 'C'),
                ];
                for (field, value, name) in fields {
                    match field {
                        Field::Zero if value == 0 => continue,
                        Field::Simm => operands.push((value as i8).into()),
                        _ => operands.push(value.into()),
                    }
                    comments.extend(self.comment(op, field, value.into(), name));
                }
            }
            Format::Abx(_, field) => {
                operands.extend([i64::from(instr.a()), i64::from(instr.bx())]);
                comments.extend(self.comment(op, field, instr.bx().into(), 'B'));
            }
            Format::AsBx(_) => operands.extend([i64::from(instr.a()), i64::from(instr.sbx())]),
            Format::Ax => operands.push(instr.get_ax().into()),
            Format::Sj => {
                operands.push(instr.get_sj().into());
                comments.push(format!("to {}", pc as i64 + 1 + i64::from(instr.get_sj())));
            }
        }
        if op == Op::LOADKX
            && let Some(extra) = self.proto.code.get(pc + 1)
        {
            comments.push(self.constant(extra.get_ax() as usize));
        }
        (operands, comments)
    }

    fn comment(&self, op: Op, field: Field, value: usize, name: char) -> Option<String> {
        match field {
            Field::Const | Field::ConstName | Field::ConstNum | Field::ConstInt => {
                Some(self.constant(value))
            }
            Field::Up => Some(self.upvalue(value)),
            Field::Proto => Some(match self.proto.protos.get(value) {
                Some(nested) => format!("line {}", nested.line_defined),
                None => "?".into(),
            }),
            Field::Count => {
                // Arguments come in by B, results go out by C; a return's B is what goes out.
                let way = match op {
                    Op::CALL | Op::TAILCALL | Op::SETLIST if name == 'B' => "in",
                    _ => "out",
                };
                let count = match value.checked_sub(1) {
                    None => "all".into(),
                    Some(_) if op == Op::SETLIST => value.to_string(),
                    Some(count) => count.to_string(),
                };
                Some(format!("{count} {way}"))
            }
            _ => None,
        }
    }

    fn constant(&self, index: usize) -> String {
        match self.proto.consts.get(index) {
            None => "?".into(),
            Some(Const::Nil) => "nil".into(),
            Some(Const::False) => "false".into(),
            Some(Const::True) => "true".into(),
            Some(Const::Int(i)) => i.to_string(),
            Some(Const::Float(f)) => format!("{f:?}"),
            Some(Const::Str(bytes)) => format!("\"{}\"", quoted(bytes, '"')),
        }
    }

    fn upvalue(&self, index: usize) -> String {
        match self.proto.upvals.get(index) {
            Some(upval) => upval
                .name
                .as_deref()
                .map_or("-".into(), |name| quoted(name, '`')),
            None => "?".into(),
        }
    }

    fn tables(&self, out: &mut String) -> std::fmt::Result {
        let proto = self.proto;
        if !proto.consts.is_empty() {
            writeln!(out, "  constants")?;
        }
        for i in 0..proto.consts.len() {
            writeln!(out, "{i:5} {}", self.constant(i))?;
        }
        if !proto.locals.is_empty() {
            writeln!(out, "  locals (alive from, to before)")?;
        }
        for (i, local) in proto.locals.iter().enumerate() {
            writeln!(
                out,
                "{i:5} {} {} {}",
                quoted(&local.name, '`'),
                local.start_pc,
                local.end_pc
            )?;
        }
        if !proto.upvals.is_empty() {
            writeln!(out, "  upvalues")?;
        }
        for (i, upval) in proto.upvals.iter().enumerate() {
            let place = if upval.in_stack {
                "register"
            } else {
                "upvalue"
            };
            let kind = ["", " <const>", " <close>", " known"]
                .get(usize::from(upval.kind))
                .unwrap_or(&" ?");
            writeln!(
                out,
                "{i:5} {} from {place} {}{kind}",
                self.upvalue(i),
                upval.index
            )?;
        }
        Ok(())
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Bytes as text on one line, cut if long. `quote` is escaped.
fn quoted(bytes: &[u8], quote: char) -> String {
    let mut text = String::new();
    for (i, &byte) in bytes.iter().enumerate() {
        if i == SHOWN_MAX {
            text.push_str("...");
            break;
        }
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\\' => text.push_str("\\\\"),
            _ if char::from(byte) == quote => text.extend(['\\', quote]),
            0x20..0x7f => text.push(byte.into()),
            _ => text.push_str(&format!("\\{byte:03}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_exist_is_a_question_mark() {
        let proto = Proto {
            code: vec![
                Instr::abc(Op::GETTABUP, 0, 9, 9),
                Instr::abx(Op::CLOSURE, 0, 7),
                Instr(0xff),
                Instr::sj(Op::JMP, -100),
                Instr::abc(Op::LOADKX, 0, 0, 0),
            ],
            ..Proto::default()
        };
        let mut out = String::new();
        list(
            &proto,
            &mut out,
            &Options {
                tables: true,
                source: None,
            },
        );
        assert_eq!(
            out,
            "main 0 <?:0,0>\n\
             0 params, 0 registers, 0 upvalues, 0 constants, 0 functions, 5 instructions\n\
             \x20   0 [-]\tGETTABUP   0 9 9\t; ? ?\n\
             \x20   1 [-]\tCLOSURE    0 7\t; ?\n\
             \x20   2 [-]\t? 0x000000ff\n\
             \x20   3 [-]\tJMP        -100\t; to -96\n\
             \x20   4 [-]\tLOADKX     0\n"
        );
    }
}
