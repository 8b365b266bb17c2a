/** The panel that shows the page's world: its globals as a live tree, its last commits, where it is kept; export, import, starting over. */
import type { WorldCommit } from 'evermoon';
import type { Session } from './session';
import { setReader, tree } from './tree';

/** What every world has; shown apart from what programs have made. */
const LIBRARY = new Set(
  (
    '_G _VERSION assert collectgarbage coroutine debug dofile error getmetatable io ipairs load loadfile math next os package pairs pcall print rawequal rawget ' +
    'rawlen rawset require select setmetatable string table tonumber tostring type utf8 warn xpcall world ext Memory _io sleep frame ask meter canvas limit'
  ).split(' '),
);
/** Every world's external table, which is the program's all the same. */
const HOME = '_home';
const COMMITS = 8;

export interface Actions {
  /** Puts a file's world (or an empty one) in the place of the page's. */
  replace(file: Blob | undefined): Promise<void>;
  failed(error: unknown): void;
}

export interface WorldPanel {
  show(session: Session): void;
  committed(commit: WorldCommit): void;
  notKept(): void;
}

function find<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1 << 20) return `${(bytes / 1024).toFixed(1)} KiB`;
  if (bytes < 2 ** 30) return `${(bytes / (1 << 20)).toFixed(1)} MiB`;
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

