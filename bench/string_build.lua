-- string_build: concatenation of two and of many, growing strings, table.concat, rep, sub, byte, char, upper, reverse.
local n = tonumber(arg and arg[1]) or 50000
local concat, char, byte = table.concat, string.char, string.byte

local function hash(s)
  local h = 5381
  for i = 1, #s, 7 do h = (h * 33 + byte(s, i)) % 1000003 end
  return h
end

local sum = 0
for round = 1, 10 do
  local parts = {}
  for i = 1, n do parts[#parts + 1] = "item " .. i .. ":" .. (i % 7) .. ";" end
  sum = (sum + hash(concat(parts))) % 1000003

  local line = ""
  for i = 1, n / 25 do line = line .. char(97 + i % 26) end
  sum = (sum + hash(line)) % 1000003

  local letters = {}
  for i = 1, n do
    local p = i % (#line - 8) + 1
    letters[i % 100 + 1] = line:sub(p, p + 5):upper() .. line:sub(-p, -p)
  end
  sum = (sum + hash(concat(letters, "-"))) % 1000003

  for i = 1, n / 20 do
    local s = ("ab" .. i):rep(10, ","):reverse()
    sum = (sum + #s + byte(s, 3)) % 1000003
  end
end
print(string.format("string_build %d", sum))
