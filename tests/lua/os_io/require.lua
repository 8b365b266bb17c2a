-- needs: host
-- require and package: searchers, preload, loaded, path templates, messages, loaders' arguments, errors in modules.
local dir = os.tmpname(); os.remove(dir); os.execute("mkdir -p " .. dir .. "/sub")
local function write(n, s) local f = assert(io.open(dir .. "/" .. n, "w")); f:write(s); f:close() end
write("mod.lua", "local name, path = ...; return { name = name, path = path:match('[^/]*$') }")
write("sub/init.lua", "return 'init of ' .. ...")
write("nothing.lua", "loaded_nothing = true")
write("bad.lua", "x = = 1")
write("raises.lua", "error('while loading', 0)")
write("falsey.lua", "return false")
package.path = dir .. "/?.lua;" .. dir .. "/?/init.lua"
local m, extra = require("mod")
print(m.name, m.path, extra:match("[^/]*$"), require("mod") == m, package.loaded.mod == m, select("#", require("mod")))
--> mod	mod.lua	mod.lua	true	true	1
print((require("sub")), require("nothing"), loaded_nothing, (require("falsey")), package.loaded.falsey) --> init of sub	true	true	false	false
print((select(2, pcall(require, "bad")):gsub(dir:gsub("%p", "%%%0"), "DIR")))
--> error loading module 'bad' from file 'DIR/bad.lua':
--> 	DIR/bad.lua:1: unexpected symbol near '='
print(pcall(require, "raises")) --> false	while loading
print((select(2, pcall(require, "no.such")):gsub(dir:gsub("%p", "%%%0"), "DIR"):gsub("\n%s*no file '[^']*%.so'", "")))
--> module 'no.such' not found:
--> 	no field package.preload['no.such']
--> 	no file 'DIR/no/such.lua'
--> 	no file 'DIR/no/such/init.lua'
package.preload.pre = function(...) return table.concat({ ... }, "|") end
print(require("pre")) --> pre|:preload:	:preload:
print((package.searchpath("mod", package.path):gsub(".*/", "")), (select(2, package.searchpath("a.b", "./?.x;./?.y"))), package.searchpath("a-b", "?;", "-", "+") == nil)
--> mod.lua	no file './a/b.x'
--> 	no file './a/b.y'	true
print(#package.searchers, package.config:sub(1, 1), type(package.cpath), package.loaded._G == _G, package.loaded.string == string)
--> 4	/	string	true	true
table.insert(package.searchers, 2, function(n) if n == "virtual" then return function(name, x) return name .. x end, "!" end return "\n\tnot virtual" end)
print(require("virtual")) --> virtual!	!
package.loaded.mod = nil
print(require("mod") ~= m) --> true
print(pcall(require)) --> false	bad argument #1 to 'require' (string expected, got no value)
local saved = package.searchers; package.searchers = nil
print(pcall(require, "anything")) --> false	'package.searchers' must be a table
package.searchers = saved; package.path = nil
print(pcall(require, "anything")) --> false	'package.path' must be a string
print(pcall(dofile, dir .. "/raises.lua"), (loadfile(dir .. "/none.lua")), loadfile(dir .. "/mod.lua", "b") == nil) --> false	nil	true
os.execute("rm -r " .. dir)
