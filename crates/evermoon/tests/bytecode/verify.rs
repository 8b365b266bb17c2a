//! The verifier: a case for each rule, on both of its sides, and random code.

use evermoon::bytecode::instr::Instr;
use evermoon::bytecode::op::{Op, Op::*, TABLE};
use evermoon::bytecode::proto::{Const, LocalVar, Proto, UpvalDesc};
use evermoon::bytecode::verify::verify;

use crate::make::function;
use crate::rng::Rng;
use crate::{make, walk};

fn abc(op: Op, a: u8, b: u8, c: u8) -> Instr {
    Instr::abc(op, a, b, c)
}

fn jmp(distance: i32) -> Instr {
    Instr::sj(JMP, distance)
}

fn extra(value: u32) -> Instr {
    Instr::ax(EXTRAARG, value)
}

/// Returns without closing, which code may end with anywhere that nothing is open.
const END: Instr = Instr::abc(RETURN0, 0, 0, 0);

fn vararg(code: &[Instr]) -> Proto {
    Proto {
        is_vararg: true,
        ..function(&[&[abc(VARARGPREP, 1, 0, 0)], code].concat())
    }
}

/// A function that captures the register of the function around it.
fn capturing(register: u8) -> Proto {
    let mut proto = function(&[END]);
    proto.upvals = vec![UpvalDesc {
        in_stack: true,
        index: register,
        kind: 0,
        name: None,
    }];
    proto
}

fn nesting(nested: Proto, code: &[Instr]) -> Proto {
    Proto {
        protos: vec![nested],
        ..function(code)
    }
}

#[track_caller]
fn accepts(proto: &Proto) {
    if let Err(error) = verify(proto) {
        panic!("{error}");
    }
    for seed in 0..20 {
        walk::walk(proto, &mut Rng::new(seed), 50);
    }
}

#[track_caller]
fn rejects(proto: &Proto, message: &str) {
    match verify(proto) {
        Ok(()) => panic!("accepted, expected: {message}"),
        Err(error) => assert_eq!(error.to_string(), message),
    }
}

/// Rejected at an instruction of the outermost function.
#[track_caller]
fn rejects_at(pc: usize, code: &[Instr], problem: &str) {
    rejects(
        &function(code),
        &format!("chunk rejected at instruction {pc} of function 0: {problem}"),
    );
}

#[test]
fn declarations() {
    let good = function(&[END]);
    accepts(&good);
    let reject = |change: &dyn Fn(&mut Proto), problem: &str| {
        let mut proto = good.clone();
        change(&mut proto);
        rejects(&proto, &format!("chunk rejected in function 0: {problem}"));
    };
    reject(&|proto| proto.code.clear(), "function has no code");
    reject(
        &|proto| proto.max_stack = 1,
        "function declares fewer than 2 registers",
    );
    reject(
        &|proto| proto.num_params = 5,
        "function has more parameters than registers",
    );
    reject(
        &|proto| proto.upvals = vec![proto.upvals[0].clone(); 256],
        "function has more than 255 upvalues",
    );
    reject(
        &|proto| proto.upvals[0].kind = 4,
        "upvalue is of no known kind",
    );
    reject(
        &|proto| proto.is_vararg = true,
        "VARARGPREP first if and only if the function is vararg",
    );
    reject(
        &|proto| proto.code.insert(0, abc(VARARGPREP, 1, 0, 0)),
        "VARARGPREP first if and only if the function is vararg",
    );
    reject(
        &|proto| proto.lines = vec![1, 2],
        "lines do not match instructions",
    );
}

#[test]
fn locals_fit_the_code() {
    let with = |ranges: &[(u32, u32)]| {
        let mut proto = function(&[END, END]);
        proto.locals = ranges
            .iter()
            .map(|&(start_pc, end_pc)| LocalVar {
                name: b"x".as_slice().into(),
                start_pc,
                end_pc,
            })
            .collect();
        proto
    };
    accepts(&with(&[(0, 2), (0, 2), (0, 2), (0, 2)]));
    accepts(&with(&[(0, 1), (0, 1), (0, 1), (1, 2), (1, 2), (2, 2)]));
    rejects(
        &with(&[(0, 2), (0, 2), (1, 2), (1, 2), (1, 2)]),
        "chunk rejected at instruction 1 of function 0: more locals alive than the function has registers",
    );
    rejects(
        &with(&[(1, 2), (0, 2)]),
        "chunk rejected in function 0: locals are not in the order in which they begin",
    );
    rejects(
        &with(&[(1, 0)]),
        "chunk rejected in function 0: a local ends before it begins",
    );
    rejects(
        &with(&[(0, 3)]),
        "chunk rejected in function 0: a local lives beyond the code",
    );
}

