//! What a program sees of the collector must not depend on how its heap is laid out in pages, which differs from platform to platform.

use crate::heap::value::Value;
use crate::stdlib;
use crate::stdlib::load::{Mode, load};
use crate::vm::{Exit, Limits, Vm};

/// Finalizers that allocate, weak tables, printed strings, small and large garbage, steps asked for and steps that come.
const PROGRAM: &[u8] = br#"
local out = {}
local function note(what)
  out[#out + 1] = string.format("%s %.3f", what, collectgarbage("count"))
end
local meta = {__gc = function(object)
  note("end of " .. object.n)
  local junk = ("x"):rep(3000 + object.n % 7)
end}
local weak = setmetatable({}, {__mode = "v"})
for i = 1, 4000 do
  if i % 9 == 0 then setmetatable({n = i}, meta) end
  weak[i % 50] = {i}
  note(string.format("%p", "key" .. i % 700))
  if i % 501 == 0 then note(tostring(collectgarbage("step", i % 4))) end
  if i % 1100 == 0 then collectgarbage("stop") collectgarbage("restart") end
  if i % 20 == 0 then local large = ("y"):rep(20000 + i * 20) end
  if #out > 300 then out = {table.concat(out, "\n"):sub(-2000)} end
  local alive = 0
  for _ in pairs(weak) do alive = alive + 1 end
  note(alive)
  for k = 1, i % 100 do local garbage = {k, {}} end
end
return table.concat(out, "\n")
"#;

/// What the program returns when each slice of a sweep takes that part of the pages.
fn seen(sweep_share: usize) -> String {
    let mut vm = Vm::new(Limits::default());
    assert!(stdlib::open(&mut vm).is_ok());
    vm.heap.gc.sweep_share = sweep_share;
    let env = Value::table(vm.globals);
    let function = match load(&mut vm, PROGRAM, b"=p", Mode::ANY, env) {
        Ok(Ok(function)) => function,
        _ => panic!("the program compiles"),
    };
    let task = vm.new_task(function, &[], None, false);
    let task = task.expect("there is room");
    loop {
        match vm.run_task(task, 1) {
            Some(Exit::Slice) => {}
            Some(Exit::Done) => break,
            exit => panic!("the program ended with {exit:?}"),
        }
    }
    let cycles = vm.heap.cycles();
    assert!(cycles > 20, "{cycles} cycles show little");
    let text = vm.task_results()[0].as_str();
    let text = text.expect("it returns a text").to_text();
    format!("{cycles} cycles\n{text}")
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of thousands of objects")]
fn the_order_of_the_sweep_does_not_show() {
    let usual = seen(8);
    for share in [1, 3, 100, usize::MAX] {
        let other = seen(share);
        let differ = usual.lines().zip(other.lines()).find(|(a, b)| a != b);
        assert_eq!(differ, None, "a sweep in {share} slices");
    }
}
