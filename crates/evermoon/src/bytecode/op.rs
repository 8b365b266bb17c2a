//! The instruction set: one commented table from which the encoder, the verifier, the listing, the interpreter's
//! dispatch and `docs/bytecode.md` are all driven. A new instruction is one row here and one arm in `vm/run.rs`.
//!
//! This is a *stable format*: rows may be added at the end, never changed or reordered.
//!
//! Version history
//! - 1: the first set.
//!
//! ```text
//!         31      24 23      16 15       8 7        0
//! ABC    |    C     |    B     |    A     |    op    |
//! ABx    |        Bx           |    A     |    op    |   Bx unsigned 16, or sBx signed 16
//! Ax     |              Ax                |    op    |   Ax unsigned 24, or sJ signed 24
//! ```
//!
//! Notation: `R[x]` register, `K[x]` constant, `U[x]` upvalue, `P[x]` nested prototype, `sB`/`sC` the field as a
//! signed byte (two's complement). `pc` is the index of the *next* instruction. "skip" means `pc += 1`.
//!
//! Notes
//! 1. Every instruction flagged `TEST` is followed by a `JMP`, and the two count as one: when the test does not skip,
//!    that jump is taken. `FORPREP`, `FORLOOP`, `TFORPREP` and `TFORLOOP` are such tests too.
//! 2. In `CALL`, B = 0 means "arguments up to top", else B-1 arguments. C = 0 means "all results, and set top", else
//!    C-1 results. `RETURN` has B likewise. `VARARG` has C likewise. `SETLIST` has B = 0 for "up to top".
//! 3. `NEWTABLE`, `SETLIST` and `LOADKX` are always followed by an `EXTRAARG`, and the two count as one.
//! 4. In the `KF` forms ("flipped") the constant is the *left* operand.
//! 5. A numeric `for` uses R[A] (count of iterations left for integers, limit for floats), R[A+1] (limit, then
//!    unused for integers), R[A+2] (step) and R[A+3] (the visible variable). `FORPREP` leaves: for integers R[A] =
//!    initial value, R[A+1] = iterations left as an unsigned count, R[A+2] = step; for floats R[A] = current value,
//!    R[A+1] = limit, R[A+2] = step. R[A+3] is a copy of R[A].
//! 6. A generic `for` uses R[A] (iterator), R[A+1] (state), R[A+2] (control), R[A+3] (closing value), R[A+4..] (the
//!    visible variables).
//! 7. `RETURN0` and `RETURN1` may only stand where no upvalue and no to-be-closed variable of the function can be
//!    open; otherwise the compiler uses `RETURN`, which closes them.

/// How an instruction's operand fields are laid out and what each means. The verifier derives its checks from this.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// No operand.
    None,
    /// Operand fields A, B, C with the given meanings.
    Abc(Field, Field, Field),
    /// A, and Bx as an unsigned 16-bit field with the given meaning.
    Abx(Field, Field),
    /// A, and sBx as a signed immediate.
    AsBx(Field),
    /// Ax as an unsigned 24-bit argument.
    Ax,
    /// sJ as a signed 24-bit jump distance, relative to the next instruction.
    Sj,
}

/// What one operand field holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// Unused; must be zero.
    Zero,
    /// A register.
    Reg,
    /// A register that is the first of a range whose extent the verifier works out per opcode.
    Range,
    /// Any constant.
    Const,
    /// A constant that is a string of at most 40 bytes (an interned one).
    ConstName,
    /// A constant that is a number.
    ConstNum,
    /// A constant that is an integer.
    ConstInt,
    /// An upvalue.
    Up,
    /// A nested prototype.
    Proto,
    /// An unsigned immediate.
    Imm,
    /// A signed immediate.
    Simm,
    /// A truth value, 0 or 1.
    Cond,
    /// A count encoded with 0 as "up to top" (note 2).
    Count,
}

/// Property flags of an instruction.
pub mod flag {
    /// Followed by a `JMP` which belongs to it (note 1).
    pub const TEST: u8 = 1;
    /// Followed by an `EXTRAARG` which belongs to it (note 3).
    pub const EXTRA: u8 = 2;
    /// Uses top when B is 0.
    pub const USES_TOP: u8 = 4;
    /// Sets top when C is 0.
    pub const SETS_TOP: u8 = 8;
    /// May call a metamethod or a function, raise, or suspend.
    pub const CALLS: u8 = 16;
    /// Writes R[A].
    pub const WRITES_A: u8 = 32;
    /// Ends a straight-line run: control never continues at the next instruction.
    pub const ENDS: u8 = 64;
}

