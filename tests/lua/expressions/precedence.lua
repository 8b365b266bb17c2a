-- Operator precedence and associativity (3.4.8), seen through values and through traces.
print(2 ^ 3 ^ 2, -2 ^ 2, not nil == true, not (nil == true), 2 ^ -1) --> 512.0	-4.0	true	true	0.5
print(1 .. 2 .. 3, "a" .. "b" == "ab", 1 + 2 .. 3 + 4, 2 * 3 % 4, 7 // 2 * 2) --> 123	true	37	2	6
print(1 << 2 + 1, 1 | 2 ~ 3 & 4, 5 & 3 == 1 and 1 or 0 == 0) --> 8	3	1
print(1 or error("no"), nil and error("no"), false or nil, nil or false, 1 and 2 or 3, nil and 2 or 3) --> 1	nil	nil	false	2	3
print(- - 2, not not nil, ~5, ~~5, -"2", - -"0x10") --> 2	false	-6	5	-2	16
print(1 < 2 == true, "a" < "b" == not false, #"abc" + 1, -#"abc", -3 % 5, (-3) % 5, -(3 % 5)) --> true	true	4	-3	2	2	-3
local log = {}
local function v(name)
  return setmetatable({}, {
    __concat = function(a, b) log[#log + 1] = "concat"; return name end,
    __pow = function() log[#log + 1] = name .. "^"; return v(name .. "'") end,
    __sub = function() log[#log + 1] = name .. "-"; return v(name .. "'") end,
  })
end
local _ = v("a") - v("b") - v("c")
_ = v("x") ^ v("y") ^ v("z")
print(table.concat(log, " ")) --> a- a'- y^ x^
