-- __close may yield: when a block ends, when a function returns, and while an error goes by.
local function res(name) return setmetatable({}, { __close = function(_, e) print("closing", name, e, coroutine.yield(name)) end }) end
local function run(f)
  local co = coroutine.wrap(function() return "done", f() end)
  local v = co()
  while v ~= "done" do print("yielded", v); v = co("back from " .. v) end
end
run(function() do local a <close> = res("a"); local b <close> = res("b") end return 1 end)
--> yielded	b
--> closing	b	nil	back from b
--> yielded	a
--> closing	a	nil	back from a
run(function() local a <close> = res("ret"); return 1, 2, 3 end)
--> yielded	ret
--> closing	ret	nil	back from ret
run(function() print(pcall(function() local a <close> = res("err1"); local b <close> = res("err2"); error("E", 0) end)) end)
--> yielded	err2
--> closing	err2	E	back from err2
--> yielded	err1
--> closing	err1	E	back from err1
--> false	E
run(function() for i in next, { 1, 2 }, nil, res("loop") do if i == 1 then break end end end)
--> yielded	loop
--> closing	loop	nil	back from loop
run(function()
  local r = table.pack((function(...) local a <close> = res("varargs"); return ... end)("x", nil, "z", nil))
  print(r.n, r[1], r[3])
end)
--> yielded	varargs
--> closing	varargs	nil	back from varargs
--> 4	x	z
