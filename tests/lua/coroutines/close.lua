-- coroutine.close: suspended, dead, with pending to-be-closed variables, with errors; not itself or a normal one.
print(coroutine.close(coroutine.create(print))) --> true
local co = coroutine.create(function() coroutine.yield() end)
coroutine.resume(co)
print(coroutine.close(co), coroutine.status(co), coroutine.close(co)) --> true	dead	true
print(coroutine.resume(co)) --> false	cannot resume dead coroutine
co = coroutine.create(function() error("oops", 0) end)
print(coroutine.resume(co)) --> false	oops
print(coroutine.close(co)) --> false	oops
print(coroutine.close(co)) --> true
print(pcall(coroutine.close, coroutine.running())) --> false	cannot close a running coroutine
co = coroutine.create(function() local me = coroutine.running(); return pcall(coroutine.close, me) end)
print(coroutine.resume(co)) --> true	false	cannot close a running coroutine
local normal
normal = coroutine.create(function() return coroutine.resume(coroutine.create(function() return pcall(coroutine.close, normal) end)) end)
print(coroutine.resume(normal)) --> true	true	false	cannot close a normal coroutine
local order = {}
local function res(n, e) return setmetatable({}, { __close = function(_, err) order[#order + 1] = n .. ":" .. tostring(err); if e then error(e, 0) end end }) end
co = coroutine.create(function()
  local a <close> = res("a")
  pcall(function() local b <close> = res("b"); coroutine.yield() end)
end)
coroutine.resume(co)
print(coroutine.close(co), table.concat(order, " ")) --> true	b:nil a:nil
order = {}
co = coroutine.create(function() local a <close> = res("a"); local b <close> = res("b", "B!"); coroutine.yield() end)
coroutine.resume(co)
print(coroutine.close(co)); print(table.concat(order, " "))
--> false	B!
--> b:nil a:B!
order = {}
local w = coroutine.wrap(function() local a <close> = res("wrap"); error("E", 0) end)
print(pcall(w)); print(table.concat(order, " "))
--> false	E
--> wrap:E
order = {}
do
  local it <close> = setmetatable({}, { __close = function() order[#order + 1] = "closed" end })
  for i in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end), nil, nil, it do if i == 2 then break end end
  order[#order + 1] = "after"
end
print(table.concat(order, " ")) --> closed after closed
