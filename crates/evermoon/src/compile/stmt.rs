//! Statements.
//!
//! Invariant: between statements no temporary is in use: `free_reg` is what the active locals take.

use super::desc::{Desc, Kind};
use super::jump::NONE;
use super::scope::{Found, VarKind};
use super::{Compiler, Instr, Op};
use crate::syntax::tree::{
    Attrib, Block, Expr, ExprId, ExprList, FuncId, IfArm, Line, LocalName, NameList, Stat,
    StatKind, Symbol,
};

/// Registers of a generic `for` before its variables: iterator, state, control, closing value.
const FOR_IN_STATE: usize = 4;

/// Registers of a numeric `for` before its variable.
const FOR_NUM_STATE: usize = 3;

/// Registers that the call of a generic `for`'s iterator takes from the first variable on.
const FOR_IN_CALL: u32 = 3;

impl Compiler<'_> {
    /// A block's statements, in the scope at hand.
    pub(super) fn statements(&mut self, block: Block) {
        self.statements_of(self.tree.block(block), true);
    }

    /// `ends_scope`: whether the variables go out of scope right after the last statement. (Those of a `repeat` do not.)
    fn statements_of(&mut self, stats: &[Stat], ends_scope: bool) {
        let is_void = |stat: &Stat| matches!(stat.kind, StatKind::Empty | StatKind::Label { .. });
        // Labels from here on count as standing at the end of the block.
        let void_from = match ends_scope {
            true => stats
                .iter()
                .rposition(|stat| !is_void(stat))
                .map_or(0, |last| last + 1),
            false => stats.len(),
        };
        for (i, stat) in stats.iter().enumerate() {
            if self.error.is_some() {
                return;
            }
            self.line = stat.line;
            match stat.kind {
                StatKind::Label { name } => self.define_label(name, i >= void_from),
                _ => self.statement(stat),
            }
            self.f.free_reg = self.f.var_regs;
        }
    }

    fn statement(&mut self, stat: &Stat) {
        match stat.kind {
            StatKind::Empty | StatKind::Label { .. } => {}
            StatKind::Call(id) => {
                let e = self.expr(id);
                self.set_results(&e, Some(0));
            }
            StatKind::Assign { targets, values } => self.assign(targets, values),
            StatKind::Local { names, values } => self.local(names, values),
            StatKind::LocalFunction { name, func } => self.local_function(&name, func),
            StatKind::Function { target, func } => {
                let (target, line) = self.target(target);
                let mut closure = self.closure(func);
                self.store(&target, &mut closure);
                self.fix_line(line);
            }
            StatKind::Do { body, end_line } => {
                self.scoped_block(body);
                self.line = end_line;
            }
            StatKind::While {
                cond,
                body,
                end_line,
            } => self.while_loop(cond, body, stat.line, end_line),
            StatKind::Repeat { body, cond, .. } => self.repeat_loop(body, cond),
            StatKind::If {
                arms_start,
                arms_len,
                or_else,
                end_line,
            } => {
                let arms =
                    &self.tree.if_arms[arms_start as usize..(arms_start + arms_len) as usize];
                self.conditional(arms, or_else);
                self.line = end_line;
            }
            StatKind::ForNum {
                var,
                start,
                limit,
                step,
                body,
                end_line,
            } => {
                self.enter_block(true);
                self.numeric_for(&var, [Some(start), Some(limit), step], body, stat.line);
                self.line = end_line;
                self.leave_block();
            }
            StatKind::ForIn {
                names,
                exprs,
                body,
                end_line,
            } => {
                self.enter_block(true);
                self.generic_for(names, exprs, body, stat.line);
                self.line = end_line;
                self.leave_block();
            }
            StatKind::Goto { label } => self.goto(label),
            StatKind::Break => self.goto(self.names.break_),
            StatKind::Return { values } => self.return_(values),
        }
    }

    fn scoped_block(&mut self, body: Block) {
        self.enter_block(false);
        self.statements(body);
        self.leave_block();
    }

    // -----------------------------------------------------------------------------------------------------------------
    // Assignment (§3.3.3)

    /// The target of an assignment, not read, and the line of the store.
    fn target(&mut self, id: ExprId) -> (Desc, Line) {
        let (name, line) = match *self.tree.expr(id) {
            Expr::Name { name, line } => (name, line),
            Expr::Index { object, key, line } => {
                let mut target = self.expr(object);
                self.access(&mut target, key);
                return (target, line);
            }
            _ => return (Desc::new(Kind::Void), self.line), // no parser makes this
        };
        let kind = match self.find(name) {
            Found::Local(index) => self.vars[index].kind,
            Found::Upval(up) => {
                // Absent only after an error: too many upvalues in a function around this one.
                let upval = self.f.upvals.get(up as usize);
                upval.map_or(VarKind::Regular, |upval| upval.kind)
            }
            Found::Known(_) => VarKind::Known,
            Found::Global => VarKind::Regular,
        };
        if kind != VarKind::Regular {
            self.fail_name("attempt to assign to const variable ", name, "");
        }
        (self.variable(name), line)
    }

    fn assign(&mut self, targets: ExprList, values: ExprList) {
        let (targets, values) = (self.tree.list(targets), values);
        if let &[target] = targets {
            let (target, line) = self.target(target);
            return self.assign_values(&[target], values, line);
        }
        if targets.len() > super::register::REGISTERS_MAX as usize {
            return self.fail("function or expression needs too many registers");
        }
        let bottom = self.targets.len();
        let mut line = self.line;
        for &id in targets {
            let target;
            (target, line) = self.target(id);
            self.save_conflicting(bottom, &target);
            self.targets.push(target);
        }
        let targets = self.targets.split_off(bottom);
        self.assign_values(&targets, values, line);
    }

    fn assign_values(&mut self, targets: &[Desc], values: ExprList, line: Line) {
        let count = values.len as usize;
        let mut e = self.list(values);
        self.line = line;
        let mut left = targets;
        if count == targets.len()
            && let Some((last, before)) = targets.split_last()
        {
            // The last value needs no register of its own.
            self.set_one_result(&mut e);
            self.store(last, &mut e);
            left = before;
        } else {
            self.adjust(targets.len(), count, e);
        }
        for target in left.iter().rev() {
            let top = self.f.free_reg.saturating_sub(1);
            self.store(target, &mut Desc::new(Kind::Reg(top as u8)));
        }
    }

    /// A variable that is about to be assigned may be the table or key of a target on its left: those go on with a copy.
    fn save_conflicting(&mut self, bottom: usize, assigned: &Desc) {
        let copy = self.f.free_reg as u8;
        let mut conflict = false;
        for target in &mut self.targets[bottom..] {
            match (assigned.kind, &mut target.kind) {
                (Kind::Local(reg), Kind::Index { table, key }) => {
                    for used in [table, key] {
                        if *used == reg {
                            *used = copy;
                            conflict = true;
                        }
                    }
                }
                (Kind::Local(reg), Kind::IndexStr { table, .. } | Kind::IndexInt { table, .. })
                    if *table == reg =>
                {
                    *table = copy;
                    conflict = true;
                }
                (Kind::Upval(assigned), &mut Kind::IndexUp { up, key }) if up == assigned => {
                    target.kind = Kind::IndexStr { table: copy, key };
                    conflict = true;
                }
                _ => {}
            }
        }
        if conflict {
            match assigned.kind {
                Kind::Upval(up) => self.put(Instr::abc(Op::GETUPVAL, copy, up, 0)),
                Kind::Local(reg) => self.put(Instr::abc(Op::MOVE, copy, reg, 0)),
                _ => {}
            }
            self.reserve(1);
        }
    }

    /// Makes `count` values, of which the last is described by `last`, `wanted` values in registers.
    fn adjust(&mut self, wanted: usize, count: usize, mut last: Desc) {
        let missing = wanted as i64 - count as i64;
        if last.is_multi() {
            self.set_results(&last, Some((missing + 1).max(0) as u32));
        } else {
            if last.kind != Kind::Void {
                self.place_next(&mut last);
            }
            if missing > 0 {
                self.load_nil(self.f.free_reg as u8, missing as u32);
            }
        }
        if missing > 0 {
            self.reserve(missing as u32);
        } else {
            self.f.free_reg = (i64::from(self.f.free_reg) + missing).max(0) as u32;
        }
    }

    // -----------------------------------------------------------------------------------------------------------------
    // Declarations (§3.3.7)

    fn local(&mut self, names: NameList, values: ExprList) {
        let names = self.tree.names(names);
        for name in names {
            self.declare(name);
        }
        if self.error.is_some() {
            return;
        }
        let last = self.list(values);
        let known = match names.last() {
            Some(name) if name.attrib == Attrib::Const && names.len() == values.len as usize => {
                last.is_constant()
            }
            _ => false,
        };
        if !known {
            self.adjust(names.len(), values.len as usize, last);
        }
        let first = self.f.var_regs;
        if known {
            // The values before it are in registers, and it needs none.
            self.activate_known(names.len(), last.kind);
        } else {
            self.activate(names.len());
        }
        let mut closes = names
            .iter()
            .enumerate()
            .filter(|(_, name)| name.attrib == Attrib::Close);
        if let Some((i, _)) = closes.next() {
            if closes.next().is_some() {
                return self.fail("multiple to-be-closed variables in local list");
            }
            self.mark_tbc();
            self.put(Instr::abc(Op::TBC, (first as usize + i) as u8, 0, 0));
        }
    }

    fn local_function(&mut self, name: &LocalName, func: FuncId) {
        // In scope in its own body, in the register where the closure is going to be.
        self.declare(name);
        self.activate(1);
        self.closure(func);
        self.restart_last_local();
    }

    // -----------------------------------------------------------------------------------------------------------------
    // Control structures (§3.3.4)

    /// The condition stands behind the body, so that going round takes one jump: the loop is entered by a jump to it.
    fn while_loop(&mut self, cond: ExprId, body: Block, line: Line, end_line: Line) {
        let always = matches!(
            self.tree.expr(cond),
            Expr::True | Expr::Int(_) | Expr::Float(_) | Expr::Str(_)
        );
        let enter = if always { NONE } else { self.jump() };
        let start = self.label();
        self.enter_block(true);
        self.scoped_block(body);
        if always {
            self.jump_back(start);
        } else {
            self.patch_here(enter);
            self.line = line;
            let cond = self.expr(cond);
            let again = self.inverse_condition(cond);
            self.patch(again, start);
        }
        self.line = end_line;
        self.leave_block();
    }

    fn repeat_loop(&mut self, body: Block, cond: ExprId) {
        let start = self.label();
        self.enter_block(true);
        self.enter_block(false);
        self.statements_of(self.tree.block(body), false);
        let cond = self.expr(cond);
        let mut again = self.condition(cond);
        let regs = self.blocks.last().map_or(0, |block| block.outer_regs);
        if self.leave_block() {
            // Leaving the body closes its variables, and so does repeating it, on a way of its own.
            let exit = self.jump();
            self.patch_here(again);
            self.put(Instr::abc(Op::CLOSE, regs as u8, 0, 0));
            again = self.jump();
            self.patch_here(exit);
        }
        self.patch(again, start);
        self.leave_block();
    }

    fn conditional(&mut self, arms: &[IfArm], or_else: Option<Block>) {
        let mut escape = NONE;
        for (i, arm) in arms.iter().enumerate() {
            let cond = self.expr(arm.cond);
            self.line = arm.line;
            if let Some((name, line)) = self.mere_jump(arm.body) {
                // `if cond then break end` is one conditional jump.
                let list = self.inverse_condition(cond);
                self.line = line;
                self.goto_list(name, list);
                continue;
            }
            let otherwise = self.condition(cond);
            self.scoped_block(arm.body);
            if i + 1 < arms.len() || or_else.is_some() {
                let jump = self.jump();
                escape = self.join(jump, escape);
            }
            self.patch_here(otherwise);
            if self.error.is_some() {
                return;
            }
        }
        if let Some(body) = or_else {
            self.scoped_block(body);
        }
        self.patch_here(escape);
    }

    /// Where a block leads, if a jump is all it is.
    fn mere_jump(&self, body: Block) -> Option<(Symbol, Line)> {
        let (first, rest) = self.tree.block(body).split_first()?;
        if rest.iter().any(|stat| stat.kind != StatKind::Empty) {
            return None;
        }
        match first.kind {
            StatKind::Break => Some((self.names.break_, first.line)),
            StatKind::Goto { label } if self.goto_is_jump(label) => Some((label, first.line)),
            _ => None,
        }
    }

    /// The loop's own variables live in a block around the one of the visible variable.
    fn numeric_for(
        &mut self,
        var: &LocalName,
        exprs: [Option<ExprId>; FOR_NUM_STATE],
        body: Block,
        line: Line,
    ) {
        let base = self.f.free_reg as u8;
        for expr in exprs {
            let mut e = match expr {
                Some(id) => self.expr(id),
                None => Desc::new(Kind::Int(1)),
            };
            self.place_next(&mut e);
        }
        self.for_state(FOR_NUM_STATE);
        let prepare = self.emit(Instr::abc(Op::FORPREP, base, 0, 0));
        let exit = self.jump();
        self.enter_block(false);
        self.declare(var);
        self.for_body(1, body);
        self.loop_back(Op::FORLOOP, base, prepare + 2, line);
        self.patch_here(exit);
    }

    fn generic_for(&mut self, names: NameList, exprs: ExprList, body: Block, line: Line) {
        let base = self.f.free_reg as u8;
        let last = self.list(exprs);
        self.adjust(FOR_IN_STATE, exprs.len as usize, last);
        self.for_state(FOR_IN_STATE);
        self.mark_tbc();
        self.need_registers(FOR_IN_CALL);
        let prepare = self.emit(Instr::abc(Op::TFORPREP, base, 0, 0));
        let enter = self.jump();
        self.enter_block(false);
        let names = self.tree.names(names);
        for name in names {
            self.declare(name);
        }
        self.for_body(names.len(), body);
        self.patch_here(enter);
        self.put(Instr::abc(Op::TFORCALL, base, 0, names.len() as u8));
        self.fix_line(line);
        self.loop_back(Op::TFORLOOP, base, prepare + 2, line);
    }

    fn for_state(&mut self, count: usize) {
        for _ in 0..count {
            self.declare_as(self.names.for_state, VarKind::Regular);
        }
        self.activate(count);
    }

    /// The body of a `for`, whose `count` variables are declared in the block at hand.
    fn for_body(&mut self, count: usize, body: Block) {
        self.activate(count);
        self.reserve(count as u32);
        self.statements(body);
        self.leave_block();
    }

    fn loop_back(&mut self, op: Op, base: u8, start: u32, line: Line) {
        self.put(Instr::abc(op, base, 0, 0));
        self.fix_line(line);
        self.jump_back(start);
        self.fix_line(line);
    }

    fn return_(&mut self, values: ExprList) {
        let first = self.f.free_reg as u8;
        let mut last = self.list(values);
        if last.is_multi() {
            self.set_results(&last, None);
            if let Kind::Call(pc) = last.kind
                && values.len == 1
                && !self.inside_tbc()
            {
                let call = self.f.code[pc as usize];
                self.f.code[pc as usize] = Instr::abc(Op::TAILCALL, call.a(), call.b(), 0);
            }
            return self.emit_return(first, None);
        }
        match values.len {
            0 => self.emit_return(first, 0),
            1 => {
                let reg = self.place_any(&mut last);
                self.emit_return(reg, 1);
            }
            count => {
                self.place_next(&mut last);
                self.emit_return(first, count);
            }
        }
    }
}
