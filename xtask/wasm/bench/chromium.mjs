// The same programs in a page: node chromium.mjs PLAN. Wall time here (a page has no other clock), so a busy machine shows; best of the rounds.
// First runs are in a fresh page of a fresh browser context each.
import { createServer } from 'node:http';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const plan = JSON.parse(process.argv[2]);
const here = (file) => new URL(file, import.meta.url).pathname;
const names = ['evermoon', 'wasmoon'];
const mean = (list) => Math.exp(list.reduce((sum, x) => sum + Math.log(x), 0) / list.length);

const page = await build({
  entryPoints: [here('page.mjs')],
  bundle: true,
  format: 'esm',
  platform: 'browser',
  write: false,
  alias: { evermoon: `${plan.package}/dist/index.js` },
  external: ['module', 'node:*', 'url', 'fs', 'path', 'crypto', 'child_process'],
  logLevel: 'error',
});
const files = {
  '/': ['text/html', '<!doctype html><title>bench</title><script type=module src=/page.js></script>'],
  '/page.js': ['text/javascript', page.outputFiles[0].contents],
  '/evermoon.wasm': ['application/wasm', readFileSync(`${plan.package}/dist/evermoon.wasm`)],
  '/glue.wasm': ['application/wasm', readFileSync(here('node_modules/wasmoon/dist/glue.wasm'))],
};
const server = createServer((request, response) => {
  const file = files[new URL(request.url, 'http://localhost').pathname];
  response.writeHead(file ? 200 : 404, { 'content-type': file?.[0] ?? 'text/plain' });
  response.end(file?.[1]);
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const browser = await chromium.launch({ executablePath: plan.chromium, args: ['--no-sandbox'] });
const open = async (engines) => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => window.prepare);
  await page.evaluate((engines) => window.prepare(engines), engines);
  return { page, close: () => context.close() };
};

const times = new Map();
const keep = (key, time) => times.set(key, Math.min(time, times.get(key) ?? Infinity));
let wrong = 0;
const run = async (where, name, program, key) => {
  const { time, output } = await where.page.evaluate(([name, source]) => window.measure(name, source), [name, program.source]);
  if (output.trimEnd() !== program.expected) {
    wrong++;
    console.log(`WRONG: ${program.name} under ${name} prints ${JSON.stringify(output.slice(0, 80))}`);
  } else keep(`${program.name} ${name} ${key}`, time);
};
const programs = plan.bench.map((path) => ({
  name: basename(path, '.lua'),
  source: readFileSync(path, 'utf8'),
  expected: execFileSync(plan.native[0][1], [path], { encoding: 'utf8' }).trimEnd(),
}));
const both = await open(names);
for (let round = 0; round < plan.rounds; round++) {
  for (const program of programs) {
    for (const name of names) await run(both, name, program, 'best');
    for (const name of names) {
      const fresh = await open([name]);
      await run(fresh, name, program, 'first');
      await fresh.close();
    }
  }
}
console.log(`Chromium ${browser.version()}, wall time in a page, best of ${plan.rounds}\n`);
console.log('| program              | evermoon ms | wasmoon ms | ratio | first: evermoon | wasmoon | ratio |');
console.log('|----------------------|------------:|-----------:|------:|----------------:|--------:|------:|');
const ratios = { best: [], first: [] };
for (const { name } of programs) {
  const cells = [name.padEnd(20)];
  for (const key of ['best', 'first']) {
    const [a, b] = names.map((engine) => times.get(`${name} ${engine} ${key}`));
    if (a && b) ratios[key].push(a / b);
    cells.push((a?.toFixed(0) ?? '-').padStart(key === 'best' ? 11 : 15), (b?.toFixed(0) ?? '-').padStart(key === 'best' ? 10 : 7), (a / b).toFixed(2).padStart(5));
  }
  console.log(`| ${cells.join(' | ')} |`);
}
console.log(`| geometric mean       |             |            | ${mean(ratios.best).toFixed(2).padStart(5)} |                 |         | ${mean(ratios.first).toFixed(2).padStart(5)} |`);
const limits = [
  ['best runs, mean, of wasmoon', mean(ratios.best), 0.65],
  ['best runs, slowest, of wasmoon', Math.max(...ratios.best), 1.05],
  ['first runs, mean, of wasmoon', mean(ratios.first), 0.5],
];
if (plan.border) {
  console.log('\n|          | JS calls Lua (µs) | Lua calls JS (µs) | 10 MB string in (ms) | 10 MB string out (ms) |');
  console.log('|----------|------------------:|------------------:|---------------------:|----------------------:|');
  for (const name of names) {
    const b = await both.page.evaluate((name) => window.border(name), name);
    if (name === 'evermoon') limits.push(['JS calls a Lua function (µs)', b.in, 0.5], ['Lua calls a JS function (µs)', b.out, 0.5]);
    console.log(`| ${name.padEnd(8)} | ${b.in.toFixed(3).padStart(17)} | ${b.out.toFixed(3).padStart(17)} | ${b.strings[0].to.toFixed(1).padStart(20)} | ${b.strings[0].from.toFixed(1).padStart(21)} |`);
  }
}
console.log('\n| wanted at most                 |    is | limit | kept |\n|--------------------------------|------:|------:|-----:|');
const cut = limits.map(([what, is, limit]) => {
  console.log(`| ${what.padEnd(30)} | ${is.toFixed(2).padStart(5)} | ${limit.toFixed(2).padStart(5)} | ${(is <= limit ? 'yes' : 'NO').padStart(4)} |`);
  return is > limit;
});
await browser.close();
server.close();
process.exitCode = wrong > 0 || (plan.border && cut.includes(true)) ? 1 : 0;
