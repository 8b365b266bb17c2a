//! Worlds: the exports by which a host keeps what an engine holds in a store of its own (`docs/abi.md`, "Worlds").
//!
//! The module asks for records by key and is supplied with them; it never calls the host. So what needs a record that is not here ends with
//! status `FAULT`, and is to be done again when the record has been supplied.
//!
//! Invariants
//! 1. What a commit under way writes can be read here until the host has said how the commit went: objects that were let go meanwhile come
//!    back from it.
//! 2. In a *complete* world everything that the store has is here, and a key that is not here is in no store: nothing faults. In another
//!    one that holds for the keys of `known` ranges, and records are dropped when there are too many of them, but never while something
//!    waits for them.

use crate::abi::{engine, range};
use crate::engine::{Engine, status};
use crate::slot::{Refusal, Slot, kind, pack};
use evermoon::heap::value::Value;
use evermoon::ordered;
use evermoon::persist::{Backing, Delta, Fetch, LoadError, Scanned, Write};
use evermoon::stdlib;
use evermoon::vm::{Throw, Vm};
use std::cell::RefCell;
use std::rc::Rc;

/// Bytes of records beyond which those of an incomplete world are dropped.
const RECORDS_MAX: usize = 16 << 20;

/// Records by key; `None` for what the store does not have.
pub(crate) type Map = ordered::Map<Vec<u8>, Option<Vec<u8>>>;

/// The bit in a key's length that makes an entry a range of keys, from its key (inclusive) to its value (exclusive).
const RANGE: u32 = 1 << 31;
/// The bit in a wanted range's limit that says: from its end.
const REVERSE: u32 = 1 << 31;

/// An inclusive and an exclusive bound.
pub(crate) type Range = (Vec<u8>, Vec<u8>);
/// A range that is wanted: how many entries, and from which end.
pub(crate) type Wanted = (Range, u32);

/// What the host has supplied.
#[derive(Default)]
pub struct Records {
    complete: bool,
    map: Map,
    bytes: usize,
    /// Ranges of which everything that the store has is in `map`; none touches another.
    known: Vec<Range>,
    /// A range that is wanted, and how.
    scan: Option<Wanted>,
    /// Of the commit under way: what it writes, and the ranges that it empties before.
    in_flight: Option<Map>,
    emptied: Vec<Range>,
}

pub(crate) fn has((from, to): &Range, key: &[u8]) -> bool {
    &from[..] <= key && key < &to[..]
}

/// The first (last) entries of a map that has values for all.
pub(crate) fn first_of(map: &Map, limit: usize, reverse: bool) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let mut items = map.iter();
    while found.len() < limit
        && let Some((key, value)) = if reverse {
            items.next_back()
        } else {
            items.next()
        }
    {
        found.extend(value.as_ref().map(|value| (key.clone(), value.clone())));
    }
    found
}

/// Adds a range to those that are known; none of them touches another.
pub(crate) fn know(known: &mut Vec<Range>, mut range: Range) {
    if range.0 >= range.1 {
        return;
    }
    known.retain(|other| {
        let apart = other.1 < range.0 || range.1 < other.0;
        if !apart {
            range.0 = range.0.as_slice().min(&other.0).to_vec();
            range.1 = range.1.as_slice().max(&other.1).to_vec();
        }
        apart
    });
    known.push(range);
}

/// A wanted range in the list of what is wanted.
pub(crate) fn put_range(out: &mut Vec<u8>, ((from, to), how): Wanted) {
    out.extend_from_slice(&(from.len() as u32 | RANGE).to_le_bytes());
    out.extend_from_slice(&(to.len() as u32 + 4).to_le_bytes());
    out.extend_from_slice(&from);
    out.extend_from_slice(&how.to_le_bytes());
    out.extend_from_slice(&to);
}

fn size(key: &[u8], value: Option<&Vec<u8>>) -> usize {
    key.len() + value.map_or(0, Vec::len)
}

