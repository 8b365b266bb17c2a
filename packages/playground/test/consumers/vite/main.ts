// What a user of the package writes in a project of Vite's, without any configuration.
import { Evermoon, LuaError } from 'evermoon';

const lua = await Evermoon.create();
lua.define('double', async (x: number) => 2 * x);
const [sum, list] = await lua.run('local t = { 3, 1, 2 } table.sort(t, function(a, b) return double(a) < double(b) end) return double(21), t');
let message = '';
try {
  await lua.run('error("as wanted")');
} catch (error) {
  if (error instanceof LuaError) message = error.message;
}
document.getElementById('result')!.textContent = JSON.stringify([sum, (list as { toJS(): unknown }).toJS(), message]);
