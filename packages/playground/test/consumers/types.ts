// Compiled only: the declarations of the package as a strict project sees them.
import { Evermoon, LuaError, type LuaTable, type RunOptions } from 'evermoon';
import { Evermoon as Inline } from 'evermoon/inline-world';
import { io, os } from 'evermoon/libs';
import { Evermoon as Workers, type RemoteTable } from 'evermoon/worker';

export async function all(): Promise<[number, string]> {
  const options: RunOptions = { args: [1, 2], fuel: 1e6, timeout: 100, onPrint: (line: string) => void line };
  using lua = await Evermoon.create({ libs: [os(), io({ stdin: async () => 'x' })], modules: { m: 'return 1' } });
  lua.define('later', async (text: string) => text.length);
  const [sum, text] = await lua.run<[number, string]>('local a, b = ... return a + b, "x"', options);
  const table: LuaTable = lua.table({ a: 1 });
  table.set('b', [1, 2]);
  for (const [key, value] of table) void [key, value];
  const world = await Inline.open({ store: 'memory', wasm: await Evermoon.compileWorld() });
  await world.close();
  const worker = await Workers.worker({ os: true });
  const remote: RemoteTable = await worker.table([1]);
  void (await remote.length());
  if (new Error() instanceof LuaError) throw new Error('no');
  return [sum, text];
}
