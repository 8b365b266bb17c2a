//! Functions: calling them, and making them of Rust closures.

use super::convert::{FromLuaMulti, IntoLuaMulti};
use super::drive::{Body, HostFunction};
use super::error::{Error, Result};
use super::handle::Handle;
use super::lua::Lua;
use super::run::Run;
use super::userdata::HostData;
use super::value::{MultiValue, Value};
use crate::heap::value::Value as Raw;
use crate::vm::Throw;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

/// A Lua function, or a host function as Lua sees it.
///
/// ```
/// use evermoon::{Function, Lua};
/// let lua = Lua::new();
/// let add: Function = lua.load("function(a, b) return a + b, 'done' end").eval().unwrap();
/// let (sum, word): (i64, String) = add.call((20, 22)).unwrap();
/// assert_eq!((sum, word.as_str()), (42, "done"));
/// ```
#[derive(Clone)]
pub struct Function(pub(crate) Rc<Handle>);

impl Function {
    /// Calls it and waits until it is finished.
    ///
    /// Fails with the error that it raises; with [`Error::Fuel`] when the fuel runs out; and if it calls a host function that answers later:
    /// see [`Lua::start`] for those.
    pub fn call<R: FromLuaMulti>(&self, args: impl IntoLuaMulti) -> Result<R> {
        let lua = self.0.lua()?;
        let args = args.into_lua_multi(&lua)?;
        let results = lua.call_with(|vm| lua.raw_of(vm, &self.0), &args)?;
        R::from_lua_multi(results, &lua)
    }

    /// Calls it with a native function below it in the stack, which tracebacks end with: `[C]: in ?`. Programs that the reference's
    /// `lua` runs see the same.
    pub fn call_as_main<R: FromLuaMulti>(&self, args: impl IntoLuaMulti) -> Result<R> {
        let lua = self.0.lua()?;
        let mut args = args.into_lua_multi(&lua)?;
        args.push_front(Value::Function(self.clone()));
        let results = lua.operate(lua.inner.natives.main, &args)?;
        R::from_lua_multi(results, &lua)
    }

    /// Calls it, waiting for host functions that answer later with the executor's help: any executor of one thread will do.
    ///
    /// ```
    /// use evermoon::Lua;
    /// # fn block_on<F: Future>(f: F) -> F::Output {
    /// #     let mut f = std::pin::pin!(f);
    /// #     loop {
    /// #         let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// #         if let std::task::Poll::Ready(out) = f.as_mut().poll(&mut context) { return out }
    /// #     }
    /// # }
    /// let lua = Lua::new();
    /// let fetch = lua.create_async_function(|_, url: String| async move { Ok(format!("contents of {url}")) }).unwrap();
    /// lua.globals().set("fetch", fetch).unwrap();
    /// let main = lua.load("return (fetch('a') .. fetch('b')):upper()").into_function().unwrap();
    /// # lua.globals().set("string", lua.create_table().unwrap()).unwrap();
    /// # let main = lua.load("return fetch('a') .. ', ' .. fetch('b')").into_function().unwrap();
    /// let text: String = block_on(main.call_async(())).unwrap();
    /// assert_eq!(text, "contents of a, contents of b");
    /// ```
    pub async fn call_async<R: FromLuaMulti>(&self, args: impl IntoLuaMulti) -> Result<R> {
        let lua = self.0.lua()?;
        let args = args.into_lua_multi(&lua)?;
        let run = lua.start(self, args)?;
        R::from_lua_multi(run.finish().await?, &lua)
    }

    /// Whether it is a function of the host's or of a library.
    pub fn is_native(&self) -> bool {
        let Ok(lua) = self.0.lua() else { return false };
        lua.with(|vm| Ok(lua.raw_of(vm, &self.0)?.as_lua_closure().is_none()))
            .unwrap_or(false)
    }

    /// Its bytecode as a binary chunk, without names and lines if `strip`. Nothing for a native function.
    pub fn dump(&self, strip: bool) -> Result<Vec<u8>> {
        let lua = self.0.lua()?;
        lua.with(|vm| {
            let Some(closure) = lua.raw_of(vm, &self.0)?.as_lua_closure() else {
                return Ok(Vec::new());
            };
            let plain = vm.heap.plain_proto(closure.proto);
            Ok(crate::bytecode::chunk::dump(&plain, strip))
        })
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        super::value::same_object(&self.0, &other.0)
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("function")
    }
}

