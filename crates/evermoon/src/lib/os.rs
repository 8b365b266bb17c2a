//! The operating system library (manual 6.9), as far as the host goes along.
//!
//! An embedder opens all of it or only what looks at the clock ([`Offer`]). Without a clock from the host `os.time()` and `os.clock()` fail;
//! dates of given moments always work, in UTC if the host knows no zone. `os.exit` does not exit: it leaves the interpreter with
//! [`ExitRequest`](crate::vm::ExitRequest) set, and the embedder decides.

use super::calendar;
use super::io::{outcome, process_result};
use crate::heap::value::Value;
use crate::vm::host::{Calendar, Ended};
use crate::vm::{Act, ExitRequest, NativeFn, NativeResult, Throw, Vm};

/// What of the library is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offer {
    /// `clock`, `date`, `difftime` and `time`: nothing that can change or name anything outside.
    Time,
    All,
}

const TIME_FUNCTIONS: &[(&str, NativeFn)] = &[
    ("clock", clock),
    ("date", date),
    ("difftime", difftime),
    ("time", time),
];

const OTHER_FUNCTIONS: &[(&str, NativeFn)] = &[
    ("execute", execute),
    ("exit", exit),
    ("getenv", getenv),
    ("remove", remove),
    ("rename", rename),
    ("setlocale", setlocale),
    ("tmpname", tmpname),
];

pub fn open(vm: &mut Vm, offer: Offer) -> Result<(), Throw> {
    let library = vm.new_table()?;
    vm.register_library("os", library, TIME_FUNCTIONS)?;
    if offer == Offer::All {
        vm.register_library("os", library, OTHER_FUNCTIONS)?;
    }
    super::publish(vm, "os", library)
}

// ---- time ----

/// The host's time in seconds since the epoch.
fn now(vm: &mut Vm) -> Result<i64, Throw> {
    match vm.host.time() {
        Some(time) => Ok(time),
        None => Err(vm.fail("this host has no clock")),
    }
}

/// `os.clock ()`
fn clock(vm: &mut Vm) -> NativeResult {
    match vm.host.clock() {
        Some(seconds) => vm.ret(Value::float(seconds)),
        None => Err(vm.fail("this host has no clock")),
    }
}

/// `os.difftime (t2, t1)`
fn difftime(vm: &mut Vm) -> NativeResult {
    let (later, earlier) = (vm.check_int(0)?, vm.check_int(1)?);
    vm.ret(Value::float(later as f64 - earlier as f64))
}

/// `os.date ([format [, time]])`
fn date(vm: &mut Vm) -> NativeResult {
    let format = vm.opt_str(0)?.map_or(&b"%c"[..], |s| s.as_bytes());
    let time = if vm.arg(1).is_nil() {
        now(vm)?
    } else {
        vm.check_int(1)?
    };
    let (is_utc, pattern) = match format.strip_prefix(b"!") {
        Some(rest) => (true, rest),
        None => (false, format),
    };
    let local = if is_utc { None } else { vm.host.calendar(time) };
    let in_utc = is_utc || local.is_none() && !vm.host.has_zone();
    let Some(c) = (if in_utc { calendar::utc(time) } else { local }) else {
        return Err(vm.fail("date result cannot be represented in this installation"));
    };
    if pattern.starts_with(b"*t") {
        let t = vm.new_table()?;
        for (name, value) in fields(&c) {
            vm.raw_set_name(t, name, value)?;
        }
        return vm.ret(Value::table(t));
    }
    let zone = if in_utc {
        None
    } else {
        vm.host.zone_name(time)
    };
    let zone = zone.as_deref().unwrap_or("GMT");
    let mut out = Vec::new();
    let mut rest = pattern;
    while let Some(at) = rest.iter().position(|&b| b == b'%') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(length) = calendar::specifier_len(rest) else {
            let end = rest.iter().position(|&b| b == 0).unwrap_or(rest.len());
            let text = String::from_utf8_lossy(&rest[..end]);
            return Err(vm.arg_error(0, &format!("invalid conversion specifier '%{text}'")));
        };
        calendar::expand(&mut out, &c, zone, &rest[..length]);
        rest = &rest[length..];
    }
    out.extend_from_slice(rest);
    vm.charge(out.len() as u64 / 16);
    vm.ret_bytes(&out)
}

