//! Tables for people: what the interactive loop shows for a result.
//!
//! Runs no metamethods but `__tostring`, and is bounded: deep tables, long ones and cycles are cut short with `...`.

use evermoon::{LuaString, Table, Value};
use std::fmt::Write;

/// Nested tables are opened so far.
const DEPTH_MAX: usize = 4;
/// So many fields of a table are shown.
const FIELDS_MAX: usize = 100;
/// A table that fits into so many columns stays on one line.
const WIDTH: usize = 76;

/// A table as its readable text; any other value as it is.
pub fn shown(value: Value) -> Value {
    match &value {
        Value::Table(table) if !explains_itself(table) => {
            Value::string(render(table, &mut Vec::new(), 0))
        }
        _ => value,
    }
}

fn explains_itself(table: &Table) -> bool {
    table.metatable().is_some_and(|meta| {
        ["__tostring", "__name"]
            .iter()
            .any(|name| !matches!(meta.raw_get::<Value>(*name), Ok(Value::Nil)))
    })
}

/// `open` are the tables around this one; its length is bounded by `DEPTH_MAX`.
fn render(table: &Table, open: &mut Vec<Table>, indent: usize) -> String {
    open.push(table.clone());
    let length = table.raw_len();
    let mut items = Vec::new();
    let mut more = false;
    for (n, pair) in table.pairs::<Value, Value>().enumerate() {
        let Ok((key, value)) = pair else { break };
        if n == FIELDS_MAX {
            more = true;
            break;
        }
        let mut item = String::new();
        let in_sequence = matches!(key, Value::Integer(i) if i >= 1 && i as usize <= length);
        // Writing to a string cannot fail.
        if !in_sequence {
            let _ = match &key {
                Value::String(s) if is_name(s) => write!(item, "{s} = "),
                other => write!(item, "[{}] = ", literal(other, open, indent + 2)),
            };
        }
        item += &literal(&value, open, indent + 2);
        items.push(item);
    }
    open.pop();
    if more {
        items.push("...".into());
    }
    let width: usize = items.iter().map(|i| i.chars().count() + 2).sum();
    if items.is_empty() {
        "{}".into()
    } else if width + indent <= WIDTH && !items.iter().any(|i| i.contains('\n')) {
        format!("{{ {} }}", items.join(", "))
    } else {
        let pad = " ".repeat(indent + 2);
        let lines: Vec<String> = items.iter().map(|i| format!("{pad}{i}")).collect();
        format!("{{\n{}\n{}}}", lines.join(",\n"), " ".repeat(indent))
    }
}

fn literal(value: &Value, open: &mut Vec<Table>, indent: usize) -> String {
    match value {
        Value::String(s) => quoted(s),
        Value::Table(t) if open.contains(t) => "<cycle>".into(),
        Value::Table(t) if explains_itself(t) => value.to_text().unwrap_or_else(|_| "table".into()),
        Value::Table(t) if open.len() < DEPTH_MAX => render(t, open, indent),
        Value::Table(t) if t.is_empty() => "{}".into(),
        Value::Table(_) => "{ ... }".into(),
        other => other.to_text().unwrap_or_else(|_| other.type_name().into()),
    }
}

fn is_name(s: &LuaString) -> bool {
    const KEYWORDS: &str = " and break do else elseif end false for function goto if in local nil not or repeat return then true until while ";
    let text = s.to_string_lossy();
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !KEYWORDS.contains(&format!(" {text} "))
}

/// A string as a Lua literal; text in UTF-8 stays readable.
fn quoted(s: &LuaString) -> String {
    let mut out = String::from("\"");
    for piece in s.as_bytes().utf8_chunks() {
        for c in piece.valid().chars() {
            match c {
                '"' => out += "\\\"",
                '\\' => out += "\\\\",
                '\n' => out += "\\n",
                '\t' => out += "\\t",
                '\r' => out += "\\r",
                c if c.is_control() => out += &format!("\\u{{{:x}}}", c as u32),
                c => out.push(c),
            }
        }
        for byte in piece.invalid() {
            out += &format!("\\x{byte:02x}");
        }
    }
    out.push('"');
    out
}
