//! Tests of the whole room: sources and the listings or messages that come of them, kept as text in `testdata`; limits; and
//! that whatever comes out passes the verifier.

use std::sync::Arc;

use super::compile;
use crate::bytecode::listing::{Options, list};
use crate::bytecode::op::Op;
use crate::bytecode::proto::Proto;
use crate::bytecode::verify::verify;
use crate::syntax::message::SyntaxError;
use crate::syntax::parser::{Limits, parse};

/// Parses, compiles and verifies.
fn compiled(source: &str) -> Result<Proto, SyntaxError> {
    let tree = parse(source.as_bytes(), &Limits::default())?;
    let proto = compile(&tree, Arc::from(&b"=test"[..]))?;
    if let Err(error) = verify(&proto) {
        let mut listing = String::new();
        list(&proto, &mut listing, &Options::default());
        panic!("{error}\n{listing}");
    }
    Ok(proto)
}

/// The line and the message with which a source is rejected.
fn message(source: &str) -> String {
    match compiled(source) {
        Ok(_) => "ok".to_owned(),
        Err(error) => format!("{}: {error}", error.line),
    }
}

/// Checks each source of a file (lines that start with `|`) against the lines after it that start with `mark`, or writes
/// those lines if asked to.
fn golden(file: &str, mark: char, run: impl Fn(&str) -> String) {
    let path = format!("{}/src/compile/testdata/{file}", env!("CARGO_MANIFEST_DIR"));
    let old = std::fs::read_to_string(&path).expect("the test's file can be read");
    let mut new = String::new();
    let mut lines = old.lines().peekable();
    while let Some(line) = lines.next() {
        new += &format!("{line}\n");
        let Some(line) = line.strip_prefix('|') else {
            continue;
        };
        let mut source = line.trim_start_matches(' ').to_owned();
        while let Some(line) = lines.next_if(|line| line.starts_with('|')) {
            new += &format!("{line}\n");
            source += &format!("\n{}", line.get(2..).unwrap_or_default());
        }
        for line in run(&source).lines() {
            new += format!("{mark} {line}").trim_end();
            new.push('\n');
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
fn listings_are_as_recorded() {
    golden("listings.txt", '>', |source| match compiled(source) {
        Ok(proto) => {
            let mut out = String::new();
            list(&proto, &mut out, &Options::default());
            out
        }
        Err(error) => format!("{}: {error}", error.line),
    });
}

#[test]
fn messages_are_the_references() {
    golden("messages.txt", '!', message);
}

fn names(count: usize) -> String {
    let names: Vec<String> = (0..count).map(|i| format!("v{i}")).collect();
    names.join(", ")
}

#[test]
fn limits_have_the_references_messages() {
    assert_eq!(message(&format!("local {}", names(200))), "ok");
    assert_eq!(
        message(&format!("\nlocal {}", names(201))),
        "2: too many local variables (limit is 200) in main function near <eof>"
    );
    assert_eq!(
        message(&format!("\nfunction f()\nlocal {}\nend", names(201))),
        "4: too many local variables (limit is 200) in function at line 2 near 'end'"
    );
    let upvalues = |count: usize| {
        let inner = names(count).replace('v', "w");
        let (v, w) = (names(count), inner);
        let sum = format!("{v}, {w}").replace(", ", " + ");
        format!("local {v}\nfunction f()\nlocal {w}\nreturn function() return {sum} end end")
    };
    assert_eq!(message(&upvalues(127)), "ok");
    assert_eq!(
        message(&upvalues(128)),
        "4: too many upvalues (limit is 255) in function at line 4"
    );
    let overflow = "1: function or expression needs too many registers";
    assert_eq!(message(&format!("f({})", "x, ".repeat(252) + "x")), "ok");
    assert_eq!(
        message(&format!("f({})", "x, ".repeat(255) + "x")),
        overflow
    );
    let targets = |count: usize| "t[f()], ".repeat(count) + "t.x = 1";
    assert_eq!(message(&targets(80)), "ok");
    assert_eq!(message(&targets(150)), overflow);
    assert_eq!(
        message(&format!("local a <const> = {{{}}}", "f(), ".repeat(1000))),
        "ok"
    );
}

#[test]
fn constants_beyond_an_operands_reach_still_work() {
    let mut source = String::from("local t, x = {}\n");
    for i in 0..70_000 {
        source += &format!("x = {i}.5\n");
    }
    source += "t.name = t.other; t:method(); x = x + 99999.5; x = x == 'far'; global = x; t[x] = 'value'\n";
    let proto = compiled(&source).expect("it compiles");
    assert!(proto.consts.len() > 65_536);
    let has = |op: Op| proto.code.iter().any(|instr| instr.op() == Some(op));
    assert!(has(Op::LOADKX) && !has(Op::SELF) && !has(Op::GETFIELD) && !has(Op::ADDK));
}

/// Chains that lean to the left may have any length, on a small stack, and take time with their length.
#[test]
fn long_chains_need_no_deep_stack() {
    let long = 50_000;
    let chain = |start: &str, link: &str| format!("{start}{}", link.repeat(long));
    let sources = [
        chain("return a", " + a"),
        chain("return a", " .. (a) == a"),
        chain("return a", " and b or c"),
        chain("return a", " == b"),
        chain("return a", ".b"),
        chain("return a", "[1]"),
        chain("x = a", "(1)"),
        chain("x = a", ":b()"),
        format!("{}end", chain("if a then b()", " elseif a then b() ")),
        format!("{}}}", chain("return {1", ", x = 1, 2")),
        chain("", "do goto x end ::y:: do ::y2:: end ::z:: ")
            .replace("::y::", "")
            .replace("::y2::", "")
            .replace("::z::", "")
            + "::x::",
        format!("while x do {} end", "if a then break end ".repeat(long)),
        format!("::a:: {}", "goto a ".repeat(long)),
    ];
    let compile_all = move || {
        for source in &sources {
            assert_eq!(message(source), "ok", "{}", &source[..40]);
        }
    };
    let thread = std::thread::Builder::new().stack_size(256 << 10);
    thread
        .spawn(compile_all)
        .expect("a thread")
        .join()
        .expect("no failure");
}

/// Labels and gotos by the ten thousand, in every order.
#[test]
fn many_labels_take_linear_time() {
    let count = 30_000;
    let gotos: String = (0..count).map(|i| format!("do goto x{i} end ")).collect();
    let labels: String = (0..count).map(|i| format!("::x{i}:: ")).collect();
    assert_eq!(message(&format!("{gotos}{labels}")), "ok");
    assert_eq!(message(&format!("{labels}{gotos}")), "ok");
}

/// After an error nothing may go wrong for another reason: each message is the first one.
#[test]
fn errors_stick() {
    let wrong = format!("local {}", names(300));
    for (source, start) in [
        (
            format!("f(function() {wrong} end, v1, function() v2 = v3 end)"),
            "1: too many local",
        ),
        (
            format!("while x do {wrong} if v1 then break end end"),
            "1: too many local",
        ),
        (
            "x = {function() goto a end, function() ::a:: end, b}".to_owned(),
            "1: no visible label",
        ),
        (
            "local a = function() break end, a while a do break end".to_owned(),
            "1: break outside",
        ),
        (
            "local a <const> = 1; a, b = function() a = 2 end".to_owned(),
            "1: attempt to assign",
        ),
    ] {
        let message = message(&source);
        assert!(message.starts_with(start), "{message}");
    }
    // The function in the middle has no room for the upvalue that the innermost one, which has none, assigns.
    let (v, w) = (names(150), names(150).replace('v', "w"));
    let sum = format!("{v}, {}", names(105).replace('v', "w")).replace(", ", " + ");
    let source = |assigned: &str| {
        format!(
            "local {v}\nfunction f()\nlocal {w}\nreturn function() local z = {sum}\n\
             return function() {assigned} = 1 end end end"
        )
    };
    assert_eq!(message(&source("w104")), "ok");
    assert_eq!(
        message(&source("w105")),
        "5: too many upvalues (limit is 255) in function at line 4"
    );
}

/// Each recorded source with each of its words left out, doubled, or put elsewhere: most are wrong, and none may go wrong
/// otherwise than by a message. What compiles passes the verifier.
#[test]
fn broken_sources_have_messages() {
    let files = [
        include_str!("testdata/listings.txt"),
        include_str!("testdata/messages.txt"),
    ];
    let mut accepted = 0;
    let sources = files.iter().flat_map(|file| file.split("\n\n"));
    for source in sources {
        let lines = source.lines().filter_map(|line| line.strip_prefix("| "));
        let source = lines.collect::<Vec<_>>().join(" \n ");
        let words: Vec<&str> = source.split(' ').collect();
        for i in 0..words.len() {
            let mut without = words.clone();
            let word = without.remove(i);
            let mut moved = without.clone();
            moved.insert(i * 7 % words.len(), word);
            let mut doubled = words.clone();
            doubled.insert(i, word);
            for words in [without, moved, doubled] {
                accepted += usize::from(compiled(&words.join(" ")).is_ok());
            }
        }
    }
    assert!(accepted > 300, "only {accepted} got past the parser");
}

#[test]
fn lines_and_locals_are_the_references() {
    let proto = compiled("local a\nfor i = 1, 2 do\n  f(\n    i\n  )\nend\nlocal function g(x, ...)\n  return x\nend").unwrap();
    let lines: Vec<u32> = proto.lines.clone();
    // VARARGPREP, LOADNIL, the loop's three values, FORPREP and its JMP, the call, FORLOOP and its JMP, CLOSURE, RETURN0.
    assert_eq!(lines, [1, 1, 2, 2, 2, 2, 2, 3, 4, 3, 2, 2, 9, 9]);
    let locals: Vec<(&[u8], u32, u32)> = proto
        .locals
        .iter()
        .map(|local| (&*local.name, local.start_pc, local.end_pc))
        .collect();
    let expected: [(&[u8], u32, u32); 6] = [
        (b"a", 2, 14),
        (b"(for state)", 5, 12),
        (b"(for state)", 5, 12),
        (b"(for state)", 5, 12),
        (b"i", 7, 10),
        (b"g", 13, 14),
    ];
    assert_eq!(locals, expected);
    let g = &proto.protos[0];
    assert_eq!(
        (
            g.line_defined,
            g.last_line_defined,
            g.num_params,
            g.is_vararg
        ),
        (7, 9, 1, true)
    );
    assert_eq!((proto.line_defined, proto.last_line_defined), (0, 0));
}

#[test]
fn the_main_function_has_one_upvalue() {
    for source in ["", "return _ENV", "x = 1", "local _ENV = {}; x = 1"] {
        let proto = compiled(source).unwrap();
        assert!(proto.is_vararg && proto.upvals.len() == 1);
        let env = &proto.upvals[0];
        assert!(env.in_stack && env.index == 0 && env.kind == 0);
        assert_eq!(env.name.as_deref(), Some(&b"_ENV"[..]));
    }
}
