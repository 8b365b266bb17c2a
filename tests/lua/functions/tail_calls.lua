-- Proper tail calls: a million deep, mutual, through pcall's results, with varargs and methods; and what is none.
local function loop(n, acc) if n == 0 then return acc end return loop(n - 1, acc + 1) end
print(loop(1000000, 0)) --> 1000000
local even, odd
function even(n) if n == 0 then return true end return odd(n - 1) end
function odd(n) if n == 0 then return false end return even(n - 1) end
print(even(100001), odd(100001)) --> false	true
local obj = { n = 300000 }
function obj:down() self.n = self.n - 1; if self.n == 0 then return "method" end return self:down() end
print(obj:down()) --> method
local function var(n, ...) if n == 0 then return select("#", ...) end return var(n - 1, ...) end
print(var(100000, 1, nil, 3, nil)) --> 4
local called = setmetatable({}, { __call = function(self, n) if n == 0 then return "callable" end return self(n - 1) end })
print(called(100000)) --> callable
local function none(n) if n == 0 then return 0 end return (none(n - 1)) end
print(none(100)) --> 0
local ok, msg = pcall(function() local function f() return f() + 1 end return f() end)
print(ok, msg:match("stack overflow")) --> false	stack overflow
print(pcall(function() local function t() error("in tail", 2) end; local function u() return t() end; return u() end)) --> false	in tail
local co = coroutine.wrap(function() local function y(n) if n == 0 then return coroutine.yield("end") end return y(n - 1) end return y(50000) end)
print(co(), co("resumed")) --> end	resumed
