//! Source text to a tree, or to a message. Knows no VM.

pub mod message;
pub mod tree;
