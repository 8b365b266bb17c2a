//! Floats to decimal digits and back, exactly: what is rounded is the true value, to nearest, ties to even, as C and `core` do.
//!
//! One small implementation over big integers instead of `core`'s tables and fast paths, which would be a twentieth of the wasm module. The
//! usual numbers do not come here when they are printed (`heap/number.rs`, `scaled_round`), and when they are read one or two machine
//! operations are enough. The tests compare it with `core`.

/// Digits that decide: the midpoint of two floats has at most 767.
const DIGITS_MAX: usize = 800;
/// 5^13, the largest power of five in a limb.
const FIVES: (u32, usize) = (1_220_703_125, 13);
/// The largest power of five in 63 bits.
const FIVES_MAX: u64 = 27;

/// Powers of ten up to the largest that a `u64` holds.
pub const POW10: [u64; 20] = {
    let mut t = [1u64; 20];
    let mut i = 1;
    while i < 20 {
        t[i] = t[i - 1] * 10;
        i += 1;
    }
    t
};

/// A finite positive float as `mantissa * 2^exponent`, the mantissa below 2^53.
#[inline]
pub fn split(f: f64) -> (u64, i32) {
    let bits = f.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    match (bits >> 52 & 0x7ff) as i32 {
        0 => (fraction, -1074),
        e => (fraction | 1 << 52, e - 1075),
    }
}

/// `mantissa * 2^exponent` rounded to nearest, ties to even; `sticky` says that the mantissa is a little more than given.
pub fn compose(mantissa: u64, sticky: bool, exponent: i64) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let zeros = mantissa.leading_zeros();
    let mantissa = mantissa << zeros;
    // The value is 1.xxx * 2^top.
    let top = exponent - zeros as i64 + 63;
    if top > 1023 {
        return f64::INFINITY;
    }
    // Below 2^-1022, precision shrinks by a bit for each power of two.
    let bits = if top >= -1022 { 53 } else { 53 - (-1022 - top) };
    if bits < 0 {
        return 0.0;
    }
    let drop = 64 - bits as u32; // 11 to 64
    let kept = mantissa.checked_shr(drop).unwrap_or(0);
    let rest = if drop == 64 {
        mantissa
    } else {
        mantissa & ((1 << drop) - 1)
    };
    let half = 1u64 << (drop - 1);
    let up = rest > half || (rest == half && (sticky || kept & 1 == 1));
    let kept = kept + up as u64;
    // `kept` carries the implicit leading one into the exponent field, and a carry out of the rounding with it: the next
    // binade, the first normal number, or infinity, whichever it is.
    let field = if top >= -1022 { (top + 1022) as u64 } else { 0 };
    f64::from_bits((field << 52) + kept)
}

/// A natural number, lowest limb first, the highest not zero.
#[derive(Clone, Default, PartialEq)]
struct Big(Vec<u32>);

