//! `string.find`, `match`, `gmatch` and `gsub` (manual 6.4.1) over the matcher of `pattern.rs`.
//!
//! Matching is paid for: [`STEPS_PER_FUEL`] of the matcher's steps are a unit of fuel. A match that uses up the slice is saved as a string in
//! a slot; the engine then decides, and the native is entered again and goes on. So no pattern can hold an engine up, and none is
//! tried twice for want of fuel. Long captures and results are made in parts (`pieces.rs`).
//!
//! `gsub` calls functions and metamethods, so everything it must remember is in its slots (see [`slot`]).

use super::pattern::{self, Capture, Found, Matcher, PatternError};
use super::pieces::{self, Pieces};
use super::string::{check_size, start_position};
use crate::heap::number;
use crate::heap::value::{Type, Value};
use crate::vm::{Act, NativeResult, Throw, Vm};

/// Steps of a matcher that cost as much as a call.
const STEPS_PER_FUEL: u64 = 4;
/// Longest pattern: an item is compiled at once.
const PATTERN_MAX: usize = 1 << 20;

/// A matcher with a budget, and what it owes to the fuel.
struct Metered<'a> {
    matcher: Matcher<'a>,
    /// The budget at the beginning, and steps of an earlier go that were not charged: fewer than a unit's worth.
    given: i64,
    carried: i64,
}

impl<'a> Metered<'a> {
    #[inline(always)]
    fn new(vm: &Vm, src: &'a [u8], pat: &'a [u8], anchored: bool) -> Metered<'a> {
        let given = Self::budget(vm);
        Metered {
            matcher: Matcher::new(src, pat, anchored, given),
            given,
            carried: 0,
        }
    }

    /// What is left of the slice.
    #[inline]
    fn budget(vm: &Vm) -> i64 {
        vm.slice_left() as i64 * STEPS_PER_FUEL as i64
    }

    /// Finds from `init` on, or goes on where [`Metered::save`] stopped. (A state that was tampered with begins afresh.)
    #[cold]
    fn go_on(
        &mut self,
        saved: Value,
        carried: Value,
        init: usize,
        not_ending_at: Option<usize>,
    ) -> Found {
        self.carry(carried);
        match saved.as_str() {
            Some(s) if self.matcher.restore(s.as_bytes()) => self.matcher.resume(not_ending_at),
            _ => self.matcher.find(init, not_ending_at),
        }
    }

    /// Takes over what an earlier go has left uncharged.
    fn carry(&mut self, steps: Value) {
        self.carried = steps.raw_int() & (STEPS_PER_FUEL as i64 - 1);
    }

    /// Charges what has been used, and gives the rest that is not worth a unit.
    #[inline]
    fn charge(&self, vm: &mut Vm) -> u64 {
        let steps = (self.given - self.matcher.budget + self.carried).max(0) as u64;
        vm.charge(steps / STEPS_PER_FUEL);
        steps % STEPS_PER_FUEL
    }

    /// Pushes the state of a match that has used up its budget, and charges it. Two slots.
    #[cold]
    fn save(&self, vm: &mut Vm) -> Result<(), Throw> {
        let carried = self.charge(vm);
        let saved = vm.heap.string(&self.matcher.save())?;
        vm.push(Value::string(saved));
        vm.push(Value::int(carried as i64));
        Ok(())
    }
}

#[cold]
fn pattern_error(vm: &mut Vm, e: PatternError) -> Throw {
    vm.fail(&e.to_string())
}

/// A pattern that may be matched.
#[inline]
fn check_pattern(vm: &mut Vm, pat: &[u8]) -> Result<(), Throw> {
    if pat.len() > PATTERN_MAX {
        return Err(vm.fail("pattern too complex (it is too long)"));
    }
    Ok(())
}