impl Records {
    pub fn get(&self, key: &[u8]) -> Fetch {
        let under_way = self.in_flight.as_ref().and_then(|map| map.get(key));
        match under_way.or_else(|| self.map.get(key)) {
            Some(Some(value)) => Fetch::Found(value.clone()),
            Some(None) => Fetch::Missing,
            None if self.is_known(key) || self.is_emptied(key) => Fetch::Missing,
            None => Fetch::Later,
        }
    }

    fn is_known(&self, key: &[u8]) -> bool {
        self.complete || self.known.iter().any(|range| has(range, key))
    }

    fn is_emptied(&self, key: &[u8]) -> bool {
        self.emptied.iter().any(|range| has(range, key))
    }

    /// Entries of a range in their order or its reverse. What is not known of it is noted as wanted.
    pub fn scan(&mut self, from: &[u8], to: &[u8], limit: usize, reverse: bool) -> Scanned {
        if from >= to {
            return Scanned::Entries(Vec::new());
        }
        let (mut low, mut high) = (from, to);
        if !self.complete {
            let first = |(a, b): &&Range| {
                if reverse {
                    &a[..] < to && to <= &b[..]
                } else {
                    &a[..] <= from && from < &b[..]
                }
            };
            match (self.known.iter().find(first), reverse) {
                (Some((_, end)), false) => high = to.min(end),
                (Some((begin, _)), true) => low = from.max(begin),
                (None, false) => high = from,
                (None, true) => low = to,
            }
        }
        let found = self.laid_over(low, high, limit, reverse);
        if found.len() == limit || (low, high) == (from, to) {
            return Scanned::Entries(found);
        }
        let rest = if reverse { (from, low) } else { (high, to) };
        let how = (limit as u32).min(REVERSE - 1) | if reverse { REVERSE } else { 0 };
        self.scan = Some(((rest.0.to_vec(), rest.1.to_vec()), how));
        Scanned::Later
    }

    /// The first (last) entries of a known range, with what a commit under way writes laid over them.
    fn laid_over(
        &self,
        low: &[u8],
        high: &[u8],
        limit: usize,
        reverse: bool,
    ) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found = Map::new();
        if low >= high {
            return Vec::new();
        }
        let own = self.in_flight.as_ref();
        for map in [Some(&self.map), own].into_iter().flatten() {
            let is_own = own.is_some_and(|own| std::ptr::eq(own, map));
            let mut range = map.range(low, Some(high));
            let mut left = limit;
            while left > 0
                && let Some((key, value)) = if reverse {
                    range.next_back()
                } else {
                    range.next()
                }
            {
                let hidden = !is_own
                    && (own.is_some_and(|own| own.contains_key(key)) || self.is_emptied(key));
                if value.is_some() && !hidden {
                    found.insert(key.clone(), value.clone());
                    left -= 1;
                }
            }
        }
        first_of(&found, limit, reverse)
    }

    fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.forget(&key);
        if value.is_some() || !self.complete {
            self.bytes += size(&key, value.as_ref());
            self.map.insert(key, value);
        }
    }

    fn forget(&mut self, key: &[u8]) {
        if let Some(old) = self.map.remove(key) {
            self.bytes -= size(key, old.as_ref());
        }
    }

    /// Writes the wanted range, if there is one, behind wanted keys.
    pub fn put_wanted(&mut self, out: &mut Vec<u8>) {
        if let Some(wanted) = self.scan.take() {
            put_range(out, wanted);
        }
    }

    /// Takes entries of the form [`put_entry`]; false if they are not whole.
    pub fn supply(&mut self, mut flat: &[u8]) -> bool {
        while !flat.is_empty() {
            let Some((is_range, key, value, rest)) = take_entry(flat) else {
                return false;
            };
            let (key, value) = (key.to_vec(), value.map(<[u8]>::to_vec));
            match (is_range, value) {
                (true, Some(to)) => know(&mut self.known, (key, to)),
                (true, None) => return false,
                (false, value) => self.set(key, value),
            }
            flat = rest;
        }
        true
    }

    /// Drops what can be had again, if there is much.
    pub fn trim(&mut self) {
        if !self.complete && self.bytes > RECORDS_MAX {
            self.map.clear();
            self.known.clear();
            self.bytes = 0;
        }
    }

    fn begin(&mut self, delta: &Delta) {
        let mut map = Map::new();
        self.emptied.clear();
        for write in &delta.writes {
            match write {
                Write::Put(key, value) => {
                    map.insert(key.clone(), Some(value.clone()));
                }
                Write::Delete(key) => {
                    map.insert(key.clone(), None);
                }
                Write::DeleteRange(from, to) => {
                    let known = self.map.range(&from[..], Some(&to[..]));
                    for key in known.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
                        map.insert(key, None);
                    }
                    self.emptied.push((from.clone(), to.clone()));
                }
            }
        }
        self.in_flight = Some(map);
    }

    fn committed(&mut self) {
        self.emptied.clear();
        for (key, value) in self.in_flight.take().unwrap_or_default().into_items() {
            if self.is_known(&key) {
                self.set(key, value);
            } else {
                self.forget(&key);
            }
        }
    }

    fn failed(&mut self) {
        self.emptied.clear();
        self.in_flight = None;
    }
}

