//! Binary chunks: the bytes that `string.dump` gives and `load` takes back. `docs/bytecode.md` draws the format and walks
//! through an example byte by byte; this file and that page say the same thing.
//!
//! What holds here
//! 1. Decoding is total. Any bytes give a prototype or an error that says where. Nothing panics, nothing recurses, and
//!    memory is reserved only for what the bytes that are left could hold, within [`Limits`].
//! 2. Encoding is canonical. Equal prototypes give equal bytes, and what [`undump`] accepts, [`dump`] writes again byte
//!    for byte (as long as the chunk is of the current format and table version).
//! 3. A decoded prototype is well formed, not yet safe: whoever wants to run it passes it through
//!    [`verify`](super::verify::verify) first.
//!
//! The head of a chunk is that of PUC Lua 5.4, which programs (and the official test suite) inspect. What follows it is
//! a mark in plain ASCII. A PUC Lua that is fed one of our chunks takes the mark for the size of a string, finds that it
//! overflows, and refuses with a clean message; and a chunk made by PUC Lua fails at the mark here.

use crate::ordered::Map;
use std::fmt;
use std::sync::Arc;

use super::crc32::crc32;
use super::instr::Instr;
use super::op;
use super::proto::{Const, LocalVar, Proto, UpvalDesc};

/// The version of the layout below. Readers accept every version up to their own.
pub const FORMAT: u8 = 1;

/// The first byte of every binary chunk, by which `load` tells it from text.
pub const ESC: u8 = 0x1B;

/// How deep functions may nest, in chunks and in verified prototypes. The parser's own limit on nesting (200, as PUC
/// Lua's `LUAI_MAXCCALLS`) keeps compiled code below it.
pub const DEPTH_MAX: usize = 200;

/// What the head says, part by part, and what is wrong with a chunk that says something else, in PUC Lua's words.
const HEAD: &[(&[u8], &str)] = &[
    (b"\x1bLua", "not a binary chunk"),
    (&[0x54], "version mismatch"),
    (&[0], "format mismatch"),
    // A transfer as text changes one of these.
    (b"\x19\x93\r\n\x1a\n", "corrupted chunk"),
    (&[4], "Instruction size mismatch"),
    (&[8], "lua_Integer size mismatch"),
    (&[8], "lua_Number size mismatch"),
    (&0x5678_i64.to_le_bytes(), "integer format mismatch"),
    (&370.5_f64.to_le_bytes(), "float format mismatch"),
    (
        MARK,
        "compiled by another Lua, whose bytecode differs: load its source instead",
    ),
];

/// What tells our chunks from PUC Lua's. PUC Lua reads the first byte as a count of upvalues and then a size of seven bits
/// a byte until a byte has its high bit set: ten ASCII bytes or more overflow any size.
const MARK: &[u8] = b"Evermoon code";

/// What decoding may use. The bytes are counted the same way on every platform, so that a chunk is refused everywhere
/// or nowhere.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How much the decoded prototype may take in memory, about. A string takes its size at each place that refers to it.
    pub bytes_max: usize,
    /// How deep functions may nest.
    pub depth_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bytes_max: 256 << 20,
            depth_max: DEPTH_MAX,
        }
    }
}

/// Why some bytes are not a chunk, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChunkError {
    pub problem: ChunkProblem,
    /// Where in the chunk, in bytes from its start.
    pub offset: usize,
    /// In which function, counted from 0 in the order in which they stand in the chunk; none in the head or at the end.
    pub function: Option<usize>,
}

