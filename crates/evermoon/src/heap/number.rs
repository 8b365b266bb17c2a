//! Numbers: every subtlety of Lua's integers and floats, with the manual's section beside each rule.
//!
//! Integers are `i64` and wrap around; floats are IEEE `f64`. Whatever is computed here gives the same bits on every
//! platform: nothing depends on the host's C library, and a NaN's sign and payload (which WebAssembly leaves open) are
//! never shown. This file knows no values, no heap and no VM, and allocates nothing but what it appends to the
//! caller's vector (and, for very large and very small floats, what `decimal.rs` needs).

use crate::decimal::{self, Decimal, POW10, compose, split};

/// A number of either subtype (§2.1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Num {
    Int(i64),
    Float(f64),
}

impl Num {
    /// The number as a float, rounded to nearest if it has to be (§3.4.3).
    #[inline]
    pub fn to_float(self) -> f64 {
        match self {
            Num::Int(i) => i as f64,
            Num::Float(f) => f,
        }
    }

    /// The number as an integer, if it has an exact integer representation (§3.4.3).
    #[inline]
    pub fn to_int(self) -> Option<i64> {
        match self {
            Num::Int(i) => Some(i),
            Num::Float(f) => float_to_int(f),
        }
    }
}

/// 2^63, the first float above every integer. Its negation is exactly `i64::MIN`.
const TWO_63: f64 = 9_223_372_036_854_775_808.0;

// ---------------------------------------------------------------------------------------------------------------------
// Floats to integers (§3.4.3)

/// What to do with a float that has a fraction, on its way to an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// No integer: `3.5` does not convert.
    Exact,
    /// Towards minus infinity.
    Floor,
    /// Towards plus infinity.
    Ceil,
}

/// The integer equal to `f`, if there is one. NaN, infinities, fractions and anything outside the range give `None`.
#[inline]
#[cfg_attr(evermoon_small, optimize(speed))]
pub fn float_to_int(f: f64) -> Option<i64> {
    let i = f as i64; // saturates; NaN becomes 0
    // `i64::MAX` is not a float, so it can only come from saturation, and rounds back to 2^63.
    if i as f64 == f && i != i64::MAX {
        Some(i)
    } else {
        None
    }
}

/// The integer nearest to `f` in the direction asked for, if it is in range.
#[inline]
pub fn float_to_int_rounded(f: f64, rounding: Rounding) -> Option<i64> {
    match rounding {
        Rounding::Exact => float_to_int(f),
        Rounding::Floor => float_to_int(f.floor()),
        Rounding::Ceil => float_to_int(f.ceil()),
    }
}

/// `math.floor` of a float (§6.7): an integer if it fits, else the floored float.
#[inline]
pub fn floor(f: f64) -> Num {
    let f = f.floor();
    float_to_int(f).map_or(Num::Float(f), Num::Int)
}

/// `math.ceil` of a float (§6.7): an integer if it fits, else the float rounded up.
#[inline]
pub fn ceil(f: f64) -> Num {
    let f = f.ceil();
    float_to_int(f).map_or(Num::Float(f), Num::Int)
}

// ---------------------------------------------------------------------------------------------------------------------
// Comparison across the subtypes (§3.4.4): by mathematical value, never by rounding the integer. NaN compares false.

/// `i == f`
#[inline]
pub fn eq_int_float(i: i64, f: f64) -> bool {
    float_to_int(f) == Some(i)
}

/// `i < f`
#[inline]
pub fn lt_int_float(i: i64, f: f64) -> bool {
    if f >= TWO_63 {
        true
    } else if f > -TWO_63 {
        i < f.ceil() as i64 // i < f exactly when i < ceil(f); the conversion is exact in this range
    } else {
        false // at or below i64::MIN, or NaN
    }
}

/// `i <= f`
#[inline]
pub fn le_int_float(i: i64, f: f64) -> bool {
    if f >= TWO_63 {
        true
    } else if f >= -TWO_63 {
        i <= f.floor() as i64
    } else {
        false
    }
}

/// `f < i`
#[inline]
pub fn lt_float_int(f: f64, i: i64) -> bool {
    if f >= TWO_63 {
        false
    } else if f >= -TWO_63 {
        (f.floor() as i64) < i
    } else {
        f < -TWO_63 // true but for NaN
    }
}

/// `f <= i`
#[inline]
pub fn le_float_int(f: f64, i: i64) -> bool {
    if f >= TWO_63 {
        false
    } else if f > -TWO_63 {
        f.ceil() as i64 <= i
    } else {
        f <= -TWO_63 // true but for NaN
    }
}

