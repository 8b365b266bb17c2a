-- string.dump and load: everything a function can contain comes back; upvalues come back fresh; strip drops debug.
local function round(f, strip) return assert(load(string.dump(f, strip), "dumped", "b")) end
print(round(function(...) return select("#", ...), ... end)(1, nil, 3)) --> 3	1	nil	3
print(round(function() return 1, -1, 1.5, "s", true, nil, 0x7fffffffffffffff, 1e308, #"a\0b", ("x"):rep(100) end)())
--> 1	-1	1.5	s	true	nil	9223372036854775807	1e+308	3	xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
local up = 5
local with_up = function() up = up + 1; return up end
local copy = round(with_up)
print(pcall(copy)) --> false	dump.lua:7: attempt to perform arithmetic on a table value (upvalue 'up')
debug.setupvalue(copy, 1, 10)
print(copy(), up) --> 11	5
print(round(function() local t = { 1, 2, x = { y = "z" } }; for i, v in ipairs(t) do t[i] = v * 2 end; return t[1], t[2], t.x.y end)()) --> 2	4	z
print(round(function(n) local function fact(k) return k <= 1 and 1 or k * fact(k - 1) end return fact(n) end)(20)) --> 2432902008176640000
print(round(function() goto l; do return 1 end ::l:: local x <close> = nil; return 2 end)()) --> 2
print(round(function() local co = coroutine.wrap(function(a) local b = coroutine.yield(a * 2); return b end); return co(1), co(2) end)()) --> 2	2
local g = load("return g_value", "=x")
g_value = "global"
print(round(g)()) --> global
local function fails() local t = nil; return t.x end
print(pcall(round(fails))) --> false	dump.lua:19: attempt to index a nil value (local 't')
print(pcall(round(fails, true))) --> false	?:-1: attempt to index a nil value
print(debug.getinfo(round(fails), "S").short_src, debug.getinfo(round(fails, true), "S").short_src, debug.getinfo(round(fails), "S").linedefined)
--> dump.lua	?	19
print(#string.dump(fails, true) < #string.dump(fails), string.dump(fails) == string.dump(fails), string.dump(round(fails)) == string.dump(fails))
--> true	true	true
print(pcall(string.dump, string.len)) --> false	unable to dump given function
print(pcall(string.dump)) --> false	bad argument #1 to 'string.dump' (function expected, got no value)
print((load("\27Lua garbage", "=bin"))) --> nil
local ok = 0
local code = string.dump(function(a) local t = { a, b = "c" }; for i = 1, 3 do t[i] = i end return t end)
for cut = 1, #code - 1 do if not load(code:sub(1, cut), "=cut", "b") then ok = ok + 1 end end
print(ok == #code - 1) --> true
