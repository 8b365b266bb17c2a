//! Running Lua: entering the VM, calling host functions when it asks for them, and turning what ends a run into results or errors.
//!
//! A host function is called between two runs of the VM, so it may use the engine, call Lua again included. What nests on the host's stack that
//! way is the host's own doing and is limited ([`NESTING_MAX`]).

use super::error::{Error, Result};
use super::lua::{Failure, Lua};
use super::operations::answer;
use super::userdata::HostData;
use super::value::{MultiValue, Value};
use crate::heap::value::Value as Raw;
use crate::vm::door::Entry;
use crate::vm::{Exit, ExitRequest, Vm};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;

/// Host functions that call Lua that calls host functions, at most (PUC Lua: LUAI_MAXCCALLS).
const NESTING_MAX: u32 = 180;

/// A future of a host function's results.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<MultiValue>>>>;

/// A host function that answers at once, and one that answers by a future.
pub(crate) type Immediate = Box<dyn Fn(&Lua, MultiValue) -> Result<MultiValue>>;
pub(crate) type Deferred = Box<dyn Fn(Lua, MultiValue) -> Answer>;

/// A function that the host has given to Lua.
pub(crate) struct HostFunction {
    pub(crate) name: String,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    /// Answers at once.
    Now(Immediate),
    /// Makes a future; [`Lua::drive`]'s caller waits for it.
    Future(Deferred),
    /// The host sees an event and answers when it likes.
    Event,
}

/// Why a run stopped.
pub(crate) enum Stop {
    Done,
    Failed,
    OutOfFuel,
    Yielded,
    /// A host function that answers later has been called with these arguments.
    Asked(Rc<HostFunction>, MultiValue),
}

/// Counts an entry from the host; fails when there are too many inside each other.
struct Nesting<'l>(&'l Lua);

impl Nesting<'_> {
    fn enter(lua: &Lua) -> Result<Nesting<'_>> {
        let depth = lua.inner.depth.get();
        if depth >= NESTING_MAX {
            return Err(Error::runtime(
                "C stack overflow (host functions and Lua call each other too deeply)",
            ));
        }
        lua.inner.depth.set(depth + 1);
        Ok(Nesting(lua))
    }
}

impl Drop for Nesting<'_> {
    fn drop(&mut self) {
        self.0.inner.depth.set(self.0.inner.depth.get() - 1);
    }
}

impl Lua {
    /// Calls a function and waits for its results.
    pub(crate) fn call_with(
        &self,
        function: impl Fn(&Vm) -> Result<Raw>,
        args: &[Value],
    ) -> Result<MultiValue> {
        let entry = self.with(|vm| {
            let function = function(vm)?;
            let args = self.to_raws(vm, args)?;
            let handler = self.handler(vm);
            Ok(vm.enter_at(function, &args, handler)?)
        })?;
        let nesting = Nesting::enter(self);
        let stop = nesting
            .as_ref()
            .map_err(Error::clone)
            .and_then(|_| self.drive(false));
        if let Err(Error::Exit { close: true, .. }) = stop {
            // The variables to be closed are, on the way out; what they raise is nobody's any more.
            self.with(|vm| {
                vm.unwind_entry(entry);
                Ok(())
            })?;
            let _ = self.drive(false);
        }
        self.conclude(entry, stop)
    }

    pub(crate) fn to_raws(&self, vm: &mut Vm, values: &[Value]) -> Result<Vec<Raw>, Failure> {
        values.iter().map(|v| self.to_raw(vm, v)).collect()
    }

    /// Leaves an entry.
    fn conclude(&self, entry: Entry, stop: Result<Stop>) -> Result<MultiValue> {
        let mut stop = Some(stop);
        self.with(|vm| match stop.take() {
            Some(Ok(Stop::Done)) => {
                let values = vm.leave();
                Ok(self.to_values(vm, values))
            }
            Some(Ok(Stop::Failed)) => {
                let error = self.take_error(vm);
                vm.leave();
                Err(error.into())
            }
            Some(Ok(Stop::OutOfFuel)) => {
                let message = fuel_message(vm);
                vm.abandon(entry);
                Err(Error::Fuel { message }.into())
            }
            Some(Err(error)) => {
                vm.abandon(entry);
                Err(error.into())
            }
            // An entry takes no yields, and a drive without events answers every call.
            _ => {
                vm.abandon(entry);
                Err(Error::Poisoned.into())
            }
        })
    }

