//! One engine of the module and what the host sees of it: the mailbox, the area for slots, the captured output, host objects.

use crate::slot::{HostObject, Slot};
use evermoon::heap::object::Gc;
use evermoon::heap::table::Table;
use evermoon::heap::value::Value;
use evermoon::stdlib;
use evermoon::vm::host::Host;
use evermoon::vm::{Act, Exit, Limits, NativeResult, Vm};
use std::cell::RefCell;
use std::rc::Rc;

/// Output that makes a run come back to the host early.
const OUTPUT_PAUSE: usize = 64 << 10;

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
    /// The task that the status is about, plus 1.
    pub task: u32,
    /// For a host call: which function.
    pub function: u32,
    /// Output captured since it was last taken.
    pub output: u32,
    pub output_len: u32,
    /// Numbers of host objects that Lua no longer refers to.
    pub released: u32,
    pub released_len: u32,
    /// The last misuse, as text.
    pub message: u32,
    pub message_len: u32,
}

/// Statuses.
pub mod status {
    pub const DONE: u32 = 0;
    /// Slots: the error value, the traceback (a string or nil).
    pub const ERROR: u32 = 1;
    /// The run used its slices; call `em_run` again.
    pub const SLICE: u32 = 2;
    pub const OUT_OF_FUEL: u32 = 3;
    /// A host function is called: `function`, slots are its arguments. Answer with `em_answer`, then `em_run`.
    pub const HOST_CALL: u32 = 4;
    /// The host did something that it may not: see `message`.
    pub const MISUSE: u32 = 5;
}

#[derive(Default)]
pub struct Shared {
    pub output: Vec<u8>,
    pub released: Vec<u32>,
}

struct WasmHost {
    shared: Rc<RefCell<Shared>>,
}

impl Host for WasmHost {
    fn print(&mut self, bytes: &[u8]) {
        let mut shared = self.shared.borrow_mut();
        shared.output.extend_from_slice(bytes);
    }
    fn report(&mut self, bytes: &[u8]) {
        self.shared.borrow_mut().output.extend_from_slice(bytes);
    }
    fn as_any(&mut self) -> Option<&mut dyn std::any::Any> {
        Some(&mut self.shared)
    }
}

/// An engine of the module.
pub struct Engine {
    pub vm: Vm,
    pub mailbox: Box<Mailbox>,
    pub slots: Vec<Slot>,
    pub shared: Rc<RefCell<Shared>>,
    message: String,
    /// Live host objects by number: the handle is weak, kept in a weak-valued Lua table.
    objects: Gc<Table>,
    pub object_metatable: Option<Gc<Table>>,
    /// Native function of `__gc` for host objects.
    pub release: Value,
    /// The message handler that makes tracebacks.
    handler: Option<Value>,
    /// Runs inside each other (a host function called synchronously, that calls back).
    pub depth: u32,
}

/// `__gc` of host objects: tells the host.
fn release(vm: &mut Vm) -> NativeResult {
    if let Some(u) = vm.arg(0).as_userdata()
        && let Some(object) = u.data.as_ref().and_then(|d| d.downcast_ref::<HostObject>())
    {
        let number = object.0;
        if let Some(shared) = vm.host.as_any().and_then(|h| h.downcast_mut::<Rc<RefCell<Shared>>>()) {
            shared.borrow_mut().released.push(number);
        }
    }
    Ok(Act::Return(0))
}

impl Engine {
    /// An engine with the pure libraries. `None` when memory is out.
    pub fn new(memory_max: usize) -> Option<Engine> {
        let mut vm = Vm::new(Limits::default());
        let shared = Rc::new(RefCell::new(Shared::default()));
        vm.host = Box::new(WasmHost { shared: shared.clone() });
        stdlib::open(&mut vm).ok()?;
        let release = vm.register("host", "release", release);
        let objects = vm.new_table().ok()?;
        let weak = vm.new_table().ok()?;
        let mode = vm.new_string(b"v").ok()?;
        vm.raw_set_name(weak, "__mode", mode).ok()?;
        let mut table = objects;
        table.set_metatable(Some(weak));
        let registry = vm.registry;
        vm.raw_set_name(registry, "host objects", Value::table(objects)).ok()?;
        let handler = stdlib::traceback_handler(&mut vm);
        if memory_max > 0 {
            vm.heap.bytes_max = memory_max;
        }
        Some(Engine {
            vm,
            mailbox: Box::default(),
            slots: Vec::new(),
            shared,
            message: String::new(),
            objects,
            object_metatable: None,
            release,
            handler,
            depth: 0,
        })
    }

