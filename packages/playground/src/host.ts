/** What the page gives to Lua. Each function is plain JavaScript; those that return a promise simply suspend the program until it settles. */
import type { LuaFunction, World } from 'evermoon';
import { Drawing } from './drawing';

/** Where programs show things. */
export interface Stage {
  /** A new drawing surface in place of the last. */
  canvas(width: number, height: number): HTMLCanvasElement;
  meter(name: string, value: unknown, max: number | undefined): void;
  /** Shows a field; gives what was typed. */
  ask(question: string, signal: AbortSignal): Promise<string>;
}

/** The longest that one `sleep` can be: a timer's limit, in seconds. */
const SLEEP_MAX = 2_000_000;

export function installHost(lua: World, stage: Stage, signal: () => AbortSignal): void {
  const start = performance.now();
  lua.define('sleep', (seconds: unknown) => {
    const time = Math.min(Math.max(0, numberOf(seconds, 'sleep', 1)), SLEEP_MAX);
    return new Promise<void>((resolve) => setTimeout(resolve, time * 1000));
  });
  lua.define('frame', () => new Promise<number>((resolve) => requestAnimationFrame((now) => resolve((now - start) / 1000))));
  lua.define('ask', (question: unknown) => stage.ask(String(question ?? '?'), signal()));
  lua.define('meter', (name: unknown, value: unknown, max: unknown) => {
    stage.meter(String(name), value, typeof max === 'number' ? max : undefined);
  });
  lua.define('canvas', (width: unknown, height: unknown) => {
    const w = Math.round(numberOf(width ?? 480, 'canvas', 1));
    const h = Math.round(numberOf(height ?? 300, 'canvas', 2));
    if (!(w >= 1 && w <= 4096 && h >= 1 && h <= 4096)) throw new Error('canvas: width and height are from 1 to 4096');
    return new Drawing(stage.canvas(w, h), w, h);
  });
  lua.define('limit', async (fuel: unknown, fn: LuaFunction, ...args: unknown[]) => {
    const budget = numberOf(fuel, 'limit', 1);
    const stop = signal();
    try {
      return lua.multi(true, ...(await fn.callWith({ fuel: budget, args, signal: stop })));
    } catch (error) {
      if (stop.aborted) throw error;
      return lua.multi(false, error instanceof Error ? error.message : String(error));
    }
  });
}

function numberOf(value: unknown, name: string, position: number): number {
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number !== 'number' || Number.isNaN(number)) throw new Error(`bad argument #${position} to '${name}' (number expected)`);
  return number;
}
