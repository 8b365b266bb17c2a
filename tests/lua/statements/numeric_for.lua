-- The numeric for: integer and float loops, no overflow, limits clipped, and its errors (3.3.5).
local function collect(a, b, c)
  local out = {}
  for i = a, b, c do out[#out + 1] = tostring(i); if #out > 6 then break end end
  return table.concat(out, " ")
end
print(collect(1, 3, 1), collect(3, 1, -1), collect(1, 0, 1), collect(1, 1, 1)) --> 1 2 3	3 2 1		1
print(collect(1, 2, 0.5), collect(1.0, 3, 1), collect(1, 3.9, 1), collect(0.1, 0.5, 0.1)) --> 1.0 1.5 2.0	1.0 2.0 3.0	1 2 3	0.1 0.2 0.3 0.4 0.5
print(collect(math.maxinteger - 1, math.maxinteger, 1), collect(math.mininteger + 1, math.mininteger, -1))
--> 9223372036854775806 9223372036854775807	-9223372036854775807 -9223372036854775808
print(collect(1, math.huge, 1), collect(1, -math.huge, -1), collect(1, -math.huge, 1) == "", collect(1, 0 / 0, 1) == "")
--> 1 2 3 4 5 6 7	1 0 -1 -2 -3 -4 -5	true	true
print(collect(math.maxinteger, 1e308, 1), collect(1, math.maxinteger, math.maxinteger // 2), collect(3, 2.9, -1))
--> 9223372036854775807	1 4611686018427387904 9223372036854775807	3
print(collect(-1, -3, -1), collect(math.mininteger, math.mininteger + 2, 1), collect(1, 10, 4))
--> -1 -2 -3	-9223372036854775808 -9223372036854775807 -9223372036854775806	1 5 9
print(pcall(collect, 1, 10, 0)) --> false	numeric_for.lua:4: 'for' step is zero
print(pcall(collect, 1.0, 10, 0)) --> false	numeric_for.lua:4: 'for' step is zero
print(pcall(collect, "a", 10, 1)) --> false	numeric_for.lua:4: bad 'for' initial value (number expected, got string)
print(pcall(collect, 1, {}, 1)) --> false	numeric_for.lua:4: bad 'for' limit (number expected, got table)
print(pcall(collect, 1, 10, print)) --> false	numeric_for.lua:4: bad 'for' step (number expected, got function)
print(pcall(collect, "1", 2, 1)) --> true	1.0 2.0
print(pcall(function() for i = 1, nil do end end)) --> false	numeric_for.lua:23: bad 'for' limit (number expected, got nil)
for i = 1, 3 do local j = i; i = 10; io.write(j, " ", i, " ") end
print() --> 1 10 2 10 3 10 
local fns = {}
for i = 1, 3 do fns[i] = function() i = i + 1; return i end end
print(fns[1](), fns[1](), fns[2](), fns[3]()) --> 2	3	3	4
