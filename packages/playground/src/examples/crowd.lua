-- Ten thousand coroutines, each a creature with a life of its
-- own. They live on the heap and cost about a kilobyte each.

local alive, born, moves = 0, 0, 0

local function creature(energy)
  born, alive = born + 1, alive + 1
  while energy > 0 do
    moves = moves + 1
    energy = energy - math.random(3)
    coroutine.yield()
  end
  alive = alive - 1
end

local crowd = {}
for i = 1, 10000 do
  crowd[i] = coroutine.create(creature)
  coroutine.resume(crowd[i], math.random(20, 60))
end
print(("%.0f KiB with the crowd"):format(collectgarbage "count"))

local round = 0
while alive > 0 do
  round = round + 1
  for _, co in ipairs(crowd) do
    coroutine.resume(co) -- false, once it is dead
  end
  meter("round", round)
  meter("alive", alive, born)
  meter("moves", moves)
end

print("all rest after " .. round .. " rounds")
crowd = nil
collectgarbage()
print(("%.0f KiB without it"):format(collectgarbage "count"))
