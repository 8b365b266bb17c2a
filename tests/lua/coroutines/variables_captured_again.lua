-- A function that dies gives up its variables, though the function that has them waits for a coroutine; another function may capture them again.
-- (In a world: what the waiting one has captured is in its record.)

local function busy()
  local n = 0
  for i = 1, 8000 do
    n = n + i % 7
  end
  return n
end

local x, y = "x", 0
local function other() return 1, 2, 3 end
local co = coroutine.wrap(function()
  busy()
  collectgarbage()
  busy()
end)
print(pcall(function() return x .. y end))                  --> true	x0
print(pcall(other), other())                                --> true	1	2	3
busy()
co()
busy()
local again = function(n) busy() y = y + n busy() return x, y end
busy()
print(again(5))                                             --> x	5
busy()
print(x, y, again(1))                                       --> x	5	x	6
