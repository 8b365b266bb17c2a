-- An error that nobody catches: the command prints it with a traceback and exits with 1.
local function inner(x)
  if x == 0 then
    local t = nil
    print("about to fail")
    return t.field.deep
  end
  inner(x - 1)
end
inner(2) --> about to fail
--! uncaught_string.lua:6: attempt to index a nil value (local 't')
