-- sleep() is an async JavaScript function. Lua just calls it,
-- and the program waits, even deep inside a library function.

-- In a comparison of table.sort:
local planets = { "Saturn", "Mars", "Jupiter", "Venus", "Earth" }
local asked = 0

table.sort(planets, function(a, b)
  asked = asked + 1
  sleep(0.08) -- as if a server decided
  print(("is %s before %s?"):format(a, b))
  return a < b
end)
print(table.concat(planets, " < "), asked .. " questions\n")

-- In a metamethod: fields that arrive when they are read.
local remote = setmetatable({}, {
  __index = function(_, key)
    sleep(0.3)
    return key:upper() .. " arrived"
  end,
})
print(remote.tea)
print(remote.cake)

-- In the replacement function of gsub:
print((("one two three"):gsub("%a+", function(word)
  sleep(0.2)
  return word:reverse()
end)))
