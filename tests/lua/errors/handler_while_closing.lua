-- What goes wrong while `xpcall` closes variables goes through its message handler too.
print(xpcall(function()
  local a <close> = setmetatable({}, { __close = function() error("closing", 0) end })
  error("body", 0)
end, function(m) print("handler: " .. m) return m .. "!" end))
--> handler: body
--> handler: closing
--> false	closing!
