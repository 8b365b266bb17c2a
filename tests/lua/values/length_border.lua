-- `#` of a sequence is exact; constructors, holes at the end, removal from the end.
print(#{}, #{ 1, 2, 3 }, #{ 1, 2, nil }, #{ n = 1 }, #"", #"a\0b") --> 0	3	2	0	0	3
local t = {}
for i = 1, 100 do t[i] = i end
print(#t) --> 100
for i = 100, 51, -1 do t[i] = nil end
print(#t) --> 50
t[51] = 1
print(#t, #{ (function() return 1, 2, 3 end)() }, #{ (function() return 1, 2, 3 end)(), 10 }) --> 51	3	2
print(select("#", table.unpack({ 1, nil, 3, n = 3 }, 1, 3)), #table.pack(), table.pack(nil, nil).n) --> 3	0	2
local grown = {}
for i = 10, 1, -1 do grown[i] = i end
print(#grown) --> 10
print(#setmetatable({}, { __len = function() return "any" end }), rawlen({ 1, 2 }), rawlen("abc")) --> any	2	3
print(pcall(function() return #5 end)) --> false	length_border.lua:15: attempt to get length of a number value
print(pcall(function() local x; return #x end)) --> false	length_border.lua:16: attempt to get length of a nil value (local 'x')
print(pcall(rawlen, 5)) --> false	bad argument #1 to 'rawlen' (table or string expected, got number)
