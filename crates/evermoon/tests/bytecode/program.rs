//! Makes Lua programs that compile: every statement and every operator, blocks in blocks, variables that are captured, to be
//! closed or constant, loops left by `break`, `goto` and `return`. They mean nothing, and are not for running.

use std::fmt::Write;

use crate::rng::Rng;

/// The source of a program.
pub fn program(rng: &mut Rng) -> String {
    let mut maker = Maker {
        rng,
        out: String::new(),
        scopes: vec![Scope::default()],
        size_left: 60,
        labels: 0,
    };
    maker.block(4);
    maker.out
}

/// What a program can see at some place.
#[derive(Clone, Default)]
struct Scope {
    /// Variables that may be assigned, and those that may only be read.
    variables: Vec<String>,
    constants: Vec<String>,
    in_loop: bool,
    /// Labels further up that may be jumped to.
    labels: Vec<String>,
}

struct Maker<'a> {
    rng: &'a mut Rng,
    out: String,
    scopes: Vec<Scope>,
    /// How many more statements there may be.
    size_left: usize,
    labels: usize,
}

impl Maker<'_> {
    fn scope(&mut self) -> &mut Scope {
        self.scopes.last_mut().expect("there is always one")
    }

    fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn fresh(&mut self) -> String {
        // Few names, so that they hide each other.
        let name = *self.rng.pick(&["a", "b", "c", "d", "e", "f", "g", "h"]);
        name.to_owned()
    }

    fn block(&mut self, depth: usize) {
        let scope = self.scope().clone();
        self.scopes.push(scope);
        // Sometimes a label at the start or at the end, for jumps back or forth over what is between.
        let forth = self.rng.chance(4).then(|| {
            self.labels += 1;
            format!("l{}", self.labels)
        });
        if self.rng.chance(5) {
            self.labels += 1;
            let label = format!("l{}", self.labels);
            let _ = writeln!(self.out, "::{label}::");
            self.scope().labels.push(label);
        }
        if let Some(label) = &forth {
            self.scope().labels.push(label.clone());
        }
        for _ in 0..self.rng.below(5) {
            if self.size_left > 0 {
                self.size_left -= 1;
                self.statement(depth);
            }
        }
        if let Some(label) = forth {
            let _ = writeln!(self.out, "::{label}::");
        } else if self.rng.chance(3) {
            let in_loop = self.scope().in_loop;
            match self.rng.below(4) {
                0 if in_loop => self.put("break\n"),
                1 => self.put("return\n"),
                2 => {
                    self.put("return ");
                    self.call(depth);
                    self.put("\n");
                }
                _ => {
                    self.put("return ");
                    self.list(depth, 3);
                    self.put("\n");
                }
            }
        }
        self.scopes.pop();
    }

    fn statement(&mut self, depth: usize) {
        if depth == 0 {
            return self.simple();
        }
        let depth = depth - 1;
        match self.rng.below(16) {
            0 => {
                self.put("do\n");
                self.block(depth);
                self.put("end\n");
            }
            1 => {
                self.put("while ");
                self.expression(2);
                self.put(" do\n");
                self.loop_with(&[], depth);
                self.put("end\n");
            }
            2 => {
                self.put("repeat\n");
                let scope = self.scope().clone();
                self.scopes.push(Scope {
                    in_loop: true,
                    ..scope
                });
                self.statement(depth);
                self.statement(depth);
                self.put("until ");
                // It sees the body's variables.
                self.expression(2);
                self.put("\n");
                self.scopes.pop();
            }
            3 | 4 => {
                self.put("if ");
                self.expression(3);
                self.put(" then\n");
                self.block(depth);
                if self.rng.chance(3) {
                    self.put("elseif ");
                    self.expression(3);
                    self.put(" then\n");
                    self.block(depth);
                }
                if self.rng.chance(2) {
                    self.put("else\n");
                    self.block(depth);
                }
                self.put("end\n");
            }
            5 => {
                let name = self.fresh();
                let _ = write!(self.out, "for {name} = ");
                self.expression(2);
                self.put(", ");
                self.expression(2);
                if self.rng.chance(2) {
                    self.put(", ");
                    self.expression(1);
                }
                self.put(" do\n");
                self.loop_with(&[name], depth);
                self.put("end\n");
            }
            6 | 7 => {
                let names: Vec<String> =
                    (0..self.rng.between(1, 5)).map(|_| self.fresh()).collect();
                let _ = write!(self.out, "for {} in ", names.join(", "));
                self.list(2, 4);
                self.put(" do\n");
                self.loop_with(&names, depth);
                self.put("end\n");
            }
            8 => {
                let name = self.fresh();
                let _ = write!(self.out, "local function {name}");
                self.scope().variables.push(name);
                self.function(depth);
            }
            9 => {
                self.put("local x <close> = ");
                self.expression(1);
                self.put("\n");
                self.scope().constants.push("x".into());
            }
            10 => {
                let name = self.fresh();
                let _ = write!(self.out, "function {name}.m:n");
                self.function(depth);
            }
            _ => self.simple(),
        }
    }

    fn loop_with(&mut self, names: &[String], depth: usize) {
        let mut scope = self.scope().clone();
        scope.in_loop = true;
        scope.variables.extend_from_slice(names);
        self.scopes.push(scope);
        self.block(depth);
        self.scopes.pop();
    }

    fn simple(&mut self) {
        match self.rng.below(9) {
            0 | 1 => {
                let names: Vec<String> =
                    (0..self.rng.between(1, 3)).map(|_| self.fresh()).collect();
                let _ = write!(self.out, "local {}", names.join(", "));
                if !self.rng.chance(4) {
                    self.put(" = ");
                    self.list(2, 3);
                }
                self.scope().variables.extend(names);
                self.put("\n");
            }
            2 => {
                self.put("local k <const> = ");
                self.expression(1);
                self.put("\n");
                self.scope().constants.push("k".into());
            }
            3 | 4 => {
                self.target();
                while self.rng.chance(3) {
                    self.put(", ");
                    self.target();
                }
                self.put(" = ");
                self.list(3, 3);
                self.put("\n");
            }
            5 if !self.scope().labels.is_empty() => {
                // Under a condition, so that what follows is reached.
                let labels = self.scope().labels.clone();
                let label = self.rng.pick(&labels).clone();
                self.put("if ");
                self.expression(1);
                let _ = writeln!(self.out, " then goto {label} end");
            }
            6 if self.scope().in_loop => {
                self.put("if ");
                self.expression(1);
                self.put(" then break end\n");
            }
            _ => {
                // A semicolon, as a call may begin with a parenthesis.
                self.put(";");
                self.call(2);
                self.put("\n");
            }
        }
    }

    /// Parameters, body and end.
    fn function(&mut self, depth: usize) {
        let names: Vec<String> = (0..self.rng.below(3)).map(|i| format!("p{i}")).collect();
        let vararg = if names.is_empty() { "..." } else { ", ..." };
        let _ = writeln!(self.out, "({}{vararg})", names.join(", "));
        let mut scope = self.scope().clone();
        scope.in_loop = false;
        scope.labels.clear();
        scope.variables.extend(names);
        self.scopes.push(scope);
        self.block(depth);
        self.scopes.pop();
        self.put("end\n");
    }

    fn variable(&mut self) {
        let names = [
            self.scope().variables.clone(),
            self.scope().constants.clone(),
        ]
        .concat();
        if names.is_empty() || self.rng.chance(4) {
            let global = *self.rng.pick(&["print", "G", "H", "_ENV"]);
            return self.put(global);
        }
        // Late ones more often.
        let at = names.len() - 1 - self.rng.below(names.len()).min(self.rng.below(names.len()));
        self.put(&names[at]);
    }

    fn target(&mut self) {
        let names: Vec<String> = self.scope().variables.clone();
        match self.rng.below(5) {
            0 | 1 if !names.is_empty() => {
                let name = self.rng.pick(&names).clone();
                self.put(&name);
            }
            2 => {
                self.variable();
                self.put("[");
                self.expression(1);
                self.put("]");
            }
            3 => {
                self.variable();
                self.put(".field");
            }
            _ => self.put("G"),
        }
    }

    fn list(&mut self, depth: usize, max: usize) {
        self.expression(depth);
        for _ in 1..self.rng.between(1, max) {
            self.put(", ");
            self.expression(depth);
        }
    }

    fn call(&mut self, depth: usize) {
        self.variable();
        if self.rng.chance(3) {
            self.put(":m");
        }
        match self.rng.below(4) {
            0 => self.put("()"),
            1 => self.put("\"s\""),
            _ => {
                self.put("(");
                self.list(depth.saturating_sub(1), 4);
                self.put(")");
            }
        }
    }

    fn expression(&mut self, depth: usize) {
        if depth == 0 || self.rng.chance(4) {
            let leaf = self.rng.below(10);
            return match leaf {
                0 => self.put("nil"),
                1 => self.put("true"),
                2 => self.put("false"),
                3 | 4 => {
                    let number = *self.rng.pick(&[
                        "0", "1", "-1", "100", "127", "128", "300", "1e300", "0.5", "3.0", "70000",
                    ]);
                    self.put(number);
                }
                5 => {
                    let string = *self.rng.pick(&[
                        "'s'",
                        "''",
                        "'a string that is longer than the forty bytes of a name'",
                    ]);
                    self.put(string);
                }
                _ => self.variable(),
            };
        }
        let depth = depth - 1;
        match self.rng.below(12) {
            0..=4 => {
                const BINARY: &[&str] = &[
                    "+", "-", "*", "/", "//", "%", "^", "..", "&", "|", "~", "<<", ">>", "==",
                    "~=", "<", "<=", ">", ">=", "and", "or", "and", "or", "..",
                ];
                let operator = *self.rng.pick(BINARY);
                let bare = self.rng.chance(3);
                self.put(if bare { "" } else { "(" });
                self.expression(depth);
                let _ = write!(self.out, " {operator} ");
                self.expression(depth);
                self.put(if bare { "" } else { ")" });
            }
            5 | 6 => {
                let operator = *self.rng.pick(&["not ", "#", "- ", "~ "]);
                self.put(operator);
                self.expression(depth);
            }
            7 => self.call(depth),
            8 => {
                self.put("{");
                if self.rng.chance(2) {
                    self.list(depth, 4);
                    let keyed = *self.rng.pick(&[", x = 1", ", [2] = G"]);
                    self.put(keyed);
                }
                if self.rng.chance(20) {
                    // More than fit one store.
                    self.put(
                        ", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"
                            .repeat(12)
                            .trim_start_matches(", "),
                    );
                    self.put(", ");
                }
                let open = if self.out.ends_with('{') || self.out.ends_with(", ") {
                    ""
                } else {
                    ", "
                };
                self.put(open);
                match self.rng.below(3) {
                    0 => self.put("..."),
                    1 => self.call(depth),
                    _ => self.put("nil"),
                }
                self.put("}");
            }
            9 => {
                self.put("(function");
                self.function(depth.min(1));
                self.put(")");
            }
            10 => {
                self.variable();
                self.put(".field");
            }
            _ => self.put("..."),
        }
    }
}
