-- tonumber: what is a numeral, in which base, and what is nil.
print(tonumber("  12  "), tonumber("12a"), tonumber(""), tonumber(" "), tonumber("1 2")) --> 12	nil	nil	nil	nil
print(tonumber("0x"), tonumber("0x1.8"), tonumber("0x.8p1"), tonumber("0xAp-1"), tonumber("1e"), tonumber("1e+5")) --> nil	1.5	1.0	5.0	nil	100000.0
print(tonumber("inf"), tonumber("nan"), tonumber(".5"), tonumber("5."), tonumber("."), tonumber("-.5e1")) --> nil	nil	0.5	5.0	nil	-5.0
print(tonumber("10", 2), tonumber("ff", 16), tonumber("FF", 16), tonumber("zz", 36), tonumber("-7", 8), tonumber("8", 8)) --> 2	255	255	1295	-7	nil
print(tonumber(" 11 ", 3), tonumber("1.0", 10), tonumber("7fffffffffffffff", 16), tonumber("ffffffffffffffff", 16)) --> 4	nil	9223372036854775807	-1
print(tonumber("1\0"), tonumber("0b1"), tonumber("1_000"), tonumber("\t-0x10\n"), tonumber("- 1"), tonumber("--1")) --> nil	nil	nil	-16	nil	nil
print(tonumber(true), tonumber({}), tonumber(nil)) --> nil	nil	nil
print(pcall(tonumber)) --> false	bad argument #1 to 'tonumber' (value expected)
print(pcall(tonumber, "10", 1)) --> false	bad argument #2 to 'tonumber' (base out of range)
print(pcall(tonumber, "10", 37)) --> false	bad argument #2 to 'tonumber' (base out of range)
print(pcall(tonumber, 10, 10)) --> false	bad argument #1 to 'tonumber' (string expected, got number)
print(tonumber("9007199254740993"), tonumber("9007199254740993.0"), tonumber("1e309"), tonumber("0x1p-1080"))
--> 9007199254740993	9.007199254741e+15	inf	0.0
print(math.type(tonumber("1e2")), math.type(tonumber("0x10")), math.type(tonumber("100000000000000000000"))) --> float	integer	float
print(tonumber(("9"):rep(400)), tonumber("0x" .. ("f"):rep(20)), tonumber("1" .. ("0"):rep(18))) --> inf	-1	1000000000000000000
