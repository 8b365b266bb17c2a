-- __metatable, __name, __tostring and their errors.
local locked = setmetatable({}, { __metatable = "locked" })
print(getmetatable(locked), pcall(setmetatable, locked, {})) --> locked	false	cannot change a protected metatable
print(getmetatable(setmetatable({}, { __metatable = false }))) --> false
local named = setmetatable({}, { __name = "Account" })
print((tostring(named):gsub("0x%x+", "ADDR"):gsub(": .*", ": id"))) --> Account: id
print(pcall(function() return named + 1 end)) --> false	protected_and_names.lua:7: attempt to perform arithmetic on a Account value (upvalue 'named')
print(pcall(function() return named < named end)) --> false	protected_and_names.lua:8: attempt to compare two Account values
print(pcall(function() return #setmetatable({}, { __len = 5 }) end))
--> false	protected_and_names.lua:9: attempt to call a number value (metamethod 'len')
print(pcall(string.rep, named)) --> false	bad argument #1 to 'string.rep' (string expected, got Account)
print(pcall(ipairs)) --> false	bad argument #1 to 'ipairs' (value expected)
print(pcall(function() named.x.y = 1 end)) --> false	protected_and_names.lua:13: attempt to index a nil value (field 'x')
print(tostring(setmetatable({}, { __tostring = function() return "custom" end }))) --> custom
print(pcall(tostring, setmetatable({}, { __tostring = function() return 5 end }))) --> true	5
print(pcall(tostring, setmetatable({}, { __tostring = function() return nil end }))) --> false	'__tostring' must return a string
print(tostring(nil), tostring(true), tostring("s"), tostring(-0.0), tostring(12)) --> nil	true	s	-0.0	12
print(string.format("%s|%10s|%.2s", setmetatable({}, { __tostring = function() return "obj" end }), true, nil)) --> obj|      true|ni
print(pcall(function() for i = 1, named do end end)) --> false	protected_and_names.lua:19: bad 'for' limit (number expected, got Account)
print(pcall(function() local s <close> = named end)) --> false	protected_and_names.lua:20: variable 's' got a non-closable value
