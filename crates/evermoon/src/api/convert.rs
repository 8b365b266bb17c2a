//! Conversions between Rust and Lua: one value ([`FromLua`], [`IntoLua`]) or several ([`FromLuaMulti`], [`IntoLuaMulti`]).
//!
//! Conversions to numbers and strings follow Lua's own coercions (manual 3.4.3). An integer that does not fit its type is an error, never a
//! wrapped number.

use super::error::{Error, Result};
use super::function::Function;
use super::lua::Lua;
use super::table::Table;
use super::thread::Thread;
use super::userdata::{AnyUserData, UserData};
use super::value::{LightUserData, LuaString, MultiValue, Value};
use crate::heap::number::{self, Num};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hash};
use std::ops::{Deref, DerefMut};

/// Types that a Lua value can become.
pub trait FromLua: Sized {
    /// Converts.
    fn from_lua(value: Value, lua: &Lua) -> Result<Self>;
}

/// Types that can become a Lua value.
pub trait IntoLua: Sized {
    /// Converts.
    fn into_lua(self, lua: &Lua) -> Result<Value>;
}

/// Types that several Lua values can become: arguments of host functions, results of calls.
pub trait FromLuaMulti: Sized {
    /// Converts; missing values are nil, superfluous ones are dropped.
    fn from_lua_multi(values: MultiValue, lua: &Lua) -> Result<Self>;
}

/// Types that can become several Lua values.
pub trait IntoLuaMulti: Sized {
    /// Converts.
    fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue>;
}

/// Any number of values of one type: `|lua, numbers: Variadic<f64>|`.
///
/// ```
/// use evermoon::{Lua, Variadic};
/// let lua = Lua::new();
/// let sum = lua.create_function(|_, numbers: Variadic<i64>| Ok(numbers.iter().sum::<i64>())).unwrap();
/// lua.globals().set("sum", sum).unwrap();
/// assert_eq!(lua.load("sum(1, 2, 3)").eval::<i64>().unwrap(), 6);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Variadic<T>(pub Vec<T>);

impl<T> Deref for Variadic<T> {
    type Target = Vec<T>;
    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}
impl<T> DerefMut for Variadic<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}
impl<T> IntoIterator for Variadic<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
impl<T> FromIterator<T> for Variadic<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Variadic(items.into_iter().collect())
    }
}
impl<T: FromLua> FromLuaMulti for Variadic<T> {
    fn from_lua_multi(values: MultiValue, lua: &Lua) -> Result<Self> {
        values
            .into_iter()
            .enumerate()
            .map(|(i, v)| T::from_lua(v, lua).map_err(|e| e.at_argument(i + 1)))
            .collect()
    }
}
impl<T: IntoLua> IntoLuaMulti for Variadic<T> {
    fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue> {
        self.0.into_iter().map(|v| v.into_lua(lua)).collect()
    }
}

// ---- values ----

fn mismatch<T>(value: &Value, to: &str) -> Result<T> {
    Err(Error::from_lua(value.type_name(), to, None))
}

impl FromLua for Value {
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        Ok(value)
    }
}
impl IntoLua for Value {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(self)
    }
}
impl IntoLua for &Value {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(self.clone())
    }
}

macro_rules! handles {
    ($($variant:ident $type:ty),* $(,)?) => {$(
        impl FromLua for $type {
            fn from_lua(value: Value, _: &Lua) -> Result<Self> {
                value.try_into()
            }
        }
        impl IntoLua for $type {
            fn into_lua(self, _: &Lua) -> Result<Value> {
                Ok(Value::$variant(self))
            }
        }
        impl IntoLua for &$type {
            fn into_lua(self, _: &Lua) -> Result<Value> {
                Ok(Value::$variant(self.clone()))
            }
        }
    )*};
}
handles!(Table Table, Function Function, Thread Thread, UserData AnyUserData, LightUserData LightUserData);

impl IntoLua for LuaString {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::String(self))
    }
}
impl IntoLua for &LuaString {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::String(self.clone()))
    }
}
impl FromLua for LuaString {
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        match value {
            Value::String(s) => Ok(s),
            Value::Integer(_) | Value::Number(_) => Ok(LuaString::new(value.to_text()?)),
            other => mismatch(&other, "string"),
        }
    }
}

