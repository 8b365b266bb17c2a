-- __eq, __lt, __le: when they are asked, with what, and that results become booleans; no __le from __lt (5.4).
local log = {}
local mt = {
  __eq = function(a, b) log[#log + 1] = "eq"; return a.v == b.v end,
  __lt = function(a, b) log[#log + 1] = "lt"; return (type(a) == "table" and a.v or a) < (type(b) == "table" and b.v or b) end,
  __le = function(a, b) log[#log + 1] = "le"; return "truthy" end,
}
local function new(v) return setmetatable({ v = v }, mt) end
local a, b, c = new(1), new(2), new(1)
print(a == b, a == c, a ~= c, a == a, rawequal(a, c), a == 1, a == "x") --> false	true	false	true	false	false	false
print(a < b, a > b, a <= b, a >= b, a < 5, 5 < a, not (a < b)) --> true	false	true	true	true	false	false
print(table.concat(log, " ")) --> eq eq eq lt lt le le lt lt lt
local plain = setmetatable({ v = 1 }, {})
print(a == plain, plain == a) --> true	true
local only_lt = setmetatable({}, { __lt = function() return 1 end })
print(only_lt < only_lt, pcall(function() return only_lt <= only_lt end)) --> true	true	false
print(pcall(function() return {} <= only_lt end)) --> true	false
print(pcall(function() return a < print end)) --> false	comparison_events.lua:5: attempt to compare number with function
local neq = setmetatable({}, { __eq = function() return nil end })
print(neq == setmetatable({}, getmetatable(neq)), neq == neq) --> false	true
local t = { new(3), new(1), new(2) }
table.sort(t)
print(t[1].v, t[2].v, t[3].v, math.max == math.max) --> 1	2	3	true
print(#log > 8) --> true