#[test]
fn registers() {
    accepts(&function(&[abc(MOVE, 3, 3, 0), END]));
    rejects_at(
        0,
        &[abc(MOVE, 4, 0, 0), END],
        "register 4 used, function declares 4",
    );
    rejects_at(
        0,
        &[abc(MOVE, 0, 9, 0), END],
        "register 9 used, function declares 4",
    );
    rejects_at(
        0,
        &[abc(ADD, 0, 0, 255), END],
        "register 255 used, function declares 4",
    );
    rejects_at(
        0,
        &[abc(RETURN1, 4, 0, 0)],
        "register 4 used, function declares 4",
    );
}

/// Each range at its largest, and one more.
#[test]
fn ranges() {
    let cases: &[(Instr, Instr)] = &[
        (abc(LOADNIL, 0, 3, 0), abc(LOADNIL, 1, 3, 0)),
        (abc(SELF, 2, 0, 1), abc(SELF, 3, 0, 1)),
        (abc(CONCAT, 1, 3, 0), abc(CONCAT, 1, 4, 0)),
        (abc(CALL, 0, 4, 1), abc(CALL, 0, 5, 1)),
        (abc(CALL, 3, 1, 2), abc(CALL, 3, 1, 3)),
        (abc(CALL, 3, 1, 1), abc(CALL, 4, 1, 1)),
        (abc(CALL, 0, 1, 5), abc(CALL, 0, 1, 6)),
        (abc(RETURN, 0, 5, 0), abc(RETURN, 0, 6, 0)),
        (abc(RETURN, 4, 1, 0), abc(RETURN, 5, 1, 0)),
    ];
    for &(good, bad) in cases {
        accepts(&function(&[good, END]));
        rejects_at(0, &[bad, END], "register 4 used, function declares 4");
    }
    let back = abc(RETURN, 1, 0, 0);
    accepts(&function(&[abc(TAILCALL, 1, 3, 0), back]));
    rejects_at(
        0,
        &[abc(TAILCALL, 1, 4, 0), back],
        "register 4 used, function declares 4",
    );
    accepts(&function(&[abc(SETLIST, 0, 3, 0), extra(0), END]));
    rejects_at(
        0,
        &[abc(SETLIST, 0, 4, 0), extra(0), END],
        "register 4 used, function declares 4",
    );
    accepts(&vararg(&[abc(VARARG, 2, 0, 3), abc(VARARG, 4, 0, 1), END]));
    rejects(
        &vararg(&[abc(VARARG, 2, 0, 4), END]),
        "chunk rejected at instruction 1 of function 0: register 4 used, function declares 4",
    );
    for op in [FORPREP, FORLOOP, TFORPREP] {
        accepts(&function(&[abc(op, 0, 0, 0), jmp(0), abc(RETURN, 0, 1, 0)]));
        rejects_at(
            0,
            &[abc(op, 1, 0, 0), jmp(0), END],
            "register 4 used, function declares 4",
        );
    }
    let wide = |code: &[Instr]| Proto {
        max_stack: 8,
        ..function(code)
    };
    accepts(&wide(&[abc(TFORCALL, 1, 0, 1), END]));
    accepts(&wide(&[
        abc(TFORCALL, 0, 0, 4),
        abc(TFORLOOP, 3, 0, 0),
        jmp(-3),
        END,
    ]));
    for (instr, used) in [
        (abc(TFORCALL, 2, 0, 1), 8),
        (abc(TFORCALL, 0, 0, 5), 8),
        (abc(TFORLOOP, 5, 0, 0), 9),
    ] {
        rejects(
            &wide(&[instr, jmp(0), END]),
            &format!(
                "chunk rejected at instruction 0 of function 0: register {used} used, function declares 8"
            ),
        );
    }
}

