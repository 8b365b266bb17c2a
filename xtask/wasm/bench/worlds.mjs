// What worlds cost in JavaScript: node worlds.mjs PLAN, called by `cargo xtask bench --worlds --chromium [MEGABYTES]`. In Chromium over IndexedDB, on a profile on
// the disk; in Node over the memory store, for what the module itself takes. A busy machine shows in all times of Chromium; those of Node are CPU
// time in user mode.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import * as measures from './worlds-run.mjs';

/** @type {{ package: string, chromium: string, megabytes: number }} */
const plan = JSON.parse(process.argv[2]);
const types = { js: 'text/javascript', mjs: 'text/javascript', wasm: 'application/wasm' };
const measuresPath = fileURLToPath(new URL('worlds-run.mjs', import.meta.url));
const server = createServer((request, response) => {
  const path = new URL(request.url, 'http://localhost').pathname;
  try {
    if (path === '/') return void response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>worlds</title><link rel=icon href=data:,>');
    const file = path === '/measures.mjs' ? measuresPath : normalize(join(plan.package, 'dist', path));
    const bytes = readFileSync(file);
    response.writeHead(200, { 'content-type': types[file.split('.').pop()] ?? 'application/octet-stream' }).end(bytes);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const folder = mkdtempSync(join(tmpdir(), 'evermoon-worlds-'));
const progress = (s) => process.stderr.isTTY && process.stderr.write(`\r${s.padEnd(70)}\r`);

const rows = [];
/** `limit`: at most so much, or with `least` at least. */
const row = (what, value, unit, limit, least = false) => {
  const kept = limit === undefined ? '' : (least ? value >= limit : value <= limit) ? 'yes' : 'NO';
  rows.push([what, `${value < 10 ? value.toFixed(2) : value.toFixed(value < 100 ? 1 : 0)} ${unit}`, limit === undefined ? '' : `${least ? '≥' : '≤'} ${limit}`, kept]);
};

/** A browser just started, as a user's is, with the package in a page. */
async function inBrowser(run) {
  const context = await chromium.launchPersistentContext(folder, { executablePath: plan.chromium, args: ['--no-sandbox', '--disable-background-networking'] });
  try {
    const page = await context.newPage();
    await page.goto(`http://localhost:${server.address().port}/`);
    await page.evaluate(async () => {
      const lib = { ...(await import('/index.js')), ...(await import('/stores/index.js')) };
      const measures = await import('/measures.mjs');
      const wasm = await WebAssembly.compileStreaming(fetch('/evermoon-world.wasm'));
      globalThis.measure = (name, world, ...rest) => measures[name](lib, wasm, () => lib.IndexedDBStore.open(world), ...rest);
      globalThis.transfer = async (world) => {
        await lib.IndexedDBStore.delete('copy');
        return measure('transfer', world, () => lib.IndexedDBStore.open('copy'));
      };
    });
    return await run(page);
  } finally {
    await context.close();
  }
}
const measure = (page, ...args) => page.evaluate((args) => measure(...args), args);
const middle = (list) => list.sort((a, b) => a - b)[list.length >> 1];

try {
  const worlds = [
    ['1 MiB', 'one', 'small', 1],
    [`${plan.megabytes} MiB`, 'many', 'large', plan.megabytes],
  ];
  const p50 = [];
  for (const [title, name, kind, megabytes] of worlds) {
    progress(`Chromium: filling ${title}`);
    const filled = await inBrowser((page) => measure(page, 'fill', name, kind, megabytes));
    row(`Chromium, ${title}, ${filled.entries.toLocaleString('en')} records: fill`, filled.payload / 1e6 / filled.seconds, 'MB/s');
    progress(`Chromium: commits in ${title}`);
    const commits = await inBrowser((page) => measure(page, 'commits', name));
    p50.push(commits.p50);
    row(`Chromium, ${title}: commit of one changed field and a counter (${commits.bytes} bytes), p50`, commits.p50, 'ms', 15);
    row('  p99', commits.p99, 'ms');
    const opening = [];
    for (let i = 0; i < 5; i++) {
      progress(`Chromium: opening ${title}, ${i + 1} of 5`);
      opening.push(await inBrowser((page) => measure(page, 'opening', name)));
    }
    row(`Chromium, ${title}: open to the end of the first statement (browser just started, median of 5)`, middle(opening), 'ms', 200);
  }
  row('Chromium: commits in the large world, of those in the small one', p50[1] / p50[0], 'times', 1.2);
  for (const [title, name] of worlds) {
    progress(`Chromium: export and import of ${title}`);
    const moved = await inBrowser((page) => page.evaluate((name) => transfer(name), name));
    row(`Chromium, ${title}: export from IndexedDB`, moved.export, 'MB/s');
    row(`Chromium, ${title}: import into IndexedDB`, moved.import, 'MB/s');
  }
  const lib = { ...(await import(pathToFileURL(`${plan.package}/dist/index.js`))), ...(await import(pathToFileURL(`${plan.package}/dist/stores/index.js`))) };
  const wasm = new WebAssembly.Module(readFileSync(`${plan.package}/dist/evermoon-world.wasm`));
  const cpu = () => process.cpuUsage().user / 1000;
  for (const [what, kind] of [['about 100 bytes', 'small'], ['about 1 KB', 'large']]) {
    progress(`Node: objects of ${what}`);
    const first = new lib.MemoryStore();
    const open = async () => new lib.MemoryStore(first);
    const { payload, entries } = await measures.fill(lib, wasm, open, kind, 16);
    const best = { export: 0, import: 0 };
    for (let i = 0; i < 5; i++) {
      const moved = await measures.transfer(lib, wasm, open, async () => new lib.MemoryStore(), cpu);
      for (const key of Object.keys(best)) best[key] = Math.max(best[key], moved[key]);
    }
    const size = (payload / entries).toFixed(0);
    row(`Node, memory, objects of ${what} (${size} a record): export`, best.export, 'MB/s', 100, true);
    row(`Node, memory, objects of ${what} (${size} a record): import`, best.import, 'MB/s', 66, true);
  }
} finally {
  server.close();
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}
progress('');
const head = ['worlds in JavaScript', 'is', 'wanted', 'kept'];
const widths = head.map((h, i) => Math.max(h.length, ...rows.map((r) => r[i].length)));
const line = (cells) => console.log(`| ${cells.map((c, i) => (i === 0 ? c.padEnd(widths[i]) : c.padStart(widths[i]))).join(' | ')} |`);
line(head);
console.log(`|${widths.map((w, i) => (i === 0 ? '-'.repeat(w + 2) : `${'-'.repeat(w + 1)}:`)).join('|')}|`);
rows.forEach(line);
process.exitCode = rows.some((r) => r[3] === 'NO') ? 1 : 0;
