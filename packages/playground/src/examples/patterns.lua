-- Patterns: Lua's small answer to regular expressions.

local log = [[
2026-11-20 09:14:02 GET  /moon/phase?of=today   200  12ms
2026-11-20 09:14:05 GET  /moon/tides?at=Brest   200  31ms
2026-11-20 09:15:40 POST /moon/landing          403   4ms
]]

local requests = {}
local line = "(%S+) (%u+)%s+(%S+)%s+(%d+)%s+(%d+)ms"
for time, verb, path, status, ms in log:gmatch(line) do
  local query = {}
  for k, v in path:gmatch("(%w+)=(%w+)") do
    query[k] = v
  end
  requests[#requests + 1] = {
    time = time,
    verb = verb,
    path = path:match("^[^?]+"),
    status = math.tointeger(status),
    ms = math.tointeger(ms),
    query = query,
  }
end

for _, r in ipairs(requests) do
  local shape = "%s  %-4s %-14s %d"
  print(shape:format(r.time, r.verb, r.path, r.status))
end

-- Substitution with a table, a balanced match, a frontier.
local names = { who = "Lua", what = "the moon" }
print((("$who is $what"):gsub("%$(%w+)", names)))
print(("f(a(b)c)d"):match("%b()"))
print((("THE (quick) fox"):gsub("%f[%a]%a+", string.lower)))

return requests
