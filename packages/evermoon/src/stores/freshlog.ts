/**
 * Chromium keeps IndexedDB in LevelDB, and its LevelDB goes on with the log of the last run. When the browser was killed between a record's head and its
 * body, the log has a torn record from then on, and the start after the next finds that, takes the database for corrupt and deletes it (`docs/stores-js.md`).
 * So the first store of a visit has LevelDB begin a new log, which it does when 4 MiB have been written. That what the old one had is in a table, and the log
 * gone, shows when it takes the third transaction: after another 4 MiB it lets nobody write before that is done.
 *
 * Costs about a tenth of a second beside whatever else is done, and a visit of the same tab does it once.
 */
const NAME = 'evermoon-log';
/** Together more than the write buffer; each small enough to be in LevelDB itself and not in a file of its own. */
const PIECES = 75;
const PIECE = 60_000;

let begun: Promise<void> | undefined;

/** Resolves when there is a new log, or none is needed, or it cannot be had. */
export function freshLog(): Promise<void> {
  return (begun ??= isNeeded() ? write().then(remember, () => {}) : Promise.resolve());
}

function isNeeded(): boolean {
  try {
    // The browser cannot have been killed since.
    return /Chrom(e|ium)\//.test(navigator.userAgent) && globalThis.sessionStorage?.getItem(NAME) !== 'fresh';
  } catch {
    return true;
  }
}

function remember(): void {
  try {
    globalThis.sessionStorage?.setItem(NAME, 'fresh');
  } catch {
    // It is done once more then.
  }
}

function write(): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => void request.result.createObjectStore(NAME);
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const db = request.result;
      // What compresses to nothing would not be 4 MiB.
      const piece = crypto.getRandomValues(new Uint8Array(PIECE));
      const transaction = (fill: boolean, then: () => void) => {
        const tx = db.transaction(NAME, 'readwrite', { durability: 'relaxed' });
        tx.onabort = () => {
          db.close();
          reject(tx.error);
        };
        tx.oncomplete = then;
        const store = tx.objectStore(NAME);
        if (fill) for (let i = 0; i < PIECES; i++) store.put(piece.buffer, i);
        else store.clear();
      };
      const end = () => {
        db.close();
        resolve();
      };
      transaction(true, () => transaction(true, () => transaction(false, end)));
    };
  });
}
