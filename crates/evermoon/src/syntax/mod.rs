//! Source text to a tree, or to a message. Knows no VM.
//!
//! Reading order: `token`, `lexer` (bytes to tokens), `tree` (what comes out), `parser` (tokens to tree). `symbols` interns
//! names and strings, `numeral` reads numbers, `message` is what an error looks like, `print` shows a tree as text.

pub mod lexer;
pub mod message;
pub mod numeral;
pub mod parser;
pub mod print;
pub mod symbols;
pub mod token;
pub mod tree;

pub use message::SyntaxError;
pub use parser::{Limits, parse, skip_shebang};

#[cfg(test)]
mod tests;
