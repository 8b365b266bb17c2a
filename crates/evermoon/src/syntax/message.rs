//! A syntax error as data: what is wrong, near which token, at which line. Its `Display` is the reference's wording
//! without the chunk's name; the engine prefixes `chunkname:line:`.

use std::fmt;

/// A syntax or compile error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyntaxError {
    pub line: u32,
    /// The message with its ` near 'token'` if it has one, as bytes (a token need not be UTF-8).
    pub message: Vec<u8>,
}

impl SyntaxError {
    /// An error that names no token.
    pub fn new(line: u32, message: impl AsRef<[u8]>) -> SyntaxError {
        SyntaxError {
            line,
            message: message.as_ref().to_vec(),
        }
    }

    /// An error near a token, given as it is to be shown (quotes included, where it has them).
    pub fn near(line: u32, message: impl AsRef<[u8]>, token: &[u8]) -> SyntaxError {
        let mut text = message.as_ref().to_vec();
        text.extend_from_slice(b" near ");
        text.extend_from_slice(token);
        SyntaxError {
            line,
            message: text,
        }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.message))
    }
}

impl std::error::Error for SyntaxError {}

/// How a message quotes source text: up to its first zero byte, as the reference, whose strings end there.
pub fn quote(text: &[u8]) -> Vec<u8> {
    let shown = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let mut quoted = Vec::with_capacity(shown.len() + 2);
    quoted.push(b'\'');
    quoted.extend_from_slice(shown);
    quoted.push(b'\'');
    quoted
}
