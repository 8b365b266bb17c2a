//! The conversions of `string.format` (§6.4), as C's `printf` in the "C" locale makes them, bit for bit.
//!
//! A specification is first cut out of the format (`RawSpec::scan`), then checked against what its conversion allows
//! (`RawSpec::check`), then used by one of the `push_` functions, each of which appends to a vector of the caller's.
//! The reference checks the argument between the first two steps, so they are apart here too. Widths and precisions
//! have at most two digits, so that no output is longer than its argument by more than a few hundred bytes.

use crate::decimal::{Decimal, POW10};
use crate::heap::number::{self, NUM_BUF};

/// Why a format is refused. `Display` is the reference's wording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatError<'a> {
    /// More flags and digits than any specification has.
    TooLong,
    /// No such conversion; what there is of the specification.
    Conversion(&'a [u8]),
    /// The conversion does not allow these flags, this width or this precision.
    Specification(&'a [u8]),
    /// `%q` takes none.
    Modifiers,
}

impl FormatError<'_> {
    /// The message, as bytes, for a format may hold any.
    pub fn message(&self) -> Vec<u8> {
        let around = |before: &str, spec: &[u8], after: &str| {
            // C sees a string that ends at the first zero.
            let end = spec.iter().position(|&c| c == 0).unwrap_or(spec.len());
            [before.as_bytes(), &spec[..end], after.as_bytes()].concat()
        };
        match self {
            FormatError::TooLong => b"invalid format (too long)".to_vec(),
            FormatError::Conversion(spec) => around("invalid conversion '", spec, "' to 'format'"),
            FormatError::Specification(spec) => {
                around("invalid conversion specification: '", spec, "'")
            }
            FormatError::Modifiers => b"specifier '%q' cannot have modifiers".to_vec(),
        }
    }
}

/// A specification cut out of a format, not yet checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawSpec<'a> {
    /// From the `%` to the conversion letter, that included.
    text: &'a [u8],
    /// The conversion letter; 0 if the format ended before it.
    pub conversion: u8,
}

/// A specification found valid: flags, width, precision, conversion letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    /// `-`: fill on the right.
    pub left: bool,
    /// `+`: a sign always.
    pub plus: bool,
    /// A space where a plus would be.
    pub space: bool,
    /// `#`: the alternative form.
    pub alternative: bool,
    /// `0`: fill with zeros.
    pub zero: bool,
    pub width: usize,
    pub precision: Option<usize>,
    pub conversion: u8,
}

impl<'a> RawSpec<'a> {
    /// Cuts out the specification that begins with the `%` at `at`. The format goes on at `at + len()`.
    pub fn scan(format: &'a [u8], at: usize) -> Result<RawSpec<'a>, FormatError<'a>> {
        /// How many characters may stand between `%` and the letter.
        const LONGEST: usize = 20;
        let rest = format.get(at..).unwrap_or(&[]);
        let modifiers = rest
            .iter()
            .skip(1)
            .take(LONGEST + 1)
            .take_while(|c| b"-+ #0.123456789".contains(c))
            .count();
        if modifiers > LONGEST {
            return Err(FormatError::TooLong);
        }
        match rest.get(modifiers + 1) {
            Some(&conversion) => Ok(RawSpec {
                text: &rest[..modifiers + 2],
                conversion,
            }),
            None => Ok(RawSpec {
                text: rest,
                conversion: 0,
            }),
        }
    }

    /// How many bytes of the format this is.
    #[allow(clippy::len_without_is_empty)] // it has a `%`
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether there is nothing between `%` and the letter.
    pub fn is_plain(&self) -> bool {
        self.text.len() == 2
    }

