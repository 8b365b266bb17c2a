/** The same with the module that has worlds. */
import base64 from 'virtual:wasm-world';
import type { Evermoon as Base } from './evermoon.js';
import { inlined } from './inlined.js';

export { LuaFunction, LuaTable, LuaThread, LuaUserdata } from './handles.js';
export * from './errors.js';
export type * from './public.js';

export type Evermoon = Base;
/** As `Evermoon` of the main entry, with the module inlined. */
export const Evermoon = inlined(base64, true);
