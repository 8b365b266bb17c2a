//! The official test suite of Lua 5.4.8, each file on its own, under our binary.
//!
//! The suite is fetched, not committed: the source distribution of `lupa` on PyPI carries Lua's repository, tests
//! included, pinned here by version and hash. We run it in full: neither `_soft` (which leaves out what is long) nor
//! `_port` (what is not portable) is set. What still does not run is (a) what needs `T`, the C module of the
//! reference's own debug build, and (b) C libraries; both are listed with every run.
//!
//! With `--wasm` the files run through the module: under the npm package's command in Node (`packages/evermoon/dist/cli.js`).
//!
//! Each file runs in two ways: directly, and, for those that the suite's own `all.lua` treats so, through
//! `string.dump` and `load`. A file passes when each of its ways does.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::child::{Child, Ending, Finished};
use crate::tally::Tally;
use crate::workspace::{self, Profile, run};
use crate::{packages, tools, workspace::on_path};

const DISTRIBUTION: &str = "lupa==2.8";
const TARBALL: &str = "lupa-2.8.tar.gz";
const TARBALL_SHA256: &str = "d8022641b9ec8ecf2c5ecbe9f47e5a70e0b87c4b5ae921b92cb02a638e0acd08";
const TESTS_INSIDE: &str = "lupa-2.8/third-party/lua54/testes";

/// How a file goes through `string.dump` and `load`, as in `all.lua`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dump {
    /// Not at all: it looks at its own debug information, or is itself about loading.
    No,
    Whole,
    Stripped,
}

/// A file of the suite: its name, its dump, and a condition on what it returns (`r` is the result).
struct File(&'static str, Dump, &'static str);

/// In the order of `all.lua`.
const FILES: [File; 27] = [
    File("main", Dump::Whole, "true"),
    File("gc", Dump::No, "true"),
    File("db", Dump::Whole, "true"),
    File("calls", Dump::Whole, "r == deep and deep"),
    File("strings", Dump::No, "true"),
    File("literals", Dump::No, "true"),
    File("tpack", Dump::Whole, "true"),
    File("attrib", Dump::Whole, "r == 27"),
    File("gengc", Dump::Whole, "true"),
    File("locals", Dump::Whole, "r == 5"),
    File("constructs", Dump::Whole, "true"),
    File("big", Dump::No, "true"),
    File("cstack", Dump::Whole, "true"),
    File("nextvar", Dump::Whole, "true"),
    File("pm", Dump::Whole, "true"),
    File("utf8", Dump::Whole, "true"),
    File("events", Dump::Whole, "r == 12"),
    File("vararg", Dump::Whole, "true"),
    File("closure", Dump::Whole, "true"),
    File("coroutine", Dump::Whole, "true"),
    File("goto", Dump::Stripped, "true"),
    File("errors", Dump::Whole, "true"),
    File("math", Dump::Whole, "true"),
    File("sort", Dump::Stripped, "true"),
    File("bitwise", Dump::Whole, "true"),
    File("verybig", Dump::Stripped, "r == 10"),
    File("files", Dump::Whole, "true"),
];

/// Files that are not run, and why.
const NOT_RUN: [(&str, &str); 3] = [
    ("api.lua", "tests the C API: returns at once without T"),
    (
        "code.lua",
        "compares PUC's opcodes: returns at once without T",
    ),
    (
        "heavy.lua",
        "fills all memory of the machine; not part of all.lua either",
    ),
];

/// Files that are not run through the package's command either, and why.
const NOT_RUN_IN_NODE: [(&str, &str); 3] = [
    (
        "main",
        "runs the command by the shell: the package's offers no os.execute",
    ),
    (
        "files",
        "needs all of io and os: the package's has files, but no popen, environment, standard streams to close",
    ),
    (
        "attrib",
        "looks at the whole message of package.searchpath, and loads C libraries",
    ),
];

/// Passages that are cut out before the run: exact text, so that another version of the suite is noticed.
struct Cut {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    why: &'static str,
}

