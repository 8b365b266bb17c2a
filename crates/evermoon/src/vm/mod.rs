//! The virtual machine: frames, the interpreter loop, calls, metamethods, errors, fuel. It names no library and no store.
//!
//! Reading order: `mod.rs` (the engine's state), `call.rs` (frames, calls, returns, coroutines), `run.rs` (the loop), `meta.rs` (metamethods),
//! `error.rs` (throwing and unwinding), `task.rs` (what the host runs), `native.rs` (what a library function may use), `finalizer.rs`,
//! `hook.rs`, `name.rs` (names for messages), `traceback.rs`.
//!
//! Nothing of a Lua program is ever on the host's stack: a call pushes a [`Frame`](crate::heap::coroutine::Frame), natives return
//! an [`Act`] instead of calling.

pub mod call;
pub(crate) mod checked;
pub mod error;
pub mod external;
pub mod fault;
pub mod finalizer;
pub mod hook;
pub mod host;
pub mod meta;
pub mod name;
pub mod native;
#[allow(unsafe_code)]
pub mod run;
pub mod task;
pub mod traceback;

use crate::heap::Heap;
use crate::heap::coroutine::{Coroutine, Exec, Status};
use crate::heap::object::Gc;
use crate::heap::string::Str;
use crate::heap::table::Table;
use crate::heap::value::{TYPE_COUNT, Type, Value};
use meta::Event;
pub use native::{Act, NativeFn, NativeResult, Request, Throw, Thrown};
use std::borrow::Cow;

/// Why the interpreter returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Not an exit: go on in the loop with the top frame.
    Continue,
    /// A slice of safe points is over: enter again (a wasm engine can only then switch to optimised code).
    Slice,
    /// The task's function has returned its results.
    Done,
    /// The task's function has failed; the error is in `Vm::error`.
    Failed,
    /// The fuel is used up; more can be given and the run entered again.
    OutOfFuel,
    /// A native waits for the host: [`Vm::task_call`] says what for.
    HostCall,
    /// The task has yielded to the host ([`Vm::task_yield`]).
    Yielded,
    /// Contents are wanted from a store that answers later ([`fault`]); enter again when they are there.
    Fault,
}

/// A native function and its permanent name.
pub struct Native {
    /// With the name, how records and tracebacks refer to it: `string` for `string.format`, empty for a basic function.
    pub library: &'static str,
    pub name: Cow<'static, str>,
    pub function: NativeFn,
}

impl Native {
    /// `library.name`.
    pub fn full_name(&self) -> String {
        if self.library.is_empty() {
            self.name.to_string()
        } else {
            format!("{}.{}", self.library, self.name)
        }
    }
}

/// A value that the embedder holds: a slot and its generation, so that a stale handle is told from its successor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Handle {
    pub slot: u32,
    pub generation: u32,
}

/// The program has asked to end the process (`os.exit`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExitRequest {
    pub code: i32,
    /// To close the state first: pending to-be-closed variables and finalizers.
    pub close: bool,
}

/// Limits of a run; each ends in a clean error.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most slots of one Lua stack.
    pub stack_max: usize,
    /// Most frames of one coroutine.
    pub frames_max: usize,
    /// Longest string that an operation may make, in bytes.
    pub string_max: usize,
    /// Deepest nesting of the syntax.
    pub syntax_nesting: u32,
    /// Safe points between two returns to the outer loop.
    pub slice: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            stack_max: crate::heap::coroutine::STACK_MAX,
            frames_max: 200_000,
            string_max: i32::MAX as usize,
            syntax_nesting: 200,
            slice: 20_000,
        }
    }
}

/// Largest buffer that is kept for the next native, in bytes.
const SCRATCH_MAX: usize = 64 << 10;

/// Slots (or as much other work) of the collector in a slice, after which it ends.
const COLLECTOR_WORK_MAX: usize = 1 << 17;

/// Natives that do in parts what an instruction would do at once, by their numbers: each is called like a metamethod.
#[derive(Clone, Copy)]
pub struct LongStrings {
    /// The concatenation of its arguments, which are strings.
    pub join: u32,
    /// `a < b`, `a <= b` and `a == b` for two strings.
    pub less: u32,
    pub less_equal: u32,
    pub equal: u32,
}

/// Strings longer than this are joined and compared in parts.
pub const LONG_WORK: usize = 8 << 20;

