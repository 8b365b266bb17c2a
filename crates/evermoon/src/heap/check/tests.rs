//! Each invariant has once been seen to be noticed: a sound heap is damaged in one way, and the checker says so.

use super::*;
use crate::heap::coroutine::frame_flag;
use crate::heap::gc::Roots;
use crate::vm::{Limits, Vm};

/// A heap with something of everything, reached through the globals.
fn sound() -> Vm {
    let mut vm = Vm::new(Limits::default());
    assert!(crate::stdlib::open(&mut vm).is_ok());
    let t = table(&mut vm, "t");
    for i in 1..=20 {
        set(&mut vm, t, Value::int(i), Value::int(i));
        let name = name(&mut vm, &format!("name {i}"));
        set(&mut vm, t, name, Value::int(i));
    }
    set(&mut vm, t, Value::int(1000), Value::TRUE);
    let keys = table(&mut vm, "small");
    set(&mut vm, keys, Value::TRUE, Value::FALSE);
    // As if it ran.
    vm.current.status = crate::heap::coroutine::Status::Running;
    assert!(vm.ensure_stack(8).is_ok());
    for _ in 0..2 {
        let slot = vm.exec.top;
        assert!(vm.find_upvalue(slot).is_ok());
        vm.exec.push(Value::int(slot as i64));
    }
    vm
}

fn name(vm: &mut Vm, text: &str) -> Value {
    Value::string(vm.heap.string(text.as_bytes()).expect("there is room"))
}

fn set(vm: &mut Vm, t: Gc<Table>, key: Value, value: Value) {
    assert!(vm.raw_set(t, key, value).is_ok());
}

/// A new table in a global variable.
fn table(vm: &mut Vm, global: &str) -> Gc<Table> {
    let t = vm.heap.table().expect("there is room");
    let key = name(vm, global);
    set(vm, vm.globals, key, Value::table(t));
    t
}

fn global(vm: &mut Vm, name: &str) -> Gc<Table> {
    let key = vm.heap.string(name.as_bytes()).expect("it is there");
    vm.globals.get_str(key).as_table().expect("it is a table")
}

fn finding(vm: &Vm) -> Result<(), Finding> {
    vm.heap.finding(&vm.root_values(), &vm.exec)
}

/// Does the damage, and asserts that the checker's words contain these. The damaged engine is left as it is.
#[track_caller]
fn noticed(words: &str, damage: impl FnOnce(&mut Vm)) {
    noticed_in(sound(), words, damage);
}

#[track_caller]
fn noticed_in(mut vm: Vm, words: &str, damage: impl FnOnce(&mut Vm)) {
    assert_eq!(finding(&vm), Ok(()), "sound before");
    damage(&mut vm);
    let finding = finding(&vm);
    std::mem::forget(vm);
    match finding {
        Err(found) if found.contains(words) => {}
        other => panic!("'{words}' was not noticed: {other:?}"),
    }
}

/// In the middle of marking, with much of both colours.
fn marking() -> Vm {
    let mut vm = sound();
    let many = table(&mut vm, "many");
    for i in 1..=5000 {
        let t = vm.heap.table().expect("there is room");
        set(&mut vm, many, Value::int(i), Value::table(t));
    }
    vm.heap.gc.step_size = 4;
    let roots = vm.root_values();
    for _ in 0..30 {
        vm.heap.debt = 1;
        vm.heap.gc_step(Roots {
            values: &roots,
            exec: &mut vm.exec,
        });
    }
    assert_eq!(vm.heap.gc.phase, Phase::Propagate);
    vm
}

#[test]
fn a_sound_heap_has_no_finding() {
    assert_eq!(finding(&sound()), Ok(()));
    assert_eq!(finding(&marking()), Ok(()));
    let mut vm = marking();
    vm.collect();
    assert_eq!(finding(&vm), Ok(()));
}