const CUTS: [Cut; 4] = [
    Cut {
        file: "main.lua",
        from: "-- test module names with version sufix (\"libs/lib2-v2\")",
        to: "checkout(\"true\\n\")",
        why: "loads a C library (lib2-v2.so)",
    },
    Cut {
        file: "coroutine.lua",
        from: "-- yielding across C boundaries",
        to: "assert(co() == 30)",
        why: "asserts that a comparator of table.sort cannot yield; here it can",
    },
    Cut {
        file: "coroutine.lua",
        from: "-- unyieldable C call",
        to: "assert(co() == \"aa\")\nend",
        why: "asserts that a callback of string.gsub cannot yield; here it can",
    },
    Cut {
        file: "errors.lua",
        from: "f = coroutine.wrap(function () table.sort({1,2,3}, coroutine.yield) end)",
        to: "checkerr(\"yield across\", f)",
        why: "asserts that a comparator of table.sort cannot yield; here it can",
    },
];

/// Cut out as well for the package's command.
const CUTS_IN_NODE: [Cut; 5] = [
    Cut {
        file: "events.lua",
        from: "assert(not pcall(rawlen, io.stdin))",
        to: "io.stdin))",
        why: "wants a file to be a userdata: the package's are tables",
    },
    Cut {
        file: "db.lua",
        from: "  assert(not debug.setuservalue(io.stdin, 10))",
        to: "assert(a == nil and not b)",
        why: "wants a file to be a userdata: the package's are tables",
    },
    Cut {
        file: "errors.lua",
        from: "  checkmessage(\"io.input(XX)\"",
        to: "got My Type)\")",
        why: "wants io.input to name the type of its argument",
    },
    Cut {
        file: "errors.lua",
        from: "checkmessage(\"(io.write or print){}\"",
        to: "\"io.write\")",
        why: "wants 'io.write' in a message: the package's io says 'write'",
    },
    Cut {
        file: "errors.lua",
        from: "checkmessage(\"getmetatable(io.stdin).__gc()\"",
        to: "\"no value\")",
        why: "calls the finalizer of a file: the package's have none in Lua",
    },
];

/// What the suite runs under.
struct Subject {
    command: Vec<PathBuf>,
    /// Through the module.
    wasm: bool,
}

impl Subject {
    fn native(lua: &Path) -> Subject {
        Subject {
            command: vec![lua.to_path_buf()],
            wasm: false,
        }
    }

    fn wasm() -> Result<Subject> {
        Ok(Subject {
            command: packages::command()?,
            wasm: true,
        })
    }

    /// What is cut out for it besides.
    fn cuts(&self) -> &'static [Cut] {
        if self.wasm { &CUTS_IN_NODE } else { &[] }
    }

    fn run(&self, arguments: &[String], dir: &Path, limit: Duration) -> Result<Finished> {
        Child::of(&self.command)
            .args(arguments)
            .dir(dir)
            .limit(limit)
            .run()
    }
}

/// `cargo xtask conformance [names] [--bin PATH] [--dev | --checked] [--limit SECONDS] [--whole | --wasm]`.
pub fn conformance(given: &[String]) -> Result<bool> {
    let args = Args::parse(
        given,
        &["dev", "checked", "whole", "verbose", "wasm"],
        &["bin", "limit"],
    )?;
    if args.has("wasm") {
        return Ok(run_suite(&Subject::wasm()?, &args)?.close());
    }
    let profile = if args.has("dev") {
        Profile::Dev
    } else {
        Profile::Release
    };
    let lua = if args.has("checked") {
        workspace::build(Profile::Dev, Some("checked"))?
    } else {
        workspace::binary(args.option("bin"), profile)?
    };
    Ok(run_suite(&Subject::native(&lua), &args)?.close())
}

/// The suite for `cargo xtask test`.
pub fn part_of_test(lua: &Path) -> Result<Tally> {
    run_suite(&Subject::native(lua), &Args::default())
}

/// The same through the module.
pub fn part_of_test_in_wasm() -> Result<Tally> {
    run_suite(&Subject::wasm()?, &Args::default())
}