    /// Room for so many slots; what they held is kept.
    pub fn room(&mut self, count: usize) -> *mut Slot {
        if self.slots.len() < count {
            self.slots.resize(count, Slot::default());
        }
        self.slots.as_mut_ptr()
    }

    /// Records a misuse.
    pub fn misuse(&mut self, message: &str) -> u32 {
        self.message = message.into();
        self.mailbox.count = 0;
        self.publish(status::MISUSE)
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
        status
    }

    /// Writes values to the slots.
    pub fn set_results(&mut self, values: &[Value]) {
        self.room(values.len().max(1));
        for (i, v) in values.iter().enumerate() {
            let slot = self.outward(*v);
            self.slots[i] = slot;
        }
        self.mailbox.count = values.len() as u32;
    }

    /// The first `count` slots as values.
    pub fn arguments(&mut self, count: usize) -> Result<Vec<Value>, &'static str> {
        if count > self.slots.len() {
            return Err("more slots than were asked for");
        }
        (0..count).map(|i| self.inward(self.slots[i])).collect()
    }

    /// Starts a task; `Err` is a message.
    pub fn start(&mut self, function: Value, count: usize) -> Result<usize, &'static str> {
        let args = self.arguments(count)?;
        self.vm.new_task(function, &args, self.handler).map_err(|_| "not enough memory")
    }

    /// Runs a task and publishes what came of it.
    pub fn run(&mut self, task: usize, slices: u32) -> u32 {
        self.depth += 1;
        let exit = self.vm.run_task(task, slices);
        self.depth -= 1;
        self.mailbox.task = task as u32 + 1;
        match exit {
            Some(Exit::Done) => {
                let results = std::mem::take(self.vm.task_results_mut());
                self.set_results(&results);
                *self.vm.task_results_mut() = results;
                self.publish(status::DONE)
            }
            Some(Exit::Failed) => {
                let (error, traceback) = stdlib::split_traceback(&mut self.vm);
                self.set_results(&[error, traceback]);
                self.publish(status::ERROR)
            }
            Some(Exit::OutOfFuel) => self.empty(status::OUT_OF_FUEL),
            Some(Exit::HostCall) => match self.vm.task_call(task) {
                Some((function, args)) => {
                    self.mailbox.function = function;
                    self.set_results(&args);
                    self.publish(status::HOST_CALL)
                }
                None => self.misuse("a native of this module waits for a host that is not there"),
            },
            Some(_) => self.empty(status::SLICE),
            None => self.misuse("no such task, or it waits for the answer to a host call"),
        }
    }

    fn empty(&mut self, status: u32) -> u32 {
        self.mailbox.count = 0;
        self.publish(status)
    }

    /// The userdata of a host object, made when Lua does not have it.
    pub fn host_object(&mut self, number: u32) -> Result<Value, &'static str> {
        let known = self.objects.get_int(number as i64);
        if !known.is_nil() {
            return Ok(known);
        }
        let mut object =
            self.vm.heap.userdata(Some(Box::new(HostObject(number)))).map_err(|_| "not enough memory")?;
        object.metatable = self.object_metatable;
        self.vm.heap.mark_for_finalization(object.header());
        let value = Value::userdata(object);
        self.vm.raw_set_int(self.objects, number as i64, value).map_err(|_| "not enough memory")?;
        Ok(value)
    }

    /// Asks for a pause when much output has gathered; called by the host's print.
    pub fn output_is_long(&self) -> bool {
        self.shared.borrow().output.len() > OUTPUT_PAUSE
    }
}