/// A capture as a value.
#[inline]
fn capture_value(
    vm: &mut Vm,
    matcher: &Matcher,
    i: usize,
    src: &[u8],
    found: (usize, usize),
) -> Result<Value, Throw> {
    match matcher.capture(i, found.0, found.1) {
        Ok(Capture::Text { start, end }) => {
            vm.charge((end - start) as u64 >> 8);
            Ok(Value::string(
                vm.heap.string(src.get(start..end).unwrap_or(&[]))?,
            ))
        }
        Ok(Capture::Position(at)) => Ok(Value::int(at as i64 + 1)),
        Err(e) => Err(pattern_error(vm, e)),
    }
}

/// Pushes captures, `count` of them, and makes room before.
#[inline]
fn push_captures(
    vm: &mut Vm,
    matcher: &Matcher,
    src: &[u8],
    found: (usize, usize),
    count: usize,
) -> Result<(), Throw> {
    if count > 10 {
        vm.ensure_stack(count)?;
    }
    for i in 0..count {
        let v = capture_value(vm, matcher, i, src, found)?;
        vm.push(v);
    }
    Ok(())
}

/// `string.find (s, pattern [, init [, plain]])`
pub(super) fn find(vm: &mut Vm) -> NativeResult {
    find_or_match(vm, true)
}

/// `string.match (s, pattern [, init])`
pub(super) fn match_(vm: &mut Vm) -> NativeResult {
    find_or_match(vm, false)
}

/// States of the functions that search: a match under way is in two slots behind the arguments; plain text is being looked for, and the
/// slot behind the arguments says from where on; long captures are being copied ([`long_captures`]).
const MATCHING: u32 = 1;
const LOOKING: u32 = 2;
const COPYING: u32 = 3;

#[inline(always)]
fn find_or_match(vm: &mut Vm, find: bool) -> NativeResult {
    let subject = vm.check_str(0)?;
    let (src, pat) = (subject.as_bytes(), vm.check_str(1)?.as_bytes());
    if vm.state() == COPYING {
        return copy_captures(vm, src, 4);
    }
    let init = vm.opt_int(2, 1)?;
    let init = start_position(init, src.len()) - 1;
    if init > src.len() as u64 {
        return vm.ret(Value::NIL);
    }
    let init = init as usize;
    if find && (vm.arg(3).is_truthy() || !pattern::has_specials(pat)) {
        return look(vm, src, pat, init);
    }
    check_pattern(vm, pat)?;
    let (anchored, body) = pattern::split_anchor(pat);
    let mut metered = Metered::new(vm, src, body, anchored);
    let found = match vm.state() {
        0 => metered.matcher.find(init, None),
        _ => metered.go_on(vm.arg(4), vm.arg(5), init, None),
    };
    match found {
        Ok(Some(found)) => {
            metered.charge(vm);
            let m = &metered.matcher;
            let count = if find {
                m.capture_count()
            } else {
                m.value_count()
            };
            if found.1 - found.0 > pieces::AT_ONCE && long_captures(m, count, found) {
                vm.set_slots(4)?;
                return begin_captures(vm, m, src, found, count, find);
            }
            if find {
                vm.push(Value::int(found.0 as i64 + 1));
                vm.push(Value::int(found.1 as i64));
                push_captures(vm, m, src, found, count)?;
                Ok(Act::returning(2 + count as u32))
            } else {
                push_captures(vm, m, src, found, count)?;
                Ok(Act::returning(count as u32))
            }
        }
        Ok(None) => {
            metered.charge(vm);
            vm.ret(Value::NIL)
        }
        Err(PatternError::OutOfBudget) => {
            vm.set_slots(4)?;
            metered.save(vm)?;
            vm.set_state(MATCHING);
            Ok(Act::AGAIN)
        }
        Err(e) => {
            metered.charge(vm);
            Err(pattern_error(vm, e))
        }
    }
}

