//! Makes prototypes: arbitrary ones, for the chunk format, and ones that keep the verifier's rules, for the verifier. The
//! latter are driven by the instruction table, so that a new instruction is covered when its row is written.

use std::sync::Arc;

use evermoon::bytecode::instr::Instr;
use evermoon::bytecode::op::{Field, Format, Op, TABLE, flag};
use evermoon::bytecode::proto::{Const, LocalVar, Proto, UpvalDesc};

use crate::rng::Rng;

/// A function of given code with 4 registers, one parameter, an upvalue `_ENV`, and a constant of each kind:
/// 0 nil, 1 `"name"`, 2 the integer 7, 3 the float 0.5, 4 a string of 41 bytes.
pub fn function(code: &[Instr]) -> Proto {
    Proto {
        code: code.to_vec(),
        consts: vec![
            Const::Nil,
            Const::Str(b"name".as_slice().into()),
            Const::Int(7),
            Const::Float(0.5),
            Const::Str([b'x'; 41].as_slice().into()),
        ],
        upvals: vec![UpvalDesc {
            in_stack: true,
            index: 0,
            kind: 0,
            name: Some(b"_ENV".as_slice().into()),
        }],
        num_params: 1,
        max_stack: 4,
        ..Proto::default()
    }
}

fn bytes(rng: &mut Rng) -> Box<[u8]> {
    // Few and short, so that the same one comes again.
    match rng.below(12) {
        0 => Box::default(),
        1 => (0..rng.between(35, 300)).map(|_| rng.byte()).collect(),
        _ => (0..rng.between(1, 2))
            .map(|_| *rng.pick(b"abc\0\xff"))
            .collect(),
    }
}

fn wide(rng: &mut Rng) -> u64 {
    let bits = rng.below(64);
    rng.next() >> bits
}

/// A prototype whose fields hold anything that the chunk format can express.
pub fn anything(rng: &mut Rng, parent: Option<&Proto>, depth: usize) -> Proto {
    let source = match rng.below(4) {
        0 => None,
        1 => Some(Arc::from(bytes(rng))),
        _ => parent.and_then(|parent| parent.source.clone()),
    };
    let mut proto = Proto {
        code: (0..rng.below(20))
            .map(|_| Instr(rng.next() as u32))
            .collect(),
        consts: (0..rng.below(8))
            .map(|_| match rng.below(6) {
                0 => Const::Nil,
                1 => Const::False,
                2 => Const::True,
                3 => Const::Int(wide(rng) as i64),
                4 => Const::Float(wide(rng) as f64 / 8.0),
                _ => Const::Str(bytes(rng)),
            })
            .collect(),
        protos: Vec::new(),
        upvals: (0..rng.below(4))
            .map(|_| UpvalDesc {
                in_stack: rng.chance(2),
                index: rng.byte(),
                kind: rng.below(4) as u8,
                name: if rng.chance(3) {
                    None
                } else {
                    Some(bytes(rng))
                },
            })
            .collect(),
        num_params: rng.byte(),
        is_vararg: rng.chance(2),
        max_stack: rng.byte(),
        line_defined: wide(rng) as u32,
        last_line_defined: wide(rng) as u32,
        source,
        lines: Vec::new(),
        locals: (0..rng.below(4))
            .map(|_| LocalVar {
                name: bytes(rng),
                start_pc: wide(rng) as u32,
                end_pc: wide(rng) as u32,
            })
            .collect(),
    };
    if rng.chance(2) {
        proto.lines = proto.code.iter().map(|_| wide(rng) as u32).collect();
    }
    if depth > 0 {
        for _ in 0..rng.below(4) {
            let nested = anything(rng, Some(&proto), depth - 1);
            proto.protos.push(nested);
        }
    }
    proto
}

