//! The verifier: what a prototype must be before anything of it runs. The interpreter loop reads registers, constants,
//! upvalues and code without checking bounds, and this file is what earns it that. Every prototype from outside passes through
//! here before the heap makes a function of it; tests and the fuzzer hold what the compiler makes to the same rules.
//!
//! A prototype that passes has been proved to keep these rules, which the loop may lean on by number:
//!
//! 1. **Operands.** Every word is an instruction of the table or belongs to one. Registers are below `max_stack`, and so is
//!    the whole range that an instruction touches; indices of constants, upvalues and nested functions exist; constants are
//!    of the kind that the table asks for; unused fields are zero.
//! 2. **Control.** Every jump and every skip lands on the start of an instruction: never inside a pair (`EXTRAARG`, or the
//!    `JMP` of a test), never on `VARARGPREP`, never outside. Control does not run off the end.
//! 3. **Pairs.** A test is followed by its `JMP`, an `EXTRA` instruction by its `EXTRAARG`; there is no other `EXTRAARG`.
//! 4. **Top.** Whoever sets top (`CALL` or `VARARG` with C = 0) is directly followed by one that uses it (B = 0), which cannot
//!    be reached in another way; and the user's first value is not above the setter's. Nothing else uses top. So top needs no
//!    value between other instructions, and the count of values up to it is never negative. A `TAILCALL` is followed by
//!    the `RETURN` (B = 0) that a plain call in its place would have: the VM makes a plain call of it when the callee is no Lua function.
//! 5. **Closing.** `RETURN0` and `RETURN1` stand where no upvalue and no to-be-closed variable can be open, `TAILCALL` where
//!    no to-be-closed variable can be. To-be-closed variables are marked in rising order of registers, each before it is
//!    closed only once, so that a frame never has more of them than registers.
//! 6. **Varargs.** `VARARGPREP` is the first instruction of vararg functions, names their number of parameters, and stands
//!    nowhere else. `VARARG` stands in vararg functions only.
//! 7. **Upvalues of nested functions** name a register or an upvalue that their enclosing function has.
//! 8. **Debug information** fits the code: a line for each instruction or none, ranges of locals within the code, and at no
//!    place more locals alive than there are registers.
//!
//! What is *not* proved, and therefore stays the loop's to check or to arrange:
//! - *Types.* Registers hold any value at any time. That holds for the numeric `for` too: whoever jumps into its middle finds in
//!   R[A] to R[A+3] what it put there. `FORLOOP` may trust only the tags that it looks at, and may not write a payload
//!   under a tag that it has not looked at. `TFORLOOP` and `TFORCALL` likewise.
//! - *That registers were written before they are read.* They hold valid values at all times: the VM fills a frame's registers
//!   that no argument fills with nil, and whatever runs later leaves valid values.
//! - *Room beyond `max_stack`*, which open results and varargs take: whoever sets top reserves it.
//! - *Sizes.* The fields of `NEWTABLE` are hints from outside, and `SETLIST` may name any position up to 2^24 + 255.
//! - *Termination.* Backward jumps and calls take fuel.
//! - *`TAILCALL`* may leave with open upvalues, and closes them.
//!
//! The work is linear in the size of the prototype, with one exception stated at [`Function::closing`], and depth costs heap,
//! not stack.

use std::fmt;

use super::chunk::DEPTH_MAX;
use super::instr::Instr;
use super::op::{Field, Format, Op, TABLE, flag};
use super::proto::{Const, Proto};

/// The most upvalues of a function: their index is a byte, and PUC Lua's limit is the same (`MAXUPVAL`).
pub const UPVALS_MAX: usize = 255;

/// The longest string that may be a name: those are interned, and comparing them compares pointers.
pub const NAME_SIZE_MAX: usize = 40;

/// The largest B of `NEWTABLE`: room for 2^30 entries.
pub const NEWTABLE_B_MAX: u8 = 31;

/// Why a prototype may not run, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyError {
    pub problem: Problem,
    /// Which function: 0 is the outermost one, and then they are counted in the order in which they stand in a chunk, each
    /// before those that are nested in it.
    pub function: usize,
    /// The index of the instruction in the function's code, unless the problem is elsewhere.
    pub pc: Option<usize>,
}