/// Looks for plain text, from `init` on or where it has come to.
#[inline]
fn look(vm: &mut Vm, src: &[u8], needle: &[u8], init: usize) -> NativeResult {
    let mut from = init;
    if vm.state() == LOOKING {
        from = index_slot(vm, 4, src.len());
    }
    // In windows that overlap by all but one byte of what is looked for.
    let window = pieces::STEP.max(needle.len());
    loop {
        let end = src.len().min(from + window + needle.len());
        let at = pattern::find_plain(&src[..end], needle, from);
        vm.charge((at.unwrap_or(end) - from) as u64 >> 7);
        if let Some(at) = at {
            vm.push(Value::int(at as i64 + 1));
            vm.push(Value::int((at + needle.len()) as i64));
            return Ok(Act::returning(2));
        }
        if end == src.len() {
            return vm.ret(Value::NIL);
        }
        from += window;
        if vm.slice_used_up() {
            vm.set_slots(4)?;
            vm.push(Value::int(from as i64));
            vm.set_state(LOOKING);
            return Ok(Act::AGAIN);
        }
    }
}

// ---- long captures ----

/// Whether there is a capture that is not copied at once.
#[cold]
fn long_captures(m: &Matcher, count: usize, found: (usize, usize)) -> bool {
    (0..count).any(|i| {
        matches!(m.capture(i, found.0, found.1),
            Ok(Capture::Text { start, end }) if end - start > pieces::AT_ONCE)
    })
}

/// Prepares the results of a match with long captures. Slots: the results, in which a long one is a string that is not filled yet;
/// before them for each result where it begins in the subject (-1 if it is complete); behind them how many there are, which one is
/// being filled, and how much of it is.
#[cold]
fn begin_captures(
    vm: &mut Vm,
    m: &Matcher,
    src: &[u8],
    found: (usize, usize),
    count: usize,
    positions: bool,
) -> NativeResult {
    let args = vm.slots();
    let ends = if positions {
        vec![Value::int(found.0 as i64 + 1), Value::int(found.1 as i64)]
    } else {
        Vec::new()
    };
    let results = ends.len() + count;
    vm.ensure_stack(2 * results + 4)?;
    for _ in &ends {
        vm.push(Value::int(-1));
    }
    let long = |capture| match capture {
        Ok(Capture::Text { start, end }) if end - start > pieces::AT_ONCE => Some((start, end)),
        _ => None,
    };
    for i in 0..count {
        let start = long(m.capture(i, found.0, found.1)).map_or(-1, |(start, _)| start as i64);
        vm.push(Value::int(start));
    }
    for v in ends {
        vm.push(v);
    }
    for i in 0..count {
        let v = match long(m.capture(i, found.0, found.1)) {
            Some((start, end)) if end - start == src.len() => vm.arg(0),
            Some((start, end)) => Value::string(vm.heap.blank_string(end - start)?),
            None => capture_value(vm, m, i, src, found)?,
        };
        vm.push(v);
    }
    for n in [results as i64, 0, 0] {
        vm.push(Value::int(n));
    }
    vm.set_state(COPYING);
    copy_captures(vm, src, args)
}

/// Goes on filling captures, whose slots begin behind `args`; then returns them.
fn copy_captures(vm: &mut Vm, src: &[u8], args: usize) -> NativeResult {
    let behind = vm.slots() - 3;
    let results = index_slot(vm, behind, (behind - args) / 2);
    let (mut at, mut done) = (
        index_slot(vm, behind + 1, results),
        index_slot(vm, behind + 2, src.len()),
    );
    while at < results {
        let start = vm.arg(args + at).raw_int();
        let result = vm.arg(args + results + at);
        if let (Ok(start), Some(made)) = (usize::try_from(start), result.as_str())
            && made.len() < src.len()
        {
            let text = vm.heap.text_in_the_making(made);
            while done < text.len() {
                if vm.slice_used_up() {
                    vm.set_slot(behind + 1, Value::int(at as i64));
                    vm.set_slot(behind + 2, Value::int(done as i64));
                    return Ok(Act::AGAIN);
                }
                let end = (done + pieces::STEP).min(text.len());
                if let Some(part) = src.get(start + done..start + end) {
                    text[done..end].copy_from_slice(part);
                }
                vm.charge((end - done) as u64 >> 8);
                done = end;
            }
        }
        (at, done) = (at + 1, 0);
    }
    vm.set_slots(behind)?;
    Ok(Act::returning(results as u32))
}

