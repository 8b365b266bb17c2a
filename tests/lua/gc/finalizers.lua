-- watches: collector
-- __gc: order (reverse of marking), once, resurrection, re-marking, errors that only warn, at the end of the program.
local log = {}
local function object(name, extra)
  return setmetatable({ name = name, extra = extra }, { __gc = function(o) log[#log + 1] = o.name end })
end
do local a, b, c = object("a"), object("b"), object("c") end
collectgarbage()
print(table.concat(log, " ")) --> c b a
log = {}
local saved
do
  local x = setmetatable({ v = 1 }, { __gc = function(o) saved = o; log[#log + 1] = "first" end })
end
collectgarbage()
print(saved and saved.v, table.concat(log, " ")) --> 1	first
saved = nil
collectgarbage()
print(saved, table.concat(log, " ")) --> nil	first
log = {}
do
  local mt = {}
  mt.__gc = function(o) log[#log + 1] = "again"; if #log < 3 then setmetatable(o, mt) end end
  setmetatable({}, mt)
end
for _ = 1, 5 do collectgarbage() end
print(table.concat(log, " ")) --> again again again
local late = setmetatable({}, {})
getmetatable(late).__gc = function() log[#log + 1] = "never marked" end
late = nil
collectgarbage()
print(log[#log]) --> again
do setmetatable({}, { __gc = true }); setmetatable({}, { __gc = 5 }) end
collectgarbage()
do
  local t = setmetatable({}, { __gc = function(o) log[#log + 1] = type(o.peer.name) end })
  t.peer = object("peer")
end
log = {}
collectgarbage()
print(table.concat(log, " ")) --> peer string
print(pcall(function() setmetatable({}, { __gc = function() error("ignored") end }); collectgarbage() end)) --> true
local closed = setmetatable({}, { __gc = function() print("at exit 1") end })
local other = setmetatable({}, { __gc = function() print("at exit 2") end })
print("end of program")
--> end of program
--> at exit 2
--> at exit 1