impl FromLua for String {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        Ok(LuaString::from_lua(value, lua)?.to_str()?.to_owned())
    }
}
impl IntoLua for String {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::string(self))
    }
}
impl IntoLua for &String {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::string(self))
    }
}
impl IntoLua for &str {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::string(self))
    }
}
impl IntoLua for &[u8] {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::string(self))
    }
}
impl IntoLua for char {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::string(self.encode_utf8(&mut [0; 4])))
    }
}
impl IntoLua for std::borrow::Cow<'_, str> {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::string(self.as_bytes()))
    }
}

impl FromLua for bool {
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        Ok(value.is_truthy())
    }
}
impl IntoLua for bool {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::Boolean(self))
    }
}

/// A number by Lua's coercions: strings convert.
fn coerce_number(value: &Value) -> Option<Num> {
    match value {
        Value::Integer(i) => Some(Num::Int(*i)),
        Value::Number(f) => Some(Num::Float(*f)),
        Value::String(s) => number::parse_number(s),
        _ => None,
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl FromLua for $type {
            fn from_lua(value: Value, _: &Lua) -> Result<Self> {
                let Some(n) = coerce_number(&value) else { return mismatch(&value, "number") };
                let Some(i) = n.to_int() else {
                    let why = Some("number has no integer representation".to_string());
                    return Err(Error::from_lua(value.type_name(), "integer", why));
                };
                <$type>::try_from(i).map_err(|_| {
                    Error::from_lua(value.type_name(), stringify!($type), Some("out of range".into()))
                })
            }
        }
        impl IntoLua for $type {
            fn into_lua(self, _: &Lua) -> Result<Value> {
                match i64::try_from(self) {
                    Ok(i) => Ok(Value::Integer(i)),
                    Err(_) => Err(Error::IntoLua { from: stringify!($type).into(), message: "out of range".into() }),
                }
            }
        }
    )*};
}
integers!(
    i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, i128, u128
);

macro_rules! floats {
    ($($type:ty),*) => {$(
        impl FromLua for $type {
            fn from_lua(value: Value, _: &Lua) -> Result<Self> {
                match coerce_number(&value) {
                    Some(n) => Ok(n.to_float() as $type),
                    None => mismatch(&value, "number"),
                }
            }
        }
        impl IntoLua for $type {
            fn into_lua(self, _: &Lua) -> Result<Value> {
                Ok(Value::Number(self as f64))
            }
        }
    )*};
}
floats!(f32, f64);

impl<T: FromLua> FromLua for Option<T> {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        if value.is_nil() {
            Ok(None)
        } else {
            T::from_lua(value, lua).map(Some)
        }
    }
}
impl<T: IntoLua> IntoLua for Option<T> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        self.map_or(Ok(Value::Nil), |v| v.into_lua(lua))
    }
}

impl IntoLua for Error {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::Error(Box::new(self)))
    }
}

impl<T: UserData> IntoLua for T {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_userdata(self).map(Value::UserData)
    }
}

// ---- containers ----

fn table_of(value: Value) -> Result<Table> {
    value.try_into()
}

impl<T: FromLua> FromLua for Vec<T> {
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        table_of(value)?.sequence_values().collect()
    }
}
impl<T: IntoLua> IntoLua for Vec<T> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_sequence_from(self).map(Value::Table)
    }
}
impl<T: FromLua, const N: usize> FromLua for [T; N] {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        let items = Vec::<T>::from_lua(value, lua)?;
        let count = items.len();
        items.try_into().map_err(|_| {
            Error::from_lua(
                "table",
                format!("array of {N}"),
                Some(format!("it has {count}")),
            )
        })
    }
}
impl<T: IntoLua, const N: usize> IntoLua for [T; N] {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_sequence_from(self).map(Value::Table)
    }
}

macro_rules! maps {
    ($($type:ident [$($bound:path),*] [$($hasher:ident)?]),*) => {$(
        impl<K: FromLua $(+ $bound)*, V: FromLua $(, $hasher: BuildHasher + Default)?> FromLua for $type<K, V $(, $hasher)?> {
            fn from_lua(value: Value, _: &Lua) -> Result<Self> {
                table_of(value)?.pairs().collect()
            }
        }
        impl<K: IntoLua $(+ $bound)*, V: IntoLua $(, $hasher: BuildHasher)?> IntoLua for $type<K, V $(, $hasher)?> {
            fn into_lua(self, lua: &Lua) -> Result<Value> {
                lua.create_table_from(self).map(Value::Table)
            }
        }
    )*};
}
maps!(HashMap [Eq, Hash] [S], BTreeMap [Ord] []);