/// What is wrong with a prototype. A message is made of numbers that the listing shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    /// A byte that names no operation.
    Opcode(u8),
    /// A register, or the last of a range, that the function does not have.
    Register { used: usize, declared: usize },
    /// An index into a list that is shorter. `list` names what is listed.
    Index {
        list: &'static str,
        used: usize,
        count: usize,
    },
    /// A constant of another kind than the instruction works on.
    Kind {
        constant: usize,
        wanted: &'static str,
    },
    /// An operand that this operation cannot have.
    Operand { op: Op, field: char, value: usize },
    /// A jump or a skip to a place that is not the start of an instruction.
    Jump { to: i64, count: usize },
    /// A rule that has no numbers.
    Rule(&'static str),
    /// Functions nested deeper than [`DEPTH_MAX`].
    Deep,
}

impl VerifyError {
    /// A name for programs, the same in all versions.
    pub fn code(&self) -> &'static str {
        match self.problem {
            Problem::Opcode(_) => "bytecode_opcode",
            Problem::Register { .. } => "bytecode_register",
            Problem::Index { .. } => "bytecode_index",
            Problem::Kind { .. } => "bytecode_kind",
            Problem::Operand { .. } => "bytecode_operand",
            Problem::Jump { .. } => "bytecode_jump",
            Problem::Rule(_) => "bytecode_rule",
            Problem::Deep => "bytecode_deep",
        }
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pc {
            Some(pc) => write!(
                f,
                "chunk rejected at instruction {pc} of function {}: ",
                self.function
            )?,
            None => write!(f, "chunk rejected in function {}: ", self.function)?,
        }
        match &self.problem {
            Problem::Opcode(byte) => write!(f, "there is no operation {byte}"),
            Problem::Register { used, declared } => {
                write!(f, "register {used} used, function declares {declared}")
            }
            Problem::Index { list, used, count } => {
                write!(f, "{list} {used} used, function has {count}")
            }
            Problem::Kind { constant, wanted } => write!(f, "constant {constant} is not {wanted}"),
            Problem::Operand { op, field, value } => {
                let name = TABLE[*op as usize].name;
                write!(f, "{name} cannot have {field} = {value}")
            }
            Problem::Jump { to, count } if *to < 0 || *to >= *count as i64 => {
                write!(f, "jump to {to}, code has {count} instructions")
            }
            Problem::Jump { to, .. } => write!(f, "jump to {to}, where control may not enter"),
            Problem::Rule(rule) => f.write_str(rule),
            Problem::Deep => write!(f, "functions nest deeper than {DEPTH_MAX} levels"),
        }
    }
}

impl std::error::Error for VerifyError {}

/// Proves the rules above for a function and all that are nested in it, or says which one is broken, and where.
pub fn verify(proto: &Proto) -> Result<(), VerifyError> {
    // What is still to be looked at: a function, the one around it, and how deep it is.
    let mut left: Vec<(&Proto, Option<&Proto>, usize)> = vec![(proto, None, 1)];
    let mut number = 0;
    while let Some((proto, parent, depth)) = left.pop() {
        let verified = match depth <= DEPTH_MAX {
            true => Function::new(proto).verify(parent),
            false => Err(Rejected {
                problem: Problem::Deep,
                pc: None,
            }),
        };
        verified.map_err(|rejected| VerifyError {
            problem: rejected.problem,
            function: number,
            pc: rejected.pc,
        })?;
        number += 1;
        left.extend(
            proto
                .protos
                .iter()
                .rev()
                .map(|nested| (nested, Some(proto), depth + 1)),
        );
    }
    Ok(())
}

/// A problem before the function's number is known.
struct Rejected {
    problem: Problem,
    pc: Option<usize>,
}

type Checked = Result<(), Rejected>;

/// Rule 4, for tail calls.
const NO_RETURN: &str = "no return up to top behind a tail call";

fn reject(pc: usize, problem: Problem) -> Checked {
    Err(Rejected {
        problem,
        pc: Some(pc),
    })
}

/// Rejects the function as a whole.
fn declared(holds: bool, rule: &'static str) -> Checked {
    match holds {
        true => Ok(()),
        false => Err(Rejected {
            problem: Problem::Rule(rule),
            pc: None,
        }),
    }
}

