-- debug: locals by level, by coroutine, varargs, setlocal; upvalues: names, set, id, join; metatables and registry.
local function f(a, b, ...)
  local c = a + b
  local names = {}
  for i = 1, 10 do local n, v = debug.getlocal(1, i); if not n then break end names[#names + 1] = n .. "=" .. tostring(v):gsub("table.*", "table") end
  for i = -1, -3, -1 do local n, v = debug.getlocal(1, i); names[#names + 1] = tostring(n) .. "=" .. tostring(v) end
  return table.concat(names, " ")
end
print(f(1, 2, "va1", "va2")) --> a=1 b=2 c=3 names=table (for state)=5 (for state)=4 (for state)=1 i=8 (vararg)=va1 (vararg)=va2 nil=nil
print(debug.getlocal(f, 1), debug.getlocal(f, 2), debug.getlocal(f, 3)) --> a	b	nil
do
  local x = 1
  local function set() return debug.setlocal(2, 2, "changed") end
  local n = 0
  for i = 1, 20 do if debug.getlocal(1, i) == "x" then n = i end end
  print(debug.setlocal(1, n, "new value"), x) --> x	new value
end
local up1, up2 = 1, 2
local function g() up1 = up1 + 1; return up1, up2 end
print(debug.getupvalue(g, 1)); print(debug.getupvalue(g, 2)); print(debug.getupvalue(g, 3))
--> up1	1
--> up2	2
-->
print(debug.setupvalue(g, 2, "set"), up2, g()) --> up2	set	2	set
local function h() return up2 end
print(debug.upvalueid(g, 2) == debug.upvalueid(h, 1), debug.upvalueid(g, 1) == debug.upvalueid(h, 1)) --> true	false
local function counter() local n = 0; return function() n = n + 1; return n end end
local c1, c2 = counter(), counter()
c1(); c1()
debug.upvaluejoin(c2, 1, c1, 1)
print(c2(), c1()) --> 3	4
print(debug.getupvalue(string.gmatch("a", "a"), 1) ~= nil, pcall(debug.upvalueid, g, 10), pcall(debug.upvaluejoin, g, 1, print, 1))
--> true	true	false	bad argument #4 to 'debug.upvaluejoin' (invalid upvalue index)
print(debug.getmetatable("").__index == string, debug.setmetatable(10, nil), type(debug.getregistry())) --> true	10	table
local co = coroutine.create(function(p) local q = p * 2; coroutine.yield(q) end)
coroutine.resume(co, 21)
print(debug.getlocal(co, 1, 1)); print(debug.getlocal(co, 1, 2)); print(pcall(debug.getlocal, co, 5, 1))
--> p	21
--> q	42
--> false	bad argument #2 to 'debug.getlocal' (level out of range)
print(debug.setlocal(co, 1, 2, "q2"), debug.getlocal(co, 1, 2)) --> q	q	q2
print(pcall(debug.getlocal, 50, 1)) --> false	bad argument #1 to 'debug.getlocal' (level out of range)
print(debug.getuservalue(5, 1), debug.setuservalue and "has setuservalue", pcall(debug.setuservalue, {}, 1))
--> nil	has setuservalue	false	bad argument #1 to 'debug.setuservalue' (userdata expected, got table)
