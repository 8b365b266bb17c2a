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
//! The table being sorted is the list itself, or, where elements come and go through metamethods, a copy that is written back at the end.
//! Every access to it is raw and checked: a comparator may do anything to it meanwhile.

use super::table::{self, ALL, CALL_2_1, begin_copy, copy, state};
use crate::heap::object::Gc;
use crate::heap::table::Table;
use crate::heap::value::{Value, tag};
use crate::vm::meta::{Event, number_less};
use crate::vm::{NativeResult, Throw, Vm};
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

/// `table.sort (list [, comp])`
pub(super) fn sort(vm: &mut Vm) -> NativeResult {
    const ENDS: u32 = Step::Ends as u32;
    const MIDDLE_LOW: u32 = Step::MiddleLow as u32;
    const UP_MIDDLE: u32 = Step::UpMiddle as u32;
    const LEFT: u32 = Step::Left as u32;
    const RIGHT: u32 = Step::Right as u32;
    let step = match vm.state() {
        LEFT => Step::Left,
        RIGHT => Step::Right,
        ENDS => Step::Ends,
        MIDDLE_LOW => Step::MiddleLow,
        UP_MIDDLE => Step::UpMiddle,
        _ => return begin(vm),
    };
    let answer = vm.pop().is_truthy();
    steps(vm, step, answer)
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
    if vm.arg(1).is_nil() && sort_array(vm, t, length as usize)? {
        return finish(vm, length);
    }
    for v in [
        pack(1, length as u32),
        Value::int(0),
        Value::NIL,
        Value::int(0),
        Value::int(length),
    ] {
        vm.push(v);
    }
    steps(vm, Step::Range, false)
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

/// Goes on with the answer to a question until the next one must be asked outside.
fn steps(vm: &mut Vm, step: Step, answer: bool) -> NativeResult {
    let Some(t) = vm.arg(WORK).as_table() else {
        return vm.ret_none();
    };
    let comparator = vm.arg(1);
    let (mut lo, mut up) = unpack(vm.arg(RANGE));
    let (mut i, mut j) = unpack(vm.arg(CURSOR));
    let mut pivot = vm.arg(PIVOT);
    let (mut step, mut answer) = (step, answer);
    let get = |n: u32| t.get_int(n as i64);
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
                vm.charge((up - lo) as u64 / 8);
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
        answer = match less(vm, comparator, a, b)? {
            Some(answer) => answer,
            None => {
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

/// Sorts numbers or strings that all lie in the array part; false if they do not. No call can come of comparing them, and equal ones
/// cannot be told apart (but for `1` and `1.0`, whose order is the sort's own affair), so any algorithm will do.
fn sort_array(vm: &mut Vm, mut t: Gc<Table>, length: usize) -> Result<bool, Throw> {
    let Some(slice) = t.array().get(..length) else {
        return Ok(false);
    };
    let all = |wanted: fn(&Value) -> bool| slice.iter().all(wanted);
    enum Kind {
        Ints,
        Numbers,
        Strings,
    }
    let kind = match slice[0].tag {
        tag::INT if all(|v| v.is_int()) => Kind::Ints,
        // With a NaN there is no order, and the reference may say so.
        tag::INT | tag::FLOAT if all(|v| v.is_int() || v.is_float() && !v.raw_float().is_nan()) => {
            Kind::Numbers
        }
        tag::STR | tag::LONG_STR if all(|v| v.is_string()) => Kind::Strings,
        _ => return Ok(false),
    };
    vm.charge(length as u64 * (length as u64).ilog2() as u64 / 32);
    vm.heap.barrier(t);
    let slice = &mut t.array_mut()[..length];
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
    Ok(true)
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
fn sort_keyed(slice: &mut [Value], key: fn(Value) -> u64, tie: fn(Value, Value) -> Ordering) {
    let mut keyed: Vec<(u64, Value)> = slice.iter().map(|v| (key(*v), *v)).collect();
    keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| tie(a.1, b.1)));
    for (slot, (_, v)) in slice.iter_mut().zip(keyed) {
        *slot = v;
    }
}
