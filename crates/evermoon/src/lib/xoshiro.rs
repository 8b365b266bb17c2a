//! The generator behind `math.random` (§6.7): xoshiro256**, seeded and projected so that the same seed gives the same
//! numbers as the reference implementation.
//!
//! The state is four words of plain data: it belongs to the world and is saved with it. There is no hidden source of
//! randomness here; a seed always comes from the caller.

/// The generator's state. Never all zeros, which would stay so: `seed` sees to that, and `from_state` checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xoshiro {
    state: [u64; 4],
}

impl Xoshiro {
    /// As `math.randomseed(n1, n2)`; a missing second number is 0.
    pub fn seed(n1: i64, n2: i64) -> Xoshiro {
        let mut rng = Xoshiro {
            state: [n1 as u64, 0xff, n2 as u64, 0],
        };
        for _ in 0..16 {
            rng.next_u64(); // lets the seed reach every bit
        }
        rng
    }

    /// The state, to be saved.
    pub fn state(&self) -> [u64; 4] {
        self.state
    }

    /// A saved state; `None` for the one that no generator can be in.
    pub fn from_state(state: [u64; 4]) -> Option<Xoshiro> {
        (state != [0; 4]).then_some(Xoshiro { state })
    }

    /// The next 64 random bits. `math.random(0)` is this as an integer.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let [s0, s1, s2, s3] = self.state;
        let s2 = s2 ^ s0;
        let s3 = s3 ^ s1;
        self.state = [s0 ^ s3, s1 ^ s2, s2 ^ (s1 << 17), s3.rotate_left(45)];
        s1.wrapping_mul(5).rotate_left(7).wrapping_mul(9)
    }

    /// `math.random(low, up)` from bits already drawn, or `None` if the interval is empty. Draws more when they do not
    /// fall inside the interval, so that every number in it is equally likely: one time in two at worst.
    pub fn in_range(&mut self, bits: u64, low: i64, up: i64) -> Option<i64> {
        if low > up {
            return None;
        }
        let span = (up as u64).wrapping_sub(low as u64);
        // The smallest 2^b - 1 that is not below the span.
        let mask = if span == 0 {
            0
        } else {
            u64::MAX >> span.leading_zeros()
        };
        let mut n = bits & mask;
        while n > span {
            n = self.next_u64() & mask;
        }
        Some((low as u64).wrapping_add(n) as i64)
    }
}

/// `math.random()` from bits drawn: a float in [0, 1), their upper 53.
#[inline]
pub fn unit_float(bits: u64) -> f64 {
    (bits >> 11) as f64 * (0.5 / (1u64 << 52) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Every expected number here was printed by lua5.4.
    const EXPECT_INTS: [i64; 4] = [
        -1276290044721465627,
        8333941968102511665,
        -8358531260401861301,
        -3807604385970496171,
    ];
    const EXPECT_FLOATS: [f64; 4] = [
        0.9308121780395682,
        0.4517838993592431,
        0.546883112434215,
        0.7935893526382726,
    ];
    const EXPECT_RANGES: [i64; 10] = [
        3,
        2,
        889,
        1,
        -4649941098375731855,
        -4,
        5987539678419124817,
        -4353114033620178186,
        402525002,
        14,
    ];

    #[test]
    fn full_integers_are_the_references() {
        let mut rng = Xoshiro::seed(42, 0);
        let got: Vec<i64> = (0..4).map(|_| rng.next_u64() as i64).collect();
        assert_eq!(got, EXPECT_INTS);
    }

    #[test]
    fn floats_are_the_references() {
        let mut rng = Xoshiro::seed(42, 0);
        let got: Vec<f64> = (0..4).map(|_| unit_float(rng.next_u64())).collect();
        assert_eq!(got, EXPECT_FLOATS);
    }

    #[test]
    fn ranges_are_the_references() {
        let mut rng = Xoshiro::seed(-7, 99);
        let mut draw = |low, up| {
            let bits = rng.next_u64();
            rng.in_range(bits, low, up)
        };
        let got: Vec<_> = [
            (1, 6),
            (1, 6),
            (1, 1000),
            (1, 1),
            (i64::MIN, i64::MAX),
            (-10, 10),
            (0, i64::MAX),
            (i64::MIN, 0),
            (1, 1_000_000_007),
            (1, 16),
        ]
        .into_iter()
        .map(|(low, up)| draw(low, up).unwrap())
        .collect();
        assert_eq!(got, EXPECT_RANGES);
        assert_eq!(draw(2, 1), None);
    }

    #[test]
    fn a_state_of_zeros_is_refused() {
        assert_eq!(Xoshiro::from_state([0; 4]), None);
        let rng = Xoshiro::seed(0, 0);
        assert_eq!(Xoshiro::from_state(rng.state()), Some(rng));
    }
}
