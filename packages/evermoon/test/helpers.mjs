// What the tests share.
import { readFileSync } from 'node:fs';
import { Evermoon } from '../dist/index.js';

export const wasmBytes = readFileSync(new URL('../dist/evermoon.wasm', import.meta.url));
export const module = new WebAssembly.Module(wasmBytes);
/** The same with worlds. */
export const worldModule = new WebAssembly.Module(readFileSync(new URL('../dist/evermoon-world.wasm', import.meta.url)));
/** An engine that keeps its output in `lines`. */
export async function engine(options = {}) {
  const lines = [];
  const lua = await Evermoon.create({ wasm: module, onPrint: (line) => lines.push(line), ...options });
  return { lua, lines };
}
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
