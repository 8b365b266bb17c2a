//! Lua values as the embedder sees them.
//!
//! Numbers, booleans and strings are plain data; a [`LuaString`] owns a copy of its bytes, so it can be borrowed from like any Rust
//! string. Tables, functions, threads and userdata are handles to objects of their engine.

use super::error::{Error, Result};
use super::function::Function;
use super::handle::Handle;
use super::table::Table;
use super::thread::Thread;
use super::userdata::AnyUserData;
use std::fmt;
use std::rc::Rc;

/// A Lua value.
///
/// ```
/// use evermoon::{Lua, Value};
/// let lua = Lua::new();
/// let value: Value = lua.load("return 3 // 2, 'rest'").eval().unwrap();
/// assert_eq!(value, Value::Integer(1));
/// assert_eq!(value.type_name(), "number");
/// ```
#[derive(Clone, Default)]
pub enum Value {
    /// `nil`.
    #[default]
    Nil,
    /// `true` or `false`.
    Boolean(bool),
    /// An integer number.
    Integer(i64),
    /// A float number.
    Number(f64),
    /// A string.
    String(LuaString),
    /// A table.
    Table(Table),
    /// A function, of Lua's or of the host's.
    Function(Function),
    /// A coroutine.
    Thread(Thread),
    /// An object of the host's.
    UserData(AnyUserData),
    /// An opaque number of the host's.
    LightUserData(LightUserData),
    /// An error that is on its way through Lua code as a value.
    Error(Box<Error>),
}

/// An opaque 64-bit number that Lua code can hold and compare.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LightUserData(pub u64);

impl Value {
    /// mlua's name of `Nil`.
    pub const NULL: Value = Value::LightUserData(LightUserData(0));

    /// A string value.
    pub fn string(bytes: impl AsRef<[u8]>) -> Value {
        Value::String(LuaString::new(bytes))
    }

    /// The name of its type, as Lua's `type` has it; `integer` and `float` are both `number`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Nil => "nil",
            Value::Boolean(_) => "boolean",
            Value::Integer(_) | Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Table(_) => "table",
            Value::Function(_) => "function",
            Value::Thread(_) => "thread",
            Value::UserData(_) | Value::LightUserData(_) => "userdata",
            Value::Error(_) => "error",
        }
    }

    /// Whether this is nil.
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }

    /// Neither nil nor false.
    pub fn is_truthy(&self) -> bool {
        !matches!(self, Value::Nil | Value::Boolean(false))
    }

    /// The integer, if it is one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Value::Integer(i) => Some(*i),
            _ => None,
        }
    }

    /// The number as a float, if it is one of either subtype.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Integer(i) => Some(*i as f64),
            Value::Number(f) => Some(*f),
            _ => None,
        }
    }

    /// The string's bytes, if it is a string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::String(s) => Some(s.as_bytes()),
            _ => None,
        }
    }

    /// The string, if it is one and UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        self.as_bytes()
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// The table, if it is one.
    pub fn as_table(&self) -> Option<&Table> {
        match self {
            Value::Table(t) => Some(t),
            _ => None,
        }
    }

    /// The function, if it is one.
    pub fn as_function(&self) -> Option<&Function> {
        match self {
            Value::Function(f) => Some(f),
            _ => None,
        }
    }

    /// The userdata, if it is one.
    pub fn as_userdata(&self) -> Option<&AnyUserData> {
        match self {
            Value::UserData(u) => Some(u),
            _ => None,
        }
    }

    pub(crate) fn handle(&self) -> Option<&Rc<Handle>> {
        match self {
            Value::Table(Table(h)) | Value::Function(Function(h)) | Value::Thread(Thread(h)) => {
                Some(h)
            }
            Value::UserData(u) => Some(&u.handle),
            _ => None,
        }
    }

    /// What `tostring` gives, `__tostring` and `__name` included.
    pub fn to_text(&self) -> Result<String> {
        Ok(match self {
            Value::Nil => "nil".into(),
            Value::Boolean(b) => b.to_string(),
            Value::Integer(i) => i.to_string(),
            Value::Number(f) => {
                let mut out = Vec::new();
                crate::heap::number::push_float(&mut out, *f);
                String::from_utf8_lossy(&out).into_owned()
            }
            Value::String(s) => s.to_string_lossy().into_owned(),
            Value::Error(e) => e.to_string(),
            Value::LightUserData(n) => format!("userdata: 0x{:08x}", n.0),
            _ => match self.handle() {
                Some(handle) => return handle.lua()?.tostring(self),
                None => String::new(),
            },
        })
    }
}

