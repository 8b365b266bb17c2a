//! Tasks: programs that the host runs, side by side in one engine. This is the only way into the interpreter. Each task has a root coroutine
//! whose bottom is a host entry, so one that waits for the host (an answer, more fuel, the end of a slice) stands in nobody's way; and
//! a host function that calls Lua while a task waits for it starts another task.
//!
//! A task is plain data: coroutines in the heap, a [`Stage`], two numbers. Nothing of it is on the host's stack.
//!
//! Invariants
//! 1. Between two calls from the host no task is current: `Vm::current` is `Vm::outside`, which has no stack, and `Vm::exec` is empty.
//! 2. `Task::current` is the coroutine of the task that was running when it was left; the chain of `resumer`s leads to `root`. All of them are
//!    `Normal`, so that Lua code can neither resume nor close them.
//! 3. The main coroutine is the root of one task at a time. A program may know other roots only if they are `seen`; these are not used again, so
//!    that a coroutine that a program has met never comes back as another task's.

use super::call::ALL;
use super::{Act, Exit, NativeResult, Throw, Vm};
use crate::heap::coroutine::{Coroutine, Frame, SLACK, Status, frame_flag, kind};
use crate::heap::object::Gc;
use crate::heap::value::Value;

/// So many bytes of debt are the host's own making: programs pay theirs at each safe point.
const HOST_DEBT: isize = 64 << 10;

/// A program under way.
pub struct Task {
    pub(crate) root: Gc<Coroutine>,
    pub(crate) current: Gc<Coroutine>,
    /// Coroutines that resume each other in it.
    pub(crate) depth: u32,
    pub(crate) stage: Stage,
    /// The number of its last host call, unique in the engine.
    pub(crate) call: u64,
}

impl Task {
    /// Whether its coroutines are in the middle of what its stage says. Those of a store need not be.
    pub(crate) fn holds(&self) -> bool {
        /// Far more coroutines than can resume each other.
        const CHAIN_MAX: usize = 1 << 16;
        let entry = self.root.exec.frames().first();
        if entry.is_none_or(|frame| frame.kind != kind::ENTRY) {
            return false;
        }
        let mut co = self.current;
        for _ in 0..CHAIN_MAX {
            if co.exec.frames().is_empty() || co.header.is_hollow() {
                return false;
            }
            if co == self.root {
                break;
            }
            match co.resumer {
                Some(resumer) => co = resumer,
                None => return false,
            }
        }
        let exec = &self.current.exec;
        let frame = exec.frame();
        let native = frame.kind == kind::NATIVE;
        co == self.root
            && match self.stage {
                Stage::New => {
                    self.current == self.root && exec.frames().len() == 1 && exec.top > FUNCTION
                }
                Stage::Ready => true,
                Stage::Asked => native && frame.base as usize <= exec.top,
                Stage::Yielded | Stage::Resumed => {
                    native && frame.base as usize + frame.aux as usize <= exec.top
                }
            }
    }
}

/// What a task needs before it can go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Stage {
    /// Nothing: its function has not been called yet.
    New,
    /// Nothing: its slice was over, it has more fuel, or it has been answered.
    Ready,
    /// The answer to its host call ([`Vm::answer_task`]).
    Asked,
    /// It has yielded the top values of its native, as many as that frame's `aux` says ([`Vm::resume_task`]).
    Yielded,
    /// Nothing: as many values, at the same place, are the results of the yield.
    Resumed,
}

/// How the host answers a call.
#[derive(Clone, Copy)]
pub enum Answer<'a> {
    /// By results.
    Values(&'a [Value]),
    /// By an error with this value.
    Error(Value),
    /// By an error with this text, before which the caller's position is put.
    Message(Value),
    /// By an error about the argument with this number (from 1): what is wrong with it.
    BadArgument(u32, Value),
}

/// Idle root coroutines kept for the next task.
const IDLE_MAX: usize = 16;
/// Those with a larger stack are not.
const IDLE_SLOTS_MAX: usize = 1024;

