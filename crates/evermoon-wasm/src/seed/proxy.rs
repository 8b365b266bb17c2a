//! External tables as Lua sees them: plain, empty tables that share a metatable whose functions ask the store at every access.
//!
//! What makes a table a proxy is an entry in a weak table that scripts cannot reach, so no script can forge one. `t.__ext_table_id` reads
//! its number. Keys come from the store only if it can list them; `pairs` otherwise walks `1..#t` and then the keys that this
//! instance has read or written.

use super::codec::{self, Stored};
use super::state::{ask, host, state};
use super::store;
use evermoon::heap::object::Gc;
use evermoon::heap::table::Table;
use evermoon::heap::value::Value;
use evermoon::vm::{Act, NativeFn, NativeResult, Throw, Vm};

/// The field that reads as a proxy's number.
const ID_FIELD: &[u8] = b"__ext_table_id";
/// Most keys that are remembered as seen; beyond it the tables that were seen first are forgotten.
const SEEN_MAX: usize = 100_000;
/// Most warnings about single entries in an instance's life.
const WARNED_MAX: usize = 100;

const METAMETHODS: &[(&str, NativeFn)] = &[
    ("__index", index),
    ("__newindex", new_index),
    ("__len", length),
    ("__pairs", pairs),
];

/// The tables behind proxies. The engine holds them for us: in the registry, the debug library could reach them.
pub struct Tables {
    pub proxies: Gc<Table>,
    pub proxy_ids: Gc<Table>,
    pub metatable: Gc<Table>,
    pub seen: Gc<Table>,
    pub unsupported: Value,
}

/// Makes what proxies need, and the global `ext`.
pub fn open(vm: &mut Vm) -> Result<Tables, Throw> {
    let metatable = vm.new_table()?;
    // The iterator stands first, so that `pairs` finds it in front of itself.
    vm.register("ext", "next", next);
    vm.register_library("ext", metatable, METAMETHODS)?;
    let name = vm.new_string(b"ext_table_mt")?;
    vm.raw_set_name(metatable, "__name", name)?;
    let ext = vm.new_table()?;
    vm.register_library("ext", ext, &[("table", new_table)])?;
    let globals = vm.globals;
    vm.raw_set_name(globals, "ext", Value::table(ext))?;
    let proxies = weak_table(vm, b"v")?;
    let proxy_ids = weak_table(vm, b"k")?;
    let seen = vm.new_table()?;
    for table in [proxies, proxy_ids, metatable, seen] {
        vm.hold(Value::table(table));
    }
    let unsupported = vm.register("ext", "unsupported", unsupported_function);
    Ok(Tables {
        proxies,
        proxy_ids,
        metatable,
        seen,
        unsupported,
    })
}

fn weak_table(vm: &mut Vm, mode: &[u8]) -> Result<Gc<Table>, Throw> {
    let metatable = vm.new_table()?;
    let mode = vm.new_string(mode)?;
    vm.raw_set_name(metatable, "__mode", mode)?;
    let table = vm.new_table()?;
    table.set_metatable(Some(metatable));
    Ok(table)
}

/// The number of the table that a value stands for, if it is a proxy.
pub fn id_of(vm: &mut Vm, v: Value) -> Option<u32> {
    if !v.is_table() {
        return None;
    }
    state(vm)
        .proxy_ids
        .get(v)
        .as_int()
        .and_then(|id| u32::try_from(id).ok())
}

/// The proxy of a table.
pub fn of(vm: &mut Vm, id: u32) -> Result<Value, Throw> {
    let state = state(vm);
    state.ids.met(id);
    let known = state.proxies.get_int(id as i64);
    if !known.is_nil() {
        return Ok(known);
    }
    let (proxies, proxy_ids, metatable) = (state.proxies, state.proxy_ids, state.metatable);
    let proxy = vm.new_table()?;
    proxy.set_metatable(Some(metatable));
    let v = Value::table(proxy);
    vm.raw_set(proxy_ids, v, Value::int(id as i64))?;
    vm.raw_set_int(proxies, id as i64, v)?;
    Ok(v)
}

