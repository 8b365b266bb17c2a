//! UTF-8 as the `utf8` library (§6.5) and the lexer's `\u{...}` (§3.1) have it: sequences of up to six bytes for code
//! points up to 2^31 - 1. *Strict* narrows that to Unicode: up to 10FFFF and no surrogates. Overlong forms are never
//! accepted.
//!
//! Offsets in this file are indices from 0; the library turns them into Lua's positions.

/// The largest code point of the original definition, and of `utf8.char`.
pub const MAX: u32 = 0x7FFF_FFFF;

/// The largest code point of Unicode.
pub const MAX_UNICODE: u32 = 0x10_FFFF;

/// `utf8.charpattern`: matches one encoded character, supposing that the subject is valid.
pub const CHAR_PATTERN: &[u8; 14] = b"[\0-\x7F\xC2-\xFD][\x80-\xBF]*";

/// The smallest code point that needs so many continuation bytes. (None needs 0 after a byte from 0x80 on.)
const LEAST: [u32; 6] = [u32::MAX, 0x80, 0x800, 0x1_0000, 0x20_0000, 0x400_0000];

/// Whether the byte continues a character that began before it.
#[inline]
pub fn is_continuation(b: u8) -> bool {
    b & 0xC0 == 0x80
}

/// Whether there is a byte at `i` and it continues a character. (Behind a string's end there is none.)
#[inline]
fn continues(s: &[u8], i: usize) -> bool {
    s.get(i).is_some_and(|&b| is_continuation(b))
}

/// The character that `s` begins with and how many bytes it takes; `None` if there is no valid one.
pub fn decode(s: &[u8], strict: bool) -> Option<(u32, usize)> {
    let &lead = s.first()?;
    if lead < 0x80 {
        return Some((lead as u32, 1));
    }
    let following = lead.leading_ones() as usize - 1;
    let &least = LEAST.get(following)?;
    // The lead byte's bits below its marker; those of 0xFC and 0xFD are one.
    let mut code = (lead & (0x3F >> following)) as u32;
    for &b in s.get(1..=following)? {
        if !is_continuation(b) {
            return None;
        }
        code = code << 6 | (b & 0x3F) as u32;
    }
    let refused =
        code < least || (strict && (code > MAX_UNICODE || (0xD800..=0xDFFF).contains(&code)));
    (!refused).then_some((code, following + 1))
}

/// The bytes of a code point up to `MAX`, in a buffer of the caller's.
pub fn encode(code: u32, buf: &mut [u8; 6]) -> &[u8] {
    debug_assert!(code <= MAX);
    if code < 0x80 {
        buf[0] = code as u8;
        return &buf[..1];
    }
    let mut rest = code;
    let mut at = 6;
    let mut room = 0x3F; // what still fits the lead byte
    while rest > room {
        at -= 1;
        buf[at] = 0x80 | (rest & 0x3F) as u8;
        rest >>= 6;
        room >>= 1;
    }
    at -= 1;
    buf[at] = (!room << 1) as u8 | rest as u8;
    &buf[at..]
}

/// Counts the characters that start in `from..=last` (`utf8.len`); `Err` has the index of the first invalid one.
/// `last` is `None` when the range ends before the string begins, for which there is no index.
pub fn count(s: &[u8], from: usize, last: Option<usize>, strict: bool) -> Result<u64, usize> {
    let Some(last) = last else { return Ok(0) };
    count_part(s, from, last, strict).map(|(n, _)| n)
}

/// The same, with the index at which the character behind them begins.
pub fn count_part(s: &[u8], from: usize, last: usize, strict: bool) -> Result<(u64, usize), usize> {
    let mut at = from;
    let mut n = 0;
    while at <= last {
        match decode(s.get(at..).unwrap_or(&[]), strict) {
            Some((_, size)) => at += size,
            None => return Err(at),
        }
        n += 1;
    }
    Ok((n, at))
}

/// Why `utf8.offset` fails: the starting point is inside a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InsideCharacter;

