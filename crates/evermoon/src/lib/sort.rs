//! `table.sort` (manual 6.6): quicksort with the median of three, smaller part first.
//!
//! A comparison may call Lua, which may yield, collect or be saved; so the algorithm is a machine of five questions ([`Step`]) and all that
//! it knows lies in slots as plain values. It asks the same questions in the same order as the reference, so an unstable order comes out
//! alike, and an invalid order function is noticed in the same cases.
//!
//! ```text
//! slot 0  the list as given         4  i and j, packed
//!      1  comparator or nil         5  pivot
//!      2  the table being sorted    6  the pivots' random number
//!      3  lo and up, packed         7  length       8…  ranges still to be sorted, packed: at most 32, since the larger part waits
//! ```
//! Numbers or strings in the array part need no calls and no particular order of questions: they are sorted by a plain quicksort down to
//! ranges that are sorted at once ([`simple`]). Slot 6 then holds the [`Kind`], slot 5 is nil between two ranges, and `i` and `j` are
//! where the partition has come to.
//!
//! The table being sorted is the list itself, or, where elements come and go through metamethods, a copy that is written back at the end.
//! Every access to it is raw and checked: a comparator may do anything to it meanwhile.

use super::table::{self, ALL, CALL_2_1, begin_copy, copy, state};
use crate::heap::object::Gc;
use crate::heap::table::Table;
use crate::heap::value::{Value, tag};
use crate::vm::meta::{Event, number_less};
use crate::vm::{Act, NativeResult, Throw, Vm};
use std::cmp::Ordering;

const WORK: usize = 2;
const RANGE: usize = 3;
const CURSOR: usize = 4;
const PIVOT: usize = 5;
const RANDOM: usize = 6;
const LENGTH: usize = 7;
const WAITING: usize = 8;

/// Ranges longer than this choose their middle by a random number, which changes when a partition turns out badly.
const RANDOM_PIVOT_MIN: u32 = 100;

/// Which question has just been answered; the state of the native is its number.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Step {
    /// None: begin with the range in hand, or take the next.
    Range = 20,
    /// `a[up] < a[lo]`
    Ends,
    /// `a[middle] < a[lo]`
    MiddleLow,
    /// `a[up] < a[middle]`
    UpMiddle,
    /// `a[i] < pivot`
    Left,
    /// `pivot < a[j]`
    Right,
}

/// Added to a step's number: its question is to be asked again, after a slice was used up.
const AGAIN: u32 = 20;
/// States of the simple sort: looking what the elements are (the slots hold how far, and what so far), and sorting.
const LOOKING: u32 = 60;
const SIMPLE: u32 = 61;

/// Questions that are answered without a call between two looks at the slice, and what they cost.
const QUESTIONS: u32 = 16;
const QUESTIONS_FUEL: u64 = 2;

/// `table.sort (list [, comp])`
#[cfg_attr(evermoon_small, optimize(speed))]
pub(super) fn sort(vm: &mut Vm) -> NativeResult {
    const ENDS: u32 = Step::Ends as u32;
    const MIDDLE_LOW: u32 = Step::MiddleLow as u32;
    const UP_MIDDLE: u32 = Step::UpMiddle as u32;
    const LEFT: u32 = Step::Left as u32;
    const RIGHT: u32 = Step::Right as u32;
    let state = vm.state();
    let again = (Step::Range as u32 + AGAIN..LOOKING).contains(&state);
    let step = match if again { state - AGAIN } else { state } {
        LEFT => Step::Left,
        RIGHT => Step::Right,
        ENDS => Step::Ends,
        MIDDLE_LOW => Step::MiddleLow,
        UP_MIDDLE => Step::UpMiddle,
        LOOKING => return look(vm),
        SIMPLE => return simple(vm),
        _ => return begin(vm),
    };
    if again {
        return steps(vm, step, None);
    }
    let answer = vm.pop().is_truthy();
    steps(vm, step, Some(answer))
}

