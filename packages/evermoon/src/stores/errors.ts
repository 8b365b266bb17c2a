/**
 * What can go wrong in a store. Every class has a stable `code`; every message says what happened and what to do.
 *
 * Invariant: a `commit` that fails with any of these has had no effect, with one exception that says so of itself: an error whose
 * `outcome` is `'unknown'` (the connection went away and did not come back). `head()` on a store opened again tells then.
 */
import { EvermoonError } from '../errors.js';

/** Where Rust has the same error it has the same code. */
export type StoreErrorCode =
  | 'conflict'
  | 'fenced'
  | 'busy'
  | 'full'
  | 'closed'
  | 'corrupt'
  | 'format'
  | 'not_a_store'
  | 'too_large'
  | 'gone'
  | 'lost'
  | 'unavailable'
  | 'misuse'
  | 'io';

/** What all have. */
export class StoreError extends EvermoonError {
  override name = 'StoreError';
  constructor(
    override readonly code: StoreErrorCode,
    message: string,
    options?: ErrorOptions & { outcome?: 'none' | 'unknown' },
  ) {
    super(code, message, options);
    this.outcome = options?.outcome ?? 'none';
  }
  /** `'none'`: nothing was changed. `'unknown'`: the commit may be in the store or not; open it again and look at `head()`. */
  readonly outcome: 'none' | 'unknown';
}

/** The world is at another version than the writer believed. */
export class StoreConflictError extends StoreError {
  override name = 'StoreConflictError';
  constructor(
    readonly expected: number,
    readonly found: number,
  ) {
    super('conflict', `the world is at version ${found}, not at ${expected}: somebody else has committed. Open the world again and repeat the work`);
  }
}

/** Somebody has taken the world over: this writer may not write any more. */
export class StoreFencedError extends StoreError {
  override name = 'StoreFencedError';
  constructor(
    /** The writer's epoch. */
    readonly epoch: number,
    /** The epoch that holds now; `undefined` when only the loss of the lock is known. */
    readonly found: number | undefined,
    options?: ErrorOptions & { outcome?: 'none' | 'unknown' },
  ) {
    const now = found === undefined ? '' : ` (epoch ${found}; this one has ${epoch})`;
    super('fenced', `the world was taken over by another tab or process${now}. Close this one, or open the world again here to take it back`, options);
  }
}

/** The world is open somewhere else. */
export class WorldBusyError extends StoreError {
  override name = 'WorldBusyError';
  constructor(
    /** The world's name. */
    readonly world: string,
    message: string,
  ) {
    super('busy', message);
  }
}

/** The disk, or what the browser lets this page keep, is full. Nothing of the commit was written. */
export class StoreFullError extends StoreError {
  override name = 'StoreFullError';
  constructor(message: string, options?: ErrorOptions) {
    super('full', message, options);
  }
}

/** The store was closed by its user. */
export class StoreClosedError extends StoreError {
  override name = 'StoreClosedError';
  constructor(what: string) {
    super('closed', `${what} is closed: open it again`);
  }
}

/** What was read is not what was written. */
export class StoreCorruptError extends StoreError {
  override name = 'StoreCorruptError';
  constructor(
    message: string,
    /** The entry, when it is one entry that is broken. */
    readonly key?: Uint8Array,
    options?: ErrorOptions,
  ) {
    super('corrupt', message, options);
  }
}

/** The world was deleted while it was open: by another tab, or by the browser ("clear site data"). */
export class StoreGoneError extends StoreError {
  override name = 'StoreGoneError';
  constructor(world: string, options?: ErrorOptions) {
    super('gone', `the world "${world}" was deleted while it was open here. Import it from an export, or open it again to begin an empty one`, options);
  }
}

/** The browser has lost the world, or its last commits: there was more than there is. */
export class StoreLostError extends StoreError {
  override name = 'StoreLostError';
  constructor(
    /** The world's name. */
    readonly world: string,
    /** The version that it has had at least. */
    readonly had: number,
    /** The version that is there; 0: nothing. */
    readonly found: number,
  ) {
    const left = found === 0 ? 'there is nothing of it now' : `it is at version ${found} now`;
    super(
      'lost',
      `the browser has lost the world "${world}": it has had version ${had}, and ${left}. Import it from an export, or open it with { ifLost: 'accept' } to go on with what is there`,
    );
  }
}

/** The store was written by a newer Evermoon. */
export class StoreNewerError extends StoreError {
  override name = 'StoreNewerError';
  constructor(world: string, options?: ErrorOptions) {
    super('format', `the world "${world}" is kept in a newer format. Reload the page, or update the package, to have the newer Evermoon`, options);
  }
}

/** This place has no such store. */
export class StoreUnavailableError extends StoreError {
  override name = 'StoreUnavailableError';
  constructor(message: string, options?: ErrorOptions) {
    super('unavailable', message, options);
  }
}

/** The file is something else than a world. It is left alone. */
export class NotAStoreError extends StoreError {
  override name = 'NotAStoreError';
  constructor(message: string) {
    super('not_a_store', message);
  }
}

/** A key or a value is longer than a store takes. */
export class StoreTooLargeError extends StoreError {
  override name = 'StoreTooLargeError';
  constructor(
    what: string,
    readonly size: number,
    readonly limit: number,
  ) {
    super('too_large', `${what} has ${size} bytes; at most ${limit} are possible`);
  }
}

/** An argument is none of those that there are. */
export class StoreMisuseError extends StoreError {
  override name = 'StoreMisuseError';
  constructor(message: string) {
    super('misuse', message);
  }
}

/** The system under the store failed. `cause` has its words. */
export class StoreIoError extends StoreError {
  override name = 'StoreIoError';
  constructor(message: string, options?: ErrorOptions & { outcome?: 'none' | 'unknown' }) {
    super('io', message, options);
  }
}

/** A world that cannot be stored, loaded or put back. */
export class WorldError extends EvermoonError {
  override name = 'WorldError';
  constructor(
    message: string,
    /** Where the object is that cannot be stored, as `users[3].socket`; empty if that is not it, or nobody knows. */
    readonly path = '',
    options?: ErrorOptions,
  ) {
    super('world', message, options);
  }
}
