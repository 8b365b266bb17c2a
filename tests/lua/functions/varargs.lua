-- Varargs: counts with nils, adjustment, select from both ends, pack and unpack, in the main chunk too.
local function count(...) return select("#", ...) end
print(count(), count(nil), count(nil, nil), count(count()), count((count()))) --> 0	1	2	1	1
local function pass(...) return ... end
print(pass(1, nil, 3), (pass(1, 2)), #{ pass(1, 2, 3) }) --> 1	1	3
print(select(2, "a", "b", "c"), select(-1, "a", "b", "c"), select(-2, "a", "b", "c")) --> b	c	b	c
print(select(4, 1, 2, 3), pcall(select, 0, 1), pcall(select, -4, 1)) --> nil	false	false	bad argument #1 to 'select' (index out of range)
local function first(...) local a, b = ...; return a, b end
print(first(), first(1), first(1, 2, 3)) --> nil	1	1	2
local t = table.pack(pass(nil, nil))
print(t.n, t[1], table.unpack(t, 1, t.n)) --> 2	nil	nil	nil
local function wrap(...) local args = table.pack(...); return function() return table.unpack(args, 1, args.n) end end
print(wrap(1, nil, 2, nil)()) --> 1	nil	2	nil
print(count(table.unpack({}, 1, 3)), count(table.unpack({ 1, 2 }, -1, 1))) --> 3	3
print(pcall(table.unpack, {}, 1, 1e8)) --> false	too many results to unpack
print(count(...), ... == nil) --> 0	true
local function many(...) return count(...), (select(select("#", ...), ...)) end
local big = {}
for i = 1, 5000 do big[i] = i end
print(many(table.unpack(big))) --> 5000	5000
print((function(...) local function inner() return 5 end return inner(...), ... end)(8, 9)) --> 5	8	9
print(select(2, load("function f() return ... end", "=src"))) --> src:1: cannot use '...' outside a vararg function near '...'
print(string.char(table.unpack({ 72, 105 })), math.max(table.unpack({ 3, 9, 4 }))) --> Hi	9
