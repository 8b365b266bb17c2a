-- evermoon-only: the reference's order depends on hashes
-- Ours is the order of insertion; a key that was removed and comes back soon finds its old place.
local t = {}
for word in ("the quick brown fox jumps over lazy dog"):gmatch("%a+") do t[word] = #word end
local function keys(t)
  local out = {}
  for k in pairs(t) do out[#out + 1] = tostring(k) end
  return table.concat(out, " ")
end
print(keys(t)) --> the quick brown fox jumps over lazy dog
t.quick = nil
t.fox = 1
t.quick = 2
print(keys(t)) --> the quick brown fox jumps over lazy dog
print(keys({ z = 1, y = 2, x = 3, [1.5] = 4, [true] = 5 })) --> z y x 1.5 true
local many = {}
for i = 1, 300 do many["k" .. (i * 7919) % 1000] = i end
local first = keys(many)
for i = 1, 300, 3 do many["k" .. (i * 7919) % 1000] = nil end
local again = {}
for k in first:gmatch("%S+") do if many[k] then again[#again + 1] = k end end
print(keys(many) == table.concat(again, " ")) --> true
print(keys({ "a", "b", x = 1, "c" })) --> 1 2 3 x
