//! An engine on a short leash: fuel, a memory cap, the pure libraries, and output that is collected. A way for it to end
//! that an engine may not have is a panic here.

use std::cell::RefCell;
use std::rc::Rc;

use evermoon::heap::value::Value;
use evermoon::stdlib::load::{Mode, load};
use evermoon::vm::host::Host;
use evermoon::vm::{Exit, Limits, Throw, Thrown, Vm};

/// How a run is held.
#[derive(Clone, Copy, Debug)]
pub struct Leash {
    pub fuel: u64,
    pub bytes_max: usize,
    /// Collects at every chance.
    pub stress: bool,
    /// Safe points between two returns from the loop.
    pub slice: u32,
    /// Most slots of a stack; of frames there may be a fifth of that.
    pub stack_max: usize,
}

impl Default for Leash {
    fn default() -> Self {
        Leash {
            fuel: 1_000_000,
            bytes_max: 16 << 20,
            stress: false,
            slice: 20_000,
            stack_max: 20_000,
        }
    }
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq)]
pub enum End {
    Done,
    /// Did not compile.
    Refused(Vec<u8>),
    /// Failed, with the message, or the type of an error that is none.
    Failed(Vec<u8>),
    OutOfFuel,
    OutOfMemory,
}

impl std::fmt::Debug for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::Done => write!(f, "done"),
            End::Refused(message) => write!(f, "refused: {}", message.escape_ascii()),
            End::Failed(message) => write!(f, "failed: {}", message.escape_ascii()),
            End::OutOfFuel => write!(f, "out of fuel"),
            End::OutOfMemory => write!(f, "out of memory"),
        }
    }
}

impl End {
    pub fn is_done(&self) -> bool {
        *self == End::Done
    }
}

/// An engine with its libraries, and where its output goes.
pub struct Engine {
    pub vm: Vm,
    pub output: Rc<RefCell<Vec<u8>>>,
}

struct Collect(Rc<RefCell<Vec<u8>>>);

/// Output beyond this is dropped, so that a program that prints in a loop is not a finding.
pub const OUTPUT_MAX: usize = 1 << 20;

impl Host for Collect {
    fn print(&mut self, bytes: &[u8]) {
        let mut output = self.0.borrow_mut();
        let room = OUTPUT_MAX.saturating_sub(output.len());
        output.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

impl Engine {
    pub fn new(leash: &Leash) -> Engine {
        let mut vm = Vm::new(Limits {
            slice: leash.slice,
            stack_max: leash.stack_max,
            frames_max: leash.stack_max / 5,
            ..Limits::default()
        });
        let output = Rc::new(RefCell::new(Vec::new()));
        vm.host = Box::new(Collect(output.clone()));
        // No cap yet: nothing can fail.
        assert!(evermoon::stdlib::open(&mut vm).is_ok(), "libraries open");
        vm.heap.bytes_max = leash.bytes_max;
        vm.heap.set_stress(leash.stress);
        vm.set_fuel(Some(leash.fuel));
        Engine { vm, output }
    }

    /// Loads a chunk, text or binary, and runs it.
    pub fn run(&mut self, chunk: &[u8], name: &str, args: &[i64]) -> End {
        let vm = &mut self.vm;
        let env = Value::table(vm.globals);
        let function = match load(vm, chunk, name.as_bytes(), Mode::ANY, env) {
            Ok(Ok(function)) => function,
            Ok(Err(message)) => return End::Refused(message),
            Err(throw) => return self.thrown(throw),
        };
        let args: Vec<Value> = args.iter().map(|&arg| Value::int(arg)).collect();
        let task = match vm.new_task(function, &args, None, false) {
            Ok(task) => task,
            Err(throw) => return self.thrown(throw),
        };
        loop {
            match vm.run_task(task, 1) {
                Some(Exit::Slice) => {}
                Some(Exit::Done) => return End::Done,
                Some(Exit::Failed) => {
                    let error = vm.error;
                    let shown = shown(vm, error);
                    return if shown == b"not enough memory" {
                        End::OutOfMemory
                    } else {
                        End::Failed(shown)
                    };
                }
                Some(Exit::OutOfFuel) => return End::OutOfFuel,
                exit => panic!("a run ended with {exit:?}"),
            }
        }
    }

    fn thrown(&mut self, _: Throw) -> End {
        if self.vm.thrown() == Thrown::Memory {
            return End::OutOfMemory;
        }
        let error = self.vm.error;
        End::Failed(shown(&mut self.vm, error))
    }

    /// After whatever has happened, unless it was stopped midway, an engine is as good as new.
    pub fn check_usable(&mut self) {
        self.vm.collect();
        self.vm.collect();
        self.vm.heap.bytes_max = usize::MAX / 2;
        self.vm.set_fuel(Some(100_000));
        let probe = "local t = {} for i = 1, 100 do t[i] = {i .. ''} end local n = 0 for i = 1, #t do n = n + #t[i][1] end \
                     if n ~= 192 then local x = nil + 1 end";
        let end = self.run(probe.as_bytes(), "=probe", &[]);
        // A hook that was left may fail by itself.
        let hooked = !self.run(b"debug.sethook()", "=probe", &[]).is_done();
        assert!(
            end.is_done() || hooked || self.run(probe.as_bytes(), "=probe", &[]).is_done(),
            "{end:?}"
        );
    }
}

fn shown(vm: &mut Vm, error: Value) -> Vec<u8> {
    if !error.is_string() && !error.is_number() {
        return error.type_of().name().into();
    }
    let mut shown = Vec::new();
    vm.display(error, &mut shown);
    shown
}
