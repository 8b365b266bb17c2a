//! Lua patterns (§6.4.1): the matcher behind `string.find`, `match`, `gmatch` and `gsub`, and the search for plain text.
//!
//! A pattern is interpreted as it stands, item by item, not compiled: a malformed item is an error only when matching
//! comes to it, as in the reference. Matching backtracks, so it can take time exponential in the pattern's length;
//! every step is paid from `Matcher::budget`, which the caller fills and reads back. Recursion goes one level deeper
//! for captures and quantified items only, never for the subject's length, and no deeper than `MAX_DEPTH`.
//!
//! Subjects and patterns are bytes; classes are those of the "C" locale. Offsets are indices from 0.

use crate::heap::number;
use std::fmt;

/// How deep matching may nest before the pattern is "too complex": the reference's limit, with the same meaning.
pub const MAX_DEPTH: u32 = 200;

/// How many captures a pattern may have.
pub const MAX_CAPTURES: usize = 32;

/// Why matching stopped without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// The budget is used up. Not an error of the program's: the caller decides what it means.
    OutOfBudget,
    EndsWithPercent,
    MissingBracket,
    MissingBalanceArguments,
    MissingFrontierSet,
    /// A reference to a capture that there is not, by its digit; in a pattern, or in a replacement.
    InvalidCaptureIndex(u32),
    InvalidPatternCapture,
    UnfinishedCapture,
    TooManyCaptures,
    TooComplex,
    InvalidReplacement,
    /// The result would be longer than the caller allows.
    TooLong,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PatternError::OutOfBudget => "out of budget",
            PatternError::EndsWithPercent => "malformed pattern (ends with '%')",
            PatternError::MissingBracket => "malformed pattern (missing ']')",
            PatternError::MissingBalanceArguments => {
                "malformed pattern (missing arguments to '%b')"
            }
            PatternError::MissingFrontierSet => "missing '[' after '%f' in pattern",
            PatternError::InvalidCaptureIndex(digit) => {
                return write!(f, "invalid capture index %{digit}");
            }
            PatternError::InvalidPatternCapture => "invalid pattern capture",
            PatternError::UnfinishedCapture => "unfinished capture",
            PatternError::TooManyCaptures => "too many captures",
            PatternError::TooComplex => "pattern too complex",
            PatternError::InvalidReplacement => "invalid use of '%' in replacement string",
            PatternError::TooLong => "resulting string too large",
        })
    }
}

impl std::error::Error for PatternError {}

/// Whether a pattern has any character that means something: if not, it is plain text, and `find_plain` finds it.
pub fn has_specials(pattern: &[u8]) -> bool {
    pattern.iter().any(|c| b"^$*+?.([%-".contains(c))
}

/// Takes the `^` off an anchored pattern. (`gmatch` has no anchors: it passes the pattern whole.)
pub fn split_anchor(pattern: &[u8]) -> (bool, &[u8]) {
    match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Classes

const LOWER: u8 = 1;
const UPPER: u8 = 2;
const DIGIT: u8 = 4;
const SPACE: u8 = 8;
const CONTROL: u8 = 16;
const PUNCTUATION: u8 = 32;
const HEX: u8 = 64;
const ZERO: u8 = 128;

/// To which of the classes above each byte belongs.
static KIND: [u8; 256] = {
    let mut kind = [0; 256];
    let mut i = 0;
    while i < 128 {
        let c = i as u8;
        let mut k = 0;
        if c.is_ascii_lowercase() {
            k |= LOWER;
        }
        if c.is_ascii_uppercase() {
            k |= UPPER;
        }
        if c.is_ascii_digit() {
            k |= DIGIT;
        }
        if number::is_space(c) {
            k |= SPACE;
        }
        if c.is_ascii_control() {
            k |= CONTROL;
        }
        if c.is_ascii_punctuation() {
            k |= PUNCTUATION;
        }
        if c.is_ascii_hexdigit() {
            k |= HEX;
        }
        if c == 0 {
            k |= ZERO;
        }
        kind[i] = k;
        i += 1;
    }
    kind
};

/// The classes that a letter behind `%` stands for; a capital is the complement. `None`: the letter is itself.
#[inline]
fn class(letter: u8) -> Option<(u8, bool)> {
    let mask = match letter | 0x20 {
        b'a' => LOWER | UPPER,
        b'c' => CONTROL,
        b'd' => DIGIT,
        b'g' => LOWER | UPPER | DIGIT | PUNCTUATION,
        b'l' => LOWER,
        b'p' => PUNCTUATION,
        b's' => SPACE,
        b'u' => UPPER,
        b'w' => LOWER | UPPER | DIGIT,
        b'x' => HEX,
        b'z' => ZERO, // gone from the manual since 5.2, but it still works
        _ => return None,
    };
    letter
        .is_ascii_alphabetic()
        .then_some((mask, letter.is_ascii_uppercase()))
}

/// A set of bytes, a bit each.
type Set = [u64; 4];

#[inline]
fn in_set(set: &Set, c: u8) -> bool {
    set[(c >> 6) as usize] >> (c & 63) & 1 == 1
}

/// Each single class as a set.
static KIND_SETS: [Set; 8] = {
    let mut sets = [[0; 4]; 8];
    let mut bit = 0;
    while bit < 8 {
        let mut c = 0;
        while c < 256 {
            if KIND[c] >> bit & 1 == 1 {
                sets[bit][c >> 6] |= 1 << (c & 63);
            }
            c += 1;
        }
        bit += 1;
    }
    sets
};

/// The set that stands between brackets. `body` is what is between them, a leading `^` included.
fn compile_set(body: &[u8]) -> Set {
    let (complement, body) = match body {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, body),
    };
    let mut set = [0; 4];
    let mut add = |c: u8| set[(c >> 6) as usize] |= 1 << (c & 63);
    let mut whole: Set = [0; 4]; // the classes
    let mut rest = body;
    while let Some((&c, after)) = rest.split_first() {
        rest = match (c, after) {
            (b'%', [letter, after @ ..]) => {
                match class(*letter) {
                    None => add(*letter),
                    Some((mask, negated)) => {
                        let mut members: Set = [0; 4];
                        for (bit, kind) in KIND_SETS.iter().enumerate() {
                            if mask >> bit & 1 == 1 {
                                (0..4).for_each(|i| members[i] |= kind[i]);
                            }
                        }
                        (0..4).for_each(|i| {
                            whole[i] |= if negated { !members[i] } else { members[i] }
                        });
                    }
                }
                after
            }
            (low, [b'-', high, after @ ..]) => {
                (low..=*high).for_each(&mut add);
                after
            }
            (c, after) => {
                add(c);
                after
            }
        };
    }
    (0..4).for_each(|i| set[i] |= whole[i]);
    if complement {
        set.map(|word| !word)
    } else {
        set
    }
}

