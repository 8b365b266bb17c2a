//! The host itself: one instance of the module, its functions by name, values in and out of slots, and what a run came back with.
//!
//! It keeps the rules of `docs/abi.md`, section 2: memory is read anew after each call (wasmi does so by itself), text in slots is copied out at once,
//! what `em_alloc` gave is freed with its size. A trap is a panic: tests should fail on one.
#![allow(
    dead_code,
    reason = "each of the tests that share this file uses a part of it"
)]

use std::path::PathBuf;
use wasmi::{Engine, Instance, Linker, Memory, Module, Store, Val};

/// What a call that has a status came back with (section 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    Done,
    Error,
    Slice,
    OutOfFuel,
    HostCall,
    Misuse,
    Memory,
    Yielded,
    Metamethod,
}

impl Status {
    fn of(number: u32) -> Status {
        use Status::*;
        match number {
            0 => Done,
            1 => Error,
            2 => Slice,
            3 => OutOfFuel,
            4 => HostCall,
            5 => Misuse,
            6 => Memory,
            7 => Yielded,
            8 => Metamethod,
            _ => panic!("status {number} is not in the document"),
        }
    }
}

/// What a slot says (section 4).
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Vec<u8>),
    /// A handle, and what it holds: 1 table, 2 function, 3 thread, 4 userdata.
    Handle(u32, u32),
    Object(u32),
    Light(u64),
    Function(u32),
}

impl Value {
    pub fn text(text: &str) -> Value {
        Value::Text(text.as_bytes().to_vec())
    }

    pub fn handle(&self) -> u32 {
        match self {
            Value::Handle(handle, _) => *handle,
            other => panic!("{other:?} is not a handle"),
        }
    }
}

/// Fields of the mailbox, by their offset.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Mail {
    Status = 0,
    Count = 4,
    Slots = 8,
    Task = 12,
    Function = 16,
    Output = 20,
    OutputLen = 24,
    Released = 28,
    ReleasedLen = 32,
    Message = 36,
    MessageLen = 40,
    Reports = 44,
    ReportsLen = 48,
}

/// An instance of the module.
pub struct Wasm {
    pub store: Store<()>,
    pub instance: Instance,
    memory: Memory,
}

/// The bytes of the module, which is the one with worlds unless `EVERMOON_WASM` names another.
fn module_bytes() -> Vec<u8> {
    match std::env::var_os("EVERMOON_WASM") {
        Some(path) => read(PathBuf::from(path)),
        None => built("evermoon-world.wasm"),
    }
}

/// A module of `dist`.
pub fn built(name: &str) -> Vec<u8> {
    read(
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../dist")
            .join(name),
    )
}

/// A module's bytes; tells what to do where there are none.
fn read(path: PathBuf) -> Vec<u8> {
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error} (run 'cargo xtask build-wasm')", path.display())
    })
}

impl Wasm {
    pub fn new() -> Wasm {
        Wasm::of(&module_bytes())
    }

