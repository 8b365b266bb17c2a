//! Lua patterns (§6.4.1): the matcher behind `string.find`, `match`, `gmatch` and `gsub`, and the search for plain text.
//!
//! A pattern is interpreted as it stands, item by item, not compiled: a malformed item is an error only when matching
//! comes to it, as in the reference. Matching backtracks, so it can take time exponential in the pattern's length;
//! every step is paid from `Matcher::budget`, which the caller fills and reads back. When it is used up, matching stops where it
//! is, in the middle of a long scan too, and can be saved as bytes and go on later. What to try next is kept as data, an entry for each capture and quantified item on
//! the way, never one for each byte, and no more than `MAX_DEPTH` of them.
//!
//! Subjects and patterns are bytes; classes are those of the "C" locale. Offsets are indices from 0.

use crate::heap::number;
use std::fmt;

/// How deep matching may nest before the pattern is "too complex": the reference's limit, with the same meaning.
pub const MAX_DEPTH: u32 = 200;

/// How many captures a pattern may have.
pub const MAX_CAPTURES: usize = 32;

/// Bytes that one item goes over between two looks at the budget. A multiple of eight.
const SCAN: usize = 64 << 10;

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

/// The characters that mean something, a bit each.
const SPECIALS: u128 = {
    let (mut bits, mut i) = (0, 0);
    let specials = b"^$*+?.([%-";
    while i < specials.len() {
        bits |= 1 << specials[i];
        i += 1;
    }
    bits
};

/// Whether a pattern has any character that means something: if not, it is plain text, and `find_plain` finds it.
#[cfg_attr(evermoon_small, optimize(speed))]
pub fn has_specials(pattern: &[u8]) -> bool {
    pattern.iter().any(|&c| c < 128 && SPECIALS >> c & 1 == 1)
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
#[inline(always)]
#[cfg_attr(evermoon_small, optimize(speed))]
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

#[inline(always)]
#[cfg_attr(evermoon_small, optimize(speed))]
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
    /// A set for which the cache has no room: where its bracket is.
    Uncached {
        open: u32,
    },
}

// ---------------------------------------------------------------------------------------------------------------------
// Matching

/// A capture under way or complete. `len` is one of the two marks below or a length.
#[derive(Clone, Copy)]
struct Slot {
    start: u32,
    len: u32,
}

const UNFINISHED: u32 = u32::MAX;
const POSITION: u32 = u32::MAX - 1;

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

/// Where to go on when the attempt under way fails. Items are indices into the pattern, `s` is one into the subject.
#[derive(Clone, Copy)]
enum Back {
    /// `x?` took its byte: go on at `p` without it.
    Optional { s: u32, p: u32 },
    /// `x*`, `x+`: `count` bytes from `s` were taken; try fewer, down to `least`.
    Longest {
        s: u32,
        count: u32,
        p: u32,
        least: u8,
    },
    /// `x-`: the rest was tried at `s`; take one more.
    Shortest {
        s: u32,
        p: u32,
        item: u32,
        single: Single,
    },
    /// A capture was opened: forget it.
    Open,
    /// Capture `i` was closed: open it again.
    Close { i: u8 },
}

/// How many of them a matcher holds without a vector.
const BACK_INLINE: usize = 8;

/// The pattern's recursion as data: at most `MAX_DEPTH - 1` entries, the first few without a vector.
struct BackStack {
    inline: [Back; BACK_INLINE],
    more: Vec<Back>,
    len: usize,
}

impl BackStack {
    #[inline(always)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn clear(&mut self) {
        self.len = 0;
        self.more.clear();
    }
    /// Whether there is room for one more.
    #[inline(always)]
    fn has_room(&self) -> bool {
        self.len < MAX_DEPTH as usize - 1
    }
    #[inline(always)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn push(&mut self, entry: Back) -> Result<(), PatternError> {
        if !self.has_room() {
            return Err(PatternError::TooComplex);
        }
        match self.inline.get_mut(self.len) {
            Some(slot) => *slot = entry,
            None => self.more.push(entry),
        }
        self.len += 1;
        Ok(())
    }
    #[inline(always)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn pop(&mut self) -> Option<Back> {
        self.len = self.len.checked_sub(1)?;
        match self.inline.get(self.len) {
            Some(entry) => Some(*entry),
            None => self.more.pop(),
        }
    }
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn iter(&self) -> impl Iterator<Item = &Back> {
        self.inline[..self.len.min(BACK_INLINE)]
            .iter()
            .chain(&self.more)
    }
}

