-- watches: collector
-- Ephemerons: a value that only its own key reaches does not keep the key; chains and cycles of them are collected.
local function count(t) local n = 0; for _ in pairs(t) do n = n + 1 end return n end
local e = setmetatable({}, { __mode = "k" })
do
  local k = {}
  e[k] = { back = k }
end
collectgarbage()
print(count(e)) --> 0
local root = {}
do
  local k1, k2, k3 = {}, {}, {}
  e[root], e[k1], e[k2], e[k3] = k1, k2, k3, "end"
end
collectgarbage()
print(count(e), e[e[e[e[root]]]]) --> 4	end
root = nil
collectgarbage()
print(count(e)) --> 0
local a, b = setmetatable({}, { __mode = "k" }), setmetatable({}, { __mode = "k" })
do
  local ka, kb = {}, {}
  a[ka], b[kb] = kb, ka
end
collectgarbage()
print(count(a), count(b)) --> 0	0
local all_weak = setmetatable({}, { __mode = "kv" })
local anchor = {}
all_weak[anchor] = { anchor }
collectgarbage()
print(count(all_weak)) --> 0
local long = setmetatable({}, { __mode = "k" })
local first = {}
do
  local k = first
  for i = 1, 500 do local n = {}; long[k] = n; k = n end
end
collectgarbage()
print(count(long)) --> 500
first = nil
collectgarbage()
print(count(long)) --> 0
