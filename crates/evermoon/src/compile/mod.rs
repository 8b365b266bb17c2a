//! Tree to prototypes: names are resolved, registers given out and code emitted in one walk over the tree, with the methods
//! of a one-pass compiler, because they give tight code: values are described (`desc.rs`) until someone needs them
//! somewhere, and jumps wait in lists (`jump.rs`) until their target is known. What comes out is what PUC Lua's compiler
//! would give, in our instruction set.
//!
//! Invariants
//! 1. Nothing here panics on any tree that the parser makes, and host recursion is bounded by the parser's limit on nesting:
//!    chains that lean to the left (`a + b + c`, `f()()()`, `a.b.c`) may have any length and are walked with a stack of ours.
//! 2. Errors stick: the first one is kept, the walk stops at the next statement, and nothing emitted after it is used. So
//!    emitting needs no result at every step.
//! 3. The same tree gives the same prototype, bit for bit.
//!
//! Read next: `desc.rs`, `register.rs`, `expr.rs`, `stmt.rs`.

mod constant;
mod desc;
mod expr;
mod fold;
mod jump;
mod label;
mod operator;
mod register;
mod scope;
mod stmt;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::bytecode::instr::{AX_MAX, BX_MAX, Instr, SJ_MAX, SJ_MIN};
use crate::bytecode::op::Op;
use crate::bytecode::proto::{LocalVar, Proto, UpvalDesc};
use crate::syntax::message::SyntaxError;
use crate::syntax::tree::{ExprId, FuncId, Function, Line, Symbol, Tree};
use constant::Constants;
use desc::Desc;
use label::Labels;
use scope::{Block, Upval, Var};

/// Compiles a chunk. `source` is its name with the `@`, `=` or nothing in front.
pub fn compile(tree: &Tree, source: Arc<[u8]>) -> Result<Proto, SyntaxError> {
    let Some(main) = tree.functions.last() else {
        return Ok(Proto::default()); // no parser makes a tree without a main function
    };
    let mut compiler = Compiler::new(tree, source);
    compiler.open_main();
    let proto = compiler.body(main);
    match compiler.error {
        Some(error) => Err(error),
        None => Ok(proto),
    }
}

/// A function in the making.
#[derive(Default)]
struct Func {
    code: Vec<Instr>,
    lines: Vec<Line>,
    constants: Constants,
    protos: Vec<Proto>,
    upvals: Vec<Upval>,
    /// Debug information of its locals, in the order in which they came into scope.
    locals: Vec<Local>,
    /// Where its variables begin in [`Compiler::vars`].
    first_var: usize,
    /// Where its blocks begin in [`Compiler::blocks`].
    first_block: usize,
    /// Its upvalue `_ENV`, once known.
    env: Option<u8>,
    /// Registers that active locals take.
    var_regs: u32,
    /// First register in use by nothing.
    free_reg: u32,
    max_stack: u32,
    /// The last pc that something jumps to: instructions before it may not be merged with what follows.
    last_target: u32,
    /// Whether an inner function captures one of its locals.
    captures: bool,
    /// Where each `RETURN0` and `RETURN1` stands.
    quick_returns: Vec<u32>,
    /// Line of the definition, 0 for a main chunk.
    line: Line,
}

impl Func {
    /// Empties it for the next function, keeping the memory.
    fn clear(&mut self) {
        self.code.clear();
        self.lines.clear();
        self.constants.clear();
        self.upvals.clear();
        self.locals.clear();
        self.quick_returns.clear();
        self.env = None;
        self.captures = false;
        (
            self.var_regs,
            self.free_reg,
            self.max_stack,
            self.last_target,
        ) = (0, 0, 2, 0);
    }
}

/// Debug information of a local.
#[derive(Clone, Copy)]
struct Local {
    name: Symbol,
    start_pc: u32,
    end_pc: u32,
    captured: bool,
}

struct Compiler<'t> {
    tree: &'t Tree,
    source: Arc<[u8]>,
    /// The function being compiled.
    f: Func,
    /// Those around it, outermost first.
    outer: Vec<Func>,
    /// Finished ones, for their memory.
    spare: Vec<Func>,
    /// All variables in scope, of all functions.
    vars: Vec<Var>,
    /// For each symbol, the innermost variable of that name in scope: its index plus one.
    bindings: Vec<u32>,
    /// All open blocks, of all functions.
    blocks: Vec<Block>,
    labels: Labels,
    /// The way back up from the left end of the expression at hand.
    spine: Vec<ExprId>,
    /// The targets of the assignment at hand.
    targets: Vec<Desc>,
    /// The line of the last token used, which instructions get.
    line: Line,
    error: Option<SyntaxError>,
    names: WellKnown,
}

