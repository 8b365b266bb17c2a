//! `cargo xtask test`: everything that must hold, from formatting to the official suite. CI runs nothing else.
//!
//! Each part runs even when one before it failed, so that one run shows all that is wrong. The last line is
//! `N passed, N failed`; the exit code is 0 only when nothing failed.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::args::Args;
use crate::tally::Tally;
use crate::workspace::{self, Profile, cargo, on_path, shown};
use crate::{build_wasm, conformance, faults, lua_programs, packages, real_programs, tools};

/// What the parts are called, in the order in which they run.
const PARTS: [&str; 15] = [
    "fmt",
    "clippy",
    // Before `rust`: the tests of the module need it.
    "wasm",
    "rust",
    "lua",
    "checked",
    "reference",
    "conformance",
    // The official suite in worlds that are left and opened again all the time.
    "anywhere",
    "programs",
    // tests/lua through the module, under a Rust host.
    "host",
    // The npm package and the page.
    "package",
    // tests/lua and the official suite through the package, in Node.
    "node",
    "page",
    "size",
];

/// What `--quick` leaves out.
const LONG: [&str; 9] = [
    "checked",
    "reference",
    "conformance",
    "anywhere",
    "programs",
    "host",
    "node",
    "page",
    "size",
];

/// The fuzzers are a workspace of their own: nothing else builds them. libFuzzer is C++, so without a compiler for that its targets are left out.
fn clippy_of_fuzzers() -> Command {
    let mut clippy = cargo();
    clippy.args(["clippy", "--quiet", "--all-targets"]);
    clippy
        .arg("--manifest-path")
        .arg(workspace::root().join("fuzz/Cargo.toml"));
    if on_path("c++").is_none() {
        clippy.arg("--no-default-features");
    }
    clippy.args(["--", "-D", "warnings"]);
    clippy
}

/// `cargo xtask test [parts] [--quick] [--bin PATH]`.
pub fn test(given: &[String]) -> Result<bool> {
    let args = Args::parse(given, &["quick"], &["bin", "only"])?;
    for word in &args.words {
        if !PARTS.contains(&word.as_str()) {
            anyhow::bail!(
                "no part is called '{word}' (there are: {})",
                PARTS.join(" ")
            );
        }
    }
    let quick = args.has("quick");
    let wants = |part: &str| {
        if args.words.is_empty() {
            !(quick && LONG.contains(&part))
        } else {
            args.wants(part)
        }
    };
    let only: Vec<String> = args.option("only").map(str::to_owned).into_iter().collect();
    let mut tally = Tally::new();

    if wants("fmt") {
        step(
            &mut tally,
            "cargo fmt --check",
            cargo().args(["fmt", "--all", "--check"]),
        );
    }
    if wants("clippy") {
        let mut clippy = cargo();
        clippy.args([
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]);
        step(&mut tally, "cargo clippy", &mut clippy);
        let mut clippy = cargo();
        clippy
            .args(["clippy", "--quiet", "--package", "evermoon-wasm", "--lib"])
            .args(["--no-default-features", "--", "-D", "warnings"]);
        step(&mut tally, "cargo clippy, without worlds", &mut clippy);
        step(
            &mut tally,
            "cargo clippy in fuzz/",
            &mut clippy_of_fuzzers(),
        );
    }
    if wants("wasm") {
        part(&mut tally, "the module", || {
            let mut tally = Tally::new();
            let start = Instant::now();
            let built = build_wasm::build_wasm(&[]);
            tally.record("the modules in dist", start.elapsed(), outcome(built));
            Ok(tally)
        });
    }
    if wants("rust") {
        rust_tests(&mut tally, &only);
    }
    if wants("lua") {
        part(&mut tally, "tests/lua", || {
            lua_programs::run_all(
                &workspace::binary(args.option("bin"), Profile::Dev)?,
                &only,
                lua_programs::Subject::Evermoon,
            )
        });
    }
    if wants("checked") {
        // The checker's own tests, and the programs under its eyes.
        let mut own = cargo();
        own.args(["test", "--package", "evermoon", "--lib", "--features"])
            .args(["checked", "--target-dir"])
            .arg(workspace::target().join("checked"))
            .arg("heap::");
        counted(&mut tally, "cargo test --features checked heap::", &mut own);
        part(&mut tally, "tests/lua, checked", || {
            lua_programs::run_all(
                &workspace::build(Profile::Dev, Some("checked"))?,
                &only,
                lua_programs::Subject::Evermoon,
            )
        });
    }
    if wants("reference") {
        // Our expectations against the reference itself.
        part(&mut tally, "tests/lua under lua5.4", || {
            lua_programs::run_reference(&only, None)
        });
    }
    if wants("conformance") {
        part(&mut tally, "the official suite", || {
            conformance::part_of_test(&workspace::binary(args.option("bin"), Profile::Release)?)
        });
    }
    if wants("anywhere") {
        let name = "the official suite in worlds";
        match faults::part_of_test() {
            Ok(mut tests) => counted(&mut tally, name, &mut tests),
            Err(error) => tally.record(name, Default::default(), Err(format!("{error:#}"))),
        }
    }
    if wants("programs") {
        part(&mut tally, "real programs", || {
            real_programs::part_of_test(&workspace::binary(args.option("bin"), Profile::Release)?)
        });
    }
    if wants("size") {
        part(&mut tally, "the module's size", build_wasm::size_check);
    }
    if wants("host") {
        part(&mut tally, "tests/lua through the module", || {
            lua_programs::run_wasm(&only)
        });
    }
    if wants("package") {
        package(&mut tally);
    }
    if wants("node") {
        part(&mut tally, "tests/lua through the package", || {
            lua_programs::run_node(&only)
        });
        part(
            &mut tally,
            "the official suite through the package",
            conformance::part_of_test_in_wasm,
        );
    }
    if wants("page") {
        page(&mut tally, args.option("bin"));
    }
    println!();
    Ok(tally.close())
}

