-- loadfile, dofile, and require's search through package.path, over read(path), which gives a source or nil.
local read = ...
local load, error, select, gsub, gmatch = load, error, select, string.gsub, string.gmatch

function loadfile(path, ...)
  local source = read(path)
  if not source then return nil, 'cannot open ' .. path end
  return load(source, path and '@' .. path or '=stdin', ...)
end

function dofile(path)
  local chunk, message = loadfile(path)
  if not chunk then error(message, 0) end
  return chunk()
end

package.path = './?.lua;./?/init.lua'

package.searchpath = function(name, templates, separator, replacement)
  local tried = ''
  if separator ~= '' then name = gsub(name, '%' .. (separator or '.'), (gsub(replacement or '/', '%%', '%%%%'))) end
  for template in gmatch(templates, '[^;]+') do
    local path = gsub(template, '%?', (gsub(name, '%%', '%%%%')))
    if read(path) then return path end
    tried = tried .. "\n\tno file '" .. path .. "'"
  end
  return nil, (gsub(tried, '^\n\t', ''))
end

package.searchers[2] = function(name)
  if type(package.path) ~= 'string' then error("'package.path' must be a string", 0) end
  local path, message = package.searchpath(name, package.path)
  if not path then return message end
  local chunk, problem = loadfile(path)
  if not chunk then error("error loading module '" .. name .. "' from file '" .. path .. "':\n\t" .. problem, 0) end
  return chunk, path
end
