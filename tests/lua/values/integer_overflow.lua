-- Integers are 64 bits and wrap around (manual 3.4.1); floats are not integers even when they look so.
local max, min = math.maxinteger, math.mininteger
print(max, min) --> 9223372036854775807	-9223372036854775808
print(max + 1 == min, min - 1 == max, -min == min) --> true	true	true
print(max * 2, min * 2, max * max, min * min) --> -2	0	1	0
print(min // -1, min % -1) --> -9223372036854775808	0
print(max + 1.0, max + 1.0 == 2 ^ 63) --> 9.2233720368548e+18	true
print(max + 0.0 == max, math.type(max + 0.0)) --> false	float
print(5 // 0.0, -5 // 0.0, 0 / 0 ~= 0 / 0) --> inf	-inf	true
print(1e15, 1e16, 123456789012345678) --> 1e+15	1e+16	123456789012345678
print(9223372036854775807, 9223372036854775808, -9223372036854775808) --> 9223372036854775807	9.2233720368548e+18	-9.2233720368548e+18
print(0xffffffffffffffff, 0x7fffffffffffffff + 1, 0x1p4, 0xA.8p0) --> -1	-9223372036854775808	16.0	10.5
print(pcall(function() return 1 // 0 end)) --> false	integer_overflow.lua:13: attempt to divide by zero
print(pcall(function() return 1 % 0 end)) --> false	integer_overflow.lua:14: attempt to perform 'n%0'
