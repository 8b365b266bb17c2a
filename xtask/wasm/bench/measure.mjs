// Measures and prints the tables: node measure.mjs PLAN, where PLAN is JSON (see `Plan` in xtask/src/bench_wasm.rs).
//
// What a number means: CPU time in user mode (of strings: the kernel's too), best of the rounds. "best" is a run in a process that has run everything before, "first" the only run
// of a fresh process (so compiled by the quick compilers on the way). A round has every program under every engine before the next begins.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import { build } from 'esbuild';
import { border, copies, timed } from './engines.mjs';
import { cpu, load, whole } from './load.mjs';

const text = process.argv[2];
/** @type {{ package: string, bench: string[], rounds: number, fengari: boolean, speed: boolean, modules: string[], native: [string, string][] }} */
const plan = JSON.parse(text);
const here = (file) => new URL(file, import.meta.url).pathname;
const child = (...args) => JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 1 << 26 }));
const names = ['evermoon', ...plan.modules, 'wasmoon'];
const wrong = [];
const progress = (s) => process.stderr.isTTY && process.stderr.write(`\r${s.padEnd(60)}\r`);

/** User time of a native run, by the shell's clock for its children (milliseconds). */
function native(path, program) {
  const script = 'TIMEFORMAT=%3U; time "$0" "$1"';
  const done = execFileSync('bash', ['-c', `{ ${script}; } 2>&1`, path, program], { encoding: 'utf8', maxBuffer: 1 << 26 });
  const lines = done.trimEnd().split('\n');
  return { time: Number(lines.pop()) * 1000, output: lines.join('\n') };
}

class Best {
  times = new Map();
  /** What an engine says that cannot run a program. */
  failures = new Map();
  run(program, engine, measure, expected) {
    if (this.failures.has(`${program} ${engine}`)) return;
    try {
      this.keep(program, engine, measure(), expected);
    } catch (error) {
      this.failures.set(`${program} ${engine}`, error.message.split('\n')[0]);
    }
  }
  keep(program, engine, { time, output }, expected) {
    const key = `${program} ${engine}`;
    if (output.trimEnd() !== expected) {
      const note = `${basename(program)} under ${engine} prints ${JSON.stringify(output.slice(0, 80))}`;
      if (!wrong.includes(note)) wrong.push(note);
      return;
    }
    this.times.set(key, Math.min(time, this.times.get(key) ?? Infinity));
  }
  get(program, engine) {
    return this.times.get(`${program} ${engine}`);
  }
}

function table(head, rows) {
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map((r) => String(r[i]).length)));
  const line = (cells) => `| ${cells.map((c, i) => (i === 0 ? String(c).padEnd(widths[i]) : String(c).padStart(widths[i]))).join(' | ')} |`;
  console.log(line(head));
  console.log(`|${widths.map((w, i) => (i === 0 ? '-'.repeat(w + 2) : `${'-'.repeat(w + 1)}:`)).join('|')}|`);
  for (const row of rows) console.log(line(row));
  console.log();
}

const mean = (list) => Math.exp(list.reduce((sum, x) => sum + Math.log(x), 0) / list.length);
const label = (name) => (name.includes('/') ? basename(name, '.wasm') : name);