impl Big {
    fn new(n: u64) -> Big {
        let mut big = Big(vec![n as u32, (n >> 32) as u32]);
        big.trim();
        big
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    /// `self * by + add`
    fn multiply(&mut self, by: u32, add: u32) {
        let mut carry = add;
        for limb in &mut self.0 {
            let product = *limb as u64 * by as u64 + carry as u64;
            *limb = product as u32;
            carry = (product >> 32) as u32;
        }
        if carry > 0 {
            self.0.push(carry);
        }
    }

    /// `self * 5^n`
    fn multiply_fives(&mut self, mut n: usize) {
        while n > 0 {
            let some = n.min(FIVES.1);
            self.multiply(
                if some == FIVES.1 {
                    FIVES.0
                } else {
                    5u32.pow(some as u32)
                },
                0,
            );
            n -= some;
        }
    }

    fn shift_left(&mut self, n: usize) {
        if !n.is_multiple_of(32) {
            self.multiply(1 << (n % 32), 0);
        }
        if !self.0.is_empty() {
            self.0.splice(0..0, std::iter::repeat_n(0, n / 32));
        }
    }

    /// Divides by a limb; the remainder.
    fn divide(&mut self, by: u32) -> u32 {
        let mut rest = 0u64;
        for limb in self.0.iter_mut().rev() {
            let n = rest << 32 | *limb as u64;
            *limb = (n / by as u64) as u32;
            rest = n % by as u64;
        }
        self.trim();
        rest as u32
    }

    fn bits(&self) -> usize {
        self.0
            .last()
            .map_or(0, |top| self.0.len() * 32 - top.leading_zeros() as usize)
    }

    /// Subtracts `other` if it is not larger; whether it was done.
    fn take(&mut self, other: &Big) -> bool {
        let order = self.0.len().cmp(&other.0.len());
        if order
            .then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
            .is_lt()
        {
            return false;
        }
        let mut borrow = 0;
        for (i, limb) in self.0.iter_mut().enumerate() {
            let by = other.0.get(i).copied().unwrap_or(0) as u64 + borrow;
            borrow = ((*limb as u64) < by) as u64;
            *limb = (*limb as u64).wrapping_sub(by) as u32;
        }
        self.trim();
        true
    }

    /// The top 64 bits, how many are below them, and whether one of those is set.
    fn top(&self) -> (u64, i64, bool) {
        let below = self.bits().saturating_sub(64);
        let (limb, bit) = (below / 32, below % 32);
        let mut top = 0u128;
        for (i, &n) in self.0.iter().skip(limb).enumerate() {
            top |= (n as u128) << (32 * i);
        }
        let low = self.0.iter().take(limb).any(|&n| n != 0);
        let rest = top & ((1 << bit) - 1);
        ((top >> bit) as u64, below as i64, low || rest != 0)
    }
}

/// A positive number's decimal digits.
pub struct Decimal {
    /// ASCII; none for zero, with the exponent -1. Digits that are not there are zeros.
    pub digits: Vec<u8>,
    /// The power of ten that the first digit stands for.
    pub exponent: i32,
}

impl Decimal {
    /// All digits of a float that is finite and not negative.
    pub fn of(f: f64) -> Decimal {
        let (mantissa, exponent) = split(f);
        let even = mantissa.trailing_zeros().min(63);
        let (mantissa, exponent) = (mantissa >> even, exponent + even as i32);
        let mut big = Big::new(mantissa);
        // The value is big / 10^places.
        let mut places = 0;
        if exponent >= 0 {
            big.shift_left(exponent as usize);
        } else {
            places = -exponent;
            big.multiply_fives(places as usize);
        }
        let mut digits = Vec::new();
        while !big.0.is_empty() {
            let mut group = big.divide(1_000_000_000);
            for _ in 0..9 {
                digits.push(b'0' + (group % 10) as u8);
                group /= 10;
            }
        }
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        digits.reverse();
        let exponent = if digits.is_empty() {
            -1
        } else {
            digits.len() as i32 - 1 - places
        };
        Decimal { digits, exponent }
    }

    /// As few digits as are read as `f` again, and of those the nearest, the larger if there are two (as `core` has it). `f` is finite and not negative.
    pub fn shortest(f: f64) -> Decimal {
        let all = Decimal::of(f);
        for count in 1..17 {
            let mut short = Decimal {
                digits: all.digits.clone(),
                exponent: all.exponent,
            };
            short.round_ties(count, true);
            let ends = short.exponent + 1 - short.digits.len() as i32;
            let mut text = short.digits.clone();
            text.extend_from_slice(format!("e{ends}").as_bytes());
            if parse(&text) == f {
                return short;
            }
        }
        let mut whole = all;
        whole.round_ties(17, true);
        whole
    }

    /// Rounds to the first `count` digits, which may be none; ties to even.
    pub fn round(&mut self, count: usize) {
        self.round_ties(count, false);
    }

