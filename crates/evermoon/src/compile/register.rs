//! Registers, and getting values into them.
//!
//! Registers are a stack: active locals at the bottom (`var_regs` of them), temporaries above, `free_reg` the first unused
//! one. Invariant: temporaries are freed in the reverse order of their reservation. A function that would need more than
//! [`REGISTERS_MAX`] is rejected, but only at the end of the statement: until then counts stay exact and what is
//! emitted is never run.

use super::Compiler;
use super::constant::Key;
use super::desc::{Desc, Kind};
use crate::bytecode::instr::Instr;
use crate::bytecode::op::Op;

/// 8 bits of an operand, less the value that marks a pending `TESTSET`.
pub(super) const REGISTERS_MAX: u32 = 255;

/// The longest string that `GETFIELD` and its kin take as a name (longer ones are not interned).
const NAME_SIZE_MAX: usize = 40;

/// The largest constant index in an operand of 8 bits.
const SMALL_INDEX_MAX: u32 = 255;

impl Compiler<'_> {
    /// Makes sure that `count` registers above the used ones exist.
    pub(super) fn need_registers(&mut self, count: u32) {
        let top = self.f.free_reg + count;
        if top > self.f.max_stack {
            if top > REGISTERS_MAX {
                self.fail("function or expression needs too many registers");
            }
            self.f.max_stack = top;
        }
    }

    /// Takes the next `count` registers; the first of them.
    pub(super) fn reserve(&mut self, count: u32) -> u8 {
        self.need_registers(count);
        let first = self.f.free_reg;
        self.f.free_reg += count;
        first as u8
    }

    fn free_register(&mut self, reg: u8) {
        if u32::from(reg) >= self.f.var_regs && self.error.is_none() {
            self.f.free_reg -= 1;
            debug_assert_eq!(
                u32::from(reg),
                self.f.free_reg,
                "registers are freed in order"
            );
        }
    }

    fn free_registers(&mut self, a: u8, b: u8) {
        self.free_register(a.max(b));
        self.free_register(a.min(b));
    }

    /// Frees the register of a value, if it is a temporary.
    pub(super) fn free(&mut self, e: &Desc) {
        if let Kind::Reg(reg) = e.kind {
            self.free_register(reg);
        }
    }

    /// Frees the registers of two values.
    pub(super) fn free_both(&mut self, a: &Desc, b: &Desc) {
        match (a.kind, b.kind) {
            (Kind::Reg(a), Kind::Reg(b)) => self.free_registers(a, b),
            _ => {
                self.free(a);
                self.free(b);
            }
        }
    }

    /// Reads a variable: afterwards `e` is a constant, `Reg`, `Reloc` or `Jump`.
    pub(super) fn discharge(&mut self, e: &mut Desc) {
        let instr = match e.kind {
            Kind::Local(reg) => {
                e.kind = Kind::Reg(reg);
                return;
            }
            Kind::Call(_) | Kind::Vararg(_) => return self.set_one_result(e),
            Kind::Upval(up) => Instr::abc(Op::GETUPVAL, 0, up, 0),
            Kind::IndexUp { up, key } => Instr::abc(Op::GETTABUP, 0, up, key),
            Kind::IndexStr { table, key } => {
                self.free_register(table);
                Instr::abc(Op::GETFIELD, 0, table, key)
            }
            Kind::IndexInt { table, key } => {
                self.free_register(table);
                Instr::abc(Op::GETI, 0, table, key)
            }
            Kind::Index { table, key } => {
                self.free_registers(table, key);
                Instr::abc(Op::GETTABLE, 0, table, key)
            }
            _ => return,
        };
        e.kind = Kind::Reloc(self.emit(instr));
    }

    /// A call or `...` in a place for one value.
    pub(super) fn set_one_result(&mut self, e: &mut Desc) {
        match e.kind {
            Kind::Call(pc) => e.kind = Kind::Reg(self.f.code[pc as usize].a()), // C says one result already
            Kind::Vararg(pc) => {
                self.f.code[pc as usize].set_c(2);
                e.kind = Kind::Reloc(pc);
            }
            _ => {}
        }
    }

    /// A call or `...` in a place for `count` values, or for all of them. They go to the next registers. The first of these is
    /// reserved afterwards (a call's always is, it had the function in it), the others are the caller's affair.
    pub(super) fn set_results(&mut self, e: &Desc, count: Option<u32>) {
        let c = count.map_or(0, |count| count + 1);
        if c > REGISTERS_MAX {
            return self.fail("function or expression needs too many registers");
        }
        match e.kind {
            Kind::Call(pc) => self.f.code[pc as usize].set_c(c as u8),
            Kind::Vararg(pc) => {
                let first = self.reserve(1);
                self.f.code[pc as usize].set_c(c as u8);
                self.f.code[pc as usize].set_a(first);
            }
            _ => {}
        }
    }

    /// The value alone, without regard for the jumps of `e`, into a register. A `Jump` stays one.
    pub(super) fn value_to_reg(&mut self, e: &mut Desc, reg: u8) {
        self.discharge(e);
        match e.kind {
            Kind::Nil => self.load_nil(reg, 1),
            Kind::False => self.put(Instr::abc(Op::LOADFALSE, reg, 0, 0)),
            Kind::True => self.put(Instr::abc(Op::LOADTRUE, reg, 0, 0)),
            Kind::Str(symbol) => self.load_constant(reg, Key::Str(symbol)),
            Kind::Int(i) => match i16::try_from(i) {
                Ok(small) => self.put(Instr::asbx(Op::LOADI, reg, small)),
                Err(_) => self.load_constant(reg, Key::Int(i)),
            },
            Kind::Float(f) => {
                let small = f as i16;
                if f64::from(small).to_bits() == f.to_bits() {
                    self.put(Instr::asbx(Op::LOADF, reg, small));
                } else {
                    self.load_constant(reg, Key::Float(f.to_bits()));
                }
            }
            Kind::Reloc(pc) => self.f.code[pc as usize].set_a(reg),
            Kind::Reg(from) if from != reg => self.put(Instr::abc(Op::MOVE, reg, from, 0)),
            Kind::Reg(_) => {}
            _ => return,
        }
        e.kind = Kind::Reg(reg);
    }

    /// The value alone into any register.
    pub(super) fn value_to_any_reg(&mut self, e: &mut Desc) -> u8 {
        if let Kind::Reg(reg) = e.kind {
            return reg;
        }
        let reg = self.reserve(1);
        self.value_to_reg(e, reg);
        reg
    }

    /// Puts the value into the next free register.
    pub(super) fn place_next(&mut self, e: &mut Desc) -> u8 {
        self.discharge(e);
        self.free(e);
        let reg = self.reserve(1);
        self.settle(e, reg);
        reg
    }

    /// Puts the value into some register; a local's own, if it is a local.
    pub(super) fn place_any(&mut self, e: &mut Desc) -> u8 {
        self.discharge(e);
        if let Kind::Reg(reg) = e.kind {
            if !e.has_jumps() {
                return reg;
            }
            if u32::from(reg) >= self.f.var_regs {
                self.settle(e, reg);
                return reg;
            }
        }
        self.place_next(e)
    }

    /// Puts the value into some register, unless it is an upvalue.
    pub(super) fn place_unless_upval(&mut self, e: &mut Desc) {
        if !matches!(e.kind, Kind::Upval(_)) || e.has_jumps() {
            self.place_any(e);
        }
    }

    /// Reads the value, which may stay a constant or wait for its register.
    pub(super) fn read(&mut self, e: &mut Desc) {
        if matches!(e.kind, Kind::Jump(_)) || e.has_jumps() {
            self.place_any(e);
        } else {
            self.discharge(e);
        }
    }

    /// Sets `count` registers from `first` on to nil, widening a `LOADNIL` that has just been emitted if it touches them.
    pub(super) fn load_nil(&mut self, first: u8, count: u32) {
        let (from, last) = (u32::from(first), u32::from(first) + count - 1);
        if last >= REGISTERS_MAX {
            return self.fail("function or expression needs too many registers");
        }
        if self.pc() > self.f.last_target
            && let Some(before) = self.f.code.last_mut()
            && before.op() == Some(Op::LOADNIL)
        {
            let (low, high) = (
                u32::from(before.a()),
                u32::from(before.a()) + u32::from(before.b()),
            );
            if from <= high + 1 && low <= last + 1 {
                let (low, high) = (low.min(from), high.max(last));
                *before = Instr::abc(Op::LOADNIL, low as u8, (high - low) as u8, 0);
                return;
            }
        }
        self.put(Instr::abc(Op::LOADNIL, first, (count - 1) as u8, 0));
    }

    fn load_constant(&mut self, reg: u8, key: Key) {
        let index = self.f.constants.index(key);
        match u16::try_from(index) {
            Ok(index) => self.put(Instr::abx(Op::LOADK, reg, index)),
            Err(_) => {
                self.put(Instr::abc(Op::LOADKX, reg, 0, 0));
                self.put(Instr::ax(Op::EXTRAARG, index));
            }
        }
    }

    /// The index of a constant, if `e` is one and its index fits an operand.
    pub(super) fn small_constant(&mut self, e: &Desc) -> Option<u8> {
        if e.has_jumps() {
            return None;
        }
        let key = match e.kind {
            Kind::Nil => Key::Nil,
            Kind::False => Key::False,
            Kind::True => Key::True,
            Kind::Int(i) => Key::Int(i),
            Kind::Float(f) => Key::Float(f.to_bits()),
            Kind::Str(symbol) => Key::Str(symbol),
            _ => return None,
        };
        let index = self.f.constants.index(key);
        (index <= SMALL_INDEX_MAX).then_some(index as u8)
    }

    /// The index of a string constant that may be a field's name in an operand.
    pub(super) fn name_constant(&mut self, e: &Desc) -> Option<u8> {
        match e.kind {
            Kind::Str(symbol) if self.symbol_bytes(symbol).len() <= NAME_SIZE_MAX => {
                self.small_constant(e)
            }
            _ => None,
        }
    }

    /// Makes `object` stand for `object[key]`. `object` is in a register or an upvalue, `key` a value.
    pub(super) fn index(&mut self, object: &mut Desc, key: &mut Desc) {
        let name = self.name_constant(key);
        if matches!(object.kind, Kind::Upval(_)) && name.is_none() {
            self.place_any(object);
        }
        let table = match object.kind {
            Kind::Local(reg) | Kind::Reg(reg) => reg,
            Kind::Upval(up) => {
                object.kind = Kind::IndexUp {
                    up,
                    key: name.unwrap_or_default(),
                };
                return;
            }
            _ => self.place_any(object),
        };
        let small = key.int().and_then(|i| u8::try_from(i).ok());
        object.kind = match (name, small) {
            (Some(key), _) => Kind::IndexStr { table, key },
            (None, Some(key)) => Kind::IndexInt { table, key },
            (None, None) => Kind::Index {
                table,
                key: self.place_any(key),
            },
        };
    }

    /// `target = value`, freeing the registers of the value (those of the target are freed by the end of the statement).
    pub(super) fn store(&mut self, target: &Desc, value: &mut Desc) {
        match target.kind {
            Kind::Local(reg) => {
                self.discharge(value);
                self.free(value);
                return self.settle(value, reg);
            }
            Kind::Upval(up) => {
                let reg = self.place_any(value);
                self.put(Instr::abc(Op::SETUPVAL, reg, up, 0));
            }
            _ => {
                let constant = self.small_constant(value);
                let c = match constant {
                    Some(index) => index,
                    None => self.place_any(value),
                };
                let pick = |in_register, constant_form| {
                    if constant.is_some() {
                        constant_form
                    } else {
                        in_register
                    }
                };
                let instr = match target.kind {
                    Kind::IndexUp { up, key } => {
                        Instr::abc(pick(Op::SETTABUP, Op::SETTABUPK), up, key, c)
                    }
                    Kind::IndexStr { table, key } => {
                        Instr::abc(pick(Op::SETFIELD, Op::SETFIELDK), table, key, c)
                    }
                    Kind::IndexInt { table, key } => {
                        Instr::abc(pick(Op::SETI, Op::SETIK), table, key, c)
                    }
                    Kind::Index { table, key } => {
                        Instr::abc(pick(Op::SETTABLE, Op::SETTABLEK), table, key, c)
                    }
                    _ => return,
                };
                self.put(instr);
            }
        }
        self.free(value);
    }
}
