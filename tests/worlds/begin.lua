-- The first of the two programs that make a world of the fixtures: one of everything that a record can hold. `README.md` has the commands.
-- What it leaves is looked at, and run on, by `go_on.lua`. Neither is changed any more: a new format gets new programs.

-- Values of all forms.
values = {
  true, false, 0, -16, 175, -17, 176, math.maxinteger, math.mininteger, 0.5, -0.0, 1 / 0, 2^53, '', 'short', ('x'):rep(31), ('y'):rep(32),
  ('z'):rep(1024), ('long'):rep(1000), 'zero\0byte', '\xff\xfe', [2.5] = 'float key', [-7] = 'negative', [true] = 'boolean key',
}
values[values] = 'itself'
holes = { 1, nil, 3, nil, nil, 6, n = 6 }

-- Tombstones, and a loop in the middle of them.
local order = {}
for i = 1, 40 do order['k' .. i] = i end
for i = 5, 20 do order['k' .. i] = nil end
ordered = order

-- Segments.
big = {}
for i = 1, 1200 do big[i] = i * i big['name' .. i] = i % 3 == 0 and { i } or i end
for i = 100, 900 do big['name' .. i] = nil end

-- Functions and what they share.
do
  local n, text = 0, 'shared'
  function count() n = n + 1 return n end
  function counted() return n, text end
  function set_text(s) text = s end
end
function factorial(n) return n < 2 and 1 or n * factorial(n - 1) end
function varargs(...) return select('#', ...), ... end
loaded = load('local a <const>, b <close> = 1, nil; return function(x) return a + x end', '=made')()
stripped = load(string.dump(function(x) return x * 2 end, true))

