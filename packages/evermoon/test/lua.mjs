// A `lua` command over the package: `node lua.mjs [-e code]... [file.lua]`. `cargo xtask conformance --wasm` runs the official suite under it, and the
// programs of tests/lua. The host that it makes of Node: files to load and to require (none to open but one to write, in memory), io.write, a clock.
import { readFileSync, writeSync } from 'node:fs';
import { Evermoon, LuaError, LuaSyntaxError } from '../dist/index.js';

function write(fd, bytes) {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}

/** What programs have written by `io.output(name)`, in memory. */
const written = new Map();

/** A file's bytes without a first line for the shell, as `loadfile` reads it; undefined if there is none. */
function source(name) {
  let bytes = written.get(name);
  try {
    bytes ??= readFileSync(name);
  } catch {
    return undefined;
  }
  if (bytes[0] !== 0x23) return new Uint8Array(bytes);
  const end = bytes.indexOf(10);
  // The line end stays, so that lines keep their numbers. (A binary chunk may follow: then it must not.)
  return new Uint8Array(bytes.subarray(end < 0 ? bytes.length : bytes[end + 1] === 27 ? end + 1 : end));
}

const PRELUDE = `
local source, write, keep, clock, stdin = ...
local load, select, tostring, type, error, concat = load, select, tostring, type, error, table.concat
function loadfile(name, ...)
  local text = source(name)
  if not text then return nil, "cannot open " .. name end
  return load(text, "@" .. name, ...)
end
function dofile(name)
  local f, message = loadfile(name)
  if not f then error(message, 0) end
  return f()
end
io = { stderr = {}, stdin = stdin }
local file, parts
function io.write(...)
  for i = 1, select("#", ...) do
    local text = select(i, ...)
    if type(text) ~= "string" and type(text) ~= "number" then
      error("bad argument #" .. i .. " to 'io.write' (string expected, got " .. type(text) .. ")", 2)
    end
    text = tostring(text)
    if file then parts[#parts + 1] = text else write(1, text) end
  end
  return io
end
function io.output(name) file, parts = name, {} end
function io.close() keep(file, concat(parts)) file = nil end
function io.stderr:write(...)
  for i = 1, select("#", ...) do write(2, tostring((select(i, ...)))) end
  return self
end
os = {
  clock = clock,
  time = function() return clock() // 1 | 0 end,
  setlocale = function(name) if name == nil or name == "C" or name == "" then return "C" end end,
  getenv = function() end,
  tmpname = function() return "temporary" end,
  remove = function(name) keep(name) return true end,
}
package.loaded.io, package.loaded.os = io, os`;

const lua = await Evermoon.create({
  onOutput: (bytes) => write(1, bytes),
  modules: (name) => source(`${name.replaceAll('.', '/')}.lua`),
});
let outcome = 0;
try {
  await lua.run(PRELUDE, {
    name: '=prelude',
    strings: 'bytes',
    args: [
      source,
      (fd, text) => write(fd, Buffer.from(text)),
      (name, text) => (text === undefined ? written.delete(name) : written.set(name, Buffer.from(text)), undefined),
      () => performance.now() / 1000,
      lua.proxy({}),
    ],
  });
  const args = process.argv.slice(2);
  while (args.length > 0) {
    const arg = args.shift();
    if (arg === '-e') await lua.run(args.shift(), { name: '=(command line)' });
    else {
      const text = source(arg);
      if (!text) throw new Error(`cannot open ${arg}`);
      await lua.run(text, { name: arg });
    }
  }
} catch (error) {
  outcome = 1;
  const text = error instanceof LuaError || error instanceof LuaSyntaxError ? error.message : String(error.stack);
  write(2, Buffer.from(`lua: ${text}\n${error.traceback ?? ''}\n`));
}
process.exitCode = outcome;
