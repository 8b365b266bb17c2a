//! The mathematical library (manual 6.7).
//!
//! Everything here gives the same bits on every platform: `+ - * / sqrt floor` are exact by IEEE 754, and the transcendental functions come
//! from `libm`, never from the host's C library. Randomness is the world's own: `Vm::random`, seeded with a fixed number unless the
//! embedder calls [`super::seed`]. What the generator and its projections compute is in `xoshiro.rs`.

use super::xoshiro::{Xoshiro, unit_float};
use crate::heap::number::{self, Num};
use crate::heap::value::{Value, tag};
use crate::vm::meta::{num_value, number_less};
use crate::vm::{Act, NativeFn, NativeResult, Throw, Vm};

const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("abs", abs),
    ("acos", acos),
    ("asin", asin),
    ("atan", atan),
    ("ceil", ceil),
    ("cos", cos),
    ("deg", deg),
    ("exp", exp),
    ("floor", floor),
    ("fmod", fmod),
    ("log", log),
    ("max", max),
    ("min", min),
    ("modf", modf),
    ("rad", rad),
    ("random", random),
    ("randomseed", randomseed),
    ("sin", sin),
    ("sqrt", sqrt),
    ("tan", tan),
    ("tointeger", tointeger),
    ("type", type_),
    ("ult", ult),
];

pub fn open(vm: &mut Vm) -> Result<(), Throw> {
    let library = vm.new_table()?;
    vm.register_library("math", library, FUNCTIONS)?;
    let constants = [
        ("huge", Value::float(f64::INFINITY)),
        ("maxinteger", Value::int(i64::MAX)),
        ("mininteger", Value::int(i64::MIN)),
        ("pi", Value::float(std::f64::consts::PI)),
    ];
    for (name, value) in constants {
        vm.raw_set_name(library, name, value)?;
    }
    super::seed(vm, 0, 0);
    super::publish(vm, "math", library)
}

/// `math.abs (x)`
fn abs(vm: &mut Vm) -> NativeResult {
    let v = vm.arg(0);
    match v.tag {
        tag::INT => vm.ret(Value::int(v.raw_int().wrapping_abs())),
        tag::FLOAT => vm.ret(Value::float(v.raw_float().abs())),
        _ => {
            let f = vm.check_float(0)?;
            vm.ret(Value::float(f.abs()))
        }
    }
}

/// `math.floor (x)`
#[cfg_attr(evermoon_small, optimize(speed))]
fn floor(vm: &mut Vm) -> NativeResult {
    let v = vm.arg(0);
    if v.is_int() {
        return vm.ret(v);
    }
    let f = vm.check_float(0)?;
    // Without SSE 4.1 `f64::floor` is a call; truncation is one instruction.
    if f.abs() < 4503599627370496.0 {
        let i = f as i64;
        return vm.ret(Value::int(i - (i as f64 > f) as i64));
    }
    vm.ret(num_value(number::floor(f)))
}

/// `math.ceil (x)`
fn ceil(vm: &mut Vm) -> NativeResult {
    let v = vm.arg(0);
    if v.is_int() {
        return vm.ret(v);
    }
    let f = vm.check_float(0)?;
    vm.ret(num_value(number::ceil(f)))
}

/// `math.sqrt (x)`
#[cfg_attr(evermoon_small, optimize(speed))]
fn sqrt(vm: &mut Vm) -> NativeResult {
    let f = vm.check_float(0)?;
    vm.ret(Value::float(f.sqrt()))
}

/// Functions of one float.
macro_rules! of_one_float {
    ($($name:ident = $compute:expr;)*) => {$(
        fn $name(vm: &mut Vm) -> NativeResult {
            let f = vm.check_float(0)?;
            let compute: fn(f64) -> f64 = $compute;
            vm.ret(Value::float(compute(f)))
        }
    )*};
}

of_one_float! {
    acos = libm::acos;
    asin = libm::asin;
    cos = libm::cos;
    exp = libm::exp;
    sin = libm::sin;
    tan = libm::tan;
    deg = |x| x * (180.0 / std::f64::consts::PI);
    rad = |x| x * (std::f64::consts::PI / 180.0);
}

/// `math.atan (y [, x])`
fn atan(vm: &mut Vm) -> NativeResult {
    let y = vm.check_float(0)?;
    let x = if vm.arg(1).is_nil() {
        1.0
    } else {
        vm.check_float(1)?
    };
    vm.ret(Value::float(libm::atan2(y, x)))
}

/// `math.log (x [, base])`
fn log(vm: &mut Vm) -> NativeResult {
    let x = vm.check_float(0)?;
    let result = if vm.arg(1).is_nil() {
        libm::log(x)
    } else {
        let base = vm.check_float(1)?;
        if base == 2.0 {
            libm::log2(x)
        } else if base == 10.0 {
            libm::log10(x)
        } else {
            libm::log(x) / libm::log(base)
        }
    };
    vm.ret(Value::float(result))
}

/// `math.fmod (x, y)`: the remainder of the division that rounds towards zero.
fn fmod(vm: &mut Vm) -> NativeResult {
    let (a, b) = (vm.arg(0), vm.arg(1));
    if a.is_int() && b.is_int() {
        return match (a.raw_int(), b.raw_int()) {
            (_, 0) => Err(vm.arg_error(1, "zero")),
            (x, y) => vm.ret(Value::int(x.wrapping_rem(y))),
        };
    }
    let x = vm.check_float(0)?;
    let y = vm.check_float(1)?;
    vm.ret(Value::float(x % y))
}

