-- The names in messages: locals, upvalues, fields, globals, methods, constants, and none when it is an expression.
local function try(f, ...) print(select(2, pcall(f, ...))) end
local up
local t = { x = {} }
try(function() local a; a.b = 1 end) --> messages_names.lua:5: attempt to index a nil value (local 'a')
try(function() local a; return a.b end) --> messages_names.lua:6: attempt to index a nil value (local 'a')
try(function() return up.x end) --> messages_names.lua:7: attempt to index a nil value (upvalue 'up')
try(function() up() end) --> messages_names.lua:8: attempt to call a nil value (upvalue 'up')
try(function() return t.y.z end) --> messages_names.lua:9: attempt to index a nil value (field 'y')
try(function() return t.x.y.z end) --> messages_names.lua:10: attempt to index a nil value (field 'y')
try(function() t.y.z = 1 end) --> messages_names.lua:11: attempt to index a nil value (field 'y')
try(function() t:nope() end) --> messages_names.lua:12: attempt to call a nil value (method 'nope')
try(function() t.x:nope() end) --> messages_names.lua:13: attempt to call a nil value (method 'nope')
try(function() nosuch() end) --> messages_names.lua:14: attempt to call a nil value (global 'nosuch')
try(function() nosuch.x = 1 end) --> messages_names.lua:15: attempt to index a nil value (global 'nosuch')
try(function() return nosuch + 1 end) --> messages_names.lua:16: attempt to perform arithmetic on a nil value (global 'nosuch')
try(function() return t + 1 end) --> messages_names.lua:17: attempt to perform arithmetic on a table value (upvalue 't')
try(function() return up .. "s" end) --> messages_names.lua:18: attempt to concatenate a nil value (upvalue 'up')
try(function() return t.name .. "s" end) --> messages_names.lua:19: attempt to concatenate a nil value (field 'name')
try(function() return -t end) --> messages_names.lua:20: attempt to perform arithmetic on a table value (upvalue 't')
try(function() return #up end) --> messages_names.lua:21: attempt to get length of a nil value (upvalue 'up')
try(function() return t[nil].x end) --> messages_names.lua:22: attempt to index a nil value (field '?')
try(function() local i = 3; return t[i].x end) --> messages_names.lua:23: attempt to index a nil value (field '?')
try(function() return t["a b"].x end) --> messages_names.lua:24: attempt to index a nil value (field 'a b')
try(function() return (t.x or t).y.z end) --> messages_names.lua:25: attempt to index a nil value (field 'y')
try(function() return ("x")() end) --> messages_names.lua:26: attempt to call a string value (constant 'x')
try(function() return t.x() end) --> messages_names.lua:27: attempt to call a table value (field 'x')
try(function() return (function() end)().x end) --> messages_names.lua:28: attempt to index a nil value
try(function() return 2 ^ {} end) --> messages_names.lua:29: attempt to perform arithmetic on a table value
try(function() return 10 // t.zero end) --> messages_names.lua:30: attempt to perform arithmetic on a nil value (field 'zero')
try(function() local a, b = 1; return a < b end) --> messages_names.lua:31: attempt to compare number with nil
try(function() return t < 1 end) --> messages_names.lua:32: attempt to compare table with number
try(function() return t.x.y.z.w end) --> messages_names.lua:33: attempt to index a nil value (field 'y')
try(function() string.nofunction() end) --> messages_names.lua:34: attempt to call a nil value (field 'nofunction')
try(function() return math.floor.x.y end) --> messages_names.lua:35: attempt to index a function value (field 'floor')
try(function(p) p.q = 1 end) --> messages_names.lua:36: attempt to index a nil value (local 'p')
try(function(...) local a = ...; return a.b end) --> messages_names.lua:37: attempt to index a nil value (local 'a')
try(function() local _ENV = nil; return x end) --> messages_names.lua:38: attempt to index a nil value (local '_ENV')
try(function() local _ENV = { }; return y.z end) --> messages_names.lua:39: attempt to index a nil value (global 'y')
try(function() local a <const> = nil; return a.x end) --> messages_names.lua:40: attempt to index a nil value
try(function() for i, v in up do end end) --> messages_names.lua:41: attempt to call a nil value (for iterator 'for iterator')
try(function() t[up] = 1 end) --> messages_names.lua:42: table index is nil
try(function() return 1 & 1.5 end) --> messages_names.lua:43: number has no integer representation
try(function() return t.x & 1 end) --> messages_names.lua:44: attempt to perform bitwise operation on a table value (field 'x')
try(function() local big = 2 ^ 70; return big | 1 end) --> messages_names.lua:45: number (local 'big') has no integer representation