/// What is known of the place of one word in the code.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Control may not come here by a jump: the second word of a pair, or `VARARGPREP`.
    closed: bool,
    /// Control does come here by a jump or a skip: the number of this among such places.
    target: Option<u32>,
}

struct Function<'a> {
    proto: &'a Proto,
    code: &'a [Instr],
    registers: usize,
    places: Vec<Place>,
    /// How many places control comes to by jumps and skips.
    targets: usize,
    /// The operations, once [`Function::words`] has found that all exist; of second words too.
    ops: Vec<Op>,
}

impl<'a> Function<'a> {
    fn new(proto: &'a Proto) -> Function<'a> {
        let code = proto.code.as_slice();
        Function {
            proto,
            code,
            registers: usize::from(proto.max_stack),
            places: vec![Place::default(); code.len()],
            targets: 0,
            ops: Vec::with_capacity(code.len()),
        }
    }

    fn verify(mut self, parent: Option<&Proto>) -> Checked {
        self.declarations(parent)?;
        self.debug_information()?;
        self.words()?;
        self.jumps()?;
        self.top()?;
        self.closing()
    }

    /// What the function says about itself (rules 6 and 7).
    fn declarations(&self, parent: Option<&Proto>) -> Checked {
        let proto = self.proto;
        declared(!self.code.is_empty(), "function has no code")?;
        declared(
            proto.max_stack >= 2,
            "function declares fewer than 2 registers",
        )?;
        declared(
            proto.num_params <= proto.max_stack,
            "function has more parameters than registers",
        )?;
        declared(
            proto.upvals.len() <= UPVALS_MAX,
            "function has more than 255 upvalues",
        )?;
        for upval in &proto.upvals {
            declared(upval.kind <= 3, "upvalue is of no known kind")?;
            // The outermost function's upvalues are made by whoever loads it.
            let Some(parent) = parent else { continue };
            let (list, count) = match upval.in_stack {
                true => (
                    "register of the enclosing function",
                    usize::from(parent.max_stack),
                ),
                false => ("upvalue of the enclosing function", parent.upvals.len()),
            };
            let used = usize::from(upval.index);
            if used >= count {
                return Err(Rejected {
                    problem: Problem::Index { list, used, count },
                    pc: None,
                });
            }
        }
        let first = self.code.first().and_then(|instr| instr.op());
        declared(
            (first == Some(Op::VARARGPREP)) == proto.is_vararg,
            "VARARGPREP first if and only if the function is vararg",
        )
    }

    /// Rule 8.
    fn debug_information(&self) -> Checked {
        let proto = self.proto;
        let size = self.code.len();
        declared(
            proto.lines.is_empty() || proto.lines.len() == size,
            "lines do not match instructions",
        )?;
        if proto.locals.is_empty() {
            return Ok(());
        }
        // How many more are alive at each place than at the one before.
        let mut change = vec![0i64; size + 1];
        let mut before = 0;
        for local in &proto.locals {
            declared(
                local.start_pc >= before,
                "locals are not in the order in which they begin",
            )?;
            declared(
                local.start_pc <= local.end_pc,
                "a local ends before it begins",
            )?;
            declared(
                local.end_pc as usize <= size,
                "a local lives beyond the code",
            )?;
            before = local.start_pc;
            change[local.start_pc as usize] += 1;
            change[local.end_pc as usize] -= 1;
        }
        let mut alive = 0;
        for (pc, change) in change.iter().enumerate() {
            alive += change;
            if alive > self.registers as i64 {
                return reject(
                    pc,
                    Problem::Rule("more locals alive than the function has registers"),
                );
            }
        }
        Ok(())
    }

    /// Every word by itself and with the one that belongs to it (rules 1, 3 and 6). Marks where jumps may not go.
    fn words(&mut self) -> Checked {
        // What the word at hand must be, when the one before says so.
        let mut due: Option<Op> = None;
        for (pc, &instr) in self.code.iter().enumerate() {
            let Some(op) = instr.op() else {
                return reject(pc, Problem::Opcode(instr.op_byte()));
            };
            self.ops.push(op);
            match due {
                Some(due) if due != op => {
                    let rule = if due == Op::JMP {
                        "test without its JMP"
                    } else {
                        "instruction without its EXTRAARG"
                    };
                    return reject(pc - 1, Problem::Rule(rule));
                }
                None if op == Op::EXTRAARG => {
                    return reject(pc, Problem::Rule("EXTRAARG that belongs to no instruction"));
                }
                _ => self.places[pc].closed = due.is_some(),
            }
            due = None;
            if op.has(flag::TEST) {
                due = Some(Op::JMP);
            } else if op.has(flag::EXTRA) {
                due = Some(Op::EXTRAARG);
            }
            self.fields(pc, op, instr)?;
            self.range(pc, op, instr)?;
            self.special(pc, op, instr)?;
        }
        let last = self.code.len() - 1;
        match self.ops.last() {
            _ if due.is_some() => reject(last, Problem::Rule("code ends within an instruction")),
            Some(op) if op.has(flag::ENDS) => Ok(()),
            _ => reject(last, Problem::Rule("control runs off the end of the code")),
        }
    }

    /// The operand fields, by what the table says of them.
    fn fields(&self, pc: usize, op: Op, instr: Instr) -> Checked {
        match op.row().format {
            Format::None if instr.get_ax() != 0 => {
                self.operand(pc, op, 'A', instr.get_ax() as usize)
            }
            Format::None | Format::Ax | Format::Sj => Ok(()),
            Format::Abc(a, b, c) => {
                self.field(pc, op, 'A', a, instr.a().into())?;
                self.field(pc, op, 'B', b, instr.b().into())?;
                self.field(pc, op, 'C', c, instr.c().into())
            }
            Format::Abx(a, bx) => {
                self.field(pc, op, 'A', a, instr.a().into())?;
                self.field(pc, op, 'B', bx, instr.bx().into())
            }
            Format::AsBx(a) => self.field(pc, op, 'A', a, instr.a().into()),
        }
    }

    fn field(&self, pc: usize, op: Op, name: char, field: Field, value: usize) -> Checked {
        match field {
            Field::Zero if value != 0 => self.operand(pc, op, name, value),
            Field::Cond if value > 1 => self.operand(pc, op, name, value),
            Field::Zero | Field::Cond | Field::Imm | Field::Simm | Field::Count | Field::Range => {
                Ok(())
            }
            Field::Reg => self.register(pc, value),
            Field::Const => self.constant(pc, value, "a constant", |_| true),
            Field::ConstName => self.constant(
                pc,
                value,
                "a string of at most 40 bytes",
                |constant| matches!(constant, Const::Str(string) if string.len() <= NAME_SIZE_MAX),
            ),
            Field::ConstNum => self.constant(pc, value, "a number", |constant| {
                matches!(constant, Const::Int(_) | Const::Float(_))
            }),
            Field::ConstInt => self.constant(pc, value, "an integer", |constant| {
                matches!(constant, Const::Int(_))
            }),
            Field::Up => index(pc, "upvalue", value, self.proto.upvals.len()),
            Field::Proto => index(pc, "nested function", value, self.proto.protos.len()),
        }
    }

    fn operand(&self, pc: usize, op: Op, field: char, value: usize) -> Checked {
        reject(pc, Problem::Operand { op, field, value })
    }

    fn register(&self, pc: usize, used: usize) -> Checked {
        match used < self.registers {
            true => Ok(()),
            false => reject(
                pc,
                Problem::Register {
                    used,
                    declared: self.registers,
                },
            ),
        }
    }

    fn constant(
        &self,
        pc: usize,
        used: usize,
        wanted: &'static str,
        fits: impl Fn(&Const) -> bool,
    ) -> Checked {
        match self.proto.consts.get(used) {
            Some(constant) if fits(constant) => Ok(()),
            Some(_) => reject(
                pc,
                Problem::Kind {
                    constant: used,
                    wanted,
                },
            ),
            None => index(pc, "constant", used, self.proto.consts.len()),
        }
    }

    /// The last register of a range (rule 1), for the operations whose table row has one.
    fn range(&self, pc: usize, op: Op, instr: Instr) -> Checked {
        let (a, b, c) = (
            usize::from(instr.a()),
            usize::from(instr.b()),
            usize::from(instr.c()),
        );
        // One past the last register. A range may be empty, and may then begin just past the last register there is: a
        // function whose locals fill its registers ends with a RETURN of nothing from there.
        let end = match op {
            Op::LOADNIL => a + b + 1,
            Op::SELF => a + 2,
            Op::CONCAT => a + b,
            // With 0 the range goes up to top, and rule 4 takes over.
            Op::CALL => (a + b.max(1)).max((a + c).saturating_sub(1)),
            Op::TAILCALL => a + b.max(1),
            Op::RETURN if b == 0 => a + 1,
            Op::RETURN => a + b - 1,
            Op::VARARG if c == 0 => a + 1,
            Op::VARARG => a + c - 1,
            Op::SETLIST => a + b + 1,
            Op::FORPREP | Op::FORLOOP | Op::TFORPREP => a + 4,
            // The call takes A+4 to A+6 whatever the number of results.
            Op::TFORCALL => a + 4 + c.max(3),
            Op::TFORLOOP => a + 5,
            _ => return Ok(()),
        };
        match end <= self.registers {
            true => Ok(()),
            false => reject(
                pc,
                Problem::Register {
                    used: end - 1,
                    declared: self.registers,
                },
            ),
        }
    }

    /// What is peculiar to one operation.
    fn special(&self, pc: usize, op: Op, instr: Instr) -> Checked {
        let (a, b, c) = (instr.a(), instr.b(), instr.c());
        match op {
            Op::CONCAT if b < 2 => self.operand(pc, op, 'B', b.into()),
            Op::TFORCALL if c < 1 => self.operand(pc, op, 'C', c.into()),
            Op::NEWTABLE if b > NEWTABLE_B_MAX => self.operand(pc, op, 'B', b.into()),
            Op::LOADKX => match self.code.get(pc + 1) {
                Some(extra) => self.constant(pc, extra.get_ax() as usize, "a constant", |_| true),
                None => Ok(()),
            },
            Op::VARARG if !self.proto.is_vararg => {
                reject(pc, Problem::Rule("VARARG in a function that is not vararg"))
            }
            Op::VARARGPREP if pc != 0 => {
                reject(pc, Problem::Rule("VARARGPREP is not the first instruction"))
            }
            Op::VARARGPREP if a != self.proto.num_params => self.operand(pc, op, 'A', a.into()),
            _ => Ok(()),
        }
    }

    /// Where control goes from the instruction at `pc`, apart from the next one: by its own or its test's jump, and by a skip.
    fn leaps(&self, pc: usize) -> [Option<i64>; 2] {
        let op = self.ops[pc];
        let jump = |at: usize| at as i64 + 1 + i64::from(self.code[at].get_sj());
        let skip = pc as i64 + 2;
        match op {
            Op::JMP => [Some(jump(pc)), None],
            Op::LFALSESKIP => [None, Some(skip)],
            _ if op.has(flag::TEST) => [Some(jump(pc + 1)), Some(skip)],
            _ => [None, None],
        }
    }

    /// Whether control goes from the instruction at `pc` to the one after it, and where that is.
    fn next(&self, pc: usize) -> Option<usize> {
        let op = self.ops[pc];
        match op {
            Op::LFALSESKIP => None,
            _ if op.has(flag::TEST | flag::ENDS) => None,
            _ if op.has(flag::EXTRA) => Some(pc + 2),
            _ => Some(pc + 1),
        }
    }

    /// Rule 2. Marks where jumps do go.
    fn jumps(&mut self) -> Checked {
        if let Some(first) = self.places.first_mut() {
            first.closed = self.proto.is_vararg;
        }
        let mut pc = 0;
        while pc < self.code.len() {
            for to in self.leaps(pc).into_iter().flatten() {
                match usize::try_from(to)
                    .ok()
                    .and_then(|to| self.places.get_mut(to))
                {
                    Some(place) if !place.closed => {
                        if place.target.is_none() {
                            place.target = Some(self.targets as u32);
                            self.targets += 1;
                        }
                    }
                    _ => {
                        return reject(
                            pc,
                            Problem::Jump {
                                to,
                                count: self.code.len(),
                            },
                        );
                    }
                }
            }
            pc += self.size(pc);
        }
        Ok(())
    }

    /// How many words the instruction at `pc` takes.
    fn size(&self, pc: usize) -> usize {
        if self.ops[pc].has(flag::TEST | flag::EXTRA) {
            2
        } else {
            1
        }
    }

    /// Rule 4.
    fn top(&self) -> Checked {
        // The register of the setter, when the instruction before is one.
        let mut set: Option<u8> = None;
        let mut before = 0;
        let mut pc = 0;
        while pc < self.code.len() {
            let (op, instr) = (self.ops[pc], self.code[pc]);
            let uses = op.has(flag::USES_TOP) && instr.b() == 0;
            match set {
                Some(_) if !uses && self.ops[before] == Op::TAILCALL => {
                    return reject(before, Problem::Rule(NO_RETURN));
                }
                Some(_) if !uses => {
                    let rule = "top is set, and the next instruction does not use it";
                    return reject(before, Problem::Rule(rule));
                }
                None if uses => {
                    let rule = "top is used, and the instruction before does not set it";
                    return reject(pc, Problem::Rule(rule));
                }
                Some(set) => self.values_up_to_top(before, set, pc)?,
                None => {}
            }
            let sets = op.has(flag::SETS_TOP) && instr.c() == 0 || op == Op::TAILCALL;
            set = sets.then_some(instr.a());
            before = pc;
            pc += self.size(pc);
        }
        // The last instruction ends the code: if it sets top, it is a tail call.
        match set {
            Some(_) => reject(before, Problem::Rule(NO_RETURN)),
            None => Ok(()),
        }
    }

    /// Rule 4 for the instruction at `pc`, when the one at `before` has set top at or above register `set`.
    fn values_up_to_top(&self, before: usize, set: u8, pc: usize) -> Checked {
        let op = self.ops[pc];
        if self.ops[before] == Op::TAILCALL && op != Op::RETURN {
            return reject(
                pc,
                Problem::Rule("top is used after a tail call, by no return"),
            );
        }
        if self.places[pc].target.is_some() {
            return reject(pc, Problem::Rule("top is used where a jump may arrive"));
        }
        // RETURN's first value is R[A], that of the others R[A+1].
        let first = usize::from(self.code[pc].a()) + usize::from(op != Op::RETURN);
        match first <= usize::from(set) {
            true => Ok(()),
            false => reject(pc, Problem::Rule("values up to top begin above top")),
        }
    }

    /// Rule 5, by following what may be open along every path. It is remembered where paths meet.
    ///
    /// A path is followed again from where more may be open than was known. Compiled code settles after the second look at a
    /// loop. Contrived code may take one look for each register, which bounds the work at a constant times the size of
    /// the code all the same.
    fn closing(&self) -> Checked {
        let captures: Vec<Option<u8>> = self.proto.protos.iter().map(lowest_captured).collect();
        let opens = captures.iter().any(Option::is_some);
        let any = |ops: [Op; 2]| self.ops.iter().any(|op| ops.contains(op));
        let marks = any([Op::TBC, Op::TFORPREP]);
        if !(marks || opens && any([Op::RETURN0, Op::RETURN1])) {
            return Ok(());
        }
        let mut paths = Paths {
            known: vec![None; self.targets],
            waits: vec![false; self.targets],
            left: Vec::new(),
        };
        self.follow(0, Open::NOTHING, &captures, &mut paths)?;
        while let Some((pc, meeting)) = paths.left.pop() {
            paths.waits[meeting] = false;
            if let Some(open) = paths.known[meeting] {
                self.follow(pc, open, &captures, &mut paths)?;
            }
        }
        Ok(())
    }

    /// Follows control from `pc`, where `open` may be open, up to where it meets another path.
    fn follow(
        &self,
        mut pc: usize,
        mut open: Open,
        captures: &[Option<u8>],
        paths: &mut Paths,
    ) -> Checked {
        loop {
            open = self.open_after(pc, open, captures)?;
            for to in self.leaps(pc).into_iter().flatten() {
                let to = to as usize;
                if let Some(meeting) = self.places[to].target {
                    paths.arrive(to, meeting as usize, open);
                }
            }
            let Some(next) = self.next(pc) else {
                return Ok(());
            };
            if let Some(meeting) = self.places[next].target {
                paths.arrive(next, meeting as usize, open);
                return Ok(());
            }
            pc = next;
        }
    }

    /// What may be open after the instruction at `pc` when `open` may be before it.
    fn open_after(
        &self,
        pc: usize,
        mut open: Open,
        captures: &[Option<u8>],
    ) -> Result<Open, Rejected> {
        let instr = self.code[pc];
        let a = usize::from(instr.a());
        let rejected = |rule| {
            Err(Rejected {
                problem: Problem::Rule(rule),
                pc: Some(pc),
            })
        };
        match self.ops[pc] {
            Op::CLOSURE => {
                if let Some(register) = captures[usize::from(instr.bx())] {
                    open.low_upval = open.low_upval.min(register.into());
                }
            }
            op @ (Op::TBC | Op::TFORPREP) => {
                let register = if op == Op::TBC { a } else { a + 3 };
                if open.marked.any_from(register) {
                    return rejected(
                        "variable marked to be closed while one in a register not below it may be",
                    );
                }
                open.marked.add(register);
            }
            Op::CLOSE => {
                if a <= usize::from(open.low_upval) {
                    open.low_upval = NO_UPVAL;
                }
                open.marked.remove_from(a);
            }
            Op::RETURN0 | Op::RETURN1 if open != Open::NOTHING => {
                return rejected(
                    "quick return where an upvalue or a variable to be closed may be open",
                );
            }
            Op::TAILCALL if open.marked != Registers::NONE => {
                return rejected("tail call where a variable to be closed may be open");
            }
            _ => {}
        }
        Ok(open)
    }
}

/// The state of [`Function::closing`]: for each place where paths may meet, what may be open there (none when no path is known to
/// come there), and which of them have to be followed from again.
struct Paths {
    known: Vec<Option<Open>>,
    waits: Vec<bool>,
    /// Instructions, and their numbers among the places where paths meet.
    left: Vec<(usize, usize)>,
}

impl Paths {
    fn arrive(&mut self, pc: usize, meeting: usize, open: Open) {
        let before = self.known[meeting];
        let after = Some(before.map_or(open, |before| before.join(open)));
        if after == before {
            return;
        }
        self.known[meeting] = after;
        if !self.waits[meeting] {
            self.waits[meeting] = true;
            self.left.push((pc, meeting));
        }
    }
}

const NO_UPVAL: u16 = 256;

/// What may be open at some place: upvalues that point into registers, and variables marked to be closed.
///
/// Of upvalues the lowest register is enough to know: closing leaves those below, and only all or nothing matters. Of marks it is
/// not: what is left when the upper ones are closed decides whether the next one may stand where it does.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Open {
    low_upval: u16,
    marked: Registers,
}