/// `string.gmatch (s, pattern [, init])`. The iterator is a closure of this same native: its upvalues are subject, pattern, where to
/// go on, and where the last match ended (-1 for none).
pub(super) fn gmatch(vm: &mut Vm) -> NativeResult {
    if vm.callee().is_some() {
        return gmatch_next(vm);
    }
    let src = vm.check_str(0)?;
    let pat = vm.check_str(1)?;
    check_pattern(vm, pat.as_bytes())?;
    let init = vm.opt_int(2, 1)?;
    let init = start_position(init, src.len()).min(src.len() as u64 + 2) - 1;
    let upvals = [
        Value::string(src),
        Value::string(pat),
        Value::int(init as i64),
        Value::int(-1),
    ];
    let iterator = vm.heap.native_closure(vm.native_number(), &upvals)?;
    vm.ret(Value::native_closure(iterator))
}

/// A match under way is in slots 0 and 1; captures that are being copied have the subject in slot 0 before them.
fn gmatch_next(vm: &mut Vm) -> NativeResult {
    let Some(closure) = vm.callee() else {
        return vm.ret_none();
    };
    let &[src, pat, at, last] = closure.upvals() else {
        return vm.ret_none();
    };
    let (Some(src), Some(pat)) = (src.as_str(), pat.as_str()) else {
        return vm.ret_none();
    };
    let (subject, src, pat) = (src, src.as_bytes(), pat.as_bytes());
    if vm.state() == COPYING {
        return copy_captures(vm, src, 1);
    }
    let Some(at) = usize::try_from(at.raw_int())
        .ok()
        .filter(|&at| at <= src.len())
    else {
        return vm.ret_none();
    };
    let last = usize::try_from(last.raw_int()).ok();
    let mut metered = Metered::new(vm, src, pat, false);
    let found = match vm.state() {
        0 => metered.matcher.find(at, last),
        _ => metered.go_on(vm.arg(0), vm.arg(1), at, last),
    };
    match found {
        Ok(Some(found)) => {
            metered.charge(vm);
            let end = Value::int(found.1 as i64);
            vm.set_upval(2, end);
            vm.set_upval(3, end);
            let count = metered.matcher.value_count();
            if found.1 - found.0 > pieces::AT_ONCE && long_captures(&metered.matcher, count, found)
            {
                vm.set_slots(0)?;
                vm.push(Value::string(subject));
                return begin_captures(vm, &metered.matcher, src, found, count, false);
            }
            push_captures(vm, &metered.matcher, src, found, count)?;
            Ok(Act::returning(count as u32))
        }
        Ok(None) => {
            metered.charge(vm);
            vm.ret_none()
        }
        Err(PatternError::OutOfBudget) => {
            vm.set_slots(0)?;
            metered.save(vm)?;
            vm.set_state(MATCHING);
            Ok(Act::AGAIN)
        }
        Err(e) => {
            metered.charge(vm);
            Err(pattern_error(vm, e))
        }
    }
}

/// What `gsub` keeps where once it has been suspended.
mod slot {
    pub(super) const SRC: usize = 0;
    pub(super) const PAT: usize = 1;
    pub(super) const REPL: usize = 2;
    /// Most replacements, an integer.
    pub(super) const MAX: usize = 3;
    /// Where to go on, which is the end of the last match if there was one.
    pub(super) const AT: usize = 4;
    /// Where the match began whose replacement is being asked for.
    pub(super) const START: usize = 5;
    /// Matches so far.
    pub(super) const COUNT: usize = 6;
    /// The result so far: the list of its pieces, and their extent.
    pub(super) const PIECES: usize = 7;
    pub(super) const LISTED: usize = 8;
    /// How much of the subject is in the result already, as it was or replaced.
    pub(super) const COPIED: usize = 9;
    /// A match under way: the matcher's state, and steps carried over.
    pub(super) const MATCH: usize = 10;
    pub(super) const CARRIED: usize = 11;
    /// Behind them all: what a call has given, or the slots of joining the pieces.
    pub(super) const SLOTS: usize = 12;
}

