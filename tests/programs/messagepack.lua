-- package: lua-messagepack
-- MessagePack, in the edition for 5.3 and later: string.pack and unpack in every format, integer subtypes, cursors.
local mp = require("MessagePack")

local function hex(s) return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

mp.set_number("double")
mp.set_string("string_compat")
for _, v in ipairs({
  0, 1, 127, 128, 255, 256, 65535, 65536, 2 ^ 31 | 0, 0xFFFFFFFF, 0x100000000, math.maxinteger, -1, -32, -33, -128, -129, -32768,
  -32769, math.mininteger, 0.5, -1.25, 1e300, 1 / 0, true, false, "", "abc", ("x"):rep(31), ("x"):rep(32), ("x"):rep(256),
}) do
  local packed = mp.pack(v)
  local back = mp.unpack(packed)
  print(#packed, hex(packed):sub(1, 40), back == v, math.type(back))
end
print(hex(mp.pack({ 1, { 2, { 3 } }, "four" })), hex(mp.pack({ key = "value" })), hex(mp.pack({})), hex(mp.pack(nil)))

local deep = {}
for i = 1, 300 do deep = { deep, i } end
local packed = mp.pack(deep)
local count, node = 0, mp.unpack(packed)
while node[1] do count, node = count + 1, node[1] end
print(#packed, count)

local big = {}
for i = 1, 70000 do big[i] = i % 300 end
packed = mp.pack(big)
local back = mp.unpack(packed)
local sum = 0
for i = 1, #back do sum = sum + back[i] end
print(#packed, #back, sum)

local stream = mp.pack(1) .. mp.pack("two") .. mp.pack({ 3 })
for _, value in mp.unpacker(stream) do print(type(value), type(value) == "table" and value[1] or value) end
print(pcall(mp.unpack, "\x93\x01"))
print(pcall(mp.unpack, "\xc1"))
print(pcall(mp.pack, print))
mp.set_number("float")
print(hex(mp.pack(0.1)), mp.unpack(mp.pack(0.1)))