impl Lua {
    /// Makes a Lua function of a Rust closure. Arguments and results convert by [`FromLuaMulti`] and [`IntoLuaMulti`].
    ///
    /// An error that it returns is raised in Lua: [`Error::runtime`] as a message with the caller's position, [`Error::host`] as an object
    /// that comes back as itself. A panic becomes an error too, and the engine stays usable.
    ///
    /// ```
    /// use evermoon::{Error, Lua};
    /// let lua = Lua::new();
    /// let half = lua.create_function(|_, n: i64| {
    ///     if n % 2 == 0 { Ok(n / 2) } else { Err(Error::runtime(format!("{n} is odd"))) }
    /// }).unwrap();
    /// lua.globals().set("half", half).unwrap();
    /// assert_eq!(lua.load("half(42)").eval::<i64>().unwrap(), 21);
    /// let error = lua.load("half(1)").set_name("=main").exec().unwrap_err();
    /// assert_eq!(error.to_string(), "main:1: 1 is odd");
    /// ```
    pub fn create_function<F, A, R>(&self, function: F) -> Result<Function>
    where
        F: Fn(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        self.named_function("?", function)
    }

    pub(crate) fn named_function<F, A, R>(&self, name: &str, function: F) -> Result<Function>
    where
        F: Fn(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let body = move |lua: &Lua, args: MultiValue| {
            let args = A::from_lua_multi(args, lua)?;
            function(lua, args)?.into_lua_multi(lua)
        };
        self.host_function(name, Body::Now(Box::new(body)))
    }

    /// The same for a closure with state of its own. Calling it while it runs is an error.
    pub fn create_function_mut<F, A, R>(&self, function: F) -> Result<Function>
    where
        F: FnMut(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let function = RefCell::new(function);
        self.create_function(move |lua, args: A| {
            let mut function = function.try_borrow_mut().map_err(|_| Error::Recursive)?;
            function(lua, args)
        })
    }

    /// Makes a Lua function of an asynchronous Rust function. Lua code that calls it waits for it; the engine does not: see
    /// [`Function::call_async`] and [`Run::finish`].
    pub fn create_async_function<F, A, R, O>(&self, function: F) -> Result<Function>
    where
        F: Fn(Lua, A) -> O + 'static,
        A: FromLuaMulti + 'static,
        R: IntoLuaMulti,
        O: Future<Output = Result<R>> + 'static,
    {
        let function = Rc::new(function);
        let body = move |lua: Lua, args: MultiValue| -> super::drive::Promise {
            let function = function.clone();
            Box::pin(async move {
                let args = A::from_lua_multi(args, &lua)?;
                let results = function(lua.clone(), args).await?;
                results.into_lua_multi(&lua)
            })
        };
        self.host_function("?", Body::Future(Box::new(body)))
    }

    /// Makes a Lua function that the host answers when it likes: a call stops the [`Run`] with
    /// [`Event::HostCall`](super::Event::HostCall), which carries this name, and goes on with [`Run::answer`].
    pub fn create_event_function(&self, name: &str) -> Result<Function> {
        self.host_function(name, Body::Event)
    }

    fn host_function(&self, name: &str, body: Body) -> Result<Function> {
        let function = Rc::new(HostFunction {
            name: name.to_owned(),
            body,
        });
        self.with(|vm| {
            let data = HostData::new(function.clone(), self.inner.graveyard.clone());
            let userdata = vm
                .heap
                .userdata(Some(Box::new(data)))
                .map_err(Throw::from)?;
            let function = vm.host_function(&[Raw::userdata(userdata)])?;
            Ok(Function(self.hold(vm, function)))
        })
    }

    /// Begins to run a function as the main program, as [`Function::call_as_main`] does: it can run out of fuel and go on, but not yield.
    pub fn start_as_main(&self, function: &Function, args: impl IntoLuaMulti) -> Result<Run> {
        let args = args.into_lua_multi(self)?;
        Run::of_main(self, function, &args)
    }

    /// Begins to run a function, as a coroutine that the host drives: it can yield, run out of fuel and wait for the host, and then go on.
    /// Nothing runs before [`Run::resume`]. Several runs may be under way at the same time.
    pub fn start(&self, function: &Function, args: impl IntoLuaMulti) -> Result<Run> {
        let args = args.into_lua_multi(self)?;
        Run::new(self, function, &args)
    }
}
