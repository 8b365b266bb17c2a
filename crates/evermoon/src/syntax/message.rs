//! A syntax error as data: what is wrong, near which token, at which line. Its `Display` is the reference's wording
//! without the chunk's name; the engine prefixes `chunkname:line:`.

/// A syntax or compile error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyntaxError {
    pub line: u32,
    /// The message with its ` near 'token'` if it has one, as bytes (a token need not be UTF-8).
    pub message: Vec<u8>,
}