async function speed() {
  const engines = [];
  for (const name of names) engines.push(await load(name, plan));
  const fengari = plan.fengari ? await load('fengari', plan) : undefined;
  const [best, first] = [new Best(), new Best()];
  for (let round = 0; round < plan.rounds; round++) {
    for (const program of plan.bench) {
      const source = readFileSync(program, 'utf8');
      progress(`round ${round + 1} of ${plan.rounds}: ${basename(program)}`);
      let expected;
      for (const [name, path] of plan.native) {
        const done = native(path, program);
        expected ??= done.output.trimEnd();
        best.keep(program, name, done, expected);
      }
      for (const engine of engines) best.keep(program, engine.name, timed(engine, source, cpu), expected);
      for (const name of names) first.keep(program, name, child(here('first.mjs'), text, name, program), expected);
      // It cannot run all of them: its integers have 32 bits.
      if (fengari && round === 0) best.run(program, 'fengari', () => timed(fengari, source, cpu), expected);
    }
  }
  const all = [...plan.native.map(([name]) => name), ...names, ...(fengari ? ['fengari'] : [])];
  const ratios = new Map();
  const ratio = (key, a, b) => {
    if (a === undefined || b === undefined) return '-';
    if (!ratios.has(key)) ratios.set(key, []);
    ratios.get(key).push(a / b);
    return (a / b).toFixed(2);
  };
  const ms = (t) => (t === undefined ? '-' : t.toFixed(0));
  const reference = plan.native[0][0];
  const others = plan.native.slice(1).map(([name]) => name);
  if (fengari) others.push('fengari');
  const head = ['program (ms)', ...all.map(label), ...names.slice(0, -1).flatMap((n) => [`${label(n)}/wasmoon`, `${label(n)}/${reference}`])];
  head.push(...others.map((name) => `evermoon/${label(name)}`));
  head.push('first: evermoon', 'wasmoon', ...names.slice(0, -1).flatMap((n) => [`${label(n)}/wasmoon`, `${label(n)} first/best`]));
  const rows = plan.bench.map((program) => {
    const row = [basename(program, '.lua'), ...all.map((name) => ms(best.get(program, name)))];
    for (const name of names.slice(0, -1)) {
      row.push(ratio(`${name} wasmoon`, best.get(program, name), best.get(program, 'wasmoon')));
      row.push(ratio(`${name} native`, best.get(program, name), best.get(program, reference)));
    }
    for (const name of others) row.push(ratio(`other ${name}`, best.get(program, 'evermoon'), best.get(program, name)));
    row.push(ms(first.get(program, 'evermoon')), ms(first.get(program, 'wasmoon')));
    for (const name of names.slice(0, -1)) {
      row.push(ratio(`${name} first`, first.get(program, name), first.get(program, 'wasmoon')));
      row.push(ratio(`${name} warm`, first.get(program, name), best.get(program, name)));
    }
    return row;
  });
  const means = ['geometric mean', ...all.map(() => '')];
  const cell = (key) => (ratios.has(key) ? mean(ratios.get(key)).toFixed(2) : '-');
  for (const name of names.slice(0, -1)) means.push(cell(`${name} wasmoon`), cell(`${name} native`));
  for (const name of others) means.push(cell(`other ${name}`));
  means.push('', '');
  for (const name of names.slice(0, -1)) means.push(cell(`${name} first`), cell(`${name} warm`));
  table(head, [...rows, means]);
  for (const [key, why] of best.failures) console.log(`${basename(key)} fails: ${why} (left out of its mean)`);
  if (best.failures.size > 0) console.log();
  const limits = [
    ['best runs, mean, of wasmoon', mean(ratios.get('evermoon wasmoon') ?? [NaN]), 0.65],
    ['best runs, slowest, of wasmoon', Math.max(...(ratios.get('evermoon wasmoon') ?? [NaN])), 1.05],
    [`best runs, mean, of native ${reference}`, mean(ratios.get('evermoon native') ?? [NaN]), 1.15],
    ['first runs, mean, of wasmoon', mean(ratios.get('evermoon first') ?? [NaN]), 0.5],
  ];
  return limits.map(([what, value, limit]) => [what, value.toFixed(2), limit.toFixed(2), value <= limit ? 'yes' : 'NO']);
}

/** Cells of a row: strings of one byte a character, in and out, and others. */
const spans = (strings) => strings.flatMap(({ to, from }) => [to.toFixed(1), from.toFixed(1)]);

async function borders() {
  const rows = [];
  const found = {};
  for (const name of ['evermoon', 'wasmoon', ...(plan.fengari ? ['fengari'] : [])]) {
    progress(`calls and strings: ${name}`);
    const b = border(await load(name, plan), cpu, whole);
    found[name] = b;
    rows.push([name, b.in.toFixed(3), b.out.toFixed(3), ...spans(b.strings)]);
  }
  const one = copies(whole);
  rows.push(['one copy each way', '', '', ...spans(one)]);
  table(['', 'JS calls Lua (µs)', 'Lua calls JS (µs)', '10 MB of ASCII in (ms)', 'out (ms)', '10 MB, not ASCII, in (ms)', 'out (ms)'], rows);
  // (Other text has to be counted before there is room for it, which takes as long as a copy.)
  const [ascii] = found.evermoon.strings;
  return [
    ['JS calls a Lua function (µs)', found.evermoon.in, 0.5],
    ['Lua calls a JS function (µs)', found.evermoon.out, 0.5],
    ['JS calls a Lua function, of wasmoon', found.evermoon.in / found.wasmoon.in, 1],
    ['Lua calls a JS function, of wasmoon', found.evermoon.out / found.wasmoon.out, 1],
    ['10 MB of ASCII in, of one copy', ascii.to / one[0].to, 1.5],
    ['10 MB of ASCII out, of one copy', ascii.from / one[0].from, 1.5],
  ].map(([what, value, limit]) => [what, value.toFixed(3), limit.toFixed(3), value <= limit ? 'yes' : 'NO']);
}

