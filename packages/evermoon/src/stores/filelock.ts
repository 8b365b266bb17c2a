/**
 * Who has a file open, between processes, with nothing but files.
 *
 * Each process that wants the file makes a lock file of its own beside it, `NAME.lock-PID-RANDOM` (O_EXCL), and only then looks for others'.
 * Of two that come at once at least the later one to look sees the other: both never believe that they are alone. Who sees a living
 * other takes its own back. A lock file has its owner's name in it and nobody else ever uses that name, so that one whose process
 * is dead can be removed by whoever finds it, without a race.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { WorldBusyError } from './errors.js';

interface Owner {
  pid: number;
  host: string;
  /** When that process began, in the system's words: process ids are used again. Empty where the system does not tell. */
  born: string;
  /** `trying`: it is looking at this moment. */
  state: 'trying' | 'held';
  /** For people. */
  epoch: number;
  since: string;
}

export class FileLock {
  private constructor(
    readonly file: string,
    readonly owner: Owner,
  ) {}

  /** Fails with `WorldBusyError` when another process, or another store of this one, has it. */
  static async take(path: string, ifBusy: 'fail' | 'wait', signal: AbortSignal | undefined): Promise<FileLock> {
    for (let tries = 1; ; tries++) {
      signal?.throwIfAborted();
      const owner: Owner = { pid: process.pid, host: hostname(), born: birth(process.pid), state: 'trying', epoch: 0, since: new Date().toISOString() };
      const lock = new FileLock(`${path}.lock-${process.pid}-${randomBytes(6).toString('hex')}`, owner);
      fs.writeFileSync(lock.file, JSON.stringify(owner), { flag: 'wx' });
      let rivals: { file: string; owner: Owner | undefined }[];
      try {
        rivals = others(path, lock.file);
      } catch (error) {
        lock.release();
        throw error;
      }
      if (rivals.length === 0) {
        lock.update({ state: 'held' });
        return lock;
      }
      lock.release();
      const holder = rivals.find((r) => r.owner?.state === 'held') ?? (tries >= 50 ? rivals[0] : undefined);
      if (holder && ifBusy === 'fail') {
        const who = holder.owner ? `process ${holder.owner.pid}${holder.owner.host === hostname() ? '' : ` on ${holder.owner.host}`}` : 'another process';
        throw new WorldBusyError(
          path,
          `the world "${path}" is open in ${who}${holder.owner?.pid === process.pid ? ' (this one)' : ''}. Close it there, or end that process. If it is surely gone, delete "${holder.file}"`,
        );
      }
      // Others are trying too: not all in step. Or a living one is waited for.
      await new Promise((resolve) => setTimeout(resolve, holder ? 50 : 1 + Math.random() * 20));
    }
  }

  /** Somebody may delete the file, believing that its process is gone. */
  get held(): boolean {
    return fs.existsSync(this.file);
  }

  /** Only for people to read. */
  update(change: Partial<Owner>): void {
    Object.assign(this.owner, change);
    // Written beside and renamed: never half there.
    const beside = `${this.file}.tmp`;
    fs.writeFileSync(beside, JSON.stringify(this.owner));
    fs.renameSync(beside, this.file);
  }

  release(): void {
    fs.rmSync(this.file, { force: true });
  }
}

/** The living others that have a lock file; those of the dead are removed. */
function others(path: string, mine: string): { file: string; owner: Owner | undefined }[] {
  const folder = dirname(path);
  const prefix = `${basename(path)}.lock-`;
  const found: { file: string; owner: Owner | undefined }[] = [];
  for (const name of fs.readdirSync(folder)) {
    const file = join(folder, name);
    const parts = name.startsWith(prefix) ? /^(\d+)-[0-9a-f]+(\.tmp)?$/.exec(name.slice(prefix.length)) : null;
    if (!parts || file === mine || file === join(mine)) continue;
    const owner = readOwner(file);
    if (owner === 'gone') continue;
    // One that cannot be read (yet) has its process in its name.
    if (isAlive(owner ?? { pid: Number(parts[1]), host: hostname(), born: '' })) {
      if (!parts[2]) found.push({ file, owner });
    } else {
      fs.rmSync(file, { force: true });
    }
  }
  return found;
}

function readOwner(file: string): Owner | undefined | 'gone' {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as Owner;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'gone' : undefined;
  }
}

function isAlive({ pid, host, born }: Pick<Owner, 'pid' | 'host' | 'born'>): boolean {
  // Of another machine (a shared folder) nothing can be known.
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const now = birth(pid);
  return born === '' || now === '' || born === now;
}

/** Linux: the boot and the clock tick at which the process began. Elsewhere nothing. */
function birth(pid: number): string {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    const boot = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie is dead, only not yet mourned.
    return state === 'Z' ? 'dead' : `${boot}:${rest[18]}`;
  } catch {
    return '';
  }
}
