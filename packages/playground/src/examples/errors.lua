-- Errors are values. What nobody catches is marked at its line,
-- with the way there.

-- Any value can be thrown, and caught:
print(pcall(error, { code = 404 }))

-- A handler sees the stack while it is still there.
print(xpcall(function()
  local t = nil
  return t.field
end, debug.traceback))

-- Variables marked <close> are closed on the way out.
local function resource(name)
  return setmetatable({}, {
    __close = function(_, err)
      print("closing " .. name, err and "after an error" or "")
    end,
  })
end

print(pcall(function()
  local first <close> = resource "first"
  local second <close> = resource "second"
  error("enough", 0)
end))

-- And now one that nobody catches:
local config = { window = {} }

local function width(c)
  return c.window.size.width
end

local function layout(c)
  local w = width(c)
  return w * 2
end

print(layout(config))
