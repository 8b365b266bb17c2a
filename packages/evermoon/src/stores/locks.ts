/**
 * Who has a world open, by the Web Locks of its origin: held from the lease until the store is closed or the tab is gone, however it
 * goes. The lock only makes things clear and quick for people; what keeps a world whole is the epoch, checked in every commit.
 */
import { WorldBusyError } from './errors.js';

export class WorldLock {
  readonly #world: string;
  readonly #name: string;
  readonly #locks: LockManager | undefined;
  #release: (() => void) | undefined;

  constructor(world: string, name: string, locks: LockManager | undefined) {
    this.#world = world;
    this.#name = name;
    this.#locks = locks;
  }

  get held(): boolean {
    return this.#release !== undefined;
  }

  /** Resolves when the lock is held. `onStolen`: it was, and is no more. Where the browser has no locks this does nothing. */
  hold(ifBusy: 'fail' | 'wait' | 'steal', signal: AbortSignal | undefined, onStolen: () => void): Promise<void> {
    if (!this.#locks || this.held) return Promise.resolve();
    const options: LockOptions = ifBusy === 'steal' ? { steal: true } : ifBusy === 'wait' ? { ...(signal && { signal }) } : { ifAvailable: true };
    return new Promise((resolve, reject) => {
      let mine: (() => void) | undefined;
      const held = this.#locks!.request(this.#name, options, (lock) => {
        if (!lock) {
          reject(
            new WorldBusyError(
              this.#world,
              `the world "${this.#world}" is open in another tab or worker. Close it there; or open it here with { ifBusy: 'steal' } to take it over, or { ifBusy: 'wait' } to wait until it is closed`,
            ),
          );
          return undefined;
        }
        return new Promise<void>((release) => {
          mine = release;
          this.#release = release;
          resolve();
        });
      });
      held.catch((error: unknown) => {
        // After `resolve` this is a theft; before, `signal` or a browser that allows no locks here.
        if (mine && this.#release === mine) {
          this.#release = undefined;
          onStolen();
        }
        reject(error);
      });
    });
  }

  release(): void {
    this.#release?.();
    this.#release = undefined;
  }
}
