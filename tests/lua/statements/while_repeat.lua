-- Loops and breaks; `until` sees the locals of the body, and their upvalues.
local i = 0
while true do i = i + 1; if i == 3 then goto skip end; if i > 5 then break end; io.write(i, " ") ::skip:: end
print() --> 1 2 4 5 
local n = 0
repeat local done = n >= 3; n = n + 1 until done
print(n) --> 4
local fns = {}
n = 0
repeat local k = n; fns[#fns + 1] = function() k = k + 1; return k end; n = n + 1 until fns[#fns]() >= 3
print(#fns, fns[1](), fns[3]()) --> 3	2	4
for i = 1, 2 do
  repeat
    local x = i
    if x == 1 then break end
    print("x", x) --> x	2
  until x == 2
end
while i > 0 do i = i - 2 end
print(i) --> 0
if false then print(1) elseif nil then print(2) elseif 0 then print("0 is true") else print(3) end --> 0 is true
if "" then print("'' is true") end --> '' is true
