-- coroutine_pingpong: resume and yield with values, a generator inside a generator, many short-lived coroutines.
local n = tonumber(arg and arg[1]) or 1300000
local create, resume, yield, wrap = coroutine.create, coroutine.resume, coroutine.yield, coroutine.wrap

local sum = 0

-- Two values there, one back.
local co = create(function(a, b)
  while true do a, b = yield((a + b) % 9973) end
end)
for i = 1, n do
  local _, v = resume(co, i, sum)
  sum = v
end

-- A filter over a generator.
local function numbers(limit)
  return wrap(function() for i = 1, limit do yield(i) end end)
end
local function odd(source)
  return wrap(function() for v in source do if v % 2 == 1 then yield(v) end end end)
end
for v in odd(numbers(n)) do sum = (sum + v) % 1000003 end

-- Short lives.
for i = 1, n / 10 do
  local f = wrap(function(x) local y = yield(x + 1); return y * 2 end)
  sum = (sum + f(i) + f(3)) % 1000003
end
print(string.format("coroutine_pingpong %d", sum))
