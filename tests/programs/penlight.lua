-- package: lua-penlight
-- Penlight: List, OrderedMap, Set, class, stringx, tablex, seq, pretty, lexer, sip, template, data, xml, comprehensions.
local List = require("pl.List")
local OrderedMap = require("pl.OrderedMap")
local Set = require("pl.Set")
local class = require("pl.class")
local stringx = require("pl.stringx")
local tablex = require("pl.tablex")
local seq = require("pl.seq")
local pretty = require("pl.pretty")
local lexer = require("pl.lexer")
local sip = require("pl.sip")
local template = require("pl.template")
local data = require("pl.data")
local types = require("pl.types")
local func = require("pl.func")
local permute = require("pl.permute")
local array2d = require("pl.array2d")
local text = require("pl.text")
local stringio = require("pl.stringio")
local luabalanced = require("pl.luabalanced")
local operator = require("pl.operator")
local url = require("pl.url")
local xml = require("pl.xml")
local comprehension = require("pl.comprehension").new()

print("-- List")
local list = List({ 5, 3, 8, 1 })
print(list:sorted(), list:reverse(), list:map("+", 10), list:filter(function(x) return x > 2 end))
print(List.range(1, 10):slice(3, 6), list:append(7):extend({ 9, 9 }):remove_value(9), list:index(8), list:count(9))
print(List.split("one two three"):join("|"), list:reduce("+"), list == List({ 5, 3, 8, 1 }), list:minmax())

print("-- OrderedMap and Set")
local map = OrderedMap()
map:set("z", 1)
map:set("a", 2)
map.m = 3
for k, v in map:iter() do print(k, v) end
print(map, map:keys(), map:values())
local a, b = Set({ 1, 2, 3 }), Set({ 2, 3, 4 })
print(List(Set.values(a * b)):sort(), List(Set.values(a + b)):sort(), List(Set.values(a - b)):sort(), Set.issubset(a * b, a))

print("-- class")
local Animal = class()
function Animal:_init(name) self.name = name end
function Animal:__tostring() return self.name .. ": " .. self:speak() end
local Dog = class(Animal)
function Dog:speak() return "bark" end
local Puppy = class(Dog)
function Puppy:_init(name) self:super(name .. " junior") end
function Puppy:speak() return Dog.speak(self):upper() end
print(Dog("Rex"), Puppy("Rex"), Puppy("x"):is_a(Animal), Dog:class_of(Puppy("y")), Animal:class_of("z"))
local Props = class(class.properties)
function Props:_init() self._n = 1 end
function Props:get_double() return self._n * 2 end
print(Props().double)

print("-- stringx and text")
print(stringx.title("hello brave world"), stringx.center("mid", 9, "*"), stringx.strip("  x  "), stringx.count("banana", "an"))
print(stringx.split("a,b,,c", ","), stringx.partition("key=value", "="), stringx.expandtabs("a\tb"), stringx.isalpha("abc1"))
print(stringx.shorten("a very long line", 10), stringx.lines("x\ny\nz")(), stringx.splitlines("p\nq\r\nr"))
print(text.wrap("the quick brown fox jumps over the lazy dog", 15))
print(text.indent("one\ntwo", 4), (text.dedent("   a\n     b\n   c")))
print(text.Template("${greeting}, $name!"):substitute({ greeting = "Hi", name = "you" }))

print("-- tablex and seq")
print(tablex.deepcompare({ 1, { 2, x = { 3 } } }, { 1, { 2, x = { 3 } } }), tablex.find({ 4, 5, 6 }, 5), tablex.size({ 1, 2, x = 3 }))
print(List(tablex.map(function(x) return x * x end, { 1, 2, 3 })), List(tablex.zip({ 1, 2 }, { 3, 4 })[2]), tablex.rfind({ 1, 2, 1 }, 1))
for k, v in tablex.sort({ pear = 3, apple = 1, fig = 2 }) do io.write(k, "=", v, " ") end
for k, v in tablex.sortv({ pear = 3, apple = 1, fig = 2 }) do io.write(k, "=", v, " ") end
print()
print(seq.sum(seq.range(1, 100)), seq.copy(seq.take(seq.range(1, 50), 3)))
print(List(seq.copy(seq.map(operator.unm, seq.list({ 1, 2 })))), seq(seq.list({ 10, 20, 30 })):map("*", 2):reduce("+"))

print("-- pretty")
print(pretty.write({ 1, "two", { 3, { x = { y = { z = 1 } } } }, ["a key"] = true }))
local chunk = pretty.read("{ 1, 2, { a = 'b' }, [10] = 'ten' }")
print(chunk[3].a, chunk[10], pretty.read("{ os.exit() }"))
print(pretty.number(123456789, "N", 2), pretty.number(2 ^ 31, "M", 1))

print("-- lexer, sip, balanced")
for kind, value in lexer.lua("for i = 1, 0x1F do print('s' .. i) end -- end") do io.write(kind, ":", tostring(value), " ") end
print()
local fields = {}
print(sip.match("$v{name} = $d{number} @ $q{text}", "width = 42 @ 'hi there'", fields), fields.name, fields.number, fields.text)
print(luabalanced.match_expression("f(a, { b = [[)]] }) + 1, next", 1))

print("-- template and data")
local rendered = assert(template.substitute([[
# for i, item in ipairs(items) do
$(i): $(item.name:upper()) $(item.price * 2)
# end
]], { ipairs = ipairs, items = { { name = "tea", price = 2 }, { name = "cake", price = 3.5 } } }))
io.write(rendered)
local rows = data.read(stringio.open("name,age,city\nann,30,paris\nbob,25,rome\neve,41,oslo\n"))
print(rows.fieldnames, #rows, rows[2][1], List(rows:column_by_name("age")))
local q = rows:select("name where age > 26 sort by age")
for name in q do io.write(name, " ") end
print()

print("-- others")
print(tostring(func._1 + 2 * func._2), func.I(func._1 * func._2 + 1)(6, 7), func.compose(math.abs, tonumber)("-5"), func.bind(math.max, func._1, 10)(3))
for p in permute.order_iter({ 1, 2, 3 }) do io.write(table.concat(p, ""), " ") end
print()
print(array2d.size(array2d.new(2, 3, 0)), List(array2d.column({ { 1, 2 }, { 3, 4 } }, 2)))
print(types.is_callable(print), types.type(list), types.is_empty({}), types.to_bool("yes"))
print(url.quote("a b&c/é?"), url.unquote("a%20b%26c"))
local doc = xml.parse("<root a='1'><item>one</item><item n=\"2\">two &amp; more</item><empty/></root>")
print(xml.tostring(doc), doc:child_with_name("item"):get_text(), doc.attr.a)
print(List(comprehension("x^2 for x")({ 1, 2, 3, 4 })), comprehension("sum(x for x if x % 2 == 1)")({ 1, 2, 3, 4, 5 }))
