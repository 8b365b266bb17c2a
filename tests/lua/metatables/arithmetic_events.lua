-- Arithmetic, bitwise and unary events: which operand's handler is taken, what it gets, one result only.
local function show(v) return type(v) == "table" and v.name or tostring(v) end
local mt = {}
for _, event in ipairs({ "add", "sub", "mul", "div", "mod", "pow", "unm", "idiv", "band", "bor", "bxor", "shl", "shr", "bnot", "concat" }) do
  mt["__" .. event] = function(a, b) return event .. "(" .. show(a) .. "," .. show(b) .. ")", "second" end
end
local a, b = setmetatable({ name = "a" }, mt), setmetatable({ name = "b" }, mt)
print(a + 1, 1 + a, a + b, a - 2, 3 * a, a / 4, 5 % a, a ^ 2, 2 ^ a) --> add(a,1)	add(1,a)	add(a,b)	sub(a,2)	mul(3,a)	div(a,4)	mod(5,a)	pow(a,2)	pow(2,a)
print(-a, a // 3, 7 // a, a & 1, 1 | a, a ~ 2, a << 1, 1 >> a, ~a, a .. "s", "s" .. a, 1 .. a)
--> unm(a,a)	idiv(a,3)	idiv(7,a)	band(a,1)	bor(1,a)	bxor(a,2)	shl(a,1)	shr(1,a)	bnot(a,a)	concat(a,s)	concat(s,a)	concat(1,a)
print(a + "10", "10" + a, "x" + a, a * true, nil == a) --> add(a,10)	add(10,a)	add(x,a)	mul(a,true)	false
print((a + 1), select("#", a + 1)) --> add(a,1)	1
local other = setmetatable({ name = "o" }, { __add = function(x, y) return "other" end })
print(a + other, other + a) --> add(a,o)	other
print(pcall(function() return a + nil end), pcall(function() return other - 1 end))
--> true	false	arithmetic_events.lua:15: attempt to perform arithmetic on a table value (upvalue 'other')
print(pcall(function() return -other end)) --> false	arithmetic_events.lua:17: attempt to perform arithmetic on a table value (upvalue 'other')
print(pcall(function() return other .. 1 end)) --> false	arithmetic_events.lua:18: attempt to concatenate a table value (upvalue 'other')
debug.setmetatable(1, { __index = { double = function(n) return n * 2 end }, __call = function(n, x) return n + x end, __len = function(n) return n end })
print((5):double(), (5)(3), #7, 1 + 1) --> 10	8	7	2
debug.setmetatable(1, nil)
print(pcall(function() return (5):double() end)) --> false	arithmetic_events.lua:22: attempt to index a number value
