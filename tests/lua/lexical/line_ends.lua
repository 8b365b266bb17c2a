-- CR, LF, CRLF and LFCR each end one line, also inside strings and comments.
local function line_of(s) local _, m = load(s, "=s"); return m:match("^s:(%d+)") end
print(line_of("\n\n?"), line_of("\r\r?"), line_of("\r\n\r\n?"), line_of("\n\r\n\r?"), line_of("\n\r\r\n?"), line_of("\r\n\r?")) --> 3	3	3	3	3	3
print(line_of("--[[\n\r\n]]?"), line_of("--x\r?"), line_of("x=[[\r\n\r\n]]?"), line_of("x='\\\r\n'?"), line_of("x='\\z\r\n\n\r '?")) --> 3	2	3	2	3
print(#load("return '\\\r\n'")(), load("return [[a\r\nb\rc\n\rd]]")() == "a\nb\nc\nd", load("return '\\\n'")() == "\n") --> 1	true	true
print(load("#!shebang\nreturn 1"), (load("return 5 --eof")())) --> nil	5
