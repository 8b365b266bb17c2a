//! `require "bigint"`: integers of any size for Lua programs, over the `num-bigint` crate. `docs/bigint.md` describes it to users.
//!
//! A big integer is a userdata without host data: its digits are a Lua string in its first user value (two's complement, low bytes first, as
//! short as possible). So the engine accounts for them, they die with the userdata, and they can be saved like any other object. Programs
//! cannot change them, short of the debug library, and then any string is some number.
//!
//! Bounds: a number has at most [`BYTES_MAX`] bytes, so that no single operation takes noticeably long; work is charged to the fuel.
#![deny(unsafe_code)]

use evermoon::heap::number;
use evermoon::heap::object::Gc;
use evermoon::heap::table::Table;
use evermoon::heap::value::Value;
use evermoon::vm::{NativeFn, NativeResult, Throw, Vm};
use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_traits::{Signed, ToPrimitive, Zero};
use std::cmp::Ordering;

/// Longest number: 524,288 bits, some 157,000 decimal digits. Conversion to decimal takes quadratic time, at this size a fraction of a second.
pub const BYTES_MAX: usize = 64 << 10;

/// A little more than the decimal digits of the largest number; more are not even looked at.
const DECIMAL_MAX: usize = 157_827 + 1;

/// The registry's name for the metatable.
const METATABLE: &str = "bigint";

/// The module's functions, which are the methods too.
const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("new", new),
    ("add", add),
    ("sub", sub),
    ("mul", mul),
    ("div", div),
    ("mod", rem),
    ("idiv", floor_div),
    ("pow", pow),
    ("neg", neg),
    ("abs", abs),
    ("sign", sign),
    ("cmp", compare),
    ("tostring", to_string),
    ("tonumber", to_number),
    ("isbigint", is_bigint),
];

/// Metamethods that are not among the functions.
const METAMETHODS: &[(&str, NativeFn)] =
    &[("__eq", equal), ("__lt", less), ("__le", less_or_equal)];

/// Operators that are functions.
const OPERATORS: &[(&str, &str)] = &[
    ("__add", "add"),
    ("__sub", "sub"),
    ("__mul", "mul"),
    ("__div", "div"),
    ("__mod", "mod"),
    ("__idiv", "idiv"),
    ("__pow", "pow"),
    ("__unm", "neg"),
    ("__tostring", "tostring"),
];

/// Makes `require "bigint"` work: enters the loader into `package.preload`. The package library must be open. For
/// [`Builder::module`](evermoon::Builder::module):
///
/// ```
/// let lua = evermoon::Lua::builder().module(evermoon_bigint::preload).build().unwrap();
/// let digits: String = lua.load("tostring(require('bigint').new(2) ^ 70)").eval().unwrap();
/// assert_eq!(digits, "1180591620717411303424");
/// ```
pub fn preload(vm: &mut Vm) -> Result<(), Throw> {
    evermoon::stdlib::preload(vm, "bigint", load)?;
    // Registered here, so that saved worlds find them by name whether or not the module has been required. They stand directly behind
    // the loader.
    for &(name, function) in FUNCTIONS.iter().chain(METAMETHODS) {
        vm.register("bigint", name, function);
    }
    Ok(())
}

/// The module's loader.
fn load(vm: &mut Vm) -> NativeResult {
    let module = module(vm)?;
    vm.ret(Value::table(module))
}