#[test]
fn constants() {
    accepts(&function(&[
        abc(GETFIELD, 0, 0, 1),
        abc(ADDK, 0, 0, 2),
        abc(ADDK, 0, 0, 3),
        abc(BANDK, 0, 0, 2),
        END,
    ]));
    rejects_at(
        0,
        &[Instr::abx(LOADK, 0, 5), END],
        "constant 5 used, function has 5",
    );
    rejects_at(
        0,
        &[abc(GETFIELD, 0, 0, 2), END],
        "constant 2 is not a string of at most 40 bytes",
    );
    rejects_at(
        0,
        &[abc(GETFIELD, 0, 0, 4), END],
        "constant 4 is not a string of at most 40 bytes",
    );
    rejects_at(0, &[abc(ADDK, 0, 0, 1), END], "constant 1 is not a number");
    rejects_at(
        0,
        &[abc(BANDK, 0, 0, 3), END],
        "constant 3 is not an integer",
    );
    rejects_at(
        0,
        &[abc(SETFIELDK, 0, 1, 77), END],
        "constant 77 used, function has 5",
    );
    accepts(&function(&[abc(LOADKX, 0, 0, 0), extra(4), END]));
    rejects_at(
        0,
        &[abc(LOADKX, 0, 0, 0), extra(5), END],
        "constant 5 used, function has 5",
    );
    let mut forty = function(&[abc(GETFIELD, 0, 0, 0), END]);
    forty.consts = vec![Const::Str([b'n'; 40].as_slice().into())];
    accepts(&forty);
}

#[test]
fn other_operands() {
    rejects_at(0, &[Instr(0xff), END], "there is no operation 255");
    rejects_at(0, &[abc(MOVE, 0, 0, 1), END], "MOVE cannot have C = 1");
    rejects_at(0, &[abc(RETURN0, 1, 0, 0)], "RETURN0 cannot have A = 1");
    rejects_at(0, &[abc(EQ, 0, 0, 2), jmp(0), END], "EQ cannot have C = 2");
    rejects_at(0, &[abc(CONCAT, 0, 1, 0), END], "CONCAT cannot have B = 1");
    rejects_at(
        0,
        &[abc(TFORCALL, 0, 0, 0), END],
        "register 6 used, function declares 4",
    );
    rejects_at(
        0,
        &[abc(NEWTABLE, 0, 32, 0), extra(0), END],
        "NEWTABLE cannot have B = 32",
    );
    accepts(&function(&[abc(NEWTABLE, 0, 31, 0), extra(0xff_ffff), END]));
    rejects_at(
        0,
        &[abc(GETUPVAL, 0, 1, 0), END],
        "upvalue 1 used, function has 1",
    );
    rejects_at(
        0,
        &[abc(SETTABUP, 1, 1, 0), END],
        "upvalue 1 used, function has 1",
    );
    rejects_at(
        0,
        &[Instr::abx(CLOSURE, 0, 0), END],
        "nested function 0 used, function has 0",
    );
    let mut proto = function(&[abc(TFORCALL, 0, 0, 0), END]);
    proto.max_stack = 9;
    rejects(
        &proto,
        "chunk rejected at instruction 0 of function 0: TFORCALL cannot have C = 0",
    );
}

#[test]
fn every_byte_that_is_no_operation() {
    for byte in TABLE.len()..256 {
        rejects_at(
            0,
            &[Instr(byte as u32), END],
            &format!("there is no operation {byte}"),
        );
    }
}

