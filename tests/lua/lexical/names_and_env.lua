-- Names, reserved words as fields, _ENV as an upvalue, a local, a parameter; load's environment.
local t = { ["end"] = 1, ["while"] = 2, and_ = 3 }
print(t["end"], t["while"], t.and_, _G._G == _G, _ENV == _G) --> 1	2	3	true	true
print(load("x = 5; return x", "c", "t", {})(), rawget(_G, "x")) --> 5	nil
local function sandbox(_ENV) y = 10; return y end
local env = {}
print(sandbox(env), env.y, rawget(_G, "y")) --> 10	10	nil
do
  local print, _ENV = print, setmetatable({}, { __index = function(_, k) return "<" .. k .. ">" end })
  print(anything, print == nil) --> <anything>	false
  z = 1
  print(z) --> 1
end
local f = load("local a = ...; return a, _ENV", "c", "t", "not a table")
print(f(1)) --> 1	not a table
print(pcall(load("return x", "=c", "t", nil))) --> false	c:1: attempt to index a nil value (upvalue '_ENV')
local getters = {}
for i = 1, 2 do local _ENV = { i = i }; getters[i] = function() return i end end
print(getters[1](), getters[2]()) --> 1	2
_G.global_set = 1
print(global_set, _ENV["global_set"]) --> 1	1
local _ENV <const> = { print = print }
print(_ENV.print == print) --> true
goto_label = 1
print(goto_label) --> 1
