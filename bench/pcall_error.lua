-- pcall_error: protected calls that return, that raise strings, tables and library errors; nested, and through xpcall.
local n = tonumber(arg and arg[1]) or 1000000

local function fine(a, b) return a + b end
local function raises(v) error(v) end
local function deep(k, v)
  if k == 0 then error(v, 0) end
  return deep(k - 1, v) + 1
end
local function handler(e) return type(e) == "table" and e.code or #e end

local sum = 0
local object = { code = 7 }
for i = 1, n do
  local ok, v = pcall(fine, i, 1)
  sum = (sum + v) % 1000003
  if i % 2 == 0 then
    ok, v = pcall(raises, object)
    if not ok then sum = sum + v.code end
  end
  if i % 4 == 0 then
    ok, v = pcall(error, "text", 0)
    sum = sum + #v
    ok, v = pcall(deep, 5, object)
    sum = sum + v.code
  end
  if i % 8 == 0 then
    ok, v = xpcall(raises, handler, object)
    sum = sum + v
    ok, v = pcall(pcall, raises, "x")
    sum = sum + (ok and 1 or 2)
    ok, v = pcall(function() local t; return t.x end)
    sum = sum + (v:find("attempt to index", 1, true) and 5 or 0)
  end
end
print(string.format("pcall_error %d", sum % 1000003))