#[test]
fn jumps_land_on_instructions() {
    accepts(&function(&[jmp(0), jmp(-2), END]));
    accepts(&function(&[jmp(-1)]));
    rejects_at(0, &[jmp(1), END], "jump to 2, code has 2 instructions");
    rejects_at(0, &[jmp(-2), END], "jump to -1, code has 2 instructions");
    rejects_at(
        0,
        &[jmp(i32::from(i16::MAX) * 256), END],
        "jump to 8388353, code has 2 instructions",
    );
    let inside = "jump to 2, where control may not enter";
    rejects_at(0, &[jmp(1), abc(LOADKX, 0, 0, 0), extra(0), END], inside);
    rejects_at(0, &[jmp(1), abc(TEST, 0, 0, 1), jmp(0), END], inside);
    rejects_at(
        0,
        &[abc(TEST, 0, 0, 1), jmp(5), END],
        "jump to 7, code has 3 instructions",
    );
    // Not even the test that it belongs to may jump to a test's own JMP.
    rejects_at(
        0,
        &[abc(TEST, 0, 0, 1), jmp(-1), END],
        "jump to 1, where control may not enter",
    );
    accepts(&function(&[abc(TEST, 0, 0, 1), jmp(-2), END]));
    rejects(
        &vararg(&[jmp(-2)]),
        "chunk rejected at instruction 1 of function 0: jump to 0, where control may not enter",
    );
}

#[test]
fn skips_land_on_instructions() {
    accepts(&function(&[
        abc(LFALSESKIP, 0, 0, 0),
        abc(LOADTRUE, 0, 0, 0),
        END,
    ]));
    rejects_at(
        0,
        &[abc(LFALSESKIP, 0, 0, 0), END],
        "jump to 2, code has 2 instructions",
    );
    let inside = "jump to 2, where control may not enter";
    rejects_at(
        0,
        &[
            abc(LFALSESKIP, 0, 0, 0),
            abc(LOADKX, 0, 0, 0),
            extra(0),
            END,
        ],
        inside,
    );
    rejects_at(
        0,
        &[abc(LFALSESKIP, 0, 0, 0), abc(TEST, 0, 0, 0), jmp(0), END],
        inside,
    );
    rejects_at(
        0,
        &[abc(TEST, 0, 0, 1), jmp(-2)],
        "jump to 2, code has 2 instructions",
    );
}

#[test]
fn pairs() {
    rejects_at(0, &[abc(TEST, 0, 0, 1), END], "test without its JMP");
    rejects_at(
        0,
        &[abc(LOADKX, 0, 0, 0), END],
        "instruction without its EXTRAARG",
    );
    rejects_at(
        0,
        &[extra(0), END],
        "EXTRAARG that belongs to no instruction",
    );
    rejects_at(0, &[abc(TEST, 0, 0, 1)], "code ends within an instruction");
    rejects_at(
        1,
        &[END, abc(NEWTABLE, 0, 0, 0)],
        "code ends within an instruction",
    );
}

#[test]
fn control_stays_in_the_code() {
    rejects_at(
        1,
        &[END, abc(MOVE, 0, 0, 0)],
        "control runs off the end of the code",
    );
    rejects_at(
        1,
        &[abc(LOADKX, 0, 0, 0), extra(0)],
        "control runs off the end of the code",
    );
    accepts(&function(&[abc(TAILCALL, 0, 1, 0), abc(RETURN, 0, 0, 0)]));
}

#[test]
fn varargs() {
    accepts(&vararg(&[abc(VARARG, 0, 0, 2), END]));
    rejects_at(
        0,
        &[abc(VARARG, 0, 0, 2), END],
        "VARARG in a function that is not vararg",
    );
    let mut proto = vararg(&[END]);
    proto.code[0].set_a(2);
    rejects(
        &proto,
        "chunk rejected at instruction 0 of function 0: VARARGPREP cannot have A = 2",
    );
    rejects(
        &vararg(&[abc(VARARGPREP, 1, 0, 0), END]),
        "chunk rejected at instruction 1 of function 0: VARARGPREP is not the first instruction",
    );
}

