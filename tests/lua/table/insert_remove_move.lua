-- reference: 5.4.8
-- insert, remove, move, concat, unpack, pack; through metamethods too; borders and errors.
local t = { 1, 2, 3 }
table.insert(t, 4); table.insert(t, 1, 0); table.insert(t, #t + 1, 5)
print(table.concat(t, ","), table.remove(t), table.remove(t, 1), table.concat(t, ","), table.remove({}), table.remove({}, 0))
--> 0,1,2,3,4,5	5	0	1,2,3,4	nil	nil
print(table.remove(t, #t + 1), #t, table.remove({ n = 1 }, 0), table.concat({}), table.concat({ 1, 2.5, "x" }, "-"), table.concat({ 1, 2, 3 }, "", 2, 3), table.concat({ 1, 2 }, ",", 3))
--> nil	4	nil		1-2.5-x	23	
print(table.concat(table.move({ 1, 2, 3 }, 1, 3, 2), " "), table.concat(table.move({ 1, 2, 3 }, 2, 3, 1), " "), table.concat(table.move({ 1, 2, 3 }, 1, 3, 3, { "a", "b" }), " "), #table.move({ 1, 2 }, 1, 0, 5))
--> 1 1 2 3	2 3 3	a b 1 2 3	2
print(table.unpack({ 1, 2, 3 }, 2), table.unpack({ 1, 2 }, 1, 3), table.unpack({}, 1, 2), (table.unpack({ 1, 2 }))) --> 2	1	nil	1
local log = {}
local proxy = setmetatable({}, {
  __index = function(_, k) log[#log + 1] = "r" .. k; return k <= 3 and k * 10 or nil end,
  __newindex = function(_, k, v) log[#log + 1] = "w" .. k .. "=" .. tostring(v) end,
  __len = function() return 3 end,
})
table.insert(proxy, "end")
table.insert(proxy, 2, "mid")
print(table.remove(proxy), table.remove(proxy, 1), table.concat(proxy, ","), table.unpack(proxy)) --> 30	10	10,20,30	10	20	30
print(table.concat(log, " ")) --> w4=end r3 w4=30 r2 w3=20 w2=mid r3 w3=nil r1 r2 w1=20 r3 w2=30 w3=nil r1 r2 r3 r1 r2 r3
print(table.concat(table.move(proxy, 1, 2, 1, {}), " ")) --> 10 20
print(pcall(table.insert, { 1, 2, 3 }, 6, "x")) --> false	bad argument #2 to 'table.insert' (position out of bounds)
print(pcall(table.insert, { 1, 2, 3 }, 0, "x")) --> false	bad argument #2 to 'table.insert' (position out of bounds)
print(pcall(table.remove, { 1, 2, 3 }, 7)) --> false	bad argument #2 to 'table.remove' (position out of bounds)
print(pcall(table.concat, { 1, {}, 3 })) --> false	invalid value (table) at index 2 in table for 'concat'
print(pcall(table.move, {}, 1, math.maxinteger, 2)) --> false	bad argument #4 to 'table.move' (destination wrap around)
print(pcall(table.move, {}, 1, 2)) --> false	bad argument #4 to 'table.move' (number expected, got no value)
print(pcall(table.unpack, {}, math.mininteger, math.maxinteger)) --> false	too many results to unpack
print(pcall(table.insert, setmetatable({}, { __len = function() return "x" end }), 1)) --> false	object length is not an integer
print(table.pack(1, nil, 3).n, table.pack().n, #table.pack(1, 2)) --> 3	0	2
print(next({}), select("#", table.unpack({ n = 3 }, 1, 3)), table.concat({ [1] = "a", [2] = "b", [4] = "d" }, "", 1, 2)) --> nil	3	ab
