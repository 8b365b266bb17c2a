//! The formats of `string.pack`, `packsize` and `unpack` (§6.4.2): what their options mean, how wide each item is, how
//! it is aligned, and how numbers become bytes and back.
//!
//! "Native" is fixed to x86-64 Linux on every platform: little endian, `int` of 4 bytes, `long` and `size_t` of 8,
//! alignment of at most 8. So packed data is the same everywhere, and so is what `packsize` says.
//! A NaN is packed in one form only: which one a computation made is nothing that a program may find out.

use std::fmt;

/// The largest integer that is packed, in bytes.
pub const MAX_INT_SIZE: usize = 16;

/// The bytes of a Lua integer.
const LUA_INT_SIZE: usize = 8;

/// What is written between items, and behind short strings.
pub const PADDING: u8 = 0;

/// No item and no `packsize` is larger (C's `INT_MAX`).
pub const MAX_SIZE: usize = i32::MAX as usize;

/// Why a format, an argument or data is refused. `Display` is the reference's wording, which is shown as it is, or as
/// the complaint about an argument: `argument` says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackError {
    InvalidOption(u8),
    SizeOutOfLimits(i64),
    MissingSize,
    InvalidNextOption,
    NotPowerOfTwo,
    /// `packsize` of an option whose size is the argument's.
    VariableLength,
    ResultTooLarge,
    IntegerOverflow,
    UnsignedOverflow,
    StringTooLong,
    LengthDoesNotFit,
    StringContainsZeros,
    DataTooShort,
    UnfinishedString,
    /// An integer of so many bytes has bits that Lua's have no room for.
    DoesNotFit(usize),
}

/// Which argument an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// None: the message stands alone.
    Nobody,
    /// The format, argument 1.
    Format,
    /// The value that the option takes. In `pack`.
    Value,
    /// The data, argument 2 of `unpack`.
    Data,
}

impl PackError {
    /// Which argument to name in front of the message.
    pub fn blame(&self) -> Blame {
        match self {
            PackError::InvalidOption(_)
            | PackError::SizeOutOfLimits(_)
            | PackError::MissingSize
            | PackError::DoesNotFit(_) => Blame::Nobody,
            PackError::InvalidNextOption
            | PackError::NotPowerOfTwo
            | PackError::VariableLength
            | PackError::ResultTooLarge => Blame::Format,
            PackError::IntegerOverflow
            | PackError::UnsignedOverflow
            | PackError::StringTooLong
            | PackError::LengthDoesNotFit
            | PackError::StringContainsZeros => Blame::Value,
            PackError::DataTooShort | PackError::UnfinishedString => Blame::Data,
        }
    }

    /// The message, as bytes, for a format may hold any.
    pub fn message(&self) -> Vec<u8> {
        match self {
            PackError::InvalidOption(c) => [b"invalid format option '", &[*c][..], b"'"].concat(),
            other => other.to_string().into_bytes(),
        }
    }
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PackError::InvalidOption(c) => {
                return write!(f, "invalid format option '{}'", *c as char);
            }
            PackError::SizeOutOfLimits(n) => {
                return write!(f, "integral size ({n}) out of limits [1,{MAX_INT_SIZE}]");
            }
            PackError::MissingSize => "missing size for format option 'c'",
            PackError::InvalidNextOption => "invalid next option for option 'X'",
            PackError::NotPowerOfTwo => "format asks for alignment not power of 2",
            PackError::VariableLength => "variable-length format",
            PackError::ResultTooLarge => "format result too large",
            PackError::IntegerOverflow => "integer overflow",
            PackError::UnsignedOverflow => "unsigned overflow",
            PackError::StringTooLong => "string longer than given size",
            PackError::LengthDoesNotFit => "string length does not fit in given size",
            PackError::StringContainsZeros => "string contains zeros",
            PackError::DataTooShort => "data string too short",
            PackError::UnfinishedString => "unfinished string for format 'z'",
            PackError::DoesNotFit(size) => {
                return write!(f, "{size}-byte integer does not fit into Lua Integer");
            }
        })
    }
}

