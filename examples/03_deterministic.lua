-- The same program prints the same everywhere: tables remember the order of insertion, ids are not addresses.
local planets = { mercury = 1, venus = 2, earth = 3, mars = 4 }
planets.jupiter = 5
planets.venus = nil
planets.venus = "moved to the end"
for name, n in pairs(planets) do print(name, n) end

local seen = setmetatable({}, { __mode = "k" })
seen[{}] = "collected"
collectgarbage()
print("entries left in the weak table:", next(seen))
