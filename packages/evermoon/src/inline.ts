/** The same package with the module's bytes inside: nothing is fetched. For where files beside the code are awkward; a third larger than the file. */
import base64 from 'virtual:wasm';
import { Evermoon as Base } from './evermoon.js';
import type { EvermoonOptions, SnapshotSource, WasmSource, World, WorldOptions } from './types.js';

export { LuaFunction, LuaTable, LuaThread, LuaUserdata } from './handles.js';
export * from './errors.js';
export type * from './public.js';

let module: WebAssembly.Module | undefined;

/** The module, compiled when it is first needed. */
function inlined(): Promise<WebAssembly.Module> {
  return module ? Promise.resolve(module) : Base.compile(bytes()).then((compiled) => (module = compiled));
}

function bytes(): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  return out;
}

export type Evermoon = Base;
/** As `Evermoon` of the main entry, with the module inlined. */
export const Evermoon = {
  async create(options: EvermoonOptions = {}): Promise<Base> {
    return Base.create({ ...options, wasm: options.wasm ?? (await inlined()) });
  },
  createSync(options: EvermoonOptions & { wasm?: BufferSource | WebAssembly.Module } = {}): Base {
    return Base.createSync({ ...options, wasm: options.wasm ?? (module ??= new WebAssembly.Module(bytes())) });
  },
  async open(options: WorldOptions = {}): Promise<World> {
    return Base.open({ ...options, wasm: options.wasm ?? (await inlined()) });
  },
  async import(from: SnapshotSource, options: WorldOptions = {}): Promise<void> {
    return Base.import(from, { ...options, wasm: options.wasm ?? (await inlined()) });
  },
  async compile(wasm?: WasmSource): Promise<WebAssembly.Module> {
    return wasm === undefined ? inlined() : Base.compile(wasm);
  },
};
