-- needs: host
-- os.date and os.time: every conversion of C99, normalisation, and their errors (6.9).
print(os.date("!%Y-%m-%d %H:%M:%S %a %A %b %B %p %I %y %C %j %e", 0)) --> 1970-01-01 00:00:00 Thu Thursday Jan January AM 12 70 19 001  1
print(os.date("!%c|%x|%X|%D|%F|%r|%R|%T", 1e9 // 1 | 0)) --> Sun Sep  9 01:46:40 2001|09/09/01|01:46:40|09/09/01|2001-09-09|01:46:40 AM|01:46|01:46:40
print(os.date("!%g %G %V %U %W %u %w %h %z %%", 1e9 // 1 | 0)) --> 01 2001 36 36 36 7 0 Sep +0000 %
-- ISO weeks at the edges of years.
for _, day in ipairs { 1104537600, 1230768000, 1262304000, 1293840000, 1325376000, 1483228800 } do
  io.write(os.date("!%Y-%m-%d=%G-W%V-%u ", day))
end
print() --> 2005-01-01=2004-W53-6 2009-01-01=2009-W01-4 2010-01-01=2009-W53-5 2011-01-01=2010-W52-6 2012-01-01=2011-W52-7 2017-01-01=2016-W52-7 
print(os.date("!%Ec %EC %Ex %EX %Ey %EY %Od %Oe %OH %OI %Om %OM %OS %Ou %OU %OV %Ow %OW %Oy", 0)) --> Thu Jan  1 00:00:00 1970 19 01/01/70 00:00:00 70 1970 01  1 00 12 01 00 00 4 00 01 4 00 70
local t = os.date("!*t", 951782400)
print(t.year, t.month, t.day, t.hour, t.min, t.sec, t.wday, t.yday, t.isdst) --> 2000	2	29	0	0	0	3	60	false
print(os.date("!%Y-%m-%d", -62135596800), os.date("!%F", 253402300800)) --> 1-01-01	10000-01-01

-- Fields out of range are carried, and the table gets what they mean.
local d = { year = 2020, month = 14, day = -3, hour = 25, min = -1, sec = 60 }
local time = os.time(d)
print(d.year, d.month, d.day, d.hour, d.min, d.sec, d.yday, d.wday) --> 2021	1	29	1	0	0	29	6
print(os.time(d) == time, os.time(os.date("*t", time)) == time, os.difftime(time, time - 5)) --> true	true	5.0
-- Through metamethods.
local seen = {}
local p = setmetatable({}, {
  __index = function(_, k) seen[#seen + 1] = k return ({ year = 2000, month = 1, day = 1 })[k] end,
  __newindex = function(_, k, v) seen[#seen + 1] = k .. "=" .. tostring(v) end,
})
os.time(p)
print(table.concat(seen, " ")) --> year month day hour min sec isdst year=2000 month=1 day=1 hour=12 min=0 sec=0 yday=1 wday=7 isdst=false

local function fails(...) print(select(2, pcall(...))) end
fails(os.date, "%Q x") --> bad argument #1 to 'os.date' (invalid conversion specifier '%Q x')
fails(os.date, "%E") --> bad argument #1 to 'os.date' (invalid conversion specifier '%E')
fails(os.date, "%") --> bad argument #1 to 'os.date' (invalid conversion specifier '%')
fails(os.date, "*t", 1 << 60) --> date result cannot be represented in this installation
fails(os.time, { year = 2020 }) --> field 'month' missing in date table
fails(os.time, { year = 2020, month = "x", day = 1 }) --> field 'month' is not an integer
fails(os.time, { year = 2020, month = 1.5, day = 1 }) --> field 'month' is not an integer
fails(os.time, { year = 1 << 40, month = 1, day = 1 }) --> field 'year' is out-of-bound
fails(os.time, 3) --> bad argument #1 to 'os.time' (table expected, got number)
