-- Runs programs that come on standard input, each in an environment of its own, and answers with what each printed and
-- how it ended. A program and an answer are a line with a size, and so many bytes.
local out
local function capture(...)
  local line = table.pack(...)
  for i = 1, line.n do line[i] = tostring(line[i]) end
  out[#out + 1] = table.concat(line, "\t") .. "\n"
end

local basic = { "assert", "collectgarbage", "error", "getmetatable", "ipairs", "load", "next", "pairs", "pcall",
  "rawequal", "rawget", "rawlen", "rawset", "select", "setmetatable", "tonumber", "tostring", "type", "xpcall", "_VERSION" }
local libraries = { "string", "table", "math", "utf8", "coroutine" }

local function environment()
  local env = { print = capture }
  for _, name in ipairs(basic) do env[name] = _G[name] end
  for _, name in ipairs(libraries) do
    env[name] = {}
    for k, v in pairs(_G[name]) do env[name][k] = v end
  end
  env._G = env
  return env
end

io.stdout:setvbuf("full")
while true do
  local size = io.read("l")
  if not size then break end
  local source = io.read(tonumber(size)) or ""
  out = {}
  local ending
  local f, message = load(source, "=p", "bt", environment())
  if not f then
    ending = "refused: " .. message
  else
    local ok, e = pcall(f, 1, 2)
    if ok then
      ending = "done"
    elseif type(e) == "string" or type(e) == "number" then
      ending = "failed: " .. e
    else
      ending = "failed: " .. type(e)
    end
  end
  local answer = table.concat(out) .. ending
  io.write(#answer, "\n", answer)
  io.flush()
end
