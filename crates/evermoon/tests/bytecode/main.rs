//! Tests of the bytecode room through its public face: chunks, the verifier, and the page that describes both.

mod chunk;
mod compiled;
mod doc;
mod make;
mod program;
mod rng;
mod verify;
mod walk;
