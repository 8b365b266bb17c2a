-- Float keys that are integers become integers; nan and nil cannot be keys; nil can be asked for.
local t = {}
t[1.0] = "one"
t[2 ^ 53] = "big"
t["1"] = "string"
print(t[1], t[2 ^ 53 | 0], t["1"], t["2"], #t) --> one	big	string	nil	1
print(next({ [3.0] = true }), math.type(next({ [3.0] = true })), math.type(next({ [3.5] = true }))) --> 3	integer	float
print(t[nil], t[0 / 0]) --> nil	nil
print(pcall(function() t[nil] = 1 end)) --> false	table_keys.lua:9: table index is nil
print(pcall(function() t[0 / 0] = 1 end)) --> false	table_keys.lua:10: table index is NaN
print(pcall(rawset, t, nil, 1)) --> false	table index is nil
t[-0.0] = "zero"
print(t[0], t[0.0], math.type(next({ [-0.0] = 1 }))) --> zero	zero	integer
t[math.huge], t[-math.huge] = "inf", "-inf"
print(t[1 / 0], t[-1 / 0]) --> inf	-inf
local f = function() end
t[f], t[t], t[true] = 1, 2, 3
print(t[f], t[t], t[true], t[false]) --> 1	2	3	nil
