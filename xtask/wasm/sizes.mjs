// Prints a file's bytes as they are and as brotli packs them at its best (what servers send): node sizes.mjs FILE
import { readFileSync } from 'node:fs';
import { brotliCompressSync, constants } from 'node:zlib';

const bytes = readFileSync(process.argv[2]);
console.log(bytes.length, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length);
