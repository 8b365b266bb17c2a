-- Errors in __tostring, __index, __gc's neighbours and handlers of handlers end in clean errors.
print(pcall(tostring, setmetatable({}, { __tostring = function() error("in tostring", 0) end }))) --> false	in tostring
print(pcall(print, setmetatable({}, { __tostring = function() error("while printing", 0) end }))) --> false	while printing
print(pcall(function() return setmetatable({}, { __index = function() error("in index", 0) end }).x end)) --> false	in index
print(pcall(function() return setmetatable({}, { __eq = function() error("in eq", 0) end }) == setmetatable({}, { __eq = function() error("other eq", 0) end }) end))
--> false	in eq
print(pcall(function() for _ in setmetatable({}, { __call = function() error("in iterator", 0) end }) do end end)) --> false	in iterator
print(pcall(string.gsub, "abc", "b", function() error("in callback", 0) end)) --> false	in callback
print(pcall(table.sort, { 3, 2, 1 }, function() error("in comparator", 0) end)) --> false	in comparator
print(pcall(load, function() error("in reader", 0) end)) --> true	nil	in reader
print(pcall(function() local a <close> = setmetatable({}, { __close = function() error("in close", 0) end }) end)) --> false	in close
print(pcall(coroutine.wrap(function() error("in wrap", 0) end))) --> false	in wrap
print(select(2, coroutine.resume(coroutine.create(function() error({ "table" }) end)))[1]) --> table
print(pcall(string.format, "%s", setmetatable({}, { __tostring = function() error("in format", 0) end }))) --> false	in format
print(pcall(table.concat, setmetatable({}, { __index = function(_, i) error("at " .. i, 0) end, __len = function() return 2 end }))) --> false	at 1
print(pcall(next, setmetatable({}, {}), 1)) --> false	invalid key to 'next'
print(pcall(setmetatable({}, { __call = function(self, x) error("called with " .. x, 0) end }), "arg")) --> false	called with arg
