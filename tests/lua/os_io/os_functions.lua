-- needs: host
-- os: time and date both ways, normalisation, clock, getenv, difftime, exit codes of commands, tmpname.
print(os.time({ year = 2000, month = 1, day = 1, hour = 12 }) - os.time({ year = 1999, month = 12, day = 31, hour = 12 })) --> 86400
local d = os.date("*t", os.time({ year = 2024, month = 2, day = 30, hour = 25, min = 61, sec = -1 }))
print(d.year, d.month, d.day, d.hour, d.min, d.sec, d.wday, d.yday, type(d.isdst)) --> 2024	3	2	2	0	59	7	62	boolean
print(os.date("!%Y-%m-%d %H:%M:%S", 0), os.date("!%a %A %b %B %d %j %p %y %%", 86400 * 45), os.date("!%x %X %c", 0))
--> 1970-01-01 00:00:00	Sun Sunday Feb February 15 046 AM 70 %	01/01/70 00:00:00 Thu Jan  1 00:00:00 1970
print(os.date("!*t", 1e9).year, os.date("!%H", 3600), os.date("!%D %T %R %F %e %I %M %u %w", 1e9))
--> 2001	01	09/09/01 01:46:40 01:46 2001-09-09  9 01 46 7 0
print(pcall(os.date, "%Q")) --> false	bad argument #1 to 'os.date' (invalid conversion specifier '%Q')
print(pcall(os.date, "%")) --> false	bad argument #1 to 'os.date' (invalid conversion specifier '%')
print(pcall(os.time, { year = 2000 })) --> false	field 'month' missing in date table
print(pcall(os.time, { year = 2000, month = "x", day = 1 })) --> false	field 'month' is not an integer
print(pcall(os.time, { year = 2000, month = 1.5, day = 1 })) --> false	field 'month' is not an integer
print(os.difftime(10, 5), math.type(os.clock()), type(os.time()), os.getenv("NO_SUCH_VARIABLE_HERE"), type(os.getenv("PATH")))
--> 5.0	float	number	nil	string
print(os.execute("exit 3")); print(os.execute("true")); print(os.execute() and "shell")
--> nil	exit	3
--> true	exit	0
--> shell
print(os.setlocale("C"), os.setlocale(nil), os.setlocale("no_such_locale")) --> C	C	nil
local p = io.popen("echo from shell; exit 2"); print(p:read("a"), p:close())
--> from shell
--> 	nil	exit	2
print(type(os.tmpname()), pcall(os.difftime)) --> string	false	bad argument #1 to 'os.difftime' (number expected, got no value)
