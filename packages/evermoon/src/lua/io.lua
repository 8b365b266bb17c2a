-- `io` over what JavaScript gives: reading from the standard input, and (in Node) files. A file is a table here. Writing to the standard output
-- and error goes to the engine's own files.
local read_stdin, open, read, write, seek, close = ...
local error, type, select, setmetatable, getmetatable, tostring, tonumber = error, type, select, setmetatable, getmetatable, tostring, tonumber
local find, sub, match, format, concat, unpack = string.find, string.sub, string.match, string.format, table.concat, table.unpack
local native = io

local File = { __name = 'FILE*' }
local methods = {}
File.__index = methods

local function argument(n, name, message)
  error(format("bad argument #%d to '%s' (%s)", n, name, message), 3)
end

local function is_native(f) return f == native.stdout or f == native.stderr end

local function file_type(f)
  if is_native(f) then return 'file' end
  if getmetatable(f) ~= File then return nil end
  return f.closed and 'closed file' or 'file'
end

local function check(f)
  if getmetatable(f) ~= File then error('bad argument #1 (FILE* expected, got ' .. type(f) .. ')', 3) end
  if f.closed then error('attempt to use a closed file', 3) end
end

function File.__tostring(f)
  return f.closed and 'file (closed)' or format('file (%p)', f)
end

local stdin = setmetatable({ buffer = '', fill = read_stdin, standard = true }, File)

-- More into the buffer; false at the end.
local function fill(f)
  local more
  if f.fill then more = f.fill() else more = read(f.fd) end
  if more == nil or more == '' then return false end
  f.buffer = f.buffer .. more
  return true
end

local function read_line(f, keep)
  local from = 1
  while true do
    local at = find(f.buffer, '\n', from, true)
    if at then
      local line = sub(f.buffer, 1, keep and at or at - 1)
      f.buffer = sub(f.buffer, at + 1)
      return line
    end
    from = #f.buffer + 1
    if not fill(f) then break end
  end
  local line = f.buffer
  f.buffer = ''
  return line ~= '' and line or nil
end

