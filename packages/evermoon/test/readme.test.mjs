// The README's examples run, and print what their comments say.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'evermoon-readme-'));
mkdirSync(join(folder, 'node_modules'));
symlinkSync(root, join(folder, 'node_modules/evermoon'));
after(() => rmSync(folder, { recursive: true }));

const examples = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/```js\n([^]*?)```/g)].map((m) => m[1]);
assert.ok(examples.length >= 5);

examples.forEach((code, i) => {
  test(`example ${i + 1}`, () => {
    const file = join(folder, `example${i}.mjs`);
    writeFileSync(file, code);
    const printed = execFileSync(process.execPath, [file], { encoding: 'utf8' }).trim().split('\n');
    // What a line prints stands behind it.
    const expected = code.split('\n').filter((line) => /console\.log\(|lua\.run\('print/.test(line) && / \/\/ /.test(line) && !/onPrint/.test(line)).map((line) => line.split(' // ').at(-1));
    assert.ok(expected.length > 0);
    assert.deepEqual(printed.map((line) => line.replace('\t', ' ')), expected);
  });
});

test('the README names every entry and every error', () => {
  const text = readFileSync(join(root, 'README.md'), 'utf8');
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const entry of Object.keys(exports)) if (entry !== './package.json') assert.ok(text.includes(`\`${entry.replace('.', 'evermoon')}\``), entry);
  for (const [, name] of readFileSync(join(root, 'src/errors.ts'), 'utf8').matchAll(/export class (\w+)/g)) assert.ok(text.includes(`\`${name}\``), name);
});
