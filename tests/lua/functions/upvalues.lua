-- Upvalues are variables, not values: shared, separate per iteration, surviving their block, closed by goto and break.
local function pair() local v = 0; return function() v = v + 1; return v end, function() return v end end
local inc, get = pair()
inc(); inc()
print(get(), (pair())()) --> 2	1
local fns = {}
for i = 1, 3 do local j = i * 10; fns[i] = { get = function() return i + j end, set = function(v) j = v end } end
fns[2].set(100)
print(fns[1].get(), fns[2].get(), fns[3].get()) --> 11	102	33
local list = {}
do
  local i = 1
  while i <= 3 do local k = i; list[i] = function() k = k + i; return k end; i = i + 1 end
end
print(list[1](), list[2](), list[3](), list[1]()) --> 5	6	7	9
local function deep() local a = 1; return function() local b = 2; return function() local c = 3; return function() a = a + b + c; return a end end end end
local d = deep()()()
print(d(), d()) --> 6	11
local f
do local x = 1; f = function() return x end; x = 2 end
print(f()) --> 2
local function rec(n) local function r() return n end; if n == 0 then return { r } end; local t = rec(n - 1); t[#t + 1] = r; return t end
local rs = rec(3)
print(rs[1](), rs[2](), rs[4]()) --> 0	1	3
local co = coroutine.wrap(function() local n = 5; coroutine.yield(function() n = n + 1; return n end); coroutine.yield(n) end)
local g = co()
g(); g()
print(co()) --> 7
print((function() local x <const> = 10; return function() return x end end)()()) --> 10
local function arg_upvalue(a) return function() a = (a or 0) + 1; return a end end
local p, q = arg_upvalue(1), arg_upvalue()
print(p(), p(), q(), q()) --> 2	3	1	2
