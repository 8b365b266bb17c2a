-- package: lua-check
-- package: lua-argparse
-- package: lua-penlight
-- package: lua-dkjson
-- package: lua-unit
-- luacheck (11,000 lines: lexer, parser, flow analysis), let loose on itself and on the other packages here.
local root = arg[1]
local luacheck = require("luacheck")
local share = root .. "/usr/share/lua/5.1/"

local names = {
  "luacheck/lexer.lua", "luacheck/parser.lua", "luacheck/stages/linearize.lua", "luacheck/stages/resolve_locals.lua",
  "luacheck/options.lua", "luacheck/format.lua", "luacheck/standards.lua", "luacheck/globbing.lua", "argparse.lua",
  "pl/List.lua", "pl/pretty.lua", "pl/xml.lua", "pl/class.lua", "pl/path.lua", "dkjson.lua", "luaunit.lua",
}
local sources = {}
for i, name in ipairs(names) do
  local file = assert(io.open(share .. name))
  sources[i] = file:read("a")
  file:close()
end
names[#names + 1], sources[#sources + 1] = "broken.lua", "local x = = 2"
names[#names + 1], sources[#sources + 1] = "poor.lua", [[
local unused, a = 1
a = 2
function leak(x, x) if x then end return y.z end
for i = 10, 1 do print(i) end
do return end
print("never")
]]

local report = luacheck.check_strings(sources, { std = "lua54", max_cyclomatic_complexity = 20 })
print(report.warnings, report.errors, report.fatals)
for i, name in ipairs(names) do
  print(name, #report[i])
  for _, warning in ipairs(report[i]) do
    print(("  %d:%d %s %s"):format(warning.line, warning.column, warning.code, luacheck.get_message(warning)))
  end
end
