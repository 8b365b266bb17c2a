-- find and match: plain, anchors, init, captures of positions, back references, %b, %f, classes, nul bytes.
print(("hello world"):find("o w"), ("hello"):find("l+"), ("hello"):find("xyz"), ("hello"):find(""), ("hello"):find("", 10), ("hello"):find("", 6))
--> 5	3	nil	1	nil	6	5
print(("a.b"):find(".", 1, true), ("a.b"):find("%."), ("a+b"):find("+", 1, true), ("abc"):find("b", -1), ("abc"):find("b", -2), ("abc"):find("a", -10))
--> 2	2	2	nil	2	1	1
print(("key = value"):match("^(%w+)%s*=%s*(%w+)$"), ("abc"):match("()b()"), ("abc"):match(".-"), ("abc"):match(".-$"), ("  x "):match("^%s*(.-)%s*$"))
--> key	2		abc	x
print(("abcabc"):match("(a)(b)(c)%1%2%3"), ("[[x]]"):match("%[(=*)%[.-%]%1%]"), ("f(a(b)c)d"):match("%b()"), ("((x)"):match("%b()")) --> a		(a(b)c)	(x)
print(("THE (quick) fox"):find("%f[%a]%a+%f[%A]"), ("x"):find("%f[%w]"), ("THE (quick) fox"):gsub("%f[%a]%a+", "W")) --> 1	1	W (W) W	3
print(("a\0b\0c"):find("\0"), #("a\0b"):match("%z"), ("a\0b"):match("[^\0]+$"), #("a\0b"):match(".*"), ("\0\0"):find("%z%z")) --> 2	1	b	3	1	2
print(("x^y"):match("x^y"), ("$10"):match("$%d+"), ("a-b"):match("[a-]+"), ("]"):match("[]]"), ("^"):match("[%^]"), ("a]"):match("[^]]"), ("-"):match("[+--]"))
--> x^y	$10	a-	]	^	a	-
print(("0x1F"):match("^0[xX](%x+)$"), ("été"):match("[\xC3][\xA9]") == "é", ("tab\t"):find("%c"), ("A1_"):match("%u%d%p"), ("%"):match("%%"))
--> 1F	true	4	A1_	%
print(("aaa"):find("a-", 2), ("aaa"):match("a-b"), ("aab"):match("a-b"), ("aaab"):match("a?a?ab"), ("abab"):match("^(ab)+"), ("ab*"):match("ab*$"))
--> 2	nil	aab	aaab	nil	nil
print(string.find("abc", "(b)(c)"), string.find("", ""), string.find("", "", 1), string.find("", "", 2), string.match("2024-01-05", "(%d+)-(%d+)-(%d+)"))
--> 2	1	1	nil	2024	01	05
print(pcall(string.find, "a", "[a")) --> false	malformed pattern (missing ']')
print(pcall(string.find, "a", "%")) --> false	malformed pattern (ends with '%')
print(pcall(string.find, "a", "(a")) --> false	unfinished capture
print(pcall(string.find, "a", "a)")) --> true	nil
print(pcall(string.match, "a", "%1")) --> false	invalid capture index %1
print(pcall(string.match, "aa", "(a%1)")) --> false	invalid capture index %1
print(pcall(string.find, "a", "%b")) --> false	malformed pattern (missing arguments to '%b')
print(pcall(string.find, "a", "%f")) --> false	missing '[' after '%f' in pattern
print(pcall(string.match, "a", ("(a)"):rep(33))) --> true	nil
print(pcall(string.find, "a", "[%")) --> false	malformed pattern (missing ']')
print(pcall(string.match, ("a"):rep(50), (".-"):rep(5) .. "b")) --> true	nil
