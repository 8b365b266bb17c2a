//! A tree as text, for tests and for people: S-expressions, one statement a line, blocks indented. A number after `@` is
//! the line that the node carries, where it carries one.
//!
//! It keeps its own stack of what is still to be written, since a tree may be deeper than the host's stack
//! (`a + b + c + …`).

use super::tree::*;

/// The whole chunk, from its main function.
pub fn print(tree: &Tree) -> String {
    let mut printer = Printer {
        tree,
        text: String::new(),
        todo: Vec::new(),
    };
    if let Some(main) = tree.functions.len().checked_sub(1) {
        printer.todo.push((0, Item::Function(FuncId(main as u32))));
    }
    while let Some((indent, item)) = printer.todo.pop() {
        let before = printer.todo.len();
        printer.write(item, indent);
        // An item names its parts in reading order; the stack wants the first on top.
        printer.todo[before..].reverse();
    }
    printer.text.push('\n');
    printer.text
}

#[derive(Clone, Copy)]
enum Item {
    Text(&'static str),
    Symbol(Symbol),
    Line(Line),
    Local(LocalName),
    Expr(ExprId),
    Field(Field),
    Stat(Stat),
    Function(FuncId),
}

struct Printer<'t> {
    tree: &'t Tree,
    text: String,
    todo: Vec<(usize, Item)>,
}

impl Printer<'_> {
    fn write(&mut self, item: Item, indent: usize) {
        let mut parts = Parts {
            tree: self.tree,
            todo: &mut self.todo,
            indent,
        };
        match item {
            Item::Text(text) => self.text.push_str(text),
            Item::Symbol(symbol) => self
                .text
                .push_str(&String::from_utf8_lossy(self.tree.symbol(symbol))),
            Item::Line(line) => self.text.push_str(&format!("@{line}")),
            Item::Local(local) => {
                parts.symbol(local.name);
                match local.attrib {
                    Attrib::None => {}
                    Attrib::Const => parts.text("<const>"),
                    Attrib::Close => parts.text("<close>"),
                }
            }
            Item::Field(Field::Item(value)) => parts.expr(value),
            Item::Field(Field::Pair { key, value }) => {
                parts.text("(= ");
                parts.expr(key);
                parts.text(" ");
                parts.expr(value);
                parts.text(")");
            }
            Item::Function(id) => {
                let function = self.tree.functions[id.0 as usize];
                parts.text("(function");
                parts.line(function.line);
                parts.text(" (");
                parts.names(function.params);
                if function.is_vararg {
                    parts.text(if function.params.len == 0 {
                        "..."
                    } else {
                        " ..."
                    });
                }
                parts.text(")");
                parts.block(function.body);
                parts.end(function.end_line);
            }
            Item::Expr(id) => self.write_expr(id, indent),
            Item::Stat(stat) => {
                self.text.push('\n');
                self.text.push_str(&"  ".repeat(indent));
                parts.stat(stat);
            }
        }
    }

    fn write_expr(&mut self, id: ExprId, indent: usize) {
        let mut parts = Parts {
            tree: self.tree,
            todo: &mut self.todo,
            indent,
        };
        match *self.tree.expr(id) {
            Expr::Nil => self.text.push_str("nil"),
            Expr::False => self.text.push_str("false"),
            Expr::True => self.text.push_str("true"),
            Expr::Int(value) => self.text.push_str(&value.to_string()),
            Expr::Float(value) => self.text.push_str(&format!("{value:?}")),
            Expr::Str(symbol) => {
                let bytes = self.tree.symbol(symbol);
                self.text.push_str(&format!("\"{}\"", bytes.escape_ascii()));
            }
            Expr::Vararg => self.text.push_str("..."),
            Expr::Function(func) => parts.push(Item::Function(func)),
            Expr::Name { name, line } => {
                parts.symbol(name);
                parts.line(line);
            }
            Expr::Index { object, key, line } => {
                parts.text("(index");
                parts.line(line);
                parts.spaced(&[object, key]);
                parts.text(")");
            }
            Expr::Call { func, args, line } => {
                parts.text("(call");
                parts.line(line);
                parts.spaced(&[func]);
                parts.spaced(self.tree.list(args));
                parts.text(")");
            }
            Expr::Method {
                object,
                name,
                args,
                line,
            } => {
                parts.text("(method");
                parts.line(line);
                parts.spaced(&[object]);
                parts.text(" ");
                parts.symbol(name);
                parts.spaced(self.tree.list(args));
                parts.text(")");
            }
            Expr::Binary {
                op,
                left,
                right,
                line,
                ..
            } => {
                parts.text("(");
                parts.text(binary_text(op));
                parts.line(line);
                parts.spaced(&[left, right]);
                parts.text(")");
            }
            Expr::Unary { op, operand, line } => {
                parts.text(match op {
                    UnOp::Neg => "(neg",
                    UnOp::BNot => "(bnot",
                    UnOp::Not => "(not",
                    UnOp::Len => "(len",
                });
                parts.line(line);
                parts.spaced(&[operand]);
                parts.text(")");
            }
            Expr::Paren(inner) => {
                parts.text("(paren");
                parts.spaced(&[inner]);
                parts.text(")");
            }
            Expr::Table {
                fields_start,
                fields_len,
                line,
                end_line,
            } => {
                parts.text("(table");
                parts.line(line);
                for i in fields_start..fields_start + fields_len {
                    parts.text(" ");
                    parts.push(Item::Field(self.tree.fields[i as usize]));
                }
                if end_line != line {
                    parts.text(" end");
                    parts.line(end_line);
                }
                parts.text(")");
            }
        }
    }
}

