//! The table library (manual 6.6).
//!
//! All of it honours metamethods, as 5.4 does, so any access may have to call Lua. Each function first tries the common case, a table
//! without a metatable, straight on its parts; what is left is a state machine whose whole memory is in its slots: copying elements from
//! one object to another is [`copy`], sorting is in `sort.rs`.

use super::sort;
use crate::heap::OutOfMemory;
use crate::heap::number;
use crate::heap::object::Gc;
use crate::heap::table::Table;
use crate::heap::value::{Value, tag};
use crate::vm::meta::Event;
use crate::vm::{Act, NativeFn, NativeResult, Throw, Vm};

const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("concat", concat),
    ("insert", insert),
    ("move", move_),
    ("pack", pack),
    ("remove", remove),
    ("sort", sort::sort),
    ("unpack", unpack),
];

pub fn open(vm: &mut Vm) -> Result<(), Throw> {
    let library = vm.new_table()?;
    vm.register_library("table", library, FUNCTIONS)?;
    super::publish(vm, "table", library)
}

/// States that all functions here share.
pub(super) mod state {
    /// A `__len` metamethod has returned.
    pub const LENGTH: u32 = 1;
    /// An `__index` metamethod has returned an element.
    pub const ELEMENT: u32 = 2;
    /// An `__eq` metamethod has answered.
    pub const EQUAL: u32 = 3;
    /// Copying goes on (three numbers).
    pub const COPY: u32 = 4;
    pub const COPY_BACK: u32 = 7;
}

/// What is done to an argument that should be a table: what it needs to have if it is something else.
pub(super) const READ: &[Event] = &[Event::Index];
pub(super) const WRITE: &[Event] = &[Event::NewIndex];
pub(super) const READ_LENGTH: &[Event] = &[Event::Index, Event::Len];
pub(super) const ALL: &[Event] = &[Event::Index, Event::NewIndex, Event::Len];

/// Argument `i` is a table, or has the metamethods to pass for one.
fn check_tabular(vm: &mut Vm, i: usize, needs: &[Event]) -> Result<(), Throw> {
    let v = vm.arg(i);
    if v.is_table() || needs.iter().all(|&event| !vm.metamethod(v, event).is_nil()) {
        return Ok(());
    }
    Err(vm.arg_type_error(i, "table"))
}

/// A value that is a table without a metatable.
#[inline(always)]
pub(super) fn plain(v: Value) -> Option<Gc<Table>> {
    v.as_table().filter(|t| t.metatable.is_none())
}

/// The length of argument 0, by its metamethod if it has one: `None` when that was called (state `LENGTH`; return [`CALL_2_1`]).
pub(super) fn length(vm: &mut Vm, needs: &[Event]) -> Result<Option<i64>, Throw> {
    let v = vm.arg(0);
    if let Some(t) = plain(v) {
        return Ok(Some(t.border() as i64));
    }
    check_tabular(vm, 0, needs)?;
    any_length(vm, v)
}

fn any_length(vm: &mut Vm, v: Value) -> Result<Option<i64>, Throw> {
    match vm.length(v)? {
        Some(n) => integer_length(vm, n).map(Some),
        None => {
            vm.set_state(state::LENGTH);
            Ok(None)
        }
    }
}

/// The length that a metamethod has returned, on top of the slots.
pub(super) fn returned_length(vm: &mut Vm) -> Result<i64, Throw> {
    let v = vm.pop();
    integer_length(vm, v)
}

fn integer_length(vm: &mut Vm, v: Value) -> Result<i64, Throw> {
    match vm.to_int(v) {
        Some(n) => Ok(n),
        None => Err(vm.fail("object length is not an integer")),
    }
}

/// Calls of metamethods: arguments and results.
pub(super) const CALL_2_1: NativeResult = Ok(Act::Call {
    args: 2,
    results: 1,
});
const CALL_3_0: NativeResult = Ok(Act::Call {
    args: 3,
    results: 0,
});

// ---- copying ----

/// Slots that a copy uses: source, destination, from, to, how many are left, step.
const COPY_SLOTS: usize = 6;
/// Elements copied between two safe points.
const COPY_CHUNK: u64 = 4096;

/// Begins copying `count` elements, `destination[to], … = source[from], …`, both going by `step`. Then [`copy`] until it is done.
pub(super) fn begin_copy(
    vm: &mut Vm,
    source: Value,
    destination: Value,
    from: i64,
    to: i64,
    count: u64,
    step: i64,
) {
    for v in [source, destination] {
        vm.push(v);
    }
    for n in [from, to, count as i64, step] {
        vm.push(Value::int(n));
    }
}

