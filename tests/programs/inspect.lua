-- package: lua-inspect
-- inspect: nested and shared tables, cycles, metatables, mixed keys (it sorts them), control characters, options.
local inspect = require("inspect")

local shared = { "shared" }
local cyclic = { name = "cycle", shared, shared }
cyclic.self = cyclic
print(inspect(cyclic))
print(inspect({ 1, 2, nil, 4, [-1] = "minus", [1.5] = "float", [2 ^ 60] = "big", yes = true, ["not an id"] = 1, ["end"] = 2 }))
print(inspect(setmetatable({ x = 1 }, { __index = { y = 2 }, __tostring = function() return "tostring" end })))
print(inspect("control \0\1\t\n\r\127 \\ ' \" é"), inspect('both " and \''), inspect(0 / 0 ~= 0 / 0), inspect(-0.0), inspect(1e100))
print(inspect({ a = { b = { c = { d = 1 } } } }, { depth = 2 }))
print(inspect({ 1, { 2 } }, { newline = "@", indent = ">>" }))
print(inspect({ a = 1, secret = 2, deep = { secret = 3 } }, {
  process = function(item, path)
    if path[#path] ~= "secret" then return item end
  end,
}))
print(inspect({ print, print, coroutine.create(print), io.stdout }))
local wide = {}
for i = 1, 200 do wide[i] = { id = i, key = "k" .. i % 7, on = i % 2 == 0 } end
print(#inspect(wide), inspect(wide[77]))
