-- Strings become numbers in arithmetic and numbers strings in concatenation (3.4.3), by exact rules.
print("10" + 5, "0x10" + 0, "1e1" + 0, " 7 " * 1, "3" // 1, "3.0" // 1) --> 15	16	10.0	7	3	3.0
print(10 .. 20, 1.5 .. "", -0.0 .. "", 2 ^ 53 .. "") --> 1020	1.5	-0.0	9.007199254741e+15
print(pcall(function() return "10" | 0 end)) -- not for bitwise operators
--> false	conversions.lua:4: attempt to perform bitwise operation on a string value (constant '10')
print(10.0 | 0, -0.0 | 0, 2 ^ 62 | 0) --> 10	0	4611686018427387904
print(pcall(function() return "3.5" | 0 end)) --> false	conversions.lua:7: attempt to perform bitwise operation on a string value (constant '3.5')
print(pcall(function() return "abc" + 1 end)) --> false	conversions.lua:8: attempt to add a 'string' with a 'number'
print(pcall(function() return {} .. "x" end)) --> false	conversions.lua:9: attempt to concatenate a table value
print(pcall(function() return 2 ^ 63 | 0 end)) --> false	conversions.lua:10: number has no integer representation
print(pcall(function() return 1.5 & 1 end)) --> false	conversions.lua:11: number has no integer representation
print("9223372036854775807" + 0, "9223372036854775808" + 0, "-9223372036854775808" + 0) --> 9223372036854775807	9.2233720368548e+18	-9223372036854775808
print(math.tointeger("8"), math.tointeger(8.0), math.tointeger(8.5), math.tointeger("x"), math.tointeger(2 ^ 63)) --> 8	8	nil	nil	nil
print(1 == 1.0, "1" == 1, 0 == -0.0, math.maxinteger + 0.0 == math.maxinteger) --> true	false	true	false
print(tostring(1e100), tostring(-1e-100), 1e308 * 10, -1e308 * 10) --> 1e+100	-1e-100	inf	-inf
print(string.format("%.0f %d", 3.0, 3.0), 3 | 0, 3.0 | 0) --> 3 3	3	3