/// States of `gsub` after its first go.
const SEARCHING: u32 = 1;
const CALLED: u32 = 2;
const JOINING: u32 = 3;

/// A `gsub` on its way.
struct Gsub<'a> {
    src: &'a [u8],
    repl: Value,
    max: i64,
    at: usize,
    count: i64,
    copied: usize,
    /// The result so far.
    text: Pieces,
    /// The slots hold what never changes.
    stored: bool,
}

/// `string.gsub (s, pattern, repl [, n])`
pub(super) fn gsub(vm: &mut Vm) -> NativeResult {
    let src = vm.check_str(slot::SRC)?.as_bytes();
    let pat = vm.check_str(slot::PAT)?.as_bytes();
    let (anchored, body) = pattern::split_anchor(pat);
    let state = vm.state();
    if state == JOINING {
        let made = Pieces::go_on(vm)?;
        return Gsub::joined(vm, made);
    }
    check_pattern(vm, pat)?;
    let mut g = Gsub {
        src,
        repl: Value::NIL,
        max: 0,
        at: 0,
        count: 0,
        copied: 0,
        text: Pieces {
            list: None,
            pieces: 0,
            listed: 0,
            out: Vec::new(),
        },
        stored: false,
    };
    let mut metered = Metered::new(vm, src, body, anchored);
    let mut under_way = false;
    if state == 0 {
        g.max = vm.opt_int(slot::MAX, src.len() as i64 + 1)?;
        g.repl = vm.arg(slot::REPL);
        match g.repl.type_of() {
            Type::String | Type::Table | Type::Function => {}
            Type::Number => g.repl = Value::string(vm.check_str(slot::REPL)?),
            _ => return Err(vm.arg_type_error(slot::REPL, "string/function/table")),
        }
    } else {
        let value = if state == CALLED {
            vm.pop()
        } else {
            Value::NIL
        };
        g.restore(vm);
        under_way = vm.arg(slot::MATCH).is_string();
        metered.carry(vm.arg(slot::CARRIED));
        if state == CALLED {
            let start = index_slot(vm, slot::START, g.at);
            g.replace(vm, start, value)?;
            if vm.slice_used_up() {
                // Natives that call natives pass no other safe point.
                return g.suspend(vm, &metered, false);
            }
        }
    }
    g.text.out = vm.take_scratch();
    let plain = g.repl.as_str().filter(|s| !s.as_bytes().contains(&b'%'));
    while g.count < g.max && !(anchored && g.count > 0) {
        if metered.matcher.budget <= 0 && !under_way {
            return g.suspend(vm, &metered, false); // matches of nothing take no steps
        }
        let last = if g.count > 0 { Some(g.at) } else { None };
        let found = if under_way {
            metered.go_on(vm.arg(slot::MATCH), vm.arg(slot::CARRIED), g.at, last)
        } else {
            metered.matcher.find(g.at, last)
        };
        under_way = false;
        let (start, end) = match found {
            Ok(Some(found)) => found,
            Ok(None) => break,
            Err(PatternError::OutOfBudget) => return g.suspend(vm, &metered, true),
            Err(e) => {
                metered.charge(vm);
                return Err(pattern_error(vm, e));
            }
        };
        g.at = end;
        g.count += 1;
        metered.matcher.budget -= 1;
        if let Some(with) = plain {
            g.append_source(vm, start)?;
            g.text.add(vm, with)?;
            g.text.settle(vm)?;
            g.copied = end;
        } else if let Some(with) = g.repl.as_str() {
            g.append_source(vm, start)?;
            let limit = vm.limits.string_max;
            let replaced = if end - start > pieces::STEP / 16 {
                g.append_replacement(vm, &metered.matcher, with.as_bytes(), (start, end))?
            } else {
                let out = &mut g.text.out;
                metered
                    .matcher
                    .push_replacement(out, with.as_bytes(), start, end, limit)
            };
            if let Err(e) = replaced {
                metered.charge(vm);
                return Err(pattern_error(vm, e));
            }
            g.text.settle(vm)?;
            g.copied = end;
        } else if let Some(t) = g.repl.as_table() {
            let key = capture_value(vm, &metered.matcher, 0, src, (start, end))?;
            let mut value = t.get(key);
            if value.is_nil() && t.metatable.is_some() {
                // Whether it is a call decides itself, so everything is put where it must be for one.
                g.store(vm, start, &metered)?;
                match vm.index(g.repl, key)? {
                    Some(v) => value = v,
                    None => {
                        vm.set_state(CALLED);
                        return Ok(Act::calling(2, 1));
                    }
                }
                metered.given = metered.matcher.budget;
                metered.carry(vm.arg(slot::CARRIED));
            }
            g.replace(vm, start, value)?;
        } else {
            let count = metered.matcher.value_count();
            g.store(vm, start, &metered)?;
            vm.ensure_stack(count + 1)?;
            vm.push(g.repl);
            push_captures(vm, &metered.matcher, src, (start, end), count)?;
            vm.charge(1);
            vm.set_state(CALLED);
            return Ok(Act::calling(count as u32, 1));
        }
    }
    metered.charge(vm);
    g.finish(vm)
}

