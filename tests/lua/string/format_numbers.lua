-- string.format with numbers: every conversion, flags, widths, precisions, and the edges.
local f = string.format
print(f("%d|%5d|%-5d|%05d|%+d|% d|%i", 42, 42, 42, 42, 42, 42, -7)) --> 42|   42|42   |00042|+42| 42|-7
print(f("%c%c%c|%o|%x|%X|%#x|%#X|%#o|%#x", 76, 117, 97, 64, 255, 255, 255, 255, 8, 0)) --> Lua|100|ff|FF|0xff|0XFF|010|0
print(f("%.3d|%8.3d|%-8.3d|%.0d|%+.2d|%3d", 5, 5, 5, 0, 5, 12345)) --> 005|     005|005     ||+05|12345
print(f("%d %d %d", math.maxinteger, math.mininteger, 3.0), f("%x %o", -1, -1))
--> 9223372036854775807 -9223372036854775808 3	ffffffffffffffff 1777777777777777777777
print(f("%f|%.2f|%10.3f|%-10.1f|%+.1f|%010.2f|%.0f|%#.0f", 1.5, 1.555, 3.14159, 2.25, 2.25, -3.14159, 2.5, 2.5))
--> 1.500000|1.55|     3.142|2.2       |+2.2|-000003.14|2|2.
print(f("%e|%.2e|%E|%.0e|%12.1e|%#.0e", 12345.678, 12345.678, 0.00012, 15000, 1e100, 1)) --> 1.234568e+04|1.23e+04|1.200000E-04|2e+04|    1.0e+100|1.e+00
print(f("%g|%g|%g|%g|%g|%.3g|%#g|%G|%g", 100000, 1000000, 1e-4, 1e-5, 0.1, 1234.5, 1, 1e-10, 1e15))
--> 100000|1e+06|0.0001|1e-05|0.1|1.23e+03|1.00000|1E-10|1e+15
print(f("%a|%.0a|%.3a|%A|%a|%a|%20a|", 1, 1.5, 3.14159, 255.5, 0, -0.5, 1.25)) --> 0x1p+0|0x2p+0|0x1.922p+1|0X1.FFP+7|0x0p+0|-0x1p-1|            0x1.4p+0|
print(f("%f %g %e %a", math.huge, -math.huge, math.huge, -math.huge), f("%.1f %5.1f|%-8g|%08g|", -math.huge, math.huge, math.huge, math.huge))
--> inf -inf inf -inf	-inf   inf|inf     |     inf|
print((f("%f", 0 / 0):gsub("-", "")), (f("%5.1g|", 0 / 0):gsub("[- ]", ""))) --> nan	nan|
print(f("%.14g %.17g %.20f", 0.1, 0.1, 0.1), f("%.99f", 1 / 3):sub(1, 30), #f("%.99f", 1e15))
--> 0.1 0.10000000000000001 0.10000000000000000555	0.3333333333333333148296162562	116
print(f("%5s|%-5s|%.2s|%5.1s|%s", "ab", "ab", "abc", "xyz", 12), f("%s %s %s", nil, true, 1.0)) -->    ab|ab   |ab|    x|12	nil true 1.0
print(f("%.3f %.0f %.0f %.0f %.0f", 2.0005, 0.5, 1.5, 2.5, -0.5), f("%.1f %.2f %.15f", 0.25, 1.005, 0.1)) --> 2.001 0 2 2 -0	0.2 1.00 0.100000000000000
print(f("%g %g %g %g", 2 ^ 53, 2 ^ 63, 1e300, 5e-324), f("%.3f", 1e22), f("%.0f", 2 ^ 70), f("%d", "10"), f("%5.2f", "3.14159"))
--> 9.0072e+15 9.22337e+18 1e+300 4.94066e-324	10000000000000000000000.000	1180591620717411303424	10	 3.14
print(f("%i|%+i|%x", 3, 4, 10), f("%-+5d|%+-5d|% 5d|", 1, 1, 1), f("%% %d%%", 50)) --> 3|+4|a	+1   |+1   |    1|	% 50%
print(pcall(f, "%d", 2 ^ 63)) --> false	bad argument #2 to 'string.format' (number has no integer representation)
print(pcall(f, "%d", "1.5")) --> false	bad argument #2 to 'string.format' (number has no integer representation)
print(pcall(f, "%c", "x")) --> false	bad argument #2 to 'string.format' (number expected, got string)
print(pcall(f, "%.100f", 1)) --> false	invalid conversion specification: '%.100f'
print(pcall(f, "%100d", 1)) --> false	invalid conversion specification: '%100d'
print(pcall(f, "%q", {})) --> false	bad argument #2 to 'string.format' (value has no literal form)
print(pcall(f, "%5q", "x")) --> false	specifier '%q' cannot have modifiers
print(pcall(f, "%#s", "x")) --> false	invalid conversion specification: '%#s'
print(pcall(f, "%.3c", 65)) --> false	invalid conversion specification: '%.3c'
print(pcall(f, "% ")) --> false	bad argument #2 to 'string.format' (no value)
print(pcall(f, "%")) --> false	bad argument #2 to 'string.format' (no value)
