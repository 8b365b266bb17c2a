//! The command from outside: what it prints where, and its exit code.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

struct Ran {
    out: String,
    err: String,
    code: Option<i32>,
}

fn evermoon() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evermoon"));
    for name in [
        "LUA_INIT",
        "LUA_INIT_5_4",
        "LUA_PATH",
        "LUA_PATH_5_4",
        "LUA_CPATH",
        "LUA_CPATH_5_4",
    ] {
        command.env_remove(name);
    }
    command
}

fn finish(command: &mut Command, input: &str) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read its input closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let program = env!("CARGO_BIN_EXE_evermoon");
    Ran {
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).replace(program, "evermoon"),
        code: output.status.code(),
    }
}

fn run(args: &[&str]) -> Ran {
    finish(evermoon().args(args), "")
}

fn run_with_input(args: &[&str], input: &str) -> Ran {
    finish(evermoon().args(args), input)
}

/// A file with this content, in a folder of its own test.
fn file(name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn a_script_gets_its_arguments() {
    let script = file(
        "args.lua",
        "print(#arg, arg[0]:match('[^/]*$'), arg[-1], ...) return 7",
    );
    let ran = run(&["-W", script.to_str().unwrap(), "a", "-b"]);
    assert_eq!(
        (ran.out.as_str(), ran.err.as_str(), ran.code),
        ("2\targs.lua\t-W\ta\t-b\n", "", Some(0))
    );
}

#[test]
fn options_run_in_their_order() {
    let ran = run(&[
        "-e",
        "x = 1",
        "-e",
        "print(x)",
        "-lm=math",
        "-e",
        "print(m == math, string)",
        "-l",
        "string",
    ]);
    assert!(ran.out.starts_with("1\ntrue\ttable: "), "{}", ran.out);
    let ran = run(&["-e", "print(1)", "-e", "error('no')", "-e", "print(2)"]);
    assert_eq!(ran.out, "1\n");
    assert_eq!(
        ran.err,
        "evermoon: (command line):1: no\nstack traceback:\n\t[C]: in function 'error'\n\t(command line):1: in main chunk\n\t[C]: in ?\n"
    );
    assert_eq!(ran.code, Some(1));
}

#[test]
fn errors_are_shown_as_lua_shows_them() {
    let shown = |code: &str| {
        let ran = run(&["-e", code]);
        assert_eq!(ran.code, Some(1), "{code}");
        ran.err.lines().next().unwrap_or("").to_string()
    };
    assert_eq!(
        shown("error{}"),
        "evermoon: (error object is a table value)"
    );
    assert_eq!(shown("error()"), "evermoon: (error object is a nil value)");
    assert_eq!(
        shown("error(setmetatable({}, {__tostring = function() return 'mine' end}))"),
        "evermoon: mine"
    );
    assert_eq!(
        shown("local t = nil; t.x = 1"),
        "evermoon: (command line):1: attempt to index a nil value (local 't')"
    );
    assert_eq!(
        shown("x ="),
        "evermoon: (command line):1: unexpected symbol near <eof>"
    );
    let ran = run(&["/no/such/file.lua"]);
    assert_eq!(
        ran.err,
        "evermoon: cannot open /no/such/file.lua: No such file or directory\n"
    );
    assert_eq!(ran.code, Some(1));
}

#[test]
fn wrong_options_show_the_usage() {
    for (option, message) in [
        ("-h", "unrecognized option '-h'"),
        ("-vv", "unrecognized option '-vv'"),
        ("-e", "'-e' needs argument"),
        (
            "--fule=3",
            "unrecognized option '--fule=3' (did you mean '--fuel'?)",
        ),
        (
            "--memory=lots",
            "'--memory' needs a size such as 64M, got 'lots'",
        ),
    ] {
        let ran = run(&[option]);
        assert!(
            ran.err
                .starts_with(&format!("evermoon: {message}\nusage: ")),
            "{}",
            ran.err
        );
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(1)));
    }
}