#[test]
fn blocks() {
    noticed("has the kind 99", |vm| {
        global(vm, "t").header.kind = 99;
    });
    noticed("needs a block of", |vm| {
        global(vm, "t").header.kind = tag::COROUTINE as u8;
    });
    noticed("buffers of 96 bytes are in use", |vm| {
        vm.heap.pools.buffer(96);
    });
    noticed("objects in blocks of 64 bytes", |vm| {
        let t = vm.heap.table().expect("there is room");
        vm.heap.bytes -= 64;
        // SAFETY: damage is what this is about.
        unsafe { (*t.as_ptr()).header.kind = 0 }
    });
    noticed("taken from the system", |vm| {
        vm.heap.pools.system_bytes += 1;
    });
}

#[test]
fn headers() {
    noticed("has the marks 0x3", |vm| {
        global(vm, "t").header.mark |= mark::WHITES;
    });
    noticed("has the marks 0x4 in the phase Pause", |vm| {
        global(vm, "t").header.mark = mark::BLACK;
    });
    noticed("is clean, but has no number", |vm| {
        global(vm, "t").header.mark |= mark::CLEAN;
    });
    noticed("marked for a finalizer", |vm| {
        global(vm, "t").header.mark |= mark::FINALIZER;
    });
    noticed("has been printed", |vm| {
        global(vm, "t").header.mark |= mark::PRINTED;
    });
}

#[test]
fn values() {
    noticed("a value has the tag 9", |vm| {
        global(vm, "t").array_mut()[3].tag = 9;
    });
    noticed("nothing is there", |vm| {
        global(vm, "t").array_mut()[3].tag = tag::TABLE;
    });
    noticed("but it is of kind 18", |vm| {
        let mut v = Value::table(vm.globals);
        v.tag = tag::USERDATA;
        global(vm, "t").array_mut()[3] = v;
    });
    noticed("a value of tag 0 has the payload", |vm| {
        global(vm, "t").array_mut()[3].tag = tag::NIL;
    });
    noticed("is dead", |vm| {
        // As if the atomic phase had overlooked it.
        vm.heap.gc.phase = Phase::Sweep;
        vm.heap.gc.sweep_cursor = (0, 0);
        global(vm, "t").header.mark ^= mark::WHITES;
    });
}

#[test]
fn strings() {
    let text = |vm: &mut Vm| vm.heap.string(b"name 7").expect("it is there");
    noticed("its hash is", |vm| {
        // One that is no key: that would be noticed there.
        let mut s = vm.heap.string(b"only a value").expect("there is room");
        s.hash ^= 1;
    });
    noticed("short strings", |vm| {
        let s = text(vm);
        vm.heap.interner.used += 1;
        s.as_bytes();
    });
    noticed("the interner has not this one", |vm| {
        let s = text(vm);
        vm.heap.interner.remove(s.as_ptr());
    });
    noticed("are of the wrong kind", |vm| {
        let long = vm.heap.string(&[b'x'; 41]).expect("there is room");
        let key = name(vm, "long");
        set(vm, vm.globals, key, Value::string(long));
        // SAFETY: damage is what this is about.
        unsafe { (*long.as_ptr()).len = 40 }
    });
}

