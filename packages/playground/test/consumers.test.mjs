// The packed package as others use it: each bundler without any configuration, a page with no build at all, a page under a strict CSP, Node, workers.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build as viteBuild, createServer } from 'vite';
import webpack from 'webpack';
import { launch, open, serve } from './serve.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const EXPECTED = JSON.stringify([42, [1, 2, 3], 'main.lua:1: as wanted']);
const esbuild = createRequire(here('../../evermoon/package.json'))('esbuild');

const project = realpathSync(mkdtempSync(join(tmpdir(), 'evermoon-consumers-')));
const installed = join(project, 'node_modules/evermoon');
let browser;

before(async () => {
  // As npm would put it there: what is not in the tarball is not in the project.
  const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', project], { cwd: here('../../evermoon'), encoding: 'utf8' });
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', join(project, packed.trim().split('\n').at(-1)), '-C', installed, '--strip-components=1']);
  cpSync(here('consumers'), project, { recursive: true });
  writeFileSync(join(project, 'package.json'), '{"name": "consumer", "private": true, "type": "module", "dependencies": {"evermoon": "*"}}');
  browser = await launch();
});
after(async () => {
  await browser?.close();
  rmSync(project, { recursive: true, force: true });
});

const html = (script, head = '') =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A consumer</title><link rel="icon" href="data:,">${head}</head>` +
  `<body><pre id="result"></pre>${script}</body></html>`;

/** What a page at an address shows in the end. */
async function shown(url) {
  const page = await open(browser, url);
  try {
    await page.locator('#result:not(:empty)').waitFor({ timeout: 30_000 }).catch((error) => {
      throw new Error(`the page stayed empty: ${page.complaints.join('; ')}`, { cause: error });
    });
    return { text: await page.locator('#result').textContent(), complaints: page.complaints };
  } finally {
    await page.context().close();
  }
}

async function works(folders, options) {
  const server = await serve(folders, options);
  try {
    const { text, complaints } = await shown(server.url);
    assert.equal(text, EXPECTED);
    assert.deepEqual(complaints, []);
  } finally {
    await server.close();
  }
}

/** A folder with a page for a built script. */
function pageFor(name, script = '<script type="module" src="./main.js"></script>') {
  const folder = join(project, `out-${name}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'index.html'), html(script));
  return folder;
}

for (const entry of ['main', 'world', 'inline', 'inline-world', 'worker', 'own-worker']) {
  test(`Vite builds ${entry}.js`, async () => {
    const root = join(project, `vite-${entry}`);
    mkdirSync(root, { recursive: true });
    writeFileSync(join(root, 'index.html'), html(`<script type="module" src="../${entry}.js"></script>`));
    await viteBuild({ root, configFile: false, logLevel: 'warn', build: { outDir: join(root, 'dist') } });
    await works({ '/': join(root, 'dist') });
  });

  test(`Vite's dev server serves ${entry}.js, the package pre-bundled`, async () => {
    writeFileSync(join(project, 'index.html'), html(`<script type="module" src="/${entry}.js"></script>`));
    const server = await createServer({ root: project, configFile: false, logLevel: 'error', server: { port: 0, host: '127.0.0.1' }, cacheDir: join(project, `node_modules/.vite-${entry}`) });
    try {
      await server.listen();
      const { text } = await shown(`http://127.0.0.1:${server.httpServer.address().port}/`);
      assert.equal(text, EXPECTED);
    } finally {
      await server.close();
    }
  });

  test(`webpack builds ${entry}.js`, async () => {
    const folder = pageFor(`webpack-${entry}`, '<script defer src="./main.js"></script>');
    const stats = await new Promise((resolve, reject) => {
      webpack({ mode: 'production', context: project, entry: `./${entry}.js`, output: { path: folder, filename: 'main.js', publicPath: 'auto' }, performance: false }, (error, done) =>
        error ? reject(error) : resolve(done),
      );
    });
    assert.ok(!stats.hasErrors() && !stats.hasWarnings(), stats.toString());
    await works({ '/': folder });
  });
}

test('esbuild: the inline entries without configuration', async () => {
  for (const entry of ['inline', 'inline-world']) {
    const folder = pageFor(`esbuild-${entry}`);
    await esbuild.build({ entryPoints: [join(project, `${entry}.js`)], bundle: true, format: 'esm', outfile: join(folder, 'main.js'), logLevel: 'error' });
    await works({ '/': folder });
  }
});

