//! Edits of compiled code, each kept only if the verifier still accepts the whole: so what comes out is as odd as the
//! verifier allows, however many edits there were.

use evermoon::bytecode::instr::Instr;
use evermoon::bytecode::op::TABLE;
use evermoon::bytecode::proto::{Const, Proto, UpvalDesc};
use evermoon::bytecode::verify::verify;

use crate::choices::Choices;

/// Code beyond this many instructions is left alone: each try verifies all of it.
const CODE_MAX: usize = 5_000;

/// Edits a function, or those nested in it, up to `count` times.
pub fn edit(main: &mut Proto, choices: &mut Choices, count: usize) {
    if size(main) > CODE_MAX || verify(main).is_err() {
        return;
    }
    for _ in 0..count * 4 {
        if choices.exhausted() {
            return;
        }
        let mut edited = main.clone();
        one(&mut edited, choices);
        if verify(&edited).is_ok() {
            *main = edited;
        }
    }
}

fn size(proto: &Proto) -> usize {
    proto.code.len() + proto.protos.iter().map(size).sum::<usize>()
}

fn one(proto: &mut Proto, choices: &mut Choices) {
    // Down to some function.
    if !proto.protos.is_empty() && choices.below(3) > 0 {
        let at = choices.below(proto.protos.len());
        return one(&mut proto.protos[at], choices);
    }
    let length = proto.code.len();
    if length == 0 {
        return;
    }
    let at = choices.below(length);
    let registers = usize::from(proto.max_stack).max(1);
    let word = proto.code[at].0;
    let replaced =
        |field: u32, value: usize| Instr(word & !(0xff << field) | (value as u32 & 0xff) << field);
    match choices.below(24) {
        0 => proto.code[at] = Instr(word ^ 1 << choices.below(32)),
        1 | 2 => proto.code[at] = replaced(0, choices.below(TABLE.len())),
        3 | 4 => proto.code[at] = replaced(8, choices.below(registers)),
        5 | 6 => proto.code[at] = replaced(16, choices.below(registers)),
        7 | 8 => proto.code[at] = replaced(24, choices.below(registers)),
        9 => proto.code[at] = replaced(16 + 8 * choices.below(2) as u32, choices.byte().into()),
        10 => {
            let other = choices.below(length);
            proto.code.swap(at, other);
        }
        11 => proto.code[at] = proto.code[choices.below(length)],
        12 => insert(proto, at, Instr(word)),
        13 => {
            let op = TABLE[choices.below(TABLE.len())].op;
            let (a, b, c) = (
                choices.below(registers),
                choices.below(registers),
                choices.below(registers),
            );
            insert(proto, at, Instr::abc(op, a as u8, b as u8, c as u8));
        }
        14 => {
            proto.code.remove(at);
            if proto.lines.len() > at {
                proto.lines.remove(at);
            }
        }
        15 => {
            // A jump to somewhere.
            let to = choices.below(length) as i32 - at as i32 - 1;
            proto.code[at] = Instr::sj(evermoon::bytecode::op::Op::JMP, to);
        }
        16 => proto.max_stack = choices.byte(),
        17 => {
            // VARARGPREP repeats the number.
            proto.num_params = choices.below(registers.min(8)) as u8;
            if proto.is_vararg {
                proto.code[0].set_a(proto.num_params);
            }
        }
        18 => {
            proto.is_vararg = !proto.is_vararg;
            if proto.is_vararg {
                let prepare = Instr::abc(
                    evermoon::bytecode::op::Op::VARARGPREP,
                    proto.num_params,
                    0,
                    0,
                );
                insert(proto, 0, prepare);
            } else {
                proto.code.remove(0);
                proto.lines.drain(..proto.lines.len().min(1));
            }
        }
        19 => {
            if proto.upvals.is_empty() || choices.chance(3) {
                proto.upvals.push(UpvalDesc {
                    in_stack: true,
                    index: 0,
                    kind: 0,
                    name: None,
                });
            }
            let which = choices.below(proto.upvals.len());
            let upval = &mut proto.upvals[which];
            upval.in_stack ^= choices.chance(2);
            upval.index = choices.below(16) as u8;
        }
        20 => {
            let constant = match choices.below(7) {
                0 => Const::Nil,
                1 => Const::True,
                2 => Const::Int(choices.wide() as i64),
                3 => Const::Float(f64::from_bits(choices.wide())),
                4 => Const::Str(b"__index".as_slice().into()),
                5 => Const::Str(vec![b'x'; choices.below(60)].into()),
                _ => Const::False,
            };
            if proto.consts.is_empty() || choices.chance(3) {
                proto.consts.push(constant);
            } else {
                let which = choices.below(proto.consts.len());
                proto.consts[which] = constant;
            }
        }
        21 => {
            if let Some(nested) = proto.protos.last().cloned() {
                let other = choices.below(proto.protos.len());
                proto.protos[other] = nested;
            }
        }
        22 => {
            proto.lines.clear();
            proto.locals.clear();
        }
        _ => {
            if !proto.locals.is_empty() {
                let which = choices.below(proto.locals.len());
                let local = &mut proto.locals[which];
                local.start_pc = choices.below(length + 2) as u32;
                local.end_pc = choices.wide() as u32;
            }
        }
    }
}

/// Inserts an instruction; jumps over it become jumps to the next place.
fn insert(proto: &mut Proto, at: usize, instr: Instr) {
    proto.code.insert(at, instr);
    if let Some(&line) = proto.lines.get(at) {
        proto.lines.insert(at, line);
    }
}