/// What an item consists of, in reading order.
struct Parts<'p> {
    tree: &'p Tree,
    todo: &'p mut Vec<(usize, Item)>,
    indent: usize,
}

impl Parts<'_> {
    fn push(&mut self, item: Item) {
        self.todo.push((self.indent, item));
    }
    fn text(&mut self, text: &'static str) {
        self.push(Item::Text(text));
    }
    fn symbol(&mut self, symbol: Symbol) {
        self.push(Item::Symbol(symbol));
    }
    fn line(&mut self, line: Line) {
        self.push(Item::Line(line));
    }
    fn expr(&mut self, expr: ExprId) {
        self.push(Item::Expr(expr));
    }
    fn spaced(&mut self, exprs: &[ExprId]) {
        for &expr in exprs {
            self.text(" ");
            self.expr(expr);
        }
    }
    fn names(&mut self, names: NameList) {
        for (i, &name) in self.tree.names(names).iter().enumerate() {
            if i > 0 {
                self.text(" ");
            }
            self.push(Item::Local(name));
        }
    }
    fn values(&mut self, values: ExprList) {
        if values.len > 0 {
            self.text(" =");
            self.spaced(self.tree.list(values));
        }
    }
    fn block(&mut self, block: Block) {
        for &stat in self.tree.block(block) {
            self.todo.push((self.indent + 1, Item::Stat(stat)));
        }
    }
    fn end(&mut self, line: Line) {
        self.text(" end");
        self.line(line);
        self.text(")");
    }

    fn stat(&mut self, stat: Stat) {
        match stat.kind {
            StatKind::Empty => self.text("(empty"),
            StatKind::Call(call) => {
                self.text("(do-call");
                self.line(stat.line);
                self.spaced(&[call]);
            }
            StatKind::Assign { targets, values } => {
                self.text("(set");
                self.line(stat.line);
                self.spaced(self.tree.list(targets));
                self.values(values);
            }
            StatKind::Local { names, values } => {
                self.text("(local");
                self.line(stat.line);
                self.text(" ");
                self.names(names);
                self.values(values);
            }
            StatKind::LocalFunction { name, func } => {
                self.text("(local-function");
                self.line(stat.line);
                self.text(" ");
                self.push(Item::Local(name));
                self.text(" ");
                self.push(Item::Function(func));
            }
            StatKind::Function { target, func } => {
                self.text("(set-function");
                self.line(stat.line);
                self.spaced(&[target]);
                self.text(" ");
                self.push(Item::Function(func));
            }
            StatKind::Do { body, end_line } => {
                self.text("(do");
                self.line(stat.line);
                self.block(body);
                return self.end(end_line);
            }
            StatKind::While {
                cond,
                body,
                end_line,
            } => {
                self.text("(while");
                self.line(stat.line);
                self.spaced(&[cond]);
                self.block(body);
                return self.end(end_line);
            }
            StatKind::Repeat {
                body,
                cond,
                end_line,
            } => {
                self.text("(repeat");
                self.line(stat.line);
                self.block(body);
                self.text(" until");
                self.line(end_line);
                self.spaced(&[cond]);
            }
            StatKind::If {
                arms_start,
                arms_len,
                or_else,
                end_line,
            } => {
                for i in arms_start..arms_start + arms_len {
                    let arm = self.tree.if_arms[i as usize];
                    if i == arms_start {
                        self.text("(if");
                        self.line(stat.line);
                    } else {
                        self.text(" elseif");
                    }
                    self.spaced(&[arm.cond]);
                    self.text(" then");
                    self.line(arm.line);
                    self.block(arm.body);
                }
                if let Some(block) = or_else {
                    self.text(" else");
                    self.block(block);
                }
                return self.end(end_line);
            }
            StatKind::ForNum {
                var,
                start,
                limit,
                step,
                body,
                end_line,
            } => {
                self.text("(for");
                self.line(stat.line);
                self.text(" ");
                self.push(Item::Local(var));
                self.text(" =");
                self.spaced(&[start, limit]);
                self.spaced(step.as_slice());
                self.block(body);
                return self.end(end_line);
            }
            StatKind::ForIn {
                names,
                exprs,
                body,
                end_line,
            } => {
                self.text("(for-in");
                self.line(stat.line);
                self.text(" ");
                self.names(names);
                self.values(exprs);
                self.block(body);
                return self.end(end_line);
            }
            StatKind::Goto { label } => {
                self.text("(goto");
                self.line(stat.line);
                self.text(" ");
                self.symbol(label);
            }
            StatKind::Break => {
                self.text("(break");
                self.line(stat.line);
            }
            StatKind::Label { name } => {
                self.text("(label");
                self.line(stat.line);
                self.text(" ");
                self.symbol(name);
            }
            StatKind::Return { values } => {
                self.text("(return");
                self.line(stat.line);
                self.spaced(self.tree.list(values));
            }
        }
        self.text(")");
    }
}

fn binary_text(op: BinOp) -> &'static str {
    match op {
        BinOp::Add => "+",
        BinOp::Sub => "-",
        BinOp::Mul => "*",
        BinOp::Mod => "%",
        BinOp::Pow => "^",
        BinOp::Div => "/",
        BinOp::IDiv => "//",
        BinOp::BAnd => "&",
        BinOp::BOr => "|",
        BinOp::BXor => "~",
        BinOp::Shl => "<<",
        BinOp::Shr => ">>",
        BinOp::Concat => "..",
        BinOp::Eq => "==",
        BinOp::Ne => "~=",
        BinOp::Lt => "<",
        BinOp::Le => "<=",
        BinOp::Gt => ">",
        BinOp::Ge => ">=",
        BinOp::And => "and",
        BinOp::Or => "or",
    }
}
