/** The page: puts the parts together. What runs is in `session.ts`, what is seen in `output.ts`, what Lua is given in `host.ts`. */
import '@fontsource-variable/inter/index.css';
import '@fontsource-variable/jetbrains-mono/index.css';
import './style.css';
import { LuaError } from 'evermoon';
import { createEditor, type Mark } from './editor';
import { type Example, examples } from './examples';
import type { Stage } from './host';
import { OutputView } from './output';
import { createLine } from './repl';
import { type Insist, type Outcome, messageOf, prepare, replaceWorld, Session } from './session';
import { installTheme } from './theme';
import { createWorldPanel } from './world';

const CHUNK = 'main.lua';
const DRAFTS = 'evermoon.drafts';

function find<T extends HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element as T;
}

const runButton = find<HTMLButtonElement>('run');
const stopButton = find<HTMLButtonElement>('stop');
const fuelSelect = find<HTMLSelectElement>('fuel');
const state = find('state');
const stage = find('stage');
const resultPane = find('result');
const meters = find('meters');
const output = new OutputView(find('output'));

// ---- what programs show ----

const cells = new Map<string, { value: HTMLElement; bar: HTMLElement | undefined }>();
const changed = new Map<string, { value: unknown; max: number | undefined }>();

/** Figures change at most once a frame on the page, however often the program sets them. */
function showMeters(): void {
  for (const [name, { value, max }] of changed) {
    let cell = cells.get(name);
    if (!cell) {
      const row = document.createElement('div');
      const term = document.createElement('dt');
      const data = document.createElement('dd');
      term.textContent = name;
      row.append(term, data);
      let bar: HTMLElement | undefined;
      if (max !== undefined) {
        bar = document.createElement('i');
        row.append(bar);
      }
      cell = { value: data, bar };
      cells.set(name, cell);
      meters.append(row);
      meters.hidden = false;
    }
    cell.value.textContent = typeof value === 'number' ? value.toLocaleString('en') : String(value);
    if (cell.bar && max) cell.bar.style.setProperty('--part', String(Math.min(1, Math.max(0, Number(value) / max))));
  }
  changed.clear();
}

const onStage: Stage = {
  canvas(width, height) {
    const canvas = document.createElement('canvas');
    canvas.style.aspectRatio = `${width} / ${height}`;
    canvas.style.width = `${width}px`;
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', 'Drawing of the program');
    stage.replaceChildren(canvas);
    stage.hidden = false;
    return canvas;
  },
  meter(name, value, max) {
    if (changed.size === 0) requestAnimationFrame(showMeters);
    if (changed.has(name) || cells.has(name) || cells.size + changed.size < 24) changed.set(name, { value, max });
  },
  ask: (question, signal) => output.ask(question, signal),
};

function clearStage(): void {
  output.clear();
  stage.replaceChildren();
  stage.hidden = true;
  meters.replaceChildren();
  meters.hidden = true;
  cells.clear();
  changed.clear();
}

// ---- figures ----

const figure = { time: find('f-time'), fuel: find('f-fuel'), heap: find('f-heap'), collections: find('f-gc') };