/// How a match under way goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suspended {
    /// There is no attempt: one begins.
    No,
    /// With the item at `p`.
    Item,
    /// With what is on top of the stack.
    Back,
}

/// Where a match ends, or that there is none.
type Outcome = Result<Option<usize>, PatternError>;

/// The two ends of a match, or that there is none.
pub type Found = Result<Option<(usize, usize)>, PatternError>;

/// A pattern on its way over a subject. Cheap to make, so that an operation suspended between two matches keeps no
/// more than the position it has come to; one suspended within a match is `save`d.
pub struct Matcher<'a> {
    src: &'a [u8],
    pat: &'a [u8],
    anchored: bool,
    /// Steps left. A step is about an item tried; eight bytes scanned count as one. It is looked at before every item, so it may
    /// become negative by what one item scans.
    pub budget: i64,
    /// Where the attempt under way began, and how far it has come: kept up to date only when matching is suspended.
    start: usize,
    s: usize,
    p: usize,
    /// An attempt is under way, and how it goes on.
    suspended: Suspended,
    /// What the item in hand has gone over already when it was suspended, and how deep in `%b` it is.
    ahead: usize,
    nested: usize,
    /// How many of the captures are begun.
    level: usize,
    captures: [Slot; MAX_CAPTURES],
    back: BackStack,
    /// Sets compiled so far, by the index of their bracket, and where each ends.
    sets: [Set; SETS],
    set_at: [(usize, usize); SETS],
    set_count: usize,
    /// If every match begins with a byte of some kind: which.
    first: Option<Single>,
    /// That has been looked into.
    first_known: bool,
}

