//! Expressions: the walk over the tree. Leaves become descriptors; on the way up each node turns its left operand's
//! descriptor into its own, emitting what has to be emitted before its right part is evaluated.
//!
//! Invariant: only the right parts of nodes (right operands, keys, arguments) recurse, and those are what the parser's limit
//! on nesting counts. Left parts are walked with [`Compiler::spine`].

use super::desc::{Desc, Kind};
use super::{Compiler, Instr, Op};
use crate::bytecode::instr::AX_MAX;
use crate::syntax::tree::{BinOp, Expr, ExprId, ExprList, Field, Line};

/// How many items of a table constructor are collected in registers before they are stored.
const ITEMS_PER_STORE: u32 = 50;

impl Compiler<'_> {
    /// Describes an expression, having emitted what comes before its last step.
    pub(super) fn expr(&mut self, id: ExprId) -> Desc {
        let bottom = self.spine.len();
        let mut at = id;
        let mut e = loop {
            match *self.tree.expr(at) {
                Expr::Binary { left: next, .. }
                | Expr::Index { object: next, .. }
                | Expr::Call { func: next, .. }
                | Expr::Method { object: next, .. }
                | Expr::Unary { operand: next, .. }
                | Expr::Paren(next) => {
                    self.spine.push(at);
                    at = next;
                }
                ref leaf => break self.leaf(leaf),
            }
        };
        while self.spine.len() > bottom
            && let Some(node) = self.spine.pop()
        {
            e = self.node(node, e);
        }
        e
    }

    fn leaf(&mut self, leaf: &Expr) -> Desc {
        Desc::new(match *leaf {
            Expr::Nil => Kind::Nil,
            Expr::False => Kind::False,
            Expr::True => Kind::True,
            Expr::Int(i) => Kind::Int(i),
            Expr::Float(f) => Kind::Float(f),
            Expr::Str(symbol) => Kind::Str(symbol),
            Expr::Name { name, line } => {
                self.line = line;
                return self.variable(name);
            }
            Expr::Vararg => Kind::Vararg(self.emit(Instr::abc(Op::VARARG, 0, 0, 2))),
            Expr::Function(id) => return self.closure(id),
            Expr::Table {
                fields_start,
                fields_len,
                line,
                end_line,
            } => {
                return self.table(fields_start, fields_len, line, end_line);
            }
            _ => return Desc::new(Kind::Void), // not a leaf
        })
    }

    /// A node, given its left part.
    fn node(&mut self, id: ExprId, mut left: Desc) -> Desc {
        match *self.tree.expr(id) {
            Expr::Index { key, line, .. } => {
                self.access(&mut left, key);
                self.line = line;
                left
            }
            Expr::Call { args, line, .. } => {
                let func = self.place_next(&mut left);
                self.call(func, args, line)
            }
            Expr::Method {
                name, args, line, ..
            } => {
                self.line = line;
                let func = self.method(&mut left, Desc::new(Kind::Str(name)));
                self.call(func, args, line)
            }
            Expr::Unary { op, line, .. } => self.unary(op, left, line),
            Expr::Binary {
                op: BinOp::Concat,
                right,
                line,
                ..
            } => self.concat(left, right, line),
            Expr::Binary {
                op,
                right,
                line,
                end_line,
                ..
            } => {
                self.line = line;
                self.left_operand(op, &mut left);
                let right = self.expr(right);
                self.line = end_line;
                self.binary(op, left, right, line)
            }
            Expr::Paren(_) => {
                self.discharge(&mut left);
                left
            }
            _ => left,
        }
    }

    /// Makes `object` stand for `object[key]`.
    pub(super) fn access(&mut self, object: &mut Desc, key: ExprId) {
        self.place_unless_upval(object);
        let mut key = self.expr(key);
        self.read(&mut key);
        self.index(object, &mut key);
    }

    /// Puts all expressions of a list but the last into consecutive registers; describes the last.
    pub(super) fn list(&mut self, list: ExprList) -> Desc {
        let Some((&last, before)) = self.tree.list(list).split_last() else {
            return Desc::new(Kind::Void);
        };
        for &id in before {
            let mut e = self.expr(id);
            self.place_next(&mut e);
        }
        self.expr(last)
    }

    /// A call of the function in `func`, on top of the registers in use but for a method's object.
    fn call(&mut self, func: u8, args: ExprList, line: Line) -> Desc {
        let mut last = self.list(args);
        let b = if last.is_multi() {
            self.set_results(&last, None);
            0
        } else {
            if last.kind != Kind::Void {
                self.place_next(&mut last);
            }
            self.f.free_reg - u32::from(func)
        };
        let pc = self.emit(Instr::abc(Op::CALL, func, b as u8, 2));
        self.fix_line(line);
        // The call takes away function and arguments and leaves one result, unless told otherwise.
        self.f.free_reg = u32::from(func) + 1;
        Desc::new(Kind::Call(pc))
    }

    /// Puts a method and its object into the next two registers; the first of them.
    fn method(&mut self, object: &mut Desc, name: Desc) -> u8 {
        let from = self.place_any(object);
        self.free(object);
        let func = self.reserve(2);
        if let Some(key) = self.name_constant(&name) {
            self.put(Instr::abc(Op::SELF, func, from, key));
            return func;
        }
        // The name does not fit the instruction. The object moves first, as it may be in the function's register.
        let object = func.wrapping_add(1);
        self.put(Instr::abc(Op::MOVE, object, from, 0));
        let mut name = name;
        let key = self.place_next(&mut name);
        self.put(Instr::abc(Op::GETTABLE, func, object, key));
        self.free(&name);
        func
    }

    /// `a .. b .. c`, of any length, in one instruction. It is on the line of the last operator, which is the first to be
    /// applied.
    fn concat(&mut self, mut left: Desc, mut right: ExprId, mut line: Line) -> Desc {
        self.line = line;
        let first = self.place_next(&mut left);
        loop {
            match *self.tree.expr(right) {
                Expr::Binary {
                    op: BinOp::Concat,
                    left,
                    right: next,
                    line: next_line,
                    ..
                } => {
                    let mut e = self.expr(left);
                    (line, right) = (next_line, next);
                    self.line = line;
                    self.place_next(&mut e);
                }
                Expr::Paren(inner)
                    if matches!(
                        self.tree.expr(inner),
                        Expr::Binary {
                            op: BinOp::Concat,
                            ..
                        }
                    ) =>
                {
                    right = inner;
                }
                _ => break,
            }
        }
        let mut last = self.expr(right);
        self.place_next(&mut last);
        let count = self.f.free_reg - u32::from(first);
        self.put(Instr::abc(Op::CONCAT, first, count as u8, 0));
        self.fix_line(line);
        self.f.free_reg = u32::from(first) + 1;
        Desc::new(Kind::Reg(first))
    }

    /// A table constructor, made in the first free register (see `closure`).
    fn table(&mut self, fields_start: u32, fields_len: u32, line: Line, end_line: Line) -> Desc {
        self.line = line;
        let at = self.emit(Instr::abc(Op::NEWTABLE, 0, 0, 0));
        self.put(Instr::ax(Op::EXTRAARG, 0));
        let table = self.reserve(1);
        self.f.code[at as usize].set_a(table);
        if fields_len == 0 {
            self.line = end_line;
            return Desc::new(Kind::Reg(table));
        }
        let (mut stored, mut waiting, mut pairs) = (0u32, 0u32, 0u32);
        let fields = &self.tree.fields[fields_start as usize..(fields_start + fields_len) as usize];
        for (i, field) in fields.iter().enumerate() {
            match *field {
                Field::Pair { key, value } => {
                    pairs += 1;
                    let regs = self.f.free_reg;
                    let mut target = Desc::new(Kind::Reg(table));
                    self.access(&mut target, key);
                    let mut value = self.expr(value);
                    self.store(&target, &mut value);
                    self.f.free_reg = regs;
                }
                Field::Item(id) => {
                    let mut item = self.expr(id);
                    if i + 1 == fields.len() && item.is_multi() {
                        self.line = end_line;
                        self.set_results(&item, None);
                        self.store_items(table, 0, stored);
                        self.f.free_reg = u32::from(table) + 1;
                        // The last ones, whose number nobody knows, have no room reserved.
                        stored += waiting;
                        waiting = 0;
                        break;
                    }
                    self.place_next(&mut item);
                    waiting += 1;
                    if waiting == ITEMS_PER_STORE {
                        self.store_items(table, waiting, stored);
                        stored += waiting;
                        waiting = 0;
                    }
                }
            }
            if self.error.is_some() {
                break;
            }
        }
        self.line = end_line;
        if waiting > 0 {
            self.store_items(table, waiting, stored);
            stored += waiting;
        }
        if stored > AX_MAX {
            self.fail_limit("items in a constructor", AX_MAX, self.f.line);
        }
        let room = if pairs == 0 {
            0
        } else {
            pairs.next_power_of_two().ilog2() + 1
        };
        self.f.code[at as usize].set_b(room as u8);
        self.f.code[at as usize + 1] = Instr::ax(Op::EXTRAARG, stored.min(AX_MAX));
        Desc::new(Kind::Reg(table))
    }

    /// Stores `count` items (0: up to top) that stand behind their table, after the `offset` stored before.
    fn store_items(&mut self, table: u8, count: u32, offset: u32) {
        self.put(Instr::abc(Op::SETLIST, table, count as u8, 0));
        self.put(Instr::ax(Op::EXTRAARG, offset.min(AX_MAX)));
        self.f.free_reg = u32::from(table) + 1;
    }
}
