//! Long strings made in parts, so that no library function holds the engine up however long its result is.
//!
//! The string is made at its full length, with zeros in it, and kept in a slot; a loop fills it from the front and is left when the slice
//! is used up. So what has been done is in the heap and two or three numbers in slots. Nobody else sees the string before it is done.
//!
//! A result whose length is not known in advance comes as [`Pieces`]: a list of strings, or of parts of one, that is joined at the end.

use super::string::check_size;
use crate::heap::object::Gc;
use crate::heap::string::{SHORT_MAX, Str};
use crate::heap::table::Table;
use crate::heap::value::{Value, tag};
use crate::vm::{Act, NativeFn, NativeResult, Throw, Vm};
use std::cmp::Ordering;

/// Bytes that are copied, compared or looked at between two looks at the slice.
pub(super) const STEP: usize = 256 << 10;
/// Texts up to this length are dealt with at once.
pub(super) const AT_ONCE: usize = STEP;
/// Pieces of at least this length are kept as they are.
pub(super) const LARGE_PIECE: usize = 4 << 10;
/// What a piece takes beside its bytes, in bytes, and after how many [`STEP`]s of joining the host has its turn in any case.
const PIECE_COST: usize = 32;
const ROUNDS: u32 = 16;

// ---- a string of known length ----

/// Slots that filling uses: the string, and how much of it is done.
pub(super) const FILL_SLOTS: usize = 2;

/// Pushes the slots for a string of `len` bytes, more than a short one's.
pub(super) fn begin_fill(vm: &mut Vm, len: usize) -> Result<(), Throw> {
    check_size(vm, len)?;
    let made = vm.heap.blank_string(len)?;
    vm.push(Value::string(made));
    vm.push(Value::int(0));
    Ok(())
}

/// Goes on filling the string whose slots are the last ones: `part` fills the text from one position to another. True when it is done,
/// and the string is the last slot; else return [`Act::AGAIN`].
pub(super) fn fill(
    vm: &mut Vm,
    part: &mut dyn FnMut(&mut [u8], usize, usize),
) -> Result<bool, Throw> {
    let base = vm.slots() - FILL_SLOTS;
    let Some(target) = vm.arg(base).as_str() else {
        return Err(vm.fail("nothing to fill"));
    };
    let text = vm.heap.text_in_the_making(target);
    let mut done = (vm.arg(base + 1).raw_int() as usize).min(text.len());
    while done < text.len() {
        if vm.slice_used_up() {
            vm.set_slot(base + 1, Value::int(done as i64));
            return Ok(false);
        }
        let end = (done + STEP).min(text.len());
        part(text, done, end);
        vm.charge((end - done) as u64 >> 8);
        done = end;
    }
    vm.pop();
    Ok(true)
}

// ---- joining ----

/// Slots that joining uses: the string, the number of the piece in hand, how much of it is done, how much of the whole.
const JOIN_SLOTS: usize = 4;

/// Pushes the slots for joining pieces of so many bytes in all.
fn begin_join(vm: &mut Vm, total: usize) -> Result<(), Throw> {
    check_size(vm, total)?;
    let target = if total > SHORT_MAX {
        Value::string(vm.heap.blank_string(total)?)
    } else {
        Value::NIL
    };
    vm.push(target);
    for _ in 1..JOIN_SLOTS {
        vm.push(Value::int(0));
    }
    Ok(())
}

/// Goes on joining with the slots that are the last ones; `piece` gives the pieces by their numbers from 0. `None`: return [`Act::AGAIN`].
fn join<'a>(
    vm: &mut Vm,
    piece: impl Fn(&Vm, usize) -> Option<&'a [u8]>,
) -> Result<Option<Value>, Throw> {
    let base = vm.slots() - JOIN_SLOTS;
    let Some(target) = vm.arg(base).as_str() else {
        let mut text = Vec::new();
        let mut n = 0;
        while let Some(bytes) = piece(vm, n).filter(|_| text.len() <= SHORT_MAX) {
            text.extend_from_slice(bytes);
            n += 1;
        }
        vm.set_slots(base)?;
        return vm.new_string(&text).map(Some);
    };
    let text = vm.heap.text_in_the_making(target);
    let number = |vm: &Vm, i: usize| vm.arg(base + i).raw_int() as usize;
    let (mut n, mut offset, mut done) = (number(vm, 1), number(vm, 2), number(vm, 3));
    let mut rounds = 0;
    loop {
        let before = done;
        let mut room = STEP;
        while let Some(bytes) = piece(vm, n) {
            let rest = bytes.get(offset..).unwrap_or(&[]);
            let free = text.get_mut(done..).unwrap_or(&mut []);
            let count = rest.len().min(room).min(free.len());
            free[..count].copy_from_slice(&rest[..count]);
            done += count;
            if count == rest.len() || count == free.len() {
                (n, offset) = (n + 1, 0);
            } else {
                offset += count;
            }
            room = room.saturating_sub(count + PIECE_COST);
            if room == 0 {
                break;
            }
        }
        // Only the bytes are paid for: how many pieces there are depends on where slices ended.
        vm.charge((done >> 8) as u64 - (before >> 8) as u64);
        if room > 0 {
            break;
        }
        rounds += 1;
        if rounds == ROUNDS {
            vm.end_slice();
        }
        if vm.slice_used_up() {
            for (i, n) in [n, offset, done].into_iter().enumerate() {
                vm.set_slot(base + 1 + i, Value::int(n as i64));
            }
            return Ok(None);
        }
    }
    vm.set_slots(base)?;
    Ok(Some(Value::string(target)))
}

