//! Where a record's bytes refer to other objects and to contents, found without making anything of the rest: snapshots and the mark over a
//! store need no more of most records, and go through millions.
//!
//! It takes exactly the bytes that [`Record::read`](super::record::Record::read) takes (a test compares the two), and gives references in the
//! order in which they stand, which is the order in which the walk of a snapshot numbers them.

use super::bytes::{Read, Reader};
use super::key::Content;
use super::record::{self, HOOK_NUMBERS, kind, unseal};
use super::value::{SMALL_MAX, SMALL_MIN, first};
use crate::heap::coroutine::kind as frame_kind;

/// The number of another object, as a varint at some place in a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ref {
    pub at: u32,
    pub end: u32,
    pub id: u32,
}

/// A record that has been looked through.
#[derive(Clone, Copy, Debug)]
pub struct Looked<'a> {
    /// Without its check.
    pub body: &'a [u8],
    pub shape: Shape,
    pub objects: &'a [Ref],
    pub contents: &'a [Content],
}

/// What kind of record it is, and what belongs to it elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    pub kind: u8,
    /// Segments of a large table: of its array, of its entries.
    pub segments: (u32, u32),
}

/// What records refer to. One is used for many records, so that its room is.
#[derive(Default)]
pub struct Refs {
    pub objects: Vec<Ref>,
    pub contents: Vec<Content>,
}

impl Refs {
    /// Forgets what there was, checks a record and looks through it.
    pub fn look<'a>(&'a mut self, salt: u64, record: &'a [u8]) -> Read<Looked<'a>> {
        self.clear();
        let body = unseal(salt, record)?;
        let shape = self.add(body)?;
        Ok(Looked {
            body,
            shape,
            objects: &self.objects,
            contents: &self.contents,
        })
    }

    pub fn clear(&mut self) {
        self.objects.clear();
        self.contents.clear();
    }

    /// Looks through a record without its check, and adds what it refers to. (After an error, a part of that.)
    pub fn add(&mut self, body: &[u8]) -> Read<Shape> {
        let mut from = Reader::new(body);
        let from = &mut from;
        let kind = from.byte("record kind")?;
        let (flags, _) = record::flags_and_marks(from, kind)?;
        let mut segments = (0, 0);
        match kind {
            kind::TABLE => {
                self.metatable(from)?;
                from.u32("array size")?;
                from.u32("entry capacity")?;
                if flags & record::SEGMENTED != 0 {
                    let (slots, pairs) = (from.u32("array length")?, from.u32("entry count")?);
                    segments = record::segment_counts(slots, pairs);
                } else {
                    self.values(from, "array length", 1)?;
                    self.values(from, "entries", 2)?;
                }
            }
            kind::CLOSURE => {
                self.contents
                    .push(Content::code(from.array("prototype hash")?));
                for _ in 0..from.count("upvalue count")? {
                    self.object(from)?;
                }
            }
            kind::NATIVE_CLOSURE => {
                from.counted("function name")?;
                self.values(from, "upvalue count", 1)?;
            }
            kind::USERDATA => {
                self.metatable(from)?;
                self.values(from, "user values", 1)?;
                from.counted("codec name")?;
                from.counted("codec data")?;
            }
            kind::COROUTINE => self.coroutine(from)?,
            kind::UPVALUE => match from.byte("upvalue")? {
                0 => {
                    self.value(from)?;
                }
                1 => {
                    self.object(from)?;
                    from.u32("slot")?;
                }
                _ => return from.bad("upvalue"),
            },
            kind::EXTERNAL => {
                self.metatable(from)?;
                if from.byte("external table")? > 1 {
                    return from.bad("external table");
                }
            }
            kind::SLOTS => self.values(from, "segment", 1)?,
            kind::PAIRS => self.values(from, "entries", 2)?,
            _ => return from.bad("record kind"),
        }
        from.end()?;
        Ok(Shape { kind, segments })
    }

    fn object(&mut self, from: &mut Reader<'_>) -> Read<()> {
        let at = from.at() as u32;
        let id = from.u32("object number")?;
        if id == 0 {
            return from.bad("object number");
        }
        let end = from.at() as u32;
        self.objects.push(Ref { at, end, id });
        Ok(())
    }

    fn value(&mut self, from: &mut Reader<'_>) -> Read<u8> {
        self.value_inline(from)
    }

