//! An engine as its embedder holds it: [`Lua`], how it is made, and the door through which everything else here reaches the VM.
//!
//! Invariants
//! 1. The VM is borrowed only inside [`Lua::with`] and while it runs (`drive.rs`), and no code of the embedder's runs meanwhile, its
//!    [`Host`] excepted. Host functions run between two runs of the VM, with nothing borrowed, and may use the engine freely.
//! 2. Raw values do not leave a `with`: outside they are [`Value`]s, whose objects the handle table keeps alive. Inside, nothing collects
//!    except at its beginning.

use super::error::{Error, Result, RuntimeError};
use super::function::Function;
use super::handle::{ErrorSlot, Handle, Pool};
use super::operations::{self, Natives};
use super::table::Table;
use super::thread::Thread;
use super::userdata::{AnyUserData, Graveyard, HostData};
use super::value::{LightUserData, LuaString, MultiValue, Value};
use super::{FromLua, FromLuaMulti, IntoLua, IntoLuaMulti};
use crate::heap::value::{Type, Value as Raw, tag};
use crate::stdlib::{self, xoshiro::Xoshiro};
use crate::vm::host::Host;
use crate::vm::{self, Throw, Thrown, Vm};
use std::any::TypeId;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A Lua engine: the main thing. Cloning it gives another reference to the same engine.
///
/// It is used by one thread (`!Send`); many engines may run in many threads. Tables, functions and other values do not keep their
/// engine alive; the engine closes (finalizers run) when the last `Lua` is dropped. A host function that keeps a `Lua` therefore keeps
/// its own engine alive forever; use the one it is given.
///
/// ```
/// use evermoon::{Lua, Table};
/// let lua = Lua::new();
/// lua.globals().set("greeting", "hello").unwrap();
/// let text: String = lua.load("return greeting .. ', ' .. 'world'").eval().unwrap();
/// assert_eq!(text, "hello, world");
/// let point: Table = lua.load("{ x = 1, y = 2 }").eval().unwrap();
/// assert_eq!(point.get::<i64>("y").unwrap(), 2);
/// ```
#[derive(Clone)]
pub struct Lua {
    pub(crate) inner: Rc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) vm: RefCell<Vm>,
    pub(crate) pool: Rc<Pool>,
    pub(crate) graveyard: Rc<Graveyard>,
    pub(crate) natives: Natives,
    /// What the message handler has found out about the last error.
    pub(crate) report: Rc<RefCell<Option<operations::Report>>>,
    globals: OnceCell<Rc<Handle>>,
    registry: OnceCell<Rc<Handle>>,
    handler: OnceCell<Rc<Handle>>,
    /// Metatables of the userdata types, made on first use.
    pub(crate) metatables: RefCell<BTreeMap<TypeId, Rc<Handle>>>,
    /// Entries from the host that are in progress inside each other.
    pub(crate) depth: Cell<u32>,
    pub(crate) interrupt: Arc<AtomicBool>,
    /// Its finalizers have been called.
    pub(crate) closed: Cell<bool>,
    /// The VM has panicked: its state is unknown.
    pub(crate) poisoned: Cell<bool>,
}

/// Which libraries an engine gets; combine with `|` (mlua's word).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StdLib(u32);

impl StdLib {
    /// None but the basic functions.
    pub const NONE: StdLib = StdLib(0);
    /// `coroutine`
    pub const COROUTINE: StdLib = StdLib(1);
    /// `table`
    pub const TABLE: StdLib = StdLib(2);
    /// `string`
    pub const STRING: StdLib = StdLib(4);
    /// `utf8`
    pub const UTF8: StdLib = StdLib(8);
    /// `math`
    pub const MATH: StdLib = StdLib(16);
    /// `package` and `require`
    pub const PACKAGE: StdLib = StdLib(32);
    /// `os`; it does what the [`Host`] offers.
    pub const OS: StdLib = StdLib(64);
    /// `io`; likewise.
    pub const IO: StdLib = StdLib(128);
    /// `debug`. It is memory-safe here, but it looks behind every abstraction of the Lua program.
    pub const DEBUG: StdLib = StdLib(256);
    /// What computes only: no `os`, no `io`, no `debug`.
    pub const PURE: StdLib = StdLib(1 | 2 | 4 | 8 | 16 | 32);
    /// Everything.
    pub const ALL: StdLib = StdLib(511);

