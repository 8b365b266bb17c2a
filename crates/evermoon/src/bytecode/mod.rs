//! Bytecode as pure data: the instruction table, prototypes, listing, verifier, dump and undump. Knows no VM and no heap.

pub mod chunk;
pub mod crc32;
pub mod doc;
pub mod instr;
pub mod listing;
pub mod op;
pub mod proto;
pub mod verify;