/// The module's table, made with the metatable when it is first asked for.
fn module(vm: &mut Vm) -> Result<Gc<Table>, Throw> {
    let registry = vm.registry;
    if let Some(metatable) = vm.raw_get_name(registry, METATABLE)?.as_table()
        && let Some(module) = vm.raw_get_name(metatable, "__index")?.as_table()
    {
        return Ok(module);
    }
    let loader = vm
        .natives
        .iter()
        .position(|n| n.library == "bigint" && n.name == "loader");
    let first = loader.map_or(0, |loader| loader as u32 + 1);
    let module = vm.new_table()?;
    for (i, &(name, _)) in FUNCTIONS.iter().enumerate() {
        vm.raw_set_name(module, name, Value::native(first + i as u32))?;
    }
    let metatable = vm.new_table()?;
    for (i, &(name, _)) in METAMETHODS.iter().enumerate() {
        vm.raw_set_name(
            metatable,
            name,
            Value::native(first + (FUNCTIONS.len() + i) as u32),
        )?;
    }
    for &(event, name) in OPERATORS {
        let function = vm.raw_get_name(module, name)?;
        vm.raw_set_name(metatable, event, function)?;
    }
    let name = vm.new_string(b"bigint")?;
    vm.raw_set_name(metatable, "__name", name)?;
    vm.raw_set_name(metatable, "__index", Value::table(module))?;
    vm.raw_set_name(registry, METATABLE, Value::table(metatable))?;
    Ok(module)
}

fn fits(n: &BigInt) -> bool {
    n.bits() < BYTES_MAX as u64 * 8
}

#[cold]
fn too_large(vm: &mut Vm) -> Throw {
    vm.fail(&format!(
        "number too large: a bigint has at most {} bits",
        BYTES_MAX * 8
    ))
}

/// A userdata with these digits, or an error for too many.
pub fn make(vm: &mut Vm, n: &BigInt) -> Result<Value, Throw> {
    if !fits(n) {
        return Err(too_large(vm));
    }
    let bytes = n.to_signed_bytes_le();
    let digits = vm.new_string(&bytes)?;
    let registry = vm.registry;
    let metatable = vm.raw_get_name(registry, METATABLE)?.as_table();
    let mut object = vm.heap.userdata(None)?;
    object.metatable = metatable;
    object.user_values = vec![digits];
    Ok(Value::userdata(object))
}

/// A big integer from its decimal digits, as an embedder keeps it. `None` for other text, and for too many digits. The engine must
/// have been through [`preload`].
pub fn from_decimal(vm: &mut Vm, text: &[u8]) -> Result<Option<Value>, Throw> {
    if text.len() > DECIMAL_MAX {
        return Ok(None);
    }
    module(vm)?;
    match parse(text, 10).filter(fits) {
        Some(n) => make(vm, &n).map(Some),
        None => Ok(None),
    }
}

/// The digits of a big integer in decimal; `None` for any other value.
pub fn to_decimal(vm: &mut Vm, v: Value) -> Result<Option<String>, Throw> {
    Ok(value(vm, v)?.map(|n| n.to_str_radix(10)))
}

/// The number behind a big integer; `None` for any other value.
fn value(vm: &mut Vm, v: Value) -> Result<Option<BigInt>, Throw> {
    let Some(u) = v.as_userdata() else {
        return Ok(None);
    };
    let registry = vm.registry;
    let Some(metatable) = vm.raw_get_name(registry, METATABLE)?.as_table() else {
        return Ok(None);
    };
    if !u
        .metatable
        .is_some_and(|mt| Value::table(mt).raw_equals(Value::table(metatable)))
    {
        return Ok(None);
    }
    let digits = u.user_values.first().and_then(|v| v.as_str());
    Ok(digits.map(|s| BigInt::from_signed_bytes_le(s.bytes())))
}

/// Argument `i` as a big integer: one, or a number with an integer value.
fn argument(vm: &mut Vm, i: usize) -> Result<BigInt, Throw> {
    let v = vm.arg(i);
    if let Some(n) = v.as_int() {
        return Ok(n.into());
    }
    if let Some(f) = v.as_float() {
        return match number::float_to_int(f) {
            Some(n) => Ok(n.into()),
            None => Err(vm.arg_error(i, "number has no integer representation")),
        };
    }
    match value(vm, v)? {
        Some(n) => Ok(n),
        None => Err(vm.arg_type_error(i, "bigint")),
    }
}

