-- Multiple assignment: everything on the right first, prefix expressions before, nils for what lacks.
local a, b, c = (function() return 1, 2, 3 end)()
print(a, b, c) --> 1	2	3
a, b = b, a
print(a, b) --> 2	1
local t = { 1, 2, 3 }
t[1], t[2], t[3] = t[3], t[1], t[2]
print(t[1], t[2], t[3]) --> 3	1	2
local i = 3
i, t[i], t[i + 1] = 1, "three", "four"
print(i, t[3], t[4]) --> 1	three	four
do
  local t2 = { x = { y = 1 } }
  local x = t2.x
  t2.x, t2.x.y = nil, 2
  print(t2.x, x.y) --> nil	2
end
x, y = 1
print(x, y, _G.x, rawget(_G, "y")) --> 1	nil	1	nil
local function f() return end
local p, q = f(), f()
print(p, q) --> nil	nil
local v <const> = 5
print(v + 1) --> 6
do local x <const>, y <const> = 1, 2; print(x + y) end --> 3
local env = { print = print }
do local _ENV = env; z = 7; print(z) end --> 7
print(z, env.z) --> nil	7