/// A key's length, its value's (all ones for a key that is absent), key, value.
pub fn put_entry(out: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    out.extend_from_slice(&(key.len() as u32).to_le_bytes());
    out.extend_from_slice(&value.map_or(u32::MAX, |v| v.len() as u32).to_le_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(value.unwrap_or_default());
}

/// Whether it is a range, its key, its value, what follows.
#[allow(clippy::type_complexity)]
pub(crate) fn take_entry(flat: &[u8]) -> Option<(bool, &[u8], Option<&[u8]>, &[u8])> {
    let (key, rest) = flat.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_first_chunk::<4>()?;
    let key = u32::from_le_bytes(*key);
    let is_range = key & RANGE != 0;
    let (key, rest) = rest.split_at_checked((key & !RANGE) as usize)?;
    match u32::from_le_bytes(*value) {
        u32::MAX => Some((is_range, key, None, rest)),
        len => {
            let (value, rest) = rest.split_at_checked(len as usize)?;
            Some((is_range, key, Some(value), rest))
        }
    }
}

/// Writes for the host: for each a byte (0 put, 1 delete, 2 delete from the key up to the value), then an entry.
pub fn put_writes(out: &mut Vec<u8>, delta: &Delta) {
    for write in &delta.writes {
        let (op, key, value) = match write {
            Write::Put(key, value) => (0, key, &value[..]),
            Write::Delete(key) => (1, key, &[][..]),
            Write::DeleteRange(from, to) => (2, from, &to[..]),
        };
        put_write(out, op, key, value);
    }
}

/// One write of these: 0 a put, 1 a deletion, 2 of a range.
pub fn put_write(out: &mut Vec<u8>, op: u8, key: &[u8], value: &[u8]) {
    out.push(op);
    put_entry(out, key, Some(value));
}

struct Supplied(Rc<RefCell<Records>>);

impl Backing for Supplied {
    fn get(&mut self, key: &[u8]) -> Fetch {
        self.0.borrow().get(key)
    }
    fn scan(&mut self, from: &[u8], to: &[u8], limit: usize, reverse: bool) -> Scanned {
        self.0.borrow_mut().scan(from, to, limit, reverse)
    }
    fn can_scan(&self) -> bool {
        true
    }
    fn may_wait(&self) -> bool {
        !self.0.borrow().complete
    }
}

/// What an engine has of its world beside what the engine crate has.
#[derive(Default)]
pub struct World {
    records: Rc<RefCell<Records>>,
    opened: bool,
    /// Bytes in memory beyond which contents are let go.
    resident_max: usize,
    /// Bytes that a slot names.
    out: Vec<u8>,
    wanted: Vec<u8>,
}

impl Engine {
    fn world(&mut self) -> &mut World {
        self.world.get_or_insert_default()
    }

    /// Between two slices: lets contents go when there are too many in memory.
    #[inline]
    pub fn let_go(&mut self) {
        let Some(world) = &self.world else { return };
        if world.resident_max > 0 && self.vm.heap.resident_bytes() > world.resident_max {
            self.vm.world_evict();
        }
    }

    fn bytes_slot(bytes: &[u8]) -> Slot {
        Slot {
            payload: bytes.as_ptr() as usize as u64 | (bytes.len() as u64) << 32,
            kind: kind::STRING,
            detail: 0,
        }
    }

    fn number_slot(n: u64) -> Slot {
        Slot {
            payload: n,
            kind: kind::INT,
            detail: 0,
        }
    }

    fn give_slots(&mut self, slots: &[Slot], status: u32) -> u32 {
        self.room(slots.len());
        self.slots[..slots.len()].copy_from_slice(slots);
        self.mailbox.count = slots.len() as u32;
        self.publish(status)
    }

    /// `ERROR` with a message (and a second text) in the slots.
    fn say(&mut self, message: &str, path: &str) -> u32 {
        let world = self.world();
        world.out.clear();
        world.out.extend_from_slice(message.as_bytes());
        world.out.extend_from_slice(path.as_bytes());
        let (message, path) = world.out.split_at(message.len());
        let slots = [Self::bytes_slot(message), Self::bytes_slot(path)];
        self.give_slots(&slots, status::ERROR)
    }

    fn loaded(&mut self, result: Result<(), LoadError>) -> u32 {
        match result {
            Ok(()) => {
                self.world().records.borrow_mut().trim();
                self.empty(status::DONE)
            }
            Err(LoadError::Later) => self.empty(status::FAULT),
            Err(LoadError::Memory) => self.refuse(Refusal::Memory),
            Err(e) => self.say(&e.to_string(), ""),
        }
    }
}

const NO_WORLD: Refusal = Refusal::Misuse("no world is attached: em_world_open first");

/// `em_world_supply(engine, address, len) -> 1 or 0`: records from the store, good from here on: for each its key's length, its value's (all ones when the
/// store does not have the key), key and value. Also before `em_world_open`.
#[unsafe(no_mangle)]
pub extern "C" fn em_world_supply(number: u32, address: u32, len: u32) -> u32 {
    match (engine(number), range(address, len)) {
        (Some((e, _inside)), Some(flat)) => e.world().records.borrow_mut().supply(flat) as u32,
        _ => 0,
    }
}

/// `em_world_open(engine, complete, resident_max: f64) -> status`: attaches a world to an engine, which then has the world's state, or keeps its own if the
/// store is empty. With `complete` the host has supplied everything that the store has; else it supplies what is wanted, and calls again after `FAULT`.
/// `DONE`: slot 0 is whether the store held a world. After `ERROR` (slot 0 the message) the engine is of no use.
#[unsafe(no_mangle)]
pub extern "C" fn em_world_open(number: u32, complete: u32, resident_max: f64) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return status::MISUSE;
    };
    let world = e.world();
    if world.opened {
        return e.refuse(Refusal::Misuse("the engine has its world already"));
    }
    world.records.borrow_mut().complete = complete != 0;
    world.resident_max = resident_max.clamp(0.0, usize::MAX as f64 / 2.0) as usize;
    let records = world.records.clone();
    if !e.vm.has_world() && stdlib::ext::open(&mut e.vm).is_err() {
        return e.refuse(Refusal::Memory);
    }
    match e
        .vm
        .open_world(Box::new(Supplied(records)), vec![stdlib::io::codec()])
    {
        Ok(held) => {
            e.world().opened = true;
            e.results(&[Value::bool(held)])
        }
        Err(error) => e.loaded(Err(error)),
    }
}