#[test]
fn top_is_set_directly_before_it_is_used() {
    accepts(&function(&[
        abc(CALL, 1, 1, 0),
        abc(CALL, 0, 0, 0),
        abc(RETURN, 0, 0, 0),
    ]));
    accepts(&function(&[
        abc(CALL, 1, 1, 0),
        abc(SETLIST, 0, 0, 0),
        extra(9),
        END,
    ]));
    accepts(&vararg(&[
        abc(VARARG, 1, 0, 0),
        abc(TAILCALL, 0, 0, 0),
        abc(RETURN, 0, 0, 0),
    ]));
    let unused = "top is set, and the next instruction does not use it";
    rejects_at(0, &[abc(CALL, 1, 1, 0), abc(RETURN, 0, 1, 0)], unused);
    rejects_at(
        0,
        &[abc(CALL, 1, 1, 0), abc(MOVE, 0, 0, 0), abc(RETURN, 0, 0, 0)],
        unused,
    );
    rejects_at(
        0,
        &[abc(CALL, 1, 1, 0), jmp(0), abc(RETURN, 0, 0, 0)],
        unused,
    );
    let unset = "top is used, and the instruction before does not set it";
    rejects_at(0, &[abc(RETURN, 0, 0, 0)], unset);
    rejects_at(1, &[abc(CALL, 1, 1, 1), abc(RETURN, 0, 0, 0)], unset);
    rejects_at(
        2,
        &[
            abc(CALL, 1, 1, 0),
            abc(RETURN, 0, 0, 0),
            abc(CALL, 0, 0, 1),
            END,
        ],
        unset,
    );
    let arrives = "top is used where a jump may arrive";
    rejects_at(
        2,
        &[jmp(1), abc(CALL, 1, 1, 0), abc(CALL, 0, 0, 1), END],
        arrives,
    );
    rejects_at(
        2,
        &[
            abc(LFALSESKIP, 0, 0, 0),
            abc(CALL, 1, 1, 0),
            abc(CALL, 0, 0, 1),
            END,
        ],
        arrives,
    );
}

#[test]
fn a_tail_call_has_the_return_of_a_plain_call_behind_it() {
    // The interpreter goes on there after a native function: without it, behind the end of the code (a fuzzer's finding).
    let missing = "no return up to top behind a tail call";
    let (call, back) = (abc(TAILCALL, 1, 1, 0), abc(RETURN, 1, 0, 0));
    accepts(&function(&[call, back]));
    accepts(&function(&[call, back, END]));
    rejects_at(0, &[call], missing);
    rejects_at(0, &[call, END], missing);
    rejects_at(0, &[call, abc(RETURN, 1, 1, 0)], missing);
    rejects_at(
        1,
        &[call, abc(RETURN, 2, 0, 0)],
        "values up to top begin above top",
    );
    rejects_at(
        2,
        &[jmp(1), call, back],
        "top is used where a jump may arrive",
    );
    rejects_at(
        1,
        &[call, abc(CALL, 0, 0, 1), END],
        "top is used after a tail call, by no return",
    );
}

#[test]
fn values_up_to_top_begin_below_it() {
    let above = "values up to top begin above top";
    accepts(&function(&[abc(CALL, 1, 1, 0), abc(RETURN, 1, 0, 0)]));
    rejects_at(1, &[abc(CALL, 1, 1, 0), abc(RETURN, 2, 0, 0)], above);
    rejects_at(1, &[abc(CALL, 1, 1, 0), abc(CALL, 1, 0, 1), END], above);
    rejects_at(1, &[abc(CALL, 1, 1, 0), abc(TAILCALL, 1, 0, 0)], above);
    rejects_at(
        1,
        &[abc(CALL, 1, 1, 0), abc(SETLIST, 1, 0, 0), extra(0), END],
        above,
    );
}

const QUICK: &str = "quick return where an upvalue or a variable to be closed may be open";

#[test]
fn quick_returns_leave_no_upvalue_open() {
    let closure = Instr::abx(CLOSURE, 0, 0);
    let rejects_at = |pc: usize, register: u8, code: &[Instr]| {
        rejects(
            &nesting(capturing(register), code),
            &format!("chunk rejected at instruction {pc} of function 0: {QUICK}"),
        );
    };
    rejects_at(1, 2, &[closure, END]);
    rejects_at(1, 2, &[closure, abc(RETURN1, 0, 0, 0)]);
    accepts(&nesting(capturing(2), &[closure, abc(RETURN, 0, 1, 0)]));
    let tail = [closure, abc(TAILCALL, 0, 1, 0), abc(RETURN, 0, 0, 0)];
    accepts(&nesting(capturing(2), &tail));
    // Closed again, from the register or below it.
    accepts(&nesting(capturing(2), &[closure, abc(CLOSE, 2, 0, 0), END]));
    rejects_at(2, 2, &[closure, abc(CLOSE, 3, 0, 0), END]);
    // On one of two paths; and on the second turn of a loop.
    rejects_at(3, 2, &[abc(TEST, 1, 0, 0), jmp(1), closure, END]);
    rejects_at(2, 2, &[abc(TEST, 1, 0, 0), jmp(1), END, closure, jmp(-5)]);
    // Where control never comes, nothing is open.
    accepts(&nesting(
        capturing(2),
        &[closure, abc(RETURN, 0, 1, 0), END],
    ));
    // Capturing an upvalue opens nothing.
    let mut inner = capturing(0);
    inner.upvals[0].in_stack = false;
    accepts(&nesting(inner, &[closure, END]));
}

