// What a consumer does with the package, whichever way it came: the result goes to the page, or to the console in Node.
export async function show(Evermoon, LuaError, options) {
  const lua = await Evermoon.create(options);
  lua.define('double', async (x) => 2 * x);
  return results(lua, LuaError);
}

/** What all of them are asked, and what they say. `t` is a global, so that a world which goes back to its last commit still has it. */
async function results(lua, LuaError) {
  const [sum, list] = await lua.run('t = { 3, 1, 2 } table.sort(t, function(a, b) return double(a) < double(b) end) return double(21), t');
  let message = '';
  try {
    await lua.run('error("as wanted")');
  } catch (error) {
    if (error instanceof LuaError) message = error.message;
  }
  return [sum, await list.toJS(), message];
}

/** The same in a world, which has a module of its own. */
export async function showWorld(Evermoon, LuaError) {
  const world = await Evermoon.open({ store: 'memory', define: { double: async (x) => 2 * x } });
  const result = await results(world, LuaError);
  await world.close();
  return result;
}

/** An engine and a world beside each other; the results, which are to be the same, if they are not. */
export async function showBoth(Evermoon, LuaError) {
  const [one, other] = await Promise.all([show(Evermoon, LuaError), showWorld(Evermoon, LuaError)]);
  return JSON.stringify(one) === JSON.stringify(other) ? one : [one, other];
}

/** The same in a worker. */
export async function showWorker(Evermoon, LuaError, options) {
  const lua = await Evermoon.worker(options);
  await lua.define('double', async (x) => 2 * x);
  const result = await results(lua, LuaError);
  lua.dispose();
  return result;
}

export async function put(work) {
  let text;
  try {
    text = JSON.stringify(await work);
  } catch (error) {
    text = `${error.name}: ${error.message}`;
  }
  document.getElementById('result').textContent = text;
}
