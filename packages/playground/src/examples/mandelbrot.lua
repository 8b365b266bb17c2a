-- Forty thousand squares, straight from Lua to the canvas.
-- The page stays live meanwhile, without any worker.

local size, detail = 360, 160
local c = canvas(size * 4 // 3, size)

local function colour(n)
  local t = n / detail
  local hue, light = 230 + 260 * t, 12 + 62 * t ^ 0.55
  return ("hsl(%.0f 70%% %.0f%%)"):format(hue, light)
end

local palette = { [detail] = "#12151f" }
for n = 0, detail - 1 do palette[n] = colour(n) end

local step = 2
for py = 0, c.height - 1, step do
  local y0 = (py / c.height - 0.5) * 2.4
  for px = 0, c.width - 1, step do
    local x0 = (px / c.width - 0.5) * 3.2 - 0.6
    local x, y, n = 0.0, 0.0, 0
    while x * x + y * y <= 4 and n < detail do
      x, y, n = x * x - y * y + x0, 2 * x * y + y0, n + 1
    end
    c:fill(palette[n])
    c:rect(px, py, step, step)
  end
  meter("lines", py + step, c.height)
end
