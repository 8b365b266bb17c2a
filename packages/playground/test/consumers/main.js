import { Evermoon, LuaError } from 'evermoon';
import { put, show } from './show.js';
put(show(Evermoon, LuaError));
