//! Tasks: programs that the host runs side by side in one engine. Each has a root coroutine of its own whose bottom is a host entry, so a
//! task that waits for the host (an asynchronous function, more fuel, the end of a slice) does not stand in another one's way.
//!
//! Invariants
//! 1. Between two calls from the host, no task is current: the engine's `current` is the main coroutine, or the coroutine of a native
//!    that is calling out to the host right now.
//! 2. `Task::current` is the coroutine of the task that was running when it was left; the chain of `resumer`s leads to `root`.

use super::call::ALL;
use super::{Act, Exit, NativeResult, Throw, Vm};
use crate::heap::coroutine::{Coroutine, Exec, Frame, Status, frame_flag, kind};
use crate::heap::object::Gc;
use crate::heap::value::Value;

/// A program under way.
pub struct Task {
    pub(crate) root: Gc<Coroutine>,
    pub(crate) current: Gc<Coroutine>,
    depth: u32,
    /// It waits for the answer to a host call, or to its yield.
    pub waiting: bool,
    /// Its function may yield to the host.
    yields: bool,
    /// How many values it has yielded and not been resumed after.
    yielded: Option<u32>,
    /// What it was resumed with after a yield: so many values on top of its stack, or (false) an error there.
    resumed: Option<(usize, bool)>,
}

/// Idle root coroutines kept for the next task.
const IDLE_MAX: usize = 16;

/// States of a native that calls the host.
const ASKED: u32 = 1;
const ANSWERED: u32 = 2;
const REFUSED: u32 = 3;

impl Vm {
    /// A task that will call `function`. The handler is a message handler as of `xpcall`. Errors: memory.
    pub fn new_task(
        &mut self,
        function: Value,
        args: &[Value],
        handler: Option<Value>,
    ) -> Result<usize, Throw> {
        self.new_task_that(false, function, args, handler)
    }

    /// The same; with `yields`, one that may yield to the host, as a coroutine does to its resumer.
    pub fn new_task_that(
        &mut self,
        yields: bool,
        function: Value,
        args: &[Value],
        handler: Option<Value>,
    ) -> Result<usize, Throw> {
        let may_yield = yields || self.host_coroutine;
        let mut root = match self.idle_tasks.pop() {
            Some(co) => co,
            None => self.heap.coroutine()?,
        };
        let exec = &mut root.exec;
        let needed = args.len() + 2 * crate::heap::coroutine::SLACK;
        if exec.stack_cap < needed {
            self.heap.reserve(needed * 16)?;
            let change = exec.grow_stack(&mut self.heap.pools, needed);
            self.heap.account(change);
        }
        exec.top = 0;
        exec.push(Value::NIL);
        // The entry's slot 1 holds the handler; `top` 0 means "no handler", so it cannot be slot 0.
        exec.push(handler.unwrap_or(Value::NIL));
        exec.push(function);
        for &v in args {
            exec.push(v);
        }
        exec.frame_count = 1;
        exec.no_yield = if may_yield { 0 } else { 1 };
        *exec.frame_mut() = Frame {
            pc: std::ptr::null(),
            k: std::ptr::null(),
            closure: std::ptr::null(),
            base: 2,
            func: 1,
            top: if handler.is_some() { 1 } else { 0 },
            state: 0,
            aux: 0,
            results: ALL,
            kind: kind::ENTRY,
            flags: if may_yield { 0 } else { frame_flag::NO_YIELD },
        };
        root.status = Status::Suspended;
        let task = Task {
            root,
            current: root,
            depth: 0,
            waiting: false,
            yields,
            yielded: None,
            resumed: None,
        };
        let id = match self.tasks.iter().position(Option::is_none) {
            Some(id) => {
                self.tasks[id] = Some(task);
                id
            }
            None => {
                self.tasks.push(Some(task));
                self.tasks.len() - 1
            }
        };
        Ok(id)
    }

