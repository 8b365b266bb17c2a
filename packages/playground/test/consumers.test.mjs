// The package as others use it in a browser: in an application that Vite builds, and in a page with a script tag and no build at all.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { launch, open, serve } from './serve.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const EXPECTED = JSON.stringify([42, [1, 2, 3], 'main.lua:1: as wanted']);

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

async function check(folders) {
  const server = await serve(folders);
  const page = await open(browser, server.url);
  try {
    await page.locator('#result:not(:empty)').waitFor({ timeout: 15_000 }).catch((error) => {
      throw new Error(`the page stayed empty: ${page.complaints.join('; ')}`, { cause: error });
    });
    assert.equal(await page.locator('#result').textContent(), EXPECTED);
    assert.deepEqual(page.complaints, []);
  } finally {
    await page.context().close();
    await server.close();
  }
}

test('a Vite application', async () => {
  const out = mkdtempSync(join(tmpdir(), 'evermoon-vite-'));
  try {
    await build({ root: here('consumers/vite'), configFile: false, logLevel: 'warn', build: { outDir: out, emptyOutDir: true } });
    await check({ '/': out });
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
});

test('a plain page with <script type=module>', () => check({ '/': here('consumers/plain'), '/evermoon/': here('../../evermoon/dist') }));
