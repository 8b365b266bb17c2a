-- Functions that share variables with suspended coroutines, called while these stand still: in a world the variables are in the coroutines' stacks, which
-- come with the functions.
local function busy(n)
  local t
  for i = 1, n do t = { t and 1, i } end
end

local function suspended(n)
  local up, down
  local co = coroutine.create(function()
    up = function() n = n + 1 return n end
    local m = n
    down = function() m, n = m - 1, n - 1 return m, n end
    while true do coroutine.yield(m, n) end
  end)
  coroutine.resume(co)
  return co, up, down
end

local all = {}
for i = 1, 4 do
  local co, up, down = suspended(i * 10)
  all[i] = { co = co, up = up, down = down }
end
for round = 1, 3 do
  for i, one in ipairs(all) do
    busy(6000)
    if i % 2 == 0 then
      print(round, i, pcall(one.up))
      print(round, i, one.down())
    else
      print(round, i, one.down())
      print(round, i, coroutine.resume(one.co))
    end
  end
end
--> 1	1	9	9
--> 1	1	true	9	9
--> 1	2	true	21
--> 1	2	19	20
--> 1	3	29	29
--> 1	3	true	29	29
--> 1	4	true	41
--> 1	4	39	40
--> 2	1	8	8
--> 2	1	true	8	8
--> 2	2	true	21
--> 2	2	18	20
--> 2	3	28	28
--> 2	3	true	28	28
--> 2	4	true	41
--> 2	4	38	40
--> 3	1	7	7
--> 3	1	true	7	7
--> 3	2	true	21
--> 3	2	17	20
--> 3	3	27	27
--> 3	3	true	27	27
--> 3	4	true	41
--> 3	4	37	40