fn begin(vm: &mut Vm) -> NativeResult {
    let length = match vm.state() {
        0 => match table::length(vm, ALL)? {
            Some(n) => n,
            None => return CALL_2_1,
        },
        state::LENGTH => table::returned_length(vm)?,
        state::COPY.. => return begin_copied(vm),
        _ => return vm.ret_none(),
    };
    if length < 2 {
        return vm.ret_none();
    }
    if length >= i32::MAX as i64 {
        return Err(vm.arg_error(0, "array too big"));
    }
    if !vm.arg(1).is_nil() && !vm.arg(1).is_function() {
        return Err(vm.arg_type_error(1, "function"));
    }
    vm.set_slots(2)?;
    vm.ensure_stack(64)?;
    let list = vm.arg(0);
    let direct = match list.as_table() {
        Some(t) => match t.metatable {
            None => true,
            Some(mt) => {
                vm.event_of(mt, Event::Index).is_nil() && vm.event_of(mt, Event::NewIndex).is_nil()
            }
        },
        None => false,
    };
    if direct {
        vm.push(list);
        return prepare(vm, length);
    }
    let work = Value::table(vm.new_table()?);
    vm.push(work);
    vm.push(Value::int(length));
    begin_copy(vm, list, work, 1, 1, length as u64, 1);
    vm.set_state(state::COPY);
    begin_copied(vm)
}

/// The elements are being copied, in (the length waits below the copy's slots) or back out.
fn begin_copied(vm: &mut Vm) -> NativeResult {
    if vm.state() >= state::COPY_BACK {
        return match copy(vm, state::COPY_BACK)? {
            Some(act) => Ok(act),
            None => vm.ret_none(),
        };
    }
    if let Some(act) = copy(vm, state::COPY)? {
        return Ok(act);
    }
    let length = vm.pop().raw_int();
    prepare(vm, length)
}

/// The table to sort is in its slot: sort it at once if that takes no calls, else set up the slots.
fn prepare(vm: &mut Vm, length: i64) -> NativeResult {
    let Some(t) = vm.arg(WORK).as_table() else {
        return vm.ret_none();
    };
    if vm.arg(1).is_nil() {
        if length <= SMALL {
            if sort_range(vm, t, 1, length as u32, None)? {
                return finish(vm, length);
            }
        } else if t.array().len() as i64 >= length {
            for v in [
                pack(1, length as u32),
                pack(1, 0),
                Value::NIL,
                Value::NIL,
                Value::int(length),
            ] {
                vm.push(v);
            }
            return look(vm);
        }
    }
    general(vm, length)
}

/// Sorts by questions, whatever the elements are and in whatever order they stand.
fn general(vm: &mut Vm, length: i64) -> NativeResult {
    vm.set_slots(WORK + 1)?;
    for v in [
        pack(1, length as u32),
        Value::int(0),
        Value::NIL,
        Value::int(0),
        Value::int(length),
    ] {
        vm.push(v);
    }
    steps(vm, Step::Range, Some(false))
}

/// All is sorted: a copy is written back.
fn finish(vm: &mut Vm, length: i64) -> NativeResult {
    let (list, work) = (vm.arg(0), vm.arg(WORK));
    if work.raw_equals(list) {
        return vm.ret_none();
    }
    begin_copy(vm, work, list, 1, 1, length as u64, 1);
    vm.set_state(state::COPY_BACK);
    begin_copied(vm)
}

#[inline(always)]
fn pack(a: u32, b: u32) -> Value {
    Value::int(((a as u64) << 32 | b as u64) as i64)
}

#[inline(always)]
fn unpack(v: Value) -> (u32, u32) {
    ((v.bits >> 32) as u32, v.bits as u32)
}

/// `a < b` by the comparator or by Lua's rules: `None` when a call has been pushed.
#[inline(always)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn less(vm: &mut Vm, comparator: Value, a: Value, b: Value) -> Result<Option<bool>, Throw> {
    if comparator.is_nil() {
        return vm.less_than(a, b);
    }
    vm.push(comparator);
    vm.push(a);
    vm.push(b);
    Ok(None)
}

#[inline]
fn swap(vm: &mut Vm, t: Gc<Table>, a: u32, b: u32) -> Result<(), Throw> {
    let (x, y) = (t.get_int(a as i64), t.get_int(b as i64));
    vm.raw_set_int(t, a as i64, y)?;
    vm.raw_set_int(t, b as i64, x)
}

