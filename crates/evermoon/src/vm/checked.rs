//! The checked build's part of the interpreter (feature `checked`): before each instruction it asserts what the verifier has proved and
//! what the frames keep, and the loop's accessors hold every index to the bounds found here. In other builds all of this is nothing.
//!
//! It shares no code with the verifier but the instruction table, so that each is a referee of the other.

use super::Vm;
#[cfg(feature = "checked")]
use crate::bytecode::instr::Instr;
#[cfg(feature = "checked")]
use crate::bytecode::op::{Field, Format, Op, flag};
#[cfg(feature = "checked")]
use crate::heap::coroutine::{SLACK, kind};
use crate::heap::function::Insn;
#[cfg(feature = "checked")]
use crate::heap::function::Proto;
use crate::heap::value::Value;
#[cfg(feature = "checked")]
use crate::heap::value::tag;

/// What the instruction that is being executed may touch.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    #[cfg(feature = "checked")]
    registers: u32,
    #[cfg(feature = "checked")]
    constants: u32,
    #[cfg(feature = "checked")]
    upvalues: u32,
}

#[cfg(not(feature = "checked"))]
impl Bounds {
    #[inline(always)]
    pub(super) fn of_instruction(
        _vm: &Vm,
        _base: *const Value,
        _pc: *const Insn,
        _k: *const Value,
    ) -> Bounds {
        Bounds {}
    }
    #[inline(always)]
    pub(super) fn check_register(self, _n: u32) {}
    #[inline(always)]
    pub(super) fn check_constant(self, _n: u32) {}
    #[inline(always)]
    pub(super) fn upvalue(self, n: u32) -> u32 {
        n
    }
}

#[cfg(not(feature = "checked"))]
impl Vm {
    #[inline(always)]
    pub(super) fn check_event(&mut self) {}
}

#[cfg(feature = "checked")]
impl Vm {
    /// The interpreter is being left: what is in the heap now is all that there is of the program.
    pub(super) fn check_event(&mut self) {
        let roots = self.root_values();
        self.heap.check_sometimes("an event", &roots, &self.exec);
    }
}

#[cfg(feature = "checked")]
impl Bounds {
    /// Asserts all that the instruction at `pc` leans on, with what the loop has in its locals.
    pub(super) fn of_instruction(
        vm: &Vm,
        base: *const Value,
        pc: *const Insn,
        k: *const Value,
    ) -> Bounds {
        let frame = vm.exec.frame();
        assert_eq!(frame.kind, kind::LUA, "the loop runs Lua functions");
        let callee = vm.exec.get(frame.func as usize);
        assert!(
            callee.tag == tag::LUA_CLOSURE && callee.bits == frame.closure as u64,
            "a frame's function is in its slot"
        );
        let closure = callee.as_lua_closure().expect("its tag says so");
        let proto = closure.proto;
        assert!(
            std::ptr::eq(base, vm.exec.stack.wrapping_add(frame.base as usize)),
            "base is the frame's"
        );
        assert!(std::ptr::eq(k, proto.consts), "k is the function's");
        assert_eq!(frame.top, frame.base + proto.max_stack as u32);
        assert!(
            frame.top as usize + SLACK <= vm.exec.stack_cap,
            "there is slack behind the registers"
        );
        let bounds = Bounds {
            registers: proto.max_stack as u32,
            constants: proto.const_len,
            upvalues: closure.upval_count,
        };
        let at = (pc as usize).wrapping_sub(proto.code as usize);
        assert!(at.is_multiple_of(size_of::<Insn>()), "pc is at a word");
        bounds.instruction(vm, &proto, at / size_of::<Insn>());
        bounds
    }

    fn instruction(self, vm: &Vm, proto: &Proto, pc: usize) {
        let code = proto.code();
        assert!(pc < code.len(), "pc is inside of the code");
        let i = Instr(code[pc].word);
        let op = i.op().expect("the word is an instruction");
        let (a, b, c) = (i.a() as u32, i.b() as u32, i.c() as u32);
        match op.row().format {
            Format::Abc(x, y, z) => {
                self.field(proto, x, a);
                self.field(proto, y, b);
                self.field(proto, z, c);
            }
            Format::Abx(x, y) => {
                self.field(proto, x, a);
                self.field(proto, y, i.bx() as u32);
            }
            Format::AsBx(x) => self.field(proto, x, a),
            Format::Sj => self.jump(code.len(), pc, i.get_sj()),
            Format::None | Format::Ax => {}
        }
        // How many registers from A on.
        let count = match op {
            Op::LOADNIL => b + 1,
            Op::SELF => 2,
            Op::CONCAT => b,
            Op::CALL => b.max(c.saturating_sub(1)).max(1),
            Op::TAILCALL => b.max(1),
            Op::RETURN => b.saturating_sub(1),
            Op::FORLOOP | Op::FORPREP | Op::TFORPREP => 4,
            Op::TFORCALL => 4 + c,
            Op::TFORLOOP => 5,
            Op::SETLIST => b + 1,
            Op::VARARG => c.saturating_sub(1),
            _ => 0,
        };
        assert!(
            a + count <= self.registers.max(a),
            "{op:?}: registers {a} and {count} on, of {}",
            self.registers
        );
        if op.has(flag::USES_TOP) && b == 0 {
            let first = vm.exec.frame().base as usize + a as usize;
            let values = if op == Op::RETURN { first } else { first + 1 };
            assert!(
                (values..=vm.exec.stack_cap - SLACK).contains(&vm.exec.top),
                "{op:?}: top is {} above {values}",
                vm.exec.top
            );
        }
        if op.has(flag::TEST) {
            let jump = Instr(code[pc + 1].word);
            assert_eq!(jump.op(), Some(Op::JMP), "{op:?} is followed by its jump");
            self.jump(code.len(), pc + 1, jump.get_sj());
        }
        if op.has(flag::EXTRA) {
            let extra = Instr(code[pc + 1].word);
            assert_eq!(extra.op(), Some(Op::EXTRAARG), "{op:?} has its argument");
        }
    }

    fn jump(self, count: usize, pc: usize, distance: i32) {
        let to = pc as i64 + 1 + distance as i64;
        assert!((0..count as i64).contains(&to), "a jump to {to} of {count}");
    }

    fn field(self, proto: &Proto, field: Field, n: u32) {
        match field {
            Field::Reg => self.check_register(n),
            Field::Const => self.check_constant(n),
            Field::ConstName => {
                self.check_constant(n);
                assert_eq!(proto.consts()[n as usize].tag, tag::STR, "a name");
            }
            Field::ConstNum => {
                self.check_constant(n);
                assert!(proto.consts()[n as usize].is_number(), "a number");
            }
            Field::ConstInt => {
                self.check_constant(n);
                assert!(proto.consts()[n as usize].is_int(), "an integer");
            }
            Field::Up => {
                self.upvalue(n);
            }
            Field::Proto => assert!((n as usize) < proto.protos().len(), "a function"),
            Field::Zero => assert_eq!(n, 0, "an unused field"),
            Field::Cond => assert!(n <= 1, "a condition"),
            Field::Range | Field::Imm | Field::Simm | Field::Count => {}
        }
    }

    pub(super) fn check_register(self, n: u32) {
        assert!(n < self.registers, "register {n} of {}", self.registers);
    }
    pub(super) fn check_constant(self, n: u32) {
        assert!(n < self.constants, "constant {n} of {}", self.constants);
    }
    pub(super) fn upvalue(self, n: u32) -> u32 {
        assert!(n < self.upvalues, "upvalue {n} of {}", self.upvalues);
        n
    }
}
