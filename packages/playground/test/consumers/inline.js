import { Evermoon, LuaError } from 'evermoon/inline';
import { put, show } from './show.js';
put(show(Evermoon, LuaError));