/// States of a native that calls the host.
const ASKED: u32 = 1;
const ANSWERED: u32 = 2;
const REFUSED: u32 = 3;
const REFUSED_MESSAGE: u32 = 4;
const REFUSED_ARGUMENT: u32 = 5;

/// Where an entry keeps its handler (0 would mean none) and the function.
const HANDLER: usize = 1;
const FUNCTION: usize = 2;

impl Vm {
    /// A task that will call `function`. The handler is a message handler as of `xpcall`. A task that `yields` may do so to the host; one that does
    /// not has the main coroutine, if that is free. Errors: memory, more arguments than a stack has room for.
    pub fn new_task(
        &mut self,
        function: Value,
        args: &[Value],
        handler: Option<Value>,
        yields: bool,
    ) -> Result<usize, Throw> {
        let main = self.main;
        let root = if !yields && main.exec.frame_count == 0 {
            main
        } else {
            match self.idle_roots.pop() {
                Some(co) => co,
                None => self.heap.coroutine()?,
            }
        };
        let mut root = self.with_room(root, args.len() + 3)?;
        if root.exec.frame_cap == 0 {
            // As a damaged world's main coroutine may be.
            let change = root.exec.grow_frames(&mut self.heap.pools, 4);
            self.heap.account(change);
        }
        let exec = &mut root.exec;
        exec.top = 0;
        exec.push(Value::NIL);
        exec.push(handler.unwrap_or(Value::NIL));
        exec.push(function);
        for &v in args {
            exec.push(v);
        }
        exec.keep_frames(1);
        exec.no_yield = !yields as u32;
        *exec.frame_mut() = Frame {
            pc: std::ptr::null(),
            k: std::ptr::null(),
            closure: std::ptr::null(),
            base: FUNCTION as u32,
            func: HANDLER as u32,
            top: if handler.is_some() { HANDLER as u32 } else { 0 },
            state: 0,
            aux: 0,
            results: ALL,
            kind: kind::ENTRY,
            flags: if yields { 0 } else { frame_flag::NO_YIELD },
        };
        root.status = Status::Normal;
        let task = Task {
            root,
            current: root,
            depth: 0,
            stage: Stage::New,
            call: 0,
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
    /// failed the task is gone, and `task_results` or `error` have the outcome. `None` for a task that does not exist, waits for an answer or has
    /// yielded.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn run_task(&mut self, id: usize, slices: u32) -> Option<Exit> {
        let stage = self.task_stage(id)?;
        if matches!(stage, Stage::Asked | Stage::Yielded) {
            return None;
        }
        self.go_in(id);
        if self.waiting_task.take() != Some(id) {
            // A slice of its own, whatever is left of the one before: so many slices are always as much work.
            self.settle_slice();
            self.start_slice();
        }
        let begun = match stage {
            Stage::New => self.begin_call(FUNCTION, self.exec.top - FUNCTION - 1, ALL, 0),
            Stage::Resumed => self.native_ends(self.exec.frame().aux as usize),
            _ => Ok(()),
        };
        let mut exit = match begun {
            Ok(()) => Exit::Continue,
            Err(throw) => self.unwind(throw),
        };
        let mut left = slices;
        while exit == Exit::Continue {
            exit = match self.run() {
                Exit::Slice if left > 1 && !self.pause_requested => {
                    left -= 1;
                    Exit::Continue
                }
                exit => exit,
            };
        }
        self.pause_requested = false;
        let stage = match exit {
            Exit::Done | Exit::Failed => {
                self.task_results.clear();
                for at in self.exec.frame().base as usize..self.exec.top {
                    let v = self.exec.get(at);
                    self.task_results.push(v);
                }
                self.retire(id);
                return Some(exit);
            }
            Exit::HostCall => Stage::Asked,
            Exit::Yielded => Stage::Yielded,
            _ => Stage::Ready,
        };
        if exit == Exit::HostCall {
            self.host_calls += 1;
        }
        if exit == Exit::Fault {
            self.waiting_task = Some(id);
        }
        let call = self.host_calls;
        if let Some(task) = self.go_out(id) {
            task.stage = stage;
            if exit == Exit::HostCall {
                task.call = call;
            }
        }
        Some(exit)
    }

    /// Makes a task current.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn go_in(&mut self, id: usize) {
        debug_assert!(self.current == self.outside, "tasks do not nest");
        if let Some(task) = self.tasks.get_mut(id).and_then(Option::as_mut) {
            // From here on the running coroutine is a root as such, and refers to those that wait for it. The one that was current at the last
            // leave is not: it may end and be garbage before the next, and a program can see whether it is.
            let mut co = std::mem::replace(&mut task.current, task.root);
            self.heap.touch(co.header());
            self.coroutine_depth = task.depth;
            co.status = Status::Running;
            self.exec.swap(&mut co.exec);
            self.current = co;
            self.update_tracing();
        }
    }

