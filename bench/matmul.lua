-- matmul: matrices as tables of tables of floats. Nested numeric loops, array reads.
local n = tonumber(arg and arg[1]) or 260

local function matrix(seed)
  local m = {}
  for i = 1, n do
    local row = {}
    for j = 1, n do row[j] = ((i * seed + j * 7) % 31 - 15) / 8 end
    m[i] = row
  end
  return m
end

local function transposed(m)
  local t = {}
  for i = 1, n do
    local row = {}
    for j = 1, n do row[j] = m[j][i] end
    t[i] = row
  end
  return t
end

local function product(a, b)
  local bt, c = transposed(b), {}
  for i = 1, n do
    local ai, ci = a[i], {}
    for j = 1, n do
      local bj, sum = bt[j], 0.0
      for k = 1, n do sum = sum + ai[k] * bj[k] end
      ci[j] = sum
    end
    c[i] = ci
  end
  return c
end

local a, b = matrix(3), matrix(5)
local c = product(product(a, b), a)
local trace = 0.0
for i = 1, n do trace = trace + c[i][i] * (i % 3 + 1) end
print(string.format("matmul %.6f", trace))