    /// Runs a task until it is done, has failed, or wants something; at most so many slices ([`Exit::Slice`] then). When it is done or has
    /// failed the task is gone, and `take_results` or `error` have the outcome. `None` for a task that does not exist or waits for an answer.
    pub fn run_task(&mut self, id: usize, slices: u32) -> Option<Exit> {
        let task = self.tasks.get_mut(id)?.as_mut()?;
        if task.waiting {
            return None;
        }
        let (current, depth) = (task.current, task.depth);
        let (yields, resumed) = (task.yields, task.resumed.take());
        // From here on the running coroutine is a root as such, and refers to those that wait for it. The one that was current at the last
        // leave is not: it may end and be garbage before the next, and a program can see whether it is.
        task.current = task.root;
        let mut outer = self.current;
        let (outer_status, outer_depth) = (outer.status, self.coroutine_depth);
        let outer_yields = self.host_coroutine;
        outer.status = Status::Normal;
        self.host_coroutine |= yields;
        self.swap_exec(current);
        // A slice of its own, whatever is left of the one before: so many slices are always as much work.
        self.settle_slice();
        self.start_slice();
        self.current.status = Status::Running;
        self.coroutine_depth = depth;
        let fresh =
            self.exec.frame_count == 1 && self.exec.frame().state == 0 && self.exec.top >= 3;
        let mut exit = Exit::Continue;
        if fresh {
            let args = self.exec.top - 3;
            if let Err(throw) = self.begin_call(2, args, ALL, 0) {
                exit = self.unwind(throw);
            }
        }
        if let Some((count, ok)) = resumed {
            let ended = if ok {
                self.native_ends(count)
            } else {
                let error = self.pop();
                Err(self.throw(error))
            };
            if let Err(throw) = ended {
                exit = self.unwind(throw);
            }
        }
        if exit == Exit::Continue {
            let mut left = slices;
            exit = loop {
                match self.run() {
                    Exit::Slice if left > 1 && !self.pause_requested => left -= 1,
                    exit => break exit,
                }
            };
        }
        self.pause_requested = false;
        let finished = matches!(exit, Exit::Done | Exit::Failed);
        if finished {
            self.task_results.clear();
            if exit == Exit::Done {
                for at in self.exec.frame().base as usize..self.exec.top {
                    let v = self.exec.get(at);
                    self.task_results.push(v);
                }
            }
            self.exec.frame_count = 0;
            self.exec.top = 0;
            self.exec.no_yield = 0;
            self.exec.handlers = 0;
        }
        let mut inner = self.current;
        inner.status = Status::Suspended;
        let depth = self.coroutine_depth;
        self.swap_exec(outer);
        outer.status = outer_status;
        self.host_coroutine = outer_yields;
        self.coroutine_depth = outer_depth;
        if finished {
            if let Some(task) = self.tasks[id].take()
                && self.idle_tasks.len() < IDLE_MAX
                && task.root.exec.stack_cap <= 1024
            {
                self.idle_tasks.push(task.root);
            }
        } else if let Some(task) = &mut self.tasks[id] {
            task.current = inner;
            task.depth = depth;
            task.waiting = matches!(exit, Exit::HostCall | Exit::Yielded);
            task.yielded = (exit == Exit::Yielded).then_some(self.pending);
        }
        Some(exit)
    }

    fn swap_exec(&mut self, mut to: Gc<Coroutine>) {
        let mut from = self.current;
        let exec = std::mem::replace(&mut to.exec, Exec::none());
        from.exec = std::mem::replace(&mut self.exec, exec);
        self.current = to;
        self.tracing = to.hook.is_some();
    }

    /// The results of the task that was done last, until the next one is.
    pub fn task_results(&self) -> &[Value] {
        &self.task_results
    }
    /// The list itself, for a host that takes the results out and gives the buffer back.
    pub fn task_results_mut(&mut self) -> &mut Vec<Value> {
        &mut self.task_results
    }

