-- An error is caught step by step. (In a world: between two steps too, everything that closures have captured and what is to be closed is kept.)

local kept = {}
local function busy(n)
  local sum = 0
  for i = 1, n do
    sum = sum + i % 7
  end
  return sum
end

local function fails(n, deep)
  local a, b, c, d, e, f, count = 1, 2, 3, 4, 5, 6, n
  kept[#kept + 1] = function()
    count = count + 1
    return count
  end
  local t <close> = setmetatable({}, {
    __close = function(_, message)
      count = count + 10
      kept.message = message
    end,
  })
  if deep > 0 then
    fails(n + 1, deep - 1)
  end
  return a + {} .. b .. c .. d .. e .. f
end

local caught = 0
for n = 1, 40 do
  if not pcall(fails, n, n % 5) then
    caught = caught + 1
  end
end
busy(300)
local sum = 0
for _, f in ipairs(kept) do
  sum = sum + f() + f()
end
print(caught, #kept, sum)                                   --> 40	120	8000
print(kept.message)                                         --> caught_with_captured_variables.lua:27: attempt to perform arithmetic on a table value

-- Nothing has been called that would have moved the stack's top above the variable.
local function plain(n)
  local a, b, c, d, e, f, count = 1, 2, 3, 4, 5, 6, n
  kept[n] = function()
    count = count + 1
    return count
  end
  return a, b, c, d, e, f, nothing.here
end
for n = 1, 40 do
  pcall(plain, n)
end
sum = 0
for n = 1, 40 do
  sum = sum + kept[n]() + kept[n]()
end
print(sum)                                                  --> 1760

local co = coroutine.wrap(function()
  local x = 0
  local function up()
    x = x + 1
    return x
  end
  for n = 1, 20 do
    pcall(function()
      local y = n
      kept[n] = function()
        y = y + 1
        return y, up()
      end
      coroutine.yield(n)
      error {}
    end)
  end
  return up
end)
repeat
  local v = co()
until type(v) == "function"
print(kept[20](), kept[1](), kept[10]())                    --> 21	2	11	3
