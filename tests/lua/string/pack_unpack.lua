-- string.pack and unpack: sizes, signs, endianness, alignment, strings of all kinds, positions, and errors.
local function hex(s) return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
print(hex(string.pack("<i4", 1)), hex(string.pack(">i4", 1)), hex(string.pack("<i3", -2)), hex(string.pack(">I2", 65535)), hex(string.pack("b", -1)))
--> 01000000	00000001	feffff	ffff	ff
print(hex(string.pack("<d", 1.5)), hex(string.pack(">f", -0.5)), hex(string.pack("<n", 2)), hex(string.pack("<j", -1)), hex(string.pack("<T", 7)))
--> 000000000000f83f	bf000000	0000000000000040	ffffffffffffffff	0700000000000000
print(hex(string.pack("z", "hi")), hex(string.pack("<s1", "abc")), hex(string.pack(">s2", "abc")), hex(string.pack("c5", "ab")), hex(string.pack("<s", "")))
--> 686900	03616263	0003616263	6162000000	0000000000000000
print(hex(string.pack("<!4 b i4", 1, 2)), hex(string.pack("<!8 b Xi8 i8", 1, 2)), hex(string.pack("<b x b", 1, 2)), hex(string.pack("<!2 b i8", 1, 2)), hex(string.pack(">i16", -3)))
--> 0100000002000000	01000000000000000200000000000000	010002	01000200000000000000	fffffffffffffffffffffffffffffffd
print(string.unpack("<i2 >i2", "\1\0\0\1"), string.unpack("z B", "hey\0\255"), string.unpack("<s1", "\3abcdef"), string.unpack("c3", "abcdef"))
--> 1	hey	abc	abc	4
print(string.unpack("<i4", string.pack("<i4", -2147483648)), string.unpack("<I8", ("\xff"):rep(8)), string.unpack("<i16", string.pack("<i16", math.mininteger)))
--> -2147483648	-1	-9223372036854775808	17
print(string.unpack("<f", string.pack("<f", 0.1)), string.unpack("<d", string.pack("<d", 0.1)), string.unpack("<i1", "\x80"), string.unpack("<I1", "\x80"))
--> 0.10000000149012	0.1	-128	128	2
print(string.packsize("<i4 i8 b"), string.packsize("<!8 b d"), string.packsize("!4 i1 !2 i4"), string.packsize(""), string.packsize("<i7"), string.packsize("c10 x"))
--> 13	16	6	0	7	11
print(string.unpack("i1", "abc", 2), string.unpack("i1", "abc", -1), string.unpack("", "abc"), string.unpack("<!4 i1 i4", string.pack("<!4 i1 i4", 1, 2)))
--> 98	99	1	1	2	9
print(pcall(string.pack, "i17", 1)) --> false	integral size (17) out of limits [1,16]
print(pcall(string.pack, "i0", 1)) --> false	integral size (0) out of limits [1,16]
print(pcall(string.pack, "<i1", 200)) --> false	bad argument #2 to 'string.pack' (integer overflow)
print(pcall(string.pack, "<I2", -1)) --> false	bad argument #2 to 'string.pack' (unsigned overflow)
print(pcall(string.pack, "z", "a\0b")) --> false	bad argument #2 to 'string.pack' (string contains zeros)
print(pcall(string.pack, "s1", ("x"):rep(300))) --> false	bad argument #2 to 'string.pack' (string length does not fit in given size)
print(pcall(string.pack, "c2", "abc")) --> false	bad argument #2 to 'string.pack' (string longer than given size)
print(pcall(string.pack, "!3 i4", 1)) --> false	bad argument #1 to 'string.pack' (format asks for alignment not power of 2)
print(pcall(string.pack, "Q", 1)) --> false	invalid format option 'Q'
print(pcall(string.pack, "X", 1)) --> false	bad argument #1 to 'string.pack' (invalid next option for option 'X')
print(pcall(string.pack, "d", "x")) --> false	bad argument #2 to 'string.pack' (number expected, got string)
print(pcall(string.unpack, "<i4", "abc")) --> false	bad argument #2 to 'string.unpack' (data string too short)
print(pcall(string.unpack, "z", "abc")) --> false	bad argument #2 to 'string.unpack' (unfinished string for format 'z')
print(pcall(string.unpack, "s1", "\5ab")) --> false	bad argument #2 to 'string.unpack' (data string too short)
print(pcall(string.unpack, "<i16", ("\1"):rep(16))) --> false	16-byte integer does not fit into Lua Integer
print(pcall(string.unpack, "i1", "a", 3)) --> false	bad argument #3 to 'string.unpack' (initial position out of string)
print(pcall(string.packsize, "s")) --> false	bad argument #1 to 'string.packsize' (variable-length format)
print(pcall(string.packsize, "z")) --> false	bad argument #1 to 'string.packsize' (variable-length format)
print(pcall(string.packsize, "c2147483647 c2147483647")) --> false	invalid format option '7'
print(pcall(string.pack, "c")) --> false	missing size for format option 'c'
