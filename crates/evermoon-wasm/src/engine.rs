//! One engine of the module and what the host sees of it: the mailbox, the area for slots, the captured output, host objects and functions.
//!
//! Invariants
//! 1. A host object or function with number n has a *companion*: a userdata whose finalizer reports n to the host. `Shared::live[n]` counts
//!    the companions that have not reported. Only when the last one has, n is put on the released list; when Lua meets n again before
//!    the host has read the list, n is taken off it. So the host never drops a number that Lua refers to.
//! 2. Nothing here keeps a value of the program but in a handle. (The registry is the world's: what is the host's must not be in it.)

use crate::memory;
use crate::slot::{HostObject, Refusal, Slot, kind};
use crate::world::World;
use evermoon::heap::object::Gc;
use evermoon::heap::table::Table;
use evermoon::heap::value::Value;
use evermoon::ordered::Map;
use evermoon::stdlib;
use evermoon::vm::host::Host;
use evermoon::vm::task::Stage;
use evermoon::vm::{Act, Exit, Handle, Limits, NativeResult, Throw, Thrown, Vm};
use std::cell::RefCell;
use std::rc::Rc;

/// Output that makes a run come back to the host early.
const OUTPUT_PAUSE: usize = 64 << 10;

/// Safe points of a slice: a few tenths of a millisecond.
const SLICE: u32 = 5_000;

/// What the host reads after each call: fixed 32-bit fields at a fixed address per engine.
#[derive(Default)]
#[repr(C)]
pub struct Mailbox {
    /// The last status.
    pub status: u32,
    /// Slots in use: results, arguments of a host call, or the error (value, then traceback).
    pub count: u32,
    /// Their address.
    pub slots: u32,
    /// The task that the status is about.
    pub task: u32,
    /// For a host call: which function.
    pub function: u32,
    /// Output captured since it was last taken.
    pub output: u32,
    pub output_len: u32,
    /// Numbers of host objects and functions that Lua no longer refers to.
    pub released: u32,
    pub released_len: u32,
    /// The last misuse, as text.
    pub message: u32,
    pub message_len: u32,
    /// What was reported since it was last taken, in order: for each a word with its length times 2 (plus 1 for a warning, else it is text for
    /// the standard error stream), then the bytes, padded to whole words.
    pub reports: u32,
    pub reports_len: u32,
}

/// Statuses.
pub mod status {
    pub const DONE: u32 = 0;
    /// Slots: the error value, the traceback (a string or nil).
    pub const ERROR: u32 = 1;
    /// The run used its slices, or has much output: take it and call `em_run` again.
    pub const SLICE: u32 = 2;
    pub const OUT_OF_FUEL: u32 = 3;
    /// A host function is called: `function`, slots are its arguments. Answer with `em_answer`, then `em_run`.
    pub const HOST_CALL: u32 = 4;
    /// The host did something that it may not: see `message`.
    pub const MISUSE: u32 = 5;
    /// The heap cap does not allow what the host asked for.
    pub const MEMORY: u32 = 6;
    /// A task of `em_start_coroutine` has yielded the slots. Answer with `em_answer` (what its `yield` returns), then `em_run`.
    pub const YIELDED: u32 = 7;
    /// `em_get` only: a metamethod has a say.
    pub const METAMETHOD: u32 = 8;
    // From 16 on: what worlds ask of their host. An engine gives none of them before its host has called an `em_world_*` function.
    /// A record of the world is wanted from the host: ask `em_world_wanted`, supply it, and make the call again.
    pub const FAULT: u32 = 16;
}

#[derive(Default)]
pub struct Shared {
    pub output: Vec<u8>,
    pub reports: Vec<u8>,
    pub released: Vec<u32>,
    live: Map<u32, u32>,
}

impl Shared {
    fn report(&mut self, bytes: &[u8], is_warning: u32) {
        let len = bytes.len().min(u32::MAX as usize >> 1);
        self.reports
            .extend_from_slice(&((len as u32) << 1 | is_warning).to_le_bytes());
        self.reports.extend_from_slice(&bytes[..len]);
        self.reports
            .resize(self.reports.len().next_multiple_of(4), 0);
    }
}

struct WasmHost {
    shared: Rc<RefCell<Shared>>,
}

