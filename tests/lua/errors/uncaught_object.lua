-- An error object with __tostring is what the command prints.
print("before") --> before
error(setmetatable({}, { __tostring = function() return "E42: custom failure" end })) --! E42: custom failure
