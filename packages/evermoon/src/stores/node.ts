/** The store of Node: `evermoon/node`. Apart from the others, so that no bundler for browsers meets a `node:` import. */
export { FileStore, type FileOptions, type FileSystem } from './nodefile.js';
export * from './types.js';
