//! What the fuzzers share: an engine on a short leash, programs made from choices, edits of compiled code, the reference
//! in a process of its own, and the shrinking of what was found.

pub mod choices;
pub mod edit;
pub mod engine;
pub mod program;
pub mod reference;
pub mod shrink;
pub mod tokens;
