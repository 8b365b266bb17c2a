// Builds dist/: declarations and types checked by tsc, code bundled by esbuild, the modules copied from the repository's dist/
// (`cargo xtask build-wasm` puts it there).
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

process.chdir(fileURLToPath(new URL('.', import.meta.url)));
const wasm = process.env.EVERMOON_WASM ?? '../../dist/evermoon.wasm';
const worldWasm = process.env.EVERMOON_WORLD_WASM ?? '../../dist/evermoon-world.wasm';
// The module for hosts of the original system, which './cu-api' uses.
const legacyWasm = process.env.LUA_WASM ?? '../../dist/lua.wasm';
for (const file of [wasm, worldWasm, legacyWasm]) {
  if (existsSync(file)) continue;
  console.error(`${file} is missing: run 'cargo xtask build-wasm' first`);
  process.exit(1);
}
rmSync('dist', { recursive: true, force: true });
mkdirSync('dist');
execFileSync('node', ['node_modules/typescript/bin/tsc', '-p', '.', '--emitDeclarationOnly'], { stdio: 'inherit' });
copyFileSync(wasm, 'dist/evermoon.wasm');
copyFileSync(worldWasm, 'dist/evermoon-world.wasm');
copyFileSync(legacyWasm, 'dist/lua.wasm');

// Lua's own parts of libraries go without their comments and indentation.
const lua = {
  name: 'lua',
  setup(b) {
    b.onLoad({ filter: /\.lua$/ }, ({ path }) => ({ contents: readFileSync(path, 'utf8').replace(/^\s*(--.*)?\n|^ +/gm, ''), loader: 'text' }));
  },
};
// Names of the package's own that no user sees are shortened, the same way in every file. None of them is a name that our sources use of the platform's.
const internal =
  'instance engine view refusal mail sink slices defaults u32 u8 handleAt refs sent objectNumber writeHandle writeNumber slots metered fuelStart ' +
  'cancelled onCancel owner simple failed ownSink limited op newString newBytes proxies functionNumber referenceCount defaultRun quiet late trap ' +
  'setmetatable newindex dead pass doHandle usable drainTo runDeadline allResults releaseScratch currentRun stringsAs core';
const common = {
  mangleProps: new RegExp(`^(${internal.replaceAll(' ', '|')})$`),
  plugins: [lua],
  bundle: true,
  format: 'esm',
  target: 'es2022',
  outdir: 'dist',
  logLevel: 'warning',
  legalComments: 'none',
};
// Shared chunks, so that the classes of '.', './inline' and './inline-world' are the same.
const { mangleCache } = await build({
  ...common,
  mangleCache: {},
  entryPoints: ['src/index.ts', 'src/inline.ts', 'src/inline-world.ts', 'src/cu-api.ts', 'src/libs.ts', 'src/worker.ts', 'src/cli.ts', 'src/stores/index.ts', 'src/stores/node.ts'].filter((f) => existsSync(f)),
  splitting: true,
  chunkNames: 'chunk-[hash]',
  minifySyntax: true,
  external: ['node:*'],
  plugins: [
    lua,
    {
      name: 'wasm-bytes',
      setup(b) {
        b.onResolve({ filter: /^virtual:wasm(-world)?$/ }, ({ path }) => ({ path, namespace: 'wasm' }));
        b.onLoad({ filter: /.*/, namespace: 'wasm' }, ({ path }) => {
          const bytes = readFileSync(path === 'virtual:wasm' ? wasm : worldWasm);
          return { contents: `export default ${JSON.stringify(bytes.toString('base64'))}` };
        });
      },
    },
  ],
});
// The worker's script is one file: bundlers make of it what they make of any worker, and no import of it can fail.
await build({ ...common, mangleCache, entryPoints: ['src/worker-script.ts'], minifySyntax: true, external: ['node:*'] });
console.log(`dist: ${['evermoon.wasm', 'evermoon-world.wasm'].map((file) => `${file} ${statSync(`dist/${file}`).size} bytes`).join(', ')}`);
