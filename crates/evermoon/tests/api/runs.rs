//! Runs: events, several at a time, waiting in unusual places.

use evermoon::{Error, Event, Lua, MultiValue, Run, Value};

fn asking() -> Lua {
    let lua = Lua::new();
    lua.globals()
        .set("ask", lua.create_event_function("ask").unwrap())
        .unwrap();
    lua
}

fn start(lua: &Lua, source: &str) -> Run {
    let function = lua.load(source).set_name("=run").into_function().unwrap();
    lua.start(&function, ()).unwrap()
}

/// Answers every question with its argument's text in brackets.
fn drive(run: &mut Run) -> Result<MultiValue, Error> {
    loop {
        match run.resume()? {
            Event::HostCall(call) => {
                let text = call.args.get_or_nil(0).to_text()?;
                run.answer(call.id, format!("[{text}]"))?;
            }
            Event::Finished(values) => return Ok(values),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_host_answers_wherever_it_was_asked() {
    let lua = asking();
    let source = r#"
        local out = {}
        local function add(x) out[#out + 1] = x end
        add(ask(1))
        add(({ pcall(ask, 2) })[2])
        add(select(2, coroutine.resume(coroutine.create(function() return ask(3) end))))
        add((string.gsub("4", ".", ask)))
        add(setmetatable({}, { __index = function(_, k) return ask(k) end }).five)
        local order = { 3, 1, 2 }
        table.sort(order, function(a, b) ask("sort") return a < b end)
        add(table.concat(order))
        for x in ask, 6 do add(x) break end
        do local c <close> = setmetatable({}, { __close = function() add(ask("close")) end }) end
        add(tostring(setmetatable({}, { __tostring = ask and function() return ask("str") end })))
        add(load(function() local s = out.loaded out.loaded = true if not s then ask("load") return "return 8" end end)())
        return table.concat(out, " ")
    "#;
    let result = drive(&mut start(&lua, source)).unwrap();
    assert_eq!(
        result[0].as_str(),
        Some("[1] [2] [3] [4] [five] 123 [6] [close] [str] 8")
    );
}

#[test]
fn runs_interleave() {
    let lua = asking();
    let mut runs: Vec<Run> = (0..5)
        .map(|i| start(&lua, &format!("local s = '' for i = 1, 3 do s = s .. coroutine.wrap(function() return ask({i} * 10 + i) end)() end return s")))
        .collect();
    let mut calls = Vec::new();
    for run in &mut runs {
        let Event::HostCall(call) = run.resume().unwrap() else {
            panic!()
        };
        calls.push(call);
    }
    for _ in 0..3 {
        // Answered in the opposite order.
        for (run, call) in runs.iter_mut().zip(&mut calls).rev() {
            run.answer(call.id, call.args.get_or_nil(0)).unwrap();
            lua.load("collectgarbage()").exec().unwrap();
            match run.resume().unwrap() {
                Event::HostCall(next) => *call = next,
                Event::Finished(values) => {
                    let first = call.args[0].as_integer().unwrap() / 10;
                    let wanted: String = (1..=3).map(|i| (first * 10 + i).to_string()).collect();
                    assert_eq!(values[0].as_str(), Some(wanted.as_str()));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(runs.iter().all(Run::is_over));
}

#[test]
fn misuse_is_an_error_and_harmless() {
    let lua = asking();
    let mut run = start(&lua, "return ask('?')");
    assert!(run.answer(1, ()).is_err());
    let Event::HostCall(call) = run.resume().unwrap() else {
        panic!()
    };
    let error = run.resume().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "run is busy: it waits for host call {} ('ask'); answer or fail it first",
            call.id
        )
    );
    assert!(run.answer(call.id + 1, ()).is_err());
    assert!(run.resume_with(()).is_err());
    run.answer(call.id, 5).unwrap();
    assert!(matches!(run.resume().unwrap(), Event::Finished(v) if v[0] == Value::Integer(5)));
    assert!(run.resume().is_err());
    // A plain call cannot wait.
    let error = lua.load("ask()").exec().unwrap_err();
    assert!(error.to_string().contains("answers later"), "{error}");
}

#[test]
fn an_answer_may_be_an_error() {
    let lua = asking();
    let mut run = start(&lua, "local ok, e = pcall(ask) return ok, tostring(e)");
    let Event::HostCall(call) = run.resume().unwrap() else {
        panic!()
    };
    run.fail(call.id, Error::host("no network")).unwrap();
    let Event::Finished(values) = run.resume().unwrap() else {
        panic!()
    };
    assert_eq!(
        (values[0].clone(), values[1].as_str()),
        (Value::Boolean(false), Some("no network"))
    );
    let mut run = start(&lua, "\nask()");
    let Event::HostCall(call) = run.resume().unwrap() else {
        panic!()
    };
    run.fail(call.id, Error::runtime("refused")).unwrap();
    let error = run.resume().unwrap_err();
    assert_eq!(error.to_string(), "run:2: refused");
    assert!(error.traceback().is_some());
}

#[test]
fn runs_yield_to_the_host() {
    let lua = Lua::new();
    let mut run = start(
        &lua,
        "local a = coroutine.yield(1, 2) local b = coroutine.yield(a * 2) return b, coroutine.isyieldable()",
    );
    let Event::Yielded(values) = run.resume().unwrap() else {
        panic!()
    };
    assert_eq!(values.into_vec(), [Value::Integer(1), Value::Integer(2)]);
    let Event::Yielded(values) = run.resume_with(21).unwrap() else {
        panic!()
    };
    assert_eq!(values.into_vec(), [Value::Integer(42)]);
    let Event::Finished(values) = run.resume_with("end").unwrap() else {
        panic!()
    };
    assert_eq!(
        values.into_vec(),
        [Value::string("end"), Value::Boolean(true)]
    );
    let error = lua.load("coroutine.yield()").exec().unwrap_err();
    assert!(error.to_string().contains("outside a coroutine"), "{error}");
}

#[test]
fn a_run_out_of_fuel_goes_on_with_more() {
    let lua = Lua::new();
    let source = "local s = 0 for i = 1, 100000 do s = s + i end return s";
    let mut run = start(&lua, source);
    lua.set_fuel(Some(30_000));
    let mut stops = 0;
    let values = loop {
        match run.resume().unwrap() {
            Event::OutOfFuel => {
                stops += 1;
                lua.load("collectgarbage()").exec().ok();
                lua.set_fuel(Some(30_000));
            }
            Event::Finished(values) => break values,
            other => panic!("{other:?}"),
        }
    };
    assert!(stops >= 3);
    assert_eq!(values[0], Value::Integer(5_000_050_000));
}

#[test]
fn runs_may_be_dropped_at_any_time() {
    let lua = asking();
    for _ in 0..100 {
        let mut run = start(
            &lua,
            "local up = {} local f = function() return up end coroutine.wrap(function() ask(f) end)()",
        );
        run.resume().unwrap();
        drop(run);
    }
    lua.gc_collect().unwrap();
    lua.gc_collect().unwrap();
    assert!(lua.used_memory() < 2 << 20);
}

#[test]
fn lua_code_cannot_resume_what_the_host_drives() {
    let lua = asking();
    let mut run = start(&lua, "co = coroutine.running() ask() return 1");
    let Event::HostCall(call) = run.resume().unwrap() else {
        panic!()
    };
    let (ok, message): (bool, String) = lua.load("coroutine.resume(co)").eval().unwrap();
    assert!(!ok && message.contains("non-suspended"), "{message}");
    run.answer(call.id, ()).unwrap();
    assert!(matches!(run.resume().unwrap(), Event::Finished(_)));
    let (ok, message): (bool, String) = lua.load("coroutine.resume(co)").eval().unwrap();
    assert!(!ok && message.contains("dead"), "{message}");
}

#[test]
fn a_run_may_be_driven_inside_a_host_function() {
    let lua = asking();
    let nested = lua.create_function(|lua, n: i64| {
        let f = lua.load("return ask(...) .. '!'").into_function()?;
        let mut run = lua.start(&f, n)?;
        drive(&mut run)
    });
    lua.globals().set("nested", nested.unwrap()).unwrap();
    let mut run = start(
        &lua,
        "return coroutine.wrap(function() return nested(1) .. ask(2) .. nested(3) end)()",
    );
    assert_eq!(drive(&mut run).unwrap()[0].as_str(), Some("[1]![2][3]!"));
}

#[test]
fn threads_are_resumed_like_coroutines() {
    let lua = Lua::new();
    let f = lua
        .load("local a = ... local b = coroutine.yield(a + 1) error('at ' .. b)")
        .set_name("=t")
        .into_function()
        .unwrap();
    let thread = lua.create_thread(&f).unwrap();
    assert_eq!(thread.resume::<i64>(1).unwrap(), 2);
    let error = thread.resume::<i64>(9).unwrap_err();
    assert_eq!(error.to_string(), "t:1: at 9");
    assert_eq!(thread.status(), evermoon::ThreadStatus::Error);
}

#[test]
fn coroutines_of_a_program_that_is_put_aside_cannot_be_touched() {
    let lua = asking();
    // Of a run that waits, and inside a host function that its program calls.
    let mut run = start(
        &lua,
        "outer = coroutine.running() coroutine.wrap(function() inner = coroutine.running() return ask() end)() return 'end'",
    );
    let Event::HostCall(call) = run.resume().unwrap() else {
        panic!()
    };
    let touch = r#"
        for _, co in ipairs { outer, inner } do
            assert(coroutine.status(co) == "normal")
            local ok, e = coroutine.resume(co)
            assert(not ok and e == "cannot resume non-suspended coroutine")
            assert(not pcall(coroutine.close, co))
        end
    "#;
    lua.load(touch).exec().unwrap();
    let source = touch.to_owned();
    let nested = lua.create_function(move |lua, ()| lua.load(&source).exec());
    lua.globals().set("nested", nested.unwrap()).unwrap();
    lua.load(
        "outer = coroutine.running() coroutine.wrap(function() inner = coroutine.running() nested() end)()",
    )
    .exec()
    .unwrap();
    run.answer(call.id, ()).unwrap();
    assert!(matches!(run.resume().unwrap(), Event::Finished(v) if v[0].as_str() == Some("end")));
}

#[test]
fn a_coroutine_that_a_program_has_met_is_no_other_tasks_later() {
    let lua = Lua::new();
    let call = lua.create_function(|_, f: evermoon::Function| f.call::<Value>(()));
    lua.globals().set("call", call.unwrap()).unwrap();
    lua.load(
        r#"
        main = coroutine.running()
        call(function() first = coroutine.running() end)
        call(function() second, is_main = coroutine.running() end)
        assert(first ~= main and first ~= second and is_main)
        assert(coroutine.status(first) == "dead" and not coroutine.resume(first))
        -- Nobody has met this one.
        call(function() end)
        call(function() assert(coroutine.status(main) == "normal" and not coroutine.isyieldable()) end)
        "#,
    )
    .exec()
    .unwrap();
    // Calls from the host that are not inside each other are the main program.
    lua.load("assert(main == coroutine.running() and not coroutine.isyieldable(main))")
        .exec()
        .unwrap();
    let mut run = start(
        &lua,
        "assert(coroutine.status(main) == 'normal') return coroutine.running() ~= main, coroutine.isyieldable()",
    );
    let Event::Finished(values) = run.resume().unwrap() else {
        panic!()
    };
    assert_eq!(
        values.into_vec(),
        [Value::Boolean(true), Value::Boolean(true)]
    );
}

#[test]
fn what_a_dropped_run_shared_lives_on() {
    let lua = asking();
    let mut run = start(
        &lua,
        "local n = 1 function up() n = n + 1 return n end co = coroutine.create(function() local m = 10 function add() m = m + n return m end ask() end) coroutine.resume(co)",
    );
    run.resume().unwrap();
    drop(run);
    lua.gc_collect().unwrap();
    let (a, b, status): (i64, i64, String) = lua
        .load("return up(), add(), coroutine.status(co)")
        .eval()
        .unwrap();
    assert_eq!((a, b, status.as_str()), (2, 12, "dead"));
}

#[test]
fn a_run_dropped_in_a_finalizer_leaves_the_collector_going() {
    let lua = asking();
    let mut run = start(
        &lua,
        "setmetatable({}, { __gc = function() ask() end }) collectgarbage() return 'not asked'",
    );
    assert!(matches!(run.resume().unwrap(), Event::HostCall(_)));
    drop(run);
    lua.load("local done setmetatable({}, { __gc = function() done = true end }) collectgarbage() assert(done)")
        .exec()
        .unwrap();
}

#[test]
fn many_values_cross_a_yield() {
    let lua = Lua::new();
    let mut run = start(
        &lua,
        "local n = select('#', coroutine.yield(table.unpack({}, 1, 3000))) return n, select('#', coroutine.yield())",
    );
    assert!(matches!(run.resume().unwrap(), Event::Yielded(v) if v.len() == 3000));
    let values: MultiValue = (0..5000).map(Value::Integer).collect();
    assert!(matches!(run.resume_with(values).unwrap(), Event::Yielded(v) if v.is_empty()));
    let Event::Finished(values) = run.resume().unwrap() else {
        panic!()
    };
    assert_eq!(values.into_vec(), [Value::Integer(5000), Value::Integer(0)]);
}

#[test]
fn recursion_through_runs_has_a_limit() {
    let lua = Lua::new();
    let again = lua.create_function(|lua, f: evermoon::Function| {
        let mut run = lua.start(&f, ())?;
        match run.resume()? {
            Event::Finished(values) => Ok(values),
            other => panic!("{other:?}"),
        }
    });
    lua.globals().set("again", again.unwrap()).unwrap();
    let error = lua
        .load("local function f() return again(f) end f()")
        .exec()
        .unwrap_err();
    assert!(error.to_string().contains("C stack overflow"), "{error}");
}

#[test]
fn an_exit_closes_the_variables_of_every_program_on_its_way() {
    let lua = Lua::builder()
        .libraries(evermoon::StdLib::ALL)
        .build()
        .unwrap();
    let call = lua.create_function(|_, f: evermoon::Function| f.call::<Value>(()));
    lua.globals().set("call", call.unwrap()).unwrap();
    let source = r#"
        closed = ""
        local function closing(name) return setmetatable({}, { __close = function() closed = closed .. name end }) end
        local a <close> = closing "a"
        pcall(call, function()
            local b <close> = closing "b"
            coroutine.wrap(function() os.exit(3, true) end)()
        end)
    "#;
    let error = lua.load(source).exec().unwrap_err();
    assert!(
        matches!(
            error,
            Error::Exit {
                code: 3,
                close: true
            }
        ),
        "{error:?}"
    );
    let closed: String = lua.globals().get("closed").unwrap();
    assert_eq!(closed, "ba");
    let mut run = start(&lua, source);
    assert!(matches!(run.resume(), Err(Error::Exit { code: 3, .. })));
    let closed: String = lua.globals().get("closed").unwrap();
    assert_eq!(closed, "ba");
    assert_eq!(lua.load("1 + 1").eval::<i64>().unwrap(), 2);
}