test('esbuild: worlds with both modules copied beside the bundle, and what it says without one', async () => {
  const folder = pageFor('esbuild-world');
  await esbuild.build({ entryPoints: [join(project, 'world.js')], bundle: true, format: 'esm', outfile: join(folder, 'main.js'), logLevel: 'error' });
  cpSync(join(installed, 'dist/evermoon.wasm'), join(folder, 'evermoon.wasm'));
  const server = await serve({ '/': folder });
  const { text } = await shown(server.url);
  assert.equal(
    text,
    `EvermoonLoadError: cannot fetch ${server.url}evermoon-world.wasm: HTTP 404. Copy evermoon-world.wasm to that address, or pass { wasm: url }, or import 'evermoon/inline-world'`,
  );
  await server.close();
  cpSync(join(installed, 'dist/evermoon-world.wasm'), join(folder, 'evermoon-world.wasm'));
  await works({ '/': folder });
});

test('esbuild: the main entry with the wasm copied beside the bundle, and what it says without', async () => {
  const folder = pageFor('esbuild');
  await esbuild.build({ entryPoints: [join(project, 'main.js')], bundle: true, format: 'esm', outfile: join(folder, 'main.js'), logLevel: 'error' });
  for (const fallback of [false, true]) {
    const server = await serve({ '/': folder }, { fallback });
    const { text } = await shown(server.url);
    assert.ok(text.startsWith('EvermoonLoadError: '), text);
    assert.ok(text.includes(`${server.url}evermoon.wasm`), text);
    assert.match(text, fallback ? /served a page in place of the wasm/ : /HTTP 404/);
    assert.match(text, /evermoon\/inline/);
    await server.close();
  }
  cpSync(join(installed, 'dist/evermoon.wasm'), join(folder, 'evermoon.wasm'));
  await works({ '/': folder });
});

const importMap = '<script type="importmap">{"imports": {"evermoon": "/evermoon/index.js", "evermoon/worker": "/evermoon/worker.js"}}</script>';
for (const entry of ['main', 'world', 'worker']) {
  test(`a plain page with <script type=module>: ${entry}.js`, async () => {
    const folder = join(project, `plain-${entry}`);
    mkdirSync(folder, { recursive: true });
    for (const file of ['show.js', `${entry}.js`]) cpSync(join(project, file), join(folder, file));
    writeFileSync(join(folder, 'index.html'), html(`<script type="module" src="/${entry}.js"></script>`, importMap));
    await works({ '/': folder, '/evermoon/': join(installed, 'dist') });
  });
}

test("a strict CSP: 'wasm-unsafe-eval' is enough, and without it the error says so", async () => {
  const folder = join(project, 'csp');
  mkdirSync(folder, { recursive: true });
  for (const entry of ['main', 'world', 'worker']) {
    for (const file of ['show.js', `${entry}.js`]) writeFileSync(join(folder, file), execFileSync('sed', ['-e', "s#'evermoon/worker'#'/evermoon/worker.js'#; s#'evermoon'#'/evermoon/index.js'#", join(project, file)]));
    writeFileSync(join(folder, 'index.html'), html(`<script type="module" src="/${entry}.js"></script>`));
    const folders = { '/': folder, '/evermoon/': join(installed, 'dist') };
    const csp = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; worker-src 'self'; img-src data:";
    await works(folders, { headers: { 'content-security-policy': csp } });
    const server = await serve(folders, { headers: { 'content-security-policy': csp.replace(" 'wasm-unsafe-eval'", '') } });
    const { text } = await shown(server.url);
    assert.match(text, /^EvermoonLoadError: the page's Content-Security-Policy forbids WebAssembly: add 'wasm-unsafe-eval' to script-src/);
    await server.close();
  }
});

test('Node: the entries, the command, the declarations', () => {
  const out = execFileSync(process.execPath, ['node.mjs'], { cwd: project, encoding: 'utf8' });
  assert.deepEqual(out.trim().split('\n'), Array(6).fill(EXPECTED));
  const bin = JSON.parse(execFileSync(process.execPath, ['-p', 'JSON.stringify(require("./node_modules/evermoon/package.json").bin)'], { cwd: project, encoding: 'utf8' })).evermoon;
  assert.equal(execFileSync(process.execPath, [join(installed, bin), '-e', 'print(1)'], { encoding: 'utf8' }), '1\n');
  const tsc = createRequire(here('../package.json')).resolve('typescript/bin/tsc');
  const options = { noEmit: true, strict: true, exactOptionalPropertyTypes: true, module: 'nodenext', target: 'es2022', lib: ['es2022', 'esnext.disposable', 'dom', 'dom.iterable'], types: [] };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['types.ts'] }));
  execFileSync(process.execPath, [tsc, '-p', '.'], { cwd: project, encoding: 'utf8', stdio: 'inherit' });
});

test('the tarball has what it needs and nothing else', () => {
  const names = readdirSync(installed).sort();
  assert.deepEqual(names, ['README.md', 'dist', 'package.json']);
});
