-- __call: extra first argument, chains of callables, in tail calls, methods, iterators, pcall and sort.
local callable = setmetatable({}, { __call = function(self, ...) return select("#", ...), ... end })
print(callable(), callable(1, nil, 3)) --> 0	3	1	nil	3
print(pcall(callable, "x")) --> true	1	x
local twice = setmetatable({}, { __call = callable })
print(twice("arg") == 2) --> true
local function tail(...) return callable(...) end
print(tail("a", "b")) --> 2	a	b
local obj = { method = callable }
print(obj:method("z") == 2, obj.method("z")) --> true	1	z
local counter = setmetatable({ n = 0 }, { __call = function(self) self.n = self.n + 1; if self.n <= 2 then return self.n end end })
for i in counter do io.write(i, " ") end
print() --> 1 2 
print(pcall(function() local notf = 5; notf() end)) --> false	call_and_tail.lua:14: attempt to call a number value (local 'notf')
print(pcall(function() local t = {}; t.x.y() end)) --> false	call_and_tail.lua:15: attempt to index a nil value (field 'x')
print(pcall(function() local t = {}; t:nomethod() end)) --> false	call_and_tail.lua:16: attempt to call a nil value (method 'nomethod')
print(pcall(function() undefinedglobal() end)) --> false	call_and_tail.lua:17: attempt to call a nil value (global 'undefinedglobal')
print(pcall(function() (1)() end)) --> false	call_and_tail.lua:18: attempt to call a number value
print(pcall(function() ("x")() end)) --> false	call_and_tail.lua:19: attempt to call a string value (constant 'x')
print(pcall(function() return setmetatable({}, { __call = 5 })() end)) --> false	call_and_tail.lua:20: attempt to call a number value
print(coroutine.wrap(function(...) return callable(...) end)("co")) --> 1	co
print(select(2, xpcall(callable, print, 1))) --> 1	1
local list = { 3, 1, 2 }
table.sort(list, setmetatable({}, { __call = function(_, a, b) return a > b end }) and function(a, b) return a > b end)
print(table.concat(list, " "), string.gsub("abc", "%w", setmetatable({}, { __index = function(_, k) return k:upper() end }))) --> 3 2 1	ABC	3