/// The state of one engine. What is used most comes first: small offsets make small code.
#[repr(C)]
pub struct Vm {
    /// The running coroutine's stacks; its object holds empty ones meanwhile.
    pub(crate) exec: Exec,
    /// Safe points left in this slice.
    pub(crate) ticks: i32,
    /// Hooks are on: the tracing loop runs.
    pub(crate) tracing: bool,
    /// There is a loader; natives' slots are looked through.
    pub(crate) may_fault: bool,
    /// Warnings are on (manual: `warn`).
    pub warn_on: bool,
    pub current: Gc<Coroutine>,
    pub natives: Vec<Native>,
    pub globals: Gc<Table>,
    /// Where the host and the libraries keep values by name or number.
    pub registry: Gc<Table>,
    /// The value of the error under way.
    pub error: Value,
    pub heap: Heap,
    /// The root of the task that has it (`task.rs`).
    pub main: Gc<Coroutine>,
    /// What is current while no task is; it has no stack.
    pub(crate) outside: Gc<Coroutine>,
    /// Metamethod names by [`Event`].
    pub(crate) events: [Gc<Str>; meta::EVENT_COUNT],
    /// The basic types' names as strings, by [`Type`](crate::heap::value::Type).
    pub(crate) type_names: [Value; TYPE_COUNT],
    /// Metatables of the basic types; tables and userdata have their own.
    pub type_metatables: [Option<Gc<Table>>; TYPE_COUNT],
    /// The kind of it, unless it is a lack of memory.
    thrown: Thrown,
    /// "not enough memory", made in advance.
    pub(crate) memory_message: Gc<Str>,
    pub limits: Limits,
    /// Fuel left beyond the current slice; `None` for no limit.
    pub(crate) fuel: Option<u64>,
    /// Safe points that the current slice started with.
    pub(crate) slice_start: i32,
    /// Fuel used in full slices so far.
    pub(crate) fuel_used: u64,
    /// Set together with [`Exit::HostCall`] when the program wants to exit. A host that runs on all the same raises an error there.
    pub exit_requested: Option<ExitRequest>,
    /// Set by the host to stop the run at the next slice.
    pub(crate) interrupt: Option<Box<str>>,
    /// Values that the embedder holds, each with the generation of its slot.
    pub(crate) handles: Vec<(Value, u32)>,
    pub(crate) free_handles: Vec<u32>,
    /// What the embedder offers: output, files, clock.
    pub host: Box<dyn host::Host>,
    /// State of `math.random`.
    pub random: [u64; 4],
    /// The host is to be asked in before the run goes on.
    pub(crate) pause_requested: bool,
    /// The task that has broken off its slice to wait for the store. It has the rest of it when it goes on: natives rest where slices end, and
    /// that takes memory.
    pub(crate) waiting_task: Option<usize>,
    /// A finalizer is running.
    pub(crate) finalizing: bool,
    /// More finalizers are due at the next safe point.
    pub(crate) finalizers_due: bool,
    /// A fault was met between two instructions, by a finalizer that is due: there is no step to be taken again.
    pub(crate) between_instructions: bool,
    /// Overflows while message handlers were active, since the last time that none was.
    pub(crate) handler_overflows: usize,
    /// A message handler has returned: unwinding goes on.
    pub(crate) handler_returned: bool,
    /// A buffer that natives build text in ([`Vm::take_scratch`]).
    scratch: Vec<u8>,
    pub(crate) tasks: Vec<Option<task::Task>>,
    /// Root coroutines without a task.
    pub(crate) idle_roots: Vec<Gc<Coroutine>>,
    pub(crate) task_results: Vec<Value>,
    /// Calls of host functions so far.
    pub(crate) host_calls: u64,
    /// What the collector has done in this slice.
    collector_work: usize,
    /// The natives that join and compare long strings for the loop.
    pub(crate) long_strings: Option<LongStrings>,
    /// The number of the native behind host functions.
    pub(crate) host_native: Option<u32>,
    /// Frame depth and pc of the instruction that was last tried again after a collection.
    pub(crate) memory_retry: (usize, usize),
    /// Coroutines that are resuming each other.
    pub(crate) coroutine_depth: u32,
    /// Who loads hollow objects.
    pub(crate) loader: Option<Box<dyn fault::Loader>>,
    /// The loader's store may answer later.
    pub(crate) may_wait: bool,
    pub(crate) retry: fault::Retry,
    /// Values that records refer to by name: what the host gives to its worlds.
    pub(crate) permanents: crate::ordered::Map<Box<str>, Value>,
}

