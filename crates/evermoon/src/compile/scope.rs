//! Names to variables. All variables in scope stand in one vector, innermost last; for each symbol there is the index of the
//! innermost variable of that name, and each variable remembers the one that it shadows, so that finding a name takes one
//! step however many locals there are. A name that no variable has is a field of `_ENV`.
//!
//! Invariants: a variable's register is below `var_regs`, unless it is a compile-time constant, which has none; debug
//! information lists locals in the order in which they came into scope, with the pcs that PUC Lua would give.

use super::desc::{Desc, Kind};
use super::{Compiler, Local};
use crate::bytecode::instr::Instr;
use crate::bytecode::op::Op;
use crate::syntax::tree::{Attrib, LocalName, Symbol};

/// The most variables of a function that are in scope at once: PUC Lua's limit, which leaves registers for temporaries.
const VARS_MAX: u32 = 200;

/// The most upvalues of a function: their index is a byte.
const UPVALS_MAX: u32 = 255;

/// In [`Var::shadows`]: declared, and not in scope.
const UNBOUND: u32 = u32::MAX;

/// What may be done with a variable. The numbers are those of [`crate::bytecode::proto::UpvalDesc::kind`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum VarKind {
    Regular = 0,
    Const = 1,
    Close = 2,
    /// A constant whose value is known while compiling. It takes no register.
    Known = 3,
}

/// A variable in scope, or declared and about to be.
#[derive(Clone, Copy)]
pub(super) struct Var {
    pub name: Symbol,
    pub kind: VarKind,
    /// Its register, once it is active.
    pub reg: u8,
    /// Which function has it: the number of functions around that.
    level: u32,
    /// The binding of its name that it shadows (as in [`Compiler::bindings`]), or [`UNBOUND`].
    shadows: u32,
    /// Its debug information in [`super::Func::locals`].
    local: u32,
    /// The value of a [`VarKind::Known`] one.
    value: Kind,
}

/// An upvalue of the function being compiled.
#[derive(Clone, Copy)]
pub(super) struct Upval {
    pub name: Symbol,
    pub in_stack: bool,
    pub index: u8,
    pub kind: VarKind,
}

/// An open block.
pub(super) struct Block {
    /// Where its variables begin in [`Compiler::vars`].
    pub first_var: usize,
    /// Where its labels begin.
    pub first_label: usize,
    /// Where its pending gotos begin.
    pub first_goto: usize,
    /// The registers in use outside.
    pub outer_regs: u32,
    /// Whether leaving it has to close something.
    pub closes: bool,
    /// Whether it is inside the scope of a to-be-closed variable.
    pub inside_tbc: bool,
    pub is_loop: bool,
}

/// What a name is.
pub(super) enum Found {
    Local(usize),
    Upval(u8),
    /// The value of a compile-time constant.
    Known(Kind),
    /// No variable.
    Global,
}

