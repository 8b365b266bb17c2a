//! Operators: which instruction form an operation takes. Arithmetic prefers, in this order: folding, a small immediate, a
//! constant on the right, a constant on the left, registers. Comparisons give jumps.
//!
//! Invariant: an operation's operands are evaluated left to right; a left constant alone may be loaded after the right
//! operand, which nothing can notice.

use super::desc::{Desc, Kind};
use super::{Compiler, Instr, Op, fold};
use crate::syntax::tree::{BinOp, Line, UnOp};

/// The instruction for registers.
fn register_form(op: BinOp) -> Op {
    match op {
        BinOp::Sub => Op::SUB,
        BinOp::Mul => Op::MUL,
        BinOp::Mod => Op::MOD,
        BinOp::Pow => Op::POW,
        BinOp::Div => Op::DIV,
        BinOp::IDiv => Op::IDIV,
        BinOp::BAnd => Op::BAND,
        BinOp::BOr => Op::BOR,
        BinOp::BXor => Op::BXOR,
        BinOp::Shl => Op::SHL,
        BinOp::Shr => Op::SHR,
        _ => Op::ADD,
    }
}

/// The instruction with a small integer on the right.
fn immediate_form(op: BinOp) -> Option<Op> {
    match op {
        BinOp::Add => Some(Op::ADDI),
        BinOp::Sub => Some(Op::SUBI),
        BinOp::Shl => Some(Op::SHLIR),
        BinOp::Shr => Some(Op::SHRI),
        _ => None,
    }
}

/// The instruction with a number constant on the right.
fn constant_form(op: BinOp, right: Kind) -> Option<Op> {
    match op {
        BinOp::Add => Some(Op::ADDK),
        BinOp::Sub => Some(Op::SUBK),
        BinOp::Mul => Some(Op::MULK),
        BinOp::Mod => Some(Op::MODK),
        BinOp::Pow => Some(Op::POWK),
        BinOp::Div => Some(Op::DIVK),
        BinOp::IDiv => Some(Op::IDIVK),
        // Bitwise ones take integers only.
        _ if !matches!(right, Kind::Int(_)) => None,
        BinOp::BAnd => Some(Op::BANDK),
        BinOp::BOr => Some(Op::BORK),
        BinOp::BXor => Some(Op::BXORK),
        _ => None,
    }
}

/// The instruction with a number constant on the left.
fn flipped_form(op: BinOp) -> Option<Op> {
    match op {
        BinOp::Add => Some(Op::ADDKF),
        BinOp::Sub => Some(Op::SUBKF),
        BinOp::Mul => Some(Op::MULKF),
        BinOp::Div => Some(Op::DIVKF),
        _ => None,
    }
}

/// Of a condition only the truth matters.
fn forget_value(e: &mut Desc) {
    match e.kind {
        Kind::Nil => e.kind = Kind::False,
        Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => e.kind = Kind::True,
        _ => {}
    }
}

