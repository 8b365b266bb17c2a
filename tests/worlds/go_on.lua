-- Looks at everything that `begin.lua` has left, and runs it on. What it prints is `went_on.txt`, in every engine that opens the world.
local function show(...)
  local s = table.pack(...)
  for i = 1, s.n do
    local v = s[i]
    if type(v) == 'string' and #v > 100 then v = ('%d bytes of %s'):format(#v, v:sub(1, 8)) end
    if type(v) == 'table' and not getmetatable(v) then v = ('table(%s)'):format(tostring(v.code)) end
    s[i] = tostring(v)
  end
  my_print(table.concat(s, ' ', 1, s.n))
end

show('values', #values) for i = 1, #values do show(i, values[i], math.type(values[i])) end
show(values[2.5], values[-7], values[true], values[values], holes.n, holes[6], holes[2])
local keys = {} for k, v in pairs(ordered) do keys[#keys + 1] = k .. '=' .. v end show(table.concat(keys, ' '))
local n, sum = 0, 0
for k, v in pairs(big) do n = n + 1 sum = sum + (type(v) == 'table' and v[1] or v) end
show('big', #big, n, sum, big[1199], big.name99[1], big.name500, big.name1200[1])
show(count(), counted()) set_text('changed') show(counted())
show(factorial(20), varargs('a', nil), loaded(41), stripped(21))
show(one.kind, one(10), one + two, one == two, one < two, one .. two, #two, tostring(one), getmetatable(one) == Derived)
for k, v in pairs(two) do show('__pairs', k, v) end
show(weak_values[1] == one, weak_keys[one], ephemeron[one][1] == one, ephemeron[two] == two)
show(('it'):shout(), identity == tostring(log), #printed)

local missing, other = 0, 0
for name, f in pairs(names) do
  local library, field = name:match('^(.-)%.(.*)$')
  local now
  if library then now = _G[library] and _G[library][field] else now = _G[name] end
  if now == nil and name ~= 'table.move' then missing = missing + 1 show('not here:', name) elseif now ~= f and name ~= 'table.move' then other = other + 1 show('another one:', name) end
end
show('library', missing, other, math.tau == 2 * math.pi, table.move, moved({ 1, 2 }, 1, 2, 2)[3], require('mine').version, require('later').name)

show('rows', #_home, ext.count(_home), _home[1] == _home.users.ada, _home[2.5], _home[false], _home[true], _home[-2^53], #_home.text, _home.f == count, _home.self == _home)
for k, v in pairs(_home.users) do show(k, v.name, v.n) end
show(_home.users.zoe, _home.users.bob.n)
for k, v in ext.range(_home, 299, 'f', { limit = 5 }) do show(k, type(v) == 'function' and 'a function' or v) end

for _, p in ipairs(parked) do show(p[1], coroutine.status(p[2]), select(2, coroutine.resume(p[2], 'r'))) end
show(get_open()) set_open(7) show(get_open())
show(coroutine.status(dead), coroutine.close(dead)) show(coroutine.status(finished), coroutine.resume(finished))
show(coroutine.resume(fresh, 1, 2)) show(in_a_for(), in_a_for())
show('log', table.concat(log, ', '))
waiting = nil collectgarbage() collectgarbage()   -- whether it is finalized now is the collector's affair
show(tostring(closed_file), io.type(closed_file), standard == io.stdout or 'another output')
_home.went_on = (_home.went_on or 0) + 1
show('went on', _home.went_on)
