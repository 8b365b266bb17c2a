-- Operands, arguments, constructor fields and assignments are evaluated left to right; the assignment itself comes last.
local log = {}
local function t(name, value) log[#log + 1] = name; return value end
local function show() print(table.concat(log, " ")); log = {} end
local _ = t("a", 1) + t("b", 2) * t("c", 3)
show() --> a b c
_ = { t("k1", "x"), [t("k2", "y")] = t("v2", 1), t("k3", "z"), n = t("v4", 2) }
show() --> k1 k2 v2 k3 v4
print(t("p1", 1), t("p2", 2), (t("p3", 3))) --> 1	2	3
show() --> p1 p2 p3
local a = {}
a[t("i", 1)], a[t("j", 2)] = t("x", 10), t("y", 20)
show() --> i j x y
local i = 1
i, a[i] = i + 1, 20
print(i, a[1], a[2]) --> 2	20	20
local x, y, z = 1, 2
x, y, z = y, x
print(x, y, z) --> 2	1	nil
local s = setmetatable({}, { __newindex = function(self, k, v) log[#log + 1] = k .. "=" .. tostring(v); rawset(self, k, v) end })
s.a, s.b, s.c = 1, 2
show() --> c=nil b=2 a=1
local function two() return 1, 2 end
local p, q, r = two(), two()
print(p, q, r) --> 1	1	2
p, q, r = 0, (two())
print(p, q, r) --> 0	1	nil
