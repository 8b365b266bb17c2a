// What the browser tests share: a folder on localhost, and Debian's Chromium to look at it with. `CHROMIUM` names another browser.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { chromium } from 'playwright-core';

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.webmanifest': 'application/manifest+json',
};

/**
 * Serves folders, each at its path: `{ '/': dist, '/evermoon/': package }`. `headers` go with every answer; with `fallback` what is not there is answered by the
 * page, as servers of single-page applications do.
 */
export async function serve(folders, { headers = {}, fallback = false } = {}) {
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
    const prefix = Object.keys(folders)
      .filter((p) => path.startsWith(p))
      .sort((a, b) => b.length - a.length)[0];
    const file = normalize(join(folders[prefix], path.slice(prefix.length) || 'index.html'));
    try {
      if (!file.startsWith(normalize(folders[prefix] + sep))) throw new Error('outside');
      const bytes = await readFile(file);
      response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'cache-control': 'no-store', ...headers });
      response.end(bytes);
    } catch {
      if (fallback) response.writeHead(200, { 'content-type': TYPES['.html'] }).end(await readFile(join(folders['/'], 'index.html')));
      else response.writeHead(404).end('not found');
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://localhost:${server.address().port}/`,
    close: () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))),
  };
}

export const browserPath = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => path && existsSync(path),
);

const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

function executable() {
  if (!browserPath) throw new Error('no Chromium: apt-get install chromium, or set CHROMIUM to its path');
  return browserPath;
}

export function launch() {
  return chromium.launch({ executablePath: executable(), args });
}

/** The browser of somebody whose profile is in a folder; closing it closes the browser. */
export function launchProfile(folder, options = {}) {
  return chromium.launchPersistentContext(folder, { executablePath: executable(), args, viewport: { width: 1440, height: 860 }, serviceWorkers: 'block', acceptDownloads: true, ...options });
}

/** A page that collects what it complains about, and what it asks of other hosts. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, serviceWorkers: 'block', ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.strangers = [];
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && page.complaints.push(message.text()));
  page.on('request', (request) => {
    if (/^https?:/.test(request.url()) && new URL(request.url()).origin !== new URL(url).origin) page.strangers.push(request.url());
  });
  await page.goto(url);
  return page;
}
