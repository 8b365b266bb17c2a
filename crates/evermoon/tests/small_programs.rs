//! Small programs that between them have every kind of object made, changed, collected and left behind by an error, in few steps: what
//! `cargo xtask miri` can afford to watch (a line of Lua takes it a second). Each asserts what it says.

use evermoon::heap::value::Value;
use evermoon::stdlib::{self, load};
use evermoon::vm::{Exit, Limits, Vm};

/// Runs a program in short slices, so that the loop is left and entered in the middle of things.
fn run(source: &str) {
    let mut vm = Vm::new(Limits {
        slice: 20,
        ..Limits::default()
    });
    stdlib::open(&mut vm).expect("the libraries open");
    let env = Value::table(vm.globals);
    let chunk = load::load(&mut vm, source.as_bytes(), b"=p", load::Mode::ANY, env);
    let function = chunk.expect("there is room").expect("it compiles");
    let task = vm.new_task(function, &[], None, false);
    let task = task.expect("there is room");
    loop {
        match vm.run_task(task, 1) {
            Some(Exit::Slice) => {}
            Some(Exit::Done) => break,
            exit => {
                let mut text = Vec::new();
                let error = vm.error;
                vm.display(error, &mut text);
                panic!("{exit:?}: {}", String::from_utf8_lossy(&text));
            }
        }
    }
}

