-- fannkuch: permutations of small arrays and pancake flips. Integer-indexed reads and writes, nothing else.
local n = tonumber(arg and arg[1]) or 9

local function fannkuch(size)
  local perm, work, count = {}, {}, {}
  for i = 1, size do perm[i], count[i] = i, i end
  local checksum, most, sign = 0, 0, 1

  while true do
    local first = perm[1]
    if first ~= 1 then
      for i = 2, size do work[i] = perm[i] end
      local flips = 1
      while true do
        local next_first = work[first]
        if next_first == 1 then break end
        work[first] = first
        if first >= 4 then
          local i, j = 2, first - 1
          while i < j do
            work[i], work[j] = work[j], work[i]
            i, j = i + 1, j - 1
          end
        end
        first = next_first
        flips = flips + 1
      end
      if flips > most then most = flips end
      checksum = checksum + sign * flips
    end

    -- The next permutation: swap or rotate, with alternating sign.
    if sign == 1 then
      perm[1], perm[2] = perm[2], perm[1]
      sign = -1
    else
      perm[2], perm[3] = perm[3], perm[2]
      sign = 1
      local i = 3
      while true do
        if count[i] ~= 1 then
          count[i] = count[i] - 1
          break
        end
        if i == size then return checksum, most end
        count[i] = i
        local head = perm[1]
        for k = 1, i do perm[k] = perm[k + 1] end
        perm[i + 1] = head
        i = i + 1
      end
    end
  end
end

local checksum, most
for _ = 1, 4 do checksum, most = fannkuch(n) end
print(string.format("fannkuch %d %d", checksum, most))
