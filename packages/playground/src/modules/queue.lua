-- A queue: first in, first out.
local queue = {}
queue.__index = queue

function queue.new() return setmetatable({ first = 1, last = 0 }, queue) end

function queue:push(value)
  self.last = self.last + 1
  self[self.last] = value
end

function queue:pop()
  if self.first > self.last then return nil end
  local value = self[self.first]
  self[self.first] = nil
  self.first = self.first + 1
  return value
end

function queue:__len() return self.last - self.first + 1 end

return queue
