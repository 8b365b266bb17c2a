import { Evermoon, LuaError } from 'evermoon';
import { put, showBoth } from './show.js';
put(showBoth(Evermoon, LuaError));