macro_rules! opcodes {
    ($( $(#[$doc:meta])* $name:ident $format:expr, $flags:expr, $effect:literal; )*) => {
        /// An operation code. The discriminant is the byte in the instruction.
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u8)]
        pub enum Op { $( $(#[$doc])* #[doc = concat!("`", $effect, "`")] $name, )* }

        /// All rows, indexed by opcode.
        pub static TABLE: &[Row] = &[ $( Row {
            op: Op::$name, name: stringify!($name), format: $format, flags: $flags,
        }, )* ];

        /// What each does, in the notation above. Apart from the rows: only the documentation asks, and a module that does not is smaller.
        pub static EFFECTS: &[&str] = &[ $( $effect, )* ];
    };
}

/// One row of the instruction table.
pub struct Row {
    pub op: Op,
    pub name: &'static str,
    pub format: Format,
    pub flags: u8,
}

use Field::*;
use Format::*;
use flag::*;

opcodes! {
    MOVE      Abc(Reg, Reg, Zero), WRITES_A, "R[A] := R[B]";
    LOADI     AsBx(Reg), WRITES_A, "R[A] := sBx as integer";
    LOADF     AsBx(Reg), WRITES_A, "R[A] := sBx as float";
    LOADK     Abx(Reg, Const), WRITES_A, "R[A] := K[Bx]";
    LOADKX    Abc(Reg, Zero, Zero), WRITES_A | EXTRA, "R[A] := K[extra]";
    LOADFALSE Abc(Reg, Zero, Zero), WRITES_A, "R[A] := false";
    LFALSESKIP Abc(Reg, Zero, Zero), WRITES_A, "R[A] := false; skip";
    LOADTRUE  Abc(Reg, Zero, Zero), WRITES_A, "R[A] := true";
    LOADNIL   Abc(Range, Imm, Zero), WRITES_A, "R[A], ..., R[A+B] := nil";
    GETUPVAL  Abc(Reg, Up, Zero), WRITES_A, "R[A] := U[B]";
    SETUPVAL  Abc(Reg, Up, Zero), 0, "U[B] := R[A]";

    GETTABUP  Abc(Reg, Up, ConstName), WRITES_A | CALLS, "R[A] := U[B][K[C]]";
    GETTABLE  Abc(Reg, Reg, Reg), WRITES_A | CALLS, "R[A] := R[B][R[C]]";
    GETI      Abc(Reg, Reg, Imm), WRITES_A | CALLS, "R[A] := R[B][C]";
    GETFIELD  Abc(Reg, Reg, ConstName), WRITES_A | CALLS, "R[A] := R[B][K[C]]";
    SETTABUP  Abc(Up, ConstName, Reg), CALLS, "U[A][K[B]] := R[C]";
    SETTABUPK Abc(Up, ConstName, Const), CALLS, "U[A][K[B]] := K[C]";
    SETTABLE  Abc(Reg, Reg, Reg), CALLS, "R[A][R[B]] := R[C]";
    SETTABLEK Abc(Reg, Reg, Const), CALLS, "R[A][R[B]] := K[C]";
    SETI      Abc(Reg, Imm, Reg), CALLS, "R[A][B] := R[C]";
    SETIK     Abc(Reg, Imm, Const), CALLS, "R[A][B] := K[C]";
    SETFIELD  Abc(Reg, ConstName, Reg), CALLS, "R[A][K[B]] := R[C]";
    SETFIELDK Abc(Reg, ConstName, Const), CALLS, "R[A][K[B]] := K[C]";
    NEWTABLE  Abc(Reg, Imm, Zero), WRITES_A | EXTRA, "R[A] := {} with room for 2^(B-1) entries (B = 0: none) and extra array slots";
    SELF      Abc(Range, Reg, ConstName), WRITES_A | CALLS, "R[A+1] := R[B]; R[A] := R[B][K[C]]";

    ADDI      Abc(Reg, Reg, Simm), WRITES_A | CALLS, "R[A] := R[B] + sC";
    SUBI      Abc(Reg, Reg, Simm), WRITES_A | CALLS, "R[A] := R[B] - sC";
    SHLI      Abc(Reg, Reg, Simm), WRITES_A | CALLS, "R[A] := sC << R[B]";
    SHRI      Abc(Reg, Reg, Simm), WRITES_A | CALLS, "R[A] := R[B] >> sC";
    SHLIR     Abc(Reg, Reg, Simm), WRITES_A | CALLS, "R[A] := R[B] << sC";

    ADDK      Abc(Reg, Reg, ConstNum), WRITES_A | CALLS, "R[A] := R[B] + K[C]";
    SUBK      Abc(Reg, Reg, ConstNum), WRITES_A | CALLS, "R[A] := R[B] - K[C]";
    MULK      Abc(Reg, Reg, ConstNum), WRITES_A | CALLS, "R[A] := R[B] * K[C]";
    MODK      Abc(Reg, Reg, ConstNum), WRITES_A | CALLS, "R[A] := R[B] % K[C]";
    POWK      Abc(Reg, Reg, ConstNum), WRITES_A | CALLS, "R[A] := R[B] ^ K[C]";
    DIVK      Abc(Reg, Reg, ConstNum), WRITES_A | CALLS, "R[A] := R[B] / K[C]";
    IDIVK     Abc(Reg, Reg, ConstNum), WRITES_A | CALLS, "R[A] := R[B] // K[C]";
    BANDK     Abc(Reg, Reg, ConstInt), WRITES_A | CALLS, "R[A] := R[B] & K[C]";
    BORK      Abc(Reg, Reg, ConstInt), WRITES_A | CALLS, "R[A] := R[B] | K[C]";
    BXORK     Abc(Reg, Reg, ConstInt), WRITES_A | CALLS, "R[A] := R[B] ~ K[C]";
    ADDKF     Abc(Reg, Reg, ConstNum), WRITES_A | CALLS, "R[A] := K[C] + R[B]";
    SUBKF     Abc(Reg, Reg, ConstNum), WRITES_A | CALLS, "R[A] := K[C] - R[B]";
    MULKF     Abc(Reg, Reg, ConstNum), WRITES_A | CALLS, "R[A] := K[C] * R[B]";
    DIVKF     Abc(Reg, Reg, ConstNum), WRITES_A | CALLS, "R[A] := K[C] / R[B]";

    ADD       Abc(Reg, Reg, Reg), WRITES_A | CALLS, "R[A] := R[B] + R[C]";
    SUB       Abc(Reg, Reg, Reg), WRITES_A | CALLS, "R[A] := R[B] - R[C]";
    MUL       Abc(Reg, Reg, Reg), WRITES_A | CALLS, "R[A] := R[B] * R[C]";
    MOD       Abc(Reg, Reg, Reg), WRITES_A | CALLS, "R[A] := R[B] % R[C]";
    POW       Abc(Reg, Reg, Reg), WRITES_A | CALLS, "R[A] := R[B] ^ R[C]";
    DIV       Abc(Reg, Reg, Reg), WRITES_A | CALLS, "R[A] := R[B] / R[C]";
    IDIV      Abc(Reg, Reg, Reg), WRITES_A | CALLS, "R[A] := R[B] // R[C]";
    BAND      Abc(Reg, Reg, Reg), WRITES_A | CALLS, "R[A] := R[B] & R[C]";
    BOR       Abc(Reg, Reg, Reg), WRITES_A | CALLS, "R[A] := R[B] | R[C]";
    BXOR      Abc(Reg, Reg, Reg), WRITES_A | CALLS, "R[A] := R[B] ~ R[C]";
    SHL       Abc(Reg, Reg, Reg), WRITES_A | CALLS, "R[A] := R[B] << R[C]";
    SHR       Abc(Reg, Reg, Reg), WRITES_A | CALLS, "R[A] := R[B] >> R[C]";

    UNM       Abc(Reg, Reg, Zero), WRITES_A | CALLS, "R[A] := -R[B]";
    BNOT      Abc(Reg, Reg, Zero), WRITES_A | CALLS, "R[A] := ~R[B]";
    NOT       Abc(Reg, Reg, Zero), WRITES_A, "R[A] := not R[B]";
    LEN       Abc(Reg, Reg, Zero), WRITES_A | CALLS, "R[A] := #R[B]";
    CONCAT    Abc(Range, Imm, Zero), WRITES_A | CALLS, "R[A] := R[A] .. ... .. R[A+B-1]";

    CLOSE     Abc(Reg, Zero, Zero), CALLS, "close upvalues and to-be-closed variables >= R[A]";
    TBC       Abc(Reg, Zero, Zero), CALLS, "mark R[A] to be closed";
    JMP       Sj, ENDS, "pc += sJ";

    EQ        Abc(Reg, Reg, Cond), TEST | CALLS, "if (R[A] == R[B]) ~= C then skip";
    LT        Abc(Reg, Reg, Cond), TEST | CALLS, "if (R[A] < R[B]) ~= C then skip";
    LE        Abc(Reg, Reg, Cond), TEST | CALLS, "if (R[A] <= R[B]) ~= C then skip";
    EQK       Abc(Reg, Const, Cond), TEST, "if (R[A] == K[B]) ~= C then skip (raw equality)";
    EQI       Abc(Reg, Simm, Cond), TEST, "if (R[A] == sB) ~= C then skip (raw equality)";
    LTI       Abc(Reg, Simm, Cond), TEST | CALLS, "if (R[A] < sB) ~= C then skip";
    LEI       Abc(Reg, Simm, Cond), TEST | CALLS, "if (R[A] <= sB) ~= C then skip";
    GTI       Abc(Reg, Simm, Cond), TEST | CALLS, "if (sB < R[A]) ~= C then skip";
    GEI       Abc(Reg, Simm, Cond), TEST | CALLS, "if (sB <= R[A]) ~= C then skip";
    TEST      Abc(Reg, Zero, Cond), flag::TEST, "if (R[A] is true) ~= C then skip";
    TESTSET   Abc(Reg, Reg, Cond), flag::TEST | WRITES_A, "if (R[B] is true) ~= C then skip else R[A] := R[B]";

    CALL      Abc(Range, Count, Count), USES_TOP | SETS_TOP | CALLS, "R[A], ... := R[A](R[A+1], ..., R[A+B-1])";
    TAILCALL  Abc(Range, Count, Zero), USES_TOP | CALLS | ENDS, "return R[A](R[A+1], ..., R[A+B-1])";
    RETURN    Abc(Range, Count, Zero), USES_TOP | CALLS | ENDS, "return R[A], ..., R[A+B-2]; closes what is open";
    RETURN0   Format::None, ENDS, "return";
    RETURN1   Abc(Reg, Zero, Zero), ENDS, "return R[A]";

    FORLOOP   Abc(Range, Zero, Zero), flag::TEST, "advance; if the loop goes on then jump else skip";
    FORPREP   Abc(Range, Zero, Zero), flag::TEST, "prepare; if the loop does not run then jump else skip";
    TFORPREP  Abc(Range, Zero, Zero), flag::TEST | CALLS, "mark R[A+3] to be closed; jump";
    TFORCALL  Abc(Range, Zero, Imm), CALLS, "R[A+4], ..., R[A+3+C] := R[A](R[A+1], R[A+2])";
    TFORLOOP  Abc(Range, Zero, Zero), flag::TEST, "if R[A+4] ~= nil then { R[A+2] := R[A+4]; jump } else skip";

    SETLIST   Abc(Range, Count, Zero), USES_TOP | EXTRA, "R[A][extra+i] := R[A+i], 1 <= i <= B";
    CLOSURE   Abx(Reg, Proto), WRITES_A, "R[A] := closure of P[Bx]";
    VARARG    Abc(Range, Zero, Count), SETS_TOP, "R[A], ..., R[A+C-2] := ...";
    VARARGPREP Abc(Imm, Zero, Zero), 0, "adjust varargs of a function with A fixed parameters; always first";
    EXTRAARG  Ax, 0, "argument of the previous instruction";
}

/// The version of this table, in every binary chunk.
pub const VERSION: u8 = 1;

impl Op {
    /// The row of this operation.
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The operation with this byte, if there is one.
    pub fn from_byte(byte: u8) -> Option<Op> {
        TABLE.get(byte as usize).map(|row| row.op)
    }

    /// Whether a flag of [`flag`] is set.
    pub fn has(self, flag: u8) -> bool {
        self.row().flags & flag != 0
    }
}
