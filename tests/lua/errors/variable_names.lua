-- Which variable a message names: the bytecode tells where a value came from (the reference's rules, case by case).
local function s(src)
  print(select(2, pcall(assert(load(src, "=x")))))
end
s[[local a; a.x=1]] --> x:1: attempt to index a nil value (local 'a')
s[[local a; return a.b.c]] --> x:1: attempt to index a nil value (local 'a')
s[[local a={}; return a.b.c]] --> x:1: attempt to index a nil value (field 'b')
s[[x.y.z=1]] --> x:1: attempt to index a nil value (global 'x')
s[[foo()]] --> x:1: attempt to call a nil value (global 'foo')
s[[local t={} t.x()]] --> x:1: attempt to call a nil value (field 'x')
s[[local t={} t:m()]] --> x:1: attempt to call a nil value (method 'm')
s[[local a; local function f() return a.x end; f()]] --> x:1: attempt to index a nil value (upvalue 'a')
s[[return "10"+{}]] --> x:1: attempt to add a 'string' with a 'table'
s[[local a={} return "10"+a]] --> x:1: attempt to add a 'string' with a 'table'
s[[local a={} return a+"10"]] --> x:1: attempt to add a 'table' with a 'string'
s[[return "a"+1]] --> x:1: attempt to add a 'string' with a 'number'
s[[local b="a" return 1+b]] --> x:1: attempt to add a 'number' with a 'string'
s[[return {}+{}]] --> x:1: attempt to perform arithmetic on a table value
s[[local a,b return a..b]] --> x:1: attempt to concatenate a nil value (local 'a')
s[[local a=1 local b return a..b]] --> x:1: attempt to concatenate a nil value (local 'b')
s[[local a="x" return a..b]] --> x:1: attempt to concatenate a nil value (global 'b')
s[[return ("x").y.z]] --> x:1: attempt to index a nil value (field 'y')
s[[return 2.5|1]] --> x:1: number has no integer representation
s[[local a=2.5 return a|1]] --> x:1: number (local 'a') has no integer representation
s[[local a=2.5 return 1|a]] --> x:1: number (local 'a') has no integer representation
s[[return "2.5"|1]] --> x:1: attempt to perform bitwise operation on a string value (constant '2.5')
s[[return "a"|1]] --> x:1: attempt to perform bitwise operation on a string value (constant 'a')
s[[local a={} return a|1]] --> x:1: attempt to perform bitwise operation on a table value (local 'a')
s[[string.rep()]] --> x:1: bad argument #1 to 'rep' (string expected, got no value)
s[[("x"):rep({})]] --> x:1: bad argument #1 to 'rep' (number expected, got table)
s[[local r=string.rep r()]] --> x:1: bad argument #1 to 'r' (string expected, got no value)
s[[local t={f=string.rep} t.f()]] --> x:1: bad argument #1 to 'f' (string expected, got no value)
s[[string.rep("x",{})]] --> x:1: bad argument #2 to 'rep' (number expected, got table)
s[[return #nil]] --> x:1: attempt to get length of a nil value
s[[local a return #a]] --> x:1: attempt to get length of a nil value (local 'a')
s[[local a return -a]] --> x:1: attempt to perform arithmetic on a nil value (local 'a')
s[[return -{}]] --> x:1: attempt to perform arithmetic on a table value
s[[for i in 5 do end]] --> x:1: attempt to call a number value (for iterator 'for iterator')
s[[local t=setmetatable({},{__add=5}) return t+1]] --> x:1: attempt to call a number value (metamethod 'add')
s[[local t=setmetatable({},{__index=5}) return t.x]] --> x:1: attempt to index a number value
s[[local t=setmetatable({},{__call=5}) return t()]] --> x:1: attempt to call a number value (local 't')
s[[a.b:c()]] --> x:1: attempt to index a nil value (global 'a')
s[[_ENV=nil; return x]] --> x:1: attempt to index a nil value (upvalue '_ENV')
s[[local _ENV={}; foo()]] --> x:1: attempt to call a nil value (global 'foo')
s[[local _ENV={}; x.y=1]] --> x:1: attempt to index a nil value (global 'x')
s[[local t={} ; t[1].x=1]] --> x:1: attempt to index a nil value (field 'integer index')
s[[local t,k={},"kk" ; t[k].x=1]] --> x:1: attempt to index a nil value (field '?')
s[[local t={} ; t["a b"].x=1]] --> x:1: attempt to index a nil value (field 'a b')
s[[local t={}; t.x.y.z=5]] --> x:1: attempt to index a nil value (field 'x')
s[[return math.floor({})]] --> x:1: bad argument #1 to 'floor' (number expected, got table)
s[[return 1<{}]] --> x:1: attempt to compare number with table
s[[return {}<{}]] --> x:1: attempt to compare two table values
s[[return nil>1]] --> x:1: attempt to compare number with nil
s[[local a=("x"):bad()]] --> x:1: attempt to call a nil value (method 'bad')
s[[table.insert(1,2,3)]] --> x:1: bad argument #1 to 'insert' (table expected, got number)
s[[local insert=table.insert; insert(1,2)]] --> x:1: bad argument #1 to 'insert' (table expected, got number)
s[[table.concat({{}})]] --> x:1: invalid value (table) at index 1 in table for 'concat'
s[[for i=1,"x" do end]] --> x:1: bad 'for' limit (number expected, got string)
s[[for i=1,10,0 do end]] --> x:1: 'for' step is zero
s[[for i={},10 do end]] --> x:1: bad 'for' initial value (number expected, got table)
s[[return 2^53|2^63]] --> x:1: number has no integer representation
s[[return 1//0]] --> x:1: attempt to divide by zero
s[[return 1%0]] --> x:1: attempt to perform 'n%0'
s[[setmetatable(1,{})]] --> x:1: bad argument #1 to 'setmetatable' (table expected, got number)
s[[return ("x").."y"..{}]] --> x:1: attempt to concatenate a table value
s[[local x <close> = 5]] --> x:1: variable 'x' got a non-closable value
s[[local s="k"; return s.x.y]] --> x:1: attempt to index a nil value (field 'x')
s[[string.char(256)]] --> x:1: bad argument #1 to 'char' (value out of range)
s[[return (function() end)().x]] --> x:1: attempt to index a nil value
s[[return {} .. "x" .. "y"]] --> x:1: attempt to concatenate a table value
s[[local a,b,c return (a or b).x]] --> x:1: attempt to index a nil value
s[[return (nil)()]] --> x:1: attempt to call a nil value
s[[return ("x")()]] --> x:1: attempt to call a string value (constant 'x')
s[[local a; a()]] --> x:1: attempt to call a nil value (local 'a')
s[[local a={}; a.b.c()]] --> x:1: attempt to index a nil value (field 'b')
s[[local t={} t.a.b:c()]] --> x:1: attempt to index a nil value (field 'a')
s[[string.format("%d",2.5)]] --> x:1: bad argument #2 to 'format' (number has no integer representation)
s[[("x"):format(1):bar()]] --> x:1: attempt to call a nil value (method 'bar')
s[[string.gsub("x","x",{},{})]] --> x:1: bad argument #4 to 'gsub' (number expected, got table)
s[[string.rep("x", 1<<40)]] --> x:1: resulting string too large
s[[return 1 & 2.5]] --> x:1: number has no integer representation
s[[return 2.5 & 1]] --> x:1: number has no integer representation
s[[local x=3; return x & 2.5]] --> x:1: number has no integer representation
s[[return x & 1.5]] --> x:1: attempt to perform bitwise operation on a nil value (global 'x')
s[[return 1.5 // {}]] --> x:1: attempt to perform arithmetic on a table value
s[[aaa=24 // 0]] --> x:1: attempt to divide by zero
s[[aaa={} + 1]] --> x:1: attempt to perform arithmetic on a table value
s[[return 3 .. {} .. 4]] --> x:1: attempt to concatenate a table value
