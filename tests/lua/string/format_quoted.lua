-- %q writes what Lua reads back, exactly; %s honours __tostring; embedded zeros survive.
local f = string.format
print(f("%q", 'quotes " and \\ and \n newline'))
--> "quotes \" and \\ and \
-->  newline"
print(f("%q", "nul \0 digit \0001 cr \r tab \t del \127")) --> "nul \0 digit \0001 cr \13 tab \9 del \127"
print(f("%q %q %q %q", 1, -5, math.mininteger, math.maxinteger)) --> 1 -5 0x8000000000000000 9223372036854775807
print(f("%q %q %q %q %q", 0.1, 1e100, 1 / 0, -1 / 0, 3.0), f("%q", 0 / 0)) --> 0x1.999999999999ap-4 0x1.249ad2594c37dp+332 1e9999 -1e9999 0x1.8p+1	(0/0)
print(f("%q %q %q", true, false, nil)) --> true false nil
for _, v in ipairs({ "a\0b", "\r\n", "\\", '"', "\200\201", ("x"):rep(300), 0.1, 1 / 3, 2 ^ 63, math.mininteger, -0.0, 5e-324 }) do
  local back = load("return " .. f("%q", v))()
  assert(back == v and math.type(back) == math.type(v), v)
end
print("round trips") --> round trips
print(#f("%s", "a\0b"), f("%s|%20s|", setmetatable({}, { __tostring = function() return "obj" end }), "right"), pcall(f, "%.3s", "a\0bcd"))
--> 3	obj|               right|	false	bad argument #2 to 'string.format' (string contains zeros)
print(pcall(f, "%10s", "a\0b")) --> false	bad argument #2 to 'string.format' (string contains zeros)
print(f("%-10s|", "left"), f("%s", ("x"):rep(200)):len(), pcall(f, "%s")) --> left      |	200	false	bad argument #2 to 'string.format' (no value)
print((f("%p", {}):gsub("%x%x%x+", "ID")) ~= "", f("%p", 1), f("%p", nil), f("%p", "x") == f("%p", "x")) --> true	(null)	(null)	true
