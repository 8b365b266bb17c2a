import { Evermoon, LuaError } from 'evermoon';
import { Evermoon as Inline } from 'evermoon/inline';
import { Evermoon as Workers } from 'evermoon/worker';
import { io, os } from 'evermoon/libs';
import { show, showWorker } from './show.js';

const results = [await show(Evermoon, LuaError), await show(Inline, LuaError), await showWorker(Workers, LuaError), await show(Evermoon, LuaError, { libs: [os(), io()] })];
console.log(results.map((r) => JSON.stringify(r)).join('\n'));
