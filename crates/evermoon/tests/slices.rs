//! Work that grows with its input is paid for as it is done, and can be interrupted in the middle: a fuel limit stops each of the heavy
//! calls of `heavy/` soon after it is reached, and what is cut into the smallest slices comes to the same result for the same fuel.

use evermoon::heap::value::Value;
use evermoon::stdlib;
use evermoon::vm::{Exit, Limits, Vm};

mod heavy;

/// Elements or so: enough for every call to need more than [`BUDGET`].
const SIZE: u64 = 100_000;
const BUDGET: u64 = 100;
/// What a step may cost beyond the fuel there is: some milliseconds of work at 5 to 250 ns a unit.
const OVERDRAFT: u64 = 25_000;

/// Calls that cannot be cut: each is paid for before it begins, or is bounded by another limit (`docs/limits.md`).
const WHOLE: &[&str] = &[
    // The compiler, the dumper: one step, paid before.
    "load",
    "load of a function",
    "load: a long comment",
    "dump",
    "load of a dump",
    // Bounded by the Lua stack.
    "unpack",
    "pack",
    "byte",
    "char",
    "utf8.char",
    "utf8.codepoint",
    "varargs",
    "select",
    // One copy, or one pass over a format.
    "pack: strings",
    "unpack: strings",
    "packsize",
    "tonumber",
    "tonumber with a base",
    "arithmetic on a string",
    // A look-up.
    "a long key",
];

/// Calls that do not cost more than the budget.
const CHEAP: &[&str] = &[
    "utf8.codes of continuation bytes",
    "collect: a step",
    "match: captures",
    "move over itself",
    "insert at front of a list in the hash part",
    "load",
    "load of a function",
    "collect: weak values",
    "collect: ephemerons",
    // They have a text of hundreds of bytes for each unit.
    "unpack: strings",
];

struct Prepared {
    vm: Vm,
    task: usize,
    before: u64,
}

/// Runs the task for a slice.
fn run(vm: &mut Vm, task: usize) -> Exit {
    vm.run_task(task, 1).expect("the task waits for nothing")
}

fn task(vm: &mut Vm, function: Value) -> usize {
    let task = vm.new_task(function, &[], None, false);
    task.unwrap_or_else(|_| panic!("there is room"))
}

/// An engine that has entered the call.
fn prepare(case: &heavy::Heavy, size: u64, slice: u32) -> Prepared {
    let mut vm = Vm::new(Limits {
        slice,
        ..Limits::default()
    });
    stdlib::open(&mut vm).expect("a fresh engine has room");
    let source = format!(
        "local N = {size} {} return function() {} end",
        case.prepare, case.call
    );
    let env = Value::table(vm.globals);
    let mode = stdlib::load::Mode::ANY;
    let chunk = stdlib::load::load(&mut vm, source.as_bytes(), b"=heavy", mode, env);
    let chunk = chunk.expect("there is room").expect("the source compiles");
    let chunk = task(&mut vm, chunk);
    while run(&mut vm, chunk) == Exit::Slice {}
    let call = vm.task_results()[0];
    let before = vm.fuel_used();
    let task = task(&mut vm, call);
    Prepared { vm, task, before }
}

fn text(vm: &mut Vm, values: &[Value]) -> String {
    let mut text = Vec::new();
    for v in values {
        vm.display(*v, &mut text);
        text.push(b' ');
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// What the call returns or its error, the fuel that it used, and how often it came back.
fn whole(case: &heavy::Heavy, size: u64, slice: u32) -> (String, u64, u64) {
    let Prepared {
        mut vm,
        task,
        before,
    } = prepare(case, size, slice);
    let mut slices = 0;
    loop {
        match run(&mut vm, task) {
            Exit::Slice => slices += 1,
            Exit::Done => break,
            exit => {
                let error = vm.error;
                panic!("{}: {exit:?}: {}", case.name, text(&mut vm, &[error]));
            }
        }
    }
    let values = vm.task_results().to_vec();
    let text = text(&mut vm, &values);
    (text, vm.fuel_used() - before, slices)
}

#[test]
fn a_fuel_limit_stops_every_heavy_call() {
    for case in heavy::HEAVY {
        let Prepared {
            mut vm,
            task,
            before,
        } = prepare(case, SIZE, 20_000);
        vm.set_fuel(Some(BUDGET));
        let exit = loop {
            match run(&mut vm, task) {
                Exit::Slice => {}
                exit => break exit,
            }
        };
        let used = vm.fuel_used() - before;
        if CHEAP.contains(&case.name) {
            continue;
        }
        assert_eq!(exit, Exit::OutOfFuel, "{}: {used}", case.name);
        // (A full collection is paid for before it begins.)
        let whole = WHOLE.contains(&case.name) || case.name.starts_with("collect");
        assert!(
            used <= BUDGET + OVERDRAFT || whole,
            "{}: {used} units before it stopped",
            case.name
        );
    }
}

#[test]
fn small_slices_make_no_difference() {
    for case in heavy::HEAVY {
        // What is printed, and addresses, are no results; collections take their own time.
        let (result, fuel, _) = whole(case, 20_000, 1 << 30);
        for slice in [1, 7, 1000] {
            let (again, fuel_again, slices) = whole(case, 20_000, slice);
            if !case.name.starts_with("collect") {
                assert_eq!(result, again, "{} by {slice}", case.name);
            }
            assert_eq!(fuel, fuel_again, "{} by {slice}", case.name);
            assert!(
                slices as u128 * OVERDRAFT as u128 >= fuel as u128
                    || WHOLE.contains(&case.name)
                    || fuel < OVERDRAFT,
                "{} by {slice}: {slices} slices of {fuel}",
                case.name
            );
        }
    }
}

#[test]
fn large_strings_do_not_outrun_the_collector() {
    let source = "
        for i = 1, 60 do local s = ('x'):rep(50000000) end
        local t = {} for i = 1, 300000 do t[i] = {} end
        for i = 1, 60 do local s = ('x'):rep(40000000) end
        for i = 1, 20 do local a = ('x'):rep(20000000) local s = a .. a end
        return #t";
    let case = heavy::Heavy {
        name: "large strings",
        prepare: "",
        call: source,
    };
    let Prepared { mut vm, task, .. } = prepare(&case, 1, 20_000);
    vm.heap.bytes_max = 256 << 20;
    let exit = loop {
        match run(&mut vm, task) {
            Exit::Slice => {}
            exit => break exit,
        }
    };
    let error = vm.error;
    assert_eq!(exit, Exit::Done, "{}", text(&mut vm, &[error]));
}
