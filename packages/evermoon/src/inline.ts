/** The same package with the module's bytes inside: nothing is fetched. For where files beside the code are awkward; a third larger than the file. */
import base64 from 'virtual:wasm';
import type { Evermoon as Base } from './evermoon.js';
import { inlined } from './inlined.js';

export { LuaFunction, LuaTable, LuaThread, LuaUserdata } from './handles.js';
export * from './errors.js';
export type * from './public.js';

export type Evermoon = Base;
/** As `Evermoon` of the main entry, with the module inlined. */
export const Evermoon = inlined(base64, false);
