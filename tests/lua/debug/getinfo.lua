-- debug.getinfo: what it tells about Lua and host functions, levels, lines, names and parameters.
local function f(a, b, ...) return debug.getinfo(1, "nSlutf") end
local i = f()
print(i.name, i.namewhat, i.what, i.short_src, i.source, i.linedefined, i.lastlinedefined, i.currentline) --> f	local	Lua	getinfo.lua	@getinfo.lua	2	2	2
print(i.nups, i.nparams, i.isvararg, i.istailcall, i.func == f) --> 1	2	true	false	true
i = debug.getinfo(print)
print(i.what, i.short_src, i.source, i.currentline, i.linedefined, i.lastlinedefined, i.nups, i.nparams, i.isvararg, i.func == print)
--> C	[C]	=[C]	-1	-1	-1	0	0	true	true
i = debug.getinfo(1)
print(i.what, i.name, i.namewhat, i.currentline) --> main	nil		9
print(debug.getinfo(100), pcall(debug.getinfo, 1, "X"), pcall(debug.getinfo, "x"))
--> nil	false	false	bad argument #1 to 'debug.getinfo' (number expected, got string)
print(pcall(debug.getinfo, 1, ">S")) --> false	bad argument #2 to 'debug.getinfo' (invalid option '>')
local lines = {}
for l in pairs(debug.getinfo(f, "L").activelines) do lines[#lines + 1] = l end
print(#lines, lines[1]) --> 1	2
local t = { method = function(self) return debug.getinfo(1, "n") end }
i = t:method(); print(i.name, i.namewhat) --> method	method
i = t.method(); print(i.name, i.namewhat) --> method	field
function global_function() return debug.getinfo(1, "n") end
i = global_function(); print(i.name, i.namewhat) --> global_function	global
local mt = setmetatable({}, { __index = function() return debug.getinfo(1, "n") end, __add = function() return debug.getinfo(1, "n") end, __call = function() return debug.getinfo(1, "nt") end })
i = mt.x; print(i.name, i.namewhat) --> index	metamethod
i = mt + 1; print(i.name, i.namewhat) --> add	metamethod
i = mt(); print(i.name, i.namewhat) --> mt	local
local function tail() return f() end
local r = (tail()); print(r.name, r.namewhat, r.istailcall) --> nil		true
for it in function(_, c) if not c then return debug.getinfo(1, "n") end end do print(it.name, it.namewhat) break end --> for iterator	for iterator
print(debug.getinfo(load("return 1", "=named"), "S").short_src, debug.getinfo(load("return 1", "@file.lua"), "S").short_src, debug.getinfo(load("return 1\n"), "S").short_src)
--> named	file.lua	[string "return 1..."]
print(debug.getinfo(load("x = 1", ("long"):rep(30)), "S").short_src) --> [string "longlonglonglonglonglonglonglonglonglonglongl..."]
print(debug.getinfo(load("x = 1", "=" .. ("long"):rep(30)), "S").short_src, debug.getinfo(load("x = 1", "@" .. ("long"):rep(30)), "S").short_src)
--> longlonglonglonglonglonglonglonglonglonglonglonglonglonglon	...longlonglonglonglonglonglonglonglonglonglonglonglonglong
local co = coroutine.create(function() local inside = 1; coroutine.yield() end)
coroutine.resume(co)
print(debug.getinfo(co, 0, "S").what, debug.getinfo(co, 1, "l").currentline, debug.getinfo(co, 2)) --> C	34	nil
print(debug.getinfo(f, "u").nparams, debug.getinfo(function(...) end, "u").isvararg, debug.getinfo(function() return f, t end, "u").nups) --> 2	true	2
