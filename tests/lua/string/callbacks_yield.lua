-- What gsub and format call may yield, fail and call them again.
-- evermoon-only: in the reference these calls cross C

-- a function for a replacement
local co = coroutine.wrap(function()
  return ("a b c d"):gsub("(%a)()", function(c, at) return coroutine.yield(c, at) end)
end)
print(co()) --> a	2
print(co("one")) --> b	4
print(co(nil)) --> c	6
print(co(3)) --> d	8
print(co(false)) --> one b 3 d	4

-- a table's __index
local asked = setmetatable({ known = "K" }, { __index = function(_, key) return coroutine.yield(key) end })
co = coroutine.wrap(function() return ("known x known y"):gsub("%w+", asked) end)
print(co()) --> x
print(co("1")) --> y
print(co("2")) --> K 1 K 2	4

-- __tostring, several in one format, and conversions between them
local function lazy(name) return setmetatable({}, { __tostring = function() return coroutine.yield(name) end }) end
co = coroutine.wrap(function() return string.format("%d|%5s|%-4s|%.1f|%s", 1, lazy("a"), lazy("b"), 2, lazy("c")) end)
print(co()) --> a
print(co("x")) --> b
print(co("y")) --> c
print(co("z")) --> 1|    x|y   |2.0|z

-- a conversion that fails does so before later arguments are asked
print(pcall(string.format, "%d %s", "no number", lazy("never"))) --> false	bad argument #2 to 'string.format' (number expected, got string)

-- nested
print((("1 2 3"):gsub("%d", function(d) return (("x"):rep(d):gsub("x", function(x) return x:upper() .. d end)) end))) --> X1 X2X2 X3X3X3

-- errors pass through
print(pcall(string.gsub, "abc", "%w", function(c) error("at " .. c, 0) end)) --> false	at a
print(pcall(string.gsub, "abc", "%w", function() return {} end)) --> false	invalid replacement value (a table)
