-- An error in __close replaces the one before; the rest are still closed and see the newest.
local function res(name, raises)
  return setmetatable({}, {
    __close = function(_, e)
      print("close " .. name, e)
      if raises then error(raises, 0) end
    end,
  })
end
print(pcall(function()
  local a <close> = res("a")
  local b <close> = res("b", "from b")
  local c <close> = res("c")
  local d <close> = res("d", "from d")
  error("body", 0)
end))
--> close d	body
--> close c	from d
--> close b	from d
--> close a	from b
--> false	from b
print(pcall(function()
  local a <close> = res("a")
  local b <close> = res("b", "only b")
  return "never seen"
end))
--> close b	nil
--> close a	only b
--> false	only b
print(pcall(function()
  for i = 1, 2 do local x <close> = res("x" .. i, i == 1 and "stop") end
end))
--> close x1	nil
--> false	stop
local function tail() local r <close> = res("not a tail call"); return (function() return "r" end)() end
print(tail())
--> close not a tail call	nil
--> r
local co = coroutine.create(function()
  local a <close> = res("co a")
  local b <close> = res("co b", "b raised")
  coroutine.yield("y")
end)
print(coroutine.resume(co)) --> true	y
print(coroutine.close(co), coroutine.status(co))
--> close co b	nil
--> close co a	b raised
--> false	dead
co = coroutine.create(function() local a <close> = res("quiet"); coroutine.yield() end)
coroutine.resume(co)
print(coroutine.close(co), coroutine.close(co), coroutine.status(co))
--> close quiet	nil
--> true	true	dead
local mt = { __close = 5 }
print(pcall(function() local v <close> = setmetatable({}, mt) end)) --> false	close_errors.lua:55: attempt to call a number value (metamethod 'close')
local gone = setmetatable({}, { __close = function() end })
print(pcall(function() local v <close> = gone; getmetatable(gone).__close = nil end))
--> false	close_errors.lua:57: attempt to call a nil value (metamethod 'close')
