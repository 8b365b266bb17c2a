-- Where code has lost its lines, an instruction says "?:-1:", and natives (arithmetic on strings is one in the reference) say no place.
local function stripped(f) return load(string.dump(f, true)) end
print(pcall(stripped(function() return {} + 1 end))) --> false	?:-1: attempt to perform arithmetic on a table value
print(pcall(stripped(function() return "a" + 1 end))) --> false	attempt to add a 'string' with a 'number'
print(pcall(stripped(function() return 1 // "a" end))) --> false	attempt to idiv a 'number' with a 'string'
print(pcall(stripped(function() error("x") end))) --> false	x
print(pcall(stripped(function() string.rep() end))) --> false	bad argument #1 to 'rep' (string expected, got no value)
