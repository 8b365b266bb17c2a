-- watches: collector
-- Resurrected objects leave weak values before their finalizer runs and weak keys after it (2.5.4).
local values = setmetatable({}, { __mode = "v" })
local keys = setmetatable({}, { __mode = "k" })
local seen
do
  local o = setmetatable({}, { __gc = function(o) seen = { values[1], keys[o] } end })
  values[1], keys[o] = o, "attached"
end
collectgarbage()
print(seen[1], seen[2]) --> nil	attached
collectgarbage()
print(next(values), next(keys)) --> nil	nil
local order = {}
do
  local inner = setmetatable({}, { __gc = function() order[#order + 1] = "inner" end })
  local outer = setmetatable({ inner = inner }, { __gc = function(o) order[#order + 1] = "outer with " .. type(o.inner) end })
end
collectgarbage()
print(table.concat(order, ", ")) --> outer with table, inner
local collected = 0
for _ = 1, 1000 do setmetatable({}, { __gc = function() collected = collected + 1 end }) end
collectgarbage()
print(collected) --> 1000
local co_collected = false
do
  local co = coroutine.create(function() local x = setmetatable({}, { __gc = function() co_collected = true end }); coroutine.yield(x) end)
  coroutine.resume(co)
end
collectgarbage()
collectgarbage()
print(co_collected) --> true
local up = false
do
  local o = setmetatable({}, { __gc = function() up = true end })
  local f = function() return o end
  f()
end
collectgarbage()
print(up) --> true
