//! Runs: Lua programs that the host drives event by event.
//!
//! A run is a task (`vm/task.rs`) with a coroutine of its own. When it stops, everything it was doing is in the engine's heap, nothing on the
//! host's stack; the engine can do other things, other runs included, before this one goes on.

use super::convert::IntoLuaMulti;
use super::drive::{Body, Stop};
use super::error::{Error, Result};
use super::function::Function;
use super::handle::Pool;
use super::lua::{Inner, Lua};
use super::value::MultiValue;
use crate::vm::task::Stage;
use std::fmt;
use std::rc::{Rc, Weak};

/// A program under way; see [`Lua::start`].
///
/// ```
/// use evermoon::{Event, Lua};
/// let lua = Lua::new();
/// lua.globals().set("ask", lua.create_event_function("ask").unwrap()).unwrap();
/// let main = lua.load("local name = ask('your name?') return 'hello ' .. name").into_function().unwrap();
/// let mut run = lua.start(&main, ()).unwrap();
/// let Event::HostCall(call) = run.resume().unwrap() else { panic!() };
/// assert_eq!(call.name, "ask");
/// assert_eq!(call.args[0].as_str(), Some("your name?"));
/// // … any time later:
/// run.answer(call.id, "Ada").unwrap();
/// let Event::Finished(results) = run.resume().unwrap() else { panic!() };
/// assert_eq!(results[0].as_str(), Some("hello Ada"));
/// ```
pub struct Run {
    inner: Weak<Inner>,
    pool: Rc<Pool>,
    /// Everything else about it is in there (`vm/task.rs`).
    task: usize,
    /// It has finished or failed: there is no task any more.
    over: bool,
}

/// Why a run has stopped. A run that fails is an `Err` of [`Run::resume`].
#[derive(Debug)]
pub enum Event {
    /// It is finished, with these results.
    Finished(MultiValue),
    /// It has yielded these values; resuming goes on with none, [`Run::resume_with`] with some.
    Yielded(MultiValue),
    /// The fuel ran out. Give more ([`Lua::set_fuel`]) and resume, or drop the run.
    OutOfFuel,
    /// It called a function that the host answers: [`Run::answer`] or [`Run::fail`], then resume.
    HostCall(HostCall),
}

/// A call of a function made by [`Lua::create_event_function`].
#[derive(Clone, Debug)]
pub struct HostCall {
    /// What to answer with; unique in the engine.
    pub id: u64,
    /// The function's name.
    pub name: String,
    /// Its arguments.
    pub args: MultiValue,
}

impl Run {
    pub(crate) fn new(lua: &Lua, function: &Function, args: &MultiValue) -> Result<Run> {
        let task = lua.with(|vm| {
            let function = lua.raw_of(vm, &function.0)?;
            let args = lua.to_raws(vm, args)?;
            let handler = lua.handler(vm);
            Ok(vm.new_task(function, &args, handler, true)?)
        })?;
        Ok(Run {
            inner: Rc::downgrade(&lua.inner),
            pool: lua.inner.pool.clone(),
            task,
            over: false,
        })
    }

    /// A run that is the main program: `coroutine.running` says so, and it does not yield to the host.
    pub(crate) fn of_main(lua: &Lua, function: &Function, args: &MultiValue) -> Result<Run> {
        let task = lua.with(|vm| {
            let function = lua.raw_of(vm, &function.0)?;
            let mut all = vec![function];
            all.extend(lua.to_raws(vm, args)?);
            let handler = lua.handler(vm);
            let main = lua.inner.natives.main;
            Ok(vm.new_task(main, &all, handler, false)?)
        })?;
        Ok(Run::of_task(lua, task))
    }

    /// The run of a task that is there already.
    pub(crate) fn of_task(lua: &Lua, task: usize) -> Run {
        Run {
            inner: Rc::downgrade(&lua.inner),
            pool: lua.inner.pool.clone(),
            task,
            over: false,
        }
    }

    fn lua(&self) -> Result<Lua> {
        let inner = self.inner.upgrade().ok_or(Error::Closed)?;
        Ok(Lua::from_inner(inner))
    }

    /// Runs until the next event. `Err` if the program fails, or cannot go on now ([`Error::Busy`]).
    pub fn resume(&mut self) -> Result<Event> {
        let lua = self.lua()?;
        let stop = self.go(&lua, &MultiValue::new())?;
        self.event(&lua, stop)
    }

    /// Goes on after a yield, whose results these values are.
    pub fn resume_with(&mut self, values: impl IntoLuaMulti) -> Result<Event> {
        let lua = self.lua()?;
        if self.stage(&lua) != Some(Stage::Yielded) {
            return Err(Error::Busy {
                message: "run has not yielded: nothing takes these values".into(),
            });
        }
        let values = values.into_lua_multi(&lua)?;
        let stop = self.go(&lua, &values)?;
        self.event(&lua, stop)
    }

    fn stage(&self, lua: &Lua) -> Option<Stage> {
        if self.over {
            return None;
        }
        lua.with(|vm| Ok(vm.task_stage(self.task))).ok().flatten()
    }