impl Host for WasmHost {
    fn print(&mut self, bytes: &[u8]) {
        self.shared.borrow_mut().output.extend_from_slice(bytes);
    }
    fn wants_pause(&mut self) -> bool {
        let shared = self.shared.borrow();
        shared.output.len() + shared.reports.len() > OUTPUT_PAUSE
    }
    fn report(&mut self, bytes: &[u8]) {
        self.shared.borrow_mut().report(bytes, 0);
    }
    fn warning(&mut self, text: &[u8]) {
        self.shared.borrow_mut().report(text, 1);
    }
    fn as_any(&mut self) -> Option<&mut dyn std::any::Any> {
        Some(&mut self.shared)
    }
}

/// What is done with slots as values.
type Deed<'a> = dyn FnMut(&mut Engine, &[Value]) -> Result<(), Refusal> + 'a;

/// An engine of the module.
pub struct Engine {
    pub vm: Vm,
    pub mailbox: Box<Mailbox>,
    pub slots: Vec<Slot>,
    pub shared: Rc<RefCell<Shared>>,
    message: String,
    /// Live host objects and host functions by number; their values are weak.
    objects: Gc<Table>,
    functions: Gc<Table>,
    object_metatable: Option<Gc<Table>>,
    object_metatable_handle: Option<Handle>,
    /// Metatable of the companions of host functions.
    companion_metatable: Gc<Table>,
    /// Native function of `__gc`.
    release: Value,
    /// The message handler that makes tracebacks.
    handler: Option<Value>,
    /// Buffer for arguments.
    values: Vec<Value>,
    /// What the slots of a call that is tried again name.
    retried_text: Vec<u8>,
    /// `em_close` was called: every object with a finalizer is on the list of those whose turn it is.
    closing: bool,
    /// The world that is attached (`world.rs`).
    pub world: Option<World>,
}

/// `__gc` of companions: tells the host.
fn release(vm: &mut Vm) -> NativeResult {
    if let Some(u) = vm.arg(0).as_userdata()
        && let Some(object) = u.data.as_ref().and_then(|d| d.downcast_ref::<HostObject>())
    {
        let number = object.0;
        if let Some(shared) = vm
            .host
            .as_any()
            .and_then(|h| h.downcast_mut::<Rc<RefCell<Shared>>>())
        {
            let mut shared = shared.borrow_mut();
            if let Some(count) = shared.live.get_mut(&number) {
                *count -= 1;
                if *count == 0 {
                    shared.live.remove(&number);
                    shared.released.push(number);
                }
            }
        }
    }
    Ok(Act::returning(0))
}

/// A table that is kept by a handle, for the engine's life.
fn kept_table(vm: &mut Vm) -> Result<Gc<Table>, Throw> {
    let table = vm.new_table()?;
    vm.hold(Value::table(table));
    Ok(table)
}

impl Engine {
    /// An engine with the pure libraries. `None` when memory is out.
    pub fn new(memory_max: usize) -> Option<Engine> {
        let mut vm = Vm::new(Limits {
            slice: SLICE,
            ..Limits::default()
        });
        let shared = Rc::new(RefCell::new(Shared::default()));
        vm.host = Box::new(WasmHost {
            shared: shared.clone(),
        });
        stdlib::open(&mut vm).ok()?;
        stdlib::io::open_output(&mut vm).ok()?;
        evermoon_bigint::preload(&mut vm).ok()?;
        let handler = stdlib::traceback_handler(&mut vm);
        // Programs that a native host was in the middle of stand on both.
        stdlib::main_entry(&mut vm);
        if let Some(handler) = handler {
            vm.set_permanent(stdlib::MESSAGE_HANDLER, handler);
        }
        let release = vm.register("host", "release", release);
        let objects = kept_table(&mut vm).ok()?;
        let functions = kept_table(&mut vm).ok()?;
        let weak = vm.new_table().ok()?;
        let mode = vm.new_string(b"v").ok()?;
        vm.raw_set_name(weak, "__mode", mode).ok()?;
        objects.set_metatable(Some(weak));
        functions.set_metatable(Some(weak));
        let companion_metatable = kept_table(&mut vm).ok()?;
        vm.raw_set_name(companion_metatable, "__gc", release).ok()?;
        if memory_max > 0 {
            vm.heap.bytes_max = memory_max;
        }
        let mut engine = Engine {
            vm,
            mailbox: Box::default(),
            slots: Vec::new(),
            shared,
            message: String::new(),
            objects,
            functions,
            object_metatable: None,
            object_metatable_handle: None,
            world: None,
            companion_metatable,
            release,
            handler,
            values: Vec::new(),
            retried_text: Vec::new(),
            closing: false,
        };
        engine.room(16);
        engine.publish(status::DONE);
        Some(engine)
    }