impl Compiler<'_> {
    // -----------------------------------------------------------------------------------------------------------------
    // Declaring

    /// Gives the main function its one upvalue.
    pub(super) fn open_main(&mut self) {
        self.f.clear();
        self.f.upvals.push(Upval {
            name: self.names.env,
            in_stack: true,
            index: 0,
            kind: VarKind::Regular,
        });
        self.f.env = Some(0);
    }

    /// Declares a variable, which is not in scope before [`Self::activate`].
    pub(super) fn declare(&mut self, local: &LocalName) {
        let kind = match local.attrib {
            Attrib::None => VarKind::Regular,
            Attrib::Const => VarKind::Const,
            Attrib::Close => VarKind::Close,
        };
        self.declare_as(local.name, kind);
    }

    pub(super) fn declare_as(&mut self, name: Symbol, kind: VarKind) {
        if self.vars.len() - self.f.first_var >= VARS_MAX as usize {
            return self.fail_limit("local variables", VARS_MAX, self.f.line);
        }
        self.vars.push(Var {
            name,
            kind,
            reg: 0,
            level: self.outer.len() as u32,
            shadows: UNBOUND,
            local: 0,
            value: Kind::Nil,
        });
    }

    fn bind(&mut self, index: usize) {
        let name = self.vars[index].name;
        let binding = &mut self.bindings[name.0 as usize];
        self.vars[index].shadows = std::mem::replace(binding, index as u32 + 1);
    }

    /// Brings the last `count` declared variables into scope, in the next registers.
    pub(super) fn activate(&mut self, count: usize) {
        if self.error.is_some() {
            return;
        }
        let start_pc = self.pc();
        for index in self.vars.len() - count..self.vars.len() {
            self.bind(index);
            let var = &mut self.vars[index];
            var.reg = self.f.var_regs as u8;
            var.local = self.f.locals.len() as u32;
            self.f.var_regs += 1;
            self.f.locals.push(Local {
                name: var.name,
                start_pc,
                end_pc: start_pc,
                captured: false,
            });
        }
    }

    /// Brings the last declared variable into scope as a compile-time constant; the ones declared with it come first.
    pub(super) fn activate_known(&mut self, count: usize, value: Kind) {
        if self.error.is_some() {
            return;
        }
        let last = self.vars.len() - 1;
        let known = self.vars.remove(last);
        self.activate(count - 1);
        self.vars.push(Var {
            kind: VarKind::Known,
            value,
            ..known
        });
        self.bind(last);
    }

    /// The last local's debug information begins only here.
    pub(super) fn restart_last_local(&mut self) {
        let pc = self.pc();
        if let Some(local) = self.f.locals.last_mut() {
            local.start_pc = pc;
        }
    }

    /// Takes variables out of scope until `count` are left.
    fn forget_vars(&mut self, count: usize) {
        let end_pc = self.pc();
        while self.vars.len() > count {
            let Some(var) = self.vars.pop() else { break };
            if var.shadows == UNBOUND {
                continue; // after an error
            }
            self.bindings[var.name.0 as usize] = var.shadows;
            if var.kind != VarKind::Known {
                self.f.var_regs -= 1;
                self.f.locals[var.local as usize].end_pc = end_pc;
            }
        }
    }

    // -----------------------------------------------------------------------------------------------------------------
    // Blocks

    pub(super) fn enter_block(&mut self, is_loop: bool) {
        let nested = self.blocks.len() > self.f.first_block;
        let inside_tbc = nested && self.inside_tbc();
        self.blocks.push(Block {
            first_var: self.vars.len(),
            first_label: self.labels.defined.len(),
            first_goto: self.labels.pending.len(),
            outer_regs: self.f.var_regs,
            closes: false,
            inside_tbc,
            is_loop,
        });
    }

    pub(super) fn inside_tbc(&self) -> bool {
        self.blocks.last().is_some_and(|block| block.inside_tbc)
    }

    /// Leaves a block: its variables go out of scope, and what they leave open is closed. Whether it had anything to close.
    pub(super) fn leave_block(&mut self) -> bool {
        let Some(block) = self.blocks.pop() else {
            return false;
        };
        self.forget_vars(block.first_var);
        let regs = block.outer_regs;
        // The label where breaks arrive closes what they leave open.
        let closed = block.is_loop && self.define_break(&block);
        if !closed && block.closes {
            self.put(Instr::abc(Op::CLOSE, regs as u8, 0, 0));
        }
        self.f.free_reg = regs;
        self.forget_labels(block.first_label);
        self.move_gotos_out(&block);
        block.closes
    }

    /// Leaves a function's outermost block, after its last return.
    pub(super) fn leave_function_block(&mut self) {
        let Some(block) = self.blocks.pop() else {
            return;
        };
        self.forget_vars(block.first_var);
        self.forget_labels(block.first_label);
        self.reject_pending(&block);
    }

    /// The variable declared last in the current block is to be closed when the block is left.
    pub(super) fn mark_tbc(&mut self) {
        if let Some(block) = self.blocks.last_mut() {
            block.closes = true;
            block.inside_tbc = true;
        }
    }

    // -----------------------------------------------------------------------------------------------------------------
    // Resolving

    /// What a name is here. Makes the upvalues that are needed to reach it.
    pub(super) fn find(&mut self, name: Symbol) -> Found {
        let binding = self.bindings[name.0 as usize] as usize;
        let Some(index) = binding.checked_sub(1) else {
            return if name == self.names.env {
                Found::Upval(self.env_upvalue())
            } else {
                Found::Global
            };
        };
        let var = &self.vars[index];
        if var.kind == VarKind::Known {
            Found::Known(var.value)
        } else if index >= self.f.first_var {
            Found::Local(index)
        } else {
            Found::Upval(self.upvalue(name, Some(index)))
        }
    }

    fn level(&mut self, level: usize) -> &mut super::Func {
        if level < self.outer.len() {
            &mut self.outer[level]
        } else {
            &mut self.f
        }
    }

    /// The upvalue of the current function that reaches a variable of an enclosing one, or the main function's `_ENV`.
    fn upvalue(&mut self, name: Symbol, var: Option<usize>) -> u8 {
        // Which of the functions around has it, as an upvalue or as its variable? (Within one function a name that is not
        // its own means one variable throughout, so names identify upvalues.)
        let owner = var.map_or(0, |index| self.vars[index].level as usize);
        let mut level = self.outer.len();
        let mut found = None;
        while level > owner || var.is_none() {
            found = self
                .level(level)
                .upvals
                .iter()
                .position(|upval| upval.name == name);
            if found.is_some() || level == 0 {
                break;
            }
            level -= 1;
        }
        let mut upval = match (found, var) {
            (Some(at), _) => {
                if level == self.outer.len() {
                    return at as u8;
                }
                Upval {
                    name,
                    in_stack: false,
                    index: at as u8,
                    kind: self.level(level).upvals[at].kind,
                }
            }
            (None, Some(index)) => {
                self.mark_captured(index, level);
                let var = &self.vars[index];
                Upval {
                    name,
                    in_stack: true,
                    index: var.reg,
                    kind: var.kind,
                }
            }
            (None, None) => return 0, // the main function always has its `_ENV`
        };
        for level in level + 1..=self.outer.len() {
            let f = self.level(level);
            let (at, line) = (f.upvals.len(), f.line);
            if at >= UPVALS_MAX as usize {
                self.fail_limit("upvalues", UPVALS_MAX, line);
                return 0;
            }
            f.upvals.push(upval);
            upval = Upval {
                in_stack: false,
                index: at as u8,
                ..upval
            };
        }
        upval.index
    }

    /// A variable of the function at `level` is captured: the block that declares it has to close it.
    fn mark_captured(&mut self, index: usize, level: usize) {
        let local = self.vars[index].local as usize;
        let f = self.level(level);
        f.captures = true;
        f.locals[local].captured = true;
        // A function's blocks are in one piece, and so are its variables.
        if let Some(block) = self
            .blocks
            .iter_mut()
            .rev()
            .find(|block| block.first_var <= index)
        {
            block.closes = true;
        }
    }

    /// What a name stands for as an expression.
    pub(super) fn variable(&mut self, name: Symbol) -> Desc {
        match self.find(name) {
            Found::Local(index) => Desc::new(Kind::Local(self.vars[index].reg)),
            Found::Upval(up) => Desc::new(Kind::Upval(up)),
            Found::Known(value) => Desc::new(value),
            Found::Global => self.global(name),
        }
    }

    /// `_ENV.name`
    fn global(&mut self, name: Symbol) -> Desc {
        let mut env = self.env();
        self.place_unless_upval(&mut env);
        self.index(&mut env, &mut Desc::new(Kind::Str(name)));
        env
    }

    fn env(&mut self) -> Desc {
        let name = self.names.env;
        if self.bindings[name.0 as usize] != 0 {
            return self.variable(name);
        }
        Desc::new(Kind::Upval(self.env_upvalue()))
    }

    /// The upvalue that reaches the main function's `_ENV`.
    fn env_upvalue(&mut self) -> u8 {
        match self.f.env {
            Some(up) => up,
            None => {
                let up = self.upvalue(self.names.env, None);
                self.f.env = Some(up);
                up
            }
        }
    }
}
