/** Work on a store as a whole, by the module's jobs: export, import, the check of every record, the search for garbage. */
import { EvermoonError } from '../errors.js';
import { WorldError } from '../stores/errors.js';
import type { Instance } from '../instance.js';
import type { Store, Write } from '../stores/types.js';
import type { SnapshotProgress, SnapshotSource } from '../types.js';
import { Ahead } from './ahead.js';
import { behind, entriesOf, flatten, lend, wantedOf, writesOf, type Wanted } from './supply.js';

export const enum Kind { Export = 0, Import = 1, Check = 2, Mark = 3 }
const enum Stop { Done = 0, More = 1, Wait = 2, Failed = 3 }

type OnProgress = ((progress: SnapshotProgress) => void) | undefined;

/** Bytes of writes in one commit of an import. */
const PORTION = 8 << 20;

class Job {
  readonly #job: number;

  constructor(
    private readonly module: Instance,
    kind: Kind,
    private readonly onProgress?: OnProgress,
  ) {
    this.#job = module.x.em_job_new(kind);
  }

  supply(bytes: Uint8Array): Uint8Array {
    const { x } = this.module;
    const stop = lend(this.module, bytes, (at, length) => x.em_job_supply(this.#job, at, length));
    return this.#checked(stop);
  }

  /** One step; what it put out, and the keys that it waits for. */
  step(): { done: boolean; output: Uint8Array; wanted: Wanted | undefined } {
    const { x } = this.module;
    const stop: Stop = x.em_job_step(this.#job);
    const output = this.#checked(stop);
    this.onProgress?.({ objects: x.em_job_progress(this.#job, 0), known: x.em_job_progress(this.#job, 1), payload: x.em_job_progress(this.#job, 2) });
    if (stop === Stop.Wait) return { done: false, output: new Uint8Array(), wanted: wantedOf(output) };
    return { done: stop === Stop.Done, output, wanted: undefined };
  }

  garbage(engine: number, keys: readonly Uint8Array[]): Uint8Array[] {
    const { x } = this.module;
    const stop = lend(this.module, flatten({ entries: keys.map((key) => [key, undefined] as const) }), (at, length) => x.em_job_garbage(this.#job, engine, at, length));
    return entriesOf(this.#checked(stop)).map(([key]) => key);
  }

  progress(which: number): number {
    return this.module.x.em_job_progress(this.#job, which);
  }

  /** A copy of the output. */
  #checked(stop: Stop): Uint8Array {
    const { module } = this;
    const at = module.x.em_job_output(this.#job) >>> 0;
    const length = module.x.em_job_output_len(this.#job);
    module.view();
    const output = module.u8.slice(at, at + length);
    if (stop === Stop.Failed) throw new WorldError(new TextDecoder().decode(output) || 'a job failed');
    return output;
  }

  free(): void {
    if (!this.module.dead) this.module.x.em_job_free(this.#job);
  }
}

/** Does a job that reads a store; gives what it put out to `take`. */
async function read<T>(module: Instance, store: Store, kind: Kind, onProgress: OnProgress, take: (output: Uint8Array) => void, end: (job: Job) => Promise<T> | T): Promise<T> {
  const job = new Job(module, kind, onProgress);
  try {
    const ahead = new Ahead(store);
    let turn = performance.now();
    for (;;) {
      const { done, output, wanted } = job.step();
      if (output.length > 0) take(output);
      if (wanted) job.supply(flatten(await ahead.read(wanted)));
      if (done) return await end(job);
      if (performance.now() - turn > 8) {
        await new Promise((resolve) => setTimeout(resolve));
        turn = performance.now();
      }
    }
  } finally {
    job.free();
  }
}

export async function exportStore(module: Instance, store: Store, onProgress: OnProgress): Promise<Blob> {
  const parts: BlobPart[] = [];
  return read(module, store, Kind.Export, onProgress, (output) => parts.push(output as Uint8Array<ArrayBuffer>), () => new Blob(parts, { type: 'application/x-evermoon-world' }));
}

export interface Checked {
  objects: number;
  bytes: number;
  broken: { key: Uint8Array; path: string; what: string }[];
}

export async function checkStore(module: Instance, store: Store, onProgress: OnProgress): Promise<Checked> {
  const broken: Checked['broken'] = [];
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const take = (output: Uint8Array) => {
    const all = entriesOf(output);
    for (let i = 0; i + 1 < all.length; i += 2) broken.push({ key: all[i]![0], path: text(all[i]![1]!), what: text(all[i + 1]![0]) });
  };
  return read(module, store, Kind.Check, onProgress, take, (job) => ({ objects: job.progress(0), bytes: job.progress(2), broken }));
}

/** Finds what no root leads to and the engine does not know; gives it to `remove` by portions. */
export async function findGarbage(module: Instance, store: Store, engine: number, remove: (writes: Write[]) => Promise<void>): Promise<void> {
  return read(module, store, Kind.Mark, undefined, () => {}, async (job) => {
    let from: Uint8Array | undefined;
    for (;;) {
      const found = await store.scan({ from, limit: 4096 });
      const keys = job.garbage(engine, found.map(([key]) => key));
      if (keys.length > 0) await remove(keys.map((key) => ({ kind: 'delete', key })));
      if (found.length < 4096) return;
      from = behind(found[found.length - 1]![0]);
    }
  });
}

function streamOf(from: SnapshotSource): AsyncIterable<Uint8Array> {
  const given = from as { stream?: () => ReadableStream<Uint8Array>; body?: ReadableStream<Uint8Array> | null; getReader?: unknown };
  if (from instanceof Uint8Array) return once(from);
  if (from instanceof ArrayBuffer) return once(new Uint8Array(from));
  if (typeof given.stream === 'function') return chunks(given.stream());
  if (given.body) return chunks(given.body);
  if (typeof given.getReader === 'function') return chunks(from as ReadableStream<Uint8Array>);
  throw new EvermoonError('misuse', 'a world is imported from a Uint8Array, an ArrayBuffer, a Blob, a ReadableStream or a Response');
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1 << 20) yield bytes.subarray(at, at + (1 << 20));
}

async function* chunks(stream: ReadableStream<Uint8Array>): AsyncIterable<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Reads a snapshot into a store that holds no world. Only the last commit makes a world of it. */
export async function importInto(module: Instance, from: SnapshotSource, store: Store, ifBusy: 'fail' | 'wait' | 'steal'): Promise<void> {
  const input = streamOf(from);
  const epoch = await store.lease({ ifBusy });
  let { version } = await store.head();
  if (await store.get(Uint8Array.of(0x6d))) throw new WorldError('the store holds a world already: import into an empty one');
  const job = new Job(module, Kind.Import);
  // What an interrupted import has left goes first.
  let writes: Write[] = [{ kind: 'deleteRange', from: Uint8Array.of() }];
  let bytes = 0;
  // The store writes one portion while the next is read.
  let before: Promise<number> = Promise.resolve(version);
  try {
    for await (const chunk of input) {
      const output = job.supply(chunk);
      writes.push(...writesOf(output));
      bytes += output.length;
      if (bytes > PORTION) {
        await before;
        before = store.commit(version++, epoch, writes, { durability: 'relaxed' });
        before.catch(() => {});
        writes = [];
        bytes = 0;
      }
    }
    for (const write of writesOf(job.step().output)) writes.push(write);
    await before;
    await store.commit(version, epoch, writes);
  } finally {
    // Nothing is written any more when this has failed.
    await before.catch(() => {});
    job.free();
  }
}
