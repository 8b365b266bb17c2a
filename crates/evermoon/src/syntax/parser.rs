//! Tokens to tree, by recursive descent, one function a rule of the manual's chapter 9. What needs scopes to be known
//! (labels, constants, `break` outside a loop) is checked in `compile`.
//!
//! Invariants:
//! - Children come before their parents in each vector of the tree, and the last function is the main one.
//! - What recurses passes [`Parser::enter`], so nesting is bounded by [`Limits::nesting`] and the host's stack with it.
//!   What repeats (statements, `elseif`, `a + b + c`, `f()()()`) loops, and may be of any length.
//! - A list's entries are collected on a scratch stack, because lists nest, and appended to the tree in one go.
//!
//! Lines follow the reference, since errors, hooks and tracebacks show them: see the comments at each `line`.

use super::lexer::{Failure, Lexer};
use super::message::SyntaxError;
use super::token::{TOKEN_COUNT, Token};
use super::tree::*;

/// What a chunk may cost before it is refused.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Levels of nested statements, functions and expressions (the reference's `LUAI_MAXCCALLS`). Going to this level is
    /// the error `C stack overflow`.
    pub nesting: u32,
    /// Bytes for the tree and the parser's own tables; beyond it the error is `not enough memory`. Checked every few
    /// thousand nodes, so one growth of a vector may exceed it. A tree takes up to some forty times its source.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            nesting: 200,
            memory: usize::MAX,
        }
    }
}

/// The tree of a chunk of source text.
///
/// `source` is Lua from its first byte: for the contents of a file, see [`skip_shebang`].
pub fn parse(source: &[u8], limits: &Limits) -> Result<Tree, SyntaxError> {
    // Positions and ids are u32, and there are at most two nodes a byte.
    const SOURCE_SIZE_MAX: usize = i32::MAX as usize;
    if source.len() > SOURCE_SIZE_MAX {
        let message = format!(
            "chunk has {} bytes, at most {SOURCE_SIZE_MAX} are allowed",
            source.len()
        );
        return Err(SyntaxError::new(1, message));
    }
    Parser::new(source, limits)
        .chunk()
        .map_err(|failure| *failure)
}

/// What of a file's contents is the chunk: without a UTF-8 byte order mark, and without a first line that starts with `#`
/// (its line break stays, so that lines keep their numbers). A binary chunk may follow that line break.
pub fn skip_shebang(source: &[u8]) -> &[u8] {
    let source = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(source);
    if source.first() != Some(&b'#') {
        return source;
    }
    let end = source
        .iter()
        .position(|&b| b == b'\n')
        .unwrap_or(source.len());
    &source[end..]
}

type Parsed<T> = Result<T, Failure>;

struct Parser<'s> {
    lexer: Lexer<'s>,
    tree: Tree,
    /// Whether the function being read has `...`.
    is_vararg: bool,
    /// Local variables in scope or being declared in the function being read, and where it begins (0 for the main function).
    locals: u32,
    function_line: Line,
    depth: u32,
    limits: Limits,
    /// Nodes that may be made until memory is looked at again.
    nodes_unchecked: u32,
    exprs: Vec<ExprId>,
    stats: Vec<Stat>,
    fields: Vec<Field>,
    if_arms: Vec<IfArm>,
}

/// Local variables of one function (registers are 8 bits, and temporaries need some).
const LOCALS_MAX: u32 = 200;

/// Nodes between two looks at the memory in use.
const NODES_PER_CHECK: u32 = 4096;

/// How tightly a binary operator binds to its left and right; the left being lower makes it right associative.
#[derive(Clone, Copy)]
struct Binding {
    left: u8,
    right: u8,
    op: BinOp,
}

/// How tightly unary operators bind.
const UNARY: u8 = 12;

/// By kind of token. What is no binary operator binds with 0, which ends every expression.
static BINDINGS: [Binding; TOKEN_COUNT] = bindings();

