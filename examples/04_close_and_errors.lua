-- To-be-closed variables, errors as values, and messages that name the thing.
local function open(name)
  print("open " .. name)
  return setmetatable({}, { __close = function(_, e) print("close " .. name, e and "because of an error" or "") end })
end

local ok, problem = pcall(function()
  local a <close> = open("a")
  local b <close> = open("b")
  local config = { window = {} }
  return config.window.size.width
end)
print(ok, problem)

print(xpcall(function() error({ code = 404 }) end, function(e) return "handled code " .. e.code end))
