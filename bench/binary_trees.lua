-- binary_trees: builds and drops many small tables. Allocation, marking and sweeping.
local depth_max = tonumber(arg and arg[1]) or 16

local function build(depth)
  if depth == 0 then return {} end
  return { build(depth - 1), build(depth - 1) }
end

local function check(tree)
  local left = tree[1]
  if not left then return 1 end
  return 1 + check(left) + check(tree[2])
end

local sum = check(build(depth_max + 1))
local kept = build(depth_max)
for depth = 4, depth_max, 4 do
  local rounds = 2 ^ (depth_max - depth + 3)
  for _ = 1, rounds do sum = sum + check(build(depth)) end
end
print(string.format("binary_trees %d", sum + check(kept)))
