//! Operators applied to number literals while compiling. Folding may never change what a program does, so what would raise
//! is left to raise when it runs, and so are results that a constant cannot keep (NaN) or keeps with care (zeros of
//! floats, whose sign matters): PUC Lua draws the same lines.

use super::desc::Kind;
use crate::heap::number::{self, Num};
use crate::syntax::tree::{BinOp, UnOp};

fn num(kind: Kind) -> Option<Num> {
    match kind {
        Kind::Int(i) => Some(Num::Int(i)),
        Kind::Float(f) => Some(Num::Float(f)),
        _ => None,
    }
}

fn kind(result: Num) -> Option<Kind> {
    match result {
        Num::Int(i) => Some(Kind::Int(i)),
        Num::Float(f) if f.is_nan() || f == 0.0 => None,
        Num::Float(f) => Some(Kind::Float(f)),
    }
}

/// The value of `a op b` for number literals, if it may be computed now.
pub(super) fn binary(op: BinOp, a: Kind, b: Kind) -> Option<Kind> {
    use Num::{Float, Int};
    let (a, b) = (num(a)?, num(b)?);
    let ints = || Some((a.to_int()?, b.to_int()?));
    let floats = (a.to_float(), b.to_float());
    let (x, y) = floats;
    let result = match (op, a, b) {
        (BinOp::Add, Int(a), Int(b)) => Int(a.wrapping_add(b)),
        (BinOp::Sub, Int(a), Int(b)) => Int(a.wrapping_sub(b)),
        (BinOp::Mul, Int(a), Int(b)) => Int(a.wrapping_mul(b)),
        (BinOp::IDiv, Int(a), Int(b)) => Int(number::int_idiv(a, b)?),
        (BinOp::Mod, Int(a), Int(b)) => Int(number::int_mod(a, b)?),
        (BinOp::Div | BinOp::IDiv | BinOp::Mod, ..) if y == 0.0 => return None,
        (BinOp::Add, ..) => Float(x + y),
        (BinOp::Sub, ..) => Float(x - y),
        (BinOp::Mul, ..) => Float(x * y),
        (BinOp::Div, ..) => Float(x / y),
        (BinOp::IDiv, ..) => Float(number::float_idiv(x, y)),
        (BinOp::Mod, ..) => Float(number::float_mod(x, y)),
        (BinOp::Pow, ..) => Float(number::pow(x, y)),
        _ => {
            let (a, b) = ints()?;
            Int(match op {
                BinOp::BAnd => a & b,
                BinOp::BOr => a | b,
                BinOp::BXor => a ^ b,
                BinOp::Shl => number::shl(a, b),
                BinOp::Shr => number::shr(a, b),
                _ => return None,
            })
        }
    };
    kind(result)
}

/// The value of `op a` for a number literal, if it may be computed now.
pub(super) fn unary(op: UnOp, a: Kind) -> Option<Kind> {
    match (op, num(a)?) {
        (UnOp::Neg, Num::Int(i)) => Some(Kind::Int(i.wrapping_neg())),
        (UnOp::Neg, Num::Float(f)) => kind(Num::Float(-f)),
        (UnOp::BNot, n) => Some(Kind::Int(!n.to_int()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Kind::{Float, Int};

    #[test]
    fn subtypes_stay_apart() {
        assert_eq!(binary(BinOp::Add, Int(1), Int(2)), Some(Int(3)));
        assert_eq!(binary(BinOp::Add, Int(1), Float(2.0)), Some(Float(3.0)));
        assert_eq!(binary(BinOp::Div, Int(4), Int(2)), Some(Float(2.0)));
        assert_eq!(binary(BinOp::IDiv, Int(-7), Int(2)), Some(Int(-4)));
        assert_eq!(binary(BinOp::Mod, Int(-7), Int(2)), Some(Int(1)));
        assert_eq!(binary(BinOp::Pow, Int(2), Int(10)), Some(Float(1024.0)));
        assert_eq!(binary(BinOp::BAnd, Float(6.0), Int(3)), Some(Int(2)));
        assert_eq!(binary(BinOp::Shl, Int(1), Int(64)), Some(Int(0)));
        assert_eq!(unary(UnOp::Neg, Int(i64::MIN)), Some(Int(i64::MIN)));
        assert_eq!(unary(UnOp::BNot, Float(0.0)), Some(Int(-1)));
    }

    #[test]
    fn what_must_wait_waits() {
        for op in [BinOp::Div, BinOp::IDiv, BinOp::Mod] {
            assert_eq!(binary(op, Int(1), Int(0)), None);
            assert_eq!(binary(op, Int(1), Float(0.0)), None);
        }
        assert_eq!(
            binary(BinOp::Sub, Float(1.0), Float(1.0)),
            None,
            "a float zero"
        );
        assert_eq!(
            binary(BinOp::Sub, Float(f64::INFINITY), Float(f64::INFINITY)),
            None,
            "NaN"
        );
        assert_eq!(binary(BinOp::BAnd, Float(1.5), Int(3)), None, "raises");
        assert_eq!(unary(UnOp::Neg, Float(0.0)), None);
        assert_eq!(unary(UnOp::Len, Int(0)), None);
        assert_eq!(binary(BinOp::Lt, Int(1), Int(2)), None);
    }
}
