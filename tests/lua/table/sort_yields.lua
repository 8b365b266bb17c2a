-- evermoon-only: the reference cannot yield inside table.sort.
-- A comparator that yields at every comparison, of a function or of a metamethod (6.6).
local function numbers(n, limit)
  local t, s = {}, 42
  for i = 1, n do s = (s * 1103 + 12345) % 1048573; t[i] = s % limit end
  return t
end
local function sorted(t, less)
  for i = 2, #t do if less(t[i], t[i - 1]) then return false end end
  return true
end
local co = coroutine.wrap(function()
  local t = numbers(150, 1000)
  table.sort(t, function(a, b) coroutine.yield(1) return a > b end)
  return t
end)
local r, count = co(), 0
while r == 1 do r, count = co(), count + 1 end
print(sorted(r, function(a, b) return a > b end), count > 150) --> true	true

local mt = { __lt = function(a, b) coroutine.yield(1) return a.v < b.v end }
co = coroutine.wrap(function()
  local t = numbers(40, 30)
  for i, v in ipairs(t) do t[i] = setmetatable({ v = v }, mt) end
  table.sort(t)
  return t
end)
repeat r = co() until r ~= 1
print(sorted(r, function(a, b) return a.v < b.v end)) --> true
