//! Text to number, by the rules of the manual's section 3.1 for numerals and of `tonumber` for strings: both accept the
//! same forms. Every conversion is exact: the nearest double, ties to even.

use crate::decimal;

/// A number of either subtype.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    Int(i64),
    Float(f64),
}

/// The number that the whole of `text` spells, with optional blanks around it and an optional sign before it.
///
/// A decimal integer that does not fit becomes a float; a hexadecimal one wraps around.
pub fn parse_number(text: &[u8]) -> Option<Number> {
    let text = trim(text);
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if let [b'0', b'x' | b'X', hex @ ..] = digits {
        return parse_hex(hex, negative);
    }
    if let Some(int) = parse_decimal_int(digits, negative) {
        return Some(Number::Int(int));
    }
    if !is_decimal_float(digits) {
        return None;
    }
    let float = decimal::parse(digits);
    Some(Number::Float(if negative { -float } else { float }))
}

/// Whether Lua (and C) takes this byte for a blank.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// The value of a hexadecimal digit.
pub fn hex_value(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn trim(text: &[u8]) -> &[u8] {
    let start = text
        .iter()
        .position(|&b| !is_space(b))
        .unwrap_or(text.len());
    let end = text
        .iter()
        .rposition(|&b| !is_space(b))
        .map_or(start, |i| i + 1);
    &text[start..end]
}

fn parse_decimal_int(digits: &[u8], negative: bool) -> Option<i64> {
    if digits.is_empty() {
        return None;
    }
    // Accumulated as a negative number, for there is one more of those.
    let mut value: i64 = 0;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_sub(i64::from(byte - b'0'))?;
    }
    if negative {
        Some(value)
    } else {
        value.checked_neg()
    }
}

/// Whether this is digits with an optional point among them and an optional exponent. Rust's parser would take more
/// ("inf", a second sign), so it sees only what passes here.
fn is_decimal_float(text: &[u8]) -> bool {
    let (whole, rest) = split_digits(text);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => split_digits(rest),
        _ => (&[][..], rest),
    };
    let exponent = match rest {
        [] => return !(whole.is_empty() && fraction.is_empty()),
        [b'e' | b'E', b'+' | b'-', digits @ ..] | [b'e' | b'E', digits @ ..] => digits,
        _ => return false,
    };
    !(whole.is_empty() && fraction.is_empty() || exponent.is_empty())
        && exponent.iter().all(u8::is_ascii_digit)
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// What follows `0x`: an integer that wraps around, or a float if it has a point or an exponent.
fn parse_hex(text: &[u8], negative: bool) -> Option<Number> {
    let mut wrapped: u64 = 0;
    // The leading 60 bits and more of the mantissa; what is below them only matters as zero or not.
    let mut mantissa: u64 = 0;
    let mut sticky = false;
    let mut exponent: i64 = 0;
    let mut any_digit = false;
    let mut seen_point = false;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if byte == b'.' && !seen_point {
            seen_point = true;
        } else if let Some(digit) = hex_value(byte) {
            any_digit = true;
            wrapped = wrapped << 4 | u64::from(digit);
            if mantissa >> 60 == 0 {
                mantissa = mantissa << 4 | u64::from(digit);
                exponent -= if seen_point { 4 } else { 0 };
            } else {
                sticky |= digit != 0;
                exponent += if seen_point { 0 } else { 4 };
            }
        } else {
            break;
        }
        at += 1;
    }
    if !any_digit {
        return None;
    }
    if at == text.len() && !seen_point {
        let int = wrapped as i64;
        return Some(Number::Int(if negative { int.wrapping_neg() } else { int }));
    }
    match text[at..] {
        [] => {}
        [b'p' | b'P', b'-', ref digits @ ..] => exponent -= parse_exponent(digits)?,
        [b'p' | b'P', b'+', ref digits @ ..] | [b'p' | b'P', ref digits @ ..] => {
            exponent += parse_exponent(digits)?
        }
        _ => return None,
    }
    let float = decimal::compose(mantissa, sticky, exponent);
    Some(Number::Float(if negative { -float } else { float }))
}