/// What is wrong with a chunk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChunkProblem {
    /// The head differs from ours in a way that PUC Lua has words for.
    Head(&'static str),
    /// The chunk ends too early, or claims a size that the bytes left cannot hold.
    Truncated,
    /// Bytes after the end.
    Trailing,
    /// The checksum says that bytes have changed.
    Checksum,
    /// The format or the instruction table is of a version that this engine does not know.
    Version {
        of: &'static str,
        found: u8,
        newest: u8,
    },
    /// A field holds something that has no meaning.
    Bad(&'static str),
    /// A field holds something meaningful in a form that [`dump`] would not write.
    NotCanonical(&'static str),
    /// Functions nest deeper than [`Limits::depth_max`].
    Deep(usize),
    /// The prototype would be larger than [`Limits::bytes_max`].
    Large(usize),
}

impl ChunkError {
    /// A name for programs, the same in all versions.
    pub fn code(&self) -> &'static str {
        match self.problem {
            ChunkProblem::Head(_) => "chunk_head",
            ChunkProblem::Truncated => "chunk_truncated",
            ChunkProblem::Trailing => "chunk_trailing",
            ChunkProblem::Checksum => "chunk_checksum",
            ChunkProblem::Version { .. } => "chunk_version",
            ChunkProblem::Bad(_) => "chunk_bad",
            ChunkProblem::NotCanonical(_) => "chunk_not_canonical",
            ChunkProblem::Deep(_) => "chunk_deep",
            ChunkProblem::Large(_) => "chunk_large",
        }
    }
}

impl fmt::Display for ChunkError {
    /// PUC Lua's message (to which `load` prepends the chunk's name) and the place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bad binary format (")?;
        match &self.problem {
            ChunkProblem::Head(what) => f.write_str(what)?,
            ChunkProblem::Truncated => f.write_str("truncated chunk")?,
            ChunkProblem::Trailing => f.write_str("bytes after the end of the chunk")?,
            ChunkProblem::Checksum => {
                f.write_str("corrupted chunk: its checksum does not match")?
            }
            ChunkProblem::Version { of, found, newest } => {
                write!(f, "{of} {found}, this engine reads 1 to {newest}")?;
                if found > newest {
                    f.write_str(": load it with a newer evermoon")?;
                }
            }
            ChunkProblem::Bad(what) => write!(f, "corrupted chunk: bad {what}")?,
            ChunkProblem::NotCanonical(what) => {
                write!(f, "corrupted chunk: {what} not in its only form")?
            }
            ChunkProblem::Deep(max) => write!(f, "functions nest deeper than {max} levels")?,
            ChunkProblem::Large(max) => {
                write!(f, "functions take more than {max} bytes of memory")?
            }
        }
        write!(f, ") at byte {}", self.offset)?;
        match self.function {
            Some(function) => write!(f, " in function {function}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ChunkError {}

// The fields of a function's first byte.
const IS_VARARG: u8 = 1;
const HAS_LINES: u8 = 2;
const SOURCE_SHIFT: u8 = 2;
const SOURCE_NONE: u8 = 0;
/// The enclosing function's, which is where nearly all functions have theirs from.
const SOURCE_SAME: u8 = 1;
const SOURCE_OWN: u8 = 2;

// What stands before a constant.
const NIL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const FLOAT: u8 = 4;
const STR: u8 = 5;

/// The fewest bytes that a function takes: its three first bytes, two line numbers and five counts.
const FUNCTION_SIZE_MIN: usize = 10;

/// A prototype, and all that are nested in it, as a binary chunk. With `strip`, without what only messages and `debug` need:
/// source name, lines, names of locals and upvalues.
///
/// The prototype is expected to be one that the verifier accepts. Others are written too, but what the format cannot
/// express (a list of lines that is not as long as the code) is left out.
pub fn dump(proto: &Proto, strip: bool) -> Vec<u8> {
    let mut writer = Writer {
        out: Vec::new(),
        strings: Map::new(),
    };
    // Functions stand before those that are nested in them, in the order of the source.
    let mut left: Vec<(&Proto, Option<&Proto>)> = vec![(proto, None)];
    while let Some((function, parent)) = left.pop() {
        writer.function(function, parent, strip);
        left.extend(
            function
                .protos
                .iter()
                .rev()
                .map(|nested| (nested, Some(function))),
        );
    }
    seal(&writer.out)
}

/// Puts head, size and checksum around a chunk's body. [`dump`] ends with this; tests and fuzzers use it to get past the
/// checksum with bytes of their own.
pub fn seal(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 64);
    for (part, _) in HEAD {
        out.extend_from_slice(part);
    }
    out.push(FORMAT);
    out.push(op::VERSION);
    put_varint(&mut out, body.len() as u64);
    out.extend_from_slice(body);
    let sum = crc32(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// Seven bits a byte, low ones first; the high bit says that more follow.
fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Signed numbers as unsigned ones, those near zero small: 0, -1, 1, -2, ...
const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

struct Writer<'a> {
    out: Vec<u8>,
    /// The strings written so far, numbered by first appearance.
    strings: Map<&'a [u8], u64>,
}

impl<'a> Writer<'a> {
    fn unsigned(&mut self, value: u64) {
        put_varint(&mut self.out, value);
    }

    fn signed(&mut self, value: i64) {
        put_varint(&mut self.out, zigzag(value));
    }

    fn count(&mut self, count: usize) {
        self.unsigned(count as u64);
    }

    /// How far `value` is from `before`.
    fn step(&mut self, before: u32, value: u32) {
        self.signed(i64::from(value) - i64::from(before));
    }

    /// 0 for none, 1 for a new string, which follows, else 2 more than the number of an earlier one.
    fn string(&mut self, string: Option<&'a [u8]>) {
        let Some(string) = string else {
            return self.unsigned(0);
        };
        if let Some(&number) = self.strings.get(string) {
            return self.unsigned(number + 2);
        }
        self.strings.insert(string, self.strings.len() as u64);
        self.unsigned(1);
        self.count(string.len());
        self.out.extend_from_slice(string);
    }

    fn function(&mut self, function: &'a Proto, parent: Option<&Proto>, strip: bool) {
        let source = if strip {
            None
        } else {
            function.source.as_deref()
        };
        let has_lines =
            !strip && !function.code.is_empty() && function.lines.len() == function.code.len();
        let source_kind = match (source, parent) {
            (None, _) => SOURCE_NONE,
            (Some(own), Some(parent)) if parent.source.as_deref() == Some(own) => SOURCE_SAME,
            (Some(_), _) => SOURCE_OWN,
        };
        let lines_flag = if has_lines { HAS_LINES } else { 0 };
        let vararg_flag = if function.is_vararg { IS_VARARG } else { 0 };
        self.out
            .push(vararg_flag | lines_flag | source_kind << SOURCE_SHIFT);
        self.out.push(function.num_params);
        self.out.push(function.max_stack);
        if source_kind == SOURCE_OWN {
            self.string(source);
        }
        self.unsigned(u64::from(function.line_defined));
        self.step(function.line_defined, function.last_line_defined);

        self.count(function.code.len());
        for instr in &function.code {
            self.out.extend_from_slice(&instr.0.to_le_bytes());
        }

        self.count(function.consts.len());
        for constant in &function.consts {
            self.constant(constant);
        }

        self.count(function.upvals.len());
        for upval in &function.upvals {
            self.out
                .push(u8::from(upval.in_stack) | (upval.kind & 3) << 1);
            self.out.push(upval.index);
            self.string(if strip { None } else { upval.name.as_deref() });
        }

        if has_lines {
            let mut before = function.line_defined;
            for &line in &function.lines {
                self.step(before, line);
                before = line;
            }
        }

        let locals = if strip {
            &[]
        } else {
            function.locals.as_slice()
        };
        self.count(locals.len());
        let mut before = 0;
        for local in locals {
            self.string(Some(&local.name));
            self.step(before, local.start_pc);
            self.step(local.start_pc, local.end_pc);
            before = local.start_pc;
        }

        self.count(function.protos.len());
    }

    fn constant(&mut self, constant: &'a Const) {
        match constant {
            Const::Nil => self.out.push(NIL),
            Const::False => self.out.push(FALSE),
            Const::True => self.out.push(TRUE),
            Const::Int(value) => {
                self.out.push(INT);
                self.signed(*value);
            }
            Const::Float(value) => {
                self.out.push(FLOAT);
                self.out.extend_from_slice(&value.to_bits().to_le_bytes());
            }
            Const::Str(string) => {
                self.out.push(STR);
                self.string(Some(string));
            }
        }
    }
}

/// The prototype that a binary chunk holds, not yet verified.
pub fn undump(bytes: &[u8], limits: &Limits) -> Result<Proto, ChunkError> {
    let mut reader = Reader {
        bytes,
        at: 0,
        end: bytes.len(),
        function: None,
        strings: Vec::new(),
        known: Map::new(),
        bytes_left: limits.bytes_max,
        limits,
    };
    reader.head()?;
    let proto = reader.functions()?;
    if reader.at < reader.end {
        reader.function = None;
        return Err(reader.error(ChunkProblem::Trailing));
    }
    Ok(proto)
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// The next byte to read.
    at: usize,
    /// Where the part being read ends: at first the whole, then the body.
    end: usize,
    /// The function being read.
    function: Option<usize>,
    /// The strings read so far, by number.
    strings: Vec<&'a [u8]>,
    /// The same, to find out that one is written twice.
    known: Map<&'a [u8], ()>,
    /// What is left of [`Limits::bytes_max`].
    bytes_left: usize,
    limits: &'a Limits,
}

type Decoded<T> = Result<T, ChunkError>;

impl<'a> Reader<'a> {
    fn error(&self, problem: ChunkProblem) -> ChunkError {
        self.error_at(self.at, problem)
    }

    fn error_at(&self, offset: usize, problem: ChunkProblem) -> ChunkError {
        ChunkError {
            problem,
            offset,
            function: self.function,
        }
    }

    fn left(&self) -> usize {
        self.end - self.at
    }

    fn take(&mut self, size: usize) -> Decoded<&'a [u8]> {
        if size > self.left() {
            // The place is where bytes are missing, which is the end.
            return Err(self.error_at(self.end, ChunkProblem::Truncated));
        }
        let taken = &self.bytes[self.at..self.at + size];
        self.at += size;
        Ok(taken)
    }

    fn byte(&mut self) -> Decoded<u8> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn unsigned(&mut self) -> Decoded<u64> {
        let start = self.at;
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(self.error_at(start, ChunkProblem::Bad("number (integer overflow)")));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(self.error_at(start, ChunkProblem::NotCanonical("number")));
                }
                return Ok(value);
            }
        }
        Err(self.error_at(start, ChunkProblem::Bad("number (integer overflow)")))
    }

    fn signed(&mut self) -> Decoded<i64> {
        Ok(unzigzag(self.unsigned()?))
    }

    fn unsigned32(&mut self, what: &'static str) -> Decoded<u32> {
        let start = self.at;
        let value = self.unsigned()?;
        u32::try_from(value).map_err(|_| self.error_at(start, ChunkProblem::Bad(what)))
    }

    /// A number written as its distance from the one before.
    fn step(&mut self, before: u32, what: &'static str) -> Decoded<u32> {
        let start = self.at;
        let value = self.signed()?.checked_add(i64::from(before));
        value
            .and_then(|value| u32::try_from(value).ok())
            .ok_or(self.error_at(start, ChunkProblem::Bad(what)))
    }

    /// A count of things that take at least `size_min` bytes each in the chunk and `size` in memory.
    fn count(&mut self, size_min: usize, size: usize) -> Decoded<usize> {
        let count = self.unsigned()?;
        if count > (self.left() / size_min) as u64 {
            return Err(self.error_at(self.end, ChunkProblem::Truncated));
        }
        let count = count as usize;
        self.charge(count.saturating_mul(size))?;
        Ok(count)
    }

    fn charge(&mut self, size: usize) -> Decoded<()> {
        match self.bytes_left.checked_sub(size) {
            Some(left) => {
                self.bytes_left = left;
                Ok(())
            }
            None => Err(self.error(ChunkProblem::Large(self.limits.bytes_max))),
        }
    }

    fn string(&mut self) -> Decoded<Option<&'a [u8]>> {
        let start = self.at;
        let number = self.unsigned()?;
        let string = match number {
            0 => return Ok(None),
            1 => {
                let size = self.unsigned()?;
                // A size beyond usize is beyond the bytes left as well.
                let string = self.take(usize::try_from(size).unwrap_or(usize::MAX))?;
                if self.known.insert(string, ()).is_some() {
                    return Err(self.error_at(start, ChunkProblem::NotCanonical("string")));
                }
                self.strings.push(string);
                string
            }
            _ => match usize::try_from(number - 2)
                .ok()
                .and_then(|number| self.strings.get(number))
            {
                Some(string) => string,
                None => return Err(self.error_at(start, ChunkProblem::Bad("string number"))),
            },
        };
        self.charge(string.len())?;
        Ok(Some(string))
    }

    fn some_string(&mut self, what: &'static str) -> Decoded<&'a [u8]> {
        let start = self.at;
        self.string()?
            .ok_or(self.error_at(start, ChunkProblem::Bad(what)))
    }

    /// All that surrounds the body: checks the head, the versions, the size and the sum, and leaves the body to be read.
    ///
    /// The size comes before the sum, so that a chunk which was cut off is called truncated rather than corrupted.
    fn head(&mut self) -> Decoded<()> {
        for &(part, problem) in HEAD {
            let present = part.len().min(self.left());
            let start = self.at;
            if self.take(present)? != &part[..present] {
                return Err(self.error_at(start, ChunkProblem::Head(problem)));
            }
            if present < part.len() {
                return Err(self.error(ChunkProblem::Truncated));
            }
        }
        self.version("chunk format", FORMAT)?;
        self.version("instruction set", op::VERSION)?;
        let size = self.unsigned()?;
        let left = self.left() as u64;
        match size.checked_add(4) {
            Some(needed) if needed == left => {}
            Some(needed) if needed < left => {
                return Err(self.error_at(self.at + needed as usize, ChunkProblem::Trailing));
            }
            _ => return Err(self.error_at(self.end, ChunkProblem::Truncated)),
        }
        let end = self.end - 4;
        let sum = crc32(&self.bytes[..end]);
        if self.bytes[end..] != sum.to_le_bytes() {
            return Err(self.error_at(end, ChunkProblem::Checksum));
        }
        self.end = end;
        Ok(())
    }

    fn version(&mut self, of: &'static str, newest: u8) -> Decoded<()> {
        let start = self.at;
        let found = self.byte()?;
        if found == 0 || found > newest {
            return Err(self.error_at(start, ChunkProblem::Version { of, found, newest }));
        }
        Ok(())
    }

    /// The function and all that are nested in it. Those that are not yet complete wait on a stack of our own.
    fn functions(&mut self) -> Decoded<Proto> {
        /// A function and how many of its nested ones are not yet complete.
        struct Open {
            proto: Proto,
            missing: usize,
        }
        let mut open: Vec<Open> = Vec::new();
        // How many functions the open ones promise together that have not begun: so what is reserved for them is bounded
        // by the bytes left, even when each level promises as many as it can.
        let mut promised = 0;
        let mut number = 0;
        loop {
            if open.len() == self.limits.depth_max {
                return Err(self.error(ChunkProblem::Deep(self.limits.depth_max)));
            }
            self.function = Some(number);
            number += 1;
            let mut proto = self.function(open.last().map(|outer| &outer.proto))?;
            let missing = self.count(FUNCTION_SIZE_MIN, 256)?;
            promised += missing;
            if promised > self.left() / FUNCTION_SIZE_MIN {
                return Err(self.error_at(self.end, ChunkProblem::Truncated));
            }
            proto.protos.reserve_exact(missing);
            open.push(Open { proto, missing });
            while let Some(done) = open.pop_if(|last| last.missing == 0) {
                match open.last_mut() {
                    Some(outer) => {
                        outer.proto.protos.push(done.proto);
                        outer.missing -= 1;
                    }
                    None => return Ok(done.proto),
                }
            }
            // The next one is among those promised, since something is still open.
            promised -= 1;
        }
    }

    /// One function, up to the count of its nested ones.
    fn function(&mut self, parent: Option<&Proto>) -> Decoded<Proto> {
        let start = self.at;
        let flags = self.byte()?;
        let mut proto = Proto {
            is_vararg: flags & IS_VARARG != 0,
            num_params: self.byte()?,
            max_stack: self.byte()?,
            ..Proto::default()
        };
        let source_at = self.at;
        let parent_source = parent.and_then(|parent| parent.source.as_ref());
        proto.source = match flags >> SOURCE_SHIFT {
            SOURCE_NONE => None,
            SOURCE_SAME if parent_source.is_some() => parent_source.cloned(),
            SOURCE_OWN => {
                let source = self.some_string("source name")?;
                if parent_source.is_some_and(|parent| **parent == *source) {
                    return Err(self.error_at(source_at, ChunkProblem::NotCanonical("source name")));
                }
                Some(Arc::from(source))
            }
            _ => return Err(self.error_at(start, ChunkProblem::Bad("function flags"))),
        };
        proto.line_defined = self.unsigned32("line")?;
        proto.last_line_defined = self.step(proto.line_defined, "line")?;

        let count = self.count(4, 4)?;
        let code = self.take(count * 4)?;
        proto.code = code
            .chunks_exact(4)
            .map(|word| Instr(u32::from_le_bytes([word[0], word[1], word[2], word[3]])))
            .collect();

        let count = self.count(1, 24)?;
        proto.consts.reserve_exact(count);
        for _ in 0..count {
            let constant = self.constant()?;
            proto.consts.push(constant);
        }

        let count = self.count(3, 32)?;
        proto.upvals.reserve_exact(count);
        for _ in 0..count {
            let start = self.at;
            let kind = self.byte()?;
            if kind > 7 {
                return Err(self.error_at(start, ChunkProblem::Bad("upvalue")));
            }
            let index = self.byte()?;
            let name = self.string()?.map(Box::from);
            proto.upvals.push(UpvalDesc {
                in_stack: kind & 1 != 0,
                index,
                kind: kind >> 1,
                name,
            });
        }

        if flags & HAS_LINES != 0 {
            let count = proto.code.len();
            if count == 0 {
                return Err(self.error_at(start, ChunkProblem::NotCanonical("function flags")));
            }
            if count > self.left() {
                return Err(self.error_at(self.end, ChunkProblem::Truncated));
            }
            self.charge(count * 4)?;
            proto.lines.reserve_exact(count);
            let mut line = proto.line_defined;
            for _ in 0..count {
                line = self.step(line, "line")?;
                proto.lines.push(line);
            }
        }

        let count = self.count(3, 24)?;
        proto.locals.reserve_exact(count);
        let mut before = 0;
        for _ in 0..count {
            let name = Box::from(self.some_string("name of a local")?);
            let start_pc = self.step(before, "start of a local")?;
            let end_pc = self.step(start_pc, "end of a local")?;
            before = start_pc;
            proto.locals.push(LocalVar {
                name,
                start_pc,
                end_pc,
            });
        }
        Ok(proto)
    }

    fn constant(&mut self) -> Decoded<Const> {
        let start = self.at;
        Ok(match self.byte()? {
            NIL => Const::Nil,
            FALSE => Const::False,
            TRUE => Const::True,
            INT => Const::Int(self.signed()?),
            FLOAT => Const::Float(f64::from_bits(u64::from_le_bytes(self.array()?))),
            STR => Const::Str(Box::from(self.some_string("constant")?)),
            _ => return Err(self.error_at(start, ChunkProblem::Bad("constant"))),
        })
    }
}