#[test]
fn help_and_version_are_output() {
    let ran = run(&["--help"]);
    assert!(ran.out.contains("Exit codes:") && ran.out.contains("--fuel N"));
    assert_eq!((ran.err.as_str(), ran.code), ("", Some(0)));
    let ran = run(&["--version"]);
    assert!(ran.out.starts_with("Evermoon ") && ran.out.contains("Lua 5.4.8"));
    assert_eq!(run(&["-v"]).out, ran.out);
}

#[test]
fn standard_input_is_a_script() {
    assert_eq!(run_with_input(&[], "print('in', ...)").out, "in\n");
    assert_eq!(run_with_input(&["-", "x"], "print(...)").out, "x\n");
    let ran = run_with_input(&[], "\nerror('e')");
    assert!(ran.err.starts_with("evermoon: stdin:2: e\n"), "{}", ran.err);
    assert_eq!(
        run_with_input(&["-e", "print(io.read('a'))"], "data").out,
        "data\n"
    );
}

#[test]
fn shebang_byte_order_mark_and_binary_chunks() {
    let path = file(
        "shebang.lua",
        "\u{feff}#!/usr/bin/env evermoon\nprint(debug.getinfo(1, 'l').currentline)",
    );
    assert_eq!(run(&[path.to_str().unwrap()]).out, "2\n");
    let binary = file("chunk.luac", "");
    let code = format!(
        "io.open({:?}, 'wb'):write('#c\\n', string.dump(load('print(3)')))",
        binary.to_str().unwrap()
    );
    assert_eq!(run(&["-e", &code]).code, Some(0));
    assert_eq!(run(&[binary.to_str().unwrap()]).out, "3\n");
}

#[test]
fn the_environment_configures() {
    let ran = finish(
        evermoon().env("LUA_INIT", "x = 5").args(["-e", "print(x)"]),
        "",
    );
    assert_eq!(ran.out, "5\n");
    let ran = finish(
        evermoon()
            .env("LUA_INIT", "x = 5")
            .args(["-E", "-e", "print(x)"]),
        "",
    );
    assert_eq!(ran.out, "nil\n");
    let ran = finish(evermoon().env("LUA_INIT", "error('bad')"), "");
    assert!(
        ran.err.starts_with("evermoon: LUA_INIT:1: bad"),
        "{}",
        ran.err
    );
    let ran = finish(
        evermoon()
            .env("LUA_PATH", "a;;b")
            .args(["-e", "print(package.path)"]),
        "",
    );
    assert!(
        ran.out.starts_with("a;/usr/local/share/lua/5.4/?.lua;") && ran.out.ends_with(";b\n"),
        "{}",
        ran.out
    );
}

#[test]
fn exit_codes() {
    for (code, expected) in [
        ("os.exit(3)", 3),
        ("os.exit(true)", 0),
        ("os.exit(false, true)", 1),
        ("coroutine.wrap(function() pcall(os.exit, 4) end)()", 4),
        ("table.sort({1, 2, 3}, function() os.exit(5) end)", 5),
    ] {
        let ran = run(&["-e", code]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(expected), ""), "{code}");
    }
    let code =
        "local c <close> = setmetatable({}, {__close = function(_, e) print('closed', e) end})
        setmetatable({}, {__gc = function() print('finalized') end}) pcall(os.exit, 6, true)";
    let ran = run(&["-e", code]);
    assert_eq!(
        (ran.out.as_str(), ran.code),
        ("closed\tnil\nfinalized\n", Some(6))
    );
    let ran = run(&["-e", &code.replace("6, true", "6")]);
    assert_eq!((ran.out.as_str(), ran.code), ("", Some(6)));
}

#[test]
fn limits_end_a_program() {
    let ran = run(&["--fuel", "100_000", "-e", "while true do pcall(error) end"]);
    assert!(ran.err.starts_with("evermoon: out of fuel"), "{}", ran.err);
    assert_eq!(ran.code, Some(2));
    let ran = run(&[
        "--memory=4M",
        "-e",
        "local s = 'x' while true do s = s .. s end",
    ]);
    assert!(
        ran.err.starts_with("evermoon: not enough memory"),
        "{}",
        ran.err
    );
    assert_eq!(ran.code, Some(1));
}

