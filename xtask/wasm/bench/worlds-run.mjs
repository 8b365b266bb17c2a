// What is measured of worlds, the same in a page and in Node: `lib` is the package with its stores, `open()` gives the store of one world.
// Objects of about 100 bytes in parts of 1,000, as in `crates/evermoon-store/examples/world_bench.rs`, or of about 1 KB.

const PART = 1000;
const OBJECTS = {
  small: `{ id = i + base, name = 'object ' .. i, on = true, text = ('x'):rep(30) }`,
  // Short strings of its own, so that nothing is stored once for all.
  large: `{ id = i + base, name = 'object ' .. i, lines = fields(i + base) }`,
};
const PRELUDE = `
all = {}
function fields(n)
  local t = {}
  for i = 1, 22 do t[i] = string.format('%08x line %d of the text of %d', n * 2654435761 % 4294967296, i, n) end
  return t
end
n = 1
function change() local t = all[#all // 2 + 1] t[7].id = n n = n + 1 end`;

const percentile = (times, q) => times.sort((a, b) => a - b)[Math.floor(q * times.length)];

export async function fill(lib, wasm, open, kind, megabytes) {
  const world = await lib.Evermoon.open({ wasm, store: await open() });
  await world.run(PRELUDE);
  const start = performance.now();
  let payload = 0;
  world.onCommit(({ bytes }) => (payload += bytes));
  for (let base = 0; payload < megabytes << 20; base += PART) {
    await world.run(`local base = ... local t = {} for i = 1, ${PART} do t[i] = ${OBJECTS[kind]} end all[#all + 1] = t`, { args: [base] });
  }
  const seconds = (performance.now() - start) / 1000;
  const { entries } = (await world.stats()).store;
  await world.close();
  return { seconds, payload, entries };
}

export async function commits(lib, wasm, open) {
  const world = await lib.Evermoon.open({ wasm, store: await open() });
  const { version } = world;
  let bytes = 0;
  const times = [];
  for (let i = 0; i < 200; i++) {
    // A run is a commit; what is timed is the commit alone, as the program's end sees it.
    const off = world.onCommit((commit) => {
      times.push(commit.ms);
      bytes = commit.bytes;
    });
    await world.run('change()');
    off();
  }
  if (world.version !== version + 200) throw new Error('not every change was a commit');
  await world.close();
  return { p50: percentile(times, 0.5), p99: percentile(times, 0.99), bytes };
}

export async function opening(lib, wasm, open) {
  const start = performance.now();
  const world = await lib.Evermoon.open({ wasm, store: await open() });
  const [parts] = await world.run('return #all');
  const ms = performance.now() - start;
  await world.close();
  if (!(parts > 0)) throw new Error('the world is empty');
  return ms;
}

/** Megabytes of payload a second, by a clock in milliseconds. */
export async function transfer(lib, wasm, open, target, clock = () => performance.now()) {
  const world = await lib.Evermoon.open({ wasm, store: await open() });
  let payload = 0;
  let start = clock();
  const blob = await world.export({ onProgress: (progress) => (payload = progress.payload) });
  const out = clock() - start;
  await world.close();
  start = clock();
  const store = await target();
  await lib.Evermoon.import(blob, { wasm, store });
  const into = clock() - start;
  await store.close();
  return { payload, size: blob.size, export: payload / 1000 / out, import: payload / 1000 / into };
}
