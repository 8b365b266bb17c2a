-- needs: host
-- debug.traceback: levels, messages, names of functions, tail calls, coroutines, long stacks cut in the middle.
local function f() return (debug.traceback("msg")) end
print(f())
--> msg
--> stack traceback:
--> 	traceback.lua:3: in local 'f'
--> 	traceback.lua:4: in main chunk
--> 	[C]: in ?
print(debug.traceback("level 2", 2))
--> level 2
--> stack traceback:
--> 	[C]: in ?
print(debug.traceback(nil), debug.traceback(5), debug.traceback(true), type(debug.traceback({})))
--> stack traceback:
--> 	traceback.lua:14: in main chunk
--> 	[C]: in ?	5
--> stack traceback:
--> 	traceback.lua:14: in main chunk
--> 	[C]: in ?	true	table
local t = {}
function t.field() return (debug.traceback("")) end
function t:method() return (debug.traceback()) end
function global_f() return (debug.traceback()) end
print(t.field()); print(t:method()); print(global_f())
-->
--> stack traceback:
--> 	traceback.lua:22: in field 'field'
--> 	traceback.lua:25: in main chunk
--> 	[C]: in ?
--> stack traceback:
--> 	traceback.lua:23: in method 'method'
--> 	traceback.lua:25: in main chunk
--> 	[C]: in ?
--> stack traceback:
--> 	traceback.lua:24: in function 'global_f'
--> 	traceback.lua:25: in main chunk
--> 	[C]: in ?
local function tail() return debug.traceback("tail") end
print((tail()))
--> tail
--> stack traceback:
--> 	traceback.lua:39: in local 'tail'
--> 	traceback.lua:40: in main chunk
--> 	[C]: in ?
local co = coroutine.create(function() local function inner() coroutine.yield() end inner() end)
coroutine.resume(co)
print(debug.traceback(co)); print(debug.traceback(co, "with message")); print(debug.traceback(co, nil, 1)); print(debug.traceback(co, "l1", 1))
--> stack traceback:
--> 	[C]: in function 'coroutine.yield'
--> 	traceback.lua:46: in local 'inner'
--> 	traceback.lua:46: in function <traceback.lua:46>
--> with message
--> stack traceback:
--> 	[C]: in function 'coroutine.yield'
--> 	traceback.lua:46: in local 'inner'
--> 	traceback.lua:46: in function <traceback.lua:46>
--> stack traceback:
--> 	traceback.lua:46: in local 'inner'
--> 	traceback.lua:46: in function <traceback.lua:46>
--> l1
--> stack traceback:
--> 	traceback.lua:46: in local 'inner'
--> 	traceback.lua:46: in function <traceback.lua:46>
print((debug.traceback(coroutine.create(print)))) --> stack traceback:
co = coroutine.create(function() error("dead") end)
coroutine.resume(co)
print(debug.traceback(co))
--> stack traceback:
--> 	[C]: in function 'error'
--> 	traceback.lua:66: in function <traceback.lua:66>
local function deep(n) if n == 0 then return (debug.traceback("deep")) end return (deep(n - 1)) end
local text = deep(40)
local count = select(2, text:gsub("\n", "\n"))
print(count, text:match("\n%s*(%.%.%.[^\n]*)")) --> 23	...	(skipping 21 levels)
print((select(2, pcall(string.gsub, "x", "x", function() error(debug.traceback("in gsub")) end)):gsub("\n%s*", " | ")))
--> traceback.lua:76: in gsub | stack traceback: | traceback.lua:76: in function <traceback.lua:76> | [C]: in function 'string.gsub' | [C]: in function 'pcall' | traceback.lua:76: in main chunk | [C]: in ?