/// Names that the compiler itself knows, or makes up. Those that no source can spell have numbers beyond the tree's symbols.
#[derive(Clone, Copy)]
struct WellKnown {
    env: Symbol,
    break_: Symbol,
    for_state: Symbol,
}

impl<'t> Compiler<'t> {
    fn new(tree: &'t Tree, source: Arc<[u8]>) -> Compiler<'t> {
        let count = tree.symbol_ends.len() as u32;
        let env = (0..count)
            .map(Symbol)
            .find(|&symbol| tree.symbol(symbol) == b"_ENV");
        let names = WellKnown {
            env: env.unwrap_or(Symbol(count)),
            break_: Symbol(count + 1),
            for_state: Symbol(count + 2),
        };
        Compiler {
            tree,
            source,
            f: Func::default(),
            outer: Vec::new(),
            spare: Vec::new(),
            vars: Vec::new(),
            bindings: vec![0; count as usize + 3],
            blocks: Vec::new(),
            labels: Labels::new(count as usize + 3),
            spine: Vec::new(),
            targets: Vec::new(),
            line: 1,
            error: None,
            names,
        }
    }

    /// The bytes of a symbol, also of one that the tree does not have.
    fn symbol_bytes(&self, symbol: Symbol) -> &'t [u8] {
        if (symbol.0 as usize) < self.tree.symbol_ends.len() {
            self.tree.symbol(symbol)
        } else if symbol == self.names.env {
            b"_ENV"
        } else if symbol == self.names.break_ {
            b"break"
        } else {
            b"(for state)"
        }
    }

    // -----------------------------------------------------------------------------------------------------------------
    // Errors

    /// Keeps an error at the current line, unless there is one already.
    #[cold]
    fn fail(&mut self, message: impl AsRef<[u8]>) {
        let line = self.line;
        self.error.get_or_insert_with(|| SyntaxError {
            line,
            message: message.as_ref().to_vec(),
        });
    }

    /// Keeps an error that quotes a name: `before` 'name' `after`.
    #[cold]
    fn fail_name(&mut self, before: &str, name: Symbol, after: &str) {
        let message = [
            before.as_bytes(),
            b"'",
            self.symbol_bytes(name),
            b"'",
            after.as_bytes(),
        ]
        .concat();
        self.fail(message);
    }

    #[cold]
    fn fail_limit(&mut self, what: &str, limit: u32, line_of_function: Line) {
        let place = match line_of_function {
            0 => "main function".to_owned(),
            line => format!("function at line {line}"),
        };
        self.fail(format!("too many {what} (limit is {limit}) in {place}"));
    }

    // -----------------------------------------------------------------------------------------------------------------
    // Emitting

    /// The pc of the next instruction.
    fn pc(&self) -> u32 {
        self.f.code.len() as u32
    }

    /// Appends an instruction; its pc.
    fn emit(&mut self, instr: Instr) -> u32 {
        let pc = self.pc();
        self.f.code.push(instr);
        self.f.lines.push(self.line);
        pc
    }

    /// Appends an instruction whose place nobody needs.
    fn put(&mut self, instr: Instr) {
        self.emit(instr);
    }

    fn remove_last(&mut self) {
        self.f.code.pop();
        self.f.lines.pop();
    }

    /// Moves the last instruction to another line.
    fn fix_line(&mut self, line: Line) {
        if let Some(last) = self.f.lines.last_mut() {
            *last = line;
        }
    }

    // -----------------------------------------------------------------------------------------------------------------
    // Functions

    /// Compiles a nested function and emits its closure, into the first free register: what is above the result of an instruction
    /// that makes an object must be dead, for the collector may run there (`vm/run.rs`, `collect`).
    fn closure(&mut self, id: FuncId) -> Desc {
        let function = &self.tree.functions[id.0 as usize];
        let fresh = self.spare.pop().unwrap_or_default();
        self.outer.push(std::mem::replace(&mut self.f, fresh));
        self.f.clear();
        let proto = self.body(function);
        if let Some(outer) = self.outer.pop() {
            self.spare.push(std::mem::replace(&mut self.f, outer));
        }
        let index = self.f.protos.len() as u32;
        if index > BX_MAX {
            self.fail_limit("functions", BX_MAX + 1, self.f.line);
        }
        self.f.protos.push(proto);
        let register = self.reserve(1);
        self.put(Instr::abx(Op::CLOSURE, register, index as u16));
        Desc::new(desc::Kind::Reg(register))
    }

