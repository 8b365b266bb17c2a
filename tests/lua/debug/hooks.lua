-- debug.sethook: line, call, return and count events, gethook, hooks per coroutine, errors from hooks.
local lines = {}
local base = debug.getinfo(1, "l").currentline
debug.sethook(function(event, line) lines[#lines + 1] = line - base end, "l")
local a = 1
local b = 2
for i = 1, 2 do
  a = a + i
end
if a > 100 then
  b = 3
end
debug.sethook()
print(table.concat(lines, " ")) --> 2 3 4 5 4 5 4 7 10
local events = {}
local function callee() return 1 end
local function tail() return callee() end
debug.sethook(function(event) events[#events + 1] = event end, "cr")
callee()
tail()
debug.sethook()
print(table.concat(events, ", ")) --> return, call, return, call, tail call, return, call
local count = 0
debug.sethook(function(event, line) count = count + 1; assert(event == "count" and line == nil) end, "", 100)
for i = 1, 10000 do end
debug.sethook()
print(count > 50) --> true
local hook = function() end
debug.sethook(hook, "crl", 7)
local h, mask, n = debug.gethook()
debug.sethook()
print(h == hook, mask, n) --> true	crl	7
print(debug.gethook()) --> nil
local fired
local function failing() if not fired then fired = true; error("from hook", 0) end end
print(pcall(function()
  debug.sethook(failing, "l")
  local x = 1
end)) --> false	from hook
debug.sethook()
local co = coroutine.create(function() local x = 1; coroutine.yield(); local y = 2 end)
local inside = 0
debug.sethook(co, function() inside = inside + 1 end, "l")
coroutine.resume(co); coroutine.resume(co)
print(inside, debug.gethook(co) ~= nil, (debug.gethook())) --> 1	true	nil
local names = {}
debug.sethook(function(e) local i = debug.getinfo(2, "n"); names[#names + 1] = e .. ":" .. tostring(i.name) end, "c")
callee()
debug.sethook()
print(names[1], #names) --> call:callee	2
