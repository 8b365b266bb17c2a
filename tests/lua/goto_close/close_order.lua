-- To-be-closed variables are closed in reverse, with the error if there is one, however the block is left (3.3.8).
local function res(name)
  return setmetatable({}, { __close = function(_, e) io.write("close ", name, " ", tostring(e), "\n") end })
end
do
  local a <close> = res("a")
  local b <close> = res("b")
  local c <close>, d = nil, 1
  local e <close> = false
  print("body")
--> body
--> close b nil
--> close a nil
end
for i = 1, 2 do local x <close> = res("loop" .. i); if i == 2 then break end end
--> close loop1 nil
--> close loop2 nil
local function f() local r <close> = res("return"); return "value", "two" end
print(f())
--> close return nil
--> value	two
print(pcall(function() local r <close> = res("error"); error("oops", 0) end))
--> close error oops
--> false	oops
do
  local r <close> = res("goto")
  goto out
end
::out:: --> close goto nil
for k in (function() local n = 0; return function() n = n + 1; if n < 3 then return n end end end)(), nil, nil, res("for") do io.write(k, " ") end
--> 1 2 close for nil
print("after for") --> after for
for k in next, { 1 }, nil, res("break") do break end --> close break nil
local co = coroutine.wrap(function() local r <close> = res("yield"); coroutine.yield(1); return 2 end)
print(co(), co())
--> close yield nil
--> 1	2
print(pcall(function() local x <close> = 42 end)) --> false	close_order.lua:38: variable 'x' got a non-closable value
print(pcall(function() local bad <close> = {} end)) --> false	close_order.lua:39: variable 'bad' got a non-closable value
print(select(2, load("local x <close>, y <close> = 1, 2", "=src"))) --> src:1: multiple to-be-closed variables in local list
print(select(2, load("local x <const> = 1; x = 2", "=src"))) --> src:1: attempt to assign to const variable 'x'
print(select(2, load("local x <other> = 1", "=src"))) --> src:1: unknown attribute 'other'
print(select(2, load("local x <close> = nil; x = 1", "=src"))) --> src:1: attempt to assign to const variable 'x'
