//! Rows of external tables as the store has them: the key is the class `x`, the table's number and the encoded key (`heap/external.rs`), so
//! that a table's rows stand together in their order; the value is the row's, with a check that is bound to the key.

use super::bytes::{Read, Reader};
use super::record::{check, unseal};
use super::value::Stored;
use crate::heap::string::hash_bytes;

/// The key of a row.
pub fn key(id: u32, encoded: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(9 + encoded.len());
    key.push(b'x');
    key.extend_from_slice(&(id as u64).to_be_bytes());
    key.extend_from_slice(encoded);
    key
}

/// The key behind all rows of a table.
pub fn end(id: u32) -> Vec<u8> {
    let mut key = vec![b'x'];
    key.extend_from_slice(&(id as u64 + 1).to_be_bytes());
    key
}

/// The encoded key in the key of a row.
pub fn encoded(key: &[u8]) -> &[u8] {
    key.get(9..).unwrap_or(&[])
}

/// What the check of a row is bound to.
pub fn salt(id: u32, encoded: &[u8]) -> u64 {
    id as u64 | (hash_bytes(encoded) as u64) << 32
}

/// Adds a row's record to bytes.
pub fn write(id: u32, encoded: &[u8], value: &Stored<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    value.write(out);
    let sum = check(salt(id, encoded), &out[start..]);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// The value in a row's record.
pub fn read<'a>(id: u32, encoded: &[u8], record: &'a [u8]) -> Read<Stored<'a>> {
    let mut from = Reader::new(unseal(salt(id, encoded), record)?);
    let value = match Stored::read(&mut from)? {
        Stored::Nil | Stored::Dead => return from.bad("row"),
        value => value,
    };
    from.end()?;
    Ok(value)
}
