//! Running Lua: driving tasks (`vm/task.rs`), calling host functions when they ask for them, and turning what ends them into results or errors.
//!
//! A host function is called while its task is put aside, so it may use the engine, call Lua again included: that is another task. What nests
//! on the host's stack that way is the host's own doing and is limited ([`NESTING_MAX`]).

use super::error::{Error, Result};
use super::lua::{Failure, Lua};
use super::userdata::HostData;
use super::value::{MultiValue, Value};
use crate::heap::value::Value as Raw;
use crate::vm::task::Answer;
use crate::vm::{Exit, ExitRequest, Vm};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;

/// Host functions that call Lua that calls host functions, at most (PUC Lua: LUAI_MAXCCALLS).
const NESTING_MAX: u32 = 180;

/// A future of a host function's results.
pub(crate) type Promise = Pin<Box<dyn Future<Output = Result<MultiValue>>>>;

/// A host function that answers at once, and one that answers by a future.
pub(crate) type Immediate = Box<dyn Fn(&Lua, MultiValue) -> Result<MultiValue>>;
pub(crate) type Deferred = Box<dyn Fn(Lua, MultiValue) -> Promise>;

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

/// Why a task stopped.
pub(crate) enum Stop {
    Done(MultiValue),
    Failed(Error),
    OutOfFuel,
    Yielded(MultiValue),
    /// A host function that answers later has been called with these arguments.
    Asked(Rc<HostFunction>, MultiValue),
}

