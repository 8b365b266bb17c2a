//! Tests of the whole room: sources and the messages or trees that come of them, kept as text in `testdata`; and limits.

use super::tree::*;
use super::*;

fn parsed(source: &[u8]) -> Result<Tree, SyntaxError> {
    parse(source, &Limits::default())
}

/// The error's text with its line.
fn message(source: &[u8]) -> Option<Vec<u8>> {
    let error = parsed(source).err()?;
    Some([format!("{}: ", error.line).as_bytes(), &error.message].concat())
}

/// Bytes that are not text, as `⟨1b⟩`.
fn show(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' | '\r' | '\0' => text.push_str(&format!("⟨{:02x}⟩", c as u32)),
                _ => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("⟨{byte:02x}⟩"));
        }
    }
    text
}

/// The bytes that [`show`] would show as this text.
fn read(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('⟨') {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(&after[..2], 16).expect("two hexadecimal digits"));
        rest = after[2..].strip_prefix('⟩').expect("a closing bracket");
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// Checks each source of a file (lines that start with `|`) against the lines after it that start with `mark`, or writes
/// those lines if asked to.
fn golden(file: &str, mark: char, run: impl Fn(&[u8]) -> String) {
    let path = format!("{}/src/syntax/testdata/{file}", env!("CARGO_MANIFEST_DIR"));
    let old = std::fs::read_to_string(&path).expect("the test's file can be read");
    let mut new = String::new();
    let mut lines = old.lines().peekable();
    while let Some(line) = lines.next() {
        new += &format!("{line}\n");
        if !line.starts_with('|') {
            continue;
        }
        let mut source = vec![line];
        while let Some(line) = lines.next_if(|line| line.starts_with('|')) {
            source.push(line);
            new += &format!("{line}\n");
        }
        let source: Vec<_> = source
            .iter()
            .map(|line| line.get(2..).unwrap_or(""))
            .collect();
        for line in run(&read(&source.join("\n"))).lines() {
            new += &format!("{mark} {line}\n");
        }
        while lines.next_if(|line| line.starts_with(mark)).is_some() {}
    }
    if std::env::var_os("EVERMOON_BLESS").is_some() {
        std::fs::write(&path, &new).expect("the test's file can be written");
        return;
    }
    for (i, (old, new)) in old.lines().zip(new.lines()).enumerate() {
        assert_eq!(new, old, "{file}, line {} (left is what came out)", i + 1);
    }
    assert_eq!(new, old, "{file}");
}

#[test]
fn messages_are_the_references() {
    golden("messages.txt", '!', |source| match message(source) {
        Some(message) => show(&message),
        None => "ok".to_owned(),
    });
}

#[test]
fn trees_are_as_recorded() {
    golden("trees.txt", '>', |source| match parsed(source) {
        Ok(tree) => print::print(&tree),
        Err(error) => format!("{}: {error}", error.line),
    });
}

#[test]
fn nesting_has_a_limit() {
    let within = Limits {
        nesting: 20,
        ..Limits::default()
    };
    for (open, middle, close) in [
        ("x = ", "(", ")"),
        ("x = ", "{", "}"),
        ("x = ", "a[", "]"),
        ("x = ", "f(", ")"),
        ("x = ", "- ", ""),
        ("x = ", "not ", ""),
        ("x = ", "a .. ", ""),
        ("x = ", "a ^ ", ""),
        ("", "do ", "end "),
        ("", "if x then ", "end "),
        ("", "while x do ", "end "),
        ("", "repeat ", "until x "),
        ("", "for i = 1, 2 do ", "end "),
        ("", "function f() ", "end "),
        ("x = ", "function() return ", " end"),
        ("x", ", x", ""),
    ] {
        let source = |times: usize| {
            let inside = match (open, middle) {
                ("", _) => "",
                ("x", _) => " = 1",
                _ => "1",
            };
            format!(
                "{open}{}{inside}{}",
                middle.repeat(times),
                close.repeat(times)
            )
        };
        for times in [1, 5, 8] {
            assert!(
                parse(source(times).as_bytes(), &within).is_ok(),
                "{}",
                source(times)
            );
        }
        let error = parse(source(20).as_bytes(), &within).expect_err("too deep");
        assert!(error.message.starts_with(b"C stack overflow"), "{error}");
        assert!(parse(source(45).as_bytes(), &Limits::default()).is_ok());
        assert!(parse(source(1_000_000).as_bytes(), &Limits::default()).is_err());
    }
}

#[test]
fn length_has_none() {
    const TIMES: usize = 100_000;
    for (open, middle, close) in [
        ("x = a", " + a", ""),
        ("x = a", " < a", ""),
        ("x = a", ".b", ""),
        ("x = a", "[1]", ""),
        ("f", "()", ""),
        ("f", ":g 's'", ""),
        ("f(a", ", a", ")"),
        ("x = {", "a, b = 1;", "}"),
        ("if a then ", "elseif a then ", "end"),
        ("", "x = 1 ", ""),
        ("", "::a:: ", ""),
        ("", ";", ""),
        ("--[[", "]\n", "]]"),
        ("x = [[", "]\r", "]]"),
        ("x = '", "\\n", "'"),
        ("x = 1", "0", ""),
        ("x = 0x", "f", "p1"),
        ("x", "y", " = 1"),
    ] {
        let source = format!("{open}{}{close}", middle.repeat(TIMES));
        let tree =
            parsed(source.as_bytes()).unwrap_or_else(|e| panic!("{open}{middle}{close}: {e}"));
        // The printer must not recurse either.
        assert!(print::print(&tree).len() > 10);
    }
}

#[test]
fn memory_has_a_limit() {
    let limits = Limits {
        memory: 1 << 20,
        ..Limits::default()
    };
    for unit in ["f()", "a,", "x=1 ", "'s',", "function f()end "] {
        let source = match unit {
            "a," | "'s'," => format!("return {{{}}}", unit.repeat(200_000)),
            _ => unit.repeat(200_000),
        };
        let error = parse(source.as_bytes(), &limits).expect_err("too large");
        assert_eq!(error.message, b"not enough memory", "{unit}");
        assert!(parsed(source.as_bytes()).is_ok(), "{unit}");
        assert!(parse(&source.as_bytes()[..0], &limits).is_ok());
    }
}

#[test]
fn children_come_before_their_parents() {
    let tree = parsed(b"x = {f(a.b, -c), [d] = function() return (e) end} + g:h(1, 'i')")
        .expect("it parses");
    for (i, expr) in tree.exprs.iter().enumerate() {
        let mut children = Vec::new();
        match *expr {
            Expr::Index { object, key, .. } => children.extend([object, key]),
            Expr::Call { func, args, .. } => {
                children.push(func);
                children.extend(tree.list(args));
            }
            Expr::Method { object, args, .. } => {
                children.push(object);
                children.extend(tree.list(args));
            }
            Expr::Binary { left, right, .. } => children.extend([left, right]),
            Expr::Unary { operand, .. } => children.push(operand),
            Expr::Paren(inner) => children.push(inner),
            _ => {}
        }
        assert!(children.iter().all(|child| (child.0 as usize) < i));
    }
}

#[test]
fn a_files_first_line_and_mark() {
    for (file, chunk) in [
        (&b"x = 1"[..], &b"x = 1"[..]),
        (b"#!/usr/bin/lua\nx = 1", b"\nx = 1"),
        (b"#", b""),
        (b"# only\r\n", b"\n"),
        (b"\xef\xbb\xbfx = 1", b"x = 1"),
        (b"\xef\xbb\xbf#!x\nx = 1", b"\nx = 1"),
        (b"\xef\xbbx", b"\xef\xbbx"),
        (b" #x", b" #x"),
        (b"", b""),
    ] {
        assert_eq!(skip_shebang(file), chunk);
    }
}

/// Whatever the bytes, parsing ends in a tree or a message, and so does each beginning and each damaged form of a source.
#[test]
fn damaged_sources_do_no_harm() {
    let source = include_bytes!("testdata/trees.txt");
    let source: Vec<u8> = source
        .iter()
        .copied()
        .filter(|&b| b != b'|' && b != b'#')
        .collect();
    let mut seed = 1u64;
    let mut random = |below: usize| {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (seed >> 33) as usize % below
    };
    for end in 0..source.len() {
        let _ = parsed(&source[..end]);
        let start = random(end + 1);
        let mut damaged = source[start..end].to_vec();
        for _ in 0..random(4) {
            if !damaged.is_empty() {
                let at = random(damaged.len());
                damaged[at] = random(256) as u8;
            }
        }
        if let Ok(tree) = parsed(&damaged) {
            print::print(&tree);
        }
    }
}