    /// The error for a conversion letter that the library does not know.
    pub fn unknown(&self) -> FormatError<'a> {
        FormatError::Conversion(self.text)
    }

    /// Checks the modifiers against what the conversion letter allows.
    pub fn check(&self) -> Result<Spec, FormatError<'a>> {
        let (flags, with_precision): (&[u8], bool) = match self.conversion {
            b'a' | b'A' | b'e' | b'E' | b'f' | b'g' | b'G' => (b"-+ #0", true),
            b'd' | b'i' => (b"-+ 0", true),
            b'u' => (b"-0", true),
            b'o' | b'x' | b'X' => (b"-#0", true),
            b's' => (b"-", true),
            b'c' | b'p' => (b"-", false),
            b'q' if self.is_plain() => (b"", false),
            b'q' => return Err(FormatError::Modifiers),
            _ => return Err(self.unknown()),
        };
        let mut spec = Spec {
            conversion: self.conversion,
            ..Spec::default()
        };
        let mut rest = &self.text[1..];
        while let Some((flag, after)) = rest.split_first().filter(|(c, _)| flags.contains(c)) {
            match flag {
                b'-' => spec.left = true,
                b'+' => spec.plus = true,
                b' ' => spec.space = true,
                b'#' => spec.alternative = true,
                _ => spec.zero = true,
            }
            rest = after;
        }
        // A zero here is a flag that the conversion does not have, not the beginning of a width.
        if rest.first() != Some(&b'0') {
            spec.width = two_digits(&mut rest).unwrap_or(0);
            if let Some((b'.', after)) = rest.split_first().filter(|_| with_precision) {
                rest = after;
                spec.precision = Some(two_digits(&mut rest).unwrap_or(0));
            }
        }
        if rest.len() != 1 {
            return Err(FormatError::Specification(self.text));
        }
        Ok(spec)
    }
}

/// Takes up to two digits off the front.
fn two_digits(rest: &mut &[u8]) -> Option<usize> {
    let mut n = None;
    for _ in 0..2 {
        match rest.split_first() {
            Some((&c @ b'0'..=b'9', after)) => {
                n = Some(n.unwrap_or(0) * 10 + (c - b'0') as usize);
                *rest = after;
            }
            _ => break,
        }
    }
    n
}

impl Spec {
    /// Appends `prefix` and `body`, filled to the width: with spaces outside, or with zeros between the two.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn push_filled(&self, out: &mut Vec<u8>, prefix: &[u8], body: &[u8], zeros: bool) {
        let fill = self.width.saturating_sub(prefix.len() + body.len());
        let before = if self.left || zeros { 0 } else { fill };
        let between = if zeros && !self.left { fill } else { 0 };
        out.resize(out.len() + before, b' ');
        out.extend_from_slice(prefix);
        out.resize(out.len() + between, b'0');
        out.extend_from_slice(body);
        if self.left {
            out.resize(out.len() + fill, b' ');
        }
    }

    fn sign(&self, negative: bool) -> &'static [u8] {
        match (negative, self.plus, self.space) {
            (true, _, _) => b"-",
            (_, true, _) => b"+",
            (_, _, true) => b" ",
            _ => b"",
        }
    }

    /// An integer's digits with the zeros that the precision asks for. With a precision, `0` no longer fills.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn push_digits(&self, out: &mut Vec<u8>, prefix: &[u8], digits: &[u8]) {
        match self.precision {
            None => self.push_filled(out, prefix, digits, self.zero),
            Some(least) => {
                let mut body = [b'0'; 128]; // two digits of precision; no number has more digits than that
                let size = digits.len().max(least);
                body[size - digits.len()..size].copy_from_slice(digits);
                self.push_filled(out, prefix, &body[..size], false);
            }
        }
    }
}

/// `%d`, `%i`.
#[cfg_attr(evermoon_small, optimize(speed))]
pub fn push_int(out: &mut Vec<u8>, spec: &Spec, n: i64) {
    let mut buf = [0; NUM_BUF];
    let digits: &[u8] = if n == 0 && spec.precision == Some(0) {
        b""
    } else {
        number::uint_text(n.unsigned_abs(), &mut buf)
    };
    spec.push_digits(out, spec.sign(n < 0), digits);
}

/// `%u`, `%o`, `%x`, `%X`: the integer's bits as an unsigned number.
pub fn push_uint(out: &mut Vec<u8>, spec: &Spec, n: i64) {
    let n = n as u64;
    let mut buf = [0; NUM_BUF];
    let (shift, letters): (u32, &[u8; 16]) = match spec.conversion {
        b'o' => (3, b"0123456789abcdef"),
        b'x' => (4, b"0123456789abcdef"),
        b'X' => (4, b"0123456789ABCDEF"),
        _ => {
            let digits: &[u8] = if n == 0 && spec.precision == Some(0) {
                b""
            } else {
                number::uint_text(n, &mut buf)
            };
            return spec.push_digits(out, b"", digits);
        }
    };
    let mut at = buf.len();
    let mut rest = n;
    while rest != 0 {
        at -= 1;
        buf[at] = letters[(rest & ((1 << shift) - 1)) as usize];
        rest >>= shift;
    }
    if n == 0 && spec.precision != Some(0) {
        at -= 1;
        buf[at] = b'0';
    }
    let mut prefix: &[u8] = b"";
    if spec.alternative {
        match spec.conversion {
            // Octal's alternative form is one more digit if the first is not zero already.
            b'o' if buf.get(at) != Some(&b'0')
                && spec.precision.is_none_or(|p| p <= buf.len() - at) =>
            {
                at -= 1;
                buf[at] = b'0';
            }
            b'x' if n != 0 => prefix = b"0x",
            b'X' if n != 0 => prefix = b"0X",
            _ => {}
        }
    }
    spec.push_digits(out, prefix, &buf[at..]);
}