/// One item that stands for one byte: `x`, `.`, `%a`, `[...]`.
#[derive(Clone, Copy, Debug)]
enum Single {
    Any,
    Byte(u8),
    Class {
        mask: u8,
        negated: bool,
    },
    /// A set in the matcher's cache.
    Set(u8),
    /// A set for which the cache has no room: where its brackets are.
    Uncached {
        open: usize,
        close: usize,
    },
}

// ---------------------------------------------------------------------------------------------------------------------
// Matching

/// A capture under way or complete. `len` is one of the two marks below or a length.
#[derive(Clone, Copy)]
struct Slot {
    start: usize,
    len: usize,
}

const UNFINISHED: usize = usize::MAX;
const POSITION: usize = usize::MAX - 1;

/// What a capture holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// `subject[start..end]`
    Text { start: usize, end: usize },
    /// `()`: an index into the subject. Lua shows one more.
    Position(usize),
}

/// How many sets are kept compiled.
const SETS: usize = 4;

/// Where a match ends, or that there is none.
type Outcome = Result<Option<usize>, PatternError>;

/// A pattern on its way over a subject. Cheap to make, so that an operation suspended between two matches keeps no
/// more than the position it has come to.
pub struct Matcher<'a> {
    src: &'a [u8],
    pat: &'a [u8],
    /// Steps left. A step is about an item tried; eight bytes scanned count as one.
    pub budget: u64,
    /// Levels of nesting left.
    depth: u32,
    /// How many of the captures are begun.
    level: usize,
    captures: [Slot; MAX_CAPTURES],
    /// Sets compiled so far, by the index of their bracket.
    sets: [Set; SETS],
    set_at: [usize; SETS],
    set_count: usize,
    /// If every match begins with a byte of some kind: which.
    first: Option<Single>,
}