impl Vm {
    /// An engine without libraries.
    pub fn new(limits: Limits) -> Vm {
        let mut heap = Heap::new();
        // A fresh heap has no cap yet: nothing here can fail.
        let fresh = "a fresh heap has room";
        let mut main = heap.coroutine().expect(fresh);
        main.status = Status::Normal;
        // Lua code always knows it.
        main.seen = true;
        let mut outside = heap.coroutine().expect(fresh);
        outside.status = Status::Normal;
        heap.release_exec(&mut outside.exec);
        let events = meta::EVENT_NAMES.map(|name| heap.string(name.as_bytes()).expect(fresh));
        let type_names =
            Type::ALL.map(|t| Value::string(heap.string(t.name().as_bytes()).expect(fresh)));
        heap.mode_name = Some(events[Event::Mode as usize]);
        let registry = heap.table().expect(fresh);
        let globals = heap.table().expect(fresh);
        let memory_message = heap.string(b"not enough memory").expect(fresh);
        let mut vm = Vm {
            exec: Exec::none(),
            ticks: 0,
            tracing: false,
            heap,
            current: outside,
            main,
            outside,
            natives: Vec::new(),
            events,
            type_names,
            type_metatables: [None; TYPE_COUNT],
            registry,
            globals,
            error: Value::NIL,
            thrown: Thrown::Error,
            memory_message,
            limits,
            fuel: None,
            slice_start: 0,
            fuel_used: 0,
            exit_requested: None,
            interrupt: None,
            handles: Vec::new(),
            free_handles: Vec::new(),
            host: Box::new(host::NoHost),
            random: [0; 4],
            warn_on: false,
            pause_requested: false,
            waiting_task: None,
            finalizing: false,
            finalizers_due: false,
            between_instructions: false,
            handler_overflows: 0,
            handler_returned: false,
            scratch: Vec::new(),
            tasks: Vec::new(),
            idle_roots: Vec::new(),
            task_results: Vec::new(),
            host_calls: 0,
            collector_work: 0,
            long_strings: None,
            host_native: None,
            memory_retry: (0, 0),
            coroutine_depth: 0,
            loader: None,
            may_fault: false,
            may_wait: false,
            retry: fault::Retry::default(),
            permanents: Default::default(),
        };
        #[cfg(feature = "checked")]
        {
            vm.heap.event_names = vm.events[..8].to_vec();
        }
        vm.heap.debt = -(32 << 10);
        vm
    }

    /// Registers a native function without upvalues and gives its value.
    pub fn register(
        &mut self,
        library: &'static str,
        name: impl Into<Cow<'static, str>>,
        function: NativeFn,
    ) -> Value {
        self.natives.push(Native {
            library,
            name: name.into(),
            function,
        });
        Value::native(self.natives.len() as u32 - 1)
    }

