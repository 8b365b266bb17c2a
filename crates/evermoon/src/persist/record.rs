//! Records as plain data: what one object's bytes say, with references as numbers. It knows no heap: the world (`encode.rs`, `decode.rs`), the
//! snapshots and the mark over a store all read records through this file. `docs/format.md` has the layout.
//!
//! A record is canonical: an object in a given state has one encoding. It ends with a check over its key's number and its bytes, so that a
//! damaged or misplaced record is noticed when it is read.

use super::bytes::{Read, Reader, put_signed, put_varint};
use super::key::Content;
use super::value::Stored;
use crate::heap::coroutine::kind as frame_kind;
use crate::heap::hollow::ContentHash;
use crate::heap::string::hash_bytes;

/// What stands first in a record.
pub mod kind {
    pub const TABLE: u8 = 1;
    pub const CLOSURE: u8 = 2;
    pub const NATIVE_CLOSURE: u8 = 3;
    pub const USERDATA: u8 = 4;
    pub const COROUTINE: u8 = 5;
    pub const UPVALUE: u8 = 6;
    pub const SLOTS: u8 = 7;
    pub const PAIRS: u8 = 8;
    pub const EXTERNAL: u8 = 9;
}

const PRINTED: u8 = 1;
const FINALIZER: u8 = 2;
pub(super) const SEGMENTED: u8 = 4;

/// What a coroutine's first byte may have, and the bit that says that it has a hook.
pub(super) const COROUTINE_BITS: u8 = 0x73;
pub(super) const COROUTINE_HOOK: u8 = 0x20;

/// Array slots of a segment.
pub const SEGMENT_SLOTS: usize = 512;
/// Entries of a segment.
pub const SEGMENT_PAIRS: usize = 256;
/// Tables with more slots or entries than this are stored in segments.
pub const UNSEGMENTED_MAX: usize = 1024;

/// What any object may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Marks {
    /// The number that `tostring` has shown for it.
    pub printed: Option<u64>,
    /// Its finalizer has not been called.
    pub finalizer: bool,
}

/// A table's slots or entries: in its own record, or how many there are in its segments.
#[derive(Clone, PartialEq, Debug)]
pub enum Part<T> {
    Here(Vec<T>),
    Segments(u32),
}

/// A call in progress. `docs/format.md` has what each number means for each kind.
#[derive(Clone, PartialEq, Debug)]
pub struct FrameRecord<'a> {
    pub kind: u8,
    pub flags: u8,
    pub results: i16,
    pub func: u32,
    pub base: u32,
    pub top: u32,
    pub state: u32,
    pub aux: u32,
    /// Lua frames: the next instruction and the closure; nil where it is the value in the slot `func`.
    pub pc: u32,
    pub closure: Stored<'a>,
}

/// A debug hook: its function and seven numbers of `vm/hook.rs`.
#[derive(Clone, PartialEq, Debug)]
pub struct HookRecord<'a> {
    pub function: Stored<'a>,
    pub numbers: [u64; HOOK_NUMBERS],
}

pub const HOOK_NUMBERS: usize = 14;

#[derive(Clone, PartialEq, Debug)]
pub struct CoroutineRecord<'a> {
    pub status: u8,
    pub failed: bool,
    /// A program has met it: it is not used for another task.
    pub seen: bool,
    pub error: Stored<'a>,
    pub resumer: Stored<'a>,
    pub top: u32,
    pub stack_cap: u32,
    pub frame_cap: u32,
    pub stack: Vec<Stored<'a>>,
    pub frames: Vec<FrameRecord<'a>>,
    /// Slot and upvalue number.
    pub open: Vec<(u32, u32)>,
    pub tbc: Vec<u32>,
    pub hook: Option<HookRecord<'a>>,
}

