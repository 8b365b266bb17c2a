/**
 * IndexedDB as promises, with what can go wrong with it sorted into three: the connection is lost (`Lost`: may be tried once more), the
 * work was refused by ourselves, or it failed for good. Knows no world.
 */
import { StoreCorruptError, StoreError, StoreFullError, StoreGoneError, StoreIoError, StoreNewerError, StoreUnavailableError } from './errors.js';

export const RECORDS = 'records';
export const META = 'meta';
export const HEAD = 'head';
/** Of the layout; see `indexeddb.ts`. */
const FORMAT = 1;

/** The connection or its transaction went away: nothing is known but that `complete` has not come. */
export class Lost extends Error {
  constructor(override readonly cause: unknown) {
    super('the connection to IndexedDB was lost');
  }
}

/** One connection. */
export interface Link {
  readonly db: IDBDatabase;
  /** No new transaction is to begin on it. */
  lost: boolean;
  /** Ends its transactions' promises with `Lost`. */
  readonly pending: Set<(cause: unknown) => void>;
}

/** Gives the connection up, and everything that is under way on it. */
export function lose(link: Link, cause: unknown): void {
  link.lost = true;
  for (const end of [...link.pending]) end(cause);
  link.pending.clear();
  link.db.close();
}

/** Opens the database; makes it when `create`, else one that is not there is `StoreGoneError`. */
export function openDatabase(factory: IDBFactory, name: string, world: string, create: boolean): Promise<Link> {
  return new Promise((resolve, reject) => {
    const request = factory.open(name, FORMAT);
    let gone = false;
    request.onupgradeneeded = () => {
      if (!create) {
        gone = true;
        request.transaction!.abort();
        return;
      }
      request.result.createObjectStore(RECORDS);
      request.result.createObjectStore(META).put({ version: 0, epoch: 0, nonce: '' }, HEAD);
    };
    request.onerror = () => reject(gone ? new StoreGoneError(world) : classify(request.error, world));
    request.onsuccess = () => {
      const link: Link = { db: request.result, lost: false, pending: new Set() };
      // Another tab deletes the database, or has a newer layout: it waits for us. What is under way may end.
      link.db.onversionchange = () => {
        link.lost = true;
        link.db.close();
      };
      link.db.onclose = () => lose(link, new DOMException('the browser closed the connection', 'AbortError'));
      resolve(link);
    };
  });
}

/** What a transaction's requests are made with. */
export interface Work<T> {
  readonly tx: IDBTransaction;
  /** `then` is called with the result; what it throws ends the transaction and is what `transact` fails with. */
  on<R>(request: IDBRequest<R>, then: (result: R) => void): void;
  /** The result. It counts when the transaction is complete; that of a read counts at once. */
  done(value: T): void;
  /** Ends the transaction without effect; `transact` fails with the error. */
  refuse(error: Error): void;
}

/** One transaction. It is complete, on the disk if so asked, when this resolves; without effect, when it fails (with `Lost`: not known). */
export function transact<T>(
  link: Link,
  stores: string[],
  mode: 'readonly' | 'readwrite',
  options: IDBTransactionOptions,
  issue: (work: Work<T>) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const tx = link.db.transaction(stores, mode, options);
    let result: { value: T } | undefined;
    let refused: Error | undefined;
    const end = (cause: unknown) => {
      link.pending.delete(end);
      reject(new Lost(cause));
    };
    link.pending.add(end);
    tx.oncomplete = () => {
      link.pending.delete(end);
      if (result) resolve(result.value);
      else reject(new StoreIoError('a transaction ended before its work: this is a bug in Evermoon, please report it'));
    };
    tx.onabort = () => {
      link.pending.delete(end);
      reject(refused ?? classify(tx.error));
    };
    const refuse = (error: Error) => {
      refused ??= error;
      try {
        tx.abort();
      } catch {
        // It is over already, and will say so.
      }
    };
    try {
      issue({
        tx,
        on(request, then) {
          request.onsuccess = () => {
            try {
              then(request.result);
            } catch (error) {
              refuse(classify(error));
            }
          };
        },
        done(value) {
          result = { value };
          if (mode === 'readonly') resolve(value);
        },
        refuse,
      });
    } catch (error) {
      const told = classify(error);
      refuse(told);
      // A transaction that never had a request may never say anything.
      link.pending.delete(end);
      reject(told);
    }
  }).catch((error: unknown) => {
    throw classify(error);
  }) as Promise<T>;
}

/** Sorts what IndexedDB throws or reports. */
export function classify(error: unknown, world?: string): Error {
  if (error instanceof StoreError || error instanceof Lost) return error;
  const name = error instanceof Error || error instanceof DOMException ? error.name : undefined;
  const of = world === undefined ? '' : ` of the world "${world}"`;
  switch (name) {
    case 'QuotaExceededError':
      return new StoreFullError(
        `the browser has no more room for this page${of}: nothing of this commit was saved. Free space on the disk, delete other worlds, or ask with persistence({ ask: true })`,
        { cause: error },
      );
    case 'VersionError':
      return new StoreNewerError(world ?? '?', { cause: error });
    case 'SecurityError':
      return new StoreUnavailableError('the browser does not let this page keep data (cookies are blocked, or the frame is sandboxed). Use a memory store', { cause: error });
    case 'NotReadableError':
    case 'NotFoundError':
      return new StoreCorruptError(`the browser cannot read what it has stored${of}. Import it from an export, or delete it`, undefined, { cause: error });
    // The rest of what a lost connection looks like, in one browser or another. `null`: aborted by nobody of us.
    case undefined:
    case 'AbortError':
    case 'InvalidStateError':
    case 'TransactionInactiveError':
    case 'TimeoutError':
    case 'UnknownError':
      return new Lost(error);
    default:
      return error instanceof DOMException ? new StoreIoError(`the browser's storage failed: ${error.message}`, { cause: error }) : (error as Error);
  }
}