/// `a == b` for numbers of any subtype. (`1 == 1.0` is true; as table keys they are the same key, §2.1.)
#[inline]
pub fn num_eq(a: Num, b: Num) -> bool {
    match (a, b) {
        (Num::Int(a), Num::Int(b)) => a == b,
        (Num::Float(a), Num::Float(b)) => a == b,
        (Num::Int(i), Num::Float(f)) | (Num::Float(f), Num::Int(i)) => eq_int_float(i, f),
    }
}

/// `a < b` for numbers of any subtype.
#[inline]
pub fn num_lt(a: Num, b: Num) -> bool {
    match (a, b) {
        (Num::Int(a), Num::Int(b)) => a < b,
        (Num::Float(a), Num::Float(b)) => a < b,
        (Num::Int(i), Num::Float(f)) => lt_int_float(i, f),
        (Num::Float(f), Num::Int(i)) => lt_float_int(f, i),
    }
}

/// `a <= b` for numbers of any subtype.
#[inline]
pub fn num_le(a: Num, b: Num) -> bool {
    match (a, b) {
        (Num::Int(a), Num::Int(b)) => a <= b,
        (Num::Float(a), Num::Float(b)) => a <= b,
        (Num::Int(i), Num::Float(f)) => le_int_float(i, f),
        (Num::Float(f), Num::Int(i)) => le_float_int(f, i),
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Division and modulo (§3.4.1): both round the quotient towards minus infinity.

/// `a // b` for integers; `None` when `b` is zero (an error that only the caller can word).
#[inline]
pub fn int_idiv(a: i64, b: i64) -> Option<i64> {
    if b == 0 {
        return None;
    }
    let q = a.wrapping_div(b); // wraps for i64::MIN // -1, as the manual says of overflow
    let inexact = a.wrapping_rem(b) != 0;
    Some(if inexact && (a ^ b) < 0 { q - 1 } else { q })
}

/// `a % b` for integers; `None` when `b` is zero. The result has the sign of `b`.
#[inline]
pub fn int_mod(a: i64, b: i64) -> Option<i64> {
    if b == 0 {
        return None;
    }
    let r = a.wrapping_rem(b);
    Some(if r != 0 && (r ^ b) < 0 { r + b } else { r })
}

/// `a // b` for floats.
#[inline]
pub fn float_idiv(a: f64, b: f64) -> f64 {
    (a / b).floor()
}

/// `a % b` for floats: C's `fmod`, moved by `b` if its sign is not `b`'s. An infinite `b` leaves an `a` of its own sign
/// as it is, and gives `b` for one of the other sign.
#[inline]
#[cfg_attr(evermoon_small, optimize(speed))]
pub fn float_mod(a: f64, b: f64) -> f64 {
    let r = fmod(a, b);
    // Not `r * b < 0`: the product of small numbers is zero.
    if r != 0.0 && (r < 0.0) != (b < 0.0) {
        r + b
    } else {
        r
    }
}

/// The exact remainder of truncating division, with the sign of `a`, as C's `fmod`.
#[inline]
#[cfg_attr(evermoon_small, optimize(speed))]
fn fmod(a: f64, b: f64) -> f64 {
    /// Below this, a float without a fraction is its integer.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    // Whole numbers are the usual case, and a 64-bit division is far faster than the general loop.
    if a.abs() < EXACT && b.abs() < EXACT {
        let (ia, ib) = (a as i64, b as i64);
        if ia as f64 == a && ib as f64 == b && ib != 0 {
            return ((ia % ib) as f64).copysign(a);
        }
    }
    a % b
}

/// `a ^ b`: always on floats (§3.4.1).
///
/// Two exponents are common enough to be worth a test, and have an operation that IEEE defines exactly, so that they
/// are at least as near the true result as the general function, and the same everywhere.
#[inline]
#[cfg_attr(evermoon_small, optimize(speed))]
pub fn pow(a: f64, b: f64) -> f64 {
    if b == 2.0 {
        a * a
    } else if b == 0.5 && a >= 0.0 {
        // The two zeros and infinity too: pow(-0.0, 0.5) is +0.0, hence the sum.
        a.sqrt() + 0.0
    } else {
        libm::pow(a, b)
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Shifts (§3.4.2): logical, filling with zeros; a negative count shifts the other way; 64 or more gives zero.

/// `x << n`
#[inline]
pub fn shl(x: i64, n: i64) -> i64 {
    match n {
        0..=63 => ((x as u64) << n) as i64,
        -63..=-1 => ((x as u64) >> -n) as i64,
        _ => 0,
    }
}

/// `x >> n`
#[inline]
pub fn shr(x: i64, n: i64) -> i64 {
    match n {
        0..=63 => ((x as u64) >> n) as i64,
        -63..=-1 => ((x as u64) << -n) as i64,
        _ => 0,
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The numeric `for` (§3.3.5)

/// How many times after the first an integer loop runs, or `None` if it does not run at all. `step` is not zero.
///
/// Counting beforehand is what makes the loop unable to overflow: "the loop never wraps around". A limit that is a float
/// is cut to an integer; one out of range means as far as integers go, or, on the other side, not at all.
pub fn for_loop_count(init: i64, limit: Num, step: i64) -> Option<u64> {
    let limit = match limit {
        Num::Int(i) => i,
        Num::Float(f) => {
            let rounding = if step < 0 {
                Rounding::Ceil
            } else {
                Rounding::Floor
            };
            match float_to_int_rounded(f, rounding) {
                Some(i) => i,
                None if f > 0.0 && step > 0 => i64::MAX,
                // Below every integer, or NaN: the reference does not tell the two apart, so a NaN only stops loops that
                // count up.
                None if f.is_nan() || f < 0.0 => match step > 0 {
                    true => return None,
                    false => i64::MIN,
                },
                None => return None, // above every integer, counting down
            }
        }
    };
    if step > 0 {
        (init <= limit).then(|| limit.wrapping_sub(init) as u64 / step as u64)
    } else {
        (init >= limit).then(|| init.wrapping_sub(limit) as u64 / step.unsigned_abs())
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Strings to numbers (§3.1, §3.4.3)

/// Whether `c` is white space to the lexer and to conversions: space, `\t`, `\n`, `\v`, `\f`, `\r`.
#[inline]
pub const fn is_space(c: u8) -> bool {
    c == b' ' || (c >= b'\t' && c <= b'\r')
}

fn hex_digit(c: u8) -> Option<u64> {
    match c {
        b'0'..=b'9' => Some((c - b'0') as u64),
        b'a'..=b'f' => Some((c - b'a') as u64 + 10),
        b'A'..=b'F' => Some((c - b'A') as u64 + 10),
        _ => None,
    }
}

/// The number that a string spells, as `tonumber` without a base and as the lexer read it: white space around, a sign,
/// a decimal or hexadecimal numeral. A hexadecimal integer wraps around; a decimal one that does not fit is a float.
/// No `inf`, no `nan`, nothing behind the numeral.
#[cfg_attr(evermoon_small, optimize(speed))]
pub fn parse_number(s: &[u8]) -> Option<Num> {
    let start = s.iter().position(|&c| !is_space(c))?;
    let end = s.iter().rposition(|&c| !is_space(c))? + 1;
    let s = s.get(start..end)?;
    let (negative, body) = match s.first()? {
        b'-' => (true, &s[1..]),
        b'+' => (false, &s[1..]),
        _ => (false, s),
    };
    match body {
        [b'0', b'x' | b'X', hex @ ..] => parse_hex(hex, negative),
        _ => parse_decimal(body, negative),
    }
}

#[cfg_attr(evermoon_small, optimize(speed))]
fn parse_decimal(s: &[u8], negative: bool) -> Option<Num> {
    let mut magnitude = Some(0u64);
    let mut i = 0;
    while let Some(c @ b'0'..=b'9') = s.get(i) {
        magnitude = magnitude.and_then(|m| m.checked_mul(10)?.checked_add((c - b'0') as u64));
        i += 1;
    }
    if i == s.len() && i > 0 {
        match magnitude {
            Some(m) if m <= i64::MAX as u64 => {
                let m = m as i64;
                return Some(Num::Int(if negative { -m } else { m }));
            }
            Some(m) if negative && m == i64::MIN.unsigned_abs() => return Some(Num::Int(i64::MIN)),
            _ => {} // too large: a float
        }
    }
    let mut digits = i;
    if s.get(i) == Some(&b'.') {
        i += 1;
        let fraction = i;
        while s.get(i).is_some_and(u8::is_ascii_digit) {
            i += 1;
        }
        digits += i - fraction;
    }
    if digits == 0 {
        return None;
    }
    if let Some(b'e' | b'E') = s.get(i) {
        i += 1;
        if let Some(b'+' | b'-') = s.get(i) {
            i += 1;
        }
        let exponent = i;
        while s.get(i).is_some_and(u8::is_ascii_digit) {
            i += 1;
        }
        if i == exponent {
            return None;
        }
    }
    if i != s.len() {
        return None;
    }
    let f = decimal::parse(s);
    Some(Num::Float(if negative { -f } else { f }))
}

/// What follows `0x`. With neither point nor exponent it is an integer, modulo 2^64.
fn parse_hex(s: &[u8], negative: bool) -> Option<Num> {
    let mut wrapped = 0u64; // the integer, should it be one
    let mut mantissa = 0u64; // the first 16 significant digits
    let mut sticky = false; // whether a digit that did not fit was not zero
    let mut exponent = 0i64; // the value is mantissa * 2^exponent
    let mut digits = 0usize;
    let mut point = false;
    let mut i = 0;
    while let Some(&c) = s.get(i) {
        if c == b'.' && !point {
            point = true;
        } else if let Some(d) = hex_digit(c) {
            digits += 1;
            wrapped = wrapped << 4 | d;
            if mantissa >> 60 == 0 {
                mantissa = mantissa << 4 | d;
                exponent -= if point { 4 } else { 0 };
            } else {
                sticky |= d != 0;
                exponent += if point { 0 } else { 4 };
            }
        } else {
            break;
        }
        i += 1;
    }
    if digits == 0 {
        return None;
    }
    if i == s.len() && !point {
        let n = if negative {
            wrapped.wrapping_neg()
        } else {
            wrapped
        };
        return Some(Num::Int(n as i64));
    }
    if let Some(b'p' | b'P') = s.get(i) {
        i += 1;
        let down = s.get(i) == Some(&b'-');
        if let Some(b'+' | b'-') = s.get(i) {
            i += 1;
        }
        let first = i;
        let mut e = 0i64;
        while let Some(c @ b'0'..=b'9') = s.get(i) {
            // Larger than any number of digits can balance, small enough never to overflow.
            e = (e * 10 + (c - b'0') as i64).min(1 << 58);
            i += 1;
        }
        if i == first {
            return None;
        }
        exponent += if down { -e } else { e };
    }
    if i != s.len() {
        return None;
    }
    let f = compose(mantissa, sticky, exponent);
    Some(Num::Float(if negative { -f } else { f }))
}

/// The integer that a string spells in base 2 to 36, as `tonumber` with a base (§6.1): white space around, a sign, digits
/// and letters of either case; it wraps around.
pub fn parse_in_base(s: &[u8], base: u32) -> Option<i64> {
    let start = s.iter().position(|&c| !is_space(c))?;
    let end = s.iter().rposition(|&c| !is_space(c))? + 1;
    let (negative, digits) = match s.get(start..end)? {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut n = 0u64;
    for &c in digits {
        let digit = (c as char).to_digit(36).filter(|&d| d < base)?;
        n = n.wrapping_mul(base as u64).wrapping_add(digit as u64);
    }
    Some(if negative { n.wrapping_neg() } else { n } as i64)
}

// ---------------------------------------------------------------------------------------------------------------------
// Numbers to strings (§3.4.3): `%d` for integers; `%.14g` for floats, with `.0` behind what would look like an integer

/// Enough room for any number's text.
pub const NUM_BUF: usize = 32;

/// "00" to "99": two digits a step halves the divisions.
const PAIRS: &[u8; 200] = b"00010203040506070809101112131415161718192021222324252627282930313233343536373839\
4041424344454647484950515253545556575859606162636465666768697071727374757677787980818283848586878889\
90919293949596979899";

/// Writes the digits of `n` so that they end at `end`, and returns where they start. Room for 20 digits is the caller's
/// duty, as every buffer here has.
#[inline]
#[cfg_attr(evermoon_small, optimize(speed))]
fn digits_before(buf: &mut [u8], end: usize, mut n: u64) -> usize {
    let mut at = end;
    while n >= 100 {
        let pair = (n % 100) as usize * 2;
        n /= 100;
        at -= 2;
        buf[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if n >= 10 {
        let pair = n as usize * 2;
        at -= 2;
        buf[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    } else {
        at -= 1;
        buf[at] = b'0' + n as u8;
    }
    at
}

/// The decimal digits of `n`, in a buffer of the caller's.
#[inline]
pub fn uint_text(n: u64, buf: &mut [u8; NUM_BUF]) -> &[u8] {
    let at = digits_before(buf, NUM_BUF, n);
    &buf[at..]
}

/// An integer as Lua prints it, in a buffer of the caller's.
#[inline]
#[cfg_attr(evermoon_small, optimize(speed))]
pub fn int_text(i: i64, buf: &mut [u8; NUM_BUF]) -> &[u8] {
    let mut at = digits_before(buf, NUM_BUF, i.unsigned_abs());
    if i < 0 {
        at -= 1;
        buf[at] = b'-';
    }
    &buf[at..]
}

/// A float as Lua prints it, in a buffer of the caller's: `1.0`, `-0.0`, `3.1415926535898`, `1e+15`, `inf`, `-inf`, `nan`.
///
/// NaN is always `nan`. The reference prints its sign, which neither Lua programs nor WebAssembly can rely on, so
/// printing it would make runs differ between platforms.
#[cfg_attr(evermoon_small, optimize(speed))]
pub fn float_text(f: f64, buf: &mut [u8; NUM_BUF]) -> &[u8] {
    const PRECISION: i32 = 14;
    if !f.is_finite() {
        return if f.is_nan() {
            b"nan"
        } else if f > 0.0 {
            b"inf"
        } else {
            b"-inf"
        };
    }
    let negative = f.is_sign_negative();
    let f = f.abs();
    if f < 1e14 && f == (f as i64) as f64 {
        // A whole number that `%.14g` prints in full.
        buf[NUM_BUF - 2..].copy_from_slice(b".0");
        let mut at = digits_before(buf, NUM_BUF - 2, f as u64);
        if negative {
            at -= 1;
            buf[at] = b'-';
        }
        return &buf[at..];
    }
    let (mut digits, exponent) = significant(f, PRECISION as usize);
    let mut count = PRECISION;
    while digits % 100 == 0 {
        digits /= 100;
        count -= 2;
    }
    if digits % 10 == 0 {
        digits /= 10;
        count -= 1;
    }
    // `count` digits without trailing zeros, the first of which stands for 10^exponent.
    let mut scratch = [0; 20];
    let from = digits_before(&mut scratch, 20, digits);
    let text = &scratch[from..];
    let mut len = 0;
    let mut put = |bytes: &[u8]| {
        buf[len..len + bytes.len()].copy_from_slice(bytes);
        len += bytes.len();
    };
    if negative {
        put(b"-");
    }
    if !(-4..PRECISION).contains(&exponent) {
        put(&text[..1]);
        if count > 1 {
            put(b".");
            put(&text[1..]);
        }
        put(if exponent < 0 { b"e-" } else { b"e+" });
        let e = exponent.unsigned_abs() as usize;
        if e >= 100 {
            put(&[b'0' + (e / 100) as u8]);
        }
        let pair = e % 100 * 2;
        put(&PAIRS[pair..pair + 2]);
    } else if exponent < 0 {
        put(&b"0.0000"[..1 + exponent.unsigned_abs() as usize]);
        put(text);
    } else if count <= exponent + 1 {
        put(text);
        put(&b"0000000000000"[..(exponent + 1 - count) as usize]);
        put(b".0");
    } else {
        let whole = exponent as usize + 1;
        put(&text[..whole]);
        put(b".");
        put(&text[whole..]);
    }
    &buf[..len]
}

/// Appends an integer's text.
#[inline]
pub fn push_int(out: &mut Vec<u8>, i: i64) {
    out.extend_from_slice(int_text(i, &mut [0; NUM_BUF]));
}

/// Appends a float's text.
#[inline]
pub fn push_float(out: &mut Vec<u8>, f: f64) {
    out.extend_from_slice(float_text(f, &mut [0; NUM_BUF]));
}

/// A float's text, for messages: `{}` would bring in `core`'s printing.
pub fn float_string(f: f64) -> String {
    String::from_utf8_lossy(float_text(f, &mut [0; NUM_BUF])).into_owned()
}

/// Appends a number's text.
#[inline]
pub fn push_num(out: &mut Vec<u8>, n: Num) {
    match n {
        Num::Int(i) => push_int(out, i),
        Num::Float(f) => push_float(out, f),
    }
}

/// Powers of five whose product with a 53-bit mantissa fits 128 bits.
const POW5: [u128; 33] = {
    let mut t = [1u128; 33];
    let mut i = 1;
    while i < 33 {
        t[i] = t[i - 1] * 5;
        i += 1;
    }
    t
};

/// `f * 10^scale`, exactly, rounded to nearest and ties to even; `None` if that does not fit a `u64` or is not within
/// this method's reach. `f` is finite and not negative.
///
/// The product of mantissa and power of five is exact in 128 bits, and the powers of two only move the point, so what is
/// cut off is known to the last bit.
#[inline]
#[cfg_attr(evermoon_small, optimize(speed))]
pub fn scaled_round(f: f64, scale: i32) -> Option<u64> {
    let (mantissa, exponent) = split(f);
    let exponent = exponent + scale;
    if scale >= 0 {
        let product = mantissa as u128 * POW5.get(scale as usize)?;
        if exponent >= 0 {
            if exponent as u32 > product.leading_zeros() {
                return None;
            }
            return u64::try_from(product << exponent).ok();
        }
        let drop = exponent.unsigned_abs();
        if drop >= 128 {
            return Some((drop == 128 && product > 1 << 127) as u64);
        }
        let kept = u64::try_from(product >> drop).ok()?;
        let rest = product & ((1 << drop) - 1);
        let half = 1u128 << (drop - 1);
        kept.checked_add((rest > half || (rest == half && kept & 1 == 1)) as u64)
    } else {
        // Divide instead. Binary exponents here are positive or slightly negative: give them to the side they suit.
        let mut numerator = mantissa as u128;
        let mut divisor = *POW5.get(scale.unsigned_abs() as usize)?;
        if exponent >= 0 {
            if exponent as u32 > numerator.leading_zeros() {
                return None;
            }
            numerator <<= exponent;
        } else {
            if exponent.unsigned_abs() > divisor.leading_zeros() {
                return None;
            }
            divisor <<= exponent.unsigned_abs();
        }
        let kept = u64::try_from(numerator / divisor).ok()?;
        let rest = numerator % divisor;
        let twice = rest.checked_mul(2)?;
        kept.checked_add((twice > divisor || (twice == divisor && kept & 1 == 1)) as u64)
    }
}

/// The first `count` (1 to 17) significant decimal digits of `f`, rounded exactly as C does, as one integer, and the
/// decimal exponent of the first of them. `f` is finite and positive. (`0.012345`, 3 gives `(123, -2)`: 1.23e-2.)
#[cfg_attr(evermoon_small, optimize(speed))]
pub fn significant(f: f64, count: usize) -> (u64, i32) {
    debug_assert!((1..=17).contains(&count) && f > 0.0 && f.is_finite());
    let limit = POW10[count];
    // floor(log10(f)), or one less: 2^e <= f < 2^(e+1), and log10(2) is 0.30103 to within what |e| < 1100 can feel.
    let e = (f.to_bits() >> 52 & 0x7ff) as i32 - 1023;
    let estimate = (e * 315_653) >> 20;
    for exponent in [estimate, estimate + 1] {
        match scaled_round(f, count as i32 - 1 - exponent) {
            Some(digits) if digits < limit => return (digits, exponent),
            // One digit too many: the estimate was low, or rounding carried. Again, a place higher.
            Some(_) => {}
            None => break,
        }
    }
    // Very large or very small.
    let mut all = Decimal::of(f);
    all.round(count);
    let missing = count - all.digits.len();
    let digits = all.digits.iter().fold(0, |n, d| n * 10 + (d - b'0') as u64);
    (digits * POW10[missing], all.exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    // tests/reference.rs compares all of this with lua5.4 on thousands of generated cases. Here is what must hold where
    // there is no lua5.4, and what says why.

    fn text(n: impl Into<f64>) -> String {
        let mut out = Vec::new();
        push_float(&mut out, n.into());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_as_text() {
        for (f, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-123.0, "-123.0"),
            (0.1, "0.1"),
            (std::f64::consts::PI, "3.1415926535898"),
            (1.0 / 3.0, "0.33333333333333"),
            (99999999999999.0, "99999999999999.0"),
            (99999999999999.5, "1e+14"),
            (1e14, "1e+14"),
            (1e15, "1e+15"),
            (123456789012345678.0, "1.2345678901235e+17"),
            (1e100, "1e+100"),
            (-1e-5, "-1e-05"),
            (1e-4, "0.0001"),
            (9.9999999999999e-5, "9.9999999999999e-05"),
            (0.5f64.powi(1074), "4.9406564584125e-324"),
            (f64::MAX, "1.7976931348623e+308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
            (-f64::NAN, "nan"),
            (2f64.powi(53), "9.007199254741e+15"),
            (2f64.powi(63), "9.2233720368548e+18"),
            (12345678.5, "12345678.5"),
            (1000000.25, "1000000.25"),
            (100.0, "100.0"),
        ] {
            assert_eq!(text(f), expected);
        }
    }

    #[test]
    fn ties_go_to_even_on_the_exact_value() {
        // Dyadic fractions, so exactly halfway between two of fourteen digits.
        assert_eq!(text(1000000000000.125), "1000000000000.1");
        assert_eq!(text(10000000000000.5), "10000000000000.0");
        assert_eq!(text(10000000000001.5), "10000000000002.0");
        assert_eq!(scaled_round(2.5, 0), Some(2));
        assert_eq!(scaled_round(3.5, 0), Some(4));
        assert_eq!(scaled_round(0.125, 2), Some(12));
        assert_eq!(scaled_round(0.375, 2), Some(38));
        assert_eq!(scaled_round(25.0, -1), Some(2));
        assert_eq!(scaled_round(35.0, -1), Some(4));
    }

    #[test]
    fn the_fast_way_agrees_with_the_exact_one() {
        // Every power of two, its neighbours, and something in between, at every length.
        for e in 0..2047u64 {
            for fraction in [
                0,
                1,
                (1 << 52) - 1,
                0x0005_5555_5555_5555,
                0x0008_0000_0000_0000,
            ] {
                let f = f64::from_bits(e << 52 | fraction);
                if f == 0.0 {
                    continue;
                }
                for count in [1, 2, 6, 14, 15, 17] {
                    let (digits, exponent) = significant(f, count);
                    let shown = format!("{:.*e}", count - 1, f);
                    let (mantissa, power) = shown.split_once('e').unwrap();
                    assert_eq!(
                        (digits.to_string(), exponent.to_string()),
                        (mantissa.replace('.', ""), power.to_string()),
                        "{f:e}"
                    );
                }
            }
        }
    }

    #[test]
    fn integers_as_text() {
        let mut n = 1i64;
        for _ in 0..63 {
            for i in [n, -n, n - 1, 1 - n] {
                let mut out = Vec::new();
                push_int(&mut out, i);
                assert_eq!(out, i.to_string().as_bytes());
            }
            n = n.wrapping_mul(2);
        }
        for i in [0, 9, 10, 99, 100, i64::MAX, i64::MIN] {
            assert_eq!(int_text(i, &mut [0; NUM_BUF]), i.to_string().as_bytes());
        }
    }

    #[test]
    fn text_as_numbers() {
        use Num::{Float, Int};
        for (s, expected) in [
            ("10", Some(Int(10))),
            (" \t\n\u{b}\u{c}\r-7 \u{b}", Some(Int(-7))),
            ("0x10", Some(Int(16))),
            ("-0xA", Some(Int(-10))),
            ("0xffffffffffffffffff", Some(Int(-1))),
            ("9223372036854775807", Some(Int(i64::MAX))),
            ("-9223372036854775808", Some(Int(i64::MIN))),
            ("9223372036854775808", Some(Float(9223372036854775808.0))),
            ("1e1", Some(Float(10.0))),
            (".5", Some(Float(0.5))),
            ("5.", Some(Float(5.0))),
            ("0x.8", Some(Float(0.5))),
            ("0x1p4", Some(Float(16.0))),
            ("0xA.8P-1", Some(Float(5.25))),
            ("1e400", Some(Float(f64::INFINITY))),
            ("0x1p-1074", Some(Float(5e-324))),
            ("0x1p-1075", Some(Float(0.0))), // a tie, to even
            ("0x1.8p-1075", Some(Float(5e-324))),
            ("0x1.fffffffffffff7p1023", Some(Float(f64::MAX))),
            ("0x1.fffffffffffff8p1023", Some(Float(f64::INFINITY))),
            ("0x.fffffffffffff8p-1022", Some(Float(f64::MIN_POSITIVE))),
            (
                "0x1.00000000000008000000001p0",
                Some(Float(1.0 + f64::EPSILON)),
            ),
            ("0x1.00000000000008p0", Some(Float(1.0))),
        ] {
            assert_eq!(parse_number(s.as_bytes()), expected, "{s:?}");
        }
        for s in [
            "", " ", "-", "+-1", "- 1", "0x", "0x.", "0xp1", "1e", "1e+", ".", ".e1", "inf", "nan",
            "1 2", "1f", "0x1p", "1\0", "1..2", "\u{a0}1",
        ] {
            assert_eq!(parse_number(s.as_bytes()), None, "{s:?}");
        }
        assert!(matches!(parse_number(b"-0.0"), Some(Float(f)) if f.is_sign_negative()));
        assert_eq!(parse_number(b"-0"), Some(Int(0)));
        assert_eq!(parse_number(&[b'0'; 100_000]), Some(Int(0)));
        let long = format!("0x{}1p-400000", "0".repeat(100_000));
        assert_eq!(parse_number(long.as_bytes()), Some(Float(0.0)));
        let decimal = format!("0.{}1e100001", "0".repeat(100_000));
        assert_eq!(parse_number(decimal.as_bytes()), Some(Float(1.0)));
        let balanced = format!("0x1{}p-400000", "0".repeat(100_000));
        assert_eq!(parse_number(balanced.as_bytes()), Some(Float(1.0)));
    }

    #[test]
    fn text_as_integers_in_a_base() {
        for (s, base, expected) in [
            ("10", 2, Some(2)),
            (" -fF\t", 16, Some(-255)),
            ("zz", 36, Some(1295)),
            ("+7", 8, Some(7)),
            ("8", 8, None),
            ("- 1", 10, None),
            ("", 10, None),
            ("-", 10, None),
            ("1e1", 10, None),
            ("ffffffffffffffffff", 16, Some(-1)),
            ("1\0", 10, None),
        ] {
            assert_eq!(
                parse_in_base(s.as_bytes(), base),
                expected,
                "{s:?} in base {base}"
            );
        }
    }

    #[test]
    fn floats_as_integers() {
        assert_eq!(float_to_int(3.0), Some(3));
        assert_eq!(float_to_int(-0.0), Some(0));
        assert_eq!(float_to_int(-TWO_63), Some(i64::MIN));
        for f in [
            3.5,
            TWO_63,
            -TWO_63 * 1.5,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ] {
            assert_eq!(float_to_int(f), None);
        }
        assert_eq!(float_to_int_rounded(-3.5, Rounding::Floor), Some(-4));
        assert_eq!(float_to_int_rounded(-3.5, Rounding::Ceil), Some(-3));
        assert_eq!(floor(1e300), Num::Float(1e300));
    }

    #[test]
    fn comparison_does_not_round() {
        let big = (1i64 << 53) + 1; // no float
        assert!(
            !eq_int_float(big, big as f64)
                && lt_float_int(big as f64, big)
                && !le_int_float(big, big as f64)
        );
        assert!(
            lt_int_float(i64::MAX, TWO_63)
                && le_float_int(-TWO_63, i64::MIN)
                && !lt_float_int(-TWO_63, i64::MIN)
        );
        for i in [i64::MIN, 0, i64::MAX] {
            assert!(
                !lt_int_float(i, f64::NAN)
                    && !le_int_float(i, f64::NAN)
                    && !lt_float_int(f64::NAN, i)
                    && !le_float_int(f64::NAN, i)
            );
            assert!(lt_int_float(i, f64::INFINITY) && lt_float_int(f64::NEG_INFINITY, i));
        }
    }

    #[test]
    fn division_and_shifts() {
        assert_eq!(
            (
                int_idiv(-7, 2),
                int_mod(-7, 2),
                int_idiv(7, -2),
                int_mod(7, -2)
            ),
            (Some(-4), Some(1), Some(-4), Some(-1))
        );
        assert_eq!(
            (int_idiv(i64::MIN, -1), int_mod(i64::MIN, -1)),
            (Some(i64::MIN), Some(0))
        );
        assert_eq!((int_idiv(1, 0), int_mod(1, 0)), (None, None));
        assert_eq!(
            (
                float_mod(-1.0, f64::INFINITY),
                float_mod(1.0, f64::NEG_INFINITY)
            ),
            (f64::INFINITY, f64::NEG_INFINITY)
        );
        assert_eq!(
            (
                float_mod(5.5, -2.0),
                float_mod(-5.5, 2.0),
                float_mod(1.0, f64::INFINITY)
            ),
            (-0.5, 0.5, 1.0)
        );
        assert!(
            float_mod(-6.0, 3.0).is_sign_negative()
                && float_mod(1.0, 0.0).is_nan()
                && float_mod(f64::INFINITY, 1.0).is_nan()
        );
        assert_eq!(float_mod(-1e-200, 1e-150), 1e-150 - 1e-200);
        assert_eq!(
            (
                shl(1, 63),
                shl(1, 64),
                shl(-1, -63),
                shl(1, i64::MIN),
                shr(-1, 1)
            ),
            (i64::MIN, 0, 1, 0, i64::MAX)
        );
        assert_eq!(
            (shr(1, -63), shr(1, -64), shr(1, i64::MIN), shr(-1, 63)),
            (i64::MIN, 0, 0, 1)
        );
    }

    #[test]
    fn loops_never_overflow() {
        assert_eq!(for_loop_count(1, Num::Int(3), 1), Some(2));
        assert_eq!(for_loop_count(1, Num::Int(0), 1), None);
        assert_eq!(
            for_loop_count(i64::MIN, Num::Int(i64::MAX), 1),
            Some(u64::MAX)
        );
        assert_eq!(
            for_loop_count(i64::MAX, Num::Int(i64::MIN), i64::MIN),
            Some(1)
        );
        assert_eq!(
            for_loop_count(i64::MAX - 1, Num::Float(f64::INFINITY), 2),
            Some(0)
        );
        assert_eq!(for_loop_count(1, Num::Float(f64::NEG_INFINITY), 1), None);
        assert_eq!(for_loop_count(1, Num::Float(3.9), 1), Some(2));
        assert_eq!(for_loop_count(3, Num::Float(0.1), -1), Some(2));
    }
}
