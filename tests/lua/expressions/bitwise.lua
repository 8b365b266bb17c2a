-- Bitwise operators on 64 bits; shifts beyond the width; floats and strings that are integers.
print(5 & 3, 5 | 3, 5 ~ 3, ~0, 1 << 63, 1 << 64, 1 << -1, -1 >> 1, -1 >> 63, -1 >> 64, 1 >> -63)
--> 1	7	6	-1	-9223372036854775808	0	0	9223372036854775807	1	0	-9223372036854775808
print(2.0 | 1, 1 << 62.0, -1 << 1, -1 // 2) --> 3	4611686018427387904	-2	-1
print(math.mininteger >> 63, math.mininteger << 1, 1 << math.maxinteger, 1 >> math.mininteger, 1 << math.mininteger) --> 1	0	0	0	0
print(string.format("%x", -1), string.format("%X", ~0xff), 0xff & -16) --> ffffffffffffffff	FFFFFFFFFFFFFF00	240
print(pcall(function() return 1.5 | 1 end)) --> false	bitwise.lua:7: number has no integer representation
print(pcall(function() return "1.5" | 1 end)) --> false	bitwise.lua:8: attempt to perform bitwise operation on a string value (constant '1.5')
print(pcall(function() return "a" | 1 end)) --> false	bitwise.lua:9: attempt to perform bitwise operation on a string value (constant 'a')
print(pcall(function() return {} | 1 end)) --> false	bitwise.lua:10: attempt to perform bitwise operation on a table value
print(pcall(function() return 1e20 << 1 end)) --> false	bitwise.lua:11: number has no integer representation
print(pcall(function() local a = {}; return a.b.c & 1 end)) --> false	bitwise.lua:12: attempt to index a nil value (field 'b')
print(pcall(function() local name = "x"; return name & 1 end))
--> false	bitwise.lua:13: attempt to perform bitwise operation on a string value (local 'name')
local mt = { __band = function(a, b) return "band" end, __shl = function() return "shl" end, __bnot = function() return "bnot" end }
local o = setmetatable({}, mt)
print(o & 1, 1 & o, o << 1, 1 << o, ~o) --> band	band	shl	shl	bnot