    /// Registers a library's functions and stores them in `table` under their names.
    pub fn register_library(
        &mut self,
        library: &'static str,
        table: Gc<Table>,
        functions: &[(&'static str, NativeFn)],
    ) -> Result<(), Throw> {
        for &(name, function) in functions {
            let value = self.register(library, name, function);
            self.raw_set_name(table, name, value)?;
        }
        Ok(())
    }

    /// Everything that the engine itself holds on to.
    pub(crate) fn root_values(&self) -> Vec<Value> {
        let mut roots = vec![
            Value::coroutine(self.current),
            Value::coroutine(self.main),
            Value::coroutine(self.outside),
            Value::table(self.registry),
            Value::table(self.globals),
            Value::string(self.memory_message),
            self.error,
        ];
        roots.extend(self.events.iter().map(|s| Value::string(*s)));
        roots.extend(self.type_names);
        roots.extend(
            self.type_metatables
                .iter()
                .flatten()
                .map(|t| Value::table(*t)),
        );
        roots.extend(self.handles.iter().map(|(v, _)| *v));
        roots.extend(self.permanents.values());
        roots.extend(self.task_results.iter());
        roots.extend(self.idle_roots.iter().map(|co| Value::coroutine(*co)));
        for task in self.tasks.iter().flatten() {
            roots.extend([Value::coroutine(task.root), Value::coroutine(task.current)]);
        }
        roots
    }

    /// Keeps a value alive for the embedder. The handle is good until `release`.
    pub fn hold(&mut self, value: Value) -> Handle {
        match self.free_handles.pop() {
            Some(slot) => {
                self.handles[slot as usize].0 = value;
                Handle {
                    slot,
                    generation: self.handles[slot as usize].1,
                }
            }
            None => {
                self.handles.push((value, 0));
                Handle {
                    slot: self.handles.len() as u32 - 1,
                    generation: 0,
                }
            }
        }
    }

    /// The value of a handle; `None` for one that was released.
    #[inline]
    pub fn held(&self, handle: Handle) -> Option<Value> {
        self.handles
            .get(handle.slot as usize)
            .filter(|(_, g)| *g == handle.generation)
            .map(|(v, _)| *v)
    }

    /// Lets go of a value; false for a handle that was released already.
    pub fn release(&mut self, handle: Handle) -> bool {
        match self.handles.get_mut(handle.slot as usize) {
            Some(slot) if slot.1 == handle.generation => {
                *slot = (Value::NIL, slot.1.wrapping_add(1));
                self.free_handles.push(handle.slot);
                true
            }
            _ => false,
        }
    }

    /// The value in a slot, for an embedder that keeps track of its slots itself.
    pub(crate) fn held_slot(&self, slot: u32) -> Value {
        self.handles
            .get(slot as usize)
            .map_or(Value::NIL, |(v, _)| *v)
    }

    /// Lets go of a slot; the embedder has seen to it that this happens once.
    pub(crate) fn release_slot(&mut self, slot: u32) {
        if let Some(generation) = self.handle_generation(slot) {
            self.release(Handle { slot, generation });
        }
    }

    /// The generation of a handle's slot, to check a handle that was stored as a number.
    pub fn handle_generation(&self, slot: u32) -> Option<u32> {
        self.handles.get(slot as usize).map(|(_, g)| *g)
    }

    /// The error value of an allocation that failed.
    pub fn memory_error(&self) -> Value {
        Value::string(self.memory_message)
    }

    /// Values that are held now.
    pub fn held_count(&self) -> usize {
        self.handles.len() - self.free_handles.len()
    }

    /// A whole collection now. Only at a safe point: no native may hold values across it but in its slots.
    pub fn collect(&mut self) {
        if self.may_fault() {
            self.prepare_cycle(true);
        }
        self.collect_here();
    }

    /// A whole collection of what is loaded.
    pub(crate) fn collect_here(&mut self) {
        let roots = self.root_values();
        self.heap.gc_full(crate::heap::gc::Roots {
            values: &roots,
            exec: &mut self.exec,
        });
    }

    /// A step of the collector; true when a cycle passed its end.
    pub fn collect_step(&mut self) -> bool {
        if (cfg!(feature = "stress") || self.heap.gc.stress)
            && !self.heap.gc.stopped
            && !self.heap.gc.suspended
        {
            // The hostile way: every safe point collects everything. It costs fuel, as it takes long.
            self.charge(self.heap.bytes() as u64 >> 12);
            self.collect();
            self.heap.debt = 1;
            return true;
        }
        if self.may_fault() && self.heap.gc_phase() != crate::heap::gc::Phase::Sweep {
            self.prepare_cycle(false);
        }
        let roots = self.root_values();
        let ended = self.heap.gc_step(crate::heap::gc::Roots {
            values: &roots,
            exec: &mut self.exec,
        });
        self.collector_work += self.heap.gc_recent();
        if self.collector_work > COLLECTOR_WORK_MAX {
            self.end_slice();
        }
        ended
    }

    /// A part of a full collection: for natives that come back to the host in between ([`Act::REST`]).
    pub(crate) fn collect_some(&mut self) -> crate::heap::gc::Advance {
        // What the sweep frees is settled.
        if self.may_fault() && self.heap.gc_phase() != crate::heap::gc::Phase::Sweep {
            self.prepare_cycle(true);
        }
        let roots = self.root_values();
        self.heap.gc_advance(crate::heap::gc::Roots {
            values: &roots,
            exec: &mut self.exec,
        })
    }

    /// What is left of the slice: not more than the fuel that is left.
    #[inline]
    pub fn slice_left(&self) -> u32 {
        self.ticks.max(0) as u32
    }

    /// Who joins and compares long strings.
    pub fn set_long_strings(&mut self, natives: LongStrings) {
        self.long_strings = Some(natives);
    }

    /// Ends the slice at the next safe point, for work that costs time but no fuel.
    pub(crate) fn end_slice(&mut self) {
        self.settle_slice();
        self.ticks = 0;
        self.slice_start = 0;
    }

    /// Whether a native that has more to do is to return [`Act::AGAIN`] now: what it has charged has used up the slice.
    #[inline]
    pub fn slice_used_up(&self) -> bool {
        self.ticks <= 0
    }

    /// Gives so much fuel (safe points and charged work), or no limit.
    pub fn set_fuel(&mut self, fuel: Option<u64>) {
        self.settle_slice();
        self.fuel = fuel;
        self.start_slice();
    }

    /// Fuel left.
    pub fn fuel(&mut self) -> Option<u64> {
        self.settle_slice();
        self.start_slice();
        self.fuel
    }

    /// Fuel used since the engine was made.
    pub fn fuel_used(&mut self) -> u64 {
        self.settle_slice();
        self.start_slice();
        self.fuel_used
    }

    /// Books what the current slice has used.
    fn settle_slice(&mut self) {
        let used = (self.slice_start as i64 - self.ticks as i64) as u64;
        self.slice_start = self.ticks;
        self.fuel_used += used;
        if let Some(fuel) = &mut self.fuel {
            *fuel = fuel.saturating_sub(used);
        }
    }

    fn start_slice(&mut self) {
        let slice = self.limits.slice as u64;
        let ticks = self.fuel.map_or(slice, |fuel| fuel.min(slice)) as i32;
        self.ticks = ticks;
        self.slice_start = ticks;
        self.collector_work = 0;
    }

    /// The host enters: if the last run ended with its slice, this one begins with a new one.
    pub(crate) fn begin_slice(&mut self) {
        if self.ticks <= 0 {
            self.settle_slice();
            self.start_slice();
        }
    }

    /// Charges work that grows with its input to the fuel.
    #[inline]
    pub fn charge(&mut self, work: u64) {
        self.ticks = self.ticks.saturating_sub((work.min(1 << 24)) as i32);
    }

    /// Makes the run come back to its host at the next safe point, though the slice is not over (as for output to be taken).
    pub fn request_pause(&mut self) {
        self.pause_requested = true;
        self.end_slice();
    }

    /// Fuel that is left right now.
    pub fn fuel_left(&self) -> u64 {
        let used = (self.slice_start as i64 - self.ticks as i64) as u64;
        self.fuel.map_or(u64::MAX, |fuel| fuel.saturating_sub(used))
    }

    /// An empty buffer for a native to build text in. Give it back, so that the next one need not allocate; a native that fails may
    /// keep it.
    #[inline]
    pub fn take_scratch(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.scratch)
    }

    /// Gives the buffer back. A large one is freed: it is not accounted for.
    #[inline]
    pub fn give_scratch(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() <= SCRATCH_MAX {
            buffer.clear();
            self.scratch = buffer;
        }
    }

    /// Writes program output, and comes back to the host soon if it wants to.
    pub fn print(&mut self, bytes: &[u8]) {
        self.host.print(bytes);
        if self.host.wants_pause() {
            self.request_pause();
        }
    }

    /// The safe point of the loop when its slice is over: decides how the run goes on.
    #[cold]
    pub(crate) fn slice_over(&mut self) -> Exit {
        self.settle_slice();
        if self.fuel == Some(0) {
            self.ticks = 0;
            self.slice_start = 0;
            return Exit::OutOfFuel;
        }
        self.start_slice();
        Exit::Slice
    }

    /// Finishes a step that may have failed: unwinds if so, then lets natives run until a Lua frame is on top.
    #[inline]
    pub(crate) fn settle(&mut self, step: Result<(), Throw>) -> Exit {
        if let Err(throw) = step {
            match self.unwind(throw) {
                Exit::Continue => {}
                exit => return exit,
            }
        }
        self.drive()
    }

    /// Asks the run to stop with this error at the next slice; an error that `pcall` does not catch is the API's matter.
    pub fn set_interrupt(&mut self, message: &str) {
        self.interrupt = Some(message.into());
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // The heap frees the stacks of coroutines: the running one's go back to its object.
        let mut current = self.current;
        current.exec = std::mem::replace(&mut self.exec, Exec::none());
    }
}
