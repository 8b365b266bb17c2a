-- load: strings, readers, names, modes, environments, errors; dofile's kin are in os_io.
print(load("return 1 + 1")(), load("return ...")(5, 6)) --> 2	5	6
local parts = { "return ", "'a", "b'", nil }
local i = 0
print(load(function() i = i + 1; return parts[i] end)()) --> ab
print(load(function() return nil end)(), load(function() return "" end)(), load("")()) --> nil	nil
print(load("x ="), select("#", load("x ="))) --> nil	2
print(pcall(load, function() error("reader", 0) end)) --> true	nil	reader
print(pcall(load, function() return {} end)) --> true	nil	reader function must return a string
print(load("syntax error here", "=name")) --> nil	name:1: syntax error near 'error'
print(load("syntax error here", "@file.lua")) --> nil	file.lua:1: syntax error near 'error'
print(load("syntax error here", "text of the chunk")) --> nil	[string "text of the chunk"]:1: syntax error near 'error'
print(load("syntax\nerror", "line one\nline two")) --> nil	[string "line one..."]:2: syntax error near 'error'
print(load("x", ("y"):rep(100))) --> nil	[string "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy..."]:1: syntax error near <eof>
local env = { v = 1 }
local f = load("v = v + 1; return v", "=c", "t", env)
print(f(), f(), env.v, v) --> 2	3	3	nil
print(load("return 1", "=c", "b")) --> nil	attempt to load a text chunk (mode is 'b')
print(load(string.dump(function() return 1 end), "=c", "t")) --> nil	attempt to load a binary chunk (mode is 't')
print(load(string.dump(function() return 42 end), "=c", "b")(), load(string.dump(function() return 43 end))()) --> 42	43
print(pcall(load, "return 1", "=c", "x")) --> true	nil	attempt to load a text chunk (mode is 'x')
print(pcall(load)) --> false	bad argument #1 to 'load' (function expected, got no value)
print(pcall(load, {})) --> false	bad argument #1 to 'load' (function expected, got table)
local big = { "local t = {" }
for n = 1, 5000 do big[#big + 1] = n .. "," end
big[#big + 1] = "} return #t"
print(load(table.concat(big))()) --> 5000
local j = 0
print(load(function() j = j + 1; return big[j] end)()) --> 5000
print(load("return _ENV == ...")(_G), load("local x <const> = 5; return function() return x end")()()) --> true	5
print(load("\xEF\xBB\xBFreturn 1")) --> nil	[string "﻿return 1"]:1: unexpected symbol near '<\239>'