/// `math.modf (x)`: the integral part and the fraction.
fn modf(vm: &mut Vm) -> NativeResult {
    let v = vm.arg(0);
    let (whole, fraction) = if v.is_int() {
        (v, 0.0)
    } else {
        let f = vm.check_float(0)?;
        let whole = f.trunc();
        // An infinity has no fraction, though it is not a number less itself.
        let fraction = if whole == f { 0.0 } else { f - whole };
        (
            num_value(number::float_to_int(whole).map_or(Num::Float(whole), Num::Int)),
            fraction,
        )
    };
    vm.push(whole);
    vm.push(Value::float(fraction));
    Ok(Act::returning(2))
}

/// `math.tointeger (x)`
fn tointeger(vm: &mut Vm) -> NativeResult {
    let v = vm.check_any(0)?;
    let answer = vm.to_int(v).map_or(Value::NIL, Value::int);
    vm.ret(answer)
}

/// `math.type (x)`
fn type_(vm: &mut Vm) -> NativeResult {
    let v = vm.check_any(0)?;
    match v.tag {
        tag::INT => vm.ret_bytes(b"integer"),
        tag::FLOAT => vm.ret_bytes(b"float"),
        _ => vm.ret(Value::NIL),
    }
}

/// `math.ult (m, n)`
fn ult(vm: &mut Vm) -> NativeResult {
    let m = vm.check_int(0)?;
    let n = vm.check_int(1)?;
    vm.ret(Value::bool((m as u64) < n as u64))
}

/// `math.max (x, ···)`
fn max(vm: &mut Vm) -> NativeResult {
    extreme(vm, |candidate, best| (best, candidate))
}

/// `math.min (x, ···)`
fn min(vm: &mut Vm) -> NativeResult {
    extreme(vm, |candidate, best| (candidate, best))
}

/// States of `extreme`: a `__lt` metamethod has answered.
const COMPARED: u32 = 1;

/// The first argument that no later one beats. `order` says which of candidate and best must be the smaller one for the candidate to win.
/// Like the reference, this compares whatever it is given, with metamethods.
#[inline]
fn extreme(vm: &mut Vm, order: fn(Value, Value) -> (Value, Value)) -> NativeResult {
    if vm.state() == COMPARED {
        return extreme_general(vm, order);
    }
    if !vm.has_arg(0) {
        return Err(vm.arg_error(0, "value expected"));
    }
    let count = vm.slots();
    let mut best = vm.arg(0);
    for i in 1..count {
        let candidate = vm.arg(i);
        if !best.is_number() || !candidate.is_number() {
            vm.push(Value::int(0));
            vm.push(Value::int(0));
            return extreme_general(vm, order);
        }
        let (a, b) = order(candidate, best);
        if number_less(a, b) {
            best = candidate;
        }
    }
    vm.ret(best)
}

/// The same with metamethods. Behind the arguments lie the positions of the best and of the last one compared.
#[cold]
fn extreme_general(vm: &mut Vm, order: fn(Value, Value) -> (Value, Value)) -> NativeResult {
    let answer = if vm.state() == COMPARED {
        Some(vm.pop().is_truthy())
    } else {
        None
    };
    let count = vm.slots() - 2;
    let mut best = vm.arg(count).raw_int() as usize;
    let mut at = vm.arg(count + 1).raw_int() as usize;
    let mut answer = answer;
    loop {
        if answer == Some(true) {
            best = at;
        }
        at += 1;
        if at >= count {
            let v = vm.arg(best);
            return vm.ret(v);
        }
        vm.set_slot(count, Value::int(best as i64));
        vm.set_slot(count + 1, Value::int(at as i64));
        let (a, b) = order(vm.arg(at), vm.arg(best));
        answer = vm.less_than(a, b)?;
        if answer.is_none() {
            vm.set_state(COMPARED);
            return Ok(Act::calling(2, 1));
        }
    }
}

/// The generator; a state of zeros (an engine whose library was not opened) counts as unseeded.
#[inline]
fn generator(vm: &Vm) -> Xoshiro {
    Xoshiro::from_state(vm.random).unwrap_or_else(|| Xoshiro::seed(0, 0))
}

/// `math.random ([m [, n]])`
fn random(vm: &mut Vm) -> NativeResult {
    let mut rng = generator(vm);
    let bits = rng.next_u64();
    vm.random = rng.state();
    let (low, up) = match vm.slots() {
        0 => return vm.ret(Value::float(unit_float(bits))),
        1 => {
            let up = vm.check_int(0)?;
            if up == 0 {
                return vm.ret(Value::int(bits as i64));
            }
            (1, up)
        }
        2 => (vm.check_int(0)?, vm.check_int(1)?),
        _ => return Err(vm.fail("wrong number of arguments")),
    };
    let Some(n) = rng.in_range(bits, low, up) else {
        return Err(vm.arg_error(0, "interval is empty"));
    };
    vm.random = rng.state();
    vm.ret(Value::int(n))
}

/// `math.randomseed ([x [, y]])`: returns the two seeds. Without arguments they come from the host, or, where it offers none, from the
/// generator itself: so a sandbox stays deterministic.
fn randomseed(vm: &mut Vm) -> NativeResult {
    let (a, b) = if vm.has_arg(0) {
        let a = vm.check_int(0)?;
        (a, vm.opt_int(1, 0)?)
    } else {
        let mut rng = generator(vm);
        let own = rng.next_u64() as i64;
        let a = vm.host.entropy().map_or(own, |n| n as i64);
        (a, rng.next_u64() as i64)
    };
    super::seed(vm, a as u64, b as u64);
    vm.push(Value::int(a));
    vm.push(Value::int(b));
    Ok(Act::returning(2))
}