/// What reading a built-in function that nobody knows gives.
pub fn unsupported(vm: &mut Vm) -> Value {
    state(vm).unsupported
}

fn unsupported_function(vm: &mut Vm) -> NativeResult {
    Err(vm.fail("this built-in function was stored by name, and the name is not supported here"))
}

// ---- entries ----

/// The value of an entry, nil if there is none.
pub fn read(vm: &mut Vm, id: u32, key: &[u8]) -> Result<Value, Throw> {
    vm.charge(4);
    let stored = ask(vm, |store, vm| match store.get(id, key) {
        Some(bytes) => {
            vm.charge(bytes.len() as u64 / 32);
            codec::decode(vm, bytes)
        }
        None => Ok(Stored::Value(Value::NIL)),
    });
    match stored.unwrap_or(Ok(Stored::Value(Value::NIL)))? {
        Stored::Value(v) => {
            if !v.is_nil() {
                note_seen(vm, id, key)?;
            }
            Ok(v)
        }
        Stored::ForeignFunction => {
            warn_foreign(vm, id, key);
            Ok(Value::NIL)
        }
    }
}

/// Stores an encoded value; an error if the store refuses.
pub fn write(vm: &mut Vm, id: u32, key: &[u8], value: &[u8]) -> Result<(), Throw> {
    vm.charge(4 + value.len() as u64 / 32);
    if ask(vm, |store, _| store.set(id, key, value)) != Some(true) {
        let key = String::from_utf8_lossy(key).into_owned();
        return Err(vm.fail(&format!(
            "cannot store '{key}' in an external table: the host refused it"
        )));
    }
    if value != [codec::tag::NIL] {
        note_seen(vm, id, key)
    } else {
        Ok(())
    }
}

/// Remembers a key for `pairs`.
fn note_seen(vm: &mut Vm, id: u32, key: &[u8]) -> Result<(), Throw> {
    let key = codec::key_value(vm, key)?;
    let all = state(vm).seen;
    let keys = match all.get_int(id as i64).as_table() {
        Some(keys) if !keys.get(key).is_nil() => return Ok(()),
        Some(keys) => keys,
        None => {
            let keys = vm.new_table()?;
            vm.raw_set_int(all, id as i64, Value::table(keys))?;
            state(vm).seen_order.push_back(id);
            keys
        }
    };
    let count = state(vm).seen_counts.get(&id).copied().unwrap_or(0);
    if count >= SEEN_MAX {
        return Ok(());
    }
    vm.raw_set(keys, key, Value::TRUE)?;
    let state = state(vm);
    state.seen_counts.insert(id, count + 1);
    state.seen_total += 1;
    if state.seen_total > SEEN_MAX {
        forget_oldest(vm, id)
    } else {
        Ok(())
    }
}

/// Forgets which keys of the tables first seen are known, until there is room; `_home` and `_io` last.
fn forget_oldest(vm: &mut Vm, but: u32) -> Result<(), Throw> {
    for _ in 0..state(vm).seen_order.len() {
        let state = state(vm);
        if state.seen_total <= SEEN_MAX {
            break;
        }
        let Some(id) = state.seen_order.pop_front() else {
            break;
        };
        if id == but || id == state.ids.home || id == state.ids.io {
            state.seen_order.push_back(id);
            continue;
        }
        state.seen_total -= state.seen_counts.remove(&id).unwrap_or(0);
        let all = state.seen;
        vm.raw_set_int(all, id as i64, Value::NIL)?;
    }
    Ok(())
}

/// Says in the output, once for an entry, that a function of the original's cannot be read.
fn warn_foreign(vm: &mut Vm, id: u32, key: &[u8]) {
    let host = host(vm);
    let warned = &mut host.state.warned;
    if warned.len() >= WARNED_MAX || warned.insert((id, key.to_vec()), ()).is_some() {
        return;
    }
    let table = match id {
        _ if id == host.state.ids.home => "_home".to_string(),
        _ if id == host.state.ids.io => "_io".to_string(),
        _ => format!("external table {id}"),
    };
    let key = String::from_utf8_lossy(key);
    let text = format!(
        "warning: '{key}' of {table} is a function in another Lua's bytecode and reads as nil: store it again from source\n"
    );
    host.output.push(text.as_bytes());
}

