//! Keys and values of external tables as bytes (the original's encodings), and the errors for what has none.
//!
//! Reading is total: bytes that are too short, an unknown tag, a function that does not verify read as nil. Writing is not: what cannot be
//! stored is a Lua error, where the original lost it in silence.

use super::function;
use super::proxy;
use evermoon::decimal::Decimal;
use evermoon::heap::number;
use evermoon::heap::value::{Type, Value, tag as lua};
use evermoon::vm::{Throw, Vm};
use std::borrow::Cow;

/// Tags of values.
pub mod tag {
    pub const NIL: u8 = 0;
    pub const BOOLEAN: u8 = 1;
    pub const INTEGER: u8 = 2;
    pub const FLOAT: u8 = 3;
    pub const STRING: u8 = 4;
    /// A chunk: the original's own bytecode, or ours (`function.rs`).
    pub const FUNCTION: u8 = 5;
    pub const BUILTIN: u8 = 6;
    pub const TABLE: u8 = 7;
}

/// Longest key in bytes.
pub const KEY_MAX: usize = 64 << 10;
/// Longest encoded value in bytes. (The original's: 16,384.)
pub const VALUE_MAX: usize = 4 << 20;

/// The index of a built-in function that has none.
const BUILTIN_UNKNOWN: u16 = 0xffff;

/// Built-in functions by their index in tag 06. The list is the original's; some of them have gone from Lua.
pub const BUILTINS: [&str; 66] = [
    "print",
    "type",
    "tonumber",
    "tostring",
    "pairs",
    "ipairs",
    "next",
    "pcall",
    "xpcall",
    "error",
    "assert",
    "select",
    "rawget",
    "rawset",
    "rawequal",
    "getmetatable",
    "setmetatable",
    "math.abs",
    "math.acos",
    "math.asin",
    "math.atan",
    "math.atan2",
    "math.ceil",
    "math.cos",
    "math.cosh",
    "math.deg",
    "math.exp",
    "math.floor",
    "math.fmod",
    "math.frexp",
    "math.huge",
    "math.ldexp",
    "math.log",
    "math.log10",
    "math.max",
    "math.min",
    "math.modf",
    "math.pi",
    "math.pow",
    "math.rad",
    "math.random",
    "math.randomseed",
    "math.sin",
    "math.sinh",
    "math.sqrt",
    "math.tan",
    "math.tanh",
    "string.byte",
    "string.char",
    "string.dump",
    "string.find",
    "string.format",
    "string.gmatch",
    "string.gsub",
    "string.len",
    "string.lower",
    "string.match",
    "string.rep",
    "string.reverse",
    "string.sub",
    "string.upper",
    "table.concat",
    "table.insert",
    "table.maxn",
    "table.remove",
    "table.sort",
];

/// The bytes of a key. `None` for a value that is no key of an external table.
pub fn key_bytes(key: Value) -> Option<Cow<'static, [u8]>> {
    let bytes = match key.tag {
        // A string is not collected before the next safe point.
        lua::STR | lua::LONG_STR => Cow::Borrowed(key.as_str()?.as_bytes()),
        lua::INT => integer_key(key.raw_int()),
        lua::FLOAT => match number::float_to_int(key.raw_float()) {
            Some(i) => integer_key(i),
            None => Cow::Owned(float_key(key.raw_float()).into_bytes()),
        },
        _ => return None,
    };
    (1..=KEY_MAX).contains(&bytes.len()).then_some(bytes)
}

fn integer_key(i: i64) -> Cow<'static, [u8]> {
    let mut out = Vec::with_capacity(20);
    number::push_int(&mut out, i);
    Cow::Owned(out)
}

/// A float without integer value as a key: the shortest decimal without an exponent.
fn float_key(f: f64) -> String {
    if f.is_nan() {
        return if f.is_sign_negative() { "-nan" } else { "nan" }.into();
    }
    let sign = if f.is_sign_negative() { "-" } else { "" };
    if f.is_infinite() {
        return format!("{sign}inf");
    }
    let short = Decimal::shortest(f.abs());
    let digits = match std::str::from_utf8(&short.digits) {
        Ok("") | Err(_) => return format!("{sign}0"),
        Ok(digits) => digits,
    };
    let Ok(point) = usize::try_from(short.exponent + 1) else {
        let zeros = "0".repeat((-1 - short.exponent) as usize);
        return format!("{sign}0.{zeros}{digits}");
    };
    match digits.split_at_checked(point) {
        Some(("", rest)) => format!("{sign}0.{rest}"),
        Some((whole, "")) => format!("{sign}{whole}"),
        Some((whole, rest)) => format!("{sign}{whole}.{rest}"),
        None => format!("{sign}{digits:0<point$}"),
    }
}

/// The key that Lua sees for a key's bytes: an integer if they are one's decimal, else a string.
pub fn key_value(vm: &mut Vm, key: &[u8]) -> Result<Value, Throw> {
    if key.len() <= 20
        && let Some(n) = std::str::from_utf8(key)
            .ok()
            .and_then(|text| text.parse::<i64>().ok())
    {
        let mut canonical = Vec::new();
        number::push_int(&mut canonical, n);
        if canonical == key {
            return Ok(Value::int(n));
        }
    }
    vm.new_string(key)
}

