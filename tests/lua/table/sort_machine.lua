-- table.sort as a state machine: comparators that fail, are invalid, or meddle with the table (6.6).
local function sorted(t, less)
  for i = 2, #t do if less(t[i], t[i - 1]) then return false end end
  return true
end
local function numbers(n, limit)
  local t, s = {}, 42
  for i = 1, n do s = (s * 1103 + 12345) % 1048573; t[i] = s % limit end
  return t
end

-- Without one: numbers of both kinds, strings, and objects that compare themselves.
local mixed = { 3, 1.5, -2, 2 ^ 53, 7, -0.25, math.maxinteger, math.mininteger, math.huge }
table.sort(mixed)
print(table.concat(mixed, " ")) --> -9223372036854775808 -2 -0.25 1.5 3 7 9.007199254741e+15 9223372036854775807 inf
local words = { "b", "a\0b", "a", "", "abcdefghi", "abcdefgh", "a\0a", "\xff", "abcdefgha" }
table.sort(words)
for i, w in ipairs(words) do words[i] = (w:gsub("[^%a]", function(c) return ("<%d>"):format(c:byte()) end)) end
print(table.concat(words, ",")) --> ,a,a<0>a,a<0>b,abcdefgh,abcdefgha,abcdefghi,b,<255>
local mt = { __lt = function(a, b) return a.v < b.v end }
local objects = {}
for i, v in ipairs(numbers(40, 30)) do objects[i] = setmetatable({ v = v }, mt) end
table.sort(objects)
print(sorted(objects, mt.__lt)) --> true
print(pcall(table.sort, { 1, "x" })) --> false	attempt to compare string with number
print(pcall(table.sort, { {}, {} })) --> false	attempt to compare two table values

-- Elements of equal rank keep the order of the reference's algorithm.
local ranked = {}
for i = 1, 20 do ranked[i] = { rank = i % 3, id = i } end
table.sort(ranked, function(a, b) return a.rank < b.rank end)
local ids = {}
for i, e in ipairs(ranked) do ids[i] = e.id end
print(table.concat(ids, " ")) --> 15 9 6 12 18 3 13 1 16 19 10 4 7 17 2 11 8 14 5 20

-- Invalid order functions are noticed, and errors go through.
print(pcall(table.sort, { 1, 2, 3, 4 }, function() return true end)) --> false	invalid order function for sorting
print(pcall(table.sort, { 1, 2, 3 }, function() error("stop", 0) end)) --> false	stop
print(pcall(table.sort, { 1, 2, 3 }, 3)) --> false	bad argument #2 to 'table.sort' (function expected, got number)
print(pcall(table.sort, setmetatable({}, { __len = function() return math.maxinteger end }))) --> false	bad argument #1 to 'table.sort' (array too big)
print(pcall(table.sort, { 1 }, 3)) --> true

-- A comparator that empties the table breaks nothing but its own order.
local victim = numbers(60, 100)
print((pcall(table.sort, victim, function(a, b)
  for i = #victim, 1, -1 do victim[i] = nil end
  return (a or 0) < (b or 0)
end))) --> true

-- A table behind metamethods is sorted too.
local store = numbers(30, 100)
local view = setmetatable({}, { __index = store, __newindex = function(_, k, v) store[k] = v end, __len = function() return #store end })
table.sort(view)
print(sorted(store, function(a, b) return a < b end), next(view)) --> true	nil

-- Patterns that make a plain quicksort quadratic.
local organ = {}
for i = 1, 3000 do organ[i] = i <= 1500 and i or 3001 - i end
local calls = 0
table.sort(organ, function(a, b) calls = calls + 1 return a < b end)
print(sorted(organ, function(a, b) return a < b end), calls < 200000) --> true	true