/// Goes on copying: `None` when all is done and the copy's slots are gone, else what to return. `first` is the first of the three states
/// in which it may have stopped (or any other state in the beginning).
pub(super) fn copy(vm: &mut Vm, first: u32) -> Result<Option<Act>, Throw> {
    // It stopped in `first + 1` to read an element: that is on top of the slots. It need not know why it stopped in the others.
    let mut element = if vm.state() == first + 1 {
        Some(vm.pop())
    } else {
        None
    };
    let base = vm.slots() - COPY_SLOTS;
    let (source, destination) = (vm.arg(base), vm.arg(base + 1));
    let mut from = vm.arg(base + 2).raw_int();
    let mut to = vm.arg(base + 3).raw_int();
    let mut left = vm.arg(base + 4).raw_int() as u64;
    let step = vm.arg(base + 5).raw_int();
    let raw = plain(source).zip(plain(destination));
    loop {
        if left == 0 {
            vm.set_slots(base)?;
            return Ok(None);
        }
        if let (Some((s, d)), None) = (raw, element) {
            let chunk = left.min(COPY_CHUNK);
            for _ in 0..chunk {
                vm.raw_set_int(d, to, s.get_int(from))?;
                from = from.wrapping_add(step);
                to = to.wrapping_add(step);
            }
            left -= chunk;
            vm.charge(chunk / 8);
            if left > 0 {
                save_copy(vm, base, from, to, left);
                vm.set_state(first);
                return Ok(Some(Act::Again));
            }
            continue;
        }
        let v = match element.take() {
            Some(v) => v,
            None => match vm.index(source, Value::int(from))? {
                Some(v) => v,
                None => {
                    save_copy(vm, base, from, to, left);
                    vm.set_state(first + 1);
                    return CALL_2_1.map(Some);
                }
            },
        };
        let target = Value::int(to);
        from = from.wrapping_add(step);
        to = to.wrapping_add(step);
        left -= 1;
        if !vm.set_index(destination, target, v)? {
            save_copy(vm, base, from, to, left);
            vm.set_state(first + 2);
            return CALL_3_0.map(Some);
        }
        vm.charge(1);
    }
}

fn save_copy(vm: &mut Vm, base: usize, from: i64, to: i64, left: u64) {
    vm.set_slot(base + 2, Value::int(from));
    vm.set_slot(base + 3, Value::int(to));
    vm.set_slot(base + 4, Value::int(left as i64));
}

/// `t[key] = v` as the last thing a function does, which then returns its top `results` slots.
fn store_last(vm: &mut Vm, t: Value, key: i64, v: Value, results: u32) -> NativeResult {
    if vm.set_index(t, Value::int(key), v)? {
        return Ok(Act::Return(results));
    }
    vm.set_state(STORED);
    CALL_3_0
}

/// The last store's metamethod has returned.
const STORED: u32 = 10;

// ---- insert and remove ----

/// `table.insert (list, [pos,] value)`
fn insert(vm: &mut Vm) -> NativeResult {
    let size = match vm.state() {
        0 => {
            // The common case before anything else: append to a plain table.
            if let Some(t) = plain(vm.arg(0))
                && vm.slots() == 2
            {
                let v = vm.arg(1);
                vm.raw_set_int(t, t.border() as i64 + 1, v)?;
                return Ok(Act::Return(0));
            }
            match length(vm, ALL)? {
                Some(n) => n,
                None => return CALL_2_1,
            }
        }
        state::LENGTH => returned_length(vm)?,
        STORED => return vm.ret_none(),
        _ => return insert_shifted(vm),
    };
    // The first free position.
    let end = size.wrapping_add(1);
    let list = vm.arg(0);
    match vm.slots() {
        2 => {
            let v = vm.arg(1);
            store_last(vm, list, end, v, 0)
        }
        3 => {
            let at = vm.check_int(1)?;
            if (at as u64).wrapping_sub(1) >= end as u64 {
                return Err(vm.arg_error(1, "position out of bounds"));
            }
            let v = vm.arg(2);
            if let Some(t) = plain(list)
                && insert_plain(vm, t, size, at, v)?
            {
                return vm.ret_none();
            }
            // t[end] = t[end - 1], …, t[at + 1] = t[at]
            begin_copy(
                vm,
                list,
                list,
                end.wrapping_sub(1),
                end,
                end.wrapping_sub(at) as u64,
                -1,
            );
            insert_shifted(vm)
        }
        _ => Err(vm.fail("wrong number of arguments to 'insert'")),
    }
}