    /// Whether all of `other` are among these.
    pub const fn contains(self, other: StdLib) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for StdLib {
    type Output = StdLib;
    fn bitor(self, other: StdLib) -> StdLib {
        StdLib(self.0 | other.0)
    }
}

/// How to make an engine: libraries, limits, host.
///
/// ```
/// use evermoon::{Error, Lua, StdLib};
/// let lua = Lua::builder().libraries(StdLib::STRING | StdLib::MATH).memory(4 << 20).fuel(100_000).build().unwrap();
/// let error = lua.load("while true do end").exec().unwrap_err();
/// assert_eq!(error.code(), "fuel");
/// lua.set_fuel(Some(100_000));
/// let error = lua.load("local t = {} for i = 1, 1e9 do t[i] = i end").exec().unwrap_err();
/// assert!(matches!(error, Error::Memory { .. } | Error::Fuel { .. }));
/// ```
pub struct Builder {
    libraries: StdLib,
    host: Box<dyn Host>,
    limits: vm::Limits,
    memory: Option<usize>,
    fuel: Option<u64>,
    seed: Option<(i64, i64)>,
    world: Option<Box<dyn crate::persist::Backing>>,
    codecs: Vec<crate::persist::Codec>,
    modules: Vec<OpenModule>,
}

/// Enters a library of natives into a new engine; see [`Builder::module`].
pub type OpenModule = fn(&mut Vm) -> Result<(), Throw>;

impl Builder {
    /// Which libraries; [`StdLib::PURE`] unless said.
    pub fn libraries(mut self, libraries: StdLib) -> Self {
        self.libraries = libraries;
        self
    }
    /// What the engine may use of the outside: output, files, clock. Nothing unless said.
    pub fn host(mut self, host: impl Host + 'static) -> Self {
        self.host = Box::new(host);
        self
    }
    /// The most memory that the engine may use, in bytes (as counted for a 64-bit machine, the same everywhere).
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = Some(bytes);
        self
    }
    /// The fuel to begin with; see [`Lua::set_fuel`].
    pub fn fuel(mut self, fuel: u64) -> Self {
        self.fuel = Some(fuel);
        self
    }
    /// The most slots of one Lua stack (a million unless said).
    pub fn stack(mut self, slots: usize) -> Self {
        self.limits.stack_max = slots.clamp(200, 1 << 23);
        self
    }
    /// The deepest nesting of calls (200 000 unless said).
    pub fn call_depth(mut self, frames: usize) -> Self {
        self.limits.frames_max = frames.clamp(20, 1 << 26);
        self
    }
    /// The longest string that an operation may make, in bytes (2 GiB unless said).
    pub fn string(mut self, bytes: usize) -> Self {
        self.limits.string_max = bytes.min(i32::MAX as usize);
        self
    }
    /// The deepest nesting of source text (200 unless said).
    pub fn nesting(mut self, levels: u32) -> Self {
        self.limits.syntax_nesting = levels.clamp(3, 200);
        self
    }
    /// The seed of `math.random`. Without it every engine gives the same numbers.
    pub fn seed(mut self, n1: i64, n2: i64) -> Self {
        self.seed = Some((n1, n2));
        self
    }
    /// A library of natives beyond Lua's own, which its crate offers as a function that enters it into `package.preload`. What such a library makes
    /// persists, as its natives have names; a library of closures ([`Lua::preload`]) is more convenient.
    ///
    /// ```
    /// use evermoon::Lua;
    /// use evermoon::heap::value::Value;
    /// use evermoon::vm::{NativeResult, Throw, Vm};
    ///
    /// fn open(vm: &mut Vm) -> Result<(), Throw> {
    ///     evermoon::stdlib::preload(vm, "answers", load)
    /// }
    /// fn load(vm: &mut Vm) -> NativeResult {
    ///     let module = vm.new_table()?;
    ///     vm.raw_set_name(module, "all", Value::int(42))?;
    ///     vm.ret(Value::table(module))
    /// }
    ///
    /// let lua = Lua::builder().module(open).build().unwrap();
    /// assert_eq!(lua.load("require('answers').all").eval::<i64>().unwrap(), 42);
    /// ```
    pub fn module(mut self, open: OpenModule) -> Self {
        self.modules.push(open);
        self
    }