// ---- metamethods ----

/// Whether a key is the field for the number.
fn is_id_field(key: Value) -> bool {
    key.as_str().is_some_and(|s| s.bytes() == ID_FIELD)
}

fn index(vm: &mut Vm) -> NativeResult {
    let (table, key) = (vm.arg(0), vm.arg(1));
    let Some(id) = id_of(vm, table) else {
        return vm.ret(Value::NIL);
    };
    if is_id_field(key) {
        return vm.ret(Value::int(id as i64));
    }
    let v = match codec::key_bytes(key) {
        Some(key) => read(vm, id, &key)?,
        None => Value::NIL,
    };
    vm.ret(v)
}

fn new_index(vm: &mut Vm) -> NativeResult {
    let (table, key, value) = (vm.arg(0), vm.arg(1), vm.arg(2));
    let Some(id) = id_of(vm, table) else {
        return vm.ret_none();
    };
    if is_id_field(key) {
        return Err(vm.fail("the number of an external table cannot be changed"));
    }
    let Some(bytes) = codec::key_bytes(key) else {
        return Err(vm.fail(&codec::key_problem(key)));
    };
    store::put(vm, id, &bytes, value)?;
    vm.ret_none()
}

/// `#t`: the store's count of entries, not a border.
fn length(vm: &mut Vm) -> NativeResult {
    let table = vm.arg(0);
    let Some(id) = id_of(vm, table) else {
        return vm.ret(Value::int(0));
    };
    let size = ask(vm, |store, _| store.size(id)).unwrap_or(0);
    vm.ret(Value::int(size as i64))
}

fn pairs(vm: &mut Vm) -> NativeResult {
    let next = vm.native_number() - METAMETHODS.len() as u32;
    let table = vm.arg(0);
    let mut keys = None;
    if let Some(id) = id_of(vm, table) {
        learn_keys(vm, id)?;
        keys = state(vm).seen.get_int(id as i64).as_table();
    }
    let keys = match keys {
        Some(keys) => keys,
        None => vm.new_table()?,
    };
    let iterator = vm.heap.native_closure(next, &[Value::table(keys)])?;
    vm.push(Value::native_closure(iterator));
    vm.push(table);
    vm.push(Value::NIL);
    Ok(Act::returning(3))
}

/// Finds out what keys there are, as far as the store tells.
fn learn_keys(vm: &mut Vm, id: u32) -> Result<(), Throw> {
    let (keys, size) = ask(vm, |store, _| (store.keys(id), store.size(id))).unwrap_or_default();
    if let Some(keys) = keys {
        for key in keys {
            note_seen(vm, id, &key)?;
        }
        return Ok(());
    }
    for i in 1..=(size as usize).min(SEEN_MAX) as i64 {
        let Some(key) = codec::key_bytes(Value::int(i)) else {
            break;
        };
        if read(vm, id, &key)?.is_nil() {
            break;
        }
    }
    Ok(())
}

/// The iterator of `pairs`: the next known key that has a value.
fn next(vm: &mut Vm) -> NativeResult {
    let (table, mut key) = (vm.arg(0), vm.arg(1));
    let (Some(id), Some(keys)) = (id_of(vm, table), vm.upval(0).as_table()) else {
        return vm.ret(Value::NIL);
    };
    loop {
        key = match keys.next(key, &mut 0) {
            Ok(Some((key, _))) => key,
            Ok(None) => return vm.ret(Value::NIL),
            Err(()) => return Err(vm.fail("invalid key to 'next'")),
        };
        let Some(bytes) = codec::key_bytes(key) else {
            continue;
        };
        let value = read(vm, id, &bytes)?;
        if !value.is_nil() {
            vm.push(key);
            vm.push(value);
            return Ok(Act::returning(2));
        }
    }
}

/// `ext.table ()`: a new external table.
fn new_table(vm: &mut Vm) -> NativeResult {
    let id = store::new_id(vm)?;
    let proxy = of(vm, id)?;
    vm.ret(proxy)
}
