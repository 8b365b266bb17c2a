-- require() asks the page, which may take its time: the loader
-- is an async JavaScript function.

print "loading …"
local vector = require "vector"
local queue = require "queue"
print "here they are."

-- Operators by metatables:
local a, b = vector(3, 4), vector(1, -2)
print("a + b   ", a + b)
print("a * 2   ", a * 2)
print("#a      ", #a)
print("equal   ", a == vector(3, 4))

-- A breadth-first walk over a little maze.
local maze = {
  "#########",
  "#S..#...#",
  "##.##.#.#",
  "#....#..#",
  "#.##...E#",
  "#########",
}

local function at(p) return maze[p.y]:sub(p.x, p.x) end

local todo, from = queue.new(), {}
todo:push(vector(2, 2))
from[tostring(vector(2, 2))] = false

local steps = {
  vector(1, 0), vector(-1, 0), vector(0, 1), vector(0, -1),
}

local goal
while #todo > 0 and not goal do
  local here = todo:pop()
  if at(here) == "E" then goal = here end
  for _, step in ipairs(steps) do
    local next = here + step
    if at(next) ~= "#" and from[tostring(next)] == nil then
      from[tostring(next)] = here
      todo:push(next)
    end
  end
end

local path = {}
while goal do
  table.insert(path, 1, goal)
  goal = from[tostring(goal)]
end
print(("the way out has %d steps"):format(#path - 1))
return path
