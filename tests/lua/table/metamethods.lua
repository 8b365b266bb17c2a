-- evermoon-only: the reference cannot yield inside its table library.
-- Every function of the table library goes through __index, __newindex, __len and __eq, each of which may yield (6.6).
local log
local function note(...) log[#log + 1] = table.concat({ ... }, " ") end
local function proxy(t)
  return setmetatable({}, {
    __index = function(_, k) note("get", k) coroutine.yield() return t[k] end,
    __newindex = function(_, k, v) note("set", k, tostring(v)) coroutine.yield() t[k] = v end,
    __len = function() note("len") coroutine.yield() return #t end,
  })
end
-- Runs f over a proxy of t, to the end through all its yields, and shows what happened.
local function run(t, f, ...)
  log = {}
  local co = coroutine.create(f)
  local results = table.pack(coroutine.resume(co, proxy(t), ...))
  while coroutine.status(co) ~= "dead" do results = table.pack(coroutine.resume(co)) end
  for i = 1, results.n do results[i] = type(results[i]) == "table" and "table" or tostring(results[i]) end
  print(table.concat(t, " ") .. " | " .. table.concat(log, ", ") .. " | " .. table.concat(results, " "))
end
run({ 1, 2 }, table.insert, 3) --> 1 2 3 | len, set 3 3 | true
run({ 1, 2 }, table.insert, 1, 0) --> 0 1 2 | len, get 2, set 3 2, get 1, set 2 1, set 1 0 | true
run({ 1, 2, 3 }, table.remove) --> 1 2 | len, get 3, set 3 nil | true 3
run({ 1, 2, 3 }, table.remove, 1) --> 2 3 | len, get 1, get 2, set 1 2, get 3, set 2 3, set 3 nil | true 1
run({}, table.remove) -->  | len, get 0, set 0 nil | true nil
run({ 1, 2 }, table.concat, ",") --> 1 2 | len, get 1, get 2 | true 1,2
run({ 1, 2 }, table.unpack) --> 1 2 | len, get 1, get 2 | true 1 2
run({ 1, 2 }, table.unpack, 2, 3) --> 1 2 | get 2, get 3 | true 2 nil
run({ 1, 2, 3 }, table.move, 1, 3, 2) --> 1 1 2 3 | get 3, set 4 3, get 2, set 3 2, get 1, set 2 1 | true table
run({ 1, 2, 3 }, table.move, 2, 3, 1) --> 2 3 3 | get 2, set 1 2, get 3, set 2 3 | true table
run({ 7, 8 }, function(p) return table.unpack(table.move(p, 1, 2, 1, {})) end) --> 7 8 | get 1, get 2 | true 7 8

-- Overlap is a question of equality, so __eq decides the direction.
local t = { 1, 2, 3 }
local mt = { __eq = function() return true end }
local a, b = setmetatable({ 1, 2, 3 }, mt), setmetatable({}, mt)
print(table.unpack(table.move(a, 1, 3, 2, b), 1, 4)) --> nil	1	2	3

-- What is not a table needs the metamethods that the function uses.
print(pcall(table.insert, 1, 2)) --> false	bad argument #1 to 'table.insert' (table expected, got number)
print(pcall(table.unpack, setmetatable({}, { __len = function() return 2.5 end }))) --> false	object length is not an integer
print(pcall(table.concat, setmetatable({}, { __len = function() return "x" end }))) --> false	object length is not an integer
print(table.concat(setmetatable({}, { __len = function() return "2" end, __index = function(_, k) return k end }), "-")) --> 1-2