const fn bindings() -> [Binding; TOKEN_COUNT] {
    use BinOp as O;
    use Token as T;
    let rows = [
        (T::Or, 1, 1, O::Or),
        (T::And, 2, 2, O::And),
        (T::Less, 3, 3, O::Lt),
        (T::Greater, 3, 3, O::Gt),
        (T::Le, 3, 3, O::Le),
        (T::Ge, 3, 3, O::Ge),
        (T::Ne, 3, 3, O::Ne),
        (T::Eq, 3, 3, O::Eq),
        (T::Pipe, 4, 4, O::BOr),
        (T::Tilde, 5, 5, O::BXor),
        (T::Ampersand, 6, 6, O::BAnd),
        (T::Shl, 7, 7, O::Shl),
        (T::Shr, 7, 7, O::Shr),
        (T::Concat, 9, 8, O::Concat),
        (T::Plus, 10, 10, O::Add),
        (T::Minus, 10, 10, O::Sub),
        (T::Star, 11, 11, O::Mul),
        (T::Slash, 11, 11, O::Div),
        (T::IDiv, 11, 11, O::IDiv),
        (T::Percent, 11, 11, O::Mod),
        (T::Caret, 14, 13, O::Pow),
    ];
    let mut table = [Binding {
        left: 0,
        right: 0,
        op: O::Or,
    }; TOKEN_COUNT];
    let mut i = 0;
    while i < rows.len() {
        let (token, left, right, op) = rows[i];
        table[token as usize] = Binding { left, right, op };
        i += 1;
    }
    table
}

impl<'s> Parser<'s> {
    fn new(source: &'s [u8], limits: &Limits) -> Parser<'s> {
        // About what ordinary code needs; little against the source itself for the caller's memory limit.
        let expected = (source.len() / 8).min(limits.memory / 64);
        Parser {
            lexer: Lexer::new(source),
            tree: Tree {
                exprs: Vec::with_capacity(expected),
                expr_lists: Vec::with_capacity(expected / 4),
                stats: Vec::with_capacity(expected / 4),
                ..Tree::default()
            },
            is_vararg: true,
            locals: 0,
            function_line: 0,
            depth: 0,
            limits: *limits,
            nodes_unchecked: NODES_PER_CHECK,
            exprs: Vec::new(),
            stats: Vec::new(),
            fields: Vec::new(),
            if_arms: Vec::new(),
        }
    }

    fn chunk(mut self) -> Parsed<Tree> {
        self.lexer.advance()?;
        let body = self.block()?;
        self.check(Token::Eos)?;
        self.tree.functions.push(Function {
            params: NameList::default(),
            is_vararg: true,
            body,
            line: 0,
            end_line: self.lexer.last_line,
        });
        self.tree.symbol_bytes = self.lexer.symbols.bytes;
        self.tree.symbol_ends = self.lexer.symbols.ends;
        Ok(self.tree)
    }

    // ---- tokens ----

    #[inline]
    fn token(&self) -> Token {
        self.lexer.token()
    }

    /// Passes the current token if it is of this kind.
    #[inline]
    fn accept(&mut self, token: Token) -> Parsed<bool> {
        let found = self.token() == token;
        if found {
            self.lexer.advance()?;
        }
        Ok(found)
    }

    fn check(&self, token: Token) -> Parsed<()> {
        if self.token() == token {
            Ok(())
        } else {
            Err(self.error_expected(token))
        }
    }

    #[inline]
    fn expect(&mut self, token: Token) -> Parsed<()> {
        self.check(token)?;
        self.lexer.advance()
    }

    /// Expects what closes the `opening` at `line`.
    #[inline]
    fn expect_closing(&mut self, closing: Token, opening: Token, line: Line) -> Parsed<()> {
        if self.token() == closing {
            return self.lexer.advance();
        }
        Err(self.error_unclosed(closing, opening, line))
    }

    fn expect_name(&mut self) -> Parsed<Symbol> {
        self.check(Token::Name)?;
        let name = self.lexer.symbol();
        self.lexer.advance()?;
        Ok(name)
    }

    #[cold]
    fn error_expected(&self, token: Token) -> Failure {
        self.lexer.error_here(format!("{} expected", token.shown()))
    }

    #[cold]
    fn error_unclosed(&self, closing: Token, opening: Token, line: Line) -> Failure {
        if line == self.lexer.line {
            return self.error_expected(closing);
        }
        let (closing, opening) = (closing.shown(), opening.shown());
        self.lexer.error_here(format!(
            "{closing} expected (to close {opening} at line {line})"
        ))
    }

    // ---- limits ----

    #[inline]
    fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth >= self.limits.nesting {
            return Err(self.lexer.error_here("C stack overflow"));
        }
        Ok(())
    }

