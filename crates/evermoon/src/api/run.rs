//! Runs: Lua programs that the host drives event by event.
//!
//! A run is a coroutine of its own. When it stops, everything it was doing is in the engine's heap, nothing on the host's stack; the
//! engine can do other things, other runs included, before this one goes on.

use super::convert::IntoLuaMulti;
use super::drive::{Body, HostFunction, Stop, fuel_message};
use super::error::{Error, Result};
use super::handle::Handle;
use super::lua::{Failure, Lua};
use super::value::{MultiValue, Value};
use crate::heap::value::Value as Raw;
use crate::vm::Vm;
use std::fmt;
use std::rc::Rc;

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
    /// The coroutine that was current when the run stopped: the run's own or one inside it, which keeps the run's alive.
    current: Rc<Handle>,
    /// Coroutines that resume each other in it.
    depth: u32,
    state: State,
}

/// What a run needs before it can go on.
enum State {
    /// It has not begun.
    New(Value, MultiValue),
    /// It has yielded; these values will be the results of the yield.
    Yielded(MultiValue),
    /// It waits for an answer to this call.
    Asked(u64, Rc<HostFunction>, MultiValue),
    /// Its call has been answered so.
    Answered(Result<MultiValue>),
    /// Nothing: it has run out of fuel.
    Stopped,
    /// It has finished or failed.
    Over,
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
    pub(crate) fn new(lua: &Lua, function: Value, args: MultiValue) -> Result<Run> {
        let current = lua.with(|vm| {
            let co = vm.new_host_coroutine()?;
            Ok(lua.hold(vm, Raw::coroutine(co)))
        })?;
        Ok(Run {
            current,
            depth: 0,
            state: State::New(function, args),
        })
    }

    /// Runs until the next event. `Err` if the program fails, or cannot go on now ([`Error::Busy`]).
    pub fn resume(&mut self) -> Result<Event> {
        let lua = self.current.lua()?;
        match std::mem::replace(&mut self.state, State::Over) {
            State::New(function, args) => self.go(&lua, |vm| {
                let function = lua.to_raw(vm, &function)?;
                let args = lua.to_raws(vm, &args)?;
                let handler = lua.handler(vm);
                Ok(vm.enter(function, &args, handler)?)
            }),
            State::Yielded(values) => self.go(&lua, |vm| {
                let values = lua.to_raws(vm, &values)?;
                Ok(vm.finish_yield(&values)?)
            }),
            State::Answered(results) => {
                let outside = self.unpark(&lua, |_| Ok(()))?;
                let stop = lua.deliver(results).and_then(|()| lua.drive(true));
                self.park(&lua, outside, stop)
            }
            State::Stopped => self.go(&lua, |_| Ok(())),
            State::Asked(id, function, args) => {
                let message = format!(
                    "run is busy: it waits for host call {id} ('{}'); answer or fail it first",
                    function.name
                );
                self.state = State::Asked(id, function, args);
                Err(Error::Busy { message })
            }
            State::Over => Err(Error::Busy {
                message: "run is over".into(),
            }),
        }
    }

    /// Goes on after a yield, whose results these values are.
    pub fn resume_with(&mut self, values: impl IntoLuaMulti) -> Result<Event> {
        let lua = self.current.lua()?;
        if !matches!(self.state, State::Yielded(_)) {
            return Err(Error::Busy {
                message: "run has not yielded: nothing takes these values".into(),
            });
        }
        self.state = State::Yielded(values.into_lua_multi(&lua)?);
        self.resume()
    }

    /// Answers a host call. The program goes on at the next [`Run::resume`].
    pub fn answer(&mut self, id: u64, values: impl IntoLuaMulti) -> Result<()> {
        self.check_asked(id)?;
        let values = values.into_lua_multi(&self.current.lua()?)?;
        self.state = State::Answered(Ok(values));
        Ok(())
    }

    /// Answers a host call by an error, which is raised where the program called.
    pub fn fail(&mut self, id: u64, error: Error) -> Result<()> {
        self.check_asked(id)?;
        self.state = State::Answered(Err(error));
        Ok(())
    }

    fn check_asked(&self, id: u64) -> Result<()> {
        match &self.state {
            State::Asked(waiting, ..) if *waiting == id => Ok(()),
            State::Asked(waiting, ..) => Err(Error::Busy {
                message: format!("run waits for host call {waiting}, not {id}"),
            }),
            _ => Err(Error::Busy {
                message: format!("run does not wait for host call {id}"),
            }),
        }
    }

