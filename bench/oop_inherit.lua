-- oop_inherit: classes with `__index` chains, three levels deep; methods found far and near, overridden and super calls.
local n = tonumber(arg and arg[1]) or 2000000

local function class(base)
  local c = {}
  c.__index = c
  if base then setmetatable(c, { __index = base }) end
  return c
end

local Shape = class()
function Shape.init(self, x, y) self.x, self.y, self.moves = x, y, 0; return self end
function Shape:move(dx, dy) self.x, self.y, self.moves = self.x + dx, self.y + dy, self.moves + 1 end
function Shape:area() return 0 end
function Shape:weight() return self:area() * 2 + self.moves end

local Rect = class(Shape)
function Rect.new(cls, x, y, w, h)
  local self = Shape.init(setmetatable({}, cls), x, y)
  self.w, self.h = w, h
  return self
end
function Rect:area() return self.w * self.h end

local Square = class(Rect)
function Square.new(cls, x, y, side) return Rect.new(cls, x, y, side, side) end
function Square:grow(by) self.w, self.h = self.w + by, self.h + by end

local Framed = class(Square)
function Framed:area() return Square.area(self) + 4 * self.w end

local sum = 0
local shapes = {
  Rect:new(1, 2, 3, 4),
  Square:new(5, 6, 7),
  Framed:new(8, 9, 10),
}
for i = 1, n do
  local s = shapes[i % 3 + 1]
  s:move(1, -1)
  sum = (sum + s:weight()) % 1000003
  if i % 64 == 0 then
    local q = Framed:new(i, i, i % 7)
    q:grow(2)
    sum = (sum + q:weight() + q.x) % 1000003
  end
end
print(string.format("oop_inherit %d %d", sum, shapes[1].x + shapes[2].y + shapes[3].moves))
