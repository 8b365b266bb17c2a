-- Errors are values of any type; levels add positions to strings only; nil too is an error.
print(pcall(error, "text")) --> false	text
print(pcall(error, "text", 0)) --> false	text
print(select(2, pcall(error, { code = 1 })).code) --> 1
print(select(2, pcall(error, 42)), math.type(select(2, pcall(error, 42)))) --> 42	integer
print(pcall(error)) --> false	nil
print(pcall(error, nil)) --> false	nil
print(select("#", pcall(error))) --> 2
print(pcall(error, true, 2), pcall(error, print) == false) --> false	true
local function f() error("level1") end
local function g() error("level2", 2) end
print(pcall(f)) --> false	error_values.lua:10: level1
print(pcall(function() g() end)) --> false	error_values.lua:13: level2
print(pcall(function() error(12, 1) end)) --> false	12
print(pcall(function() error("", 1) end)) --> false	error_values.lua:15: 
local obj = setmetatable({}, { __tostring = function() return "an object" end })
print(select(2, pcall(error, obj)) == obj, tostring(select(2, pcall(error, obj)))) --> true	an object
print(pcall(assert, false), pcall(assert, nil, "message"), pcall(assert, false, { 1 }) == false) --> false	false	true
print(pcall(assert)) --> false	bad argument #1 to 'assert' (value expected)
print(assert(1, 2, 3)) --> 1	2	3
print(select(2, pcall(assert, false, obj)) == obj) --> true
print(xpcall(error, function(e) return "handled " .. tostring(e) end, "E", 0)) --> false	handled E
print(xpcall(function(...) return select("#", ...), ... end, print, nil, 2, nil)) --> true	3	nil	2	nil
print(pcall(pcall)) --> false	bad argument #1 to 'pcall' (value expected)
print(pcall(xpcall, print)) --> false	bad argument #2 to 'xpcall' (function expected, got no value)
print(pcall(pcall, error, "inner")) --> true	false	inner
print(select(2, pcall(error, "x", 3))) --> x
