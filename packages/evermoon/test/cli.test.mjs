// The command, as a child process.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';

const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'evermoon-'));
after(() => rmSync(folder, { recursive: true }));
const file = (name, text) => (writeFileSync(join(folder, name), text), name);

function run(args, input = '', env = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], { input, cwd: folder, encoding: 'utf8', maxBuffer: 1 << 24, env: { ...process.env, LUA_INIT: '', ...env } });
  return { status, stdout, stderr };
}

test('a file, its arguments, arg, a first line for the shell', () => {
  const script = file('args.lua', '#!/usr/bin/env evermoon\nprint((...), #arg, arg[0], arg[1], arg[-1] ~= nil)\nprint(debug.getinfo(1, "l").currentline)');
  assert.deepEqual(run([script, 'a', '-b']), { status: 0, stdout: 'a\t2\targs.lua\ta\ttrue\n3\n', stderr: '' });
});

test('-e, -l, --, -, the standard input as the script', () => {
  file('mod.lua', 'return {v = ...}');
  assert.equal(run(['-e', 'x = 1', '-e', 'print(x)']).stdout, '1\n');
  assert.equal(run(['-l', 'mod', '-l', 'm=mod', '-e', 'print(mod.v, m == mod)']).stdout, 'mod\ttrue\n');
  assert.equal(run(['-', 'a'], 'print(...)').stdout, 'a\n');
  assert.equal(run([], 'print(1)').stdout, '1\n');
  assert.equal(run(['--', file('plain.lua', 'print(dofile("mod.lua") ~= nil, loadfile("nope.lua"))')]).stdout, 'true\tnil\tcannot open nope.lua\n');
});

test('errors: message and traceback on stderr, exit code 1', () => {
  const { status, stdout, stderr } = run([file('bad.lua', 'print("out")\nlocal function f() error("boom") end\nf()')]);
  assert.equal(status, 1);
  assert.equal(stdout, 'out\n');
  assert.match(stderr, /^evermoon: bad.lua:2: boom\nstack traceback:\n/);
  assert.match(stderr, /bad.lua:3: in main chunk/);
  assert.match(run(['-e', 'x =']).stderr, /^evermoon: \(command line\):1: unexpected symbol near <eof>/);
  assert.match(run(['nowhere.lua']).stderr, /^evermoon: cannot open nowhere.lua/);
  const usage = run(['-x']);
  assert.equal(usage.status, 1);
  assert.match(usage.stderr, /unrecognized option '-x'\nusage:/);
});

test('exit codes, environment, standard streams', () => {
  assert.equal(run(['-e', 'io.write("kept") pcall(os.exit, 7)']).status, 7);
  assert.equal(run(['-e', 'os.exit(false)']).status, 1);
  assert.equal(run(['-e', 'io.write("x") os.exit(true)']).stdout, 'x');
  assert.equal(run(['-e', 'print(os.getenv("EM_TEST"), type(os.getenv("EM_NOTHING")))'], '', { EM_TEST: 'ü' }).stdout, 'ü\tnil\n');
  assert.equal(run(['-e', 'print(io.read("n", "l", "a"))'], '42 x\nrest\nof it').stdout, '42\t x\trest\nof it\n');
  assert.equal(run(['-W', '-e', 'warn("careful") io.stderr:write("e\\n")']).stderr, 'Lua warning: careful\ne\n');
  assert.equal(run(['-e', 'print(x)'], '', { LUA_INIT: 'x = 5' }).stdout, '5\n');
  assert.equal(run(['-E', '-e', 'print(x)'], '', { LUA_INIT: 'x = 5' }).stdout, 'nil\n');
  assert.match(run(['-v']).stdout, /^Evermoon \d+\.\d+\.\d+ \(Lua 5\.4\)\n$/);
  assert.match(run(['--help']).stdout, /^usage: evermoon/);
  assert.ok(run(['-e', 'for i = 1, 30000 do print(("x"):rep(50)) end']).stdout.length === 30000 * 51);
});

test('files', () => {
  const code = `
    local f = assert(io.open('data.txt', 'w')) f:write('one\\n', 2, '\\n\\xff') f:close()
    for l in io.lines('data.txt') do io.write('[', #l, ']') end
    local f <close> = io.open('data.txt', 'rb') print(f:seek('end'), f:seek('set', 4), f:read('n'))
    print(io.open('nope')) print(pcall(io.lines, 'nope'))
    print(os.rename('data.txt', 'moved.txt'), os.remove('moved.txt'), os.remove('moved.txt'))`;
  assert.equal(
    run(['-e', code]).stdout,
    '[3][1][1]7\t4\t2\nnil\tnope: No such file or directory\t2\nfalse\tnope: No such file or directory\ntrue\ttrue\tnil\tmoved.txt: No such file or directory\t2\n',
  );
});

test('--fuel and --memory', () => {
  assert.match(run(['--fuel', '10k', '-e', 'while true do end']).stderr, /^evermoon: out of fuel/);
  assert.match(run(['--memory=4M', '-e', 'local t = {} while true do t[#t + 1] = ("x"):rep(1000) .. #t end']).stderr, /not enough memory/);
  assert.match(run(['--fuel', 'x']).stderr, /'--fuel' needs a number/);
});

test('the prompt: expressions print, chunks go on, errors do not end it, io.read reads the next line', () => {
  const { status, stdout, stderr } = run(['-i'], '1 + 1, "x"\nfor i = 1, 2 do\nprint(i)\nend\nl = io.read()\na line\nl\nerror("e")\n=\nreturn 5\n');
  assert.equal(status, 0);
  for (const expected of ['2\tx\n', '1\n2\n', 'a line\n', '5\n']) assert.ok(stdout.includes(expected), `${expected} in ${stdout}`);
  assert.match(stderr, /evermoon: stdin:1: e\n/);
});
