/**
 * The page's world and the programs that run in it. Everything that a program leaves (globals, functions, coroutines) is there after a reload: what runs is
 * committed to the browser's store. Knows the package's public API and nothing of the page's elements.
 */
import { Evermoon, LuaAbortError, LuaSyntaxError, type LuaValue, type PendingProgram, type World, type WorldCommit, type WorldOptions } from 'evermoon';
import { IndexedDBStore, MemoryStore, StoreLostError, WorldBusyError, WorldError } from 'evermoon/stores';
import { installHost, type Stage } from './host';
import { modules } from './modules';

/** The world's name in the browser. */
export const WORLD = 'playground';
/** Cap of the world: enough for any example, far from what a browser gives a page. */
const HEAP_BYTES_MAX = 256 << 20;
/** A program under way is committed this often (milliseconds), as long as the heap is small enough for nobody to notice. */
const CHECKPOINT = 1500;
const CHECKPOINT_HEAP_MAX = 8 << 20;

/** What a session tells as it goes. */
export interface Listener {
  write(text: string): void;
  /** The store has a commit. */
  committed(commit: WorldCommit): void;
  /** Something could not be kept. */
  notKept(why: string): void;
}

export interface Figures {
  milliseconds: number;
  fuel: number;
  heapBytes: number;
  collections: number;
}

export type Outcome = { ok: true; values: LuaValue[] } | { ok: false; error: unknown; stopped: boolean };

/**
 * How the world is kept: `busy`: it is open in another tab, and what happens here is not kept; `lost`: the browser has lost it, and nothing is kept until
 * somebody has decided; `none`: the browser keeps nothing.
 */
export type Kept = 'yes' | 'busy' | 'lost' | 'none';

/** What to do when the world cannot simply be opened. */
export type Insist = Pick<WorldOptions, 'ifBusy' | 'ifLost'>;

let compiled: Promise<WebAssembly.Module> | undefined;

/** Fetches and compiles the module with worlds, the page's only one; the first call does the work. */
export function prepare(): Promise<WebAssembly.Module> {
  compiled ??= Evermoon.compileWorld();
  compiled.catch(() => (compiled = undefined));
  return compiled;
}

/** Makes the world of a file the page's, in place of what it had. A file that is no world changes nothing. No session may be open. */
export async function replaceWorld(file: Blob | undefined): Promise<void> {
  const wasm = await prepare();
  if (file) await Evermoon.import(file, { wasm, store: new MemoryStore() });
  await IndexedDBStore.delete(WORLD);
  if (file) await Evermoon.import(file, { wasm, name: WORLD });
}

export class Session {
  #stop = new AbortController();
  #runs = 0;
  #began = 0;
  #took = 0;
  #fuel = 0;
  #gone: Figures | undefined;
  #timer = 0;

  private constructor(
    readonly world: World,
    readonly kept: Kept,
    private readonly listener: Listener,
  ) {}

  static async create(stage: Stage, listener: Listener, insist: Insist = {}): Promise<Session> {
    const decoder = new TextDecoder();
    const options = {
      wasm: await prepare(),
      name: WORLD,
      ...insist,
      // As at a prompt: what a failed program has done stays.
      onError: 'keep' as const,
      memoryMax: HEAP_BYTES_MAX,
      modules,
      onOutput: (bytes: Uint8Array) => listener.write(decoder.decode(bytes, { stream: true })),
      onWarn: (message: string) => listener.write(`Lua warning: ${message}\n`),
      onStderr: (line: string) => listener.write(`${line}\n`),
      onCommit: listener.committed,
      onCommitError: (error: unknown) => listener.notKept(messageOf(error)),
      onLost: () => listener.notKept('Another tab has taken this world over: what happens here is no longer kept. Reload to have it back.'),
    };
    let kept: Kept = 'yes';
    let world: World;
    try {
      world = await Evermoon.open(options);
    } catch (error) {
      // The page works without a store as well.
      kept = error instanceof WorldBusyError ? 'busy' : error instanceof StoreLostError ? 'lost' : 'none';
      if (kept === 'none' && (error as { code?: string }).code !== 'unavailable') throw error;
      world = await Evermoon.open({ ...options, store: 'memory' });
    }
    const session = new Session(world, kept, listener);
    installHost(world, stage, () => session.#stop.signal);
    return session;
  }

  get running(): boolean {
    return this.#runs > 0;
  }

  /** Programs that were under way when the page was left. */
  pending(): PendingProgram[] {
    return this.world.pending();
  }

  /** Goes on with one of them. */
  resume(program: PendingProgram): Promise<Outcome> {
    return this.#go(() => program.resume({ signal: this.#stop.signal }));
  }

  /** Runs a program. Never rejects. */
  run(code: string, name: string, fuel: number | undefined): Promise<Outcome> {
    return this.#go(() => this.world.run(code, { name, signal: this.#stop.signal, ...(fuel !== undefined && { fuel }) }));
  }

  /**
   * Runs a line: as an expression if it is one, else as statements. `undefined`: it is not finished yet.
   */
  async line(code: string): Promise<Outcome | undefined> {
    const chunk = '=line';
    let source = `return ${code}`;
    try {
      this.world.load(source, chunk).dispose();
    } catch {
      source = code;
      try {
        this.world.load(source, chunk).dispose();
      } catch (error) {
        if (error instanceof LuaSyntaxError && error.incomplete) return undefined;
        return { ok: false, error, stopped: false };
      }
    }
    return this.#go(() => this.world.run(source, { name: chunk, signal: this.#stop.signal }));
  }

  /** The syntax error of a program that is being written, if it has one. */
  check(code: string, name: string): LuaSyntaxError | undefined {
    try {
      this.world.load(code, name).dispose();
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
    const { fuelUsed, heapBytes, collections } = this.world.figures();
    const milliseconds = this.#took + (this.#runs > 0 ? performance.now() - this.#began : 0);
    return { milliseconds, fuel: fuelUsed - this.#fuel, heapBytes, collections };
  }

  /** Ends what runs, keeps the rest, and closes the world. */
  async close(): Promise<void> {
    if (this.#gone) return;
    this.#gone = this.figures;
    this.#stop.abort();
    clearInterval(this.#timer);
    while (this.#runs > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await this.world.close();
  }

  async #go(start: () => Promise<LuaValue[]>): Promise<Outcome> {
    if (this.#runs++ === 0) {
      this.#began = performance.now();
      this.#took = 0;
      this.#fuel = this.world.figures().fuelUsed;
      this.#timer = window.setInterval(() => void this.#checkpoint(), CHECKPOINT);
    }
    try {
      return { ok: true, values: await start() };
    } catch (error) {
      return { ok: false, error, stopped: error instanceof LuaAbortError };
    } finally {
      if (--this.#runs === 0) {
        this.#took = performance.now() - this.#began;
        clearInterval(this.#timer);
      }
    }
  }

  async #checkpoint(): Promise<void> {
    if (this.world.closed || this.world.figures().heapBytes > CHECKPOINT_HEAP_MAX) return;
    try {
      await this.world.commit();
    } catch (error) {
      // A program that draws holds what cannot be stored (its canvas); it is over when the page is left.
      if (!(error instanceof WorldError)) this.listener.notKept(messageOf(error));
    }
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