    #[inline]
    fn leave(&mut self) {
        self.depth -= 1;
    }

    #[inline]
    fn count_node(&mut self) -> Parsed<()> {
        self.nodes_unchecked -= 1;
        if self.nodes_unchecked == 0 {
            self.check_memory()?;
        }
        Ok(())
    }

    #[cold]
    fn check_memory(&mut self) -> Parsed<()> {
        fn size<T>(vec: &Vec<T>) -> usize {
            vec.capacity() * size_of::<T>()
        }
        self.nodes_unchecked = NODES_PER_CHECK;
        let tree = &self.tree;
        let used = size(&tree.exprs)
            + size(&tree.expr_lists)
            + size(&tree.stats)
            + size(&tree.fields)
            + size(&tree.local_names)
            + size(&tree.if_arms)
            + size(&tree.functions)
            + size(&self.exprs)
            + size(&self.stats)
            + size(&self.fields)
            + size(&self.if_arms)
            + self.lexer.symbols.footprint();
        if used > self.limits.memory {
            return Err(self.lexer.error("not enough memory"));
        }
        Ok(())
    }

    // ---- nodes ----

    #[inline]
    fn add(&mut self, expr: Expr) -> Parsed<ExprId> {
        self.count_node()?;
        let id = ExprId(self.tree.exprs.len() as u32);
        self.tree.exprs.push(expr);
        Ok(id)
    }

    #[inline]
    fn add_stat(&mut self, kind: StatKind, line: Line) -> Parsed<()> {
        self.count_node()?;
        self.stats.push(Stat { kind, line });
        Ok(())
    }

    /// Makes a list of what is on the scratch stack from `base` on.
    fn take_exprs(&mut self, base: usize) -> ExprList {
        let start = self.tree.expr_lists.len() as u32;
        self.tree.expr_lists.extend_from_slice(&self.exprs[base..]);
        let len = (self.exprs.len() - base) as u32;
        self.exprs.truncate(base);
        ExprList { start, len }
    }

    /// The names added to the tree since there were `start` of them.
    fn names_since(&self, start: usize) -> NameList {
        NameList {
            start: start as u32,
            len: (self.tree.local_names.len() - start) as u32,
        }
    }

    /// Expects a variable's name; its attribute is yet to come.
    fn local_name(&mut self) -> Parsed<LocalName> {
        let line = self.lexer.line;
        let name = self.expect_name()?;
        self.count_locals(1)?;
        Ok(LocalName {
            name,
            attrib: Attrib::None,
            line,
        })
    }

    /// More local variables come into being. The compiler would find out too, but a mistake further on must not come first.
    fn count_locals(&mut self, count: u32) -> Parsed<()> {
        self.locals += count;
        if self.locals <= LOCALS_MAX {
            return Ok(());
        }
        let place = match self.function_line {
            0 => "main function".to_owned(),
            line => format!("function at line {line}"),
        };
        Err(self.lexer.error_here(format!(
            "too many local variables (limit is {LOCALS_MAX}) in {place}"
        )))
    }

    // ---- blocks and statements ----

    fn block(&mut self) -> Parsed<Block> {
        let base = self.stats.len();
        let locals = self.locals;
        loop {
            match self.token() {
                Token::Else | Token::Elseif | Token::End | Token::Eos | Token::Until => break,
                Token::Return => {
                    self.statement()?;
                    break;
                }
                _ => self.statement()?,
            }
        }
        let start = self.tree.stats.len() as u32;
        self.tree.stats.extend_from_slice(&self.stats[base..]);
        let len = (self.stats.len() - base) as u32;
        self.stats.truncate(base);
        self.locals = locals;
        Ok(Block { start, len })
    }

    /// A block, and the `end` that closes the `opening` at `line`; with the line of that `end`.
    fn block_to_end(&mut self, opening: Token, line: Line) -> Parsed<(Block, Line)> {
        let body = self.block()?;
        let end_line = self.lexer.line;
        self.expect_closing(Token::End, opening, line)?;
        Ok((body, end_line))
    }