/// The globals that every world has: its own external table, twice, and the table that host and program share for a run.
const HOME: &str = "_home";
const ALIAS: &str = "Memory";

/// `em_world_library(engine) -> status`: gives an open world those of the globals `_home`, `Memory` and `_io` that it lacks. `DONE`: slot 0 is whether
/// it lacked any. May `FAULT`.
#[unsafe(no_mangle)]
pub extern "C" fn em_world_library(number: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return status::MISUSE;
    };
    if !e.vm.has_world() {
        return e.refuse(NO_WORLD);
    }
    match library(&mut e.vm) {
        Ok(added) => e.results(&[Value::bool(added)]),
        Err(throw) => e.refuse(throw.into()),
    }
}

fn library(vm: &mut Vm) -> Result<bool, Throw> {
    let globals = vm.globals;
    let home = vm.raw_get_name(globals, HOME)?.is_nil();
    let exchange = vm.raw_get_name(globals, stdlib::ext::EXCHANGE)?.is_nil();
    if home {
        let table = Value::table(vm.new_external_table()?);
        vm.raw_set_name(globals, HOME, table)?;
        vm.raw_set_name(globals, ALIAS, table)?;
    }
    if exchange && let Some(table) = vm.permanent(stdlib::ext::EXCHANGE) {
        vm.raw_set_name(globals, stdlib::ext::EXCHANGE, table)?;
    }
    Ok(home || exchange)
}

