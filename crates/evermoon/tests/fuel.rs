//! Work without calls and loops of its own costs fuel too. Patterns: whatever backtracks for ever runs out of it, and what is given fuel
//! in small portions comes to the same result for the same fuel as in one go. Message handlers: each call of one is a call.

use evermoon::heap::value::Value;
use evermoon::stdlib;
use evermoon::vm::{Exit, Limits, Vm};

/// Runs a chunk with portions of fuel: what it returns or its error as text, the fuel used, and how many portions it took.
/// `None`: not done after `portions_max`.
fn run(source: &str, portion: u64, portions_max: u64) -> Option<(String, u64, u64)> {
    let mut vm = Vm::new(Limits::default());
    stdlib::open(&mut vm).expect("a fresh engine has room");
    let env = Value::table(vm.globals);
    let chunk = stdlib::load::load(
        &mut vm,
        source.as_bytes(),
        b"=test",
        stdlib::load::Mode::ANY,
        env,
    );
    let function = chunk.expect("there is room").expect("the source compiles");
    let before = vm.fuel_used();
    vm.set_fuel(Some(portion));
    let task = vm.new_task(function, &[], None, false);
    let task = task.expect("there is room");
    let mut portions = 1;
    let mut text = Vec::new();
    loop {
        match vm.run_task(task, 1) {
            Some(Exit::Slice) => {}
            Some(Exit::OutOfFuel) if portions == portions_max => return None,
            Some(Exit::OutOfFuel) => {
                portions += 1;
                vm.set_fuel(Some(portion));
            }
            Some(Exit::Done) => {
                for value in vm.task_results().to_vec() {
                    vm.display(value, &mut text);
                    text.push(b' ');
                }
                break;
            }
            Some(Exit::Failed) => {
                let error = vm.error;
                vm.display(error, &mut text);
                break;
            }
            exit => panic!("{exit:?}"),
        }
    }
    let used = vm.fuel_used() - before;
    Some((String::from_utf8_lossy(&text).into_owned(), used, portions))
}

#[test]
fn endless_patterns_run_out_of_fuel() {
    for source in [
        "return (('a'):rep(60)):find(('a*'):rep(30) .. 'b')",
        "return (('a'):rep(60)):match('^' .. ('a-'):rep(30) .. 'b')",
        "for w in (('a'):rep(60)):gmatch(('a?'):rep(60) .. '[b]') do end",
        "return (('a'):rep(60)):gsub(('(a*)'):rep(30) .. 'b', 'x')",
        "return (('x'):rep(100000)):gsub('.-y', 'z')",
    ] {
        assert_eq!(run(source, 100_000, 20), None, "{source}");
    }
}

#[test]
fn portions_make_no_difference() {
    for source in [
        "return (('a'):rep(40)):find('a*a*a*a*[^a]')",
        "return (('ab'):rep(30) .. '!'):match('^((a-b)*.-)(!)()$')",
        "local t = {} for a, p in (('key = value, '):rep(20)):gmatch('(%w+)%s-=%s-%w+()') do t[#t + 1] = a .. p end return #t, t[1], t[#t]",
        "return (('hello world '):rep(30)):gsub('(%w+) (%w+)', '%2 %1')",
        "return (('hello world '):rep(30)):gsub('%w+', {hello = 'bye', world = false})",
        "return (('hello world '):rep(30)):gsub('%w+', string.upper)",
        "return (('hello world '):rep(30)):gsub('o', function(s) local n = 0 for i = 1, 20 do n = n + i end return n end)",
        "return (('abc'):rep(30)):gsub('', '-', 50)",
        "return (('abc'):rep(30)):gsub('(a)(b)()', function(a, b, p) if p % 2 == 0 then return b .. p end end)",
        "return (('abc'):rep(30)):gsub('^a', 'x')",
        "return (('a'):rep(200)):find(('a?'):rep(250))",
        "return ('x'):rep(20):gsub('x*%f[%z]', '(%0)')",
    ] {
        let (text, fuel, _) = run(source, 1 << 40, 1).expect("ends");
        for portion in [1, 2, 3, 5, 17, 100] {
            let (again, fuel_again, portions) = run(source, portion, u64::MAX).expect("ends");
            assert_eq!(again, text, "{source} by {portion}");
            assert_eq!(fuel_again, fuel, "{source} by {portion}");
            // One item's scan may overdraw a portion.
            assert!(
                portions > fuel / portion / 8,
                "{source} by {portion}: {portions} portions of {fuel}"
            );
        }
    }
}

/// A handler that fails is called for its own error, some two hundred times in all.
#[test]
fn handlers_that_fail_take_fuel() {
    let source =
        "for i = 1, 100 do xpcall(error, function() local x = nil + 1 end) end return 'over'";
    let (text, used, _) = run(source, 1_000_000, 1).expect("enough fuel");
    assert_eq!(text, "over ");
    assert!(used > 100 * 200, "{used} for 100 times 200 calls");
    assert!(run(source, 1000, 1).is_none());
}

/// A loop that is nothing but its condition: each turn takes the same, whichever way the condition is found out.
#[test]
fn endless_conditions_run_out_of_fuel() {
    for condition in [
        "a == b",
        "t == b",
        "long == other",
        "long == ('y'):rep(100)",
        "not (t ~= b)",
        "b < a",
        "f < 1",
        "1.5 > a + 1",
        "t == nil",
        "t == 5",
        "t == 'text'",
        "nil",
        "not t",
        "b == 'other' and t",
        "e == e2",
        "e2 < e",
    ] {
        let source = format!(
            "local a, b, t, f = 'a', 'b', {{}}, 2.5
             if ({condition:?}):find('a +', 1, true) then a = 7 end
             local long, other = ('x'):rep(100), ('x'):rep(99) .. 'z'
             local mt = {{ __eq = function() end, __lt = function() end }}
             local e, e2 = setmetatable({{}}, mt), setmetatable({{}}, mt)
             repeat until {condition}"
        );
        let outcome = run(&source, 10_000, 10);
        assert!(outcome.is_none(), "until {condition}: {outcome:?}");
    }
}
