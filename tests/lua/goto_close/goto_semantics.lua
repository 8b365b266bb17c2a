-- goto: forwards, backwards, out of loops, `continue`; a backward jump makes fresh locals; labels at the block's end.
local out = {}
for i = 1, 5 do
  if i % 2 == 0 then goto continue end
  out[#out + 1] = i
  ::continue::
end
print(table.concat(out, " ")) --> 1 3 5
local fns, k = {}, 0
::top::
do
  local x = k
  fns[#fns + 1] = function() x = x + 10; return x end
  k = k + 1
  if k < 3 then goto top end
end
print(fns[1](), fns[1](), fns[2](), fns[3]()) --> 10	20	11	12
for i = 1, 3 do for j = 1, 3 do if i * j == 4 then goto found end end end
::found::
do goto last; local skipped; ::last:: end
print("out") --> out
local function nested()
  local n = 0
  ::a:: n = n + 1
  if n < 3 then goto a end
  do goto b end
  n = 100
  ::b:: return n
end
print(nested()) --> 3
local function same_label() do ::l:: end do ::l:: end return "ok" end
print(same_label()) --> ok
for _, source in ipairs({
  "goto nowhere", "do ::l:: end goto l", "goto f; local x; ::f:: print(x)", "::l:: ::l::", "::l:: do ::l:: end",
  "break", "repeat goto c; local x; ::c:: until x", "for i=1,2 do goto c; local x; ::c:: end", "local function f() goto out end ::out::",
}) do print(select(2, load(source, "=src"))) end
--> src:1: no visible label 'nowhere' for <goto> at line 1
--> src:1: no visible label 'l' for <goto> at line 1
--> src:1: <goto f> at line 1 jumps into the scope of local 'x'
--> src:1: label 'l' already defined on line 1
--> src:1: label 'l' already defined on line 1
--> src:1: break outside loop at line 1
--> src:1: <goto c> at line 1 jumps into the scope of local 'x'
-->
--> src:1: no visible label 'out' for <goto> at line 1