fn run_suite(subject: &Subject, args: &Args) -> Result<Tally> {
    let limit = Duration::from_secs(args.number("limit", 300)? as u64);
    let pristine = suite()?;
    let mut tally = Tally::new();
    let mut skipped = Vec::new();
    let asked: Vec<&File> = FILES
        .iter()
        .filter(|file| args.wants(file.0))
        .filter(|file| !(subject.wasm && NOT_RUN_IN_NODE.iter().any(|(name, _)| *name == file.0)))
        .collect();
    for file in &asked {
        let start = Instant::now();
        let result = run_file(
            subject,
            &pristine,
            file,
            limit,
            &mut skipped,
            args.has("verbose"),
        );
        tally.record(&format!("{}.lua", file.0), start.elapsed(), result);
    }
    if args.has("whole") {
        let start = Instant::now();
        let dir = fresh_copy(&pristine, subject.cuts())?;
        let arguments = ["-e", "_port=false", "all.lua"].map(str::to_owned);
        let done = subject.run(&arguments, &dir, limit * 4)?;
        let result = if done.success() {
            Ok(())
        } else {
            Err(last_lines(&done.stderr, done.ending))
        };
        tally.record(
            "all.lua (the whole suite in one state)",
            start.elapsed(),
            result,
        );
    }
    println!("not run:");
    for (file, why) in NOT_RUN {
        println!("    {file}: {why}");
    }
    if subject.wasm {
        for (file, why) in NOT_RUN_IN_NODE {
            println!("    {file}.lua: {why}");
        }
    }
    println!("parts that do not run inside the files:");
    for cut in CUTS.iter().chain(subject.cuts()) {
        println!("    {}: cut: {}", cut.file, cut.why);
    }
    for note in skipped {
        println!("    {note}");
    }
    for file in &asked {
        if let Some(note) = parts_that_need_t(&pristine, file.0)? {
            println!("    {note}");
        }
    }
    Ok(tally)
}

/// Runs one file in all its ways, each in a fresh copy of the suite (files write beside themselves).
fn run_file(
    subject: &Subject,
    pristine: &Path,
    file: &File,
    limit: Duration,
    skipped: &mut Vec<String>,
    verbose: bool,
) -> Result<(), String> {
    for (way, arguments) in ways(file) {
        let dir = fresh_copy(pristine, subject.cuts()).map_err(|error| format!("{error:#}"))?;
        let done = subject.run(&arguments, &dir, limit);
        let done = done.map_err(|error| format!("{error:#}"))?;
        let stdout = String::from_utf8_lossy(&done.stdout);
        if verbose {
            println!("{stdout}{}", done.error_text());
        }
        for line in stdout.lines().filter(|line| line.starts_with(SKIP_MARK)) {
            let note = format!("{}.lua: {}", file.0, line[SKIP_MARK.len()..].trim());
            if !skipped.contains(&note) {
                skipped.push(note);
            }
        }
        if !done.success() {
            return Err(format!("{way}: {}", last_lines(&done.stderr, done.ending)));
        }
    }
    Ok(())
}

/// What the suite's `Message` prints before each note about tests that it passes over.
const SKIP_MARK: &str = "<<skipped>>";

/// The ways in which a file runs: a name, and the command's arguments.
fn ways(File(name, dump, condition): &File) -> Vec<(&'static str, Vec<String>)> {
    // As all.lua begins: tests ask for the debug library themselves, and notes go through Message.
    let prelude = format!(
        "debug = nil; function Message(m) print(); print('{SKIP_MARK} ' .. m:gsub('%s+', ' ')) end"
    );
    let command = |code: String| vec!["-e".to_owned(), prelude.clone(), "-e".to_owned(), code];
    let mut ways = Vec::new();
    if *name == "big" {
        // It yields, and must be resumed once.
        let code = "local f = coroutine.wrap(assert(loadfile('big.lua'))) \
                    assert(f() == 'b') assert(f() == 'a')";
        ways.push(("in a coroutine", command(code.to_owned())));
    } else {
        ways.push((
            "directly",
            vec!["-e".to_owned(), prelude.clone(), format!("{name}.lua")],
        ));
    }
    if *dump != Dump::No {
        let strip = *dump == Dump::Stripped;
        let code = format!(
            "local f = assert(loadfile('{name}.lua')) f = assert(load(string.dump(f, {strip}))) \
             local r = f() assert({condition}, 'wrong result')"
        );
        ways.push(("through dump and load", command(code)));
    }
    ways
}

/// The last lines of standard error, where the reason stands.
fn last_lines(stderr: &[u8], ending: Ending) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(12);
    format!("{ending}\n{}", lines[from..].join("\n"))
}

/// Where a file asks for `T`: found in the text, so that the list is never out of date.
fn parts_that_need_t(dir: &Path, name: &str) -> Result<Option<String>> {
    let text = std::fs::read(dir.join(format!("{name}.lua")))?;
    let text = String::from_utf8_lossy(&text);
    let needs = |line: &str| {
        let line = line.trim();
        [
            "if T then",
            "if not T then",
            "if T==nil",
            "if T == nil",
            "if rawget(_G, \"T\")",
        ]
        .iter()
        .any(|q| line.starts_with(q))
    };
    let lines: Vec<String> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| needs(line))
        .map(|(n, _)| (n + 1).to_string())
        .collect();
    Ok(match lines.len() {
        0 => None,
        _ => Some(format!(
            "{name}.lua: needs T, the C test module, at line {}",
            lines.join(", ")
        )),
    })
}