/// Goes on with the answer to a question, or with the question if it has none yet, until the next one must be asked outside.
#[cfg_attr(evermoon_small, optimize(speed))]
fn steps(vm: &mut Vm, step: Step, answer: Option<bool>) -> NativeResult {
    let Some(t) = vm.arg(WORK).as_table() else {
        return vm.ret_none();
    };
    let comparator = vm.arg(1);
    let (mut lo, mut up) = unpack(vm.arg(RANGE));
    let (mut i, mut j) = unpack(vm.arg(CURSOR));
    let mut pivot = vm.arg(PIVOT);
    let get = |n: u32| t.get_int(n as i64);
    let mut asked = 0;
    let mut step = step;
    let mut answer = match answer {
        Some(answer) => answer,
        None => {
            let (a, b) = match step {
                Step::Ends => (get(up), get(lo)),
                Step::MiddleLow => (get(i), get(lo)),
                Step::UpMiddle => (get(up), get(i)),
                Step::Right => (pivot, get(j)),
                _ => (get(i), pivot),
            };
            match less(vm, comparator, a, b)? {
                Some(answer) => answer,
                None => {
                    vm.set_state(step as u32);
                    return CALL_2_1;
                }
            }
        }
    };
    loop {
        // Each arm ends with the next question: two values.
        let (a, b) = match step {
            Step::Range => {
                if lo >= up {
                    if vm.slots() == WAITING {
                        let length = vm.arg(LENGTH).raw_int();
                        return finish(vm, length);
                    }
                    let range = vm.pop();
                    vm.set_slot(RANGE, range);
                    (lo, up) = unpack(range);
                    continue;
                }
                step = Step::Ends;
                (get(up), get(lo))
            }
            Step::Ends => {
                if answer {
                    swap(vm, t, lo, up)?;
                }
                if up - lo == 1 {
                    lo = up;
                    step = Step::Range;
                    continue;
                }
                i = middle(lo, up, vm.arg(RANDOM).raw_int() as u32);
                step = Step::MiddleLow;
                (get(i), get(lo))
            }
            Step::MiddleLow if !answer => {
                step = Step::UpMiddle;
                (get(up), get(i))
            }
            Step::MiddleLow | Step::UpMiddle => {
                if answer {
                    let other = if step == Step::MiddleLow { lo } else { up };
                    swap(vm, t, i, other)?;
                }
                if up - lo == 2 {
                    lo = up;
                    step = Step::Range;
                    continue;
                }
                // The pivot waits at the end; lo and up are on their right sides already.
                pivot = get(i);
                vm.set_slot(PIVOT, pivot);
                swap(vm, t, i, up - 1)?;
                (i, j) = (lo + 1, up - 1);
                step = Step::Left;
                (get(i), pivot)
            }
            Step::Left if answer => {
                if i == up - 1 {
                    return Err(vm.fail("invalid order function for sorting"));
                }
                i += 1;
                (get(i), pivot)
            }
            Step::Left => {
                j -= 1;
                step = Step::Right;
                (pivot, get(j))
            }
            Step::Right if answer => {
                if j < i {
                    return Err(vm.fail("invalid order function for sorting"));
                }
                j -= 1;
                (pivot, get(j))
            }
            Step::Right if j >= i => {
                swap(vm, t, i, j)?;
                i += 1;
                step = Step::Left;
                (get(i), pivot)
            }
            Step::Right => {
                swap(vm, t, up - 1, i)?;
                (lo, up) = split(vm, lo, i, up);
                step = Step::Range;
                continue;
            }
        };
        asked += 1;
        if asked == QUESTIONS {
            asked = 0;
            vm.charge(QUESTIONS_FUEL);
            if vm.slice_used_up() {
                vm.set_slot(CURSOR, pack(i, j));
                vm.set_state(step as u32 + AGAIN);
                return Ok(Act::AGAIN);
            }
        }
        answer = match less(vm, comparator, a, b)? {
            Some(answer) => answer,
            None => {
                vm.charge(1);
                // The call lies above the slots, which can be written all the same.
                vm.set_slot(CURSOR, pack(i, j));
                vm.set_state(step as u32);
                return CALL_2_1;
            }
        };
    }
}

