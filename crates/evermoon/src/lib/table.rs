//! The table library (manual 6.6).
//!
//! All of it honours metamethods, as 5.4 does, so any access may have to call Lua. Each function first tries the common case, a table
//! without a metatable, straight on its parts; what is left is a state machine whose whole memory is in its slots: copying elements from
//! one object to another is [`copy`], sorting is in `sort.rs`.

use super::pieces::{LARGE_PIECE, Pieces};
use super::sort;
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
#[inline]
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
pub(super) const CALL_2_1: NativeResult = Ok(Act::calling(2, 1));
const CALL_3_0: NativeResult = Ok(Act::calling(3, 0));

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
        if vm.slice_used_up() && element.is_none() {
            save_copy(vm, base, from, to, left);
            vm.set_state(first);
            return Ok(Some(Act::AGAIN));
        }
        if let (Some((s, d)), None) = (raw, element) {
            let mut count = 0;
            if s == d {
                count = shift_block(vm, d, from, to, left, step);
                vm.charge(count / 64);
            }
            if count == 0 {
                // One that makes room may be all that is missing for a block.
                count = left.min(if s == d { COPY_CHUNK / 64 } else { COPY_CHUNK });
                let (mut from, mut to) = (from, to);
                for _ in 0..count {
                    vm.raw_set_int(d, to, s.get_int(from))?;
                    from = from.wrapping_add(step);
                    to = to.wrapping_add(step);
                }
                vm.charge(count / 8);
            }
            from = from.wrapping_add(step.wrapping_mul(count as i64));
            to = to.wrapping_add(step.wrapping_mul(count as i64));
            left -= count;
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

/// Elements moved inside an array part at once.
const BLOCK: u64 = 1 << 16;

/// Moves up to a block of elements inside the array part; how many, which is 0 if they do not lie there.
fn shift_block(vm: &mut Vm, mut t: Gc<Table>, from: i64, to: i64, left: u64, step: i64) -> u64 {
    let len = t.array().len() as i64;
    let inside = |at: i64| (1..=len).contains(&at);
    if !inside(from) || !inside(to) || (to > from) != (step < 0) {
        return 0;
    }
    // As many as there are between the positions and the end towards which both go.
    let room = if step > 0 { len + 1 - from } else { from };
    let count = left.min(BLOCK).min(room as u64);
    let n = count as usize;
    let (from, to) = (from as usize - 1, to as usize - 1);
    vm.heap.barrier(t);
    let array = t.array_mut();
    if step > 0 {
        array.copy_within(from..from + n, to);
    } else {
        array.copy_within(from + 1 - n..from + 1, to + 1 - n);
    }
    t.trim();
    count
}

fn save_copy(vm: &mut Vm, base: usize, from: i64, to: i64, left: u64) {
    vm.set_slot(base + 2, Value::int(from));
    vm.set_slot(base + 3, Value::int(to));
    vm.set_slot(base + 4, Value::int(left as i64));
}

/// `t[key] = v` as the last thing a function does, which then returns its top `results` slots.
fn store_last(vm: &mut Vm, t: Value, key: i64, v: Value, results: u32) -> NativeResult {
    if vm.set_index(t, Value::int(key), v)? {
        return Ok(Act::returning(results));
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
                return Ok(Act::returning(0));
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
    if t.array().len() as i64 != size || at < 1 || at > size || (size - at) as u64 > BLOCK {
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
        STORED => Ok(Act::returning(1)),
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
        if size == t.array().len() as i64 && at >= 1 && at <= size && (size - at) as u64 <= BLOCK {
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
    Ok(Act::returning(1))
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
        None => Ok(Act::returning(1)),
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
        return Ok(Act::returning(0));
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
        return Ok(Act::returning(count as u32));
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
            return Ok(Act::returning(done as u32));
        }
        if vm.slice_used_up() {
            vm.set_state(state::ELEMENT);
            return Ok(Act::AGAIN);
        }
        vm.charge(1);
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

/// States of `concat`: the next elements of a plain table are due; elements that metamethods give are; the pieces are being joined.
const PLAIN: u32 = 11;
const GENERAL: u32 = 12;
const JOINING: u32 = 13;

/// `table.concat (list [, sep [, i [, j]]])`. Slots behind the arguments: the table that is read (nil at first), next, last; in `PLAIN`
/// also the text so far.
fn concat(vm: &mut Vm) -> NativeResult {
    let size = match vm.state() {
        0 => match length(vm, READ_LENGTH)? {
            Some(n) => n,
            None => return CALL_2_1,
        },
        state::LENGTH => returned_length(vm)?,
        PLAIN => {
            let text = Pieces::restore(vm);
            return concat_plain(vm, text);
        }
        JOINING => {
            let made = Pieces::go_on(vm)?;
            return concat_joined(vm, made);
        }
        GENERAL => return concat_general(vm, None),
        _ => {
            let v = vm.pop();
            return concat_general(vm, Some(v));
        }
    };
    vm.opt_str(1)?;
    let first = vm.opt_int(2, 1)?;
    let last = vm.opt_int(3, size)?;
    if first > last {
        return vm.ret_bytes(b"");
    }
    vm.set_slots(4)?;
    let list = vm.arg(0);
    if plain(list).is_some() {
        concat_slots(vm, list, first, last)?;
        let text = Pieces::new(vm);
        return concat_plain(vm, text);
    }
    // Elements that metamethods give are collected in a table of our own.
    let elements = Value::table(vm.new_table()?);
    concat_slots(vm, elements, first, last)?;
    concat_general(vm, None)
}

fn concat_slots(vm: &mut Vm, table: Value, next: i64, last: i64) -> Result<(), Throw> {
    vm.set_slots(4)?;
    for v in [table, Value::int(next), Value::int(last)] {
        vm.push(v);
    }
    Ok(())
}

/// Elements between two looks at the slice.
const CONCAT_CHUNK: i64 = 256;

fn concat_plain(vm: &mut Vm, mut text: Pieces) -> NativeResult {
    let Some(t) = vm.arg(4).as_table() else {
        return vm.ret_none();
    };
    let (mut i, last) = (vm.arg(5).raw_int(), vm.arg(6).raw_int());
    let separator = vm.opt_str(1)?.filter(|s| !s.is_empty());
    loop {
        // Long elements are not copied yet.
        let mut copied = 0;
        let stop = last.min(i.saturating_add(CONCAT_CHUNK - 1));
        let start = i;
        loop {
            let v = t.get_int(i);
            match v.tag {
                tag::STR | tag::LONG_STR => {
                    if let Some(s) = v.as_str() {
                        if s.len() < LARGE_PIECE {
                            copied += s.len();
                        }
                        text.add(vm, s)?;
                    }
                }
                tag::INT => number::push_int(&mut text.out, v.raw_int()),
                tag::FLOAT => number::push_float(&mut text.out, v.raw_float()),
                _ => return Err(invalid_piece(vm, v, i)),
            }
            if let Some(separator) = separator
                && i != last
            {
                text.add(vm, separator)?;
            }
            if i == stop {
                break;
            }
            i += 1;
        }
        vm.charge((stop - start) as u64 / 16 + (copied as u64 >> 8));
        if i == last {
            break;
        }
        i += 1;
        text.settle(vm)?;
        super::string::check_size(vm, text.len())?;
        if vm.slice_used_up() {
            vm.set_slot(5, Value::int(i));
            text.put_aside(vm)?;
            vm.set_state(PLAIN);
            return Ok(Act::AGAIN);
        }
    }
    let made = text.finish(vm, Value::NIL)?;
    concat_joined(vm, made)
}

fn concat_joined(vm: &mut Vm, made: Option<Value>) -> NativeResult {
    match made {
        Some(text) => vm.ret(text),
        None => {
            vm.set_state(JOINING);
            Ok(Act::AGAIN)
        }
    }
}

fn invalid_piece(vm: &mut Vm, v: Value, i: i64) -> Throw {
    let name = v.type_of().name();
    vm.fail(&format!(
        "invalid value ({name}) at index {i} in table for 'concat'"
    ))
}

fn concat_general(vm: &mut Vm, element: Option<Value>) -> NativeResult {
    let (list, last) = (vm.arg(0), vm.arg(6).raw_int());
    let Some(elements) = vm.arg(4).as_table() else {
        return vm.ret_none();
    };
    let mut element = element;
    loop {
        let next = vm.arg(5).raw_int();
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
        // By its place, so that a step which is taken again puts it there again.
        let count = next.wrapping_sub(vm.opt_int(2, 1)?).wrapping_add(1);
        vm.raw_set_int(elements, count, v)?;
        vm.charge(1);
        if next == last {
            concat_slots(vm, Value::table(elements), 1, count)?;
            let text = Pieces::new(vm);
            return concat_plain(vm, text);
        }
        vm.set_slot(5, Value::int(next + 1));
        if vm.slice_used_up() {
            vm.set_state(GENERAL);
            return Ok(Act::AGAIN);
        }
    }
}