function starts() {
  const best = {};
  for (let i = 0; i < 10; i++) {
    for (const name of ['evermoon', 'wasmoon']) {
      progress(`start ${i + 1} of 10: ${name}`);
      const found = child(here('start.mjs'), text, name);
      best[name] ??= found;
      for (const key of Object.keys(found)) best[name][key] = Math.min(best[name][key], found[key]);
    }
  }
  const row = (name) => {
    const b = best[name];
    const memory = b.bytes === undefined ? ['-', '-'] : [(b.heap / 1024).toFixed(0), (b.bytes / 1024).toFixed(0)];
    return [name, b.first.toFixed(1), b.cpu.toFixed(1), b.next.toFixed(2), b.second.toFixed(2), ...memory];
  };
  table(['', 'first (ms)', 'its CPU time', 'second engine (ms)', 'best of more (ms)', 'heap (KiB)', 'memory an engine (KiB)'], [row('evermoon'), row('wasmoon')]);
  const e = best.evermoon;
  return [
    ['from bytes to the first result (ms)', e.first, 10],
    ['a second engine, warm (ms)', e.second, 0.3],
    ['memory of a further engine (KiB)', e.bytes / 1024, 200],
  ].map(([what, value, limit]) => [what, value.toFixed(2), limit.toFixed(2), value <= limit ? 'yes' : 'NO']);
}

async function sizes() {
  const brotli = (bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length;
  // What is loaded later is not counted: worlds.
  const later = { name: 'later', setup: (b) => b.onResolve({ filter: /./ }, (a) => (a.kind === 'dynamic-import' ? { path: a.path, external: true } : undefined)) };
  const minified = async (entry) => {
    const out = await build({ plugins: [later], entryPoints: [entry], bundle: true, minify: true, format: 'esm', write: false, external: ['node:*', 'module', 'url', 'fs', 'path', 'crypto', 'child_process', 'os', 'tmp', 'readline-sync'], logLevel: 'error' });
    return Buffer.from(out.outputFiles[0].contents);
  };
  const rows = [];
  const add = (what, bytes) => rows.push([what, bytes.length, brotli(bytes)]);
  add('evermoon.wasm', readFileSync(`${plan.package}/dist/evermoon.wasm`));
  add('evermoon-world.wasm', readFileSync(`${plan.package}/dist/evermoon-world.wasm`));
  add('evermoon, JavaScript minified', await minified(`${plan.package}/dist/index.js`));
  add('wasmoon, glue.wasm', readFileSync(here('node_modules/wasmoon/dist/glue.wasm')));
  add('wasmoon, JavaScript minified', await minified(here('node_modules/wasmoon/dist/index.js')));
  add('fengari, JavaScript minified', await minified(here('node_modules/fengari/src/fengari.js')));
  table(['bytes', 'raw', 'brotli'], rows);
  const [module, , script] = rows;
  return [
    ['evermoon.wasm', module[1], plan.limits.raw],
    ['evermoon.wasm, brotli', module[2], plan.limits.brotli],
    ['JavaScript, minified', script[1], plan.limits.script],
  ].map(([what, value, limit]) => [what, value, limit, value <= limit ? 'yes' : 'NO']);
}

const verdicts = [];
console.log(`Node ${process.version}, V8 ${process.versions.v8}; CPU time in user mode, best of ${plan.rounds}\n`);
if (plan.speed) verdicts.push(...(await speed()));
if (plan.border) {
  verdicts.push(...(await borders()));
  verdicts.push(...starts());
  verdicts.push(...(await sizes()));
}
progress('');
table(['wanted at most', 'is', 'limit', 'kept'], verdicts);
for (const note of wrong) console.log(`WRONG: ${note}`);
process.exitCode = wrong.length > 0 || (plan.border && plan.speed && verdicts.some((v) => v[3] !== 'yes')) ? 1 : 0;
