//! The syntax tree of a chunk. Nodes live in flat vectors and refer to each other by index, so that a large source
//! costs few allocations. Names are not resolved here: `compile/scope.rs` does that.
//!
//! Invariant: an id in one of these nodes is always an index into the vector that its type names, made by the parser.

/// An interned byte string of the chunk: names and string literals share one table ([`Tree::symbols`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Symbol(pub u32);

/// Index into [`Tree::exprs`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExprId(pub u32);

/// A run of consecutive entries of [`Tree::expr_lists`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExprList {
    pub start: u32,
    pub len: u32,
}

/// A run of consecutive entries of [`Tree::stats`]: a block's statements in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Block {
    pub start: u32,
    pub len: u32,
}

/// Index into [`Tree::functions`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FuncId(pub u32);

/// A line number, from 1.
pub type Line = u32;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BinOp {
    Add,
    Sub,
    Mul,
    Mod,
    Pow,
    Div,
    IDiv,
    BAnd,
    BOr,
    BXor,
    Shl,
    Shr,
    Concat,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnOp {
    Neg,
    BNot,
    Not,
    Len,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Expr {
    Nil,
    False,
    True,
    Int(i64),
    Float(f64),
    Str(Symbol),
    /// `...`
    Vararg,
    Function(FuncId),
    /// A name, local, upvalue or global.
    Name {
        name: Symbol,
        line: Line,
    },
    /// `object[key]`; `object.name` is the same with a `Str` key. `line` is that of its last token (the name or `]`), where the access
    /// happens. As the target of an assignment, here and in `Name`, it is the line of the statement's last token, where the
    /// store happens; as that of a `function` statement, the statement's line.
    Index {
        object: ExprId,
        key: ExprId,
        line: Line,
    },
    /// `f(args)`; `line` is the line of the token that starts the arguments.
    Call {
        func: ExprId,
        args: ExprList,
        line: Line,
    },
    /// `object:name(args)`; `line` as in `Call`.
    Method {
        object: ExprId,
        name: Symbol,
        args: ExprList,
        line: Line,
    },
    /// `line` is the operator's line, `end_line` that of the last token, where a comparison happens.
    Binary {
        op: BinOp,
        left: ExprId,
        right: ExprId,
        line: Line,
        end_line: Line,
    },
    Unary {
        op: UnOp,
        operand: ExprId,
        line: Line,
    },
    /// `(e)`: cuts multiple results to one, and is not assignable.
    Paren(ExprId),
    /// A table constructor; `fields` is a run of [`Tree::fields`].
    Table {
        fields_start: u32,
        fields_len: u32,
        line: Line,
        end_line: Line,
    },
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Field {
    /// `e`
    Item(ExprId),
    /// `[key] = value` or `name = value` (then `key` is a `Str`).
    Pair { key: ExprId, value: ExprId },
}

/// An attribute of a local variable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attrib {
    None,
    Const,
    Close,
}

/// A variable declared by `local`, a `for`, or a parameter list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalName {
    pub name: Symbol,
    pub attrib: Attrib,
    pub line: Line,
}

/// A run of consecutive entries of [`Tree::local_names`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NameList {
    pub start: u32,
    pub len: u32,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Stat {
    pub kind: StatKind,
    /// Line of the statement's first token; of a `ForIn`, of the token after `in`, where its iterator is called.
    pub line: Line,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum StatKind {
    /// Does nothing. The parser makes none: a `;` leaves no node.
    Empty,
    /// A function or method call as a statement.
    Call(ExprId),
    /// `targets = values`
    Assign {
        targets: ExprList,
        values: ExprList,
    },
    Local {
        names: NameList,
        values: ExprList,
    },
    /// `local function name body`
    LocalFunction {
        name: LocalName,
        func: FuncId,
    },
    /// `function a.b.c:m body`: `target` is a `Name` or `Index` expression; a method's `self` is the function's first parameter.
    Function {
        target: ExprId,
        func: FuncId,
    },
    Do {
        body: Block,
        end_line: Line,
    },
    While {
        cond: ExprId,
        body: Block,
        end_line: Line,
    },
    /// `cond` sees the body's locals.
    Repeat {
        body: Block,
        cond: ExprId,
        end_line: Line,
    },
    /// A run of [`Tree::if_arms`], then the else block if there is one.
    If {
        arms_start: u32,
        arms_len: u32,
        or_else: Option<Block>,
        end_line: Line,
    },
    ForNum {
        var: LocalName,
        start: ExprId,
        limit: ExprId,
        step: Option<ExprId>,
        body: Block,
        end_line: Line,
    },
    ForIn {
        names: NameList,
        exprs: ExprList,
        body: Block,
        end_line: Line,
    },
    Goto {
        label: Symbol,
    },
    Break,
    Label {
        name: Symbol,
    },
    Return {
        values: ExprList,
    },
}

/// `if cond then body` or `elseif cond then body`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct IfArm {
    pub cond: ExprId,
    pub body: Block,
    /// Line of `then`, where the test happens.
    pub line: Line,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Function {
    /// Parameters, `self` first in a method.
    pub params: NameList,
    pub is_vararg: bool,
    pub body: Block,
    /// Line where the definition starts: of the parameters' parenthesis (as the reference has it), or of the `function`
    /// statement. 0 in the main function.
    pub line: Line,
    /// Line of `end`; in the main function, of the chunk's last token.
    pub end_line: Line,
}

/// A parsed chunk. The main function is the last of `functions`; in `exprs` and `functions`, children come before parents.
#[derive(Default, Debug)]
pub struct Tree {
    pub exprs: Vec<Expr>,
    pub expr_lists: Vec<ExprId>,
    pub stats: Vec<Stat>,
    pub fields: Vec<Field>,
    pub local_names: Vec<LocalName>,
    pub if_arms: Vec<IfArm>,
    pub functions: Vec<Function>,
    /// All symbols' bytes, one after the other.
    pub symbol_bytes: Vec<u8>,
    /// End offset of each symbol in `symbol_bytes`; it starts where the one before ends.
    pub symbol_ends: Vec<u32>,
}

impl Tree {
    /// The bytes of a symbol.
    pub fn symbol(&self, symbol: Symbol) -> &[u8] {
        let i = symbol.0 as usize;
        let start = if i == 0 {
            0
        } else {
            self.symbol_ends[i - 1] as usize
        };
        &self.symbol_bytes[start..self.symbol_ends[i] as usize]
    }
    pub fn expr(&self, id: ExprId) -> &Expr {
        &self.exprs[id.0 as usize]
    }
    pub fn list(&self, list: ExprList) -> &[ExprId] {
        &self.expr_lists[list.start as usize..(list.start + list.len) as usize]
    }
    pub fn block(&self, block: Block) -> &[Stat] {
        &self.stats[block.start as usize..(block.start + block.len) as usize]
    }
    pub fn names(&self, names: NameList) -> &[LocalName] {
        &self.local_names[names.start as usize..(names.start + names.len) as usize]
    }
}
