-- spectral_norm: float arithmetic over arrays, a small function called in the inner loop.
local n = tonumber(arg and arg[1]) or 500

local function entry(i, j)
  local ij = i + j - 1
  return 1.0 / (ij * (ij - 1) * 0.5 + i)
end

local function times(x, y)
  for i = 1, n do
    local sum = 0.0
    for j = 1, n do sum = sum + x[j] * entry(i, j) end
    y[i] = sum
  end
end

local function transposed_times(x, y)
  for i = 1, n do
    local sum = 0.0
    for j = 1, n do sum = sum + x[j] * entry(j, i) end
    y[i] = sum
  end
end

local function both(x, y, scratch)
  times(x, scratch)
  transposed_times(scratch, y)
end

local u, v, scratch = {}, {}, {}
for i = 1, n do u[i] = 1.0 end
for _ = 1, 10 do
  both(u, v, scratch)
  both(v, u, scratch)
end

local uv, vv = 0.0, 0.0
for i = 1, n do
  uv = uv + u[i] * v[i]
  vv = vv + v[i] * v[i]
end
print(string.format("spectral_norm %.9f", math.sqrt(uv / vv)))