/// A decimal exponent, held at a bound beyond which every float is zero or infinite.
fn parse_exponent(digits: &[u8]) -> Option<i64> {
    const BOUND: i64 = 1 << 50;
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0i64, |value, &byte| {
        byte.is_ascii_digit()
            .then(|| (value * 10 + i64::from(byte - b'0')).min(BOUND))
    })
}

#[cfg(test)]
mod tests {
    use super::Number::{Float, Int};
    use super::*;

    #[test]
    fn integers() {
        for (text, value) in [
            ("0", 0),
            ("  42\n", 42),
            ("-7", -7),
            ("+7", 7),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("0x7fffffffffffffff", i64::MAX),
            ("0xffffffffffffffff", -1),
            ("0x10000000000000001", 1),
            ("-0x10", -16),
            ("0XaB", 0xab),
        ] {
            assert_eq!(parse_number(text.as_bytes()), Some(Int(value)), "{text}");
        }
    }

    #[test]
    fn floats() {
        for (text, value) in [
            ("9223372036854775808", 9223372036854775808.0),
            ("-9223372036854775809", -9223372036854775809.0),
            ("1e1", 10.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("3.0e-2", 0.03),
            ("1e400", f64::INFINITY),
            ("0x1p4", 16.0),
            ("0x.8", 0.5),
            ("0xA.", 10.0),
            ("-0xep1", -28.0),
            ("0x1p-1074", f64::from_bits(1)),
            ("0x1p-1075", 0.0),
            ("0x1.0000000000001p-1075", f64::from_bits(1)),
            ("0x1.8p-1074", f64::from_bits(2)),
            ("0x1.fffffffffffff8p1023", f64::INFINITY),
            ("0x1.fffffffffffff7p1023", f64::MAX),
            ("0x0.ffffffffffffffffp-1022", f64::MIN_POSITIVE),
            ("0x1.00000000000008p0", 1.0),
            (
                "0x1.000000000000080000000000000001p0",
                f64::from_bits(1.0f64.to_bits() + 1),
            ),
            ("0x1.00000000000018p0", f64::from_bits(1.0f64.to_bits() + 2)),
            ("0x1p99999999999999999999", f64::INFINITY),
            ("0x0p99999999999999999999", 0.0),
            ("0x1p-99999999999999999999", 0.0),
        ] {
            assert_eq!(parse_number(text.as_bytes()), Some(Float(value)), "{text}");
        }
        let digits = format!("0x{}.{}p-4096", "0".repeat(3000), "f".repeat(3000));
        assert_eq!(parse_number(digits.as_bytes()), Some(Float(0.0)));
        let digits = format!("0x1{}p-{}", "0".repeat(3000), 3000 * 4);
        assert_eq!(parse_number(digits.as_bytes()), Some(Float(1.0)));
        assert_eq!(
            parse_number(b"-0.0").map(|n| format!("{n:?}")).as_deref(),
            Some("Float(-0.0)")
        );
    }

    #[test]
    fn what_is_no_number() {
        for text in [
            "", " ", "-", "x", "0x", "0x.", "0x.p1", "1e", "1e+", "0x1p", ".", "1..2", "1e5.5",
            "- 1", "--1", "+-1", "inf", "nan", "-inf", "1 2", "1_000", "3x", "0x1g", "1\0", "0x-1",
            "1e1e1", "0b1", "٣",
        ] {
            assert_eq!(parse_number(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn hexadecimal_floats_agree_with_exact_powers() {
        for exponent in -1074..=1023 {
            let text = format!("0x1p{exponent}");
            let expected = if exponent < -1022 {
                f64::from_bits(1 << (exponent + 1074))
            } else {
                f64::from_bits(((exponent + 1023) as u64) << 52)
            };
            assert_eq!(
                parse_number(text.as_bytes()),
                Some(Float(expected)),
                "{text}"
            );
        }
    }
}
