//! Worlds: what is committed comes back, whatever the program was in the middle of.

#[path = "../../../../tests/lua/expectations.rs"]
#[allow(dead_code)]
mod expectations;

mod anywhere;
mod disturbed;
mod engine;
mod external;
mod late;
mod small;