    fn statement(&mut self) -> Parsed<()> {
        self.enter()?;
        let line = self.lexer.line;
        match self.token() {
            // Leaves no node: it does nothing, and a label before it counts as the last statement of its block as it is.
            Token::Semicolon => self.lexer.advance()?,
            Token::If => self.if_stat(line)?,
            Token::While => {
                self.lexer.advance()?;
                let cond = self.expr()?;
                self.expect(Token::Do)?;
                let (body, end_line) = self.block_to_end(Token::While, line)?;
                self.add_stat(
                    StatKind::While {
                        cond,
                        body,
                        end_line,
                    },
                    line,
                )?;
            }
            Token::Do => {
                self.lexer.advance()?;
                let (body, end_line) = self.block_to_end(Token::Do, line)?;
                self.add_stat(StatKind::Do { body, end_line }, line)?;
            }
            Token::For => self.for_stat(line)?,
            Token::Repeat => {
                self.lexer.advance()?;
                let body = self.block()?;
                let end_line = self.lexer.line;
                self.expect_closing(Token::Until, Token::Repeat, line)?;
                let cond = self.expr()?;
                self.add_stat(
                    StatKind::Repeat {
                        body,
                        cond,
                        end_line,
                    },
                    line,
                )?;
            }
            Token::Function => self.function_stat(line)?,
            Token::Local => {
                self.lexer.advance()?;
                if self.accept(Token::Function)? {
                    let name = self.local_name()?;
                    let func = self.body(false, self.lexer.line)?;
                    self.add_stat(StatKind::LocalFunction { name, func }, line)?;
                } else {
                    self.local_stat(line)?;
                }
            }
            Token::DoubleColon => {
                self.lexer.advance()?;
                let name = self.expect_name()?;
                self.expect(Token::DoubleColon)?;
                self.add_stat(StatKind::Label { name }, line)?;
            }
            Token::Return => {
                self.lexer.advance()?;
                let values = match self.token() {
                    Token::Else
                    | Token::Elseif
                    | Token::End
                    | Token::Eos
                    | Token::Until
                    | Token::Semicolon => ExprList::default(),
                    _ => self.expr_list()?,
                };
                self.accept(Token::Semicolon)?;
                self.add_stat(StatKind::Return { values }, line)?;
            }
            Token::Break => {
                self.lexer.advance()?;
                self.add_stat(StatKind::Break, line)?;
            }
            Token::Goto => {
                self.lexer.advance()?;
                let label = self.expect_name()?;
                self.add_stat(StatKind::Goto { label }, line)?;
            }
            _ => self.expr_stat(line)?,
        }
        self.leave();
        Ok(())
    }

    fn if_stat(&mut self, line: Line) -> Parsed<()> {
        let base = self.if_arms.len();
        let mut or_else = None;
        loop {
            self.lexer.advance()?;
            let cond = self.expr()?;
            // The test counts as being on the line of `then`.
            let then_line = self.lexer.line;
            self.expect(Token::Then)?;
            let body = self.block()?;
            self.if_arms.push(IfArm {
                cond,
                body,
                line: then_line,
            });
            if self.token() != Token::Elseif {
                break;
            }
        }
        if self.accept(Token::Else)? {
            or_else = Some(self.block()?);
        }
        let end_line = self.lexer.line;
        self.expect_closing(Token::End, Token::If, line)?;
        let arms_start = self.tree.if_arms.len() as u32;
        self.tree.if_arms.extend_from_slice(&self.if_arms[base..]);
        let arms_len = (self.if_arms.len() - base) as u32;
        self.if_arms.truncate(base);
        self.add_stat(
            StatKind::If {
                arms_start,
                arms_len,
                or_else,
                end_line,
            },
            line,
        )
    }

    fn for_stat(&mut self, line: Line) -> Parsed<()> {
        self.lexer.advance()?;
        let locals = self.locals;
        let var = self.local_name()?;
        let done = self.for_rest(var, line);
        self.locals = locals;
        done
    }