// ---- a result in pieces ----

/// Text that grows at its end. What has been put aside is a list of strings and of parts of a subject, as light values of start and length
/// (32 bits each).
pub(super) struct Pieces {
    pub list: Option<Gc<Table>>,
    /// Pieces in the list, and their bytes. Not asked of the list: a step that is taken again finds there what it has added before.
    pub pieces: usize,
    pub listed: usize,
    /// The end, behind the list.
    pub out: Vec<u8>,
}

/// From this bit on, what a slot says of a list is the number of pieces; below, their bytes. (In worlds from before there is none: then it is counted.)
const PIECES_SHIFT: u32 = 40;

impl Pieces {
    pub fn new(vm: &mut Vm) -> Pieces {
        Pieces {
            list: None,
            pieces: 0,
            listed: 0,
            out: vm.take_scratch(),
        }
    }

    /// Takes up what [`Pieces::put_aside`] left in the last two slots.
    pub fn restore(vm: &mut Vm) -> Pieces {
        let extent = vm.pop();
        let list = vm.pop().as_table();
        let mut pieces = Pieces::new(vm);
        pieces.take_up(vm, list, extent);
        pieces
    }

    /// What a slot keeps of the list, beside the list itself.
    pub fn extent(&self) -> Value {
        Value::int(((self.pieces as u64) << PIECES_SHIFT | self.listed as u64) as i64)
    }

    /// Takes up a list as it was when it had this extent.
    pub fn take_up(&mut self, vm: &mut Vm, list: Option<Gc<Table>>, extent: Value) {
        let extent = extent.raw_int() as u64;
        self.list = list;
        self.listed = (extent & ((1 << PIECES_SHIFT) - 1)) as usize;
        self.pieces = (extent >> PIECES_SHIFT) as usize;
        let Some(list) = list else { return };
        let there = list.border() as usize;
        let mut bytes = 0;
        while self.pieces < there && extent >> PIECES_SHIFT == 0 && bytes < self.listed {
            self.pieces += 1;
            let piece = list.get_int(self.pieces as i64);
            bytes += piece
                .as_str()
                .map_or(piece.bits as u32 as usize, |s| s.len());
        }
        for at in self.pieces..there {
            // The entry exists, so this needs no memory.
            let _ = vm.raw_set_int(list, at as i64 + 1, Value::NIL);
        }
    }

