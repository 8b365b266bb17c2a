-- __index and __newindex: tables and functions, chains, raw access, and where an assignment lands (2.4).
local base = { shared = "base" }
local mid = setmetatable({}, { __index = base })
local top = setmetatable({ own = "top" }, { __index = mid })
print(top.own, top.shared, top.missing, rawget(top, "shared")) --> top	base	nil	nil
base.late = 1
print(top.late) --> 1
local log = {}
local logged = setmetatable({}, {
  __index = function(t, k) log[#log + 1] = "get " .. tostring(k); return k == "x" and 1 or nil end,
  __newindex = function(t, k, v) log[#log + 1] = "set " .. tostring(k); rawset(t, k, v) end,
})
logged.a = logged.x
logged.a = 5
logged.b = logged.nothing
logged.b = 2
print(table.concat(log, ", "), logged.a, logged.b) --> get x, set a, get nothing, set b, set b	5	2
local store = {}
local proxy = setmetatable({}, { __index = store, __newindex = store })
proxy.k = "v"
print(rawget(proxy, "k"), store.k, proxy.k) --> nil	v	v
local existing = setmetatable({ k = 1 }, { __newindex = function() error("not called") end })
existing.k = 2
print(existing.k, pcall(function() existing.new = 1 end)) --> 2	false	index_chains.lua:22: not called
print(("x").len == string.len, ("abc"):upper(), #("abc"):rep(2)) --> true	ABC	6
local s = setmetatable({}, { __index = function(t, i) return i end })
print(s[1], s.name, s[1.5], s[true]) --> 1	name	1.5	true
print(pcall(function() local t = setmetatable({}, { __index = 5 }); return t.x end)) --> false	index_chains.lua:28: attempt to index a number value
print(pcall(function() local t = setmetatable({}, { __newindex = "s" }); t.x = 1 end)) --> false	index_chains.lua:29: attempt to index a string value
print(pcall(setmetatable, {}, 5)) --> false	bad argument #2 to 'setmetatable' (nil or table expected, got number)
print(pcall(setmetatable, 5, {})) --> false	bad argument #1 to 'setmetatable' (table expected, got number)
print(getmetatable("").__index == string, getmetatable({}), getmetatable(5)) --> true	nil	nil
local deep = {}
for i = 1, 150 do deep = setmetatable({}, { __index = deep }) end
print(deep.x) --> nil
local loop = {}
setmetatable(loop, { __index = loop })
print(pcall(function() return loop.x end)) --> false	index_chains.lua:38: '__index' chain too long; possible loop
local loop2 = setmetatable({}, {})
getmetatable(loop2).__newindex = loop2
print(pcall(function() loop2.x = 1 end)) --> false	index_chains.lua:41: '__newindex' chain too long; possible loop
