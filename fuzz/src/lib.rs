//! What the fuzzers share: an engine on a short leash, programs made from choices, edits of compiled code, the reference
//! in a process of its own, the shrinking of what was found, and a world to damage.

pub mod choices;
pub mod edit;
pub mod engine;
pub mod fixture;
pub mod program;
pub mod record;
pub mod reference;
pub mod shrink;
pub mod snapshot;
pub mod tokens;
pub mod world;