    /// The engine's state is the world that is read here; an empty one is made. The store must answer at once.
    pub fn world(mut self, backing: impl crate::persist::Backing + 'static) -> Self {
        self.world = Some(Box::new(backing));
        self
    }
    /// How a type of userdata is stored in a world.
    pub fn codec(mut self, codec: crate::persist::Codec) -> Self {
        self.codecs.push(codec);
        self
    }

    /// Makes the engine. Fails only if the memory limit is too small for its libraries.
    pub fn build(self) -> Result<Lua> {
        let mut vm = Vm::new(self.limits);
        vm.host = self.host;
        vm.heap.bytes_max = self.memory.unwrap_or(vm.heap.bytes_max);
        let report = Rc::new(RefCell::new(None));
        let made = open_libraries(&mut vm, self.libraries)
            .and_then(|()| self.modules.iter().try_for_each(|open| open(&mut vm)))
            .and_then(|()| match self.world {
                Some(_) => crate::stdlib::ext::open(&mut vm),
                None => Ok(()),
            })
            .and_then(|()| operations::register(&mut vm, &report));
        if let Ok(natives) = &made {
            // Programs under way have it on their stacks.
            vm.set_permanent(stdlib::MESSAGE_HANDLER, natives.handler);
        }
        if let (Some(backing), Ok(_)) = (self.world, &made) {
            let mut codecs = self.codecs;
            if self.libraries.contains(StdLib::IO) {
                codecs.push(stdlib::io::codec());
            }
            vm.open_world(backing, codecs)?;
        }
        if let Some((n1, n2)) = self.seed {
            vm.random = Xoshiro::seed(n1, n2).state();
        }
        let natives = match made {
            Ok(natives) => natives,
            Err(_) => return Err(plain_error(&mut vm)),
        };
        let inner = Rc::new(Inner {
            vm: RefCell::new(vm),
            pool: Rc::new(Pool {
                freed: RefCell::default(),
                tasks: RefCell::default(),
                remote: Arc::new(Mutex::new(Vec::new())),
            }),
            graveyard: Rc::default(),
            natives,
            report,
            globals: OnceCell::new(),
            registry: OnceCell::new(),
            handler: OnceCell::new(),
            metatables: RefCell::default(),
            depth: Cell::new(0),
            interrupt: Arc::new(AtomicBool::new(false)),
            closed: Cell::new(false),
            poisoned: Cell::new(false),
        });
        let lua = Lua { inner };
        lua.with(|vm| {
            let hold = |vm: &mut Vm, raw| lua.hold(vm, raw);
            let globals = Raw::table(vm.globals);
            let registry = Raw::table(vm.registry);
            let _ = lua.inner.globals.set(hold(vm, globals));
            let _ = lua.inner.registry.set(hold(vm, registry));
            let _ = lua.inner.handler.set(hold(vm, lua.inner.natives.handler));
            vm.set_fuel(self.fuel);
            Ok(())
        })?;
        Ok(lua)
    }
}