    pub fn of(bytes: &[u8]) -> Wasm {
        let engine = Engine::default();
        let module = Module::new(&engine, bytes).expect("the module is valid");
        assert_eq!(module.imports().count(), 0, "the module imports nothing");
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine)
            .instantiate_and_start(&mut store, &module)
            .expect("it can be instantiated");
        let memory = instance
            .get_memory(&store, "memory")
            .expect("it exports its memory");
        let mut wasm = Wasm {
            store,
            instance,
            memory,
        };
        assert_eq!(wasm.call("em_abi_version", &[]), 1);
        wasm
    }

    fn call_any(&mut self, name: &str, args: &[Val]) -> Option<Val> {
        let function = self
            .instance
            .get_func(&self.store, name)
            .unwrap_or_else(|| panic!("there is no export {name}"));
        let count = function.ty(&self.store).results().len();
        let mut results = vec![Val::I32(0); count];
        if let Err(trap) = function.call(&mut self.store, args, &mut results) {
            panic!("{name} trapped: {trap}");
        }
        results.pop()
    }

    /// Calls a function whose arguments and result are u32; one without a result gives 0.
    pub fn call(&mut self, name: &str, args: &[u32]) -> u32 {
        let args: Vec<Val> = args.iter().map(|a| Val::I32(*a as i32)).collect();
        match self.call_any(name, &args) {
            None => 0,
            Some(Val::I32(n)) => n as u32,
            Some(other) => panic!("{name} gave {other:?}"),
        }
    }

    /// Calls one with other arguments, or a double for a result.
    pub fn call_with(&mut self, name: &str, args: &[Val]) -> f64 {
        match self.call_any(name, args) {
            None => 0.0,
            Some(Val::I32(n)) => n as u32 as f64,
            Some(Val::F64(n)) => f64::from(n),
            Some(other) => panic!("{name} gave {other:?}"),
        }
    }

    pub fn bytes(&self, at: u32, len: u32) -> &[u8] {
        &self.memory.data(&self.store)[at as usize..][..len as usize]
    }

    pub fn u32(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.bytes(at, 4).try_into().expect("4 bytes"))
    }

    fn u64(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.bytes(at, 8).try_into().expect("8 bytes"))
    }

    pub fn write(&mut self, at: u32, bytes: &[u8]) {
        self.memory.data_mut(&mut self.store)[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    pub fn memory_size(&self) -> usize {
        self.memory.data_size(&self.store)
    }

    /// Bytes in memory of the module's. The caller frees them.
    pub fn put(&mut self, bytes: &[u8]) -> u32 {
        let at = self.call("em_alloc", &[bytes.len() as u32]);
        assert_ne!(at, 0, "no memory for {} bytes", bytes.len());
        assert_eq!(at % 16, 0);
        self.write(at, bytes);
        at
    }

    pub fn free(&mut self, at: u32, len: usize) {
        self.call("em_free", &[at, len as u32]);
    }

    /// A new engine.
    pub fn lua(self) -> Lua {
        self.lua_with(0.0)
    }

    /// One with a cap.
    pub fn lua_with(mut self, memory_max: f64) -> Lua {
        let engine = self.call_with("em_engine_new", &[Val::F64(memory_max.into())]) as u32;
        assert_ne!(engine, 0);
        let mailbox = self.call("em_mailbox", &[engine]);
        Lua {
            wasm: self,
            engine,
            mailbox,
        }
    }
}

/// An engine, alone in its instance.
pub struct Lua {
    pub wasm: Wasm,
    pub engine: u32,
    mailbox: u32,
}

impl Lua {
    pub fn new() -> Lua {
        Wasm::new().lua()
    }

    /// Calls a function whose first parameter is the engine.
    pub fn call(&mut self, name: &str, args: &[u32]) -> u32 {
        let mut all = vec![self.engine];
        all.extend_from_slice(args);
        self.wasm.call(name, &all)
    }

    pub fn call_with(&mut self, name: &str, args: &[Val]) -> f64 {
        let mut all = vec![Val::I32(self.engine as i32)];
        all.extend_from_slice(args);
        self.wasm.call_with(name, &all)
    }

    /// The same for one that returns a status.
    pub fn status(&mut self, name: &str, args: &[u32]) -> Status {
        Status::of(self.call(name, args))
    }

    pub fn mail(&self, field: Mail) -> u32 {
        self.wasm.u32(self.mailbox + field as u32)
    }

    /// The last mistake.
    pub fn message(&self) -> String {
        let bytes = self
            .wasm
            .bytes(self.mail(Mail::Message), self.mail(Mail::MessageLen));
        String::from_utf8(bytes.to_vec()).expect("messages are UTF-8")
    }

    // ---- slots ----

    pub fn slot(&self, index: u32) -> Value {
        let at = self.mail(Mail::Slots) + 16 * index;
        let (low, high) = (self.wasm.u32(at), self.wasm.u32(at + 4));
        match self.wasm.u32(at + 8) {
            0 => Value::Nil,
            1 => Value::Bool(false),
            2 => Value::Bool(true),
            3 => Value::Int(self.wasm.u64(at) as i64),
            4 => Value::Float(f64::from_bits(self.wasm.u64(at))),
            5 => Value::Text(self.wasm.bytes(low, high).to_vec()),
            6 => Value::Handle(low, self.wasm.u32(at + 12)),
            7 => Value::Object(low),
            8 => Value::Light(self.wasm.u64(at)),
            9 => Value::Function(low),
            kind => panic!("a slot of kind {kind} is not in the document"),
        }
    }

    /// What the last call has filled the slots with.
    pub fn slots(&self) -> Vec<Value> {
        (0..self.mail(Mail::Count)).map(|i| self.slot(i)).collect()
    }

    /// Fills the slots. What comes back is the text on its way, which `sent` frees.
    fn fill(&mut self, values: &[Value]) -> Vec<(u32, usize)> {
        let slots = self.call("em_slots", &[values.len() as u32]);
        assert_ne!(slots, 0);
        let mut texts = Vec::new();
        for (i, value) in values.iter().enumerate() {
            let (payload, kind) = match value {
                Value::Nil => (0, 0),
                Value::Bool(false) => (0, 1),
                Value::Bool(true) => (0, 2),
                Value::Int(n) => (*n as u64, 3),
                Value::Float(n) => (n.to_bits(), 4),
                Value::Text(text) => {
                    let at = self.wasm.put(text);
                    texts.push((at, text.len()));
                    (u64::from(at) | (text.len() as u64) << 32, 5)
                }
                Value::Handle(handle, _) => (u64::from(*handle), 6),
                Value::Object(number) => (u64::from(*number), 7),
                Value::Light(bits) => (*bits, 8),
                Value::Function(number) => (u64::from(*number), 9),
            };
            self.write_slot(i as u32, payload, kind);
        }
        texts
    }

    /// Writes one slot as it is.
    pub fn write_slot(&mut self, index: u32, payload: u64, kind: u32) {
        let mut slot = [0xaa; 16]; // `detail` is ignored
        slot[..8].copy_from_slice(&payload.to_le_bytes());
        slot[8..12].copy_from_slice(&kind.to_le_bytes());
        let at = self.mail(Mail::Slots) + 16 * index;
        self.wasm.write(at, &slot);
    }

    fn sent(&mut self, texts: Vec<(u32, usize)>) {
        for (at, len) in texts {
            self.wasm.free(at, len);
        }
    }

    // ---- programs ----

    /// Compiles a chunk: a function's handle, or the message.
    pub fn load(&mut self, source: &[u8], name: &str) -> Result<u32, Vec<u8>> {
        let at = self.wasm.put(source);
        let name_at = self.wasm.put(name.as_bytes());
        let (len, name_len) = (source.len() as u32, name.len() as u32);
        let status = self.status("em_load", &[at, len, name_at, name_len, 3]);
        self.wasm.free(at, source.len());
        self.wasm.free(name_at, name.len());
        match (status, self.slot(0)) {
            (Status::Done, function) => Ok(function.handle()),
            (Status::Error, Value::Text(message)) => Err(message),
            (status, _) => panic!("em_load gave {status:?}: {}", self.message()),
        }
    }

    /// A task that will call a function.
    pub fn start(&mut self, function: u32, args: &[Value]) -> u32 {
        self.start_by("em_start", function, args)
    }

    pub fn start_by(&mut self, how: &str, function: u32, args: &[Value]) -> u32 {
        let texts = self.fill(args);
        let task = self.call(how, &[function, args.len() as u32]);
        self.sent(texts);
        assert_ne!(task, 0, "{}", self.message());
        task
    }

    pub fn run(&mut self, task: u32, slices: u32) -> Status {
        self.status("em_run", &[task, slices])
    }

    /// Answers a host call or a yield.
    pub fn answer(&mut self, task: u32, answer: Result<&[Value], Value>) -> Status {
        let (values, ok) = match &answer {
            Ok(values) => (*values, 1),
            Err(value) => (std::slice::from_ref(value), 0),
        };
        let texts = self.fill(values);
        let status = self.status("em_answer", &[task, values.len() as u32, ok]);
        self.sent(texts);
        status
    }

    /// Does something with arguments in the slots.
    pub fn with_slots(&mut self, name: &str, values: &[Value], args: &[u32]) -> Status {
        let texts = self.fill(values);
        let status = self.status(name, args);
        self.sent(texts);
        status
    }

    /// Runs a chunk that needs no host to its end; its results.
    pub fn eval(&mut self, source: &str, args: &[Value]) -> Vec<Value> {
        let function = self
            .load(source.as_bytes(), "=eval")
            .unwrap_or_else(|m| panic!("{}", String::from_utf8_lossy(&m)));
        let task = self.start(function, args);
        self.call("em_handle_free", &[function]);
        let status = self.run(task, 1_000_000);
        assert_eq!(
            status,
            Status::Done,
            "{:?}: {}",
            self.slots(),
            self.message()
        );
        self.slots()
    }

    /// Sets a global.
    pub fn set_global(&mut self, name: &str, value: Value) {
        let globals = self.call("em_globals", &[]);
        let status = self.with_slots("em_raw_set", &[Value::text(name), value], &[globals, 2]);
        assert_eq!(status, Status::Done);
        self.call("em_handle_free", &[globals]);
    }

    /// What was reported since `drain`: whether it is a warning, and the text.
    pub fn reports(&self) -> Vec<(bool, Vec<u8>)> {
        let mut at = self.mail(Mail::Reports);
        let end = at + self.mail(Mail::ReportsLen);
        let mut reports = Vec::new();
        while at < end {
            let head = self.wasm.u32(at);
            let len = head >> 1;
            reports.push((head & 1 == 1, self.wasm.bytes(at + 4, len).to_vec()));
            at += 4 + len.next_multiple_of(4);
        }
        assert_eq!(at, end);
        reports
    }

    /// Takes the output and the released numbers.
    pub fn drain(&mut self) -> (Vec<u8>, Vec<u32>) {
        let output = self
            .wasm
            .bytes(self.mail(Mail::Output), self.mail(Mail::OutputLen))
            .to_vec();
        let released = (0..self.mail(Mail::ReleasedLen))
            .map(|i| self.wasm.u32(self.mail(Mail::Released) + 4 * i))
            .collect();
        self.call("em_output_taken", &[]);
        (output, released)
    }
}
