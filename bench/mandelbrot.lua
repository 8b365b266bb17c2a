-- mandelbrot: one tight float loop over locals. Dispatch and float arithmetic only.
local size = tonumber(arg and arg[1]) or 800

local inside, total = 0, 0
for py = 0, size - 1 do
  local ci = 2.0 * py / size - 1.0
  for px = 0, size - 1 do
    local cr = 2.0 * px / size - 1.5
    local zr, zi, zr2, zi2 = 0.0, 0.0, 0.0, 0.0
    local n = 0
    while n < 50 and zr2 + zi2 <= 4.0 do
      zi = 2.0 * zr * zi + ci
      zr = zr2 - zi2 + cr
      zr2, zi2 = zr * zr, zi * zi
      n = n + 1
    end
    total = total + n
    if n == 50 then inside = inside + 1 end
  end
end
print(string.format("mandelbrot %d %d", inside, total))