/// Opens the libraries that were asked for.
fn open_libraries(vm: &mut Vm, libraries: StdLib) -> Result<(), Throw> {
    type Open = fn(&mut Vm) -> Result<(), Throw>;
    let all: [(StdLib, Open); 9] = [
        (StdLib::PACKAGE, stdlib::package::open),
        (StdLib::COROUTINE, stdlib::coroutine::open),
        (StdLib::STRING, stdlib::string::open),
        (StdLib::UTF8, stdlib::utf8::open),
        (StdLib::TABLE, stdlib::table::open),
        (StdLib::MATH, stdlib::math::open),
        (StdLib::OS, |vm| {
            stdlib::os::open(vm, stdlib::os::Offer::All)
        }),
        (StdLib::IO, stdlib::io::open),
        (StdLib::DEBUG, stdlib::debug::open),
    ];
    // The basic functions come first: the interpreter knows some of them by number.
    stdlib::base::open(vm)?;
    for (library, open) in all {
        if libraries.contains(library) {
            open(vm)?;
        }
    }
    Ok(())
}

/// An error for which nothing runs.
fn plain_error(vm: &mut Vm) -> Error {
    match vm.thrown() {
        Thrown::Memory => memory_error(vm, vm.heap.refused()),
        _ => {
            let mut text = Vec::new();
            let error = vm.error;
            vm.display(error, &mut text);
            Error::runtime(String::from_utf8_lossy(&text))
        }
    }
}

fn memory_error(vm: &Vm, asked: Option<usize>) -> Error {
    let mib = |bytes: usize| bytes as f64 / (1 << 20) as f64;
    let mut message = String::from("not enough memory");
    if vm.heap.bytes_max < usize::MAX / 2 {
        message = format!(
            "{message}: limit {:.1} MiB, {:.1} MiB in use",
            mib(vm.heap.bytes_max),
            mib(vm.heap.bytes())
        );
    }
    if let Some(asked) = asked {
        message = format!("{message}, {asked} bytes asked for");
    }
    Error::Memory { message }
}

impl Default for Lua {
    fn default() -> Self {
        Lua::new()
    }
}

impl Lua {
    /// An engine with the libraries that compute ([`StdLib::PURE`]), no host and no limits but the built-in ones.
    pub fn new() -> Lua {
        Lua::builder()
            .build()
            .expect("without a memory limit an engine can always be made")
    }

    /// An engine with chosen libraries, limits and host.
    pub fn builder() -> Builder {
        Builder {
            libraries: StdLib::PURE,
            host: Box::new(vm::host::NoHost),
            limits: vm::Limits::default(),
            memory: None,
            fuel: None,
            seed: None,
            world: None,
            codecs: Vec::new(),
            modules: Vec::new(),
        }
    }

    /// Emits a warning, if they are on, as `warn` does.
    pub fn warning(&self, message: &str) {
        let _ = self.with(|vm| {
            vm.warning(message.as_bytes());
            Ok(())
        });
    }

    pub(crate) fn from_inner(inner: Rc<Inner>) -> Lua {
        Lua { inner }
    }

    // ---- the door ----

