/**
 * A value as a tree. Tables are live handles: their entries are read when a node is opened, some at a time, so a table of any size or with cycles can be
 * looked at. Native `<details>` make it work by keyboard.
 */
import { LuaFunction, LuaTable, LuaThread, type LuaValue } from 'evermoon';

/** Entries that one opening, or "more", shows. */
const PAGE = 100;
/** Entries that a table's one-line preview looks at. */
const PREVIEW = 5;
/** Characters of a string that are shown before it is cut. */
const TEXT_MAX = 2000;

function span(kind: string, text: string): HTMLSpanElement {
  const element = document.createElement('span');
  element.className = `v-${kind}`;
  element.textContent = text;
  return element;
}

function quoted(text: string, max: number): string {
  const cut = text.length > max ? `${text.slice(0, max)}…` : text;
  return JSON.stringify(cut);
}

function float(value: number): string {
  if (value === Infinity) return 'math.huge';
  if (value === -Infinity) return '-math.huge';
  if (Number.isNaN(value)) return 'nan';
  // Beyond 2^53 a number of JavaScript's was a float in Lua, and is written as Lua writes it; integers come as bigints.
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) return value.toExponential(13).replace(/\.?0+e/, 'e');
  return String(value);
}

/** What fits on one line. */
function brief(value: LuaValue, max = 40): HTMLSpanElement {
  if (value === undefined) return span('nil', 'nil');
  if (value === null) return span('nil', 'null');
  if (typeof value === 'string') return span('string', quoted(value, max));
  if (typeof value === 'number') return span('number', float(value));
  if (typeof value === 'bigint') return span('number', String(value));
  if (typeof value === 'boolean') return span('number', String(value));
  if (value instanceof LuaFunction) return span('other', 'function');
  if (value instanceof LuaThread) return span('other', `coroutine, ${value.status}`);
  if (value instanceof LuaTable) return span('other', named(value) ?? '{…}');
  return span('other', value instanceof Object ? (value.constructor?.name ?? 'object') : 'object');
}

/** What a table's `__tostring` or `__name` says of it. */
function named(table: LuaTable): string | undefined {
  try {
    const meta = table.metatable;
    if (!meta) return undefined;
    const own = meta.has('__tostring') || meta.has('__name');
    meta.dispose();
    return own ? table.toString().replace(/: 0x[0-9a-f]+$/, '') : undefined;
  } catch {
    return undefined;
  }
}

/** The rows of a table that is not in memory. */
let rowsOf: ((table: LuaTable) => AsyncIterator<[LuaValue, LuaValue]>) | undefined;
export function setReader(next: NonNullable<typeof rowsOf>): void {
  rowsOf = next;
}

function preview(table: LuaTable): DocumentFragment {
  const shown = document.createDocumentFragment();
  try {
    previewInto(table, shown);
  } catch {
    // It is in the store only; opening it brings it.
    shown.replaceChildren(span('other', '{…}'));
  }
  return shown;
}

function previewInto(table: LuaTable, shown: DocumentFragment): void {
  const name = named(table);
  if (name !== undefined) shown.append(span('other', name), ' ');
  shown.append(span('punct', '{ '));
  let count = 0;
  let next = 1;
  for (const [key, value] of table.entries()) {
    if (count === PREVIEW) {
      shown.append(span('punct', ', …'));
      break;
    }
    if (count++ > 0) shown.append(span('punct', ', '));
    if (key === next) next++;
    else shown.append(keyOf(key), span('punct', ' = '));
    shown.append(brief(value, 24));
  }
  shown.append(span('punct', count === 0 ? '}' : ' }'));
}

function keyOf(key: LuaValue): HTMLSpanElement {
  if (typeof key === 'string' && /^[A-Za-z_]\w*$/.test(key)) return span('key', key);
  const element = span('key', '[');
  element.append(brief(key), ']');
  return element;
}

/** A value, openable if there is something inside. */
export function tree(value: LuaValue, key?: Node): HTMLElement {
  const lead: (Node | string)[] = key ? [key, span('punct', ' = ')] : [];
  if (!(value instanceof LuaTable)) {
    const leaf = document.createElement('div');
    leaf.className = 'leaf';
    leaf.append(...lead, brief(value, TEXT_MAX));
    return leaf;
  }
  const node = document.createElement('details');
  const head = document.createElement('summary');
  head.append(...lead, preview(value));
  node.append(head);
  node.addEventListener('toggle', () => node.open && node.childElementCount === 1 && open(node, value), { passive: true });
  return node;
}

function open(node: HTMLElement, table: LuaTable): void {
  const list = document.createElement('div');
  list.className = 'children';
  node.append(list);
  const end = (): void => {
    const meta = table.metatable;
    if (meta) list.append(tree(meta, span('meta', 'metatable')));
    if (list.childElementCount === 0) list.append(note('empty'));
  };
  const onward = (more: () => void): void => {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'quiet';
    button.textContent = 'more';
    button.addEventListener('click', () => {
      button.remove();
      more();
    });
    list.append(button);
  };
  const atOnce = (): void => {
    const entries = table.entries();
    const more = (): void => {
      for (let count = 0; count < PAGE; count++) {
        const entry = entries.next();
        if (entry.done) return end();
        list.append(tree(entry.value[1], keyOf(entry.value[0])));
      }
      onward(more);
    };
    more();
  };
  /** What is in the store only comes later. */
  const later = async (rows: AsyncIterator<[LuaValue, LuaValue]>): Promise<void> => {
    const wait = note('…');
    list.append(wait);
    try {
      for (let count = 0; count < PAGE; count++) {
        const entry = await rows.next();
        if (entry.done) {
          wait.remove();
          return end();
        }
        wait.before(tree(entry.value[1], keyOf(entry.value[0])));
      }
      wait.remove();
      onward(() => void later(rows));
    } catch {
      wait.textContent = 'its engine has ended';
    }
  };
  try {
    atOnce();
  } catch {
    list.replaceChildren();
    if (rowsOf) void later(rowsOf(table));
    else list.append(note('its engine has ended'));
  }
}

function note(text: string): HTMLElement {
  const element = document.createElement('div');
  element.className = 'leaf v-nil';
  element.textContent = text;
  return element;
}
