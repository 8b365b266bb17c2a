//! A valid world with some of its records changed, checks and all, as an attacker would: it is opened, everything in it is touched and run, it is collected, committed,
//! let go, opened again, verified and exported. Any of that may be refused. None of it may do harm.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::OnceLock;

use crate::engine::{Engine, Leash};
use crate::fixture::{Entries, Map, apply, body, export, fixture, sealed};
use evermoon::heap::value::Value;
use evermoon::persist::care::{Walk, Walked};
use evermoon::persist::key;
use evermoon::stdlib::{self, load};
use evermoon::vm::{Exit, Vm};

const EVERYTHING: &str = include_str!("everything.lua");

struct Good {
    entries: Entries,
    /// Keys of what has a check, coroutines apart.
    keys: Vec<Vec<u8>>,
    coroutines: Vec<Vec<u8>>,
}

fn good() -> &'static Good {
    static GOOD: OnceLock<Good> = OnceLock::new();
    GOOD.get_or_init(|| {
        let entries = fixture();
        let keys = |wanted: &dyn Fn(&[u8], &[u8]) -> bool| {
            let found = entries.iter().filter(|(k, v)| wanted(k, v));
            found.map(|(k, _)| k.clone()).collect::<Vec<_>>()
        };
        let coroutine = |k: &[u8], v: &[u8]| k[0] == b'o' && v[0] == 5;
        let other = |k: &[u8], v: &[u8]| {
            k != key::MANIFEST && !coroutine(k, v) && !matches!(k[0], b'p' | b'b')
        };
        Good {
            keys: keys(&other),
            coroutines: keys(&coroutine),
            entries,
        }
    })
}

/// One execution.
pub fn one(data: &[u8]) {
    let Some((&[first, evict], edits)) = data.split_first_chunk::<2>() else {
        return;
    };
    let mut entries = good().entries.clone();
    for edit in edits.chunks_exact(6) {
        let keys = if edit[0] & 1 == 0 {
            &good().coroutines
        } else {
            &good().keys
        };
        let key = &keys[usize::from(u16::from_le_bytes([edit[0] >> 1, edit[1]])) % keys.len()];
        let Some(old) = entries.get(key) else {
            continue;
        };
        let mut bytes = body(key, old).to_vec();
        let at = usize::from(u16::from_le_bytes([edit[2], edit[3] & 0x1f])) % (bytes.len() + 1);
        match edit[3] >> 5 {
            0..3 if at < bytes.len() => bytes[at] = edit[4],
            3 if at < bytes.len() => {
                bytes[at] = bytes[at].wrapping_add(edit[4] % 8).wrapping_sub(4)
            }
            4 if at < bytes.len() => {
                bytes.remove(at);
            }
            5 => bytes.insert(at, edit[4]),
            6 => {
                // Another record in its place, as a store that has lost a write would give it.
                let other = &keys[usize::from(u16::from_le_bytes([edit[4], edit[5]])) % keys.len()];
                bytes = body(other, &good().entries[other]).to_vec();
            }
            _ => {
                if edit[4] % 4 == 0 {
                    entries.remove(key);
                    continue;
                }
                bytes.truncate(at);
            }
        }
        entries.insert(key.clone(), sealed(key, bytes));
    }
    let map = Rc::new(RefCell::new(entries));
    for round in 0..2 {
        let stress = evict & 0x1f == 2 && round == 0;
        let Some((mut engine, natives)) = open(&map, stress) else {
            return;
        };
        let vm = &mut engine.vm;
        touch(vm, &natives, i64::from(first % 4) + 1);
        commit(vm, &map);
        if evict & 1 != 0 {
            vm.world_evict();
            touch(vm, &natives, 1);
        }
        if evict & 4 != 0 {
            let _ = vm.world_rollback();
            touch(vm, &natives, 2);
            commit(vm, &map);
        }
        vm.collect();
        vm.collect();
    }
    check(&map);
}

/// The natives that `everything.lua` gets, in its order, and the libraries they are in.
const LIBRARY: [(&str, &str); 18] = [
    ("", "next"),
    ("", "pcall"),
    ("", "type"),
    ("", "rawset"),
    ("", "getmetatable"),
    ("", "tostring"),
    ("debug", "getupvalue"),
    ("debug", "getinfo"),
    ("debug", "getuservalue"),
    ("debug", "gethook"),
    ("debug", "getlocal"),
    ("debug", "traceback"),
    ("coroutine", "resume"),
    ("coroutine", "close"),
    ("ext", "is"),
    ("ext", "count"),
    ("debug", "getregistry"),
    ("", "collectgarbage"),
];

type Shared = Rc<RefCell<Entries>>;

/// An engine over the world, and the natives; `None` if the world is refused.
fn open(map: &Shared, stress: bool) -> Option<(Engine, Vec<Value>)> {
    let mut engine = Engine::new(&Leash {
        fuel: u64::MAX,
        bytes_max: usize::MAX / 2,
        ..Leash::default()
    });
    let vm = &mut engine.vm;
    assert!(stdlib::ext::open(vm).is_ok(), "the library opens");
    // Plain natives are numbers, so nothing has to keep them.
    let mut natives = Vec::new();
    for (library, name) in LIBRARY {
        let mut from = vm.globals;
        if !library.is_empty() {
            from = field(vm, from, library).as_table().expect("a library");
        }
        natives.push(field(vm, from, name));
    }
    vm.open_world(Box::new(Map(map.clone())), vec![stdlib::io::codec()])
        .ok()?;
    vm.heap.bytes_max = vm.heap.bytes().max(16 << 20) + (16 << 20);
    vm.heap.set_stress(stress);
    Some((engine, natives))
}

fn field(
    vm: &mut Vm,
    t: evermoon::heap::object::Gc<evermoon::heap::table::Table>,
    name: &str,
) -> Value {
    let name = vm.heap.string(name.as_bytes()).expect("memory");
    t.get(Value::string(name))
}

fn touch(vm: &mut Vm, natives: &[Value], rounds: i64) {
    vm.set_fuel(Some(400_000));
    // The world's own programs too.
    for task in 0..4 {
        for _ in 0..20 {
            if !matches!(vm.run_task(task, 1), Some(Exit::Slice)) {
                break;
            }
        }
    }
    vm.set_fuel(Some(400_000));
    let env = Value::table(vm.globals);
    let Ok(Ok(function)) = load::load(
        vm,
        EVERYTHING.as_bytes(),
        b"=everything",
        load::Mode(b"t"),
        env,
    ) else {
        return;
    };
    let mut args = vec![Value::table(vm.globals), Value::int(rounds)];
    args.extend(natives);
    let Ok(task) = vm.new_task(function, &args, None, false) else {
        return;
    };
    while let Some(Exit::Slice) = vm.run_task(task, 1) {}
}

fn commit(vm: &mut Vm, map: &Shared) {
    if let Ok(delta) = vm.world_delta() {
        apply(&mut map.borrow_mut(), &delta);
        vm.world_committed();
    }
}

fn check(map: &Shared) {
    let (meta, finalizers) = {
        let map = map.borrow();
        (
            map[key::META].clone(),
            map.get(key::FINALIZERS).cloned().unwrap_or_default(),
        )
    };
    let mut map = Map(map.clone());
    let Ok(mut walk) = Walk::new(&meta, &finalizers, true) else {
        return;
    };
    while let Ok(Walked::More) = walk.step_over(&mut map, 100) {}
    let _ = export(&mut map);
}
