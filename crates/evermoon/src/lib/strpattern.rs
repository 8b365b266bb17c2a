//! `string.find`, `match`, `gmatch` and `gsub` (manual 6.4.1) over the matcher of `pattern.rs`.
//!
//! Matching is paid for: [`STEPS_PER_FUEL`] of the matcher's steps are a unit of fuel. A match that uses up what is left, or more than a
//! slice's worth, is saved as a string in a slot; the engine then decides, and the native is entered again and goes on. So no
//! pattern can hold an engine up, and none is tried twice for want of fuel.
//!
//! `gsub` calls functions and metamethods, so everything it must remember is in its slots (see [`slot`]).

use super::pattern::{self, Capture, Found, Matcher, PatternError};
use super::string::{check_size, start_position};
use crate::heap::object::Gc;
use crate::heap::table::Table;
use crate::heap::value::{Type, Value, tag};
use crate::vm::{Act, NativeResult, Throw, Vm};

/// Steps of a matcher that cost as much as a call.
const STEPS_PER_FUEL: u64 = 4;
/// Most steps that are made in one go: some milliseconds.
const STEPS_MAX: u64 = 1 << 21;

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

    #[inline]
    fn budget(vm: &Vm) -> i64 {
        vm.fuel_left().saturating_mul(STEPS_PER_FUEL).min(STEPS_MAX) as i64
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
        let steps = (self.given - self.matcher.budget + self.carried) as u64;
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
        Ok(Capture::Text { start, end }) => Ok(Value::string(
            vm.heap.string(src.get(start..end).unwrap_or(&[]))?,
        )),
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

/// State 1: a match under way is in the two slots behind four arguments.
#[inline(always)]
fn find_or_match(vm: &mut Vm, find: bool) -> NativeResult {
    let src = vm.check_str(0)?.as_bytes();
    let pat = vm.check_str(1)?.as_bytes();
    let init = vm.opt_int(2, 1)?;
    let init = start_position(init, src.len()) - 1;
    if init > src.len() as u64 {
        return vm.ret(Value::NIL);
    }
    let init = init as usize;
    if find && (vm.arg(3).is_truthy() || !pattern::has_specials(pat)) {
        let at = pattern::find_plain(src, pat, init);
        vm.charge((at.unwrap_or(src.len()) - init) as u64 >> 8);
        let Some(at) = at else {
            return vm.ret(Value::NIL);
        };
        vm.push(Value::int(at as i64 + 1));
        vm.push(Value::int((at + pat.len()) as i64));
        return Ok(Act::Return(2));
    }
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
            if find {
                vm.push(Value::int(found.0 as i64 + 1));
                vm.push(Value::int(found.1 as i64));
                let count = m.capture_count();
                push_captures(vm, m, src, found, count)?;
                Ok(Act::Return(2 + count as u32))
            } else {
                let count = m.value_count();
                push_captures(vm, m, src, found, count)?;
                Ok(Act::Return(count as u32))
            }
        }
        Ok(None) => {
            metered.charge(vm);
            vm.ret(Value::NIL)
        }
        Err(PatternError::OutOfBudget) => {
            vm.set_slots(4)?;
            metered.save(vm)?;
            vm.set_state(1);
            Ok(Act::Again)
        }
        Err(e) => {
            metered.charge(vm);
            Err(pattern_error(vm, e))
        }
    }
}

