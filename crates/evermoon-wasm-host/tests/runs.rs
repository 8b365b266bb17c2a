//! What `docs/abi.md` promises about programs under way: events, answers, fuel, slices, errors, output, the end.

#[path = "../host/mod.rs"]
mod host;

use host::{Lua, Mail, Status, Value, Wasm};
use wasmi::Val;

const MANY: u32 = 1_000_000;

/// A task for a chunk.
fn task(lua: &mut Lua, source: &str) -> u32 {
    task_by(lua, "em_start", source)
}

fn task_by(lua: &mut Lua, how: &str, source: &str) -> u32 {
    let function = lua
        .load(source.as_bytes(), "@main.lua")
        .expect("it compiles");
    let task = lua.start_by(how, function, &[]);
    lua.call("em_handle_free", &[function]);
    task
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
        other => panic!("{other:?} is not text"),
    }
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn a_host_function_is_called_from_anywhere() {
    let mut lua = Lua::new();
    lua.set_global("ask", Value::Function(7));
    let task = task(
        &mut lua,
        "local t = { 3, 1, 2 }
         table.sort(t, function(a, b) return ask(a, b) end)
         local proxy = setmetatable({}, { __add = function(_, n) return ask('add', n) end })
         local co = coroutine.wrap(function() coroutine.yield(ask('inside')) end)
         return table.concat(t, ' '), proxy + 4, co(), (string.gsub('ab', '.', ask))",
    );
    let mut calls = 0;
    loop {
        match lua.run(task, MANY) {
            Status::Done => break,
            Status::HostCall => {
                calls += 1;
                assert_eq!(lua.mail(Mail::Function), 7);
                assert_eq!(lua.mail(Mail::Task), task);
                let answer = match lua.slots().as_slice() {
                    [Value::Int(a), Value::Int(b)] => Value::Bool(a < b),
                    [Value::Text(name), Value::Int(n)] if name == b"add" => Value::Int(n + 1),
                    [Value::Text(one)] if one.len() == 1 => Value::text("x"),
                    [Value::Text(_)] => Value::Float(0.5),
                    other => panic!("{other:?}"),
                };
                assert_eq!(lua.answer(task, Ok(&[answer])), Status::Done);
            }
            other => panic!("{other:?}: {:?}", lua.slots()),
        }
    }
    let expected = [
        Value::text("1 2 3"),
        Value::Int(5),
        Value::Float(0.5),
        Value::text("xx"),
    ];
    assert_eq!(lua.slots(), expected);
    assert!(calls >= 6);
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn tasks_wait_side_by_side_and_are_answered_in_any_order() {
    let mut lua = Lua::new();
    lua.set_global("ask", Value::Function(1));
    let tasks: Vec<u32> = (0..20)
        .map(|i| {
            let task = task(
                &mut lua,
                &format!("local ok, v = pcall(ask, {i}) return ok, v, {i}"),
            );
            assert_eq!(lua.run(task, MANY), Status::HostCall);
            assert_eq!(lua.slots(), [Value::Int(i)]);
            task
        })
        .collect();
    for (i, task) in tasks.iter().enumerate().rev() {
        let ok = i % 2 == 0;
        let value = Value::text(&format!("answer {i}"));
        let answer = if ok {
            Ok(std::slice::from_ref(&value))
        } else {
            Err(value.clone())
        };
        assert_eq!(lua.answer(*task, answer), Status::Done);
        assert_eq!(lua.run(*task, MANY), Status::Done);
        assert_eq!(lua.slots(), [Value::Bool(ok), value, Value::Int(i as i64)]);
    }
    assert_eq!(
        lua.call_with("em_stat", &[Val::I32(5)]),
        0.0,
        "no task is left"
    );
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn a_coroutine_of_the_hosts_yields() {
    let mut lua = Lua::new();
    let source = "local a = coroutine.yield(1, 2)
                  local ok, e = pcall(coroutine.yield)
                  local inner = coroutine.wrap(function() coroutine.yield('inner') end)
                  return a, ok, e, inner(), coroutine.isyieldable()";
    let task = task_by(&mut lua, "em_start_coroutine", source);
    assert_eq!(lua.run(task, MANY), Status::Yielded);
    assert_eq!(lua.slots(), [Value::Int(1), Value::Int(2)]);
    assert_eq!(lua.run(task, MANY), Status::Misuse, "it waits");
    assert_eq!(lua.answer(task, Ok(&[Value::text("a")])), Status::Done);
    assert_eq!(lua.answer(task, Ok(&[])), Status::Misuse, "once is enough");
    assert_eq!(lua.run(task, MANY), Status::Yielded);
    assert_eq!(lua.slots(), []);
    assert_eq!(lua.answer(task, Err(Value::text("no"))), Status::Misuse);
    assert_eq!(lua.answer(task, Ok(&[Value::text("yes")])), Status::Done);
    assert_eq!(lua.run(task, MANY), Status::Done);
    let expected = [
        Value::text("a"),
        Value::Bool(true),
        Value::text("yes"),
        Value::text("inner"),
        Value::Bool(true),
    ];
    assert_eq!(lua.slots(), expected);

    // A metamethod may yield as well, and many values may cross.
    let source =
        "local t = setmetatable({}, { __index = function(_, k) return coroutine.yield(k) end })
                  return t.x, select('#', coroutine.yield(table.unpack({}, 1, 500)))";
    let task = task_by(&mut lua, "em_start_coroutine", source);
    assert_eq!(lua.run(task, MANY), Status::Yielded);
    assert_eq!(lua.slots(), [Value::text("x")]);
    lua.answer(task, Ok(&[Value::Int(5)]));
    assert_eq!(lua.run(task, MANY), Status::Yielded);
    assert_eq!(lua.slots().len(), 500);
    let many = vec![Value::Float(1.5); 3000];
    assert_eq!(lua.answer(task, Ok(&many)), Status::Done);
    assert_eq!(lua.run(task, MANY), Status::Done);
    assert_eq!(lua.slots(), [Value::Int(5), Value::Int(3000)]);
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn a_task_that_is_no_coroutine_cannot_yield() {
    let mut lua = Lua::new();
    let task = task(&mut lua, "coroutine.yield(1)");
    assert_eq!(lua.run(task, MANY), Status::Error);
    assert_eq!(
        text(&lua.slot(0)),
        "attempt to yield from outside a coroutine"
    );
    // Also when one that may has run before.
    let other = task_by(&mut lua, "em_start_coroutine", "coroutine.yield()");
    assert_eq!(lua.run(other, MANY), Status::Yielded);
    let task = task_by(&mut lua, "em_start", "return coroutine.isyieldable()");
    assert_eq!(lua.run(task, MANY), Status::Done);
    assert_eq!(lua.slots(), [Value::Bool(false)]);
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn fuel_runs_out_and_is_given_anew() {
    let mut used = Vec::new();
    for steps in [1_000.0, 123.0] {
        let mut lua = Lua::new();
        assert_eq!(lua.call_with("em_fuel", &[]), -1.0, "no limit at first");
        let task = task(
            &mut lua,
            "local n = 0 for i = 1, 20000 do n = n + i end return n",
        );
        let before = lua.call_with("em_stat", &[Val::I32(3)]);
        lua.call_with("em_set_fuel", &[Val::F64(f64::into(steps))]);
        let mut refills = 0;
        loop {
            match lua.run(task, MANY) {
                Status::OutOfFuel => {
                    refills += 1;
                    lua.call_with("em_set_fuel", &[Val::F64(f64::into(steps))]);
                }
                Status::Done => break,
                other => panic!("{other:?}"),
            }
        }
        assert!(refills >= 15, "{refills}");
        assert_eq!(lua.slots(), [Value::Int(200_010_000)]);
        used.push(lua.call_with("em_stat", &[Val::I32(3)]) - before);
    }
    assert_eq!(used[0], used[1], "the same program uses the same fuel");
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn slices_keep_the_host_in_control() {
    let mut lua = Lua::new();
    let endless = task(&mut lua, "while true do end");
    for slices in [0, 1, 3] {
        let before = lua.call_with("em_stat", &[Val::I32(3)]);
        assert_eq!(lua.run(endless, slices), Status::Slice);
        let used = lua.call_with("em_stat", &[Val::I32(3)]) - before;
        let expected = 5000.0 * f64::from(slices.max(1));
        assert!(
            (used - expected).abs() < 10.0,
            "{slices} slices used {used}"
        );
    }
    // Others run meanwhile.
    assert_eq!(lua.eval("return 1", &[]), [Value::Int(1)]);
    lua.call("em_drop", &[endless]);
    assert_eq!(lua.run(endless, 1), Status::Misuse);
    // A short program is done within one slice, whatever ran before it.
    for _ in 0..20 {
        let short = task(
            &mut lua,
            "local n = 0 for i = 1, 4000 do n = n + 1 end return n",
        );
        assert_eq!(lua.run(short, 1), Status::Done);
    }
}

/// Where a slice ends shows nowhere: here it ends inside the coroutine whose end as garbage the program watches.
#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn the_end_of_a_slice_keeps_no_garbage() {
    let source = "local collected = false
         local function f(self)
           for i = 1, ROUNDS do end
           self = setmetatable({ self, f }, { __gc = function() collected = true end })
           coroutine.yield()
         end
         do local co = coroutine.create(f) coroutine.resume(co, co) end
         collectgarbage()
         return collected";
    for rounds in [4_900, 5_100, 20_000] {
        let mut lua = Lua::new();
        let source = source.replace("ROUNDS", &rounds.to_string());
        let task = task(&mut lua, &source);
        while lua.run(task, 1) == Status::Slice {}
        assert_eq!(lua.slots(), [Value::Bool(true)], "{rounds} rounds");
    }
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn an_interrupt_is_an_error_in_the_program() {
    let mut lua = Lua::new();
    let task = task(
        &mut lua,
        "local ok, e = pcall(function() while true do end end) return ok, e",
    );
    assert_eq!(lua.run(task, 1), Status::Slice);
    let at = lua.wasm.put(b"enough");
    assert_eq!(lua.call("em_interrupt", &[at, 6]), 1);
    assert_eq!(lua.run(task, 10), Status::Done);
    assert_eq!(lua.slot(0), Value::Bool(false));
    assert!(text(&lua.slot(1)).ends_with("enough"));
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn errors_come_with_a_traceback() {
    let mut lua = Lua::new();
    let failing = task(&mut lua, "local function f() error({ code = 5 }) end\nf()");
    assert_eq!(lua.run(failing, MANY), Status::Error);
    let slots = lua.slots();
    assert_eq!(slots.len(), 2);
    assert!(matches!(slots[0], Value::Handle(_, 1)));
    assert!(text(&slots[1]).starts_with("stack traceback:\n"));
    assert!(text(&slots[1]).contains("main.lua:2: in main chunk"));
    assert_eq!(lua.run(failing, MANY), Status::Misuse, "the task is gone");

    let message = lua.load(b"x = = 1", "@main.lua").expect_err("not Lua");
    assert!(message.starts_with(b"main.lua:1: unexpected symbol near"));
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn binary_chunks_cross_and_modes_are_kept() {
    let mut lua = Lua::new();
    let dumped = lua.eval("return string.dump(load 'return 6 * 7')", &[]);
    let Value::Text(chunk) = &dumped[0] else {
        panic!("{dumped:?}")
    };
    let at = lua.wasm.put(chunk);
    let len = chunk.len() as u32;
    assert_eq!(lua.status("em_load", &[at, len, at, 0, 1]), Status::Error);
    assert!(text(&lua.slot(0)).contains("attempt to load a binary chunk"));
    assert_eq!(lua.status("em_load", &[at, len, at, 0, 2]), Status::Done);
    let function = lua.slot(0).handle();
    assert_eq!(lua.status("em_call", &[function, 0, 1]), Status::Done);
    assert_eq!(lua.slots(), [Value::Int(42)]);
    // Damaged ones are refused, and nothing else happens.
    for i in 0..len {
        let byte = lua.wasm.bytes(at + i, 1)[0];
        lua.wasm.write(at + i, &[byte ^ 0x55]);
        assert_eq!(lua.status("em_load", &[at, len, at, 0, 2]), Status::Error);
        lua.wasm.write(at + i, &[byte]);
    }
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn output_is_captured_in_order_and_makes_a_run_pause() {
    let mut lua = Lua::new();
    let task = task(
        &mut lua,
        "print('a', 1) for i = 1, 3000 do print(('x'):rep(99)) end return 'end'",
    );
    assert_eq!(lua.run(task, MANY), Status::Slice);
    let (first, _) = lua.drain();
    assert!(first.starts_with(b"a\t1\nxxx"));
    assert!(
        first.len() > 64 << 10 && first.len() < 70 << 10,
        "{}",
        first.len()
    );
    assert_eq!(lua.mail(Mail::OutputLen), 0);
    let mut length = first.len();
    loop {
        let status = lua.run(task, MANY);
        let done = (status == Status::Done).then(|| lua.slots());
        length += lua.drain().0.len();
        if let Some(results) = done {
            assert_eq!(results, [Value::text("end")]);
            break;
        }
        assert_eq!(status, Status::Slice);
    }
    assert_eq!(length, 300_000 + "a\t1\n".len());
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn warnings_are_reported_beside_the_output() {
    let mut lua = Lua::new();
    lua.eval("warn '@on' print 'out' warn('care', 'ful') warn 'x'", &[]);
    lua.eval("io.stderr:write('to', ' it')", &[]);
    let expected = [
        (true, b"careful".to_vec()),
        (true, b"x".to_vec()),
        (false, b"to".to_vec()),
        (false, b" it".to_vec()),
    ];
    assert_eq!(lua.reports(), expected);
    assert_eq!(lua.drain().0, b"out\n");
    assert_eq!(lua.mail(Mail::ReportsLen), 0);
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn memory_has_a_cap() {
    let mut lua = Wasm::new().lua_with(f64::from(2 << 20));
    let greedy = "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end";
    for _ in 0..3 {
        let task = task(&mut lua, greedy);
        assert_eq!(lua.run(task, MANY), Status::Error);
        assert_eq!(text(&lua.slot(0)), "not enough memory");
        assert!(lua.call_with("em_stat", &[Val::I32(0)]) <= f64::from(2 << 20));
    }
    // What the host asks for is refused, and it may ask for less.
    assert_eq!(lua.call("em_string_new", &[4 << 20]), 0);
    assert_eq!(lua.mail(Mail::Status), Status::Memory as u32);
    assert_eq!(lua.message(), "not enough memory");
    let table = lua.call("em_table_new", &[0, 0]);
    let values = [Value::text("k"), Value::Text(vec![0; 3 << 20])];
    assert_eq!(
        lua.with_slots("em_raw_set", &values, &[table, 2]),
        Status::Memory
    );
    // An answer that does not fit leaves the task waiting.
    lua.set_global("ask", Value::Function(1));
    let task = task(&mut lua, "return pcall(ask)");
    assert_eq!(lua.run(task, 1), Status::HostCall);
    assert_eq!(lua.answer(task, Ok(&values)), Status::Memory);
    assert_eq!(lua.answer(task, Err(Value::text("too much"))), Status::Done);
    assert_eq!(lua.run(task, 1), Status::Done);
    assert_eq!(lua.slots(), [Value::Bool(false), Value::text("too much")]);
    // The cap can be lifted.
    lua.call_with("em_set_memory_max", &[Val::F64(0.0.into())]);
    assert_ne!(lua.call("em_string_new", &[4 << 20]), 0);
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn finalizers_run_at_the_end() {
    let mut lua = Lua::new();
    lua.eval(
        "for i = 1, 3 do
           _G['x' .. i] = setmetatable({}, { __gc = function() print(i) if i == 2 then error 'ignored' end end })
         end",
        &[],
    );
    let mut ended = Vec::new();
    loop {
        let task = lua.call("em_close", &[]);
        if task == 0 {
            break;
        }
        ended.push(lua.run(task, MANY));
    }
    // Those of io's files are among them.
    assert_eq!(ended[..3], [Status::Done, Status::Error, Status::Done]);
    assert!(ended[3..].iter().all(|status| *status == Status::Done));
    assert_eq!(lua.drain().0, b"3\n2\n1\n");
    assert_eq!(lua.call("em_engine_free", &[]), 1);
    assert_eq!(lua.call("em_engine_free", &[]), 0);
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn engines_are_independent_and_numbers_are_not_given_again_at_once() {
    let mut lua = Lua::new();
    lua.set_global("x", Value::Int(1));
    let first = lua.engine;
    let second = lua.wasm.call_with("em_engine_new", &[Val::F64(0.0.into())]) as u32;
    assert_ne!(first, second);
    let globals = lua.call("em_globals", &[]);
    // A handle of one engine means nothing in the other.
    assert_eq!(
        lua.wasm.call("em_raw_set", &[second, globals, 0]),
        Status::Misuse as u32
    );
    lua.wasm.call("em_engine_free", &[second]);
    let third = lua.wasm.call_with("em_engine_new", &[Val::F64(0.0.into())]) as u32;
    assert_ne!(second, third);
    assert_eq!(lua.wasm.call("em_mailbox", &[second]), 0);
    assert_eq!(
        lua.wasm.call("em_run", &[second, 1, 1]),
        Status::Misuse as u32
    );
    assert_eq!(
        lua.wasm
            .call_with("em_stat", &[Val::I32(second as i32), Val::I32(0)]),
        -1.0
    );
    assert_eq!(lua.eval("return x", &[]), [Value::Int(1)]);
}

#[test]
#[cfg_attr(not(module_is_built), ignore = "needs the modules of dist")]
fn random_numbers_repeat_until_they_are_seeded() {
    let draw = |seed: Option<(i64, i64)>| {
        let mut lua = Lua::new();
        if let Some((a, b)) = seed {
            lua.call_with("em_seed", &[Val::I64(a), Val::I64(b)]);
        }
        lua.eval("return math.random(0)", &[])
    };
    assert_eq!(draw(None), draw(None));
    assert_eq!(draw(Some((1, -2))), draw(Some((1, -2))));
    assert_ne!(draw(Some((1, -2))), draw(Some((1, -3))));
    assert_ne!(draw(Some((1, -2))), draw(None));
}
