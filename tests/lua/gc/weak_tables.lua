-- watches: collector
-- Weak keys, weak values, both; strings and numbers are values and stay; weak tables and resurrection order.
local function count(t) local n = 0; for _ in pairs(t) do n = n + 1 end return n end
local weak_values = setmetatable({}, { __mode = "v" })
local kept = {}
weak_values[1], weak_values[2], weak_values[3] = {}, kept, "string"
weak_values.f = function() return kept end
weak_values.n = 42
collectgarbage()
print(weak_values[1], weak_values[2] == kept, weak_values[3], weak_values.f, weak_values.n) --> nil	true	string	nil	42
local weak_keys = setmetatable({}, { __mode = "k" })
weak_keys[{}] = 1
weak_keys[kept] = "kept"
weak_keys["string key"] = {}
weak_keys[1] = {}
collectgarbage()
print(count(weak_keys), weak_keys[kept], type(weak_keys["string key"]), type(weak_keys[1])) --> 3	kept	table	table
local both = setmetatable({}, { __mode = "kv" })
both[kept] = {}
both[{}] = kept
both.x = kept
collectgarbage()
print(count(both), both.x == kept) --> 1	true
local turned = { {}, {} }
collectgarbage()
print(#turned) --> 2
setmetatable(turned, { __mode = "v" })
collectgarbage()
print(count(turned)) --> 0
local co_weak = setmetatable({}, { __mode = "v" })
co_weak[1] = coroutine.create(print)
co_weak[2] = coroutine.wrap(print)
collectgarbage()
print(count(co_weak)) --> 0
local cache = setmetatable({}, { __mode = "k" })
for i = 1, 1000 do cache[{}] = i end
collectgarbage()
print(count(cache), next(cache)) --> 0	nil