    /// The length so far.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.listed + self.out.len()
    }

    /// Forgets all of it.
    pub fn clear(&mut self) {
        self.list = None;
        self.pieces = 0;
        self.listed = 0;
        self.out.clear();
    }

    /// The list, made if there is none: to be kept in a slot.
    pub fn listing(&mut self, vm: &mut Vm) -> Result<Gc<Table>, Throw> {
        if let Some(list) = self.list {
            return Ok(list);
        }
        let list = vm.new_table()?;
        let presized = vm.heap.table_presize(list, 16, 0);
        presized.map_err(|e| vm.store_error(e))?;
        self.list = Some(list);
        Ok(list)
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    fn push(&mut self, vm: &mut Vm, piece: Value, len: usize) -> Result<(), Throw> {
        let list = self.listing(vm)?;
        vm.raw_set_int(list, self.pieces as i64 + 1, piece)?;
        self.pieces += 1;
        self.listed += len;
        check_size(vm, self.listed)
    }

    /// Makes a piece of the end.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn flush(&mut self, vm: &mut Vm) -> Result<(), Throw> {
        if self.out.is_empty() {
            return Ok(());
        }
        let text = vm.new_string(&self.out)?;
        let len = self.out.len();
        self.out.clear();
        self.push(vm, text, len)
    }

    /// Keeps the end from growing without bound.
    #[inline(always)]
    pub fn settle(&mut self, vm: &mut Vm) -> Result<(), Throw> {
        if self.out.len() > STEP {
            return self.flush(vm);
        }
        Ok(())
    }

    /// Leaves everything in two new slots.
    pub fn put_aside(mut self, vm: &mut Vm) -> Result<(), Throw> {
        self.flush(vm)?;
        let (list, extent) = (self.listing(vm)?, self.extent());
        vm.give_scratch(self.out);
        vm.push(Value::table(list));
        vm.push(extent);
        Ok(())
    }

    /// Adds a string: a long one as it is.
    #[inline(always)]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn add(&mut self, vm: &mut Vm, s: Gc<Str>) -> Result<(), Throw> {
        if s.len() >= LARGE_PIECE {
            return self.add_large(vm, s);
        }
        self.out.extend_from_slice(s.as_bytes());
        Ok(())
    }

    #[cold]
    fn add_large(&mut self, vm: &mut Vm, s: Gc<Str>) -> Result<(), Throw> {
        self.flush(vm)?;
        self.push(vm, Value::string(s), s.len())
    }

    /// Adds a string as a piece of its own, whatever its length.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn add_piece(&mut self, vm: &mut Vm, s: Gc<Str>) -> Result<(), Throw> {
        self.flush(vm)?;
        self.push(vm, Value::string(s), s.len())
    }

    /// Adds a part of the subject: a long one without copying it, or any if it is `alone`.
    #[inline(always)]
    pub fn add_part(
        &mut self,
        vm: &mut Vm,
        subject: &[u8],
        start: usize,
        end: usize,
        alone: bool,
    ) -> Result<(), Throw> {
        let part = subject.get(start..end).unwrap_or(&[]);
        if part.len() >= LARGE_PIECE || alone && !part.is_empty() {
            self.flush(vm)?;
            let piece = Value::light((start as u64) << 32 | part.len() as u64);
            return self.push(vm, piece, part.len());
        }
        self.out.extend_from_slice(part);
        Ok(())
    }

    /// The whole text, as the last slot; then it is [`Pieces::go_on`]'s result too. `subject` is a string or nil. `None`: return
    /// [`Act::AGAIN`], and go on with [`Pieces::go_on`].
    pub fn finish(mut self, vm: &mut Vm, subject: Value) -> Result<Option<Value>, Throw> {
        if self.list.is_none() {
            vm.charge(self.out.len() as u64 >> 8);
            let made = vm.new_string(&self.out)?;
            vm.give_scratch(self.out);
            return Ok(Some(made));
        }
        self.flush(vm)?;
        let (list, total) = (self.listing(vm)?, self.listed);
        vm.give_scratch(self.out);
        vm.push(Value::table(list));
        vm.push(subject);
        begin_join(vm, total)?;
        Pieces::go_on(vm)
    }

    /// Goes on joining.
    pub fn go_on(vm: &mut Vm) -> Result<Option<Value>, Throw> {
        let base = vm.slots() - JOIN_SLOTS - 2;
        let subject = vm.arg(base + 1).as_str();
        let list = vm.arg(base).as_table();
        let made = join(vm, |_, n| {
            let list = list?;
            let piece = list.get_int(n as i64 + 1);
            match piece.as_str() {
                Some(s) => Some(s.as_bytes()),
                None if piece.tag != tag::LIGHT => None,
                None => {
                    let (start, len) = ((piece.bits >> 32) as usize, piece.bits as u32 as usize);
                    subject?.as_bytes().get(start..start + len)
                }
            }
        })?;
        if made.is_some() {
            vm.set_slots(base)?;
        }
        Ok(made)
    }
}

// ---- what the loop leaves to natives when strings are long (`vm::LongStrings`) ----

/// The natives, in the order of their numbers.
pub(super) const FOR_THE_LOOP: [(&str, NativeFn); 4] = [
    ("long.join", join_arguments),
    ("long.less", less),
    ("long.less_equal", less_equal),
    ("long.equal", equal),
];

/// The concatenation of the arguments. State 1: the slots of joining are behind them.
fn join_arguments(vm: &mut Vm) -> NativeResult {
    if vm.state() == 0 {
        let texts = (0..vm.slots()).filter_map(|i| vm.arg(i).as_str());
        let total = texts.map(|s| s.len()).sum();
        vm.set_state(1);
        begin_join(vm, total)?;
    }
    let count = vm.slots() - JOIN_SLOTS;
    let made = join(vm, |vm, n| {
        (n < count).then(|| vm.arg(n).as_str().map_or(&[][..], |s| s.as_bytes()))
    })?;
    match made {
        Some(made) => vm.ret(made),
        None => Ok(Act::AGAIN),
    }
}

/// How two strings compare; the answer is `decide`'s. State 1: slot 2 says how much is known to be equal.
fn compare(vm: &mut Vm, decide: fn(Ordering) -> bool) -> NativeResult {
    let (a, b) = (vm.check_str(0)?.as_bytes(), vm.check_str(1)?.as_bytes());
    if vm.state() == 0 {
        vm.set_slots(2)?;
        vm.push(Value::int(0));
        vm.set_state(1);
    }
    let mut at = vm.arg(2).raw_int() as usize;
    let both = a.len().min(b.len());
    while at < both {
        if vm.slice_used_up() {
            vm.set_slot(2, Value::int(at as i64));
            return Ok(Act::AGAIN);
        }
        let end = (at + STEP).min(both);
        let order = a[at..end].cmp(&b[at..end]);
        vm.charge((end - at) as u64 >> 8);
        if order.is_ne() {
            return vm.ret(Value::bool(decide(order)));
        }
        at = end;
    }
    vm.ret(Value::bool(decide(a.len().cmp(&b.len()))))
}

fn less(vm: &mut Vm) -> NativeResult {
    compare(vm, Ordering::is_lt)
}

fn less_equal(vm: &mut Vm) -> NativeResult {
    compare(vm, Ordering::is_le)
}

fn equal(vm: &mut Vm) -> NativeResult {
    compare(vm, Ordering::is_eq)
}
