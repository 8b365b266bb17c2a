//! Host functions that answer later. Several programs run side by side on one thread; each asks the host for something and goes on when the
//! answer is there, in whatever order answers come. Lua code sees plain calls, and may make them anywhere: here inside a sort and a coroutine.

use evermoon::{Event, HostCall, Lua, Result, Run};

const PROGRAM: &str = r#"
    local who = ...
    local cities = { "Oslo", "Rome", "Cairo" }
    -- A question for every comparison: the sort waits in the middle.
    table.sort(cities, function(a, b) return temperature(a) < temperature(b) end)
    local each = coroutine.wrap(function() for _, city in ipairs(cities) do coroutine.yield(city, temperature(city)) end end)
    local out = {}
    for city, degrees in each do out[#out + 1] = city .. " " .. degrees end
    return who .. ": " .. table.concat(out, ", ")
"#;

fn main() -> Result<()> {
    let lua = Lua::new();
    lua.globals()
        .set("temperature", lua.create_event_function("temperature")?)?;
    let program = lua.load(PROGRAM).set_name("@program.lua").into_function()?;

    let mut runs: Vec<Run> = ["Ada", "Grace", "Edsger"]
        .iter()
        .map(|who| lua.start(&program, *who))
        .collect::<Result<_>>()?;
    // Questions that are on their way: which run, and what it asked.
    let mut open: Vec<(usize, HostCall)> = Vec::new();
    for i in 0..runs.len() {
        advance(&mut runs, i, &mut open)?;
    }
    let mut answered = 0;
    // The newest question is answered first, as if the network had its own ideas.
    while let Some((i, call)) = open.pop() {
        let degrees = match call.args.get_or_nil(0).as_str() {
            Some("Oslo") => -3,
            Some("Rome") => 14,
            _ => 25,
        };
        answered += 1;
        runs[i].answer(call.id, degrees)?;
        advance(&mut runs, i, &mut open)?;
    }
    println!("{answered} questions answered");
    Ok(())
}

/// Lets a run go on until its next question.
fn advance(runs: &mut [Run], i: usize, open: &mut Vec<(usize, HostCall)>) -> Result<()> {
    match runs[i].resume()? {
        Event::HostCall(call) => open.insert(0, (i, call)),
        Event::Finished(results) => println!("{}", results.get_or_nil(0).to_text()?),
        Event::Yielded(_) | Event::OutOfFuel => {
            unreachable!("these programs neither yield nor have a limit")
        }
    }
    Ok(())
}
