// Worlds: what Lua can reach outlives the engine. Over every store, and over worlds that are read at once and on demand.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { IDBFactory, IDBKeyRange } from 'fake-indexeddb';
import { Evermoon, EvermoonError, LuaError } from '../dist/index.js';
import { FileStore } from '../dist/stores/node.js';
import { IndexedDBStore, MemoryStore, WorldBusyError, WorldError } from '../dist/stores/index.js';
import { sleep, worldModule } from './helpers.mjs';

const folder = mkdtempSync(join(tmpdir(), 'evermoon-world-'));
after(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
/** Each gives a function that opens one store again and again. */
const stores = {
  memory() {
    const first = new MemoryStore();
    return async () => new MemoryStore(first);
  },
  file() {
    const path = join(folder, `${++files}.world`);
    return () => FileStore.open(path);
  },
  indexeddb() {
    const options = { indexedDB: new IDBFactory(), IDBKeyRange, locks: null, storage: null };
    return () => IndexedDBStore.open('test', options);
  },
};

/** All that an asynchronous iterator gives. (`Array.fromAsync` is younger than our oldest Node.) */
async function all(rows) {
  const found = [];
  for await (const row of rows) found.push(row);
  return found;
}

/** `again()` closes the world and opens it anew. */
async function worlds(kind, options = {}) {
  const store = stores[kind]();
  let world;
  const again = async (more = {}) => {
    await world?.close();
    world = await Evermoon.open({ wasm: worldModule, store: await store(), onPrint: () => {}, ...options, ...more });
    return world;
  };
  return { again, store, open: again };
}

for (const kind of Object.keys(stores)) {
  for (const readAtOnce of [undefined, 0]) {
    const options = readAtOnce === undefined ? {} : { readAtOnce };
    describe(`${kind}, ${readAtOnce === 0 ? 'on demand' : 'read at once'}`, () => {
      test('variables, closures with shared upvalues and a suspended coroutine survive', async () => {
        const { again } = await worlds(kind, options);
        let world = await again();
        assert.equal(world.existed, false);
        await world.run(`
          t = { 1, 2.5, "three", nested = { deep = true }, [1.5] = "float key" }
          t.self = t
          local n = 0
          function up() n = n + 1 return n end
          function down() n = n - 1 return n end
          co = coroutine.create(function(a)
            for i = 1, 10 do a = a + coroutine.yield(a) end
            return "end", a
          end)
          coroutine.resume(co, 1)
          setmetatable(t, { __index = function(_, k) return "no " .. k end, __name = "T" })
          long = string.rep("x", 5000)
          up() up() up()`);
        world = await again();
        assert.equal(world.existed, true);
        assert.deepEqual(await world.run('return up(), down(), down(), #long, t.self == t, t.nested.deep, t[1.5], t.missing'), [4, 3, 2, 5000, true, true, 'float key', 'no missing']);
        assert.deepEqual(await world.run('return coroutine.resume(co, 10)'), [true, 11]);
        world = await again();
        assert.deepEqual(await world.run('return up(), select(2, coroutine.resume(co, 5))'), [3, 16]);
        assert.deepEqual(await world.call('up'), [4]);
        await world.close();
      });

      test('a program that awaits a function of the host\'s goes on after opening again', async () => {
        const { again } = await worlds(kind, options);
        let world = await again({ define: { wait: () => new Promise(() => {}) } });
        const stopped = assert.rejects(world.run('count = 1 local ok, v = pcall(wait, "question") count = count + v return count'));
        await sleep(10);
        await world.commit();
        const { version } = world;
        world = await again({ define: { wait: async (what) => (what === 'question' ? 41 : 0) } });
        await stopped;
        assert.equal(world.version, version);
        const programs = world.pending();
        assert.deepEqual(programs.map(({ waitsFor }) => waitsFor), ['wait']);
        assert.deepEqual(await programs[0].resume(), [42]);
        await assert.rejects(programs[0].resume(), EvermoonError);
        world = await again();
        assert.deepEqual([world.pending(), world.get('count')], [[], 42]);
        await world.close();
      });

      test('a failed run leaves the world as it was; keep keeps', async () => {
        const { again } = await worlds(kind, options);
        let world = await again();
        await world.run('a = 1  t = { x = 1 }  function f() return a end');
        const { version } = world;
        await assert.rejects(world.run('a = 2  t.x = 2  t.y = {}  new = true  function f() end  error("no")'), LuaError);
        assert.equal(world.version, version);
        assert.deepEqual(await world.run('return a, t.x, t.y, new, f()'), [1, 1, undefined, undefined, 1]);
        world = await again({ onError: 'keep' });
        await assert.rejects(world.run('a = 3 error("no")'), /no/);
        world = await again();
        assert.deepEqual(await world.run('return a'), [3]);
        await world.close();
      });

      test('a large table, and values across many commits', async () => {
        const { again } = await worlds(kind, options);
        let world = await again();
        await world.run('big = {} for i = 1, 20000 do big[i] = { id = i, name = "n" .. i } end');
        for (let i = 1; i <= 5; i++) await world.run(`big[${i * 1000}].name = "changed" .. ${i}`);
        world = await again();
        assert.deepEqual(await world.run('local n = 0 for _, r in ipairs(big) do n = n + r.id end return n, big[3000].name, #big'), [200010000, 'changed3', 20000]);
        await world.close();
      });

      test('external tables: rows in the store, in the order of their keys', async () => {
        const { again } = await worlds(kind, options);
        let world = await again();
        await world.run(`
          assert(_home == Memory and ext.is(_home))
          users = ext.table()
          for i = 1, 3000 do users[i] = { n = i, name = "user " .. i } end
          _home.users, _home.here, _home[1.5] = users, "text", true`);
        await world.run('users[10].name = "changed"  users[11] = nil  _home.long = string.rep("y", 20000)');
        const look = `
          local keys, sum = {}, 0
          for k in pairs(_home) do keys[#keys + 1] = tostring(k) end
          for k, u in pairs(users) do sum = sum + u.n end
          local last = {}
          for k, u in ext.range(users, nil, 100, { reverse = true, limit = 3 }) do last[#last + 1] = u.n end
          return table.concat(keys, " "), sum, #users, ext.count(users, 5, 20), users[10].name, users[11], table.concat(last, " "), #_home.long, rawequal(_home.users, users)`;
        const expected = ['1.5 here long users', 4501500 - 11, 3000, 15, 'changed', undefined, '100 99 98', 20000, true];
        assert.deepEqual(await world.run(look), expected);
        world = await again();
        assert.deepEqual(await world.run(look), expected);
        // From JavaScript.
        assert.equal(await world.row(world.home, 'here'), 'text');
        assert.deepEqual(await all(world.rows(world.home, { to: 'i' })), [[1.5, true], ['here', 'text']]);
        const users = await world.row(world.home, 'users');
        let count = 0;
        for await (const [key, user] of world.rows(users, { from: 12, limit: 200 })) {
          assert.equal(key, 12 + count++);
          user.dispose();
        }
        assert.equal(count, 200);
        assert.equal((await all(world.rows(users, { reverse: true, limit: 1 })))[0][0], 3000);
        world.home.set('fromJs', { deep: [1, 2] });
        await world.settled();
        world = await again();
        assert.deepEqual(await world.run('return _home.fromJs.deep[2]'), [2]);
        if (kind !== 'indexeddb') {
          assert.equal(world.home.get('here'), 'text');
          assert.deepEqual([...world.home.keys()], [1.5, 'fromJs', 'here', 'long', 'users']);
          assert.deepEqual(world.home.get('fromJs').toJS(), { deep: [1, 2] });
        } else {
          assert.throws(() => [...world.home.keys()], /world.rows/);
          assert.throws(() => world.home.get('long'), /run\(\)/);
        }
        // Nothing of what asks is taken for a program of the world's.
        assert.deepEqual(world.pending(), []);
        // A failed run, clearing, rows while a loop runs.
        await assert.rejects(world.run('users[1] = nil ext.clear(_home) error("no")'));
        assert.deepEqual(await world.run('return users[1].n, _home.here'), [1, 'text']);
        await world.run('for k, u in pairs(users) do if u.n % 3 > 0 then users[k] = nil end end');
        await world.run('ext.clear(_home) _home.after = 1');
        const blob = await world.export();
        const { broken } = await world.verify();
        assert.deepEqual(broken, []);
        await world.vacuum();
        world = await again();
        assert.deepEqual(await world.run('local n = 0 for _ in pairs(users) do n = n + 1 end return n, next(_home)'), [1000, 'after', 1]);
        const target = stores[kind]();
        const into = await target();
        await Evermoon.import(blob, { wasm: worldModule, store: into });
        await into.close();
        const second = await Evermoon.open({ wasm: worldModule, store: await target(), ...options });
        assert.deepEqual(await second.run('return ext.count(users), users[3].n, _home.after, #users'), [1000, 3, 1, 3000]);
        assert.deepEqual(Buffer.from(await (await second.export()).arrayBuffer()), Buffer.from(await blob.arrayBuffer()));
        // What host and program hand each other is not stored.
        second.set('_io.input', 'question');
        await second.run('_io.output = _io.input .. "!"');
        assert.equal(second.get('_io.output'), 'question!');
        await second.close();
        await world.close();
      });

      test('export and import: a world goes on elsewhere, and equal worlds give equal bytes', async () => {
        const { again } = await worlds(kind, options);
        let world = await again();
        await world.run('n = 0 function count() n = n + 1 return n end co = coroutine.wrap(function() while true do coroutine.yield(count()) end end) co()');
        const blob = await world.export();
        const target = stores[kind]();
        const into = await target();
        await Evermoon.import(blob, { wasm: worldModule, store: into });
        await assert.rejects(Evermoon.import(blob, { wasm: worldModule, store: into }), WorldError, 'it holds a world by now');
        await into.close();
        const second = await Evermoon.open({ wasm: worldModule, store: await target(), ...options });
        assert.deepEqual(Buffer.from(await (await second.export()).arrayBuffer()), Buffer.from(await blob.arrayBuffer()));
        assert.deepEqual(await second.run('return co(), count()'), [2, 3]);
        assert.deepEqual(await world.run('return count()'), [2]);
        const report = await second.verify();
        assert.deepEqual([report.broken, report.damage], [[], []]);
        assert.ok(report.objects > 20);
        await world.close();
        await second.close();
      });
    });
  }
}

test('world.commit() from Lua; its version; a failure after it goes back to it', async () => {
  const { again } = await worlds('memory');
  let world = await again();
  const [version] = await world.run('a = 1 local v = world.commit() a = 2 return v');
  assert.equal(version, world.version - 1);
  await assert.rejects(world.run('a = 3 world.commit() a = 4 error("late")'), /late/);
  assert.deepEqual(world.get('a'), 3);
  assert.deepEqual(world.pending(), []);
  world = await again();
  assert.deepEqual(world.get('a'), 3);
});

test('commits are told of when the store has them, with their sizes', async () => {
  const store = new MemoryStore();
  const told = [];
  const world = await Evermoon.open({ wasm: worldModule, store, onCommit: (commit) => told.push(commit) });
  await world.run('x = 1');
  assert.equal((await store.head()).version, told.at(-1).version);
  assert.ok(told.at(-1).bytes > 0 && told.at(-1).objects >= 1 && told.at(-1).ms >= 0);
  assert.equal(world.commits[0], told.at(-1));
  const before = world.version;
  const reads = told.length;
  await world.run('return x');
  assert.ok(told.length <= reads + 1);
  assert.ok(world.version <= before + 1 && told.at(-1).bytes < 1024, 'what changes nothing writes at most the meta record');
  const real = store.commit.bind(store);
  store.commit = async () => { throw new Error('disk on fire'); };
  await assert.rejects(world.run('x = 2'), /disk on fire/);
  assert.equal(told.at(-1).version, world.version);
  store.commit = real;
  await world.commit();
  const other = await Evermoon.open({ wasm: worldModule, store: new MemoryStore(store) });
  assert.equal(other.get('x'), 2);
});

test('what cannot be stored is an error with its path, and the world is whole', async () => {
  const { again } = await worlds('memory');
  let world = await again();
  await world.run('users = { {}, {} }');
  world.define('socket', () => new (class Socket {})());
  await assert.rejects(world.run('users[2].socket = socket()'), (error) => error instanceof WorldError && error.path === 'users[2].socket');
  assert.deepEqual(await world.run('return users[2].socket'), [undefined]);
  // One that is not kept is no concern of the world's.
  await world.run('local s = socket() collectgarbage() done = true');
  assert.equal((await again()).get('done'), true);
});

test('functions by name: kept in records, given anew, missing ones say so', async () => {
  const { again } = await worlds('memory');
  let world = await again({ define: { f: () => 1 } });
  await world.run('g = { f }  h = function() return f() end');
  world = await again();
  await assert.rejects(world.run('return h()'), /'f' of this world is not provided/);
  world.define('f', () => 2);
  assert.deepEqual(await world.run('return h(), g[1](), g[1] == f'), [2, 2, true]);
  world.define('f', () => 3);
  assert.deepEqual(await world.run('return h(), g[1]()'), [3, 3]);
});

test('require through the host, also after opening again', async () => {
  const { again } = await worlds('memory');
  const modules = { a: 'return { v = 1 }', b: 'return { v = 2 }' };
  let world = await again({ modules });
  assert.deepEqual(await world.run('return require("a").v'), [1]);
  world = await again({ modules });
  assert.deepEqual(await world.run('return require("a").v, require("b").v'), [1, 2]);
});

test('runSync, set and get; several commits become few', async () => {
  const { again } = await worlds('memory');
  let world = await again();
  assert.deepEqual(world.runSync('x = 1 return x'), [1]);
  await world.settled();
  assert.throws(() => world.runSync('x = 2 error("no")'), /no/);
  assert.equal(world.get('x'), 1);
  world.set('y', { list: [1, 2] });
  world = await again();
  assert.deepEqual(world.get('y').toJS(), { list: [1, 2] });
});

test('a second writer fences the first off, or is told that the world is busy', async () => {
  const first = new MemoryStore();
  let lost;
  const one = await Evermoon.open({ wasm: worldModule, store: first, onLost: (reason) => (lost = reason) });
  const two = await Evermoon.open({ wasm: worldModule, store: new MemoryStore(first) });
  await assert.rejects(one.run('x = 1'), { code: 'fenced' });
  await sleep(1);
  assert.ok(lost);
  await two.run('x = 2');
  const path = join(folder, 'busy.world');
  const file = await Evermoon.open({ wasm: worldModule, store: { file: path } });
  await assert.rejects(Evermoon.open({ wasm: worldModule, store: { file: path } }), WorldBusyError);
  await file.close();
});

test('checkpoints keep a long program; vacuum removes what nothing leads to', async () => {
  const store = new MemoryStore();
  const world = await Evermoon.open({ wasm: worldModule, store, checkpointEvery: 5 });
  const run = assert.rejects(world.run('n = 0 while true do n = n + 1 end', { timeout: 400 }), /timeout/);
  await sleep(300);
  const { version } = await store.head();
  assert.ok(version > 2, `version ${version}`);
  const copy = new MemoryStore();
  const batch = (await store.scan()).map(([key, value]) => ({ kind: 'put', key, value }));
  await copy.commit(0, await copy.lease(), batch);
  await run;
  const other = await Evermoon.open({ wasm: worldModule, store: copy });
  const [program] = other.pending();
  assert.equal(program.waitsFor, undefined);
  const n = other.get('n');
  await assert.rejects(program.resume({ timeout: 50 }), /timeout/);
  assert.equal(other.get('n'), n, 'a failed run is undone');
  await other.run('garbage = {} for i = 1, 1000 do garbage[i] = { i } end');
  await other.run('garbage = nil');
  const { entries } = await copy.stats();
  const removed = await other.vacuum();
  assert.ok(removed.entries >= 1000 && (await copy.stats()).entries === entries - removed.entries, `${removed.entries} of ${entries}`);
  const report = await other.verify();
  assert.deepEqual(report.broken, []);
  assert.equal(other.get('n'), n);
});

test('figures', async () => {
  const { again } = await worlds('memory', { readAtOnce: 0 });
  let world = await again();
  await world.run('a = {} for i = 1, 100 do a[i] = { i } end');
  world = await again();
  const stats = await world.stats();
  assert.ok(stats.objects > 100 && stats.hollow > 0 && stats.store.entries > 100);
  assert.equal((await world.persistence()).kind, 'memory');
});
