//! Labels, `goto` and `break` (§3.3.4). A goto to a label that is not there yet is pending until a block that sees it
//! defines the label; a break is a goto to a label at the end of its loop, under a name that nobody can write.
//!
//! For each symbol the newest label and the newest pending goto of that name are known, and each leads to the one before, so
//! that sources with very many labels take no more than time with their size.
//!
//! Invariant: the pending gotos of one name, newest first, are in falling order of their index, and those in the block at
//! hand come first.

use super::scope::Block;
use super::{Compiler, Instr, Op};
use crate::syntax::tree::{Line, Symbol};

/// A label in sight, perhaps of a function around the current one.
pub(super) struct Label {
    name: Symbol,
    pc: u32,
    line: Line,
    /// How many registers the variables in scope at it take.
    regs: u32,
    /// Which function has it.
    level: u32,
    /// The label of this name before it (index plus one).
    shadows: u32,
}

/// A goto whose label is still to come.
pub(super) struct Goto {
    name: Symbol,
    /// Its jumps, which may be none under a condition that never holds.
    list: i32,
    /// Whether the label has come.
    resolved: bool,
    line: Line,
    /// How many variables are in scope at it and at every block's end on its way out, and the registers they take.
    vars: usize,
    regs: u32,
    /// Whether it leaves a block that has something to close.
    closes: bool,
    /// The pending goto of this name before it (index plus one).
    older: u32,
}

/// All labels and pending gotos.
pub(super) struct Labels {
    pub defined: Vec<Label>,
    pub pending: Vec<Goto>,
    /// For each symbol, its newest label (index plus one).
    label_of: Vec<u32>,
    /// For each symbol, its newest pending goto (index plus one).
    goto_of: Vec<u32>,
}

impl Labels {
    pub fn new(symbol_count: usize) -> Labels {
        Labels {
            defined: Vec::new(),
            pending: Vec::new(),
            label_of: vec![0; symbol_count],
            goto_of: vec![0; symbol_count],
        }
    }
}

