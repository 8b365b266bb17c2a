-- evermoon-only: the reference answers "attempt to yield across a C-call boundary"
-- Yields from inside library functions that call back: there is no boundary here.
local y = coroutine.yield
local function run(name, f)
  local co = coroutine.create(f)
  local out, arg = {}, nil
  while true do
    local ok, v = coroutine.resume(co, arg)
    if not ok then out[#out + 1] = "error " .. tostring(v) break end
    if coroutine.status(co) == "dead" then out[#out + 1] = "=" .. tostring(v) break end
    out[#out + 1] = tostring(v)
    arg = v
  end
  print(name .. ": " .. table.concat(out, " "))
end
run("gsub function", function() return (("abc"):gsub("%w", function(c) return y(c):upper() end)) end) --> gsub function: a b c =ABC
run("gsub table", function() return (("ab"):gsub("%w", setmetatable({}, { __index = function(_, k) return y(k) .. "!" end }))) end) --> gsub table: a b =a!b!
run("sort", function()
  local t, n = { 3, 1, 2 }, 0
  table.sort(t, function(a, b) n = n + 1; y("cmp"); return a < b end)
  return n > 1 and table.concat(t, ",")
end)
--> sort: cmp cmp =1,2,3
run("sort __lt", function()
  local mt = { __lt = function(a, b) y("lt"); return a.v < b.v end }
  local t = { setmetatable({ v = 2 }, mt), setmetatable({ v = 1 }, mt) }
  table.sort(t)
  return t[1].v
end)
--> sort __lt: lt =1
run("tostring", function() return tostring(setmetatable({}, { __tostring = function() return y("ts") .. "!" end })) end) --> tostring: ts =ts!
run("format", function() return ("%s-%s"):format(setmetatable({}, { __tostring = function() return y("one") end }), "two") end) --> format: one =one-two
run("load reader", function()
  local parts, i = { "return ", "1 + ", "2" }, 0
  return load(function() i = i + 1; return parts[i] and y(parts[i]) end)()
end)
--> load reader: return  1 +  2 =3
run("concat", function()
  return table.concat(setmetatable({}, { __index = function(_, i) return y("i" .. i) end, __len = function() y("len"); return 2 end }), ",")
end)
--> concat: len i1 i2 =i1,i2
run("insert and remove", function()
  local proxy = setmetatable({}, { __len = function() y("len"); return 1 end, __index = function(_, i) return y("get" .. i) end, __newindex = function(_, i, v) y("set" .. i) end })
  table.insert(proxy, 1, "x")
  return table.remove(proxy, 1)
end)
--> insert and remove: len get1 set2 set1 len get1 set1 =get1
run("unpack", function() return select("#", table.unpack(setmetatable({}, { __index = function(_, i) return y(i) end }), 1, 3)) end) --> unpack: 1 2 3 =3
run("move", function() return #table.move(setmetatable({}, { __index = function(_, i) return y(i) end }), 1, 2, 1, {}) end) --> move: 1 2 =2
run("ipairs", function()
  local s = 0
  for _, v in ipairs(setmetatable({}, { __index = function(_, i) y(i); if i <= 2 then return i end end })) do s = s + v end
  return s
end)
--> ipairs: 1 2 3 =3
run("math.max", function()
  return #{ math.max(1, 2) }
end)
--> math.max: =1
run("string arithmetic", function() return "10" + setmetatable({}, { __add = function(a) return y(a) end }) end) --> string arithmetic: 10 =10
run("require", function()
  package.preload["yielding.module"] = function(name) return { name = y(name) } end
  return require("yielding.module").name
end)
--> require: yielding.module =yielding.module
run("print", function()
  local real = setmetatable({}, { __tostring = function() return y("printing") end })
  print(real)
  return "printed"
end)
--> printing
--> print: printing =printed
run("nested", function()
  return (("x"):gsub("x", function()
    local t = { 2, 1 }
    table.sort(t, function(a, b) return tostring(setmetatable({}, { __tostring = function() return y("deep") end })) == "deep" and a < b end)
    return t[1]
  end))
end)
--> nested: deep =1
run("error in callback", function() return pcall(string.gsub, "a", "a", function() y("before"); error("after", 0) end) end) --> error in callback: before =false
run("close with pending", function() return "never resumed" end) --> close with pending: =never resumed
local co = coroutine.create(function() table.sort({ 2, 1 }, function(a, b) local r <close> = setmetatable({}, { __close = function() print("closed inside sort") end }); y(); return a < b end) end)
coroutine.resume(co)
print(coroutine.close(co), coroutine.status(co))
--> closed inside sort
--> true	dead
