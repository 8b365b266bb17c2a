-- sub, byte, char, rep, reverse, len, upper, lower: negative positions, clipping, huge arguments.
local s = "hello"
print(s:sub(2), s:sub(-3), s:sub(2, -2), s:sub(0), s:sub(10), s:sub(-100, 2), s:sub(3, 2), s:sub(math.mininteger, math.maxinteger))
--> ello	llo	ell	hello		he		hello
print(s:byte(), s:byte(-1), s:byte(10), s:byte(1, -1), (""):byte(), select("#", s:byte(2, 1))) --> 104	111	nil	104	nil	0
print(string.char(), string.char(104, 105), #string.char(0, 255), ("x"):rep(-1) == "", ("ab"):rep(3, "-")) --> 	hi	2	true	ab-ab-ab
print(("%d"):format(3), #"\u{10FFFF}", ("ß"):upper() == "ß", ("ABC"):lower():upper(), ("a,b"):len()) --> 3	4	true	ABC	3
print(pcall(string.rep, "x", 1 << 40, "y")) --> false	resulting string too large
print(pcall(string.rep, "abc", math.maxinteger)) --> false	resulting string too large
print(("x"):rep(0, ("y"):rep(10)), (""):rep(1e9), #(""):rep(100, "ab")) --> 		198
print(s < "help", s .. 1, #s, -"2" + 0, "10" / 2, "3" * "4", "0x10" + 0, 10 .. "") --> true	hello1	5	-2	5.0	12	16	10
print(tostring("x") == "x", ("x"):len(), #"a\0b", "a\0b" == "a\0c", ("a\0b"):byte(2), ("\xff"):byte()) --> true	1	3	false	0	255
print(pcall(string.byte, s, 1, 1e8), pcall(function() return #string.char(table.unpack({}, 1, 0)) end)) --> true	true	0
print(string.len(123), ("x"):sub(1.0, 1), pcall(string.sub, "x", 1.5))
--> 3	x	false	bad argument #2 to 'string.sub' (number has no integer representation)
print(s:reverse(), (""):reverse(), ("abc"):find("c", -1), ("x"):byte(0), ("é"):byte(1, 2)) --> olleh		3	nil	195	169