    /// A value; what it begins with.
    #[inline(always)]
    fn value_inline(&mut self, from: &mut Reader<'_>) -> Read<u8> {
        let what = "value";
        let byte = from.byte(what)?;
        match byte {
            first::SMALL.. | first::NIL | first::FALSE | first::TRUE | first::DEAD => {}
            first::SHORT..first::SMALL => {
                from.take((byte - first::SHORT) as usize, "string")?;
            }
            first::INT => {
                if let SMALL_MIN..=SMALL_MAX = from.signed(what)? {
                    return from.bad("integer: not in its only form");
                }
            }
            first::FLOAT | first::LIGHT => {
                from.take(8, what)?;
            }
            first::STRING => {
                if from.counted("string")?.len() < 32 {
                    return from.bad("string: not in its only form");
                }
            }
            first::BLOB => {
                self.contents.push(Content::string(from.array(what)?));
                from.varint(what)?;
            }
            first::NATIVE | first::HOST | first::PERMANENT => {
                from.counted("name")?;
            }
            first::TABLE | first::USERDATA | first::COROUTINE => self.object(from)?,
            first::CLOSURE | first::NATIVE_CLOSURE => {
                self.object(from)?;
                if from.u32("upvalue count")? > 255 {
                    return from.bad("upvalue count");
                }
            }
            _ => return from.bad(what),
        }
        Ok(byte)
    }

    /// A count, and for each of it so many values.
    fn values(&mut self, from: &mut Reader<'_>, what: &'static str, each: usize) -> Read<()> {
        // In here alone inline: this is where values are many.
        for _ in 0..from.count(what)? * each {
            self.value_inline(from)?;
        }
        Ok(())
    }

    /// Nil or a value of one kind.
    fn one_of(&mut self, from: &mut Reader<'_>, kind: u8, what: &'static str) -> Read<()> {
        match self.value(from)? {
            first::NIL => Ok(()),
            byte if byte == kind => Ok(()),
            _ => from.bad(what),
        }
    }

    fn metatable(&mut self, from: &mut Reader<'_>) -> Read<()> {
        self.one_of(from, first::TABLE, "metatable")
    }