-- Metatables, inheritance, all kinds of weakness, finalizers.
Base = { kind = 'base' } Base.__index = Base
Derived = setmetatable({ __index = function(t, k) return rawget(t, k) or Base[k] end, __call = function(self, x) return self.n + x end,
  __add = function(a, b) return a.n + b.n end, __eq = function(a, b) return a.n == b.n end, __lt = function(a, b) return a.n < b.n end,
  __concat = function(a, b) return 'joined' end, __len = function(t) return t.n end, __name = 'Derived',
  __tostring = function(t) return 'derived ' .. t.n end, __pairs = function(t) return function(_, k) if not k then return 1, t.n end end, t end,
  __close = function(t) log[#log + 1] = 'closed ' .. t.n end }, { __index = Base })
log = {}
one, two = setmetatable({ n = 1 }, Derived), setmetatable({ n = 2 }, Derived)
weak_values = setmetatable({ one, {} }, { __mode = 'v' })
weak_keys = setmetatable({ [one] = 'kept', [{}] = 'gone' }, { __mode = 'k' })
ephemeron = setmetatable({ [one] = { one }, [two] = two }, { __mode = 'k' })
finalized = {}
waiting = setmetatable({ 'waits' }, { __gc = function(o) finalized[#finalized + 1] = o[1] end })
getmetatable('').__index = string
string.shout = function(s) return s:upper() .. '!' end
printed = { tostring(one), tostring(log), tostring(count), tostring(coroutine.create(count)) }
identity = tostring(log)

-- The library as it is, by name.
names = {}
for library, t in pairs(_G) do
  if type(t) == 'table' and package.loaded[library] == t and library ~= '_G' then
    for name, f in pairs(t) do if type(f) == 'function' and name ~= 'shout' then names[library .. '.' .. name] = f end end
  elseif type(t) == 'function' and debug.getinfo(t, 'S').what == 'C' then
    names[library] = t
  end
end
my_print = print
math.tau = 2 * math.pi        -- added to a library
table.move, moved = nil, table.move   -- taken from one
package.loaded.mine = { version = 3 }
package.preload.later = function(name) return { name = name, seen = coroutine.isyieldable() } end

-- External tables.
_home.users = ext.table()
for i, name in ipairs { 'ada', 'bob', 'cy', 'dee' } do _home.users[name] = { name = name, n = i } _home[i] = _home.users[name] end
for i = 1, 600 do _home[i / 2] = 'row ' .. i end
_home[false], _home[true], _home[-2^53], _home.text, _home.f = 'no', 'yes', 'far', ('row'):rep(2000), count
_home.self = _home
setmetatable(_home.users, { __index = function(_, k) return 'nobody called ' .. tostring(k) end })

-- Coroutines, each suspended in the middle of something. `go` names what it does, and gives what it says when it is resumed with 'r'.
parked = {}
local function park(name, f, ...)
  local co = coroutine.create(f)
  local ok, first = coroutine.resume(co, ...)
  assert(ok and first == 'y', name .. ': ' .. tostring(first))
  parked[#parked + 1] = { name, co }
end
local yield = coroutine.yield
local function y() return yield('y') end
local function proxy(mt) return setmetatable({}, mt) end

park('plain', function(a, ...) local b, c = 2, ... local function f() c = c + 1 return a + b + c end return y(), f(), select('#', ...) end, 1, 10, 20)
park('deep', function() local function f(n) if n == 0 then return y() end return (f(n - 1)) .. n end return f(30) end)
park('tail call', function() return y() end)
park('pcall', function() return pcall(function() return y() .. 1 end) end)
park('pcall that fails', function() return pcall(function() error({ code = y() }) end) end)
park('xpcall', function() return xpcall(function(x) return x, y() end, debug.traceback, 'arg') end)
park('numeric for', function() local s = 0 for i = 3, 1, -1 do if i == 2 then y() end s = s + i end return s end)
park('float for', function() local s = 0 for i = 0.5, 3 do if i == 1.5 then y() end s = s + i end return s end)
park('pairs', function() local s = {} for k, v in pairs(order) do if v == 3 then y() end s[#s + 1] = k end return table.concat(s, ' ') end)
park('pairs over a big one', function() local n = 0 for k, v in pairs(big) do n = n + 1 if n == 1300 then y() end end return n end)
park('__pairs', function() local s = 0 for k, v in pairs(proxy { __pairs = function(t) y() return next, { 5, 6 } end }) do s = s + v end return s end)
park('ipairs', function() local s = 0 for i, v in ipairs(proxy { __index = function(_, i) if i == 3 then return nil end if i == 2 then y() end return i end }) do s = s + v end return s end)
park('generic for with a closing value', function()
  local function f() for k in next, { 1, 2 }, nil, one do y() break end return #log end return f() end)
park('to be closed, in its __close', function()
  local t = {} do local c <close> = setmetatable({}, { __close = function(_, e) t[1] = y() t[2] = e end }) end return t[1], t[2] end)
park('to be closed, in its __close, by an error', function()
  return pcall(function() local c <close> = setmetatable({}, { __close = function(_, e) error(y() .. e, 0) end }) error('first', 0) end) end)
park('to be closed, two, in a return', function()
  local function f() local a <close> = two local b <close> = setmetatable({}, { __close = function() y() end }) return 1, 2, 3 end return f() end)
park('goto', function() local i, s = 1, 0 ::top:: if i == 2 then y() end s = s + i i = i + 1 if i < 4 then goto top end return s end)
park('varargs', function(...) local function f(...) y() return ... end return f(..., select(2, ...)) end, 'a', 'b', 'c')
park('__index', function() return proxy { __index = function(_, k) return k .. y() end }.field end)
park('__newindex', function() local t = {} local p = proxy { __newindex = function(_, k, v) t[k] = v .. y() end } p.a = 'x' return t.a end)
park('__call', function() return proxy { __call = function(_, a, b) return a, y(), b end } (1, 2) end)
park('arithmetic', function() local p = proxy { __add = function(a, b) return y() .. b end } return (p + 1) .. 'end' end)
park('unary', function() return -proxy { __unm = y } .. '-' end)
park('__concat', function() return 'a' .. proxy { __concat = function(a, b) return y() .. b end } .. 'b' end)
park('__len', function() return #proxy { __len = y } end)
park('__eq', function() local mt = { __eq = function() return y() end } return proxy(mt) == proxy(mt), 'done' end)
park('__lt', function() local mt = { __lt = function() return y() end } if proxy(mt) < proxy(mt) then return 'less' end return 'not' end)
park('__le', function() local mt = { __le = function() return y() end } return not (proxy(mt) <= proxy(mt)) end)
park('table.sort', function() local t, n = { 5, 3, 8, 1, 9, 2, 7 }, 0
  table.sort(t, function(a, b) n = n + 1 if n == 4 then y() end return a < b end) return table.concat(t, ',') end)
park('table.sort with __lt', function() local n, mt = 0, {} mt.__lt = function(a, b) n = n + 1 if n == 3 then y() end return a.v > b.v end
  local t = {} for i = 1, 5 do t[i] = setmetatable({ v = i }, mt) end table.sort(t) return t[1].v, t[5].v end)
park('table.sort of a proxy', function() local t = { 3, 1, 2 } local p = proxy { __len = function() return 3 end, __index = function(_, k) return t[k] end,
  __newindex = function(_, k, v) if k == 2 then y() end t[k] = v end } table.sort(p) return t[1], t[2], t[3] end)
park('table.concat', function() return table.concat(proxy { __len = function() return 3 end, __index = function(_, i) if i == 2 then return y() end return i end }, '-') end)
park('table.insert', function() local t = { 1, 2 } local p = proxy { __len = function() return #t end, __index = t, __newindex = function(_, k, v) if k == 3 then y() end t[k] = v end }
  table.insert(p, 1, 0) return table.concat(t, ',') end)
park('table.remove', function() local t = { 1, 2, 3 } local p = proxy { __len = function() return #t end, __index = function(_, k) if k == 2 then y() end return t[k] end, __newindex = t }
  return table.remove(p, 1), table.concat(t, ',') end)
park('table.move', function() local t = {} moved({ 1, 2, 3 }, 1, 3, 1, proxy { __newindex = function(_, k, v) if k == 2 then y() end t[k] = v end }) return #t, t[3] end)
park('table.unpack', function() return table.unpack(proxy { __index = function(_, i) if i == 2 then return y() end return i end }, 1, 3) end)
park('string.gsub with a function', function() return ('a b c'):gsub('%a', function(c) if c == 'b' then return y() end return c:upper() end) end)
park('string.gsub with a table', function() return ('a b c'):gsub('%a', proxy { __index = function(_, c) if c == 'b' then return y() end return c .. c end }) end)
park('string.gmatch', function() local s = {} for k, v in ('a=1 b=2 c=3'):gmatch('(%w)=(%w)') do if k == 'b' then y() end s[#s + 1] = k .. v end return table.concat(s, ' ') end)
park('string.format', function() return ('%s|%5.1f|%s'):format(proxy { __tostring = y }, 2.5, 'end') end)
park('tostring', function() return tostring(proxy { __tostring = y }) .. '.' end)
park('print', function() print('printed:', proxy { __tostring = y }, 'end') return 'after print' end)
park('load with a reader', function() local parts, i = { 'return ', false, ' .. 1' }, 0
  local f = load(function() i = i + 1 if parts[i] == false then return "'" .. y() .. "'" end return parts[i] end) return f() end)
park('load, in what it loaded', function() return load('local a = ... return a() .. "!"')(y) end)
park('require', function() package.preload.slow = function(name, where) return { name, y(), where } end local m = require('slow') return m[1], m[2], m[3] end)
park('coroutine in a coroutine', function() local inner = coroutine.wrap(function() local s = 0 while true do s = s + 1 yield(s) end end)
  return inner(), inner(), y(), inner() end)
park('coroutine.wrap', function() local f = coroutine.wrap(function() for i = 1, 3 do yield(i) end end) local s = f() y() for i in f do s = s .. i end return s end)
park('ext.range', function() local s = {} for k, v in ext.range(_home.users, 'b', 'd') do if k == 'bob' then y() end s[#s + 1] = k .. v.n end return table.concat(s, ' ') end)
park('pairs over rows', function() local n = 0 for k, v in pairs(_home) do n = n + 1 if n == 300 then y() end end return n end)
park('utf8.codes', function() local s = 0 for p, c in utf8.codes('aäλ') do if p == 2 then y() end s = s + c end return s end)
park('hook', function() local n = 0 debug.sethook(function() n = n + 1 end, '', 100) for i = 1, 1000 do if i == 500 then y() end end debug.sethook() return n > 10 end)
park('open upvalues', function() local a, b = 1, 2 function get_open() return a, b end function set_open(x) a = x end y() return a, b end)
dead = coroutine.create(function() error('it died', 0) end) coroutine.resume(dead)
finished = coroutine.create(function() return 1 end) coroutine.resume(finished)
fresh = coroutine.create(function(...) return 'fresh', ... end)
in_a_for = coroutine.wrap(function() for i = 1, 5 do yield(i) end end) in_a_for()
closed_file = io.tmpfile() closed_file:close()
standard = io.stdout
