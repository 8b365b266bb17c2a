-- math.random: xoshiro256** with a known seed gives known numbers, on every platform; ranges; randomseed's results.
math.randomseed(42)
print(math.random(0), math.random(0), math.random(0)) --> -1276290044721465627	8333941968102511665	-8358531260401861301
print(math.random(1, 6), math.random(1, 6), math.random(10), math.random(-5, 5), math.random(math.mininteger, math.maxinteger))
--> 6	6	7	-4	-4158689442498620264
print(("%.17g %.17g"):format(math.random(), math.random())) --> 0.19354861304396087 0.022876301569947355
print(math.random(3, 3), math.random(1)) --> 3	1
math.randomseed(42)
print(math.random(0)) --> -1276290044721465627
math.randomseed(42, 7)
print(math.random(0), math.random(100)) --> -3100642489518372304	68
math.randomseed(42.0)
print(math.random(0)) --> -1276290044721465627
print(pcall(math.randomseed, 1.5)) --> false	bad argument #1 to 'math.randomseed' (number has no integer representation)
local counts = { 0, 0, 0 }
math.randomseed(1)
for _ = 1, 3000 do local r = math.random(3); counts[r] = counts[r] + 1 end
print(counts[1], counts[2], counts[3]) --> 988	1008	1004
for _ = 1, 1000 do local f = math.random(); assert(f >= 0 and f < 1) end
print(math.random(0) ~= math.random(0), select("#", math.randomseed(5)), math.random(0, 1) <= 1) --> true	2	true
print(pcall(math.random, 1, 2, 3)) --> false	wrong number of arguments
print(pcall(math.random, 2, 1)) --> false	bad argument #1 to 'math.random' (interval is empty)
print(pcall(math.randomseed, "x")) --> false	bad argument #1 to 'math.randomseed' (number expected, got string)