/// The index at which the `n`-th character, counting from the one at `at`, begins (`utf8.offset`); `None` if there is
/// none. `n` of 0 finds the start of the character that `at` is in. `at` is at most `s.len()`.
pub fn offset(s: &[u8], n: i64, at: usize) -> Result<Option<usize>, InsideCharacter> {
    let mut at = at;
    if n == 0 {
        while at > 0 && continues(s, at) {
            at -= 1;
        }
        return Ok(Some(at));
    }
    if continues(s, at) {
        return Err(InsideCharacter);
    }
    if n < 0 {
        let mut left = n.unsigned_abs();
        while left > 0 && at > 0 {
            at -= 1;
            while at > 0 && continues(s, at) {
                at -= 1;
            }
            left -= 1;
        }
        Ok((left == 0).then_some(at))
    } else {
        let mut left = n - 1;
        while left > 0 && at < s.len() {
            at += 1;
            while continues(s, at) {
                at += 1;
            }
            left -= 1;
        }
        Ok((left == 0).then_some(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_is_decoded_again() {
        for (code, size) in [
            (0, 1),
            (0x7F, 1),
            (0x80, 2),
            (0x7FF, 2),
            (0x800, 3),
            (0xFFFF, 3),
            (0x1_0000, 4),
            (0x10_FFFF, 4),
            (0x1F_FFFF, 4),
            (0x20_0000, 5),
            (0x3FF_FFFF, 5),
            (0x400_0000, 6),
            (MAX, 6),
        ] {
            let mut buf = [0; 6];
            let bytes = encode(code, &mut buf);
            assert_eq!(bytes.len(), size, "{code:x}");
            assert_eq!(decode(bytes, false), Some((code, size)), "{code:x}");
            assert_eq!(
                decode(bytes, true).is_some(),
                code <= MAX_UNICODE,
                "{code:x}"
            );
            assert_eq!(
                decode(&bytes[..size - 1], false),
                None,
                "{code:x} cut short"
            );
        }
    }

    #[test]
    fn agrees_with_rust_on_unicode() {
        for code in 0..=MAX_UNICODE {
            let mut buf = [0; 6];
            let bytes = encode(code, &mut buf);
            match char::from_u32(code) {
                Some(c) => {
                    assert_eq!(bytes, c.encode_utf8(&mut [0; 4]).as_bytes());
                    assert_eq!(decode(bytes, true), Some((code, bytes.len())));
                }
                None => {
                    assert_eq!(decode(bytes, true), None, "surrogates are not strict");
                    assert_eq!(decode(bytes, false), Some((code, 3)));
                }
            }
        }
    }

    #[test]
    fn refuses_what_is_not_a_character() {
        for bad in [
            &b""[..],
            b"\x80", // a continuation byte alone
            b"\xBFa",
            b"\xC0\x80", // overlong
            b"\xC1\xBF",
            b"\xE0\x9F\xBF",
            b"\xF0\x8F\xBF\xBF",
            b"\xF8\x87\xBF\xBF\xBF",
            b"\xFC\x83\xBF\xBF\xBF\xBF",
            b"\xE3de", // cut short by another character
            b"\xFE\x80\x80\x80\x80\x80\x80",
            b"\xFF",
        ] {
            assert_eq!(decode(bad, false), None, "{bad:x?}");
        }
        assert_eq!(decode(b"\xF4\x9F\xBF\xBF", true), None, "above Unicode");
        assert_eq!(decode(b"\xF4\x9F\xBF\xBF", false), Some((0x11_FFFF, 4)));
    }

    #[test]
    fn counts_and_finds_the_first_bad_byte() {
        let s = "汉字/漢字".as_bytes();
        assert_eq!(count(s, 0, Some(s.len() - 1), true), Ok(5));
        assert_eq!(count(s, 3, Some(3), true), Ok(1));
        assert_eq!(count(s, 1, Some(3), true), Err(1));
        assert_eq!(count(b"", 0, None, true), Ok(0));
        assert_eq!(count(b"hel\x80lo", 0, Some(5), true), Err(3));
        assert_eq!(count(b"abc\xE3def", 0, Some(6), true), Err(3));
    }

    #[test]
    fn offsets() {
        let s = "aé汉z".as_bytes(); // characters at 0, 1, 3, 6; the end is 7
        let at = |n, i| offset(s, n, i);
        assert_eq!(
            [at(1, 0), at(2, 0), at(3, 0), at(4, 0)],
            [Ok(Some(0)), Ok(Some(1)), Ok(Some(3)), Ok(Some(6))]
        );
        assert_eq!((at(5, 0), at(6, 0)), (Ok(Some(7)), Ok(None)));
        assert_eq!(
            (at(-1, 7), at(-4, 7), at(-5, 7)),
            (Ok(Some(6)), Ok(Some(0)), Ok(None))
        );
        assert_eq!(
            (at(0, 5), at(0, 7), at(0, 0)),
            (Ok(Some(3)), Ok(Some(7)), Ok(Some(0)))
        );
        assert_eq!(
            (at(1, 2), at(-1, 4)),
            (Err(InsideCharacter), Err(InsideCharacter))
        );
        assert_eq!(
            (at(1, 7), at(i64::MAX, 0), at(i64::MIN, 7)),
            (Ok(Some(7)), Ok(None), Ok(None))
        );
    }
}