    /// Compiles a function's parameters and body into the current, empty [`Func`].
    fn body(&mut self, function: &Function) -> Proto {
        let tree = self.tree;
        self.f.line = function.line; // 0 in the main function
        self.line = function.line.max(1);
        self.f.first_var = self.vars.len();
        self.f.first_block = self.blocks.len();
        self.enter_block(false);
        let params = tree.names(function.params);
        for param in params {
            self.declare(param);
        }
        self.activate(params.len());
        self.f.free_reg = self.f.var_regs;
        self.need_registers(0);
        let num_params = self.f.var_regs as u8;
        if function.is_vararg {
            self.put(Instr::abc(Op::VARARGPREP, num_params, 0, 0));
        }
        self.statements(function.body);
        self.line = function.end_line.max(1);
        self.emit_return(0, 0);
        self.leave_function_block();
        self.finish(function, num_params)
    }

    /// The finished function as a prototype.
    fn finish(&mut self, function: &Function, num_params: u8) -> Proto {
        if self.f.constants.len() > AX_MAX as usize {
            self.fail_limit("constants", AX_MAX, self.f.line);
        }
        if self.error.is_some() {
            return Proto::default();
        }
        self.settle_returns();
        self.shorten_jumps();
        let main = self.f.line == 0;
        let name = |symbol| self.symbol_bytes(symbol);
        let upval = |upval: &Upval| UpvalDesc {
            in_stack: upval.in_stack,
            index: upval.index,
            kind: upval.kind as u8,
            name: Some(name(upval.name).into()),
        };
        let local = |local: &Local| LocalVar {
            name: name(local.name).into(),
            start_pc: local.start_pc,
            end_pc: local.end_pc,
        };
        Proto {
            code: self.f.code.clone(),
            consts: self.f.constants.plain(name),
            upvals: self.f.upvals.iter().map(upval).collect(),
            num_params,
            is_vararg: function.is_vararg,
            max_stack: self.f.max_stack as u8,
            line_defined: self.f.line,
            last_line_defined: if main { 0 } else { function.end_line },
            source: Some(self.source.clone()),
            lines: self.f.lines.clone(),
            locals: self.f.locals.iter().map(local).collect(),
            protos: std::mem::take(&mut self.f.protos),
        }
    }

    /// Emits the return of `count` values from `first` on, or of all up to top.
    fn emit_return(&mut self, first: u8, count: impl Into<Option<u32>>) {
        let instr = match count.into() {
            Some(0) if !self.inside_tbc() => Instr::abc(Op::RETURN0, 0, 0, 0),
            Some(1) if !self.inside_tbc() => Instr::abc(Op::RETURN1, first, 0, 0),
            count => Instr::abc(
                Op::RETURN,
                first,
                count.map_or(0, |count| count as u8 + 1),
                0,
            ),
        };
        let pc = self.emit(instr);
        if instr.op() != Some(Op::RETURN) {
            self.f.quick_returns.push(pc);
        }
    }

    /// Quick returns become full ones where a local in scope is captured: there may be an open upvalue to close. (Where
    /// something is to be closed they were full ones from the start.)
    fn settle_returns(&mut self) {
        if !self.f.captures {
            return;
        }
        let (code, locals) = (&mut self.f.code, &mut self.f.locals);
        let captured = || locals.iter().filter(|local| local.captured);
        // One range around all of them is enough to spare the early returns, and keeps this linear.
        let start = captured().map(|local| local.start_pc).min().unwrap_or(0);
        let end = captured()
            .map(|local| local.end_pc)
            .max()
            .unwrap_or(u32::MAX);
        for &pc in self
            .f
            .quick_returns
            .iter()
            .filter(|&&pc| start <= pc && pc < end)
        {
            let instr = code[pc as usize];
            let count = if instr.op() == Some(Op::RETURN0) {
                0
            } else {
                1
            };
            code[pc as usize] = Instr::abc(Op::RETURN, instr.a(), count + 1, 0);
        }
    }

    /// Jumps to a jump go where that goes. The jumps of loops stay as the loop's shape has them.
    fn shorten_jumps(&mut self) {
        let of_loop = |op| matches!(op, Op::FORPREP | Op::FORLOOP | Op::TFORPREP | Op::TFORLOOP);
        let is_jump = |instr: Instr| instr.op_byte() == Op::JMP as u8;
        let code = &mut self.f.code;
        for pc in 0..code.len() {
            if !is_jump(code[pc]) || pc > 0 && code[pc - 1].op().is_some_and(of_loop) {
                continue;
            }
            let mut target = pc;
            // A bound, as jumps may go round in a circle.
            for _ in 0..100 {
                if !is_jump(code[target]) {
                    break;
                }
                target = (target as i64 + 1 + i64::from(code[target].get_sj())) as usize;
            }
            let distance = target as i64 - (pc as i64 + 1);
            if (i64::from(SJ_MIN)..=i64::from(SJ_MAX)).contains(&distance) {
                code[pc] = Instr::sj(Op::JMP, distance as i32);
            }
        }
    }
}
