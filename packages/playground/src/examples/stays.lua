-- What a program leaves is there the next time. Run this again,
-- reload the page, close the browser: it goes on.

visits = (visits or 0) + 1
print("run number " .. visits)

-- Functions keep their variables, and coroutines their place.
story = story or coroutine.wrap(function()
  for _, line in ipairs {
    "Once upon a time there was a moon.",
    "It never set, whatever happened.",
    "One day all the lights went out.",
    "When they came back, it was still there.",
  } do
    coroutine.yield(line)
  end
  story = nil
  return "That was all. It begins anew."
end)
print(story())

-- _home is a table whose rows are in the browser's store one by
-- one, in the order of their keys: any number of them.
_home.log = _home.log or ext.table()
_home.log[visits] = { run = visits, dice = math.random(6) }

print("\nthe last five:")
local last = { reverse = true, limit = 5 }
for n, row in ext.range(_home.log, nil, nil, last) do
  print(n, "dice " .. row.dice)
end

-- The end of a run is a commit; a program can make one earlier.
world.commit()
return _home.log
