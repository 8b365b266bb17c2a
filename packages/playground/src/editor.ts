/**
 * The editor: CodeMirror with Lua. Colours are CSS variables, so a change of theme needs nothing here. An error is marked at its line with its
 * message below; it goes when the program is changed.
 */
import { closeBrackets, closeBracketsKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, indentOnInput, indentUnit, StreamLanguage, syntaxHighlighting } from '@codemirror/language';
import { lua } from '@codemirror/legacy-modes/mode/lua';
import { type Diagnostic, linter } from '@codemirror/lint';
import { highlightSelectionMatches, search, searchKeymap } from '@codemirror/search';
import { EditorState, Prec, StateEffect, StateField } from '@codemirror/state';
import {
  Decoration,
  type DecorationSet,
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
  WidgetType,
} from '@codemirror/view';
import { tags as t } from '@lezer/highlight';

export interface Mark {
  /** From 1. */
  line: number;
  message: string;
}

export interface Editor {
  readonly text: string;
  /** Another program in place of this one; undo does not lead back. */
  replace(text: string): void;
  mark(mark: Mark | undefined): void;
  focus(): void;
}

export interface EditorOptions {
  parent: HTMLElement;
  text: string;
  run(): void;
  /** Whether there was something to stop. */
  stop(): boolean;
  changed(): void;
  check(text: string): Mark | undefined;
}

const colours = HighlightStyle.define([
  { tag: [t.keyword, t.operatorKeyword, t.controlKeyword], color: 'var(--code-keyword)' },
  { tag: [t.string, t.special(t.string)], color: 'var(--code-string)' },
  { tag: [t.number, t.bool, t.null, t.atom], color: 'var(--code-number)' },
  { tag: t.comment, color: 'var(--code-comment)', fontStyle: 'italic' },
  { tag: [t.standard(t.name), t.standard(t.variableName)], color: 'var(--code-builtin)' },
]);

const frame = EditorView.theme({
  '&': { height: '100%', backgroundColor: 'transparent', color: 'var(--ink)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', fontSize: 'var(--code-size)', lineHeight: '1.62' },
  '.cm-content': { padding: '14px 0 40px', caretColor: 'var(--accent)' },
  '.cm-line': { padding: '0 18px 0 8px' },
  '.cm-gutters': { backgroundColor: 'transparent', border: 'none', color: 'var(--faint)' },
  '.cm-lineNumbers .cm-gutterElement': { minWidth: '38px', padding: '0 10px 0 8px' },
  '.cm-activeLine': { backgroundColor: 'var(--active-line)' },
  '.cm-activeLineGutter': { backgroundColor: 'transparent', color: 'var(--soft)' },
  '.cm-cursor': { borderLeftColor: 'var(--accent)', borderLeftWidth: '2px' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'var(--selection)' },
  '.cm-selectionMatch': { backgroundColor: 'var(--match)' },
  '&.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--match)', outline: 'none' },
  '.cm-panels': { backgroundColor: 'var(--raised)', color: 'var(--ink)', borderColor: 'var(--line)' },
  '.cm-tooltip': { backgroundColor: 'var(--raised)', color: 'var(--ink)', border: '1px solid var(--line)', borderRadius: '6px' },
  '.cm-diagnostic-error': { borderLeft: '3px solid var(--error)' },
});

class Message extends WidgetType {
  constructor(readonly text: string) {
    super();
  }
  override eq(other: Message): boolean {
    return other.text === this.text;
  }
  toDOM(): HTMLElement {
    const element = document.createElement('div');
    element.className = 'line-error';
    element.textContent = this.text;
    return element;
  }
}

const setMark = StateEffect.define<Mark | undefined>();
const markField = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(shown, transaction) {
    let next = transaction.docChanged ? Decoration.none : shown;
    for (const effect of transaction.effects) {
      if (!effect.is(setMark)) continue;
      const { doc } = transaction.state;
      if (!effect.value || effect.value.line < 1) {
        next = Decoration.none;
        continue;
      }
      const line = doc.line(Math.min(effect.value.line, doc.lines));
      next = Decoration.set([
        Decoration.line({ class: 'cm-error-line' }).range(line.from),
        Decoration.widget({ widget: new Message(effect.value.message), block: true, side: 1 }).range(line.to),
      ]);
    }
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});

export function createEditor(options: EditorOptions): Editor {
  const problems = linter(
    (view): Diagnostic[] => {
      const found = options.check(view.state.doc.toString());
      if (!found || found.line < 1) return [];
      const line = view.state.doc.line(Math.min(found.line, view.state.doc.lines));
      return [{ from: line.from + (/^\s*/.exec(line.text)?.[0].length ?? 0), to: line.to, severity: 'error', message: found.message }];
    },
    { delay: 600 },
  );
  const extensions = [
    Prec.highest(
      keymap.of([
        { key: 'Mod-Enter', run: () => (options.run(), true) },
        { key: 'Ctrl-Enter', run: () => (options.run(), true) },
        { key: 'Escape', run: () => options.stop() },
      ]),
    ),
    lineNumbers(),
    highlightSpecialChars(),
    history(),
    drawSelection(),
    EditorState.tabSize.of(2),
    indentUnit.of('  '),
    indentOnInput(),
    bracketMatching(),
    closeBrackets(),
    highlightActiveLine(),
    highlightActiveLineGutter(),
    highlightSelectionMatches(),
    search({ top: true }),
    StreamLanguage.define({ ...lua, languageData: { commentTokens: { line: '--', block: { open: '--[[', close: ']]' } } } }),
    syntaxHighlighting(colours),
    keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, indentWithTab]),
    EditorView.contentAttributes.of({ 'aria-label': 'Lua program' }),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) options.changed();
    }),
    markField,
    problems,
    frame,
  ];
  const fresh = (text: string) => EditorState.create({ doc: text, extensions });
  const view = new EditorView({ state: fresh(options.text), parent: options.parent });
  return {
    get text() {
      return view.state.doc.toString();
    },
    replace(text) {
      view.setState(fresh(text));
      view.scrollDOM.scrollTo(0, 0);
    },
    mark(mark) {
      view.dispatch({ effects: setMark.of(mark) });
      if (mark && mark.line >= 1) {
        const at = view.state.doc.line(Math.min(mark.line, view.state.doc.lines)).from;
        view.dispatch({ effects: EditorView.scrollIntoView(at, { y: 'nearest', yMargin: 60 }) });
      }
    },
    focus: () => view.focus(),
  };
}
