//! The captured output of a run: at most so many bytes, and dots where it was cut.

/// Most bytes of output. (Those of the original.)
pub const OUTPUT_MAX: usize = 64_512;
const DOTS: &[u8] = b"...";

#[derive(Default)]
pub struct Output {
    bytes: Vec<u8>,
    cut: bool,
}

impl Output {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.cut = false;
    }

    /// What was captured; if it was cut, its last three bytes are dots.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn push(&mut self, bytes: &[u8]) {
        if self.cut {
            return;
        }
        let room = OUTPUT_MAX - self.bytes.len();
        if bytes.len() <= room {
            self.bytes.extend_from_slice(bytes);
            return;
        }
        self.bytes.extend_from_slice(&bytes[..room]);
        let mut end = OUTPUT_MAX - DOTS.len();
        // Not in the middle of a UTF-8 character, which has at most three continuation bytes.
        for _ in 0..3 {
            if self.bytes[end] & 0xc0 == 0x80 {
                end -= 1;
            }
        }
        self.bytes.truncate(end);
        self.bytes.extend_from_slice(DOTS);
        self.cut = true;
    }
}
