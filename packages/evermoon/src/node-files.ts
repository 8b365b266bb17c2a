/** Files for the `io` library, and the rest of `os`, as Node has them. For the command only. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Evermoon } from './evermoon.js';
import type { Files } from './libs.js';
import { Multi } from './marks.js';

const text = (v: unknown): string => (v instanceof Uint8Array ? new TextDecoder().decode(v) : String(v));

const WORDS: Record<string, string> = {
  ENOENT: 'No such file or directory',
  EACCES: 'Permission denied',
  EEXIST: 'File exists',
  EISDIR: 'Is a directory',
  ENOTDIR: 'Not a directory',
  EBADF: 'Bad file descriptor',
  EINVAL: 'Invalid argument',
  ENOTEMPTY: 'Directory not empty',
};

/** What `work` gives, or nil, a message and a number as C's library has them. */
function attempt(work: () => unknown, name?: string): unknown {
  try {
    return work() ?? true;
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    const known = (constants.errno as Record<string, number>)[code] ?? 0;
    return new Multi([undefined, `${name === undefined ? '' : `${name}: `}${WORDS[code] ?? message}`, known]);
  }
}

/** Where reading and writing goes on, by descriptor; `undefined` for what cannot seek. */
const positions = new Map<number, { at: number | undefined; append: boolean }>();

export const files: Files = {
  open: (path, mode) =>
    attempt(() => {
      const flags = text(mode).replace('b', '');
      const fd = fs.openSync(text(path), flags);
      positions.set(fd, { at: fs.fstatSync(fd).isFile() ? 0 : undefined, append: flags[0] === 'a' });
      return fd;
    }),
  read: (fd) => {
    const place = positions.get(fd)!;
    const block = new Uint8Array(65536);
    const n = fs.readSync(fd, block, 0, block.length, place.at ?? null);
    if (place.at !== undefined) place.at += n;
    return n === 0 ? undefined : block.subarray(0, n);
  },
  write: (fd, bytes) =>
    attempt(() => {
      const place = positions.get(fd)!;
      let done = 0;
      while (done < bytes.length) done += fs.writeSync(fd, bytes, done, bytes.length - done, place.append ? null : place.at === undefined ? null : place.at + done);
      if (place.at !== undefined) place.at = place.append ? fs.fstatSync(fd).size : place.at + done;
    }),
  seek: (fd, whence, offset) =>
    attempt(() => {
      const place = positions.get(fd)!;
      const from = text(whence);
      const at = (from === 'set' ? 0 : from === 'end' ? fs.fstatSync(fd).size : (place.at ?? 0)) + offset;
      if (at < 0) throw Object.assign(new Error('Invalid argument'), { code: 'EINVAL' });
      return (place.at = at);
    }),
  close: (fd) =>
    attempt(() => {
      positions.delete(fd);
      fs.closeSync(fd);
    }),
};

/** `os.getenv`, `exit`, `remove`, `rename`, `tmpname`, `execute`, `setlocale`. `leave` ends the process. */
export function system(leave: (code: number) => never): (lua: Evermoon) => void {
  return (lua) => {
    const define = (name: string, fn: (...args: never[]) => unknown) => lua.define(`os.${name}`, fn);
    // A nil that is there: `type(os.getenv(name))` must work.
    define('getenv', (name: unknown) => new Multi([process.env[text(name)]]));
    define('exit', (code: unknown = true) => leave(code === true ? 0 : code === false ? 1 : Number(code)));
    define('remove', (path: unknown) =>
      attempt(() => (fs.statSync(text(path), { throwIfNoEntry: false })?.isDirectory() ? fs.rmdirSync(text(path)) : fs.unlinkSync(text(path))), text(path)),
    );
    define('rename', (from: unknown, to: unknown) => attempt(() => fs.renameSync(text(from), text(to))));
    define('tmpname', () => {
      const path = join(fs.mkdtempSync(join(tmpdir(), 'lua_')), 'file');
      fs.writeFileSync(path, '');
      return path;
    });
    define('execute', (command?: unknown) => {
      if (command === undefined) return true;
      const { status, signal } = spawnSync(text(command), { shell: true, stdio: 'inherit' });
      return new Multi([status === 0 ? true : undefined, signal ? 'signal' : 'exit', signal ? (constants.signals[signal] ?? 0) : (status ?? 1)]);
    });
    define('setlocale', (locale?: unknown) => new Multi([locale === undefined || ['', 'C', 'POSIX'].includes(text(locale)) ? 'C' : undefined]));
  };
}