/// A prototype that keeps the verifier's rules.
pub fn valid(rng: &mut Rng, parent: Option<&Proto>, depth: usize) -> Proto {
    let max_stack = rng.between(10, 40) as u8;
    let mut proto = Proto {
        num_params: rng.below(6) as u8,
        max_stack,
        is_vararg: rng.chance(2),
        consts: (0..rng.between(5, 40))
            .map(|i| match i % 5 {
                0 => Const::Nil,
                1 => Const::Str(b"name".as_slice().into()),
                2 => Const::Int(7),
                3 => Const::Float(0.5),
                _ => Const::Str([b'x'; 41].as_slice().into()),
            })
            .collect(),
        ..Proto::default()
    };
    for _ in 0..rng.between(1, 3) {
        let above = parent.filter(|parent| !parent.upvals.is_empty());
        let in_stack = above.is_none() || rng.chance(3);
        let index = match (parent, in_stack) {
            (None, _) => rng.below(256),
            (Some(parent), true) => rng.below(parent.max_stack.into()),
            (Some(parent), false) => rng.below(parent.upvals.len()),
        };
        proto.upvals.push(UpvalDesc {
            in_stack,
            index: index as u8,
            kind: 0,
            name: None,
        });
    }
    if depth > 0 {
        for _ in 0..rng.below(4) {
            let nested = valid(rng, Some(&proto), depth - 1);
            proto.protos.push(nested);
        }
    }
    code(rng, &mut proto);
    proto
}

fn code(rng: &mut Rng, proto: &mut Proto) {
    // Either quick returns or things that need closing: which may stand where in one function is tested by hand.
    let quick = rng.chance(2);
    let fits = |op: Op| match op {
        Op::EXTRAARG | Op::VARARGPREP => false,
        Op::VARARG => proto.is_vararg,
        Op::CLOSURE => {
            !proto.protos.is_empty()
                && (!quick
                    || proto
                        .protos
                        .iter()
                        .all(|nested| nested.upvals.iter().all(|upval| !upval.in_stack)))
        }
        Op::RETURN0 | Op::RETURN1 | Op::TAILCALL => quick,
        Op::TBC | Op::TFORPREP => !quick,
        _ => true,
    };
    let ops: Vec<Op> = TABLE
        .iter()
        .map(|row| row.op)
        .filter(|&op| fits(op))
        .collect();
    let mut code = Vec::new();
    // Where jumps may go, and where jumps are.
    let mut starts = Vec::new();
    let mut jumps = Vec::new();
    if proto.is_vararg {
        code.push(Instr::abc(Op::VARARGPREP, proto.num_params, 0, 0));
    }
    for _ in 0..rng.between(1, 40) {
        let op = *rng.pick(&ops);
        let instr = operands(rng, proto, op);
        starts.push(code.len());
        if op == Op::LFALSESKIP {
            code.push(instr);
            code.push(Instr::abc(Op::LOADNIL, 0, 0, 0));
            starts.push(code.len());
            code.push(Instr::abc(Op::LOADNIL, 1, 0, 0));
            continue;
        }
        code.push(instr);
        if op == Op::JMP {
            jumps.push(code.len() - 1);
        }
        if op.has(flag::TEST) {
            jumps.push(code.len());
            code.push(Instr::sj(Op::JMP, 0));
        }
        if op.has(flag::EXTRA) {
            code.push(Instr::ax(
                Op::EXTRAARG,
                rng.below(proto.consts.len()) as u32,
            ));
        }
        if op == Op::TAILCALL {
            code.push(Instr::abc(Op::RETURN, instr.a(), 0, 0));
        }
        if op.has(flag::SETS_TOP) && instr.c() == 0 {
            user_of_top(rng, instr.a(), quick, &mut code);
        }
        if matches!(op, Op::TBC | Op::TFORPREP) {
            // A variable to be closed is closed at once: at both places where the test goes on.
            let register = instr.a() + if op == Op::TBC { 0 } else { 3 };
            if op == Op::TFORPREP {
                jumps.pop();
                starts.pop();
            }
            code.push(Instr::abc(Op::CLOSE, register, 0, 0));
        }
    }
    starts.push(code.len());
    code.push(Instr::abc(Op::RETURN, 0, 1, 0));
    for at in jumps {
        let to = *rng.pick(&starts);
        code[at] = Instr::sj(Op::JMP, to as i32 - at as i32 - 1);
    }
    proto.code = code;
}