/// `em_world_wanted(engine) -> bytes`: how many bytes the list of what is wanted has: keys (entries with absent values), and at most one range. The list is
/// given once, and leaves the slots alone.
#[unsafe(no_mangle)]
pub extern "C" fn em_world_wanted(number: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return 0;
    };
    let wanted = e.vm.take_wanted();
    let world = e.world();
    let out = &mut world.wanted;
    out.clear();
    for key in &wanted {
        put_entry(out, key, None);
    }
    world.records.borrow_mut().put_wanted(out);
    out.len() as u32
}

/// `em_world_wanted_at(engine) -> address` of that list.
#[unsafe(no_mangle)]
pub extern "C" fn em_world_wanted_at(number: u32) -> u32 {
    engine(number).map_or(0, |(e, _inside)| e.world().wanted.as_ptr() as usize as u32)
}

/// `em_world_touch(engine, handle) -> status`: has what a handle holds loaded, before the calls for tables are made with it.
#[unsafe(no_mangle)]
pub extern "C" fn em_world_touch(number: u32, handle: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return status::MISUSE;
    };
    match e.held(handle) {
        Ok(v) => {
            let done = e.vm.world_load(v);
            e.loaded(done)
        }
        Err(refusal) => e.refuse(refusal),
    }
}

/// `em_world_delta(engine) -> status`: what has changed since the last commit. `DONE`: slot 0 the writes (a byte each: 0 put, 1 delete, 2 delete from the first
/// up to the second; then two lengths and two byte strings), slot 1 how many objects, slot 2 bytes of keys and values. The host puts the writes into its
/// store whole or not at all, and says how that went, before the next delta. `ERROR`: slot 0 why not, slot 1 where the object is that cannot be stored.
#[unsafe(no_mangle)]
pub extern "C" fn em_world_delta(number: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return status::MISUSE;
    };
    if !e.vm.has_world() {
        return e.refuse(NO_WORLD);
    }
    if e.world().records.borrow().in_flight.is_some() {
        return e.refuse(Refusal::Misuse("a commit is under way"));
    }
    match e.vm.world_delta() {
        Ok(delta) => {
            let world = e.world();
            world.out.clear();
            put_writes(&mut world.out, &delta);
            world.records.borrow_mut().begin(&delta);
            let slots = [
                Engine::bytes_slot(&world.out),
                Engine::number_slot(delta.objects as u64),
                Engine::number_slot(delta.bytes as u64),
            ];
            e.give_slots(&slots, status::DONE)
        }
        Err(error) => e.say(&error.message, &error.path),
    }
}

/// `em_world_committed(engine)`: the store has made the commit.
#[unsafe(no_mangle)]
pub extern "C" fn em_world_committed(number: u32) {
    if let Some((e, _inside)) = engine(number) {
        e.vm.world_committed();
        let world = e.world();
        world.out = Vec::new();
        world.records.borrow_mut().committed();
        e.let_go();
    }
}

