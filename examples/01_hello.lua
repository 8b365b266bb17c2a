-- Lua 5.4 as you know it: integers and floats, closures, metatables, string patterns.
local Account = {}
Account.__index = Account
Account.__tostring = function(a) return ("%s: %d"):format(a.owner, a.balance) end

function Account.new(owner) return setmetatable({ owner = owner, balance = 0 }, Account) end
function Account:deposit(n) self.balance = self.balance + n; return self end

print(_VERSION, 7 // 2, 7 / 2, 1 << 40, math.maxinteger + 1 == math.mininteger)
print(Account.new("Ada"):deposit(100):deposit(11))
for word, number in ("one=1, two=2"):gmatch("(%w+)=(%d+)") do print(word, number + 0) end
