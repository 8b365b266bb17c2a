/**
 * The output: text as it streams, values, errors, questions. Text is gathered and put on the page once a frame; only the last part of a flood is
 * kept, so a program that prints without end costs the page nothing that grows. A stretch of text is cut into parts, of which only the
 * last changes and only those in sight are laid out, so that a frame's work does not depend on how much there is.
 */
import type { LuaValue } from 'evermoon';
import { tree } from './tree';

/** Characters of one stretch of text that stay on the page. */
const TEXT_MAX = 200_000;
/** Characters of one part of it, up to the end of a line; a line much longer than that is broken. */
const PART = 4_000;
const LINE_MAX = 40_000;
/** Blocks (texts, values, errors) that stay. */
const BLOCKS_MAX = 400;

export class OutputView {
  readonly #element: HTMLElement;
  /** The stretch of text that grows, its last part with its text, and the characters in the parts before. */
  #text: HTMLElement | undefined;
  #part: HTMLElement | undefined;
  #last = '';
  #before = 0;
  #pending = '';
  #dropped = false;
  #frame = 0;
  #timer = 0;

  constructor(element: HTMLElement) {
    this.#element = element;
    // What was in sight at the end stays so when the pane becomes smaller.
    let atEnd = true;
    element.addEventListener('scroll', () => (atEnd = this.#atEnd), { passive: true });
    new ResizeObserver(() => atEnd && this.#scroll()).observe(element);
  }

  clear(): void {
    this.#pending = '';
    this.#text = undefined;
    this.#element.replaceChildren();
  }

  /** Text of the program. A carriage return takes back the line so far. */
  write(text: string): void {
    this.#pending += text;
    if (this.#pending.length > 2 * TEXT_MAX) {
      this.#pending = this.#pending.slice(-TEXT_MAX);
      this.#dropped = true;
    }
    if (this.#frame === 0) {
      this.#frame = requestAnimationFrame(() => this.flush());
      // A page that is hidden has no frames.
      this.#timer = window.setTimeout(() => this.flush(), 250);
    }
  }

  flush(): void {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    this.#frame = 0;
    if (this.#pending === '') return;
    const follow = this.#atEnd;
    if (!this.#text) {
      this.#text = document.createElement('div');
      this.#text.className = 'text';
      this.#last = '';
      this.#before = 0;
      this.#begin();
      this.#push(this.#text);
    }
    let text = this.#last + this.#pending;
    this.#pending = '';
    if (text.length > TEXT_MAX) {
      const from = text.length - TEXT_MAX;
      text = text.slice(text.indexOf('\n', from) + 1 || from);
      this.#dropped = true;
    }
    if (text.includes('\r')) text = text.replace(/[^\n]*\r(?!\n)/g, '');
    for (;;) {
      const end = endOfPart(text);
      if (end < 0) break;
      const part = text.slice(0, end);
      // A line break at the end of an element does not show.
      this.#part!.textContent = part.endsWith('\n') ? `${part}\n` : part;
      this.#before += end;
      text = text.slice(text[end] === '\n' ? end + 1 : end);
      this.#begin();
    }
    this.#last = text;
    this.#part!.textContent = text;
    while (this.#before > TEXT_MAX) {
      const first = this.#text.firstElementChild!;
      this.#before -= first.textContent!.length;
      first.remove();
      this.#dropped = true;
    }
    if (this.#dropped) this.#text.classList.add('cut');
    this.#dropped = false;
    if (follow) this.#scroll();
  }

  #begin(): void {
    this.#part = document.createElement('pre');
    this.#text!.append(this.#part);
  }

  /** A line that was typed. */
  echo(code: string): void {
    const line = document.createElement('pre');
    line.className = 'echo';
    line.textContent = code;
    this.#block(line);
  }

  values(values: readonly LuaValue[]): void {
    if (values.length === 0) return;
    const list = document.createElement('div');
    list.className = 'values';
    for (const value of values) list.append(tree(value));
    this.#block(list);
  }

  error(message: string, traceback: string, note = ''): void {
    const box = document.createElement('div');
    box.className = 'failure';
    const head = document.createElement('p');
    head.textContent = message;
    box.append(head);
    if (traceback) {
      const trace = document.createElement('pre');
      trace.textContent = traceback.replace(/^\t/gm, '  ');
      box.append(trace);
    }
    if (note) {
      const small = document.createElement('p');
      small.className = 'fine';
      small.textContent = note;
      box.append(small);
    }
    this.#block(box);
  }

  /** A remark; with what can be done about it, once. */
  note(text: string, action = '', act?: () => void): void {
    const line = document.createElement('p');
    line.className = 'note';
    line.textContent = text;
    if (act) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = action;
      button.addEventListener('click', () => {
        button.remove();
        act();
      });
      line.append(button);
    }
    this.#block(line);
  }

  ask(question: string, signal: AbortSignal): Promise<string> {
    return new Promise((resolve) => {
      const form = document.createElement('form');
      form.className = 'question';
      const label = document.createElement('label');
      const field = document.createElement('input');
      field.autocomplete = 'off';
      field.spellcheck = false;
      label.append(`${question} `, field);
      form.append(label);
      const close = (answer: string) => {
        const line = document.createElement('pre');
        line.className = 'text answer';
        line.append(`${question} `);
        const typed = document.createElement('b');
        typed.textContent = answer;
        line.append(typed);
        form.replaceWith(line);
      };
      form.addEventListener('submit', (event) => {
        event.preventDefault();
        close(field.value);
        resolve(field.value);
      });
      signal.addEventListener('abort', () => close('–'), { once: true });
      this.#block(form);
      field.focus();
    });
  }

  get #atEnd(): boolean {
    const e = this.#element;
    return e.scrollHeight - e.scrollTop - e.clientHeight < 48;
  }

  #scroll(): void {
    this.#element.scrollTop = this.#element.scrollHeight;
  }

  #block(element: HTMLElement): void {
    this.flush();
    this.#text = undefined;
    this.#push(element);
    this.#scroll();
  }

  #push(element: HTMLElement): void {
    this.#element.append(element);
    while (this.#element.childElementCount > BLOCKS_MAX) this.#element.firstElementChild?.remove();
  }
}

/** Where the first part of a text ends; -1 if all of it is the last part. */
function endOfPart(text: string): number {
  if (text.length <= PART) return -1;
  const before = text.lastIndexOf('\n', PART);
  const end = before > 0 ? before : text.indexOf('\n', PART);
  if (end >= 0 && end <= LINE_MAX) return end;
  return text.length > LINE_MAX ? LINE_MAX : -1;
}
