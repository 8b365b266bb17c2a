-- Ten thousand coroutines, each a small creature with a life of its
-- own. Evermoon keeps them on its heap: they cost a few hundred bytes.

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
print(("%d coroutines take %.0f KiB"):format(#crowd, collectgarbage("count")))

local round = 0
while alive > 0 do
  round = round + 1
  for _, co in ipairs(crowd) do
    if coroutine.status(co) == "suspended" then coroutine.resume(co) end
  end
  meter("round", round)
  meter("alive", alive, born)
  meter("moves", moves)
end

print(("all rest after %d rounds and %d moves"):format(round, moves))
collectgarbage()
crowd = nil
collectgarbage()
print(("afterwards: %.0f KiB"):format(collectgarbage("count")))
