-- ask() shows a field and waits for you: a loop over questions
-- reads like one, though the page goes on meanwhile.

local secret = math.random(1, 100)
print "I think of a number from 1 to 100."

local tries = 0
while true do
  local answer = ask "Your guess?"
  local guess = math.tointeger(tonumber(answer))
  if not guess then
    print(("%q is not a whole number."):format(answer))
  else
    tries = tries + 1
    if guess == secret then break end
    local how = guess < secret and "small" or "large"
    print(guess, "is too " .. how .. ".")
  end
end

print("Yes! Tries needed: " .. tries)
return tries
