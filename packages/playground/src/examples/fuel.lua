-- A run can have a budget. Fuel is counted the same on every
-- machine, so a program stops at the same place everywhere.

local function forever()
  local n = 0
  while true do n = n + 1 end
end

print("with a budget of 500,000:", limit(500000, forever))

-- The limit reaches into the library, too: this pattern would
-- need longer than the universe has.
local text, pattern = ("a"):rep(60), ("a*"):rep(30) .. "b"
print("a bad pattern:", limit(500000, string.find, text, pattern))

-- And what ends in time gives its results.
print("a good citizen:", limit(500000, function(n)
  local sum = 0
  for i = 1, n do sum = sum + i end
  return sum
end, 1000))

-- Now the whole program, with the limit set above. Or choose
-- "no limit" and stop it by hand: the page stays live.
print("\nand now, forever …")
forever()
