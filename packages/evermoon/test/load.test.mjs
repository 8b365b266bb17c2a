// Where the module comes from, and what is wrong when it does not come.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Evermoon, EvermoonLoadError } from '../dist/index.js';
import { MemoryStore } from '../dist/stores/index.js';
import { module, wasmBytes, worldModule } from './helpers.mjs';

const works = async (lua) => assert.deepEqual(await lua.run('return 1 + 1'), [2]);

test('by default, as bytes, module, response, URL', async () => {
  await works(await Evermoon.create());
  await works(await Evermoon.create({ wasm: wasmBytes }));
  await works(await Evermoon.create({ wasm: module }));
  await works(await Evermoon.create({ wasm: new Response(wasmBytes) }));
  await works(await Evermoon.create({ wasm: Promise.resolve(new Response(wasmBytes, { headers: { 'content-type': 'application/wasm' } })) }));
  await works(await Evermoon.create({ wasm: new URL('../dist/evermoon.wasm', import.meta.url) }));
  await works(await Evermoon.create({ wasm: `data:application/wasm;base64,${wasmBytes.toString('base64')}` }));
  await works(Evermoon.createSync({ wasm: wasmBytes }));
  await works(await Evermoon.create({ wasm: await Evermoon.compile(wasmBytes), isolate: true }));
});

test('what is wrong is said', async () => {
  const fails = (wasm, message) =>
    assert.rejects(Evermoon.create({ wasm }), (e) => {
      assert.ok(e instanceof EvermoonLoadError, String(e));
      assert.equal(e.code, 'load');
      assert.match(e.message, message);
      return true;
    });
  await fails(new TextEncoder().encode('<!doctype html><title>x</title>'), /served a page in place of the wasm/);
  await fails('data:text/html,<!doctype html>', /served a page in place of the wasm: data:text/);
  await fails(new Response('not found', { status: 404, statusText: 'Not Found' }), /HTTP 404/);
  await fails(new Uint8Array([1, 2, 3]), /not WebAssembly/);
  await fails(new Uint8Array(0), /not WebAssembly/);
  await fails(wasmBytes.subarray(0, 1000), /damaged or was cut short/);
  await fails(new Response(wasmBytes.subarray(0, 5000), { headers: { 'content-type': 'application/wasm' } }), /damaged or was cut short/);
  await fails(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]), /is not evermoon.wasm/);
  await fails('file:///nowhere/evermoon.wasm', /cannot fetch file:/);
  await fails('http://127.0.0.1:9/evermoon.wasm', /cannot fetch/);
  assert.throws(() => Evermoon.createSync({ wasm: new Uint8Array([1]) }), EvermoonLoadError);
});

/** A world that remembers. */
async function remembers(evermoon, options) {
  const store = new MemoryStore();
  for (const n of [1, 2]) {
    const world = await evermoon.open({ store: new MemoryStore(store), ...options });
    assert.deepEqual(await world.run('n = (n or 0) + 1 return n'), [n]);
    assert.deepEqual(await world.run('return ext.is(_home)'), [true]);
    await world.close();
  }
}

test('worlds have a module of their own, and it can do all that the other can', async () => {
  await remembers(Evermoon);
  await remembers(Evermoon, { wasm: worldModule });
  await remembers(Evermoon, { wasm: await Evermoon.compileWorld() });
  await works(await Evermoon.create({ wasm: worldModule }));
  // Engines of both in one process: neither cache gives the other's module.
  const lua = await Evermoon.create();
  await remembers(Evermoon);
  await works(await Evermoon.create());
  assert.deepEqual(await lua.run('return ext'), [undefined]);
  assert.notEqual(await Evermoon.compile(), await Evermoon.compileWorld());
  const names = async (compiled) => WebAssembly.Module.exports(await compiled).map((e) => e.name);
  assert.ok(!(await names(Evermoon.compile())).includes('em_world_open'));
  assert.ok((await names(Evermoon.compileWorld())).includes('em_world_open'));
});

test('the module without worlds opens none, and says which does', async () => {
  const store = new MemoryStore();
  const told = (e) => e instanceof EvermoonLoadError && e.code === 'load' && /^this is evermoon\.wasm, which has no worlds: give evermoon-world\.wasm/.test(e.message);
  await assert.rejects(Evermoon.open({ wasm: module, store }), told);
  await assert.rejects(Evermoon.import(new Blob([]), { wasm: wasmBytes, store }), told);
  await assert.rejects(Evermoon.compileWorld(wasmBytes), told);
  // What is no module of ours is told as it is by `create`.
  await assert.rejects(Evermoon.open({ wasm: new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]), store: new MemoryStore() }), /is not evermoon\.wasm or evermoon-world\.wasm/);
  await assert.rejects(Evermoon.open({ wasm: 'data:text/html,<evermoon-world.wasm>' }), /Copy evermoon-world\.wasm .* or import 'evermoon\/inline-world'/);
  // The store was not touched.
  await remembers({ open: (options) => Evermoon.open({ ...options, wasm: worldModule }) });
  const world = await Evermoon.open({ wasm: worldModule, store });
  assert.equal(world.existed, false);
  await world.close();
});

test('the inline entry fetches nothing', async () => {
  const { Evermoon: Inline, LuaTable } = await import('../dist/inline.js');
  const { LuaTable: Same } = await import('../dist/index.js');
  assert.equal(LuaTable, Same);
  await works(Inline.createSync());
  await works(await Inline.create());
  const told = (e) => e instanceof EvermoonLoadError && /import 'evermoon\/inline-world', or give evermoon-world\.wasm/.test(e.message);
  await assert.rejects(Inline.open({ store: 'memory' }), told);
  await assert.rejects(Inline.import(new Blob([]), { store: 'memory' }), told);
  await remembers(Inline, { wasm: worldModule });
});

test('nor does the one with worlds', async () => {
  const { Evermoon: Inline, LuaTable } = await import('../dist/inline-world.js');
  const { LuaTable: Same } = await import('../dist/index.js');
  assert.equal(LuaTable, Same);
  await works(Inline.createSync());
  await works(await Inline.create());
  await remembers(Inline);
  await remembers(Inline, { wasm: await Inline.compileWorld() });
});
