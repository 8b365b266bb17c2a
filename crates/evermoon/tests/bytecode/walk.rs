//! A walk through verified code: an interpreter without values, which takes every branch at random and checks for itself,
//! at each step, what the real one does not. It reads the table's notation rather than the verifier, so that a hole in
//! the one is unlikely to be in the other. It panics where the real interpreter would have left its bounds.

use std::collections::BTreeSet;

use evermoon::bytecode::instr::Instr;
use evermoon::bytecode::op::{Op, flag};
use evermoon::bytecode::proto::{Const, Proto};

use crate::rng::Rng;

/// Walks a function and those nested in it for some steps each.
pub fn walk(proto: &Proto, rng: &mut Rng, steps: usize) {
    let mut walker = Walker {
        proto,
        rng,
        registers: proto.max_stack.into(),
        top: None,
        marked: Vec::new(),
        open: BTreeSet::new(),
    };
    walker.run(steps);
    for nested in &proto.protos {
        walk(nested, rng, steps);
    }
}

struct Walker<'a> {
    proto: &'a Proto,
    rng: &'a mut Rng,
    registers: usize,
    top: Option<usize>,
    /// Registers marked to be closed, and those with open upvalues.
    marked: Vec<usize>,
    open: BTreeSet<usize>,
}

impl Walker<'_> {
    fn reg(&self, register: usize) {
        assert!(
            register < self.registers,
            "register {register} of {}",
            self.registers
        );
    }

    fn regs(&self, range: std::ops::Range<usize>) {
        range.for_each(|register| self.reg(register));
    }

    fn constant(&self, index: usize) {
        let _ = &self.proto.consts[index];
    }

    fn name(&self, index: usize) {
        match &self.proto.consts[index] {
            Const::Str(name) => assert!(name.len() <= 40, "long name"),
            other => panic!("{other:?} is no name"),
        }
    }

    fn mark(&mut self, register: usize) {
        self.reg(register);
        assert!(
            self.marked.iter().all(|&marked| marked < register),
            "marks out of order"
        );
        self.marked.push(register);
    }

    fn close(&mut self, from: usize) {
        self.marked.retain(|&register| register < from);
        self.open.retain(|&register| register < from);
    }

    /// The values of a call or a return that begin at `first`, of which there are `count` less `less`, or up to top.
    fn values(&mut self, first: usize, count: usize, less: usize) {
        match count {
            0 => {
                let top = self.top.take().expect("top is not set");
                assert!(first <= top, "values from {first} to top {top}");
            }
            _ => self.regs(first..first + count - less),
        }
    }

    fn results(&mut self, first: usize, count: usize) {
        match count {
            0 => self.top = Some(first + self.rng.below(5)),
            _ => self.regs(first..first + count - 1),
        }
    }

    fn run(&mut self, steps: usize) {
        let code = &self.proto.code;
        let mut pc = 0;
        for _ in 0..steps {
            let instr = code[pc];
            let op = instr.op().expect("no operation");
            assert!(
                self.top.is_none() || op.has(flag::USES_TOP) && instr.b() == 0,
                "top is lost at {op:?}"
            );
            assert!(op != Op::VARARGPREP || pc == 0 && self.proto.is_vararg && self.top.is_none());
            pc += 1;
            let Some(next) = self.step(op, instr, pc) else {
                return;
            };
            pc = next;
            assert_ne!(
                code[pc].op(),
                Some(Op::EXTRAARG),
                "control enters an EXTRAARG"
            );
        }
    }

    /// Where the instruction before `pc` goes on, if anywhere.
    fn step(&mut self, op: Op, instr: Instr, pc: usize) -> Option<usize> {
        let (a, b, c) = (
            usize::from(instr.a()),
            usize::from(instr.b()),
            usize::from(instr.c()),
        );
        let proto = self.proto;
        let jump = |at: usize| {
            assert_eq!(proto.code[at].op(), Some(Op::JMP));
            (at as i64 + 1 + i64::from(proto.code[at].get_sj())) as usize
        };
        let extra = || {
            assert_eq!(proto.code[pc].op(), Some(Op::EXTRAARG));
            proto.code[pc].get_ax() as usize
        };
        let test = |walker: &mut Self| {
            if walker.rng.chance(2) {
                Some(pc + 1)
            } else {
                Some(jump(pc))
            }
        };
        use Op::*;
        match op {
            MOVE | UNM | BNOT | NOT | LEN => {
                self.reg(a);
                self.reg(b);
            }
            LOADI | LOADF | LOADFALSE | LOADTRUE => self.reg(a),
            LFALSESKIP => {
                self.reg(a);
                return Some(pc + 1);
            }
            LOADK => {
                self.reg(a);
                let _ = &proto.consts[usize::from(instr.bx())];
            }
            LOADKX => {
                self.reg(a);
                let _ = &proto.consts[extra()];
                return Some(pc + 1);
            }
            LOADNIL => self.regs(a..a + b + 1),
            GETUPVAL | SETUPVAL => {
                self.reg(a);
                let _ = &proto.upvals[b];
            }
            GETTABUP => {
                self.reg(a);
                let _ = &proto.upvals[b];
                self.name(c);
            }
            GETTABLE | SETTABLE => {
                self.reg(a);
                self.reg(b);
                self.reg(c);
            }
            GETI => {
                self.reg(a);
                self.reg(b);
            }
            GETFIELD => {
                self.reg(a);
                self.reg(b);
                self.name(c);
            }
            SETTABUP | SETTABUPK => {
                let _ = &proto.upvals[a];
                self.name(b);
                if op == SETTABUP {
                    self.reg(c)
                } else {
                    self.constant(c)
                }
            }
            SETTABLEK => {
                self.reg(a);
                self.reg(b);
                let _ = &proto.consts[c];
            }
            SETI => {
                self.reg(a);
                self.reg(c);
            }
            SETIK => {
                self.reg(a);
                let _ = &proto.consts[c];
            }
            SETFIELD | SETFIELDK => {
                self.reg(a);
                self.name(b);
                if op == SETFIELD {
                    self.reg(c)
                } else {
                    self.constant(c)
                }
            }
            NEWTABLE => {
                self.reg(a);
                assert!(b <= 31);
                extra();
                return Some(pc + 1);
            }
            SELF => {
                self.regs(a..a + 2);
                self.reg(b);
                self.name(c);
            }
            ADDI | SUBI | SHLI | SHRI | SHLIR => {
                self.reg(a);
                self.reg(b);
            }
            ADDK | SUBK | MULK | MODK | POWK | DIVK | IDIVK | ADDKF | SUBKF | MULKF | DIVKF => {
                self.reg(a);
                self.reg(b);
                assert!(matches!(proto.consts[c], Const::Int(_) | Const::Float(_)));
            }
            BANDK | BORK | BXORK => {
                self.reg(a);
                self.reg(b);
                assert!(matches!(proto.consts[c], Const::Int(_)));
            }
            ADD | SUB | MUL | MOD | POW | DIV | IDIV | BAND | BOR | BXOR | SHL | SHR => {
                self.reg(a);
                self.reg(b);
                self.reg(c);
            }
            CONCAT => {
                assert!(b >= 2);
                self.regs(a..a + b);
            }
            CLOSE => {
                self.reg(a);
                self.close(a);
            }
            TBC => self.mark(a),
            JMP => return Some(jump(pc - 1)),
            EQ | LT | LE => {
                self.reg(a);
                self.reg(b);
                return test(self);
            }
            EQK => {
                self.reg(a);
                let _ = &proto.consts[b];
                return test(self);
            }
            EQI | LTI | LEI | GTI | GEI | TEST => {
                self.reg(a);
                return test(self);
            }
            TESTSET => {
                self.reg(a);
                self.reg(b);
                return test(self);
            }
            CALL => {
                self.reg(a);
                self.values(a + 1, b, 1);
                self.results(a, c);
            }
            TAILCALL => {
                self.reg(a);
                self.values(a + 1, b, 1);
                assert!(self.marked.is_empty(), "tail call past a mark");
                // With a return behind it, it may be made as a plain call.
                let next = proto.code.get(pc).copied().unwrap_or(instr);
                if next.op() != Some(RETURN) || next.b() != 0 {
                    return None;
                }
                self.results(a, 0);
            }
            RETURN => {
                self.values(a, b, 1);
                return None;
            }
            RETURN0 | RETURN1 => {
                if op == RETURN1 {
                    self.reg(a);
                }
                assert!(
                    self.marked.is_empty() && self.open.is_empty(),
                    "quick return with something open"
                );
                return None;
            }
            FORLOOP | FORPREP => {
                self.regs(a..a + 4);
                return test(self);
            }
            TFORPREP => {
                self.regs(a..a + 4);
                self.mark(a + 3);
                return Some(jump(pc));
            }
            TFORCALL => {
                self.regs(a..a + 3);
                self.regs(a + 4..a + 7);
                assert!(c >= 1);
                self.regs(a + 4..a + 4 + c);
            }
            TFORLOOP => {
                self.reg(a + 2);
                self.reg(a + 4);
                return test(self);
            }
            SETLIST => {
                self.reg(a);
                // Here B is the count itself.
                self.values(a + 1, b, 0);
                extra();
                return Some(pc + 1);
            }
            CLOSURE => {
                self.reg(a);
                for upval in &proto.protos[usize::from(instr.bx())].upvals {
                    if upval.in_stack {
                        self.reg(upval.index.into());
                        self.open.insert(upval.index.into());
                    } else {
                        let _ = &proto.upvals[usize::from(upval.index)];
                    }
                }
            }
            VARARG => {
                assert!(proto.is_vararg);
                self.results(a, c);
            }
            VARARGPREP => assert_eq!(a, proto.num_params.into()),
            EXTRAARG => panic!("EXTRAARG is executed"),
        }
        Some(pc)
    }
}
