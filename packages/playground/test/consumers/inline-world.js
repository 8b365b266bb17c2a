import { Evermoon, LuaError } from 'evermoon/inline-world';
import { put, showBoth } from './show.js';
put(showBoth(Evermoon, LuaError));
