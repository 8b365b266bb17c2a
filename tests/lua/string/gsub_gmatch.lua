-- gsub and gmatch: replacement texts, tables and functions, limits, anchors, empty matches.
print(("hello world"):gsub("o", "0"), ("hello"):gsub("", "-"), ("abc"):gsub("%w", "%0%0"), ("abc"):gsub("b*", "x"))
--> hell0 w0rld	-h-e-l-l-o-	aabbcc	xaxcx	3
print(("abc"):gsub("(a)(b)", "%2%1"), ("abc"):gsub("b", "%%"), ("hello world"):gsub("%w+", "%0 %0", 1), ("abc"):gsub("a", "b", 0), ("abc"):gsub(".", "x", -1))
--> bac	a%c	hello hello world	abc	abc	0
print(("$name is $age"):gsub("%$(%w+)", { name = "Bob", age = 42 }), ("abc"):gsub("%w", { a = 1, b = true and "B", c = false })) --> Bob is 42	1Bc	3
print(("4+5"):gsub("%d", function(d) return d * 2 end), ("abc"):gsub("b", function() end), ("abc"):gsub("(a)(b)", function(x, y) return y .. x end))
--> 8+10	abc	bac	1
print(("abc"):gsub("^a", "x"), ("aaa"):gsub("^a", "x"), ("abc"):gsub("c$", "x"), ("a$c"):gsub("a$c", "x"), ("x"):gsub("x", "%0%%0"))
--> xbc	xaa	abx	x	x%0	1
print(("abc"):gsub("()", "%1"), ("one two"):gsub("(%w+) (%w+)", "%2 %1"), (" a  b "):gsub("%s+", " "), ("äö"):gsub("[\x80-\xff]+", "u"))
--> 1a2b3c4	two one	 a b 	u	1
print(pcall(string.gsub, "x", "x", "%2")) --> false	invalid capture index %2
print(pcall(string.gsub, "x", "x", "%a")) --> false	invalid use of '%' in replacement string
print(pcall(string.gsub, "x", "x", "%")) --> false	invalid use of '%' in replacement string
print(pcall(string.gsub, "x", "x", function() return {} end)) --> false	invalid replacement value (a table)
print(pcall(string.gsub, "x", "x", { x = print })) --> false	invalid replacement value (a function)
for w, pos in ("one two  three"):gmatch("(%a+)()") do io.write(w, "@", pos, " ") end
print() --> one@4 two@8 three@15 
for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do io.write(k, v, ";") end
print() --> a1;b2;
for m in ("abc"):gmatch("") do io.write("[", m, "]") end
print() --> [][][][]
for m in ("aXbX"):gmatch("^a") do io.write("never in 5.4? ", m) end
print() -->
for a in ("hello"):gmatch("l*") do io.write("<", a, ">") end
print() --> <><><ll><>
for n in ("1,2,3"):gmatch("%d", 3) do io.write(n, " ") end
print() --> 2 3 
local it = ("ab"):gmatch(".")
print(it(), it(), it(), it()) --> a	b	nil
print(("x"):rep(3, ","), ("x"):rep(0), ("x"):rep(1, ","), ("ab"):reverse(), ("MiX"):lower(), ("MiX"):upper(), #("x"):rep(1e6))
--> x,x,x		x	ba	mix	MIX	1000000
