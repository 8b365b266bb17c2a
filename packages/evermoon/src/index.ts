/** Evermoon: Lua 5.4 for JavaScript. `types.ts` shows the whole surface. */
export { Evermoon } from './evermoon.js';
export { LuaFunction, LuaTable, LuaThread, LuaUserdata } from './handles.js';
export * from './errors.js';
export type * from './public.js';
