import { Evermoon, LuaError } from 'evermoon/worker';
import { put, showWorker } from './show.js';
put(showWorker(Evermoon, LuaError));