/// Moves the tail of an array part up in one go. False when the elements do not all lie there.
fn insert_plain(
    vm: &mut Vm,
    mut t: Gc<Table>,
    size: i64,
    at: i64,
    v: Value,
) -> Result<bool, Throw> {
    if t.array().len() as i64 != size || at < 1 || at > size {
        return Ok(false);
    }
    // The last element is not nil (a border), so it makes the array part longer, unless the hash part has the key.
    let last = t.get_int(size);
    vm.raw_set_int(t, size + 1, last)?;
    if (t.array().len() as i64) <= size {
        vm.raw_set_int(t, size + 1, Value::NIL)?;
        return Ok(false);
    }
    let (at, size) = (at as usize, size as usize);
    t.array_mut().copy_within(at - 1..size - 1, at);
    vm.charge((size - at) as u64 / 64);
    vm.raw_set_int(t, at as i64, v)?;
    Ok(true)
}

fn insert_shifted(vm: &mut Vm) -> NativeResult {
    if let Some(act) = copy(vm, state::COPY)? {
        return Ok(act);
    }
    let (list, at, v) = (vm.arg(0), vm.check_int(1)?, vm.arg(2));
    store_last(vm, list, at, v, 0)
}

/// `table.remove (list [, pos])`
fn remove(vm: &mut Vm) -> NativeResult {
    match vm.state() {
        0 => {
            let size = match length(vm, ALL)? {
                Some(n) => n,
                None => return CALL_2_1,
            };
            remove_at(vm, size)
        }
        state::LENGTH => {
            let size = returned_length(vm)?;
            remove_at(vm, size)
        }
        state::ELEMENT => remove_shift(vm),
        STORED => Ok(Act::Return(1)),
        _ => remove_shifted(vm),
    }
}

fn remove_at(vm: &mut Vm, size: i64) -> NativeResult {
    let at = vm.opt_int(1, size)?;
    // One behind the end is allowed, and so is 0 when the list is empty.
    if at != size && (at as u64).wrapping_sub(1) > size as u64 {
        return Err(vm.arg_error(1, "position out of bounds"));
    }
    let list = vm.arg(0);
    if let Some(mut t) = plain(list) {
        let v = t.get_int(at);
        if size == t.array().len() as i64 && at >= 1 && at <= size {
            if at < size {
                vm.heap.barrier(t);
                t.array_mut().copy_within(at as usize.., at as usize - 1);
                vm.charge((size - at) as u64 / 64);
            }
            vm.raw_set_int(t, size, Value::NIL)?;
            return vm.ret(v);
        }
    }
    vm.set_slots(1)?;
    vm.push(Value::int(at));
    vm.push(Value::int(size));
    match vm.index(list, Value::int(at))? {
        Some(v) => {
            vm.push(v);
            remove_shift(vm)
        }
        None => {
            vm.set_state(state::ELEMENT);
            CALL_2_1
        }
    }
}

/// The removed element is in slot 3: the ones behind it follow.
fn remove_shift(vm: &mut Vm) -> NativeResult {
    let (list, at, size) = (vm.arg(0), vm.arg(1).raw_int(), vm.arg(2).raw_int());
    let count = if at < size {
        size.wrapping_sub(at) as u64
    } else {
        0
    };
    begin_copy(vm, list, list, at.wrapping_add(1), at, count, 1);
    vm.set_state(state::COPY);
    remove_shifted(vm)
}

fn remove_shifted(vm: &mut Vm) -> NativeResult {
    if let Some(act) = copy(vm, state::COPY)? {
        return Ok(act);
    }
    let (list, at, size) = (vm.arg(0), vm.arg(1).raw_int(), vm.arg(2).raw_int());
    store_last(vm, list, at.max(size), Value::NIL, 1)
}

// ---- move, pack, unpack ----

