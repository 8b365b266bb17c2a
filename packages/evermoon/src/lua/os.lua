-- The part of `os` that looks at the clock, over what JavaScript knows of time: now() and clock() in seconds, calendar(time, utc), and moment(...),
-- the time of a local calendar time whose fields may be out of range.
local now, clock, calendar, moment = ...
local error, type, math_type, tointeger = error, type, math.type, math.tointeger
local format, gsub, sub, find = string.format, string.gsub, string.sub, string.find

local DAYS = { 'Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday' }
local MONTHS = {
  'January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December',
}
local COMPOSED = {
  c = '%a %b %e %H:%M:%S %Y', D = '%m/%d/%y', F = '%Y-%m-%d', h = '%b', r = '%I:%M:%S %p', R = '%H:%M', T = '%H:%M:%S', x = '%m/%d/%y', X = '%H:%M:%S',
}
local MODIFIED = { E = '[cCxXyY]', O = '[deHImMSuUVwWy]' }

local function argument(n, name, message, level)
  error(format("bad argument #%d to '%s' (%s)", n, name, message), level or 3)
end

local function time_argument(v, n, name)
  local t = tointeger(v)
  if t == nil then
    local got = v == nil and 'no value' or type(v)
    argument(n, name, math_type(v) and 'number has no integer representation' or 'number expected, got ' .. got, 4)
  end
  return t
end

-- Year and week of ISO 8601.
local function iso_week(c)
  local weekday = (c.wday + 5) % 7
  local week = (c.yday - 1 - weekday + 10) // 7
  local function weeks(year)
    local function p(y) return (y + y // 4 - y // 100 + y // 400) % 7 end
    return (p(year) == 4 or p(year - 1) == 3) and 53 or 52
  end
  if week < 1 then return c.year - 1, weeks(c.year - 1) end
  if week > weeks(c.year) then return c.year + 1, 1 end
  return c.year, week
end

local function two(n) return format('%02d', n) end
local function twelve(h) return (h + 11) % 12 + 1 end

local EXPAND = {
  a = function(c) return sub(DAYS[c.wday], 1, 3) end,
  A = function(c) return DAYS[c.wday] end,
  b = function(c) return sub(MONTHS[c.month], 1, 3) end,
  B = function(c) return MONTHS[c.month] end,
  C = function(c) return two(c.year // 100) end,
  d = function(c) return two(c.day) end,
  e = function(c) return format('%2d', c.day) end,
  g = function(c) return two(iso_week(c) % 100) end,
  G = function(c) return format('%d', (iso_week(c))) end,
  H = function(c) return two(c.hour) end,
  I = function(c) return two(twelve(c.hour)) end,
  j = function(c) return format('%03d', c.yday) end,
  m = function(c) return two(c.month) end,
  M = function(c) return two(c.min) end,
  n = function() return '\n' end,
  p = function(c) return c.hour < 12 and 'AM' or 'PM' end,
  S = function(c) return two(c.sec) end,
  t = function() return '\t' end,
  u = function(c) return format('%d', (c.wday + 5) % 7 + 1) end,
  U = function(c) return two((c.yday + 7 - c.wday) // 7) end,
  V = function(c) local _, week = iso_week(c) return two(week) end,
  w = function(c) return format('%d', c.wday - 1) end,
  W = function(c) return two((c.yday + 6 - (c.wday + 5) % 7) // 7) end,
  y = function(c) return two(c.year % 100) end,
  Y = function(c) return format('%d', c.year) end,
  z = function(c) local m = c.offset // 60 return format('%s%02d%02d', m < 0 and '-' or '+', (m < 0 and -m or m) // 60, (m < 0 and -m or m) % 60) end,
  Z = function(c) return c.zone end,
  ['%'] = function() return '%' end,
}

local function parts(time, utc)
  local year, month, day, hour, min, sec, wday, yday, isdst, offset, zone = calendar(time, utc)
  if year == nil then error('date result cannot be represented in this installation', 3) end
  return { year = year, month = month, day = day, hour = hour, min = min, sec = sec, yday = yday, wday = wday, isdst = isdst }, offset, zone
end

os = {
  clock = function() return clock() + 0.0 end,
  difftime = function(later, earlier)
    return time_argument(later, 1, 'difftime') - time_argument(earlier, 2, 'difftime') + 0.0
  end,
  date = function(pattern, time)
    if pattern == nil then pattern = '%c' end
    if math_type(pattern) then pattern = format('%s', pattern) end
    if type(pattern) ~= 'string' then argument(1, 'date', 'string expected, got ' .. type(pattern)) end
    if time == nil then time = now() else time = time_argument(time, 2, 'date') end
    local utc = sub(pattern, 1, 1) == '!'
    if utc then pattern = sub(pattern, 2) end
    local c, offset, zone = parts(time, utc)
    if find(pattern, '^%*t') then return c end
    c.offset, c.zone = offset, zone
    local bad
    local function expand(text)
      return (gsub(text, '%%([EO]?)(.?)', function(modifier, letter)
        if modifier ~= '' and not find(letter, MODIFIED[modifier]) or letter == '' or not (COMPOSED[letter] or EXPAND[letter]) then
          bad = bad or '%' .. modifier .. letter
          return ''
        end
        return COMPOSED[letter] and expand(COMPOSED[letter]) or EXPAND[letter](c)
      end))
    end
    local text = expand(pattern)
    if bad then argument(1, 'date', "invalid conversion specifier '" .. bad .. "'") end
    return text
  end,
  time = function(t)
    if t == nil then return now() end
    if type(t) ~= 'table' then argument(1, 'time', 'table expected, got ' .. type(t)) end
    local function field(name, default)
      local v = t[name]
      local n = tointeger(v) or type(v) == 'string' and tointeger(tonumber(v)) or nil
      if n == nil then
        if v ~= nil then error("field '" .. name .. "' is not an integer", 3) end
        if default == nil then error("field '" .. name .. "' missing in date table", 3) end
        return default
      end
      if n < -(1 << 31) or n >= 1 << 31 then error("field '" .. name .. "' is out-of-bound", 3) end
      return n
    end
    local year, month, day = field('year'), field('month'), field('day')
    local time = moment(year, month, day, field('hour', 12), field('min', 0), field('sec', 0))
    if time == nil then error('time result cannot be represented in this installation', 2) end
    if t.isdst ~= nil and (parts(time, false)).isdst ~= t.isdst then
      -- An hour that the clock shows twice: the other one.
      local other = time + (t.isdst and -3600 or 3600)
      if (parts(other, false)).isdst == t.isdst then time = other end
    end
    for name, value in next, (parts(time, false)) do t[name] = value end
    return time
  end,
}
package.loaded.os = os
