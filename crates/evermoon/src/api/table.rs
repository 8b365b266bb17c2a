//! Tables.

use super::convert::{FromLua, IntoLua};
use super::error::{Error, Result};
use super::handle::Handle;
use super::lua::{Failure, Lua};
use super::value::Value;
use crate::heap::object::Gc;
use crate::heap::table::Table as RawTable;
use crate::heap::value::Value as Raw;
use crate::vm::Vm;
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

/// A Lua table.
///
/// ```
/// use evermoon::{Lua, Table};
/// let lua = Lua::new();
/// let table = lua.create_table().unwrap();
/// table.set("name", "Ada").unwrap();
/// table.set(1, 36).unwrap();
/// lua.globals().set("person", &table).unwrap();
/// lua.load("person.name = person.name .. ' L.'").exec().unwrap();
/// assert_eq!(table.get::<String>("name").unwrap(), "Ada L.");
/// // `pairs` goes in the order of insertion.
/// let keys: Vec<String> = table.pairs::<String, String>().map(|pair| pair.unwrap().0).collect();
/// assert_eq!(keys, ["1", "name"]);
/// ```
#[derive(Clone)]
pub struct Table(pub(crate) Rc<Handle>);

impl Table {
    /// The table, loaded.
    pub(crate) fn raw(&self, lua: &Lua, vm: &mut Vm) -> Result<Gc<RawTable>, Failure> {
        let table = lua.raw_of(vm, &self.0)?.as_table().ok_or(Error::Closed)?;
        vm.touch_table(table)?;
        Ok(table)
    }

    fn value(&self) -> Value {
        Value::Table(self.clone())
    }

    /// `table[key]`, metamethods included.
    pub fn get<V: FromLua>(&self, key: impl IntoLua) -> Result<V> {
        let lua = self.0.lua()?;
        let key = key.into_lua(&lua)?;
        let found = lua.with(|vm| {
            let table = self.raw(&lua, vm)?;
            let key = lua.to_raw(vm, &key)?;
            let raw = vm.get_raw(table, key)?;
            // Only an absent field of a table with a metatable may mean more.
            Ok(if raw.is_nil() && table.metatable.is_some() {
                None
            } else {
                Some(lua.to_value(vm, raw))
            })
        })?;
        let value = match found {
            Some(value) => value,
            None => lua
                .operate(lua.inner.natives.index, &[self.value(), key])?
                .get_or_nil(0),
        };
        V::from_lua(value, &lua)
    }

    /// `table[key] = value`, metamethods included.
    pub fn set(&self, key: impl IntoLua, value: impl IntoLua) -> Result<()> {
        let lua = self.0.lua()?;
        let (key, value) = (key.into_lua(&lua)?, value.into_lua(&lua)?);
        let done = lua.with(|vm| {
            let table = self.raw(&lua, vm)?;
            if table.metatable.is_some() {
                return Ok(false);
            }
            let key = lua.to_raw(vm, &key)?;
            let value = lua.to_raw(vm, &value)?;
            vm.raw_set(table, key, value)?;
            Ok(true)
        })?;
        if !done {
            lua.operate(lua.inner.natives.set_index, &[self.value(), key, value])?;
        }
        Ok(())
    }

    /// `rawget(table, key)`
    pub fn raw_get<V: FromLua>(&self, key: impl IntoLua) -> Result<V> {
        let lua = self.0.lua()?;
        let key = key.into_lua(&lua)?;
        let value = lua.with(|vm| {
            let table = self.raw(&lua, vm)?;
            let key = lua.to_raw(vm, &key)?;
            let raw = vm.get_raw(table, key)?;
            Ok(lua.to_value(vm, raw))
        })?;
        V::from_lua(value, &lua)
    }

    /// `rawset(table, key, value)`
    pub fn raw_set(&self, key: impl IntoLua, value: impl IntoLua) -> Result<()> {
        let lua = self.0.lua()?;
        let (key, value) = (key.into_lua(&lua)?, value.into_lua(&lua)?);
        lua.with(|vm| {
            let table = self.raw(&lua, vm)?;
            let key = lua.to_raw(vm, &key)?;
            let value = lua.to_raw(vm, &value)?;
            Ok(vm.raw_set(table, key, value)?)
        })
    }

    /// Whether `table[key]` is not nil.
    pub fn contains_key(&self, key: impl IntoLua) -> Result<bool> {
        Ok(!self.get::<Value>(key)?.is_nil())
    }

    /// `#table`, metamethods included.
    pub fn len(&self) -> Result<i64> {
        let lua = self.0.lua()?;
        let value = lua
            .operate(lua.inner.natives.length, &[self.value()])?
            .get_or_nil(0);
        i64::from_lua(value, &lua)
    }

    /// `rawlen(table)`
    pub fn raw_len(&self) -> usize {
        let Ok(lua) = self.0.lua() else { return 0 };
        lua.with(|vm| {
            let table = self.raw(&lua, vm)?;
            Ok(vm.raw_length(table)? as usize)
        })
        .unwrap_or(0)
    }

    /// Whether it has no fields.
    pub fn is_empty(&self) -> bool {
        let Ok(lua) = self.0.lua() else { return true };
        lua.with(|vm| {
            let table = self.raw(&lua, vm)?;
            Ok(vm.raw_next(table, Raw::NIL, &mut 0)?.is_none())
        })
        .unwrap_or(true)
    }

