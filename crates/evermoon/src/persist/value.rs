//! How a value stands in a record: a first byte and what it says follows. References carry the object's number and enough to make its
//! hollow form (the count of a closure's upvalues). `docs/format.md` has the table.

use super::bytes::{Read, Reader, put_bytes, put_signed, put_varint};
use crate::heap::hollow::ContentHash;

/// First bytes.
pub mod first {
    pub const NIL: u8 = 0;
    pub const FALSE: u8 = 1;
    pub const TRUE: u8 = 2;
    pub const INT: u8 = 3;
    pub const FLOAT: u8 = 4;
    pub const LIGHT: u8 = 5;
    pub const STRING: u8 = 6;
    pub const BLOB: u8 = 7;
    pub const NATIVE: u8 = 8;
    pub const TABLE: u8 = 9;
    pub const CLOSURE: u8 = 10;
    pub const NATIVE_CLOSURE: u8 = 11;
    pub const USERDATA: u8 = 12;
    pub const COROUTINE: u8 = 13;
    /// A host's function, by name.
    pub const HOST: u8 = 14;
    /// A tombstone's key that nobody can name any more.
    pub const DEAD: u8 = 15;
    /// A permanent object of the engine's or the host's, by name.
    pub const PERMANENT: u8 = 16;
    /// Strings of 0 to 31 bytes.
    pub const SHORT: u8 = 0x20;
    /// Integers from [`super::SMALL_MIN`] to [`super::SMALL_MAX`].
    pub const SMALL: u8 = 0x40;
}

/// The integers that take one byte.
pub const SMALL_MIN: i64 = -16;
pub const SMALL_MAX: i64 = SMALL_MIN + 0xbf;

/// Strings beyond this many bytes have a record of their own, which is written once.
pub const INLINE_MAX: usize = 1024;

/// A value as its bytes say it, references unresolved.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Stored<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Light(u64),
    Text(&'a [u8]),
    Blob(ContentHash, u64),
    Native(&'a [u8]),
    Table(u32),
    Closure(u32, u32),
    NativeClosure(u32, u32),
    Userdata(u32),
    Coroutine(u32),
    Host(&'a [u8]),
    Dead,
    Permanent(&'a [u8]),
}

impl Stored<'_> {
    /// The object that it refers to.
    pub fn object(&self) -> Option<u32> {
        match *self {
            Stored::Table(id)
            | Stored::Closure(id, _)
            | Stored::NativeClosure(id, _)
            | Stored::Userdata(id)
            | Stored::Coroutine(id) => Some(id),
            _ => None,
        }
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Stored::Nil => out.push(first::NIL),
            Stored::Bool(false) => out.push(first::FALSE),
            Stored::Bool(true) => out.push(first::TRUE),
            Stored::Int(i) if (SMALL_MIN..=SMALL_MAX).contains(&i) => {
                out.push(first::SMALL + (i - SMALL_MIN) as u8)
            }
            Stored::Int(i) => {
                out.push(first::INT);
                put_signed(out, i);
            }
            Stored::Float(f) => {
                out.push(first::FLOAT);
                out.extend_from_slice(&f.to_bits().to_le_bytes());
            }
            Stored::Light(bits) => {
                out.push(first::LIGHT);
                out.extend_from_slice(&bits.to_le_bytes());
            }
            Stored::Text(text) if text.len() < 32 => {
                out.push(first::SHORT + text.len() as u8);
                out.extend_from_slice(text);
            }
            Stored::Text(text) => named(out, first::STRING, text),
            Stored::Blob(hash, len) => {
                out.push(first::BLOB);
                out.extend_from_slice(&hash);
                put_varint(out, len);
            }
            Stored::Native(name) => named(out, first::NATIVE, name),
            Stored::Table(id) => numbered(out, first::TABLE, id),
            Stored::Closure(id, count) => {
                numbered(out, first::CLOSURE, id);
                put_varint(out, count as u64);
            }
            Stored::NativeClosure(id, count) => {
                numbered(out, first::NATIVE_CLOSURE, id);
                put_varint(out, count as u64);
            }
            Stored::Userdata(id) => numbered(out, first::USERDATA, id),
            Stored::Coroutine(id) => numbered(out, first::COROUTINE, id),
            Stored::Host(name) => named(out, first::HOST, name),
            Stored::Dead => out.push(first::DEAD),
            Stored::Permanent(name) => named(out, first::PERMANENT, name),
        }
    }

    pub fn read<'a>(from: &mut Reader<'a>) -> Read<Stored<'a>> {
        let what = "value";
        let id = |from: &mut Reader<'a>| match from.u32("object number")? {
            0 => from.bad("object number"),
            id => Ok(id),
        };
        // A closure has at most 255 upvalues.
        let count = |from: &mut Reader<'a>| match from.u32("upvalue count")? {
            n @ 0..=255 => Ok(n),
            _ => from.bad("upvalue count"),
        };
        Ok(match from.byte(what)? {
            first::NIL => Stored::Nil,
            first::FALSE => Stored::Bool(false),
            first::TRUE => Stored::Bool(true),
            first::INT => match from.signed(what)? {
                SMALL_MIN..=SMALL_MAX => return from.bad("integer: not in its only form"),
                i => Stored::Int(i),
            },
            first::FLOAT => Stored::Float(f64::from_bits(u64::from_le_bytes(from.array(what)?))),
            first::LIGHT => Stored::Light(u64::from_le_bytes(from.array(what)?)),
            first::STRING => match from.counted("string")? {
                text if text.len() < 32 => return from.bad("string: not in its only form"),
                text => Stored::Text(text),
            },
            first::BLOB => Stored::Blob(from.array(what)?, from.varint(what)?),
            first::NATIVE => Stored::Native(from.counted("function name")?),
            first::TABLE => Stored::Table(id(from)?),
            first::CLOSURE => Stored::Closure(id(from)?, count(from)?),
            first::NATIVE_CLOSURE => Stored::NativeClosure(id(from)?, count(from)?),
            first::USERDATA => Stored::Userdata(id(from)?),
            first::COROUTINE => Stored::Coroutine(id(from)?),
            first::HOST => Stored::Host(from.counted("function name")?),
            first::DEAD => Stored::Dead,
            first::PERMANENT => Stored::Permanent(from.counted("name")?),
            byte @ 0x20..0x40 => Stored::Text(from.take((byte - first::SHORT) as usize, "string")?),
            byte @ 0x40.. => Stored::Int((byte - first::SMALL) as i64 + SMALL_MIN),
            _ => return from.bad(what),
        })
    }
}

fn named(out: &mut Vec<u8>, first: u8, name: &[u8]) {
    out.push(first);
    put_bytes(out, name);
}

fn numbered(out: &mut Vec<u8>, first: u8, id: u32) {
    out.push(first);
    put_varint(out, id as u64);
}
