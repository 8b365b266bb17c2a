/**
 * Libraries that the sandbox does not have by itself: `os` as far as it looks at the clock, and `io` with an input. Each is a function that puts it
 * into an engine: `Evermoon.create({ libs: [os(), io({ stdin })] })`. What they do to strings is done in Lua (`lua/*.lua`).
 */
import ioSource from './lua/io.lua';
import osSource from './lua/os.lua';
import type { Evermoon } from './evermoon.js';
import { Multi, takesBytes } from './marks.js';

type Library = (lua: Evermoon) => void;

export interface OsOptions {
  /** What `os.clock` gives, in seconds. Default: the time since the page or process began. */
  clock?: () => number;
}

/** `os.time`, `os.clock`, `os.date`, `os.difftime`, in the local time zone. */
export function os({ clock = () => performance.now() / 1000 }: OsOptions = {}): Library {
  return (lua) => {
    lua.runSync(osSource, { name: '=os', args: [now, clock, calendar, moment] });
  };
}

const now = () => Math.floor(Date.now() / 1000);

function calendar(time: number | bigint, utc: boolean): Multi | undefined {
  const date = new Date(Number(time) * 1000);
  if (Number.isNaN(date.getTime())) return undefined;
  const offset = utc ? 0 : -date.getTimezoneOffset() * 60;
  // The same clock as UTC's, so that one set of getters will do.
  const shown = new Date(date.getTime() + offset * 1000);
  const year = shown.getUTCFullYear();
  const standard = Math.max(new Date(year, 0).getTimezoneOffset(), new Date(year, 6).getTimezoneOffset());
  const yearStart = new Date(0);
  yearStart.setUTCFullYear(year, 0, 1);
  const zone = utc ? 'GMT' : (date.toLocaleTimeString('en-US', { timeZoneName: 'short' }).split(' ').pop() ?? '');
  return new Multi([
    year,
    shown.getUTCMonth() + 1,
    shown.getUTCDate(),
    shown.getUTCHours(),
    shown.getUTCMinutes(),
    shown.getUTCSeconds(),
    shown.getUTCDay() + 1,
    Math.floor((shown.getTime() - yearStart.getTime()) / 86400e3) + 1,
    !utc && date.getTimezoneOffset() < standard,
    offset,
    zone,
  ]);
}

function moment(year: number, month: number, day: number, hour: number, min: number, sec: number): number | undefined {
  const date = new Date(2000, 0, 1);
  date.setFullYear(year, month - 1, day);
  date.setHours(hour, min, sec, 0);
  const time = date.getTime() / 1000;
  return Number.isNaN(time) ? undefined : time;
}

/** Files, for {@link io}: what Node has. Each gives `[undefined, message, errno]` when it fails. */
export interface Files {
  open(path: string, mode: string): unknown;
  read(fd: number): unknown;
  write(fd: number, bytes: Uint8Array): unknown;
  seek(fd: number, whence: string, offset: number): unknown;
  close(fd: number): unknown;
}

export interface IoOptions {
  /** Gives more of the standard input (a line, a block), `undefined` at its end. Lua waits for a promise. */
  stdin?: () => string | Uint8Array | undefined | Promise<string | Uint8Array | undefined>;
  files?: Files;
}

/** `io` with `read`, `lines`, and `open` if there are files. Without this library there are `io.write`, `io.stdout` and `io.stderr` only. */
export function io({ stdin = () => undefined, files }: IoOptions = {}): Library {
  return (lua) => {
    const of = (name: keyof Files) => files && takesBytes((...args: unknown[]) => (files[name] as (...args: unknown[]) => unknown)(...args));
    lua.runSync(ioSource, { name: '=io', args: [stdin, of('open'), of('read'), of('write'), of('seek'), of('close')] });
  };
}
