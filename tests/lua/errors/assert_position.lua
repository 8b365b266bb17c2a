-- `assert` treats its message as `error` does: a string gets the position of the caller, if that is a Lua function.
print(pcall(function() assert(false, "no") end)) --> false	assert_position.lua:2: no
print(pcall(assert, false, "no")) --> false	no
print(pcall(function() assert(nil, 12) end)) --> false	12
print(pcall(function() assert(false) end)) --> false	assert_position.lua:5: assertion failed!
print(select("#", pcall(assert, nil, nil)), (select(2, pcall(assert, nil, nil)))) --> 2	nil