impl Open {
    const NOTHING: Open = Open {
        low_upval: NO_UPVAL,
        marked: Registers::NONE,
    };

    /// What may be open when either may be.
    fn join(self, other: Open) -> Open {
        Open {
            low_upval: self.low_upval.min(other.low_upval),
            marked: self.marked.join(other.marked),
        }
    }
}

/// A set of registers. They are below 256.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Registers([u64; 4]);

impl Registers {
    const NONE: Registers = Registers([0; 4]);

    /// The bits of one of the four words that stand for registers from `register` on.
    fn from(register: usize, word: usize) -> u64 {
        match register.saturating_sub(word * 64) {
            shift @ 0..64 => !0 << shift,
            _ => 0,
        }
    }

    fn add(&mut self, register: usize) {
        self.0[register / 64] |= 1 << (register % 64);
    }

    fn any_from(&self, register: usize) -> bool {
        (0..4).any(|word| self.0[word] & Self::from(register, word) != 0)
    }

    fn remove_from(&mut self, register: usize) {
        for word in 0..4 {
            self.0[word] &= !Self::from(register, word);
        }
    }

    fn join(self, other: Registers) -> Registers {
        Registers(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }
}

/// The lowest register of its enclosing function that a function captures.
fn lowest_captured(proto: &Proto) -> Option<u8> {
    proto
        .upvals
        .iter()
        .filter(|upval| upval.in_stack)
        .map(|upval| upval.index)
        .min()
}

fn index(pc: usize, list: &'static str, used: usize, count: usize) -> Checked {
    match used < count {
        true => Ok(()),
        false => reject(pc, Problem::Index { list, used, count }),
    }
}
