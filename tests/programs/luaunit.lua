-- package: lua-unit
-- luaunit's own test suite (4,400 lines), run by luaunit: each test's name and result.
local root = arg[1]
arg = {}
local lu = require("luaunit")

-- Under its bare name: some of its tests look for that in messages.
local file = assert(io.open(root .. "/usr/share/doc/lua-unit/examples/test_luaunit.lua"))
local suite = assert(load(file:read("a"), "@test_luaunit.lua"))
file:close()
suite("luaunit")

local out = lu.genericOutput.new({}, "verbose")
out.__class__ = "ours"
function out.startSuite() end
function out.startClass() end
function out.startTest() end
function out.updateStatus() end
function out.endClass() end
function out.endTest(_, node)
  local why = node:isSuccess() and "" or " " .. tostring(node.msg):gsub("0x%x+", "address")
  print(node.status, node.testName, why)
end
function out.endSuite() end

local runner = lu.LuaUnit.new()
runner:setOutputType("nil")
runner.outputType = { new = function() return out end }
local failed = runner:runSuite()
print("failed", failed)
