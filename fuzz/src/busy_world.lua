-- What a world may hold, made, used and dropped at random: `SEED` (set before) says what is done. Nothing that is printed depends on addresses, on the order of
-- `pairs` or on when the collector comes by itself. (`fuzz/src/bin/persist.rs` runs it disturbed and undisturbed.)
local seed = SEED
local function rnd(n)
  seed = (seed * 6364136223846793005 + 1442695040888963407)
  return (seed >> 33) % n + 1
end
local function pick(list) return list[rnd(#list)] end

-- While rows refer to objects, the collector sees a part of a world (docs/persistence.md): half of the worlds have such rows, the others what shows the collector.
local rows_refer = SEED // 32 % 2 == 0

-- Objects have numbers of their own, which keep nothing alive (where that would not show).
local numbers, last_number = setmetatable({}, { __mode = not rows_refer and "k" or nil }), 0
local function new(object)
  last_number = last_number + 1
  numbers[object] = last_number
  return object
end
local function show(v)
  local kind = type(v)
  if kind == "table" or kind == "function" or kind == "thread" or kind == "userdata" then
    return kind .. (numbers[v] or "?")
  end
  if kind == "string" and #v > 60 then return v:sub(1, 10) .. "#" .. #v end
  return tostring(v)
end
local function say(...)
  local out = {}
  for i = 1, select("#", ...) do out[i] = show((select(i, ...))) end
  print(table.concat(out, " "))
end

_home = _home or ext.table()
local tables, functions, threads, keys, dumps, log = {}, {}, {}, {}, {}, {}
local long = ("long text that is a string by itself "):rep(3)

local function key()
  local kind = rnd(9)
  if kind <= 2 then return rnd(12) end
  if kind == 3 then return rnd(5) + 0.5 end
  if kind == 4 then return rnd(2) == 1 end
  if kind == 5 then return long .. rnd(6) end
  if kind == 6 and #tables > 0 then return pick(tables) end
  if kind == 7 then return (long:rep(8)) .. rnd(3) end
  return "k" .. rnd(12)
end
local function value()
  local kind = rnd(9)
  if kind == 1 then return new {} end
  if kind == 2 and #functions > 0 then return pick(functions) end
  if kind == 3 and #tables > 0 then return pick(tables) end
  if kind == 4 then return long:rep(rnd(30)) end
  if kind == 5 then return rnd(1000) / 8 end
  if kind == 6 and #threads > 0 then return pick(threads) end
  if kind == 7 then return "v" .. rnd(99) end
  return rnd(1 << 40)
end
local function some_table()
  if #tables == 0 then tables[1] = new {} end
  return pick(tables)
end
-- The contents of a table, whatever their order.
local function contents(t)
  local all = {}
  for k, v in next, t do all[#all + 1] = show(k) .. "=" .. show(v) end
  table.sort(all)
  return #all .. ":" .. table.concat(all, ",")
end
local function keep(list, v)
  if #list >= 8 then
    list[rnd(8)] = v
  else
    list[#list + 1] = v
  end
end

local yields = {
  function(t)
    local n = 0
    for k, v in next, t do
      n = n + 1
      if n % 3 == 0 then t[k] = nil end
      coroutine.yield(n, type(v))
    end
    return n
  end,
  function(t)
    local x <close> = setmetatable({}, { __close = function(_, e)
      coroutine.yield("closing")
      t.closed = e and "error" or "well"
    end })
    for i = 1, 3 do coroutine.yield(i) end
    if rnd(2) == 1 then error("by chance") end
    return "end"
  end,
  function(t)
    return ("abc"):gsub(".", function(c)
      coroutine.yield(c)
      return c .. c
    end)
  end,
  function(t)
    local list = { 5, 3, 8, 1, 9, 2 }
    table.sort(list, function(a, b)
      coroutine.yield(a + b)
      return a < b
    end)
    return table.concat(list, "")
  end,
  function(t)
    local mt = {}
    for _, event in ipairs { "__add", "__index", "__concat", "__call", "__unm", "__len" } do
      mt[event] = function(...)
        coroutine.yield(event, select("#", ...))
        return event
      end
    end
    mt.__lt = function() return coroutine.yield("lt") end
    mt.__eq = function() return coroutine.yield("eq") end
    mt.__newindex = function(o, k, v)
      coroutine.yield(k)
      rawset(o, k, v)
    end
    local a, b = setmetatable({}, mt), setmetatable({}, mt)
    local all = { a + 1, a.x, a .. "x", a(1, 2), -a, #a, a < b, a == b }
    a.y = 1
    return #all, a.y
  end,
  function(t)
    return pcall(function()
      local n = 0
      local function up()
        n = n + 1
        return n
      end
      keep(functions, new(up))
      coroutine.yield(up())
      coroutine.yield(up())
      error({ up() })
    end)
  end,
  function(t)
    return xpcall(function(...)
      local packed = table.pack(...)
      coroutine.yield(packed.n)
      local nothing
      return nothing.field
    end, function(m)
      return "handled " .. tostring(m):gsub("^.-:%d+: ", "")
    end, 1, nil, 3, nil)
  end,
  function(t)
    local inner = coroutine.wrap(function()
      for i = 1, 4 do
        coroutine.yield(i)
        t["inner" .. i] = i
      end
    end)
    for v in inner do coroutine.yield(v) end
    return "inner is done"
  end,
}

local actions
actions = {
  function()
    local t = new {}
    for _ = 1, rnd(20) do t[key()] = value() end
    keep(tables, t)
  end,
  function() -- change
    local t = some_table()
    for _ = 1, rnd(6) do
      local k = key()
      keep(keys, k)
      t[k] = rnd(3) > 1 and value() or nil
    end
    say("table", t, contents(t))
  end,
  function() -- delete, and go on from there
    local t, deleted = some_table(), {}
    for k in next, t do
      if rnd(2) == 1 then
        deleted[#deleted + 1] = k
        t[k] = nil
      end
    end
    collectgarbage()
    local ends = 0
    for _, k in ipairs(deleted) do
      local ok = pcall(next, t, k)
      ends = ends + (ok and 1 or 0)
    end
    say("deleted", #deleted, ends)
  end,
  function() -- an array
    local t = new {}
    for i = 1, rnd(300) do t[i] = i % 17 == 0 and {} or i end
    while rnd(4) > 1 do t[#t] = nil end
    say("array", #t, select("#", table.unpack(t, 1, 5)))
    keep(tables, t)
  end,
  function() -- shared variables
    local n, twice = rnd(10), nil
    local function up(by)
      n = n + (by or 1)
      return n
    end
    local function down()
      n = n - 1
      return n, twice
    end
    twice = rnd(2) == 1 and up or nil
    keep(functions, new(up))
    keep(functions, new(down))
  end,
  function()
    if #functions > 0 then say("call", pcall(pick(functions))) end
  end,
  function()
    if #functions > 0 and rnd(3) == 1 then table.remove(functions, rnd(#functions)) end
  end,
  function()
    local t, body = some_table(), pick(yields)
    keep(threads, new(coroutine.create(function() return body(t) end)))
  end,
  function()
    for _ = 1, rnd(4) do
      if #threads > 0 then
        local co = pick(threads)
        local ok, a, b = coroutine.resume(co, rnd(2) == 1)
        if type(a) == "string" then a = a:gsub("^.-:%d+: ", "") end
        say("resume", co, ok, a, b, coroutine.status(co))
      end
    end
  end,
  function()
    if #threads > 0 and rnd(2) == 1 then
      local co = table.remove(threads, rnd(#threads))
      say("close", co, (coroutine.close(co)))
    end
  end,
  function() -- weak tables
    if rows_refer then return end
    local weak = setmetatable(new {}, { __mode = pick { "k", "v", "kv" } })
    for i = 1, 10 do
      local object = new {}
      if rnd(2) == 1 then keep(tables, object) end
      weak[rnd(2) == 1 and object or i] = rnd(2) == 1 and object or "text"
    end
    collectgarbage()
    say("weak", contents(weak))
    keep(tables, weak)
  end,
  function() -- finalizers
    if rows_refer then return end
    local n = #log + rnd(100)
    local object = setmetatable(new {}, { __gc = function(o)
      log[#log + 1] = n
      if n % 3 == 0 then keep(tables, o) end
    end })
    if rnd(2) == 1 then keep(tables, object) end
    object = nil
    collectgarbage()
    say("log", #log, log[#log])
  end,
  function() -- rows of an external table
    local k = pick { "a", "b", "c", 1, 2, 3.5, "list", true }
    local before = _home[k]
    local v = value()
    if not rows_refer and type(v) ~= "string" and type(v) ~= "number" then v = nil end
    _home[k] = v
    say("row", k, before, _home[k])
    if rows_refer and rnd(3) == 1 then
      local inner = ext.table()
      for i = 1, rnd(20) do inner[i] = i * i end
      inner[rnd(20)] = nil
      _home.inner = inner
    end
    local inner = _home.inner
    if inner then say("inner", ext.count(inner), inner[3], inner[20]) end
  end,
  function()
    local all = {}
    for k, v in pairs(_home) do all[#all + 1] = show(k) .. "=" .. type(v) end
    say("rows", table.concat(all, ","))
    if rnd(5) == 1 then ext.clear(_home) end
  end,
  function() -- code
    local f = load("local n = ... n = n or 0 return function(x) n = n + (x or 1) return n, '" .. long:rep(rnd(3)) .. "' end",
      "=" .. (rnd(2) == 1 and "code" or long:rep(10)))
    keep(dumps, string.dump(f))
    keep(functions, new(f(rnd(10))))
    keep(functions, new(f))
    local again = load(pick(dumps), "again", "b")
    say("code", #pick(dumps) > 100, again(5)(6))
  end,
  function() -- objects
    local class = new {}
    class.__index = class
    class.__tostring = function(o) return "object " .. o.n end
    function class.get(o) return o.n, getmetatable(o) == class end
    local object = setmetatable(new { n = rnd(50) }, class)
    keep(tables, object)
    say(tostring(object), object:get())
  end,
  function() -- identity through everything
    local t = some_table()
    if not rows_refer then return end
    _home.same = t
    local f = new(function() return t end)
    keep(functions, f)
    say("same", rawequal(_home.same, t), rawequal(f(), t))
  end,
  function() -- the library's own tables
    string["extra" .. rnd(2)] = rnd(2) == 1 and function(s) return #s end or nil
    say("library", pcall(function() return ("abc"):extra1() end))
  end,
  function() -- debug
    if #functions > 1 then
      local a, b = pick(functions), pick(functions)
      local i = debug.getupvalue(a, 1)
      if i and debug.getupvalue(b, 1) and rnd(3) == 1 then debug.upvaluejoin(a, 1, b, 1) end
      say("upvalue", i, rawequal(a, b))
    end
    if #threads > 0 then
      local co = pick(threads)
      local trace = debug.traceback(co)
      say("trace", #trace, select(2, trace:gsub("\n", "")))
    end
  end,
  function() collectgarbage(pick { "collect", "step", "count", "generational", "incremental" }) end,
  function() -- errors
    local function deep(n)
      local v = n
      keep(functions, new(function()
        v = v + 1
        return v
      end))
      if n == 0 then
        local nothing
        return nothing.field
      end
      return deep(n - 1) + v
    end
    say("error", pcall(deep, rnd(6)))
  end,
}

for _ = 1, COUNT do
  pick(actions)()
end
-- (A snapshot says of an external table whether a row of it has ever referred to an object: also what has been committed and changed since.)
if rows_refer then _home.refers = {} end
collectgarbage()
say("end", #tables, #functions, #threads, #log)
for _, t in ipairs(tables) do say(t, contents(t)) end
