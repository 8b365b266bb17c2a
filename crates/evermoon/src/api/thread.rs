//! Coroutines as values.

use super::convert::{FromLuaMulti, IntoLuaMulti};
use super::error::{Error, Result};
use super::function::Function;
use super::handle::Handle;
use super::lua::Lua;
use super::value::Value;
use crate::heap::coroutine::Status;
use crate::heap::value::Value as Raw;
use std::fmt;
use std::rc::Rc;

/// A coroutine.
///
/// ```
/// use evermoon::{Function, Lua, ThreadStatus};
/// let lua = Lua::new();
/// let yielder = lua.create_event_function("unused").unwrap();
/// let thread = lua.create_thread(&yielder).unwrap();
/// assert_eq!(thread.status(), ThreadStatus::Resumable);
/// ```
#[derive(Clone)]
pub struct Thread(pub(crate) Rc<Handle>);

/// What a coroutine is doing (mlua's words).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ThreadStatus {
    /// It has not begun, or has yielded.
    Resumable,
    /// It is running.
    Running,
    /// It has resumed another one, or the host drives it.
    Normal,
    /// It has finished.
    Finished,
    /// It has failed.
    Error,
}

impl Thread {
    /// Resumes it until it yields, finishes or fails, as `coroutine.resume` does.
    pub fn resume<R: FromLuaMulti>(&self, args: impl IntoLuaMulti) -> Result<R> {
        let lua = self.0.lua()?;
        let mut args = args.into_lua_multi(&lua)?;
        args.push_front(Value::Thread(self.clone()));
        let mut results = lua.operate(lua.inner.natives.resume, &args)?;
        match results.pop_front() {
            Some(Value::Boolean(true)) => R::from_lua_multi(results, &lua),
            _ => Err(lua.error_from_value(results.get_or_nil(0))),
        }
    }

    /// What it is doing.
    pub fn status(&self) -> ThreadStatus {
        let Ok(lua) = self.0.lua() else {
            return ThreadStatus::Finished;
        };
        let status = lua.with(|vm| {
            let co = lua
                .raw_of(vm, &self.0)?
                .as_coroutine()
                .ok_or(Error::Closed)?;
            Ok(match co.status {
                Status::Suspended => ThreadStatus::Resumable,
                Status::Running => ThreadStatus::Running,
                Status::Normal => ThreadStatus::Normal,
                Status::Dead if co.failed => ThreadStatus::Error,
                Status::Dead => ThreadStatus::Finished,
            })
        });
        status.unwrap_or(ThreadStatus::Finished)
    }
}

impl Lua {
    /// A coroutine that will run `function`.
    pub fn create_thread(&self, function: &Function) -> Result<Thread> {
        self.with(|vm| {
            let function = self.raw_of(vm, &function.0)?;
            let co = vm.new_coroutine(function)?;
            Ok(Thread(self.hold(vm, Raw::coroutine(co))))
        })
    }
}

impl PartialEq for Thread {
    fn eq(&self, other: &Thread) -> bool {
        super::value::same_object(&self.0, &other.0)
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("thread")
    }
}