impl Compiler<'_> {
    /// Prepares the left operand before the right one is evaluated.
    pub(super) fn left_operand(&mut self, op: BinOp, e: &mut Desc) {
        match op {
            BinOp::And => self.go_if_true(e),
            BinOp::Or => self.go_if_false(e),
            BinOp::Eq | BinOp::Ne if e.is_constant() => {}
            BinOp::Lt | BinOp::Le | BinOp::Gt | BinOp::Ge if e.small_int().is_some() => {}
            BinOp::Eq | BinOp::Ne | BinOp::Lt | BinOp::Le | BinOp::Gt | BinOp::Ge => {
                self.place_any(e);
            }
            // A number may be folded, or be a constant of the instruction.
            _ if e.is_numeral() => {}
            _ => {
                self.place_any(e);
            }
        }
    }

    /// An operation on a prepared left operand. (`..` is in `expr.rs`.)
    pub(super) fn binary(&mut self, op: BinOp, left: Desc, mut right: Desc, line: Line) -> Desc {
        match op {
            BinOp::And => {
                self.discharge(&mut right);
                right.on_false = self.join(right.on_false, left.on_false);
                right
            }
            BinOp::Or => {
                self.discharge(&mut right);
                right.on_true = self.join(right.on_true, left.on_true);
                right
            }
            BinOp::Eq => self.equality(left, right, true),
            BinOp::Ne => self.equality(left, right, false),
            BinOp::Lt => self.order(Op::LT, left, right),
            BinOp::Le => self.order(Op::LE, left, right),
            // a > b is b < a.
            BinOp::Gt => self.order(Op::LT, right, left),
            BinOp::Ge => self.order(Op::LE, right, left),
            _ => self.arithmetic(op, left, right, line),
        }
    }

    fn arithmetic(&mut self, op: BinOp, mut left: Desc, mut right: Desc, line: Line) -> Desc {
        if left.is_numeral()
            && right.is_numeral()
            && let Some(kind) = fold::binary(op, left.kind, right.kind)
        {
            return Desc::new(kind);
        }
        self.discharge(&mut right);
        let instr = self.arithmetic_instr(op, &mut left, &mut right);
        self.free_both(&left, &right);
        let pc = self.emit(instr);
        self.fix_line(line);
        Desc::new(Kind::Reloc(pc))
    }

    /// Chooses the form and gets the operands where that wants them. A is still to be set.
    fn arithmetic_instr(&mut self, op: BinOp, left: &mut Desc, right: &mut Desc) -> Instr {
        if let (Some(form), Some(small)) = (immediate_form(op), right.small_int()) {
            return Instr::abc(form, 0, self.place_any(left), small as u8);
        }
        if right.is_numeral()
            && let Some(form) = constant_form(op, right.kind)
            && let Some(index) = self.small_constant(right)
        {
            return Instr::abc(form, 0, self.place_any(left), index);
        }
        if let (BinOp::Shl, Some(small)) = (op, left.small_int()) {
            return Instr::abc(Op::SHLI, 0, self.place_any(right), small as u8);
        }
        if left.is_numeral()
            && let Some(form) = flipped_form(op)
            && let Some(index) = self.small_constant(left)
        {
            return Instr::abc(form, 0, self.place_any(right), index);
        }
        let c = self.place_any(right);
        let b = self.place_any(left);
        Instr::abc(register_form(op), 0, b, c)
    }

    /// `left == right`, or `~=` when `cond` is false.
    fn equality(&mut self, mut left: Desc, mut right: Desc, cond: bool) -> Desc {
        self.discharge(&mut right);
        if left.is_constant() {
            std::mem::swap(&mut left, &mut right);
        }
        let a = self.place_any(&mut left);
        let (op, b) = if let Some(small) = right.small_int() {
            (Op::EQI, small as u8)
        } else if let Some(index) = self.small_constant(&right) {
            (Op::EQK, index)
        } else {
            (Op::EQ, self.place_any(&mut right))
        };
        self.free_both(&left, &right);
        Desc::new(Kind::Jump(self.test_jump(op, a, b, cond) as u32))
    }

    /// `left < right` or `left <= right`.
    fn order(&mut self, op: Op, mut left: Desc, mut right: Desc) -> Desc {
        // One of them has been evaluated and is in a register or a small integer; the other is not yet read.
        self.discharge(&mut left);
        self.discharge(&mut right);
        let less = op == Op::LT;
        let (op, a, b) = if let Some(small) = right.small_int() {
            let op = if less { Op::LTI } else { Op::LEI };
            (op, self.place_any(&mut left), small as u8)
        } else if let Some(small) = left.small_int() {
            let op = if less { Op::GTI } else { Op::GEI };
            (op, self.place_any(&mut right), small as u8)
        } else {
            let a = self.place_any(&mut left);
            (op, a, self.place_any(&mut right))
        };
        self.free_both(&left, &right);
        Desc::new(Kind::Jump(self.test_jump(op, a, b, true) as u32))
    }

    pub(super) fn unary(&mut self, op: UnOp, mut e: Desc, line: Line) -> Desc {
        self.discharge(&mut e);
        if op == UnOp::Not {
            return self.not(e);
        }
        if e.is_numeral()
            && let Some(kind) = fold::unary(op, e.kind)
        {
            return Desc::new(kind);
        }
        let op = match op {
            UnOp::Neg => Op::UNM,
            UnOp::BNot => Op::BNOT,
            UnOp::Len | UnOp::Not => Op::LEN,
        };
        let reg = self.place_any(&mut e);
        self.free(&e);
        let pc = self.emit(Instr::abc(op, 0, reg, 0));
        self.fix_line(line);
        Desc::new(Kind::Reloc(pc))
    }

    fn not(&mut self, mut e: Desc) -> Desc {
        match e.kind {
            Kind::Nil | Kind::False => e.kind = Kind::True,
            Kind::True | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => e.kind = Kind::False,
            Kind::Jump(pc) => self.negate(pc as i32),
            _ => {
                let reg = self.value_to_any_reg(&mut e);
                self.free(&e);
                e.kind = Kind::Reloc(self.emit(Instr::abc(Op::NOT, 0, reg, 0)));
            }
        }
        // Leaving with true is now leaving with false, and the values are not the operand's.
        std::mem::swap(&mut e.on_true, &mut e.on_false);
        self.drop_values(e.on_true);
        self.drop_values(e.on_false);
        e
    }

    /// A condition: falls through when it holds; the list of jumps for when it does not.
    pub(super) fn condition(&mut self, mut e: Desc) -> i32 {
        forget_value(&mut e);
        self.go_if_true(&mut e);
        e.on_false
    }

    /// A condition turned around: falls through when it does not hold; the list of jumps for when it does.
    pub(super) fn inverse_condition(&mut self, mut e: Desc) -> i32 {
        forget_value(&mut e);
        self.go_if_false(&mut e);
        e.on_true
    }
}
