-- Closures keep their variables; coroutines keep their place.

local function counter(step)
  local n = 0
  return function()
    n = n + step
    return n
  end
end

local threes, sevens = counter(3), counter(7)
print("closures", threes(), threes(), sevens(), threes())

-- A generator: the permutations of a list, one at a time.
local function permutations(list)
  local function go(n)
    if n == 1 then coroutine.yield(table.concat(list, " ")) end
    for i = 1, n do
      list[i], list[n] = list[n], list[i]
      go(n - 1)
      list[i], list[n] = list[n], list[i]
    end
  end
  return coroutine.wrap(function() go(#list) end)
end

for p in permutations { "new", "half", "full" } do
  print(p)
end

-- Evermoon may yield from anywhere: here, from a comparison.
local sorter = coroutine.wrap(function()
  local t = { 5, 2, 8, 1 }
  table.sort(t, function(a, b)
    coroutine.yield(a, b)
    return a < b
  end)
  coroutine.yield("sorted: " .. table.concat(t, " "))
end)

for a, b in sorter do
  print(b and ("compares %d with %d"):format(a, b) or a)
end