    /// Runs until something ends or needs the host. `events`: host functions that answer later may be called.
    pub(crate) fn drive(&self, events: bool) -> Result<Stop> {
        loop {
            let exit = self.run_slice()?;
            self.bury();
            match exit {
                Exit::Continue | Exit::Slice => {}
                Exit::Done => return Ok(Stop::Done),
                Exit::Failed => return Ok(Stop::Failed),
                Exit::OutOfFuel => return Ok(Stop::OutOfFuel),
                Exit::Yielded => return Ok(Stop::Yielded),
                Exit::HostCall => {
                    if let Some(exit) = self.exit_wanted()? {
                        return Err(exit);
                    }
                    let (function, args) = self.asked()?;
                    match &function.body {
                        Body::Now(body) => {
                            match self.guarded(&function.name, || body(self, args)) {
                                // No `pcall` catches this.
                                Err(exit @ Error::Exit { .. }) => return Err(exit),
                                results => self.deliver(results)?,
                            }
                        }
                        Body::Event | Body::Future(_) if events => {
                            return Ok(Stop::Asked(function, args));
                        }
                        Body::Event | Body::Future(_) => {
                            let name = &function.name;
                            self.deliver(Err(Error::runtime(format!(
                                "host function '{name}' answers later: run this with 'Lua::start' or 'call_async'"
                            ))))?;
                        }
                    }
                }
            }
        }
    }

    /// Whether it is `os.exit` that has left the interpreter.
    fn exit_wanted(&self) -> Result<Option<Error>> {
        self.with(|vm| {
            Ok(vm
                .exit_requested
                .take()
                .map(|ExitRequest { code, close }| Error::Exit { code, close }))
        })
    }

    fn run_slice(&self) -> Result<Exit> {
        if self.inner.poisoned.get() {
            return Err(Error::Poisoned);
        }
        let Ok(mut vm) = self.inner.vm.try_borrow_mut() else {
            return Err(Error::Busy {
                message: "the engine is running".into(),
            });
        };
        self.reclaim(&mut vm);
        if self.inner.interrupt.load(Ordering::Relaxed)
            && self.inner.interrupt.swap(false, Ordering::Relaxed)
        {
            vm.set_interrupt("interrupted!");
        }
        // A panic in there is a bug of the engine's or of its `Host`: what it leaves behind is not looked at again.
        match catch_unwind(AssertUnwindSafe(|| vm.run())) {
            Ok(exit) => {
                if exit == Exit::Slice {
                    vm.host.tick();
                }
                Ok(exit)
            }
            Err(panic) => {
                self.inner.poisoned.set(true);
                drop(vm);
                std::panic::resume_unwind(panic)
            }
        }
    }

    /// Calls code of the host's; a panic in it becomes an error.
    pub(crate) fn guarded(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<MultiValue>,
    ) -> Result<MultiValue> {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(results) => results,
            Err(panic) => Err(Error::runtime(format!(
                "panic in host function '{name}': {}",
                panic_text(&*panic)
            ))),
        }
    }

    /// Which host function the VM wants, and its arguments.
    fn asked(&self) -> Result<(Rc<HostFunction>, MultiValue)> {
        self.with(|vm| {
            let data = vm.upval(0).as_userdata();
            let content = data.and_then(|u| {
                u.data
                    .as_ref()
                    .and_then(|d| d.downcast_ref::<HostData>())
                    .and_then(HostData::content)
            });
            let Some(Ok(function)) = content.map(Rc::downcast::<HostFunction>) else {
                return Err(Error::Busy {
                    message: "a library waits for something that this interface does not offer"
                        .into(),
                }
                .into());
            };
            let args = (0..vm.slots()).map(|i| vm.arg(i)).collect();
            Ok((function, self.to_values(vm, args)))
        })
    }

    /// Answers the host function that waits: the VM goes on with this at its next run.
    pub(crate) fn deliver(&self, results: Result<MultiValue>) -> Result<()> {
        let results = match results {
            Ok(values) => {
                let done = self.with(|vm| {
                    let values = self.to_raws(vm, &values)?;
                    answer_with(vm, answer::VALUES, &values)
                });
                match done {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        self.with(|vm| {
            // Messages get the position of the call, as those of Lua's own functions do; values are raised as they are.
            match &results {
                Error::BadArgument { position, cause } => {
                    let text = vm.new_string(cause.to_string().as_bytes())?;
                    answer_with(
                        vm,
                        answer::BAD_ARGUMENT,
                        &[Raw::int(*position as i64), text],
                    )
                }
                Error::Runtime(e) if e.value.is_none() => {
                    let text = vm.new_string(e.message.as_bytes())?;
                    answer_with(vm, answer::MESSAGE, &[text])
                }
                error => {
                    let raw = self.error_to_raw(vm, error)?;
                    answer_with(vm, answer::ERROR, &[raw])
                }
            }
        })
        .or_else(|_| {
            self.with(|vm| {
                let message = Raw::string(vm.memory_message);
                answer_with(vm, answer::ERROR, &[message])
            })
        })
    }
}

/// Replaces the slots of the waiting native.
fn answer_with(vm: &mut Vm, state: u32, values: &[Raw]) -> Result<(), Failure> {
    vm.ensure_stack(values.len())?;
    vm.set_slots(0)?;
    for &v in values {
        vm.push(v);
    }
    vm.set_state(state);
    Ok(())
}

/// Where the fuel ran out.
pub(crate) fn fuel_message(vm: &mut Vm) -> String {
    let position = vm.where_it_is();
    if position.is_empty() {
        "out of fuel".into()
    } else {
        format!("out of fuel at {position}")
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_string()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "no message".to_string()
    }
}