function showFigures(): void {
  if (!session) return;
  const { milliseconds, fuel, heapBytes, collections } = session.figures;
  figure.time.textContent = milliseconds < 1000 ? `${milliseconds.toFixed(1)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
  figure.fuel.textContent = fuel.toLocaleString('en');
  figure.heap.textContent = heapBytes < 1 << 20 ? `${(heapBytes / 1024).toFixed(0)} KiB` : `${(heapBytes / (1 << 20)).toFixed(1)} MiB`;
  figure.collections.textContent = collections.toLocaleString('en');
}

let ticking = 0;
function tick(): void {
  clearInterval(ticking);
  ticking = window.setInterval(showFigures, 120);
}

// ---- running ----

let session: Session | undefined;
/** Which run is the current one: an outcome of an earlier one is not shown. */
let turn = 0;

function setState(kind: 'ready' | 'running' | 'done' | 'failed' | 'stopped', text: string): void {
  state.dataset['kind'] = kind;
  state.textContent = text;
  const running = kind === 'running';
  stopButton.disabled = !running;
  document.body.classList.toggle('running', running);
  document.body.classList.toggle('ended', kind !== 'running' && kind !== 'ready');
}

let opening: Promise<Session> | undefined;

/** The session, opened when it is first needed. */
function sessionOf(): Promise<Session> {
  opening ??= open();
  opening.catch(() => (opening = undefined));
  return opening;
}

async function open(insist: Insist = {}): Promise<Session> {
  session = await Session.create(
    onStage,
    {
      write: (text) => output.write(text),
      committed: (commit) => panel.committed(commit),
      notKept: (why) => {
        output.flush();
        output.note(`Not kept: ${why}`);
        panel.notKept();
      },
    },
    insist,
  );
  panel.show(session);
  if (session.kept === 'busy') {
    output.note('This world is open in another tab. What happens here is not kept.', 'Use it here', () => void reopen(undefined, { ifBusy: 'steal' }));
  } else if (session.kept === 'lost') {
    output.note('The browser has lost what was kept here. If you have exported it, import that; else go on with what is left. Until then nothing is kept.', 'Go on', () =>
      void reopen(undefined, { ifLost: 'accept' }),
    );
  } else if (session.kept === 'none') output.note('This browser keeps nothing for this page: the world lasts as long as the page.');
  for (const program of session.pending()) {
    const what = program.waitsFor === undefined ? 'A program was under way' : `A program was waiting in ${program.waitsFor}()`;
    output.note(`${what} when the page was left.`, 'Go on', () => void follow((current) => current.resume(program)));
  }
  return session;
}

/** Closes the world and opens it again, after something has been done to it meanwhile. */
async function reopen(work?: () => Promise<void>, insist: Insist = {}): Promise<void> {
  turn++;
  clearInterval(ticking);
  const current = await sessionOf();
  session = undefined;
  opening = undefined;
  await current.close();
  clearStage();
  let failure: unknown;
  try {
    await work?.();
  } catch (error) {
    failure = error;
  }
  opening = open(insist);
  await opening;
  setState('ready', 'Ready');
  showFigures();
  if (failure) output.error(messageOf(failure), '');
}

function run(): Promise<void> {
  const fuel = fuelSelect.value === '' ? undefined : Number(fuelSelect.value);
  return follow((current) => current.run(editor.text, CHUNK, fuel));
}

/** Runs something as the page's program, and shows how it goes. */
async function follow(start: (current: Session) => Promise<Outcome>): Promise<void> {
  const mine = ++turn;
  clearStage();
  editor.mark(undefined);
  setState('running', 'Running');
  // On a phone the result is below.
  if (window.innerWidth <= 760) resultPane.scrollIntoView({ block: 'start', behavior: 'smooth' });
  try {
    const current = await sessionOf();
    // One program at a time.
    current.stop();
    while (current.running && mine === turn) await new Promise((resolve) => setTimeout(resolve));
    if (mine !== turn) return;
    output.flush();
    clearStage();
    tick();
    const outcome = await start(current);
    if (mine !== turn) return;
    report(outcome);
    if (outcome.ok) setState('done', 'Finished');
    else if (outcome.stopped) setState('stopped', 'Stopped');
    else setState('failed', 'Failed');
  } catch (error) {
    if (mine !== turn) return;
    setState('failed', 'Failed');
    output.error(messageOf(error), '');
  } finally {
    if (mine === turn) {
      clearInterval(ticking);
      showFigures();
    }
  }
}

/** Ends what runs; says whether there was anything. */
function stop(): boolean {
  if (!session?.running) return false;
  session.stop();
  return true;
}

async function runLine(code: string): Promise<boolean> {
  const current = await sessionOf();
  const beside = current.running;
  const outcome = current.line(code);
  const checked = await Promise.race([outcome, Promise.resolve('running' as const)]);
  if (checked === undefined) return false;
  output.echo(code);
  if (!beside) {
    setState('running', 'Running');
    tick();
  }
  const result = await outcome;
  if (result === undefined) return false;
  if (current !== session) return true;
  report(result, true);
  if (!beside) {
    setState(result.ok ? 'ready' : result.stopped ? 'stopped' : 'failed', result.ok ? 'Ready' : result.stopped ? 'Stopped' : 'Failed');
    clearInterval(ticking);
  }
  showFigures();
  return true;
}

function report(outcome: Outcome, line = false): void {
  output.flush();
  if (outcome.ok) {
    output.values(outcome.values);
    return;
  }
  if (outcome.stopped) {
    output.note('Stopped.');
    return;
  }
  const { error } = outcome;
  const lua = error instanceof LuaError ? error : undefined;
  const passing = error instanceof Error && 'luaTraceback' in error ? String(error.luaTraceback) : '';
  const traceback = lua?.traceback || passing;
  output.error(messageOf(error), traceback);
  if (!line) editor.mark(markOf(error, traceback));
}

/** The line of the program that an error belongs to: its own, else the nearest on the way there. */
function markOf(error: unknown, traceback = ''): Mark | undefined {
  const own = error instanceof LuaError && error.chunk === CHUNK ? error.line : undefined;
  const near = /^\s*main\.lua:(\d+):/m.exec(traceback)?.[1];
  const line = own ?? (near === undefined ? undefined : Number(near));
  if (line === undefined) return undefined;
  return { line, message: messageOf(error).replace(/^main\.lua:\d+: /, '') };
}

// ---- the program ----

const list = find('examples');
const links = new Map<string, HTMLAnchorElement>();
for (const example of examples) {
  const item = document.createElement('li');
  const link = document.createElement('a');
  link.href = `#${example.id}`;
  const title = document.createElement('b');
  title.textContent = example.title;
  const about = document.createElement('span');
  about.textContent = example.about;
  link.append(title, about);
  item.append(link);
  list.append(item);
  links.set(example.id, link);
}

