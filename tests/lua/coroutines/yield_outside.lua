-- What cannot yield says so, without a position: the fault is not that of a line of the program.
print(pcall(coroutine.yield, 1)) --> false	attempt to yield from outside a coroutine
print(pcall(function() coroutine.yield(1) end)) --> false	attempt to yield from outside a coroutine
