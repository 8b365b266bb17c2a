// A `lua` command over the package: `node lua.mjs [-e code]... [file.lua]`. `cargo xtask conformance --wasm` runs the official suite under it, and the
// programs of tests/lua. The host that it makes of Node: files to load and to require (not to open), io.write, a clock.
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

/** A file's bytes without a first line for the shell, as `loadfile` reads it; undefined if there is none. */
function source(name) {
  let bytes;
  try {
    bytes = readFileSync(name);
  } catch {
    return undefined;
  }
  if (bytes[0] !== 0x23) return new Uint8Array(bytes);
  const end = bytes.indexOf(10);
  // The line end stays, so that lines keep their numbers. (A binary chunk may follow: then it must not.)
  return new Uint8Array(bytes.subarray(end < 0 ? bytes.length : bytes[end + 1] === 27 ? end + 1 : end));
}

const PRELUDE = `
local source, write, clock = ...
local load, select, tostring, error = load, select, tostring, error
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
io = { stderr = {} }
function io.write(...)
  for i = 1, select("#", ...) do write(1, tostring((select(i, ...)))) end
  return io
end
function io.stderr:write(...)
  for i = 1, select("#", ...) do write(2, tostring((select(i, ...)))) end
  return self
end
os = {
  clock = clock,
  time = function() return clock() // 1 | 0 end,
  setlocale = function(name) if name == nil or name == "C" or name == "" then return "C" end end,
  getenv = function() end,
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
    args: [source, (fd, text) => write(fd, Buffer.from(text)), () => performance.now() / 1000],
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
