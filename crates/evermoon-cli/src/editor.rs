//! The line editor of the interactive loop: history in a file, completion of names from the running engine.

use crate::session::Session;
use evermoon::{Lua, Table, Value};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Helper};
use std::path::PathBuf;

pub struct Editor {
    inner: rustyline::Editor<Names, FileHistory>,
    history: Option<PathBuf>,
}

pub enum Line {
    Text(String),
    Cancelled,
    End,
}

/// So many lines of history are kept.
const HISTORY_MAX: usize = 2000;

impl Editor {
    pub fn new(session: &Session) -> Result<Editor, ReadlineError> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .max_history_size(HISTORY_MAX)?
            .history_ignore_dups(true)?
            .build();
        let mut inner = rustyline::Editor::with_config(config)?;
        inner.set_helper(Some(Names {
            lua: session.lua.clone(),
        }));
        let history = history_file();
        if let Some(path) = &history {
            // There is none the first time.
            let _ = inner.load_history(path);
        }
        Ok(Editor { inner, history })
    }

    pub fn read(&mut self, prompt: &str) -> Line {
        match self.inner.readline(prompt) {
            Ok(text) => Line::Text(text),
            Err(ReadlineError::Interrupted) => Line::Cancelled,
            Err(_) => Line::End,
        }
    }

    pub fn remember(&mut self, source: &[u8]) {
        let text = String::from_utf8_lossy(source);
        if text.trim().is_empty() || self.inner.add_history_entry(text.as_ref()).is_err() {
            return;
        }
        if let Some(path) = &self.history {
            // Saved at once: the program may end the process.
            let _ = self
                .inner
                .append_history(path)
                .or_else(|_| self.inner.save_history(path));
        }
    }
}

/// `EVERMOON_HISTORY`, or a file in the user's state directory, or `~/.evermoon_history`.
fn history_file() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("EVERMOON_HISTORY") {
        return (!path.is_empty()).then(|| path.into());
    }
    if let Some(state) = std::env::var_os("XDG_STATE_HOME").filter(|p| !p.is_empty()) {
        let directory = PathBuf::from(state).join("evermoon");
        std::fs::create_dir_all(&directory).ok()?;
        return Some(directory.join("history"));
    }
    let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE"))?;
    Some(PathBuf::from(home).join(".evermoon_history"))
}

/// Completes names: globals, fields (`a.b`), methods (`a:b`), keywords.
struct Names {
    lua: Lua,
}

impl Helper for Names {}
impl Highlighter for Names {}
impl Validator for Names {}
impl Hinter for Names {
    type Hint = String;
}

const KEYWORDS: &[&str] = &[
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
    "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
];

impl Completer for Names {
    type Candidate = Pair;
    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let head = &line[..at];
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let start = head
            .rfind(|c: char| !is_name(c) && c != '.' && c != ':')
            .map_or(0, |i| i + 1);
        let path = &head[start..];
        let word_start = path.rfind(['.', ':']).map_or(0, |i| i + 1);
        let (objects, word) = (&path[..word_start], &path[word_start..]);
        let mut names = Vec::new();
        let mut table = Some(self.lua.globals());
        for name in objects.split_terminator(['.', ':']) {
            table = table.and_then(|t| field(&t, name));
        }
        let methods_only = objects.ends_with(':');
        // A table's own fields, then those that its metatables add. The chain may be a cycle.
        for _ in 0..8 {
            let Some(current) = table else { break };
            for (key, value) in current.pairs::<Value, Value>().flatten() {
                let Some(key) = key.as_str() else { continue };
                let fits = key.starts_with(word)
                    && key.chars().all(is_name)
                    && !key.starts_with(|c: char| c.is_numeric());
                if fits && (!methods_only || matches!(value, Value::Function(_))) {
                    names.push(key.to_owned());
                }
            }
            table = current.metatable().and_then(|meta| field(&meta, "__index"));
        }
        if objects.is_empty() && !word.is_empty() {
            names.extend(
                KEYWORDS
                    .iter()
                    .filter(|k| k.starts_with(word))
                    .map(|k| k.to_string()),
            );
        }
        names.sort();
        names.dedup();
        let pairs = names
            .into_iter()
            .map(|name| Pair {
                display: name.clone(),
                replacement: name,
            })
            .collect();
        Ok((start + word_start, pairs))
    }
}

/// A field that is a table; a string's fields are those of the string library.
fn field(table: &Table, name: &str) -> Option<Table> {
    table.raw_get::<Value>(name).ok()?.try_into().ok()
}
