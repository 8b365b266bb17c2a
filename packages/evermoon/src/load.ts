/** From whatever the user has to a compiled module, with errors that say what to do. Importing this does no work. */
import { EvermoonLoadError } from './errors.js';
import { asBytes, Instance } from './instance.js';
import type { WasmSource } from './types.js';

/** What to do about an address that does not give the module. */
function advice(address: string): string {
  const world = /evermoon-world/.test(address) ? '-world' : '';
  return `. Copy evermoon${world}.wasm to that address, or pass { wasm: url }, or import 'evermoon/inline${world}'`;
}
const GIVEN = 'the bytes given';

const modules = new WeakMap<object, Promise<WebAssembly.Module>>();
const byAddress = new Map<string, Promise<WebAssembly.Module>>();
/** One shared instance for each module, as long as somebody uses it. */
const shared = new WeakMap<WebAssembly.Module, WeakRef<Instance>>();

/** An instance of the module: the shared one, or one of its own. */
export function instantiate(module: WebAssembly.Module, isolate: boolean): Instance {
  const known = isolate ? undefined : shared.get(module)?.deref();
  if (known && !known.dead) return known;
  let instance: Instance;
  try {
    instance = new Instance(module);
  } catch (error) {
    throw explain(error, 'the module');
  }
  if (!isolate) shared.set(module, new WeakRef(instance));
  return instance;
}

/** Compiles what was given; the same source is compiled once. */
export async function compile(source: WasmSource): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  const isAddress = typeof source === 'string' || source instanceof URL;
  const key = isAddress ? String(source) : (Object(source) as object);
  const known = (isAddress ? byAddress : modules) as Map<unknown, Promise<WebAssembly.Module>>;
  let found = known.get(key);
  if (!found) {
    found = isAddress ? fetchModule(String(source)) : compileGiven(key as Exclude<WasmSource, string | URL | WebAssembly.Module>);
    known.set(key, found);
    // A failure is not remembered: the next try may find the network back.
    found.catch(() => known.delete(key));
  }
  return found;
}

async function compileGiven(source: BufferSource | Response | Promise<Response>): Promise<WebAssembly.Module> {
  if (asBytes(source)) return compileBytes(source as BufferSource, GIVEN);
  const response = await (source as Promise<Response>);
  if (typeof response.arrayBuffer === 'function') return compileResponse(response);
  throw new EvermoonLoadError('the module is given as a URL, bytes, a Response or a WebAssembly.Module');
}

/** Where Vite's dev server has a file of the package when it has moved the code, and only the code. */
export function elsewhere(name: string): string | undefined {
  const { url } = import.meta;
  const there = url.replace(/[^/]*\/deps[^/]*\/[^/]*$/, 'evermoon/dist/');
  return there === url ? undefined : there + name;
}

/** Compiles a module of the package's own, which is beside the code or where a dev server left it. */
export async function compileOwn(beside: URL, name: 'evermoon.wasm' | 'evermoon-world.wasm'): Promise<WebAssembly.Module> {
  try {
    return await compile(beside);
  } catch (error) {
    const there = elsewhere(name);
    try {
      if (there !== undefined) return await compile(there);
    } catch {
      // The first failure says more.
    }
    throw error;
  }
}

/** The same at once, where only bytes or a module can be had. */
export function compileSync(source: BufferSource | WebAssembly.Module): WebAssembly.Module {
  if (source instanceof WebAssembly.Module) return source;
  check(source, GIVEN);
  try {
    return new WebAssembly.Module(source);
  } catch (error) {
    throw explain(error, GIVEN);
  }
}

async function fetchModule(address: string): Promise<WebAssembly.Module> {
  let found: Response | Uint8Array<ArrayBuffer>;
  try {
    if (address.startsWith('file:') && isNode()) {
      const { readFile } = await nodeModule<typeof import('node:fs/promises')>('node:fs/promises');
      found = new Uint8Array(await readFile(new URL(address)));
    } else found = await fetch(address);
  } catch (error) {
    throw new EvermoonLoadError(`cannot fetch ${address}: ${(error as Error).message}`, { cause: error });
  }
  return found instanceof Uint8Array ? compileBytes(found, address) : compileResponse(found, address);
}

async function compileResponse(response: Response, address = response.url): Promise<WebAssembly.Module> {
  if (!response.ok) {
    throw new EvermoonLoadError(`cannot fetch ${address || 'evermoon.wasm'}: HTTP ${response.status}${advice(address)}`);
  }
  // Streaming where the server names the type; else by bytes, which also shows what a wrong answer was.
  const type = response.headers.get('content-type') ?? '';
  if (type.startsWith('application/wasm') && typeof WebAssembly.compileStreaming === 'function') {
    try {
      return await WebAssembly.compileStreaming(response);
    } catch (error) {
      throw explain(error, address);
    }
  }
  return compileBytes(await response.arrayBuffer(), address);
}

async function compileBytes(bytes: BufferSource, from: string): Promise<WebAssembly.Module> {
  check(bytes, from);
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    throw explain(error, from);
  }
}

/** Says what is wrong with bytes that are no module. */
function check(source: BufferSource, from: string): void {
  const view = asBytes(source) ?? new Uint8Array();
  if (view[0] === 0x3c) {
    throw new EvermoonLoadError(
      `your bundler or server served a page in place of the wasm: ${from} begins with '<'${advice(from)}`,
    );
  }
  if (view[0] !== 0 || view[1] !== 0x61 || view[2] !== 0x73 || view[3] !== 0x6d) {
    throw new EvermoonLoadError(`${from}: not WebAssembly (${view.length} bytes that do not begin with '\\0asm')`);
  }
}

function explain(error: unknown, from: string): EvermoonLoadError {
  if (error instanceof EvermoonLoadError) return error;
  const text = error instanceof Error ? error.message : String(error);
  if (/content.security.policy|unsafe-eval|disallowed by embedder/i.test(text)) {
    return new EvermoonLoadError(
      `the page's Content-Security-Policy forbids WebAssembly: add 'wasm-unsafe-eval' to script-src (${text})`,
      { cause: error },
    );
  }
  if (error instanceof RangeError) {
    return new EvermoonLoadError(`not enough memory for the WebAssembly module (${text})`, { cause: error });
  }
  return new EvermoonLoadError(`${from} is damaged or was cut short: ${text}`, { cause: error });
}

type NodeProcess = { versions?: { node?: string }; getBuiltinModule?: (name: string) => unknown };

export function isNode(): boolean {
  const { process, Deno } = globalThis as { process?: NodeProcess; Deno?: unknown };
  return Deno === undefined && typeof process?.versions?.node === 'string';
}

/** One of Node's own modules, by a way that no bundler follows. */
export async function nodeModule<T>(name: string): Promise<T> {
  const { process } = globalThis as { process?: NodeProcess };
  const found = process?.getBuiltinModule?.(name);
  return (found ?? (await import(/* @vite-ignore */ /* webpackIgnore: true */ name))) as T;
}
