//! Objects of the host's that Lua code holds, with methods and fields in Rust.
//!
//! The collector owns a [`HostData`]; the object itself is behind a reference count, so that it can be used while the VM runs something else.
//! When the collector drops it, it goes to the [`Graveyard`] and is dropped when no engine state is borrowed: destructors are code of the host's.

use super::convert::{FromLua, FromLuaMulti, IntoLua, IntoLuaMulti};
use super::error::{Error, Result};
use super::function::Function;
use super::handle::Handle;
use super::lua::Lua;
use super::table::Table;
use super::value::{MultiValue, Value};
use crate::heap::value::Value as Raw;
use crate::vm::Throw;
use std::any::{Any, TypeId};
use std::cell::{Ref, RefCell, RefMut};
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

/// Objects whose userdata is gone.
#[derive(Default)]
pub(crate) struct Graveyard(RefCell<Vec<Rc<dyn Any>>>);

impl Graveyard {
    pub(crate) fn take(&self) -> Option<Rc<dyn Any>> {
        self.0.borrow_mut().pop()
    }
}

/// What a userdata of the API's holds.
pub(crate) struct HostData {
    content: Option<Rc<dyn Any>>,
    graveyard: Rc<Graveyard>,
}

impl HostData {
    pub(crate) fn new(content: Rc<dyn Any>, graveyard: Rc<Graveyard>) -> HostData {
        HostData {
            content: Some(content),
            graveyard,
        }
    }
    pub(crate) fn content(&self) -> Option<Rc<dyn Any>> {
        self.content.clone()
    }
}

impl Drop for HostData {
    fn drop(&mut self) {
        if let Some(content) = self.content.take() {
            self.graveyard.0.borrow_mut().push(content);
        }
    }
}

/// The content of a userdata, if it is a `T`.
pub(crate) fn content_of<T: Clone + 'static>(raw: Raw) -> Option<T> {
    let userdata = raw.as_userdata()?;
    let data = userdata.data.as_ref()?.downcast_ref::<HostData>()?;
    data.content.as_ref()?.downcast_ref::<T>().cloned()
}

/// A host's object: `None` after it was taken.
type Content<T> = RefCell<Option<T>>;

/// A type whose values Lua code can hold, with the methods and fields it sees.
///
/// ```
/// use evermoon::{Lua, UserData, UserDataFields, UserDataMethods};
/// struct Counter(i64);
/// impl UserData for Counter {
///     fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
///         fields.add_field_method_get("value", |_, this| Ok(this.0));
///         fields.add_field_method_set("value", |_, this, value: i64| { this.0 = value; Ok(()) });
///     }
///     fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
///         methods.add_method_mut("step", |_, this, by: Option<i64>| { this.0 += by.unwrap_or(1); Ok(this.0) });
///         methods.add_meta_method("__len", |_, this, ()| Ok(this.0));
///     }
/// }
/// let lua = Lua::new();
/// lua.globals().set("counter", Counter(40)).unwrap();
/// let (a, b): (i64, i64) = lua.load("counter:step() counter.value = counter.value + 1 return #counter, counter:step(8)").eval().unwrap();
/// assert_eq!((a, b), (42, 50));
/// ```
pub trait UserData: Sized + 'static {
    /// Adds fields.
    fn add_fields<F: UserDataFields<Self>>(_fields: &mut F) {}
    /// Adds methods and metamethods.
    fn add_methods<M: UserDataMethods<Self>>(_methods: &mut M) {}
}

/// Where [`UserData::add_fields`] adds fields.
pub trait UserDataFields<T> {
    /// A field with a constant value.
    fn add_field<V: IntoLua + Clone + 'static>(&mut self, name: &str, value: V);
    /// A field that is computed when it is read.
    fn add_field_method_get<R: IntoLua>(
        &mut self,
        name: &str,
        get: impl Fn(&Lua, &T) -> Result<R> + 'static,
    );
    /// What assigning to a field does.
    fn add_field_method_set<A: FromLua>(
        &mut self,
        name: &str,
        set: impl Fn(&Lua, &mut T, A) -> Result<()> + 'static,
    );
    /// A field of the metatable.
    fn add_meta_field<V: IntoLua>(&mut self, name: &str, value: V);
}

