//! Makes Lua programs that mean something and end: typed enough to run for a while, wrong often enough to fail in many
//! ways. What they print does not depend on addresses, on the order of `pairs`, on which border `#` finds, nor on the last
//! bits of transcendental functions, so that two implementations can be compared by it.

use std::fmt::Write;
use std::rc::Rc;

use crate::choices::Choices;

/// What each program begins with: `P` prints anything, `S` makes a short string of anything, `N` a number of a NaN,
/// whose sign is shown where the reference runs and nowhere else. What `docs/lua.md` leaves open is not done: sorting what lies behind
/// metamethods (elements are read and written at other times), and making holes by `table.insert` (another border is found).
pub const PRELUDE: &str = r##"local function S(v)
  local t = type(v)
  if t == "number" then return tostring(v == v and v or "nan") end
  if t == "string" or t == "boolean" or t == "nil" then return tostring(v) end
  return t
end
local function N(v) if v ~= v then return 0.5 end return v end
local function D(v, depth)
  if type(v) ~= "table" then return S(v) end
  if depth == 0 then return "{}" end
  local keys = {}
  for k in next, v do
    if type(k) == "number" or type(k) == "string" then keys[#keys + 1] = k end
  end
  table.sort(keys, function(a, b)
    if type(a) ~= type(b) then return type(a) == "number" end
    return a < b
  end)
  for i, k in ipairs(keys) do keys[i] = S(k) .. "=" .. D(rawget(v, k), depth - 1) end
  return "{" .. table.concat(keys, ",") .. "}"
end
local sort, insert = table.sort, table.insert
function table.sort(t, ...)
  if type(t) == "table" and getmetatable(t) ~= nil then return end
  return sort(t, ...)
end
function table.insert(...)
  local n = select("#", ...)
  if n > 1 and (select(n, ...)) == nil then return end
  return insert(...)
end
local function P(...)
  local out = {}
  for i = 1, select("#", ...) do out[i] = D((select(i, ...)), 3) end
  print(table.concat(out, " "))
end
"##;

/// What a value is meant to be.
#[derive(Clone, PartialEq)]
enum Kind {
    Int,
    Num,
    Str,
    Bool,
    /// A table of integers from 1 on without holes.
    Seq,
    /// A table with some fields of anything.
    Rec,
    /// A table whose metatable has something for everything.
    Obj,
    Any,
    Fun(Rc<Signature>),
}

#[derive(PartialEq)]
struct Signature {
    params: Vec<Kind>,
    vararg: bool,
    result: Kind,
    cost: usize,
    may_yield: bool,
}

#[derive(Clone)]
struct Var {
    name: String,
    kind: Kind,
    assignable: bool,
}

/// What a place in the program may use, besides its variables.
#[derive(Clone, Copy, Default)]
struct Place {
    in_loop: bool,
    vararg: bool,
    coroutine: bool,
    /// A failure here is caught, so wrong kinds are welcome.
    caught: bool,
    /// No yields: a function of the library is on the way.
    native: bool,
    /// How often this place runs for one run of its function.
    times: usize,
    functions: usize,
}

struct Maker<'a> {
    choices: &'a mut Choices,
    out: String,
    indent: usize,
    vars: Vec<Var>,
    place: Place,
    /// Statements that may still come.
    left: usize,
    /// Running number for unique names.
    unique: usize,
    /// What one run of the current function costs so far.
    cost: usize,
}

const COST_MAX: usize = 3_000;
const STATEMENTS: usize = 45;

/// A program. The same choices make the same program.
pub fn make(choices: &mut Choices) -> String {
    let mut maker = Maker {
        choices,
        out: PRELUDE.to_owned(),
        indent: 0,
        vars: Vec::new(),
        place: Place {
            vararg: true,
            times: 1,
            ..Place::default()
        },
        left: STATEMENTS,
        unique: 0,
        cost: 0,
    };
    while maker.left > 0 && !maker.choices.exhausted() {
        maker.statement(3);
    }
    let names = maker.printable();
    maker.line(&format!("P({})", names.join(", ")));
    maker.out
}