/// A calendar time as fields of a table, in the order in which the reference stores them.
fn fields(c: &Calendar) -> impl Iterator<Item = (&'static str, Value)> {
    let numbers = [
        ("year", c.year),
        ("month", c.month),
        ("day", c.day),
        ("hour", c.hour),
        ("min", c.min),
        ("sec", c.sec),
        ("yday", c.yday),
        ("wday", c.wday),
    ];
    let isdst = c.isdst.map(|b| ("isdst", Value::bool(b)));
    numbers
        .into_iter()
        .map(|(name, n)| (name, Value::int(n)))
        .chain(isdst)
}

/// States of `time`: a metamethod has read, or written, a field.
const FIELD_READ: u32 = 1;
const FIELD_WRITTEN: u32 = 2;

/// Field, what it is when absent (or that it must be there), and what C subtracts from it.
const TIME_FIELDS: [(&str, Option<i64>, i64); 6] = [
    ("year", None, 1900),
    ("month", None, 1),
    ("day", None, 0),
    ("hour", Some(12), 0),
    ("min", Some(0), 0),
    ("sec", Some(0), 0),
];

/// `os.time ([table])`
fn time(vm: &mut Vm) -> NativeResult {
    match vm.state() {
        FIELD_READ => {
            let v = vm.pop();
            time_field(vm, v)?;
        }
        FIELD_WRITTEN => return store_fields(vm),
        _ => {
            if vm.arg(0).is_nil() {
                let time = now(vm)?;
                return vm.ret(Value::int(time));
            }
            vm.check_table(0)?;
            vm.set_slots(1)?;
            vm.ensure_stack(24)?;
        }
    }
    // Slots: the table, and the fields read so far.
    while vm.slots() <= TIME_FIELDS.len() + 1 {
        let name = TIME_FIELDS.get(vm.slots() - 1).map_or("isdst", |f| f.0);
        let (table, key) = (vm.arg(0), vm.new_string(name.as_bytes())?);
        match vm.index(table, key)? {
            Some(v) => time_field(vm, v)?,
            None => {
                vm.set_state(FIELD_READ);
                return Ok(Act::calling(2, 1));
            }
        }
    }
    let field = |i: usize| vm.arg(i).raw_int();
    let isdst = vm.arg(7);
    let mut c = Calendar {
        year: field(1),
        month: field(2),
        day: field(3),
        hour: field(4),
        min: field(5),
        sec: field(6),
        isdst: if isdst.is_nil() {
            None
        } else {
            Some(isdst.is_truthy())
        },
        ..Calendar::default()
    };
    let moment = if vm.host.has_zone() {
        vm.host.moment(&mut c)
    } else {
        calendar::moment_utc(&mut c)
    };
    // C's way of saying no is also the second before the epoch.
    let Some(time) = moment.filter(|&t| t != -1) else {
        return Err(vm.fail("time result cannot be represented in this installation"));
    };
    // The table gets the normalised fields. Slots: the table, the result, and the values in reverse.
    vm.set_slots(1)?;
    vm.push(Value::int(time));
    let values: Vec<Value> = fields(&c).map(|(_, v)| v).collect();
    if values.len() == 8 {
        vm.push(Value::NIL);
    }
    for v in values.into_iter().rev() {
        vm.push(v);
    }
    store_fields(vm)
}

