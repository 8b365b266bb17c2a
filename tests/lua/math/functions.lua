-- math: rounding to integers, fmod, modf, ult, type, abs, min and max, trigonometry's exact cases, and errors.
print(math.floor(3.7), math.floor(-3.7), math.ceil(3.2), math.ceil(-3.2), math.floor(5), math.floor(2 ^ 70), math.ceil(-0.5))
--> 3	-4	4	-3	5	1.1805916207174e+21	0
print(math.abs(-5), math.abs(-5.5), math.abs(math.mininteger), math.max(1, 2.5), math.min(3, 1, 2), math.max(1, 2), math.max(-0.0, 0))
--> 5	5.5	-9223372036854775808	2.5	1	2	-0.0
print(math.fmod(7, 3), math.fmod(-7, 3), math.fmod(7, -3), math.fmod(7.5, 2), math.fmod(-7.5, 2), math.fmod(1, math.huge), pcall(math.fmod, 1, 0))
--> 1	-1	1	1.5	-1.5	1.0	false	bad argument #2 to 'math.fmod' (zero)
print(math.fmod(math.mininteger, -1), math.fmod(5, 2.0), (math.fmod(1, 0.0) ~= math.fmod(1, 0.0))) --> 0	1.0	true
print(math.modf(3.7), math.modf(-3.7), math.modf(5), math.modf(math.huge), math.modf(-math.huge), math.modf(2 ^ 60))
--> 3	-3	5	inf	-inf	1152921504606846976	0.0
print(math.sqrt(16), math.sqrt(2), math.exp(0), math.log(1), math.log(8, 2), math.log(100, 10), math.log(27, 3), math.log(0), math.log(2, 4))
--> 4.0	1.4142135623731	1.0	0.0	3.0	2.0	3.0	-inf	0.5
print(math.sin(0), math.cos(0), math.tan(0), math.asin(1) == math.pi / 2, math.acos(1), math.atan(1) == math.pi / 4, math.atan(1, -1) == 3 * math.pi / 4, math.atan(0, -1) == math.pi, math.atan(-0.0, -1) == -math.pi)
--> 0.0	1.0	0.0	true	0.0	true	true	true	true
print(math.type(1), math.type(1.0), math.type("1"), pcall(math.type)) --> integer	float	nil	false	bad argument #1 to 'math.type' (value expected)
print(math.ult(1, -1), math.ult(-1, 1), math.ult(0, 0), math.tointeger(3.0), math.tointeger(3.5), math.tointeger("8"), math.tointeger({}))
--> true	false	false	3	nil	8	nil
print(math.pi, math.huge, -math.huge, math.maxinteger, math.mininteger, math.maxinteger // 1 | 0, math.pi - math.pi)
--> 3.1415926535898	inf	-inf	9223372036854775807	-9223372036854775808	9223372036854775807	0.0
print(2 ^ 0.5 == math.sqrt(2), 8 ^ (1 / 3), (-8) ^ 2, 0 ^ 0, (-1) ^ 0.5 ~= (-1) ^ 0.5, 2 ^ -1, 2 ^ 1024, 10 ^ 2) --> true	2.0	64.0	1.0	true	0.5	inf	100.0
print(1e308 + 1e308, -1e308 - 1e308, 0.0 == -0.0, 1 / 0.0, 1 / -0.0, 0.1 + 0.2 == 0.3, 100 // 1e-320) --> inf	-inf	true	inf	-inf	false	inf
print(7 // 2, -7 // 2, 7 // -2, 7.0 // 2, -7 // 2.0, 7 % 3, -7 % 3, 7 % -3, -7 % -3, 7.5 % 2, -7.5 % 2, 7 % 2.5)
--> 3	-4	-4	3.0	-4.0	1	2	-2	-1	1.5	0.5	2.0
print(5 % math.huge, -5 % math.huge, 5 % -math.huge, 0 % 5, -0.0 % 5, 1e15 % 7, 2 ^ 53 % 3) --> 5.0	inf	-inf	0	-0.0	6.0	2.0
print(pcall(math.floor, "x"), pcall(math.floor, "3.7")) --> false	true	3
print(pcall(math.random, 2, 1)) --> false	bad argument #1 to 'math.random' (interval is empty)
print(pcall(math.random, 0.5)) --> false	bad argument #1 to 'math.random' (number has no integer representation)