/// One object's contents.
#[derive(Clone, PartialEq, Debug)]
pub enum Body<'a> {
    Table {
        metatable: Stored<'a>,
        array_cap: u32,
        entry_cap: u32,
        array: Part<Stored<'a>>,
        entries: Part<(Stored<'a>, Stored<'a>)>,
    },
    Closure {
        proto: ContentHash,
        upvals: Vec<u32>,
    },
    NativeClosure {
        name: &'a [u8],
        upvals: Vec<Stored<'a>>,
    },
    Userdata {
        metatable: Stored<'a>,
        user_values: Vec<Stored<'a>>,
        /// The codec's name and what it wrote; an empty name for none.
        codec: &'a [u8],
        data: &'a [u8],
    },
    Coroutine(Box<CoroutineRecord<'a>>),
    /// A variable of its own.
    Closed(Stored<'a>),
    /// A slot of a suspended coroutine.
    Open {
        coroutine: u32,
        slot: u32,
    },
    /// A table whose rows have keys of their own (`row.rs`).
    External {
        metatable: Stored<'a>,
        /// Some row refers or has referred to an object.
        refs: bool,
    },
    Slots(Vec<Stored<'a>>),
    Pairs(Vec<(Stored<'a>, Stored<'a>)>),
}

/// A whole record without its check.
#[derive(Clone, PartialEq, Debug)]
pub struct Record<'a> {
    pub marks: Marks,
    pub body: Body<'a>,
}

/// The check of a record's bytes: bound to its key, so that no record passes for another.
pub fn check(salt: u64, bytes: &[u8]) -> u32 {
    let mixed = salt.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    hash_bytes(bytes) ^ (mixed >> 32) as u32
}

/// What the check of an object's record is bound to.
pub fn salt(id: u32, segment: Option<u32>) -> u64 {
    id as u64 | (segment.map_or(0, |s| s as u64 + 1)) << 32
}

/// Adds the check to finished bytes.
pub fn seal(salt: u64, out: &mut Vec<u8>) {
    let sum = check(salt, out);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// The bytes before the check, if it holds.
pub fn unseal(salt: u64, bytes: &[u8]) -> Read<&[u8]> {
    let reader = Reader::new(bytes);
    let Some((body, sum)) = bytes.split_last_chunk::<4>() else {
        return reader.bad("record: too short");
    };
    if check(salt, body) != u32::from_le_bytes(*sum) {
        return reader.bad("record: its check does not hold; it is damaged or out of place");
    }
    Ok(body)
}

fn put_values(out: &mut Vec<u8>, values: &[Stored<'_>]) {
    put_varint(out, values.len() as u64);
    for v in values {
        v.write(out);
    }
}

fn put_pairs(out: &mut Vec<u8>, pairs: &[(Stored<'_>, Stored<'_>)]) {
    put_varint(out, pairs.len() as u64);
    for (k, v) in pairs {
        k.write(out);
        v.write(out);
    }
}

fn values<'a>(from: &mut Reader<'a>, what: &'static str) -> Read<Vec<Stored<'a>>> {
    let count = from.count(what)?;
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        list.push(Stored::read(from)?);
    }
    Ok(list)
}

fn pairs<'a>(from: &mut Reader<'a>) -> Read<Vec<(Stored<'a>, Stored<'a>)>> {
    let count = from.count("entries")?;
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        list.push((Stored::read(from)?, Stored::read(from)?));
    }
    Ok(list)
}