    fn round_ties(&mut self, count: usize, up: bool) {
        let Some((&first, rest)) = self.digits.get(count..).and_then(<[u8]>::split_first) else {
            return;
        };
        let odd = up || count > 0 && self.digits[count - 1] & 1 == 1;
        let up = first > b'5' || first == b'5' && (odd || rest.iter().any(|&d| d != b'0'));
        self.digits.truncate(count);
        if !up {
            return;
        }
        while self.digits.last() == Some(&b'9') {
            self.digits.pop();
        }
        match self.digits.last_mut() {
            Some(last) => *last += 1,
            None => {
                self.digits.push(b'1');
                self.exponent += 1;
            }
        }
    }
}

/// `mantissa * 2^exponent`, rounded.
fn compose_wide(mantissa: u128, sticky: bool, exponent: i64) -> f64 {
    let drop = 64 - (mantissa.leading_zeros() as i64).min(64);
    let cut = mantissa & ((1 << drop) - 1) != 0;
    compose((mantissa >> drop) as u64, sticky || cut, exponent + drop)
}

/// The float that a decimal numeral spells: digits with a point somewhere or none, and an exponent or none. The caller has checked its form.
pub fn parse(text: &[u8]) -> f64 {
    let end = text.iter().position(|c| matches!(c, b'e' | b'E'));
    let (number, tail) = text.split_at(end.unwrap_or(text.len()));
    let mut exponent = 0i64;
    for &c in tail {
        if c.is_ascii_digit() {
            // Larger than any number of digits can balance, small enough never to overflow.
            exponent = (exponent * 10 + (c - b'0') as i64).min(1 << 58);
        }
    }
    if tail.get(1) == Some(&b'-') {
        exponent = -exponent;
    }
    // The first 19 digits that count, and how many there are.
    let (mut mantissa, mut count) = (0u64, 0usize);
    let mut behind = false;
    for &c in number {
        if c == b'.' {
            behind = true;
            continue;
        }
        if count > 0 || c != b'0' {
            count += 1;
        }
        if count <= 19 {
            mantissa = mantissa * 10 + (c - b'0') as u64;
            exponent -= behind as i64;
        } else {
            exponent += !behind as i64;
        }
    }
    if mantissa == 0 {
        return 0.0;
    }
    if count <= 19
        && let Some(f) = parse_short(mantissa, exponent)
    {
        return f;
    }
    parse_long(number, count, exponent)
}

/// `mantissa * 10^exponent`, if 128 bits are enough.
fn parse_short(mantissa: u64, exponent: i64) -> Option<f64> {
    let size = exponent.unsigned_abs();
    if mantissa < 1 << 53 && size < POW10.len() as u64 {
        // Both are floats: one operation, rounded once.
        let (f, power) = (mantissa as f64, POW10[size as usize] as f64);
        return Some(if exponent < 0 { f / power } else { f * power });
    }
    if size > FIVES_MAX {
        return None;
    }
    let fives = 5u64.pow(size as u32) as u128;
    Some(if exponent < 0 {
        let zeros = mantissa.leading_zeros();
        let n = (mantissa as u128) << (64 + zeros);
        let (quotient, sticky) = (n / fives, !n.is_multiple_of(fives));
        compose_wide(quotient, sticky, exponent - 64 - zeros as i64)
    } else {
        compose_wide(mantissa as u128 * fives, false, exponent)
    })
}

/// The rest: `count` digits that count, the first 19 of which are to be multiplied by 10^`exponent`.
fn parse_long(number: &[u8], count: usize, exponent: i64) -> f64 {
    let kept = count.min(DIGITS_MAX);
    let mut big = Big::default();
    let mut sticky = false;
    let digits = number.iter().filter(|&&c| c != b'.');
    for (i, &c) in digits.skip_while(|&&c| c == b'0').enumerate() {
        let digit = (c - b'0') as u32;
        if i < kept {
            big.multiply(10, digit);
        } else {
            sticky |= digit != 0;
        }
    }
    let exponent = exponent - (kept - kept.min(19)) as i64;
    // Beyond these all is infinity or zero.
    let first = exponent + kept as i64;
    if first > 310 {
        return f64::INFINITY;
    }
    if first < -330 {
        return 0.0;
    }
    if exponent >= 0 {
        big.multiply_fives(exponent as usize);
        let (top, below, cut) = big.top();
        return compose(top, sticky || cut, exponent + below);
    }
    let mut divisor = Big::new(1);
    divisor.multiply_fives(exponent.unsigned_abs() as usize);
    // 65 bits of quotient, each by a comparison.
    let shift = divisor.bits() as i64 + 64 - big.bits() as i64;
    if shift >= 0 {
        big.shift_left(shift as usize);
    } else {
        divisor.shift_left(shift.unsigned_abs() as usize);
    }
    divisor.shift_left(64);
    let mut quotient = 0u128;
    for _ in 0..=64 {
        quotient = quotient << 1 | big.take(&divisor) as u128;
        big.multiply(2, 0);
    }
    compose_wide(quotient, sticky || !big.0.is_empty(), exponent - shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }
    }

