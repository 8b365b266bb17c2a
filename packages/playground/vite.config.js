// Builds the page into dist/. Everything it needs is in there; the plugin below adds the service worker that keeps it all for offline use.
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = fileURLToPath(new URL('.', import.meta.url));

/** Emits `sw.js` with the list of all files of this build, under a cache name made of their contents. */
function offline() {
  return {
    name: 'offline',
    apply: 'build',
    generateBundle: {
      order: 'post',
      handler(_, bundle) {
        // The page opens worlds and makes no other engines: nobody would fetch the module without.
        for (const name of Object.keys(bundle)) if (/evermoon-(?!world-)[^/]*\.wasm$/.test(name)) delete bundle[name];
        const files = new Map();
        for (const [name, file] of Object.entries(bundle)) files.set(name, file.type === 'chunk' ? file.code : file.source);
        for (const name of readdirSync(`${here}public`)) files.set(name, readFileSync(`${here}public/${name}`));
        const hash = createHash('sha256');
        for (const name of [...files.keys()].sort()) hash.update(name).update(files.get(name));
        const listed = ['./', ...[...files.keys()].filter((name) => name !== 'index.html').sort()];
        const source = readFileSync(`${here}src/sw.js`, 'utf8')
          .replace("'VERSION'", JSON.stringify(hash.digest('hex').slice(0, 16)))
          .replace("['FILES']", JSON.stringify(listed));
        this.emitFile({ type: 'asset', fileName: 'sw.js', source });
      },
    },
  };
}

export default defineConfig({
  root: here,
  // Relative addresses: the build works below any path.
  base: './',
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 900 },
  plugins: [offline()],
});