/// Raw equality; numbers by value, strings by content, objects by identity.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Nil, Value::Nil) => true,
            (Value::Boolean(a), Value::Boolean(b)) => a == b,
            (Value::Integer(a), Value::Integer(b)) => a == b,
            (Value::Number(a), Value::Number(b)) => a == b,
            (Value::Integer(i), Value::Number(f)) | (Value::Number(f), Value::Integer(i)) => {
                crate::heap::value::int_equals_float(*i, *f)
            }
            (Value::String(a), Value::String(b)) => a == b,
            (Value::LightUserData(a), Value::LightUserData(b)) => a == b,
            _ => match (self.handle(), other.handle()) {
                (Some(a), Some(b)) => same_object(a, b),
                _ => false,
            },
        }
    }
}

/// Whether two handles hold the same object.
pub(crate) fn same_object(a: &Rc<Handle>, b: &Rc<Handle>) -> bool {
    Rc::ptr_eq(a, b)
        || Rc::ptr_eq(&a.pool, &b.pool) && a.lua().is_ok_and(|lua| lua.same_slots(a.slot, b.slot))
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => f.write_str("nil"),
            Value::Boolean(b) => b.fmt(f),
            Value::Integer(i) => i.fmt(f),
            Value::Number(n) => n.fmt(f),
            Value::String(s) => s.fmt(f),
            Value::LightUserData(n) => n.fmt(f),
            Value::Error(e) => e.fmt(f),
            _ => write!(f, "{}", self.type_name()),
        }
    }
}

/// A Lua string: bytes, usually UTF-8.
///
/// ```
/// use evermoon::{Lua, LuaString};
/// let lua = Lua::new();
/// let s: LuaString = lua.load(r#"return "caf\u{e9}""#).eval().unwrap();
/// assert_eq!(s.to_str().unwrap(), "café");
/// assert_eq!(s.as_bytes().len(), 5);
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LuaString(Rc<[u8]>);

impl LuaString {
    /// A string with these bytes. It needs no engine.
    pub fn new(bytes: impl AsRef<[u8]>) -> LuaString {
        LuaString(bytes.as_ref().into())
    }
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
    /// Its text, if it is UTF-8.
    pub fn to_str(&self) -> Result<&str> {
        std::str::from_utf8(&self.0)
            .map_err(|e| Error::from_lua("string", "UTF-8 string", Some(e.to_string())))
    }
    /// Its text, with replacement characters where it is not UTF-8.
    pub fn to_string_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl std::ops::Deref for LuaString {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for LuaString {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq<str> for LuaString {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl PartialEq<&str> for LuaString {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl fmt::Debug for LuaString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_string_lossy().fmt(f)
    }
}

impl fmt::Display for LuaString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_string_lossy())
    }
}

/// Any number of values: arguments or results.
#[derive(Clone, Default, Debug, PartialEq)]
pub struct MultiValue(Vec<Value>);

impl MultiValue {
    /// No values.
    pub fn new() -> MultiValue {
        MultiValue::default()
    }
    /// These values.
    pub fn from_vec(values: Vec<Value>) -> MultiValue {
        MultiValue(values)
    }
    /// As a vector.
    pub fn into_vec(self) -> Vec<Value> {
        self.0
    }
    /// Value `index` from 0, nil beyond the last.
    pub fn get_or_nil(&self, index: usize) -> Value {
        self.0.get(index).cloned().unwrap_or_default()
    }
    /// Puts a value before the others.
    pub fn push_front(&mut self, value: Value) {
        self.0.insert(0, value);
    }
    /// Puts a value behind the others.
    pub fn push_back(&mut self, value: Value) {
        self.0.push(value);
    }
    /// Takes the first value.
    pub fn pop_front(&mut self) -> Option<Value> {
        if self.0.is_empty() {
            None
        } else {
            Some(self.0.remove(0))
        }
    }
}

impl std::ops::Deref for MultiValue {
    type Target = [Value];
    fn deref(&self) -> &[Value] {
        &self.0
    }
}

impl FromIterator<Value> for MultiValue {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        MultiValue(values.into_iter().collect())
    }
}

impl IntoIterator for MultiValue {
    type Item = Value;
    type IntoIter = std::vec::IntoIter<Value>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

macro_rules! try_from_value {
    ($($variant:ident $type:ty, $name:literal;)*) => {$(
        impl TryFrom<Value> for $type {
            type Error = Error;
            fn try_from(value: Value) -> Result<$type> {
                match value {
                    Value::$variant(it) => Ok(it),
                    other => Err(Error::from_lua(other.type_name(), $name, None)),
                }
            }
        }
    )*};
}

try_from_value! {
    Table Table, "table";
    Function Function, "function";
    Thread Thread, "thread";
    UserData AnyUserData, "userdata";
    LightUserData LightUserData, "light userdata";
}
