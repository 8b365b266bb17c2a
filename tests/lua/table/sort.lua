-- sort: numbers, strings, comparators, objects; bad comparators are noticed or harmless; big, sorted, equal inputs.
local function sorted(t, f) table.sort(t, f); return table.concat(t, " ") end
print(sorted({ 3, 1, 2 }), sorted({ "b", "a", "C" }), sorted({ 3, 1, 2 }, function(a, b) return a > b end), sorted({}), sorted({ 1 }), sorted({ 2.5, 1, -1 / 0, 1 / 0 }))
--> 1 2 3	C a b	3 2 1		1	-inf 1 2.5 inf
local big = {}
local x = 42
for i = 1, 5000 do x = (x * 1103515245 + 12345) % 2147483648; big[i] = x % 1000 end
table.sort(big)
local ok = true
for i = 2, #big do ok = ok and big[i - 1] <= big[i] end
print(ok) --> true
for _, gen in ipairs({ function(i) return i end, function(i) return -i end, function() return 1 end, function(i) return i % 3 end }) do
  local t = {}
  for i = 1, 1000 do t[i] = gen(i) end
  table.sort(t, function(a, b) return a < b end)
  for i = 2, #t do assert(t[i - 1] <= t[i]) end
end
print(pcall(table.sort, { 1, "x", 2 })) --> false	attempt to compare string with number
print(pcall(table.sort, { {}, {} })) --> false	attempt to compare two table values
print(pcall(table.sort, { 3, 2, 1, 5, 4 }, function() return true end)) --> false	invalid order function for sorting
print(pcall(table.sort, { 1, 2, 3 }, function(a, b) error("cmp", 0) end)) --> false	cmp
local people = { { "bob", 30 }, { "ann", 25 }, { "eve", 35 }, { "dan", 25 } }
table.sort(people, function(a, b) if a[2] ~= b[2] then return a[2] < b[2] end return a[1] < b[1] end)
for _, p in ipairs(people) do io.write(p[1], p[2], " ") end
print() --> ann25 dan25 bob30 eve35 
local mt = { __lt = function(a, b) return a.v < b.v end }
local objs = {}
for i, v in ipairs({ 3, 1, 2 }) do objs[i] = setmetatable({ v = v }, mt) end
table.sort(objs)
print(objs[1].v, objs[2].v, objs[3].v) --> 1	2	3
local count = 0
table.sort({ 5, 4, 3, 2, 1 }, function(a, b) count = count + 1; return a < b end)
print(count > 0, sorted({ "10", "9", "2" }), sorted({ "10", "9", "2" }, function(a, b) return tonumber(a) < tonumber(b) end)) --> true	10 2 9	2 9 10