/// The element that becomes the pivot.
fn middle(lo: u32, up: u32, random: u32) -> u32 {
    if up - lo <= RANDOM_PIVOT_MIN {
        return lo + (up - lo) / 2;
    }
    // Somewhere in the middle two quarters.
    let quarter = (up - lo) / 4;
    lo + quarter + random % (quarter * 2)
}

/// The pivot has come to `at`: the larger side waits, the smaller one is next and is returned.
fn split(vm: &mut Vm, lo: u32, at: u32, up: u32) -> (u32, u32) {
    let (small, large) = if at - lo < up - at {
        ((lo, at - 1), (at + 1, up))
    } else {
        ((at + 1, up), (lo, at - 1))
    };
    // A partition this uneven may be someone's intent: choose differently from now on.
    let size = if at - lo < up - at { at - lo } else { up - at };
    if large.1.saturating_sub(large.0) / 128 > size {
        let n = vm
            .arg(RANDOM)
            .bits
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        vm.set_slot(RANDOM, Value::int((n >> 33) as i64));
    }
    vm.push(pack(large.0, large.1));
    vm.set_slot(RANGE, pack(small.0, small.1));
    small
}

// ---- numbers and strings ----

/// What the elements are. No call can come of comparing them, and equal ones cannot be told apart (but for `1` and `1.0`, whose order is
/// the sort's own affair), so any algorithm will do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ints,
    /// With no NaN among them: with one there is no order, and the reference may say so.
    Numbers,
    /// None of them long: comparing long ones takes time, which must be paid for.
    Strings,
}

/// Up to so many elements are sorted at once.
const SMALL: i64 = 1 << 12;
/// Longest string that is compared unpaid.
const STRING_MAX: usize = 256;
/// Elements that are looked at, or moved in a partition, between two looks at the slice.
const LOOK_CHUNK: usize = 1 << 16;
const PARTITION_CHUNK: usize = 1 << 13;

impl Kind {
    /// What an element is, if it can be sorted simply at all.
    #[inline(always)]
    fn of(v: &Value) -> Option<Kind> {
        match v.tag {
            tag::INT => Some(Kind::Ints),
            tag::FLOAT if !v.raw_float().is_nan() => Some(Kind::Numbers),
            tag::STR => Some(Kind::Strings),
            tag::LONG_STR => v
                .as_str()
                .filter(|s| s.len() <= STRING_MAX)
                .map(|_| Kind::Strings),
            _ => None,
        }
    }
    /// What a list is that has elements of both kinds.
    #[inline(always)]
    fn with(self, other: Kind) -> Option<Kind> {
        match (self, other) {
            (a, b) if a == b => Some(a),
            (Kind::Strings, _) | (_, Kind::Strings) => None,
            _ => Some(Kind::Numbers),
        }
    }
    fn of_all(slice: &[Value], first: Option<Kind>) -> Option<Kind> {
        let mut kind = match first {
            Some(kind) => kind,
            None => Kind::of(slice.first()?)?,
        };
        for v in slice {
            kind = kind.with(Kind::of(v)?)?;
        }
        Some(kind)
    }
    fn from_value(v: Value) -> Option<Kind> {
        Some(match v.as_int()? {
            0 => Kind::Ints,
            1 => Kind::Numbers,
            _ => Kind::Strings,
        })
    }
    /// The longest range that is sorted at once.
    fn leaf(self) -> u32 {
        match self {
            Kind::Ints => 1 << 14,
            Kind::Numbers => 1 << 13,
            Kind::Strings => 1 << 12,
        }
    }
    /// Comparisons that cost a unit of fuel.
    fn per_fuel(self) -> u64 {
        match self {
            Kind::Ints => 32,
            Kind::Numbers => 16,
            Kind::Strings => 8,
        }
    }
}

