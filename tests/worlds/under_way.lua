-- The second program: it is killed while it runs, after a checkpoint, and so is still under way in the fixture.
local sum, seen = 0, {}
progress = function() return sum, #seen end
for i = 1, 1000 do
  local ok, message = pcall(function()
    local c <close> = setmetatable({}, { __close = function() seen[i] = (seen[i] or 0) + 1 end })
    for word in ('one two three'):gmatch('%a+') do
      sum = sum + #word
      table.sort({ 3, 1, 2 }, function(a, b) return a < b end)
    end
    if i % 10 == 0 then error('ten', 0) end
  end)
  if not ok then sum = sum + (message == 'ten' and 1 or 1e9) end
  -- Long enough to be killed in the middle.
  if i > 500 and not may_end then for j = 1, 3e5 do sum = sum + 1 sum = sum - 1 end end
end
result = ('sum %d, seen %d'):format(sum, #seen)
print(result)
