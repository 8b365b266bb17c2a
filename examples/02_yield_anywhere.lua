-- No C stack, no boundary: a coroutine yields from inside a sort's comparator, a gsub's callback and a __tostring.
-- (In the reference each of these is "attempt to yield across a C-call boundary".)
local function stepper(f)
  local co = coroutine.wrap(function() return "finished", f() end)
  return function() return co() end
end

local sort = stepper(function()
  local list = { 3, 1, 2 }
  table.sort(list, function(a, b)
    coroutine.yield(("compare %d with %d"):format(a, b))
    return a < b
  end)
  return table.concat(list, " < ")
end)
repeat
  local what, result = sort()
  print(what, result or "")
until what == "finished"

local shout = stepper(function()
  local name = setmetatable({}, { __tostring = function() return coroutine.yield("asked for a name") or "moon" end })
  return (("hello world"):gsub("world", function() return tostring(name):upper() end))
end)
print(shout())
print(shout())