    fn agrees(text: &str) {
        let (ours, theirs) = (parse(text.as_bytes()), text.parse::<f64>());
        assert_eq!(theirs.map(f64::to_bits), Ok(ours.to_bits()), "{text}");
    }

    /// How many of each sort. (By hand, once: a hundred million.)
    const ROUNDS: usize = 40_000;

    #[test]
    fn numerals_are_read_as_core_reads_them() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for text in [
            "0",
            "0.0",
            "0e99999999999999999999",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            ".5",
            "5.",
            "00012.5000",
        ] {
            agrees(text);
        }
        for round in 0..ROUNDS {
            let bits = random.next() & !(1 << 63);
            let f = f64::from_bits(bits);
            if f.is_finite() {
                agrees(&format!("{f:e}"));
                agrees(&format!("{f:.17e}"));
                // Midpoints, and their neighbours on either side.
                if round % 50 == 0 {
                    let middle = midpoint(f);
                    agrees(&middle);
                    agrees(&format!("{middle}0000000001"));
                    let (digits, tail) = middle.split_at(middle.len() - 1);
                    agrees(&format!(
                        "{digits}{}",
                        tail.parse::<u8>().unwrap_or(1).saturating_sub(1)
                    ));
                }
            }
            let (digits, places) = (random.next() >> (random.next() % 64), random.next() % 60);
            agrees(&format!("{digits}e-{places}"));
            agrees(&format!("{digits}E+{places}"));
            agrees(&format!("{digits}.{}", random.next()));
            agrees(&format!(
                "0.{:0>width$}{}",
                random.next(),
                random.next(),
                width = (random.next() % 50) as usize
            ));
        }
    }

    /// The point halfway between a float and the next, in full.
    fn midpoint(f: f64) -> String {
        let (mantissa, exponent) = split(f);
        let mut big = Big::new(2 * mantissa + 1);
        let exponent = exponent - 1;
        let places = (-exponent).max(0);
        if exponent >= 0 {
            big.shift_left(exponent as usize);
        } else {
            big.multiply_fives(places as usize);
        }
        let mut digits = Vec::new();
        while !big.0.is_empty() {
            digits.push(b'0' + big.divide(10) as u8);
        }
        digits.resize(digits.len().max(places as usize + 1), b'0');
        digits.insert(places as usize, b'.');
        digits.reverse();
        String::from_utf8(digits).unwrap_or_default()
    }

    #[test]
    fn digits_are_those_of_core() {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        for _ in 0..ROUNDS / 4 {
            let f = f64::from_bits(random.next() & !(1 << 63));
            if !f.is_finite() {
                continue;
            }
            let count = (random.next() % 40) as usize;
            let mut ours = Decimal::of(f);
            ours.round(count + 1);
            let mut digits = String::from_utf8(ours.digits).unwrap_or_default();
            digits += &"0".repeat(count + 1 - digits.len());
            digits.insert(1, '.');
            let shortest = Decimal::shortest(f);
            let mut text = String::from_utf8(shortest.digits).unwrap_or_default();
            if text.len() > 1 {
                text.insert(1, '.');
            }
            assert_eq!(format!("{text}e{}", shortest.exponent), format!("{f:e}"));
            let theirs = format!("{f:.count$e}");
            assert_eq!(
                format!("{}e{}", digits.trim_end_matches('.'), ours.exponent),
                theirs
            );
        }
    }

    #[test]
    fn rounding_goes_to_even_and_carries() {
        for (f, count, digits, exponent) in [
            (2.5, 1, "2", 0),
            (3.5, 1, "4", 0),
            (0.5, 0, "", -1),
            (1.5, 0, "", 0),
            (5.5, 0, "1", 1),
            (9.75, 2, "98", 0),
            (999.5, 3, "1", 3),
            (0.0, 4, "", -1),
        ] {
            let mut decimal = Decimal::of(f);
            decimal.round(count);
            assert_eq!(
                (&decimal.digits[..], decimal.exponent),
                (digits.as_bytes(), exponent),
                "{f}"
            );
        }
    }
}
