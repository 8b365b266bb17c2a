// From bytes in memory to the first `return 1+1`, in this fresh process: node start.mjs PLAN ENGINE. Prints milliseconds of wall time, and of CPU
// time in user mode (that of V8's compiling threads included), which does not see how busy the machine is.
// Our code and wasmoon's is loaded before; wasmoon reads its module from its file itself.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { cpu } from './load.mjs';

const [plan, name] = process.argv.slice(2);
const directory = JSON.parse(plan).package;
const result = {};
if (name === 'evermoon') {
  const { Evermoon } = await import(pathToFileURL(`${directory}/dist/index.js`));
  const wasm = readFileSync(`${directory}/dist/evermoon.wasm`);
  const used = cpu();
  const start = performance.now();
  const module = new WebAssembly.Module(wasm);
  const lua = Evermoon.createSync({ wasm: module });
  const [two] = lua.runSync('return 1+1');
  result.first = performance.now() - start;
  result.cpu = cpu() - used;
  if (two !== 2) throw new Error(`1+1 is ${two}`);
  // More engines in the same instance.
  const engines = [];
  const bytes = lua.stats().wasmBytes;
  result.second = Infinity;
  for (let i = 0; i < 100; i++) {
    const start = performance.now();
    const next = Evermoon.createSync({ wasm: module });
    next.runSync('return 1+1');
    const time = performance.now() - start;
    if (i === 0) result.next = time;
    result.second = Math.min(result.second, time);
    engines.push(next);
  }
  result.heap = engines[99].stats().heapBytes;
  result.bytes = (engines[99].stats().wasmBytes - bytes) / 100;
} else {
  const { LuaFactory } = await import('wasmoon');
  const used = cpu();
  const start = performance.now();
  const factory = new LuaFactory();
  const lua = await factory.createEngine();
  const two = await lua.doString('return 1+1');
  result.first = performance.now() - start;
  result.cpu = cpu() - used;
  if (two !== 2) throw new Error(`1+1 is ${two}`);
  result.second = Infinity;
  for (let i = 0; i < 20; i++) {
    const start = performance.now();
    const next = await factory.createEngine();
    await next.doString('return 1+1');
    const time = performance.now() - start;
    if (i === 0) result.next = time;
    result.second = Math.min(result.second, time);
  }
}
console.log(JSON.stringify(result));
