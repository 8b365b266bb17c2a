-- Order of numbers is mathematical, also between integers and floats that cannot hold each other (3.4.4).
local big = 2 ^ 53
print((2 ^ 53 | 0) + 1 == big, (2 ^ 53 | 0) + 1 > big, (2 ^ 53 | 0) + 1 <= big) --> false	true	false
print(math.maxinteger < 2 ^ 63, math.maxinteger >= 2 ^ 63, math.mininteger <= -2 ^ 63, math.mininteger < -2 ^ 63) --> true	false	true	false
print(math.maxinteger + 0.0 > math.maxinteger, math.maxinteger < math.huge, math.mininteger > -math.huge) --> true	true	true
local nan = 0 / 0
print(nan == nan, nan < 1, nan > 1, 1 < nan, nan <= nan, nan ~= nan, math.maxinteger < nan) --> false	false	false	false	false	true	false
print("a" < "b", "a" < "B", "Z" < "a", "" < "a", "a" < "aa", "a\0b" < "a\0c", "a\0" > "a", "10" < "9") --> true	false	true	true	true	true	true	true
print(pcall(function() return 1 < "2" end)) --> false	comparison.lua:9: attempt to compare number with string
print(pcall(function() return {} < {} end)) --> false	comparison.lua:10: attempt to compare two table values
print(pcall(function() return nil > 1 end)) --> false	comparison.lua:11: attempt to compare number with nil
print(pcall(function() return print < print end)) --> false	comparison.lua:12: attempt to compare two function values
print(pcall(function() return "x" <= 5 end)) --> false	comparison.lua:13: attempt to compare string with number
print(1 < 1.5, 1 <= 1.0, -1 > -1.5, 2 ^ 1023 > math.maxinteger, not (1 ~= 1.0)) --> true	true	true	true	true