#[test]
fn variables_to_be_closed() {
    rejects_at(1, &[abc(TBC, 1, 0, 0), END], QUICK);
    accepts(&function(&[abc(TBC, 1, 0, 0), abc(CLOSE, 1, 0, 0), END]));
    accepts(&function(&[
        abc(TBC, 1, 0, 0),
        abc(TBC, 2, 0, 0),
        abc(RETURN, 0, 1, 0),
    ]));
    let order = "variable marked to be closed while one in a register not below it may be";
    rejects_at(
        1,
        &[abc(TBC, 2, 0, 0), abc(TBC, 1, 0, 0), abc(RETURN, 0, 1, 0)],
        order,
    );
    rejects_at(0, &[abc(TBC, 1, 0, 0), jmp(-2)], order);
    accepts(&function(&[
        abc(TBC, 1, 0, 0),
        abc(CLOSE, 1, 0, 0),
        jmp(-3),
    ]));
    let tail = "tail call where a variable to be closed may be open";
    let back = abc(RETURN, 2, 0, 0);
    rejects_at(1, &[abc(TBC, 1, 0, 0), abc(TAILCALL, 2, 1, 0), back], tail);
    // Nor does an open mark: after the inner one is closed, one between the two may come.
    accepts(&function(&[
        abc(TBC, 0, 0, 0),
        abc(TBC, 3, 0, 0),
        abc(CLOSE, 2, 0, 0),
        abc(TBC, 1, 0, 0),
        abc(RETURN, 0, 1, 0),
    ]));
    let mut wide = function(&[
        abc(TBC, 254, 0, 0),
        abc(TBC, 64, 0, 0),
        abc(RETURN, 0, 1, 0),
    ]);
    wide.max_stack = 255;
    rejects(
        &wide,
        &format!("chunk rejected at instruction 1 of function 0: {order}"),
    );
    wide.code.insert(1, abc(CLOSE, 65, 0, 0));
    accepts(&wide);
    // An open upvalue further down does not blur what is known of the variables to be closed.
    let code = [
        Instr::abx(CLOSURE, 3, 0),
        abc(TBC, 2, 0, 0),
        abc(CLOSE, 2, 0, 0),
        abc(TBC, 1, 0, 0),
        abc(CLOSE, 1, 0, 0),
        abc(TAILCALL, 2, 1, 0),
        back,
    ];
    accepts(&nesting(capturing(0), &code));
}

/// The shape of `for ... in` with a return inside and one after.
#[test]
fn generic_for() {
    let with = |inside: Instr, close: Instr| Proto {
        max_stack: 8,
        ..function(&[
            abc(TFORPREP, 0, 0, 0),
            jmp(1),
            inside,
            abc(TFORCALL, 0, 0, 1),
            abc(TFORLOOP, 0, 0, 0),
            jmp(-4),
            close,
            END,
        ])
    };
    let close = abc(CLOSE, 0, 0, 0);
    accepts(&with(abc(MOVE, 5, 4, 0), close));
    accepts(&with(abc(RETURN, 4, 2, 0), close));
    rejects(
        &with(abc(RETURN1, 4, 0, 0), close),
        &format!("chunk rejected at instruction 2 of function 0: {QUICK}"),
    );
    let open = with(abc(MOVE, 5, 4, 0), abc(MOVE, 5, 4, 0));
    rejects(
        &open,
        &format!("chunk rejected at instruction 7 of function 0: {QUICK}"),
    );
}

