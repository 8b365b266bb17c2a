-- Literals: escapes, long brackets, numerals, line continuation; what a chunk may begin with.
local bytes, skipped = "\65\066\x41\u{48}\u{20AC}\u{7FFFFFFF}", "\z
       joined"
local continued = "a\
b"
local long, nested, only = [[
first newline dropped]], [==[a]]b]=]c]==], [[

]]
local level = [=[
]=]
print(bytes == "ABAH€" .. "\xFD\xBF\xBF\xBF\xBF\xBF", skipped, continued == "a\nb") --> true	joined	true
print(#"\0\00\000", "\a\b\f\v" == "\7\8\12\11", "\'\"\\", long, nested, #only, #level) --> 3	true	'"\	first newline dropped	a]]b]=]c	1	0
print(0xff, 0XA, 0x.1, 0x1p-2, 1e2, .5, 3., 0xA.8, 1e-2, 0x10p+1, 00012) --> 255	10	0.0625	0.25	100.0	0.5	3.0	10.5	0.01	32.0	12
print(0xfffffffffffffffff, 0x7fffffffffffffff, 1e400, 123456789012345678901) --> -1	9223372036854775807	inf	1.2345678901235e+20
print("tab\tnewline\\n", ("x"):rep(3), #"é", '\u{0}' == "\0") --> tab	newline\n	xxx	2	true
-- a comment ends here --[[ not a long one
print("after comment") --> after comment
--[==[ a long
]] one ]==] local after = "after long comment"
print(after) --> after long comment
local a <const>, goto_ = 1, 2
print(a, goto_, _VERSION);;; ; --> 1	2	Lua 5.4
do local function f() return end f() end
print(((("parens"))), (f and 1) or 2, not nil, ~0, - -1, #"x" .. "y") --> parens	2	true	-1	1	1y
return
