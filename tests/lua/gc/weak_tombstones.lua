-- Entries that were set to nil in a table with weak keys and weak values: nothing keeps their keys, so the table must forget these
-- before other objects take their places. (Long strings are compared by content: such a key was read after it had been freed.)

local both = setmetatable({}, {__mode = "kv"})
local function name(i) return ("a key that is too long to be interned "):rep(3) .. i end

for i = 1, 40 do both[name(i)] = i end
for i = 1, 40 do both[name(i)] = nil end
collectgarbage()
collectgarbage()
local others = {}
for i = 1, 200 do others[i] = ("something else of the very same size "):rep(3) .. i end
for i = 1, 40 do assert(both[name(i)] == nil) end

for i = 40, 1, -1 do both[name(i)] = i end
local count = 0
for k, v in pairs(both) do
  assert(k == name(v))
  count = count + 1
end
print(count)                                                --> 40

-- Keys that are objects: a new one at the same place is not the old one.
local objects = {}
for i = 1, 40 do objects[i] = {} both[objects[i]] = i end
for i = 1, 40 do both[objects[i]] = nil end
objects = nil
collectgarbage()
collectgarbage()
local fresh = {}
for i = 1, 40 do fresh[i] = {} assert(both[fresh[i]] == nil) end
print(next(others) ~= nil)                                  --> true
