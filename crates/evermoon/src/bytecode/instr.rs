//! One instruction word: packing and unpacking its fields. Layouts are drawn in `op.rs`.

use super::op::Op;

/// An instruction word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Instr(pub u32);

/// The largest value of an unsigned 24-bit field.
pub const AX_MAX: u32 = (1 << 24) - 1;
/// The largest value of Bx.
pub const BX_MAX: u32 = (1 << 16) - 1;
/// Bounds of a signed 24-bit jump.
pub const SJ_MAX: i32 = (1 << 23) - 1;
pub const SJ_MIN: i32 = -(1 << 23);

impl Instr {
    pub const fn abc(op: Op, a: u8, b: u8, c: u8) -> Instr {
        Instr(op as u32 | (a as u32) << 8 | (b as u32) << 16 | (c as u32) << 24)
    }
    pub const fn abx(op: Op, a: u8, bx: u16) -> Instr {
        Instr(op as u32 | (a as u32) << 8 | (bx as u32) << 16)
    }
    pub const fn asbx(op: Op, a: u8, sbx: i16) -> Instr {
        Instr::abx(op, a, sbx as u16)
    }
    /// `ax` must be at most [`AX_MAX`].
    pub const fn ax(op: Op, ax: u32) -> Instr {
        Instr(op as u32 | ax << 8)
    }
    /// `sj` must be within [`SJ_MIN`] and [`SJ_MAX`].
    pub const fn sj(op: Op, sj: i32) -> Instr {
        Instr(op as u32 | (sj as u32) << 8)
    }
    pub const fn op_byte(self) -> u8 {
        self.0 as u8
    }
    /// The operation, if the byte names one.
    pub fn op(self) -> Option<Op> {
        Op::from_byte(self.op_byte())
    }
    pub const fn a(self) -> u8 {
        (self.0 >> 8) as u8
    }
    pub const fn b(self) -> u8 {
        (self.0 >> 16) as u8
    }
    pub const fn c(self) -> u8 {
        (self.0 >> 24) as u8
    }
    pub const fn sb(self) -> i8 {
        self.b() as i8
    }
    pub const fn sc(self) -> i8 {
        self.c() as i8
    }
    pub const fn bx(self) -> u16 {
        (self.0 >> 16) as u16
    }
    pub const fn sbx(self) -> i16 {
        (self.0 >> 16) as i16
    }
    pub const fn get_ax(self) -> u32 {
        self.0 >> 8
    }
    pub const fn get_sj(self) -> i32 {
        (self.0 as i32) >> 8
    }
    pub fn set_a(&mut self, a: u8) {
        self.0 = self.0 & !0xff00 | (a as u32) << 8;
    }
    pub fn set_b(&mut self, b: u8) {
        self.0 = self.0 & !0xff_0000 | (b as u32) << 16;
    }
    pub fn set_c(&mut self, c: u8) {
        self.0 = self.0 & !0xff00_0000 | (c as u32) << 24;
    }
    pub fn set_op(&mut self, op: Op) {
        self.0 = self.0 & !0xff | op as u32;
    }
}