/// Both operands, their work charged: `work` from their sizes in 32-bit digits.
fn operands(vm: &mut Vm, work: fn(u64, u64) -> u64) -> Result<(BigInt, BigInt), Throw> {
    let (a, b) = (argument(vm, 0)?, argument(vm, 1)?);
    vm.charge(work(a.bits() / 32, b.bits() / 32) / 16);
    Ok((a, b))
}

/// The work of what goes once over both.
fn once(a: u64, b: u64) -> u64 {
    a + b
}

fn ret(vm: &mut Vm, n: &BigInt) -> NativeResult {
    let v = make(vm, n)?;
    vm.ret(v)
}

/// `bigint.new (value [, base])`
fn new(vm: &mut Vm) -> NativeResult {
    let v = vm.arg(0);
    if let Some(s) = v.as_str() {
        let base = vm.opt_int(1, 10)?;
        if !(2..=36).contains(&base) {
            return Err(vm.arg_error(1, "base out of range"));
        }
        // More digits than the largest number has in base 2.
        if s.len() > BYTES_MAX * 8 + 1 {
            return Err(vm.arg_error(0, "too many digits"));
        }
        let digits = s.len() as u64 / 8;
        vm.charge(digits * digits / 16);
        return match parse(s.bytes(), base as u32) {
            Some(n) => ret(vm, &n),
            None => Err(vm.arg_error(0, "malformed number")),
        };
    }
    let n = match v.as_float() {
        // As the original had it: what is not an integer becomes 0.
        Some(f) => num_traits::FromPrimitive::from_f64(f)
            .filter(|_| is_integral(f))
            .unwrap_or_default(),
        None => argument(vm, 0)?,
    };
    ret(vm, &n)
}

fn is_integral(f: f64) -> bool {
    f.is_finite() && f % 1.0 == 0.0
}

/// Digits in a base with an optional `-` in front and `_` between digits; empty text is 0.
fn parse(text: &[u8], base: u32) -> Option<BigInt> {
    let (sign, digits) = match text.strip_prefix(b"-") {
        Some(rest) if !rest.is_empty() => (Sign::Minus, rest),
        Some(_) => return None,
        None => (Sign::Plus, text),
    };
    let between =
        |i: usize| i > 0 && i + 1 < digits.len() && digits[i - 1] != b'_' && digits[i + 1] != b'_';
    let mut values = Vec::with_capacity(digits.len());
    for (i, &c) in digits.iter().enumerate() {
        match (c as char).to_digit(base) {
            Some(d) => values.push(d as u8),
            None if c == b'_' && between(i) => {}
            None => return None,
        }
    }
    if values.is_empty() {
        return Some(BigInt::zero());
    }
    BigInt::from_radix_be(sign, &values, base)
}

fn add(vm: &mut Vm) -> NativeResult {
    let (a, b) = operands(vm, once)?;
    ret(vm, &(a + b))
}

fn sub(vm: &mut Vm) -> NativeResult {
    let (a, b) = operands(vm, once)?;
    // (Not `a - b`: code that the module would have a second time.)
    ret(vm, &(a + -b))
}

fn mul(vm: &mut Vm) -> NativeResult {
    let (a, b) = operands(vm, |a, b| a * b)?;
    if a.bits() + b.bits() > BYTES_MAX as u64 * 8 + 64 {
        return Err(too_large(vm));
    }
    ret(vm, &(a * b))
}

/// The divisor, and the quotient and remainder of a division that truncates towards zero.
fn divided(vm: &mut Vm) -> Result<(BigInt, BigInt, BigInt), Throw> {
    let (a, b) = operands(vm, |a, b| a.saturating_sub(b).max(1) * b.max(1))?;
    if b.is_zero() {
        return Err(vm.fail("bigint division by zero"));
    }
    let (quotient, rest) = a.div_rem(&b);
    Ok((b, quotient, rest))
}

/// `a / b`, truncated towards zero.
fn div(vm: &mut Vm) -> NativeResult {
    let (_, quotient, _) = divided(vm)?;
    ret(vm, &quotient)
}

