//! The standard library, one file a library. The files named here are its pure cores: they know neither heap nor VM,
//! so they can be tested against the reference byte by byte, and the library functions that use them stay short.

pub mod cformat;
pub mod packfmt;
pub mod pattern;
pub mod utf8core;
pub mod xoshiro;