    /// Whether it has finished or failed.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Runs to the end, waiting for asynchronous host functions ([`Lua::create_async_function`]). A yield, a call of an event
    /// function and running out of fuel are errors here, for nobody would answer them.
    pub async fn finish(mut self) -> Result<MultiValue> {
        loop {
            match self.resume()? {
                Event::Finished(values) => return Ok(values),
                Event::Yielded(_) => {
                    return Err(Error::runtime("attempt to yield from outside a coroutine"));
                }
                Event::OutOfFuel => {
                    return Err(Error::Fuel {
                        message: "out of fuel".into(),
                    });
                }
                Event::HostCall(call) => {
                    let State::Asked(_, function, args) = &self.state else {
                        return Err(Error::Poisoned);
                    };
                    let Body::Future(body) = &function.body else {
                        return Err(Error::runtime(format!(
                            "nobody answers host function '{}' here",
                            call.name
                        )));
                    };
                    let future = body(self.current.lua()?, args.clone());
                    let results = future.await;
                    self.state = State::Answered(results);
                }
            }
        }
    }

    fn go(&mut self, lua: &Lua, begin: impl Fn(&mut Vm) -> Result<(), Failure>) -> Result<Event> {
        let outside = self.unpark(lua, begin)?;
        let stop = lua.drive(true);
        self.park(lua, outside, stop)
    }

    /// Makes the run's coroutine current and does the first thing in it.
    fn unpark(
        &self,
        lua: &Lua,
        begin: impl Fn(&mut Vm) -> Result<(), Failure>,
    ) -> Result<Interrupted> {
        lua.with(|vm| {
            let inner = lua
                .raw_of(vm, &self.current)?
                .as_coroutine()
                .ok_or(Error::Closed)?;
            let root = lua.hold(vm, Raw::coroutine(vm.current));
            let outside = vm.unpark(inner, self.depth);
            if let Err(failure) = begin(vm) {
                vm.park(outside, false);
                return Err(failure);
            }
            Ok(Interrupted {
                outside,
                _root: root,
            })
        })
    }

    /// Takes the event out of the run's coroutine and puts it aside.
    fn park(&mut self, lua: &Lua, interrupted: Interrupted, stop: Result<Stop>) -> Result<Event> {
        let mut rest = Some((interrupted, stop));
        let (event, state, current, depth) = lua.with(|vm| {
            let (interrupted, stop) = rest.take().ok_or(Error::Poisoned)?;
            let (event, state) = match stop {
                Ok(Stop::Done) => {
                    let values = vm.leave();
                    (Ok(Event::Finished(lua.to_values(vm, values))), State::Over)
                }
                Ok(Stop::Failed) => {
                    let error = lua.take_error(vm);
                    vm.leave();
                    (Err(error), State::Over)
                }
                Ok(Stop::Yielded) => {
                    let mut values: Vec<Raw> = (0..vm.pending).map(|_| vm.pop()).collect();
                    values.reverse();
                    (
                        Ok(Event::Yielded(lua.to_values(vm, values))),
                        State::Yielded(MultiValue::new()),
                    )
                }
                Ok(Stop::OutOfFuel) => (Ok(Event::OutOfFuel), State::Stopped),
                Ok(Stop::Asked(function, args)) => {
                    let id = lua.inner.next_call.get();
                    lua.inner.next_call.set(id + 1);
                    let call = HostCall {
                        id,
                        name: function.name.clone(),
                        args: args.clone(),
                    };
                    (Ok(Event::HostCall(call)), State::Asked(id, function, args))
                }
                Err(error) => (Err(error), State::Over),
            };
            let over = matches!(state, State::Over);
            let (inner, depth) = vm.park(interrupted.outside, over);
            Ok((event, state, lua.hold(vm, Raw::coroutine(inner)), depth))
        })?;
        self.current = current;
        self.depth = depth;
        self.state = state;
        event
    }

    /// Where the program is, for messages.
    pub fn position(&self) -> Option<String> {
        let lua = self.current.lua().ok()?;
        let interrupted = self.unpark(&lua, |_| Ok(())).ok()?;
        let mut rest = Some(interrupted);
        lua.with(|vm| {
            let text = fuel_message(vm);
            if let Some(interrupted) = rest.take() {
                vm.park(interrupted.outside, matches!(self.state, State::Over));
            }
            Ok(text.strip_prefix("out of fuel at ").map(str::to_owned))
        })
        .ok()
        .flatten()
    }
}

/// What was current when a run went on, and the root that keeps it.
struct Interrupted {
    outside: crate::vm::door::Outside,
    _root: Rc<Handle>,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::New(..) => "new run",
            State::Yielded(_) => "run that has yielded",
            State::Asked(..) => "run that waits for the host",
            State::Answered(_) => "run that has been answered",
            State::Stopped => "run out of fuel",
            State::Over => "run that is over",
        })
    }
}
