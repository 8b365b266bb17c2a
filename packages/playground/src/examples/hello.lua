-- A program prints, and what it returns is shown below
-- its output: click a table to open it.

local moons = {
  Earth = { "Moon" },
  Mars = { "Phobos", "Deimos" },
  Jupiter = { "Io", "Europa", "Ganymede", others = 92 },
}

print("Hello from " .. _VERSION .. ".")

-- Tables are walked in the order in which they were filled,
-- on every machine: Evermoon is deterministic.
for planet, names in pairs(moons) do
  print(("%-8s %s"):format(planet, table.concat(names, ", ")))
end

-- Integers have 64 bits, here as well.
return moons, #moons.Jupiter, math.maxinteger, 10 / 4
