-- canvas() gives an object of JavaScript: its methods are
-- called directly. frame() waits for the next frame.
--
-- While it runs, type in the line below:  speed = 4

local c = canvas(520, 340)
local cx, cy = c.width / 2, c.height / 2
speed = 1

local bodies = {
  { orbit = 46, size = 4, period = 2.4, colour = "#c9a58a" },
  { orbit = 74, size = 6, period = 5.1, colour = "#e7c98f" },
  { orbit = 108, size = 7, period = 8.0, colour = "#7fb0e6",
    moon = true },
  { orbit = 146, size = 5, period = 14.3, colour = "#d98a6a" },
}

local stars = {}
for i = 1, 90 do
  local x, y = math.random(c.width), math.random(c.height)
  stars[i] = { x, y, math.random() }
end

local time, last = 0, frame()
while true do
  local now = frame()
  time, last = time + (now - last) * speed, now
  c:clear("#12151f")

  for _, s in ipairs(stars) do
    local twinkle = math.abs(math.sin(now + 9 * s[3]))
    c:fill("#ffffff", 0.25 + 0.5 * s[3] * twinkle)
    c:circle(s[1], s[2], 0.5 + s[3] * 0.7)
  end

  c:fill("#f6d98b", 0.18)
  c:circle(cx, cy, 28)
  c:fill("#f6d98b")
  c:circle(cx, cy, 17)

  for _, b in ipairs(bodies) do
    -- A trail of fading dots, then the body.
    for k = 24, 0, -1 do
      local a = (time / b.period - k * 0.008) * 2 * math.pi
      local x = cx + b.orbit * math.cos(a)
      local y = cy + b.orbit * math.sin(a) * 0.92
      c:fill(b.colour, k == 0 and 1 or 0.16 * (1 - k / 24))
      c:circle(x, y, k == 0 and b.size or b.size * 0.6)
      if k == 0 and b.moon then
        c:fill("#dfe4f2")
        local m = a * 7
        c:circle(x + 14 * math.cos(m), y + 14 * math.sin(m), 2.2)
      end
    end
  end
end
