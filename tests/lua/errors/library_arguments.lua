-- reference: 5.4.8
-- needs: host
-- Wrong arguments of library functions: number, expected, got; methods count without self.
local function try(f, ...) print(select(2, pcall(f, ...))) end
try(string.rep) --> bad argument #1 to 'string.rep' (string expected, got no value)
try(string.rep, "x") --> bad argument #2 to 'string.rep' (number expected, got no value)
try(string.rep, "x", {}) --> bad argument #2 to 'string.rep' (number expected, got table)
try(string.rep, "x", 1.5) --> bad argument #2 to 'string.rep' (number has no integer representation)
try(string.rep, "x", "2.5") --> bad argument #2 to 'string.rep' (number has no integer representation)
try(string.sub) --> bad argument #1 to 'string.sub' (string expected, got no value)
try(string.sub, "x", "a") --> bad argument #2 to 'string.sub' (number expected, got string)
try(string.char, 256) --> bad argument #1 to 'string.char' (value out of range)
try(string.char, -1) --> bad argument #1 to 'string.char' (value out of range)
try(string.char, "x") --> bad argument #1 to 'string.char' (number expected, got string)
try(string.byte, {}) --> bad argument #1 to 'string.byte' (string expected, got table)
try(string.format) --> bad argument #1 to 'string.format' (string expected, got no value)
try(string.format, "%d", "x") --> bad argument #2 to 'string.format' (number expected, got string)
try(string.format, "%d", 1.5) --> bad argument #2 to 'string.format' (number has no integer representation)
try(string.format, "%d") --> bad argument #2 to 'string.format' (no value)
try(string.format, "%y", 1) --> invalid conversion '%y' to 'format'
try(string.format, "%10", 1) --> invalid conversion '%10' to 'format'
try(string.format, "%0100d", 1) --> invalid conversion specification: '%0100d'
try(string.format, "%s") --> bad argument #2 to 'string.format' (no value)
try(math.floor, "a") --> bad argument #1 to 'math.floor' (number expected, got string)
try(math.floor) --> bad argument #1 to 'math.floor' (number expected, got no value)
try(math.random, 0, 1, 2) --> wrong number of arguments
try(math.random, 2, 1) --> bad argument #1 to 'math.random' (interval is empty)
try(math.max) --> bad argument #1 to 'math.max' (value expected)
try(math.tointeger) --> bad argument #1 to 'math.tointeger' (value expected)
try(table.concat, { {} }) --> invalid value (table) at index 1 in table for 'concat'
try(table.concat, { 1, nil, 3 }, ",", 1, 3) --> invalid value (nil) at index 2 in table for 'concat'
try(table.insert, {}, 1, 2, 3) --> wrong number of arguments to 'insert'
try(table.insert, {}) --> wrong number of arguments to 'insert'
try(table.insert, {}, 5, 1) --> bad argument #2 to 'table.insert' (position out of bounds)
try(table.insert, nil, 1) --> bad argument #1 to 'table.insert' (table expected, got nil)
try(table.remove, {}, 5) --> bad argument #2 to 'table.remove' (position out of bounds)
try(table.unpack) --> attempt to get length of a nil value
try(table.sort, { 3, 1, "x" }) --> attempt to compare string with number
try(table.sort, { 1, 2 }, 5) --> bad argument #2 to 'table.sort' (function expected, got number)
try(setmetatable, {}) --> bad argument #2 to 'setmetatable' (nil or table expected, got no value)
try(setmetatable, 1, {}) --> bad argument #1 to 'setmetatable' (table expected, got number)
try(getmetatable) --> bad argument #1 to 'getmetatable' (value expected)
try(rawget, 1, 2) --> bad argument #1 to 'rawget' (table expected, got number)
try(rawequal, 1) --> bad argument #2 to 'rawequal' (value expected)
try(select, "x") --> bad argument #1 to 'select' (number expected, got string)
try(tostring) --> bad argument #1 to 'tostring' (value expected)
try(ipairs) --> bad argument #1 to 'ipairs' (value expected)
try(pairs) --> bad argument #1 to 'pairs' (value expected)
try(next, {}, 1) --> invalid key to 'next'
try(coroutine.resume, 1) --> bad argument #1 to 'coroutine.resume' (thread expected, got number)
try(coroutine.create, 1) --> bad argument #1 to 'coroutine.create' (function expected, got number)
try(coroutine.wrap) --> bad argument #1 to 'coroutine.wrap' (function expected, got no value)
try(utf8.char, -1) --> bad argument #1 to 'utf8.char' (value out of range)
try(utf8.codepoint, "abc", 4) --> bad argument #3 to 'utf8.codepoint' (out of bounds)
try(load, 5) --> nil	[string "5"]:1: unexpected symbol near '5'
try(function() ("x"):rep({}) end) --> library_arguments.lua:56: bad argument #1 to 'rep' (number expected, got table)
try(function() ("x"):bad() end) --> library_arguments.lua:57: attempt to call a nil value (method 'bad')
try(function() local s = "x"; s:rep() end) --> library_arguments.lua:58: bad argument #1 to 'rep' (number expected, got no value)
try(function() io.stdout.write() end) --> library_arguments.lua:59: bad argument #1 to 'write' (FILE* expected, got no value)
try(collectgarbage, "bogus") --> bad argument #1 to 'collectgarbage' (invalid option 'bogus')
try(math.abs, nil) --> bad argument #1 to 'math.abs' (number expected, got nil)
try(string.find, "a") --> bad argument #2 to 'string.find' (string expected, got no value)
try(string.gsub, "a", "a") --> bad argument #3 to 'string.gsub' (string/function/table expected, got no value)
try(string.gsub, "a", "a", true) --> bad argument #3 to 'string.gsub' (string/function/table expected, got boolean)
try(os.time, { year = 2020 }) --> field 'month' missing in date table
try(os.date, "%Ez", 0) --> bad argument #1 to 'os.date' (invalid conversion specifier '%Ez')