    /// A `for` from behind its first variable.
    fn for_rest(&mut self, var: LocalName, line: Line) -> Parsed<()> {
        match self.token() {
            Token::Assign => {
                self.count_locals(3)?; // the hidden ones
                self.lexer.advance()?;
                let start = self.expr()?;
                self.expect(Token::Comma)?;
                let limit = self.expr()?;
                let step = if self.accept(Token::Comma)? {
                    Some(self.expr()?)
                } else {
                    None
                };
                self.expect(Token::Do)?;
                let (body, end_line) = self.block_to_end(Token::For, line)?;
                let kind = StatKind::ForNum {
                    var,
                    start,
                    limit,
                    step,
                    body,
                    end_line,
                };
                self.add_stat(kind, line)
            }
            Token::Comma | Token::In => {
                self.count_locals(4)?;
                let names = self.tree.local_names.len();
                self.tree.local_names.push(var);
                while self.accept(Token::Comma)? {
                    let name = self.local_name()?;
                    self.tree.local_names.push(name);
                }
                let names = self.names_since(names);
                self.expect(Token::In)?;
                // The iterator's call counts as being on the line of what follows `in`.
                let call_line = self.lexer.line;
                let exprs = self.expr_list()?;
                self.expect(Token::Do)?;
                let (body, end_line) = self.block_to_end(Token::For, line)?;
                let kind = StatKind::ForIn {
                    names,
                    exprs,
                    body,
                    end_line,
                };
                self.add_stat(kind, call_line)
            }
            _ => Err(self.lexer.error_here("'=' or 'in' expected")),
        }
    }

    fn function_stat(&mut self, line: Line) -> Parsed<()> {
        self.lexer.advance()?;
        // The assignment counts as being on the first line, whatever the body's length.
        let name = self.expect_name()?;
        let mut target = self.add(Expr::Name { name, line })?;
        let mut is_method = false;
        while !is_method && matches!(self.token(), Token::Dot | Token::Colon) {
            is_method = self.token() == Token::Colon;
            self.lexer.advance()?;
            let key = self.expect_name()?;
            let key = self.add(Expr::Str(key))?;
            target = self.add(Expr::Index {
                object: target,
                key,
                line,
            })?;
        }
        let func = self.body(is_method, line)?;
        self.add_stat(StatKind::Function { target, func }, line)
    }

    fn local_stat(&mut self, line: Line) -> Parsed<()> {
        let start = self.tree.local_names.len();
        let mut has_close = false;
        loop {
            let mut local = self.local_name()?;
            local.attrib = self.attrib()?;
            if local.attrib == Attrib::Close {
                if has_close {
                    return Err(self
                        .lexer
                        .error("multiple to-be-closed variables in local list"));
                }
                has_close = true;
            }
            self.tree.local_names.push(local);
            if !self.accept(Token::Comma)? {
                break;
            }
        }
        let names = self.names_since(start);
        let values = if self.accept(Token::Assign)? {
            self.expr_list()?
        } else {
            ExprList::default()
        };
        self.add_stat(StatKind::Local { names, values }, line)
    }

    fn attrib(&mut self) -> Parsed<Attrib> {
        if !self.accept(Token::Less)? {
            return Ok(Attrib::None);
        }
        let name = self.expect_name()?;
        self.expect(Token::Greater)?;
        match self.lexer.symbols.get(name.0) {
            b"const" => Ok(Attrib::Const),
            b"close" => Ok(Attrib::Close),
            other => Err(self
                .lexer
                .error([b"unknown attribute '", other, b"'"].concat())),
        }
    }

    /// A call or an assignment.
    fn expr_stat(&mut self, line: Line) -> Parsed<()> {
        let first = self.suffixed()?;
        if !matches!(self.token(), Token::Assign | Token::Comma) {
            return match self.tree.exprs[first.0 as usize] {
                Expr::Call { .. } | Expr::Method { .. } => {
                    self.add_stat(StatKind::Call(first), line)
                }
                _ => Err(self.lexer.error_here("syntax error")),
            };
        }
        let depth = self.depth;
        let base = self.exprs.len();
        let mut target = first;
        loop {
            if !matches!(
                self.tree.exprs[target.0 as usize],
                Expr::Name { .. } | Expr::Index { .. }
            ) {
                return Err(self.lexer.error_here("syntax error"));
            }
            self.exprs.push(target);
            if !self.accept(Token::Comma)? {
                break;
            }
            target = self.suffixed()?;
            // The reference recurses here, so that its limit on nesting is one on the number of targets too.
            self.enter()?;
        }
        self.expect(Token::Assign)?;
        self.depth = depth;
        let targets = self.take_exprs(base);
        let values = self.expr_list()?;
        // The stores happen when all values are there: on the line of the statement's last token.
        for i in targets.start..targets.start + targets.len {
            let target = self.tree.expr_lists[i as usize];
            if let Expr::Name { line, .. } | Expr::Index { line, .. } =
                &mut self.tree.exprs[target.0 as usize]
            {
                *line = self.lexer.last_line;
            }
        }
        self.add_stat(StatKind::Assign { targets, values }, line)
    }

