//! A store that answers later: the programs of `tests/worlds` over one that makes them wait for everything.

use super::disturbed::{Disturbance, Program, run};
use super::engine::{Ended, Engine};

fn finish(e: &mut Engine, source: &str) {
    let task = e.start(source.as_bytes(), "late.lua").expect("it compiles");
    for _ in 0..1_000_000 {
        if let Some(ended) = e.step(task) {
            assert_eq!(ended, Ended::Done);
            return;
        }
    }
    panic!("it does not end");
}

/// The same world in a new engine.
fn opened_again(e: Engine, late: bool) -> Engine {
    if late {
        e.over_a_late_store()
    } else {
        e.reopen()
    }
}

fn output(e: &Engine) -> String {
    String::from_utf8_lossy(&e.output.borrow()).into_owned()
}

fn printed(late: bool) -> String {
    let mut e = Engine::new(1_000);
    finish(&mut e, "_home = ext.table()");
    // (The host here has no temporary files.)
    let begin = include_str!("../../../../tests/worlds/begin.lua");
    let begin = begin.replace(
        "closed_file = io.tmpfile() closed_file:close()",
        "closed_file = io.stdout",
    );
    finish(&mut e, &begin);
    e.commit().expect("it is stored");
    e = opened_again(e, late);
    finish(&mut e, "may_end = true");
    finish(&mut e, include_str!("../../../../tests/worlds/go_on.lua"));
    e.commit().expect("it is stored");
    output(&e)
}

#[test]
fn a_late_store_is_not_noticed() {
    let (late, prompt) = (printed(true), printed(false));
    for (late, prompt) in late.lines().zip(prompt.lines()) {
        assert_eq!(late, prompt);
    }
    assert_eq!(late.len(), prompt.len());
}

/// A cycle that nobody has asked for sees the whole of a small world in which the program can tell: over such a store as well, and at the
/// same place. (The official suite's gc.lua waits for such cycles.)
#[test]
fn implicit_collections_wait_for_a_late_store() {
    let printed = |late: bool| {
        let mut e = Engine::new(1_000);
        finish(
            &mut e,
            "kept = {} for i = 1, 2000 do kept[i] = { { i } } end
             weak = setmetatable({ { 'gone' } }, { __mode = 'v' })
             last = setmetatable({}, { __gc = function() finalized = true end })",
        );
        e.commit().expect("it is stored");
        e = opened_again(e, late);
        finish(
            &mut e,
            "last = nil
             local n = 0
             repeat local a = { n } n = n + 1 until finalized
             print('tables', n, weak[1] == nil)
             finalized = false
             setmetatable({}, { __gc = function() finalized = true end })
             n = 0
             repeat local a = string.format('%d', n) .. n n = n + 1 until finalized
             print('strings', n, kept[2000][1][1])",
        );
        output(&e)
    };
    let prompt = printed(false);
    assert!(prompt.contains("tables"), "{prompt}");
    assert_eq!(printed(true), prompt);
}

/// The message handler of an `xpcall` is there when it is needed, however deep the error: an error on its way cannot wait for a store. (The
/// official suite's cstack.lua.)
#[test]
fn message_handlers_do_not_wait_for_a_late_store() {
    let mut e = Engine::new(1_000).over_a_late_store();
    let source = "
        local count = 0
        local function nest(n)
            if n > 0 then return nest(n - 1) + 1 end
            coroutine.wrap(function() count = count + 1 nest(100) end)()
        end
        print(xpcall(nest, function(m) return 'handled: ' .. m end, 100))
        print(count)";
    let task = e.start(source.as_bytes(), "late.lua").expect("it compiles");
    let mut slices = 0;
    let ended = loop {
        if let Some(ended) = e.step(task) {
            break ended;
        }
        slices += 1;
        e.commit().expect("it is stored");
        e.vm.world_evict();
        if slices % 20 == 0 {
            e = e.over_a_late_store();
        }
    };
    assert_eq!(ended, Ended::Done);
    let out = output(&e);
    assert!(out.starts_with("false\thandled: "), "{out}");
    assert!(out.ends_with("\n195\n"), "{out}");
    assert!(slices > 10, "{slices} slices show little");
}

/// A function whose variable is in the stack of a suspended coroutine brings the coroutine, however often the store makes it wait: between two answers
/// nothing must be left of the variable, or nobody would ask for the coroutine again.
#[test]
fn variables_in_stacks_wait_for_a_late_store() {
    let printed = |late: bool| {
        let mut e = Engine::new(1_000);
        finish(
            &mut e,
            "function suspended(n)
                local up, down
                local co = coroutine.create(function()
                    up = function() n = n + 1 return n end
                    local m = n
                    down = function() m, n = m - 1, n - 1 return m, n end
                    coroutine.yield()
                    return m, n
                end)
                coroutine.resume(co)
                return co, up, down
            end
            co1, up1, down1 = suspended(10)
            co2, up2, down2 = coroutine.wrap(function() return suspended(20) end)()
            co3 = coroutine.create(function() local co, up, down = suspended(30) f3 = down coroutine.yield(up) return coroutine.resume(co) end)
            select(2, coroutine.resume(co3))",
        );
        e.commit().expect("it is stored");
        e = opened_again(e, late);
        finish(
            &mut e,
            "print(pcall(up1)) print(down1()) print(coroutine.resume(co1)) print(up1())
             print(coroutine.resume(co2)) print(down2()) print(up2())
             print(pcall(f3)) print(coroutine.resume(co3)) print(f3())",
        );
        output(&e)
    };
    let prompt = printed(false);
    assert!(
        prompt.starts_with("true\t11\n9\t10\ntrue\t9\t10\n"),
        "{prompt}"
    );
    assert_eq!(printed(true), prompt);
}

/// Finalizers that are due wait for the store, too: their objects, and the functions that are to be called. None is left out, none runs twice.
#[test]
fn finalizers_wait_for_a_late_store() {
    let program = Program::new(
        "late.lua",
        "local log = {}
         local function note(n) log[#log + 1] = n end
         local callable = setmetatable({}, { __call = function(_, o) for i = 1, 3 do note(o.n) end end })
         local function finalized(n)
             return setmetatable({ n = n }, { __gc = n % 2 == 0 and callable or function() for i = 1, 3 do note(n) end end })
         end
         for i = 1, 3 do
             local a, b, c = finalized(1), finalized(2), finalized(3)
             a, b, c = nil
             collectgarbage()
             for j = 1, 50 do local t = {} end
             print(table.concat(log, ' '))
         end",
    );
    let undisturbed = run(&program, None);
    assert_eq!(undisturbed.ended, Ended::Done);
    for slice in [1, 3, 7, 20] {
        let how = Disturbance {
            slice,
            evict: true,
            reopen: 1,
            late: true,
        };
        assert_eq!(
            undisturbed.difference(&run(&program, Some(how))),
            "",
            "{how:?}"
        );
    }
}