/// `a % b`, with the sign of `a`.
fn rem(vm: &mut Vm) -> NativeResult {
    let (_, _, rest) = divided(vm)?;
    ret(vm, &rest)
}

/// `a // b`, rounded down as Lua's integers are.
fn floor_div(vm: &mut Vm) -> NativeResult {
    let (b, mut quotient, rest) = divided(vm)?;
    if !rest.is_zero() && rest.is_negative() != b.is_negative() {
        quotient += BigInt::from(-1);
    }
    ret(vm, &quotient)
}

/// `a ^ n` for a number `n` from 0 on.
fn pow(vm: &mut Vm) -> NativeResult {
    let (a, n) = (argument(vm, 0)?, argument(vm, 1)?);
    if n.is_negative() {
        return Err(vm.arg_error(1, "negative exponent"));
    }
    let trivial = a.bits() <= 1;
    match n
        .to_u32()
        .filter(|&n| trivial || (a.bits() - 1).saturating_mul(n as u64) <= BYTES_MAX as u64 * 8)
    {
        Some(n) => {
            let digits = a.bits() * n as u64 / 32;
            vm.charge(if trivial { 1 } else { digits * digits / 16 });
            ret(vm, &a.pow(n))
        }
        // 0, 1 and -1 to a huge power.
        None if trivial => ret(vm, &if n.is_odd() { a } else { &a * &a }),
        None => Err(too_large(vm)),
    }
}

fn neg(vm: &mut Vm) -> NativeResult {
    let a = argument(vm, 0)?;
    ret(vm, &-a)
}

fn abs(vm: &mut Vm) -> NativeResult {
    let a = argument(vm, 0)?;
    ret(vm, &a.abs())
}

/// -1, 0 or 1.
fn sign(vm: &mut Vm) -> NativeResult {
    let a = argument(vm, 0)?;
    vm.ret(Value::int(a.signum().to_i64().unwrap_or(0)))
}

/// How two numbers compare.
fn order(vm: &mut Vm) -> Result<Ordering, Throw> {
    let (a, b) = operands(vm, once)?;
    Ok(a.cmp(&b))
}

/// -1, 0 or 1 for less, equal, greater.
fn compare(vm: &mut Vm) -> NativeResult {
    let order = order(vm)?;
    vm.ret(Value::int(order as i64))
}

/// `bigint.tostring (x [, base])`, in lower case.
fn to_string(vm: &mut Vm) -> NativeResult {
    let a = argument(vm, 0)?;
    // As a metamethod it gets one argument.
    let base = vm.opt_int(1, 10)?;
    if !(2..=36).contains(&base) {
        return Err(vm.arg_error(1, "base out of range"));
    }
    let digits = a.bits() / 32;
    vm.charge(digits * digits / 16);
    vm.ret_bytes(a.to_str_radix(base as u32).as_bytes())
}

/// A Lua integer if the value fits, else the nearest float.
fn to_number(vm: &mut Vm) -> NativeResult {
    let a = argument(vm, 0)?;
    vm.ret(match a.to_i64() {
        Some(n) => Value::int(n),
        None => Value::float(a.to_f64().unwrap_or(f64::NAN)),
    })
}

fn is_bigint(vm: &mut Vm) -> NativeResult {
    let v = vm.check_any(0)?;
    let found = value(vm, v)?.is_some();
    vm.ret(Value::bool(found))
}

fn equal(vm: &mut Vm) -> NativeResult {
    let (a, b) = (vm.arg(0), vm.arg(1));
    let equal = match (value(vm, a)?, value(vm, b)?) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    };
    vm.ret(Value::bool(equal))
}

fn less(vm: &mut Vm) -> NativeResult {
    let order = order(vm)?;
    vm.ret(Value::bool(order.is_lt()))
}

fn less_or_equal(vm: &mut Vm) -> NativeResult {
    let order = order(vm)?;
    vm.ret(Value::bool(order.is_le()))
}
