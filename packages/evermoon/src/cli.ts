#!/usr/bin/env node
/** The command `evermoon`: runs a file, a line, or a prompt, in Node. The program's output on stdout, ours on stderr; flags mean what they mean for `lua`. */
import fs from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { EvermoonError, LuaError, LuaSyntaxError } from './errors.js';
import { Evermoon } from './evermoon.js';
import { Handle, type LuaFunction } from './handles.js';
import { io, os } from './libs.js';
import loadSource from './lua/load.lua';
import { files, system } from './node-files.js';

const HELP = `usage: evermoon [options] [script [args]]
  -e code        run the code
  -l name        name = require 'name' (or -l global=name)
  -i             prompt after the script
  -v             print the version
  -E             ignore LUA_INIT and LUA_PATH
  -W             warnings on
  --fuel N       stop after N units of work (calls and loop rounds)
  --memory SIZE  cap of the heap in bytes; k, M, G are understood
  --help         print this
  --             end of the options
  -              run the standard input
Without a script: a prompt if the standard input is a terminal, else the standard input is run.
Exit codes: 0, 1 for an error, what os.exit says.`;

type Step = { kind: 'code' | 'library'; text: string };

interface Settings {
  steps: Step[];
  script: string | undefined;
  /** Where the script stands among the words. */
  scriptAt: number;
  interactive: boolean;
  version: boolean;
  help: boolean;
  environment: boolean;
  warnings: boolean;
  fuel: number | undefined;
  memory: number | undefined;
}

class Usage extends Error {}

const UNITS: Record<string, number> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

function amount(name: string, word: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)([kmg]?)(?:i?b)?$/i.exec(word) ?? [];
  if (number === undefined) throw new Usage(`'${name}' needs a number, not '${word}'`);
  return Math.floor(Number(number) * UNITS[unit!.toLowerCase()]!);
}

function parse(words: readonly string[]): Settings {
  const settings: Settings = {
    steps: [], script: undefined, scriptAt: words.length, interactive: false, version: false, help: false, environment: true, warnings: false,
    fuel: undefined, memory: undefined,
  };
  let i = 0;
  for (; i < words.length; i++) {
    const word = words[i]!;
    const value = (): string => {
      const given = words[++i];
      if (given === undefined) throw new Usage(`'${word}' needs an argument`);
      return given;
    };
    if (word === '-' || !word.startsWith('-')) break;
    if (word === '--') {
      i++;
      break;
    }
    const [name, attached] = word.startsWith('--') ? splitAt(word, '=') : [word.slice(0, 2), word.slice(2)];
    const argument = () => (attached === undefined || attached === '' ? value() : attached);
    const flag = (then: () => void) => {
      if (attached) throw new Usage(`unrecognized option '${word}'`);
      then();
    };
    switch (name) {
      case '-e':
        settings.steps.push({ kind: 'code', text: argument() });
        break;
      case '-l':
        settings.steps.push({ kind: 'library', text: argument() });
        break;
      case '-i':
        flag(() => (settings.interactive = settings.version = true));
        break;
      case '-v':
        flag(() => (settings.version = true));
        break;
      case '-E':
        flag(() => (settings.environment = false));
        break;
      case '-W':
        flag(() => (settings.warnings = true));
        break;
      case '--fuel':
        settings.fuel = amount(name, argument());
        break;
      case '--memory':
        settings.memory = amount(name, argument());
        break;
      case '--help':
      case '-h':
        settings.help = true;
        break;
      case '--version':
        settings.version = true;
        break;
      default:
        throw new Usage(`unrecognized option '${word}'`);
    }
  }
  if (i < words.length) {
    settings.script = words[i];
    settings.scriptAt = i;
  }
  return settings;
}

function splitAt(word: string, mark: string): [string, string | undefined] {
  const at = word.indexOf(mark);
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}

/** Writes all of it, also to a pipe that is full for now. */
function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += fs.writeSync(fd, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EPIPE') process.exit(1);
      if (code !== 'EAGAIN') throw error;
      pause();
    }
  }
}

const pause = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
const complain = (text: string) => writeAll(2, new TextEncoder().encode(`${text}\n`));