/// Checks the next field of the table and pushes it.
fn time_field(vm: &mut Vm, v: Value) -> Result<(), Throw> {
    let Some(&(name, default, delta)) = TIME_FIELDS.get(vm.slots() - 1) else {
        vm.push(v);
        return Ok(());
    };
    let n = match (vm.to_int(v), default) {
        (Some(n), _) => n,
        (None, _) if !v.is_nil() => {
            return Err(vm.fail(&format!("field '{name}' is not an integer")));
        }
        (None, Some(default)) => default,
        (None, None) => return Err(vm.fail(&format!("field '{name}' missing in date table"))),
    };
    if !(i32::MIN as i64 + delta..=i32::MAX as i64 + delta).contains(&n) {
        return Err(vm.fail(&format!("field '{name}' is out-of-bound")));
    }
    vm.push(Value::int(n));
    Ok(())
}

/// Stores the values on top of the slots into the table, one after the other, and returns the result below them.
fn store_fields(vm: &mut Vm) -> NativeResult {
    const NAMES: [&str; 9] = [
        "isdst", "wday", "yday", "sec", "min", "hour", "day", "month", "year",
    ];
    while vm.slots() > 2 {
        let name = NAMES[vm.slots() - 3];
        let v = vm.pop();
        if name == "isdst" && v.is_nil() {
            continue;
        }
        let (table, key) = (vm.arg(0), vm.new_string(name.as_bytes())?);
        if !vm.set_index(table, key, v)? {
            vm.set_state(FIELD_WRITTEN);
            return Ok(Act::calling(3, 0));
        }
    }
    Ok(Act::returning(1))
}

// ---- the rest ----

/// `os.execute ([command])`
fn execute(vm: &mut Vm) -> NativeResult {
    let command = vm.opt_str(0)?.map(|s| s.as_bytes());
    let ended = vm.host.execute(command);
    match (command, ended) {
        (None, ended) => vm.ret(Value::bool(matches!(ended, Ok(Ended::Exit(n)) if n != 0))),
        (Some(_), Ok(ended)) => process_result(vm, ended),
        (Some(_), Err(e)) => super::io::failure(vm, &e, None),
    }
}

/// `os.exit ([code [, close]])`
fn exit(vm: &mut Vm) -> NativeResult {
    if vm.state() != 0 {
        // The embedder let the program go on.
        return Err(vm.fail("this host cannot exit"));
    }
    let code = match vm.arg(0) {
        v if v.raw_equals(Value::TRUE) => 0,
        v if v.raw_equals(Value::FALSE) => 1,
        _ => vm.opt_int(0, 0)? as i32,
    };
    let close = vm.arg(1).is_truthy();
    vm.exit_requested = Some(ExitRequest { code, close });
    vm.set_state(1);
    Ok(Act::HOST_CALL)
}

/// `os.getenv (varname)`
fn getenv(vm: &mut Vm) -> NativeResult {
    let name = vm.check_str(0)?.as_bytes();
    match vm.host.getenv(name) {
        Some(value) => vm.ret_bytes(&value),
        None => vm.ret(Value::NIL),
    }
}

/// `os.remove (filename)`
fn remove(vm: &mut Vm) -> NativeResult {
    let name = vm.check_str(0)?.as_bytes();
    let done = vm.host.remove(name);
    outcome(vm, done, Some(name))
}

/// `os.rename (oldname, newname)`
fn rename(vm: &mut Vm) -> NativeResult {
    let from = vm.check_str(0)?.as_bytes();
    let to = vm.check_str(1)?.as_bytes();
    let done = vm.host.rename(from, to);
    outcome(vm, done, None)
}

/// `os.setlocale (locale [, category])`: there is only the "C" locale.
fn setlocale(vm: &mut Vm) -> NativeResult {
    let wanted = vm.opt_str(0)?.map(|s| s.as_bytes());
    vm.check_option(
        1,
        Some("all"),
        &["all", "collate", "ctype", "monetary", "numeric", "time"],
    )?;
    match wanted {
        None | Some(b"" | b"C" | b"POSIX") => vm.ret_bytes(b"C"),
        Some(_) => vm.ret(Value::NIL),
    }
}

/// `os.tmpname ()`
fn tmpname(vm: &mut Vm) -> NativeResult {
    match vm.host.tmpname() {
        Ok(name) => vm.ret_bytes(&name),
        Err(_) => Err(vm.fail("unable to generate a unique filename")),
    }
}
