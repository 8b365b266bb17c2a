-- A string that string.dump has made has the bytes by which a saved function's code is known: a world that holds both must keep both.
local function add(x)
  return function(y)
    return x + y
  end
end

-- As long as it must be to be stored by itself.
local function named(name)
  return assert(load("local n = ... return function() n = n + 1 return n end", "=" .. name:rep(100)))
end

local function busy()
  local n = 0
  for i = 1, 3000 do
    n = n + i % 7
  end
  return n
end

local main = named("long name ")
local kept = { string.dump(add), string.dump(main) }
local plus, count = add(1), main(10)
busy()
print(plus(2), count(), main(20)(), add(3)(4)) --> 3	11	21	7
busy()
print(load(kept[1], "dump", "b")(5)(6), load(kept[2], "dump", "b")(7)()) --> 11	8
busy()
print(kept[1] == string.dump(add), kept[2] == string.dump(main), #kept[2] > 1000, count()) --> true	true	true	12
