-- A key that was deleted is where a traversal goes on, however long ago that was and whatever has been collected meanwhile. (In a world: and loaded
-- again. Who still has the key may be a suspended coroutine, another table or a variable.)

local function busy()
  local n = 0
  for i = 1, 1500 do
    n = n + i % 7
  end
  return n
end

local long = ("a key that is too long to be interned "):rep(3)

local function keys()
  return { {}, long .. 1, function() end, "short", long .. 2, coroutine.create(busy), {}, 1.5, long:rep(8) }
end

-- A suspended loop that deletes what it stands on.
local t, list = {}, keys()
for i, k in ipairs(list) do
  t[k] = i
end
list = nil
local step = coroutine.wrap(function()
  for k, v in pairs(t) do
    assert(next(t) == k)
    t[k] = nil
    coroutine.yield(v)
  end
end)
local seen = {}
for v in step do
  seen[#seen + 1] = v
  collectgarbage()
  busy()
  collectgarbage()
end
table.sort(seen)
print(table.concat(seen, " "), next(t))                     --> 1 2 3 4 5 6 7 8 9	nil

-- Keys that are kept elsewhere.
t, list = {}, keys()
for i, k in ipairs(list) do
  t[k] = i
end
for _, k in ipairs(list) do
  t[k] = nil
end
busy()
collectgarbage()
busy()
collectgarbage()
local found = 0
for i = 1, #list do
  if next(t, list[i]) == nil then
    found = found + 1
  end
end
print(found)                                                --> 9

-- A key that comes back takes its old place.
for i = #list, 1, -1 do
  t[list[i]] = i
end
busy()
collectgarbage()
seen = {}
for _, v in pairs(t) do
  seen[#seen + 1] = v
end
print(#seen)                                                --> 9

-- Tables with weak keys, and both.
for _, mode in ipairs { "k", "v", "kv" } do
  local weak = setmetatable({}, { __mode = mode })
  list = keys()
  for i, k in ipairs(list) do
    weak[k] = i
  end
  for i = 1, #list - 1 do
    weak[list[i]] = nil
  end
  collectgarbage()
  busy()
  collectgarbage()
  found = 0
  for i = 1, #list - 1 do
    local after = next(weak, list[i])
    if after == nil or after == list[#list] then
      found = found + 1
    end
  end
  print(mode, found)
end
--> k	8
--> v	8
--> kv	8
