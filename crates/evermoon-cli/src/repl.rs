//! The interactive loop. On a terminal: a line editor, readable tables, locals that live on. Otherwise exactly what `lua -i` does with
//! its input, prompts included.

use crate::editor::{Editor, Line};
use crate::pretty;
use crate::scope::Scope;
use crate::session::{Outcome, Session};
use evermoon::{Error, Function, MultiValue, Result as LuaResult, Value};
use std::io::{BufRead, IsTerminal, Write};

/// Where lines come from.
enum Input {
    Editor(Box<Editor>),
    Plain,
}

/// What a line of input may be.
enum Read {
    Text(Vec<u8>),
    /// Given up with Ctrl-C.
    Cancelled,
    End,
}

/// Reads and runs until the input ends. Errors are shown and do not end it.
pub fn run(session: &mut Session) -> Outcome {
    let program = session.program.take();
    session.keep_on_error();
    let interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let mut scope = if interactive {
        Scope::new(session)
    } else {
        None
    };
    let mut input = match interactive.then(|| Editor::new(session)) {
        Some(Ok(editor)) => Input::Editor(Box::new(editor)),
        _ => Input::Plain,
    };
    loop {
        let (loaded, is_expression) = match load(session, &mut input, &mut scope) {
            Some(loaded) => loaded,
            None => break,
        };
        match loaded.and_then(|function| session.call(&function, MultiValue::new())) {
            Ok(results) => show(session, &results, interactive && is_expression),
            Err(error) => {
                let outcome = session.report(&error);
                if matches!(error, Error::Exit { .. }) {
                    session.program = program;
                    return outcome;
                }
            }
        }
        if let Some(scope) = &mut scope {
            scope.keep();
        }
    }
    if let Input::Plain = input {
        session.flush();
        let _ = writeln!(std::io::stdout());
    }
    session.flush();
    session.program = program;
    Ok(())
}

/// Reads a whole chunk: an expression, a statement, or as many lines as it takes. `None` at the end of the input.
fn load(
    session: &Session,
    input: &mut Input,
    scope: &mut Option<Scope>,
) -> Option<(LuaResult<Function>, bool)> {
    let mut source = match read(session, input, true) {
        Read::Text(line) => line,
        Read::Cancelled => return Some((Ok(nothing(session)?), false)),
        Read::End => return None,
    };
    // `=expr` is how Lua 5.1 asked for a value.
    let expression = match source.strip_prefix(b"=") {
        Some(rest) => [b"return ", rest].concat(),
        None => [b"return ", source.as_slice()].concat(),
    };
    if let Ok(function) = compile(session, scope, &expression) {
        remember(input, &source);
        return Some((Ok(function), true));
    }
    if source.first() == Some(&b'=') {
        source = expression;
    }
    loop {
        let loaded = compile(session, scope, &source);
        if !loaded.as_ref().is_err_and(Error::is_incomplete) {
            remember(input, &source);
            return Some((loaded, true));
        }
        match read(session, input, false) {
            Read::Text(line) => {
                source.push(b'\n');
                source.extend(line);
            }
            Read::Cancelled => return Some((Ok(nothing(session)?), false)),
            Read::End => return Some((loaded, false)),
        }
    }
}

fn nothing(session: &Session) -> Option<Function> {
    session.lua.load("").set_name("=stdin").into_function().ok()
}

fn compile(session: &Session, scope: &mut Option<Scope>, source: &[u8]) -> LuaResult<Function> {
    let plain = session
        .lua
        .load(source)
        .set_name("=stdin")
        .into_function()?;
    match scope {
        // If the locals of earlier lines cannot be had, the line still runs.
        Some(scope) => Ok(scope.compile(session, source).unwrap_or(plain)),
        None => Ok(plain),
    }
}

fn remember(input: &mut Input, source: &[u8]) {
    if let Input::Editor(editor) = input {
        editor.remember(source);
    }
}

fn read(session: &Session, input: &mut Input, first: bool) -> Read {
    let prompt = prompt(session, first);
    session.flush();
    match input {
        Input::Editor(editor) => match editor.read(&prompt) {
            Line::Text(text) => Read::Text(text.into_bytes()),
            Line::Cancelled => Read::Cancelled,
            Line::End => Read::End,
        },
        Input::Plain => {
            let mut out = std::io::stdout();
            let _ = out.write_all(prompt.as_bytes()).and_then(|()| out.flush());
            let mut line = Vec::new();
            match std::io::stdin().lock().read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => Read::End,
                Ok(_) => {
                    if line.last() == Some(&b'\n') {
                        line.pop();
                    }
                    // What is not typed is shown, as GNU readline does it for `lua`: the output then reads like a session.
                    if !std::io::stdin().is_terminal() {
                        let _ = out
                            .write_all(&line)
                            .and_then(|()| out.write_all(b"\n"))
                            .and_then(|()| out.flush());
                    }
                    Read::Text(line)
                }
            }
        }
    }
}

/// The global `_PROMPT` or `_PROMPT2`, as `tostring` shows it.
fn prompt(session: &Session, first: bool) -> String {
    let (name, default) = if first {
        ("_PROMPT", "> ")
    } else {
        ("_PROMPT2", ">> ")
    };
    match session.lua.globals().get::<Value>(name) {
        Ok(Value::Nil) | Err(_) => default.into(),
        Ok(value) => value.to_text().unwrap_or_else(|_| default.into()),
    }
}

/// Shows results: by the global `print`, as `lua` does, unless tables can be shown better.
fn show(session: &Session, results: &MultiValue, pretty: bool) {
    if results.is_empty() {
        return;
    }
    let mut results = results.clone();
    if pretty {
        results = results.into_iter().map(pretty::shown).collect();
    }
    let print = session.lua.globals().get::<Value>("print");
    let shown = match print {
        Ok(Value::Function(print)) => session.call(&print, results).map(|_| ()),
        Ok(other) => Err(Error::runtime(format!(
            "attempt to call a {} value",
            other.type_name()
        ))),
        Err(error) => Err(error),
    };
    if let Err(error) = shown {
        session.report_text(&format!("error calling 'print' ({error})"));
    }
}
