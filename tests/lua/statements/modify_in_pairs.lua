-- While walking a table one may assign to existing fields and clear them; adding is not allowed.
local t = {}
for i = 1, 50 do t[i], t["k" .. i] = i, i end
local seen = 0
for k, v in pairs(t) do
  seen = seen + 1
  if v % 2 == 0 then t[k] = nil else t[k] = v * 10 end
end
local left, sum = 0, 0
for _, v in pairs(t) do left, sum = left + 1, sum + v end
print(seen, left, sum) --> 100	50	12500
for k in pairs(t) do t[k] = nil end
print(next(t)) --> nil
local u = { a = 1, b = 2, c = 3 }
local count = 0
for k in pairs(u) do
  count = count + 1
  u.a, u.b, u.c = nil, nil, nil
  collectgarbage()
end
print(count, next(u)) --> 1	nil
print(pcall(next, {}, "missing")) --> false	invalid key to 'next'
print(next({}, nil), (next({ 5 }))) --> nil	1
