-- Hooks of every kind of call: natives, metamethods, tail calls, coroutines, errors that are caught; what each event passes.
local function events(mask, f, shown)
  local t = {}
  debug.sethook(function(event, line)
    local i = debug.getinfo(2, "nStr")
    local text = event .. " " .. tostring(i.name) .. (line and ":" .. line or "") .. (i.istailcall and "!" or "")
    for k = i.ftransfer, i.ftransfer + i.ntransfer - 1 do
      local _, v = debug.getlocal(2, k)
      text = text .. " " .. (type(v) == "number" and v or type(v))
    end
    t[#t + 1] = text
  end, mask)
  f()
  debug.sethook()
  -- Without the first (sethook returns) and the last (it is called).
  print(table.concat(t, ", ", 2, #t - (mask:find("c") and 1 or 0)))
end
events("cr", function() pcall(error, 1) end)
events("cr", function() pcall(math.max, 1, 2) end)
events("cr", function() local co = coroutine.wrap(function(a) return (coroutine.yield(a + 1)) end) co(1) co(2) end)
local t = setmetatable({}, { __index = function(t, k) return 7 end, __add = function() return 8 end, __lt = function() return true end, __close = function() end })
events("cr", function() local a = t.x; a = t + t; if t < t then a = 1 end end)
events("cr", function() local a <close> = t end)
local function v(...) return select("#", ...) end
events("cr", function() v(1, 2, 3) return v(4) end)
events("l", function()
  for i = 1, 2 do
    local x = i
  end
end)
events("cl", function() for _, x in ipairs({ 1 }) do end end)
--> call f, call pcall function 1, call nil 1, return pcall boolean 1, return f
--> call f, call pcall function 1 2, call nil 1 2, return nil 2, return pcall boolean 2, return f
--> call f, call wrap function, return wrap function, call co 1, return co 2, call co 2, return co 2, return f
--> call f, call index table string, return index 7, call add, return add 8, call lt, return lt boolean, return f
--> call f, call close, return close, return f
--> call f, call v, call select string 1 2 3, return select 3, return v 3, tail call nil!, call select string 4, return select 1, return nil! 1
--> line f:27, line f:28, line f:27, line f:28, line f:27, line f:30, line events:14
--> call f, line f:31, call ipairs table, call for iterator table 0, line f:31, call for iterator table 1, line events:14
