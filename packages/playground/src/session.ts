/**
 * One engine and the program that runs in it. A run gets a fresh engine; lines typed afterwards (or while the program waits) go to the same one, so
 * its globals are there to look at. Knows the package's public API and nothing of the page's elements.
 */
import { Evermoon, LuaAbortError, LuaSyntaxError, type LuaValue } from 'evermoon';
import { installHost, type Stage } from './host';
import { modules } from './modules';

/** Cap of a program's heap: enough for any example, far from what a browser gives a page. */
const HEAP_BYTES_MAX = 256 << 20;

/** What a run tells as it goes. */
export interface Listener {
  write(text: string): void;
}

export interface Figures {
  milliseconds: number;
  fuel: number;
  heapBytes: number;
  collections: number;
}

export type Outcome = { ok: true; values: LuaValue[] } | { ok: false; error: unknown; stopped: boolean };

let compiled: Promise<WebAssembly.Module> | undefined;

/** Fetches and compiles the module; the first call does the work. */
export function prepare(): Promise<WebAssembly.Module> {
  compiled ??= Evermoon.compile();
  compiled.catch(() => (compiled = undefined));
  return compiled;
}

export class Session {
  readonly #lua: Evermoon;
  #stop = new AbortController();
  #runs = 0;
  #began = 0;
  #took = 0;
  #gone: Figures | undefined;

  private constructor(lua: Evermoon) {
    this.#lua = lua;
  }

  static async create(stage: Stage, listener: Listener): Promise<Session> {
    const decoder = new TextDecoder();
    const lua = await Evermoon.create({
      wasm: await prepare(),
      // Its own memory, given back as a whole when the next run replaces it.
      isolate: true,
      memoryMax: HEAP_BYTES_MAX,
      modules,
      onOutput: (bytes) => listener.write(decoder.decode(bytes, { stream: true })),
      onWarn: (message) => listener.write(`Lua warning: ${message}\n`),
      onStderr: (line) => listener.write(`${line}\n`),
    });
    const session = new Session(lua);
    installHost(lua, stage, () => session.#stop.signal);
    return session;
  }

  get running(): boolean {
    return this.#runs > 0;
  }

  /** Runs a program. Never rejects. */
  run(code: string, name: string, fuel: number | undefined): Promise<Outcome> {
    return this.#go(() => this.#lua.run(code, { name, signal: this.#stop.signal, ...(fuel !== undefined && { fuel }) }));
  }

  /**
   * Runs a line: as an expression if it is one, else as statements. `undefined`: it is not finished yet.
   */
  async line(code: string): Promise<Outcome | undefined> {
    const chunk = '=line';
    let source = `return ${code}`;
    try {
      this.#lua.load(source, chunk).dispose();
    } catch {
      source = code;
      try {
        this.#lua.load(source, chunk).dispose();
      } catch (error) {
        if (error instanceof LuaSyntaxError && error.incomplete) return undefined;
        return { ok: false, error, stopped: false };
      }
    }
    return this.#go(() => this.#lua.run(source, { name: chunk, signal: this.#stop.signal }));
  }

  /** The syntax error of a program that is being written, if it has one. */
  check(code: string, name: string): LuaSyntaxError | undefined {
    try {
      this.#lua.load(code, name).dispose();
      return undefined;
    } catch (error) {
      return error instanceof LuaSyntaxError ? error : undefined;
    }
  }

  /** Ends what runs here. The engine stays usable, with the globals that the program has left. */
  stop(): void {
    this.#stop.abort();
    this.#stop = new AbortController();
  }

  get figures(): Figures {
    if (this.#gone) return this.#gone;
    const { fuelUsed, heapBytes, collections } = this.#lua.stats();
    const milliseconds = this.#took + (this.#runs > 0 ? performance.now() - this.#began : 0);
    return { milliseconds, fuel: fuelUsed, heapBytes, collections };
  }

  dispose(): void {
    if (this.#gone) return;
    this.#gone = this.figures;
    this.#stop.abort();
    this.#lua.dispose();
  }

  async #go(start: () => Promise<LuaValue[]>): Promise<Outcome> {
    if (this.#runs++ === 0) {
      this.#began = performance.now();
      this.#took = 0;
    }
    try {
      return { ok: true, values: await start() };
    } catch (error) {
      return { ok: false, error, stopped: error instanceof LuaAbortError };
    } finally {
      if (--this.#runs === 0) this.#took = performance.now() - this.#began;
    }
  }
}
