-- The generic for: four values, closures over loop variables, iteration stops at nil only.
local function iter(s, c) if c < s then return c + 1, c * c end end
for i, sq in iter, 3, 0 do io.write(i, ":", sq, " ") end
print() --> 1:0 2:1 3:4 
for k in pairs({}) do print("never", k) end
local n = 0
for a in function() n = n + 1; if n <= 3 then return n ~= 2 and n or false end end do io.write(tostring(a), " ") end
print() --> 1 false 3 
local fns = {}
for i, v in ipairs({ "a", "b" }) do fns[#fns + 1] = function() v = v .. i; return v end end
print(fns[1](), fns[1](), fns[2]()) --> a1	a11	b2
print(pcall(function() for a in 5 do end end)) --> false	generic_for.lua:12: attempt to call a number value (for iterator 'for iterator')
print(pcall(function() for a in nil do end end)) --> false	generic_for.lua:13: attempt to call a nil value (for iterator 'for iterator')
print(pcall(function() local t = {}; for a in t.x do end end)) --> false	generic_for.lua:14: attempt to call a nil value (for iterator 'for iterator')
local callable = setmetatable({ 3 }, { __call = function(self, s, c) c = (c or 0) + 1; if c <= self[1] then return c end end })
for i in callable do io.write(i, " ") end
print() --> 1 2 3 
local t = { 10, 20, 30, nil, 50 }
for i, v in ipairs(t) do io.write(i, "=", v, " ") end
print() --> 1=10 2=20 3=30 
for i, v in ipairs(setmetatable({}, { __index = function(_, i) if i <= 3 then return i * 2 end end })) do io.write(i, "=", v, " ") end
print() --> 1=2 2=4 3=6 
for k, v in pairs(setmetatable({}, { __pairs = function(o) return function(_, k) if not k then return 1, o ~= nil end end, o, nil end })) do print(k, v) end
--> 1	true
local control = {}
for i = 1, 3 do for j = 1, 3 do if j == 2 then break end control[#control + 1] = i * 10 + j end end
print(table.concat(control, " ")) --> 11 21 31
