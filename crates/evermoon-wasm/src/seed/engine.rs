//! The engine behind the original's exports: a state with all libraries, `_home`, `_io`, `ext` and captured output.

use super::backend::Backend;
use super::codec;
use super::ids::{self, Ids};
use super::output::Output;
use super::proxy;
use super::response::Buffer;
use super::state::{SeedHost, State, host, state};
use evermoon::heap::value::Value;
use evermoon::stdlib::{self, load};
use evermoon::vm::host::NoHost;
use evermoon::vm::{Exit, Limits, Throw, Thrown, Vm};

/// Growth after which a run's memory is looked at more closely, in bytes.
const GROWTH: usize = 16 << 20;

/// What an engine may take, in bytes.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// The Lua heap, as it counts itself.
    pub heap: usize,
    /// The longest string.
    pub string: usize,
    /// What the heap has taken from the allocator, unused parts included.
    pub system: usize,
}

pub struct Seed {
    vm: Vm,
    bounds: Bounds,
    /// What the heap may hold of the allocator's memory before a collection.
    collect_at: usize,
}

impl Seed {
    /// `synced`: the host's counter of tables, or 0. `None` when memory is out.
    pub fn new(
        backend: Box<dyn Backend>,
        synced: u32,
        memory_alias: bool,
        bounds: Bounds,
    ) -> Option<Seed> {
        let limits = Limits {
            string_max: bounds.string,
            ..Limits::default()
        };
        let mut vm = Vm::new(limits);
        stdlib::open(&mut vm).ok()?;
        evermoon_bigint::preload(&mut vm).ok()?;
        vm.host = Box::new(NoHost);
        let tables = proxy::open(&mut vm).ok()?;
        let state = State {
            backend: Some(backend),
            ids: Ids::new(synced),
            proxies: tables.proxies,
            proxy_ids: tables.proxy_ids,
            metatable: tables.metatable,
            seen: tables.seen,
            seen_counts: Default::default(),
            seen_total: 0,
            seen_order: Default::default(),
            warned: Default::default(),
            unsupported: tables.unsupported,
        };
        vm.host = Box::new(SeedHost {
            output: Output::default(),
            state,
        });
        vm.heap.bytes_max = bounds.heap;
        let mut seed = Seed {
            vm,
            bounds,
            collect_at: bounds.system / 2,
        };
        seed.set_home(memory_alias).ok()?;
        let (io, globals) = (seed.io(), seed.vm.globals);
        let proxy = proxy::of(&mut seed.vm, io).ok()?;
        seed.vm.raw_set_name(globals, "_io", proxy).ok()?;
        Some(seed)
    }

    fn set_home(&mut self, memory_alias: bool) -> Result<(), Throw> {
        let (home, globals) = (self.home(), self.vm.globals);
        let proxy = proxy::of(&mut self.vm, home)?;
        self.vm.raw_set_name(globals, "_home", proxy)?;
        if memory_alias {
            self.vm.raw_set_name(globals, "Memory", proxy)?;
        }
        Ok(())
    }

    pub fn home(&mut self) -> u32 {
        state(&mut self.vm).ids.home
    }
    pub fn io(&mut self) -> u32 {
        state(&mut self.vm).ids.io
    }
    pub fn heap_bytes(&self) -> usize {
        self.vm.heap.bytes()
    }
    pub fn collect(&mut self) {
        self.vm.collect();
    }

    /// The host's counter of tables; 0 says nothing.
    pub fn sync(&mut self, next: u32) {
        state(&mut self.vm).ids.sync(next);
    }

    /// Makes another table the home table. Errors (memory) leave things as they are.
    pub fn attach(&mut self, id: u32, memory_alias: bool) {
        if id == 0 || id > ids::MAX {
            return;
        }
        let ids = &mut state(&mut self.vm).ids;
        ids.home = id;
        ids.met(id);
        let _ = self.set_home(memory_alias);
    }

    /// `_io.input`, `_io.output` and `_io.meta` become nil.
    pub fn clear_io(&mut self) {
        let io = self.io();
        for key in [&b"input"[..], b"output", b"meta"] {
            let _ = proxy::write(&mut self.vm, io, key, &[codec::tag::NIL]);
        }
    }

    /// Runs a chunk and answers in the buffer.
    pub fn compute(&mut self, source: &[u8], buffer: &mut Buffer) -> i32 {
        host(&mut self.vm).output.clear();
        match self.run(source) {
            Ok(result) => buffer.success(host(&mut self.vm).output.bytes(), result),
            Err(message) => buffer.error(&message),
        }
    }

    /// The chunk's last result, or the error's message.
    fn run(&mut self, source: &[u8]) -> Result<Value, Vec<u8>> {
        let task = self.start(source)?;
        let vm = &mut self.vm;
        loop {
            match vm.run_task(task, 1) {
                Some(Exit::Done) => {
                    return Ok(vm.task_results().last().copied().unwrap_or(Value::NIL));
                }
                Some(Exit::Failed) => {
                    let error = std::mem::replace(&mut vm.error, Value::NIL);
                    return Err(message(vm, error));
                }
                Some(Exit::Slice) => {
                    if vm.heap.system_bytes() > self.collect_at {
                        // The heap's own count may be low while its pools hold much: a full collection lets go of pages.
                        vm.collect();
                        let held = vm.heap.system_bytes();
                        self.collect_at = (held + GROWTH).max(self.bounds.system / 2);
                        if held > self.bounds.system {
                            vm.set_interrupt("not enough memory");
                        }
                    }
                }
                _ => {
                    vm.drop_task(task);
                    return Err(b"the program waits for a host that is not there".to_vec());
                }
            }
        }
    }

    /// A task for the chunk, or the message that tells why there is none. What an earlier chunk left behind is no reason.
    fn start(&mut self, source: &[u8]) -> Result<usize, Vec<u8>> {
        let vm = &mut self.vm;
        if vm.heap.bytes() > self.bounds.heap / 8 * 7 {
            vm.collect();
        }
        let env = Value::table(vm.globals);
        // The chunk's name is its text, as Lua's `load` has it.
        let function = match load::load(vm, source, source, load::Mode(b"t"), env) {
            Ok(Ok(function)) => function,
            Ok(Err(message)) => return Err(message),
            Err(throw) => return Err(self.thrown(throw)),
        };
        vm.new_task(function, &[], None, false)
            .map_err(|throw| self.thrown(throw))
    }

    fn thrown(&mut self, _: Throw) -> Vec<u8> {
        let vm = &mut self.vm;
        let error = if vm.thrown() == Thrown::Memory {
            vm.memory_error()
        } else {
            vm.error
        };
        message(vm, error)
    }
}

/// The text of an error value.
fn message(vm: &mut Vm, error: Value) -> Vec<u8> {
    if !error.is_string() && !error.is_number() {
        return b"Unknown error".to_vec();
    }
    let mut text = Vec::new();
    vm.display(error, &mut text);
    text
}