    /// Puts the current task aside.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn go_out(&mut self, id: usize) -> Option<&mut Task> {
        let mut co = self.current;
        self.exec.swap(&mut co.exec);
        co.status = Status::Normal;
        self.current = self.outside;
        self.tracing = false;
        let task = self.tasks.get_mut(id).and_then(Option::as_mut)?;
        task.current = co;
        task.depth = self.coroutine_depth;
        Some(task)
    }

    /// The current task is over: its root is current, and nothing in that is needed any more.
    fn retire(&mut self, id: usize) {
        self.exec.keep_frames(0);
        self.exec.top = 0;
        self.exec.no_yield = 0;
        self.exec.handlers = 0;
        let mut root = self.current;
        let is_main = root == self.main;
        if is_main {
            self.shrink_stacks();
        }
        self.go_out(id);
        self.tasks[id] = None;
        if self.waiting_task == Some(id) {
            self.waiting_task = None;
        }
        if is_main {
            return;
        }
        root.hook = None;
        let small = root.exec.stack_cap <= IDLE_SLOTS_MAX;
        // A world may go back to what a root was in the middle of: there each task has its own.
        if !root.seen && small && !self.may_fault() && self.idle_roots.len() < IDLE_MAX {
            self.idle_roots.push(root);
        } else {
            root.status = Status::Dead;
            self.heap.release_exec(&mut root.exec);
        }
    }

    /// The results of the task that was done last, until the next one is.
    pub fn task_results(&self) -> &[Value] {
        &self.task_results
    }
    /// The list itself, for a host that takes the results out and gives the buffer back.
    pub fn task_results_mut(&mut self) -> &mut Vec<Value> {
        &mut self.task_results
    }

    fn task(&self, id: usize) -> Option<&Task> {
        self.tasks.get(id)?.as_ref()
    }

    /// What a task needs before it can go on; `None` if there is no such task.
    pub fn task_stage(&self, id: usize) -> Option<Stage> {
        Some(self.task(id)?.stage)
    }

    /// The number of the host call that a task waits for, unique in the engine.
    pub fn task_call_number(&self, id: usize) -> Option<u64> {
        let task = self.task(id)?;
        (task.stage == Stage::Asked).then_some(task.call)
    }

    /// The tasks there are, by number.
    pub fn task_numbers(&self) -> Vec<usize> {
        (0..self.tasks.len())
            .filter(|id| self.tasks[*id].is_some())
            .collect()
    }

    /// The permanent name of the host function that a waiting task calls.
    pub fn task_permanent(&self, id: usize) -> Option<String> {
        let task = self.task(id).filter(|task| task.stage == Stage::Asked)?;
        let exec = &task.current.exec;
        let function = exec.get(exec.frame().func as usize);
        let named = self.permanents.iter().find(|(_, v)| v.raw_equals(function));
        named.map(|(name, _)| name.to_string())
    }

    /// The host function (the first upvalue that it was made with) that a waiting task calls, and the arguments.
    pub fn task_call(&self, id: usize) -> Option<(Value, &[Value])> {
        let task = self.task(id).filter(|task| task.stage == Stage::Asked)?;
        let exec = &task.current.exec;
        let frame = exec.frame();
        let which = self.host_function_key(exec.get(frame.func as usize))?;
        Some((which, exec.values(frame.base as usize..exec.top)))
    }

    /// Answers a waiting task's call. False if it does not wait. Errors (memory, more values than a stack has room for) leave it waiting.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn answer_task(&mut self, id: usize, answer: Answer) -> Result<bool, Throw> {
        let Some(task) = self.task(id).filter(|task| task.stage == Stage::Asked) else {
            return Ok(false);
        };
        let number;
        let (state, values) = match &answer {
            Answer::Values(values) => (ANSWERED, *values),
            Answer::Error(value) => (REFUSED, std::slice::from_ref(value)),
            Answer::Message(text) => (REFUSED_MESSAGE, std::slice::from_ref(text)),
            Answer::BadArgument(n, text) => {
                number = [Value::int(*n as i64), *text];
                (REFUSED_ARGUMENT, &number[..])
            }
        };
        let base = task.current.exec.frame().base as usize;
        let mut co = self.with_room(task.current, base + values.len())?;
        co.exec.top = base;
        co.exec.frame_mut().state = state;
        for &v in values {
            co.exec.push(v);
        }
        self.set_stage(id, Stage::Ready);
        Ok(true)
    }

    /// What a task has yielded; `None` if it has not.
    pub fn task_yield(&self, id: usize) -> Option<&[Value]> {
        let task = self.task(id).filter(|task| task.stage == Stage::Yielded)?;
        let exec = &task.current.exec;
        let first = exec.top - exec.frame().aux as usize;
        Some(exec.values(first..exec.top))
    }

    /// Gives a task that has yielded the results of the yield. False if it has not. Errors (as of `answer_task`) leave it as it is.
    pub fn resume_task(&mut self, id: usize, values: &[Value]) -> Result<bool, Throw> {
        let Some(task) = self.task(id).filter(|task| task.stage == Stage::Yielded) else {
            return Ok(false);
        };
        let first = task.current.exec.top - task.current.exec.frame().aux as usize;
        let mut co = self.with_room(task.current, first + values.len())?;
        co.exec.top = first;
        co.exec.frame_mut().aux = values.len() as u32;
        for &v in values {
            co.exec.push(v);
        }
        self.set_stage(id, Stage::Resumed);
        Ok(true)
    }

    fn set_stage(&mut self, id: usize, stage: Stage) {
        if let Some(Some(task)) = self.tasks.get_mut(id) {
            task.stage = stage;
        }
    }

    /// A coroutine that is not running, once it has room for so many values.
    fn with_room(&mut self, mut co: Gc<Coroutine>, values: usize) -> Result<Gc<Coroutine>, Throw> {
        let needed = values + 2 * SLACK;
        let cap = co.exec.stack_cap;
        if cap < needed {
            if values > self.limits.stack_max {
                return Err(self.fail("stack overflow"));
            }
            self.heap.reserve((needed - cap) * 16)?;
            let change = co.exec.grow_stack(&mut self.heap.pools, needed);
            self.heap.account(change);
        }
        Ok(co)
    }

    /// Drops a task without running it further: its coroutines are dead, and variables that were to be closed are not. This is how a limit
    /// that no `pcall` may catch ends.
    pub fn drop_task(&mut self, id: usize) {
        if self.task(id).is_none() {
            return;
        }
        self.go_in(id);
        self.drop_coroutines();
        self.drop_stack(0, 0);
        self.retire(id);
    }

    /// Ends a task in good order, as `os.exit(code, true)` wants it: drops everything above the entry, and lets the entry close the variables that
    /// were to be closed. Run it again: it will have failed, with nil unless a `__close` method does. Coroutines that were running inside are
    /// dropped as they are.
    pub fn unwind_task(&mut self, id: usize) {
        if self.task(id).is_none() {
            return;
        }
        self.go_in(id);
        self.drop_coroutines();
        self.finalizers_dropped(0);
        self.begin_unwinding(0, Value::NIL);
        self.handler_returned = false;
        if let Some(task) = self.go_out(id) {
            task.stage = Stage::Ready;
        }
    }

    /// Leaves the coroutines that are running inside the current task, dead.
    fn drop_coroutines(&mut self) {
        while self.current.resumer.is_some() {
            self.drop_stack(0, 0);
            self.coroutine_depth = self.coroutine_depth.saturating_sub(1);
            self.switch_back(Status::Dead);
        }
    }

    fn drop_stack(&mut self, frame: usize, slot: usize) {
        self.finalizers_dropped(frame);
        self.drop_frames(frame);
        self.close_upvalues(slot);
        self.exec.tbc.retain(|&at| (at as usize) < slot);
        self.exec.top = slot;
        self.handler_returned = false;
    }

    /// The frames from this one on are about to be dropped, that of a finalizer perhaps among them.
    fn finalizers_dropped(&mut self, frame: usize) {
        let finalizing = |f: &Frame| f.flags & frame_flag::FINALIZER != 0;
        if self.exec.frames()[frame..].iter().any(finalizing) {
            self.finalizer_ended();
        }
    }

    /// How many tasks there are.
    pub fn task_count(&self) -> usize {
        self.tasks.iter().flatten().count()
    }

    /// `chunk:line` of a task's innermost Lua function, empty if there is none.
    pub fn task_position(&self, id: usize) -> String {
        let position = self.task(id).and_then(|task| {
            let frames = task.current.exec.frames();
            let frame = frames.iter().rfind(|f| f.kind == kind::LUA)?;
            Some(self.frame_position(frame))
        });
        String::from_utf8_lossy(&position.unwrap_or_default())
            .trim_end_matches(": ")
            .to_string()
    }

    /// A function that asks the host; the first upvalue says which of its functions.
    pub fn host_function(&mut self, upvalues: &[Value]) -> Result<Value, Throw> {
        let native = match self.host_native {
            Some(native) => native,
            None => {
                let native = self.register("host", "call", ask_host).bits as u32;
                self.host_native = Some(native);
                native
            }
        };
        let closure = self.heap.native_closure(native, upvalues)?;
        Ok(Value::native_closure(closure))
    }

    /// The first upvalue of a function that `host_function` made.
    pub fn host_function_key(&self, v: Value) -> Option<Value> {
        let closure = v.as_native_closure()?;
        if Some(closure.native) != self.host_native {
            return None;
        }
        closure.upvals().first().copied()
    }

    /// Whether the collector wants to take a step.
    #[inline]
    pub fn collection_is_due(&self) -> bool {
        self.heap.debt > 0
    }

    /// Takes a step of the collector if one is due. For embedders that make values without running anything: no values but held ones may
    /// be in their hands. A small debt is left to the program, and so is a step that must wait for the store: how often its host enters, for
    /// instance to supply records, is not to show in when finalizers run.
    pub fn collect_if_due(&mut self) {
        let due = self.heap.debt > HOST_DEBT && self.exec.collection_waits.is_none();
        if due && !self.collection_must_wait() {
            self.collect_step();
        }
    }
}

/// The native behind every host function. It leaves the interpreter, so that the host's code runs with no engine state on the host's stack.
pub(crate) fn ask_host(vm: &mut Vm) -> NativeResult {
    match vm.state() {
        ANSWERED => Ok(Act::returning(vm.slots() as u32)),
        REFUSED => {
            let error = vm.pop();
            Err(vm.throw(error))
        }
        REFUSED_MESSAGE => {
            let text = vm.arg(0).as_str();
            let text = text.map_or(&b""[..], |s| s.as_bytes());
            Err(vm.fail_bytes(text))
        }
        REFUSED_ARGUMENT => {
            let position = vm.arg(0).raw_int();
            let text = vm.arg(1).as_str().map_or(String::new(), |s| s.to_text());
            // The arguments are gone from the slots; only the position matters here.
            Err(vm.arg_error(position.max(1) as usize - 1, &text))
        }
        _ => {
            vm.set_state(ASKED);
            Ok(Act::HOST_CALL)
        }
    }
}