impl Maker<'_> {
    fn line(&mut self, text: &str) {
        for _ in 0..self.indent {
            self.out.push_str("  ");
        }
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn name(&mut self, prefix: &str) -> String {
        self.unique += 1;
        format!("{prefix}{}", self.unique)
    }

    /// A name for a variable: few, so that they hide each other.
    fn common_name(&mut self) -> String {
        self.choices
            .pick(&["a", "b", "c", "d", "e", "x", "y", "z", "p", "q"])
            .to_owned()
    }

    /// Variables that can be seen, innermost first.
    fn visible(&self) -> Vec<&Var> {
        let mut found: Vec<&Var> = Vec::new();
        for var in self.vars.iter().rev() {
            if !found.iter().any(|other| other.name == var.name) {
                found.push(var);
            }
        }
        found
    }

    fn printable(&self) -> Vec<String> {
        let names = self.visible().into_iter().map(|var| var.name.clone());
        names.take(20).collect()
    }

    fn variable(&mut self, wanted: impl Fn(&Var) -> bool) -> Option<Var> {
        let mut found: Vec<Var> = self
            .visible()
            .into_iter()
            .filter(|var| wanted(var))
            .cloned()
            .collect();
        if found.is_empty() {
            return None;
        }
        let at = self.choices.below(found.len());
        Some(found.swap_remove(at))
    }

    /// Runs `body` in a block of its own.
    fn scope(&mut self, place: Place, body: impl FnOnce(&mut Self)) {
        let (vars, outer) = (self.vars.len(), self.place);
        self.place = place;
        self.indent += 1;
        body(self);
        self.indent -= 1;
        self.place = outer;
        self.vars.truncate(vars);
    }

    fn block(&mut self, depth: usize, max: usize) {
        let count = self.choices.between(1, max);
        for _ in 0..count {
            if self.left > 0 {
                self.statement(depth);
            }
        }
    }

    fn declare(&mut self, name: &str, kind: Kind, assignable: bool) {
        self.vars.push(Var {
            name: name.to_owned(),
            kind,
            assignable,
        });
    }

    // ---- statements ----

    fn statement(&mut self, depth: usize) {
        self.left = self.left.saturating_sub(1);
        self.cost += self.place.times;
        let flat = depth == 0 || self.cost > COST_MAX;
        let which = self.choices.below(if flat { 12 } else { 30 });
        let inner = depth.saturating_sub(1);
        match which {
            0 | 1 => self.print(),
            2..=4 => self.local(),
            5 | 6 => self.assign(),
            7 => self.change_table(),
            8 => self.jump_out(),
            9 => self.multiple(),
            10 => self.call_statement(),
            11 => self.oddity(),
            12 | 13 => self.if_(inner),
            14 | 15 => self.numeric_for(inner),
            16 => self.generic_for(inner),
            17 => self.while_(inner),
            18 => self.goto_(inner),
            19..=21 => self.function(inner),
            22..=24 => self.protected(inner),
            25 | 26 => self.coroutine(inner),
            27 => self.object(inner),
            28 => self.closed_variable(inner),
            _ => {
                self.line("do");
                self.scope(self.place, |m| m.block(inner, 4));
                self.line("end");
            }
        }
    }

    fn print(&mut self) {
        let mut list = Vec::new();
        for _ in 0..self.choices.between(1, 3) {
            let kind = self.kind();
            list.push(self.expr(&kind, 3));
        }
        let list = list.join(", ");
        self.line(&format!("P({list})"));
    }

    fn kind(&mut self) -> Kind {
        match self.choices.below(16) {
            0..=3 => Kind::Int,
            4..=6 => Kind::Num,
            7..=9 => Kind::Str,
            10 | 11 => Kind::Bool,
            12 => Kind::Seq,
            13 => Kind::Rec,
            _ => Kind::Any,
        }
    }

    fn local(&mut self) {
        let kind = self.kind();
        let value = self.expr(&kind, 3);
        let name = self.common_name();
        match self.choices.below(8) {
            7 => {
                self.line(&format!("local {name} <const> = {value}"));
                self.declare(&name, kind, false);
            }
            6 => {
                // A global.
                let name = self.choices.pick(&["G", "H", "K"]).to_owned();
                self.line(&format!("{name} = {value}"));
                // Declared like a local: as far as it is seen, it is of this kind, if it is not assigned elsewhere.
                if !self.vars.iter().any(|var| var.name == name) && self.place.functions == 0 {
                    self.declare(&name, Kind::Any, true);
                }
            }
            _ => {
                self.line(&format!("local {name} = {value}"));
                self.declare(&name, kind, true);
            }
        }
    }

    /// A value for an assignment, which must not grow with each turn of a loop.
    fn bounded(&mut self, kind: &Kind, depth: usize) -> String {
        let value = self.expr(kind, depth);
        if *kind == Kind::Str && (self.place.times > 1 || self.place.functions > 0) {
            return format!("({value}):sub(1, 60)");
        }
        value
    }

    fn assign(&mut self) {
        let Some(var) =
            self.variable(|var| var.assignable && !matches!(var.kind, Kind::Fun(_) | Kind::Obj))
        else {
            return self.local();
        };
        // Any may hold a table that holds it: strings of it stay short, being `S` of it.
        let value = self.bounded(&var.kind, 3);
        self.line(&format!("{} = {value}", var.name));
    }

    fn change_table(&mut self) {
        if self.choices.below(2) == 0
            && let Some(var) = self.variable(|var| var.kind == Kind::Seq)
        {
            let name = var.name;
            let int = self.expr(&Kind::Int, 2);
            let text = match self.choices.below(9) {
                0 | 1 => format!("table.insert({name}, {int})"),
                2 => format!("{name}[#{name} + 1] = {int}"),
                3 => format!("table.insert({name}, 1, {int})"),
                4 => format!("P(table.remove({name}))"),
                5 => format!("P(table.remove({name}, 1))"),
                6 => format!("table.sort({name})"),
                7 => format!("table.sort({name}, function(a, b) return a > b end)"),
                _ => {
                    let at = self.expr(&Kind::Int, 1);
                    format!("if #{name} > 0 then {name}[({at}) % #{name} + 1] = {int} end")
                }
            };
            // At most so many, wherever this stands.
            if text.contains("insert") || text.contains("+ 1] =") {
                return self.line(&format!("if #{name} < 40 then {text} end"));
            }
            return self.line(&text);
        }
        if let Some(var) = self.variable(|var| var.kind == Kind::Rec) {
            let field = self.field();
            let value = self.bounded(&Kind::Any, 2);
            let text = match self.choices.below(4) {
                0 => format!("rawset({}, \"r\", {value})", var.name),
                1 => {
                    let key = self.expr(&Kind::Any, 1);
                    // Neither nil nor NaN most of the time.
                    format!("{}[S({key})] = {value}", var.name)
                }
                _ => format!("{}{field} = {value}", var.name),
            };
            return self.line(&text);
        }
        self.local();
    }

    fn field(&mut self) -> String {
        self.choices
            .pick(&[
                ".a",
                ".b",
                ".c",
                ".v",
                "[1]",
                "[2]",
                "[\"a b\"]",
                "[true]",
                "[2.0]",
                "[1.5]",
                "[-1]",
            ])
            .to_owned()
    }

    fn jump_out(&mut self) {
        let condition = self.expr(&Kind::Bool, 2);
        if self.place.in_loop && self.choices.below(3) > 0 {
            return self.line(&format!("if {condition} then break end"));
        }
        if self.place.functions > 0 {
            let value = self.expr(&Kind::Any, 2);
            // Its type may not be the function's: only where nothing is made of it.
            if self.place.caught {
                return self.line(&format!("if {condition} then return {value} end"));
            }
        }
        self.print();
    }

    fn multiple(&mut self) {
        match self.choices.below(5) {
            0 => {
                let (a, b) = (self.kind(), self.kind());
                let (x, y) = (self.expr(&a, 2), self.expr(&b, 2));
                let (first, second) = (self.name("m"), self.name("m"));
                self.line(&format!("local {first}, {second} = {x}, {y}"));
                self.declare(&first, a, true);
                self.declare(&second, b, true);
            }
            1 => {
                // A swap, or an assignment to what the targets are found by.
                let Some(a) = self.variable(|var| var.assignable && var.kind == Kind::Int) else {
                    return self.local();
                };
                let Some(seq) = self.variable(|var| var.kind == Kind::Rec) else {
                    let b = self.expr(&Kind::Int, 2);
                    return self.line(&format!("{0}, G = {b}, {0}", a.name));
                };
                let (x, y) = (self.expr(&Kind::Int, 2), self.expr(&Kind::Int, 2));
                self.line(&format!(
                    "{0}, {1}[{0}], {1}.w = {x}, {y}, {0}",
                    a.name, seq.name
                ));
            }
            2 => {
                let (x, list) = (self.name("m"), self.open_list());
                let (y, z) = (self.name("m"), self.name("m"));
                self.line(&format!("local {x}, {y}, {z} = {list}"));
                for name in [x, y, z] {
                    self.declare(&name, Kind::Any, true);
                }
            }
            3 => {
                let list = self.open_list();
                self.line(&format!("P(select(\"#\", {list}), {list})"));
            }
            _ => {
                let list = self.open_list();
                let name = self.name("t");
                self.line(&format!("local {name} = table.pack({list})"));
                self.declare(&name, Kind::Rec, false);
                self.line(&format!("P({name}.n, table.unpack({name}, 1, {name}.n))"));
            }
        }
    }

    /// Expressions of which the last has any number of values.
    fn open_list(&mut self) -> String {
        let mut list = Vec::new();
        for _ in 0..self.choices.below(3) {
            list.push(self.expr(&Kind::Any, 1));
        }
        let last = match self.choices.below(9) {
            0 | 1 if self.place.vararg => "...".to_owned(),
            2 => {
                let seq = self.expr(&Kind::Seq, 1);
                format!("table.unpack({seq})")
            }
            3 => {
                let (s, pattern) = (self.expr(&Kind::Str, 1), self.pattern());
                format!("string.find({s}, {pattern})")
            }
            4 => {
                let n = self.expr(&Kind::Num, 1);
                format!("math.modf({n})")
            }
            5 if self.place.vararg => {
                let n = self.choices.pick(&["1", "2", "-1", "-2", "3"]).to_owned();
                format!("select({n}, ...)")
            }
            6 => {
                let s = self.expr(&Kind::Str, 1);
                format!("({s}):byte(1, 3)")
            }
            7 => {
                let s = self.expr(&Kind::Any, 1);
                format!("pcall(error, {s})")
            }
            _ => match self.call_of(None) {
                Some(call) => call,
                None => "nil, nil".into(),
            },
        };
        list.push(last);
        list.join(", ")
    }

    fn call_statement(&mut self) {
        if let Some(call) = self.call_of(None) {
            return self.line(&format!(";P({call})"));
        }
        self.print();
    }

    /// Things of the library that fit nowhere else.
    fn oddity(&mut self) {
        let text = match self.choices.below(30) {
            0 => {
                let s = self.expr(&Kind::Str, 1);
                format!(
                    "for w in string.gmatch({s}, {}) do P(w) end",
                    self.pattern()
                )
            }
            1 => {
                let s = self.expr(&Kind::Str, 1);
                let repl = self.choices.pick(&[
                    "'%0%0'",
                    "'<%1>'",
                    "{a = 'A', h = true, ['1'] = false}",
                    "function(x) return #x end",
                    "function(x, y) if y then return y end end",
                    "'%%'",
                    "'%9'",
                    "''",
                ]);
                let repl = repl.to_owned();
                let max = self.choices.pick(&["", ", 1", ", 0", ", 2"]).to_owned();
                let text = format!("string.gsub({s}, {}, {repl}{max})", self.pattern());
                self.checked(&text)
            }
            2 => {
                let chunk = self.choices.pick(&[
                    "return ...",
                    "return 1 +",
                    "local x <const> = 1; x = 2",
                    "goto nowhere",
                    "for i = 1, 3 do break end return 'ok'",
                    "return 0x1p4, 1e, 3",
                    "x = 'abc",
                    "return \\\"\\\\xZZ\\\"",
                    "::a:: ::a::",
                    "local t <close> = 5",
                    "return function() return 1 end",
                    "break",
                    "return ... = 3",
                    "local function f() return ... end",
                    "a.b:c = 1",
                    "return 1 .. 2",
                    "x y",
                    "return {1, 2, 3",
                    "if x then else elseif y then end",
                ]);
                format!("P(load(\"{chunk}\"))")
            }
            3 => {
                let n = self.expr(&Kind::Int, 2);
                format!("P(load(\"return \" .. S({n}))())")
            }
            4 => {
                let s = self.expr(&Kind::Str, 1);
                let base = self.choices.between(2, 36);
                format!("P(tonumber({s}, {base}))")
            }
            5 => {
                let n = self.expr(&Kind::Num, 2);
                let f = self
                    .choices
                    .pick(&["floor", "ceil", "abs", "tointeger", "type", "modf"]);
                let text = format!("math.{f}({n})");
                self.checked(&text)
            }
            6 => {
                let (a, b) = (self.expr(&Kind::Num, 2), self.expr(&Kind::Num, 2));
                // `fmod` looks at its second argument first.
                let f = self.choices.pick(&["fmod", "max", "min", "ult"]);
                let b = if f == "fmod" {
                    format!("({b}) or 3")
                } else {
                    b
                };
                let text = format!("math.{f}({a}, {b})");
                self.checked(&text)
            }
            7 => {
                let format = self
                    .choices
                    .pick(&["i4", ">I2", "z", "s1", "d", "<j", "!4i1i8", "B", "s4 b"])
                    .to_owned();
                let value = match format.as_str() {
                    "z" | "s1" => self.expr(&Kind::Str, 1),
                    "d" => self.expr(&Kind::Num, 1),
                    _ => self.expr(&Kind::Int, 2),
                };
                let text =
                    format!("string.unpack(\"{format}\", string.pack(\"{format}\", {value}))");
                self.checked(&text)
            }
            8 => {
                let s = self.expr(&Kind::Str, 2);
                let f = self.choices.pick(&[
                    "utf8.len",
                    "utf8.codepoint",
                    "#",
                    "string.reverse",
                    "tonumber",
                    "string.len",
                ]);
                let text = format!("{f}({s})");
                self.checked(&text)
            }
            9 => {
                let seq = self.expr(&Kind::Seq, 2);
                let (i, j) = (self.small_int(), self.small_int());
                let text = match self.choices.below(4) {
                    0 => format!("table.concat({seq}, \"-\", {i}, {j})"),
                    1 => format!("table.unpack({seq}, {i}, {j})"),
                    // Of a copy: it may make holes.
                    2 => format!("table.move({{table.unpack({seq})}}, {i}, {j}, 2)"),
                    _ => format!("table.remove({seq}, {i})"),
                };
                self.checked(&text)
            }
            10 => {
                let s = self.expr(&Kind::Str, 1);
                let (i, j) = (self.small_int(), self.small_int());
                let text = match self.choices.below(4) {
                    0 => format!("string.sub({s}, {i}, {j})"),
                    1 => format!("string.byte({s}, {i}, {j})"),
                    2 => format!("string.rep({s}, {i}, ',')"),
                    _ => format!("string.find({s}, 'a', {i}, true)"),
                };
                self.checked(&text)
            }
            11 => {
                let text = self.format();
                self.checked(&text)
            }
            12 => "collectgarbage()".to_owned(),
            16 => {
                let n = self.choices.between(1, 3);
                let value = self.expr(&Kind::Any, 1).replace("...", "nil");
                format!(
                    "for v, w in coroutine.wrap(function() for i = 1, {n} do coroutine.yield(i, {value}) end end) do P(v, w) end"
                )
            }
            17 => {
                let value = self.expr(&Kind::Any, 1);
                let field = self
                    .choices
                    .pick(&["x", "len", "y.z", "[1]", "__index"])
                    .to_owned();
                let field = if field.starts_with('[') {
                    field
                } else {
                    format!(".{field}")
                };
                self.caught_call(&format!("local v = {value} return v{field}"))
            }
            18 => {
                let (value, other) = (self.expr(&Kind::Any, 1), self.expr(&Kind::Any, 1));
                self.caught_call(&format!("local v = {value} v.x = {other} return v"))
            }
            19 => {
                let value = self.expr(&Kind::Any, 1);
                self.caught_call(&format!("local v = {value} return v:m()"))
            }
            20 => {
                let (a, b) = (self.expr(&Kind::Any, 1), self.expr(&Kind::Any, 1));
                let operator = self
                    .choices
                    .pick(&["<", "<=", ">", "+", "..", "&", "<<", "//", "%", "^"]);
                self.caught_call(&format!("local v, w = {a}, {b} return v {operator} w"))
            }
            21 if self.choices.chance(100) => {
                "P(pcall(function() local function f() return 1 + f() end return f() end))"
                    .to_owned()
            }
            22 => {
                // Through a binary chunk, which has no upvalues of its own.
                let (x, y) = (self.expr(&Kind::Int, 2), self.expr(&Kind::Str, 1));
                let strip = self.choices.pick(&["", ", true"]).to_owned();
                format!("P(pcall(load(string.dump(function(a, b, ...) local c = a local function g() c = c + 1 return c, b, ... and 1 end return g() end{strip})), {x}, {y}))")
                    .replace(", ... and 1", "")
            }
            23 => {
                // Closures of loops: each turn has its own variable.
                let n = self.choices.between(1, 4);
                let value = self.expr(&Kind::Int, 1);
                format!(
                    "do local fs = {{}} for i = 1, {n} do local k = i * 2 fs[i] = function(d) k = k + d i = i + 1 return i, k end end for i = 1, {n} do P(fs[i]({value}), fs[i](1)) end end"
                )
            }
            24 => {
                let (s, t) = (self.expr(&Kind::Str, 1), self.expr(&Kind::Str, 1));
                let mode = self.choices.pick(&["k", "v", "kv"]).to_owned();
                format!(
                    "do local w = setmetatable({{}}, {{__mode = \"{mode}\"}}) w[{s}] = {t} w[1] = 2 collectgarbage() P(w) end"
                )
            }
            25 => {
                let s = self.expr(&Kind::Str, 1);
                let f = self.choices.pick(&[
                    "utf8.offset(s, 2)",
                    "utf8.offset(s, -1)",
                    "utf8.codepoint(s, 1, -1)",
                    "utf8.len(s, -2)",
                    "string.find(s, 'l', -3)",
                    "string.match(s, '(.)(.)', 2)",
                    "string.gsub(s, '()', '%1')",
                    "string.format('%q', s)",
                    "s:rep(2, s)",
                    "s:byte(-3, -1)",
                    "math.tointeger(s)",
                    "tonumber(s, 16)",
                    "tostring(s) == s, #s",
                    "string.format('%-8s|%.2s|%5s', s, s, s)",
                    "string.pack('s1z', s, 'x')",
                    "(s .. s):find(s, 2, true)",
                ]);
                self.caught_call(&format!("local s = {s} return {f}"))
            }
            26 => {
                let (x, y) = (self.expr(&Kind::Int, 2), self.expr(&Kind::Num, 2));
                let f = self.choices.pick(&[
                    "x < y, x <= y, x == y, y < x, y <= x",
                    "math.ult(x, 3), x // 1 | 0",
                    "math.floor(y), math.ceil(y)",
                    "x == math.tointeger(y), math.type(y)",
                    "({[y] = 1})[x], ({[x] = 1})[y]",
                    "string.format('%d', y)",
                    "1 << (x & 63), x >> 1, x >> -1, ~x",
                    "y | 0",
                    "x % 7, x // 7, x % -7, x // -7, -x % 7",
                    "y % 3, y // 3, y % -3, y // -3",
                    "math.abs(x), math.max(x, y), math.min(x, y)",
                ]);
                self.caught_call(&format!("local x, y = {x}, N({y}) return {f}"))
            }
            27 => {
                let n = self.small_int();
                let list = self.open_list();
                self.checked(&format!("select({n}, {list})"))
            }
            28 => {
                // Deep constructors and long lists.
                let n = self.choices.between(45, 60);
                let value = self.expr(&Kind::Int, 1);
                let items = vec!["e"; n].join(", ");
                format!("do local e = {value} local t = {{{items}, {items}}} P(#t, t[{n}]) end")
            }
            29 => {
                let (a, b) = (self.expr(&Kind::Any, 1), self.expr(&Kind::Any, 1));
                format!(
                    "do local t = {{}} t.a, t.b, t[S({a})] = {b}, {a} P(t) local r = {{t, t}} r[1].a = nil P(r[2]) end"
                )
            }
            13 | 14 => {
                let (a, b) = (self.expr(&Kind::Any, 2), self.expr(&Kind::Any, 2));
                format!("P(rawequal({a}, {b}), rawlen({{{a}}}) , next({{}}))")
            }
            15 => {
                let n = self.small_int();
                format!("P(pcall(utf8.char, {n}, 228 + {n}, 8364))")
            }
            _ => {
                let f = self.choices.pick(&[
                    "tostring",
                    "tonumber",
                    "type",
                    "ipairs",
                    "select",
                    "rawget",
                    "setmetatable",
                    "string.rep",
                    "math.floor",
                    "table.concat",
                    "string.format",
                ]);
                let list = if self.choices.below(2) == 0 {
                    self.expr(&Kind::Any, 1)
                } else {
                    let (x, y) = (self.expr(&Kind::Any, 1), self.expr(&Kind::Any, 1));
                    format!("{x}, {y}")
                };
                // What they give may be a function or an address.
                format!("P((select(2, pcall({f}, {list}))))")
            }
        };
        self.line(&text);
    }

    /// Prints a call's results, caught unless an error is no harm.
    fn checked(&mut self, call: &str) -> String {
        if self.place.caught && self.choices.below(2) == 0 {
            return format!("P({call})");
        }
        self.caught_call(&format!("return {call}"))
    }

    /// Prints what a protected call of statements gives.
    fn caught_call(&mut self, body: &str) -> String {
        if self.place.vararg {
            return format!("P(pcall(function(...) {body} end, ...))");
        }
        format!("P(pcall(function() {body} end))")
    }

    fn if_(&mut self, depth: usize) {
        let condition = self.condition();
        self.line(&format!("if {condition} then"));
        self.scope(self.place, |m| m.block(depth, 3));
        if self.choices.chance(3) {
            let condition = self.condition();
            self.line(&format!("elseif {condition} then"));
            self.scope(self.place, |m| m.block(depth, 3));
        }
        if self.choices.chance(2) {
            self.line("else");
            self.scope(self.place, |m| m.block(depth, 3));
        }
        self.line("end");
    }

    fn condition(&mut self) -> String {
        let kind = if self.choices.chance(5) {
            Kind::Any
        } else {
            Kind::Bool
        };
        self.expr(&kind, 3)
    }

    fn loop_place(&self, times: usize) -> Place {
        Place {
            in_loop: true,
            times: self.place.times * times,
            ..self.place
        }
    }

    fn numeric_for(&mut self, depth: usize) {
        const RANGES: &[&str] = &[
            "1, 3",
            "3, 1, -1",
            "1, 0",
            "0, 10, 4",
            "math.maxinteger - 2, math.maxinteger",
            "math.mininteger + 2, math.mininteger, -1",
            "1.0, 3",
            "0, 1, 0.25",
            "1, 2.5",
            "3, -math.huge, -1",
            "-1, -3, -1",
            "math.maxinteger, math.maxinteger + 1.0",
            "1, 3.9999",
            "-0.0, 1",
            "math.maxinteger - 1, math.huge, 2",
            "1, 5, 0x7fffffffffffffff",
        ];
        const WRONG: &[&str] = &[
            "1, 10, 0",
            "'1', 2",
            "1, 'x'",
            "1, {}",
            "1, 2, nil",
            "nil, 1",
            "0.1, 1, 0.0",
        ];
        let range = if self.place.caught && self.choices.chance(6) {
            self.choices.pick(WRONG)
        } else {
            self.choices.pick(RANGES)
        };
        let mut range = range.to_owned();
        if self.choices.chance(5) {
            let (from, count) = (self.expr(&Kind::Int, 1), self.choices.below(4));
            let from_name = self.name("n");
            self.line(&format!("local {from_name} = {from}"));
            range = format!("{from_name}, {from_name} + {count}");
        }
        let float = range.contains('.') && !range.starts_with("1, ") && !range.starts_with("math");
        let name = if self.choices.chance(3) {
            "i".to_owned()
        } else {
            self.common_name()
        };
        self.line(&format!("for {name} = {range} do"));
        let mut place = self.loop_place(4);
        let guard = range.contains("huge");
        if guard {
            place.times = self.place.times * 10;
        }
        self.scope(place, |m| {
            m.declare(&name, if float { Kind::Num } else { Kind::Int }, false);
            if guard {
                m.line(&format!("if {name} < -5 then break end"));
            }
            if m.choices.chance(4) {
                // Assigning to the variable does not change the loop.
                m.vars.last_mut().expect("just declared").assignable = true;
            }
            m.block(depth, 3);
        });
        self.line("end");
    }

    fn generic_for(&mut self, depth: usize) {
        let place = self.loop_place(4);
        match self.choices.below(7) {
            0 | 1 => {
                let seq = self.expr(&Kind::Seq, 2);
                let limit = self.name("i");
                self.line(&format!("for {limit}, v in ipairs({seq}) do"));
                self.scope(place, |m| {
                    m.declare(&limit, Kind::Int, false);
                    m.declare("v", Kind::Int, true);
                    m.line(&format!("if {limit} > 5 then break end"));
                    m.block(depth, 3);
                });
                self.line("end");
            }
            2 => {
                let rec = self.expr(&Kind::Rec, 2);
                let count = self.name("n");
                self.line(&format!("local {count} = 0"));
                self.line(&format!("for k, v in pairs({rec}) do {count} = {count} + (math.type(k) == \"integer\" and k or 1) * (math.type(v) == \"integer\" and v or 1) end"));
                self.declare(&count, Kind::Any, true);
            }
            3 => {
                // A closure as iterator.
                let (count, captured) = (self.choices.between(1, 3), self.name("n"));
                self.line(&format!("local {captured} = 0"));
                self.line(&format!(
                    "for x, y in function(s, c) {captured} = {captured} + 1 if {captured} <= {count} then return {captured}, c end end, nil, 'init' do"
                ));
                self.scope(place, |m| {
                    m.declare("x", Kind::Int, true);
                    m.declare("y", Kind::Any, true);
                    m.block(depth, 3);
                });
                self.line("end");
            }
            4 => {
                // With a closing value.
                let label = self.unique;
                self.line(&format!(
                    "for x in next, {{1, 2, 3}}, nil, setmetatable({{}}, {{__close = function(o, e) P(\"for closed {label}\", e) end}}) do"
                ));
                self.scope(place, |m| {
                    m.declare("x", Kind::Int, true);
                    m.block(depth, 3);
                });
                self.line("end");
            }
            5 => {
                // A table that is called, or something that is not.
                let call = if self.place.caught && self.choices.chance(2) {
                    self.expr(&Kind::Any, 1)
                } else {
                    "setmetatable({n = 0}, {__call = function(t, s, c) t.n = t.n + 1 if t.n < 4 then return t.n end end})".to_owned()
                };
                self.line(&format!("for x in {call} do"));
                self.scope(place, |m| {
                    m.declare("x", Kind::Any, true);
                    m.block(depth, 2);
                });
                self.line("end");
            }
            _ => {
                let s = self.expr(&Kind::Str, 1);
                self.line(&format!(
                    "for p, c in string.gmatch(({s}):sub(1, 9), \"()(.)\") do"
                ));
                self.scope(place, |m| {
                    m.declare("p", Kind::Int, true);
                    m.declare("c", Kind::Str, true);
                    m.block(depth, 2);
                });
                self.line("end");
            }
        }
    }

    fn while_(&mut self, depth: usize) {
        let count = self.name("w");
        let times = self.choices.between(1, 4);
        self.line(&format!("local {count} = 0"));
        let condition = self.expr(&Kind::Bool, 2);
        let place = self.loop_place(times);
        if self.choices.below(2) == 0 {
            self.line(&format!(
                "while {count} < {times} and ({condition} or true) do"
            ));
            self.scope(place, |m| {
                m.line(&format!("{count} = {count} + 1"));
                m.block(depth, 3);
            });
            self.line("end");
        } else {
            self.line("repeat");
            self.scope(place, |m| {
                m.line(&format!("{count} = {count} + 1"));
                m.line(&format!("local u = {count}"));
                m.declare("u", Kind::Int, true);
                m.block(depth, 3);
                // The condition sees the body's variables; a `break` above may leave, but no `goto` comes here.
                let condition = m.expr(&Kind::Bool, 2);
                m.indent -= 1;
                m.line(&format!("until {count} >= {times} or {condition}"));
                m.indent += 1;
            });
        }
    }

    fn goto_(&mut self, depth: usize) {
        let label = self.name("l");
        match self.choices.below(3) {
            // Continue.
            0 => {
                self.line("for i = 1, 3 do");
                let place = self.loop_place(3);
                self.scope(place, |m| {
                    m.declare("i", Kind::Int, false);
                    m.block(depth, 2);
                    let condition = m.expr(&Kind::Bool, 2);
                    m.line(&format!("if {condition} then goto {label} end"));
                    m.block(depth, 3);
                    m.line(&format!("::{label}::"));
                });
                self.line("end");
            }
            // Backwards, with what closures made of each turn's variables.
            1 => {
                let count = self.name("n");
                self.line(&format!("local {count}, fs{count} = 0, {{}}"));
                self.line("do");
                let mut place = self.loop_place(3);
                place.in_loop = self.place.in_loop;
                self.scope(place, |m| {
                    m.line(&format!("::{label}::"));
                    m.line(&format!("local c = {count} * 10"));
                    m.declare("c", Kind::Int, true);
                    m.line(&format!(
                        "fs{count}[#fs{count} + 1] = function() c = c + 1 return c end"
                    ));
                    m.line(&format!("{count} = {count} + 1"));
                    m.block(depth, 3);
                    m.line(&format!("if {count} < 3 then goto {label} end"));
                });
                self.line("end");
                self.line(&format!(
                    "for i = 1, #fs{count} do P(fs{count}[i](), fs{count}[i]()) end"
                ));
            }
            // Out of two loops.
            _ => {
                self.line("do");
                self.scope(self.place, |m| {
                    m.line("for i = 1, 3 do for j = 1, 3 do");
                    let place = m.loop_place(9);
                    m.scope(place, |m| {
                        m.declare("i", Kind::Int, false);
                        m.declare("j", Kind::Int, false);
                        m.block(depth, 2);
                        let condition = m.expr(&Kind::Bool, 2);
                        m.line(&format!("if {condition} then goto {label} end"));
                    });
                    m.line("end end");
                    m.line(&format!("::{label}::"));
                });
                self.line("end");
            }
        }
    }

    /// Parameters, body and `end` of a function, and its signature. `head` is what stands before the parameters.
    fn body(&mut self, head: &str, depth: usize, result: &Kind, caught: bool) -> Signature {
        let mut params = Vec::new();
        let mut names = Vec::new();
        for _ in 0..self.choices.below(4) {
            let name = self.common_name();
            if !names.contains(&name) {
                params.push(self.kind());
                names.push(name);
            }
        }
        let vararg = self.choices.chance(3);
        let mut shown = names.clone();
        if vararg {
            shown.push("...".into());
        }
        self.line(&format!("{head}({})", shown.join(", ")));
        let cost = std::mem::replace(&mut self.cost, 1);
        let place = Place {
            in_loop: false,
            vararg,
            caught,
            times: 1,
            functions: self.place.functions + 1,
            ..self.place
        };
        self.scope(place, |m| {
            for (name, kind) in names.iter().zip(&params) {
                m.declare(name, kind.clone(), true);
            }
            m.block(depth, 4);
            let value = m.expr(result, 3);
            match m.choices.below(4) {
                0 => {
                    let more = m.expr(&Kind::Any, 1);
                    m.line(&format!("return {value}, {more}"));
                }
                _ => m.line(&format!("return {value}")),
            }
        });
        self.line("end");
        let own = std::mem::replace(&mut self.cost, cost);
        Signature {
            params,
            vararg,
            result: result.clone(),
            cost: own,
            may_yield: self.place.coroutine,
        }
    }

    fn function(&mut self, depth: usize) {
        let kind = self.kind();
        if self.choices.chance(8) {
            return self.recursive();
        }
        let name = self.name("f");
        let (head, local) = match self.choices.below(4) {
            0 | 1 => (format!("local function {name}"), true),
            2 => (format!("local {name} = function"), true),
            _ => (format!("function {name}"), false),
        };
        // Everything but what is caught fails as a whole.
        let signature = self.body(&head, depth, &kind, self.place.caught);
        let _ = local;
        self.declare(&name, Kind::Fun(Rc::new(signature)), false);
        self.call_statement();
    }

    fn recursive(&mut self) {
        let name = self.name("f");
        let vararg = std::mem::replace(&mut self.place.vararg, false);
        let (step, base) = (self.expr(&Kind::Int, 1), self.expr(&Kind::Int, 1));
        self.place.vararg = vararg;
        let shape = self.choices.below(4);
        self.line(&format!("local function {name}(n, acc)"));
        self.indent += 1;
        self.line(&format!("if n <= 0 then return acc or {base} end"));
        match shape {
            0 => self.line(&format!("return {name}(n - 1, (acc or 0) + {step})")),
            1 => self.line(&format!("return {step} + {name}(n - 1)")),
            2 => self.line(&format!(
                "local t = {{{name}(n - 1)}} return n, {name}(n - 2), t[1]"
            )),
            _ => self.line(&format!("return select(2, pcall({name}, n - 1)), n")),
        }
        self.indent -= 1;
        self.line("end");
        self.line(&format!("P({name}(6))"));
    }

    fn protected(&mut self, depth: usize) {
        match self.choices.below(5) {
            0..=2 => {
                let head = "P(pcall(function";
                let kind = self.kind();
                let start = self.out.len();
                let signature = self.body(head, depth, &kind, true);
                // Turn the `end` into the end of the call.
                self.out.truncate(self.out.len() - 1);
                let args = self.arguments(&signature);
                let args = if args.is_empty() {
                    args
                } else {
                    format!(", {args}")
                };
                let _ = writeln!(self.out, "{args}))");
                self.cost += self.place.times * signature.cost;
                debug_assert!(start < self.out.len());
            }
            3 => {
                let kind = self.kind();
                self.body("P(xpcall(function", depth, &kind, true);
                self.out.truncate(self.out.len() - 1);
                let handler = self.choices.pick(&[
                    "function(m) return \"H:\" .. S(m) end",
                    "function(m) return m, 2 end",
                    "function(m) error(m, 0) end",
                    "function(m) P(\"handling\") return {m} end",
                    "tostring",
                    "function() return select(2, pcall(error, \"inner\", 0)) end",
                ]);
                let _ = writeln!(self.out, ", {handler}, 1, 2))");
            }
            _ => {
                let failing = self.failing();
                let text = self.caught_call(&failing);
                self.line(&text);
            }
        }
    }

    /// A statement that fails, most of the time.
    fn failing(&mut self) -> String {
        let value = self.expr(&Kind::Any, 1);
        match self.choices.below(14) {
            0 => format!("error({value})"),
            1 => format!("error({value}, 0)"),
            2 => format!("error(\"e\" .. S({value}), 2)"),
            3 => format!("assert(false, {value})"),
            4 => format!("assert({value})"),
            5 => "local u; u.x = 1".into(),
            6 => "local u = {}; return u.x.y.z".into(),
            7 => format!("return undefined({value})"),
            8 => format!("local u = {{}}; u:method({value})"),
            9 => format!("return {value} < {{}}"),
            10 => "return 1 // 0".into(),
            11 => "return 2^53 | 1.5".into(),
            12 => format!("return #{value} .. {value}"),
            _ => "error(setmetatable({}, {__tostring = function() return 'custom' end}))".into(),
        }
    }

    fn coroutine(&mut self, depth: usize) {
        if self.place.native {
            return self.print();
        }
        let name = self.name("co");
        let wrap = self.choices.below(2) == 0;
        let head = if wrap {
            format!("local {name} = coroutine.wrap(function")
        } else {
            format!("local {name} = coroutine.create(function")
        };
        let outer = self.place;
        self.place.coroutine = true;
        let kind = self.kind();
        // Both ways of resuming it below catch its errors.
        let signature = self.body(&head, depth, &kind, true);
        self.place = outer;
        self.out.truncate(self.out.len() - 1);
        self.out.push_str(")\n");
        self.cost += self.place.times * signature.cost;
        for turn in 0..self.choices.between(1, 4) {
            let args = if turn == 0 {
                self.arguments(&signature)
            } else {
                self.expr(&Kind::Any, 1)
            };
            let comma = if args.is_empty() { "" } else { ", " };
            if wrap {
                self.line(&format!("P(pcall({name}{comma}{args}))"));
            } else {
                self.line(&format!("P(coroutine.resume({name}{comma}{args}))"));
                if self.choices.chance(3) {
                    self.line(&format!("P(coroutine.status({name}))"));
                }
            }
        }
        if !wrap && self.choices.below(2) == 0 {
            self.line(&format!(
                "P(coroutine.close({name}), coroutine.status({name}))"
            ));
        }
    }

    fn object(&mut self, depth: usize) {
        let (class, name) = (self.name("C"), self.name("o"));
        self.line(&format!("local {class} = {{}}"));
        const BINARY: &[&str] = &[
            "add", "sub", "mul", "div", "mod", "idiv", "pow", "band", "bor", "bxor", "shl", "shr",
            "concat", "lt", "le", "eq",
        ];
        // Most events, a different answer for each.
        for event in BINARY {
            if self.choices.below(4) > 0 {
                let answer = match self.choices.below(4) {
                    0 => "S(a) .. S(b)".to_owned(),
                    1 => format!("\"{event}\""),
                    2 => "rawequal(a, b)".to_owned(),
                    _ => format!("{}", self.choices.below(100)),
                };
                // Not where the other operand may be a string, whose metamethod is a function of the library.
                let between = matches!(
                    *event,
                    "concat" | "lt" | "le" | "eq" | "band" | "bor" | "bxor" | "shl" | "shr"
                );
                let act = if self.choices.chance(6) && self.place.coroutine && between {
                    "coroutine.yield(\"in metamethod\") "
                } else {
                    ""
                };
                self.line(&format!(
                    "{class}.__{event} = function(a, b) {act}return {answer} end"
                ));
            }
        }
        for (event, body) in [
            ("unm", "(a, b) return rawequal(a, b)"),
            ("bnot", "(a) return 'not'"),
            ("len", "(a) return rawget(a, 'v')"),
            ("call", "(self, x, ...) return x, select('#', ...)"),
            ("tostring", "(a) return 'obj' .. S(rawget(a, 'v'))"),
            ("newindex", "(t, k, v) rawset(t, k, S(v) .. '!')"),
        ] {
            if self.choices.below(3) > 0 {
                self.line(&format!("{class}.__{event} = function{body} end"));
            }
        }
        match self.choices.below(4) {
            0 => self.line(&format!(
                "{class}.__index = function(t, k) return S(k) .. \"?\" end"
            )),
            1 => self.line(&format!("{class}.__index = {{a = 1, b = \"two\"}}")),
            2 => {
                self.line(&format!("{class}.__index = {class}"));
                // A method.
                let kind = self.kind();
                let signature = self.body(
                    &format!("function {class}:m"),
                    depth.min(1),
                    &kind,
                    self.place.caught,
                );
                let args = self.arguments(&signature);
                let value = self.expr(&Kind::Int, 2);
                self.line(&format!(
                    "P(setmetatable({{v = {value}}}, {class}):m({args}))"
                ));
                self.cost += self.place.times * signature.cost;
            }
            _ => self.line(&format!(
                "{class}.__index = setmetatable({{}}, {{__index = function(_, k) return k end}})"
            )),
        }
        if self.choices.chance(3) {
            self.line(&format!("{class}.__name = \"Class\""));
        }
        let value = self.expr(&Kind::Int, 2);
        self.line(&format!(
            "local {name} = setmetatable({{v = {value}}}, {class})"
        ));
        self.declare(&name, Kind::Obj, false);
        for _ in 0..self.choices.below(4) {
            let use_ = self.object_use(&name);
            let text = self.checked(&use_);
            self.line(&text);
        }
    }

    fn object_use(&mut self, name: &str) -> String {
        let other = if self.choices.chance(3) {
            name.to_owned()
        } else {
            self.expr(&Kind::Any, 1)
        };
        match self.choices.below(10) {
            0..=4 => {
                let operator = self.choices.pick(&[
                    "+", "-", "*", "/", "%", "//", "^", "&", "|", "~", "<<", ">>", "..", "<", "<=",
                    ">", ">=", "==", "~=",
                ]);
                if self.choices.below(2) == 0 {
                    format!("{name} {operator} {other}")
                } else {
                    format!("{other} {operator} {name}")
                }
            }
            5 => format!("-{name}"),
            6 => format!("~{name}"),
            7 => format!("#{name}"),
            8 => format!("{name}({other}, {other})"),
            _ => format!("{name}{}", self.field()),
        }
    }

    fn closed_variable(&mut self, depth: usize) {
        self.line("do");
        self.scope(self.place, |m| {
            for _ in 0..m.choices.between(1, 2) {
                let (name, label) = (m.name("tbc"), m.unique);
                let then = match m.choices.below(5) {
                    0 if m.place.caught => "error(\"in close\")",
                    1 if m.place.coroutine && !m.place.native => "P(coroutine.yield(\"from close\"))",
                    2 => "e = nil",
                    _ => "return 1",
                };
                let value = match m.choices.below(8) {
                    6 => "nil".to_owned(),
                    7 if m.place.caught => "{}".to_owned(),
                    _ => format!("setmetatable({{}}, {{__close = function(o, e) P(\"close {label}\", e) {then} end}})"),
                };
                m.line(&format!("local {name} <close> = {value}"));
                m.block(depth, 2);
            }
        });
        self.line("end");
    }

    // ---- expressions ----

    fn arguments(&mut self, signature: &Signature) -> String {
        let mut list = Vec::new();
        for kind in &signature.params {
            list.push(self.expr(kind, 1));
        }
        if signature.vararg {
            for _ in 0..self.choices.below(3) {
                list.push(self.expr(&Kind::Any, 1));
            }
            if self.place.vararg && self.choices.chance(3) {
                list.push("...".into());
            }
        }
        // Sometimes too few.
        if self.place.caught && self.choices.chance(6) {
            list.pop();
        }
        list.join(", ")
    }

    /// A call of a function of the program.
    fn call_of(&mut self, result: Option<&Kind>) -> Option<String> {
        let (native, times, cost) = (self.place.native, self.place.times, self.cost);
        let var = self.variable(|var| match &var.kind {
            Kind::Fun(signature) => {
                result.is_none_or(|result| signature.result == *result)
                    && !(native && signature.may_yield)
                    && times * signature.cost + cost < COST_MAX
            }
            _ => false,
        })?;
        let Kind::Fun(signature) = var.kind else {
            return None;
        };
        self.cost += times * signature.cost;
        let args = self.arguments(&signature);
        if result.is_some() {
            // Only the first value.
            return Some(format!("({}({args}))", var.name));
        }
        Some(format!("{}({args})", var.name))
    }

    fn small_int(&mut self) -> String {
        self.choices
            .pick(&[
                "1", "2", "0", "-1", "3", "-2", "5", "10", "-10", "1.0", "\"2\"",
            ])
            .to_owned()
    }

    fn pattern(&mut self) -> String {
        self.choices
            .pick(&[
                "'a'",
                "'%a+'",
                "'(%w)(%w*)'",
                "'%d+'",
                "'()'",
                "'.-l'",
                "'^h'",
                "'[a-f]+'",
                "'[^%s]*'",
                "'%s*$'",
                "'%f[%w]%w+'",
                "'(h)(.)%2'",
                "'%b()'",
                "'.'",
                "'()l+()'",
                "'%'",
                "'['",
                "'(a'",
                "'%1'",
                "'[%a-z]'",
                "'x*'",
                "'%x%x'",
                "''",
            ])
            .to_owned()
    }

    fn format(&mut self) -> String {
        let mut format = String::new();
        let mut args = Vec::new();
        for _ in 0..self.choices.between(1, 3) {
            let (spec, kind) = match self.choices.below(24) {
                0 => ("%d", Kind::Int),
                1 => ("%5d|", Kind::Int),
                2 => ("%-5d|", Kind::Int),
                3 => ("%05d", Kind::Int),
                4 => ("%+d", Kind::Int),
                5 => ("%x", Kind::Int),
                6 => ("%#X", Kind::Int),
                7 => ("%o", Kind::Int),
                8 => ("%s", Kind::Str),
                9 => ("%10s|", Kind::Str),
                10 => ("%-10.3s|", Kind::Str),
                11 => ("%q", Kind::Str),
                12 => ("%5.2f", Kind::Num),
                13 => ("%g", Kind::Num),
                14 => ("%.3e", Kind::Num),
                15 => ("%.20g", Kind::Num),
                16 => ("%i", Kind::Int),
                17 => ("%%", Kind::Any),
                18 => ("%a", Kind::Num),
                19 => ("%q", Kind::Num),
                20 => ("%.10d", Kind::Int),
                21 => ("%d", Kind::Num),
                22 => ("% .3f", Kind::Num),
                _ => ("%s", Kind::Bool),
            };
            format.push_str(spec);
            format.push(' ');
            if spec != "%%" {
                let arg = self.expr(&kind, 1);
                args.push(match kind {
                    Kind::Num => format!("N({arg})"),
                    // What is wrong here may be a table, which would show its address.
                    Kind::Str => format!("S({arg})"),
                    Kind::Bool => format!("not not ({arg})"),
                    _ => arg,
                });
            }
        }
        if self.place.caught && self.choices.chance(8) {
            let bad = self
                .choices
                .pick(&["%y", "%", "%123d", "%#i", "%d %d", "%-q", "%.123f", "%c"]);
            format.push_str(bad);
        }
        if args.is_empty() {
            return format!("string.format(\"{format}\")");
        }
        format!("string.format(\"{format}\", {})", args.join(", "))
    }

    /// An expression of a kind.
    fn expr(&mut self, kind: &Kind, depth: usize) -> String {
        // Something else, where that does no harm.
        if self.place.caught && self.choices.below(16) == 15 {
            return self.wrong(depth);
        }
        if self.choices.chance(3)
            && let Some(var) = self.variable(|var| var.kind == *kind)
        {
            return var.name;
        }
        if depth > 0
            && self.choices.chance(10)
            && let Some(call) = self.call_of(Some(kind))
        {
            return call;
        }
        if depth > 1 && self.choices.chance(14) {
            // A choice.
            let (condition, x, y) = (
                self.expr(&Kind::Any, depth - 1),
                self.expr(kind, depth - 1),
                self.expr(kind, depth - 1),
            );
            return format!("({condition} and {x} or {y})");
        }
        if depth > 1 && self.place.coroutine && !self.place.native && self.choices.chance(12) {
            let (out, back) = (self.expr(&Kind::Any, 1), self.expr(kind, 1));
            // What comes back is anything; it is looked at and dropped.
            return format!("(coroutine.yield({out}) and {back} or {back})");
        }
        match kind {
            Kind::Int => self.int(depth),
            Kind::Num => self.num(depth),
            Kind::Str => self.str(depth),
            Kind::Bool => self.bool(depth),
            Kind::Seq => self.seq(depth),
            Kind::Rec => self.rec(depth),
            Kind::Any | Kind::Obj | Kind::Fun(_) => self.any(depth),
        }
    }

    fn wrong(&mut self, depth: usize) -> String {
        match self.choices.below(6) {
            0 => "nil".into(),
            1 => "{}".into(),
            2 => "undefined".into(),
            3 => "\"wrong\"".into(),
            4 => match self.variable(|_| true) {
                Some(var) => var.name,
                None => "true".into(),
            },
            _ => self.any(depth.saturating_sub(1)),
        }
    }

    /// Between an operator and its operands; lines break there now and then.
    fn gap(&mut self) -> &'static str {
        if self.choices.below(24) == 23 {
            "\n"
        } else {
            " "
        }
    }

    fn binary(&mut self, operator: &str, left: String, right: String) -> String {
        let (before, after) = (self.gap(), self.gap());
        format!("({left}{before}{operator}{after}{right})")
    }

    fn int(&mut self, depth: usize) -> String {
        const LITERALS: &[&str] = &[
            "0",
            "1",
            "2",
            "3",
            "-1",
            "7",
            "10",
            "100",
            "127",
            "128",
            "-128",
            "-129",
            "255",
            "256",
            "65535",
            "65536",
            "0x7fffffff",
            "math.maxinteger",
            "math.mininteger",
            "0xffffffffffffffff",
            "1000000007",
            "9007199254740993",
        ];
        if depth == 0 || self.choices.below(4) == 0 {
            // Small ones more often.
            let end = if self.choices.below(3) < 2 {
                8
            } else {
                LITERALS.len()
            };
            return LITERALS[self.choices.below(end)].to_owned();
        }
        let depth = depth - 1;
        match self.choices.below(20) {
            0..=8 => {
                let operator = self
                    .choices
                    .pick(&["+", "-", "*", "&", "|", "~", "<<", ">>"]);
                let (x, y) = (self.expr(&Kind::Int, depth), self.expr(&Kind::Int, depth));
                self.binary(operator, x, y)
            }
            9 | 10 => {
                let operator = self.choices.pick(&["//", "%"]);
                let x = self.expr(&Kind::Int, depth);
                let y = if self.place.caught && self.choices.chance(4) {
                    self.expr(&Kind::Int, depth)
                } else {
                    self.choices
                        .pick(&["2", "3", "-1", "-3", "7", "10", "256", "math.mininteger"])
                        .to_owned()
                };
                self.binary(operator, x, y)
            }
            11 => format!("-{}", self.expr(&Kind::Int, depth)).replace("--", "- -"),
            12 => format!("~{}", self.expr(&Kind::Int, depth)),
            13 => format!("#{}", self.expr(&Kind::Seq, depth)),
            14 => {
                let s = self.expr(&Kind::Str, depth);
                format!("#({s})")
            }
            15 => {
                let (x, y) = (self.expr(&Kind::Int, depth), self.expr(&Kind::Int, depth));
                let f = self.choices.pick(&["math.max", "math.min"]);
                format!("{f}({x}, {y})")
            }
            16 if self.place.vararg => "select(\"#\", ...)".into(),
            17 => {
                let (s, i) = (self.expr(&Kind::Str, depth), self.small_int());
                format!("(string.byte({s}, {i}) or 0)")
            }
            18 => {
                let x = self.expr(&Kind::Num, depth);
                format!("(math.tointeger({x}) or 5)")
            }
            _ => {
                let seq = self.expr(&Kind::Seq, depth);
                let at = self.choices.between(1, 3);
                // A constructor must stand in parentheses.
                format!("(({seq})[{at}] or 9)")
            }
        }
    }

    fn num(&mut self, depth: usize) -> String {
        const LITERALS: &[&str] = &[
            "0.5",
            "1.0",
            "2.0",
            "-0.0",
            "0.1",
            "3.0",
            "1e15",
            "2^53",
            "1e100",
            "1e308",
            "math.huge",
            "-math.huge",
            "(0/0)",
            "-7.25",
            "1e-300",
            "0x1p-1022",
            "123456.789",
            "9007199254740992.0",
            "math.pi",
            "2^63",
            "-(2^63)",
            "9223372036854774784.0",
            "4503599627370496.5",
            "0x.8p-1074",
            "1e16",
        ];
        if depth == 0 || self.choices.below(4) == 0 {
            if self.choices.below(3) == 0 {
                return self.int(0);
            }
            return self.choices.pick(LITERALS).to_owned();
        }
        let depth = depth - 1;
        match self.choices.below(12) {
            0..=5 => {
                let operator = self.choices.pick(&["+", "-", "*", "/", "//", "%"]);
                let x = self.expr(&Kind::Num, depth);
                // Integers divided by zero fail.
                let y = if matches!(operator, "//" | "%") && !self.place.caught {
                    self.choices
                        .pick(&["2", "0.5", "-3", "3.7", "-1e10", "math.huge", "0.0"])
                        .to_owned()
                } else {
                    self.expr(&Kind::Num, depth)
                };
                // The reference subtracts an integer constant by adding its negation, which makes 0.0 of -0.0 - 0.
                let constant = operator == "-" && !y.contains(|c: char| c.is_ascii_alphabetic());
                let y = if constant { format!("({y} + 0.0)") } else { y };
                self.binary(operator, x, y)
            }
            6 => {
                let x = self.expr(&Kind::Num, depth);
                // Where the result is exact, or rounded once.
                let y = self.choices.pick(&["2", "0.5", "0", "1"]).to_owned();
                self.binary("^", x, y)
            }
            7 => format!("-{}", self.expr(&Kind::Num, depth)).replace("--", "- -"),
            8 => {
                let x = self.expr(&Kind::Num, depth);
                let f = self
                    .choices
                    .pick(&["math.floor", "math.ceil", "math.abs", "math.sqrt"]);
                format!("{f}({x})")
            }
            9 => {
                let s = self.expr(&Kind::Str, depth);
                format!("(tonumber({s}) or 0.25)")
            }
            10 => {
                // Strings that are numbers.
                let s = self.choices.pick(&[
                    "\"10\"",
                    "\"0x10\"",
                    "\" 7 \"",
                    "\"1e1\"",
                    "\"-3.5\"",
                    "\"9223372036854775808\"",
                ]);
                let x = self.expr(&Kind::Num, depth);
                let operator = self.choices.pick(&["+", "-", "*", "/"]);
                self.binary(operator, s.to_owned(), x)
            }
            _ => self.int(depth),
        }
    }

    fn str(&mut self, depth: usize) -> String {
        const LITERALS: &[&str] = &[
            "\"\"",
            "\"a\"",
            "\"hello\"",
            "\"hello world\"",
            "\"10\"",
            "\"0x10\"",
            "\" 7 \"",
            "\"1e1\"",
            "'it''s'",
            "\"a\\0b\"",
            "\"line\\nbreak\"",
            "[[long\n]]",
            "\"(x(y)z)\"",
            "\"h\\u{e4}\\u{20ac}\"",
            "\"a string that is longer than the forty bytes of a short one\"",
            "\"__index\"",
            "\"%d%s\"",
            "\"0x1p4\"",
            "\"1e\"",
            "\"0x\"",
            "\"inf\"",
            "\"1 2\"",
            "\"-0\"",
            "\"9223372036854775808\"",
            "\"a\\u{1F600}\\z\n   b\"",
        ];
        if depth == 0 || self.choices.below(4) == 0 {
            return self.choices.pick(LITERALS).replace("'it''s'", "'it\\'s'");
        }
        let depth = depth - 1;
        match self.choices.below(18) {
            0..=3 => {
                let (x, y) = (self.expr(&Kind::Str, depth), self.expr(&Kind::Str, depth));
                self.binary("..", x, y)
            }
            4 | 5 => {
                let x = self.expr(&Kind::Str, depth);
                let y = if self.choices.below(2) == 0 {
                    self.expr(&Kind::Int, depth)
                } else {
                    format!("N({})", self.expr(&Kind::Num, depth))
                };
                if self.choices.below(2) == 0 {
                    self.binary("..", x, y)
                } else {
                    self.binary("..", y, x)
                }
            }
            6 | 7 => {
                let x = self.expr(&Kind::Any, depth);
                format!("S({x})")
            }
            8 => self.format(),
            9 => {
                let x = self.expr(&Kind::Str, depth);
                let (i, j) = (self.small_int(), self.small_int());
                format!("({x}):sub({i}, {j})")
            }
            10 => {
                let x = self.expr(&Kind::Str, depth);
                let f = self.choices.pick(&["upper", "lower", "reverse"]);
                format!("({x}):{f}()")
            }
            11 => {
                let x = self.expr(&Kind::Str, depth);
                let n = self.choices.below(4);
                format!("string.rep({x}, {n}, \"/\")")
            }
            12 => {
                let x = self.expr(&Kind::Str, depth);
                format!("(string.gsub({x}, \"%w\", \"%0.\"))")
            }
            13 => {
                let seq = self.expr(&Kind::Seq, depth);
                format!("table.concat({seq}, \",\")")
            }
            14 => {
                let x = self.expr(&Kind::Any, depth);
                format!("type({x})")
            }
            15 => {
                let x = self.expr(&Kind::Num, depth);
                format!("(math.type({x}) or \"none\")")
            }
            16 => {
                let x = self.expr(&Kind::Int, depth);
                format!("string.char(({x}) % 256)")
            }
            _ => {
                let x = self.expr(&Kind::Str, depth);
                format!("(string.match({x}, \"%a+\") or \"none\")")
            }
        }
    }

    fn bool(&mut self, depth: usize) -> String {
        if depth == 0 || self.choices.below(6) == 0 {
            return self.choices.pick(&["true", "false"]).to_owned();
        }
        let depth = depth - 1;
        match self.choices.below(10) {
            0..=2 => {
                let kind = if self.choices.below(2) == 0 {
                    Kind::Int
                } else {
                    Kind::Num
                };
                let operator = self.choices.pick(&["<", "<=", ">", ">=", "==", "~="]);
                let (x, y) = (self.expr(&kind, depth), self.expr(&kind, depth));
                self.binary(operator, x, y)
            }
            3 => {
                let operator = self.choices.pick(&["<", "<=", ">", ">=", "==", "~="]);
                let (x, y) = (self.expr(&Kind::Str, depth), self.expr(&Kind::Str, depth));
                self.binary(operator, x, y)
            }
            4 => {
                let operator = self.choices.pick(&["==", "~="]);
                let (x, y) = (self.expr(&Kind::Any, depth), self.expr(&Kind::Any, depth));
                self.binary(operator, x, y)
            }
            5 => format!("(not {})", self.expr(&Kind::Any, depth)),
            6 | 7 => {
                let operator = self.choices.pick(&["and", "or"]);
                let (x, y) = (self.expr(&Kind::Bool, depth), self.expr(&Kind::Bool, depth));
                self.binary(operator, x, y)
            }
            8 => {
                let (x, y) = (self.expr(&Kind::Any, depth), self.expr(&Kind::Any, depth));
                format!("rawequal({x}, {y})")
            }
            _ => {
                let x = self.expr(&Kind::Str, depth);
                let pattern = self.choices.pick(&["\"l\"", "\"%d\"", "\"^a\"", "\"o$\""]);
                format!("(string.find({x}, {pattern}) ~= nil)")
            }
        }
    }

    fn seq(&mut self, depth: usize) -> String {
        let mut list = Vec::new();
        for _ in 0..self.choices.below(5) {
            list.push(self.expr(&Kind::Int, depth.saturating_sub(1)));
        }
        if depth > 0 && self.choices.chance(6) {
            let s = self.expr(&Kind::Str, depth - 1);
            list.push(format!("string.byte({s}, 1, 5)"));
        } else if depth > 0 && self.choices.chance(8) {
            let seq = self.expr(&Kind::Seq, depth - 1);
            list.push(format!("table.unpack({seq})"));
        }
        if self.place.caught {
            // A wrong element could be nil, and make a hole.
            for item in &mut list {
                *item = format!("{item} or 0");
            }
        }
        format!("{{{}}}", list.join(", "))
    }

    fn rec(&mut self, depth: usize) -> String {
        let mut list = Vec::new();
        for _ in 0..self.choices.below(4) {
            let value = self.expr(&Kind::Any, depth.saturating_sub(1));
            let key = self.choices.pick(&[
                "a",
                "b",
                "c",
                "v",
                "[1]",
                "[2]",
                "[\"a b\"]",
                "[true]",
                "[1.5]",
            ]);
            list.push(format!("{key} = {value}"));
        }
        if self.choices.chance(4) {
            let value = self.expr(&Kind::Any, 1);
            list.insert(0, value);
        }
        if depth > 1 && self.choices.chance(12) {
            // A function that captures what is here.
            let value = self.expr(&Kind::Any, 1);
            list.push(format!("f = function() return {value} end").replace("...", "nil"));
        }
        format!("{{{}}}", list.join(", "))
    }

    fn any(&mut self, depth: usize) -> String {
        match self.choices.below(12) {
            0 => "nil".into(),
            1 | 2 => self.expr(&Kind::Int, depth.saturating_sub(1)),
            3 => self.expr(&Kind::Num, depth.saturating_sub(1)),
            4 | 5 => self.expr(&Kind::Str, depth.saturating_sub(1)),
            6 => self.expr(&Kind::Bool, depth.saturating_sub(1)),
            7 => self.expr(&Kind::Seq, depth.saturating_sub(1)),
            8 => self.expr(&Kind::Rec, depth.saturating_sub(1)),
            9 if self.place.vararg => "(...)".into(),
            10 => match self.variable(|var| var.kind == Kind::Rec) {
                Some(var) => format!("{}{}", var.name, self.field()),
                None => "nil".into(),
            },
            _ => match self.variable(|_| true) {
                Some(var) => var.name,
                None => "true".into(),
            },
        }
    }
}
