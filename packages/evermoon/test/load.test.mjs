// Where the module comes from, and what is wrong when it does not come.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Evermoon, EvermoonLoadError } from '../dist/index.js';
import { module, wasmBytes } from './helpers.mjs';

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

test('the inline entry fetches nothing', async () => {
  const { Evermoon: Inline, LuaTable } = await import('../dist/inline.js');
  const { LuaTable: Same } = await import('../dist/index.js');
  assert.equal(LuaTable, Same);
  await works(Inline.createSync());
  await works(await Inline.create());
});
