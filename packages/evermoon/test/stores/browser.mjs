// What the browser tests share: the package and these tests on localhost, and Debian's Chromium to look at them with.
// `CHROMIUM` names another browser.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const root = fileURLToPath(new URL('../..', import.meta.url));
const types = { html: 'text/html; charset=utf-8', js: 'text/javascript', mjs: 'text/javascript', wasm: 'application/wasm' };

export const browserPath = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => path && existsSync(path),
);
export const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A blank page at `/`, the package's files below it. What is posted goes to `onPost(path, text)`, whose text is the answer. */
export async function serve(onPost = () => '') {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, 'http://localhost').pathname;
    try {
      if (request.method === 'POST') {
        let text = '';
        for await (const chunk of request) text += chunk;
        response.end(await onPost(path, text));
      } else if (path === '/') {
        response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
        response.end('<!doctype html><title>stores</title><link rel=icon href=data:,>');
      } else {
        const file = normalize(join(root, path));
        if (!file.startsWith(root)) throw new Error('outside');
        const bytes = await readFile(file);
        response.writeHead(200, { 'content-type': types[file.split('.').pop()] ?? 'application/octet-stream', 'cache-control': 'no-store' });
        response.end(bytes);
      }
    } catch (error) {
      response.writeHead(404).end(String(error));
    }
  });
  // The same port twice is the same origin, hence the same data in a kept profile.
  const listen = (port) => new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  await listen(0);
  return {
    url: `http://localhost:${server.address().port}/`,
    close: () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))),
  };
}

function needBrowser() {
  if (!browserPath) throw new Error('no Chromium: apt-get install chromium, or set CHROMIUM to its path');
}

export function launch() {
  needBrowser();
  return chromium.launch({ executablePath: browserPath, args: ARGS });
}

/** A browser whose data is on the disk, as a user's: playwright's own contexts keep theirs in memory. */
export async function launchKept() {
  needBrowser();
  const folder = mkdtempSync(join(tmpdir(), 'evermoon-profile-'));
  const context = await chromium.launchPersistentContext(folder, { executablePath: browserPath, args: ARGS });
  return {
    context,
    async close() {
      await context.close();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** A Chromium process group of our own, for killing. */
export function spawnBrowser(folder, url) {
  needBrowser();
  const child = spawn(browserPath, ['--headless=new', ...ARGS, '--no-default-browser-check', `--user-data-dir=${folder}`, url], {
    detached: true,
    stdio: 'ignore',
  });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  return {
    /** Like pulling the plug of the browser: no process of it runs another instruction. */
    async kill() {
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch (error) {
        if (error.code !== 'ESRCH') throw error;
      }
      await gone;
    },
  };
}

/** A page at the server's blank page; what it complains of is in `complaints`. */
export async function page(context, url) {
  const page = await context.newPage();
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && page.complaints.push(message.text()));
  await page.goto(url);
  return page;
}