#[test]
fn tables() {
    run("local t, n = {1, 2, 3, x = 'a', [2.5] = 'b'}, 0
         for i = 4, 20 do t[i] = i end
         for i = 1, 12 do t['k' .. i] = i end
         for i = 30, 26, -1 do t[i] = i end
         for k in pairs(t) do if k == 'k3' then t[k] = nil end n = n + 1 end
         assert(n == 39 and #t >= 20 and t.x .. t[2.5] == 'ab' and not t.k3)
         t.x, t.y = nil, 7
         local u = table.pack(table.unpack(t, 1, 9))
         table.insert(u, 1, 0) table.remove(u, 2) table.move(u, 1, 5, 3) u[9] = nil
         table.sort(u, function(a, b) return a > b end)
         assert(u[1] == 8 and rawlen(u) == 8)");
}

#[test]
fn strings() {
    run("local s = ''
         for i = 1, 12 do s = s .. i .. ',' end
         local long = s .. s .. s
         assert(#long > 80 and long == s:rep(3) and ({[long] = 1})[s .. s .. s] == 1)
         local n = long:gsub('%d+', function(d) return d * 2 end)
         assert(n:sub(1, 8) == '2,4,6,8,')
         local words = {}
         for w in ('one two three'):gmatch('%a+') do words[#words + 1] = w:upper() end
         assert(table.concat(words, '-') == 'ONE-TWO-THREE')
         assert(('%5.1f|%q|%s'):format(2.25, 'a\\n', nil):find('|nil', 1, true))
         assert(('>I4s1'):pack(7, 'x'):byte(4) == 7 and 'a' < 'b' and long > s)");
}

#[test]
fn upvalues() {
    run("local fs = {}
         for i = 1, 3 do local j = i fs[i] = function(d) j = j + d return i + j end end
         assert(fs[1](1) == 3 and fs[2](0) == 4 and fs[1](1) == 4)
         local function deep(n, f) local v = n
           local function g() v = v + 1 return f and f() or v end
           if n == 0 then return g end
           return deep(n - 1, g) end
         local g = deep(40) assert(g() == 41 and g() == 42)
         local a, b = 1, 2
         local function get() return a, b end
         local function other() return b end
         debug.setupvalue(get, 1, 10) assert(get() == 10)
         debug.upvaluejoin(get, 1, other, 1) b = 5
         assert(get() == 5)
         collectgarbage() assert(g() == 43 and fs[3](0) == 6)
         local again = load(string.dump(function(x) local y = x return function() y = y + 1 return y end end))
         assert(again(1)() == 2)");
}

#[test]
fn coroutines() {
    run("local up
         local co = coroutine.create(function(a, ...)
           local n = a up = function() n = n + 1 return n end
           for i = 1, 3 do n = n + coroutine.yield(n, ...) end
           error({n}) end)
         assert(select(3, coroutine.resume(co, 1, 'x')) == 'x')
         assert(up() == 2) coroutine.resume(co, 10) assert(up() == 13)
         collectgarbage()
         coroutine.resume(co, 0)
         local ok, e = coroutine.resume(co, 1)
         assert(not ok and e[1] == 14 and up() == 15 and coroutine.status(co) == 'dead')
         local closed
         local w = coroutine.create(function()
           local c <close> = setmetatable({}, {__close = function() closed = true end})
           pcall(table.sort, {3, 2, 1}, function(x, y) coroutine.yield() return x < y end) end)
         coroutine.resume(w) coroutine.resume(w)
         assert(coroutine.close(w) and closed)
         do local lost = coroutine.wrap(function() local v = 1 up = function() return v end coroutine.yield() end) lost() end
         collectgarbage() collectgarbage() assert(up() == 1)
         assert(coroutine.wrap(function() return pcall(pcall, error) end)())");
}

#[test]
fn metamethods() {
    run("local log = {}
         local mt = {__index = function(t, k) return k .. '!' end, __newindex = function(t, k, v) rawset(t, k, v + 1) end,
           __call = function(self, ...) return select('#', ...) end, __concat = function() return 'cat' end,
           __lt = function() return true end, __eq = function() return true end, __len = function() return 9 end,
           __add = function(a, b) return 'sum' end, __unm = function() return coroutine.yield() end}
         local a, b = setmetatable({}, mt), setmetatable({}, mt)
         a.x = 1 assert(a.x == 2 and a.y == 'y!' and a(1, 2, 3) == 3 and 'p' .. a .. 'q' == 'pcat')
         assert(a < b and a == b and #a == 9 and a + 1 == 'sum' and not (a > b) == false)
         local w = coroutine.wrap(function() return -a end) w() assert(w(5) == 5)
         local base = {f = function(self) return self.n end} base.__index = base
         local o = setmetatable({n = 4}, setmetatable({__index = base}, base))
         for i = 1, 3 do assert(o:f() == 4) end
         base.f = nil assert(not pcall(o.f))
         for k, v in pairs(setmetatable({}, {__pairs = function() return next, {7} end})) do assert(v == 7) end");
}

#[test]
fn finalizers_and_weak_tables() {
    run("local seen, back = 0
         local meta = {__gc = function(o) seen = seen + 1 back = o if o.n == 2 then error('lost') end end}
         local weak, keys = setmetatable({}, {__mode = 'v'}), setmetatable({}, {__mode = 'k'})
         for i = 1, 6 do
           local o = setmetatable({n = i}, meta)
           weak[i], weak['s' .. i], keys[o], keys[{}] = o, {}, {o}, i
           weak.kept, keys[weak] = keys, function() return o end
         end
         collectgarbage() collectgarbage()
         assert(seen == 5 and not weak[1] and not weak.s3 and weak.kept == keys and keys[weak]().n == 6)
         assert(weak[6].n == 6 and back.n == 1)
         collectgarbage('setpause', 100)
         for i = 1, 60 do local g = {i, {}, tostring(i):rep(30)} if i % 20 == 0 then collectgarbage('step', 1) end end
         collectgarbage('incremental') collectgarbage()
         print(string.format('%p', {}):len() > 2)");
}

#[test]
fn errors() {
    run("local order = {}
         local function closing(n) return setmetatable({}, {__close = function(_, e) order[#order + 1] = n if n == 2 then error('two', 0) end end}) end
         local ok, e = pcall(function()
           local a <close> = closing(1) local b <close> = closing(2) local c = 5
           order.up = function() c = c + 1 return c end
           local d <close> = closing(3) error('first') end)
         assert(not ok and e == 'two' and table.concat(order) == '321' and order.up() == 6)
         local ok, e = xpcall(function() local t = nil return t.x end, function(m) return debug.traceback(m, 1) end)
         assert(e:find(\"local 't'\", 1, true) and e:find('xpcall'))
         local n = 0
         debug.sethook(function() n = n + 1 end, 'crl') local x = math.abs(-1) debug.sethook()
         assert(n > 2 and not load('x = = 1'))");
}

/// More frames and slots than a coroutine begins with.
#[test]
fn deep_stacks() {
    run("local function f(n, ...) if n == 0 then return select('#', ...) end return (f(n - 1, n, ...)) end
         assert(f(25) == 25)
         local function g(n) local v = n local function h() return v end if n > 0 then g(n - 1) end return h() end
         assert(g(30) == 30 and coroutine.wrap(g)(20) == 20)
         assert(select('#', table.unpack({}, 1, 90)) == 90)");
}
