-- `coroutine.close` and its like where the interpreter itself calls them: as `__close`, `__gc`, hook, other metamethods.
local function suspended(close)
  local co = coroutine.create(function()
    local x <close> = setmetatable({}, { __close = close })
    coroutine.yield()
  end)
  coroutine.resume(co)
  return co
end
local closed = function() print "closed" end

-- __close: what is in the coroutine is closed with the variable.
local threads = { __close = coroutine.close }
debug.setmetatable(suspended(closed), threads)
local co = suspended(closed)
do local c <close> = co end --> closed
print(coroutine.status(co)) --> dead
-- Its errors are results, which nobody looks at.
co = suspended(function() error "inside" end)
print(pcall(function() local c <close> = co end)) --> true
print(coroutine.status(co)) --> dead
-- On the way of an error.
co = suspended(closed)
print(pcall(function() local c <close> = co error("outside", 0) end))
--> closed
--> false	outside
-- One that cannot be closed.
print(select(2, pcall(function() local c <close> = coroutine.running() end))) --> close_as_metamethod.lua:28: cannot close a running coroutine
print(coroutine.wrap(function()
  local r = coroutine.running()
  return pcall(function() local c <close> = r end)
end)()) --> false	close_as_metamethod.lua:31: cannot close a running coroutine
-- The fourth value of a loop.
co = suspended(closed)
for i in function(_, i) return not i and 1 or nil end, nil, nil, co do print(i) end
--> 1
--> closed
-- `__close` may be a wrapped coroutine, `resume` or, inside a coroutine, `yield`.
do local x <close> = setmetatable({}, { __close = coroutine.wrap(function(o, e) print(type(o), e) coroutine.yield() end) }) end --> table	nil
threads.__close = coroutine.resume
do local x <close> = coroutine.create(function(...) print("resumed", ...) end) end --> resumed	nil
local f = coroutine.wrap(function()
  local x <close> = setmetatable({}, { __close = coroutine.yield })
  return "returned"
end)
print(type(f()), f()) --> table	returned
print(pcall(function() local x <close> = setmetatable({}, { __close = coroutine.yield }) end)) --> false	attempt to yield from outside a coroutine

-- Other metamethods: `true` is the result.
for _, name in ipairs { "__index", "__add", "__concat", "__call", "__len", "__unm", "__lt", "__newindex", "__tostring" } do
  threads[name] = coroutine.close
end
co = coroutine.create(print)
print(co.x, co + 1, co .. "", #co, -co, co(), co < co) --> true	true	true	true	true	true	true
co.y = 1
print(pcall(tostring, co)) --> false	'__tostring' must return a string
debug.setmetatable(co, nil)

-- __gc: what it cannot close is a warning; nothing else happens.
setmetatable({}, { __gc = coroutine.close })
setmetatable({}, { __gc = coroutine.yield })
setmetatable({}, { __gc = coroutine.wrap(function(o) print("gc", type(o)) coroutine.yield() end) })
collectgarbage() --> gc	table
collectgarbage()
-- A finalizer that closes a coroutine which has variables to close.
local keep = suspended(closed)
setmetatable({}, { __gc = function() print(coroutine.close(keep)) end })
collectgarbage()
--> closed
--> true

-- Hooks.
print(pcall(load('debug.sethook(coroutine.close, "l")\nlocal a', "=hooked"))) debug.sethook() --> false	hooked:2: bad argument #1 to '?' (thread expected, got string)
print(pcall(load 'debug.sethook(coroutine.yield, "l")\nlocal a')) debug.sethook() --> false	attempt to yield from outside a coroutine
print(pcall(load 'debug.sethook(coroutine.running, "l")\nlocal a')) debug.sethook() --> true
keep = suspended(closed)
print(pcall(load('local co = ... debug.sethook(function() coroutine.close(co) end, "l")\nlocal a'), keep)) debug.sethook()
--> closed
--> true
-- They are off while a finalizer runs.
local lines = 0
setmetatable({}, { __gc = function()
  lines = lines * 1
  lines = lines * 1
end })
debug.sethook(function() lines = lines + 1 end, "l")
collectgarbage()
debug.sethook()
print(lines) --> 2

-- In each other's arms.
print(coroutine.wrap(coroutine.close)(coroutine.create(print))) --> true
co = coroutine.create(coroutine.close)
print(coroutine.resume(co, co)) --> false	cannot close a running coroutine
print(xpcall(error, coroutine.close, coroutine.create(print))) --> false	true
print(pcall(string.gsub, "abc", ".", coroutine.close)) --> false	bad argument #1 to 'coroutine.close' (thread expected, got string)