/** A block of the standard input, `undefined` at its end. */
function readInput(): Uint8Array | undefined {
  const block = new Uint8Array(65536);
  for (;;) {
    try {
      const n = fs.readSync(0, block);
      return n === 0 ? undefined : block.subarray(0, n);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EOF') return undefined;
      if (code !== 'EAGAIN') throw error;
      pause();
    }
  }
}

function readSource(path: string): Uint8Array | undefined {
  try {
    return fs.readFileSync(path);
  } catch {
    return undefined;
  }
}

/** The source without a first line that is for the shell. The line's end stays, so that lines keep their numbers. */
function withoutShebang(source: Uint8Array): Uint8Array {
  if (source[0] !== 0x23) return source;
  const end = source.indexOf(10);
  return end < 0 ? new Uint8Array() : source.subarray(end);
}

function report(error: unknown): void {
  if (error instanceof LuaError) complain(`evermoon: ${error.message}${error.traceback === '' ? '' : `\n${error.traceback}`}`);
  else if (error instanceof EvermoonError) complain(`evermoon: ${error.message}`);
  else {
    const { luaTraceback } = error as { luaTraceback?: string };
    complain(`evermoon: ${String(error)}${luaTraceback === undefined ? '' : `\n${luaTraceback}`}`);
  }
}

class Session {
  readonly #settings: Settings;
  #lua!: Evermoon;
  /** While the prompt is there it has the standard input. */
  prompt: Prompt | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  get lua(): Evermoon {
    return this.#lua;
  }

  async open(words: readonly string[]): Promise<void> {
    const { fuel, memory, environment, warnings, script, scriptAt } = this.#settings;
    const cpu = () => {
      const { user, system: kernel } = process.cpuUsage();
      return (user + kernel) / 1e6;
    };
    const load = (lua: Evermoon) => void lua.runSync(loadSource, { name: '=load', args: [(path?: string) => source(path)] });
    const source = (path?: string) => {
      const found = path === undefined ? fs.readFileSync(0) : readSource(path);
      return found && withoutShebang(found);
    };
    this.#lua = await Evermoon.create({
      onOutput: (bytes) => writeAll(1, bytes),
      onWarn: (message) => complain(`Lua warning: ${message}`),
      onStderr: complain,
      libs: [os({ clock: cpu }), io({ stdin: () => (this.prompt ? this.prompt.line() : readInput()), files }), system((code) => process.exit(code)), load],
      ...(fuel !== undefined && { fuel }),
      ...(memory !== undefined && { memoryMax: memory }),
    });
    const path = environment ? (process.env['LUA_PATH_5_4'] ?? process.env['LUA_PATH']) : undefined;
    if (path !== undefined) this.#lua.set('package.path', path.replace(';;', `;${this.#lua.get<string>('package.path')};`).replace(/^;|;$/g, ''));
    if (warnings) this.#lua.runSync('warn("@on")');
    const name = process.argv[1] ?? 'evermoon';
    const all = [name, ...words];
    const first = script === undefined ? 0 : scriptAt + 1;
    this.#lua.set('arg', new Map(all.map((word, i) => [i - first, word])));
    const init = environment ? (process.env['LUA_INIT_5_4'] ?? process.env['LUA_INIT']) : undefined;
    if (init?.startsWith('@')) await this.file(init.slice(1), []);
    else if (init !== undefined) await this.#lua.run(init, { name: '=LUA_INIT' });
  }

  async step({ kind, text }: Step): Promise<void> {
    if (kind === 'code') await this.#lua.run(text, { name: '=(command line)' });
    else {
      const [global, name = global] = splitAt(text, '=');
      await this.#lua.run('local global, name = ... _G[global] = require(name)', { name: '=(command line)', args: [global.replace(/-.*/, ''), name] });
    }
  }

  async file(path: string, args: readonly string[]): Promise<void> {
    const source = path === '-' ? fs.readFileSync(0) : readSource(path);
    if (!source) throw new EvermoonError('misuse', `cannot open ${path}`);
    await this.#lua.run(withoutShebang(source), { name: path === '-' ? '=stdin' : `@${path}`, args });
  }
}

