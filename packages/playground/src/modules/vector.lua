-- Two-dimensional vectors with operators.
local vector = {}
vector.__index = vector

local function new(x, y)
  return setmetatable({ x = x, y = y }, vector)
end

function vector.__add(a, b) return new(a.x + b.x, a.y + b.y) end
function vector.__sub(a, b) return new(a.x - b.x, a.y - b.y) end
function vector.__mul(a, k) return new(a.x * k, a.y * k) end
function vector.__eq(a, b) return a.x == b.x and a.y == b.y end
function vector.__len(a) return (a.x * a.x + a.y * a.y) ^ 0.5 end
function vector.__tostring(a) return ("(%g, %g)"):format(a.x, a.y) end

return new