    /// Appends a value.
    pub fn push(&self, value: impl IntoLua) -> Result<()> {
        let length = self.len()?;
        self.set(length + 1, value)
    }

    /// Removes the last value of the sequence and gives it.
    pub fn pop<V: FromLua>(&self) -> Result<V> {
        let length = self.len()?;
        let value = self.get(length)?;
        self.set(length, Value::Nil)?;
        Ok(value)
    }

    /// Removes all fields, without metamethods.
    pub fn clear(&self) -> Result<()> {
        for pair in self.pairs::<Value, Value>() {
            self.raw_set(pair?.0, Value::Nil)?;
        }
        Ok(())
    }

    /// Calls a function that is a field: `table.name(args)`.
    pub fn call_function<R: super::FromLuaMulti>(
        &self,
        name: &str,
        args: impl super::IntoLuaMulti,
    ) -> Result<R> {
        self.get::<super::Function>(name)?.call(args)
    }

    /// Calls a method: `table:name(args)`.
    pub fn call_method<R: super::FromLuaMulti>(
        &self,
        name: &str,
        args: impl super::IntoLuaMulti,
    ) -> Result<R> {
        let lua = self.0.lua()?;
        let mut args = args.into_lua_multi(&lua)?;
        args.push_front(self.value());
        self.get::<super::Function>(name)?.call(args)
    }

    /// Its metatable.
    pub fn metatable(&self) -> Option<Table> {
        let lua = self.0.lua().ok()?;
        lua.with(|vm| {
            let table = self.raw(&lua, vm)?;
            let metatable = vm.heap.metatable_of_table(table);
            Ok(metatable.map(|m| Table(lua.hold(vm, Raw::table(m)))))
        })
        .ok()
        .flatten()
    }

    /// Sets or removes its metatable (a `__metatable` field does not matter here).
    pub fn set_metatable(&self, metatable: Option<Table>) -> Result<()> {
        let lua = self.0.lua()?;
        lua.with(|vm| {
            let table = self.raw(&lua, vm)?;
            let metatable = match &metatable {
                Some(m) => Some(m.raw(&lua, vm)?),
                None => None,
            };
            if metatable.is_some_and(|m| m.header.is_external()) {
                return Err(Error::runtime("an external table cannot be a metatable").into());
            }
            vm.set_table_metatable(table, metatable);
            Ok(())
        })
    }

    /// All fields, in `next`'s order, without metamethods. Fields may be changed and removed meanwhile, but not added.
    pub fn pairs<K: FromLua, V: FromLua>(&self) -> Pairs<'_, K, V> {
        Pairs {
            table: self,
            key: Some(Value::Nil),
            hint: 0,
            types: PhantomData,
        }
    }

    /// The values at 1, 2, 3, … up to the first nil, without metamethods.
    pub fn sequence_values<V: FromLua>(&self) -> Sequence<'_, V> {
        Sequence {
            table: self,
            index: Some(1),
            types: PhantomData,
        }
    }
}

/// See [`Table::pairs`].
pub struct Pairs<'t, K, V> {
    table: &'t Table,
    key: Option<Value>,
    hint: u32,
    types: PhantomData<(K, V)>,
}

impl<K: FromLua, V: FromLua> Iterator for Pairs<'_, K, V> {
    type Item = Result<(K, V)>;
    fn next(&mut self) -> Option<Self::Item> {
        let key = self.key.take()?;
        let step = || -> Result<Option<(Value, Value, Lua, u32)>> {
            let lua = self.table.0.lua()?;
            let mut hint = self.hint;
            let pair = lua.with(|vm| {
                let table = self.table.raw(&lua, vm)?;
                let key = lua.to_raw(vm, &key)?;
                let pair = vm.raw_next(table, key, &mut hint)?;
                Ok(pair.map(|(key, value)| (lua.to_value(vm, key), lua.to_value(vm, value))))
            })?;
            Ok(pair.map(|(key, value)| (key, value, lua, hint)))
        };
        match step() {
            Ok(None) => None,
            Ok(Some((key, value, lua, hint))) => {
                self.key = Some(key.clone());
                self.hint = hint;
                Some(K::from_lua(key, &lua).and_then(|k| Ok((k, V::from_lua(value, &lua)?))))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

/// See [`Table::sequence_values`].
pub struct Sequence<'t, V> {
    table: &'t Table,
    index: Option<i64>,
    types: PhantomData<V>,
}

impl<V: FromLua> Iterator for Sequence<'_, V> {
    type Item = Result<V>;
    fn next(&mut self) -> Option<Self::Item> {
        let index = self.index.take()?;
        let value = match self.table.raw_get::<Value>(index) {
            Ok(Value::Nil) => return None,
            Ok(value) => value,
            Err(error) => return Some(Err(error)),
        };
        self.index = Some(index + 1);
        Some(self.table.0.lua().and_then(|lua| V::from_lua(value, &lua)))
    }
}

impl PartialEq for Table {
    fn eq(&self, other: &Table) -> bool {
        super::value::same_object(&self.0, &other.0)
    }
}

impl Table {
    /// Equality as `==` has it, `__eq` included.
    pub fn equals(&self, other: &Table) -> Result<bool> {
        let lua = self.0.lua()?;
        Ok(lua
            .operate(lua.inner.natives.equals, &[self.value(), other.value()])?
            .get_or_nil(0)
            .is_truthy())
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("table")
    }
}