    /// Works on the VM. Everything that fails with an error value of Lua's becomes an [`Error`] here. When memory is short, garbage is
    /// collected and the work done once more from its beginning; so it allocates before it changes anything.
    pub(crate) fn with<R>(&self, mut work: impl FnMut(&mut Vm) -> Result<R, Failure>) -> Result<R> {
        if self.inner.poisoned.get() {
            return Err(Error::Poisoned);
        }
        let Ok(mut vm) = self.inner.vm.try_borrow_mut() else {
            return Err(Error::Busy {
                message: "the engine is running: its host cannot use it meanwhile".into(),
            });
        };
        self.reclaim(&mut vm);
        vm.collect_if_due();
        let mut result = work(&mut vm);
        if matches!(result, Err(Failure::Throw(_))) && vm.thrown() == Thrown::Memory {
            vm.collect();
            result = work(&mut vm);
        }
        let result = match result {
            Ok(result) => Ok(result),
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Throw(_)) => Err(plain_error(&mut vm)),
        };
        drop(vm);
        self.bury();
        result
    }

    /// Takes back the slots of handles and the tasks of runs that were dropped.
    pub(crate) fn reclaim(&self, vm: &mut Vm) {
        for task in self.inner.pool.tasks.borrow_mut().drain(..) {
            vm.drop_task(task);
        }
        let mut freed = self.inner.pool.freed.borrow_mut();
        for slot in freed.drain(..) {
            vm.release_slot(slot);
        }
        if let Ok(mut remote) = self.inner.pool.remote.try_lock() {
            for slot in remote.drain(..) {
                vm.release_slot(slot);
            }
        }
    }

    /// Drops the host's objects whose userdata were collected, now that nothing is borrowed.
    pub(crate) fn bury(&self) {
        while let Some(dead) = self.inner.graveyard.take() {
            // A destructor's panic must not pass through the engine's state; it is reported like any panic and goes no further.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(dead)));
        }
    }

    pub(crate) fn hold(&self, vm: &mut Vm, raw: Raw) -> Rc<Handle> {
        let slot = vm.hold(raw).slot;
        Rc::new(Handle {
            inner: Rc::downgrade(&self.inner),
            pool: self.inner.pool.clone(),
            slot,
        })
    }

    /// The object behind a handle of this engine.
    pub(crate) fn raw_of(&self, vm: &Vm, handle: &Handle) -> Result<Raw> {
        if !Rc::ptr_eq(&handle.pool, &self.inner.pool) {
            return Err(Error::Foreign);
        }
        Ok(vm.held_slot(handle.slot))
    }

    pub(crate) fn same_slots(&self, a: u32, b: u32) -> bool {
        let Ok(vm) = self.inner.vm.try_borrow() else {
            return false;
        };
        vm.held_slot(a).raw_equals(vm.held_slot(b))
    }

    /// A value as the VM has it. The result is valid until the end of this `with`.
    pub(crate) fn to_raw(&self, vm: &mut Vm, value: &Value) -> Result<Raw, Failure> {
        Ok(match value {
            Value::Nil => Raw::NIL,
            Value::Boolean(b) => Raw::bool(*b),
            Value::Integer(i) => Raw::int(*i),
            Value::Number(f) => Raw::float(*f),
            Value::String(s) => vm.new_string(s)?,
            Value::LightUserData(n) => Raw::light(n.0),
            Value::Error(e) => self.error_to_raw(vm, e)?,
            _ => match value.handle() {
                Some(handle) => self.raw_of(vm, handle)?,
                None => Raw::NIL,
            },
        })
    }

    pub(crate) fn to_value(&self, vm: &mut Vm, raw: Raw) -> Value {
        match raw.type_of() {
            Type::Nil => Value::Nil,
            Type::Boolean => Value::Boolean(raw.is_truthy()),
            Type::LightUserdata => Value::LightUserData(LightUserData(raw.bits)),
            Type::Number if raw.is_int() => Value::Integer(raw.raw_int()),
            Type::Number => Value::Number(raw.raw_float()),
            Type::String => match raw.as_str() {
                Some(s) => Value::String(LuaString::new(s.bytes())),
                None => Value::Nil,
            },
            Type::Table => Value::Table(Table(self.hold(vm, raw))),
            Type::Function => Value::Function(Function(self.hold(vm, raw))),
            Type::Thread => Value::Thread(Thread(self.hold(vm, raw))),
            Type::Userdata => {
                let content = raw.as_userdata().and_then(|u| {
                    u.data
                        .as_ref()
                        .and_then(|d| d.downcast_ref::<HostData>())
                        .and_then(HostData::content)
                });
                if let Some(error) = content.as_ref().and_then(|c| c.downcast_ref::<Error>()) {
                    return Value::Error(Box::new(error.clone()));
                }
                Value::UserData(AnyUserData {
                    handle: self.hold(vm, raw),
                    content,
                })
            }
        }
    }

    pub(crate) fn to_values(&self, vm: &mut Vm, raws: &[Raw]) -> MultiValue {
        raws.iter().map(|&raw| self.to_value(vm, raw)).collect()
    }

    /// A handle on the message handler that makes tracebacks.
    pub(crate) fn handler(&self, vm: &Vm) -> Option<Raw> {
        self.inner.handler.get().map(|h| vm.held_slot(h.slot))
    }

    // ---- errors through Lua ----

    /// An error as the value that Lua code sees: what Lua raised as it was; the host's wrapped, so that it can come back as itself;
    /// the rest as a message.
    pub(crate) fn error_to_raw(&self, vm: &mut Vm, error: &Error) -> Result<Raw, Failure> {
        match error {
            Error::Runtime(RuntimeError {
                value: Some(slot), ..
            }) if Arc::ptr_eq(&slot.remote, &self.inner.pool.remote) => Ok(vm.held_slot(slot.slot)),
            Error::Memory { .. } => Ok(Raw::string(vm.memory_message)),
            Error::Host { error, .. } => {
                let error = Error::Host {
                    error: error.clone(),
                    traceback: None,
                };
                let metatable = self.inner.natives.error_metatable;
                let metatable = vm.held_slot(metatable).as_table();
                let data = HostData::new(Rc::new(error), self.inner.graveyard.clone());
                let mut userdata = vm
                    .heap
                    .userdata(Some(Box::new(data)))
                    .map_err(Throw::from)?;
                userdata.set_metatable(metatable);
                Ok(Raw::userdata(userdata))
            }
            other => Ok(vm.new_string(other.to_string().as_bytes())?),
        }
    }

    /// The error that ended a run: `vm.error`, with what the message handler has noted.
    pub(crate) fn take_error(&self, vm: &mut Vm) -> Error {
        let report = self.inner.report.borrow_mut().take();
        let raw = std::mem::replace(&mut vm.error, Raw::NIL);
        if report.is_none() && raw.raw_equals(Raw::string(vm.memory_message)) {
            return memory_error(vm, None);
        }
        let (message, traceback) = match report {
            Some(report) => (report.message, report.traceback),
            None => (operations::plain_message(vm, raw), None),
        };
        if raw.tag == tag::USERDATA
            && let Value::Error(error) = self.to_value(vm, raw)
        {
            return match *error {
                Error::Host { error, .. } => Error::Host { error, traceback },
                other => other,
            };
        }
        let slot = vm.hold(raw).slot;
        let value = Some(Arc::new(ErrorSlot {
            remote: self.inner.pool.remote.clone(),
            slot,
        }));
        Error::Runtime(RuntimeError {
            message,
            traceback,
            value,
        })
    }

    /// An error with this value.
    pub(crate) fn error_from_value(&self, value: Value) -> Error {
        if let Value::Error(error) = value {
            return *error;
        }
        let made = self.with(|vm| {
            vm.error = self.to_raw(vm, &value)?;
            self.inner.report.borrow_mut().take();
            Ok(self.take_error(vm))
        });
        made.unwrap_or_else(|e| e)
    }

    pub(crate) fn error_value(&self, slot: &ErrorSlot) -> Result<Value> {
        if !Arc::ptr_eq(&slot.remote, &self.inner.pool.remote) {
            return Err(Error::Foreign);
        }
        self.with(|vm| {
            let raw = vm.held_slot(slot.slot);
            Ok(self.to_value(vm, raw))
        })
    }

    // ---- what an engine has ----

    /// The table of global variables.
    pub fn globals(&self) -> Table {
        Table(
            self.inner
                .globals
                .get()
                .expect("set when the engine was made")
                .clone(),
        )
    }

    /// Makes `require(name)` give what the function returns, which is called at the first `require` with the name and `":preload:"`. Fails if
    /// the engine has no `package` library.
    ///
    /// ```
    /// use evermoon::Lua;
    /// let lua = Lua::new();
    /// lua.preload("shapes", |lua, _: String| {
    ///     let module = lua.create_table()?;
    ///     module.set("area", lua.create_function(|_, (w, h): (f64, f64)| Ok(w * h))?)?;
    ///     Ok(module)
    /// }).unwrap();
    /// assert_eq!(lua.load("require('shapes').area(3, 4)").eval::<f64>().unwrap(), 12.0);
    /// ```
    pub fn preload<F, A, R>(&self, name: &str, loader: F) -> Result<()>
    where
        F: Fn(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let loader = self.named_function(name, loader)?;
        self.with(|vm| {
            let Some(preload) = stdlib::package::preload_table(vm)? else {
                return Err(Error::runtime("there is no 'package' library").into());
            };
            let loader = self.raw_of(vm, &loader.0)?;
            Ok(vm.raw_set_name(preload, name, loader)?)
        })
    }

    /// A table that Lua code does not see, for values of the host's own.
    pub fn registry(&self) -> Table {
        Table(
            self.inner
                .registry
                .get()
                .expect("set when the engine was made")
                .clone(),
        )
    }

    /// An empty table.
    pub fn create_table(&self) -> Result<Table> {
        self.with(|vm| {
            let table = vm.new_table()?;
            Ok(Table(self.hold(vm, Raw::table(table))))
        })
    }

    /// A table with these fields.
    pub fn create_table_from<K: IntoLua, V: IntoLua>(
        &self,
        fields: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Table> {
        let table = self.create_table()?;
        for (key, value) in fields {
            table.raw_set(key, value)?;
        }
        Ok(table)
    }

    /// A table with these values at 1, 2, 3, …
    pub fn create_sequence_from<V: IntoLua>(
        &self,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Table> {
        let table = self.create_table()?;
        for (index, value) in values.into_iter().enumerate() {
            table.raw_set(index + 1, value)?;
        }
        Ok(table)
    }

    /// A string value. Strings need no engine: `LuaString::new` does the same.
    pub fn create_string(&self, bytes: impl AsRef<[u8]>) -> Result<LuaString> {
        Ok(LuaString::new(bytes))
    }

    /// Converts to a Lua value.
    pub fn pack(&self, value: impl IntoLua) -> Result<Value> {
        value.into_lua(self)
    }

    /// Converts from a Lua value.
    pub fn unpack<T: FromLua>(&self, value: Value) -> Result<T> {
        T::from_lua(value, self)
    }

    /// What `tostring` gives for a value, metamethods included.
    pub(crate) fn tostring(&self, value: &Value) -> Result<String> {
        match self
            .operate(self.inner.natives.tostring, std::slice::from_ref(value))?
            .get_or_nil(0)
        {
            Value::String(s) => Ok(s.to_string_lossy().into_owned()),
            other => Ok(other.type_name().to_string()),
        }
    }

    // ---- limits and measures ----

    /// Gives so much fuel, or removes the limit. Fuel is used by calls, by backward jumps and by library work that grows with its input; the
    /// same program uses the same fuel everywhere. When it runs out, a [`Run`](super::Run) stops and can go on with more; a plain call fails with
    /// [`Error::Fuel`].
    pub fn set_fuel(&self, fuel: Option<u64>) {
        let _ = self.with(|vm| {
            vm.set_fuel(fuel);
            Ok(())
        });
    }

    /// The fuel that is left, if there is a limit.
    pub fn fuel(&self) -> Option<u64> {
        self.with(|vm| Ok(vm.fuel())).ok().flatten()
    }

    /// The fuel used since the engine was made.
    pub fn fuel_used(&self) -> u64 {
        self.with(|vm| Ok(vm.fuel_used())).unwrap_or(0)
    }

    /// Memory in use, in bytes, collectable garbage included.
    pub fn used_memory(&self) -> usize {
        self.with(|vm| Ok(vm.heap.bytes())).unwrap_or(0)
    }

    /// Limits memory, or removes the limit. Gives the old limit.
    pub fn set_memory_limit(&self, bytes: Option<usize>) -> Result<Option<usize>> {
        const NONE: usize = usize::MAX / 2;
        self.with(|vm| {
            let old = std::mem::replace(&mut vm.heap.bytes_max, bytes.unwrap_or(NONE));
            Ok((old < NONE).then_some(old))
        })
    }

    /// Collects all garbage.
    pub fn gc_collect(&self) -> Result<()> {
        self.with(|vm| {
            vm.collect();
            Ok(())
        })
    }

    /// Turns warnings (`warn`) on or off.
    pub fn set_warnings(&self, on: bool) {
        let _ = self.with(|vm| {
            vm.warn_on = on;
            Ok(())
        });
    }

    /// Works on the engine's host, if that offers itself by [`Host::as_any`].
    pub fn with_host<H: 'static, R>(&self, work: impl FnOnce(&mut H) -> R) -> Option<R> {
        let mut work = Some(work);
        self.with(|vm| {
            Ok(vm
                .host
                .as_any()
                .and_then(|any| any.downcast_mut::<H>())
                .zip(work.take())
                .map(|(host, work)| work(host)))
        })
        .ok()
        .flatten()
    }

    /// Closes the engine: calls the finalizers (`__gc`) of all objects that have one, the newest first. Errors in them become warnings.
    /// Dropping the last `Lua` does the same.
    pub fn close(&self) {
        if self.inner.closed.replace(true) {
            return;
        }
        let _ = self.with(|vm| {
            vm.set_fuel(None);
            vm.finalize_everything();
            Ok(())
        });
        while let Ok(Some((finalizer, object))) = self.with(|vm| {
            let next = vm.next_finalizer();
            Ok(next
                .map(|(finalizer, object)| (self.hold(vm, finalizer), self.to_value(vm, object))))
        }) {
            if let Err(error) = self.call_with(|vm| self.raw_of(vm, &finalizer), &[object])
                && !matches!(error, Error::Exit { .. })
            {
                let message = match &error {
                    Error::Runtime(e) if !matches!(error.value(self), Ok(Value::String(_))) => {
                        let _ = e;
                        "error object is not a string".to_string()
                    }
                    other => other.to_string(),
                };
                let _ = self.with(|vm| {
                    vm.warning(format!("error in __gc ({message})").as_bytes());
                    Ok(())
                });
            }
        }
    }

    /// Leaves the finalizers uncalled when the engine is closed or dropped.
    pub fn skip_finalizers(&self) {
        self.inner.closed.set(true);
    }

    /// A way to stop a running program from another thread or a signal handler: it gets the error `interrupted!`, which
    /// `pcall` catches like any other.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter(self.inner.interrupt.clone())
    }
}

/// Stops what an engine runs; see [`Lua::interrupter`].
#[derive(Clone, Debug)]
pub struct Interrupter(Arc<AtomicBool>);

impl Interrupter {
    /// Interrupts the run that is in progress, or the next one.
    pub fn interrupt(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
    /// Takes an interrupt back that has not been delivered. True if there was one.
    pub fn clear(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
    /// The flag itself, for signal handlers that can only set one.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }
}

/// Why work on the VM failed.
pub(crate) enum Failure {
    Error(Error),
    Throw(Throw),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}

impl From<Throw> for Failure {
    fn from(throw: Throw) -> Self {
        Failure::Throw(throw)
    }
}

impl Drop for Lua {
    fn drop(&mut self) {
        if Rc::strong_count(&self.inner) == 1 && !std::thread::panicking() {
            self.close();
        }
    }
}