/// The suite's directory, with the cuts made. Fetched once, and unpacked again when the list of cuts has changed.
fn suite() -> Result<PathBuf> {
    let home = workspace::scratch("conformance")?;
    let dir = home.join("testes");
    let complete = home.join("complete");
    let recipe = recipe();
    if std::fs::read_to_string(&complete).is_ok_and(|made_by| made_by == recipe) {
        return Ok(dir);
    }
    let tarball = tarball(&home)?;
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    let depth = TESTS_INSIDE.matches('/').count();
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(&tarball).arg("-C").arg(&home);
    tar.arg(format!("--strip-components={depth}"))
        .arg(TESTS_INSIDE);
    run(&mut tar)?;
    cut_all(&dir, &CUTS)?;
    std::fs::write(&complete, recipe)?;
    Ok(dir)
}

fn cut_all(dir: &Path, cuts: &[Cut]) -> Result<()> {
    for cut in cuts {
        let path = dir.join(cut.file);
        let text = String::from_utf8(std::fs::read(&path)?)?;
        std::fs::write(&path, cut_from(&text, cut)?)?;
    }
    Ok(())
}

/// What the suite's directory is made from: kept beside it, so that it is known to be of today's.
fn recipe() -> String {
    let mut text = format!("{TARBALL_SHA256}\n");
    for cut in &CUTS {
        text.push_str(&format!(
            "--- {}: cut from\n{}\n--- to\n{}\n",
            cut.file, cut.from, cut.to
        ));
    }
    text
}

fn cut_from(text: &str, cut: &Cut) -> Result<String> {
    let Some(from) = text.find(cut.from) else {
        bail!("{} has no line '{}'", cut.file, cut.from)
    };
    let Some(length) = text[from..].find(cut.to) else {
        bail!("{} has no line '{}'", cut.file, cut.to)
    };
    let to = from + length + cut.to.len();
    // The same number of lines, so that messages point into the original.
    let newlines = "\n".repeat(text[from..to].matches('\n').count());
    Ok(format!("{}{newlines}{}", &text[..from], &text[to..]))
}

/// The distribution: what is there already, or by `pip`, whose hash check and ours must both agree.
pub fn tarball(home: &Path) -> Result<PathBuf> {
    let path = home.join(TARBALL);
    if !path.is_file() {
        println!("fetching the official test suite ({DISTRIBUTION} from PyPI)");
        let requirement = home.join("requirements.txt");
        std::fs::write(
            &requirement,
            format!("{DISTRIBUTION} --hash=sha256:{TARBALL_SHA256}\n"),
        )?;
        let mut pip = tools::pip()?;
        // pip prepares a package even if it only downloads it, and this one would build LuaJIT for that.
        pip.env("LUPA_NO_LUAJIT", "true")
            .env("LUPA_NO_BUNDLE", "true");
        pip.args([
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ]);
        pip.args(["--no-binary", ":all:", "--require-hashes", "--requirement"])
            .arg(&requirement);
        pip.arg("--dest").arg(home);
        run(&mut pip)?;
    }
    let sum = on_path("sha256sum").context("sha256sum is not on PATH")?;
    let printed = crate::child::output_of(&sum, &[&path.to_string_lossy()])?;
    if !printed.starts_with(TARBALL_SHA256) {
        bail!(
            "{} is not the distribution that we know: remove it and try again",
            path.display()
        );
    }
    Ok(path)
}

/// A copy of the suite for another verb, passages cut as here.
pub fn copy_for(verb: &str) -> Result<PathBuf> {
    copy_into(&suite()?, workspace::scratch(verb)?.join("testes"), &[])
}

/// A copy of the suite that a run may write into.
fn fresh_copy(pristine: &Path, cuts: &[Cut]) -> Result<PathBuf> {
    let dir = workspace::scratch("conformance")?.join("run");
    copy_into(pristine, dir, cuts)
}

fn copy_into(pristine: &Path, dir: PathBuf, cuts: &[Cut]) -> Result<PathBuf> {
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    copy_all(pristine, &dir)?;
    cut_all(&dir, cuts)?;
    Ok(dir)
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        // As deep as the distribution, whose hash we know.
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