impl<'a> Matcher<'a> {
    /// `pat` comes without its anchor; an anchored search makes one attempt only. Neither is longer than a Lua string can be.
    #[inline(always)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn new(src: &'a [u8], pat: &'a [u8], anchored: bool, budget: i64) -> Matcher<'a> {
        // Nothing is done with it here, so that it is made where it stays: it is large.
        Matcher {
            src,
            pat,
            anchored,
            budget,
            start: 0,
            s: 0,
            p: 0,
            suspended: Suspended::No,
            ahead: 0,
            nested: 0,
            level: 0,
            captures: [Slot { start: 0, len: 0 }; MAX_CAPTURES],
            back: BackStack {
                inline: [Back::Open; BACK_INLINE],
                more: Vec::new(),
                len: 0,
            },
            sets: [[0; 4]; SETS],
            set_at: [(0, 0); SETS],
            set_count: 0,
            first: None,
            first_known: anchored,
        }
    }

    /// The first match that begins at or behind `init` (at `init`, if anchored), which is at most the subject's length. One that
    /// ends at `not_ending_at` does not count: so `gmatch` and `gsub` avoid an empty match right behind the last one.
    #[inline(always)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn find(&mut self, init: usize, not_ending_at: Option<usize>) -> Found {
        self.start = init;
        self.suspended = Suspended::No;
        self.resume(not_ending_at)
    }

    /// Goes on after `OutOfBudget`, with the same `not_ending_at`. The caller has filled the budget.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn resume(&mut self, not_ending_at: Option<usize>) -> Found {
        if !self.first_known {
            self.first = self.first_item();
            self.first_known = true;
        }
        loop {
            let how = std::mem::replace(&mut self.suspended, Suspended::No);
            if how == Suspended::No {
                if let Some(first) = self.first {
                    self.skip_to(first)?;
                    if self.start == self.src.len() {
                        return Ok(None);
                    }
                }
                self.level = 0;
                self.back.clear();
                self.s = self.start;
                self.p = 0;
                self.ahead = 0;
            }
            match self.run(how == Suspended::Back)? {
                Some(end) if Some(end) != not_ending_at => return Ok(Some((self.start, end))),
                _ if self.anchored || self.start >= self.src.len() => return Ok(None),
                _ => self.start += 1,
            }
        }
    }

    /// Goes to where the first item is met next.
    #[inline(always)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn skip_to(&mut self, first: Single) -> Result<(), PatternError> {
        loop {
            let skipped = self.scan_to(first, self.start);
            self.budget -= skipped as i64 >> 3;
            self.start += skipped;
            if skipped < SCAN {
                return Ok(());
            }
            if self.budget <= 0 {
                return Err(PatternError::OutOfBudget);
            }
        }
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
    #[inline(always)]
    #[cfg_attr(evermoon_small, optimize(speed))]
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
            } => Ok(Capture::Position(start as usize)),
            Slot { start, len } => Ok(Capture::Text {
                start: start as usize,
                end: start as usize + len as usize,
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

    // -- A match under way as bytes

    /// The suspended state, for `restore`.
    pub fn save(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24 + 8 * self.level + 16 * self.back.len);
        let mut put = |words: &[u32]| {
            words
                .iter()
                .for_each(|w| out.extend_from_slice(&w.to_le_bytes()))
        };
        put(&[
            self.start as u32,
            self.s as u32,
            self.p as u32,
            self.suspended as u32,
            self.ahead as u32,
            self.nested as u32,
            self.level as u32,
        ]);
        for slot in &self.captures[..self.level] {
            put(&[slot.start, slot.len]);
        }
        for entry in self.back.iter() {
            match *entry {
                Back::Optional { s, p } => put(&[0, s, p, 0]),
                Back::Longest { s, count, p, least } => put(&[1 + least as u32, s, p, count]),
                Back::Shortest { s, p, item, .. } => put(&[3, s, p, item]),
                Back::Open => put(&[4, 0, 0, 0]),
                Back::Close { i } => put(&[5, 0, 0, i as u32]),
            }
        }
        out
    }

    /// Takes over a state that was saved for the same subject and pattern; then `resume`. Total: other bytes give false, or a state
    /// that finds something else, but never one that goes out of bounds.
    pub fn restore(&mut self, saved: &[u8]) -> bool {
        self.back.clear();
        self.try_restore(saved).is_some()
    }

    fn try_restore(&mut self, saved: &[u8]) -> Option<()> {
        let words = saved.as_chunks::<4>().0.iter();
        let mut words = words.map(|w| u32::from_le_bytes(*w) as usize);
        let mut word = |most: usize| words.next().filter(|&w| w <= most);
        let (src_len, pat_len) = (self.src.len(), self.pat.len());
        self.start = word(src_len)?;
        self.s = word(src_len)?;
        self.p = word(pat_len)?;
        self.suspended = match word(2)? {
            0 => Suspended::No,
            1 => Suspended::Item,
            _ => Suspended::Back,
        };
        self.ahead = word(src_len - self.s)?;
        self.nested = word(src_len)?;
        self.level = word(MAX_CAPTURES)?;
        for slot in &mut self.captures[..self.level] {
            let start = word(src_len)?;
            let len = word(u32::MAX as usize)? as u32;
            if len < POSITION && start + len as usize > src_len {
                return None;
            }
            *slot = Slot {
                start: start as u32,
                len,
            };
        }
        while let Some(kind) = word(5) {
            let (s, p, n) = (word(src_len)?, word(pat_len)?, word(u32::MAX as usize)?);
            let entry = match kind {
                0 => Back::Optional {
                    s: s as u32,
                    p: p as u32,
                },
                1 | 2 if s + n <= src_len => Back::Longest {
                    s: s as u32,
                    count: n as u32,
                    p: p as u32,
                    least: kind as u8 - 1,
                },
                3 if n < pat_len => {
                    let end = self.item_end(n).ok()?;
                    let single = self.single(n, end);
                    Back::Shortest {
                        s: s as u32,
                        p: p as u32,
                        item: n as u32,
                        single,
                    }
                }
                4 => Back::Open,
                5 if n < MAX_CAPTURES => Back::Close { i: n as u8 },
                _ => return None,
            };
            self.back.push(entry).ok()?;
        }
        Some(())
    }

    // -- Items

    /// Where the single-byte item at `p` ends. There is one: `p` is inside the pattern.
    #[inline(always)]
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
        if let Some(&(_, end)) = self.set_at[..self.set_count]
            .iter()
            .find(|&&(at, _)| at == p)
        {
            return Ok(end);
        }
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
    #[inline(always)]
    #[cfg_attr(evermoon_small, optimize(speed))]
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

    #[cfg_attr(evermoon_small, optimize(speed))]
    fn set(&mut self, p: usize, end: usize) -> Single {
        if let Some(i) = self.set_at[..self.set_count]
            .iter()
            .position(|&(at, _)| at == p)
        {
            return Single::Set(i as u8);
        }
        let i = self.set_count;
        if i == SETS {
            return Single::Uncached { open: p as u32 };
        }
        self.sets[i] = compile_set(&self.pat[p + 1..end - 1]);
        self.set_at[i] = (p, end);
        self.set_count += 1;
        Single::Set(i as u8)
    }

    /// A set that is not kept.
    #[cold]
    fn uncached(&self, open: u32) -> Set {
        let open = open as usize;
        match self.set_end(open) {
            Ok(end) => compile_set(&self.pat[open + 1..end - 1]),
            Err(_) => [0; 4],
        }
    }

    #[inline(always)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn matches(&self, single: Single, c: u8) -> bool {
        match single {
            Single::Any => true,
            Single::Byte(b) => b == c,
            Single::Class { mask, negated } => (KIND[c as usize] & mask != 0) != negated,
            Single::Set(i) => in_set(&self.sets[i as usize], c),
            Single::Uncached { open } => in_set(&self.uncached(open), c),
        }
    }

    /// What may be scanned from `s` on.
    #[inline(always)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn scan_range(&self, s: usize) -> &'a [u8] {
        let rest = &self.src[s..];
        &rest[..rest.len().min(SCAN)]
    }

    /// How many bytes from `s` on are of the kind; `SCAN` may mean that there are more.
    #[inline(always)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn scan_over(&self, single: Single, s: usize) -> usize {
        let rest = self.scan_range(s);
        let end = match single {
            Single::Any => None,
            Single::Byte(b) => rest.iter().position(|&c| c != b),
            Single::Class {
                mask,
                negated: false,
            } => rest.iter().position(|&c| KIND[c as usize] & mask == 0),
            Single::Class {
                mask,
                negated: true,
            } => rest.iter().position(|&c| KIND[c as usize] & mask != 0),
            Single::Set(i) => {
                let set = self.sets[i as usize];
                rest.iter().position(|&c| !in_set(&set, c))
            }
            Single::Uncached { open } => {
                let set = self.uncached(open);
                rest.iter().position(|&c| !in_set(&set, c))
            }
        };
        end.unwrap_or(rest.len())
    }

    /// How many bytes from `s` on are *not* of the kind; `SCAN` may mean that there are more.
    #[inline(always)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn scan_to(&self, single: Single, s: usize) -> usize {
        let rest = self.scan_range(s);
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
            Single::Set(i) => {
                let set = self.sets[i as usize];
                let at = rest.iter().position(|&c| in_set(&set, c));
                at.unwrap_or(rest.len())
            }
            Single::Uncached { open } => {
                let set = self.uncached(open);
                let at = rest.iter().position(|&c| in_set(&set, c));
                at.unwrap_or(rest.len())
            }
        }
    }

    /// The item that the first byte of every match must be, if there is one. Looks through a few opening parentheses.
    /// Reports nothing: what is malformed here, matching meets first of all.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn first_item(&mut self) -> Option<Single> {
        let mut p = 0;
        while p < 4 && self.pat.get(p) == Some(&b'(') {
            p += 1;
        }
        match self.pat.get(p)? {
            b'(' | b')' => return None,
            b'$' if p + 1 == self.pat.len() => return None,
            b'%' => match self.pat.get(p + 1) {
                Some(b'b') => {
                    return self
                        .pat
                        .get(p + 3)
                        .and(self.pat.get(p + 2))
                        .map(|&open| Single::Byte(open));
                }
                Some(b'f' | b'0'..=b'9') => return None,
                _ => {}
            },
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
    #[inline(always)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn next_byte(&self, p: usize) -> Option<u8> {
        let &c = self.pat.get(p)?;
        let special = matches!(c, b'(' | b')' | b'$' | b'%' | b'[' | b'.');
        let optional = matches!(self.pat.get(p + 1), Some(b'*' | b'?' | b'-'));
        // With no level left the attempt must be made, for it fails in another way.
        (!special && !optional && self.back.has_room()).then_some(c)
    }

    // -- The matcher itself. `s` is an index into the subject, `p` into the pattern.

    /// Stops in the middle of the item at `p`, which will be met again from `s`: it has gone over `ahead` bytes. The step that it cost is
    /// paid then.
    #[cold]
    fn suspend_item(&mut self, s: usize, p: usize, ahead: usize) -> PatternError {
        self.budget += 1;
        (self.s, self.p, self.ahead) = (s, p, ahead);
        self.suspended = Suspended::Item;
        PatternError::OutOfBudget
    }

    /// Goes on at `self.s` and `self.p`, or with what is on the stack, until the pattern's end or until nothing is left to try.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn run(&mut self, mut back_first: bool) -> Outcome {
        let (mut s, mut p) = (self.s, self.p);
        loop {
            if !back_first && let Some(end) = self.items(s, p)? {
                return Ok(Some(end));
            }
            back_first = false;
            match self.backtrack()? {
                Some(next) => (s, p) = next,
                None => return Ok(None),
            }
        }
    }

    /// Matches items one after the other; the pattern's end gives the match's end, the first item that fails gives `None`.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn items(&mut self, mut s: usize, mut p: usize) -> Outcome {
        loop {
            let Some(&c) = self.pat.get(p) else {
                return Ok(Some(s));
            };
            if self.budget <= 0 {
                self.s = s;
                self.p = p;
                self.suspended = Suspended::Item;
                return Err(PatternError::OutOfBudget);
            }
            self.budget -= 1;
            match c {
                b'(' => {
                    let position = self.pat.get(p + 1) == Some(&b')');
                    let Some(slot) = self.captures.get_mut(self.level) else {
                        return Err(PatternError::TooManyCaptures);
                    };
                    *slot = Slot {
                        start: s as u32,
                        len: if position { POSITION } else { UNFINISHED },
                    };
                    self.level += 1;
                    self.back.push(Back::Open)?;
                    p += 1 + position as usize;
                    continue;
                }
                b')' => {
                    let open = self.captures[..self.level]
                        .iter()
                        .rposition(|slot| slot.len == UNFINISHED);
                    let i = open.ok_or(PatternError::InvalidPatternCapture)?;
                    // (Saturating for states that were damaged while saved.)
                    self.captures[i].len = (s as u32).saturating_sub(self.captures[i].start);
                    self.back.push(Back::Close { i: i as u8 })?;
                    p += 1;
                    continue;
                }
                b'$' if p + 1 == self.pat.len() => return Ok((s == self.src.len()).then_some(s)),
                b'%' => match self.pat.get(p + 1) {
                    Some(b'b') => {
                        let Some(end) = self.balance(s, p)? else {
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
                        let Some(end) = self.back_reference(s, p, *digit)? else {
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
            let went = match self.pat.get(end) {
                Some(b'*') => self.longest(s, single, p, end + 1, 0)?,
                Some(b'+') => self.longest(s, single, p, end + 1, 1)?,
                Some(b'-') => self.shortest(s, single, p, end + 1)?,
                Some(b'?') => {
                    let takes = self.src.get(s).is_some_and(|&c| self.matches(single, c));
                    if takes {
                        self.back.push(Back::Optional {
                            s: s as u32,
                            p: end as u32 + 1,
                        })?;
                    }
                    Some(s + takes as usize)
                }
                _ => {
                    if !self.src.get(s).is_some_and(|&c| self.matches(single, c)) {
                        return Ok(None);
                    }
                    s += 1;
                    p = end;
                    continue;
                }
            };
            match went {
                Some(to) => s = to,
                None => return Ok(None),
            }
            p = end + 1;
        }
    }

    /// Undoes what failed, back to the last place where something else can be tried: where that goes on.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn backtrack(&mut self) -> Result<Option<(usize, usize)>, PatternError> {
        while let Some(entry) = self.back.pop() {
            match entry {
                Back::Optional { s, p } => return Ok(Some((s as usize, p as usize))),
                Back::Longest { s, count, p, least } => {
                    if count > least as u32
                        && let Some(s) =
                            self.take(s as usize, count as usize - 1, p as usize, least as usize)?
                    {
                        return Ok(Some((s, p as usize)));
                    }
                }
                Back::Shortest { s, p, item, single } => {
                    if self
                        .src
                        .get(s as usize)
                        .is_some_and(|&c| self.matches(single, c))
                        && let Some(s) =
                            self.shortest(s as usize + 1, single, item as usize, p as usize)?
                    {
                        return Ok(Some((s, p as usize)));
                    }
                }
                Back::Open => self.level = self.level.saturating_sub(1),
                Back::Close { i } => self.captures[i as usize].len = UNFINISHED,
            }
        }
        Ok(None)
    }

    /// As many of the item as there are, for now: where the rest, from `p` on, is to go on.
    #[inline(always)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn longest(
        &mut self,
        s: usize,
        single: Single,
        item: usize,
        p: usize,
        least: usize,
    ) -> Outcome {
        let count = if let Single::Any = single {
            self.src.len() - s
        } else {
            let count = self.scan_over(single, s);
            // (So it is when the item goes on after a suspension.)
            if count == SCAN {
                self.longest_scan(s, single, item)?
            } else {
                self.budget -= count as i64 >> 3;
                count
            }
        };
        if p == self.pat.len() && self.back.has_room() {
            return Ok((count >= least).then_some(s + count)); // nothing is left that could fail
        }
        self.take(s, count, p, least)
    }

    /// How many of the item there are from `s` on, when there are many.
    #[cold]
    #[inline(never)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn longest_scan(
        &mut self,
        s: usize,
        single: Single,
        item: usize,
    ) -> Result<usize, PatternError> {
        let mut count = std::mem::take(&mut self.ahead).min(self.src.len() - s);
        loop {
            let more = self.scan_over(single, s + count);
            self.budget -= more as i64 >> 3;
            count += more;
            if more < SCAN {
                return Ok(count);
            }
            if self.budget <= 0 {
                return Err(self.suspend_item(s, item, count));
            }
        }
    }

    /// `count` of a repetition's bytes from `s` on, or as many fewer, but `least`, as the rest may match behind.
    #[inline(always)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn take(&mut self, s: usize, mut count: usize, p: usize, least: usize) -> Outcome {
        if count < least {
            return Ok(None);
        }
        if let Some(byte) = self.next_byte(p) {
            if count - least >= SCAN {
                match self.take_scan(s, count, p, least, byte)? {
                    Some(fewer) => count = fewer,
                    None => return Ok(None),
                }
            } else {
                let from = s + least;
                let hopeful = self.src.get(from..=s + count).unwrap_or(&self.src[from..]);
                let at = hopeful.iter().rposition(|&c| c == byte);
                self.budget -= (hopeful.len() - at.unwrap_or(0)) as i64 >> 3;
                match at {
                    None => return Ok(None),
                    Some(at) => count = least + at,
                }
            }
        }
        self.back.push(Back::Longest {
            s: s as u32,
            count: count as u32,
            p: p as u32,
            least: least as u8,
        })?;
        Ok(Some(s + count))
    }

    /// The most of `count` behind which the byte comes that must come next, when there are many.
    #[cold]
    #[inline(never)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn take_scan(
        &mut self,
        s: usize,
        mut count: usize,
        p: usize,
        least: usize,
        byte: u8,
    ) -> Result<Option<usize>, PatternError> {
        loop {
            // The last part of what is hopeful.
            let from = s + least.max(count.saturating_sub(SCAN - 1));
            let end = (s + count + 1).min(self.src.len());
            let part = self.src.get(from..end).unwrap_or(&[]);
            let at = part.iter().rposition(|&c| c == byte);
            self.budget -= (part.len() - at.unwrap_or(0)) as i64 >> 3;
            if let Some(at) = at {
                return Ok(Some(from - s + at));
            }
            if from <= s + least {
                return Ok(None);
            }
            count = from - s - 1;
            if self.budget <= 0 {
                // Going back to it tries one fewer.
                self.back.push(Back::Longest {
                    s: s as u32,
                    count: count as u32 + 1,
                    p: p as u32,
                    least: least as u8,
                })?;
                self.suspended = Suspended::Back;
                return Err(PatternError::OutOfBudget);
            }
        }
    }

    /// As few of the item as the rest, from `p` on, may match behind.
    #[inline(always)]
    fn shortest(&mut self, mut s: usize, single: Single, item: usize, p: usize) -> Outcome {
        if let Some(byte) = self.next_byte(p) {
            let rest = self.scan_range(s);
            let skip = match single {
                Single::Any => position(rest, byte),
                Single::Uncached { .. } => None,
                _ => rest
                    .iter()
                    .position(|&c| c == byte || !self.matches(single, c)),
            };
            match skip {
                Some(skip) => {
                    self.budget -= skip as i64 >> 3;
                    if rest[skip] != byte {
                        return Ok(None);
                    }
                    s += skip;
                }
                None if rest.len() < SCAN && !matches!(single, Single::Uncached { .. }) => {
                    self.budget -= rest.len() as i64 >> 3;
                    return Ok(None);
                }
                None => match self.shortest_scan(s, single, item, byte)? {
                    Some(skip) => s += skip,
                    None => return Ok(None),
                },
            }
        }
        self.back.push(Back::Shortest {
            s: s as u32,
            p: p as u32,
            item: item as u32,
            single,
        })?;
        Ok(Some(s))
    }

    /// How many bytes a short repetition takes to come to `byte`, when that is far.
    #[cold]
    #[inline(never)]
    fn shortest_scan(&mut self, s: usize, single: Single, item: usize, byte: u8) -> Outcome {
        let mut ahead = std::mem::take(&mut self.ahead).min(self.src.len() - s);
        loop {
            let rest = self.scan_range(s + ahead);
            let skip = match single {
                Single::Any => position(rest, byte),
                Single::Uncached { open } => {
                    let set = self.uncached(open);
                    rest.iter().position(|&c| c == byte || !in_set(&set, c))
                }
                _ => rest
                    .iter()
                    .position(|&c| c == byte || !self.matches(single, c)),
            };
            self.budget -= skip.unwrap_or(rest.len()) as i64 >> 3;
            match skip {
                Some(skip) if rest[skip] == byte => return Ok(Some(ahead + skip)),
                None if rest.len() == SCAN => ahead += SCAN,
                _ => return Ok(None),
            }
            if self.budget <= 0 {
                return Err(self.suspend_item(s, item, ahead));
            }
        }
    }

    /// `%bxy`, which is at `p`.
    #[inline(never)]
    fn balance(&mut self, s: usize, p: usize) -> Outcome {
        let Some(&[open, close]) = self.pat.get(p + 2..p + 4) else {
            return Err(PatternError::MissingBalanceArguments);
        };
        if self.src.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut ahead = std::mem::take(&mut self.ahead);
        let mut nested = if ahead > 0 { self.nested } else { 1 };
        loop {
            let rest = self.scan_range((s + 1 + ahead).min(self.src.len()));
            for (i, &c) in rest.iter().enumerate() {
                if c == close {
                    nested = nested.saturating_sub(1);
                    if nested == 0 {
                        self.budget -= i as i64 >> 3;
                        return Ok(Some(s + ahead + i + 2));
                    }
                } else if c == open {
                    nested += 1;
                }
            }
            self.budget -= rest.len() as i64 >> 3;
            if rest.len() < SCAN {
                return Ok(None);
            }
            ahead += SCAN;
            if self.budget <= 0 {
                self.nested = nested;
                return Err(self.suspend_item(s, p, ahead));
            }
        }
    }

    /// `%1` to `%9`, at `p`: the same bytes as the capture's. A position is no bytes' equal.
    #[inline(never)]
    fn back_reference(&mut self, s: usize, p: usize, digit: u8) -> Outcome {
        let error = PatternError::InvalidCaptureIndex((digit - b'0') as u32);
        let i = digit.checked_sub(b'1').ok_or(error)? as usize;
        let slot = *self.captures[..self.level]
            .get(i)
            .filter(|slot| slot.len != UNFINISHED)
            .ok_or(error)?;
        let (start, len) = (slot.start as usize, slot.len as usize);
        if len > self.src.len() - s {
            return Ok(None); // POSITION is that large too
        }
        let mut ahead = std::mem::take(&mut self.ahead).min(len);
        loop {
            let count = (len - ahead).min(SCAN);
            let (a, b) = (s + ahead, start + ahead);
            self.budget -= count as i64 >> 3;
            if self.src[a..a + count] != self.src[b..b + count] {
                return Ok(None);
            }
            ahead += count;
            if ahead == len {
                return Ok(Some(s + len));
            }
            if self.budget <= 0 {
                return Err(self.suspend_item(s, p, ahead));
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Plain text

const BLOCK: usize = 32;

/// Whether any byte pair `(a[i], b[i])` is `(x, y)`.
#[inline(always)]
fn any_pair(a: &[u8; BLOCK], x: u8, b: &[u8; BLOCK], y: u8) -> bool {
    if cfg!(target_arch = "wasm32") {
        any_pair_by_words(a, x, b, y)
    } else {
        // The compiler makes vector instructions of it.
        (0..BLOCK).fold(false, |found, i| found | ((a[i] == x) & (b[i] == y)))
    }
}

/// The same for WebAssembly, which has no vectors unless asked for: eight bytes in a word.
#[inline(always)]
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
#[inline(always)]
#[cfg_attr(evermoon_small, optimize(speed))]
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
#[cfg_attr(evermoon_small, optimize(speed))]
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
        let mut m = Matcher::new(src.as_bytes(), body, anchored, 1_000_000);
        let Some((start, end)) = m.find(0, None)? else {
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
        let mut m = Matcher::new(src.as_bytes(), body, anchored, 1_000_000);
        let (mut out, mut at, mut last) = (Vec::new(), 0, None);
        while let Some((start, end)) = m.find(at, last)? {
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
        let mut m = Matcher::new(&src, &pat, true, 100_000);
        assert_eq!(m.find(0, None), Err(PatternError::OutOfBudget));
        assert!(m.budget <= 0);
        let mut m = Matcher::new(&src, b"a+", false, 100);
        assert_eq!(m.find(0, None), Ok(Some((0, 60))));
        assert_eq!(m.budget, 100 - 1 - 7, "an item, and 60 bytes by eights");
    }

    /// Finds with a pause, and a save and a restore, after every `slice` steps; the steps in all, too.
    fn find_in_slices(
        src: &[u8],
        pat: &str,
        slice: i64,
    ) -> (Result<Option<String>, PatternError>, i64) {
        let (anchored, body) = split_anchor(pat.as_bytes());
        let mut m = Matcher::new(src, body, anchored, slice);
        let mut steps = 0;
        let mut found = m.find(0, None);
        while found == Err(PatternError::OutOfBudget) {
            steps += slice - m.budget;
            let saved = m.save();
            m = Matcher::new(src, body, anchored, slice);
            assert!(m.restore(&saved), "what was saved is restored");
            found = m.resume(None);
        }
        steps += slice - m.budget;
        let shown = found.and_then(|found| {
            let Some((start, end)) = found else {
                return Ok(None);
            };
            let mut shown = format!("{start} {end}");
            for i in 0..m.value_count() {
                shown += &format!(" {:?}", m.capture(i, start, end)?);
            }
            Ok(Some(shown))
        });
        (shown, steps)
    }

    #[test]
    fn suspended_anywhere() {
        let long = "a".repeat(300);
        for (src, pat) in [
            ("key = value # rest", "(%w+)%s*=%s*((%w)%w*)()"),
            ("aaaaaaaaaaaaaaaaab", "(a-)(a*)(a?)(a+)[^b]?%3b$"),
            ("f(a(b)c)d x", "^.-(%b())[^%s][%a]-()%f[%z]"),
            (
                "xx[1][22]abcdefgh",
                "[^y]-[[][%d]+[]][a][b]-[cd]*[^z][%W%w]$",
            ),
            (&long, &"a?".repeat(190)),
            (&long, &"a-".repeat(250)),
            ("aaaaaaaaaaaaaaaaaaaaa", "a*a*a*a*a*[^a]"),
            ("abc", "(a)(b"),
        ] {
            let whole = find_in_slices(src.as_bytes(), pat, 1 << 40);
            for slice in [1, 2, 3, 7, 50] {
                assert_eq!(
                    find_in_slices(src.as_bytes(), pat, slice),
                    whole,
                    "{pat:?} by {slice}"
                );
            }
        }
    }

    #[test]
    fn damaged_states_do_no_harm() {
        let (src, pat) = (
            b"aaaaabaaaaaaaaaaaab",
            b"(a-)(a*)(a?)()[^b]+%3b[a]-[%w]?[c][d][e][f]-b$",
        );
        let mut m = Matcher::new(src, pat, false, 37);
        assert_eq!(m.find(0, None), Err(PatternError::OutOfBudget));
        let saved = m.save();
        for at in 0..saved.len() {
            for change in [1, 2, 7, 20, 128, 255] {
                let mut saved = saved.clone();
                saved[at] ^= change;
                let mut m = Matcher::new(src, pat, false, 100_000);
                if m.restore(&saved) {
                    let _ = m.resume(None);
                    for i in 0..m.value_count() {
                        let _ = m.capture(i, 0, 0);
                    }
                }
            }
            let _ = Matcher::new(src, pat, false, 1000).restore(&saved[..at]);
        }
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
