-- watches: collector
-- collectgarbage: every option's results, memory that goes down again, stop and restart, garbage made while it runs.
print(collectgarbage(), collectgarbage("collect"), type(collectgarbage("count")), math.type(collectgarbage("count"))) --> 0	0	number	float
print(collectgarbage("isrunning"), collectgarbage("stop"), collectgarbage("isrunning"), collectgarbage("restart"), collectgarbage("isrunning"))
--> true	0	false	0	true
local mode = collectgarbage("incremental")
print(mode, collectgarbage("generational"), collectgarbage("incremental")) --> generational	incremental	generational
print(collectgarbage("setpause", 150) > 0, collectgarbage("setpause", 200) // 4, collectgarbage("setstepmul", 100) > 0) --> true	37	true
print(type(collectgarbage("step")), type(collectgarbage("step", 100))) --> boolean	boolean
local before = collectgarbage("count")
local t = {}
for i = 1, 10000 do t[i] = { i } end
local during = collectgarbage("count")
t = nil
collectgarbage()
local after = collectgarbage("count")
print(during > before + 300, after < before + 100) --> true	true
local peak = 0
for i = 1, 200000 do local x = { i }; if i % 1000 == 0 then peak = math.max(peak, collectgarbage("count")) end end
print(peak < after + 20000) --> true
local s = 0
for i = 1, 20000 do s = s + #("garbage " .. i) end
print(s) --> 248894
print(pcall(collectgarbage, "nonsense")) --> false	bad argument #1 to 'collectgarbage' (invalid option 'nonsense')
print(pcall(collectgarbage, {})) --> false	bad argument #1 to 'collectgarbage' (string expected, got table)