#[test]
fn random_numbers_come_from_the_seed() {
    let numbers =
        |args: &[&str]| run(&[args, &["-e", "print(math.random(0), math.random(0))"]].concat()).out;
    assert_eq!(numbers(&["--seed", "7"]), numbers(&["--seed=7"]));
    assert_ne!(numbers(&["--seed", "7"]), numbers(&["--seed=8"]));
    assert_ne!(numbers(&[]), numbers(&[]));
}

#[test]
fn chunks_are_checked_and_listed() {
    let (good, bad) = (
        file("good.lua", "print 'never'"),
        file("bad.lua", "x = = 1"),
    );
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());
    for flag in ["-p", "--check"] {
        let ran = run(&[flag, good]);
        assert_eq!(
            (ran.out.as_str(), ran.err.as_str(), ran.code),
            ("", "", Some(0))
        );
        let ran = run(&[flag, bad, good]);
        assert!(
            ran.err.ends_with("bad.lua:1: unexpected symbol near '='\n"),
            "{}",
            ran.err
        );
        assert_eq!(ran.code, Some(1));
    }
    let ran = run(&["--list", good]);
    assert!(
        ran.out.contains("GETTABUP") && ran.out.contains("print 'never'") && ran.code == Some(0),
        "{}",
        ran.out
    );
}

#[test]
fn warnings_are_off_unless_asked_for() {
    assert_eq!(run(&["-e", "warn('w')"]).err, "");
    assert_eq!(
        run(&["-W", "-e", "warn('a', 'b')"]).err,
        "Lua warning: ab\n"
    );
}

#[test]
fn the_interactive_loop_without_a_terminal() {
    let prompts = "_PROMPT='' _PROMPT2=''";
    let ran = run_with_input(
        &["-e", prompts, "-i"],
        "x = 1\nx, 'two'\n=x + 1\nfor i = 1, 2 do\nprint(i)\nend\nerror('e')\n'on'\nx.\n",
    );
    let shown: Vec<&str> = ran.out.lines().skip(1).collect();
    let wanted = [
        "x = 1",
        "x, 'two'",
        "1\ttwo",
        "=x + 1",
        "2",
        "for i = 1, 2 do",
        "print(i)",
        "end",
        "1",
        "2",
        "error('e')",
        "'on'",
        "on",
        "x.",
    ];
    assert_eq!(shown[..wanted.len()], wanted);
    assert!(
        ran.err.starts_with("stdin:1: e\nstack traceback:"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.ends_with("<name> expected near <eof>\n"),
        "{}",
        ran.err
    );
    assert_eq!(ran.code, Some(0));
    let ran = run_with_input(&["-i"], "x =\n1\n");
    assert!(ran.out.contains("\n> x =\n>> 1\n> \n"), "{}", ran.out);
    assert_eq!(run_with_input(&["-i"], "os.exit(9)\n").code, Some(9));
}

#[cfg(unix)]
#[test]
fn an_interrupt_is_an_error_of_the_program() {
    let mut child = evermoon()
        .args([
            "-e",
            "print('up') print(pcall(function() while true do end end))",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(line, "up\n");
    assert!(
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    line.clear();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(line, "false\t(command line):1: interrupted!\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn modules_beyond_luas_own_are_there() {
    let ran = run(&["-e", "print(require 'bigint'.new(2) ^ 70)"]);
    assert_eq!(ran.out, "1180591620717411303424\n");
}

#[test]
fn lines_of_the_interactive_loop_are_one_program() {
    let ran = run_with_input(
        &["-e", "_PROMPT='' _PROMPT2=''", "-i"],
        "co, main = coroutine.running()\nmain, co == coroutine.running()\ndebug.sethook(print, 'l')\ndebug.gethook() == print\n",
    );
    assert!(ran.out.contains("true\ttrue\n"), "{}", ran.out);
    assert!(ran.out.trim_end().ends_with("\ntrue"), "{}", ran.out);
}