impl<'a> Record<'a> {
    /// The record's bytes, with the check.
    pub fn write(&self, salt: u64, out: &mut Vec<u8>) {
        let (kind, segmented) = match &self.body {
            Body::Table { array, entries, .. } => (
                kind::TABLE,
                matches!(array, Part::Segments(_)) || matches!(entries, Part::Segments(_)),
            ),
            Body::Closure { .. } => (kind::CLOSURE, false),
            Body::NativeClosure { .. } => (kind::NATIVE_CLOSURE, false),
            Body::Userdata { .. } => (kind::USERDATA, false),
            Body::Coroutine(_) => (kind::COROUTINE, false),
            Body::Closed(_) | Body::Open { .. } => (kind::UPVALUE, false),
            Body::External { .. } => (kind::EXTERNAL, false),
            Body::Slots(_) => (kind::SLOTS, false),
            Body::Pairs(_) => (kind::PAIRS, false),
        };
        out.push(kind);
        let mut flags = 0;
        if self.marks.printed.is_some() {
            flags |= PRINTED;
        }
        if self.marks.finalizer {
            flags |= FINALIZER;
        }
        if segmented {
            flags |= SEGMENTED;
        }
        out.push(flags);
        if let Some(printed) = self.marks.printed {
            put_varint(out, printed);
        }
        match &self.body {
            Body::Table {
                metatable,
                array_cap,
                entry_cap,
                array,
                entries,
            } => {
                metatable.write(out);
                put_varint(out, *array_cap as u64);
                put_varint(out, *entry_cap as u64);
                match array {
                    Part::Here(values) => put_values(out, values),
                    Part::Segments(n) => put_varint(out, *n as u64),
                }
                match entries {
                    Part::Here(pairs) => put_pairs(out, pairs),
                    Part::Segments(n) => put_varint(out, *n as u64),
                }
            }
            Body::Closure { proto, upvals } => {
                out.extend_from_slice(proto);
                put_varint(out, upvals.len() as u64);
                for &id in upvals {
                    put_varint(out, id as u64);
                }
            }
            Body::NativeClosure { name, upvals } => {
                super::bytes::put_bytes(out, name);
                put_values(out, upvals);
            }
            Body::Userdata {
                metatable,
                user_values,
                codec,
                data,
            } => {
                metatable.write(out);
                put_values(out, user_values);
                super::bytes::put_bytes(out, codec);
                super::bytes::put_bytes(out, data);
            }
            Body::Coroutine(co) => co.write(out),
            Body::Closed(value) => {
                out.push(0);
                value.write(out);
            }
            Body::Open { coroutine, slot } => {
                out.push(1);
                put_varint(out, *coroutine as u64);
                put_varint(out, *slot as u64);
            }
            Body::External { metatable, refs } => {
                metatable.write(out);
                out.push(*refs as u8);
            }
            Body::Slots(values) => put_values(out, values),
            Body::Pairs(pairs) => put_pairs(out, pairs),
        }
        seal(salt, out);
    }