#[test]
fn tables() {
    noticed("slots", |vm| {
        let mut t = global(vm, "t");
        t.array_cap = t.array_len - 1;
    });
    noticed("ends with nil", |vm| {
        let mut t = global(vm, "t");
        *t.array_mut().last_mut().expect("it has some") = Value::NIL;
    });
    noticed("belongs to the array", |vm| {
        let mut t = global(vm, "t");
        let e = t.entries_mut().iter_mut().find(|e| e.key_tag == tag::INT);
        e.expect("it has one").key_bits = 3;
    });
    noticed("that it has none", |vm| {
        global(vm, "t").header.flags &= !flags::INT_ENTRIES;
    });
    noticed("is not normal", |vm| {
        let mut t = global(vm, "small");
        let e = &mut t.entries_mut()[0];
        (e.key_bits, e.key_tag) = (1.0f64.to_bits(), tag::FLOAT);
    });
    noticed("a search for its key", |vm| global(vm, "t").bloom = 0);
    noticed("a search for its key", |vm| {
        let mut t = global(vm, "t");
        let first = t.entries()[0];
        t.entries_mut()[1] = first;
    });
    noticed("a dead key has a value", |vm| {
        global(vm, "t").entries_mut()[0].key_tag = tag::DEAD;
    });
    noticed("the index has", |vm| {
        let mut t = global(vm, "t");
        let slots = super::super::table::slot_count(t.entry_cap);
        let free = (0..slots).find(|&at| t.slot(at) == u32::MAX);
        t.set_slot(free.expect("half of it is free"), 0);
    });
    noticed("remembers that it has not", |vm| {
        let mut t = global(vm, "t");
        let event = vm.heap.event_names[0];
        set(vm, t, Value::string(event), Value::TRUE);
        t.header.flags |= 1;
    });
}

#[test]
fn stacks() {
    noticed("frames let no yield pass", |vm| vm.exec.no_yield = 1);
    noticed("variables to be closed", |vm| vm.exec.tbc = vec![2, 2]);
    noticed("points outside of the stack", |vm| {
        let mut up = vm.exec.open[0];
        up.slot = up.slot.wrapping_byte_sub(1 << 20);
    });
    noticed("not in order", |vm| vm.exec.open.reverse());
    noticed("no stack lists it", |vm| {
        vm.exec.open.pop();
    });
    noticed("is not listed", |vm| {
        vm.current.listed = false;
        vm.heap.gc.listed.clear();
    });
    noticed("listed and does not know", |vm| vm.current.listed = false);
    // A task that has not begun: one frame, the entry.
    let entered = || {
        let mut vm = sound();
        let task = vm.new_task(Value::native(0), &[], None, false);
        assert!(task.is_ok());
        vm
    };
    fn frame(vm: &mut Vm) -> &mut crate::heap::coroutine::Frame {
        let mut root = vm.tasks.iter().flatten().next().expect("a task").root;
        // SAFETY: it has a frame, and the engine is not running.
        unsafe { &mut *root.exec.frames }
    }
    noticed_in(entered(), "function", |vm| frame(vm).func = 9);
    noticed_in(entered(), "no such kind", |vm| frame(vm).kind = 7);
    noticed_in(entered(), "frames let no yield pass", |vm| {
        frame(vm).flags ^= frame_flag::NO_YIELD;
    });
}

#[test]
fn colours() {
    noticed_in(marking(), "is black and refers to", |vm| {
        let white = vm.heap.table().expect("there is room");
        let mut black = None;
        vm.heap.each_object(|header| {
            let object: Gc<Header> = Gc::from_bits(header as u64);
            if object.is_black() && object.kind as u32 == tag::TABLE {
                // SAFETY: the kind says so.
                let t: Gc<Table> = unsafe { object.cast() };
                if !t.entries().is_empty() {
                    black = Some(t);
                }
            }
        });
        let mut t = black.expect("some are black");
        let e = &mut t.entries_mut()[0];
        (e.value_bits, e.value_tag) = (white.address() as u64, tag::TABLE);
    });
    noticed_in(marking(), "is gray, and on no list", |vm| {
        vm.heap.gc.gray.pop();
    });
    noticed_in(marking(), "is to be traversed, but is white", |vm| {
        let white = vm.heap.table().expect("there is room");
        vm.heap.gc.gray_again.push(white.header());
    });
    noticed_in(marking(), "bytes count as marked", |vm| {
        vm.heap.gc.marked += 1
    });
}

#[test]
fn accounts() {
    noticed("bytes are accounted for", |vm| vm.heap.account(1));
}