/// What is wrong with a key, for an error message.
pub fn key_problem(key: Value) -> String {
    match key.as_str() {
        Some(s) if s.is_empty() => "an external table cannot have the empty string as a key".into(),
        Some(s) => format!(
            "key of {} bytes is too long for an external table (at most {KEY_MAX})",
            s.len()
        ),
        None => format!(
            "the keys of an external table are strings and numbers (got a {})",
            key.type_of().name()
        ),
    }
}

/// Appends a value that is not a plain table. The inner error is a message about what cannot be stored.
pub fn encode(vm: &mut Vm, v: Value, out: &mut Vec<u8>) -> Result<Result<(), String>, Throw> {
    match v.tag {
        lua::NIL => out.push(tag::NIL),
        lua::FALSE => out.extend([tag::BOOLEAN, 0]),
        lua::TRUE => out.extend([tag::BOOLEAN, 1]),
        lua::INT | lua::FLOAT => encode_number(v, out),
        lua::STR | lua::LONG_STR => {
            let bytes = v.as_str().map_or(&[][..], |s| s.as_bytes());
            if bytes.len() + 5 > VALUE_MAX {
                return Ok(Err(format!(
                    "a string of {} bytes (at most {} can be stored)",
                    bytes.len(),
                    VALUE_MAX - 5
                )));
            }
            encode_string(bytes, out);
        }
        _ => {
            if let Some(id) = proxy::id_of(vm, v) {
                encode_reference(id, out);
                return Ok(Ok(()));
            }
            if v.tag == lua::NATIVE
                && let Some(index) = builtin_index(vm, v)?
            {
                out.push(tag::BUILTIN);
                out.extend(index.to_le_bytes());
                return Ok(Ok(()));
            }
            if v.type_of() == Type::Table {
                return Ok(Err("a table".into()));
            }
            return function::encode(vm, v, out);
        }
    }
    Ok(Ok(()))
}

/// A number, with its subtype. (The original made integers of integral floats.)
pub fn encode_number(v: Value, out: &mut Vec<u8>) {
    out.push(if v.is_int() { tag::INTEGER } else { tag::FLOAT });
    out.extend(v.bits.to_le_bytes());
}

pub fn encode_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag::STRING);
    out.extend((bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// A reference to an external table.
pub fn encode_reference(id: u32, out: &mut Vec<u8>) {
    out.push(tag::TABLE);
    out.extend(id.to_le_bytes());
}

/// A stored value.
pub enum Stored {
    Value(Value),
    /// A function in a bytecode that is not ours.
    ForeignFunction,
}

/// The value of some bytes; nil for bytes that mean nothing.
pub fn decode(vm: &mut Vm, bytes: &[u8]) -> Result<Stored, Throw> {
    let Some((&kind, rest)) = bytes.split_first() else {
        return Ok(Stored::Value(Value::NIL));
    };
    let eight = || rest.first_chunk::<8>().map(|b| u64::from_le_bytes(*b));
    let four = || rest.first_chunk::<4>().map(|b| u32::from_le_bytes(*b));
    // What a length in front announces, if it is all there.
    let counted = || rest.get(4..)?.get(..four()? as usize);
    let value = match kind {
        tag::BOOLEAN => rest.first().map(|&b| Value::bool(b != 0)),
        tag::INTEGER => eight().map(|bits| Value::int(bits as i64)),
        tag::FLOAT => eight().map(|bits| Value::float(f64::from_bits(bits))),
        tag::STRING => match counted() {
            Some(text) => Some(vm.new_string(text)?),
            None => None,
        },
        tag::FUNCTION => match counted() {
            Some(chunk) if function::is_ours(chunk) => function::decode(vm, chunk)?,
            Some(chunk) if chunk.first() == Some(&0x1b) => return Ok(Stored::ForeignFunction),
            _ => None,
        },
        tag::BUILTIN => match rest.first_chunk::<2>() {
            Some(index) => builtin(vm, u16::from_le_bytes(*index))?,
            None => None,
        },
        tag::TABLE => match four() {
            Some(id) if id > 0 && id <= i32::MAX as u32 => Some(proxy::of(vm, id)?),
            _ => None,
        },
        _ => None,
    };
    Ok(Stored::Value(value.unwrap_or(Value::NIL)))
}

/// The index of a native function, if reading it gives this function back.
fn builtin_index(vm: &mut Vm, v: Value) -> Result<Option<u16>, Throw> {
    let name = vm.natives.get(v.bits as usize).map(|n| n.full_name());
    let Some(index) = BUILTINS.iter().position(|b| Some(*b) == name.as_deref()) else {
        return Ok(None);
    };
    let found = function::named(vm, BUILTINS[index])?;
    Ok(found
        .is_some_and(|f| f.raw_equals(v))
        .then_some(index as u16))
}

fn builtin(vm: &mut Vm, index: u16) -> Result<Option<Value>, Throw> {
    if index == BUILTIN_UNKNOWN {
        return Ok(Some(proxy::unsupported(vm)));
    }
    match BUILTINS.get(index as usize) {
        Some(name) => function::named(vm, name),
        None => Ok(None),
    }
}
