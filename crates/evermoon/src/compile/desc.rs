//! What the compiler knows of an expression whose value has not been put anywhere yet. Code is emitted as late as
//! possible, so that whoever needs the value says where it goes, and no value is moved that need not be.
//!
//! Invariant: a descriptor is used up (discharged) before anything is emitted that could change what it stands for,
//! with the exceptions that PUC Lua has too: a local named on the left of an operator is read when the operator is.

use super::jump::NONE;
use crate::syntax::tree::Symbol;

/// Where a value is, or how to get it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Kind {
    /// Nothing: an empty expression list.
    Void,
    Nil,
    False,
    True,
    Int(i64),
    Float(f64),
    Str(Symbol),
    /// A local variable, in this register.
    Local(u8),
    /// A value that sits in this register and may not be put elsewhere without a move.
    Reg(u8),
    Upval(u8),
    /// `U[up][K[key]]`
    IndexUp {
        up: u8,
        key: u8,
    },
    /// `R[table][K[key]]`
    IndexStr {
        table: u8,
        key: u8,
    },
    /// `R[table][key]`
    IndexInt {
        table: u8,
        key: u8,
    },
    /// `R[table][R[key]]`
    Index {
        table: u8,
        key: u8,
    },
    /// A test whose jump is at this pc: the jump is taken when the value is true.
    Jump(u32),
    /// The instruction at this pc gives the value, into any register: its A is still to be set.
    Reloc(u32),
    /// A `CALL` at this pc, with one result unless told otherwise.
    Call(u32),
    /// A `VARARG` at this pc, likewise.
    Vararg(u32),
}

/// An expression: where its value is when control falls through, and the jumps that leave it early.
#[derive(Clone, Copy, Debug)]
pub(super) struct Desc {
    pub kind: Kind,
    /// Jumps that leave with a true value (the head of a list, see `jump.rs`).
    pub on_true: i32,
    /// Jumps that leave with a false value.
    pub on_false: i32,
}

impl Desc {
    pub const fn new(kind: Kind) -> Desc {
        Desc {
            kind,
            on_true: NONE,
            on_false: NONE,
        }
    }

    /// Whether there are ways to leave the expression early.
    pub fn has_jumps(&self) -> bool {
        self.on_true != NONE || self.on_false != NONE
    }

    /// Whether the number of values is open.
    pub fn is_multi(&self) -> bool {
        matches!(self.kind, Kind::Call(_) | Kind::Vararg(_))
    }

    /// The value, if it is an integer literal and nothing else.
    pub fn int(&self) -> Option<i64> {
        match self.kind {
            Kind::Int(i) if !self.has_jumps() => Some(i),
            _ => None,
        }
    }

    /// The value, if it is an integer that fits a signed byte.
    pub fn small_int(&self) -> Option<i8> {
        self.int().and_then(|i| i8::try_from(i).ok())
    }

    /// Whether it is a number literal and nothing else.
    pub fn is_numeral(&self) -> bool {
        matches!(self.kind, Kind::Int(_) | Kind::Float(_)) && !self.has_jumps()
    }

    /// Whether it is a constant of any type and nothing else.
    pub fn is_constant(&self) -> bool {
        use Kind::*;
        matches!(self.kind, Nil | False | True | Int(_) | Float(_) | Str(_)) && !self.has_jumps()
    }
}