/// What a slice of a task comes to.
enum Step {
    Stop(Stop),
    /// The slice is over.
    Slice,
    /// A host function has been called with these arguments.
    Call(Rc<HostFunction>, MultiValue),
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
        let task = self.with(|vm| {
            let function = function(vm)?;
            let args = self.to_raws(vm, args)?;
            let handler = self.handler(vm);
            Ok(vm.new_task(function, &args, handler, false)?)
        })?;
        match self.drive(task, false) {
            Ok(Stop::Done(values)) => Ok(values),
            Ok(Stop::Failed(error)) => Err(error),
            Ok(Stop::OutOfFuel) => {
                let message = self.with(|vm| Ok(fuel_message(vm, task)));
                Err(self.give_up(task, Error::Fuel { message: message? }))
            }
            Err(error) => Err(self.give_up(task, error)),
            // Such a task takes no yields, and a drive without events answers every call.
            Ok(Stop::Yielded(_) | Stop::Asked(..)) => Err(self.give_up(task, Error::Poisoned)),
        }
    }

    /// Drops a task for this reason, which it gives back. `os.exit` may want its variables to be closed before; what they raise is nobody's
    /// any more.
    pub(crate) fn give_up(&self, task: usize, reason: Error) -> Error {
        if let Error::Exit { close: true, .. } = reason {
            let unwound = self.with(|vm| {
                vm.unwind_task(task);
                Ok(())
            });
            if unwound.is_ok() {
                let _ = self.drive(task, false);
            }
        }
        let _ = self.with(|vm| {
            vm.drop_task(task);
            Ok(())
        });
        reason
    }

    pub(crate) fn to_raws(&self, vm: &mut Vm, values: &[Value]) -> Result<Vec<Raw>, Failure> {
        values.iter().map(|v| self.to_raw(vm, v)).collect()
    }

    /// Runs a task until something ends or needs the host. `events`: host functions that answer later may be called. A task that has not ended
    /// is still there afterwards, also after an error.
    pub(crate) fn drive(&self, task: usize, events: bool) -> Result<Stop> {
        let _nesting = Nesting::enter(self)?;
        loop {
            let step = self.run_slice(task);
            self.bury();
            let (function, args) = match step? {
                Step::Stop(stop) => return Ok(stop),
                Step::Slice => continue,
                Step::Call(function, args) => (function, args),
            };
            match &function.body {
                Body::Now(body) => match self.guarded(&function.name, || body(self, args)) {
                    // No `pcall` catches this.
                    Err(exit @ Error::Exit { .. }) => return Err(exit),
                    results => self.deliver(task, results)?,
                },
                Body::Event | Body::Future(_) if events => return Ok(Stop::Asked(function, args)),
                Body::Event | Body::Future(_) => {
                    let name = &function.name;
                    let text = format!(
                        "host function '{name}' answers later: run this with 'Lua::start' or 'call_async'"
                    );
                    self.deliver(task, Err(Error::runtime(text)))?;
                }
            }
        }
    }

    fn run_slice(&self, task: usize) -> Result<Step> {
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
        match catch_unwind(AssertUnwindSafe(|| vm.run_task(task, 1))) {
            Ok(exit) => self.step(&mut vm, task, exit),
            Err(panic) => {
                self.inner.poisoned.set(true);
                drop(vm);
                std::panic::resume_unwind(panic)
            }
        }
    }

    /// What an exit means; values are taken out of the VM before anything else happens in it.
    fn step(&self, vm: &mut Vm, task: usize, exit: Option<Exit>) -> Result<Step> {
        Ok(Step::Stop(match exit {
            Some(Exit::Done) => {
                let results = std::mem::take(vm.task_results_mut());
                let values = self.to_values(vm, &results);
                *vm.task_results_mut() = results;
                Stop::Done(values)
            }
            Some(Exit::Failed) => Stop::Failed(self.take_error(vm)),
            Some(Exit::OutOfFuel) => Stop::OutOfFuel,
            Some(Exit::Yielded) => {
                let values = vm.task_yield(task).unwrap_or_default().to_vec();
                Stop::Yielded(self.to_values(vm, &values))
            }
            Some(Exit::HostCall) => {
                if let Some(ExitRequest { code, close }) = vm.exit_requested.take() {
                    return Err(Error::Exit { code, close });
                }
                let (function, args) = self.asked(vm, task)?;
                return Ok(Step::Call(function, args));
            }
            // A native world's store answers at once.
            Some(Exit::Slice | Exit::Continue | Exit::Fault) => {
                vm.host.tick();
                return Ok(Step::Slice);
            }
            None => {
                return Err(Error::Busy {
                    message: "run waits for something".into(),
                });
            }
        }))
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

    /// Which host function a task calls, and its arguments.
    pub(crate) fn asked(&self, vm: &mut Vm, task: usize) -> Result<(Rc<HostFunction>, MultiValue)> {
        let call = vm.task_call(task).and_then(|(key, args)| {
            let data = key.as_userdata()?;
            let data = data.data.as_ref()?.downcast_ref::<HostData>()?;
            let function = data.content()?.downcast::<HostFunction>().ok()?;
            Some((function, args.to_vec()))
        });
        match call {
            Some((function, args)) => Ok((function, self.to_values(vm, &args))),
            None => Err(Error::Busy {
                message: "a library waits for something that this interface does not offer".into(),
            }),
        }
    }

    /// Answers the host function that a task waits for.
    pub(crate) fn deliver(&self, task: usize, results: Result<MultiValue>) -> Result<()> {
        let error = match results {
            Ok(values) => {
                let done = self.with(|vm| {
                    let values = self.to_raws(vm, &values)?;
                    Ok(vm.answer_task(task, Answer::Values(&values))?)
                });
                match done {
                    Ok(_) => return Ok(()),
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        self.with(|vm| {
            // Messages get the position of the call, as those of Lua's own functions do; values are raised as they are.
            let answer = match &error {
                Error::BadArgument { position, cause } => Answer::BadArgument(
                    *position as u32,
                    vm.new_string(cause.to_string().as_bytes())?,
                ),
                Error::Runtime(e) if e.value.is_none() => {
                    Answer::Message(vm.new_string(e.message.as_bytes())?)
                }
                error => Answer::Error(self.error_to_raw(vm, error)?),
            };
            vm.answer_task(task, answer)?;
            Ok(())
        })
        .or_else(|_| {
            self.with(|vm| {
                vm.answer_task(task, Answer::Error(vm.memory_error()))?;
                Ok(())
            })
        })
    }
}

/// Where the fuel ran out.
fn fuel_message(vm: &Vm, task: usize) -> String {
    let position = vm.task_position(task);
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