/// `em_world_failed(engine)`: the store has not made it.
#[unsafe(no_mangle)]
pub extern "C" fn em_world_failed(number: u32) {
    if let Some((e, _inside)) = engine(number) {
        e.vm.world_commit_failed();
        let world = e.world();
        world.out = Vec::new();
        world.records.borrow_mut().failed();
    }
}

/// `em_world_rollback(engine) -> status`: puts the world back to its last commit. Programs under way are gone; those of that commit are there. After
/// `FAULT` nothing else but supplying and calling again is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn em_world_rollback(number: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return status::MISUSE;
    };
    if !e.vm.has_world() {
        return e.refuse(NO_WORLD);
    }
    if e.world().records.borrow().in_flight.is_some() {
        return e.refuse(Refusal::Misuse("a commit is under way"));
    }
    let done = e.vm.world_rollback();
    e.loaded(done)
}

/// `em_world_evict(engine)`: lets the contents of what is as the store has it go from memory.
#[unsafe(no_mangle)]
pub extern "C" fn em_world_evict(number: u32) {
    if let Some((e, _inside)) = engine(number) {
        e.vm.world_evict();
    }
}

/// `em_world_stat(engine, which) -> f64`: 0 objects numbered, 1 hollow objects, 2 changed objects, 3 records read, 4 bytes in the store only, 5 bytes
/// in memory, 6 bytes of records kept here.
#[unsafe(no_mangle)]
pub extern "C" fn em_world_stat(number: u32, which: u32) -> f64 {
    let Some((e, _inside)) = engine(number) else {
        return -1.0;
    };
    let all = e.vm.world_statistics();
    match which {
        0 => all.objects_numbered as f64,
        1 => all.hollow as f64,
        2 => all.changed as f64,
        3 => all.faults as f64,
        4 => all.absent_bytes as f64,
        5 => e.vm.heap.resident_bytes() as f64,
        6 => e.world().records.borrow().bytes as f64,
        _ => -1.0,
    }
}

/// `em_world_permanent(engine, name, len, function) -> handle`: gives a host function's number a name, under which records know it. The handle's function is
/// to be used: the world may have been waiting for it. 0 is a refusal.
#[unsafe(no_mangle)]
pub extern "C" fn em_world_permanent(number: u32, name: u32, len: u32, function: u32) -> u32 {
    let (Some((e, _inside)), Some(name)) = (engine(number), range(name, len)) else {
        return 0;
    };
    let name = String::from_utf8_lossy(name).into_owned();
    match e.with_arguments(0, |e, _| e.permanent_function(&name, function)) {
        Ok(v) => pack(e.vm.hold(v)),
        Err(refusal) => {
            e.refuse(refusal);
            0
        }
    }
}

/// `em_world_tasks(engine) -> status`: the programs under way: two slots for each, its task's number and the name of the host function that it waits for (nil if it
/// waits for none).
#[unsafe(no_mangle)]
pub extern "C" fn em_world_tasks(number: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return status::MISUSE;
    };
    let mut values = Vec::new();
    for task in e.vm.task_numbers() {
        let name = e.vm.task_permanent(task).unwrap_or_default();
        let asked = e.vm.task_call_number(task).is_some();
        let name = match e.vm.new_string(name.as_bytes()) {
            Ok(name) if asked => name,
            _ => Value::NIL,
        };
        values.extend([Value::int(task as i64 + 1), name]);
    }
    e.results(&values)
}

/// `em_world_resume(engine, task) -> status`: what a task stands at that this host has not started: `HOST_CALL` with the function and its arguments, as
/// `em_run` gives it, or `SLICE`: run it.
#[unsafe(no_mangle)]
pub extern "C" fn em_world_resume(number: u32, task: u32) -> u32 {
    let Some((e, _inside)) = engine(number) else {
        return status::MISUSE;
    };
    match task.checked_sub(1) {
        Some(task) => e.stands_at(task as usize),
        None => e.refuse(Refusal::Misuse("there is no task 0")),
    }
}
