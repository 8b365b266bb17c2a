/** `require` through the host: one more searcher, before those that look for files. */
import type { Core } from './core.js';
import { EvermoonError } from './errors.js';
import type { Modules } from './types.js';

const SEARCHER = `
local find = ...
local load, error = load, error
table.insert(package.searchers, 2, function(name)
  local source = find(name)
  if source == nil then return "no module '" .. name .. "' from the host" end
  local f, message = load(source, "@" .. name)
  if not f then error("error loading module '" .. name .. "' from the host:\\n\\t" .. message, 0) end
  return f, name
end)`;

export function installModules(core: Core, modules: Modules): void {
  core.own(SEARCHER, [finder(modules)]);
}

type Found = string | Uint8Array | undefined | null;

function finder(modules: Modules): (name: string) => unknown {
  const checked = (name: string, source: unknown): Found => {
    if (source === undefined || source === null) return undefined;
    if (typeof source === 'string' || source instanceof Uint8Array) return source;
    throw new EvermoonError('misuse', `the loader gave ${typeof source} for the module '${name}': a string or a Uint8Array is needed`);
  };
  if (typeof modules === 'function') {
    return (name) => {
      const source = modules(name);
      return source instanceof Promise ? source.then((s) => checked(name, s)) : checked(name, source);
    };
  }
  if (modules instanceof Map) return (name) => checked(name, modules.get(name));
  const record = modules as Readonly<Record<string, Found>>;
  return (name) => (Object.hasOwn(record, name) ? checked(name, record[name]) : undefined);
}
