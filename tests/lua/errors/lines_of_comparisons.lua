-- A comparison happens on the line of its last token, as in the reference; an arithmetic operation on its operator's.
print(pcall(function() return nil < [[long
]] end)) --> false	lines_of_comparisons.lua:3: attempt to compare nil with string
print(pcall(function() return {} <=
  (1
  ) end)) --> false	lines_of_comparisons.lua:6: attempt to compare table with number
print(pcall(function() return {}
  +
  1 end)) --> false	lines_of_comparisons.lua:8: attempt to perform arithmetic on a table value