impl std::error::Error for PackError {}

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `b h i l j`
    Int,
    /// `B H I L J T`
    Uint,
    /// `f`, 4 bytes
    Float,
    /// `d` and `n`, 8 bytes
    Double,
    /// `c`: a string of `size` bytes
    Chars,
    /// `s`: a string behind its length in `size` bytes
    Counted,
    /// `z`: a string and a zero
    Zero,
    /// `x`: a byte of padding, of no value
    Padding,
    /// `X` and everything that only sets something: no bytes of its own, of no value
    Nothing,
}

/// One option of a format, ready to be packed or unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    pub kind: Kind,
    /// Its bytes, without alignment and without what follows a length. Not checked against any limit but `MAX_SIZE`.
    pub size: usize,
    /// How many bytes of padding come before it.
    pub align: usize,
    /// The byte order it is in.
    pub little: bool,
}

impl Item {
    /// Whether it takes an argument of `pack`, and makes a result of `unpack`.
    pub fn has_value(&self) -> bool {
        !matches!(self.kind, Kind::Padding | Kind::Nothing)
    }
}

/// A format on its way: byte order, alignment, and the options that are left. A plain value: `position` and the rest are
/// all there is to it.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    format: &'a [u8],
    position: usize,
    little: bool,
    max_align: usize,
}

