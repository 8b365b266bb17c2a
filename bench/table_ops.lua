-- table_ops: insert and remove at both ends and in the middle, sort with and without a comparator, concat, unpack.
local n = tonumber(arg and arg[1]) or 300
local insert, remove, sort, concat = table.insert, table.remove, table.sort, table.concat
local unpack = table.unpack or unpack

local state = 42
local function random(limit)
  state = (state * 1103 + 12345) % 1048573
  return state % limit
end

local sum = 0
for round = 1, 80 do
  local stack = {}
  for i = 1, n * 20 do insert(stack, random(1000)) end
  for i = 1, n * 10 do sum = (sum + remove(stack)) % 1000003 end

  local queue = {}
  for i = 1, n do insert(queue, 1, i) end
  for i = 1, n do insert(queue, random(#queue) + 1, i) end
  for i = 1, n do sum = (sum + remove(queue, 1) * i) % 1000003 end

  local people = {}
  for i = 1, n * 4 do people[i] = { age = random(90), id = i } end
  sort(people, function(a, b)
    if a.age ~= b.age then return a.age < b.age end
    return a.id > b.id
  end)
  for i = 1, #people, 50 do sum = (sum + people[i].id * i) % 1000003 end

  sort(stack)
  for i = 1, #stack, 50 do sum = (sum + stack[i] * i) % 1000003 end

  local words = {}
  for i = 1, n * 2 do words[i] = "w" .. random(100000) end
  sort(words)
  sum = (sum + #concat(words, ",")) % 1000003
  local a, b, c = unpack(words, 1, 50)
  sum = (sum + #a + #b + #c) % 1000003
end
print(string.format("table_ops %d", sum))
