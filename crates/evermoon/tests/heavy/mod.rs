//! Calls whose work grows with their input, for the test of slices and for the tool that measures them (`examples/longest_step.rs`).
//!
//! A case is a preparation and a call, both Lua. `N` is the size: the tool runs them large, the test small enough for a debug build.

pub struct Heavy {
    pub name: &'static str,
    pub prepare: &'static str,
    pub call: &'static str,
}

const fn heavy(name: &'static str, prepare: &'static str, call: &'static str) -> Heavy {
    Heavy {
        name,
        prepare,
        call,
    }
}

/// With `N` of about a million.
pub const HEAVY: &[Heavy] = &[
    heavy(
        "sort integers",
        "local t, x = {}, 42 for i = 1, N do x = (x * 1103 + 12345) % 1048573 t[i] = x end",
        "table.sort(t) return t[1], t[N // 2], t[N]",
    ),
    heavy(
        "sort floats",
        "local t, x = {}, 42 for i = 1, N do x = (x * 1103 + 12345) % 1048573 t[i] = x / 7 end",
        "table.sort(t) return t[1], t[N // 2], t[N]",
    ),
    heavy(
        "sort strings",
        "local t, x = {}, 42 for i = 1, N do x = (x * 1103 + 12345) % 1048573 t[i] = 'w' .. x end",
        "table.sort(t) return t[1], t[N // 2], t[N]",
    ),
    heavy(
        "sort long strings",
        "local t, x, p = {}, 42, ('p'):rep(1000) for i = 1, N / 50 do x = (x * 1103 + 12345) % 1048573 t[i] = p .. x end",
        "table.sort(t) return t[1], t[#t // 2]",
    ),
    heavy(
        "sort sorted",
        "local t = {} for i = 1, N do t[i] = i end",
        "table.sort(t) return t[1], t[N]",
    ),
    heavy(
        "sort equal",
        "local t = {} for i = 1, N do t[i] = 7 end",
        "table.sort(t) return t[1], t[N]",
    ),
    heavy(
        "sort mixed numbers and NaN",
        "local t, x = {}, 42 for i = 1, N do x = (x * 1103 + 12345) % 1048573 t[i] = x end t[N] = 0/0",
        "return (pcall(table.sort, t))",
    ),
    heavy(
        "sort by comparator",
        "local t, x = {}, 42 for i = 1, N / 10 do x = (x * 1103 + 12345) % 1048573 t[i] = x end",
        "table.sort(t, function(a, b) return a > b end) return t[1], t[#t]",
    ),
    heavy("rep", "", "return #('x'):rep(N * 100)"),
    heavy(
        "rep with separator",
        "",
        "return #('abc'):rep(N * 20, ', ')",
    ),
    heavy(
        "concatenation",
        "local a, b = ('a'):rep(N * 50), ('b'):rep(N * 50)",
        "local s = a .. b .. a return #s, s:byte(N * 50), s:byte(N * 50 + 1), s:byte(-1)",
    ),
    heavy(
        "table.concat of short",
        "local t = {} for i = 1, N do t[i] = i end",
        "local s = table.concat(t, ', ') return #s, s:sub(-20)",
    ),
    heavy(
        "table.concat of long",
        "local t = {} for i = 1, 100 do t[i] = ('x'):rep(N) end",
        "local s = table.concat(t, '-') return #s, s:sub(N, N + 3)",
    ),
    heavy(
        "table.concat by __index",
        "local t = setmetatable({}, {__index = function(_, i) return 'x' end, __len = function() return N / 10 end})",
        "return #table.concat(t)",
    ),
    heavy(
        "insert at front",
        "local t = {} for i = 1, N do t[i] = i end",
        "for i = 1, 5 do table.insert(t, 1, -i) end return t[1], t[5], t[6], #t",
    ),
    heavy(
        "remove at front",
        "local t = {} for i = 1, N do t[i] = i end",
        "for i = 1, 5 do table.remove(t, 1) end return t[1], #t",
    ),
    heavy(
        "insert at front of a list in the hash part",
        "local t = {} for i = N / 5, 1, -1 do t[i] = i end",
        "table.insert(t, 1, 0) return t[1], t[2], #t",
    ),
    heavy(
        "move",
        "local t = {} for i = 1, N do t[i] = i end",
        "local u = table.move(t, 1, N, 10, {}) return u[10], u[N + 9]",
    ),
    heavy(
        "move over itself",
        "local t = {} for i = 1, N do t[i] = i end",
        "table.move(t, 1, N, 2) return t[1], t[2], t[N + 1]",
    ),
    heavy(
        "unpack",
        "local t = {} for i = 1, N * 9 // 10 do t[i] = i end",
        "return select('#', table.unpack(t))",
    ),
    heavy(
        "pack",
        "local t = {} for i = 1, N * 4 // 10 do t[i] = i end",
        "return table.pack(table.unpack(t)).n",
    ),
    heavy(
        "unpack by __index",
        "local t = setmetatable({}, {__index = {1, 2}})",
        "return select('#', table.unpack(t, 1, N * 9 // 10))",
    ),
    heavy(
        "byte",
        "local s = ('x'):rep(N * 9 // 10)",
        "return select('#', s:byte(1, -1))",
    ),
    heavy(
        "char",
        "local t = {} for i = 1, N * 4 // 10 do t[i] = 65 end",
        "return #string.char(table.unpack(t))",
    ),
    heavy(
        "upper",
        "local s = ('x'):rep(N * 50)",
        "return s:upper():byte(-1)",
    ),
    heavy(
        "reverse",
        "local s = ('x'):rep(N * 50) .. 'y'",
        "return s:reverse():byte(1)",
    ),
    heavy(
        "sub",
        "local s = ('x'):rep(N * 50) .. 'y'",
        "return #s:sub(2)",
    ),
    heavy(
        "find: a scan",
        "local s = ('a'):rep(N * 50)",
        "return s:find('[^a]')",
    ),
    heavy(
        "find: a long repetition",
        "local s = ('a'):rep(N * 50)",
        "return s:find('^[a]*b')",
    ),
    heavy(
        "find: a short repetition",
        "local s = ('a'):rep(N * 50)",
        "return s:find('^[a]-b')",
    ),
    heavy(
        "find: backtracking",
        "local s = ('a'):rep(N // 1000)",
        "return s:find('a*a*b')",
    ),
    heavy(
        "find: balance",
        "local s = ('('):rep(N * 20)",
        "return s:find('^%b()')",
    ),
    heavy(
        "find: a back-reference",
        "local s = ('a'):rep(N * 50)",
        "return s:find('^(' .. ('a'):rep(30) .. 'a*)%1')",
    ),
    heavy(
        "find: plain",
        "local s = ('a'):rep(N * 50)",
        "return s:find('aaaaaaaaab', 1, true)",
    ),
    heavy(
        "find: plain, a long needle",
        "local s, n = ('a'):rep(N * 20), ('a'):rep(N) .. 'b' .. ('a'):rep(N)",
        "return s:find(n, 1, true)",
    ),
    heavy(
        "match: captures",
        "local s = ('a'):rep(N * 20)",
        "local a, b, c, d = s:match('^(((.*)))(.*)$') return #a, #b, #c, #d",
    ),
    heavy(
        "gmatch",
        "local s = ('word '):rep(N / 5)",
        "local n = 0 for w in s:gmatch('%a+') do n = n + 1 end return n",
    ),
    heavy(
        "gsub by a string",
        "local s = ('word '):rep(N)",
        "local r, n = s:gsub('%a+', '<%0>') return #r, n, r:sub(-9)",
    ),
    heavy(
        "gsub by a table",
        "local s = ('word '):rep(N)",
        "local r, n = s:gsub('%a+', {word = 'WORD'}) return #r, n, r:sub(-9)",
    ),
    heavy(
        "gsub by a function",
        "local s = ('word '):rep(N / 5)",
        "local r, n = s:gsub('%a+', function(w) return w .. w end) return #r, n, r:sub(-9)",
    ),
    heavy(
        "gsub: large replacements",
        "local s = ('x'):rep(N * 10)",
        "local r = s:gsub('.*', '%0%0%0%0') return #r",
    ),
    heavy(
        "gsub of everything by nothing",
        "local s = ('x'):rep(N * 2)",
        "local r, n = s:gsub('', '') return #r, n",
    ),
    heavy(
        "format: large strings",
        "local s = ('x'):rep(N * 25)",
        "return #string.format('%s %s %s', s, s, s)",
    ),
    heavy(
        "format: a large format",
        "local s = ('x'):rep(N * 25)",
        "return #string.format(s)",
    ),
    heavy(
        "format: many conversions",
        "local t, f = {}, ('%.14g '):rep(N / 10) for i = 1, N / 10 do t[i] = i / 3 end",
        "return #f:format(table.unpack(t))",
    ),
    heavy(
        "format: quoted",
        "local s = ('a\\n'):rep(N * 2)",
        "return #string.format('%q', s)",
    ),
    heavy(
        "pack: strings",
        "local s = ('x'):rep(N * 25)",
        "return #string.pack('s4s4', s, s)",
    ),
    heavy(
        "unpack: strings",
        "local s = string.pack('s4', ('x'):rep(N * 25))",
        "return #string.unpack('s4', s)",
    ),
    heavy(
        "packsize",
        "local f = ('b'):rep(N * 5)",
        "return string.packsize(f)",
    ),
    heavy(
        "utf8.len",
        "local s = ('\u{20ac}'):rep(N * 10)",
        "return utf8.len(s)",
    ),
    heavy(
        "utf8.offset",
        "local s = ('\u{20ac}'):rep(N * 10)",
        "return utf8.offset(s, N * 9)",
    ),
    heavy(
        "utf8.codepoint",
        "local s = ('\u{20ac}'):rep(N * 9 // 10)",
        "return select('#', utf8.codepoint(s, 1, -1))",
    ),
    heavy(
        "utf8.codes of continuation bytes",
        "local s = 'a' .. ('\\x80'):rep(N * 10)",
        "return pcall(function() for p, c in utf8.codes(s, true) do end end)",
    ),
    heavy(
        "utf8.char",
        "local t = {} for i = 1, N * 4 // 10 do t[i] = 0x20ac end",
        "return #utf8.char(table.unpack(t))",
    ),
    heavy(
        "less than",
        "local a, b = ('x'):rep(N * 50) .. 'a', ('x'):rep(N * 50) .. 'b'",
        "return a < b, a <= b",
    ),
    heavy(
        "equal",
        "local a, b = ('x'):rep(N * 50) .. 'a', ('x'):rep(N * 50) .. 'b'",
        "return a == b",
    ),
    heavy(
        "rawequal",
        "local a, b = ('x'):rep(N * 50) .. 'a', ('x'):rep(N * 50) .. 'b'",
        "return rawequal(a, b)",
    ),
    heavy(
        "a long key",
        "local a = ('x'):rep(N * 50)",
        "local t = {} t[a] = 1 return t[a]",
    ),
    heavy(
        "tonumber",
        "local s = ('1'):rep(N * 10)",
        "return tonumber(s)",
    ),
    heavy(
        "tonumber with a base",
        "local s = ('1'):rep(N * 10)",
        "return tonumber(s, 3)",
    ),
    heavy(
        "arithmetic on a string",
        "local s = ('1'):rep(N * 10)",
        "return s + 1",
    ),
    heavy(
        "load",
        "local s = ('local a = 1 + b * c f(a)\\n'):rep(N // 300) s = 'do ' .. s:gsub('f%(a%)\\n', 'end do ') .. 'end'",
        "return (load(s))",
    ),
    heavy(
        "load of a function",
        "local n, s = 0, ('x = 1 + y '):rep(50)",
        "return (load(function() n = n + 1 if n <= N / 10000 then return s end end))",
    ),
    heavy(
        "load: a long comment",
        "local s = '--[[' .. ('x'):rep(N * 5) .. ']]'",
        "return (load(s))",
    ),
    heavy(
        "dump",
        "local f = load(('x = 1 + y '):rep(N / 50))",
        "return #string.dump(f)",
    ),
    heavy(
        "load of a dump",
        "local f = string.dump(load(('x = 1 + y '):rep(N / 50)))",
        "return (load(f))",
    ),
    heavy(
        "next over tombstones",
        "local t = {} for i = 1, N do t['k' .. i] = i end for i = 1, N - 1 do t['k' .. i] = nil end",
        "return next(t)",
    ),
    heavy(
        "pairs over tombstones",
        "local t = {} for i = 1, N do t['k' .. i] = i end for i = 1, N - 1 do t['k' .. i] = nil end",
        "for k, v in pairs(t) do return k, v end",
    ),
    heavy(
        "next over an empty array",
        "local t = {} for i = 1, N do t[i] = i end for i = 1, N - 1 do t[i] = nil end",
        "return next(t)",
    ),
    heavy(
        "growing the array part",
        "",
        "local t = {} for i = 1, N * 2 do t[i] = i end return #t",
    ),
    heavy(
        "growing the hash part, integers",
        "",
        "local t = {} for i = 1, N do t[i * 7919] = i end return t[7919 * N]",
    ),
    heavy(
        "growing the hash part, strings",
        "local k = {} for i = 1, N do k[i] = 'k' .. i end",
        "local t = {} for i = 1, N do t[k[i]] = i end return t['k' .. N]",
    ),
    heavy(
        "making many strings",
        "",
        "local t = {} for i = 1, N do t[i] = 'k' .. i end return #t",
    ),
    heavy(
        "collect: an array of tables",
        "local t = {} for i = 1, N do t[i] = {} end",
        "collectgarbage() return #t",
    ),
    heavy(
        "collect: a list",
        "local t for i = 1, N do t = {t} end",
        "collectgarbage() return t",
    ),
    heavy(
        "collect: garbage",
        "local t = {} for i = 1, N do t[i] = {} end t = nil",
        "collectgarbage()",
    ),
    heavy(
        "collect: large garbage",
        "local t = {} for i = 1, N do t[i] = {} end collectgarbage() t = nil",
        "collectgarbage()",
    ),
    heavy(
        "collect: strings",
        "local t = {} for i = 1, N do t[i] = 'k' .. i end",
        "collectgarbage() return #t",
    ),
    heavy(
        "collect: weak values",
        "local t = setmetatable({}, {__mode = 'v'}) for i = 1, N do t[i] = {} end",
        "collectgarbage() return next(t)",
    ),
    heavy(
        "collect: ephemerons",
        "local t = setmetatable({}, {__mode = 'k'}) for i = 1, N / 5 do t[{}] = {} end",
        "collectgarbage() return next(t)",
    ),
    heavy(
        "collect: finalizers",
        "local t, m, n = {}, {}, 0 m.__gc = function() n = n + 1 end for i = 1, N / 5 do t[i] = setmetatable({}, m) end t = nil",
        "collectgarbage() return n",
    ),
    heavy(
        "collect: coroutines",
        "local t = {} for i = 1, N / 20 do t[i] = coroutine.wrap(function() coroutine.yield() end) t[i]() end",
        "collectgarbage() return #t",
    ),
    heavy(
        "collect: a step",
        "local t = {} for i = 1, N do t[i] = {} end",
        "return collectgarbage('step', 1 << 30)",
    ),
    heavy(
        "churn",
        "",
        "local t = {} for i = 1, N * 2 do t[i % 100000 + 1] = {i} end return #t",
    ),
    heavy(
        "churn in a large heap",
        "local keep = {} for i = 1, N do keep[i] = {} end collectgarbage()",
        "local t = {} for i = 1, N do t[i % 1000 + 1] = {i} end return #t, #keep",
    ),
    heavy(
        "churn, writing to a large table",
        "local keep = {} for i = 1, N do keep[i] = {} end collectgarbage()",
        "for i = 1, N do keep[i] = {i} end return #keep",
    ),
    heavy("print", "local s = ('x'):rep(N * 20)", "print(s)"),
    heavy("print without end", "", "for i = 1, N do print(i) end"),
    heavy(
        "tostring and short work",
        "",
        "local n = 0 for i = 1, N do n = n + #tostring(i) end return n",
    ),
    heavy(
        "varargs",
        "local t = {} for i = 1, N // 4 do t[i] = i end",
        "local function f(...) return select('#', ...), ... end return (f(table.unpack(t)))",
    ),
    heavy(
        "select",
        "local t = {} for i = 1, N // 4 do t[i] = i end",
        "return (select(-1, table.unpack(t)))",
    ),
    heavy(
        "a recursion that overflows",
        "",
        "local function f(n) return 1 + f(n + 1) end return (pcall(f, 1))",
    ),
    heavy(
        "straight-line calls",
        "local f = load('local s = ... ' .. ('s:upper() '):rep(500)) local s = ('x'):rep(N)",
        "f(s)",
    ),
    heavy(
        "straight-line concatenation",
        "local f = load('local s = ... local r ' .. ('r = s .. s '):rep(500)) local s = ('x'):rep(N // 2)",
        "f(s)",
    ),
    heavy(
        "straight-line comparison",
        "local f = load('local a, b = ... local r ' .. ('r = a == b r = a < b '):rep(500)) local a, b = ('x'):rep(N) .. 'a', ('x'):rep(N) .. 'b'",
        "f(a, b)",
    ),
];