fn outcome(done: Result<bool>) -> Result<(), String> {
    match done {
        Ok(true) => Ok(()),
        Ok(false) => Err("see above".to_owned()),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// The npm package: types, then its tests, which build it first.
fn package(tally: &mut Tally) {
    if !installed(tally, packages::PACKAGE) {
        return;
    }
    npm_step(tally, "strict types of the package", || {
        packages::type_check(packages::PACKAGE)
    });
    // Its stores are tested in a browser too.
    match tools::chromium() {
        Ok(browser) => npm_tests(tally, packages::PACKAGE, &[("CHROMIUM", &browser)]),
        Err(_) => npm_tests(tally, packages::PACKAGE, &[]),
    }
}

/// The page: types and build, then its tests in a browser.
fn page(tally: &mut Tally, binary: Option<&str>) {
    if !installed(tally, packages::PAGE) {
        return;
    }
    npm_step(tally, "the page: strict types, build", || {
        let mut npm = packages::npm(packages::PAGE)?;
        npm.args(["run", "--silent", "build"]);
        Ok(npm)
    });
    // Worlds go from the native command to the page and back.
    let needs = tools::chromium()
        .and_then(|browser| Ok((browser, workspace::binary(binary, Profile::Dev)?)));
    match needs {
        Ok((browser, native)) => npm_tests(
            tally,
            packages::PAGE,
            &[("CHROMIUM", &browser), ("EVERMOON", &native)],
        ),
        Err(error) => tally.skip(
            "the page's tests",
            &format!("no Chromium, and it cannot be installed, or no command: {error:#}"),
        ),
    }
}

fn installed(tally: &mut Tally, package: &str) -> bool {
    println!("\n== npm ci in {package}");
    let start = Instant::now();
    let done = packages::install(package);
    let well = done.is_ok();
    if let Err(error) = done {
        let name = format!("npm ci in {package}");
        tally.record(&name, start.elapsed(), Err(format!("{error:#}")));
    }
    well
}

fn npm_step(tally: &mut Tally, name: &str, command: impl FnOnce() -> Result<Command>) {
    match command() {
        Ok(mut command) => step(tally, name, &mut command),
        Err(error) => tally.record(name, Default::default(), Err(format!("{error:#}"))),
    }
}

/// A package's `npm test`, counted test by test.
fn npm_tests(tally: &mut Tally, package: &str, environment: &[(&str, &std::path::Path)]) {
    let name = format!("npm test in {package}");
    match packages::npm(package) {
        Ok(mut npm) => {
            npm.envs(environment.iter().copied());
            counted(tally, &name, npm.args(["test", "--silent"]));
        }
        Err(error) => tally.record(&name, Default::default(), Err(format!("{error:#}"))),
    }
}

/// One command that passes or fails as a whole.
fn step(tally: &mut Tally, name: &str, command: &mut Command) {
    println!("\n== {name}");
    let start = Instant::now();
    let result = match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{status}")),
        Err(error) => Err(format!("cannot run {}: {error}", shown(command))),
    };
    tally.record(name, start.elapsed(), result);
}

/// A part that counts for itself. One that cannot even begin counts as one failure.
fn part(tally: &mut Tally, name: &str, run: impl FnOnce() -> Result<Tally>) {
    println!("\n== {name}");
    let start = Instant::now();
    match run() {
        Ok(counted) => tally.add(counted),
        Err(error) => tally.record(name, start.elapsed(), Err(format!("{error:#}"))),
    }
}

/// The Rust tests, counted one by one: nextest where it is installed (each test in its own process), else cargo's own;
/// and the examples in the documentation.
fn rust_tests(tally: &mut Tally, only: &[String]) {
    if on_path("cargo-nextest").is_some() {
        let mut nextest = cargo();
        nextest.args([
            "nextest",
            "run",
            "--workspace",
            "--no-tests=pass",
            "--status-level=fail",
            "--final-status-level=fail",
        ]);
        counted(tally, "cargo nextest", nextest.args(only));
        let mut doc = cargo();
        doc.args(["test", "--quiet", "--workspace", "--doc"]);
        counted(tally, "cargo test --doc", doc.args(only));
    } else {
        let mut all = cargo();
        all.args(["test", "--workspace", "--no-fail-fast"]);
        counted(tally, "cargo test", all.args(only));
    }
}

/// Runs a test command, shows what it says, and counts from its summaries.
fn counted(tally: &mut Tally, name: &str, command: &mut Command) {
    println!("\n== {name}");
    let start = Instant::now();
    match command_output(command) {
        Ok((ok, text)) => {
            let (passed, failed) = summaries(&text);
            tally.passed += passed;
            for _ in 0..failed {
                tally.fail(name);
            }
            if !ok && failed == 0 {
                tally.record(
                    name,
                    start.elapsed(),
                    Err("failed outside its tests".to_owned()),
                );
            }
        }
        Err(error) => tally.record(name, start.elapsed(), Err(format!("{error:#}"))),
    }
}

/// Standard output and error of a command, passed on when it ends.
fn command_output(command: &mut Command) -> Result<(bool, String)> {
    command.stdin(Stdio::null());
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    print_short(&text);
    Ok((output.status.success(), text))
}

/// Passes text on. Of Node's test protocol only what failed, with what it says, and the totals.
fn print_short(text: &str) {
    let mut failed = false;
    for line in text.lines() {
        let words = line.trim_start();
        if words.starts_with("ok ") || words.starts_with("# Subtest") {
            failed = false;
        } else if words.starts_with("not ok ") {
            failed = true;
        }
        let is_protocol = words.starts_with("ok ")
            || words.starts_with("# Subtest")
            || ["---", "...", "duration_ms:", "type:"]
                .iter()
                .any(|start| words.starts_with(start))
            || (words.starts_with("1..") && !words.contains(' '));
        if failed || !is_protocol {
            println!("{line}");
        }
    }
}

/// Adds up `test result: ok. 3 passed; 0 failed; …` (libtest) and `Summary … 3 tests run: 2 passed, 1 failed`
/// (nextest), and `# pass 3`, `# fail 0`, `# cancelled 0` (Node; newer ones write `ℹ`).
fn summaries(text: &str) -> (usize, usize) {
    let (mut passed, mut failed) = (0, 0);
    for line in text.lines() {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")) {
            match rest
                .split_once(' ')
                .map(|(what, n)| (what, n.parse::<usize>()))
            {
                Some(("pass", Ok(count))) => passed += count,
                Some(("fail" | "cancelled", Ok(count))) => failed += count,
                _ => {}
            }
        }
        if !line.starts_with("test result:") && !line.starts_with("Summary") {
            continue;
        }
        let words: Vec<&str> = line
            .split([' ', ';', ',', '.'])
            .filter(|word| !word.is_empty())
            .collect();
        for pair in words.windows(2) {
            let Ok(count) = pair[0].parse::<usize>() else {
                continue;
            };
            match pair[1] {
                "passed" => passed += count,
                "failed" => failed += count,
                _ => {}
            }
        }
    }
    (passed, failed)
}

#[cfg(test)]
mod tests {
    use super::summaries;

    #[test]
    fn all_kinds_of_summary_are_counted() {
        let text = "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.00s\n\
                    \x20    Summary [   0.012s] 3 tests run: 2 passed (1 slow), 1 failed, 0 skipped\n\
                    # tests 5\n# pass 4\n# fail 1\n# cancelled 0\n";
        assert_eq!(summaries(text), (9, 3));
    }
}