impl<'a> Matcher<'a> {
    /// `pat` comes without its anchor.
    #[inline]
    pub fn new(src: &'a [u8], pat: &'a [u8], budget: u64) -> Matcher<'a> {
        let mut matcher = Matcher {
            src,
            pat,
            budget,
            depth: MAX_DEPTH,
            level: 0,
            captures: [Slot { start: 0, len: 0 }; MAX_CAPTURES],
            sets: [[0; 4]; SETS],
            set_at: [0; SETS],
            set_count: 0,
            first: None,
        };
        matcher.first = matcher.first_item();
        matcher
    }

    /// Matches at `init` exactly (at most the subject's length), and says where the match ends.
    pub fn match_at(&mut self, init: usize) -> Outcome {
        self.level = 0;
        self.depth = MAX_DEPTH;
        self.run(init, 0)
    }

    /// The first match that begins at or behind `init`, as its two ends. One that ends at `not_ending_at` does not
    /// count: so `gmatch` and `gsub` avoid an empty match right behind the last one.
    pub fn search(
        &mut self,
        init: usize,
        not_ending_at: Option<usize>,
    ) -> Result<Option<(usize, usize)>, PatternError> {
        let mut s = init;
        while s <= self.src.len() {
            if let Some(first) = self.first {
                let skipped = self.scan_to(first, s);
                self.charge(skipped as u64 >> 3)?;
                s += skipped;
                if s == self.src.len() {
                    break;
                }
            }
            match self.match_at(s)? {
                Some(end) if Some(end) != not_ending_at => return Ok(Some((s, end))),
                _ => s += 1,
            }
        }
        Ok(None)
    }

    /// How many values a successful match yields: its captures, or the whole match if it has none.
    pub fn value_count(&self) -> usize {
        self.level.max(1)
    }

    /// How many captures the pattern made.
    pub fn capture_count(&self) -> usize {
        self.level
    }

    /// Capture `i` (from 0) of the match from `start` to `end`; the whole match as capture 0 of a pattern without any.
    pub fn capture(&self, i: usize, start: usize, end: usize) -> Result<Capture, PatternError> {
        if i >= self.level {
            return match i {
                0 => Ok(Capture::Text { start, end }),
                _ => Err(PatternError::InvalidCaptureIndex(i as u32 + 1)),
            };
        }
        match self.captures[i] {
            Slot {
                len: UNFINISHED, ..
            } => Err(PatternError::UnfinishedCapture),
            Slot {
                start,
                len: POSITION,
            } => Ok(Capture::Position(start)),
            Slot { start, len } => Ok(Capture::Text {
                start,
                end: start + len,
            }),
        }
    }

    /// Appends `gsub`'s replacement string for the match from `start` to `end`, its `%0` to `%9` filled in. `out` may
    /// not become longer than `limit`.
    pub fn push_replacement(
        &self,
        out: &mut Vec<u8>,
        with: &[u8],
        start: usize,
        end: usize,
        limit: usize,
    ) -> Result<(), PatternError> {
        let mut push = |bytes: &[u8]| {
            if bytes.len() > limit.saturating_sub(out.len()) {
                return Err(PatternError::TooLong);
            }
            out.extend_from_slice(bytes);
            Ok(())
        };
        let mut rest = with;
        while let Some(at) = position(rest, b'%') {
            push(&rest[..at])?;
            match rest.get(at + 1) {
                Some(b'%') => push(b"%")?,
                Some(b'0') => push(self.src.get(start..end).unwrap_or(&[]))?,
                Some(digit @ b'1'..=b'9') => {
                    match self.capture((digit - b'1') as usize, start, end)? {
                        Capture::Text { start, end } => {
                            push(self.src.get(start..end).unwrap_or(&[]))?
                        }
                        Capture::Position(i) => {
                            push(number::uint_text(i as u64 + 1, &mut [0; number::NUM_BUF]))?
                        }
                    }
                }
                _ => return Err(PatternError::InvalidReplacement),
            }
            rest = &rest[at + 2..];
        }
        push(rest)
    }

    #[inline]
    fn charge(&mut self, steps: u64) -> Result<(), PatternError> {
        match self.budget.checked_sub(steps) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => {
                self.budget = 0;
                Err(PatternError::OutOfBudget)
            }
        }
    }

    // -- Items

    /// Where the single-byte item at `p` ends. There is one: `p` is inside the pattern.
    #[inline]
    fn item_end(&self, p: usize) -> Result<usize, PatternError> {
        match self.pat[p] {
            b'%' if p + 1 == self.pat.len() => Err(PatternError::EndsWithPercent),
            b'%' => Ok(p + 2),
            b'[' => self.set_end(p),
            _ => Ok(p + 1),
        }
    }

    /// Where the set whose bracket is at `p` ends. A `]` that comes first is a member.
    fn set_end(&self, p: usize) -> Result<usize, PatternError> {
        let mut p = p + 1;
        if self.pat.get(p) == Some(&b'^') {
            p += 1;
        }
        let mut first = true;
        loop {
            match self.pat.get(p) {
                None => return Err(PatternError::MissingBracket),
                Some(b']') if !first => return Ok(p + 1),
                Some(b'%') if p + 1 < self.pat.len() => p += 2, // skips what is escaped
                Some(_) => p += 1,
            }
            first = false;
        }
    }

    /// The item from `p` to `end`, which `item_end` found.
    #[inline]
    fn single(&mut self, p: usize, end: usize) -> Single {
        match self.pat[p] {
            b'.' => Single::Any,
            b'%' => match class(self.pat[p + 1]) {
                Some((mask, negated)) => Single::Class { mask, negated },
                None => Single::Byte(self.pat[p + 1]),
            },
            b'[' => self.set(p, end),
            c => Single::Byte(c),
        }
    }

    fn set(&mut self, p: usize, end: usize) -> Single {
        if let Some(i) = self.set_at[..self.set_count].iter().position(|&at| at == p) {
            return Single::Set(i as u8);
        }
        let i = self.set_count;
        if i == SETS {
            return Single::Uncached {
                open: p,
                close: end - 1,
            };
        }
        self.sets[i] = compile_set(&self.pat[p + 1..end - 1]);
        self.set_at[i] = p;
        self.set_count += 1;
        Single::Set(i as u8)
    }

    #[inline]
    fn matches(&self, single: Single, c: u8) -> bool {
        match single {
            Single::Any => true,
            Single::Byte(b) => b == c,
            Single::Class { mask, negated } => (KIND[c as usize] & mask != 0) != negated,
            Single::Set(i) => in_set(&self.sets[i as usize], c),
            Single::Uncached { open, close } => in_set(&compile_set(&self.pat[open + 1..close]), c),
        }
    }

    /// How many bytes from `s` on are of the kind.
    #[inline]
    fn scan_over(&self, single: Single, s: usize) -> usize {
        let rest = &self.src[s..];
        match single {
            Single::Any => rest.len(),
            Single::Byte(b) => rest.iter().position(|&c| c != b).unwrap_or(rest.len()),
            Single::Class {
                mask,
                negated: false,
            } => rest
                .iter()
                .position(|&c| KIND[c as usize] & mask == 0)
                .unwrap_or(rest.len()),
            Single::Class {
                mask,
                negated: true,
            } => rest
                .iter()
                .position(|&c| KIND[c as usize] & mask != 0)
                .unwrap_or(rest.len()),
            Single::Set(i) => {
                let set = self.sets[i as usize];
                rest.iter()
                    .position(|&c| !in_set(&set, c))
                    .unwrap_or(rest.len())
            }
            Single::Uncached { open, close } => {
                let set = compile_set(&self.pat[open + 1..close]);
                rest.iter()
                    .position(|&c| !in_set(&set, c))
                    .unwrap_or(rest.len())
            }
        }
    }

    /// How many bytes from `s` on are *not* of the kind.
    #[inline]
    fn scan_to(&self, single: Single, s: usize) -> usize {
        let rest = &self.src[s..];
        match single {
            Single::Any => 0,
            Single::Byte(b) => position(rest, b).unwrap_or(rest.len()),
            Single::Class { mask, negated } => self.scan_over(
                Single::Class {
                    mask,
                    negated: !negated,
                },
                s,
            ),
            _ => rest
                .iter()
                .position(|&c| self.matches(single, c))
                .unwrap_or(rest.len()),
        }
    }

    /// The item that the first byte of every match must be, if there is one. Looks through a few opening parentheses.
    /// Reports nothing: what is malformed here, matching meets first of all.
    fn first_item(&mut self) -> Option<Single> {
        let mut p = 0;
        while p < 4 && self.pat.get(p) == Some(&b'(') {
            p += 1;
        }
        match self.pat.get(p)? {
            b'(' | b')' => return None,
            b'$' if p + 1 == self.pat.len() => return None,
            b'%' if matches!(self.pat.get(p + 1), Some(b'b' | b'f' | b'0'..=b'9')) => return None,
            _ => {}
        }
        let end = self.item_end(p).ok()?;
        if let Some(b'*' | b'?' | b'-') = self.pat.get(end) {
            return None;
        }
        Some(self.single(p, end))
    }

    /// The byte that must come next if the pattern from `p` on is to match, where that is plain to see. Behind a
    /// repetition it tells hopeless attempts from others without making them.
    #[inline]
    fn next_byte(&self, p: usize) -> Option<u8> {
        let &c = self.pat.get(p)?;
        let special = matches!(c, b'(' | b')' | b'$' | b'%' | b'[' | b'.');
        let optional = matches!(self.pat.get(p + 1), Some(b'*' | b'?' | b'-'));
        // With no level left the attempt must be made, for it fails in another way.
        (!special && !optional && self.depth > 0).then_some(c)
    }

    // -- The matcher itself. `s` is an index into the subject, `p` into the pattern.

    /// Matches from here on, one level deeper.
    fn run(&mut self, s: usize, p: usize) -> Outcome {
        if self.depth == 0 {
            return Err(PatternError::TooComplex);
        }
        self.depth -= 1;
        let end = self.items(s, p);
        self.depth += 1;
        end
    }

    fn items(&mut self, mut s: usize, mut p: usize) -> Outcome {
        loop {
            let Some(&c) = self.pat.get(p) else {
                return Ok(Some(s));
            };
            self.charge(1)?;
            match c {
                b'(' => {
                    return match self.pat.get(p + 1) {
                        Some(b')') => self.open_capture(s, p + 2, POSITION),
                        _ => self.open_capture(s, p + 1, UNFINISHED),
                    };
                }
                b')' => return self.close_capture(s, p + 1),
                b'$' if p + 1 == self.pat.len() => return Ok((s == self.src.len()).then_some(s)),
                b'%' => match self.pat.get(p + 1) {
                    Some(b'b') => {
                        let Some(end) = self.balance(s, p + 2)? else {
                            return Ok(None);
                        };
                        s = end;
                        p += 4;
                        continue;
                    }
                    Some(b'f') => {
                        p += 2;
                        if self.pat.get(p) != Some(&b'[') {
                            return Err(PatternError::MissingFrontierSet);
                        }
                        let end = self.set_end(p)?;
                        let set = self.set(p, end);
                        // Beyond both of the subject's ends there is a zero.
                        let before = s.checked_sub(1).map_or(0, |i| self.src[i]);
                        let here = self.src.get(s).copied().unwrap_or(0);
                        if self.matches(set, before) || !self.matches(set, here) {
                            return Ok(None);
                        }
                        p = end;
                        continue;
                    }
                    Some(digit @ b'0'..=b'9') => {
                        let Some(end) = self.back_reference(s, *digit)? else {
                            return Ok(None);
                        };
                        s = end;
                        p += 2;
                        continue;
                    }
                    _ => {}
                },
                _ => {}
            }
            let end = self.item_end(p)?;
            let single = self.single(p, end);
            match self.pat.get(end) {
                Some(b'*') => return self.longest(s, single, end + 1, 0),
                Some(b'+') => return self.longest(s, single, end + 1, 1),
                Some(b'-') => return self.shortest(s, single, end + 1),
                Some(b'?') => {
                    if self.src.get(s).is_some_and(|&c| self.matches(single, c))
                        && let Some(end) = self.run(s + 1, end + 1)?
                    {
                        return Ok(Some(end));
                    }
                    p = end + 1;
                }
                _ => {
                    if !self.src.get(s).is_some_and(|&c| self.matches(single, c)) {
                        return Ok(None);
                    }
                    s += 1;
                    p = end;
                }
            }
        }
    }

    /// As many of the item as there are, then fewer, down to `least`, until the rest matches.
    fn longest(&mut self, s: usize, single: Single, p: usize, least: usize) -> Outcome {
        let mut n = self.scan_over(single, s);
        self.charge(n as u64 >> 3)?;
        if p == self.pat.len() && self.depth > 0 {
            return Ok((n >= least).then_some(s + n)); // nothing is left that could fail
        }
        let next = self.next_byte(p);
        loop {
            if n < least {
                return Ok(None);
            }
            if let Some(byte) = next {
                let hopeful = self.src[s + least..]
                    .get(..=n - least)
                    .unwrap_or(&self.src[s + least..]);
                match hopeful.iter().rposition(|&c| c == byte) {
                    None => {
                        self.charge(hopeful.len() as u64 >> 3)?;
                        return Ok(None);
                    }
                    Some(at) => {
                        self.charge((n - least - at) as u64 >> 3)?;
                        n = least + at;
                    }
                }
            }
            if let Some(end) = self.run(s + n, p)? {
                return Ok(Some(end));
            }
            let Some(fewer) = n.checked_sub(1) else {
                return Ok(None);
            };
            n = fewer;
        }
    }

    /// As few of the item as the rest needs to match.
    fn shortest(&mut self, mut s: usize, single: Single, p: usize) -> Outcome {
        let next = self.next_byte(p);
        loop {
            if let Some(byte) = next {
                let rest = &self.src[s..];
                let skip = match single {
                    Single::Any => position(rest, byte),
                    _ => rest
                        .iter()
                        .position(|&c| c == byte || !self.matches(single, c)),
                };
                let Some(skip) = skip else {
                    self.charge(rest.len() as u64 >> 3)?;
                    return Ok(None);
                };
                self.charge(skip as u64 >> 3)?;
                s += skip;
                if self.src[s] != byte {
                    return Ok(None);
                }
            }
            if let Some(end) = self.run(s, p)? {
                return Ok(Some(end));
            }
            if !self.src.get(s).is_some_and(|&c| self.matches(single, c)) {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn open_capture(&mut self, s: usize, p: usize, len: usize) -> Outcome {
        let Some(slot) = self.captures.get_mut(self.level) else {
            return Err(PatternError::TooManyCaptures);
        };
        *slot = Slot { start: s, len };
        self.level += 1;
        let end = self.run(s, p)?;
        if end.is_none() {
            self.level -= 1;
        }
        Ok(end)
    }

    fn close_capture(&mut self, s: usize, p: usize) -> Outcome {
        let open = self.captures[..self.level]
            .iter()
            .rposition(|slot| slot.len == UNFINISHED);
        let i = open.ok_or(PatternError::InvalidPatternCapture)?;
        self.captures[i].len = s - self.captures[i].start;
        let end = self.run(s, p)?;
        if end.is_none() {
            self.captures[i].len = UNFINISHED;
        }
        Ok(end)
    }

    /// `%bxy`, whose two bytes are at `p`.
    fn balance(&mut self, s: usize, p: usize) -> Outcome {
        let Some(&[open, close]) = self.pat.get(p..p + 2) else {
            return Err(PatternError::MissingBalanceArguments);
        };
        if self.src.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut nested = 1usize;
        let rest = &self.src[s + 1..];
        for (i, &c) in rest.iter().enumerate() {
            if c == close {
                nested -= 1;
                if nested == 0 {
                    self.charge(i as u64 >> 3)?;
                    return Ok(Some(s + i + 2));
                }
            } else if c == open {
                nested += 1;
            }
        }
        self.charge(rest.len() as u64 >> 3)?;
        Ok(None)
    }

    /// `%1` to `%9`: the same bytes as the capture's. A position is no bytes' equal.
    fn back_reference(&mut self, s: usize, digit: u8) -> Outcome {
        let error = PatternError::InvalidCaptureIndex((digit - b'0') as u32);
        let i = digit.checked_sub(b'1').ok_or(error)? as usize;
        let slot = *self.captures[..self.level]
            .get(i)
            .filter(|slot| slot.len != UNFINISHED)
            .ok_or(error)?;
        if slot.len > self.src.len() - s {
            return Ok(None); // POSITION is that large too
        }
        self.charge(slot.len as u64 >> 3)?;
        let end = s + slot.len;
        Ok((self.src[s..end] == self.src[slot.start..slot.start + slot.len]).then_some(end))
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Plain text

const BLOCK: usize = 32;

/// Whether any byte pair `(a[i], b[i])` is `(x, y)`.
#[inline]
fn any_pair(a: &[u8; BLOCK], x: u8, b: &[u8; BLOCK], y: u8) -> bool {
    if cfg!(target_arch = "wasm32") {
        any_pair_by_words(a, x, b, y)
    } else {
        // The compiler makes vector instructions of it.
        (0..BLOCK).fold(false, |found, i| found | ((a[i] == x) & (b[i] == y)))
    }
}

/// The same for WebAssembly, which has no vectors unless asked for: eight bytes in a word.
#[inline]
fn any_pair_by_words(a: &[u8; BLOCK], x: u8, b: &[u8; BLOCK], y: u8) -> bool {
    const ONES: u64 = u64::MAX / 255;
    let (x, y) = (ONES * x as u64, ONES * y as u64);
    let mut found = 0;
    for (a, b) in a.as_chunks().0.iter().zip(b.as_chunks().0) {
        let differ = (u64::from_le_bytes(*a) ^ x) | (u64::from_le_bytes(*b) ^ y);
        found |= differ.wrapping_sub(ONES) & !differ; // sets a high bit if, and only if, there is a zero byte
    }
    found & (ONES << 7) != 0
}

/// The index of the first `byte`.
#[inline]
pub fn position(hay: &[u8], byte: u8) -> Option<usize> {
    let (blocks, _) = hay.as_chunks::<BLOCK>();
    let mut at = 0;
    for block in blocks {
        if any_pair(block, byte, block, byte) {
            break;
        }
        at += BLOCK;
    }
    hay[at..].iter().position(|&c| c == byte).map(|i| at + i)
}

/// The index at or behind `from` where `needle` first stands in `hay`. Takes time linear in what it goes over and in
/// the needle's length, whatever the two are.
pub fn find_plain(hay: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let rest = hay.get(from..)?;
    let (&first, &last) = match needle {
        [] => return Some(from),
        [byte] => return position(rest, *byte).map(|i| from + i),
        [first, .., last] => (first, last),
    };
    let gap = needle.len() - 1;
    // Candidates are where the needle's first and last byte stand at the right distance.
    let firsts = rest.get(..rest.len().checked_sub(gap)?)?;
    let lasts = &rest[gap..];
    let mut wasted = 0;
    let mut at = 0;
    while at < firsts.len() {
        if let (Some(a), Some(b)) = (
            firsts[at..].first_chunk::<BLOCK>(),
            lasts[at..].first_chunk::<BLOCK>(),
        ) && !any_pair(a, first, b, last)
        {
            at += BLOCK;
            continue;
        }
        let stop = (at + BLOCK).min(firsts.len());
        while at < stop {
            if firsts[at] == first && lasts[at] == last {
                if rest[at + 1..at + gap] == needle[1..gap] {
                    return Some(from + at);
                }
                wasted += 1 + needle.len() / 16;
            }
            at += 1;
        }
        if wasted > 64 + at {
            // Candidates that are none, again and again: the method that has no bad cases.
            return two_way(rest, needle, at).map(|i| from + i);
        }
    }
    None
}

/// Crochemore and Perrin's two-way search: linear time, constant space. The needle is cut where its period is the same
/// on both sides; the right part is compared first, forwards, and a mismatch there shifts past what was compared.
fn two_way(hay: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let (a, b) = (
        greatest_suffix(needle, false),
        greatest_suffix(needle, true),
    );
    let (cut, period) = if a.0 > b.0 { a } else { b };
    let periodic = needle.get(period..period + cut) == Some(&needle[..cut]);
    let period = if periodic {
        period
    } else {
        cut.max(needle.len() - cut) + 1
    };
    let mut at = from;
    let mut known = 0; // how much of the needle's beginning is known to match here
    while let Some(window) = hay.get(at..at + needle.len()) {
        let start = cut.max(known);
        if let Some(i) = (start..needle.len()).find(|&i| needle[i] != window[i]) {
            at += i - cut + 1;
            known = 0;
            continue;
        }
        if (known..cut).rev().all(|i| needle[i] == window[i]) {
            return Some(at);
        }
        at += period;
        known = if periodic { needle.len() - period } else { 0 };
    }
    None
}

/// Where the lexicographically greatest suffix begins (in the alphabet's order or its reverse), and its period.
fn greatest_suffix(s: &[u8], reverse: bool) -> (usize, usize) {
    let (mut best, mut other, mut same, mut period) = (0, 1, 0, 1);
    while let Some(&b) = s.get(other + same) {
        let a = s[best + same];
        if a == b {
            same += 1;
            if same == period {
                other += period;
                same = 0;
            }
        } else if (a > b) != reverse {
            other += same + 1;
            same = 0;
            period = other - best;
        } else {
            best = other;
            other += 1;
            same = 0;
            period = 1;
        }
    }
    (best, period)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `string.find` without its arguments' handling: the match's ends as Lua shows them, then the captures.
    fn find(src: &str, pat: &str) -> Result<Option<String>, PatternError> {
        let (anchored, body) = split_anchor(pat.as_bytes());
        let mut m = Matcher::new(src.as_bytes(), body, 1_000_000);
        let found = if anchored {
            m.match_at(0)?.map(|end| (0, end))
        } else {
            m.search(0, None)?
        };
        let Some((start, end)) = found else {
            return Ok(None);
        };
        let mut shown = format!("{} {end}", start + 1);
        for i in 0..m.capture_count() {
            match m.capture(i, start, end)? {
                Capture::Text { start, end } => shown += &format!(" {}", &src[start..end]),
                Capture::Position(at) => shown += &format!(" @{}", at + 1),
            }
        }
        Ok(Some(shown))
    }

    fn gsub(src: &str, pat: &str, with: &str) -> Result<String, PatternError> {
        let (anchored, body) = split_anchor(pat.as_bytes());
        let mut m = Matcher::new(src.as_bytes(), body, 1_000_000);
        let (mut out, mut at, mut last) = (Vec::new(), 0, None);
        loop {
            let found = if anchored {
                m.match_at(0)?.map(|end| (0, end))
            } else {
                m.search(at, last)?
            };
            let Some((start, end)) = found else { break };
            out.extend_from_slice(&src.as_bytes()[at..start]);
            m.push_replacement(&mut out, with.as_bytes(), start, end, 1000)?;
            at = end;
            last = Some(end);
            if anchored {
                break;
            }
        }
        out.extend_from_slice(&src.as_bytes()[at..]);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn finds() {
        for (src, pat, expected) in [
            ("", "", "1 0"),
            ("alo", "", "1 0"),
            ("a\0o a\0o a\0o", "a\0o", "1 3"),
            ("hello world", "o w", "5 7"),
            ("key = value", "^(%w+)%s*=%s*(%w+)$", "1 11 key value"),
            ("  x", "()%w()", "3 3 @3 @4"),
            ("aaab", ".*b", "1 4"),
            ("aaa", "a-$", "1 3"),
            ("alo xyzK", "(%w+)K", "5 8 xyz"),
            ("0alo alo", "%x*", "1 2"),
            ("f(a(b)c)d", "%b()", "2 8"),
            ("THE (quick) fox", "%f[%a]%a+%f[%A]", "1 3"),
            ("abab", "(ab)%1", "1 4 ab"),
            ("a-b", "[a-]+", "1 2"),
            ("]", "[]]", "1 1"),
            ("^", "[%^]", "1 1"),
            ("b%]", "[a-%]+]", "3 3"),
            ("a$b", "a$b", "1 3"),
            ("aXb", "a?X?b?$", "1 3"),
            ("\0", "%z", "1 1"),
            ("x1y22", "%d%d", "4 5"),
        ] {
            assert_eq!(
                find(src, pat).unwrap().as_deref(),
                Some(expected),
                "{pat:?} in {src:?}"
            );
        }
        for (src, pat) in [
            ("abc", "^b"),
            ("", "%a"),
            ("aaa", "^.-b"),
            ("abab", "()%1"),
            ("abc", "%f[%d]"),
            ("(()", "^%b()"),
            ("ab", "a$"),
        ] {
            assert_eq!(find(src, pat), Ok(None), "{pat:?} in {src:?}");
        }
    }

    #[test]
    fn replaces() {
        for (src, pat, with, expected) in [
            ("hello", "", "-", "-h-e-l-l-o-"),
            ("abc", "%w", "%0%0", "aabbcc"),
            ("abc", "()", "%1", "1a2b3c4"),
            ("abc", "b*", "x", "xaxcx"),
            ("abc def", "(%w+) (%w+)", "%2 %1", "def abc"),
            ("aaa", "^a", "%%", "%aa"),
            (
                "um (dois) tres (quatro)",
                "(%(%w+%))",
                "<%1>",
                "um <(dois)> tres <(quatro)>",
            ),
        ] {
            assert_eq!(
                gsub(src, pat, with).unwrap(),
                expected,
                "{pat:?} in {src:?}"
            );
        }
        assert_eq!(
            gsub("a", "a", "%x").unwrap_err().to_string(),
            "invalid use of '%' in replacement string"
        );
        assert_eq!(
            gsub("a", "a", "%").unwrap_err().to_string(),
            "invalid use of '%' in replacement string"
        );
        assert_eq!(
            gsub("a", "a", "%2").unwrap_err().to_string(),
            "invalid capture index %2"
        );
        assert_eq!(
            gsub(&"x".repeat(100), ".+", &"%0".repeat(11)),
            Err(PatternError::TooLong)
        );
    }

    #[test]
    fn errors_are_the_references() {
        for (pat, expected) in [
            ("%", "malformed pattern (ends with '%')"),
            ("[", "malformed pattern (missing ']')"),
            ("[]", "malformed pattern (missing ']')"),
            ("[^]", "malformed pattern (missing ']')"),
            ("[a%", "malformed pattern (missing ']')"),
            ("[%]", "malformed pattern (missing ']')"),
            ("%b", "malformed pattern (missing arguments to '%b')"),
            ("%bx", "malformed pattern (missing arguments to '%b')"),
            ("%f", "missing '[' after '%f' in pattern"),
            ("%1", "invalid capture index %1"),
            ("(%1)", "invalid capture index %1"),
            ("%0", "invalid capture index %0"),
            ("(", "unfinished capture"),
            ("a)", "invalid pattern capture"),
            (&"()".repeat(33), "too many captures"),
            (&"a?".repeat(300), "pattern too complex"),
            (&"a-".repeat(201), "pattern too complex"),
        ] {
            assert_eq!(
                find(&"a".repeat(400), pat).unwrap_err().to_string(),
                expected,
                "{pat:?}"
            );
        }
        assert_eq!(
            find("b", "a("),
            Ok(None),
            "what matching does not come to is no error"
        );
    }

    #[test]
    fn depth_is_counted_as_in_the_reference() {
        let src = "a".repeat(400);
        assert!(find(&src, &"a?".repeat(199)).is_ok());
        assert_eq!(find(&src, &"a?".repeat(200)), Err(PatternError::TooComplex));
        // Plain repetition nests no deeper than one level.
        assert!(find(&"a".repeat(100_000), "^a*b").unwrap().is_none());
        assert!(find(&src, &"a".repeat(400)).unwrap().is_some());
    }

    #[test]
    fn a_budget_ends_what_would_never_end() {
        let src = vec![b'a'; 60];
        let pat = b"a*".repeat(30);
        let pat = [pat, b"b".to_vec()].concat();
        let mut m = Matcher::new(&src, &pat, 100_000);
        assert_eq!(m.match_at(0), Err(PatternError::OutOfBudget));
        assert_eq!(m.budget, 0);
        let mut m = Matcher::new(&src, b"a+", 100);
        assert_eq!(m.search(0, None), Ok(Some((0, 60))));
        assert_eq!(m.budget, 100 - 1 - 7, "an item, and 60 bytes by eights");
    }

    #[test]
    fn more_sets_than_are_kept() {
        assert_eq!(
            find("abcdefgh", "[a][b][c][d][e][f]+[^x]")
                .unwrap()
                .as_deref(),
            Some("1 7")
        );
        assert_eq!(
            find("xxabcdefgh", "[^y]-[a][b][c][d][e][f]+[^x]$")
                .unwrap()
                .as_deref(),
            None
        );
        assert_eq!(
            find("xxabcdefgh", "[^y]-[a][b][c][d][e][f]+[^x][%W%w]$")
                .unwrap()
                .as_deref(),
            Some("1 10")
        );
    }

    #[test]
    fn plain_search_agrees_with_the_obvious_one() {
        let mut state = 1u64;
        let mut random = move |n: usize| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) as usize % n
        };
        for round in 0..20_000 {
            let letters = 1 + round % 3;
            let hay: Vec<u8> = (0..random(200))
                .map(|_| b'a' + random(letters) as u8)
                .collect();
            let needle: Vec<u8> = (0..random(if round % 2 == 0 { 5 } else { 40 }))
                .map(|_| b'a' + random(letters) as u8)
                .collect();
            let from = random(hay.len() + 1);
            let expected = match needle.is_empty() {
                true => Some(from),
                false => hay[from..]
                    .windows(needle.len())
                    .position(|w| w == needle)
                    .map(|i| from + i),
            };
            assert_eq!(
                find_plain(&hay, &needle, from),
                expected,
                "{needle:?} in {hay:?} from {from}"
            );
            if !needle.is_empty() {
                assert_eq!(
                    two_way(&hay, &needle, from),
                    expected,
                    "{needle:?} in {hay:?} from {from}"
                );
            }
        }
        assert_eq!(find_plain(b"abc", b"", 3), Some(3));
        assert_eq!(find_plain(b"abc", b"", 4), None);
    }

    #[test]
    fn words_find_what_bytes_do() {
        let mut block = [0u8; BLOCK];
        for (i, byte) in block.iter_mut().enumerate() {
            *byte = (i as u8).wrapping_mul(37);
        }
        let mut other = block;
        other.reverse();
        for x in 0..=255 {
            assert_eq!(any_pair_by_words(&block, x, &block, x), block.contains(&x));
            for y in 0..=255 {
                let expected = (0..BLOCK).any(|i| block[i] == x && other[i] == y);
                assert_eq!(any_pair_by_words(&block, x, &other, y), expected);
                assert_eq!(any_pair(&block, x, &other, y), expected);
            }
        }
    }

    #[test]
    fn plain_search_has_no_bad_cases() {
        // Quadratic, this would take minutes.
        let hay = vec![b'a'; 2_000_000];
        let mut needle = vec![b'a'; 1_000_000];
        needle[500_000] = b'b';
        assert_eq!(find_plain(&hay, &needle, 0), None);
    }
}
