-- Touches all that can be reached in a world, runs what can be run, and changes some of it. What is damaged raises errors, which are caught; nothing else may happen.
-- Everything it needs comes in as arguments: the world's own globals may be damaged.
local root, rounds, next, pcall, type, rawset, getmetatable, tostring, getupvalue, getinfo, getuservalue, gethook, getlocal, traceback,
  resume, close, is, count, registry, collect = ...

local seen, list, n = {}, {}, 0
local function meet(v)
  local kind = type(v)
  if (kind == 'table' or kind == 'function' or kind == 'thread' or kind == 'userdata') and not seen[v] then
    seen[v] = true n = n + 1 list[n] = v
  end
end
meet(registry()) meet(root)

local touch = {
  table = function(t)
    meet(getmetatable(t))
    local k, v
    for i = 1, 400 do
      k, v = next(t, k)
      if k == nil then break end
      meet(k) meet(v)
    end
    local _ = #t, t.field, t[1], t[2.5]
    if is(t) then count(t) end
  end,
  ['function'] = function(f)
    local info = getinfo(f, 'Su')
    for i = 1, info.nups do local _, v = getupvalue(f, i) meet(v) end
    if info.what ~= 'C' then pcall(f, 1, 2, 3) end
  end,
  thread = function(co)
    traceback(co)
    gethook(co)
    for level = 0, 3 do
      for i = 1, 10 do
        local ok, name, v = pcall(getlocal, co, level, i)
        if not ok or not name then break end
        meet(v)
      end
    end
    for i = 1, rounds do
      local ok, a, b = resume(co, 'r', i)
      meet(a) meet(b)
      if not ok then break end
    end
    if rounds % 2 == 0 then close(co) end
  end,
  userdata = function(u) meet(getmetatable(u)) meet((getuservalue(u, 1))) pcall(tostring, u) end,
}
local at = 0
while at < n and at < 3000 do
  at = at + 1
  local v = list[at]
  pcall(touch[type(v)], v)
  if at % 7 == 0 and type(v) == 'table' then pcall(rawset, v, at % 20, list[at // 2]) pcall(rawset, v, 'new' .. at, at) end
  if at % 200 == 0 then collect('step') end
end
collect()
return n