    /// Reads a record and checks that it is whole.
    pub fn read(salt: u64, bytes: &'a [u8]) -> Read<Record<'a>> {
        let mut from = Reader::new(unseal(salt, bytes)?);
        let from = &mut from;
        let kind = from.byte("record kind")?;
        let (flags, marks) = flags_and_marks(from, kind)?;
        let body = match kind {
            kind::TABLE => {
                let metatable = match Stored::read(from)? {
                    v @ (Stored::Nil | Stored::Table(_)) => v,
                    _ => return from.bad("metatable"),
                };
                let array_cap = from.u32("array size")?;
                let entry_cap = from.u32("entry capacity")?;
                let (array, entries) = if flags & SEGMENTED != 0 {
                    (
                        Part::Segments(from.u32("array length")?),
                        Part::Segments(from.u32("entry count")?),
                    )
                } else {
                    (
                        Part::Here(values(from, "array length")?),
                        Part::Here(pairs(from)?),
                    )
                };
                Body::Table {
                    metatable,
                    array_cap,
                    entry_cap,
                    array,
                    entries,
                }
            }
            kind::CLOSURE => {
                let proto = from.array("prototype hash")?;
                let count = from.count("upvalue count")?;
                let mut upvals = Vec::with_capacity(count.min(255));
                for _ in 0..count {
                    upvals.push(object_number(from)?);
                }
                Body::Closure { proto, upvals }
            }
            kind::NATIVE_CLOSURE => Body::NativeClosure {
                name: from.counted("function name")?,
                upvals: values(from, "upvalue count")?,
            },
            kind::USERDATA => Body::Userdata {
                metatable: match Stored::read(from)? {
                    v @ (Stored::Nil | Stored::Table(_)) => v,
                    _ => return from.bad("metatable"),
                },
                user_values: values(from, "user values")?,
                codec: from.counted("codec name")?,
                data: from.counted("codec data")?,
            },
            kind::COROUTINE => Body::Coroutine(Box::new(CoroutineRecord::read(from)?)),
            kind::UPVALUE => match from.byte("upvalue")? {
                0 => Body::Closed(Stored::read(from)?),
                1 => Body::Open {
                    coroutine: object_number(from)?,
                    slot: from.u32("slot")?,
                },
                _ => return from.bad("upvalue"),
            },
            kind::EXTERNAL => Body::External {
                metatable: match Stored::read(from)? {
                    v @ (Stored::Nil | Stored::Table(_)) => v,
                    _ => return from.bad("metatable"),
                },
                refs: match from.byte("external table")? {
                    byte @ 0..=1 => byte == 1,
                    _ => return from.bad("external table"),
                },
            },
            kind::SLOTS => Body::Slots(values(from, "segment")?),
            kind::PAIRS => Body::Pairs(pairs(from)?),
            _ => return from.bad("record kind"),
        };
        from.end()?;
        Ok(Record { marks, body })
    }

    /// Calls `f` for every number of another object: what [`Refs`](super::refs::Refs) are held to.
    pub fn each_reference(&mut self, f: &mut dyn FnMut(&mut u32)) {
        match &mut self.body {
            Body::Table {
                metatable,
                array,
                entries,
                ..
            } => {
                refer(metatable, f);
                if let Part::Here(values) = array {
                    values.iter_mut().for_each(|v| refer(v, f));
                }
                if let Part::Here(pairs) = entries {
                    refer_pairs(pairs, f);
                }
            }
            Body::Closure { upvals, .. } => upvals.iter_mut().for_each(f),
            Body::NativeClosure { upvals, .. } => upvals.iter_mut().for_each(|v| refer(v, f)),
            Body::Userdata {
                metatable,
                user_values,
                ..
            } => {
                refer(metatable, f);
                user_values.iter_mut().for_each(|v| refer(v, f));
            }
            Body::Coroutine(co) => {
                refer(&mut co.error, f);
                refer(&mut co.resumer, f);
                co.stack.iter_mut().for_each(|v| refer(v, f));
                co.frames
                    .iter_mut()
                    .for_each(|frame| refer(&mut frame.closure, f));
                co.open.iter_mut().for_each(|(_, id)| f(id));
                if let Some(hook) = &mut co.hook {
                    refer(&mut hook.function, f);
                }
            }
            Body::External { metatable, .. } => refer(metatable, f),
            Body::Closed(value) => refer(value, f),
            Body::Open { coroutine, .. } => f(coroutine),
            Body::Slots(values) => values.iter_mut().for_each(|v| refer(v, f)),
            Body::Pairs(pairs) => refer_pairs(pairs, f),
        }
    }

    /// Calls `f` for every reference to another object: its number, the kind that its record must have, and how many upvalues if it is a function.
    pub fn each_object(&self, f: &mut impl FnMut(u32, u8, u32)) {
        let mut value = |v: &Stored<'_>| match *v {
            Stored::Table(id) => f(id, kind::TABLE, 0),
            Stored::Closure(id, count) => f(id, kind::CLOSURE, count),
            Stored::NativeClosure(id, count) => f(id, kind::NATIVE_CLOSURE, count),
            Stored::Userdata(id) => f(id, kind::USERDATA, 0),
            Stored::Coroutine(id) => f(id, kind::COROUTINE, 0),
            _ => {}
        };
        match &self.body {
            Body::Table {
                metatable,
                array,
                entries,
                ..
            } => {
                value(metatable);
                if let Part::Here(values) = array {
                    values.iter().for_each(&mut value);
                }
                if let Part::Here(pairs) = entries {
                    pairs.iter().flat_map(|(k, v)| [k, v]).for_each(value);
                }
            }
            Body::Closure { upvals, .. } => upvals.iter().for_each(|&id| f(id, kind::UPVALUE, 0)),
            Body::NativeClosure { upvals, .. } => upvals.iter().for_each(value),
            Body::Userdata {
                metatable,
                user_values,
                ..
            } => [metatable].into_iter().chain(user_values).for_each(value),
            Body::Coroutine(co) => {
                let hook = co.hook.as_ref().map(|hook| &hook.function);
                let frames = co.frames.iter().map(|frame| &frame.closure);
                [&co.error, &co.resumer]
                    .into_iter()
                    .chain(&co.stack)
                    .chain(frames)
                    .chain(hook)
                    .for_each(value);
                co.open.iter().for_each(|&(_, id)| f(id, kind::UPVALUE, 0));
            }
            Body::External { metatable, .. } => value(metatable),
            Body::Closed(v) => value(v),
            Body::Open { coroutine, .. } => f(*coroutine, kind::COROUTINE, 0),
            Body::Slots(values) => values.iter().for_each(value),
            Body::Pairs(pairs) => pairs.iter().flat_map(|(k, v)| [k, v]).for_each(value),
        }
    }

