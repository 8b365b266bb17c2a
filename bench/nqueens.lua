-- nqueens: backtracking with arrays of booleans as marks. Reads and writes at computed integer keys, branches.
local n = tonumber(arg and arg[1]) or 12

local column, rising, falling = {}, {}, {}
for i = 1, n do column[i] = false end
for i = 1, 2 * n do rising[i], falling[i] = false, false end

local solutions, weight = 0, 0
local board = {}

local function place(row)
  if row > n then
    solutions = solutions + 1
    for i = 1, n do weight = (weight * 3 + board[i]) % 1000003 end
    return
  end
  for c = 1, n do
    local up, down = row + c, row - c + n
    if not column[c] and not rising[up] and not falling[down] then
      column[c], rising[up], falling[down] = true, true, true
      board[row] = c
      place(row + 1)
      column[c], rising[up], falling[down] = false, false, false
    end
  end
end

place(1)
print(string.format("nqueens %d %d", solutions, weight))