macro_rules! sets {
    ($($type:ident [$($bound:path),*] [$($hasher:ident)?]),*) => {$(
        /// A set is a table whose keys are the members.
        impl<K: FromLua $(+ $bound)* $(, $hasher: BuildHasher + Default)?> FromLua for $type<K $(, $hasher)?> {
            fn from_lua(value: Value, _: &Lua) -> Result<Self> {
                table_of(value)?.pairs::<K, Value>().map(|pair| pair.map(|(k, _)| k)).collect()
            }
        }
        impl<K: IntoLua $(+ $bound)* $(, $hasher: BuildHasher)?> IntoLua for $type<K $(, $hasher)?> {
            fn into_lua(self, lua: &Lua) -> Result<Value> {
                lua.create_table_from(self.into_iter().map(|k| (k, true))).map(Value::Table)
            }
        }
    )*};
}
sets!(HashSet [Eq, Hash] [S], BTreeSet [Ord] []);

// ---- several values ----

impl FromLuaMulti for MultiValue {
    fn from_lua_multi(values: MultiValue, _: &Lua) -> Result<Self> {
        Ok(values)
    }
}
impl IntoLuaMulti for MultiValue {
    fn into_lua_multi(self, _: &Lua) -> Result<MultiValue> {
        Ok(self)
    }
}
impl<T: FromLua> FromLuaMulti for T {
    fn from_lua_multi(values: MultiValue, lua: &Lua) -> Result<Self> {
        T::from_lua(values.into_iter().next().unwrap_or_default(), lua)
            .map_err(|e| e.at_argument(1))
    }
}
impl<T: IntoLua> IntoLuaMulti for T {
    fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue> {
        Ok(MultiValue::from_vec(vec![self.into_lua(lua)?]))
    }
}
/// `Ok` values, or nil and a message, as Lua's libraries report failures.
impl<T: IntoLuaMulti, E: IntoLua> IntoLuaMulti for std::result::Result<T, E> {
    fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue> {
        match self {
            Ok(values) => values.into_lua_multi(lua),
            Err(e) => Ok(MultiValue::from_vec(vec![Value::Nil, e.into_lua(lua)?])),
        }
    }
}
impl FromLuaMulti for () {
    fn from_lua_multi(_: MultiValue, _: &Lua) -> Result<Self> {
        Ok(())
    }
}
impl IntoLuaMulti for () {
    fn into_lua_multi(self, _: &Lua) -> Result<MultiValue> {
        Ok(MultiValue::new())
    }
}

/// A tuple's last element takes all values that are left, so it may be a [`Variadic`] or a [`MultiValue`].
macro_rules! tuples {
    ($($first:ident)* ; $last:ident) => {
        impl<$($first: FromLua,)* $last: FromLuaMulti> FromLuaMulti for ($($first,)* $last,) {
            #[allow(non_snake_case, unused_mut, unused_variables, unused_assignments)]
            fn from_lua_multi(values: MultiValue, lua: &Lua) -> Result<Self> {
                let mut values = values.into_iter();
                let mut position = 0;
                $(
                    position += 1;
                    let $first = $first::from_lua(values.next().unwrap_or_default(), lua)
                        .map_err(|e| e.at_argument(position))?;
                )*
                let $last = $last::from_lua_multi(values.collect(), lua).map_err(|e| match e {
                    Error::BadArgument { position: at, cause } => Error::BadArgument { position: position + at, cause },
                    other => other,
                })?;
                Ok(($($first,)* $last,))
            }
        }
        impl<$($first: IntoLua,)* $last: IntoLuaMulti> IntoLuaMulti for ($($first,)* $last,) {
            #[allow(non_snake_case, unused_mut)]
            fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue> {
                let ($($first,)* $last,) = self;
                let mut values = vec![$($first.into_lua(lua)?),*];
                values.extend($last.into_lua_multi(lua)?);
                Ok(MultiValue::from_vec(values))
            }
        }
    };
}
tuples!(; A);
tuples!(A; B);
tuples!(A B; C);
tuples!(A B C; D);
tuples!(A B C D; E);
tuples!(A B C D E; F);
tuples!(A B C D E F; G);
tuples!(A B C D E F G; H);
tuples!(A B C D E F G H; I);
tuples!(A B C D E F G H I; J);
