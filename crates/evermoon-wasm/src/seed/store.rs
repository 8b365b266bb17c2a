//! Storing a value under a key of an external table. A plain table is copied deeply into new external tables, inner ones first, and a
//! reference is stored. Everything is checked before anything is written, so that what cannot be stored leaves nothing behind.

use super::codec::{self, key_bytes, key_problem};
use super::proxy;
use super::state::{ask, state};
use evermoon::heap::object::Gc;
use evermoon::heap::table::Table;
use evermoon::heap::value::Value;
use evermoon::vm::{Throw, Vm};

/// Deepest nesting of plain tables. (The original's: 32, in practice 10.)
const DEPTH_MAX: usize = 180;
/// Most entries that one assignment copies: a table that is met twice is copied twice, so nesting could multiply them beyond bounds.
const ENTRIES_MAX: usize = 1_000_000;

/// `table[key] = value` for an external table.
pub fn put(vm: &mut Vm, id: u32, key: &[u8], value: Value) -> Result<(), Throw> {
    let mut bytes = Vec::new();
    if let Some(table) = plain_table(vm, value) {
        let mut check = Check {
            path: Vec::new(),
            entries: 0,
        };
        if let Err(problem) = check.table(vm, table)? {
            return Err(refuse(vm, key, &problem));
        }
        let copy = copy(vm, table)?;
        codec::encode_reference(copy, &mut bytes);
    } else if let Err(problem) = codec::encode(vm, value, &mut bytes)? {
        return Err(refuse(vm, key, &problem));
    }
    proxy::write(vm, id, key, &bytes)
}

/// A number for a new external table.
pub fn new_id(vm: &mut Vm) -> Result<u32, Throw> {
    match ask(vm, |store, vm| state(vm).ids.take(store)).flatten() {
        Some(id) => Ok(id),
        None => Err(vm.fail("no number is left for a new external table")),
    }
}

fn refuse(vm: &mut Vm, key: &[u8], problem: &str) -> Throw {
    let key = String::from_utf8_lossy(key).into_owned();
    vm.fail(&format!(
        "cannot store {problem} in an external table (at key '{key}')"
    ))
}

/// The table that would have to be copied.
fn plain_table(vm: &mut Vm, v: Value) -> Option<Gc<Table>> {
    let table = v.as_table()?;
    proxy::id_of(vm, v).is_none().then_some(table)
}

/// The entries of a table: its sequence in order (hosts make arrays only of keys in order), then the others.
fn each_entry(
    vm: &mut Vm,
    table: Gc<Table>,
    mut visit: impl FnMut(&mut Vm, Value, Value) -> Result<Result<(), String>, Throw>,
) -> Result<Result<(), String>, Throw> {
    let border = table.border() as i64;
    for i in 1..=border {
        if let Err(problem) = visit(vm, Value::int(i), table.get_int(i))? {
            return Ok(Err(problem));
        }
    }
    let (mut key, mut hint) = (Value::NIL, 0);
    while let Ok(Some((k, v))) = table.next(key, &mut hint) {
        key = k;
        if !k.as_int().is_some_and(|i| 1 <= i && i <= border)
            && let Err(problem) = visit(vm, k, v)?
        {
            return Ok(Err(problem));
        }
    }
    Ok(Ok(()))
}

/// The walk that finds out whether a table can be stored.
struct Check {
    /// Addresses of the tables around the present one.
    path: Vec<usize>,
    entries: usize,
}

impl Check {
    /// The inner error says what cannot be stored.
    fn table(&mut self, vm: &mut Vm, table: Gc<Table>) -> Result<Result<(), String>, Throw> {
        if self.path.contains(&table.address()) {
            return Ok(Err("a table that contains itself".into()));
        }
        if self.path.len() == DEPTH_MAX {
            return Ok(Err(format!("tables nested deeper than {DEPTH_MAX} levels")));
        }
        self.path.push(table.address());
        let mut scratch = Vec::new();
        let outcome = each_entry(vm, table, |vm, key, value| {
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                return Ok(Err(format!("more than {ENTRIES_MAX} entries at once")));
            }
            if key_bytes(key).is_none() {
                return Ok(Err(format!(
                    "a table with such a key: {}",
                    key_problem(key)
                )));
            }
            vm.charge(1);
            match plain_table(vm, value) {
                Some(inner) => self.table(vm, inner),
                None => {
                    scratch.clear();
                    codec::encode(vm, value, &mut scratch)
                }
            }
        })?;
        self.path.pop();
        Ok(outcome)
    }
}

/// Copies a table that has been checked, and gives the copy's number.
fn copy(vm: &mut Vm, table: Gc<Table>) -> Result<u32, Throw> {
    let id = new_id(vm)?;
    // Inner tables come first, so that a reference is never stored before what it refers to.
    let mut inner = Vec::new();
    let _ = each_entry(vm, table, |vm, _, value| {
        if let Some(t) = plain_table(vm, value) {
            inner.push(copy(vm, t)?);
        }
        Ok(Ok(()))
    })?;
    let mut inner = inner.into_iter();
    let mut bytes = Vec::new();
    let _ = each_entry(vm, table, |vm, key, value| {
        bytes.clear();
        match plain_table(vm, value) {
            Some(_) => codec::encode_reference(inner.next().unwrap_or(0), &mut bytes),
            None => {
                let _ = codec::encode(vm, value, &mut bytes)?;
            }
        }
        if let Some(key) = key_bytes(key) {
            proxy::write(vm, id, &key, &bytes)?;
        }
        Ok(Ok(()))
    })?;
    Ok(id)
}
