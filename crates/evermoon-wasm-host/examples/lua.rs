//! A `lua` command over `evermoon.wasm`: runs one program, prints what it prints, ends as `lua` does.
//!
//! `cargo run -p evermoon-wasm-host --example lua program.lua`. It runs the program a hundred slices at a time, as a host with other things to do would.

#[path = "../host/mod.rs"]
mod host;

use host::{Lua, Status, Value};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: lua program.lua");
        return ExitCode::from(2);
    };
    if path == "-v" {
        println!("evermoon.wasm under wasmi");
        return ExitCode::SUCCESS;
    }
    let source = match std::fs::read(&path) {
        Ok(source) => source,
        Err(error) => {
            eprintln!("lua: cannot open {path}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut lua = Lua::new();
    // Taken before the program can replace it.
    let tostring = lua.eval("return tostring", &[])[0].handle();
    let mut failed = None;
    match lua.load(&source, &format!("@{path}")) {
        Err(message) => failed = Some(message),
        Ok(function) => {
            let task = lua.start(function, &[]);
            lua.call("em_handle_free", &[function]);
            if let Err((value, traceback)) = finish(&mut lua, task) {
                let mut text = describe(&mut lua, value, tostring);
                if let Value::Text(traceback) = traceback {
                    text.push(b'\n');
                    text.extend_from_slice(&traceback);
                }
                failed = Some(text);
            }
        }
    }
    // The finalizers, as at the end of any program; their errors are nobody's.
    loop {
        let task = lua.call("em_close", &[]);
        if task == 0 {
            break;
        }
        let _ = finish(&mut lua, task);
    }
    assert_eq!(lua.call("em_engine_free", &[]), 1);
    match failed {
        None => ExitCode::SUCCESS,
        Some(text) => {
            eprintln!("lua: {}", String::from_utf8_lossy(&text));
            ExitCode::FAILURE
        }
    }
}

/// Runs a task to its end, passing its output on; the error and its traceback.
fn finish(lua: &mut Lua, task: u32) -> Result<(), (Value, Value)> {
    loop {
        let status = lua.run(task, 100);
        let ended = match status {
            Status::Done => Some(Ok(())),
            Status::Error => Some(Err((lua.slot(0), lua.slot(1)))),
            Status::Slice => None,
            other => panic!("{other:?}: {}", lua.message()),
        };
        pass_on(lua);
        if let Some(ended) = ended {
            return ended;
        }
    }
}

/// Passes the output on, and what was reported.
fn pass_on(lua: &mut Lua) {
    let reports = lua.reports();
    let (output, _) = lua.drain();
    std::io::stdout()
        .write_all(&output)
        .expect("standard output takes it");
    for (is_warning, text) in reports {
        let text = String::from_utf8_lossy(&text);
        if is_warning {
            eprintln!("Lua warning: {text}");
        } else {
            eprint!("{text}");
        }
    }
}

/// What Lua's `tostring` makes of a value.
fn to_text(lua: &mut Lua, value: Value, tostring: u32) -> Vec<u8> {
    let task = lua.start(tostring, &[value]);
    let status = lua.run(task, 100);
    let text = lua.slot(0);
    pass_on(lua);
    match (status, text) {
        (Status::Done, Value::Text(text)) => text,
        other => format!("(no text: {other:?})").into_bytes(),
    }
}

/// An error value as `lua` shows it.
fn describe(lua: &mut Lua, value: Value, tostring: u32) -> Vec<u8> {
    let kind = match &value {
        Value::Text(text) => return text.clone(),
        Value::Int(n) => return n.to_string().into_bytes(),
        Value::Handle(_, 1) => "table",
        Value::Handle(_, 2) => "function",
        Value::Handle(_, 3) => "thread",
        Value::Handle(..) => "userdata",
        Value::Nil => "nil",
        Value::Bool(_) => "boolean",
        _ => "number",
    };
    if let Value::Handle(handle, _) = value {
        let metatable = lua.call("em_metatable", &[handle]);
        if metatable != 0 {
            lua.with_slots("em_raw_get", &[Value::text("__tostring")], &[metatable]);
            if lua.slot(0) != Value::Nil {
                return to_text(lua, value, tostring);
            }
        }
    }
    format!("(error object is a {kind} value)").into_bytes()
}
