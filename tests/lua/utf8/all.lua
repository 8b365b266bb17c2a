-- utf8: char, codes, len, codepoint, offset, charpattern; strict and lax; invalid sequences.
print(utf8.char(72, 228, 8364, 127769), utf8.char(), #utf8.char(0x7FFFFFFF), utf8.charpattern == "[\0-\x7F\xC2-\xFD][\x80-\xBF]*") --> Hä€🌙		6	true
for p, c in utf8.codes("aé€🌙") do io.write(p, ":", c, " ") end
print() --> 1:97 2:233 4:8364 7:127769 
print(utf8.len("aé€🌙"), utf8.len(""), utf8.len("abc", 2), utf8.len("abc", 4), utf8.len("a\xffb"), utf8.len("é", 2), utf8.len("\u{D800}", 1, -1, true), utf8.len("\xed\xa0\x80"))
--> 4	0	2	0	nil	nil	1	nil	1
print(utf8.codepoint("aé€", 1, -1), utf8.codepoint("é"), select("#", utf8.codepoint("abc", 3, 2))) --> 97	233	0
print(utf8.offset("aé€🌙", 3), utf8.offset("aé€🌙", -1), utf8.offset("aé€🌙", 5), utf8.offset("aé€🌙", 6), utf8.offset("aé€", 0, 3), utf8.offset("abc", 1, 4), utf8.offset("", 1))
--> 4	7	11	nil	2	4	1
print(utf8.len("\xf4\x90\x80\x80"), utf8.len("\xf4\x90\x80\x80", 1, -1, true), utf8.len("\xc0\x80"), utf8.len("\xe2\x82")) --> nil	1	nil	nil	1
for c in ("aé€"):gmatch(utf8.charpattern) do io.write(#c, " ") end
print() --> 1 2 3 
print(pcall(utf8.codepoint, "a\xff", 1, 2)) --> false	invalid UTF-8 code
print(pcall(utf8.codepoint, "abc", 1, 5)) --> false	bad argument #3 to 'utf8.codepoint' (out of bounds)
print(pcall(function() for _ in utf8.codes("ab\xff") do end end)) --> false	all.lua:15: invalid UTF-8 code
print(pcall(function() for _ in utf8.codes("\u{200000}") do end end)) --> false	all.lua:16: invalid UTF-8 code
print(pcall(function() local n = 0; for _ in utf8.codes("\u{200000}", true) do n = n + 1 end return n end)) --> true	1
print(pcall(utf8.offset, "é", 1, 2)) --> false	initial position is a continuation byte
print(pcall(utf8.offset, "abc", 1, 10)) --> false	bad argument #3 to 'utf8.offset' (position out of bounds)
print(pcall(utf8.len, "abc", 5)) --> false	bad argument #2 to 'utf8.len' (initial position out of bounds)
print(pcall(utf8.char, 1 << 31)) --> false	bad argument #1 to 'utf8.char' (value out of range)
print(pcall(utf8.char, "x")) --> false	bad argument #1 to 'utf8.char' (number expected, got string)
print(utf8.len("\u{7FFFFFFF}", 1, -1, true), utf8.codepoint("\u{7FFFFFFF}", 1, 1, true), "\u{10FFFF}" == utf8.char(0x10FFFF)) --> 1	2147483647	true
print(utf8.len("äöü", -2), utf8.len("äöü", 3, -3), utf8.offset("äöü", -2), utf8.offset("äöü", 2, 3), utf8.codepoint("äöü", -2))
--> 1	1	3	5	252
