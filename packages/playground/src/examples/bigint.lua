-- Integers beyond 64 bits, from a module that every build has.
local bigint = require "bigint"

local function factorial(n)
  local f = bigint.new(1)
  for i = 2, n do f = f * i end
  return f
end

print("50! =", factorial(50))
