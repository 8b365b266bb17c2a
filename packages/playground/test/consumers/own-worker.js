import { Evermoon, LuaError } from 'evermoon/worker';
import { put, showWorker } from './show.js';
const worker = new Worker(new URL('./lua-worker.js', import.meta.url), { type: 'module' });
put(showWorker(Evermoon, LuaError, { worker }));
