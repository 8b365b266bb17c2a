-- format_tostring: string.format with the usual conversions, tostring and tonumber of integers and floats.
local n = tonumber(arg and arg[1]) or 75000
local format, byte = string.format, string.byte

local sum = 0
local function add(s)
  sum = (sum + #s * 7 + byte(s, 1) + byte(s, #s) * 3) % 1000003
end

for i = 1, n do
  add(format("%d %5d %-6d|", i, i % 1000, -i))
  add(format("%.3f %10.2f %g", i / 7, i / 3, i / 10))
  add(format("%x %08X %o", i, i * 31, i))
  add(format("%s-%10s-%-4s-%.2s", "name", i, "ab", "xyz"))
  add(format("%q", "say \"" .. i % 10 .. "\""))
  add(tostring(i))
  add(tostring(i + 0.25))
  add(tostring(i % 2 == 0))
  sum = (sum + tonumber(tostring(i)) + tonumber("0x" .. i % 100) + tonumber(i .. ".5")) % 1000003
end
print(format("format_tostring %.1f", sum))