/// Looks whether the elements can be sorted simply; `i` is the next to be looked at.
#[cfg_attr(evermoon_small, optimize(speed))]
fn look(vm: &mut Vm) -> NativeResult {
    let length = vm.arg(LENGTH).raw_int();
    let (mut next, _) = unpack(vm.arg(CURSOR));
    loop {
        let t = vm.arg(WORK).as_table();
        let Some(rest) = t
            .as_ref()
            .and_then(|t| t.array().get(next as usize - 1..length as usize))
        else {
            return general(vm, length);
        };
        let chunk = &rest[..rest.len().min(LOOK_CHUNK)];
        let Some(kind) = Kind::of_all(chunk, Kind::from_value(vm.arg(RANDOM))) else {
            return general(vm, length);
        };
        let done = chunk.len() == rest.len();
        next += chunk.len() as u32;
        vm.charge(chunk.len() as u64 / 64);
        vm.set_slot(RANDOM, Value::int(kind as i64));
        vm.set_slot(CURSOR, pack(next, 0));
        if done {
            return simple(vm);
        }
        if vm.slice_used_up() {
            vm.set_state(LOOKING);
            return Ok(Act::AGAIN);
        }
    }
}

/// Sorts by partitions until ranges are small.
#[cfg_attr(evermoon_small, optimize(speed))]
fn simple(vm: &mut Vm) -> NativeResult {
    let length = vm.arg(LENGTH).raw_int();
    let (Some(mut t), Some(kind)) = (vm.arg(WORK).as_table(), Kind::from_value(vm.arg(RANDOM)))
    else {
        return vm.ret_none();
    };
    loop {
        if vm.slice_used_up() {
            vm.set_state(SIMPLE);
            return Ok(Act::AGAIN);
        }
        let (lo, up) = unpack(vm.arg(RANGE));
        if t.array().len() < length as usize || lo == 0 || up as i64 > length {
            // Somebody has changed it meanwhile.
            return general(vm, length);
        }
        let pivot = vm.arg(PIVOT);
        if pivot.is_nil() {
            if up.saturating_sub(lo) >= kind.leaf() {
                let pivot = some_middle(&t.array()[lo as usize - 1..up as usize], kind);
                vm.set_slot(PIVOT, pivot);
                vm.set_slot(CURSOR, pack(lo, up));
                continue;
            }
            if lo < up && !sort_range(vm, t, lo, up, Some(kind))? {
                return general(vm, length);
            }
            if vm.slots() == WAITING {
                return finish(vm, length);
            }
            let range = vm.pop();
            vm.set_slot(RANGE, range);
            continue;
        }
        vm.heap.barrier(t);
        let (i, j) = unpack(vm.arg(CURSOR));
        let slice = &mut t.array_mut()[lo as usize - 1..up as usize];
        // Indices into the slice, `j` behind the last that is not known to belong to the upper side.
        let ends = ((i - lo) as usize, (j + 1 - lo) as usize);
        let ((i, j), left) = match kind {
            Kind::Ints => partition(
                slice,
                ends,
                |a| a.raw_int() < pivot.raw_int(),
                |a| pivot.raw_int() < a.raw_int(),
            ),
            Kind::Numbers => partition(
                slice,
                ends,
                |a| number_less(*a, pivot),
                |a| number_less(pivot, *a),
            ),
            Kind::Strings => {
                let p = text(&pivot);
                partition(slice, ends, |a| text(a) < p, |a| p < text(a))
            }
        };
        let moved = (PARTITION_CHUNK - left) as u64;
        vm.charge(1 + moved * 4 / kind.per_fuel());
        if i < j {
            vm.set_slot(
                CURSOR,
                pack(lo + i as u32, (lo + j as u32).saturating_sub(1)),
            );
            continue;
        }
        // The upper side waits, or the lower one if it is the larger.
        let (lower, upper) = ((lo, (lo + j as u32).saturating_sub(1)), (lo + i as u32, up));
        let size = |r: (u32, u32)| (r.1 + 1).saturating_sub(r.0);
        let (next, later) = if size(lower) < size(upper) {
            (lower, upper)
        } else {
            (upper, lower)
        };
        vm.push(pack(later.0, later.1));
        vm.set_slot(RANGE, pack(next.0, next.1));
        vm.set_slot(PIVOT, Value::NIL);
    }
}

