/** The line below the output: Enter runs it, the arrows bring back earlier ones (kept for the next visit), Shift-Enter begins another line. */
const KEPT = 200;
const KEY = 'evermoon.lines';

export interface Line {
  focus(): void;
}

export function createLine(form: HTMLFormElement, field: HTMLTextAreaElement, run: (code: string) => Promise<boolean>): Line {
  const lines = remembered();
  // Where in the history we are; its length is the line being written, which `draft` keeps meanwhile.
  let at = lines.length;
  let draft = '';
  let busy = false;

  const fit = () => {
    field.rows = Math.min(8, field.value.split('\n').length);
  };
  const show = (text: string) => {
    field.value = text;
    field.setSelectionRange(text.length, text.length);
    fit();
  };
  const submit = async () => {
    const code = field.value;
    if (code.trim() === '' || busy) return;
    busy = true;
    try {
      if (!(await run(code))) {
        // Not finished: go on below.
        show(`${code}\n`);
        return;
      }
    } finally {
      busy = false;
    }
    if (lines.at(-1) !== code) lines.push(code);
    if (lines.length > KEPT) lines.splice(0, lines.length - KEPT);
    at = lines.length;
    draft = '';
    if (field.value === code) show('');
    try {
      localStorage.setItem(KEY, JSON.stringify(lines));
    } catch {
      // No storage: the history lasts as long as the page.
    }
  };

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void submit();
  });
  field.addEventListener('input', fit);
  field.addEventListener('keydown', (event) => {
    if (event.isComposing) return;
    if (event.key === 'Enter' && !event.shiftKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      void submit();
      return;
    }
    const before = field.value.slice(0, field.selectionStart);
    const after = field.value.slice(field.selectionEnd);
    if (event.key === 'ArrowUp' && !before.includes('\n') && at > 0) {
      event.preventDefault();
      if (at === lines.length) draft = field.value;
      show(lines[--at] ?? '');
    } else if (event.key === 'ArrowDown' && !after.includes('\n') && at < lines.length) {
      event.preventDefault();
      at++;
      show(at === lines.length ? draft : (lines[at] ?? ''));
    }
  });
  return { focus: () => field.focus() };
}

function remembered(): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return Array.isArray(stored) ? stored.filter((line): line is string => typeof line === 'string') : [];
  } catch {
    return [];
  }
}