/** The prompt: a line at a time, `>>` while a chunk is not complete; Ctrl-C stops the program and not the prompt. */
class Prompt {
  readonly #readline: Interface;
  readonly #lines: string[] = [];
  #wanted: ((line: string | undefined) => void) | undefined;
  #closed = false;
  #running: AbortController | undefined;

  constructor(private readonly session: Session) {
    this.#readline = createInterface({ input: process.stdin, output: process.stdout, terminal: process.stdin.isTTY && process.stdout.isTTY });
    this.#readline.on('line', (line) => {
      const { length } = this.#lines;
      if (length === 0 && this.#wanted) this.#wanted(line);
      else this.#lines.push(line);
    });
    this.#readline.on('close', () => {
      this.#closed = true;
      this.#wanted?.(undefined);
    });
    this.#readline.on('SIGINT', () => {
      if (this.#running) this.#running.abort('interrupted');
      else this.#readline.close();
    });
  }

  #next(prompt: string): Promise<string | undefined> {
    this.#readline.setPrompt(prompt);
    if (this.#lines.length > 0) return Promise.resolve(this.#lines.shift());
    if (this.#closed) return Promise.resolve(undefined);
    this.#readline.prompt();
    return new Promise((resolve) => {
      this.#wanted = (line) => {
        this.#wanted = undefined;
        resolve(line);
      };
    });
  }

  /** A line for `io.read`. */
  async line(): Promise<string | undefined> {
    const line = await this.#next('');
    return line === undefined ? undefined : `${line}\n`;
  }

  async run(): Promise<void> {
    for (;;) {
      let code = await this.#next('> ');
      if (code === undefined) break;
      let fn: LuaFunction | undefined;
      for (;;) {
        try {
          fn = this.#compile(code);
          break;
        } catch (error) {
          const more: string | undefined = error instanceof LuaSyntaxError && error.incomplete ? await this.#next('>> ') : undefined;
          if (more === undefined) {
            report(error);
            break;
          }
          code += `\n${more}`;
        }
      }
      if (fn) await this.#call(fn);
    }
    if (process.stdin.isTTY) writeAll(1, new TextEncoder().encode('\n'));
  }

  /** An expression's values are printed, so it is tried first. */
  #compile(code: string): LuaFunction {
    try {
      return this.session.lua.load(`return ${code}`, '=stdin');
    } catch {
      return this.session.lua.load(code, '=stdin');
    }
  }

  async #call(fn: LuaFunction): Promise<void> {
    this.#running = new AbortController();
    try {
      const values = await fn.callWith({ signal: this.#running.signal });
      if (values.length > 0) {
        const print = this.session.lua.get<LuaFunction>('print');
        await print.call(...values);
        for (const value of [print, ...values]) if (value instanceof Handle) value.dispose();
      }
    } catch (error) {
      report(error);
    } finally {
      this.#running = undefined;
      fn.dispose();
    }
  }
}

async function main(words: readonly string[]): Promise<void> {
  const settings = parse(words);
  if (settings.help) {
    console.log(HELP);
    return;
  }
  const { steps, script, interactive, version } = settings;
  if (version) {
    const { version: number } = JSON.parse(fs.readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
    console.log(`Evermoon ${number} (Lua 5.4)`);
    if (!interactive && steps.length === 0 && script === undefined) return;
  }
  const session = new Session(settings);
  await session.open(words);
  for (const step of steps) await session.step(step);
  if (script !== undefined) await session.file(script, words.slice(settings.scriptAt + 1));
  if (interactive || (script === undefined && steps.length === 0)) {
    if (interactive || process.stdin.isTTY) {
      session.prompt = new Prompt(session);
      await session.prompt.run();
    } else await session.file('-', []);
  }
}

main(process.argv.slice(2)).then(
  // What the program left waiting does not keep the process.
  () => process.exit(0),
  (error: unknown) => {
    if (error instanceof Usage) complain(`evermoon: ${error.message}\n${HELP}`);
    else report(error);
    process.exit(1);
  },
);
