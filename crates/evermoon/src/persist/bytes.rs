//! Reading and writing the parts of records: varints, counted bytes. Readers never trust a count that the rest cannot hold.

/// Why bytes are not what they should be: what was being read, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadBytes {
    pub what: &'static str,
    /// Byte offset in the record.
    pub at: usize,
}

impl std::fmt::Display for BadBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "bad {} at byte {}", self.what, self.at)
    }
}

pub type Read<T> = Result<T, BadBytes>;

/// Seven bits a byte, low ones first; the high bit says that more follow.
pub fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// How many bytes that takes.
pub fn varint_len(n: u64) -> usize {
    (u64::BITS - (n | 1).leading_zeros()).div_ceil(7) as usize
}

/// Signed numbers as unsigned ones, those near zero small.
pub fn put_signed(out: &mut Vec<u8>, n: i64) {
    put_varint(out, (n << 1 ^ n >> 63) as u64);
}

pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A cursor over one record.
#[derive(Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub fn bad<T>(&self, what: &'static str) -> Read<T> {
        Err(BadBytes { what, at: self.at })
    }

    pub fn byte(&mut self, what: &'static str) -> Read<u8> {
        match self.bytes.get(self.at) {
            Some(&byte) => {
                self.at += 1;
                Ok(byte)
            }
            None => self.bad(what),
        }
    }

    pub fn take(&mut self, count: usize, what: &'static str) -> Read<&'a [u8]> {
        match self.bytes.get(self.at..self.at.saturating_add(count)) {
            Some(taken) => {
                self.at += count;
                Ok(taken)
            }
            None => self.bad(what),
        }
    }

    pub fn array<const N: usize>(&mut self, what: &'static str) -> Read<[u8; N]> {
        let taken = self.take(N, what)?;
        taken.try_into().or_else(|_| self.bad(what))
    }

    pub fn varint(&mut self, what: &'static str) -> Read<u64> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            let bits = (byte & 0x7f) as u64;
            if shift == 63 && bits > 1 {
                break;
            }
            n |= bits << shift;
            if byte & 0x80 == 0 {
                // A last byte of zero would be a second form of the same number.
                if byte == 0 && shift > 0 {
                    break;
                }
                return Ok(n);
            }
        }
        self.bad(what)
    }

    pub fn signed(&mut self, what: &'static str) -> Read<i64> {
        let n = self.varint(what)?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    pub fn u32(&mut self, what: &'static str) -> Read<u32> {
        let n = self.varint(what)?;
        u32::try_from(n).or_else(|_| self.bad(what))
    }

    /// How many of something follow, each at least a byte.
    pub fn count(&mut self, what: &'static str) -> Read<usize> {
        let n = self.varint(what)?;
        if n > self.left() as u64 {
            return self.bad(what);
        }
        Ok(n as usize)
    }

    pub fn counted(&mut self, what: &'static str) -> Read<&'a [u8]> {
        let n = self.count(what)?;
        self.take(n, what)
    }

    pub fn end(&self) -> Read<()> {
        if self.left() == 0 {
            Ok(())
        } else {
            self.bad("end")
        }
    }
}
