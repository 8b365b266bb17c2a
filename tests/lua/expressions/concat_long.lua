-- Concatenation of many operands at once, right-associative with metamethods in the middle.
local parts = {}
for i = 1, 150 do parts[i] = "'" .. i .. "'" end
local f = assert(load("return " .. table.concat(parts, " .. ")))
print(#f(), f():sub(-6)) --> 342	149150
local log = {}
local function obj(name)
  return setmetatable({ name = name }, {
    __concat = function(a, b)
      local function n(v) return type(v) == "table" and v.name or "'" .. v .. "'" end
      log[#log + 1] = "(" .. n(a) .. ".." .. n(b) .. ")"
      return obj(name .. "+")
    end,
  })
end
local _ = "a" .. "b" .. obj("o") .. "c" .. "d"
_ = 1 .. 2 .. obj("p")
print(table.concat(log, " ")) --> (o..'cd') ('b'..o+) ('a'..o++) ('2'..p) ('1'..p+)
print(pcall(function() local t = {}; return "a" .. "b" .. t.x .. "c" end)) --> false	concat_long.lua:19: attempt to concatenate a nil value (field 'x')
print(pcall(function() return "x" .. {} .. "y" end)) --> false	concat_long.lua:20: attempt to concatenate a table value
print(pcall(function() return nil .. "y" end)) --> false	concat_long.lua:21: attempt to concatenate a nil value
print(("x"):rep(3) .. 1 .. 1.0 .. -1) --> xxx11.0-1
local s = ""
for i = 1, 5 do s = i .. s .. i end
print(s) --> 5432112345
