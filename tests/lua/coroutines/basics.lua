-- create, resume, yield, status, isyieldable, running, wrap: values both ways, errors, states.
local co = coroutine.create(function(a, b)
  print("start", a, b)
  local c = coroutine.yield(a + b)
  print("got", c)
  local d, e = coroutine.yield()
  print("got", d, e)
  return "end", 99
end)
print(coroutine.status(co)) --> suspended
print(coroutine.resume(co, 1, 2))
--> start	1	2
--> true	3
print(coroutine.resume(co, "x"))
--> got	x
--> true
print(coroutine.status(co)) --> suspended
print(coroutine.resume(co, "y", "z"))
--> got	y	z
--> true	end	99
print(coroutine.status(co), coroutine.resume(co)) --> dead	false	cannot resume dead coroutine
print(coroutine.isyieldable(), select(2, coroutine.running()), coroutine.status((coroutine.running()))) --> false	true	running
print(coroutine.wrap(function() return coroutine.isyieldable(), select(2, coroutine.running()) end)()) --> true	false
local outer
outer = coroutine.create(function()
  local inner = coroutine.create(function() return coroutine.status(outer) end)
  print(coroutine.resume(inner))
  print(coroutine.resume(outer))
  print(coroutine.resume(coroutine.running()))
end)
coroutine.resume(outer)
--> true	normal
--> false	cannot resume non-suspended coroutine
--> false	cannot resume non-suspended coroutine
print(pcall(coroutine.yield, 1)) --> false	attempt to yield from outside a coroutine
local w = coroutine.wrap(function() error("in wrap") end)
print(pcall(w)) --> false	basics.lua:36: in wrap
print(pcall(w)) --> false	cannot resume dead coroutine
w = coroutine.wrap(function() error({ code = 5 }) end)
print(select(2, pcall(w)).code) --> 5
print(coroutine.resume(coroutine.create(function() local x = nil; return x.y end))) --> false	basics.lua:41: attempt to index a nil value (local 'x')
print(coroutine.resume(coroutine.create(function(...) return select("#", ...), ... end), nil, 1, nil)) --> true	3	nil	1	nil
local function gen(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i, i * i) end end) end
for i, sq in gen(3) do io.write(i, ":", sq, " ") end
print() --> 1:1 2:4 3:9 
co = coroutine.wrap(function(...) local args = table.pack(...); while true do args = table.pack(coroutine.yield(args.n, table.unpack(args, 1, args.n))) end end)
print(co()); print(co(nil)); print(co(1, nil, nil))
--> 0
--> 1	nil
--> 3	1	nil	nil
local function permgen(a, n) if n <= 1 then coroutine.yield(table.concat(a)) else for i = 1, n do a[n], a[i] = a[i], a[n]; permgen(a, n - 1); a[n], a[i] = a[i], a[n] end end end
for p in coroutine.wrap(function() permgen({ "a", "b", "c" }, 3) end) do io.write(p, " ") end
print() --> bca cba cab acb bac abc 