    /// Room for so many slots; what they held is kept.
    pub fn room(&mut self, count: usize) -> *mut Slot {
        if self.slots.len() < count {
            self.slots.resize(count, Slot::default());
            self.mailbox.slots = self.slots.as_ptr() as usize as u32;
        }
        self.slots.as_mut_ptr()
    }

    /// Records what the host may not do, or what memory does not allow.
    #[cold]
    pub fn refuse(&mut self, refusal: Refusal) -> u32 {
        self.mailbox.count = 0;
        match self.settled(refusal) {
            Refusal::Misuse(message) => {
                self.message = message.into();
                self.publish(status::MISUSE)
            }
            Refusal::Memory | Refusal::Raised => {
                self.message = "not enough memory".into();
                self.publish(status::MEMORY)
            }
            Refusal::Fault => self.publish(status::FAULT),
        }
    }

    /// What was raised, told.
    fn settled(&self, refusal: Refusal) -> Refusal {
        match refusal {
            Refusal::Raised => match self.vm.thrown() {
                Thrown::Memory => Refusal::Memory,
                Thrown::Fault => Refusal::Fault,
                _ => Refusal::Misuse("a value is too large, or not one that this table can have"),
            },
            told => told,
        }
    }

    /// Puts the state of things into the mailbox.
    pub fn publish(&mut self, status: u32) -> u32 {
        let shared = self.shared.borrow();
        let m = &mut *self.mailbox;
        m.status = status;
        m.slots = self.slots.as_ptr() as usize as u32;
        m.output = shared.output.as_ptr() as usize as u32;
        m.output_len = shared.output.len() as u32;
        m.released = shared.released.as_ptr() as usize as u32;
        m.released_len = shared.released.len() as u32;
        m.message = self.message.as_ptr() as usize as u32;
        m.message_len = self.message.len() as u32;
        m.reports = shared.reports.as_ptr() as usize as u32;
        m.reports_len = shared.reports.len() as u32;
        status
    }

    /// Writes values to the slots and says `DONE`.
    pub fn results(&mut self, values: &[Value]) -> u32 {
        self.set_results(values);
        self.publish(status::DONE)
    }

