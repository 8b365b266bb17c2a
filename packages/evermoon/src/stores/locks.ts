/**
 * Who has a world open, by the Web Locks of its origin: held from the lease until the store is closed or the tab is gone, however it
 * goes. The lock only makes things clear and quick for people; what keeps a world whole is the epoch, checked in every commit.
 */
import { StoreClosedError, WorldBusyError } from './errors.js';

export class WorldLock {
  readonly #world: string;
  readonly #name: string;
  readonly #locks: LockManager | undefined;
  #release: (() => void) | undefined;
  #waiting: { granted: Promise<void>; give: (reason: unknown) => void } | undefined;

  constructor(world: string, name: string, locks: LockManager | undefined) {
    this.#world = world;
    this.#name = name;
    this.#locks = locks;
  }

  get held(): boolean {
    return this.#release !== undefined;
  }

  /** It is not held, although there are locks: it was stolen since `hold`. */
  get lost(): boolean {
    return this.#locks !== undefined && !this.held;
  }

  /** Resolves when the lock is held. `onStolen`: it was, and is no more. Where the browser has no locks this does nothing. */
  hold(ifBusy: 'fail' | 'wait' | 'steal', signal: AbortSignal | undefined, onStolen: () => void): Promise<void> {
    if (!this.#locks || this.held) return Promise.resolve();
    if (this.#waiting) return this.#waiting.granted;
    const control = new AbortController();
    const abort = () => control.abort(signal!.reason);
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    signal?.addEventListener('abort', abort, { once: true });
    const options: LockOptions = ifBusy === 'steal' ? { steal: true } : ifBusy === 'wait' ? { signal: control.signal } : { ifAvailable: true };
    const granted = new Promise<void>((resolve, reject) => {
      let mine: (() => void) | undefined;
      this.#locks!
        .request(this.#name, options, (lock) => {
          if (!lock) throw busy(this.#world);
          return new Promise<void>((release) => {
            mine = release;
            this.#release = release;
            resolve();
          });
        })
        .catch((error: unknown) => {
          // After `resolve` this is a theft; before, it is busy, or `signal`, or a browser that allows no locks here.
          if (mine && this.#release === mine) {
            this.#release = undefined;
            onStolen();
          }
          reject(error);
        });
    }).finally(() => {
      signal?.removeEventListener('abort', abort);
      this.#waiting = undefined;
    });
    this.#waiting = { granted, give: (reason) => control.abort(reason) };
    return granted;
  }

  /** Gives it up, and does not wait for it any more. */
  release(): void {
    this.#waiting?.give(new StoreClosedError(`the world "${this.#world}"`));
    this.#release?.();
    this.#release = undefined;
  }
}

export function busy(world: string): WorldBusyError {
  return new WorldBusyError(
    world,
    `the world "${world}" is open in another tab or worker. Close it there; or open it here with { ifBusy: 'steal' } to take it over, or { ifBusy: 'wait' } to wait until it is closed`,
  );
}