/// `string.gmatch (s, pattern [, init])`. The iterator is a closure of this same native: its upvalues are subject, pattern, where to
/// go on, and where the last match ended (-1 for none).
pub(super) fn gmatch(vm: &mut Vm) -> NativeResult {
    if vm.callee().is_some() {
        return gmatch_next(vm);
    }
    let src = vm.check_str(0)?;
    let pat = vm.check_str(1)?;
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

/// State 1: a match under way is in slots 0 and 1.
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
    let (src, pat) = (src.as_bytes(), pat.as_bytes());
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
            push_captures(vm, &metered.matcher, src, found, count)?;
            Ok(Act::Return(count as u32))
        }
        Ok(None) => {
            metered.charge(vm);
            vm.ret_none()
        }
        Err(PatternError::OutOfBudget) => {
            vm.set_slots(0)?;
            metered.save(vm)?;
            vm.set_state(1);
            Ok(Act::Again)
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
    /// The result so far, in pieces (see `Gsub::pieces`), or nil.
    pub(super) const PIECES: usize = 7;
    /// How much of the subject is in the result already, as it was or replaced.
    pub(super) const COPIED: usize = 8;
    /// A match under way: the matcher's state, and steps carried over.
    pub(super) const MATCH: usize = 9;
    pub(super) const CARRIED: usize = 10;
    /// Behind them all: what a call has given.
    pub(super) const SLOTS: usize = 11;
}

/// States of `gsub` after its first go.
const SEARCHING: u32 = 1;
const CALLED: u32 = 2;

/// A `gsub` on its way.
struct Gsub<'a> {
    src: &'a [u8],
    repl: Value,
    max: i64,
    at: usize,
    count: i64,
    copied: usize,
    /// The result so far: a list of strings and parts of the subject as light values (start and length, 32 bits each).
    pieces: Option<Gc<Table>>,
    /// The end of the result so far, behind the pieces.
    out: Vec<u8>,
    /// The slots hold what never changes.
    stored: bool,
}

/// Room for pieces at first.
const PIECES: u32 = 16;

