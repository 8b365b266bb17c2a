// Worlds of every format that has been, and worlds that the native command has written: they go on here. See tests/worlds/README.md.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { Evermoon } from '../dist/index.js';
import { MemoryStore } from '../dist/stores/index.js';
import { worldModule } from './helpers.mjs';

const folder = new URL('../../../tests/worlds/', import.meta.url);

/** Opens a snapshot; what is printed gathers in `lines`. */
async function opened(snapshot, options) {
  const store = new MemoryStore();
  await Evermoon.import(new Blob([snapshot]), { wasm: worldModule, store });
  const lines = [];
  const world = await Evermoon.open({ wasm: worldModule, store: new MemoryStore(store), onPrint: (line) => lines.push(line), ...options });
  return { world, lines };
}

for (const name of readdirSync(folder).filter((name) => name.endsWith('.snapshot'))) {
  for (const readAtOnce of [undefined, 0]) {
    describe(`${name}, ${readAtOnce === 0 ? 'on demand' : 'read at once'}`, () => {
      test('it goes on with its program, shows all that it holds, is whole and is exported', async () => {
        const { world, lines } = await opened(readFileSync(new URL(name, folder)), readAtOnce === undefined ? {} : { readAtOnce });
        assert.deepEqual((await world.verify()).broken, []);
        await world.run('may_end = true');
        const [program, ...others] = world.pending();
        assert.equal(others.length, 0);
        await program.resume();
        assert.deepEqual(lines.splice(0), ['sum 11100, seen 1000']);
        // What the module has no library for is left out: files, and which functions of `os` and `io` are still the same.
        await world.run(readFileSync(new URL('go_on.lua', folder), 'utf8').replace('io.type(closed_file)', "'closed file'"));
        const expected = new TextDecoder().decode(readFileSync(new URL('went_on.txt', folder))).trimEnd().split('\n');
        const common = (all) => all.filter((line) => !/^(another one|library|file)/.test(line));
        assert.deepEqual(common(lines), common(expected));
        assert.deepEqual((await world.verify()).broken, []);
        const again = await opened(new Uint8Array(await (await world.export()).arrayBuffer()), {});
        assert.deepEqual(await again.world.run('return _home.went_on'), [1]);
        await again.world.close();
        await world.close();
      });
    });
  }
}

// `cargo xtask faults story` gives the snapshot of a world whose program was killed in the middle, and what the program must say.
const { EVERMOON_STORY, EVERMOON_STORY_SAYS } = process.env;
test('a world that was killed natively goes on here', { skip: EVERMOON_STORY ? false : 'cargo xtask faults story runs it' }, async () => {
  const { world } = await opened(readFileSync(EVERMOON_STORY), {});
  const [program] = world.pending();
  assert.ok(program, 'it was in the middle of something');
  await program.resume();
  assert.equal((await world.run('return results[#results]'))[0], EVERMOON_STORY_SAYS);
  await world.close();
});
