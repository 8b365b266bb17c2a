-- evermoon-only: the reference has no verifier and may crash
-- Each single byte of a dump, changed: load refuses it or what it makes is safe to run with little fuel of its own.
local code = string.dump(function(a, ...)
  local t = { a, x = "constant", 1.5 }
  for i = 1, 3 do t[i] = (t[i] or 0) .. "s" end
  local f = function() return t, a end
  return f, ...
end)
local refused, loaded = 0, 0
for position = 1, #code do
  for _, change in ipairs({ 1, 0x80, 0xff }) do
    local bytes = code:sub(1, position - 1) .. string.char(code:byte(position) ~ change) .. code:sub(position + 1)
    local f, why = load(bytes, "=hostile", "b")
    if f then loaded = loaded + 1 else assert(type(why) == "string" and #why < 300); refused = refused + 1 end
  end
end
print(refused + loaded == #code * 3, refused > loaded) --> true	true
print(load(("\27"):rep(100), "=x", "b") == nil, load(code .. "trailing", "=x", "b") ~= false) --> true	true
