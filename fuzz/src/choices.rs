//! Where a made thing gets its choices from: bytes of a fuzzer, or a seed that writes the bytes as they are asked for.
//! When the bytes are used up each choice is the first one, which makers keep for what is smallest: so shorter bytes
//! make smaller things, and a finding is shrunk by taking bytes away.

pub struct Choices {
    bytes: Vec<u8>,
    at: usize,
    rng: Option<Rng>,
}

impl Choices {
    pub fn from_bytes(bytes: &[u8]) -> Choices {
        Choices {
            bytes: bytes.to_vec(),
            at: 0,
            rng: None,
        }
    }

    pub fn from_seed(seed: u64) -> Choices {
        Choices {
            bytes: Vec::new(),
            at: 0,
            rng: Some(Rng::new(seed)),
        }
    }

    /// The bytes that were used; they give the same choices again.
    pub fn used(mut self) -> Vec<u8> {
        self.bytes.truncate(self.at);
        self.bytes
    }

    /// Whether every further choice is the first one.
    pub fn exhausted(&self) -> bool {
        self.rng.is_none() && self.at >= self.bytes.len()
    }

    pub fn byte(&mut self) -> u8 {
        if self.at == self.bytes.len() {
            match &mut self.rng {
                Some(rng) => self.bytes.push((rng.number() >> 32) as u8),
                None => return 0,
            }
        }
        self.at += 1;
        self.bytes[self.at - 1]
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        if end <= 256 {
            return (usize::from(self.byte()) * end) >> 8;
        }
        let wide = u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()]);
        ((wide as u64 * end as u64) >> 32) as usize
    }

    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True once in so many times; never when exhausted.
    pub fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == one_in - 1
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    pub fn wide(&mut self) -> u64 {
        let mut bytes = [0; 8];
        bytes.fill_with(|| self.byte());
        u64::from_le_bytes(bytes)
    }
}

/// A small deterministic source of randomness (splitmix64).
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    pub fn below(&mut self, end: usize) -> usize {
        ((self.number() >> 11) % end as u64) as usize
    }
}

/// A number that depends on all the bytes, for what an input does not say itself.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
