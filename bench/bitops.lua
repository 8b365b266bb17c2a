-- bitops: shifts, and, or, exclusive or on integers: a xorshift generator, bit counting, a CRC table, a sieve in words.
-- The operators need a 5.3 parser, so the program is a text: LuaJIT gets the same one with calls of its `bit` library.
local n = tonumber(arg and arg[1]) or 6000000

local program = [[
local n = ...
local sum = 0

local x = 2463534242
for i = 1, n do
  x = XOR(x, AND(SHL(x, 13), 0xffffffff))
  x = XOR(x, SHR(x, 17))
  x = XOR(x, AND(SHL(x, 5), 0xffffffff))
  if AND(x, 7) == 3 then sum = sum + 1 end
end
sum = sum + AND(x, 0xffff)

local function count(v)
  v = v - AND(SHR(v, 1), 0x55555555)
  v = AND(v, 0x33333333) + AND(SHR(v, 2), 0x33333333)
  v = AND(v + SHR(v, 4), 0x0f0f0f0f)
  return AND(SHR(v, 24) + SHR(v, 16) + SHR(v, 8) + v, 0xff)
end
for i = 1, n / 2 do sum = sum + count(i) end

local crc_table = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do
    if AND(c, 1) == 1 then c = XOR(SHR(c, 1), 0x6db88320) else c = SHR(c, 1) end
  end
  crc_table[i] = c
end
local crc = 0x7fffffff
for i = 1, n do
  crc = XOR(SHR(crc, 8), crc_table[AND(XOR(crc, i), 255)])
end
sum = sum + AND(crc, 0xfffff)

local sieve, limit = {}, n / 4
for i = 0, limit / 16 do sieve[i] = 0 end
for i = 2, limit do
  local word = SHR(i, 4)
  if AND(SHR(sieve[word], AND(i, 15)), 1) == 0 then
    sum = sum + 1
    for k = i * i, limit, i do
      local w = SHR(k, 4)
      sieve[w] = OR(sieve[w], SHL(1, AND(k, 15)))
    end
  end
end
return sum
]]

local infix = { AND = "&", OR = "|", XOR = "~", SHL = "<<", SHR = ">>" }
local function to_operators(text)
  -- Innermost calls first, until none is left.
  local changed = 1
  while changed > 0 do
    changed = 0
    text = text:gsub("(%u+)(%b())", function(name, args)
      local op = infix[name]
      if not op then return nil end
      local depth, cut = 0, nil
      for p = 1, #args do
        local c = args:sub(p, p)
        if c == "(" or c == "[" then depth = depth + 1
        elseif c == ")" or c == "]" then depth = depth - 1
        elseif c == "," and depth == 1 then cut = p; break end
      end
      changed = changed + 1
      return "((" .. args:sub(2, cut - 1) .. ") " .. op .. " (" .. args:sub(cut + 1, -2) .. "))"
    end)
  end
  return text
end

local run
if load and load("return 1 << 2") then
  run = assert(load(to_operators(program):gsub("(%l+) / (%d+)", "%1 // %2"), "=bitops"))
else
  -- `bit` gives signed 32-bit results: the program is written so that no sum, index or comparison sees the sign.
  local prelude = [[
    local bit = require("bit")
    local AND, OR, XOR, SHL, SHR = bit.band, bit.bor, bit.bxor, bit.lshift, bit.rshift
  ]]
  run = assert(load(prelude .. program:gsub("(%l+) / (%d+)", "math.floor(%1 / %2)"), "=bitops"))
end
print(string.format("bitops %d", run(n)))