    /// Parameters and body of a function, from the opening parenthesis to `end`.
    fn body(&mut self, is_method: bool, line: Line) -> Parsed<FuncId> {
        let start = self.tree.local_names.len();
        let outer_locals = std::mem::replace(&mut self.locals, is_method as u32);
        let outer_line = std::mem::replace(&mut self.function_line, line);
        self.expect(Token::LeftParen)?;
        if is_method {
            let name = self
                .lexer
                .symbols
                .intern(b"self", u64::from(u32::from_le_bytes(*b"self")));
            self.tree.local_names.push(LocalName {
                name,
                attrib: Attrib::None,
                line,
            });
        }
        let mut is_vararg = false;
        if self.token() != Token::RightParen {
            loop {
                match self.token() {
                    Token::Name => {
                        let param = self.local_name()?;
                        self.tree.local_names.push(param);
                    }
                    Token::Dots => {
                        self.lexer.advance()?;
                        is_vararg = true;
                    }
                    _ => return Err(self.lexer.error_here("<name> or '...' expected")),
                }
                if is_vararg || !self.accept(Token::Comma)? {
                    break;
                }
            }
        }
        let params = self.names_since(start);
        self.expect(Token::RightParen)?;
        let outer_is_vararg = std::mem::replace(&mut self.is_vararg, is_vararg);
        let (body, end_line) = self.block_to_end(Token::Function, line)?;
        self.is_vararg = outer_is_vararg;
        self.locals = outer_locals;
        self.function_line = outer_line;
        let id = FuncId(self.tree.functions.len() as u32);
        self.tree.functions.push(Function {
            params,
            is_vararg,
            body,
            line,
            end_line,
        });
        Ok(id)
    }

    // ---- expressions ----

    fn expr_list(&mut self) -> Parsed<ExprList> {
        let first = self.expr()?;
        if self.token() != Token::Comma {
            let start = self.tree.expr_lists.len() as u32;
            self.tree.expr_lists.push(first);
            return Ok(ExprList { start, len: 1 });
        }
        let base = self.exprs.len();
        self.exprs.push(first);
        while self.accept(Token::Comma)? {
            let next = self.expr()?;
            self.exprs.push(next);
        }
        Ok(self.take_exprs(base))
    }

    fn expr(&mut self) -> Parsed<ExprId> {
        self.operators(0)
    }

    /// An expression of operators that bind tighter than `limit`.
    fn operators(&mut self, limit: u8) -> Parsed<ExprId> {
        self.enter()?;
        let unary = match self.token() {
            Token::Not => Some(UnOp::Not),
            Token::Minus => Some(UnOp::Neg),
            Token::Tilde => Some(UnOp::BNot),
            Token::Hash => Some(UnOp::Len),
            _ => None,
        };
        let mut left = if let Some(op) = unary {
            let line = self.lexer.line;
            self.lexer.advance()?;
            let operand = self.operators(UNARY)?;
            self.add(Expr::Unary { op, operand, line })?
        } else {
            self.simple()?
        };
        loop {
            let binding = BINDINGS[self.token() as usize];
            if binding.left <= limit {
                break;
            }
            let line = self.lexer.line;
            self.lexer.advance()?;
            let right = self.operators(binding.right)?;
            left = self.add(Expr::Binary {
                op: binding.op,
                left,
                right,
                line,
                end_line: self.lexer.last_line,
            })?;
        }
        self.leave();
        Ok(left)
    }

    fn simple(&mut self) -> Parsed<ExprId> {
        let expr = match self.token() {
            Token::Int => Expr::Int(self.lexer.int()),
            Token::Float => Expr::Float(self.lexer.float()),
            Token::String => Expr::Str(self.lexer.symbol()),
            Token::Nil => Expr::Nil,
            Token::True => Expr::True,
            Token::False => Expr::False,
            Token::Dots => {
                if !self.is_vararg {
                    return Err(self
                        .lexer
                        .error_here("cannot use '...' outside a vararg function"));
                }
                Expr::Vararg
            }
            Token::LeftBrace => return self.table(),
            Token::Function => {
                self.lexer.advance()?;
                let func = self.body(false, self.lexer.line)?;
                return self.add(Expr::Function(func));
            }
            _ => return self.suffixed(),
        };
        self.lexer.advance()?;
        self.add(expr)
    }

