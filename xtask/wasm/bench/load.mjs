// The engines in Node: node_modules of this directory, and the package as `cargo xtask bench --wasm` has built it.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { evermoon, fengari, loadWasmoon } from './engines.mjs';

/** @param {{ package: string, modules?: string[] }} plan */
export async function load(name, plan) {
  if (name === 'wasmoon') return loadWasmoon(await import('wasmoon'));
  if (name === 'fengari') return fengari(createRequire(import.meta.url)('fengari'));
  const entry = await import(pathToFileURL(`${plan.package}/dist/index.js`));
  const path = name === 'evermoon' ? `${plan.package}/dist/evermoon.wasm` : name;
  return evermoon(entry, new WebAssembly.Module(readFileSync(path)), name);
}

/** CPU time in user mode of this process, in milliseconds: what else the machine does counts little. */
export const cpu = () => process.cpuUsage().user / 1000;

/** The same with the kernel's part: exact for short spans too. */
export const whole = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