    /// Writes values to the slots.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn set_results(&mut self, values: &[Value]) {
        self.room(values.len());
        for (i, v) in values.iter().enumerate() {
            let slot = self.outward(*v);
            self.slots[i] = slot;
        }
        self.mailbox.count = values.len() as u32;
    }

    /// Writes what stands in `values` to the slots.
    fn set_kept(&mut self) {
        let values = std::mem::take(&mut self.values);
        self.set_results(&values);
        self.values = values;
    }

    /// Does something with the first `count` slots as values. When memory is out it is tried once more after a collection, so doing it
    /// twice must be as good as doing it once.
    ///
    /// Slots may still name text in this engine's heap (the results of the call before), which nothing else need refer to. So they are
    /// read before anything is collected.
    pub fn with_arguments<R>(
        &mut self,
        count: usize,
        mut act: impl FnMut(&mut Engine, &[Value]) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        let mut made = None;
        self.gather(count, &mut |e, values| {
            made = Some(act(e, values)?);
            Ok(())
        })?;
        made.ok_or(Refusal::Misuse("nothing was made"))
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    fn gather(&mut self, count: usize, act: &mut Deed<'_>) -> Result<(), Refusal> {
        if count > self.slots.len() {
            return Err(Refusal::Misuse("more slots are named than there are"));
        }
        let mut retried = false;
        loop {
            let mut values = std::mem::take(&mut self.values);
            values.clear();
            let mut done = Ok(());
            for i in 0..count {
                match self.inward(self.slots[i]) {
                    Ok(v) => values.push(v),
                    Err(refusal) => {
                        done = Err(refusal);
                        break;
                    }
                }
            }
            if self.vm.collection_is_due() && done.is_ok() {
                self.keeping(&values, |vm| vm.collect_if_due());
            }
            let done = done.and_then(|()| act(self, &values));
            self.values = values;
            match done.map_err(|refusal| self.settled(refusal)) {
                Err(Refusal::Memory) if !retried => {
                    retried = true;
                    self.collect_before_retry(count)?;
                    memory::fill();
                }
                done => return done,
            }
        }
    }

    /// Does something that may collect, with these values held.
    #[cold]
    fn keeping(&mut self, values: &[Value], act: impl FnOnce(&mut Vm)) {
        let handles: Vec<Handle> = values.iter().map(|v| self.vm.hold(*v)).collect();
        act(&mut self.vm);
        for handle in handles {
            self.vm.release(handle);
        }
    }

    /// A whole collection. The text that the slots name is copied first, and the slots name the copies, which live until the next retry.
    #[cold]
    fn collect_before_retry(&mut self, count: usize) -> Result<(), Refusal> {
        let mut text = Vec::new();
        for slot in &self.slots[..count] {
            if slot.kind == kind::STRING {
                text.extend_from_slice(slot.text()?);
            }
        }
        let mut at = 0;
        for slot in &mut self.slots[..count] {
            if slot.kind == kind::STRING {
                let len = slot.text()?.len();
                let address = text[at..].as_ptr() as usize as u64;
                slot.payload = address | (len as u64) << 32;
                at += len;
            }
        }
        self.retried_text = text;
        self.vm.collect();
        Ok(())
    }

    /// Starts a task.
    pub fn start(&mut self, yields: bool, function: Value, count: usize) -> Result<usize, Refusal> {
        self.with_arguments(count, |e, args| {
            Ok(e.vm.new_task(function, args, e.handler, yields)?)
        })
    }

    /// A task for the next finalizer of an engine that closes.
    pub fn close_next(&mut self) -> Result<Option<usize>, Refusal> {
        if !std::mem::replace(&mut self.closing, true) {
            self.vm.finalize_everything();
        }
        let Some((finalizer, object)) = self.vm.next_finalizer() else {
            return Ok(None);
        };
        Ok(Some(self.vm.new_task(
            finalizer,
            &[object],
            self.handler,
            false,
        )?))
    }

    /// Runs a task and publishes what came of it.
    pub fn run(&mut self, task: usize, slices: u32) -> u32 {
        let exit = self.run_slices(task, slices);
        self.mailbox.task = task as u32 + 1;
        match exit {
            Some(Exit::Done) => {
                let mut results = std::mem::take(self.vm.task_results_mut());
                self.set_results(&results);
                // What the host does not keep by a handle is garbage from here on.
                results.clear();
                *self.vm.task_results_mut() = results;
                self.publish(status::DONE)
            }
            Some(Exit::Failed) => {
                let (error, traceback) = stdlib::split_traceback(&mut self.vm);
                self.set_results(&[error, traceback]);
                self.publish(status::ERROR)
            }
            Some(Exit::OutOfFuel) => self.empty(status::OUT_OF_FUEL),
            Some(Exit::HostCall) => self.host_call(task),
            Some(Exit::Fault) => self.empty(status::FAULT),
            Some(Exit::Yielded) => {
                let values = self.vm.task_yield(task).unwrap_or_default();
                self.values.clear();
                self.values.extend_from_slice(values);
                self.set_kept();
                self.publish(status::YIELDED)
            }
            Some(_) => self.empty(status::SLICE),
            None => self.refuse(Refusal::Misuse(
                "there is no such task, or it waits for an answer",
            )),
        }
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    fn host_call(&mut self, task: usize) -> u32 {
        match self.vm.task_call(task) {
            Some((function, args)) => {
                self.mailbox.function = function.as_int().unwrap_or(0) as u32;
                self.values.clear();
                self.values.extend_from_slice(args);
                self.set_kept();
                self.publish(status::HOST_CALL)
            }
            None => self.refuse(Refusal::Misuse(
                "the program waits for a host function that this host does not provide",
            )),
        }
    }

    /// What a task that was started elsewhere is to be given first.
    pub fn stands_at(&mut self, task: usize) -> u32 {
        self.mailbox.task = task as u32 + 1;
        match self.vm.task_stage(task) {
            Some(Stage::Asked) => self.host_call(task),
            Some(_) => self.empty(status::SLICE),
            None => self.refuse(Refusal::Misuse("there is no such task")),
        }
    }

    /// Runs a task, and looks between two slices whether the system still gives memory: a program that it gives none to, even after a
    /// collection, gets `not enough memory`.
    fn run_slices(&mut self, task: usize, slices: u32) -> Option<Exit> {
        let mut left = slices;
        loop {
            let exit = self.vm.run_task(task, 1);
            left -= 1;
            // Much output: the host wants to have it.
            if !matches!(exit, Some(Exit::Slice)) || left == 0 || self.vm.host.wants_pause() {
                return exit;
            }
            self.let_go();
            if memory::is_low() {
                self.vm.collect();
                if memory::is_low() {
                    self.vm.set_interrupt("not enough memory");
                }
            }
        }
    }

    /// Handles of the engine's own, which are not the host's.
    pub fn own_handles(&self) -> usize {
        3 + self.object_metatable_handle.is_some() as usize
    }

    /// A status without values.
    pub fn empty(&mut self, status: u32) -> u32 {
        self.mailbox.count = 0;
        self.publish(status)
    }

    /// A companion for a number (invariant 1).
    fn companion(&mut self, number: u32, metatable: Option<Gc<Table>>) -> Result<Value, Refusal> {
        let mut object = self.vm.heap.userdata(Some(Box::new(HostObject(number))))?;
        object.metatable = metatable;
        self.vm.heap.mark_for_finalization(object.header());
        let mut shared = self.shared.borrow_mut();
        let count = shared.live.get_or_insert_with(number, || 0);
        *count += 1;
        if *count == 1 {
            shared.released.retain(|n| *n != number);
        }
        Ok(Value::userdata(object))
    }

    /// The userdata of a host object, made when Lua does not have it.
    pub fn host_object(&mut self, number: u32) -> Result<Value, Refusal> {
        let known = self.objects.get_int(number as i64);
        if !known.is_nil() {
            return Ok(known);
        }
        let metatable = match self.object_metatable {
            Some(table) => table,
            None => {
                let table = self.vm.new_table()?;
                self.set_object_metatable(table)?;
                table
            }
        };
        let value = self.companion(number, Some(metatable))?;
        self.vm.raw_set_int(self.objects, number as i64, value)?;
        Ok(value)
    }

    /// The function of a number, made when Lua does not have it.
    pub fn host_function(&mut self, number: u32) -> Result<Value, Refusal> {
        let known = self.functions.get_int(number as i64);
        if !known.is_nil() {
            return Ok(known);
        }
        let companion = self.companion(number, Some(self.companion_metatable))?;
        let value = self
            .vm
            .host_function(&[Value::int(number as i64), companion])?;
        self.vm.raw_set_int(self.functions, number as i64, value)?;
        Ok(value)
    }

    /// The function of a number under a name by which records refer to it. It may be another object than the number had so far: one that the
    /// world has been waiting with.
    pub fn permanent_function(&mut self, name: &str, number: u32) -> Result<Value, Refusal> {
        let companion = self.companion(number, Some(self.companion_metatable))?;
        // As many upvalues as a stand-in has, so that a later function can take this one's place.
        let value = self.vm.host_function(&[
            Value::int(number as i64),
            companion,
            Value::NIL,
            Value::NIL,
        ])?;
        let kept = self.vm.set_permanent(name, value);
        self.vm.raw_set_int(self.functions, number as i64, kept)?;
        Ok(kept)
    }

    /// Gives host objects their metatable; its `__gc` is ours.
    pub fn set_object_metatable(&mut self, table: Gc<Table>) -> Result<(), Refusal> {
        self.vm.raw_set_name(table, "__gc", self.release)?;
        // Objects with an earlier one keep that alive themselves.
        if let Some(handle) = self.object_metatable_handle.take() {
            self.vm.release(handle);
        }
        self.object_metatable_handle = Some(self.vm.hold(Value::table(table)));
        self.object_metatable = Some(table);
        Ok(())
    }
}
