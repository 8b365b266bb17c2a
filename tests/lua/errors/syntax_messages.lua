-- Syntax errors: what was expected, near what, and where the block began.
local function try(s) print((select(2, load(s, "=src")))) end
try("x =") --> src:1: unexpected symbol near <eof>
try("x = = 1") --> src:1: unexpected symbol near '='
try("for") --> src:1: <name> expected near <eof>
try("if x then") --> src:1: 'end' expected near <eof>
try("if x then\n\nelse\n") --> src:4: 'end' expected (to close 'if' at line 1) near <eof>
try("while true do x()") --> src:1: 'end' expected near <eof>
try("repeat until") --> src:1: unexpected symbol near <eof>
try("function f( return end") --> src:1: <name> or '...' expected near 'return'
try("local function f(a,) end") --> src:1: <name> or '...' expected near ')'
try("x = {1, 2") --> src:1: '}' expected near <eof>
try("x = {\n1,\n2\n") --> src:4: '}' expected (to close '{' at line 1) near <eof>
try("f(") --> src:1: unexpected symbol near <eof>
try("f(1,") --> src:1: unexpected symbol near <eof>
try("x = 'unfinished") --> src:1: unfinished string near <eof>
try("x = 'bad \\q escape'") --> src:1: invalid escape sequence near ''bad \q'
try("x = '\\400'") --> src:1: decimal escape too large near ''\400''
try("x = '\\x1g'") --> src:1: hexadecimal digit expected near ''\x1g'
try("x = '\\u{110000000}'") --> src:1: UTF-8 value too large near ''\u{110000000'
try("x = '\\u{zz}'") --> src:1: hexadecimal digit expected near ''\u{z'
try("x = [[never closed") --> src:1: unfinished long string (starting at line 1) near <eof>
try("x = [==[never closed]]") --> src:1: unfinished long string (starting at line 1) near <eof>
try("--[[ comment") --> src:1: unfinished long comment (starting at line 1) near <eof>
try("x = 3..4") --> src:1: malformed number near '3..4'
try("x = 0x") --> src:1: malformed number near '0x'
try("x = 1e") --> src:1: malformed number near '1e'
try("x = 12abc") --> src:1: malformed number near '12abc'
try("x = 'line\nbreak'") --> src:1: unfinished string near ''line'
try("return return") --> src:1: unexpected symbol near 'return'
try("return 1 2") --> src:1: <eof> expected near '2'
try("local 5 = 1") --> src:1: <name> expected near '5'
try("a.b:c = 1") --> src:1: function arguments expected near '='
try("a + 1 = 2") --> src:1: syntax error near '+'
try("f() = 1") --> src:1: syntax error near '='
try("(a) = 1") --> src:1: syntax error near '='
try("a") --> src:1: syntax error near <eof>
try("a.b") --> src:1: syntax error near <eof>
try("goto 1") --> src:1: <name> expected near '1'
try("::a") --> src:1: '::' expected near <eof>
try("local x <clos> = 1") --> src:1: unknown attribute 'clos'
try("x = }") --> src:1: unexpected symbol near '}'
try("end") --> src:1: <eof> expected near 'end'
try("x = function() end end") --> src:1: <eof> expected near 'end'
try("x = @") --> src:1: unexpected symbol near '@'
try("x = $y") --> src:1: unexpected symbol near '$'
try("x = ~") --> src:1: unexpected symbol near <eof>
try("for i = 1 do end") --> src:1: ',' expected near 'do'
try("for i, j = 1, 2 do end") --> src:1: 'in' expected near '='
try("for i.x in y do end") --> src:1: '=' or 'in' expected near '.'
try("for 1 = 1, 2 do end") --> src:1: <name> expected near '1'
try("local t = {[1] 2}") --> src:1: '=' expected near '2'
try("break") --> src:1: break outside loop at line 1
try("x = '\\z  \n  abc' y = ?") --> src:2: unexpected symbol near '?'
print(select(2, load("x = " .. ("("):rep(300))):match("overflow")) --> overflow
print(select(2, load("return " .. ("{"):rep(300))):match("overflow")) --> overflow
try("local " .. ("a,"):rep(250) .. "a") --> src:1: too many local variables (limit is 200) in main function near ','
try("x = \"\\") --> src:1: unfinished string near <eof>
try("x = not") --> src:1: unexpected symbol near <eof>
try("and") --> src:1: unexpected symbol near 'and'
try("\xff = 1") --> src:1: unexpected symbol near '<\255>'
try("x = 'a\0b' y") --> src:1: syntax error near <eof>