local function read_all(f)
  local pieces = { f.buffer }
  repeat
    f.buffer = ''
    local more = fill(f)
    pieces[#pieces + 1] = f.buffer
  until not more
  f.buffer = ''
  return concat(pieces)
end

local function read_count(f, n)
  while #f.buffer < n or n == 0 and f.buffer == '' do
    if not fill(f) then break end
  end
  if f.buffer == '' then return nil end
  local text = sub(f.buffer, 1, n)
  f.buffer = sub(f.buffer, n + 1)
  return text
end

-- As the reference reads a numeral: the longest prefix that could be one, at most 200 characters.
local function read_number(f)
  repeat
    f.buffer = match(f.buffer, '^%s*(.*)$')
  until f.buffer ~= '' or not fill(f)
  while not find(f.buffer, '[^%w.+-]') and #f.buffer < 200 and fill(f) do end
  local text = sub(f.buffer, 1, 200)
  local numeral = match(text, '^[+-]?0[xX]%x*%.?%x*[pP][+-]?%d*') or match(text, '^[+-]?0[xX]%x*%.?%x*')
    or match(text, '^[+-]?%d*%.?%d*[eE][+-]?%d*') or match(text, '^[+-]?%d*%.?%d*')
  f.buffer = sub(f.buffer, #numeral + 1)
  return tonumber(numeral)
end

local FORMATS = {
  l = function(f) return read_line(f, false) end,
  L = function(f) return read_line(f, true) end,
  a = read_all,
  n = read_number,
}

-- In order; nil ends it.
local function read_formats(f, name, n, ...)
  if n == 0 then return read_line(f, false) end
  local results = {}
  for i = 1, n do
    local what = select(i, ...)
    local value
    if math.type(what) then
      value = read_count(f, math.tointeger(what) or argument(i, name, 'number has no integer representation'))
    else
      local reader = type(what) == 'string' and FORMATS[match(what, '^%*?(.?)')]
      if not reader then argument(i, name, 'invalid format') end
      value = reader(f)
    end
    results[i] = value
    if value == nil then return unpack(results, 1, i) end
  end
  return unpack(results, 1, n)
end

function methods.read(f, ...)
  check(f)
  if f.error then return nil, 'Bad file descriptor', 9 end
  return read_formats(f, 'read', select('#', ...), ...)
end

function methods.write(f, ...)
  check(f)
  for i = 1, select('#', ...) do
    local v = select(i, ...)
    if math.type(v) then
      v = math.type(v) == 'float' and format('%.14g', v) or format('%d', v)
    elseif type(v) ~= 'string' then
      argument(i, 'write', 'string expected, got ' .. type(v))
    end
    if f.standard then return nil, 'Bad file descriptor', 9 end
    if f.buffer ~= '' then seek(f.fd, 'cur', -#f.buffer) f.buffer = '' end
    local ok, message, code = write(f.fd, v)
    if not ok then return nil, message, code end
  end
  return f
end

function methods.seek(f, whence, offset)
  check(f)
  whence, offset = whence or 'cur', offset or 0
  if whence ~= 'set' and whence ~= 'cur' and whence ~= 'end' then argument(1, 'seek', "invalid option '" .. tostring(whence) .. "'") end
  if f.standard then return nil, 'Illegal seek', 29 end
  if whence == 'cur' then offset = offset - #f.buffer end
  f.buffer = ''
  return seek(f.fd, whence, offset)
end

function methods.close(f)
  check(f)
  if f.standard then return nil, 'cannot close standard file' end
  f.closed = true
  return close(f.fd)
end

function methods.flush(f) check(f) return f end
function methods.setvbuf(f) check(f) return true end

local function iterator(f, closes, n, ...)
  local formats = { ... }
  return function()
    if f.closed then error('file is already closed', 2) end
    local results = table.pack(read_formats(f, 'lines', n, unpack(formats, 1, n)))
    if results[1] == nil and closes then methods.close(f) end
    return unpack(results, 1, results.n)
  end
end

function methods.lines(f, ...)
  check(f)
  return iterator(f, false, select('#', ...), ...)
end

function File.__close(f) if not f.closed and not f.standard then methods.close(f) end end
File.__gc = File.__close

local function open_file(path, mode)
  if not open then return nil, path .. ': there are no files here', 38 end
  local fd, message, code = open(path, mode)
  if not fd then return nil, path .. ': ' .. message, code end
  return setmetatable({ buffer = '', fd = fd }, File)
end

local input, output = stdin, native.stdout

io = {
  stdin = stdin,
  stdout = native.stdout,
  stderr = native.stderr,
  type = function(...)
    if select('#', ...) == 0 then argument(1, 'type', 'value expected') end
    return file_type((...))
  end,
  open = function(path, mode)
    if type(path) ~= 'string' then argument(1, 'open', 'string expected, got ' .. type(path)) end
    if not find(mode or 'r', '^[rwa]%+?b?$') then argument(2, 'open', 'invalid mode') end
    return open_file(path, mode or 'r')
  end,
  close = function(f)
    f = f or output
    if is_native(f) then return nil, 'cannot close standard file' end
    check(f)
    return methods.close(f)
  end,
  read = function(...) return methods.read(input, ...) end,
  write = function(...)
    local native_write = native.write
    if output == native.stdout then return native_write(...) end
    return methods.write(output, ...)
  end,
  lines = function(path, ...)
    if path == nil then return iterator(input, false, select('#', ...), ...) end
    local f, message = open_file(path, 'r')
    if not f then error(message, 2) end
    return iterator(f, true, select('#', ...), ...), nil, nil, f
  end,
  input = function(f)
    if type(f) == 'string' then
      local opened, message = open_file(f, 'r')
      if not opened then error(message, 2) end
      f = opened
    end
    if f then check(f) input = f end
    return input
  end,
  output = function(f)
    if type(f) == 'string' then
      local opened, message = open_file(f, 'w')
      if not opened then error(message, 2) end
      f = opened
    end
    if f then
      if not is_native(f) then check(f) end
      output = f
    end
    return output
  end,
}
package.loaded.io = io
