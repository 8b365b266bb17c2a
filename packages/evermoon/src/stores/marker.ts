/**
 * A note outside of IndexedDB that a world was there, and at which version: a database that the browser has dropped looks like one that never
 * was, and only the note tells the two apart.
 *
 * It is kept in the Cache API, which pages and workers have, and which goes with the rest when somebody clears the site's data: then there was
 * nothing to miss. It is a help, never a condition: where there is no cache, or it fails, worlds work without it.
 */
const CACHE = 'evermoon';
/** No such host; caches only take addresses of the web. */
const ADDRESS = 'https://world.evermoon.invalid/';

export class Marker {
  readonly #address: string;
  readonly #caches: CacheStorage | undefined;

  constructor(world: string, caches: CacheStorage | undefined) {
    this.#address = ADDRESS + encodeURIComponent(world);
    this.#caches = caches;
  }

  /** The version that the world has had at least; 0: nobody knows of one. */
  async read(): Promise<number> {
    try {
      const note = await (await this.#caches?.open(CACHE))?.match(this.#address);
      const version: unknown = note && ((await note.json()) as { version?: unknown }).version;
      return Number.isSafeInteger(version) ? (version as number) : 0;
    } catch {
      return 0;
    }
  }

  async write(version: number): Promise<void> {
    try {
      await (await this.#caches?.open(CACHE))?.put(this.#address, new Response(JSON.stringify({ version }), { headers: { 'content-type': 'application/json' } }));
    } catch {
      // No room, or a private window.
    }
  }

  async remove(): Promise<void> {
    try {
      await (await this.#caches?.open(CACHE))?.delete(this.#address);
    } catch {
      // It could not be written either.
    }
  }
}
