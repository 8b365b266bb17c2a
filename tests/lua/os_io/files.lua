-- needs: host
-- io: write and read in every format, lines, seek, append, buffering, closed files, errors with code, tmpfile.
local name = os.tmpname()
local f = assert(io.open(name, "w"))
print(io.type(f), io.type(io.stdout), io.type(5), f:write("line 1\n", 2, " ", 3.5, "\nlast without newline") == f, f:close(), io.type(f))
--> file	file	nil	true	true	closed file
print(pcall(f.write, f, "x")) --> false	attempt to use a closed file
for l in io.lines(name) do io.write("[", l, "]") end print() --> [line 1][2 3.5][last without newline]
for l in io.lines(name, "L") do io.write("<", (l:gsub("\n", "\\n")), ">") end print() --> <line 1\n><2 3.5\n><last without newline>
for a, b in io.lines(name, 1, 2) do io.write(a, "|", (b or "nil"):gsub("\n", "~"), " ") break end print() --> l|in 
f = io.open(name)
print(f:read("l", "n", "n", "l", "a", "a", "l", "n")) --> line 1	2	3.5		last without newline		nil
print(f:seek("set", 5), f:read(1), f:seek("cur"), f:seek("end"), f:read(1), f:read(0), f:read("a")) --> 5	1	6	33	nil	nil	
print(f:seek("set"), f:read(0), f:read(3, 100))
--> 0		lin	e 1
--> 2 3.5
--> last without newline
f:close()
f = io.open(name, "a+"); f:write("\nappended"); f:seek("set"); print(#f:read("a")); f:close() --> 42
f = io.open(name, "r+"); f:write("LINE"); f:seek("set"); print(f:read("l")); f:close() --> LINE 1
f = io.open(name, "w"); f:write("0x1p4 -7 +3 .5 1e2 0xffz nan 12345678901234567890 1..2"); f:close()
f = io.open(name); print(f:read("n", "n", "n", "n", "n", "n")); print(f:read("n")); f:close()
--> 16.0	-7	3	0.5	100.0	255
--> nil
print(pcall(function() for l in io.lines(name, "x") do end end)) --> false	files.lua:25: bad argument #2 to 'for iterator' (invalid format)
print(io.open("/nonexistent/file")) --> nil	/nonexistent/file: No such file or directory	2
print(pcall(io.open, name, "bad")) --> false	bad argument #2 to 'io.open' (invalid mode)
print(pcall(io.lines, "/nonexistent/file")) --> false	cannot open file '/nonexistent/file' (No such file or directory)
f = io.open(name, "w"); print(f:setvbuf("full", 1024), f:setvbuf("no"), f:setvbuf("line"), f:flush() == f); f:close() --> true	true	true	false
print(io.output() == io.stdout, io.input() == io.stdin) --> true	true
io.output(name); io.write("through io.write"); io.close(); io.output(io.stdout)
io.input(name); print(io.read("a")); io.close(io.input()); io.input(io.stdin) --> through io.write
f = io.open(name, "wb"); f:write("a\0b\r\nc"); f:close()
f = io.open(name, "rb"); print(#f:read("a")); f:close() --> 6
print((tostring(f)), (tostring(io.stdout):gsub("%(.*", "(addr)")), getmetatable(f).__name) --> file (closed)	file (addr)	FILE*
local t = io.tmpfile(); t:write("tmp"); t:seek("set"); print(t:read("a")); t:close() --> tmp
do local c <close> = io.open(name); print(io.type(c)) end --> file
local it = io.lines(name); it(); it(); print(pcall(it)) --> true
print(os.remove(name), os.remove(name) == nil, select(3, os.remove(name))) --> true	true	2
print(os.rename("/nonexistent/a", "/nonexistent/b")) --> nil	No such file or directory	2
