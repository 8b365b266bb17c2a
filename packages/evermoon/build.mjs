// Builds dist/: declarations and types checked by tsc, code bundled by esbuild, the module copied from the repository's dist/
// (`cargo xtask build-wasm` puts it there).
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

process.chdir(fileURLToPath(new URL('.', import.meta.url)));
const wasm = process.env.EVERMOON_WASM ?? '../../dist/evermoon.wasm';
// The module for hosts of the original system, which './cu-api' uses.
const legacyWasm = process.env.LUA_WASM ?? '../../dist/lua.wasm';
for (const file of [wasm, legacyWasm]) {
  if (existsSync(file)) continue;
  console.error(`${file} is missing: run 'cargo xtask build-wasm' first`);
  process.exit(1);
}
rmSync('dist', { recursive: true, force: true });
mkdirSync('dist');
execFileSync('node', ['node_modules/typescript/bin/tsc', '-p', '.', '--emitDeclarationOnly'], { stdio: 'inherit' });
copyFileSync(wasm, 'dist/evermoon.wasm');
copyFileSync(legacyWasm, 'dist/lua.wasm');

const bytes = readFileSync(wasm);
const common = { bundle: true, format: 'esm', target: 'es2022', outdir: 'dist', logLevel: 'warning', legalComments: 'none' };
// Shared chunks, so that the classes of '.' and './inline' are the same.
await build({
  ...common,
  entryPoints: ['src/index.ts', 'src/inline.ts', 'src/cu-api.ts', 'src/worker.ts', 'src/cli.ts', 'src/stores/index.ts', 'src/stores/node.ts'].filter((f) => existsSync(f)),
  splitting: true,
  chunkNames: 'chunk-[hash]',
  minifySyntax: true,
  external: ['node:*'],
  plugins: [
    {
      name: 'wasm-bytes',
      setup(b) {
        b.onResolve({ filter: /^virtual:wasm$/ }, () => ({ path: 'wasm', namespace: 'wasm' }));
        b.onLoad({ filter: /.*/, namespace: 'wasm' }, () => ({ contents: `export default ${JSON.stringify(bytes.toString('base64'))}` }));
      },
    },
  ],
});
console.log(`dist: evermoon.wasm ${statSync('dist/evermoon.wasm').size} bytes`);