/// `%s`. The caller has seen to it that a string with zeros in it comes with no modifiers.
pub fn push_str(out: &mut Vec<u8>, spec: &Spec, s: &[u8]) {
    let cut = match spec.precision {
        Some(most) => s.get(..most).unwrap_or(s),
        None => s,
    };
    spec.push_filled(out, b"", cut, false);
}

/// `%c`: the byte, zero too, filled to the width.
pub fn push_char(out: &mut Vec<u8>, spec: &Spec, n: i64) {
    spec.push_filled(out, b"", &[n as u8], false);
}

/// `%e`, `%f`, `%g`, `%a` and their capitals.
///
/// A NaN has no sign here (see `number::float_text`).
#[cfg_attr(evermoon_small, optimize(speed))]
pub fn push_float(out: &mut Vec<u8>, spec: &Spec, f: f64) {
    let sign = spec.sign(f.is_sign_negative() && !f.is_nan());
    let capital = spec.conversion.is_ascii_uppercase();
    if !f.is_finite() {
        let body: &[u8] = match (f.is_nan(), capital) {
            (true, false) => b"nan",
            (true, true) => b"NAN",
            (false, false) => b"inf",
            (false, true) => b"INF",
        };
        return spec.push_filled(out, sign, body, false);
    }
    let f = f.abs();
    let mut body = Body::new();
    match spec.conversion.to_ascii_lowercase() {
        b'a' => {
            hexadecimal(&mut body, spec, f);
            if capital {
                body.text_mut().make_ascii_uppercase();
            }
            let prefix: &[u8] = match (sign, capital) {
                (b"-", false) => b"-0x",
                (b"-", true) => b"-0X",
                (b"+", false) => b"+0x",
                (b"+", true) => b"+0X",
                (b" ", false) => b" 0x",
                (b" ", true) => b" 0X",
                (_, false) => b"0x",
                (_, true) => b"0X",
            };
            return spec.push_filled(out, prefix, body.text(), spec.zero);
        }
        b'f' => fixed(&mut body, f, spec.precision.unwrap_or(6), spec.alternative),
        b'e' => {
            let digits = Digits::of(f, spec.precision.unwrap_or(6));
            digits.scientific(&mut body, spec.alternative, capital);
        }
        _ => {
            let precision = spec.precision.unwrap_or(6).max(1);
            let mut digits = Digits::of(f, precision - 1);
            if !spec.alternative {
                digits.strip_zeros();
            }
            if (-4..precision as i32).contains(&digits.exponent) {
                digits.positional(&mut body, spec.alternative);
            } else {
                digits.scientific(&mut body, spec.alternative, capital);
            }
        }
    }
    spec.push_filled(out, sign, body.text(), spec.zero);
}

/// Room for the longest conversion without its sign: 309 digits, the point, 99 decimals.
struct Body {
    buf: [u8; 416],
    len: usize,
}

