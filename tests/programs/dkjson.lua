-- package: lua-dkjson
-- dkjson: encoding with ordered keys, decoding, positions of errors, round trips, and its own test program.
local root = arg[1]
local json = require("dkjson")

local document = {
  name = "evermoon", version = 1, ratio = 0.75, big = 2 ^ 53, negative = -12, nothing = json.null,
  list = { 1, 2.5, "three", true, false, { deep = { deeper = { 1, { 2, { 3 } } } } } },
  text = "quote \" backslash \\ newline \n tab \t control \1 é \u{1F319}",
  empty_list = setmetatable({}, { __jsontype = "array" }),
  empty_object = setmetatable({}, { __jsontype = "object" }),
}
local order = { "name", "version", "ratio", "big", "negative", "nothing", "list", "text", "empty_list", "empty_object" }
print(json.encode(document, { indent = true, keyorder = order }))
local once = json.encode(document, { keyorder = order })
local again = json.encode(json.decode(once, 1, json.null), { keyorder = order })
print(once == again, #once)

for _, text in ipairs({
  "[1,2,3", "{\"a\":}", "[1 2]", "nul", "\"open", "[1e3,-0.5,1E-2,0]", "{\"a\":{\"b\":[{}]}}", "[\"\\u00e9\\ud83c\\udf19\"]",
  " [ true , false , null ] // comment", "", "[1,]", "{\"a\" 1}",
}) do
  local value, position, why = json.decode(text, 1, nil)
  print(text, value ~= nil and json.encode(value), position, why)
end

local big = {}
for i = 1, 3000 do big[i] = { id = i, name = "item " .. i, tags = { i % 2 == 0 and "even" or "odd", i } } end
local text = json.encode(big, { keyorder = { "id", "name", "tags" } })
local back = json.decode(text)
print(#text, #back, back[3000].name, back[17].tags[1], json.encode(back[99], { keyorder = { "id", "name", "tags" } }))

local cyclic = {}
cyclic.self = cyclic
print(pcall(json.encode, cyclic))
print(json.encode({ print = print }, { exception = json.encodeexception }))
print(json.quotestring("\0\31\127\u{2028}"))

-- Its own tests need no harness: they call error when one fails, and print notes.
-- One note shows a table in the order of `pairs`, which the reference draws by lot.
local print_note = print
function print(first, ...)
  if not tostring(first):find("mixed table", 1, true) then print_note(first, ...) end
end
arg = { [0] = "jsontest.lua" }
dofile(root .. "/usr/share/doc/lua-dkjson/examples/jsontest.lua")
