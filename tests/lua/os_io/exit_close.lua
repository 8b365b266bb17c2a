-- needs: host
-- os.exit(code, true) closes what is pending, from inside out, and no protected call stops it.
local x <close> = setmetatable({}, { __close = function(_, e) print("closed x", e) end })
local function f()
  local y <close> = setmetatable({}, { __close = function(_, e) print("closed y", e) error("in y", 0) end })
  local z <close> = setmetatable({}, { __close = function(_, e) print("closed z", e) end })
  pcall(coroutine.wrap(function() pcall(os.exit, true, true) end))
  print("not reached")
end
io.write("before\n") --> before
f()
--> closed z	nil
--> closed y	nil
--> closed x	in y