/// Where [`UserData::add_methods`] adds methods.
pub trait UserDataMethods<T> {
    /// A method that reads the object.
    fn add_method<A: FromLuaMulti, R: IntoLuaMulti>(
        &mut self,
        name: &str,
        method: impl Fn(&Lua, &T, A) -> Result<R> + 'static,
    );
    /// A method that changes the object.
    fn add_method_mut<A: FromLuaMulti, R: IntoLuaMulti>(
        &mut self,
        name: &str,
        method: impl FnMut(&Lua, &mut T, A) -> Result<R> + 'static,
    );
    /// A function beside the methods, called with a dot.
    fn add_function<A: FromLuaMulti, R: IntoLuaMulti>(
        &mut self,
        name: &str,
        function: impl Fn(&Lua, A) -> Result<R> + 'static,
    );
    /// A metamethod whose first operand is the object, such as `__len`, `__call`, `__tostring`, `__index`.
    fn add_meta_method<A: FromLuaMulti, R: IntoLuaMulti>(
        &mut self,
        name: &str,
        method: impl Fn(&Lua, &T, A) -> Result<R> + 'static,
    );
    /// The same for one that changes the object.
    fn add_meta_method_mut<A: FromLuaMulti, R: IntoLuaMulti>(
        &mut self,
        name: &str,
        method: impl FnMut(&Lua, &mut T, A) -> Result<R> + 'static,
    );
    /// A metamethod that takes its operands as they come, such as `__add`, whose first one may be something else.
    fn add_meta_function<A: FromLuaMulti, R: IntoLuaMulti>(
        &mut self,
        name: &str,
        function: impl Fn(&Lua, A) -> Result<R> + 'static,
    );
}

/// Collects what a type offers, as tables of the engine.
struct Registrar<'l, T> {
    lua: &'l Lua,
    type_name: &'static str,
    methods: Table,
    getters: Table,
    setters: Table,
    meta: Table,
    error: Option<Error>,
    of: PhantomData<T>,
}

impl<T: 'static> Registrar<'_, T> {
    fn store(&mut self, table: Table, name: &str, made: Result<impl IntoLua>) {
        if let Err(error) = made.and_then(|value| table.raw_set(name, value)) {
            self.error.get_or_insert(error);
        }
    }

    fn function<A: FromLuaMulti, R: IntoLuaMulti>(
        &self,
        name: &str,
        f: impl Fn(&Lua, A) -> Result<R> + 'static,
    ) -> Result<Function> {
        self.lua
            .named_function(&format!("{}.{name}", self.type_name), f)
    }

    fn method<A: FromLuaMulti, R: IntoLuaMulti>(
        &self,
        name: &str,
        f: impl Fn(&Lua, &T, A) -> Result<R> + 'static,
    ) -> Result<Function> {
        self.function(name, move |lua, mut args: MultiValue| {
            let this = this(&mut args)?;
            let args = rest(args, lua)?;
            let object = this.borrow::<T>().map_err(|e| e.at_argument(1))?;
            f(lua, &object, args)
        })
    }

    fn method_mut<A: FromLuaMulti, R: IntoLuaMulti>(
        &self,
        name: &str,
        f: impl FnMut(&Lua, &mut T, A) -> Result<R> + 'static,
    ) -> Result<Function> {
        let f = RefCell::new(f);
        self.function(name, move |lua, mut args: MultiValue| {
            let this = this(&mut args)?;
            let args = rest(args, lua)?;
            let mut object = this.borrow_mut::<T>().map_err(|e| e.at_argument(1))?;
            let mut f = f.try_borrow_mut().map_err(|_| Error::Recursive)?;
            f(lua, &mut object, args)
        })
    }
}

fn this(args: &mut MultiValue) -> Result<AnyUserData> {
    AnyUserData::try_from(args.pop_front().unwrap_or_default()).map_err(|e| e.at_argument(1))
}

/// The arguments behind the object; their positions count it.
fn rest<A: FromLuaMulti>(args: MultiValue, lua: &Lua) -> Result<A> {
    A::from_lua_multi(args, lua).map_err(|e| match e {
        Error::BadArgument { position, cause } => Error::BadArgument {
            position: position + 1,
            cause,
        },
        other => other,
    })
}

impl<T: 'static> UserDataFields<T> for Registrar<'_, T> {
    fn add_field<V: IntoLua + Clone + 'static>(&mut self, name: &str, value: V) {
        self.store(self.methods.clone(), name, Ok(value));
    }
    fn add_field_method_get<R: IntoLua>(
        &mut self,
        name: &str,
        get: impl Fn(&Lua, &T) -> Result<R> + 'static,
    ) {
        let f = self.method(name, move |lua, this: &T, ()| get(lua, this)?.into_lua(lua));
        self.store(self.getters.clone(), name, f);
    }
    fn add_field_method_set<A: FromLua>(
        &mut self,
        name: &str,
        set: impl Fn(&Lua, &mut T, A) -> Result<()> + 'static,
    ) {
        let f = self.method_mut(name, move |lua, this: &mut T, value: Value| {
            set(lua, this, A::from_lua(value, lua)?)
        });
        self.store(self.setters.clone(), name, f);
    }
    fn add_meta_field<V: IntoLua>(&mut self, name: &str, value: V) {
        self.store(self.meta.clone(), name, Ok(value));
    }
}

