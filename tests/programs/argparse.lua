-- package: lua-argparse
-- argparse: usage and help texts, options, flags, commands, converters, choices, mutexes, errors with suggestions.
local argparse = require("argparse")

local function make()
  local parser = argparse("tool"):description("A tool that does things."):epilog("See the manual."):add_help_command()
  parser:argument("input", "Input file."):args("?")
  parser:option("-o --output", "Output file.", "a.out")
  parser:option("-I --include", "Include locations."):count("*")
  parser:option("-l --level"):convert(tonumber):default("3")
  parser:option("--mode", "How."):choices({ "fast", "slow", "exact" })
  parser:flag("-v --verbose", "More output."):count("0-3"):target("verbosity")
  parser:mutex(parser:flag("-q --quiet"), parser:flag("--loud"))
  local install = parser:command("install i", "Installs things.")
  install:argument("rocks"):args("+")
  install:option("-f --from"):args(2)
  parser:command("remove", "Removes things."):argument("rock")
  parser:require_command(false)
  return parser
end

local function show(value)
  if type(value) ~= "table" then return tostring(value) end
  local keys = {}
  for k in pairs(value) do keys[#keys + 1] = k end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for i, k in ipairs(keys) do keys[i] = tostring(k) .. "=" .. show(value[k]) end
  return "{" .. table.concat(keys, " ") .. "}"
end

print(make():get_help())
print(make():get_usage())
for _, line in ipairs({
  "in.txt -o out.bin -vv", "-Ilib -I src --include=third x", "--level 12", "--level twelve", "--mode exact", "--mode quick",
  "-q --loud", "install a b c -f x y", "i one --from here there", "install", "remove thing", "--outptu x", "-vvvv", "a b c", "--", "-- -x",
}) do
  local args = {}
  for word in line:gmatch("%S+") do args[#args + 1] = word end
  local ok, result = make():pparse(args)
  print(line, ok, show(result))
end
print(#make():get_bash_complete(), (make():get_fish_complete():gsub("\n.*", "")))