    /// The host function (its number) that a waiting task calls, and the arguments.
    pub fn task_call(&self, id: usize) -> Option<(u32, Vec<Value>)> {
        let task = self.tasks.get(id)?.as_ref().filter(|t| t.waiting)?;
        if task.yielded.is_some() {
            return None;
        }
        let exec = &task.current.exec;
        let frame = exec.frame();
        let args = (frame.base as usize..exec.top)
            .map(|at| exec.get(at))
            .collect();
        let number = exec
            .get(frame.func as usize)
            .as_native_closure()?
            .upvals()
            .first()?
            .as_int()?;
        Some((number as u32, args))
    }

    /// The values that a waiting task has yielded.
    pub fn task_yield(&self, id: usize) -> Option<Vec<Value>> {
        let task = self.tasks.get(id)?.as_ref()?;
        let exec = &task.current.exec;
        let first = exec.top.checked_sub(task.yielded? as usize)?;
        Some((first..exec.top).map(|at| exec.get(at)).collect())
    }

    /// Answers a waiting task's call or yield with results or an error value. False if it does not wait.
    pub fn answer_task(&mut self, id: usize, answer: Result<&[Value], Value>) -> bool {
        let Some(task) = self
            .tasks
            .get_mut(id)
            .and_then(Option::as_mut)
            .filter(|t| t.waiting)
        else {
            return false;
        };
        task.waiting = false;
        let mut co = task.current;
        let exec = &mut co.exec;
        let base = exec.frame().base as usize;
        let yielded = task.yielded.take().is_some();
        exec.top = base;
        let values = match &answer {
            Ok(values) => values,
            Err(value) => std::slice::from_ref(value),
        };
        let needed = base + values.len() + 2 * crate::heap::coroutine::SLACK;
        if exec.stack_cap < needed {
            let change = exec.grow_stack(&mut self.heap.pools, needed);
            self.heap.account(change);
        }
        if yielded {
            task.resumed = Some((values.len(), answer.is_ok()));
        } else {
            exec.frame_mut().state = if answer.is_ok() { ANSWERED } else { REFUSED };
        }
        for &v in values.iter() {
            exec.push(v);
        }
        true
    }

    /// Drops a task without running it further; its to-be-closed variables are not closed.
    pub fn drop_task(&mut self, id: usize) {
        if let Some(task) = self.tasks.get_mut(id) {
            *task = None;
        }
    }

    /// How many tasks there are.
    pub fn task_count(&self) -> usize {
        self.tasks.iter().flatten().count()
    }

    /// A function that asks the host: `number` says which of its functions. `companion` lives as long as the function does.
    pub fn host_function(&mut self, number: u32, companion: Value) -> Result<Value, Throw> {
        let native = match self.host_native {
            Some(native) => native,
            None => {
                let native = self.register("host", "call", ask_host).bits as u32;
                self.host_native = Some(native);
                native
            }
        };
        let closure = self
            .heap
            .native_closure(native, &[Value::int(number as i64), companion])?;
        Ok(Value::native_closure(closure))
    }

    /// The number of a function that `host_function` made.
    pub fn host_function_number(&self, v: Value) -> Option<u32> {
        let closure = v.as_native_closure()?;
        if Some(closure.native) != self.host_native {
            return None;
        }
        Some(closure.upvals().first()?.as_int()? as u32)
    }

    /// Whether the collector wants to take a step.
    #[inline]
    pub fn collection_is_due(&self) -> bool {
        self.heap.debt > 0
    }

    /// Takes a step of the collector if one is due. For embedders that make values without running anything: no values but held ones may
    /// be in their hands.
    pub fn collect_if_due(&mut self) {
        if self.heap.debt > 0 {
            self.collect_step();
        }
    }
}

/// The native behind every host function of a task.
fn ask_host(vm: &mut Vm) -> NativeResult {
    match vm.state() {
        ANSWERED => Ok(Act::Return(vm.slots() as u32)),
        REFUSED => {
            let error = vm.pop();
            Err(vm.throw(error))
        }
        _ => {
            vm.set_state(ASKED);
            Ok(Act::HostCall)
        }
    }
}
