-- closures: made, called and dropped; upvalues open and closed, shared and nested; functions as values.
local n = tonumber(arg and arg[1]) or 2400000

local function counter(step)
  local value = 0
  return function() value = value + step; return value end,
         function(v) value = v end
end

local function compose(f, g)
  return function(x) return f(g(x)) end
end

local function adder(k)
  return function(x) return x + k end
end

local sum = 0
local next_value, set = counter(3)
for i = 1, n do
  sum = (sum + next_value()) % 1000003
  if i % 1000 == 0 then set(i % 17) end
end

for i = 1, n do
  local k = i % 13
  local f = function(x) return x * k + i end
  sum = (sum + f(i)) % 1000003
end

local chain = adder(0)
for i = 1, 20 do chain = compose(adder(i), chain) end
for i = 1, n / 50 do sum = (sum + chain(i)) % 1000003 end

local function fold(list, f, acc)
  for i = 1, #list do acc = f(acc, list[i]) end
  return acc
end
local list = {}
for i = 1, 100 do list[i] = i end
for i = 1, n / 150 do
  sum = fold(list, function(acc, v) return (acc + v * i) % 1000003 end, sum)
end
print(string.format("closures %d", sum))
