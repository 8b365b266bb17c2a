/** The stores of browsers, and of everywhere: `evermoon/stores`. The file store of Node is `evermoon/node`. */
export { IndexedDBStore, type IndexedDBOpenOptions, type IndexedDBOptions } from './indexeddb.js';
export { MemoryStore } from './memory.js';
export * from './types.js';
