//! A prototype: one compiled function as plain data. It knows no heap: strings are bytes, nested functions are owned.
//! The heap loads it into an object of its own (`heap/function.rs`); dump and undump read and write this form.

use super::instr::Instr;

/// A constant of a function.
#[derive(Clone, PartialEq, Debug)]
pub enum Const {
    Nil,
    False,
    True,
    Int(i64),
    Float(f64),
    Str(Box<[u8]>),
}

/// How a closure finds one of its upvalues when it is created.
#[derive(Clone, PartialEq, Debug)]
pub struct UpvalDesc {
    /// In the enclosing function's registers (true) or among its upvalues (false).
    pub in_stack: bool,
    /// Register or upvalue index in the enclosing function.
    pub index: u8,
    /// Kind of the variable: 0 regular, 1 `<const>`, 2 `<close>`, 3 compile-time constant.
    pub kind: u8,
    /// Name, absent in stripped code.
    pub name: Option<Box<[u8]>>,
}

/// A local variable's name and the range of instructions in which it is alive, for messages and `debug`.
///
/// Entries are in the order of `start_pc`; the register of a variable is the number of entries before it that are
/// alive at the same instruction (the manual gives no layout; this is how PUC Lua does it too).
#[derive(Clone, PartialEq, Debug)]
pub struct LocalVar {
    pub name: Box<[u8]>,
    /// First instruction where it is alive.
    pub start_pc: u32,
    /// First instruction where it is dead.
    pub end_pc: u32,
}

/// One compiled function.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Proto {
    pub code: Vec<Instr>,
    pub consts: Vec<Const>,
    pub protos: Vec<Proto>,
    pub upvals: Vec<UpvalDesc>,
    pub num_params: u8,
    pub is_vararg: bool,
    /// Registers needed, at least 2, at most 255.
    pub max_stack: u8,
    /// Line where the definition starts; 0 for a main chunk.
    pub line_defined: u32,
    pub last_line_defined: u32,
    /// Chunk name with its `@`, `=` or none, shared by all functions of a chunk; absent in stripped code.
    pub source: Option<std::sync::Arc<[u8]>>,
    /// The line of each instruction, or empty in stripped code.
    pub lines: Vec<u32>,
    /// Empty in stripped code.
    pub locals: Vec<LocalVar>,
}