impl<T: 'static> UserDataMethods<T> for Registrar<'_, T> {
    fn add_method<A: FromLuaMulti, R: IntoLuaMulti>(
        &mut self,
        name: &str,
        method: impl Fn(&Lua, &T, A) -> Result<R> + 'static,
    ) {
        let f = self.method(name, method);
        self.store(self.methods.clone(), name, f);
    }
    fn add_method_mut<A: FromLuaMulti, R: IntoLuaMulti>(
        &mut self,
        name: &str,
        method: impl FnMut(&Lua, &mut T, A) -> Result<R> + 'static,
    ) {
        let f = self.method_mut(name, method);
        self.store(self.methods.clone(), name, f);
    }
    fn add_function<A: FromLuaMulti, R: IntoLuaMulti>(
        &mut self,
        name: &str,
        function: impl Fn(&Lua, A) -> Result<R> + 'static,
    ) {
        let f = self.function(name, function);
        self.store(self.methods.clone(), name, f);
    }
    fn add_meta_method<A: FromLuaMulti, R: IntoLuaMulti>(
        &mut self,
        name: &str,
        method: impl Fn(&Lua, &T, A) -> Result<R> + 'static,
    ) {
        let f = self.method(name, method);
        self.store(self.meta.clone(), name, f);
    }
    fn add_meta_method_mut<A: FromLuaMulti, R: IntoLuaMulti>(
        &mut self,
        name: &str,
        method: impl FnMut(&Lua, &mut T, A) -> Result<R> + 'static,
    ) {
        let f = self.method_mut(name, method);
        self.store(self.meta.clone(), name, f);
    }
    fn add_meta_function<A: FromLuaMulti, R: IntoLuaMulti>(
        &mut self,
        name: &str,
        function: impl Fn(&Lua, A) -> Result<R> + 'static,
    ) {
        let f = self.function(name, function);
        self.store(self.meta.clone(), name, f);
    }
}

impl Lua {
    /// Gives an object to Lua.
    pub fn create_userdata<T: UserData>(&self, object: T) -> Result<AnyUserData> {
        let metatable = self.metatable_of::<T>()?;
        self.userdata_with(object, Some(metatable))
    }

    /// Gives an object to Lua that it can only hold and pass on.
    pub fn create_opaque_userdata<T: 'static>(&self, object: T) -> Result<AnyUserData> {
        self.userdata_with(object, None)
    }

    fn userdata_with<T: 'static>(
        &self,
        object: T,
        metatable: Option<Table>,
    ) -> Result<AnyUserData> {
        let content: Rc<dyn Any> = Rc::new(Content::new(Some(object)));
        self.with(|vm| {
            let metatable = match &metatable {
                Some(table) => Some(table.raw(self, vm)?),
                None => None,
            };
            let data = HostData::new(content.clone(), self.inner.graveyard.clone());
            let mut userdata = vm
                .heap
                .userdata(Some(Box::new(data)))
                .map_err(Throw::from)?;
            userdata.set_metatable(metatable);
            Ok(AnyUserData {
                handle: self.hold(vm, Raw::userdata(userdata)),
                content: Some(content.clone()),
            })
        })
    }

    /// The metatable of a userdata type, made when it is needed first.
    fn metatable_of<T: UserData>(&self) -> Result<Table> {
        let id = TypeId::of::<T>();
        if let Some(known) = self.inner.metatables.borrow().get(&id) {
            return Ok(Table(known.clone()));
        }
        let path = std::any::type_name::<T>();
        let type_name = path
            .split('<')
            .next()
            .and_then(|p| p.rsplit("::").next())
            .unwrap_or(path);
        let mut registrar = Registrar::<T> {
            lua: self,
            type_name,
            methods: self.create_table()?,
            getters: self.create_table()?,
            setters: self.create_table()?,
            meta: self.create_table()?,
            error: None,
            of: PhantomData,
        };
        T::add_fields(&mut registrar);
        T::add_methods(&mut registrar);
        let Registrar {
            methods,
            getters,
            setters,
            meta,
            error,
            ..
        } = registrar;
        if let Some(error) = error {
            return Err(error);
        }
        let own_index: Value = meta.raw_get("__index")?;
        if getters.is_empty() && own_index.is_nil() {
            meta.raw_set("__index", &methods)?;
        } else {
            let (getters, methods) = (getters.clone(), methods.clone());
            let index = self.named_function("__index", move |_, (this, key): (Value, Value)| {
                if let Value::Function(get) = getters.raw_get(&key)? {
                    return get.call::<Value>(this);
                }
                let method: Value = methods.raw_get(&key)?;
                match &own_index {
                    _ if !method.is_nil() => Ok(method),
                    Value::Function(own) => own.call((this, key)),
                    Value::Table(own) => own.get(key),
                    _ => Ok(Value::Nil),
                }
            })?;
            meta.raw_set("__index", index)?;
        }
        let own_set: Value = meta.raw_get("__newindex")?;
        let set = self.named_function(
            "__newindex",
            move |_, (this, key, value): (Value, Value, Value)| match (
                setters.raw_get(&key)?,
                &own_set,
            ) {
                (Value::Function(set), _) => set.call((this, value)),
                (_, Value::Function(own)) => own.call((this, key, value)),
                (_, Value::Table(own)) => own.set(key, value),
                _ => {
                    let shown = key.to_text()?;
                    let why = if getters.contains_key(&key)? {
                        "read-only"
                    } else {
                        "unknown"
                    };
                    Err(Error::runtime(format!(
                        "cannot set {why} field '{shown}' of {type_name}"
                    )))
                }
            },
        )?;
        meta.raw_set("__newindex", set)?;
        if meta.raw_get::<Value>("__name")?.is_nil() {
            meta.raw_set("__name", type_name)?;
        }
        if meta.raw_get::<Value>("__metatable")?.is_nil() {
            meta.raw_set("__metatable", false)?;
        }
        self.inner
            .metatables
            .borrow_mut()
            .insert(id, meta.0.clone());
        Ok(meta)
    }
}

