-- The values of a numeric `for` may be strings that are numbers: as first value or step they make a loop over floats.
local function collect(first, last, step)
  local seen = {}
  for i = first, last, step or 1 do seen[#seen + 1] = tostring(i) end
  return table.concat(seen, " ")
end
print(collect("1", 2)) --> 1.0 2.0
print(collect(1, "3")) --> 1 2 3
print(collect(1, "2.5")) --> 1 2
print(collect(1, 2, "1")) --> 1.0 2.0
print(collect("0x10", 17)) --> 16.0 17.0
print(pcall(collect, "a", 2)) --> false	numeric_for_strings.lua:4: bad 'for' initial value (number expected, got string)