/// A slot that holds an index, at most `most`.
fn index_slot(vm: &Vm, i: usize, most: usize) -> usize {
    usize::try_from(vm.arg(i).raw_int()).unwrap_or(0).min(most)
}

impl Gsub<'_> {
    /// Takes what `store` left in the slots.
    fn restore(&mut self, vm: &mut Vm) {
        self.repl = vm.arg(slot::REPL);
        self.max = vm.arg(slot::MAX).raw_int();
        self.at = index_slot(vm, slot::AT, self.src.len());
        self.count = vm.arg(slot::COUNT).raw_int();
        let (list, extent) = (vm.arg(slot::PIECES).as_table(), vm.arg(slot::LISTED));
        self.text.take_up(vm, list, extent);
        self.stored = self.text.list.is_some();
        self.copied = index_slot(vm, slot::COPIED, self.at);
    }

    /// Puts everything into the slots, and settles the bill.
    fn store(&mut self, vm: &mut Vm, start: usize, metered: &Metered) -> Result<(), Throw> {
        let carried = metered.charge(vm);
        if !self.stored {
            let pieces = self.text.listing(vm)?;
            self.stored = true;
            vm.set_slots(slot::SLOTS)?;
            vm.set_slot(slot::REPL, self.repl);
            vm.set_slot(slot::MAX, Value::int(self.max));
            vm.set_slot(slot::PIECES, Value::table(pieces));
        }
        self.text.flush(vm)?;
        vm.set_slots(slot::SLOTS)?;
        vm.set_slot(slot::LISTED, self.text.extent());
        vm.set_slot(slot::AT, Value::int(self.at as i64));
        vm.set_slot(slot::START, Value::int(start as i64));
        vm.set_slot(slot::COUNT, Value::int(self.count));
        vm.set_slot(slot::COPIED, Value::int(self.copied as i64));
        vm.set_slot(slot::MATCH, Value::NIL);
        vm.set_slot(slot::CARRIED, Value::int(carried as i64));
        Ok(())
    }

    /// Leaves in the middle of a match, or between two.
    #[cold]
    fn suspend(&mut self, vm: &mut Vm, metered: &Metered, under_way: bool) -> NativeResult {
        self.store(vm, self.at, metered)?;
        if under_way {
            let saved = vm.heap.string(&metered.matcher.save())?;
            vm.set_slot(slot::MATCH, Value::string(saved));
        }
        vm.set_state(SEARCHING);
        Ok(Act::AGAIN)
    }

    /// Adds the subject as it is, up to `end`.
    fn append_source(&mut self, vm: &mut Vm, end: usize) -> Result<(), Throw> {
        self.text.add_part(vm, self.src, self.copied, end, false)
    }

    /// Adds a replacement string with its `%0` to `%9` filled in, long captures as parts of the subject.
    #[cold]
    fn append_replacement(
        &mut self,
        vm: &mut Vm,
        matcher: &Matcher,
        with: &[u8],
        (start, end): (usize, usize),
    ) -> Result<Result<(), PatternError>, Throw> {
        let mut rest = with;
        while let Some(at) = pattern::position(rest, b'%') {
            self.text.out.extend_from_slice(&rest[..at]);
            let capture = match rest.get(at + 1) {
                Some(b'%') => {
                    self.text.out.push(b'%');
                    rest = &rest[at + 2..];
                    continue;
                }
                Some(b'0') => Ok(Capture::Text { start, end }),
                Some(digit @ b'1'..=b'9') => matcher.capture((digit - b'1') as usize, start, end),
                _ => Err(PatternError::InvalidReplacement),
            };
            match capture {
                Ok(Capture::Text { start, end }) => {
                    self.text.add_part(vm, self.src, start, end, false)?
                }
                Ok(Capture::Position(i)) => number::push_int(&mut self.text.out, i as i64 + 1),
                Err(e) => return Ok(Err(e)),
            }
            self.text.settle(vm)?;
            rest = &rest[at + 2..];
        }
        self.text.out.extend_from_slice(rest);
        Ok(Ok(()))
    }

    /// Takes the value of a table or function as the replacement of the match from `start` to `self.at`.
    fn replace(&mut self, vm: &mut Vm, start: usize, value: Value) -> Result<(), Throw> {
        if !value.is_truthy() {
            return Ok(()); // what matched stays, and is copied with what follows
        }
        if !value.is_string() && !value.is_number() {
            let name = value.type_of().name();
            return Err(vm.fail(&format!("invalid replacement value (a {name})")));
        }
        // Pieces that are made between two calls need no text of their own.
        let alone = self.stored && self.text.out.is_empty();
        let (src, copied) = (self.src, self.copied);
        self.text.add_part(vm, src, copied, start, alone)?;
        match value.as_str() {
            Some(s) if alone => self.text.add_piece(vm, s)?,
            Some(s) => self.text.add(vm, s)?,
            None if alone => {
                let s = vm.number_string(value)?;
                self.text.add_piece(vm, s)?;
            }
            None => vm.display(value, &mut self.text.out),
        }
        self.text.settle(vm)?;
        self.copied = self.at;
        Ok(())
    }

    /// The result, and how many matches there were.
    fn finish(mut self, vm: &mut Vm) -> NativeResult {
        if self.copied == 0 && self.text.len() == 0 {
            vm.give_scratch(self.text.out);
            let unchanged = vm.arg(slot::SRC); // nothing was replaced
            vm.push(unchanged);
            vm.push(Value::int(self.count));
            return Ok(Act::returning(2));
        }
        self.append_source(vm, self.src.len())?;
        check_size(vm, self.text.len())?;
        if self.text.list.is_none() {
            let made = self.text.finish(vm, Value::NIL)?.unwrap_or(Value::NIL);
            vm.push(made);
            vm.push(Value::int(self.count));
            return Ok(Act::returning(2));
        }
        // It is put together from the list, which may take a while.
        vm.set_slots(slot::SLOTS)?;
        vm.set_slot(slot::COUNT, Value::int(self.count));
        let subject = vm.arg(slot::SRC);
        let made = self.text.finish(vm, subject)?;
        Gsub::joined(vm, made)
    }

    fn joined(vm: &mut Vm, made: Option<Value>) -> NativeResult {
        let Some(made) = made else {
            vm.set_state(JOINING);
            return Ok(Act::AGAIN);
        };
        let count = vm.arg(slot::COUNT);
        vm.push(made);
        vm.push(count);
        Ok(Act::returning(2))
    }
}