    /// Runs on; these are the results of the yield, if there was one.
    fn go(&mut self, lua: &Lua, values: &MultiValue) -> Result<Stop> {
        match self.stage(lua) {
            None => {
                return Err(Error::Busy {
                    message: "run is over".into(),
                });
            }
            Some(Stage::Asked) => {
                let (id, function) = lua.with(|vm| {
                    let (function, _) = lua.asked(vm, self.task)?;
                    Ok((vm.task_call_number(self.task), function))
                })?;
                let (id, name) = (id.unwrap_or(0), &function.name);
                return Err(Error::Busy {
                    message: format!(
                        "run is busy: it waits for host call {id} ('{name}'); answer or fail it first"
                    ),
                });
            }
            Some(Stage::Yielded) => {
                lua.with(|vm| {
                    let values = lua.to_raws(vm, values)?;
                    vm.resume_task(self.task, &values)?;
                    Ok(())
                })?;
            }
            Some(_) => {}
        }
        let stop = lua.drive(self.task, true);
        match stop {
            Ok(Stop::Done(_) | Stop::Failed(_)) => self.over = true,
            // It has not moved.
            Ok(_) | Err(Error::Busy { .. }) => {}
            Err(error) => {
                self.over = true;
                return Err(lua.give_up(self.task, error));
            }
        }
        stop
    }

    fn event(&self, lua: &Lua, stop: Stop) -> Result<Event> {
        Ok(match stop {
            Stop::Done(values) => Event::Finished(values),
            Stop::Failed(error) => return Err(error),
            Stop::OutOfFuel => Event::OutOfFuel,
            Stop::Yielded(values) => Event::Yielded(values),
            Stop::Asked(function, args) => Event::HostCall(HostCall {
                id: lua
                    .with(|vm| Ok(vm.task_call_number(self.task)))?
                    .unwrap_or(0),
                name: function.name.clone(),
                args,
            }),
        })
    }

    /// Answers a host call. The program goes on at the next [`Run::resume`].
    pub fn answer(&mut self, id: u64, values: impl IntoLuaMulti) -> Result<()> {
        let lua = self.check_asked(id)?;
        let values = values.into_lua_multi(&lua)?;
        lua.deliver(self.task, Ok(values))
    }

    /// Answers a host call by an error, which is raised where the program called.
    pub fn fail(&mut self, id: u64, error: Error) -> Result<()> {
        self.check_asked(id)?.deliver(self.task, Err(error))
    }

    fn check_asked(&self, id: u64) -> Result<Lua> {
        let lua = self.lua()?;
        let asked = match self.over {
            true => None,
            false => lua.with(|vm| Ok(vm.task_call_number(self.task)))?,
        };
        match asked {
            Some(asked) if asked == id => Ok(lua),
            Some(asked) => Err(Error::Busy {
                message: format!("run waits for host call {asked}, not {id}"),
            }),
            None => Err(Error::Busy {
                message: format!("run does not wait for host call {id}"),
            }),
        }
    }

    /// Whether it has finished or failed.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Runs to the end, waiting for asynchronous host functions ([`Lua::create_async_function`]). A yield, a call of an event
    /// function and running out of fuel are errors here, for nobody would answer them.
    pub async fn finish(mut self) -> Result<MultiValue> {
        loop {
            let lua = self.lua()?;
            match self.go(&lua, &MultiValue::new())? {
                Stop::Done(values) => return Ok(values),
                Stop::Failed(error) => return Err(error),
                Stop::Yielded(_) => {
                    return Err(Error::runtime("attempt to yield from outside a coroutine"));
                }
                Stop::OutOfFuel => {
                    return Err(Error::Fuel {
                        message: "out of fuel".into(),
                    });
                }
                Stop::Asked(function, args) => {
                    let Body::Future(body) = &function.body else {
                        let name = &function.name;
                        let text = format!("nobody answers host function '{name}' here");
                        return Err(Error::runtime(text));
                    };
                    // Meanwhile the run is not what keeps its engine alive.
                    let future = body(lua, args);
                    let results = future.await;
                    self.lua()?.deliver(self.task, results)?;
                }
            }
        }
    }

    /// Where the program is, for messages.
    pub fn position(&self) -> Option<String> {
        if self.over {
            return None;
        }
        let position = self.lua().ok()?.with(|vm| Ok(vm.task_position(self.task)));
        position.ok().filter(|position| !position.is_empty())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // The engine drops the task at its next operation, so that this works at any time.
        if !self.over
            && let Ok(mut tasks) = self.pool.tasks.try_borrow_mut()
        {
            tasks.push(self.task);
        }
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = self.lua().ok().and_then(|lua| self.stage(&lua));
        f.write_str(match stage {
            Some(Stage::New) => "new run",
            Some(Stage::Yielded | Stage::Resumed) => "run that has yielded",
            Some(Stage::Asked) => "run that waits for the host",
            Some(Stage::Ready) => "run that can go on",
            None => "run that is over",
        })
    }
}
