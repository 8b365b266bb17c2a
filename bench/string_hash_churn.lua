-- string_hash_churn: string keys made, inserted, looked up, removed and inserted again; `pairs` over what is left.
local n = tonumber(arg and arg[1]) or 130000

local state = 12345
local function random(limit)
  state = (state * 1103 + 12345) % 1048573
  return state % limit
end

local t, live, sum = {}, 0, 0
for round = 1, 3 do
  for i = 1, n do
    local key = "key" .. random(n)
    local old = t[key]
    if old == nil then
      t[key] = i
      live = live + 1
    elseif i % 3 == 0 then
      t[key] = nil
      live = live - 1
    else
      t[key] = (old + i) % 65536
    end
  end
  for i = 1, n do
    local v = t["key" .. i]
    if v then sum = (sum + v) % 1000003 end
  end
  -- Empty a third of it while walking: allowed by `next`, and hard on a table that keeps order.
  local dropped = 0
  for k, v in pairs(t) do
    sum = (sum + v + #k) % 1000003
    if v % 3 == 0 then
      t[k] = nil
      dropped = dropped + 1
    end
  end
  live = live - dropped
end
local counted = 0
for _ in pairs(t) do counted = counted + 1 end
print(string.format("string_hash_churn %d %d %d", live, counted, sum))