    fn coroutine(&mut self, from: &mut Reader<'_>) -> Read<()> {
        let begin = from.byte("coroutine")?;
        if begin & !record::COROUTINE_BITS != 0 {
            return from.bad("coroutine");
        }
        self.value(from)?;
        self.one_of(from, first::COROUTINE, "resumer")?;
        for what in ["stack size", "frame capacity", "stack top"] {
            from.u32(what)?;
        }
        self.values(from, "stack", 1)?;
        for _ in 0..from.count("frame count")? {
            let kind = from.byte("frame kind")?;
            from.byte("frame flags")?;
            if i16::try_from(from.signed("frame results")?).is_err() {
                return from.bad("frame results");
            }
            for what in ["frame function", "frame base", "frame state", "frame aux"] {
                from.u32(what)?;
            }
            from.u32("frame pc or top")?;
            if kind == frame_kind::LUA {
                self.one_of(from, first::CLOSURE, "frame closure")?;
            }
        }
        for _ in 0..from.count("open upvalues")? {
            from.u32("slot")?;
            self.object(from)?;
        }
        for _ in 0..from.count("to-be-closed variables")? {
            from.u32("slot")?;
        }
        if begin & record::COROUTINE_HOOK != 0 {
            self.value(from)?;
            for _ in 0..HOOK_NUMBERS {
                from.varint("hook")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{
        Body, CoroutineRecord, FrameRecord, HookRecord, Marks, Part, Record,
    };
    use super::super::value::Stored;
    use super::*;

    fn some() -> Vec<Record<'static>> {
        let hash = [7; 16];
        let values = vec![
            Stored::Nil,
            Stored::Bool(true),
            Stored::Int(175),
            Stored::Int(-3_000_000_000),
            Stored::Float(0.5),
            Stored::Light(9),
            Stored::Text(b"short"),
            Stored::Text(&[b'x'; 200]),
            Stored::Blob(hash, 5000),
            Stored::Native(b"string.format"),
            Stored::Table(1),
            Stored::Closure(300, 2),
            Stored::NativeClosure(70_000, 0),
            Stored::Userdata(u32::MAX),
            Stored::Coroutine(127),
            Stored::Host(b"ask"),
            Stored::Dead,
            Stored::Permanent(b"io.stdout"),
        ];
        let pairs: Vec<_> = values.iter().map(|v| (Stored::Table(5), *v)).collect();
        let coroutine = CoroutineRecord {
            status: 1,
            failed: true,
            seen: true,
            error: Stored::Table(128),
            resumer: Stored::Coroutine(129),
            top: 9,
            stack_cap: 64,
            frame_cap: 8,
            stack: values.clone(),
            frames: [frame_kind::LUA, frame_kind::LUA + 1]
                .map(|kind| FrameRecord {
                    kind,
                    flags: 3,
                    results: -1,
                    func: 4,
                    base: 5,
                    top: if kind == frame_kind::LUA { 0 } else { 6 },
                    state: 1,
                    aux: 2,
                    pc: if kind == frame_kind::LUA { 6 } else { 0 },
                    closure: if kind == frame_kind::LUA {
                        Stored::Closure(16_384, 1)
                    } else {
                        Stored::Nil
                    },
                })
                .into(),
            open: vec![(2, 99), (3, 100_000)],
            tbc: vec![3],
            hook: Some(HookRecord {
                function: Stored::Closure(55, 0),
                numbers: [300; HOOK_NUMBERS],
            }),
        };
        let table = |array, entries| Body::Table {
            metatable: Stored::Table(77),
            array_cap: 4,
            entry_cap: 8,
            array,
            entries,
        };
        [
            table(Part::Here(values.clone()), Part::Here(pairs.clone())),
            table(Part::Segments(5000), Part::Segments(257)),
            Body::Closure {
                proto: hash,
                upvals: vec![1, 1000, 1_000_000],
            },
            Body::NativeClosure {
                name: b"coroutine.wrap",
                upvals: values.clone(),
            },
            Body::Userdata {
                metatable: Stored::Nil,
                user_values: values.clone(),
                codec: b"c",
                data: b"data",
            },
            Body::Coroutine(Box::new(coroutine)),
            Body::Closed(Stored::Table(8)),
            Body::Open {
                coroutine: 9,
                slot: 3,
            },
            Body::External {
                metatable: Stored::Table(10),
                refs: true,
            },
            Body::Slots(values),
            Body::Pairs(pairs),
        ]
        .into_iter()
        .map(|body| Record {
            marks: Marks {
                printed: Some(1000),
                finalizer: true,
            },
            body,
        })
        .collect()
    }

    fn compare(refs: &mut Refs, body: &[u8]) -> bool {
        let mut sealed = body.to_vec();
        record::seal(3, &mut sealed);
        let record = Record::read(3, &sealed);
        let looked = refs.look(3, &sealed);
        assert_eq!(
            record.is_ok(),
            looked.is_ok(),
            "{body:?}: {record:?}, {looked:?}"
        );
        let Ok(mut record) = record else {
            return false;
        };
        let mut numbers = Vec::new();
        record.each_reference(&mut |id| numbers.push(*id));
        let found: Vec<u32> = refs.objects.iter().map(|r| r.id).collect();
        assert_eq!(numbers, found, "{body:?}");
        for r in &refs.objects {
            let mut from = Reader::new(&body[r.at as usize..r.end as usize]);
            assert_eq!(from.u32("number"), Ok(r.id));
            assert_eq!(from.left(), 0);
        }
        let mut contents = Vec::new();
        record.each_content(&mut |content| contents.push(content));
        // A hook's function and a resumer have no contents in what we write, and are not asked by the other.
        assert!(
            contents.iter().all(|c| refs.contents.contains(c)),
            "{body:?}"
        );
        true
    }

    #[test]
    fn it_agrees_with_the_reader_of_records_on_whole_and_on_damaged_ones() {
        let mut refs = Refs::default();
        let mut state = 1u64;
        let mut random = move |below: usize| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) as usize % below
        };
        let mut whole = 0;
        for record in some() {
            let mut bytes = Vec::new();
            record.write(3, &mut bytes);
            bytes.truncate(bytes.len() - 4);
            assert!(compare(&mut refs, &bytes), "{record:?}");
            for cut in 0..bytes.len() {
                compare(&mut refs, &bytes[..cut]);
            }
            for _ in 0..3000 {
                let mut damaged = bytes.clone();
                for _ in 0..=random(3) {
                    let at = random(damaged.len());
                    damaged[at] = random(256) as u8;
                }
                whole += compare(&mut refs, &damaged) as u32;
            }
        }
        // Some of the damaged ones are records too, or this would say little.
        assert!(whole > 1000, "{whole}");
    }
}
