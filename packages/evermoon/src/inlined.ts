/** What `inline.ts` and `inline-world.ts` have in common: `Evermoon` with the bytes of a module in the code. */
import { EvermoonLoadError } from './errors.js';
import { Evermoon as Base } from './evermoon.js';
import type { EvermoonOptions, SnapshotSource, WasmSource, World, WorldOptions } from './types.js';

/** `Evermoon` of the main entry around a module in base64. */
export function inlined(base64: string, hasWorlds: boolean) {
  let module: WebAssembly.Module | undefined;

  /** The module, compiled when it is first needed. */
  const compiled = async (): Promise<WebAssembly.Module> => (module ??= await Base.compile(bytes(base64)));

  /** The same for a world. */
  const forWorld = async (): Promise<WebAssembly.Module> => {
    if (hasWorlds) return compiled();
    throw new EvermoonLoadError("the module in 'evermoon/inline' has no worlds: import 'evermoon/inline-world', or give evermoon-world.wasm as { wasm }");
  };

  return {
    async create(options: EvermoonOptions = {}): Promise<Base> {
      return Base.create({ ...options, wasm: options.wasm ?? (await compiled()) });
    },
    createSync(options: EvermoonOptions & { wasm?: BufferSource | WebAssembly.Module } = {}): Base {
      return Base.createSync({ ...options, wasm: options.wasm ?? (module ??= new WebAssembly.Module(bytes(base64))) });
    },
    async compile(wasm?: WasmSource): Promise<WebAssembly.Module> {
      return wasm === undefined ? compiled() : Base.compile(wasm);
    },
    async open(options: WorldOptions = {}): Promise<World> {
      return Base.open({ ...options, wasm: options.wasm ?? (await forWorld()) });
    },
    async import(from: SnapshotSource, options: WorldOptions = {}): Promise<void> {
      return Base.import(from, { ...options, wasm: options.wasm ?? (await forWorld()) });
    },
    async compileWorld(wasm?: WasmSource): Promise<WebAssembly.Module> {
      return Base.compileWorld(wasm ?? (await forWorld()));
    },
  };
}

function bytes(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  return out;
}