export function createWorldPanel(actions: Actions): WorldPanel {
  const pane = find('world');
  const button = find<HTMLButtonElement>('world-button');
  const kept = find('kept');
  const globals = find('globals');
  const rows = find('commits').querySelector('tbody')!;
  const storage = find('storage');
  const persist = find<HTMLButtonElement>('persist');
  const field = find<HTMLInputElement>('file');
  const drop = find('drop');
  let session: Session | undefined;
  let due = false;

  const say = (state: 'kept' | 'lost') => {
    button.dataset['kept'] = state;
    const how = document.createElement('span');
    how.textContent = state === 'kept' ? ' kept' : ' not kept';
    kept.replaceChildren('World', how);
  };

  /** Draws again, at most once a frame and only when somebody looks. */
  const refresh = () => {
    if (due || pane.hidden) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      if (!session || session.world.closed || pane.hidden) return;
      showGlobals(session);
      showCommits(session);
      void showStorage(session);
    });
  };

  const showGlobals = (current: Session) => {
    const open = new Set([...globals.querySelectorAll<HTMLDetailsElement>('details[open]')].map(placeOf));
    const table = current.world.globals;
    const own: HTMLElement[] = [];
    const library: HTMLElement[] = [];
    for (const [key, value] of table.entries()) {
      const name = document.createElement('span');
      name.className = 'v-key';
      name.textContent = String(key);
      const node = tree(value, name);
      node.dataset['key'] = String(key);
      (LIBRARY.has(String(key)) ? library : own).push(node);
    }
    table.dispose();
    // The world's own table comes first.
    const place = (node: HTMLElement) => (node.dataset['key'] === HOME ? '' : node.dataset['key']!);
    own.sort((a, b) => (place(a) < place(b) ? -1 : 1));
    const rest = document.createElement('details');
    rest.dataset['key'] = '(library)';
    const head = document.createElement('summary');
    head.className = 'v-nil';
    head.textContent = `the library and the page's functions (${library.length})`;
    rest.append(head, ...library);
    if (own.every((node) => node.dataset['key'] === HOME)) {
      const none = document.createElement('div');
      none.className = 'leaf v-nil';
      none.textContent = 'none yet: type x = 1 at the line';
      own.push(none);
    }
    globals.replaceChildren(...own, rest);
    // What was open is opened again, from the outside in.
    for (let more = true; more; ) {
      more = false;
      for (const node of globals.querySelectorAll<HTMLDetailsElement>('details:not([open])')) {
        if (!open.delete(placeOf(node))) continue;
        node.open = true;
        node.dispatchEvent(new Event('toggle'));
        more = true;
      }
    }
  };

  const showCommits = (current: Session) => {
    rows.replaceChildren(
      ...current.world.commits.slice(0, COMMITS).map((commit) => {
        const row = document.createElement('tr');
        const time = new Date(commit.at).toLocaleTimeString();
        for (const text of [String(commit.version), time, size(commit.bytes), String(commit.objects), `${commit.ms.toFixed(1)} ms`]) row.insertCell().textContent = text;
        return row;
      }),
    );
  };

  const showStorage = async (current: Session) => {
    const [{ kind, usage, quota }, stats] = await Promise.all([current.world.persistence(), current.world.stats()]);
    const how = {
      memory: 'Kept in this page only, until it is closed.',
      'best-effort': 'Kept by the browser, which may delete it when space is short.',
      persistent: 'Kept by the browser until you delete it.',
    }[kind];
    const used = usage === undefined ? '' : ` ${size(usage)} used${quota === undefined ? '' : ` of ${size(quota)}`} by this page.`;
    storage.textContent = `${how} ${stats.store.entries.toLocaleString('en')} records.${used}`;
    persist.hidden = kind !== 'best-effort';
  };

  button.addEventListener('click', () => {
    pane.hidden = !pane.hidden;
    button.setAttribute('aria-expanded', String(!pane.hidden));
    document.body.classList.toggle('with-world', !pane.hidden);
    refresh();
    if (!pane.hidden && window.innerWidth <= 1120) pane.scrollIntoView({ block: 'nearest', behavior: 'smooth' });
  });
  persist.addEventListener('click', () => void session?.world.persistence({ ask: true }).then(refresh, actions.failed));

  find('export').addEventListener('click', () => void save().catch(actions.failed));
  const save = async () => {
    if (!session) return;
    await session.world.commit();
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await session.world.export());
    link.download = 'playground.evermoon';
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  };

  const replace = (file: Blob | undefined) => {
    actions.replace(file).catch(actions.failed);
  };
  find('import').addEventListener('click', () => field.click());
  field.addEventListener('change', () => {
    const file = field.files?.[0];
    field.value = '';
    if (file) void sure('Import a world?', 'It takes the place of what is here now. Export that first if you want it back.', 'Import').then((yes) => yes && replace(file));
  });
  find('restart').addEventListener('click', () => {
    void sure('Start over?', 'All globals, functions and coroutines of this page are deleted. An export can bring them back.', 'Start over').then((yes) => yes && replace(undefined));
  });

  // Files may be dropped anywhere on the page.
  const hasFile = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
  let inside = 0;
  const over = (change: number) => {
    inside = Math.max(0, inside + change);
    drop.hidden = inside === 0;
  };
  document.addEventListener('dragenter', (event) => hasFile(event) && over(1));
  document.addEventListener('dragleave', (event) => hasFile(event) && over(-1));
  document.addEventListener('dragover', (event) => hasFile(event) && event.preventDefault());
  document.addEventListener('drop', (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    over(-inside);
    const file = event.dataTransfer?.files[0];
    if (file) void sure('Import a world?', `${file.name} takes the place of what is here now.`, 'Import').then((yes) => yes && replace(file));
  });

  return {
    show(next) {
      session = next;
      setReader((table) => next.world.rows(table));
      if (next.kept === 'yes') say('kept');
      else say('lost');
      refresh();
    },
    committed({ version, bytes }) {
      if (session?.kept === 'yes') say('kept');
      button.title = `Commit ${version}: ${size(bytes)} written`;
      refresh();
    },
    notKept: () => say('lost'),
  };
}

/** Where a node is, by the keys on the way to it. */
function placeOf(node: HTMLElement): string {
  const path: string[] = [];
  for (let at: HTMLElement | null = node; at && at.id !== 'globals'; at = at.parentElement) {
    if (at instanceof HTMLDetailsElement) path.push(at.dataset['key'] ?? at.querySelector('summary > :first-child')?.textContent ?? '');
  }
  return path.join('\n');
}

function sure(title: string, text: string, yes: string): Promise<boolean> {
  const dialog = find<HTMLDialogElement>('sure');
  find('sure-title').textContent = title;
  find('sure-text').textContent = text;
  find('sure-yes').textContent = yes;
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true }));
}