/// `table.move (a1, f, e, t [,a2])`
fn move_(vm: &mut Vm) -> NativeResult {
    match vm.state() {
        0 => {}
        state::EQUAL => {
            let same = vm.pop().is_truthy();
            return move_elements(vm, same);
        }
        _ => return move_done(vm),
    }
    let (first, last, to) = (vm.check_int(1)?, vm.check_int(2)?, vm.check_int(3)?);
    let target = if vm.arg(4).is_nil() { 0 } else { 4 };
    check_tabular(vm, 0, READ)?;
    check_tabular(vm, target, WRITE)?;
    vm.set_slots(5)?;
    if target == 0 {
        let list = vm.arg(0);
        vm.set_slot(4, list);
    }
    if last >= first {
        if first <= 0 && last >= i64::MAX.wrapping_add(first) {
            return Err(vm.arg_error(2, "too many elements to move"));
        }
        if to > i64::MAX - (last - first) {
            return Err(vm.arg_error(3, "destination wrap around"));
        }
        if target == 0 || to > last || to <= first {
            return move_elements(vm, target == 0);
        }
        // Whether two objects overlap is a question of their equality, metamethods included.
        let (a, b) = (vm.arg(0), vm.arg(4));
        match vm.equals(a, b)? {
            Some(same) => return move_elements(vm, same),
            None => {
                vm.set_state(state::EQUAL);
                return CALL_2_1;
            }
        }
    }
    Ok(Act::Return(1))
}

fn move_elements(vm: &mut Vm, same: bool) -> NativeResult {
    let (first, last, to) = (vm.check_int(1)?, vm.check_int(2)?, vm.check_int(3)?);
    let (source, target) = (vm.arg(0), vm.arg(4));
    let count = (last - first) as u64 + 1;
    if to > last || to <= first || !same {
        begin_copy(vm, source, target, first, to, count, 1);
    } else {
        begin_copy(vm, source, target, last, to + (last - first), count, -1);
    }
    vm.set_state(state::COPY);
    move_done(vm)
}

fn move_done(vm: &mut Vm) -> NativeResult {
    match copy(vm, state::COPY)? {
        Some(act) => Ok(act),
        None => Ok(Act::Return(1)),
    }
}

/// `table.pack (···)`
fn pack(vm: &mut Vm) -> NativeResult {
    let count = vm.slots();
    let t = vm.new_table()?;
    let room = vm.heap.table_presize(t, count as u32, 1);
    room.map_err(|e| vm.store_error(e))?;
    for i in 0..count {
        let v = vm.arg(i);
        vm.raw_set_int(t, i as i64 + 1, v)?;
    }
    vm.raw_set_name(t, "n", Value::int(count as i64))?;
    vm.charge(count as u64 / 16);
    vm.ret(Value::table(t))
}

/// `table.unpack (list [, i [, j]])`
fn unpack(vm: &mut Vm) -> NativeResult {
    match vm.state() {
        0 => {}
        state::LENGTH => {
            let n = returned_length(vm)?;
            return unpack_range(vm, n);
        }
        // The element is where the results are.
        _ => return unpack_elements(vm),
    }
    let first = vm.opt_int(1, 1)?;
    if !vm.arg(2).is_nil() {
        let last = vm.check_int(2)?;
        return unpack_range(vm, last);
    }
    vm.set_slots(3)?;
    vm.set_slot(1, Value::int(first));
    let list = vm.arg(0);
    if let Some(t) = plain(list) {
        return unpack_range(vm, t.border() as i64);
    }
    match any_length(vm, list)? {
        Some(n) => unpack_range(vm, n),
        None => CALL_2_1,
    }
}

fn unpack_range(vm: &mut Vm, last: i64) -> NativeResult {
    let first = vm.opt_int(1, 1)?;
    if first > last {
        return Ok(Act::Return(0));
    }
    let count = last.wrapping_sub(first) as u64;
    if count >= vm.limits.stack_max as u64 || vm.exec.top + count as usize + 8 > vm.limits.stack_max
    {
        return Err(vm.fail("too many results to unpack"));
    }
    let count = count as usize + 1;
    vm.set_slots(3)?;
    vm.ensure_stack(count + 3)?;
    if let Some(t) = plain(vm.arg(0)) {
        vm.charge(count as u64 / 16);
        if first >= 1 && last <= t.array().len() as i64 {
            for &v in &t.array()[first as usize - 1..last as usize] {
                vm.push(v);
            }
        } else {
            for i in 0..count {
                vm.push(t.get_int(first.wrapping_add(i as i64)));
            }
        }
        return Ok(Act::Return(count as u32));
    }
    vm.set_slot(1, Value::int(first));
    vm.set_slot(2, Value::int(last));
    unpack_elements(vm)
}

