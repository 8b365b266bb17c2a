-- needs: host
-- Message handlers run where the error was raised, see its stack, may fail themselves; nested protected calls.
local function where() error("here", 0) end
print(xpcall(where, function(m) return m .. " " .. debug.getinfo(2, "n").name .. " " .. tostring(debug.getinfo(3, "n").name) end))
--> false	here error nil
print(xpcall(where, function(m) error("in handler", 0) end)) --> false	error in error handling
local depth = 0
print(xpcall(where, function(m) depth = depth + 1; if depth < 5 then error("again " .. depth, 0) end return "settled at " .. depth .. " with " .. m end))
--> false	settled at 5 with again 4
local ok, m = xpcall(where, function() local function r() return r() + 1 end return r() end)
print(ok, type(m)) --> false	string
print(xpcall(function() local x = nil; x() end, function(m) return "H:" .. m end))
--> false	H:xpcall_handlers.lua:12: attempt to call a nil value (local 'x')
print(xpcall(function() return pcall(error, "inner", 0) end, function() return "never" end)) --> true	false	inner
print(xpcall(function() error(setmetatable({}, { __index = { v = 7 } })) end, function(e) return e.v end)) --> false	7
print(xpcall(where, function() return 1, 2, 3 end)) --> false	1
print(xpcall(where, function() end)) --> false	nil
print(pcall(xpcall, where, nil)) --> false	bad argument #2 to 'xpcall' (function expected, got nil)
print(pcall(xpcall, where)) --> false	bad argument #2 to 'xpcall' (function expected, got no value)
print(pcall(xpcall, where, 5)) --> false	bad argument #2 to 'xpcall' (function expected, got number)
print(xpcall(function() string.rep() end, function(m) return (m:gsub("^.-:%d+: ", "")) end))
--> false	bad argument #1 to 'rep' (string expected, got no value)
print(xpcall(coroutine.wrap(function() error("from co", 0) end), function(m) return "got " .. m end)) --> false	got from co
print(select("#", xpcall(function() return nil, nil end, print))) --> 3
local trace = select(2, xpcall(function() local function inner() error("deep") end inner() end, debug.traceback))
print((trace:gsub("\n%s*", " | ")))
--> xpcall_handlers.lua:25: deep | stack traceback: | [C]: in function 'error' | xpcall_handlers.lua:25: in local 'inner' | xpcall_handlers.lua:25: in function <xpcall_handlers.lua:25> | [C]: in function 'xpcall' | xpcall_handlers.lua:25: in main chunk | [C]: in ?