/// Hoare's partition of `slice[i..j]` for a while: how far it has come, and what is left of the chunk. It is done when `i >= j`: then
/// what is below `j` is not above the pivot, and what is from `i` on not below it.
#[inline(always)]
fn partition(
    slice: &mut [Value],
    ends: (usize, usize),
    below: impl Fn(&Value) -> bool,
    above: impl Fn(&Value) -> bool,
) -> ((usize, usize), usize) {
    let (mut i, mut j) = ends;
    j = j.min(slice.len());
    let mut left = PARTITION_CHUNK;
    while i < j && left > 0 {
        if below(&slice[i]) {
            i += 1;
        } else if above(&slice[j - 1]) {
            j -= 1;
        } else {
            slice.swap(i, j - 1);
            i += 1;
            j -= 1;
        }
        left -= 1;
    }
    ((i, j), left)
}

/// An element that is likely to be in the middle: the median of nine.
fn some_middle(slice: &[Value], kind: Kind) -> Value {
    let mut nine = [Value::NIL; 9];
    let mut state = slice.len() as u64;
    for v in &mut nine {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        *v = slice[((state >> 33) as usize) % slice.len()];
    }
    order(&mut nine, kind);
    nine[4]
}

/// Sorts elements from `lo` to `up` at once; false if they are not in the array part, or not what can be sorted simply.
fn sort_range(
    vm: &mut Vm,
    mut t: Gc<Table>,
    lo: u32,
    up: u32,
    kind: Option<Kind>,
) -> Result<bool, Throw> {
    let range = lo as usize - 1..up as usize;
    let Some(kind) = t
        .array()
        .get(range.clone())
        .and_then(|slice| Kind::of_all(slice, kind))
    else {
        return Ok(false);
    };
    let count = range.len() as u64;
    vm.charge(count * count.ilog2() as u64 / kind.per_fuel());
    vm.heap.barrier(t);
    order(&mut t.array_mut()[range], kind);
    Ok(true)
}

fn order(slice: &mut [Value], kind: Kind) {
    match kind {
        Kind::Ints => sort_keyed(
            slice,
            |v| (v.raw_int() as u64) ^ 1 << 63,
            |_, _| Ordering::Equal,
        ),
        // The nearest floats are in the order of the numbers; where they are equal the numbers themselves decide.
        Kind::Numbers => sort_keyed(slice, float_rank, number_order),
        Kind::Strings => sort_keyed(slice, prefix, |a, b| text(&a).cmp(text(&b))),
    }
}

/// A number for a float (for an integer, the float nearest to it) that is in the same order as the floats. Zeros have one number.
fn float_rank(v: Value) -> u64 {
    let float = if v.is_int() {
        v.raw_int() as f64
    } else {
        v.raw_float()
    };
    let bits = (float + 0.0).to_bits();
    if bits >> 63 == 0 {
        bits ^ 1 << 63
    } else {
        !bits
    }
}

fn number_order(a: Value, b: Value) -> Ordering {
    if number_less(a, b) {
        Ordering::Less
    } else if number_less(b, a) {
        Ordering::Greater
    } else {
        Ordering::Equal
    }
}

fn text(v: &Value) -> &[u8] {
    v.as_str().map_or(&[][..], |s| s.as_bytes())
}

/// The first eight bytes, which decide most comparisons of strings.
fn prefix(v: Value) -> u64 {
    let bytes = text(&v);
    let mut first = [0; 8];
    let n = bytes.len().min(8);
    first[..n].copy_from_slice(&bytes[..n]);
    u64::from_be_bytes(first)
}

/// Sorts by keys that are kept beside the values, and by `tie` where those are equal. Plain function pointers: the sort exists once.
#[cfg_attr(evermoon_small, optimize(speed))]
fn sort_keyed(slice: &mut [Value], key: fn(Value) -> u64, tie: fn(Value, Value) -> Ordering) {
    let mut keyed: Vec<(u64, Value)> = slice.iter().map(|v| (key(*v), *v)).collect();
    keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| tie(a.1, b.1)));
    for (slot, (_, v)) in slice.iter_mut().zip(keyed) {
        *slot = v;
    }
}
