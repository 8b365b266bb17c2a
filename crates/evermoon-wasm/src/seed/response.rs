//! The I/O buffer and what `compute` answers in it: output and an encoded result, or an error message.

use super::codec;
use evermoon::heap::value::{Value, tag as lua};

/// Bytes of the I/O buffer that hosts know of.
pub const BUFFER_SIZE: usize = 65_536;
/// Longest error message.
const MESSAGE_MAX: usize = 65_525;

/// The I/O buffer. One byte more, because one known host reads a byte past an error message.
#[repr(C, align(16))]
pub struct Buffer([u8; BUFFER_SIZE + 16]);

impl Buffer {
    pub const fn new() -> Buffer {
        Buffer([0; BUFFER_SIZE + 16])
    }

    #[cfg(test)]
    pub fn bytes(&self) -> &[u8] {
        &self.0[..BUFFER_SIZE]
    }

    /// Writes output (its length first) and the encoded result; returns how many bytes that makes.
    pub fn success(&mut self, output: &[u8], result: Value) -> i32 {
        let mut len = 4 + output.len();
        self.0[..4].copy_from_slice(&(output.len() as u32).to_le_bytes());
        self.0[4..len].copy_from_slice(output);
        let mut encoded = Vec::new();
        let room = BUFFER_SIZE - len;
        encode_result(result, room, &mut encoded);
        if encoded.len() <= room {
            self.0[len..len + encoded.len()].copy_from_slice(&encoded);
            len += encoded.len();
        }
        len as i32
    }

    /// Writes an error message, cut to what fits, and a newline; returns -(length + 1).
    pub fn error(&mut self, message: &[u8]) -> i32 {
        let message = &message[..message.len().min(MESSAGE_MAX)];
        self.0[..message.len()].copy_from_slice(message);
        self.0[message.len()] = b'\n';
        -(message.len() as i32 + 1)
    }
}

/// The encoding of a result: tags 00 to 04, and the bare name of its type for anything else, which is what decoders of the original know.
fn encode_result(v: Value, room: usize, out: &mut Vec<u8>) {
    match v.tag {
        lua::NIL => out.push(codec::tag::NIL),
        lua::FALSE => out.extend([codec::tag::BOOLEAN, 0]),
        lua::TRUE => out.extend([codec::tag::BOOLEAN, 1]),
        lua::INT | lua::FLOAT => codec::encode_number(v, out),
        lua::STR | lua::LONG_STR => {
            let bytes = v.as_str().map_or(&[][..], |s| s.as_bytes());
            codec::encode_string(&bytes[..bytes.len().min(room.saturating_sub(5))], out);
        }
        _ => out.extend(v.type_of().name().bytes()),
    }
}
