// Where a module's bytes are: node functions.mjs NAMES.wasm [OTHER.wasm] [--rooms] [--top N] [--match REGEX]
//
// NAMES.wasm is a build that kept its names (`WASM_NAMES=1 node optimize.mjs IN OUT`). Prints its largest functions, or sums by module (--rooms);
// with a second module what changed from the first to the second.
import { readFileSync } from 'node:fs';

const options = process.argv.slice(2);
const take = (name, missing) => {
  const at = options.indexOf(name);
  return at < 0 ? missing : options.splice(at, 2)[1];
};
const top = Number(take('--top', 60));
const match = new RegExp(take('--match', ''));
const rooms = options.includes('--rooms');
const files = options.filter((o) => !o.startsWith('--'));

/** The identifiers in a name as Rust mangles it (version 0), in their order: the crate and path first, then what a generic function is made for. */
function plain(name) {
  if (!name.startsWith('_R')) return name;
  const parts = [];
  for (let at = 2; at < name.length; ) {
    const rest = name.slice(at);
    const [, digits, gap] = /^(\d+)(_?)/.exec(rest) ?? [];
    if (digits) {
      const from = at + digits.length + gap.length;
      at = from + Number(digits);
      parts.push(name.slice(from, at));
    } else {
      // Numbers of another kind: what tells two of the same name apart, and references back.
      at += /^[sB][0-9A-Za-z]*_/.exec(rest)?.[0].length ?? 1;
    }
  }
  return parts.join('::').slice(0, 180);
}

/** The size of each function, by name, and of each section. */
function functions(file) {
  const bytes = readFileSync(file);
  let at = 8;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  const sizes = [];
  const names = new Map();
  const sections = new Map();
  while (at < bytes.length) {
    const id = bytes[at++];
    const size = number();
    const end = at + size;
    sections.set(id, (sections.get(id) ?? 0) + size);
    if (id === 2) throw new Error('a module with imports: functions would be numbered otherwise');
    if (id === 10) {
      for (let n = number(); n > 0; n--) {
        const length = number();
        sizes.push(length);
        at += length;
      }
    } else if (id === 0) {
      const length = number();
      const name = bytes.toString('utf8', at, at + length);
      at += length;
      while (name === 'name' && at < end) {
        const kind = bytes[at++];
        const partEnd = number() + at;
        if (kind === 1) {
          for (let n = number(); n > 0; n--) {
            const index = number();
            const length = number();
            names.set(index, plain(bytes.toString('utf8', at, at + length)));
            at += length;
          }
        }
        at = partEnd;
      }
    }
    at = end;
  }
  const all = new Map();
  sizes.forEach((size, i) => {
    const name = names.get(i) ?? `#${i}`;
    const known = all.get(name) ?? { size: 0, count: 0 };
    all.set(name, { size: known.size + size, count: known.count + 1 });
  });
  return { all, code: sections.get(10), data: sections.get(11), count: sizes.length };
}

/** Functions summed by where they are: a crate and two levels of its modules. */
function summed(all) {
  const sums = new Map();
  for (const [name, { size, count }] of all) {
    const room = name.includes('::') ? name.split('::').slice(0, 3).join('::') : 'exports and C names';
    const known = sums.get(room) ?? { size: 0, count: 0 };
    sums.set(room, { size: known.size + size, count: known.count + count });
  }
  return sums;
}

const [first, second] = files.map((file) => {
  const found = functions(file);
  return { ...found, all: rooms ? summed(found.all) : found.all };
});
const print = (rows) => rows.filter(([, , , name]) => match.test(name)).slice(0, top).forEach((row) => console.log(row.slice(0, 3).map((c) => String(c).padStart(7)).join(' '), row[3]));
if (second) {
  console.log(`code ${first.code} to ${second.code}, data ${first.data} to ${second.data}`);
  const rows = [...new Set([...first.all.keys(), ...second.all.keys()])].map((name) => [first.all.get(name)?.size ?? 0, second.all.get(name)?.size ?? 0, name]);
  print(rows.filter(([a, b]) => a !== b).sort((x, y) => Math.abs(y[1] - y[0]) - Math.abs(x[1] - x[0])).map(([a, b, name]) => [a, b, b - a, name]));
} else {
  console.log(`code ${first.code} in ${first.count} functions, data ${first.data}`);
  print([...first.all].sort(([, a], [, b]) => b.size - a.size).map(([name, { size, count }]) => [size, count, `${((size / first.code) * 100).toFixed(1)}%`, name]));
}