/// List, first and last are in slots 0 to 2, the elements so far behind them.
fn unpack_elements(vm: &mut Vm) -> NativeResult {
    let (list, first, last) = (vm.arg(0), vm.arg(1).raw_int(), vm.arg(2).raw_int());
    loop {
        let done = vm.slots() - 3;
        let key = first.wrapping_add(done as i64);
        if done as u64 > last.wrapping_sub(first) as u64 {
            return Ok(Act::Return(done as u32));
        }
        match vm.index(list, Value::int(key))? {
            Some(v) => vm.push(v),
            None => {
                vm.set_state(state::ELEMENT);
                return CALL_2_1;
            }
        }
    }
}

// ---- concat ----

/// `table.concat (list [, sep [, i [, j]]])`
fn concat(vm: &mut Vm) -> NativeResult {
    let size = match vm.state() {
        0 => match length(vm, READ_LENGTH)? {
            Some(n) => n,
            None => return CALL_2_1,
        },
        state::LENGTH => returned_length(vm)?,
        _ => {
            let v = vm.pop();
            return concat_general(vm, Some(v));
        }
    };
    let separator = vm.opt_str(1)?;
    let first = vm.opt_int(2, 1)?;
    let last = vm.opt_int(3, size)?;
    if first > last {
        return vm.ret_bytes(b"");
    }
    if let Some(t) = plain(vm.arg(0)) {
        let separator = separator.map_or(&[][..], |s| s.as_bytes());
        return concat_plain(vm, t, separator, first, last);
    }
    // Elements that metamethods give are collected in a table of our own.
    vm.set_slots(4)?;
    let pieces = vm.new_table()?;
    for v in [Value::int(first), Value::int(last), Value::table(pieces)] {
        vm.push(v);
    }
    concat_general(vm, None)
}

fn concat_plain(
    vm: &mut Vm,
    t: Gc<Table>,
    separator: &[u8],
    first: i64,
    last: i64,
) -> NativeResult {
    let room = vm.heap.bytes_max.saturating_sub(vm.heap.bytes());
    let mut out = Vec::new();
    let mut i = first;
    loop {
        let v = t.get_int(i);
        match v.tag {
            tag::STR | tag::LONG_STR => {
                out.extend_from_slice(v.as_str().map_or(&[][..], |s| s.as_bytes()))
            }
            tag::INT => number::push_int(&mut out, v.raw_int()),
            tag::FLOAT => number::push_float(&mut out, v.raw_float()),
            _ => return Err(invalid_piece(vm, v, i)),
        }
        if i == last {
            break;
        }
        out.extend_from_slice(separator);
        if out.len() > room {
            return Err(Throw::Memory(OutOfMemory::new(out.len())));
        }
        if out.len() > vm.limits.string_max {
            return Err(vm.fail("resulting string too large"));
        }
        i += 1;
    }
    vm.charge((last - first) as u64 / 16 + out.len() as u64 / 256);
    vm.ret_bytes(&out)
}

fn invalid_piece(vm: &mut Vm, v: Value, i: i64) -> Throw {
    let name = v.type_of().name();
    vm.fail(&format!(
        "invalid value ({name}) at index {i} in table for 'concat'"
    ))
}

/// Slots: list, separator, the two limits as given, next, last, pieces so far.
fn concat_general(vm: &mut Vm, element: Option<Value>) -> NativeResult {
    let (list, last) = (vm.arg(0), vm.arg(5).raw_int());
    let Some(pieces) = vm.arg(6).as_table() else {
        return vm.ret_none();
    };
    let mut element = element;
    loop {
        let next = vm.arg(4).raw_int();
        let v = match element.take() {
            Some(v) => v,
            None => match vm.index(list, Value::int(next))? {
                Some(v) => v,
                None => {
                    vm.set_state(state::ELEMENT);
                    return CALL_2_1;
                }
            },
        };
        if !v.is_string() && !v.is_number() {
            return Err(invalid_piece(vm, v, next));
        }
        let count = pieces.border() as i64 + 1;
        vm.raw_set_int(pieces, count, v)?;
        vm.charge(1);
        if next == last {
            let separator = vm.opt_str(1)?.map_or(&[][..], |s| s.as_bytes());
            return concat_plain(vm, pieces, separator, 1, count);
        }
        vm.set_slot(4, Value::int(next + 1));
    }
}
