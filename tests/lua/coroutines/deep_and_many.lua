-- watches: collector
-- Many coroutines at once, coroutines in coroutines, errors across levels, collected while suspended.
local list = {}
for i = 1, 10000 do list[i] = coroutine.wrap(function(a) local b = coroutine.yield(a + i); return a + b + i end) end
local sum = 0
for i = 1, #list do sum = sum + list[i](1) end
for i = 1, #list do sum = sum + list[i](2) end
print(sum) --> 100050000
local function nest(n) if n == 0 then return "bottom" end return coroutine.wrap(function() return nest(n - 1) end)() end
print(nest(100)) --> bottom
local function chain(n) return coroutine.wrap(function() if n > 0 then local inner = chain(n - 1); while true do local v = inner(); if not v then return end; coroutine.yield(v + 1) end else coroutine.yield(1); coroutine.yield(2) end end) end
local c = chain(50)
print(c(), c(), c()) --> 51	52
local function thrower(n) return coroutine.wrap(function() if n == 0 then error("deep", 0) end; thrower(n - 1)() end) end
print(pcall(thrower(20)))
--> false	deep_and_many.lua:14: deep_and_many.lua:14: deep_and_many.lua:14: deep_and_many.lua:14: deep_and_many.lua:14: deep_and_many.lua:14: deep_and_many.lua:14: deep_and_many.lua:14: deep_and_many.lua:14: deep_and_many.lua:14: deep_and_many.lua:14: deep_and_many.lua:14: deep_and_many.lua:14: deep_and_many.lua:14: deep_and_many.lua:14: deep_and_many.lua:14: deep_and_many.lua:14: deep_and_many.lua:14: deep_and_many.lua:14: deep_and_many.lua:14: deep
local ok, msg = pcall(function() local function rec() return coroutine.wrap(rec)() end return rec() end)
print(ok, msg:match("overflow")) --> false	overflow
local abandoned = setmetatable({}, { __mode = "k" })
for _ = 1, 200 do local co = coroutine.create(function() coroutine.yield() end); coroutine.resume(co); abandoned[co] = true end
collectgarbage()
print(next(abandoned)) --> nil
local co = coroutine.wrap(function() local t = {}; for i = 1, 200 do t[i] = i end; coroutine.yield(#t); return select("#", table.unpack(t)) end)
print(co(), co()) --> 200	200