/// A userdata of any type.
#[derive(Clone)]
pub struct AnyUserData {
    pub(crate) handle: Rc<Handle>,
    pub(crate) content: Option<Rc<dyn Any>>,
}

impl AnyUserData {
    fn content<T: 'static>(&self) -> Result<&Content<T>> {
        let content = self
            .content
            .as_ref()
            .and_then(|c| c.downcast_ref::<Content<T>>());
        content.ok_or_else(|| Error::UserDataType {
            wanted: std::any::type_name::<T>().into(),
        })
    }

    /// Whether it holds a `T`.
    pub fn is<T: 'static>(&self) -> bool {
        self.content::<T>()
            .is_ok_and(|content| content.try_borrow().map_or(true, |object| object.is_some()))
    }

    /// Borrows the object.
    pub fn borrow<T: 'static>(&self) -> Result<Ref<'_, T>> {
        let content = self
            .content::<T>()?
            .try_borrow()
            .map_err(|_| Error::UserDataBorrowed)?;
        Ref::filter_map(content, Option::as_ref).map_err(|_| taken::<T>())
    }

    /// Borrows the object for changing it.
    pub fn borrow_mut<T: 'static>(&self) -> Result<RefMut<'_, T>> {
        let content = self
            .content::<T>()?
            .try_borrow_mut()
            .map_err(|_| Error::UserDataBorrowed)?;
        RefMut::filter_map(content, Option::as_mut).map_err(|_| taken::<T>())
    }

    /// Takes the object out; Lua code that still uses it gets errors.
    pub fn take<T: 'static>(&self) -> Result<T> {
        let mut content = self
            .content::<T>()?
            .try_borrow_mut()
            .map_err(|_| Error::UserDataBorrowed)?;
        content.take().ok_or_else(taken::<T>)
    }

    /// `userdata[key]`, metamethods included.
    pub fn get<V: FromLua>(&self, key: impl IntoLua) -> Result<V> {
        let lua = self.handle.lua()?;
        let key = key.into_lua(&lua)?;
        let value = lua.operate(
            lua.inner.natives.index,
            &[Value::UserData(self.clone()), key],
        )?;
        V::from_lua(value.get_or_nil(0), &lua)
    }

    /// `userdata[key] = value`, metamethods included.
    pub fn set(&self, key: impl IntoLua, value: impl IntoLua) -> Result<()> {
        let lua = self.handle.lua()?;
        let args = [
            Value::UserData(self.clone()),
            key.into_lua(&lua)?,
            value.into_lua(&lua)?,
        ];
        lua.operate(lua.inner.natives.set_index, &args).map(|_| ())
    }

    /// Calls a method: `userdata:name(args)`.
    pub fn call_method<R: FromLuaMulti>(&self, name: &str, args: impl IntoLuaMulti) -> Result<R> {
        let lua = self.handle.lua()?;
        let mut args = args.into_lua_multi(&lua)?;
        args.push_front(Value::UserData(self.clone()));
        self.get::<Function>(name)?.call(args)
    }
}

fn taken<T>() -> Error {
    Error::UserDataType {
        wanted: format!("{} that was not taken", std::any::type_name::<T>()),
    }
}

impl PartialEq for AnyUserData {
    fn eq(&self, other: &AnyUserData) -> bool {
        super::value::same_object(&self.handle, &other.handle)
    }
}

impl fmt::Debug for AnyUserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("userdata")
    }
}
