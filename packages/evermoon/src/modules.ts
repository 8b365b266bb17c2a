/** `require` through the host: one more searcher, before those that look for files. */
import type { Core } from './core.js';
import { EvermoonError } from './errors.js';
import type { Modules } from './types.js';

// Terse, since it is in every page's code.
const SEARCHER = `local f,l,e=...,load,error
table.insert(package.searchers,2,function(n)local s=f(n)
if s==nil then return"no module '"..n.."' from the host"end
local c,m=l(s,"@"..n)
if not c then e("error loading module '"..n.."' from the host:\\n\\t"..m,0)end
return c,n end)`;

export function installModules(core: Core, modules: Modules): void {
  core.own(SEARCHER, [finder(modules)]);
}

function finder(modules: Modules): (name: string) => unknown {
  const find: (name: string) => unknown =
    typeof modules === 'function'
      ? modules
      : modules instanceof Map
        ? (name) => modules.get(name) as unknown
        : (name) => (Object.hasOwn(modules, name) ? (modules as Record<string, unknown>)[name] : undefined);
  const checked = (name: string, source: unknown): unknown => {
    if (source === undefined || source === null) return undefined;
    if (typeof source === 'string' || source instanceof Uint8Array) return source;
    if (source instanceof Promise) return source.then((found) => checked(name, found));
    throw new EvermoonError('misuse', `the loader gave ${typeof source} for the module '${name}': a string or a Uint8Array is needed`);
  };
  return (name) => checked(name, find(name));
}
