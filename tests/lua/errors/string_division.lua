-- Arithmetic on strings that are numbers happens in their metamethods: an error there has no position.
print(pcall(function() return "1" // 0 end)) --> false	attempt to divide by zero
print(pcall(function() return 1 % "0" end)) --> false	attempt to perform 'n%0'
print(pcall(function() return 1 // 0 end)) --> false	string_division.lua:4: attempt to divide by zero
