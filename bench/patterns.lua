-- patterns: find (plain and pattern), match with captures, gmatch, gsub with string, table and function.
local n = tonumber(arg and arg[1]) or 120

local lines = {}
for i = 1, 200 do
  lines[i] = string.format(
    "%02d:%02d:%02d host%d app[%d]: user=%s action=%s bytes=%d path=/a/%d/b_%d.html \"quoted %d text\"",
    i % 24, i * 7 % 60, i * 13 % 60, i % 9, 1000 + i, ({ "ann", "bob", "eve" })[i % 3 + 1],
    ({ "read", "write" })[i % 2 + 1], i * 977, i, i * i, i)
end
local text = table.concat(lines, "\n")

local sum = 0
for round = 1, n do
  for _, line in ipairs(lines) do
    local h, m, s = line:match("^(%d+):(%d+):(%d+)")
    sum = (sum + h * 3600 + m * 60 + s) % 1000003
    local from, to = line:find("user=(%w+)")
    sum = (sum + from + to) % 1000003
    if line:find("action=write", 1, true) then sum = sum + 1 end
    if line:find("b_%d-4%.html") then sum = sum + 2 end
  end
  for key, value in text:gmatch("(%w+)=([^%s]+)") do sum = (sum + #key * #value) % 1000003 end
  local _, count = text:gsub("%d+", "<%0>")
  sum = (sum + count) % 1000003
  local swapped = text:gsub("(%w+)=(%w+)", "%2=%1")
  sum = (sum + #swapped + swapped:byte(round * 31)) % 1000003
  local _, words = text:gsub("%a+", { user = "U", action = "A", host = false })
  sum = (sum + words) % 1000003
  local longer = text:gsub("%b\"\"", function(q) return #q .. q end)
  sum = (sum + #longer) % 1000003
end
print(string.format("patterns %d", sum))
