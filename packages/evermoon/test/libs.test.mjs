// os and io as libraries; io.write and warnings without any.
import assert from 'node:assert/strict';
import test from 'node:test';
import { io, os } from '../dist/libs.js';
import { Evermoon as Workers } from '../dist/worker.js';
import { engine, module, sleep } from './helpers.mjs';

test('io.write and io.stdout go where print goes, io.stderr and warnings elsewhere', async () => {
  const errors = [];
  const warnings = [];
  const { lua, lines } = await engine({ onStderr: (l) => errors.push(l), onWarn: (m) => warnings.push(m) });
  assert.deepEqual(lua.runSync('io.write("a", 1, 2.0, "\\n") print("b") io.stdout:write("c"):write("d\\n") return io.write("") == io.stdout'), [true]);
  assert.deepEqual(lines, ['a12', 'b', 'cd']);
  lua.runSync('io.stderr:write("x\\ny")  warn("not yet") warn("@on") warn("one ", "two") setmetatable({}, {__gc = function() error("in gc") end}) collectgarbage()');
  assert.deepEqual(errors, ['x', 'y']);
  assert.equal(warnings.length, 2);
  assert.equal(warnings[0], 'one two');
  assert.match(warnings[1], /error in __gc/);
  assert.throws(() => lua.runSync('io.write({})'), /bad argument #1 to 'write' \(string expected, got table\)/);
  assert.deepEqual(lua.runSync('return io.open, io.read, io.popen, os'), [undefined, undefined, undefined, undefined]);
});

test('os: what looks at the clock', async () => {
  const { lua } = await engine({ libs: [os()] });
  const [time, clock, date] = lua.runSync('return os.time(), os.clock(), os.date("!%Y-%m-%d %H:%M:%S", 86399)');
  assert.ok(Math.abs(time - Date.now() / 1000) < 5);
  assert.equal(typeof clock, 'number');
  assert.equal(date, '1970-01-01 23:59:59');
  assert.deepEqual(lua.runSync('return math.type(os.clock()), math.type(os.time()), os.difftime(5, 3), os.time(os.date("*t", 1700000000))'), ['float', 'integer', 2, 1700000000]);
  assert.deepEqual(lua.runSync('return os.date("!%a %A %b %B %C %d %D %e %F %g %G %h %H %I %j %m %M %p %R %S %T %u %U %V %w %W %y %Y %%", 1704067199)'), [
    'Sun Sunday Dec December 20 31 12/31/23 31 2023-12-31 23 2023 Dec 23 11 365 12 59 PM 23:59 59 23:59:59 7 53 52 0 52 23 2023 %',
  ]);
  const d = lua.runSync('local d = {year = 2024, month = 14, day = -3, hour = 30, min = -5, sec = 100} os.time(d) return d')[0].toJS();
  const js = new Date(2024, 13, -3, 30, -5, 100);
  assert.deepEqual([d.year, d.month, d.day, d.hour, d.min, d.sec], [js.getFullYear(), js.getMonth() + 1, js.getDate(), js.getHours(), js.getMinutes(), js.getSeconds()]);
  for (const [code, message] of [
    ['os.time{}', /main.lua:1: field 'year' missing in date table/],
    ['os.time{year = 2020.5, month = 1, day = 1}', /main.lua:1: field 'year' is not an integer/],
    ['os.date("%Q")', /main.lua:1: bad argument #1 to 'date' \(invalid conversion specifier '%Q'\)/],
    ['os.date("%c", "x")', /main.lua:1: bad argument #2 to 'date' \(number expected, got string\)/],
    ['os.date("*t", 1 << 60)', /main.lua:1: date result cannot be represented/],
  ]) assert.throws(() => lua.runSync(code), message);
  // A loop that waits for the clock ends, also in a run that does not yield.
  lua.runSync('local t = os.clock() while os.clock() - t < 0.02 do end');
  const worker = await Workers.worker({ wasm: module, os: true });
  assert.equal((await worker.run('return os.date("!%Y", 0)'))[0], '1970');
  worker.dispose();
});

test('io.read from an input of ours, also one that must be waited for', async () => {
  const parts = ['first\nsec', 'ond\n12 0x1F ', '-3.5e1 rest', '\nlast'];
  const { lua } = await engine({ libs: [io({ stdin: async () => (await sleep(1), parts.shift()) })] });
  assert.deepEqual(
    await lua.run('local a, b, c = io.read("l"), io.read("L"), {io.read("n", "n", "n")} return a, b, c[1], c[2], c[3], io.read(2), io.read("a"), io.read("l"), io.read("a"), io.read(0)'),
    ['first', 'second\n', 12, 31, -35, ' r', 'est\nlast', undefined, '', undefined],
  );
  const { lua: second } = await engine({ libs: [io({ stdin: () => ['a\nb\n'].splice(0, 1)[0] })] });
  const once = ['x\ny\n'];
  const { lua: third } = await engine({ libs: [io({ stdin: () => once.shift() })] });
  assert.deepEqual(third.runSync('local t = {} for l in io.lines() do t[#t + 1] = l end return table.concat(t, ","), io.type(io.stdin), io.type(io.stdout), io.type(1)'), ['x,y', 'file', 'file', undefined]);
  assert.deepEqual(third.runSync('return io.open("x")'), [undefined, 'x: there are no files here', 38]);
  assert.throws(() => second.runSync('io.read("x")'), /bad argument #1 to 'read' \(invalid format\)/);
});