let opened = examples.find((example) => `#${example.id}` === location.hash) ?? examples[0]!;
/** What was written in place of each example's program, kept while the page is open. */
const drafts = remembered();

function remembered(): Map<string, string> {
  try {
    const stored: unknown = JSON.parse(sessionStorage.getItem(DRAFTS) ?? '[]');
    if (!Array.isArray(stored)) return new Map();
    return new Map(stored.filter((entry): entry is [string, string] => Array.isArray(entry) && entry.every((part) => typeof part === 'string')));
  } catch {
    return new Map();
  }
}

const resetButton = find<HTMLButtonElement>('reset');

function keep(text: string): void {
  if (text === opened.code) drafts.delete(opened.id);
  else drafts.set(opened.id, text);
  resetButton.hidden = !drafts.has(opened.id);
  try {
    sessionStorage.setItem(DRAFTS, JSON.stringify([...drafts]));
  } catch {
    // No storage: the drafts last as long as the page.
  }
}

/** Scrolls the gallery alone: `scrollIntoView` would also have the next Tab start behind the link (Chromium does so since 148). */
function showInGallery(link: HTMLElement): void {
  const gallery = list.parentElement!;
  const frame = gallery.getBoundingClientRect();
  const at = link.getBoundingClientRect();
  gallery.scrollLeft += (at.left + at.right - frame.left - frame.right) / 2;
  if (at.top < frame.top) gallery.scrollTop += at.top - frame.top;
  else if (at.bottom > frame.bottom) gallery.scrollTop += at.bottom - frame.bottom;
}

/** Marks the example in the gallery, and sets what belongs to it. */
function choose(example: Example): void {
  opened = example;
  for (const [id, link] of links) {
    if (id === example.id) link.setAttribute('aria-current', 'true');
    else link.removeAttribute('aria-current');
  }
  showInGallery(links.get(example.id)!);
  fuelSelect.value = example.fuel === undefined ? '' : String(example.fuel);
  resetButton.hidden = !drafts.has(example.id);
}

const editor = createEditor({
  parent: find('editor'),
  text: drafts.get(opened.id) ?? opened.code,
  run: () => void run(),
  stop,
  changed: () => keep(editor.text),
  check(text) {
    const found = session?.check(text, CHUNK);
    return found && markOf(found);
  },
});
choose(opened);

window.addEventListener('hashchange', () => {
  const example = examples.find(({ id }) => `#${id}` === location.hash);
  if (!example || example === opened) return;
  stop();
  turn++;
  clearInterval(ticking);
  clearStage();
  choose(example);
  editor.replace(drafts.get(example.id) ?? example.code);
  setState('ready', 'Ready');
});

resetButton.addEventListener('click', () => {
  editor.replace(opened.code);
  keep(opened.code);
  editor.focus();
});

// ---- keys and buttons ----

runButton.addEventListener('click', () => void run());
stopButton.addEventListener('click', () => stop());
find('clear').addEventListener('click', () => {
  if (session?.running) output.clear();
  else clearStage();
});
document.addEventListener('keydown', (event) => {
  if (event.defaultPrevented || help.open) return;
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    void run();
  } else if (event.key === 'Escape' && stop()) {
    event.preventDefault();
  }
});
if (/Mac|iP(hone|ad)/.test(navigator.platform)) find('run-key').textContent = '⌘ ↵';

const help = find<HTMLDialogElement>('help');
find('help-button').addEventListener('click', () => help.showModal());
help.addEventListener('click', (event) => {
  if (event.target === help) help.close();
});

const panel = createWorldPanel({
  replace: (file) => reopen(() => replaceWorld(file)),
  failed: (error) => output.error(messageOf(error), ''),
});
createLine(find<HTMLFormElement>('repl'), find<HTMLTextAreaElement>('line'), runLine);
installTheme(find<HTMLButtonElement>('theme'));

prepare()
  .then(sessionOf)
  .then(
    () => {
      if (turn === 0) setState('ready', 'Ready');
      showFigures();
    },
    (error: unknown) => {
      setState('failed', 'Not loaded');
      output.error(messageOf(error), '', 'Press Run to try again.');
    },
  );

if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  // Without it (a private window, plain http on another host) the page works as long as it is open.
  navigator.serviceWorker.register('./sw.js').catch(() => {});
}
