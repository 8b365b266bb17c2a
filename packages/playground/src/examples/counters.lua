-- meter() shows a figure that changes while the program runs.
-- Here, three workers share one thread, each a coroutine.

local inside, total = 0, 0

local function monte_carlo()
  while true do
    for _ = 1, 2000 do
      local x, y = math.random(), math.random()
      if x * x + y * y <= 1 then inside = inside + 1 end
      total = total + 1
    end
    coroutine.yield()
  end
end

local primes, candidate = 0, 1

local function sieve()
  while true do
    for _ = 1, 200 do
      candidate = candidate + 1
      local prime = true
      for d = 2, math.floor(candidate ^ 0.5) do
        if candidate % d == 0 then prime = false break end
      end
      if prime then primes = primes + 1 end
    end
    coroutine.yield()
  end
end

local longest, length, start = 1, 0, 1

local function collatz()
  while true do
    for _ = 1, 200 do
      local n, steps = start, 0
      while n ~= 1 do
        n = n % 2 == 0 and n // 2 or 3 * n + 1
        steps = steps + 1
      end
      if steps > length then longest, length = start, steps end
      start = start + 1
    end
    coroutine.yield()
  end
end

local workers = {
  coroutine.wrap(monte_carlo),
  coroutine.wrap(sieve),
  coroutine.wrap(collatz),
}

for round = 1, 400 do
  for _, work in ipairs(workers) do work() end
  meter("round", round, 400)
  meter("π is about", ("%.5f"):format(4 * inside / total))
  meter("primes found", primes)
  meter("longest Collatz", ("%d, from %d"):format(length, longest))
end

return {
  pi = 4 * inside / total,
  primes = primes,
  collatz = { from = longest, steps = length },
}
