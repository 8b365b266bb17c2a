-- A value that is missing.
local pack = string.pack
print(pcall(function() pack("s1") end)) --> false	pack_missing.lua:3: bad argument #2 to 'pack' (string expected, got nil)
print(pcall(function() pack("i4i4", 1) end)) --> false	pack_missing.lua:4: bad argument #3 to 'pack' (number expected, got nil)
