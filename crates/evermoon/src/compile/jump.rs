//! Jumps whose targets are not known yet, as lists threaded through the code: the distance of each pending `JMP` leads to
//! the next of its list. An expression with `and`, `or`, `not` or comparisons carries two such lists (`desc.rs`).
//!
//! Invariant: a pending jump is in one list. Lists are joined by hanging the *older* list behind the end of the newer one,
//! so that a chain of n alternatives costs n steps and not n².

use super::Compiler;
use super::desc::{Desc, Kind};
use crate::bytecode::instr::{Instr, SJ_MAX, SJ_MIN};
use crate::bytecode::op::{Op, flag};

/// The empty list.
pub(super) const NONE: i32 = -1;

/// The distance of a jump that ends its list: to itself, which no pending jump needs.
const END: i32 = -1;

/// In the A of a pending `TESTSET`: its value is not wanted yet.
const NOWHERE: u8 = 255;

impl Compiler<'_> {
    /// The pc of the next instruction, which something will jump to.
    pub(super) fn label(&mut self) -> u32 {
        self.f.last_target = self.pc();
        self.pc()
    }

    /// A jump to nowhere yet, as a list of one.
    pub(super) fn jump(&mut self) -> i32 {
        self.emit(Instr::sj(Op::JMP, END)) as i32
    }

    /// A jump to a place before here.
    pub(super) fn jump_back(&mut self, target: u32) {
        let list = self.jump();
        self.patch(list, target);
    }

    fn next_of(&self, pc: i32) -> i32 {
        match self.f.code[pc as usize].get_sj() {
            END => NONE,
            distance => pc + 1 + distance,
        }
    }

    pub(super) fn set_target(&mut self, pc: i32, target: i32) {
        let distance = i64::from(target) - (i64::from(pc) + 1);
        if distance < i64::from(SJ_MIN) || distance > i64::from(SJ_MAX) {
            return self.fail("control structure too long");
        }
        self.f.code[pc as usize] = Instr::sj(Op::JMP, distance as i32);
    }

    /// `newer` and then `older`. Takes time with the length of `newer`.
    pub(super) fn join(&mut self, newer: i32, older: i32) -> i32 {
        if newer == NONE || older == NONE {
            return newer.max(older);
        }
        let mut last = newer;
        while let next @ 0.. = self.next_of(last) {
            last = next;
        }
        self.set_target(last, older);
        newer
    }

    /// The instruction that decides whether the jump at `pc` is taken: its test, or the jump itself.
    fn control(&self, pc: i32) -> usize {
        let pc = pc as usize;
        match pc.checked_sub(1) {
            Some(before)
                if self.f.code[before]
                    .op()
                    .is_some_and(|op| op.has(flag::TEST)) =>
            {
                before
            }
            _ => pc,
        }
    }

    /// Says where the value of a pending `TESTSET` goes. False if the jump is of another kind and carries no value.
    fn set_test_target(&mut self, pc: i32, reg: u8) -> bool {
        let at = self.control(pc);
        let test = self.f.code[at];
        if test.op() != Some(Op::TESTSET) {
            return false;
        }
        if reg != NOWHERE && reg != test.b() {
            self.f.code[at].set_a(reg);
        } else {
            // The value is in its place already, or nobody wants it.
            self.f.code[at] = Instr::abc(Op::TEST, test.b(), 0, test.c());
        }
        true
    }

    /// Sends each jump of a list to `target`.
    pub(super) fn patch(&mut self, list: i32, target: u32) {
        self.patch_values(list, target, NOWHERE, target);
    }

    /// Sends each jump of a list to the next instruction.
    pub(super) fn patch_here(&mut self, list: i32) {
        if list != NONE {
            let here = self.label();
            self.patch(list, here);
        }
    }

    /// Sends the jumps that carry a value to `with_value`, having put it into `reg`, and the others to `without`.
    fn patch_values(&mut self, mut list: i32, with_value: u32, reg: u8, without: u32) {
        while list != NONE {
            let next = self.next_of(list);
            let target = if self.set_test_target(list, reg) {
                with_value
            } else {
                without
            };
            self.set_target(list, target as i32);
            list = next;
        }
    }

    /// Nobody wants the values that the jumps of a list carry.
    pub(super) fn drop_values(&mut self, mut list: i32) {
        while list != NONE {
            self.set_test_target(list, NOWHERE);
            list = self.next_of(list);
        }
    }

    /// Whether a jump of the list carries no value, so that someone has to make it.
    fn lacks_value(&self, mut list: i32) -> bool {
        while list != NONE {
            if self.f.code[self.control(list)].op() != Some(Op::TESTSET) {
                return true;
            }
            list = self.next_of(list);
        }
        false
    }

    /// Emits a test and its jump. The jump is taken when the outcome is `cond`.
    pub(super) fn test_jump(&mut self, op: Op, a: u8, b: u8, cond: bool) -> i32 {
        self.emit(Instr::abc(op, a, b, cond.into()));
        self.jump()
    }

    /// Turns a comparison around.
    pub(super) fn negate(&mut self, jump: i32) {
        let at = self.control(jump);
        let cond = self.f.code[at].c();
        self.f.code[at].set_c(cond ^ 1);
    }

    /// A jump that is taken when the value's truth is `cond`, carrying the value.
    fn jump_on(&mut self, e: &mut Desc, cond: bool) -> i32 {
        if let Kind::Reloc(pc) = e.kind {
            let instr = self.f.code[pc as usize];
            if instr.op() == Some(Op::NOT) {
                // `not` has just been emitted: test its operand instead.
                self.remove_last();
                return self.test_jump(Op::TEST, instr.b(), 0, !cond);
            }
        }
        let reg = self.value_to_any_reg(e);
        self.free(e);
        self.emit(Instr::abc(Op::TESTSET, NOWHERE, reg, cond.into()));
        self.jump()
    }

    /// Falls through when `e` is true, else leaves by its `on_false`.
    pub(super) fn go_if_true(&mut self, e: &mut Desc) {
        self.discharge(e);
        let jump = match e.kind {
            Kind::Jump(pc) => {
                self.negate(pc as i32);
                pc as i32
            }
            Kind::True | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => NONE,
            Kind::False => self.jump(),
            _ => self.jump_on(e, false),
        };
        e.on_false = self.join(jump, e.on_false);
        self.patch_here(e.on_true);
        e.on_true = NONE;
    }

    /// Falls through when `e` is false, else leaves by its `on_true`.
    pub(super) fn go_if_false(&mut self, e: &mut Desc) {
        self.discharge(e);
        let jump = match e.kind {
            Kind::Jump(pc) => pc as i32,
            Kind::Nil | Kind::False => NONE,
            Kind::True => self.jump(),
            _ => self.jump_on(e, true),
        };
        e.on_true = self.join(jump, e.on_true);
        self.patch_here(e.on_false);
        e.on_false = NONE;
    }

    /// Puts the value of an expression with jumps into `reg`, whichever way it is left.
    pub(super) fn settle(&mut self, e: &mut Desc, reg: u8) {
        self.value_to_reg(e, reg);
        if let Kind::Jump(pc) = e.kind {
            e.on_true = self.join(pc as i32, e.on_true);
        }
        if e.has_jumps() {
            let (mut load_false, mut load_true) = (0, 0);
            if self.lacks_value(e.on_true) || self.lacks_value(e.on_false) {
                // Whoever falls through has its value already.
                let over = if matches!(e.kind, Kind::Jump(_)) {
                    NONE
                } else {
                    self.jump()
                };
                self.label();
                load_false = self.emit(Instr::abc(Op::LFALSESKIP, reg, 0, 0));
                self.label();
                load_true = self.emit(Instr::abc(Op::LOADTRUE, reg, 0, 0));
                self.patch_here(over);
            }
            let end = self.label();
            self.patch_values(e.on_false, end, reg, load_false);
            self.patch_values(e.on_true, end, reg, load_true);
        }
        *e = Desc::new(Kind::Reg(reg));
    }
}
