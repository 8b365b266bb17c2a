/** The gallery: each example's name, what it shows, and its program. */
const sources = import.meta.glob<string>('./examples/*.lua', { query: '?raw', import: 'default', eager: true });

export interface Example {
  readonly id: string;
  readonly title: string;
  readonly about: string;
  readonly code: string;
  /** The limit that it is to be run with. */
  readonly fuel?: number;
}

function example(id: string, title: string, about: string, fuel?: number): Example {
  const code = sources[`./examples/${id}.lua`];
  if (code === undefined) throw new Error(`there is no examples/${id}.lua`);
  return { id, title, about, code, ...(fuel !== undefined && { fuel }) };
}

export const examples: readonly Example[] = [
  example('hello', 'Hello, moon', 'Print, and return a table to open'),
  example('coroutines', 'Closures and coroutines', 'Generators, yielding from anywhere'),
  example('stays', 'What stays', 'Reload the page, and run it again'),
  example('await', 'Await, anywhere', 'Promises inside sort and __index'),
  example('orbits', 'Orbits', 'Draw each frame; steer it live'),
  example('counters', 'Live counters', 'Figures that change as it runs'),
  example('fuel', 'A budget of fuel', 'An endless loop comes to its end', 10_000_000),
  example('errors', 'Errors and tracebacks', 'Marked at their line'),
  example('patterns', 'Patterns', 'Text taken apart and put together'),
  example('modules', 'Modules', 'An asynchronous require; operators'),
  example('adventure', 'A question', 'Input is a function that waits'),
  example('mandelbrot', 'Mandelbrot', 'Heavy work, and a live page'),
  example('crowd', 'A crowd', 'Ten thousand coroutines'),
];