/// `string.gsub (s, pattern, repl [, n])`
pub(super) fn gsub(vm: &mut Vm) -> NativeResult {
    let src = vm.check_str(slot::SRC)?.as_bytes();
    let pat = vm.check_str(slot::PAT)?.as_bytes();
    let (anchored, body) = pattern::split_anchor(pat);
    let state = vm.state();
    let mut g = Gsub {
        src,
        repl: Value::NIL,
        max: 0,
        at: 0,
        count: 0,
        copied: 0,
        pieces: None,
        out: Vec::new(),
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
            if vm.ticks <= 0 {
                // Natives that call natives pass no other safe point.
                return g.suspend(vm, &metered, false);
            }
        }
    }
    g.out = vm.take_scratch();
    let plain = g
        .repl
        .as_str()
        .map(|s| s.as_bytes())
        .filter(|s| !s.contains(&b'%'));
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
            g.append(vm, with)?;
            g.copied = end;
        } else if let Some(with) = g.repl.as_str() {
            g.append_source(vm, start)?;
            let limit = vm.limits.string_max;
            check_size(vm, g.out.len())?;
            if let Err(e) =
                metered
                    .matcher
                    .push_replacement(&mut g.out, with.as_bytes(), start, end, limit)
            {
                metered.charge(vm);
                return Err(pattern_error(vm, e));
            }
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
                        return Ok(Act::Call {
                            args: 2,
                            results: 1,
                        });
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
            return Ok(Act::Call {
                args: count as u32,
                results: 1,
            });
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
    fn restore(&mut self, vm: &Vm) {
        self.repl = vm.arg(slot::REPL);
        self.max = vm.arg(slot::MAX).raw_int();
        self.at = index_slot(vm, slot::AT, self.src.len());
        self.count = vm.arg(slot::COUNT).raw_int();
        self.pieces = vm.arg(slot::PIECES).as_table();
        self.stored = self.pieces.is_some();
        self.copied = index_slot(vm, slot::COPIED, self.at);
    }

    /// Puts everything into the slots, and settles the bill.
    fn store(&mut self, vm: &mut Vm, start: usize, metered: &Metered) -> Result<(), Throw> {
        let carried = metered.charge(vm);
        if !self.stored {
            let pieces = vm.new_table()?;
            let presized = vm.heap.table_presize(pieces, PIECES, 0);
            presized.map_err(|e| vm.store_error(e))?;
            self.pieces = Some(pieces);
            self.stored = true;
            vm.set_slots(slot::SLOTS)?;
            vm.set_slot(slot::REPL, self.repl);
            vm.set_slot(slot::MAX, Value::int(self.max));
            vm.set_slot(slot::PIECES, Value::table(pieces));
        }
        self.flush(vm)?;
        vm.set_slots(slot::SLOTS)?;
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
        Ok(Act::Again)
    }

    /// Adds a piece.
    fn push_piece(&mut self, vm: &mut Vm, piece: Value) -> Result<(), Throw> {
        match self.pieces {
            Some(t) => vm.raw_set_int(t, t.border() as i64 + 1, piece),
            None => Ok(()),
        }
    }

    /// Makes a piece of the end of the result.
    fn flush(&mut self, vm: &mut Vm) -> Result<(), Throw> {
        if self.out.is_empty() {
            return Ok(());
        }
        let text = vm.new_string(&self.out)?;
        self.out.clear();
        self.push_piece(vm, text)
    }

    fn append(&mut self, vm: &mut Vm, bytes: &[u8]) -> Result<(), Throw> {
        check_size(vm, self.out.len() + bytes.len())?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// Adds the subject as it is, up to `end`.
    fn append_source(&mut self, vm: &mut Vm, end: usize) -> Result<(), Throw> {
        let part = self.src.get(self.copied..end).unwrap_or(&[]);
        self.append(vm, part)
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
        if self.pieces.is_some() && self.out.is_empty() {
            let len = start.saturating_sub(self.copied) as u64;
            if len > 0 {
                self.push_piece(vm, Value::light((self.copied as u64) << 32 | len))?;
            }
            let text = if value.is_string() {
                value
            } else {
                Value::string(vm.number_string(value)?)
            };
            self.push_piece(vm, text)?;
        } else {
            self.append_source(vm, start)?;
            match value.as_str() {
                Some(s) => self.append(vm, s.as_bytes())?,
                None => vm.display(value, &mut self.out),
            }
        }
        self.copied = self.at;
        Ok(())
    }

    /// The result, and how many matches there were.
    fn finish(mut self, vm: &mut Vm) -> NativeResult {
        let pieces = self.pieces.filter(|t| t.border() > 0);
        let result = if self.copied == 0 && self.out.is_empty() && pieces.is_none() {
            vm.arg(slot::SRC) // nothing was replaced
        } else {
            self.append_source(vm, self.src.len())?;
            match pieces {
                None => vm.new_string(&self.out)?,
                Some(pieces) => {
                    let tail = std::mem::take(&mut self.out);
                    let text = self.join(vm, pieces, &tail)?;
                    self.out = tail;
                    text
                }
            }
        };
        vm.charge(self.out.len() as u64 >> 8);
        let out = std::mem::take(&mut self.out);
        vm.give_scratch(out);
        vm.push(result);
        vm.push(Value::int(self.count));
        Ok(Act::Return(2))
    }

    /// All pieces, and the end.
    fn join(&self, vm: &mut Vm, pieces: Gc<Table>, tail: &[u8]) -> Result<Value, Throw> {
        let count = pieces.border() as i64;
        let bytes = |i: i64| {
            let piece = pieces.get_int(i);
            match piece.as_str() {
                Some(s) => s.as_bytes(),
                // What is neither a string nor a part of the subject was put there by others.
                None if piece.tag != tag::LIGHT => &[],
                None => {
                    let (start, len) = ((piece.bits >> 32) as usize, piece.bits as u32 as usize);
                    self.src.get(start..start + len).unwrap_or(&[])
                }
            }
        };
        let mut total = tail.len();
        for i in 1..=count {
            total += bytes(i).len();
        }
        check_size(vm, total)?;
        vm.charge(total as u64 >> 8);
        let text = vm.heap.string_filled(total, |mut text| {
            let parts = (1..=count).map(bytes).chain([tail]);
            for part in parts {
                let (here, rest) = text.split_at_mut(part.len());
                here.copy_from_slice(part);
                text = rest;
            }
        })?;
        Ok(Value::string(text))
    }
}
