-- A coroutine that fails with a call half made stays what it is: dead, with its traceback and its variables.
local function busy()
  local n = 0
  for i = 1, 8000 do
    n = n + i % 7
  end
  return n
end

local co = coroutine.create(function(a)
  local b = a .. "b"
  local function up() return b end
  print(up(), nothing())
end)
print(coroutine.resume(co, "a"))                            --> false	failed_in_the_middle.lua:13: attempt to call a nil value (global 'nothing')
busy()
print(coroutine.status(co), coroutine.resume(co))           --> dead	false	cannot resume dead coroutine
busy()
print(debug.getlocal(co, 0, 1))                             --> a	a
print(debug.getlocal(co, 0, 2))                             --> b	ab
print(debug.traceback(co))
--> stack traceback:
--> 	failed_in_the_middle.lua:13: in function <failed_in_the_middle.lua:10>
busy()
print(coroutine.close(co))                                  --> false	failed_in_the_middle.lua:13: attempt to call a nil value (global 'nothing')
