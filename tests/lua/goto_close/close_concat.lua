-- A closing method, a finalizer and the functions that they call concatenate as everything else does.
local function log(o, e) print("closing " .. o.name .. "!") end
local function tail(o) return log(o) end
do
  local a <close> = setmetatable({ name = "a" }, { __close = log })
  local b <close> = setmetatable({ name = "b" }, { __close = tail })
end
--> closing b!
--> closing a!

-- A frame that is used again, after one that was interrupted by a metamethod in the midst of a concatenation.
local mt = { __concat = function(x, y) error("no", 0) end }
local function fails() return "a" .. setmetatable({}, mt) .. "b" .. "c" end
local function joins(n) return "x" .. n .. "y" end
local function both()
  pcall(fails)
  return joins(1)
end
print(both()) --> x1y
print(pcall(fails)) --> false	no