    /// A name or an expression in parentheses, and what is indexed and called of it.
    fn suffixed(&mut self) -> Parsed<ExprId> {
        let mut expr = match self.token() {
            Token::Name => {
                let name = self.lexer.symbol();
                let line = self.lexer.line;
                self.lexer.advance()?;
                self.add(Expr::Name { name, line })?
            }
            Token::LeftParen => {
                let line = self.lexer.line;
                self.lexer.advance()?;
                let inner = self.expr()?;
                self.expect_closing(Token::RightParen, Token::LeftParen, line)?;
                self.add(Expr::Paren(inner))?
            }
            _ => return Err(self.lexer.error_here("unexpected symbol")),
        };
        loop {
            match self.token() {
                Token::Dot => {
                    self.lexer.advance()?;
                    // The access happens when its last token has been read.
                    let line = self.lexer.line;
                    let key = self.expect_name()?;
                    let key = self.add(Expr::Str(key))?;
                    expr = self.add(Expr::Index {
                        object: expr,
                        key,
                        line,
                    })?;
                }
                Token::LeftBracket => {
                    let key = self.bracketed_key()?;
                    let line = self.lexer.last_line;
                    expr = self.add(Expr::Index {
                        object: expr,
                        key,
                        line,
                    })?;
                }
                Token::Colon => {
                    self.lexer.advance()?;
                    let name = self.expect_name()?;
                    let (args, line) = self.args()?;
                    expr = self.add(Expr::Method {
                        object: expr,
                        name,
                        args,
                        line,
                    })?;
                }
                Token::LeftParen | Token::String | Token::LeftBrace => {
                    let (args, line) = self.args()?;
                    expr = self.add(Expr::Call {
                        func: expr,
                        args,
                        line,
                    })?;
                }
                _ => return Ok(expr),
            }
        }
    }

    fn bracketed_key(&mut self) -> Parsed<ExprId> {
        self.lexer.advance()?;
        let key = self.expr()?;
        self.expect(Token::RightBracket)?;
        Ok(key)
    }

    /// A call's arguments, and the line of the token that they start with.
    fn args(&mut self) -> Parsed<(ExprList, Line)> {
        let line = self.lexer.line;
        let only = match self.token() {
            Token::LeftParen => {
                self.lexer.advance()?;
                let args = if self.token() == Token::RightParen {
                    ExprList::default()
                } else {
                    self.expr_list()?
                };
                self.expect_closing(Token::RightParen, Token::LeftParen, line)?;
                return Ok((args, line));
            }
            Token::String => {
                let text = self.add(Expr::Str(self.lexer.symbol()))?;
                self.lexer.advance()?;
                text
            }
            Token::LeftBrace => self.table()?,
            _ => return Err(self.lexer.error_here("function arguments expected")),
        };
        let start = self.tree.expr_lists.len() as u32;
        self.tree.expr_lists.push(only);
        Ok((ExprList { start, len: 1 }, line))
    }

    fn table(&mut self) -> Parsed<ExprId> {
        let line = self.lexer.line;
        self.lexer.advance()?;
        let base = self.fields.len();
        while self.token() != Token::RightBrace {
            let field = self.field()?;
            self.fields.push(field);
            if !matches!(self.token(), Token::Comma | Token::Semicolon) {
                break;
            }
            self.lexer.advance()?;
        }
        let end_line = self.lexer.line;
        self.expect_closing(Token::RightBrace, Token::LeftBrace, line)?;
        let fields_start = self.tree.fields.len() as u32;
        self.tree.fields.extend_from_slice(&self.fields[base..]);
        let fields_len = (self.fields.len() - base) as u32;
        self.fields.truncate(base);
        self.add(Expr::Table {
            fields_start,
            fields_len,
            line,
            end_line,
        })
    }

    fn field(&mut self) -> Parsed<Field> {
        let key = match self.token() {
            Token::Name if self.lexer.assign_follows()? => {
                let key = self.add(Expr::Str(self.lexer.symbol()))?;
                self.lexer.advance()?;
                key
            }
            Token::LeftBracket => self.bracketed_key()?,
            _ => return Ok(Field::Item(self.expr()?)),
        };
        self.expect(Token::Assign)?;
        let value = self.expr()?;
        Ok(Field::Pair { key, value })
    }
}