/// A user of top whose values begin at or below the setter's register.
fn user_of_top(rng: &mut Rng, set: u8, quick: bool, code: &mut Vec<Instr>) {
    let below = |rng: &mut Rng| rng.below(set.into()) as u8;
    match rng.below(4) {
        0 if set > 0 => code.push(Instr::abc(Op::CALL, below(rng), 0, 1)),
        1 if set > 0 && quick => {
            let func = below(rng);
            code.push(Instr::abc(Op::TAILCALL, func, 0, 0));
            code.push(Instr::abc(Op::RETURN, func, 0, 0));
        }
        2 if set > 0 => {
            code.push(Instr::abc(Op::SETLIST, below(rng), 0, 0));
            code.push(Instr::ax(Op::EXTRAARG, rng.below(1 << 24) as u32));
        }
        _ => code.push(Instr::abc(
            Op::RETURN,
            rng.below(usize::from(set) + 1) as u8,
            0,
            0,
        )),
    }
}

fn operands(rng: &mut Rng, proto: &Proto, op: Op) -> Instr {
    let registers = usize::from(proto.max_stack);
    let constant = |rng: &mut Rng, kinds: &[usize]| loop {
        let index = rng.below(proto.consts.len());
        if kinds.contains(&(index % 5)) {
            return index;
        }
    };
    let field = |rng: &mut Rng, field: Field| match field {
        Field::Zero => 0,
        Field::Reg => rng.below(registers),
        // What follows corrects these for operations with ranges.
        Field::Range => 0,
        Field::Count => rng.below(4),
        Field::Const => constant(rng, &[0, 1, 2, 3, 4]),
        Field::ConstName => constant(rng, &[1]),
        Field::ConstNum => constant(rng, &[2, 3]),
        Field::ConstInt => constant(rng, &[2]),
        Field::Up => rng.below(proto.upvals.len()),
        Field::Proto => rng.below(proto.protos.len()),
        Field::Imm if op == Op::NEWTABLE => rng.below(32),
        Field::Imm if op == Op::CONCAT => rng.between(2, 5),
        Field::Imm if op == Op::TFORCALL => rng.between(1, 5),
        Field::Imm if op == Op::LOADNIL => rng.below(5),
        Field::Imm | Field::Simm => rng.below(256),
        Field::Cond => rng.below(2),
    };
    let mut instr = match op.row().format {
        Format::None => Instr::abc(op, 0, 0, 0),
        Format::Abc(a, b, c) => {
            let (a, b, c) = (
                field(rng, a) as u8,
                field(rng, b) as u8,
                field(rng, c) as u8,
            );
            // Operations that use top come after those that set it, and nowhere else.
            let b = if op.has(flag::USES_TOP) { b.max(1) } else { b };
            Instr::abc(op, a, b, c)
        }
        Format::Abx(a, bx) => Instr::abx(op, field(rng, a) as u8, field(rng, bx) as u16),
        Format::AsBx(a) => Instr::asbx(op, field(rng, a) as u8, rng.next() as i16),
        Format::Ax => Instr::ax(op, rng.below(1 << 24) as u32),
        Format::Sj => Instr::sj(op, 0),
    };
    if let Format::Abc(Field::Range, ..) = op.row().format {
        // Ten registers are the fewest that there are, and no range above takes more than nine.
        instr.set_a(rng.below(registers - 8) as u8);
    }
    if op == Op::TBC {
        instr.set_a(rng.below(registers) as u8);
    }
    instr
}

/// Bytes before the size of the body: the head and two versions.
const HEAD: usize = 31 + 13 + 2;

/// The body of a chunk, to be changed and sealed again.
pub fn body(chunk: &[u8]) -> Vec<u8> {
    let mut at = HEAD;
    while chunk[at] & 0x80 != 0 {
        at += 1;
    }
    chunk[at + 1..chunk.len() - 4].to_vec()
}
