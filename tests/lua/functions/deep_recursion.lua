-- Deep recursion is bounded by a clean error, and what comes after works: Lua calls, metamethods, pcall, gsub, sort.
local function depth(n) if n == 0 then return 0 end return 1 + depth(n - 1) end
print(depth(150000)) --> 150000
local function forever() return 1 + forever() end
local ok, msg = pcall(forever)
print(ok, msg:match("stack overflow") ~= nil, #msg < 500) --> false	true	true
local mt = {}
mt.__index = function(t, k) return setmetatable({}, mt)[k] end
ok, msg = pcall(function() return setmetatable({}, mt).x end)
print(ok, msg:match("stack overflow") ~= nil) --> false	true
local count = 0
local function catch() count = count + 1; local ok, e = pcall(catch); if not ok then error(e, 0) end end
ok, msg = pcall(catch)
print(ok, msg:match("stack overflow") ~= nil or msg == "error in error handling", count > 150) --> false	true	true
local function nested_gsub(n) return n == 0 and "x" or ("a"):gsub("a", function() return nested_gsub(n - 1) end) end
print((nested_gsub(100))) --> x
local function to_string(n) return setmetatable({}, { __tostring = function() return n == 0 and "end" or tostring(to_string(n - 1)) end }) end
print(tostring(to_string(100))) --> end
ok, msg = pcall(string.rep, "x", -1)
print(ok, msg == "") --> true	true
local t = setmetatable({}, { __concat = function(a, b) return a .. b end })
print(pcall(function() return t .. "x" end) == false) --> true
print(depth(1000)) --> 1000