    /// The kind of the record, as references expect it: an external table is a table. And how many upvalues it has if it is a function.
    pub fn kind(&self) -> (u8, u32) {
        match &self.body {
            Body::Table { .. } | Body::External { .. } => (kind::TABLE, 0),
            Body::Closure { upvals, .. } => (kind::CLOSURE, upvals.len() as u32),
            Body::NativeClosure { upvals, .. } => (kind::NATIVE_CLOSURE, upvals.len() as u32),
            Body::Userdata { .. } => (kind::USERDATA, 0),
            Body::Coroutine(_) => (kind::COROUTINE, 0),
            Body::Closed(_) | Body::Open { .. } => (kind::UPVALUE, 0),
            Body::Slots(_) => (kind::SLOTS, 0),
            Body::Pairs(_) => (kind::PAIRS, 0),
        }
    }

    /// Calls `f` for all contents that it names.
    pub fn each_content(&self, f: &mut dyn FnMut(Content)) {
        let mut value = |v: &Stored<'_>| {
            if let Stored::Blob(hash, _) = v {
                f(Content::string(*hash))
            }
        };
        match &self.body {
            Body::Closure { proto, .. } => f(Content::code(*proto)),
            Body::Table { array, entries, .. } => {
                if let Part::Here(values) = array {
                    values.iter().for_each(&mut value);
                }
                if let Part::Here(pairs) = entries {
                    for (k, v) in pairs {
                        value(k);
                        value(v);
                    }
                }
            }
            Body::NativeClosure { upvals, .. } => upvals.iter().for_each(value),
            Body::Userdata { user_values, .. } => user_values.iter().for_each(value),
            Body::Coroutine(co) => {
                value(&co.error);
                co.stack.iter().for_each(&mut value);
                if let Some(hook) = &co.hook {
                    value(&hook.function);
                }
            }
            Body::Closed(v) => value(v),
            Body::Slots(values) => values.iter().for_each(value),
            Body::Pairs(pairs) => {
                for (k, v) in pairs {
                    value(k);
                    value(v);
                }
            }
            Body::Open { .. } | Body::External { .. } => {}
        }
    }

    /// How many array and entry segments belong to a table's record.
    pub fn segments(&self) -> (u32, u32) {
        match &self.body {
            Body::Table {
                array: Part::Segments(slots),
                entries: Part::Segments(pairs),
                ..
            } => segment_counts(*slots, *pairs),
            _ => (0, 0),
        }
    }
}

pub(super) fn refer(v: &mut Stored<'_>, f: &mut dyn FnMut(&mut u32)) {
    match v {
        Stored::Table(id)
        | Stored::Closure(id, _)
        | Stored::NativeClosure(id, _)
        | Stored::Userdata(id)
        | Stored::Coroutine(id) => f(id),
        _ => {}
    }
}

fn refer_pairs(pairs: &mut [(Stored<'_>, Stored<'_>)], f: &mut dyn FnMut(&mut u32)) {
    for (k, v) in pairs {
        refer(k, f);
        refer(v, f);
    }
}

/// The flags of a record and the marks that follow them.
pub(super) fn flags_and_marks(from: &mut Reader<'_>, kind: u8) -> Read<(u8, Marks)> {
    let flags = from.byte("record flags")?;
    if flags & !(PRINTED | FINALIZER | SEGMENTED) != 0
        || flags & SEGMENTED != 0 && kind != kind::TABLE
    {
        return from.bad("record flags");
    }
    let marks = Marks {
        printed: if flags & PRINTED != 0 {
            Some(from.varint("printed number")?)
        } else {
            None
        },
        finalizer: flags & FINALIZER != 0,
    };
    Ok((flags, marks))
}

/// How many segments hold so many array slots and entries.
pub(super) fn segment_counts(slots: u32, pairs: u32) -> (u32, u32) {
    (
        slots.div_ceil(SEGMENT_SLOTS as u32),
        pairs.div_ceil(SEGMENT_PAIRS as u32),
    )
}

fn object_number(from: &mut Reader<'_>) -> Read<u32> {
    match from.u32("object number")? {
        0 => from.bad("object number"),
        id => Ok(id),
    }
}

