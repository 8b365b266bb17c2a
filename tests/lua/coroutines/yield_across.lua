-- Yields from where the reference too can: metamethods, iterators, pcall, xpcall, tail calls, __close, dofile's like.
local y = coroutine.yield
local function run(name, f, ...)
  local co = coroutine.create(f)
  local args = table.pack(...)
  local out = {}
  while true do
    local r = table.pack(coroutine.resume(co, table.unpack(args, 1, args.n)))
    if not r[1] then out[#out + 1] = "error " .. tostring(r[2]); break end
    if coroutine.status(co) == "dead" then
      for i = 2, r.n do out[#out + 1] = "=" .. tostring(r[i]) end
      break
    end
    out[#out + 1] = tostring(r[2])
    args = table.pack("r" .. tostring(r[2]))
  end
  print(name, table.concat(out, " "))
end
local mt = {
  __add = function() return y("add") end, __concat = function() return y("concat") end, __unm = function() return y("unm") end,
  __eq = function() return y("eq") end, __lt = function() return y("lt") end, __le = function() return y("le") end,
  __index = function(_, k) return y("index") end, __newindex = function(_, k, v) y("newindex") end, __call = function(_, a) return y("call") end,
  __len = function() return y("len") end, __band = function() return y("band") end, __close = function() y("close") end,
}
local function new() return setmetatable({}, mt) end
run("arith", function() local a = new(); return a + 1, 1 + a, -a, a & 1 end) --> arith	add add unm band =radd =radd =runm =rband
run("concat", function() local a = new(); return "x" .. a .. "y", a .. "z" end) --> concat	concat concat =xrconcat =rconcat
run("compare", function() local a, b = new(), new(); return a == b, a ~= b, a < b, a >= b, not (a < b) end)
--> compare	eq eq lt le lt =true =false =true =true =false
run("index", function() local a = new(); a.x = 1; return a.field, a[1], #a, a(5), a:m() end)
--> index	newindex index index len call index error yield_across.lua:30: attempt to call a string value (method 'm')
run("branch", function() local a, b = new(), new(); if a < b then return "then" else return "else" end end) --> branch	lt =then
run("pcall", function() return pcall(function() y("in"); error("e", 0) end) end) --> pcall	in =false =e
run("xpcall", function() return xpcall(function(...) y(...); error("e", 0) end, function(m) return "h" .. m end, "arg") end) --> xpcall	arg =false =he
run("nested", function() return pcall(pcall, function() y(1); error(y(2), 0) end) end) --> nested	1 2 =true =false =r2
run("iterator", function() local s = 0; for i in function(_, c) c = (c or 0) + 1; y("it" .. c); if c <= 2 then return c end end do s = s + i end return s end)
--> iterator	it1 it2 it3 =3
run("pairs", function() for k, v in pairs(setmetatable({}, { __pairs = function() y("pairs"); return function(_, k) if not k then y("step"); return 1, 2 end end end })) do y(k + v) end end)
--> pairs	pairs step 3
run("tail", function() local function t(n) if n == 0 then return y("bottom") end return t(n - 1) end return t(10) end) --> tail	bottom =rbottom
run("close", function() do local a <close> = new() end; local b <close> = new(); return "ret" end) --> close	close close =ret
run("inner", function() local inner = coroutine.wrap(function() y("i1"); y("i2") end); y(inner()); y(inner()) end) --> inner	i1 i2
run("varargs", function(...) return select("#", y(...)), y() end, 1, 2) --> varargs	1 nil =1 =rnil
run("method", function() local o = { m = function(self, x) return x, y("m") end }; return o:m(1), (o:m(2)) end) --> method	m m =1 =2
run("table", function() return #{ y("a"), y("b"), y("c") }, ({ [y("k")] = y("v") }).rk end) --> table	a b c k v =3 =rv
run("setfield", function() local t = {}; t[y("k")], t.z = y("v1"), y("v2"); return t.rk, t.z end) --> setfield	k v1 v2 =rv1 =rv2
run("loop", function() local s = "" for i = 1, 3 do s = s .. y(i) end return s end) --> loop	1 2 3 =r1r2r3
run("error after", function() y(1); local t = nil; return t.x end) --> error after	1 error yield_across.lua:48: attempt to index a nil value (local 't')