#[test]
fn upvalues_of_nested_functions() {
    let code = [Instr::abx(CLOSURE, 0, 0), abc(RETURN, 0, 1, 0)];
    accepts(&nesting(capturing(3), &code));
    rejects(
        &nesting(capturing(4), &code),
        "chunk rejected in function 1: register of the enclosing function 4 used, function has 4",
    );
    let mut inner = capturing(1);
    inner.upvals[0].in_stack = false;
    rejects(
        &nesting(inner, &code),
        "chunk rejected in function 1: upvalue of the enclosing function 1 used, function has 1",
    );
}

#[test]
fn functions_are_counted_as_they_stand_in_a_chunk() {
    let bad = function(&[abc(MOVE, 31, 0, 0), END]);
    let first = nesting(function(&[END]), &[END]);
    let outer = Proto {
        protos: vec![first, bad],
        ..function(&[END])
    };
    let error = verify(&outer).unwrap_err();
    assert_eq!(
        error.to_string(),
        "chunk rejected at instruction 0 of function 3: register 31 used, function declares 4"
    );
    assert_eq!(
        (error.function, error.pc, error.code()),
        (3, Some(0), "bytecode_register")
    );
}

#[test]
fn depth_has_a_limit() {
    let nest = |depth| (1..depth).fold(function(&[END]), |inner, _| nesting(inner, &[END]));
    accepts(&nest(200));
    rejects(
        &nest(201),
        "chunk rejected in function 200: functions nest deeper than 200 levels",
    );
}

#[test]
fn made_code_is_accepted_and_keeps_its_bounds() {
    for seed in 0..2000 {
        let rng = &mut Rng::new(seed);
        let proto = make::valid(rng, None, 2);
        if let Err(error) = verify(&proto) {
            panic!("seed {seed}: {error}");
        }
        walk::walk(&proto, rng, 200);
    }
}

/// One word of good code changed: whatever is still accepted must still keep its bounds.
#[test]
fn changed_code_is_rejected_or_keeps_its_bounds() {
    let (mut accepted, mut rejected) = (0, 0);
    for seed in 0..20_000 {
        let rng = &mut Rng::new(seed);
        let mut proto = make::valid(rng, None, 1);
        for _ in 0..rng.between(1, 2) {
            let at = rng.below(proto.code.len());
            let word = &mut proto.code[at].0;
            *word = match rng.below(4) {
                0 => rng.next() as u32,
                1 => *word & !0xff | rng.below(TABLE.len()) as u32,
                _ => *word ^ 1 << rng.below(32),
            };
        }
        match verify(&proto) {
            Ok(()) => {
                accepted += 1;
                walk::walk(&proto, rng, 100);
            }
            Err(_) => rejected += 1,
        }
    }
    // So that the test keeps meaning something.
    assert!(
        accepted > 2000 && rejected > 2000,
        "{accepted} accepted, {rejected} rejected"
    );
}

/// Code that makes the analysis of what is open look at each place as often as there are registers: a chain of jumps backwards,
/// entered with a lower register open each time.
#[test]
fn contrived_code_is_verified_in_bounded_time() {
    let registers = 200u8;
    let blocks = 20_000;
    // Block k begins at 2 * k and goes to block k - 1; the first of them is a return.
    let mut code = vec![jmp(2 * blocks - 1), abc(RETURN, 0, 1, 0)];
    for block in 1..blocks {
        code.extend([abc(MOVE, 0, 0, 0), jmp(if block == 1 { -3 } else { -4 })]);
    }
    for register in (0..registers).rev() {
        // One path goes to the next capture, the other down the chain from the last block.
        let to_chain = jmp(2 * (blocks - 1) - (code.len() as i32 + 4));
        code.extend([
            Instr::abx(CLOSURE, 0, u16::from(register)),
            abc(TEST, 0, 0, 0),
            jmp(1),
            to_chain,
        ]);
    }
    code.push(abc(RETURN, 0, 1, 0));
    let mut proto = Proto {
        max_stack: registers,
        ..function(&code)
    };
    proto.protos = (0..registers).map(capturing).collect();
    accepts(&proto);
    proto.code[1] = END;
    rejects(
        &proto,
        &format!("chunk rejected at instruction 1 of function 0: {QUICK}"),
    );
}