impl<'a> CoroutineRecord<'a> {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(
            self.status
                | (self.failed as u8) << 4
                | (self.hook.is_some() as u8) << 5
                | (self.seen as u8) << 6,
        );
        self.error.write(out);
        self.resumer.write(out);
        put_varint(out, self.stack_cap as u64);
        put_varint(out, self.frame_cap as u64);
        put_varint(out, self.top as u64);
        put_values(out, &self.stack);
        put_varint(out, self.frames.len() as u64);
        let mut before = 0;
        for f in &self.frames {
            out.push(f.kind);
            out.push(f.flags);
            put_signed(out, f.results as i64);
            put_varint(out, (f.func.wrapping_sub(before)) as u64);
            put_varint(out, (f.base.wrapping_sub(f.func)) as u64);
            before = f.func;
            put_varint(out, f.state as u64);
            put_varint(out, f.aux as u64);
            if f.kind == frame_kind::LUA {
                put_varint(out, f.pc as u64);
                f.closure.write(out);
            } else {
                put_varint(out, f.top as u64);
            }
        }
        put_varint(out, self.open.len() as u64);
        for &(slot, id) in &self.open {
            put_varint(out, slot as u64);
            put_varint(out, id as u64);
        }
        put_varint(out, self.tbc.len() as u64);
        for &slot in &self.tbc {
            put_varint(out, slot as u64);
        }
        if let Some(hook) = &self.hook {
            hook.function.write(out);
            for &n in &hook.numbers {
                put_varint(out, n);
            }
        }
    }

    fn read(from: &mut Reader<'a>) -> Read<CoroutineRecord<'a>> {
        let first = from.byte("coroutine")?;
        if first & !COROUTINE_BITS != 0 {
            return from.bad("coroutine");
        }
        let error = Stored::read(from)?;
        let resumer = match Stored::read(from)? {
            v @ (Stored::Nil | Stored::Coroutine(_)) => v,
            _ => return from.bad("resumer"),
        };
        let stack_cap = from.u32("stack size")?;
        let frame_cap = from.u32("frame capacity")?;
        let top = from.u32("stack top")?;
        let stack = values(from, "stack")?;
        let count = from.count("frame count")?;
        let mut frames = Vec::with_capacity(count.min(from.left() / 7 + 1));
        let mut before = 0u32;
        for _ in 0..count {
            let kind = from.byte("frame kind")?;
            let flags = from.byte("frame flags")?;
            let results = from.signed("frame results")?;
            let Ok(results) = i16::try_from(results) else {
                return from.bad("frame results");
            };
            let func = before.wrapping_add(from.u32("frame function")?);
            let base = func.wrapping_add(from.u32("frame base")?);
            before = func;
            let state = from.u32("frame state")?;
            let aux = from.u32("frame aux")?;
            let lua = kind == frame_kind::LUA;
            let number = from.u32(if lua { "frame pc" } else { "frame top" })?;
            let closure = if lua {
                match Stored::read(from)? {
                    v @ (Stored::Nil | Stored::Closure(..)) => v,
                    _ => return from.bad("frame closure"),
                }
            } else {
                Stored::Nil
            };
            frames.push(FrameRecord {
                kind,
                flags,
                results,
                func,
                base,
                top: if lua { 0 } else { number },
                state,
                aux,
                pc: if lua { number } else { 0 },
                closure,
            });
        }
        let count = from.count("open upvalues")?;
        let mut open = Vec::with_capacity(count.min(from.left()));
        for _ in 0..count {
            open.push((from.u32("slot")?, object_number(from)?));
        }
        let count = from.count("to-be-closed variables")?;
        let mut tbc = Vec::with_capacity(count);
        for _ in 0..count {
            tbc.push(from.u32("slot")?);
        }
        let hook = if first & COROUTINE_HOOK != 0 {
            let function = Stored::read(from)?;
            let mut numbers = [0; HOOK_NUMBERS];
            for n in &mut numbers {
                *n = from.varint("hook")?;
            }
            Some(HookRecord { function, numbers })
        } else {
            None
        };
        Ok(CoroutineRecord {
            status: first & 3,
            failed: first & 0x10 != 0,
            seen: first & 0x40 != 0,
            error,
            resumer,
            top,
            stack_cap,
            frame_cap,
            stack,
            frames,
            open,
            tbc,
            hook,
        })
    }
}
