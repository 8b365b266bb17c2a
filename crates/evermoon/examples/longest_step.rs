//! How long a host waits at most between two points at which the engine comes back: each heavy call of `tests/heavy` is run slice by slice.
//! A step's time is the shortest of several runs (the steps are the same each time, the machine's other work is not).
//!
//! `cargo run --release -p evermoon --example longest_step -- [--slice N] [--size N] [--runs N] [filter …]`

use evermoon::heap::value::Value;
use evermoon::stdlib;
use evermoon::vm::{Exit, Limits, Vm};
use std::time::Instant;

#[path = "../tests/heavy/mod.rs"]
mod heavy;

/// The steps of a run in seconds, and the fuel that it used.
fn run(case: &heavy::Heavy, size: u64, slice: u32) -> Result<(Vec<f64>, u64), String> {
    let mut vm = Vm::new(Limits {
        slice,
        ..Limits::default()
    });
    stdlib::open(&mut vm).map_err(|_| "no room")?;
    let source = format!(
        "local N = {size} {} return function() {} end",
        case.prepare, case.call
    );
    let env = Value::table(vm.globals);
    let mode = stdlib::load::Mode::ANY;
    let loaded = stdlib::load::load(&mut vm, source.as_bytes(), b"=heavy", mode, env);
    let chunk = match loaded {
        Ok(Ok(chunk)) => chunk,
        Ok(Err(message)) => return Err(String::from_utf8_lossy(&message).into_owned()),
        Err(_) => return Err("no room".into()),
    };
    let call = finish(&mut vm, chunk, &mut Vec::new())?;
    let before = vm.fuel_used();
    let mut steps = Vec::new();
    finish(&mut vm, call, &mut steps)?;
    Ok((steps, vm.fuel_used() - before))
}

/// Calls a function; its first result.
fn finish(vm: &mut Vm, function: Value, steps: &mut Vec<f64>) -> Result<Value, String> {
    let task = vm.new_task(function, &[], None, false);
    let task = task.map_err(|_| "no room")?;
    loop {
        let start = Instant::now();
        let exit = vm.run_task(task, 1);
        steps.push(start.elapsed().as_secs_f64());
        match exit {
            Some(Exit::Slice) => {}
            Some(Exit::Done) => {
                return Ok(vm.task_results().first().copied().unwrap_or(Value::NIL));
            }
            Some(Exit::Failed) => {
                let (error, mut text) = (vm.error, Vec::new());
                vm.display(error, &mut text);
                return Err(String::from_utf8_lossy(&text).into_owned());
            }
            exit => return Err(format!("{exit:?}")),
        }
    }
}

fn main() {
    let mut filters = Vec::new();
    let (mut slice, mut size, mut runs) = (20_000, 1_000_000, 3);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|n| n.parse().ok()).unwrap_or(1);
        match arg.as_str() {
            "--slice" => slice = number() as u32,
            "--size" => size = number(),
            "--runs" => runs = number(),
            _ => filters.push(arg),
        }
    }
    println!(
        "{:46} {:>10} {:>9} {:>11} {:>8} {:>8}",
        "call", "longest ms", "whole ms", "fuel", "ns/fuel", "steps"
    );
    for case in heavy::HEAVY {
        if !filters.is_empty() && !filters.iter().any(|f| case.name.contains(f.as_str())) {
            continue;
        }
        let mut best: Option<(Vec<f64>, u64)> = None;
        for _ in 0..runs.max(1) {
            match run(case, size, slice) {
                Ok((steps, fuel)) => match &mut best {
                    Some((old, old_fuel)) => {
                        assert_eq!(*old_fuel, fuel, "{}: fuel", case.name);
                        assert_eq!(old.len(), steps.len(), "{}: steps", case.name);
                        for (old, new) in old.iter_mut().zip(steps) {
                            *old = old.min(new);
                        }
                    }
                    None => best = Some((steps, fuel)),
                },
                Err(e) => {
                    println!("{:46} {e}", case.name);
                    break;
                }
            }
        }
        if let Some((steps, fuel)) = best {
            let longest = steps.iter().copied().fold(0.0, f64::max);
            let whole: f64 = steps.iter().sum();
            println!(
                "{:46} {:10.2} {:9.1} {:11} {:8.1} {:8}",
                case.name,
                longest * 1e3,
                whole * 1e3,
                fuel,
                whole * 1e9 / fuel.max(1) as f64,
                steps.len()
            );
        }
    }
}