impl Compiler<'_> {
    fn visible_label(&self, name: Symbol) -> Option<&Label> {
        let index = (self.labels.label_of[name.0 as usize] as usize).checked_sub(1)?;
        let label = &self.labels.defined[index];
        (label.level as usize == self.outer.len()).then_some(label)
    }

    /// `goto name`
    pub(super) fn goto(&mut self, name: Symbol) {
        if let Some(&Label { pc, regs, .. }) = self.visible_label(name) {
            // Backwards. Whether a variable that it leaves will be captured further down is not known yet.
            if self.f.var_regs > regs {
                self.put(Instr::abc(Op::CLOSE, regs as u8, 0, 0));
            }
            self.jump_back(pc);
        } else {
            let list = self.jump();
            self.add_pending(name, list);
        }
    }

    /// Lets the jumps of a list (those of a condition) do what `goto name` would, if they can: they cannot close anything.
    pub(super) fn goto_list(&mut self, name: Symbol, list: i32) {
        match self.visible_label(name) {
            Some(&Label { pc, .. }) => self.patch(list, pc),
            None => self.add_pending(name, list),
        }
    }

    /// Whether `goto name` is a mere jump here.
    pub(super) fn goto_is_jump(&self, name: Symbol) -> bool {
        self.visible_label(name)
            .is_none_or(|label| self.f.var_regs <= label.regs)
    }

    fn add_pending(&mut self, name: Symbol, list: i32) {
        let newest = &mut self.labels.goto_of[name.0 as usize];
        let older = std::mem::replace(newest, self.labels.pending.len() as u32 + 1);
        self.labels.pending.push(Goto {
            name,
            list,
            resolved: false,
            line: self.line,
            vars: self.vars.len(),
            regs: self.f.var_regs,
            closes: false,
            older,
        });
    }

    /// `::name::`. At the end of a block (`last`) the block's variables count as out of scope already.
    pub(super) fn define_label(&mut self, name: Symbol, last: bool) {
        if self.error.is_some() {
            return;
        }
        if let Some(&Label { line, .. }) = self.visible_label(name) {
            return self.fail_name("label ", name, &format!(" already defined on line {line}"));
        }
        let Some(block) = self.blocks.last() else {
            return;
        };
        let first_goto = block.first_goto;
        let (vars, regs) = match last {
            true => (block.first_var, block.outer_regs),
            false => (self.vars.len(), self.f.var_regs),
        };
        let pc = self.label();
        let newest = &mut self.labels.label_of[name.0 as usize];
        let shadows = std::mem::replace(newest, self.labels.defined.len() as u32 + 1);
        let level = self.outer.len() as u32;
        self.labels.defined.push(Label {
            name,
            pc,
            line: self.line,
            regs,
            level,
            shadows,
        });
        self.resolve(name, first_goto, vars, regs);
    }

    /// Where the breaks of a loop arrive. Whether it closes what they leave open.
    pub(super) fn define_break(&mut self, block: &Block) -> bool {
        self.error.is_none()
            && self.resolve(
                self.names.break_,
                block.first_goto,
                self.vars.len(),
                self.f.var_regs,
            )
    }

    /// Sends the pending gotos of this name, from the one at `first_goto` on, to the next instruction, where `vars` variables
    /// are in scope. If one of them leaves something open, that instruction closes it, and the result is true.
    fn resolve(&mut self, name: Symbol, first_goto: usize, vars: usize, regs: u32) -> bool {
        let mut closes = false;
        while let Some(at) = (self.labels.goto_of[name.0 as usize] as usize).checked_sub(1)
            && at >= first_goto
        {
            let pending = &mut self.labels.pending[at];
            if pending.vars < vars {
                let (line, local) = (pending.line, self.vars[pending.vars].name);
                let shown = String::from_utf8_lossy(self.symbol_bytes(name)).into_owned();
                let text = format!("<goto {shown}> at line {line} jumps into the scope of local ");
                self.fail_name(&text, local, "");
                return false;
            }
            closes |= pending.closes;
            self.labels.goto_of[name.0 as usize] = pending.older;
            pending.resolved = true;
            let list = pending.list;
            self.patch_here(list);
        }
        if closes {
            self.put(Instr::abc(Op::CLOSE, regs as u8, 0, 0));
        }
        closes
    }

    /// The labels of a block go out of sight with it.
    pub(super) fn forget_labels(&mut self, count: usize) {
        for label in self.labels.defined.drain(count..).rev() {
            self.labels.label_of[label.name.0 as usize] = label.shadows;
        }
    }

    /// What is pending in a block is pending in the one around it, which has been left with fewer variables.
    pub(super) fn move_gotos_out(&mut self, block: &Block) {
        while self.labels.pending.len() > block.first_goto
            && self.labels.pending.last().is_some_and(|last| last.resolved)
        {
            self.labels.pending.pop();
        }
        for pending in &mut self.labels.pending[block.first_goto..] {
            pending.closes |= block.closes && pending.regs > block.outer_regs;
            pending.vars = block.first_var;
            pending.regs = block.outer_regs;
        }
    }

    /// At a function's end nothing may be pending.
    pub(super) fn reject_pending(&mut self, block: &Block) {
        if self.error.is_some() {
            return;
        }
        let missing = self.labels.pending[block.first_goto..]
            .iter()
            .find(|pending| !pending.resolved);
        match missing {
            Some(&Goto { name, line, .. }) if name == self.names.break_ => {
                self.fail(format!("break outside loop at line {line}"));
            }
            Some(&Goto { name, line, .. }) => {
                self.fail_name(
                    "no visible label ",
                    name,
                    &format!(" for <goto> at line {line}"),
                );
            }
            None => self.labels.pending.truncate(block.first_goto),
        }
    }
}