impl<'a> Options<'a> {
    pub fn new(format: &'a [u8]) -> Options<'a> {
        // As in C, a format ends at its first zero.
        let end = format.iter().position(|&c| c == 0).unwrap_or(format.len());
        Options {
            format: &format[..end],
            position: 0,
            little: true,
            max_align: 1,
        }
    }

    /// How much of the format has been read.
    pub fn read(&self) -> usize {
        self.position
    }

    /// The next option, which begins `total` bytes behind the beginning of the data.
    #[allow(clippy::should_implement_trait)] // it takes an argument
    pub fn next(&mut self, total: usize) -> Result<Option<Item>, PackError> {
        let Some((option, kind, size)) = self.option()? else {
            return Ok(None);
        };
        let mut align = size;
        if option == b'X' {
            // Aligns as the option behind it would, which it takes with it.
            align = match self.option()? {
                Some((_, kind, size)) if kind != Kind::Chars && size > 0 => size,
                _ => return Err(PackError::InvalidNextOption),
            };
        }
        let mut padding = 0;
        if align > 1 && kind != Kind::Chars {
            align = align.min(self.max_align);
            if !align.is_power_of_two() {
                return Err(PackError::NotPowerOfTwo);
            }
            padding = total.wrapping_neg() & (align - 1);
        }
        Ok(Some(Item {
            kind,
            size,
            align: padding,
            little: self.little,
        }))
    }

    /// Reads one option and its size, and carries out those that set something.
    fn option(&mut self) -> Result<Option<(u8, Kind, usize)>, PackError> {
        const INT: usize = 4;
        const LONG: usize = 8;
        const MAX_ALIGN: usize = 8;
        let Some(&option) = self.format.get(self.position) else {
            return Ok(None);
        };
        self.position += 1;
        let (kind, size) = match option {
            b'b' => (Kind::Int, 1),
            b'B' => (Kind::Uint, 1),
            b'h' => (Kind::Int, 2),
            b'H' => (Kind::Uint, 2),
            b'l' => (Kind::Int, LONG),
            b'L' => (Kind::Uint, LONG),
            b'j' => (Kind::Int, LUA_INT_SIZE),
            b'J' | b'T' => (Kind::Uint, LUA_INT_SIZE),
            b'i' => (Kind::Int, self.limited(INT)?),
            b'I' => (Kind::Uint, self.limited(INT)?),
            b'f' => (Kind::Float, 4),
            b'd' | b'n' => (Kind::Double, 8),
            b's' => (Kind::Counted, self.limited(LONG)?),
            b'c' => (Kind::Chars, self.digits().ok_or(PackError::MissingSize)?),
            b'z' => (Kind::Zero, 0),
            b'x' => (Kind::Padding, 1),
            b'X' | b' ' => (Kind::Nothing, 0),
            b'<' | b'=' => {
                self.little = true;
                (Kind::Nothing, 0)
            }
            b'>' => {
                self.little = false;
                (Kind::Nothing, 0)
            }
            b'!' => {
                self.max_align = self.limited(MAX_ALIGN)?;
                (Kind::Nothing, 0)
            }
            c => return Err(PackError::InvalidOption(c)),
        };
        Ok(Some((option, kind, size)))
    }

    /// The number behind an option. Where it would become larger than a C `int`, the digits left are options, and bad ones.
    fn digits(&mut self) -> Option<usize> {
        let mut n = None;
        while let Some(c @ b'0'..=b'9') = self.format.get(self.position) {
            n = Some(n.unwrap_or(0) * 10 + (c - b'0') as usize);
            self.position += 1;
            if n > Some((MAX_SIZE - 9) / 10) {
                break;
            }
        }
        n
    }

    /// The same as the size of an integer.
    fn limited(&mut self, default: usize) -> Result<usize, PackError> {
        match self.digits() {
            None => Ok(default),
            Some(n @ 1..=MAX_INT_SIZE) => Ok(n),
            Some(n) => Err(PackError::SizeOutOfLimits(n as i64)),
        }
    }
}

/// The size of what a format makes (`string.packsize`). Takes time linear in the format's length.
pub fn packed_size(format: &[u8]) -> Result<usize, PackError> {
    let mut options = Options::new(format);
    let mut total = 0;
    while let Some(item) = options.next(total)? {
        if matches!(item.kind, Kind::Counted | Kind::Zero) {
            return Err(PackError::VariableLength);
        }
        let size = item.align + item.size;
        if size > MAX_SIZE - total {
            return Err(PackError::ResultTooLarge);
        }
        total += size;
    }
    Ok(total)
}

// ---------------------------------------------------------------------------------------------------------------------
// Integers

/// Whether `n` fits a signed integer of `size` bytes.
pub fn check_int(n: i64, size: usize) -> Result<(), PackError> {
    let unused = LUA_INT_SIZE.saturating_sub(size) as u32 * 8;
    if n << unused >> unused == n {
        Ok(())
    } else {
        Err(PackError::IntegerOverflow)
    }
}

/// Whether `n`'s bits fit an unsigned integer of `size` bytes.
pub fn check_uint(n: i64, size: usize) -> Result<(), PackError> {
    let unused = LUA_INT_SIZE.saturating_sub(size) as u32 * 8;
    if (n as u64) << unused >> unused == n as u64 {
        Ok(())
    } else {
        Err(PackError::UnsignedOverflow)
    }
}

/// Whether a string's length fits the `size` bytes in front of it.
pub fn check_length(len: usize, size: usize) -> Result<(), PackError> {
    check_uint(len as i64, size).map_err(|_| PackError::LengthDoesNotFit)
}

/// Appends the `size` (1 to 16) lower bytes of `n`; those above its own are copies of its sign if `signed`, else zeros.
pub fn push_int(out: &mut Vec<u8>, n: i64, size: usize, little: bool, signed: bool) {
    let wide = if signed {
        n as i128 as u128
    } else {
        n as u64 as u128
    };
    let size = size.min(MAX_INT_SIZE);
    if little {
        out.extend_from_slice(&wide.to_le_bytes()[..size]);
    } else {
        out.extend_from_slice(&wide.to_be_bytes()[MAX_INT_SIZE - size..]);
    }
}

/// The integer that 1 to 16 bytes make. More than eight must not say more than eight could.
pub fn read_int(bytes: &[u8], little: bool, signed: bool) -> Result<i64, PackError> {
    let size = bytes.len().min(MAX_INT_SIZE);
    let mut wide = [0; MAX_INT_SIZE];
    for (i, slot) in wide[..size].iter_mut().enumerate() {
        *slot = bytes[if little { i } else { size - 1 - i }];
    }
    let unused = 8 * (MAX_INT_SIZE - size) as u32;
    let wide = u128::from_le_bytes(wide);
    let n = if signed {
        (wide << unused) as i128 >> unused
    } else {
        wide as i128
    };
    let fits = size <= LUA_INT_SIZE
        || if signed {
            n == n as i64 as i128
        } else {
            n == n as u64 as i128
        };
    if fits {
        Ok(n as i64)
    } else {
        Err(PackError::DoesNotFit(size))
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Floats

fn push_ordered(out: &mut Vec<u8>, mut bytes: [u8; 8], size: usize, little: bool) {
    let bytes = &mut bytes[..size];
    if !little {
        bytes.reverse();
    }
    out.extend_from_slice(bytes);
}

/// Appends a float as `d` does.
pub fn push_double(out: &mut Vec<u8>, f: f64, little: bool) {
    let bits = if f.is_nan() {
        0x7ff8 << 48
    } else {
        f.to_bits()
    };
    push_ordered(out, bits.to_le_bytes(), 8, little);
}

/// Appends a float as `f` does, rounded to single precision.
pub fn push_single(out: &mut Vec<u8>, f: f64, little: bool) {
    let bits = if f.is_nan() {
        0x7fc0 << 16
    } else {
        (f as f32).to_bits()
    };
    push_ordered(out, (bits as u64).to_le_bytes(), 4, little);
}

/// The float that 8 bytes make, or 4 in single precision. (Fewer count as zeros; the caller cuts the right number.)
pub fn read_float(bytes: &[u8], little: bool) -> f64 {
    let mut wide = [0; 8];
    let size = if bytes.len() == 4 { 4 } else { 8 };
    for (i, slot) in wide[..size].iter_mut().enumerate() {
        *slot = bytes
            .get(if little { i } else { size - 1 - i })
            .copied()
            .unwrap_or(0);
    }
    let bits = u64::from_le_bytes(wide);
    if size == 4 {
        f32::from_bits(bits as u32) as f64
    } else {
        f64::from_bits(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(format: &str) -> Result<Vec<(Kind, usize, usize)>, String> {
        let mut options = Options::new(format.as_bytes());
        let (mut found, mut total) = (Vec::new(), 0);
        while let Some(item) = options.next(total).map_err(|e| e.to_string())? {
            found.push((item.kind, item.align, item.size));
            total += item.align + item.size;
        }
        Ok(found)
    }

    #[test]
    fn options_and_alignment() {
        use Kind::*;
        assert_eq!(items("<!4 i1!2i4").unwrap().last(), Some(&(Int, 1, 4)));
        assert_eq!(
            items("!bi8x").unwrap(),
            [(Nothing, 0, 0), (Int, 0, 1), (Int, 7, 8), (Padding, 0, 1)]
        );
        assert_eq!(
            items("!8bXdc3").unwrap(),
            [(Nothing, 0, 0), (Int, 0, 1), (Nothing, 7, 0), (Chars, 0, 3)]
        );
        assert_eq!(
            items("bi8").unwrap(),
            [(Int, 0, 1), (Int, 0, 8)],
            "no alignment unless asked for"
        );
        assert_eq!(items("i\0q").unwrap(), [(Int, 0, 4)], "a zero ends it");
    }

    #[test]
    fn errors_are_the_references() {
        for (format, expected) in [
            ("i17", "integral size (17) out of limits [1,16]"),
            ("i0", "integral size (0) out of limits [1,16]"),
            ("!17", "integral size (17) out of limits [1,16]"),
            ("Xi17", "integral size (17) out of limits [1,16]"),
            ("!3i4", "format asks for alignment not power of 2"),
            ("!4Xi3", "format asks for alignment not power of 2"),
            ("c", "missing size for format option 'c'"),
            ("i3r", "invalid format option 'r'"),
            ("c99999999999", "invalid format option '9'"),
            ("X", "invalid next option for option 'X'"),
            ("XXi", "invalid next option for option 'X'"),
            ("X i", "invalid next option for option 'X'"),
            ("Xc1", "invalid next option for option 'X'"),
            ("Xz", "invalid next option for option 'X'"),
        ] {
            assert_eq!(items(format).unwrap_err(), expected, "{format}");
        }
        assert_eq!(
            PackError::InvalidOption(0xff).message(),
            b"invalid format option '\xff'"
        );
    }

    #[test]
    fn sizes() {
        assert_eq!(
            packed_size(b"!i1i8f d n c10 x Xi16 j"),
            Ok(8 + 8 + 4 + 4 + 8 + 8 + 10 + 1 + 5 + 8)
        );
        assert_eq!(packed_size(b"s"), Err(PackError::VariableLength));
        assert_eq!(packed_size(b"c2147483639c8"), Ok(MAX_SIZE));
        assert_eq!(
            packed_size(b"c2147483639c9"),
            Err(PackError::ResultTooLarge)
        );
    }

    #[test]
    fn integers_of_every_size_go_there_and_back() {
        for size in 1..=MAX_INT_SIZE {
            let bits = 8 * size.min(8) as u32 - 1;
            let top = (1i128 << bits) as i64;
            for n in [0, 1, -1, 100, -100, top.wrapping_sub(1), top.wrapping_neg()] {
                for little in [true, false] {
                    let mut out = Vec::new();
                    assert_eq!(check_int(n, size), Ok(()), "{n} in {size}");
                    push_int(&mut out, n, size, little, true);
                    assert_eq!(out.len(), size);
                    assert_eq!(read_int(&out, little, true), Ok(n));
                    if check_uint(n, size).is_ok() {
                        out.clear();
                        push_int(&mut out, n, size, little, false);
                        assert_eq!(read_int(&out, little, false), Ok(n), "{n} in {size}");
                    }
                }
            }
            if size < 8 {
                assert_eq!(check_int(top, size), Err(PackError::IntegerOverflow));
                assert_eq!(check_int(-top - 1, size), Err(PackError::IntegerOverflow));
                assert_eq!(check_uint(2 * top, size), Err(PackError::UnsignedOverflow));
                assert_eq!(check_uint(-1, size), Err(PackError::UnsignedOverflow));
                assert_eq!(
                    check_length(2 * top as usize, size),
                    Err(PackError::LengthDoesNotFit)
                );
            } else {
                assert_eq!(check_uint(-1, size), Ok(()));
            }
        }
    }

    #[test]
    fn what_lua_has_no_room_for() {
        assert_eq!(
            read_int(&[3; 16], true, true),
            Err(PackError::DoesNotFit(16))
        );
        assert_eq!(
            read_int(&[0, 0, 0, 0, 0, 0, 0, 0, 1], true, false),
            Err(PackError::DoesNotFit(9))
        );
        assert_eq!(
            read_int(&[1, 0, 0, 0, 0, 0, 0, 0, 0], false, true),
            Err(PackError::DoesNotFit(9))
        );
        assert_eq!(read_int(&[255; 9], true, true), Ok(-1));
        assert_eq!(
            read_int(&[255; 9], true, false),
            Err(PackError::DoesNotFit(9))
        );
        assert_eq!(
            read_int(&[255, 255, 255, 255, 255, 255, 255, 255, 0], true, false),
            Ok(-1)
        );
        // Nine bytes that are a positive number too large for a signed integer.
        assert_eq!(
            read_int(&[0, 0, 0, 0, 0, 0, 0, 128, 0], true, true),
            Err(PackError::DoesNotFit(9))
        );
    }

    #[test]
    fn floats() {
        for f in [0.0, -0.0, 1.5, -1e300, f64::INFINITY, 5e-324] {
            for little in [true, false] {
                let mut out = Vec::new();
                push_double(&mut out, f, little);
                assert_eq!(read_float(&out, little).to_bits(), f.to_bits());
                out.clear();
                push_single(&mut out, f, little);
                assert_eq!(out.len(), 4);
                assert_eq!(read_float(&out, little), f as f32 as f64);
            }
        }
        let mut out = Vec::new();
        push_double(&mut out, -f64::NAN, false);
        push_single(&mut out, f64::from_bits(0xfff8_0000_0000_0001), false);
        assert_eq!(out, [0x7f, 0xf8, 0, 0, 0, 0, 0, 0, 0x7f, 0xc0, 0, 0]);
    }
}