impl Body {
    fn new() -> Body {
        Body {
            buf: [0; 416],
            len: 0,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        // Nothing here is longer than the buffer; if it were, cutting it off is better than stopping the world.
        debug_assert!(self.len + bytes.len() <= self.buf.len());
        if let Some(room) = self.buf.get_mut(self.len..self.len + bytes.len()) {
            room.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }

    fn zeros(&mut self, n: usize) {
        self.push(&[b'0'; 128][..n.min(128)]);
    }

    fn text(&self) -> &[u8] {
        &self.buf[..self.len]
    }

    fn text_mut(&mut self) -> &mut [u8] {
        &mut self.buf[..self.len]
    }
}

/// `%f` of a float that is not negative.
#[cfg_attr(evermoon_small, optimize(speed))]
fn fixed(body: &mut Body, f: f64, decimals: usize, point: bool) {
    match number::scaled_round(f, decimals as i32).filter(|_| decimals < POW10.len()) {
        // The usual sizes: one multiplication gives all digits as an integer.
        Some(scaled) => {
            let unit = POW10[decimals];
            let mut buf = [0; NUM_BUF];
            body.push(number::uint_text(scaled / unit, &mut buf));
            if decimals > 0 || point {
                body.push(b".");
            }
            if decimals > 0 {
                let fraction = number::uint_text(scaled % unit, &mut buf);
                body.zeros(decimals - fraction.len());
                body.push(fraction);
            }
        }
        None => {
            let mut all = Decimal::of(f);
            let count = (all.exponent + 1 + decimals as i32).max(0);
            if count == 0 && all.exponent + 1 + (decimals as i32) < 0 {
                all.digits.clear();
            }
            all.round(count as usize);
            // The digit for 10^place.
            let digit = |place: i32| {
                let at = usize::try_from(all.exponent - place);
                at.ok()
                    .and_then(|at| all.digits.get(at))
                    .map_or(b'0', |d| *d)
            };
            for place in (0..=all.exponent.max(0)).rev() {
                body.push(&[digit(place)]);
            }
            if decimals > 0 || point {
                body.push(b".");
            }
            for place in 1..=decimals as i32 {
                body.push(&[digit(-place)]);
            }
        }
    }
}

/// Significant decimal digits, the first of them standing for 10^exponent.
struct Digits {
    text: [u8; 104],
    len: usize,
    exponent: i32,
}

impl Digits {
    /// The first digit of `f` and so many after it, rounded exactly. `f` is not negative.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn of(f: f64, after: usize) -> Digits {
        let mut digits = Digits {
            text: [b'0'; 104],
            len: after + 1,
            exponent: 0,
        };
        if f == 0.0 {
            return digits;
        }
        if after < 17 {
            let (n, exponent) = number::significant(f, after + 1);
            let mut buf = [0; NUM_BUF];
            digits.text[..=after].copy_from_slice(number::uint_text(n, &mut buf));
            digits.exponent = exponent;
            return digits;
        }
        let mut all = Decimal::of(f);
        all.round(after + 1);
        digits.text[..all.digits.len()].copy_from_slice(&all.digits);
        digits.exponent = all.exponent;
        digits
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    fn strip_zeros(&mut self) {
        while self.len > 1 && self.text[self.len - 1] == b'0' {
            self.len -= 1;
        }
    }

    /// `d.ddde+xx`
    fn scientific(&self, body: &mut Body, point: bool, capital: bool) {
        body.push(&self.text[..1]);
        if self.len > 1 || point {
            body.push(b".");
        }
        body.push(&self.text[1..self.len]);
        body.push(match (self.exponent < 0, capital) {
            (false, false) => b"e+",
            (true, false) => b"e-",
            (false, true) => b"E+",
            (true, true) => b"E-",
        });
        let e = self.exponent.unsigned_abs() as u64;
        if e < 10 {
            body.push(b"0");
        }
        body.push(number::uint_text(e, &mut [0; NUM_BUF]));
    }

    /// The digits with the point where it belongs.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn positional(&self, body: &mut Body, point: bool) {
        let digits = &self.text[..self.len];
        if self.exponent < 0 {
            body.push(b"0.");
            body.zeros(self.exponent.unsigned_abs() as usize - 1);
            body.push(digits);
            return;
        }
        let whole = self.exponent as usize + 1;
        if self.len <= whole {
            body.push(digits);
            body.zeros(whole - self.len);
            if point {
                body.push(b".");
            }
        } else {
            body.push(&digits[..whole]);
            body.push(b".");
            body.push(&digits[whole..]);
        }
    }
}

/// `%a` of a float that is not negative, behind its `0x`, in small letters, as glibc chooses among the forms that C
/// allows: one digit before the point, 1 for normal numbers and 0 for the others.
fn hexadecimal(body: &mut Body, spec: &Spec, f: f64) {
    const FRACTION_DIGITS: usize = 13;
    let bits = f.to_bits();
    let field = (bits >> 52) as i32;
    let mut mantissa = bits & ((1 << 52) - 1);
    if field != 0 {
        mantissa |= 1 << 52;
    }
    let exponent = match (field, mantissa) {
        (0, 0) => 0,
        (0, _) => -1022,
        _ => field - 1023,
    };
    let mut shown = FRACTION_DIGITS;
    if let Some(precision) = spec.precision.filter(|&p| p < FRACTION_DIGITS) {
        shown = precision;
        let drop = 4 * (FRACTION_DIGITS - precision) as u32;
        let kept = mantissa >> drop;
        let rest = mantissa & ((1 << drop) - 1);
        let half = 1u64 << (drop - 1);
        // The digit before the point may become 2: the exponent stays.
        mantissa = kept + (rest > half || (rest == half && kept & 1 == 1)) as u64;
    }
    let hex = |n: u64| b"0123456789abcdef"[(n & 15) as usize];
    body.push(&[hex(mantissa >> (4 * shown))]);
    let mut fraction = [0; FRACTION_DIGITS];
    for (i, digit) in fraction[..shown].iter_mut().enumerate() {
        *digit = hex(mantissa >> (4 * (shown - 1 - i)));
    }
    let mut fraction = &fraction[..shown];
    if spec.precision.is_none() {
        while let Some((b'0', less)) = fraction.split_last() {
            fraction = less;
        }
    }
    let zeros = spec.precision.map_or(0, |p| p - shown);
    if !fraction.is_empty() || zeros > 0 || spec.alternative {
        body.push(b".");
    }
    body.push(fraction);
    body.zeros(zeros);
    body.push(if exponent < 0 { b"p-" } else { b"p+" });
    body.push(number::uint_text(
        exponent.unsigned_abs() as u64,
        &mut [0; NUM_BUF],
    ));
}

// ---------------------------------------------------------------------------------------------------------------------
// %q: text that the lexer reads back as the same value

/// A string in quotes. Only what would not be read back is escaped; a line break becomes a backslash and a line break.
pub fn push_quoted_str(out: &mut Vec<u8>, s: &[u8]) {
    out.push(b'"');
    push_quoted_part(out, s, 0, s.len());
    out.push(b'"');
}

/// A part of such a string, without the quotes.
pub fn push_quoted_part(out: &mut Vec<u8>, s: &[u8], from: usize, to: usize) {
    for (i, &c) in s.iter().enumerate().take(to).skip(from) {
        match c {
            b'"' | b'\\' | b'\n' => out.extend_from_slice(&[b'\\', c]),
            0..=31 | 127 => {
                out.push(b'\\');
                // A digit behind it would be taken for part of the escape, unless that has all three of its own.
                if s.get(i + 1).is_some_and(u8::is_ascii_digit) {
                    let n = c as u64;
                    out.extend_from_slice(&[
                        b'0' + c / 100,
                        b'0' + (n / 10 % 10) as u8,
                        b'0' + c % 10,
                    ]);
                } else {
                    number::push_int(out, c as i64);
                }
            }
            _ => out.push(c),
        }
    }
}

/// An integer. The smallest has no decimal numeral that is an integer, so it is written in hexadecimal.
pub fn push_quoted_int(out: &mut Vec<u8>, i: i64) {
    if i == i64::MIN {
        out.extend_from_slice(b"0x8000000000000000");
    } else {
        number::push_int(out, i);
    }
}

/// A float, in hexadecimal so that it is exact; what has no numeral is written as an expression.
pub fn push_quoted_float(out: &mut Vec<u8>, f: f64) {
    if f.is_nan() {
        out.extend_from_slice(b"(0/0)");
    } else if f.is_infinite() {
        out.extend_from_slice(if f > 0.0 { b"1e9999" } else { b"-1e9999" });
    } else {
        push_float(
            out,
            &Spec {
                conversion: b'a',
                ..Spec::default()
            },
            f,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // tests/reference.rs compares these with lua5.4 on thousands of generated cases.

    enum Value<'a> {
        I(i64),
        F(f64),
        S(&'a str),
    }
    use Value::{F, I, S};

    fn format(format: &str, value: Value) -> String {
        let mut out = Vec::new();
        match RawSpec::scan(format.as_bytes(), 0).and_then(|raw| raw.check()) {
            Err(e) => out = e.message(),
            Ok(spec) => match (value, spec.conversion) {
                (I(n), b'd' | b'i') => push_int(&mut out, &spec, n),
                (I(n), b'c') => push_char(&mut out, &spec, n),
                (I(n), _) => push_uint(&mut out, &spec, n),
                (F(f), _) => push_float(&mut out, &spec, f),
                (S(s), _) => push_str(&mut out, &spec, s.as_bytes()),
            },
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn conversions() {
        for (spec, value, expected) in [
            ("%d", I(-42), "-42"),
            ("%+5d", I(42), "  +42"),
            ("%-5d", I(42), "42   "),
            ("%05d", I(-42), "-0042"),
            ("%.3d", I(7), "007"),
            ("%05.3d", I(7), "  007"),
            ("%.0d", I(0), ""),
            ("% d", I(1), " 1"),
            ("%u", I(-1), "18446744073709551615"),
            ("%x", I(-1), "ffffffffffffffff"),
            ("%#X", I(255), "0XFF"),
            ("%#x", I(0), "0"),
            ("%#o", I(8), "010"),
            ("%#.0o", I(0), "0"),
            ("%c", I(65), "A"),
            ("%5c", I(0), "    \0"),
            ("%5.2s", S("abc"), "   ab"),
            ("%-5s|", S("abc"), "abc  "),
            ("%f", F(0.5), "0.500000"),
            ("%.0f", F(0.5), "0"),
            ("%.0f", F(1.5), "2"),
            ("%#.0f", F(2.5), "2."),
            ("%.20f", F(0.1), "0.10000000000000000555"),
            ("%5.1f", F(-3.15), " -3.1"),
            ("%.3f", F(f64::INFINITY), "inf"),
            ("%05.1f", F(f64::NEG_INFINITY), " -inf"),
            ("%+f", F(f64::NAN), "+nan"),
            ("%e", F(12345.678), "1.234568e+04"),
            ("%.0e", F(15.0), "2e+01"),
            ("%E", F(1e-100), "1.000000E-100"),
            ("%g", F(100000.0), "100000"),
            ("%g", F(1e6), "1e+06"),
            ("%g", F(0.0001), "0.0001"),
            ("%#g", F(1.0), "1.00000"),
            ("%.3g", F(9999.0), "1e+04"),
            ("%.17g", F(0.1), "0.10000000000000001"),
            ("%g", F(0.0), "0"),
            ("%a", F(1.0), "0x1p+0"),
            ("%a", F(0.0), "0x0p+0"),
            ("%a", F(-0.1), "-0x1.999999999999ap-4"),
            ("%A", F(10.5), "0X1.5P+3"),
            ("%.0a", F(1.5), "0x2p+0"),
            ("%.3a", F(1.0), "0x1.000p+0"),
            ("%a", F(5e-324), "0x0.0000000000001p-1022"),
            ("%012a", F(1.0), "0x0000001p+0"),
        ] {
            assert_eq!(
                format(spec, value),
                expected.trim_end_matches('|'),
                "{spec}"
            );
        }
        let longest = format("%99.99f", F(-f64::MAX));
        assert_eq!(longest.len(), 410);
        assert!(longest.starts_with("-179769313486231570814527423731704356798070"));
    }

    #[test]
    fn refusals() {
        for (spec, expected) in [
            ("%y", "invalid conversion '%y' to 'format'"),
            ("%", "invalid conversion '%' to 'format'"),
            ("%F", "invalid conversion '%F' to 'format'"),
            ("%0123d", "invalid conversion specification: '%0123d'"),
            ("%.123d", "invalid conversion specification: '%.123d'"),
            ("%#d", "invalid conversion specification: '%#d'"),
            ("%010c", "invalid conversion specification: '%010c'"),
            ("%0.s", "invalid conversion specification: '%0.s'"),
            ("%3.1p", "invalid conversion specification: '%3.1p'"),
            ("%10q", "specifier '%q' cannot have modifiers"),
            ("%000000000000000000000d", "invalid format (too long)"),
        ] {
            assert_eq!(format(spec, I(1)), expected);
        }
    }

    #[test]
    fn what_the_lexer_reads_back() {
        let mut out = Vec::new();
        push_quoted_str(&mut out, b"a\"b\\c\nd\0e\r1\x7f\xff\x01");
        assert_eq!(out, b"\"a\\\"b\\\\c\\\nd\\0e\\0131\\127\xff\\1\"");
        let float = |f| {
            let mut out = Vec::new();
            push_quoted_float(&mut out, f);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            float(f64::INFINITY) + &float(f64::NEG_INFINITY) + &float(f64::NAN),
            "1e9999-1e9999(0/0)"
        );
        assert_eq!(float(-0.75), "-0x1.8p-1");
        out.clear();
        push_quoted_int(&mut out, i64::MIN);
        assert_eq!(out, b"0x8000000000000000");
    }
}
