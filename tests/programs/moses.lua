-- package: lua-moses
-- Moses: functional helpers over arrays and functions, curried, composed and chained.
local M = require("moses")

local function list(t) return "{" .. table.concat(M.map(t, tostring), " ") .. "}" end

print(list(M.map({ 1, 2, 3 }, function(v) return v * v end)), M.reduce({ 1, 2, 3, 4 }, function(a, b) return a + b end))
print(list(M.filter({ 1, 2, 3, 4 }, function(v) return v % 2 == 0 end)), list(M.reject({ 1, 2, 3 }, function(v) return v == 2 end)))
print(list(M.flatten({ 1, { 2, { 3, { 4 } } } })), #M.flatten({ 1, { 2, { 3 } } }, true), list(M.unique({ 1, 1, 2, 3, 2 })))
print(list(M.union({ 1, 2 }, { 2, 3 })), list(M.intersection({ 1, 2, 3 }, { 2, 3, 4 })), list(M.difference({ 1, 2, 3 }, { 2 })))
print(list(M.range(1, 10, 3)), list(M.rep("x", 3)), list(M.reverse({ 1, 2, 3 })), list(M.chunk({ 2, 4, 5, 7, 6 }, function(v) return v % 2 end)[1]))
print(list(M.sort({ 3, 1, 2 })), list(M.sortBy({ "ccc", "a", "bb" }, string.len)), list(M.rotate and M.shift and { 1 } or {}))
print(list(M.zip({ 1, 2 }, { "a", "b" })[2]), list(M.interleave({ 1, 2 }, { "a", "b" })), list(M.interpose({ 1, 2, 3 }, "-")))
print(M.all({ 2, 4 }, function(v) return v % 2 == 0 end), M.any({ 1, 2 }, function(v) return v == 2 end), M.find({ 4, 5 }, 5), M.sum({ 1, 2, 3 }), M.max({ 3, 9, 2 }))
print(M.isEqual({ 1, { a = 2 } }, { 1, { a = 2 } }), M.isEmpty({}), M.isInteger(3), M.isNaN(0 / 0), M.isCallable(print))
local fib = M.memoize(function(n) return n < 2 and n or 0 end)
print(fib(1), M.compose(function(x) return x + 1 end, function(x) return x * 2 end)(5), M.pipe(3, function(x) return x + 1 end, math.sqrt))
print(M.curry(function(a, b, c) return a + b + c end, 3)(1)(2)(3), M.partial(string.rep, "ab")(3), M.flip(math.pow or function(a, b) return a ^ b end)(2, 3))
print(M.chain({ 1, 2, 3, 4, 5, 6 }):filter(function(v) return v % 2 == 0 end):map(function(v) return v * 10 end):sum():value())
for p in M.permutation({ 1, 2, 3 }) do io.write(list(p)) end
print()
local calls = 0
local once = M.once(function() calls = calls + 1; return calls end)
once()
print(once(), calls, M.template and M.template("a", {}) or "", M.uniqueId("id%d"), M.uniqueId("id%d"))
